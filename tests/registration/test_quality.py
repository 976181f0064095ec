"""Numbers of a registration that need no truth, where they are known."""

from dataclasses import replace

import numpy as np
import pytest

from sct_rootlets.image import Volume
from sct_rootlets.registration.align import align
from sct_rootlets.registration.cord import LandmarkedCord, landmarked_cord
from sct_rootlets.registration.fields import displacement_field
from sct_rootlets.registration.quality import assess

AFFINE = np.diag([1.0, 1.0, 1.0, 1.0])
SHAPE = (40, 40, 90)


def tube(half_width: float, first: int = 0) -> LandmarkedCord:
    """A straight cord, square in section, from a slice on, with rootlets of one level beside it."""
    x, y, z = np.indices(SHAPE)
    cord = (np.abs(x - 20) <= half_width) & (np.abs(y - 20) <= half_width) & (z >= first)
    beside = (np.abs(x - 20) == half_width + 2) & (y == 18) & (np.abs(z - 50) <= 5)
    rootlets = np.where(beside, 5, 0).astype(np.uint8)
    return landmarked_cord(Volume(cord, AFFINE, "cord"), Volume(rootlets, AFFINE, "rootlets"))


def test_by_the_identity_cords_overlap_as_their_areas_do():
    """9×9 against 7×7 voxels, along the part that both have: what the template's cord has more does not count."""
    alignment = align(tube(4), tube(3, first=20))
    alignment = replace(alignment, warp=align(tube(4), tube(4, first=20)).warp)
    still = displacement_field(lambda points: points, SHAPE, AFFINE)
    found = assess(alignment, still)
    assert found.cord_dice == pytest.approx(2 * 49 / (81 + 49), abs=0.01)
    assert found.least_jacobian == pytest.approx(1.0, abs=0.01)


def test_places_that_a_warp_of_sct_does_not_reach_are_left_out():
    alignment = align(tube(4), tube(4))
    field = displacement_field(lambda points: points, SHAPE, AFFINE)
    field[:, :, :12] = 1e5
    found = assess(alignment, field)
    assert found.cord_dice == pytest.approx(1.0, abs=0.01)
    assert found.least_jacobian == pytest.approx(1.0, abs=0.01)


def test_folds_in_the_canal_are_seen_and_those_elsewhere_are_not():
    alignment = align(tube(4), tube(4))

    def folded(x_mm: float) -> np.ndarray:
        def fold(points: np.ndarray) -> np.ndarray:
            near = np.exp(-0.5 * ((points - [x_mm, 20, 45]) / 1.5) ** 2).prod(axis=1)
            return points + np.column_stack([0 * near, 0 * near, -8 * near * (points[:, 2] - 45)])

        return displacement_field(fold, SHAPE, AFFINE)

    assert assess(alignment, folded(24.0)).least_jacobian < 0
    assert assess(alignment, folded(36.0)).least_jacobian == pytest.approx(1.0, abs=0.01)
