"""Means of axes, whose directions are known."""

import numpy as np
import pytest

from sct_rootlets.measure.axial import axial_mean, axial_sd, interpolate_axial, unwrap_axial, wrap_axial


def test_half_turns_change_nothing():
    np.testing.assert_allclose(wrap_axial([90, -90, 91, 180, -179, 270, 45, -45]), [90, 90, -89, 0, 1, 90, 45, -45])


@pytest.mark.parametrize("turn_deg", [0, 30, 88, 90, -89])
def test_mean_and_standard_deviation_turn_with_the_axes(turn_deg):
    """Of axes at -4, 0 and 4 degrees from a direction."""
    angles = wrap_axial(turn_deg + np.array([-4, 0, 4]))
    assert axial_mean(angles) == pytest.approx(turn_deg)
    assert axial_sd(angles) == pytest.approx(4 * np.sqrt(2 / 3))
    assert np.sort(unwrap_axial(angles)) == pytest.approx(turn_deg + np.array([-4, 0, 4]))
    assert interpolate_axial(np.array([0.25, 1.5]), np.arange(3), angles) == pytest.approx(
        wrap_axial(turn_deg + np.array([-3, 2]))
    )


def test_axes_that_point_everywhere_alike_have_no_mean():
    assert np.isnan(axial_mean([0, 90]))
    assert np.isnan(axial_mean([]))
    assert np.isnan(axial_sd([0, 90]))
    assert axial_mean([90, 90]) == pytest.approx(90)
