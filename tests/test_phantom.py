import gzip
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.correspondence import BIAS_MM
from sct_rootlets.phantom import cervical_anatomy, cohort_anatomy, draw_phantom, phantom_grid

TESTING_DATA = Path(__file__).parents[1] / "testing_data"


def test_the_anatomy_has_the_published_bias():
    anatomy = cervical_anatomy()
    attachment = {name: np.mean(ends) for name, ends in anatomy.spinal_extents(0).items()}
    middle = {value: (anatomy.discs[value] + anatomy.discs[value + 1]) / 2 for value in range(2, 9)}
    bias = [middle[vertebra] - attachment[name] for vertebra, name in ((2, "C3"), (7, "C8"), (8, "T1"))]
    np.testing.assert_allclose(bias, [0.0, 5.4, 8.15], atol=0.01)


def test_anatomies_of_a_cohort_have_the_published_bias_on_average():
    """Of the stretches within 2.4 mm of the cord; 30 of them, each level with its own 1.7 mm."""
    rng = np.random.default_rng(2)
    bias, heights, sizes = [], [], []
    for _ in range(30):
        anatomy, height = cohort_anatomy(rng)
        middle = {name: np.mean(ends) for name, ends in anatomy.spinal_extents(2.4).items()}
        discs = anatomy.discs
        pairs = zip(range(2, 9), ("C3", "C4", "C5", "C6", "C7", "C8", "T1"), strict=True)
        bias.append([(discs[vertebra] + discs[vertebra + 1]) / 2 - middle[name] for vertebra, name in pairs])
        heights.append(height)
        sizes.append(discs[9] - discs[1])
    np.testing.assert_allclose(np.mean(bias, axis=0), BIAS_MM, atol=4 * 1.7 / np.sqrt(30))
    assert np.std(bias, axis=0).min() > 1
    assert np.corrcoef(heights, sizes)[0, 1] > 0.8


def test_the_course_has_unit_speed():
    line = cervical_anatomy(bend_deg=30, sway_mm=4).centerline
    np.testing.assert_allclose(np.linalg.norm(np.diff(line.points, axis=0), axis=1), np.diff(line.arc), rtol=1e-9)


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


def test_testing_data_is_what_the_generator_writes(phantom_folder):
    """`sct_rootlets phantom -ofolder testing_data` regenerates the committed files."""
    written = {path.relative_to(phantom_folder): path for path in phantom_folder.rglob("*.*") if path.is_file()}
    assert written
    for name, path in written.items():
        committed = TESTING_DATA / name
        if path.suffix == ".gz":  # compression may differ between builds of zlib, what is compressed may not
            assert gzip.decompress(committed.read_bytes()) == gzip.decompress(path.read_bytes()), name
        else:
            assert json.loads(committed.read_text()) == json.loads(path.read_text()), name
