"""The map of arc length: it meets its landmarks, is smooth and growing, and has an exact inverse."""

import numpy as np
import pytest

from sct_rootlets.registration.arcmap import (
    MAX_SLOPE,
    MIN_SLOPE,
    POSITION_SD_MM,
    SCALE_SD,
    TRANSITION_MM,
    ArcMap,
    estimate_scale,
    fit_arc_map,
)

TEMPLATE = np.array([16.0, 34.0, 50.0, 66.0, 82.0])
SUBJECT = np.array([20.0, 33.0, 52.0, 63.0, 84.0])
FINE = np.arange(-30, 130, 0.01)


def test_one_landmark_is_a_shift():
    arc_map = fit_arc_map([50.0], [43.0])
    np.testing.assert_allclose(arc_map([-100.0, 50.0, 300.0]), [-107.0, 43.0, 293.0])
    np.testing.assert_allclose(arc_map.inverse([-107.0, 43.0, 293.0]), [-100.0, 50.0, 300.0])


def test_it_meets_its_landmarks_grows_and_has_no_kink():
    arc_map = fit_arc_map(TEMPLATE, SUBJECT)
    np.testing.assert_allclose(arc_map(TEMPLATE), SUBJECT)
    value, slope = arc_map(FINE), arc_map.slope(FINE)
    assert slope.min() > 0.2
    np.testing.assert_allclose(np.gradient(value, FINE), slope, atol=1e-3)  # the slope is the derivative ...
    assert np.abs(np.diff(slope)).max() < 0.01  # ... and does not jump, at knots or at the ends


def test_beyond_the_outermost_landmarks_the_subject_keeps_its_scale():
    """From the distance of the next level on, positions follow the subject's own scale; there is no kink on the way."""
    arc_map = fit_arc_map(TEMPLATE, 0.9 * TEMPLATE + 3)
    assert arc_map.scale == pytest.approx(estimate_scale(TEMPLATE, 0.9 * TEMPLATE))
    for beyond in (TRANSITION_MM, 3 * TRANSITION_MM):
        assert arc_map([16.0 - beyond])[0] == pytest.approx(0.9 * 16 + 3 - arc_map.scale * beyond)
        assert arc_map([82.0 + beyond])[0] == pytest.approx(0.9 * 82 + 3 + arc_map.scale * beyond)
    outside = arc_map.slope([-50.0, 200.0])
    np.testing.assert_allclose(outside, arc_map.scale)


def test_the_scale_is_trusted_by_how_far_landmarks_reach():
    """Regression with a prior (ridge): the textbook mean of two estimates, each by its variance."""
    assert estimate_scale([50.0], [43.0]) == 1.0
    for reach in (15.0, 100.0):
        template_mm = np.array([20.0, 20 + reach])
        variance = 2 * POSITION_SD_MM**2 / reach**2  # of the slope between two positions
        expected = (0.9 / variance + 1 / SCALE_SD**2) / (1 / variance + 1 / SCALE_SD**2)
        assert estimate_scale(template_mm, 0.9 * template_mm + 7) == pytest.approx(expected)


def test_the_inverse_is_exact():
    arc_map = fit_arc_map(TEMPLATE, SUBJECT)
    np.testing.assert_allclose(arc_map.inverse(arc_map(FINE)), FINE, atol=1e-9)
    np.testing.assert_allclose(arc_map(arc_map.inverse(FINE)), FINE, atol=1e-9)


def test_whatever_the_landmarks_it_grows_and_can_be_inverted():
    rng = np.random.default_rng(1)
    for _ in range(50):
        template_mm = np.sort(rng.uniform(0, 120, rng.integers(1, 12)))
        arc_map = fit_arc_map(template_mm, template_mm + rng.normal(0, 12, len(template_mm)))
        arc = np.linspace(-50, 200, 3000)
        assert np.diff(arc_map(arc)).min() > 0
        np.testing.assert_allclose(arc_map.inverse(arc_map(arc)), arc, atol=1e-6)


def test_impossible_slopes_are_corrected_by_moving_landmarks_least():
    """Two landmarks in the wrong order move by the same distance, to the least slope, in whatever order they come."""
    arc_map = fit_arc_map([60.0, 40.0], [50.0, 54.0])
    gap = MIN_SLOPE * 20
    np.testing.assert_allclose(arc_map.subject_mm, [52 - gap / 2, 52 + gap / 2])
    steep = fit_arc_map([40.0, 60.0], [0.0, 100.0], weights=[1.0, 3.0])
    excess = 100 - MAX_SLOPE * 20  # shared by weight: the heavier landmark moves a third as far
    np.testing.assert_allclose(steep.subject_mm, [excess * 3 / 4, 100 - excess / 4])


def test_neighbours_on_the_template_are_averaged():
    arc_map = fit_arc_map([10.0, 40.0, 41.0], [12.0, 44.0, 42.0], weights=[1.0, 1.0, 3.0])
    np.testing.assert_allclose(arc_map.template_mm, [10.0, 40.75])
    np.testing.assert_allclose(arc_map.subject_mm, [12.0, 42.5])


def test_a_map_of_equal_steps_is_straight():
    arc_map = ArcMap(np.array([0.0, 10.0, 20.0]), np.array([5.0, 15.0, 25.0]))
    np.testing.assert_allclose(arc_map(FINE), FINE + 5)
