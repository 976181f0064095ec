"""Lesions of known place and size in cylinders of cord."""

import numpy as np
import pytest
from tilted_cords import AREA_MM2, level_map, tilted_cord

from sct_rootlets.errors import LabelError
from sct_rootlets.measure.cord_levels import TableLevel, read_cord_levels
from sct_rootlets.measure.lesions import measure_lesions, note_filled_sections

BORDERS_MM = (16.0, 4.0, -8.0)  # levels C3 and C4, in mm above the origin


@pytest.fixture(scope="module")
def cord():
    mask = tilted_cord(0, 1.0, is_soft=False)
    ends = {"C3": (16.0, 4.0), "C4": (4.0, -8.0)}
    table = {
        ("spinal", name): TableLevel(
            rostral_mm=16 - rostral, caudal_mm=16 - caudal, rostral_sd_mm=0.3, caudal_sd_mm=0.3, complete=True
        )
        for name, (rostral, caudal) in ends.items()
    }
    return read_cord_levels({"spinal": level_map(mask, 0, BORDERS_MM)}, mask, table, "PMJ")


def box(low_mm, high_mm, half_width_mm=2.0, voxel_mm=0.5):
    """A box around the middle of the cord, between two heights, on a grid of its own: mask, affine and volume."""
    voxel = np.broadcast_to(np.asarray(voxel_mm, dtype=float), 3)
    shape = np.ceil(np.array([20, 20, 50]) / voxel).astype(int)
    affine = np.diag([*voxel, 1.0])
    affine[:3, 3] = np.array([-10, -10, -25]) + voxel / 2
    x, y, z = np.moveaxis(np.moveaxis(np.indices(shape), 0, -1) * voxel + affine[:3, 3], -1, 0)
    mask = (abs(x) < half_width_mm) & (abs(y) < half_width_mm) & (z > low_mm) & (z < high_mm)
    return mask, affine, float(mask.sum() * np.prod(voxel))


def test_a_lesion_over_a_border_is_shared_out_by_volume(cord):
    mask, affine, volume = box(1, 10)  # 6 mm in C3, 3 mm in C4
    (lesion,), levels = measure_lesions(mask, affine, cord)
    assert lesion.volume_mm3 == pytest.approx(volume)
    assert lesion.length_mm == pytest.approx(9, abs=0.05)
    assert lesion.in_cord == 1
    assert (lesion.rostral_mm - cord.reference_mm) == pytest.approx(6, abs=0.5)  # from the top of C3, at 16 mm
    shares = {level.name: part / volume for level, part in lesion.volumes_mm3.items()}
    assert shares == pytest.approx({"C3": 6 / 9, "C4": 3 / 9}, abs=0.06)
    assert sum(lesion.volumes_mm3.values()) == pytest.approx(volume)
    assert [found.number for found in levels] == [1, 1]
    assert [found.length_mm for found in levels] == pytest.approx([6, 3], abs=0.5)
    for found in levels:
        assert found.level_volume_mm3 == pytest.approx(12 * AREA_MM2, rel=0.05)
        assert found.volume_share == pytest.approx(found.volume_mm3 / (12 * AREA_MM2), rel=0.05)


@pytest.mark.parametrize("voxel_mm", [0.5, (0.5, 0.5, 2.5)], ids=str)
def test_the_axial_share_is_that_of_the_section(cord, voxel_mm):
    mask, affine, _ = box(-5, 5, voxel_mm=voxel_mm)
    (lesion,), levels = measure_lesions(mask, affine, cord)
    assert lesion.axial_share == pytest.approx(16 / AREA_MM2, rel=0.05)
    assert max(found.axial_share for found in levels) == pytest.approx(16 / AREA_MM2, rel=0.05)


def test_lesions_are_numbered_from_above_and_lengths_are_not_counted_twice(cord):
    lower, affine, _ = box(-6, -4)
    upper, _, _ = box(6, 9)
    beside, _, _ = box(7, 8, half_width_mm=0.6)
    beside = np.roll(beside, 7, axis=0)  # another lesion at the height of the upper one
    lesions, (first, second) = measure_lesions(lower | upper | beside, affine, cord)
    assert [lesion.number for lesion in lesions] == [1, 2, 3]
    middles = [lesion.middle_mm - cord.reference_mm for lesion in lesions]
    assert middles == pytest.approx([8.5, 8.5, 21], abs=0.5)
    assert (first.number, second.number) == (2, 1)
    assert first.length_mm == pytest.approx(3, abs=0.05)
    assert second.length_mm == pytest.approx(2, abs=0.05)


def test_a_mask_of_the_cord_is_no_lesion_and_a_long_lesion_is(cord):
    """The cord is 46 mm long; a lesion of 60 % of the section over 40 mm takes half of its volume."""
    whole = cord.cord.data >= 0.5
    with pytest.raises(LabelError, match=r"^seg fills 100% of the cord over 4[567] mm, as a mask of the cord does"):
        measure_lesions(whole, cord.cord.affine, cord, "seg")
    labels = cord.maps["spinal"].data > 0
    with pytest.raises(LabelError, match=r"^seg fills 100% of the labelled spinal levels over 24 mm and ends where"):
        measure_lesions(labels, cord.maps["spinal"].affine, cord, "seg")
    half_width = np.sqrt(0.6 * AREA_MM2) / 2
    mask, affine, volume = box(-20, 20, half_width_mm=half_width, voxel_mm=0.25)
    (lesion,), _ = measure_lesions(mask, affine, cord)
    assert lesion.volume_mm3 == pytest.approx(volume)
    assert lesion.median_share == pytest.approx(0.6, rel=0.05)
    assert note_filled_sections([lesion]) == []


def test_a_long_lesion_that_fills_its_sections_is_noted():
    mask = tilted_cord(0, 1.0, height_mm=90, is_soft=False)
    long_cord = read_cord_levels({"spinal": level_map(mask, 0, (40, 20, 0, -20, -40))}, mask)
    height = mask.affine[2, 3] + np.arange(mask.data.shape[2])
    for reach_mm, is_noted in ((15, False), (25, True)):
        data = (mask.data > 0) & (abs(height) < reach_mm)
        (lesion,), _ = measure_lesions(data, mask.affine, long_cord)
        assert lesion.median_share == pytest.approx(1)
        notes = note_filled_sections([lesion])
        assert notes == [] or notes[0].startswith("lesion 1 fills 100% of the section of the cord over 50 mm")
        assert bool(notes) == is_noted


def test_lesions_outside_the_cord_are_an_error(cord):
    mask, affine, _ = box(0, 4)
    affine[:3, 3] += (40, 0, 0)
    with pytest.raises(LabelError, match=r"the lesions lie outside the cord, at least 3\d mm from its middle"):
        measure_lesions(mask, affine, cord)
