"""Refinement by the shape of rootlets: levels whose roots lie at known places."""

import numpy as np
import pytest

from sct_rootlets.centerline import Centerline
from sct_rootlets.registration.cordspace import CordSpace
from sct_rootlets.registration.landmarks import Landmark
from sct_rootlets.registration.pairs import Pair, map_through
from sct_rootlets.registration.rootlets import RootletVoxels
from sct_rootlets.registration.section_map import SectionMap
from sct_rootlets.registration.sections import N_ANGLES
from sct_rootlets.registration.shape import MAX_REFINEMENT_MM, coverage_centroid, refine_by_shape
from sct_rootlets.registration.warp import CordWarp

SPACE = CordSpace.along(Centerline.from_points(np.array([[0, 0, -z] for z in np.arange(0, 120.5, 0.5)])))
SAME_SECTION = SectionMap(0.0, np.full((2, N_ANGLES), 5.0), np.ones((2, N_ANGLES)), np.zeros(2))
#: Places of the four roots across the cord, in the order of `sct_rootlets.levels.ROOTS`: mm to the right and anterior.
ROOT_PLACES = ((-5.5, -2.0), (5.5, -2.0), (-3.0, 4.0), (3.0, 4.0))
MIDDLES = {4: 30.0, 5: 50.0, 6: 70.0}


def drawn_roots(
    middles: dict[int, float], missing: tuple[int, int] | None = None, stray: bool = False, stretch: float = 1.0
) -> RootletVoxels:
    """Roots of 8 mm length; ventral roots lie 2 mm further down. A root may be missing, and a voxel may be stray."""
    rows, values, roots = [], [], []
    for value, centre in middles.items():
        for root, (x, y) in enumerate(ROOT_PLACES):
            if (value, root) != missing:
                arcs = centre + stretch * (2 * (y > 0) + np.linspace(-4, 4, round(40 * stretch) + 1))
                rows += [[arc, x, y] for arc in arcs]
                values += [value] * len(arcs)
                roots += [root] * len(arcs)
    if stray:
        rows.append([middles[5] + 30, 5.5, -2.0])
        values.append(5)
        roots.append(1)
    coordinates = np.array(rows)
    return RootletVoxels(
        value=np.array(values),
        root=np.array(roots),
        points=SPACE.points(coordinates),
        coordinates=coordinates,
        voxel_mm3=0.5,
    )


def refined(truth: dict[int, float], guess: dict[int, float], **kwargs) -> dict[int, float]:
    def landmark(value: int, arc: float) -> Landmark:
        return Landmark(kind="rootlets", value=value, name=f"C{value}", arc_mm=arc, sd_mm=0.3, half_length_mm=5.0)

    pairs = [Pair(landmark(value, MIDDLES[value]), landmark(value, guess[value]), True) for value in MIDDLES]
    warp = CordWarp(SPACE, SPACE, map_through(pairs), SAME_SECTION)
    pairs, arc_map = refine_by_shape(pairs, warp, drawn_roots(MIDDLES), drawn_roots(truth, **kwargs))
    np.testing.assert_allclose(arc_map([MIDDLES[5]]), [pairs[1].subject.arc_mm])
    return {pair.subject.value: pair.subject.arc_mm for pair in pairs}


@pytest.mark.parametrize("kwargs", [{}, {"missing": (5, 2)}, {"stray": True}])
def test_levels_are_found_despite_missing_roots_and_stray_voxels(kwargs):
    """A missing ventral root would pull a plain mean by half a millimetre, a stray voxel by 0.2 mm."""
    truth = {4: 33.0, 5: 53.0, 6: 73.0}
    found = refined(truth, {4: 34.2, 5: 51.8, 6: 73.5}, **kwargs)
    assert found == pytest.approx(truth, abs=0.05)


def test_no_level_moves_further_than_the_limit():
    truth = {4: 33.0, 5: 53.0, 6: 73.0}
    assert refined(truth, {4: 33.0, 5: 46.0, 6: 73.0})[5] == pytest.approx(46 + MAX_REFINEMENT_MM)


def test_a_stretched_level_is_found_between_its_neighbours():
    truth = {4: 30 * 1.2, 5: 50 * 1.2, 6: 70 * 1.2}
    assert refined(truth, {4: 36.5, 5: 61.0, 6: 83.0}, stretch=1.2)[5] == pytest.approx(60.0, abs=0.1)


def test_thickness_counts_little():
    """Rootlets from 10 to 20 mm, their lower half three voxels thick: the mean by volume would be 16.25."""
    upper, lower = np.arange(10.25, 15, 0.5), np.arange(15.25, 20, 0.5)
    arc = np.concatenate([np.repeat(upper, 2), np.repeat(lower, 6)])
    assert arc.mean() == pytest.approx(16.25)
    assert coverage_centroid(arc, np.full(len(arc), 2.0)) == pytest.approx(15.0, abs=0.4)
    even = np.repeat(np.concatenate([upper, lower]), 2)
    assert coverage_centroid(even, np.full(len(even), 2.0)) == pytest.approx(15.0)
