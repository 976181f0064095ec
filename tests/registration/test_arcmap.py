"""The map of arc length: through its landmarks, growing, smooth, and back again."""

import numpy as np
import pytest

from sct_rootlets.registration.arcmap import (
    PLACE_SD_MM,
    REACH_MM,
    SCALE_SD,
    SLOPES,
    ArcMap,
    estimate_scale,
    fit_arc_map,
)

TEMPLATE = np.array([16.0, 34.0, 50.0, 66.0, 82.0])
SUBJECT = np.array([20.0, 33.0, 52.0, 63.0, 84.0])
FINE = np.arange(-30, 130, 0.01)


def test_one_landmark_is_a_shift():
    along = fit_arc_map([50.0], [43.0])
    np.testing.assert_allclose(along([-100.0, 50.0, 300.0]), [-107.0, 43.0, 293.0])
    np.testing.assert_allclose(along.inverse([-107.0, 43.0, 293.0]), [-100.0, 50.0, 300.0])


def test_it_meets_its_landmarks_grows_and_has_no_kink():
    along = fit_arc_map(TEMPLATE, SUBJECT)
    np.testing.assert_allclose(along(TEMPLATE), SUBJECT)
    value, slope = along(FINE), along.slope(FINE)
    assert slope.min() > 0.2
    np.testing.assert_allclose(np.gradient(value, FINE), slope, atol=1e-3)  # the slope is the derivative ...
    assert np.abs(np.diff(slope)).max() < 0.01  # ... and does not jump, at knots or at the ends


def test_beyond_the_outermost_landmarks_the_subject_keeps_its_scale():
    """Where the next level would be, and further, it lies at the subject's own scale; there is no kink on the way."""
    along = fit_arc_map(TEMPLATE, 0.9 * TEMPLATE + 3)
    assert along.scale == pytest.approx(estimate_scale(TEMPLATE, 0.9 * TEMPLATE))
    for beyond in (REACH_MM, 3 * REACH_MM):
        assert along([16.0 - beyond])[0] == pytest.approx(0.9 * 16 + 3 - along.scale * beyond)
        assert along([82.0 + beyond])[0] == pytest.approx(0.9 * 82 + 3 + along.scale * beyond)
    outside = along.slope([-50.0, 200.0])
    np.testing.assert_allclose(outside, along.scale)


def test_the_scale_is_believed_by_how_far_landmarks_reach():
    """Regression with a prior (ridge): the textbook mean of two estimates, each by its variance."""
    assert estimate_scale([50.0], [43.0]) == 1.0
    for reach in (15.0, 100.0):
        at = np.array([20.0, 20 + reach])
        variance = 2 * PLACE_SD_MM**2 / reach**2  # of the slope between two places
        expected = (0.9 / variance + 1 / SCALE_SD**2) / (1 / variance + 1 / SCALE_SD**2)
        assert estimate_scale(at, 0.9 * at + 7) == pytest.approx(expected)


def test_the_inverse_is_exact():
    along = fit_arc_map(TEMPLATE, SUBJECT)
    np.testing.assert_allclose(along.inverse(along(FINE)), FINE, atol=1e-9)
    np.testing.assert_allclose(along(along.inverse(FINE)), FINE, atol=1e-9)


def test_whatever_the_landmarks_it_grows_and_can_be_inverted():
    rng = np.random.default_rng(1)
    for _ in range(50):
        at = np.sort(rng.uniform(0, 120, rng.integers(1, 12)))
        along = fit_arc_map(at, at + rng.normal(0, 12, len(at)))
        arc = np.linspace(-50, 200, 3000)
        assert np.diff(along(arc)).min() > 0
        np.testing.assert_allclose(along.inverse(along(arc)), arc, atol=1e-6)


def test_impossible_slopes_are_mended_by_moving_landmarks_least():
    """Two landmarks in the wrong order: both move alike, to the least slope, whatever the order they come in."""
    along = fit_arc_map([60.0, 40.0], [50.0, 54.0])
    gap = SLOPES[0] * 20
    np.testing.assert_allclose(along.subject, [52 - gap / 2, 52 + gap / 2])
    steep = fit_arc_map([40.0, 60.0], [0.0, 100.0], weight=[1.0, 3.0])
    excess = 100 - SLOPES[1] * 20  # shared by weight: the heavier landmark moves a third as far
    np.testing.assert_allclose(steep.subject, [excess * 3 / 4, 100 - excess / 4])


def test_neighbours_on_the_template_count_as_one():
    along = fit_arc_map([10.0, 40.0, 41.0], [12.0, 44.0, 42.0], weight=[1.0, 1.0, 3.0])
    np.testing.assert_allclose(along.template, [10.0, 40.75])
    np.testing.assert_allclose(along.subject, [12.0, 42.5])


def test_a_map_of_equal_steps_is_straight():
    along = ArcMap(np.array([0.0, 10.0, 20.0]), np.array([5.0, 15.0, 25.0]))
    np.testing.assert_allclose(along(FINE), FINE + 5)
