"""The cord's coordinates, on curves whose geometry is known."""

import numpy as np
import pytest

from sct_rootlets.centerline import Centerline
from sct_rootlets.registration.cordspace import CordSpace
from sct_rootlets.synthesis.cervical import cervical_anatomy

RADIUS = 80.0


@pytest.fixture(scope="module")
def circle() -> CordSpace:
    """A quarter of a circle in the sagittal plane about the origin, from the front of it downwards."""
    angle = np.arange(0, RADIUS * np.pi / 2, 0.5) / RADIUS
    points = np.stack([np.zeros_like(angle), RADIUS * np.cos(angle), -RADIUS * np.sin(angle)], axis=1)
    return CordSpace.along(Centerline.from_points(points))


def test_on_a_circle_arc_length_is_angle_and_anterior_is_radius(circle):
    angle = np.radians([10.0, 30.0, 45.0, 70.0])
    right, anterior = np.array([0.0, 5.0, -8.0, 12.0]), np.array([6.0, -6.0, 15.0, 0.0])
    distance = RADIUS + anterior
    points = np.stack([right, distance * np.cos(angle), -distance * np.sin(angle)], axis=1)
    expected = np.stack([angle * RADIUS, right, anterior], axis=1)
    np.testing.assert_allclose(circle.coordinates(points), expected, atol=0.02)
    np.testing.assert_allclose(circle.points(expected), points, atol=0.02)


def test_beyond_the_ends_the_curve_goes_straight_on(circle):
    np.testing.assert_allclose(circle.coordinates(np.array([[3.0, 84.0, 50.0]])), [[-50.0, 3.0, 4.0]], atol=0.05)
    np.testing.assert_allclose(circle.points(np.array([[-50.0, 3.0, 4.0]])), [[3.0, 84.0, 50.0]], atol=0.05)


def test_there_and_back_is_exact_within_the_neck():
    space = CordSpace.along(cervical_anatomy(bend_deg=30, sway_mm=5).centerline)
    rng = np.random.default_rng(0)
    places = np.column_stack([rng.uniform(-60, 230, 5000), rng.uniform(-20, 20, (5000, 2))])
    np.testing.assert_allclose(space.coordinates(space.points(places)), places, atol=1e-6)


def test_it_agrees_with_the_centerline_it_was_made_of():
    line = cervical_anatomy().centerline
    space = CordSpace.along(line)
    arc = np.arange(0, 150, 7.0)
    np.testing.assert_allclose(space.points(np.column_stack([arc, 0 * arc, 0 * arc])), line.position(arc), atol=0.02)
    for ours, theirs in zip(space.axes(arc), line.frame(arc), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0.01)
