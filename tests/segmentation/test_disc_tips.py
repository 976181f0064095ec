import numpy as np
import pytest

from sct_rootlets.centerline import Centerline
from sct_rootlets.image import Volume
from sct_rootlets.segmentation.disc_tips import with_tips
from sct_rootlets.vertebral import Disc


@pytest.mark.parametrize(("fluid", "disc"), [(1000.0, 100.0), (50.0, 400.0)])
def test_the_tip_is_where_fluid_ends(fluid, disc):
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = [-20, -20, -60]
    y = affine[1, 3] + np.arange(50)
    data = np.zeros((41, 50, 61), dtype=np.float32)
    data[:] = np.select([np.abs(y) < 4, np.abs(y) < 9.5], [(fluid + disc) / 2, fluid], disc)[None, :, None]
    line = Centerline.from_points(np.stack([np.zeros(50), np.zeros(50), -5.0 - np.arange(50)], axis=1))
    given = {5: np.array([1.0, 12.0, -40.0])}
    found = with_tips(Volume(data, affine), line, [Disc(4, 20.0, 1.0, "image"), Disc(5, 35.0, 0.3)], given)
    assert found[0].point_mm == pytest.approx((0, 10.5, -25), abs=0.8)
    assert found[1].point_mm == (1.0, 12.0, -40.0)
