"""The axial rotation of the cord: by roots, by sections, and by both, weighted by their precision."""

import numpy as np
import pytest

from sct_rootlets.registration.axial_rotation import (
    CORD_SD_DEG,
    ROOT_PAIR_SD_DEG,
    SECTION_SD_DEG,
    axial_rotation_of_roots,
    axial_rotation_of_sections,
    estimate_axial_rotation,
)
from sct_rootlets.registration.rootlets import RootletVoxels

#: Places of the four roots across the cord, in the order of `sct_rootlets.levels.ROOTS`: mm to the right and anterior.
ROOT_PLACES = ((-5.5, -2.0), (5.5, -2.0), (-3.0, 4.0), (3.0, 4.0))


def rotated_roots(rotation_deg: float) -> RootletVoxels:
    """Dorsal and ventral roots of two levels, symmetric except for a rotation."""
    coordinates, values, roots = [], [], []
    rotation = np.radians(rotation_deg)
    for value, middle in ((4, 30.0), (5, 46.0)):
        for root, (x, y) in enumerate(ROOT_PLACES):
            u, v = np.cos(rotation) * x - np.sin(rotation) * y, np.sin(rotation) * x + np.cos(rotation) * y
            coordinates += [[arc, u, v] for arc in middle + np.linspace(-4, 4, 9)]
            values += [value] * 9
            roots += [root] * 9
    return RootletVoxels(
        value=np.array(values),
        root=np.array(roots),
        points=np.zeros((len(values), 3)),
        coordinates=np.array(coordinates),
        voxel_mm3=1.0,
    )


@pytest.mark.parametrize("rotation_deg", [0.0, 7.0, -4.0])
def test_roots_show_the_rotation(rotation_deg):
    arc, rotation = axial_rotation_of_roots(rotated_roots(rotation_deg))
    np.testing.assert_allclose(np.degrees(rotation), [rotation_deg] * 4, atol=1e-9)
    np.testing.assert_allclose(arc, [30, 30, 46, 46])


def test_oblong_sections_show_the_rotation_and_round_sections_do_not_count():
    angle = 2 * np.pi * np.arange(72) / 72

    def ellipse(rotation: float) -> np.ndarray:
        return 1 / np.sqrt((np.cos(angle - rotation) / 6.5) ** 2 + (np.sin(angle - rotation) / 4.0) ** 2)

    rotation, weight = axial_rotation_of_sections(
        np.stack([ellipse(0.0), np.full(72, 5.0)]), np.stack([ellipse(0.1), np.full(72, 5.0)]), angle
    )
    assert rotation[0] == pytest.approx(0.1, abs=1e-6)
    assert weight[0] > 0.9
    assert weight[1] == pytest.approx(0.0, abs=1e-6)


def test_sources_are_weighted_by_their_precision():
    arc = np.array([50.0])
    assert estimate_axial_rotation(arc, None, None) == 0
    roots = np.array([50.0, 50.0]), np.array([0.2, 0.1])
    precision = 2 / ROOT_PAIR_SD_DEG**2
    assert estimate_axial_rotation(arc, roots, None)[0] == pytest.approx(
        0.15 * precision / (precision + 1 / CORD_SD_DEG**2)
    )
    section = np.array([0.2]), np.array([1.0])
    precision = 1 / SECTION_SD_DEG**2
    assert estimate_axial_rotation(arc, None, section)[0] == pytest.approx(
        0.2 * precision / (precision + 1 / CORD_SD_DEG**2)
    )
    far = np.array([500.0]), np.array([0.3])
    assert estimate_axial_rotation(arc, far, None)[0] == pytest.approx(0.0, abs=1e-9)
