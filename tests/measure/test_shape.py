"""Shape of cords whose sections are known ellipses."""

import numpy as np
import pytest
from tilted_cords import AREA_MM2, HALF_DEPTH_MM, HALF_WIDTH_MM, level_map, tilted_cord

from sct_rootlets.image import Volume, as_axial
from sct_rootlets.measure.cord_levels import TableLevel, read_cord_levels
from sct_rootlets.measure.shape import CENTRAL_WIDTH_MM, MEASURES, measure_slices, shape_by_level, slice_levels

BORDERS_MM = (16.0, 0.0, -16.0)


def level_shapes(tilt_deg, voxel_mm, **settings):
    cord = tilted_cord(tilt_deg, voxel_mm, **settings)
    levels = read_cord_levels({"spinal": level_map(cord, tilt_deg, BORDERS_MM)}, cord)
    return shape_by_level(measure_slices(levels.cord), levels)


#: Mean depth of the ellipse over the width that the AP diameter is averaged over.
STEPS = (np.arange(1000) + 0.5) / 1000 * CENTRAL_WIDTH_MM / 2
CENTRAL_DEPTH_MM = 2 * HALF_DEPTH_MM * np.mean(np.sqrt(1 - (STEPS / HALF_WIDTH_MM) ** 2))


@pytest.mark.parametrize("voxel_mm", [0.5, 1.0, 2.0, (0.5, 0.5, 3.0), (2.0, 0.8, 0.8), (0.8, 0.8, 5.0)], ids=str)
@pytest.mark.parametrize("tilt_deg", [0, 20, 40])
def test_area_and_diameters_of_tilted_soft_masks(tilt_deg, voxel_mm):
    for shape in level_shapes(tilt_deg, voxel_mm):
        assert shape.mean["area"] == pytest.approx(AREA_MM2, rel=0.01)
        assert shape.mean["diameter_RL"] == pytest.approx(2 * HALF_WIDTH_MM, rel=0.03)
        assert shape.mean["diameter_AP_ellipse"] == pytest.approx(2 * HALF_DEPTH_MM, rel=0.03)
        assert shape.mean["diameter_AP"] == pytest.approx(2 * HALF_DEPTH_MM, rel=0.03)
        assert shape.mean["diameter_AP"] == pytest.approx(CENTRAL_DEPTH_MM, rel=0.02)


@pytest.mark.parametrize("voxel_mm", [0.5, 0.8, 1.0, (0.5, 0.5, 3.0), (0.8, 0.8, 5.0)], ids=str)
@pytest.mark.parametrize("tilt_deg", [20, 40])
def test_area_and_diameters_of_tilted_binary_masks(tilt_deg, voxel_mm):
    """Sections that lie differently to the voxels; one section alone of 1 mm voxels is off by 5 %, whoever measures."""
    for shape in level_shapes(tilt_deg, voxel_mm, is_soft=False):
        assert shape.mean["area"] == pytest.approx(AREA_MM2, rel=0.02)
        assert shape.mean["diameter_RL"] == pytest.approx(2 * HALF_WIDTH_MM, rel=0.03)
        assert shape.mean["diameter_AP_ellipse"] == pytest.approx(2 * HALF_DEPTH_MM, rel=0.03)
        assert shape.mean["diameter_AP"] == pytest.approx(CENTRAL_DEPTH_MM, rel=0.03)


def test_angles_lengths_and_form():
    """Tilts of the two planes, and the length of cord between two slices, by trigonometry."""
    (shape, *_) = level_shapes(30, 0.8)
    across = np.sin(np.radians(30)) * np.array([0.6, 0.8])
    to_right, to_anterior = np.degrees(np.arctan(across / np.cos(np.radians(30))))
    assert shape.mean["angle_AP"] == pytest.approx(-to_right, abs=0.3)  # positive to the left
    assert shape.mean["angle_RL"] == pytest.approx(to_anterior, abs=0.3)
    assert shape.length_mm == pytest.approx(len(shape.slices) * 0.8 / np.cos(np.radians(30)), rel=0.005)
    assert shape.mean["eccentricity"] == pytest.approx(np.sqrt(1 - (HALF_DEPTH_MM / HALF_WIDTH_MM) ** 2), abs=0.01)
    assert shape.mean["solidity"] > 0.97
    assert abs(shape.mean["orientation"]) < 1


@pytest.mark.parametrize("turn_deg", [-25, 15])
def test_orientation_is_the_turn_of_the_longer_axis(turn_deg):
    """From left towards anterior: a turn from the right towards anterior is negative."""
    (shape, *_) = level_shapes(0, 0.8, turn_deg=turn_deg)
    assert shape.mean["orientation"] == pytest.approx(-turn_deg, abs=1)
    assert shape.mean["diameter_RL"] == pytest.approx(2 * HALF_WIDTH_MM, rel=0.03)


def test_a_cord_that_is_deeper_than_wide_keeps_its_diameters():
    (shape, *_) = level_shapes(0, 0.5, turn_deg=90)
    assert shape.mean["diameter_AP_ellipse"] == pytest.approx(2 * HALF_WIDTH_MM, rel=0.03)
    assert shape.mean["diameter_RL"] == pytest.approx(2 * HALF_DEPTH_MM, rel=0.03)
    assert shape.mean["diameter_AP"] == pytest.approx(2 * HALF_WIDTH_MM, rel=0.08)  # 3 mm are most of its width


def test_the_mean_orientation_is_that_of_axes():
    """The longer axis lies at 86 and 94 degrees, in turn, and 94 degrees are -86: its mean is 90, and not 0."""
    first, second = (tilted_cord(0, (0.5, 0.5, 1.0), turn_deg=turn_deg) for turn_deg in (86, 94))
    is_first = np.arange(first.data.shape[2]) % 2 == 0
    cord = Volume(np.where(is_first, first.data, second.data), first.affine, "cord")
    levels = read_cord_levels({"spinal": level_map(cord, 0, (16, 0, -16))}, cord)
    slices = measure_slices(levels.cord)
    np.testing.assert_allclose(abs(slices.values["orientation"]), 86, atol=1)
    assert slices.values["orientation"].max() > 0 > slices.values["orientation"].min()
    for shape in shape_by_level(slices, levels):
        assert abs(shape.mean["orientation"]) == pytest.approx(90, abs=0.5)
        assert -90 < shape.mean["orientation"] <= 90
        assert shape.sd["orientation"] == pytest.approx(4, abs=0.5)


@pytest.mark.parametrize("axes", ["RAS", "PSR", "LIA"])
def test_the_order_of_the_axes_changes_nothing(axes):
    import nibabel as nib

    cord = tilted_cord(20, (0.8, 1.0, 1.5))
    image = nib.Nifti1Image(cord.data, cord.affine)
    turned = image.as_reoriented(
        nib.orientations.ornt_transform(nib.io_orientation(cord.affine), nib.orientations.axcodes2ornt(axes))
    )
    found = measure_slices(as_axial(Volume(np.asarray(turned.dataobj), turned.affine)))
    expected = measure_slices(as_axial(cord))
    np.testing.assert_array_equal(found.slices, expected.slices)
    for name in MEASURES:
        np.testing.assert_allclose(found.values[name], expected.values[name], atol=1e-3)


def test_islands_in_a_slice_are_left_out_with_a_note():
    cord = as_axial(tilted_cord(0, 1.0))
    expected = measure_slices(cord)
    cord.data[:2, :2, 20:22] = 1
    found = measure_slices(cord)
    np.testing.assert_allclose(found.values["area"], expected.values["area"])
    assert "2 slices of the cord mask show several parts" in " ".join(found.notes)


def test_a_slice_belongs_to_the_level_of_most_of_its_labels():
    labels = np.zeros((4, 3, 3), dtype=np.uint8)
    labels[:, 0, 0], labels[:, 1:, 0] = 4, 5
    labels[0, 0, 2] = 7
    np.testing.assert_array_equal(slice_levels(labels), [5, 0, 7])


def test_uncertainty_of_the_ends_is_that_of_a_shifted_level():
    """A cone: its area grows along the cord, so that the mean of a level follows from its ends."""
    z = np.arange(80)
    radius = 4 + 0.03 * z  # to superior
    x = np.arange(24) - 11.6
    distance = np.hypot(x[:, None], x[None, :])[:, :, None]
    data = np.clip(radius - distance + 0.5, 0, 1).astype(np.float32)
    affine = np.diag([1.0, 1, 1, 1])
    labels = np.zeros(data.shape, dtype=np.uint8)
    labels[:, :, 20:60][data[:, :, 20:60] > 0] = 5
    table = {("spinal", "C5"): TableLevel(rostral_mm=20, caudal_mm=60, rostral_sd_mm=2, caudal_sd_mm=0, complete=True)}
    cord = read_cord_levels({"spinal": Volume(labels, affine)}, Volume(data, affine), table, "PMJ")
    (shape,) = shape_by_level(measure_slices(cord.cord), cord)
    areas = np.pi * radius**2
    shifted = areas[20:62].mean() - areas[20:60].mean()  # the rostral end two slices further
    assert shape.ends_sd["area"] == pytest.approx(shifted, rel=0.06)
    assert shape.ends_sd["length"] == pytest.approx(2)


def test_a_level_without_slices_is_empty_and_says_so():
    cord = tilted_cord(0, 1.0)
    labels = level_map(cord, 0, (20, 0, -20))
    short = Volume(np.where(np.arange(cord.data.shape[2]) < 23, cord.data, 0).astype(np.float32), cord.affine, "short")
    levels = read_cord_levels({"spinal": labels}, short)
    upper, lower = shape_by_level(measure_slices(levels.cord), levels)
    assert np.isnan(upper.mean["area"])
    assert upper.remarks == ("no slice of the cord mask lies in this level",)
    assert lower.mean["area"] == pytest.approx(AREA_MM2, rel=0.02)


def test_binary_masks_of_2_mm_voxels_do_not_tell_sections_apart():
    """Two ellipses whose areas differ by half have one mask: no method measures such sections within 2 %."""
    voxels = (np.arange(-6, 6) + 0.5) * 2.0
    x, y = np.meshgrid(voxels, voxels, indexing="ij")
    thin, thick = ((x / a) ** 2 + (y / b) ** 2 <= 1 for a, b in ((5.2, 3.7), (6.7, 4.5)))
    assert thin.sum() == 20
    np.testing.assert_array_equal(thin, thick)
    assert 6.7 * 4.5 / (5.2 * 3.7) > 1.5
