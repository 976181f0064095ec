import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.phantom import draw_phantom, phantom_grid
from sct_rootlets.synthesis.cervical import cervical_anatomy


def test_volumes_of_the_drawn_shapes():
    anatomy = cervical_anatomy(bend_deg=0, sway_mm=0)
    shape, affine = phantom_grid(anatomy, (0.6, 0.6, 0.6), margin_mm=12)
    phantom = draw_phantom(anatomy, shape, affine)
    ellipse = np.pi * anatomy.half_width_mm * anatomy.half_depth_mm * anatomy.centerline.cord_length
    assert phantom.cord.data.sum() * 0.6**3 == pytest.approx(ellipse, rel=0.01)
    assert sorted(np.unique(phantom.rootlets.data)) == [0, *range(2, 10)]
    assert not (phantom.rootlets.data.astype(bool) & phantom.cord.data.astype(bool)).any()


@pytest.mark.parametrize("axcodes", ["RAS", "PSR", "LIA"])
def test_grids_have_the_axes_asked_for(axcodes):
    anatomy = cervical_anatomy()
    shape, affine = phantom_grid(anatomy, (1, 1.5, 2), axcodes)
    assert "".join(nib.aff2axcodes(affine)) == axcodes
    sizes = dict(zip("RLAPSI", (1, 1, 1.5, 1.5, 2, 2), strict=True))
    np.testing.assert_allclose(nib.affines.voxel_sizes(affine), [sizes[code] for code in axcodes])
    assert draw_phantom(anatomy, shape, affine).cord.data.any()
