from itertools import pairwise

import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy import ndimage
from skimage.morphology import ball

from sct_rootlets import compute_spinal_levels
from sct_rootlets.centerline import Centerline, fit_centerline
from sct_rootlets.errors import LabelError
from sct_rootlets.levels import ROOTS, level_name
from sct_rootlets.phantom import draw_phantom, phantom_grid
from sct_rootlets.spinal import (
    CUT_BY_VIEW,
    classify_roots,
    incomplete_reasons,
    measure_half_axes,
    spinal_levels,
    turn_to_rootlets,
)
from sct_rootlets.synthesis.cervical import cervical_anatomy

AFFINE = np.diag([1.0, 1.0, 1.0, 1.0])
SHAPE = (31, 31, 100)


def straight_cord():
    """A straight cylinder of radius 4 mm along z; arc length is 99.5 - z."""
    x, y, _ = np.indices(SHAPE)
    cord = (x - 15) ** 2 + (y - 15) ** 2 <= 16
    return cord, apply_affine(AFFINE, np.argwhere(cord)), fit_centerline(cord, AFFINE)


def rods(rootlets):
    """A rootlet map of horizontal rods to both sides of the straight cord: {value: [slices]}."""
    data = np.zeros(SHAPE, np.uint8)
    for value, slices in rootlets.items():
        for z in slices:
            data[20:26, 15, z] = data[5:11, 15, z] = value
    return data


def levels_of(data, method="extent", **kwargs):
    _, cord_mm, line = straight_cord()
    ijk = np.argwhere(data)
    return spinal_levels(ijk, data[tuple(ijk.T)].astype(int), AFFINE, SHAPE, cord_mm, line, method, **kwargs)


def by_name(levels):
    return {level.name: (level.rostral_mm, level.caudal_mm) for level in levels.levels}


THREE = {3: range(70, 80), 4: range(55, 65), 5: range(40, 50)}  # arc length of slice z: 99 - z to 100 - z


def test_extent_covers_the_voxels_of_a_level():
    found = by_name(levels_of(rods(THREE)))
    assert found.keys() == {"C3", "C4", "C5"}
    for name, ends in {"C3": (20, 30), "C4": (35, 45), "C5": (50, 60)}.items():
        np.testing.assert_allclose(found[name], ends, atol=0.05)


@pytest.mark.parametrize("n_slices", [10, 20, 40, 60, 80])
def test_a_run_of_any_length_keeps_its_ends(n_slices):
    """Also one that is far too long for a level: shortened, it would look like one."""
    data = rods({4: range(10, 10 + n_slices)})
    data[20:22, 16:18, 10 + n_slices // 2] = 4  # a little denser there
    (ends,) = by_name(levels_of(data)).values()
    np.testing.assert_allclose(ends, (90 - n_slices, 90), atol=0.05)


def test_segment_starts_where_the_level_above_ends():
    levels = levels_of(rods(THREE), "segment")
    for name, ends in {"C3": (20, 30), "C4": (30, 45), "C5": (45, 60)}.items():
        np.testing.assert_allclose(by_name(levels)[name], ends, atol=0.05)
    assert [level.incomplete for level in levels.levels] == [("no level above it to start from",), (), ()]


def test_midgap_shares_the_gap():
    levels = levels_of(rods(THREE), "midgap")
    for name, ends in {"C3": (20, 32.5), "C4": (32.5, 47.5), "C5": (47.5, 60)}.items():
        np.testing.assert_allclose(by_name(levels)[name], ends, atol=0.05)
    assert [bool(level.incomplete) for level in levels.levels] == [True, False, True]


@pytest.mark.parametrize("method", ["segment", "midgap"])
def test_a_missing_level_stays_missing(method):
    levels = levels_of(rods({3: THREE[3], 5: THREE[5]}), method)
    assert [level.name for level in levels.levels] == ["C3", "C5"]
    assert by_name(levels)["C5"][0] == pytest.approx(50, abs=0.05)
    assert levels.levels[1].incomplete[0].startswith("no level above")


def test_gap_free_methods_label_every_cord_voxel_between_first_and_last():
    arc = np.linspace(20.5, 59.5, 500)
    for method in ("segment", "midgap"):
        labels = levels_of(rods(THREE), method).label(arc)
        assert (labels > 0).all()
        assert (np.diff(labels.astype(int)) >= 0).all()
    assert (levels_of(rods(THREE), "extent").label(arc) == 0).any()


def test_stray_voxels_do_not_move_a_level():
    clean = by_name(levels_of(rods(THREE)))
    data = rods(THREE)
    data[20, 15, 52] = data[20, 16, 52] = 3  # below C4, as in a real segmentation
    data[20, 15, 67] = 4  # alone, 3 mm above C4
    levels = levels_of(data)
    for name, ends in by_name(levels).items():
        np.testing.assert_allclose(ends, clean[name], atol=0.05)
    assert any(note.startswith("C3: 2 of 22 rootlet voxels lie apart") or "C3: 2 of" in note for note in levels.notes)


def test_oblique_rootlets_count_only_near_the_cord():
    data = rods({3: range(75, 80)})
    for distance in range(6):  # down by 1 mm a mm, from the cord's surface on
        data[20 + distance, 14:17, 75 - distance] = 3
    assert by_name(levels_of(data))["C3"][1] == pytest.approx(100 - 74)
    assert by_name(levels_of(data, distance_mm=6))["C3"][1] == pytest.approx(100 - 70)


def test_overlap_ends_in_its_middle():
    data = rods({3: range(60, 75)})
    data[15, 20:24, 50:65] = 4  # ventral
    levels = levels_of(data)
    assert by_name(levels)["C3"][1] == by_name(levels)["C4"][0] == pytest.approx(37.5, abs=0.1)
    assert levels.notes == ("C3 and C4 overlap by 5.0 mm: their boundary is the middle of the overlap",)


@pytest.mark.parametrize("method", ["extent", "segment", "midgap"])
def test_levels_never_overlap_even_when_one_lies_within_another(method):
    levels = levels_of(rods({3: range(40, 80), 4: range(52, 58), 5: range(30, 50)}), method).levels
    for upper, lower in pairwise(levels):
        assert upper.rostral_mm < upper.caudal_mm <= lower.rostral_mm + 1e-9 < lower.caudal_mm


def test_a_level_in_the_wrong_place_is_named_and_left_out():
    levels = levels_of(rods({3: range(70, 80), 4: range(55, 65), 5: range(40, 50), 6: range(84, 88)}))
    assert [level.name for level in levels.levels] == ["C3", "C4", "C5"]
    assert levels.notes == ("C6: its rootlets lie on the wrong side of C3 and C4 and C5: left out",)


SEVEN = {value: range(90 - 12 * i - 8, 90 - 12 * i) for i, value in enumerate(range(2, 9))}


def test_of_two_swapped_levels_neither_is_used():
    # One of them has fewer voxels than the other: that must not decide.
    levels = levels_of(rods(SEVEN | {4: SEVEN[5], 5: SEVEN[4][1:]}), "segment")
    assert [level.name for level in levels.levels] == ["C2", "C3", "C6", "C7", "C8"]
    assert len(levels.notes) == 1
    assert "C4" in levels.notes[0]
    assert "C5" in levels.notes[0]
    assert levels.notes[0].endswith("as one of the two bears the wrong name")
    after = levels.levels[2]
    assert after.incomplete == ("no level above it to start from",)
    assert after.length_mm == pytest.approx(8, abs=0.1)


def test_levels_swapped_across_another_leave_no_wrong_neighbour():
    swapped = rods(SEVEN | {4: SEVEN[6], 6: SEVEN[4]})
    truth = {level.name: level.midpoint_mm for level in levels_of(rods(SEVEN)).levels}
    for level in levels_of(swapped).levels:
        assert level.midpoint_mm == pytest.approx(truth[level.name], abs=0.1)
    assert all(level.length_mm < 15 for level in levels_of(swapped, "segment").levels)


def test_levels_always_have_a_length_and_an_order():
    """Random maps: runs of any place and weight, strays, overlaps."""
    rng = np.random.default_rng(0)
    tried = 0
    for _ in range(60):
        data = np.zeros(SHAPE, np.uint8)
        for value in range(2, 8):
            for _ in range(rng.integers(1, 4)):
                first, length = rng.integers(5, 85), rng.integers(1, 12)
                place = [(slice(20, 22), 15), (slice(9, 11), 15), (17, slice(20, 22)), (13, slice(20, 22))]
                data[(*place[rng.integers(4)], slice(first, first + length))] = value
        for method in ("extent", "segment", "midgap"):
            try:
                levels = levels_of(data, method).levels
            except LabelError:
                continue
            tried += 1
            assert all(level.length_mm > 0 for level in levels)
            assert all(one.caudal_mm <= two.rostral_mm + 1e-9 for one, two in pairwise(levels))
    assert tried > 30


def test_a_level_of_few_voxels_or_one_root_is_incomplete():
    data = rods(THREE)
    data[data == 4] = 0
    data[20, 15, 60] = 4
    data[5:11, 15, 40:50] = 0
    found = {level.name: level for level in levels_of(data).levels}
    assert found["C4"].incomplete == ("only 1 rootlet voxels near the cord",)
    assert found["C5"].incomplete == ("rootlets of one root only (right dorsal)",)
    assert found["C3"].incomplete == ()


@pytest.mark.parametrize(
    ("ends", "n_voxels", "at_edge", "expected"),
    [
        ((10, 20), [9, 9, 0, 0], False, ()),
        ((1.9, 20), [9, 9, 0, 0], False, (CUT_BY_VIEW,)),
        ((10, 98.1), [9, 9, 0, 0], False, (CUT_BY_VIEW,)),
        ((10, 20), [9, 9, 0, 0], True, (CUT_BY_VIEW,)),
        ((10, 20), [9, 0, 0, 0], False, ("only 9 rootlet voxels",)),
        ((10, 20), [0, 0, 10, 0], False, ("rootlets of one root only (left ventral)",)),
        ((1, 20), [5, 4, 0, 0], False, (CUT_BY_VIEW, "only 9 rootlet voxels")),
    ],
)
def test_reasons_why_a_level_may_be_longer(ends, n_voxels, at_edge, expected):
    assert incomplete_reasons(*ends, 100.0, np.array(n_voxels), at_edge=at_edge) == expected


def test_thin_evidence_is_less_certain():
    data = rods(THREE)
    data[(data == 4) & (np.indices(SHAPE)[2] % 3 > 0)] = 0
    few, many = levels_of(data).levels[1], levels_of(rods(THREE)).levels[1]
    assert few.rostral_sd_mm > 1.2 * many.rostral_sd_mm


def test_a_quarter_of_a_level_is_needed_to_stand_for_it():
    data = rods({3: range(70, 80), 4: range(84, 94), 5: range(40, 50), 6: range(25, 35)})  # C4 lies above C3 ...
    data[20:26, 15, 55:57] = 4  # ... but for a tenth of it
    assert "C4" not in by_name(levels_of(data))
    data[20:26, 15, 55:64] = data[5:11, 15, 55:64] = 4  # now for nearly half
    assert "C4" in by_name(levels_of(data))


def test_an_end_needs_a_twentieth_of_the_level():
    data = rods({3: range(20, 70)})  # 200 voxels near the cord
    data[20, 15:17, 73] = 3  # 2 voxels, 4 mm above the others
    assert by_name(levels_of(data))["C3"][0] == pytest.approx(100 - 70, abs=0.1)
    data[20:22, 13:18, 73] = data[9:11, 13:18, 73] = 3  # 20 voxels
    assert by_name(levels_of(data))["C3"][0] == pytest.approx(100 - 74, abs=0.1)


def test_levels_close_to_an_end_of_the_mask_may_be_cut():
    for top, incomplete in ((99, True), (97, False)):  # 1 and 3 mm below the top of the mask, not on the last slice
        assert bool(levels_of(rods({3: range(85, top), 4: THREE[4]})).levels[0].incomplete) is incomplete


def test_thick_slices_may_leave_out_one():
    affine = np.diag([1.0, 1.0, 4.0, 1.0])
    cord, _, _ = straight_cord()
    cord = cord[:, :, ::4]
    data = np.zeros(cord.shape, np.uint8)
    data[20:23, 15, 10] = data[8:11, 15, 10] = 3
    data[20:23, 15, 11] = data[8:11, 15, 11] = 3
    data[20:23, 15, 12] = data[8:11, 15, 12] = 3
    whole = _thick_length(data, cord, affine)
    data[:, :, 11] = 0  # the slices that are left lie 8 mm apart; 6 mm are bridged anywhere
    assert whole == pytest.approx(12, abs=0.1)
    assert _thick_length(data, cord, affine) == pytest.approx(4, abs=0.1)
    affine[2, 2] = 5.5
    data[20:23, 15, 11] = data[8:11, 15, 11] = 3  # the next slice is 5.5 mm away, more than 5
    assert _thick_length(data, cord, affine) == pytest.approx(16.5, abs=0.1)


def _thick_length(data, cord, affine):
    ijk = np.argwhere(data)
    cord_mm = apply_affine(affine, np.argwhere(cord))
    line = fit_centerline(cord, affine)
    levels = spinal_levels(ijk, data[tuple(ijk.T)].astype(int), affine, cord.shape, cord_mm, line, "extent")
    return levels.levels[0].length_mm


def test_levels_upside_down_are_an_error():
    with pytest.raises(LabelError, match="do not follow one another"):
        levels_of(rods({5: range(70, 80), 4: range(55, 65), 3: range(40, 50)}))


def test_a_level_cut_by_the_field_of_view_is_incomplete():
    levels = levels_of(rods({2: range(92, 100), 3: THREE[3], 4: range(0, 6)}))
    assert [level.incomplete for level in levels.levels] == [
        ("may be cut by the field of view",),
        (),
        ("may be cut by the field of view",),
    ]


def test_roots_are_told_by_where_they_attach():
    data = np.zeros(SHAPE, np.uint8)
    data[20:22, 14, 50:60] = 4  # right, just dorsal of the widest line
    data[9:11, 16, 50:55] = 4  # left, just ventral of it: still a dorsal root
    data[18:20, 18, 50:58] = 4  # right, ventral
    level = levels_of(data).levels[0]
    assert level.roots == {"left_dorsal": 10, "right_dorsal": 20, "left_ventral": 0, "right_ventral": 16}


def test_uncertainty_grows_with_the_voxel_and_with_roots_that_disagree():
    data = rods(THREE)
    agreeing = levels_of(data).levels[0]
    # 40 voxels strewn over 10 mm
    assert agreeing.rostral_sd_mm == pytest.approx(np.hypot(1 / np.sqrt(12), 10 / 41), abs=0.01)
    data[5:11, 15, 76:80] = 0  # the left root begins 4 mm further down
    assert levels_of(data).levels[0].rostral_sd_mm == pytest.approx(
        np.linalg.norm([1 / np.sqrt(12), 2, 10 / 33]), abs=0.02
    )


def test_bad_values_and_absent_rootlets():
    for value in (1, 31, 60, 255):
        with pytest.raises(LabelError, match=f"holds the value {value}, which is not a level"):
            levels_of(rods({value: range(50, 60)}))
    data = np.zeros(SHAPE, np.uint8)
    data[0, 0, 50] = 4
    with pytest.raises(LabelError, match=r"no rootlet lies within 2\.4 mm of the cord mask \(the closest is 17\.2 mm"):
        levels_of(data)
    data[20, 15, 50:60] = 3
    assert "C4: none of its rootlets lies within 2.4 mm of the cord: left out" in levels_of(data).notes


@pytest.mark.parametrize(("kwargs", "message"), [({"method": "x"}, "unknown method"), ({"distance_mm": 0}, "positive")])
def test_bad_settings(kwargs, message):
    with pytest.raises(ValueError, match=message):
        levels_of(rods(THREE), **kwargs)


@pytest.fixture(scope="module")
def resolutions():
    """One curved anatomy at four resolutions; the field of view is cut to keep it fast."""
    anatomy = cervical_anatomy()
    return anatomy, {
        mm: draw_phantom(anatomy, *phantom_grid(anatomy, (mm, mm, mm), margin_mm=13, arc_range=(35, 140)))
        for mm in (0.5, 0.8, 1.0, 1.6)
    }


NAMES = ("C4", "C5", "C6", "C7", "C8", "T1")


def test_level_ends_do_not_depend_on_resolution(resolutions):
    anatomy, phantoms = resolutions
    truth = anatomy.spinal_extents(2.4)
    for mm, phantom in phantoms.items():
        ijk, affine = np.argwhere(phantom.rootlets.data), phantom.cord.affine
        line = fit_centerline(phantom.cord.data > 0, affine)
        cord_mm = apply_affine(affine, np.argwhere(phantom.cord.data))
        levels = spinal_levels(
            ijk, phantom.rootlets.data[tuple(ijk.T)], affine, phantom.cord.data.shape, cord_mm, line, "extent"
        )
        top = anatomy.centerline.project(line.points[:1]).arc[0]  # of the cut cord within the whole one
        found = {level.name: level for level in levels.levels}
        for name in NAMES:
            errors = np.array([found[name].rostral_mm, found[name].caudal_mm]) + top - truth[name]
            assert np.abs(errors).max() < 1.0, f"{name} at {mm} mm: {errors}"
            deviations = np.array([found[name].rostral_sd_mm, found[name].caudal_sd_mm])
            assert (np.abs(errors) < 2.5 * deviations).all(), f"{name} at {mm} mm: {errors} against {deviations}"


def published_extents(phantom, centerline: Centerline):
    """The published definition: the cord dilated by three voxels, first to last slice, slices put on the centerline."""
    cord, touching = phantom.cord, phantom.rootlets.data * ndimage.binary_dilation(phantom.cord.data > 0, ball(3))
    ends = {}
    for value in np.unique(touching)[1:]:
        slices = np.flatnonzero((touching == value).any(axis=(0, 1)))
        height = apply_affine(cord.affine, [[0, 0, slices[-1]], [0, 0, slices[0]]])[:, 2]
        ends[level_name(int(value), "spinal")] = np.interp(-height, -centerline.points[:, 2], centerline.arc)
    return ends


def test_the_published_method_depends_on_resolution(resolutions):
    anatomy, phantoms = resolutions
    truth = anatomy.spinal_extents(2.4)
    ends = {mm: published_extents(phantom, anatomy.centerline) for mm, phantom in phantoms.items()}
    drift = max(np.abs(ends[1.6][name] - ends[0.5][name]).max() for name in NAMES)
    error = max(np.abs(ends[mm][name] - truth[name]).max() for mm in ends for name in NAMES)
    assert drift > 1.5
    assert error > 2.0


@pytest.mark.parametrize(("half_width", "half_depth", "boundary_deg"), [(6.5, 4.0, 12.6), (5.0, 5.0, 20.0)])
def test_ventral_begins_at_an_angle_of_the_section_stretched_to_a_circle(half_width, half_depth, boundary_deg):
    """An angle of 20° of the circle is one of atan(tan 20° · depth / width) in mm."""
    angle = np.radians([boundary_deg - 0.1, boundary_deg + 0.1, 180 - boundary_deg + 0.1, 180 - boundary_deg - 0.1])
    roots = classify_roots(7 * np.cos(angle), 7 * np.sin(angle), half_width, half_depth)
    assert [ROOTS[root] for root in roots] == ["right_dorsal", "right_ventral", "left_dorsal", "left_ventral"]


def test_half_axes_are_those_of_an_ellipse():
    x, y, _ = np.indices((61, 61, 120))
    cord = ((x - 30) * 0.25 / 6.5) ** 2 + ((y - 30) * 0.25 / 4.0) ** 2 <= 1
    affine = np.diag([0.25, 0.25, 0.5, 1.0])
    line = fit_centerline(cord, affine)
    assert measure_half_axes(apply_affine(affine, np.argwhere(cord)), line) == pytest.approx((6.5, 4.0), abs=0.1)


@pytest.mark.parametrize("turn_deg", [-30, -12, 0, 8, 30])
def test_roots_are_counted_from_the_axes_of_a_turned_cord(phantom, turn_deg):
    """A head turned to one side: the same voxels, and a header turned about the long axis of the body."""
    angle = np.radians(turn_deg)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]

    def counts(affine):
        files = {"cord": (phantom.cord.data, affine), "discs": (phantom.discs.data, affine)}
        subject = compute_spinal_levels((phantom.rootlets.data, affine), **files)
        return subject, {level.name: level.roots for level in subject.spinal.levels}

    straight, expected = counts(phantom.cord.affine)
    turned, found = counts(turn @ phantom.cord.affine)
    assert straight.centerline.turn_deg == 0
    assert turned.centerline.turn_deg == (pytest.approx(turn_deg, abs=2) if abs(turn_deg) > 10 else 0)
    for name, roots in expected.items():
        assert found[name] == pytest.approx(roots, abs=0.06 * sum(roots.values()))
    noted = [note for note in turned.notes if "about its long axis" in note]
    assert len(noted) == (abs(turn_deg) > 10)


def test_rootlets_of_one_side_turn_no_cord(phantom):
    line = fit_centerline(phantom.cord.data, phantom.cord.affine)
    ijk = np.argwhere(phantom.rootlets.data)
    points, values = apply_affine(phantom.rootlets.affine, ijk), phantom.rootlets.data[tuple(ijk.T)]
    _, right_mm, anterior_mm = line.across(points)
    assert turn_to_rootlets(line, points[right_mm > 0], values[right_mm > 0]) is line
    lacks_one_root = ~((right_mm < 0) & (anterior_mm > 1.5))  # no ventral ones on the left
    assert turn_to_rootlets(line, points[lacks_one_root], values[lacks_one_root]).turn_deg == 0
