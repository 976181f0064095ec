from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from sct_rootlets import compute_spinal_levels
from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume
from sct_rootlets.label_kinds import (
    check_centerline,
    check_cord_mask,
    check_disc_points,
    check_pmj_label,
    check_rootlet_map,
    check_vertebral_map,
    label_sizes,
)

AFFINE = np.diag([1.0, 0.5, 2.0, 1.0])


def volume(boxes, dtype=np.uint8):
    """Boxes by value: the first voxel and the number of voxels along each axis."""
    data = np.zeros((40, 40, 60), dtype=dtype)
    for value, (first, size) in boxes.items():
        data[tuple(slice(start, start + n) for start, n in zip(first, size, strict=True))] = value
    return Volume(data, AFFINE, "map.nii.gz")


def test_sizes_are_those_of_the_longest_edge_in_mm():
    assert label_sizes(volume({3: ((1, 1, 1), (1, 1, 1)), 4: ((5, 5, 5), (4, 11, 2))})) == {3: (0.0, 1), 4: (5.0, 88)}


def test_points_and_balls_around_points_are_disc_labels():
    check_disc_points(volume({3: ((1, 1, 1), (1, 1, 1)), 4: ((10, 10, 10), (5, 9, 3)), 50: ((30, 30, 50), (1, 1, 1))}))


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ({3: ((10, 10, 10), (9, 9, 8)), 4: ((10, 10, 18), (9, 9, 8))}, r"regions, not points \(the value 3 is 14 mm"),
        (
            {n: ((10, 10, n - 60), (1, 1, 1)) for n in range(61, 71)},
            r"values of TotalSpineSeg \(61 to 70\), which are no",
        ),
        ({n: ((10, 10, n), (1, 1, 1)) for n in (15, 16, 17, 21, 22)}, "values of TotalSpineSeg.*_totalspineseg_discs"),
        ({n: ((10, 10, n - 40), (1, 1, 1)) for n in (49, 50)}, "no number of a disc, but 49, 50;.*PMJ with -pmj"),
    ],
)
def test_what_is_given_for_disc_labels(boxes, message):
    with pytest.raises(LabelError, match=message):
        check_disc_points(volume(boxes))


def test_points_given_for_regions():
    with pytest.raises(LabelError, match=r"single voxels, not regions.*with -ldisc"):
        check_vertebral_map(volume({3: ((1, 1, 1), (1, 1, 1)), 4: ((10, 10, 10), (5, 9, 3))}))


LINE = {1: ((20, 20, 5), (1, 1, 50))}


def test_a_point_is_a_pmj_label_also_beside_discs():
    check_pmj_label(volume({50: ((1, 1, 1), (1, 1, 1))}))
    check_pmj_label(volume({1: ((1, 1, 1), (2, 2, 2))}))
    check_pmj_label(volume({50: ((1, 1, 1), (1, 1, 1)), 3: ((10, 10, 10), (9, 9, 20))}))


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        (
            {1: ((15, 15, 5), (9, 18, 50))},
            r"a region, not a point \(the value 1 is 98 mm long\), as a mask does; the PMJ is",
        ),
        (LINE, "a region, not a point"),
        ({n: ((10, 10, 10 * n), (9, 18, 10)) for n in (3, 4, 5)}, "a region, not a point"),
        ({n: ((10, 10, 10 * n), (1, 1, 1)) for n in (3, 4, 5)}, r"3 labels \(3, 4, 5\), none of them 50"),
    ],
)
def test_what_is_given_for_the_pmj(boxes, message):
    with pytest.raises(LabelError, match=message):
        check_pmj_label(volume(boxes))


def scan(dtype):
    """Noise on a gradient, in a box of 40 x 40 x 60 voxels."""
    noise = np.random.default_rng(0).normal(0, 10, (40, 40, 60))
    return Volume((np.arange(40)[:, None, None] * 5 + 100 + noise).astype(dtype), AFFINE, "map.nii.gz")


@pytest.mark.parametrize("check", [check_pmj_label, check_centerline, check_disc_points, check_rootlet_map])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_scan_is_named_as_one(check, dtype):
    with pytest.raises(
        LabelError, match=r"map.nii.gz h(olds \d+ different values, as a scan does|as values below its)"
    ):
        check(scan(dtype))


def test_a_line_is_a_centerline_also_a_thin_stroke_and_one_with_gaps():
    check_centerline(volume(LINE))
    check_centerline(volume({1: ((20, 20, 5), (3, 6, 50))}))  # 9 mm²
    check_centerline(volume({1: ((20, 20, 5), (1, 1, 20)), 2: ((20, 20, 35), (1, 1, 20))}))


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ({1: ((15, 15, 5), (9, 18, 50))}, r"is a filled mask, not a line: 162 voxels \(81 mm²\)"),
        (
            {n: ((20, 20, 8 * n), (1, 1, 1)) for n in (3, 4, 5, 6)},
            "holds points, not a line: 4 voxels in 4 of 25 slices",
        ),
    ],
)
def test_what_is_given_for_the_centerline(boxes, message):
    with pytest.raises(LabelError, match=message):
        check_centerline(volume(boxes))


def test_discs_given_for_rootlets():
    with pytest.raises(LabelError, match="holds points, not rootlets"):
        check_rootlet_map(volume({3: ((1, 1, 1), (1, 1, 1)), 4: ((10, 10, 10), (1, 1, 1))}))
    check_rootlet_map(volume({3: ((1, 1, 1), (1, 1, 2)), 4: ((10, 10, 10), (1, 1, 1))}))


@pytest.mark.parametrize("check", [check_disc_points, check_vertebral_map, check_rootlet_map, check_cord_mask])
def test_a_scan_is_no_map(check):
    scan = np.random.default_rng(0).integers(0, 900, (20, 20, 20)).astype(np.int16)
    with pytest.raises(LabelError, match="different values, as a scan does"):
        check(Volume(scan, AFFINE, "t2.nii.gz"))


def test_a_scan_of_fractions_is_no_mask_and_a_soft_mask_is_one():
    rng = np.random.default_rng(0)
    with pytest.raises(LabelError, match="as a scan has; give the mask of the cord"):
        check_cord_mask(Volume(rng.random((20, 20, 20)), AFFINE, "t2_norm.nii.gz"))
    cord = np.zeros((40, 40, 60))
    cord[15:25, 15:25] = 1
    check_cord_mask(Volume(ndimage.gaussian_filter(cord, 2), AFFINE, "soft.nii.gz"))


def test_the_scan_itself_is_no_mask():
    """Also if it has few values."""
    scan = Volume((np.indices((9, 9, 9)).sum(axis=0) % 3).astype(float), AFFINE, "t2.nii.gz")
    with pytest.raises(LabelError, match=r"copy\.nii\.gz is the scan itself \(t2\.nii\.gz\)"):
        check_cord_mask(Volume(scan.data.copy(), AFFINE, "copy.nii.gz"), scan)


def test_a_coloured_cord_is_a_mask_and_a_map_of_the_whole_spine_is_none():
    boxes = {n: ((10, 10, 6 * n), (9, 9, 6)) for n in range(1, 9)}
    check_cord_mask(volume(boxes))
    with pytest.raises(LabelError, match=r"TotalSpineSeg.*give its cord"):
        check_cord_mask(volume(boxes | {63: ((30, 10, 6), (5, 5, 5)), 64: ((30, 10, 16), (5, 5, 5))}))


@pytest.fixture(scope="module")
def coloured(phantom_levels):
    """The cord of the phantom coloured by vertebral and by spinal level."""
    cord = phantom_levels.cord
    return {
        kind: Volume(phantom_levels.level_map(kind), cord.affine, f"{kind}.nii.gz") for kind in ("vertebral", "spinal")
    }


@pytest.mark.parametrize("kind", ["vertebral", "spinal"])
def test_a_coloured_cord_given_for_rootlets(phantom, coloured, kind):
    with pytest.raises(LabelError, match=rf"100% of {kind}\.nii\.gz lies inside the cord .*the cord coloured by level"):
        compute_spinal_levels(coloured[kind], cord=phantom.cord)


def test_places_of_levels_on_the_middle_of_the_cord_given_for_rootlets(phantom, phantom_levels):
    data = np.zeros(phantom.cord.data.shape, dtype=np.uint8)
    for level in phantom_levels.spinal.levels:
        place = phantom_levels.centerline.position(np.array([level.midpoint_mm]))
        index = np.rint(np.linalg.inv(phantom.cord.affine) @ [*place[0], 1])[:3].astype(int)
        data[tuple(slice(i - 1, i + 2) for i in index)] = level.value
    with pytest.raises(LabelError, match=r"100% of .* lies inside the cord .*it holds places of levels"):
        compute_spinal_levels(Volume(data, phantom.cord.affine, "mid.nii.gz"), cord=phantom.cord)


def test_rootlets_in_a_mask_of_the_canal_are_still_rootlets(phantom):
    """A mask that is far too wide is another fault, and not named as this one."""
    wide = ndimage.binary_dilation(phantom.cord.data, iterations=4)
    compute_spinal_levels(phantom.rootlets, cord=Volume(wide, phantom.cord.affine, "canal.nii.gz"))


def points_of(phantom, arcs, forward_mm):
    """Points at places along the phantom's cord, so far in front of its middle."""
    line = phantom.anatomy.centerline
    data = np.zeros(phantom.cord.data.shape, dtype=np.uint8)
    for value, arc in arcs.items():
        _, _, anterior = line.frame(np.array([arc]))
        place = line.position(np.array([arc])) + forward_mm * anterior
        data[tuple(np.rint(np.linalg.inv(phantom.cord.affine) @ [*place[0], 1])[:3].astype(int))] = value
    return Volume(data, phantom.cord.affine, "points.nii.gz")


def notes_on_points(subject):
    return [note for note in subject.notes if "disc labels lie" in note]


def test_labels_of_vertebral_bodies_are_told_from_discs(phantom):
    """On the middle of the cord, where SCT puts both: by the rootlets. In the bodies themselves: by the distance."""
    discs = {value: arc for value, arc in phantom.anatomy.discs.items() if 3 <= value <= 9}
    bodies = {value: (arc + discs[value + 1]) / 2 for value, arc in discs.items() if value + 1 in discs}
    given = {"cord": phantom.cord, "rootlets": phantom.rootlets}
    for method in ("segment", "extent"):
        on_cord = compute_spinal_levels(**given, discs=points_of(phantom, bodies, 0), method=method)
        (note,) = notes_on_points(on_cord)
        assert "half a vertebra (8 mm) too low for the rootlets: labels of vertebral bodies do" in note
        assert notes_on_points(compute_spinal_levels(**given, discs=points_of(phantom, discs, 0), method=method)) == []
    (note,) = notes_on_points(compute_spinal_levels(**given, discs=points_of(phantom, bodies, 18)))
    assert "lie 18 mm from the middle of the cord, where vertebral bodies are" in note
    for forward_mm in (6, 9, 13):  # as discs of PAM50 and of adults lie
        assert notes_on_points(compute_spinal_levels(**given, discs=points_of(phantom, discs, forward_mm))) == []


def test_labels_on_the_cord_without_rootlets_may_be_either(phantom):
    discs = {value: arc for value, arc in phantom.anatomy.discs.items() if 3 <= value <= 9}
    (note,) = notes_on_points(compute_spinal_levels(cord=phantom.cord, discs=points_of(phantom, discs, 0)))
    assert note.endswith("where SCT puts labels of discs and of vertebral bodies: check that they are discs")


def test_a_map_of_roots_is_named(phantom):
    """Values 21 to 94 are those of the task rootlets_roots; 21 to 24 alone may be rootlets of L1 to L4."""
    data = phantom.rootlets.data.astype(np.uint8)
    left = np.indices(data.shape).sum(axis=0) % 2
    roots = replace(phantom.rootlets, data=np.where(data > 0, 10 * data + 1 + left, 0).astype(np.uint8))
    with pytest.raises(LabelError, match=r"is a map of roots \(21 to 92: .* give the map of levels"):
        compute_spinal_levels(roots, cord=phantom.cord)
    lumbar = np.where((data > 0) & (data < 6), data + 19, 0).astype(np.uint8)
    check_rootlet_map(replace(phantom.rootlets, data=lumbar))
