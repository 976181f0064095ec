import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from sct_rootlets.centerline import Centerline, along_cord, fit_centerline
from sct_rootlets.errors import LabelError

RADIUS_MM = 4.5


def helix(height=150.0, radius=8.0, pitch=120.0):
    """Points of a helix from head to foot, and its length from the textbook formula."""
    z = np.linspace(height / 2, -height / 2, 6001)
    angle = 2 * np.pi * z / pitch
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], 1), height * np.hypot(
        1, 2 * np.pi * radius / pitch
    )


def sine(height=150.0, amplitude=10.0, wavelength=150.0):
    """Points of a sagittal sine from head to foot, and its length by numerical integration of the arc element."""
    from scipy.integrate import quad

    z = np.linspace(height / 2, -height / 2, 6001)
    slope = 2 * np.pi * amplitude / wavelength
    length = quad(lambda t: np.hypot(1, slope * np.cos(2 * np.pi * t / wavelength)), -height / 2, height / 2)[0]
    return np.stack([0 * z, amplitude * np.sin(2 * np.pi * z / wavelength), z], 1), length


def grid(voxel_mm, axcodes="RAS", rotation_deg=(0, 0, 0), field_mm=(46, 50, 150)):
    voxel_mm = np.array(voxel_mm, float)
    shape = np.round(np.array(field_mm) / voxel_mm).astype(int)
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", rotation_deg, degrees=True).as_matrix()
    affine[:3, :3] = turn * voxel_mm
    affine[:3, 3] = -turn @ (voxel_mm * (shape - 1) / 2)
    template = nib.Nifti1Image(np.zeros(shape, np.uint8), affine)
    target = nib.orientations.axcodes2ornt(axcodes)
    template = template.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(affine), target))
    return template.shape, template.affine


def tube(curve, shape, affine):
    """Voxels whose centre lies within a radius of a curve: a mask made without the code under test."""
    points = apply_affine(affine, np.indices(shape).reshape(3, -1).T)
    distance, nearest = cKDTree(curve).query(points, distance_upper_bound=RADIUS_MM)
    inside = np.isfinite(distance) & (nearest > 0) & (nearest < len(curve) - 1)
    return inside.reshape(shape)


def arc_of(curve):
    return np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])


def around(curve, rng, first_mm, last_mm, at_mm=8.0):
    """Points beside a curve and their true arc lengths: foot points displaced at right angles to the curve."""
    arc = arc_of(curve)
    index = rng.choice(np.flatnonzero((arc > first_mm) & (arc < last_mm)), 200)
    tangent = curve[index + 1] - curve[index - 1]
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    sideways = np.cross(tangent, rng.normal(size=(200, 3)))
    sideways *= at_mm / np.linalg.norm(sideways, axis=1, keepdims=True)
    return curve[index] + sideways, arc[index]


@pytest.mark.parametrize("shape_of_cord", [helix, sine])
@pytest.mark.parametrize(
    ("voxel_mm", "axcodes", "rotation_deg"),
    [
        ((1, 1, 1), "RAS", (0, 0, 0)),
        ((1, 1, 1), "LPI", (0, 0, 0)),
        ((1, 1, 1), "PSR", (0, 0, 0)),
        ((1, 1, 1), "SLA", (0, 0, 0)),
        ((0.8, 0.8, 0.8), "AIR", (0, 0, 0)),
        ((1, 1, 1), "PSR", (15, 0, 0)),
        ((1, 1, 1), "RAS", (10, 15, 10)),
        ((0.5, 0.5, 5), "RAS", (0, 0, 0)),
        ((0.5, 0.5, 5), "IPR", (0, 0, 0)),
        ((0.5, 0.5, 5), "LAS", (10, 5, 0)),
    ],
)
def test_length_and_projection(shape_of_cord, voxel_mm, axcodes, rotation_deg):
    curve, length = shape_of_cord(height=220)  # goes on beyond the field of view
    assert arc_of(curve)[-1] == pytest.approx(length, rel=1e-5)
    shape, affine = grid(
        voxel_mm, axcodes, rotation_deg, (50, 50, 150) if rotation_deg == (0, 0, 0) else (100, 100, 150)
    )
    line = fit_centerline(tube(curve, shape, affine), affine)
    # The part of the curve between the outer faces of the volume.
    index = apply_affine(np.linalg.inv(affine), curve)
    inside = np.flatnonzero(((index >= -0.5) & (index <= np.array(shape) - 0.5)).all(axis=1))
    arc = arc_of(curve)
    first, last = arc[inside[0]], arc[inside[-1]]
    assert line.cord_length == pytest.approx(last - first, rel=0.005)
    # 5 mm from the ends: there the curve is an extrapolation for points beside the cord.
    points, true = around(curve, np.random.default_rng(0), first + 5, last - 5)
    assert np.abs(line.project(points).arc - (true - first)).max() < 0.2


def test_arc_grows_caudally_from_the_top_of_the_mask():
    curve, _ = sine()
    shape, affine = grid((1, 1, 1), "LPI")
    line = fit_centerline(tube(curve, shape, affine), affine)
    assert line.arc[0] == 0
    assert line.points[0, 2] > line.points[-1, 2]
    np.testing.assert_allclose(np.linalg.norm(np.diff(line.points, axis=0), axis=1), np.diff(line.arc), rtol=1e-3)


def test_projection_is_the_nearest_place_and_continues_straight():
    line = Centerline.from_points(np.array([[0, 0, 0], [0, 0, -10.0], [0, 10.0, -10.0]]))
    projected = line.project([[3, 0, -4], [0, 3, -9], [1, 0, 5], [0, 14, -12]])
    np.testing.assert_allclose(projected.arc, [4, 13, -5, 24])
    np.testing.assert_allclose(projected.distance, [3, 1, 1, 2])
    np.testing.assert_allclose(line.position([4, 13, -5, 24]), projected.foot)


def test_frame_is_right_handed_and_follows_the_patient():
    line = Centerline.from_points(np.array([[0, 0, 0], [0, -5.0, -20.0], [0, -15.0, -40.0]]))
    caudal, right, anterior = line.frame([10.0, 30.0])
    np.testing.assert_allclose(right, [[1, 0, 0], [1, 0, 0]], atol=1e-12)
    assert (anterior[:, 1] > 0.8).all()
    np.testing.assert_allclose(np.cross(right, caudal), anterior, atol=1e-12)


def test_extension_to_the_pmj_is_a_straight_line_above_the_mask():
    line = Centerline.from_points(np.array([[0, 0, 0], [0, 0, -50.0]])).extended_to([0, 6, 8])
    assert line.project([0, 6, 8]).arc[0] == pytest.approx(-10)
    assert line.project([0, 3, 4]).arc[0] == pytest.approx(-5)
    assert line.project([0, 0, -7]).arc[0] == pytest.approx(7)
    assert line.extended_to([0, 0, -20]) is line


def line_of_voxels(curve, shape, affine):
    """The voxels that a curve runs through, as SCT writes a centerline."""
    index = np.rint(apply_affine(np.linalg.inv(affine), curve)).astype(int)
    line = np.zeros(shape, bool)
    line[tuple(index[((index >= 0) & (index < shape)).all(axis=1)].T)] = True
    return line


@pytest.mark.parametrize("shape_of_cord", [helix, sine])
def test_a_given_centerline_has_the_ends_of_the_mask(shape_of_cord):
    """Though it is longer than the mask, and the mask lies 3 mm beside it."""
    curve, _ = shape_of_cord(height=150)
    shape, affine = grid((1, 1, 1), field_mm=(60, 60, 150))
    arc = arc_of(curve)
    within = (arc > 20) & (arc < 120)
    mask = fit_centerline(tube(curve[within] + np.array([3, 0, 0]), shape, affine), affine)
    line = along_cord(fit_centerline(line_of_voxels(curve, shape, affine), affine, what="centerline"), mask)
    assert line.project(curve[within]).distance.max() < np.sqrt(0.5)  # half of a voxel's diagonal
    assert (line.arc[0], line.cord_length) == (0, pytest.approx(100, abs=2))
    points, true = around(curve, np.random.default_rng(0), 30, 110)
    assert line.project(points).arc - true == pytest.approx(np.full(200, -20), abs=1.5)


def test_a_given_centerline_that_is_short_or_of_another_scan():
    curve, _ = sine(height=150)
    shape, affine = grid((1, 1, 1), field_mm=(60, 60, 150))
    mask = fit_centerline(tube(curve, shape, affine), affine)
    upper = fit_centerline(line_of_voxels(curve[curve[:, 2] > -50], shape, affine), affine, what="centerline")
    line = along_cord(upper, mask)
    assert line.cord_length == pytest.approx(mask.cord_length, abs=1.5)
    assert line.notes[0].startswith("the centerline ends 2")
    assert line.notes[0].endswith("mm within the cord mask: continued straight")
    beside = fit_centerline(line_of_voxels(curve + np.array([8, 0, 0]), shape, affine), affine, what="centerline")
    with pytest.raises(LabelError, match=r"the centerline lies up to [89] mm beside the cord mask"):
        along_cord(beside, mask)
    with pytest.raises(LabelError, match="the centerline has 1 slices"):
        fit_centerline(line_of_voxels(np.zeros((1, 3)), shape, affine), affine, what="centerline")


def test_jitter_of_a_mask_does_not_lengthen_the_cord():
    curve, _ = sine(height=200)
    _, inside = sine(height=150)
    shape, affine = grid((1, 1, 1))
    mask = tube(curve, shape, affine)
    rng = np.random.default_rng(0)
    shaken = np.stack([np.roll(mask[:, :, k], rng.integers(-1, 2), axis=rng.integers(2)) for k in range(shape[2])], 2)
    assert fit_centerline(shaken, affine).cord_length == pytest.approx(inside, rel=0.005)


def test_gaps_are_bridged_and_islands_left_out():
    curve, _ = sine()
    shape, affine = grid((1, 1, 1))
    mask = tube(curve, shape, affine)
    whole = fit_centerline(mask, affine)
    mask[:, :, 70:78] = False
    mask[2:4, 2:4, 40] = True
    line = fit_centerline(mask, affine)
    assert line.cord_length == pytest.approx(whole.cord_length, abs=0.3)
    assert any("gaps of 8 mm" in note for note in line.notes)
    assert any("4 voxels" in note for note in line.notes)


def test_too_short_masks_are_refused():
    mask = np.zeros((20, 20, 20), bool)
    mask[8:12, 8:12, 5:12] = True
    with pytest.raises(LabelError, match=r"has 7 slices \(7 mm\)"):
        fit_centerline(mask, np.eye(4))
    with pytest.raises(LabelError, match="at least 3 slices"):
        fit_centerline(mask[:, :, 5:7], np.diag([1, 1, 8.0, 1]))


def test_what_is_too_thick_is_no_cord():
    with pytest.raises(LabelError, match="484 mm² thick, and a cord about 100"):
        fit_centerline(np.ones((22, 22, 30), bool), np.eye(4))


def test_pieces_of_a_mask_are_kept_and_islands_are_not():
    """A twentieth of the largest piece decides."""
    mask = np.zeros((30, 30, 130), bool)
    mask[10:20, 10:20, :100] = True
    mask[10:20, 10:20, 110:118] = True  # 8 % of the rest: the cord goes on below a gap
    assert fit_centerline(mask, np.eye(4)).cord_length == pytest.approx(118, abs=0.1)
    mask[10:20, 10:20, 114:] = False  # 4 %
    line = fit_centerline(mask, np.eye(4))
    assert line.cord_length == pytest.approx(100, abs=0.1)
    assert line.notes == ("400 voxels of the cord mask lie apart from the cord: left out",)


def test_incomplete_slices_at_an_oblique_end_do_not_bend_the_curve():
    """A straight tube that leans by 30 degrees, cut at right angles: slices near its ends hold a part of it."""
    direction = np.array([0, np.sin(np.radians(30)), -np.cos(np.radians(30))])
    curve = np.linspace(-50, 50, 4001)[:, None] * direction
    shape, affine = grid((1, 1, 1), field_mm=(40, 90, 130))
    line = fit_centerline(tube(curve, shape, affine), affine)
    sideways = line.points - (line.points @ direction)[:, None] * direction
    assert np.linalg.norm(sideways, axis=1).max() < 0.3


def test_few_thick_slices_are_enough():
    mask = np.zeros((20, 20, 3), bool)
    mask[8:12, 8:12] = True
    line = fit_centerline(mask, np.diag([1, 1, 5.0, 1]))
    assert line.cord_length == pytest.approx(15)
