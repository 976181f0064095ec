import numpy as np

from sct_rootlets.centerline import Centerline
from sct_rootlets.straighten import outward, surface_radius, unroll

ANGLE = np.arange(-180, 180, 4.0)


def ellipse(anatomy, angle_deg):
    """Distance of the phantom's surface from its centerline at angles around the cord."""
    turn = np.radians(angle_deg)
    return 1 / np.hypot(np.sin(turn) / anatomy.half_width_mm, np.cos(turn) / anatomy.half_depth_mm)


def test_the_surface_is_the_phantom_s_ellipse(phantom):
    arc = np.arange(15, 150, 2.0)
    found = surface_radius(phantom.cord.data > 0, phantom.cord.affine, phantom.anatomy.centerline, arc, ANGLE)
    error = found - ellipse(phantom.anatomy, ANGLE)
    assert abs(np.median(error)) < 0.1
    assert np.abs(error).max() < 0.6  # voxels of 1 mm, smoothed


def test_gaps_of_the_mask_are_bridged(phantom):
    mask = phantom.cord.data > 0
    line = phantom.anatomy.centerline
    arc = np.arange(40, 90, 1.0)
    whole = surface_radius(mask, phantom.cord.affine, line, arc, ANGLE)
    points = phantom.anatomy.centerline.project(
        np.argwhere(mask) @ phantom.cord.affine[:3, :3].T + phantom.cord.affine[:3, 3]
    ).arc
    holed = mask.copy()
    holed[tuple(np.argwhere(mask)[(points > 60) & (points < 66)].T)] = False
    assert np.abs(surface_radius(holed, phantom.cord.affine, line, arc, ANGLE) - whole).max() < 0.8
    nothing = surface_radius(np.zeros_like(mask), phantom.cord.affine, line, arc, ANGLE)
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
    radius = surface_radius(cord, affine, line, arc, angle)
    picture = unroll(image, affine, line, arc, angle, radius + 1.5)
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
    radius = surface_radius(phantom.cord.data > 0, phantom.cord.affine, line, arc, angle) + 1.5
    labels = unroll(phantom.rootlets.data, phantom.rootlets.affine, line, arc, angle, radius, order=0)
    image = unroll(phantom.image.data, phantom.image.affine, line, arc, angle, radius)
    rows = [int(np.abs(arc - place[0]).argmin()) for place in places]
    columns = [int(np.abs(angle - place[1]).argmin()) for place in places]
    values = np.array([place[2] for place in places])
    assert (labels[rows, columns] == values).mean() > 0.9
    assert set(np.unique(labels[rows, columns])) <= {0, *values.tolist()}
    assert np.median(image[rows, columns]) < 0.75 * np.median(image)
