"""The turn of the cord: by roots, by sections, and weighed against each other."""

import numpy as np
import pytest

from sct_rootlets.registration.rootlets import RootletVoxels
from sct_rootlets.registration.turn import (
    CORD_DEG,
    ROOTS_DEG,
    SECTION_DEG,
    estimate_turn,
    turn_of_sections,
    turns_of_roots,
)


def voxels(turn_deg: float) -> RootletVoxels:
    """Dorsal and ventral roots of two levels, symmetric but for a turn."""
    places, values = [], []
    turn = np.radians(turn_deg)
    for value, middle in ((4, 30.0), (5, 46.0)):
        for x, y in ((5.5, -2.0), (-5.5, -2.0), (3.0, 4.0), (-3.0, 4.0)):
            u, v = np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y
            places += [[arc, u, v] for arc in middle + np.linspace(-4, 4, 9)]
            values += [value] * 9
    return RootletVoxels(np.array(values), np.zeros((len(values), 3)), np.array(places), 1.0)


@pytest.mark.parametrize("turn_deg", [0.0, 7.0, -4.0])
def test_roots_show_the_turn(turn_deg):
    arc, turn = turns_of_roots(voxels(turn_deg))
    np.testing.assert_allclose(np.degrees(turn), [turn_deg] * 4, atol=1e-9)
    np.testing.assert_allclose(arc, [30, 30, 46, 46])


def test_sections_show_the_turn_of_the_long_axis_and_round_ones_nothing():
    angle = 2 * np.pi * np.arange(72) / 72

    def ellipse(turn: float) -> np.ndarray:
        return 1 / np.sqrt((np.cos(angle - turn) / 6.5) ** 2 + (np.sin(angle - turn) / 4.0) ** 2)

    turn, weight = turn_of_sections(
        np.stack([ellipse(0.0), np.full(72, 5.0)]), np.stack([ellipse(0.1), np.full(72, 5.0)]), angle
    )
    assert turn[0] == pytest.approx(0.1, abs=1e-6)
    assert weight[0] > 0.9
    assert weight[1] == pytest.approx(0.0, abs=1e-6)


def test_sources_count_by_how_far_they_are_trusted():
    arc = np.array([50.0])
    assert estimate_turn(arc, None, None) == 0
    roots = np.array([50.0, 50.0]), np.array([0.2, 0.1])
    trust = 2 / ROOTS_DEG**2
    assert estimate_turn(arc, roots, None)[0] == pytest.approx(0.15 * trust / (trust + 1 / CORD_DEG**2))
    section = np.array([0.2]), np.array([1.0])
    trust = 1 / SECTION_DEG**2
    assert estimate_turn(arc, None, section)[0] == pytest.approx(0.2 * trust / (trust + 1 / CORD_DEG**2))
    far = np.array([500.0]), np.array([0.3])
    assert estimate_turn(arc, far, None)[0] == pytest.approx(0.0, abs=1e-9)
