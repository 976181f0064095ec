from dataclasses import replace

import numpy as np

from sct_rootlets.centerline import Centerline
from sct_rootlets.image import Volume, values_at
from sct_rootlets.levels import Level
from sct_rootlets.straighten import (
    arc_around,
    outward,
    plane_points,
    project_labels,
    sample_plane,
    section_points,
    surface_radius,
    unroll,
)

ANGLE = np.arange(-180, 180, 4.0)


def as_mask(volume):
    return replace(volume, data=volume.data > 0)


def ellipse(anatomy, angle_deg):
    """Distance of the phantom's surface from its centerline at angles around the cord."""
    turn = np.radians(angle_deg)
    return 1 / np.hypot(np.sin(turn) / anatomy.half_width_mm, np.cos(turn) / anatomy.half_depth_mm)


def test_planes_follow_the_cord(phantom):
    """Each row lies at its arc length, each column at its distance, in front of the centerline or beside it."""
    line = phantom.anatomy.centerline
    arc, across = np.arange(20.0, 100.0, 5), np.array([-6.0, 0.0, 9.0])
    _, right, anterior = line.frame(arc)
    for plane, within, normal in (("sagittal", anterior, right), ("coronal", right, anterior)):
        points = plane_points(line, arc, across, plane)
        np.testing.assert_allclose(points[:, 1], line.position(arc), atol=1e-9)
        np.testing.assert_allclose(points[:, 2] - points[:, 1], 9 * within, atol=1e-9)
        beside = plane_points(line, arc, across, plane, [0.0, 3.0])
        assert beside.shape == (2, *points.shape)
        np.testing.assert_array_equal(beside[0], points)
        np.testing.assert_allclose(beside[1] - points, np.broadcast_to(3 * normal[:, None], points.shape), atol=1e-9)


def test_sections_are_square_to_the_cord(phantom):
    line = phantom.anatomy.centerline
    points = section_points(line, 50.0, np.array([0.0, 4.0]), np.array([0.0, -3.0]))
    caudal, right, anterior = (axis.ravel() for axis in line.frame(50.0))
    np.testing.assert_allclose(points[0, 1] - points[0, 0], 4 * right, atol=1e-9)
    np.testing.assert_allclose(points[1, 0] - points[0, 0], -3 * anterior, atol=1e-9)
    np.testing.assert_allclose((points - points[0, 0]) @ caudal, 0, atol=1e-9)


def test_samples_are_the_values_at_the_points(phantom):
    line, arc, across = phantom.anatomy.centerline, np.arange(20.0, 60.0), np.arange(-10.0, 10.0)
    volume = phantom.image
    sampled = sample_plane(volume, line, arc, across, "coronal", 2.0)
    points = plane_points(line, arc, across, "coronal", 2.0)
    np.testing.assert_array_equal(sampled, values_at(volume.data, volume.affine, points))


def test_projected_labels_are_those_of_any_plane():
    """A thread in front of the centerline and one behind it are seen on one plane; where both are, the higher label."""
    line = Centerline.from_points([[0, 0, 30], [0, 0, -30]])
    affine = np.eye(4)
    affine[:3, 3] = (-10, -10, -30)
    labels = np.zeros((21, 21, 61), dtype=np.uint8)
    labels[7, 14] = 5  # 3 mm to the left, 4 mm in front
    labels[13, 6] = 6
    labels[13, 14, :30] = 7
    arc, across = np.arange(5.0, 55.0), np.arange(-9.0, 10.0)
    found = project_labels(Volume(labels, affine), line, arc, across, "coronal", np.arange(-8.0, 9.0))
    assert (found[:, across == -3] == 5).all()
    assert (found[arc < 30][:, across == 3] == 6).all()
    assert (found[arc > 31][:, across == 3] == 7).all()
    assert set(np.unique(found)) == {0, 5, 6, 7}


def test_a_view_reaches_beyond_the_levels_within_the_cord():
    line = Centerline.from_points([[0, 0, 50], [0, 0, -50]])
    levels = [Level(5, "spinal", 3.0, 20.0, 1.0, 1.0), Level(6, "spinal", 20.0, 60.0, 1.0, 1.0)]
    assert arc_around(levels, line, 10.0) == (0.0, 70.0)
    assert arc_around(levels, line, 50.0) == (0.0, 100.0)


def test_the_surface_is_the_phantom_s_ellipse(phantom):
    arc = np.arange(15, 150, 2.0)
    found = surface_radius(as_mask(phantom.cord), phantom.anatomy.centerline, arc, ANGLE)
    error = found - ellipse(phantom.anatomy, ANGLE)
    assert abs(np.median(error)) < 0.1
    assert np.abs(error).max() < 0.6  # voxels of 1 mm, smoothed


def test_gaps_of_the_mask_are_bridged(phantom):
    mask = phantom.cord.data > 0
    line = phantom.anatomy.centerline
    arc = np.arange(40, 90, 1.0)
    whole = surface_radius(replace(phantom.cord, data=mask), line, arc, ANGLE)
    points = phantom.anatomy.centerline.project(
        np.argwhere(mask) @ phantom.cord.affine[:3, :3].T + phantom.cord.affine[:3, 3]
    ).arc
    holed = mask.copy()
    holed[tuple(np.argwhere(mask)[(points > 60) & (points < 66)].T)] = False
    assert np.abs(surface_radius(replace(phantom.cord, data=holed), line, arc, ANGLE) - whole).max() < 0.8
    nothing = surface_radius(replace(phantom.cord, data=np.zeros_like(mask)), line, arc, ANGLE)
    assert np.isfinite(nothing).all()


def test_posterior_is_in_the_middle_and_right_is_right():
    line = Centerline.from_points([[0, 0, 50], [0, 0, -50]])
    [directions] = outward(line, np.array([50.0]), np.array([0.0, 90.0, -90.0, 180.0]))
    np.testing.assert_allclose(directions, [[0, -1, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0]], atol=1e-9)


def test_a_helix_unrolls_to_a_straight_line():
    """A dark thread that winds around a straight cylinder by 3 degrees a mm, 1.5 mm outside of it."""
    line = Centerline.from_points([[0, 0, 30], [0, 0, -30]])
    affine = np.diag([0.5, 0.5, 0.5, 1.0])
    affine[:3, 3] = (-12, -12, -32)
    points = np.moveaxis(np.indices((49, 49, 129)), 0, -1) * 0.5 + affine[:3, 3]
    x, y, z = np.moveaxis(points, -1, 0)
    turn = np.radians(3 * (30 - z) - 90)
    thread = np.hypot(x - 6.5 * np.sin(turn), y + 6.5 * np.cos(turn)) < 0.8
    cord = np.hypot(x, y) <= 5
    image = np.where(thread, 50.0, 200.0)
    arc, angle = np.arange(5, 55, 0.5), np.arange(-180, 180, 1.0)
    radius = surface_radius(Volume(cord, affine), line, arc, angle)
    picture = unroll(Volume(image, affine), line, arc, angle, radius + 1.5)
    darkest = [angle[row < 125].mean() for row in picture]
    slope, start = np.polyfit(arc, darkest, 1)
    assert abs(slope - 3) < 0.05
    assert abs(start + 90) < 1


def test_each_rootlet_lies_where_it_leaves_the_cord(phantom):
    """Labels, and dark places of the image, at the angle and arc length that the phantom's geometry gives."""
    line, anatomy = phantom.anatomy.centerline, phantom.anatomy
    places = []
    for filum in anatomy.fila:
        path = np.linspace(filum.path[0], filum.path[1], 400)
        angle = np.degrees(np.arctan2(path[:, 1], -path[:, 2]))
        beyond = np.hypot(path[:, 1], path[:, 2]) - ellipse(anatomy, angle)
        at = int(np.argmax(beyond >= 1.5))
        places.append((path[at, 0], angle[at], filum.value, filum.root))
        assert (angle[at] < 0) == filum.root.startswith("left")
    arc = np.arange(5, 160, 0.25)
    angle = np.arange(-180, 180, 2.0)
    radius = surface_radius(as_mask(phantom.cord), line, arc, angle) + 1.5
    labels = unroll(phantom.rootlets, line, arc, angle, radius, order=0)
    image = unroll(phantom.image, line, arc, angle, radius)
    rows = [int(np.abs(arc - place[0]).argmin()) for place in places]
    columns = [int(np.abs(angle - place[1]).argmin()) for place in places]
    values = np.array([place[2] for place in places])
    assert (labels[rows, columns] == values).mean() > 0.9
    assert set(np.unique(labels[rows, columns])) <= {0, *values.tolist()}
    assert np.median(image[rows, columns]) < 0.75 * np.median(image)
