import numpy as np
import pytest

from sct_rootlets.centerline import Centerline
from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume
from sct_rootlets.vertebral import border_points, label_points, place_discs, pmj_point, read_borders, vertebral_levels

AFFINE = np.diag([1.0, 1.0, 1.0, 1.0])
LINE = Centerline.from_points(np.array([[0, 0, 0], [0, 0, -100.0]]))


def discs_at(positions, ahead=10.0):
    return {value: np.array([0, ahead, -arc]) for value, arc in positions.items()}


def levels_of(positions):
    discs, notes = place_discs(discs_at(positions), LINE, AFFINE)
    return vertebral_levels(discs, LINE.cord_length, notes)


def ends(levels):
    return {level.name: (level.rostral_mm, level.caudal_mm) for level in levels.levels}


def test_a_vertebra_lies_between_its_disc_and_the_next():
    assert ends(levels_of({3: 10, 4: 28, 5: 45})) == {"C3": (10, 28), "C4": (28, 45)}


def test_numbers_come_from_values_not_from_order():
    # A cropped field of view: the first disc in view is C5/C6, and C7/T1 is missing.
    levels = levels_of({6: 5, 7: 22, 9: 60, 10: 82})
    assert ends(levels) == {"C6": (5, 22), "T2": (60, 82)}


def test_special_values_and_labels_beyond_the_cord_are_left_out():
    levels = levels_of({3: 10, 4: 28, 5: 104, 49: 0, 50: 0, 60: 99})
    assert ends(levels) == {"C3": (10, 28)}
    assert [note.split(":")[0] for note in levels.notes] == [
        "label 49",
        "label 50",
        "label 60",
        "disc 5 (C4/C5)",
    ]
    assert "give the PMJ with -pmj" in levels.notes[1]


def test_labels_above_the_mask_count_on_the_way_to_the_pmj():
    line = LINE.extended_to([0, 0, 30])
    discs, notes = place_discs(discs_at({2: -12, 3: 5}), line, AFFINE)
    assert [disc.arc_mm for disc in discs] == pytest.approx([-12, 5])
    assert notes == []


def test_levels_that_reach_beyond_the_mask_are_incomplete():
    line = LINE.extended_to([0, 0, 30])
    discs, _ = place_discs(discs_at({1: -25, 2: -12, 3: 5, 4: 22}), line, AFFINE)
    levels = vertebral_levels(discs, line.cord_length).levels
    assert [bool(level.incomplete) for level in levels] == [True, True, False]


def test_the_mask_s_ends_are_not_exact():
    """Labels up to 2 mm, or half a slice, beyond an end still count."""
    assert ends(levels_of({3: -1.9, 4: 28})) == {"C3": (pytest.approx(-1.9), 28)}
    with pytest.raises(LabelError, match="1 disc label beside"):
        levels_of({3: -2.1, 4: 28})
    discs, _ = place_discs(discs_at({3: -2.4, 4: 28}), LINE, np.diag([0.5, 0.5, 5.0, 1.0]))
    assert len(discs) == 2


def test_a_label_far_to_the_side_beyond_the_mask_is_only_left_out():
    points = discs_at({3: 10, 4: 28}) | {9: np.array([0, 60.0, -150.0])}
    discs, notes = place_discs(points, LINE, AFFINE)
    assert [disc.value for disc in discs] == [3, 4]
    assert notes == ["disc 9 (T1/T2): beyond the ends of the cord mask: left out"]


def test_uncertainty_is_that_of_a_voxel():
    discs, _ = place_discs(discs_at({3: 10, 4: 28}), LINE, np.diag([0.5, 0.5, 3.0, 1.0]))
    assert discs[0].sd_mm == pytest.approx(3 / np.sqrt(12))


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ({3: 10, 4: 28, 5: 20}, r"disc 5 \(C4/C5\) lies above disc 4 \(C3/C4\)"),
        ({3: 10}, "1 disc label beside the cord"),
        ({3: -40, 4: 120}, "0 disc labels beside the cord"),
        ({3: 10, 5: 45}, r"no two disc labels are neighbours \(values 3, 5\)"),
    ],
)
def test_discs_that_make_no_sense(positions, message):
    with pytest.raises(LabelError, match=message):
        levels_of(positions)


def test_a_disc_far_to_the_side_belongs_to_another_scan():
    with pytest.raises(LabelError, match=r"disc 3 \(C2/C3\) lies 41 mm sideways"):
        place_discs(discs_at({3: 10, 4: 28}, ahead=41), LINE, AFFINE)


def volume(labels):
    data = np.zeros((10, 10, 10), np.uint8)
    for value, voxels in labels.items():
        for voxel in voxels:
            data[voxel] = value
    return Volume(data, AFFINE, "labels.nii.gz")


def test_touching_voxels_are_one_label():
    points = label_points(volume({4: [(1, 2, 3), (2, 2, 3)], 3: [(5, 5, 5)]}))
    assert list(points) == [3, 4]
    np.testing.assert_allclose(points[4], [1.5, 2, 3])


def test_duplicates_are_refused():
    with pytest.raises(LabelError, match=r"labels\.nii\.gz holds the value 4 in two places"):
        label_points(volume({4: [(1, 2, 3), (4, 2, 3)]}))


def test_pmj_is_the_voxel_of_value_50_or_the_only_one():
    np.testing.assert_allclose(pmj_point(volume({49: [(1, 1, 1)], 50: [(2, 3, 4)]})), [2, 3, 4])
    np.testing.assert_allclose(pmj_point(volume({1: [(2, 3, 4)]})), [2, 3, 4])
    with pytest.raises(LabelError, match="2 labels, none of them 50"):
        pmj_point(volume({1: [(2, 3, 4)], 2: [(5, 5, 5)]}))
    with pytest.raises(LabelError, match="value 50 in two places"):
        pmj_point(volume({50: [(2, 3, 4), (7, 7, 7)]}))


def test_discs_lie_where_one_vertebra_meets_the_next_in_a_map():
    """An oblique cord, coloured between known discs, on voxels of 0.7 x 0.7 x 1.5 mm."""
    along = np.arange(0, 121, 1.0)
    line = Centerline.from_points(np.stack([0 * along, along * 0.4, -along * np.sqrt(0.84)], axis=1))
    affine = np.diag([0.7, 0.7, 1.5, 1.0])
    affine[:3, 3] = [-12, -12, -118]
    ijk = np.argwhere(np.ones((35, 100, 82)))
    place = line.project(ijk * [0.7, 0.7, 1.5] + affine[:3, 3])
    cord = (place.distance < 5) & (place.arc > 0) & (place.arc < line.cord_length)
    discs = {3: 20.0, 4: 38.0, 5: 55.5, 7: 90.0}
    values = np.select([place.arc < 20, place.arc < 38, place.arc < 55.5, place.arc < 90], [2, 3, 4, 5], 7)
    labels = np.zeros((35, 100, 82), dtype=np.uint8)
    labels[tuple(ijk[cord].T)] = values[cord]
    found = border_points(Volume(labels, affine, "labeled.nii.gz"))
    assert set(found) == {3, 4, 5}  # 5 and 7 are no neighbours
    for value, point in found.items():
        assert line.project(point).arc[0] == pytest.approx(discs[value], abs=0.4)


def test_points_are_no_map():
    labels = np.zeros((20, 20, 60), dtype=np.uint8)
    labels[10, 10, [10, 30, 50]] = [5, 4, 3]
    with pytest.raises(LabelError, match="single voxels, not regions"):
        border_points(Volume(labels, AFFINE, "discs.nii.gz"))


def test_whole_vertebrae_are_no_map_of_the_cord():
    """As TotalSpineSeg writes them: 12 to 14 are C2 to C4, blocks of 20 by 30 mm."""
    labels = np.zeros((30, 40, 60), dtype=np.uint8)
    for value, first in ((14, 5), (13, 22), (12, 39)):
        labels[5:25, 5:35, first : first + 14] = value
    with pytest.raises(
        LabelError, match=r"all\.nii\.gz is not a cord coloured by vertebral level .*give the discs with -ldisc"
    ):
        border_points(Volume(labels, AFFINE, "all.nii.gz"))


def column(*values, step=1.0, flip=False):
    """A straight cord of 9 by 9 mm whose slices have these values, from head to foot."""
    labels = np.zeros((20, 20, len(values)), dtype=np.uint8)
    labels[5:14, 5:14] = values[::-1]
    affine = np.diag([1.0, 1.0, step, 1.0])
    if flip:
        labels, affine[2, 2], affine[2, 3] = labels[:, :, ::-1], -step, step * (len(values) - 1)
    return Volume(labels, affine, "labeled.nii.gz")


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(
    ("counts", "step", "expected"),
    [
        ({2: 15, 3: 16, 4: 17}, 1.0, {3: 15, 4: 31}),
        ({2: 15, 3: 16, 4: 2}, 1.0, {3: 15}),
        ({2: 1, 3: 16, 4: 17, 5: 1}, 1.0, {4: 17}),
        ({2: 15, 3: 16, 4: 3}, 1.0, {3: 15, 4: 31}),
        ({2: 8, 3: 8, 4: 2}, 2.0, {3: 16, 4: 32}),  # 4 mm of a vertebra
    ],
)
def test_one_or_two_slices_at_the_end_of_a_map_make_no_border(counts, step, expected, flip):
    values = [value for value, n in counts.items() for _ in range(n)]
    points, notes = read_borders(column(*values, step=step, flip=flip))
    top_mm = (len(values) - 0.5) * step  # of the highest slice
    assert {value: top_mm - point[2] for value, point in points.items()} == pytest.approx(expected, abs=0.6)
    left_out = [value for value, n in counts.items() if n <= 2 and step == 1]
    assert [f"value {value} fills one or two slices" in note for value, note in zip(left_out, notes, strict=True)] == [
        True
    ] * len(left_out)


def test_a_value_in_two_regions_of_a_map():
    with pytest.raises(LabelError, match="holds the value 3 in two regions, with other vertebrae between them"):
        border_points(column(*[2] * 12, *[3] * 14, *[4] * 15, *[3] * 14))


def test_a_map_that_is_upside_down():
    with pytest.raises(LabelError, match="has the value 4 above 3 along the cord"):
        border_points(column(*[4] * 12, *[3] * 14, *[2] * 15))


def test_a_map_without_neighbours():
    with pytest.raises(LabelError, match=r"no border between two neighbouring vertebrae \(values 2, 4\)"):
        border_points(column(*[2] * 12, *[4] * 14))
