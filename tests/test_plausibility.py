import math
import re
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine
from subjects import with_confidence

from sct_rootlets import compute_spinal_levels
from sct_rootlets.centerline import Centerline, fit_centerline
from sct_rootlets.correspondence import LEVEL_PITCH_MM
from sct_rootlets.flags import grade
from sct_rootlets.image import Volume, labelled_voxels
from sct_rootlets.levels import ROOTS, Level, Levels, level_value
from sct_rootlets.plausibility import (
    NUMBER_LIMITS,
    compare_vertebrae,
    csf_cord_contrast,
    deviations,
    expectations,
    impossible_places,
    level_flags,
)
from sct_rootlets.roots import split_roots
from sct_rootlets.spinal import measure_half_axes
from sct_rootlets.vertebral import Disc, VertebralNumbering


def flag(subject, key):
    return {one.key: one for one in level_flags(subject)}[key]


def with_values(subject, change):
    """The subject with other numbers on its rootlets."""
    data = subject.rootlets.data
    new = np.where(data > 0, np.vectorize(lambda value: change.get(value, value), otypes=[np.uint8])(data), 0)
    return replace(subject, rootlets=replace(subject.rootlets, data=new.astype(np.uint8)))


def test_a_phantom_is_as_it_should_be(phantom_levels):
    flags = {one.key: one for one in level_flags(phantom_levels)}
    assert (flags["levels"].value, flags["levels"].text) == (8, "8 (C2–T1)")
    assert flags["order"].state == "ok"
    assert flags["length"].value == pytest.approx(phantom_levels.centerline.cord_length)
    assert flags["confidence"].state == "none"  # its rootlets were given
    assert flags["deviation"].state == "ok"
    assert flags["contrast"].value > 5
    assert {one.state for one in level_flags(phantom_levels)} <= {"ok", "none"}


def test_levels_out_of_order_or_left_out(phantom_levels):
    swapped = flag(with_values(phantom_levels, {4: 5, 5: 4}), "order")
    assert (swapped.state, swapped.text) == ("bad", "C5 above C4")
    missing = flag(with_values(phantom_levels, {5: 0}), "order")
    assert (missing.state, missing.text) == ("look", "no C5")
    none = flag(replace(phantom_levels, rootlets=None, spinal=None), "order")
    assert none.state == "none"
    assert flag(replace(phantom_levels, rootlets=None, spinal=None), "levels").state == "bad"


def test_deviation_is_that_of_the_anatomy(phantom, phantom_levels):
    """The phantom's levels are where they are published to be; named one too far, they are one level off."""
    assert all(abs(value) < 1.5 for name, value in deviations(phantom_levels).items() if name not in ("C2", "T1"))
    shifted = np.where(phantom.rootlets.data > 0, phantom.rootlets.data + 1, 0).astype(np.uint8)
    wrong = compute_spinal_levels(
        (shifted, phantom.rootlets.affine), cord=phantom.cord, discs=phantom.discs, method="extent"
    )
    # The roots of C5, named C6, lie a level too high.
    found = deviations(wrong)
    assert found["C6"] == pytest.approx(deviations(phantom_levels)["C5"] - (expected_pitch(phantom_levels, 5)), abs=1.0)
    judged = flag(wrong, "deviation")
    assert (judged.state, judged.unit) == ("bad", "mm")
    assert judged.value == pytest.approx(found[judged.level[1]])  # with its sign
    assert abs(judged.value) == pytest.approx(max(map(abs, found.values())))


@pytest.mark.parametrize(
    ("sources", "corroborated", "is_judged"),
    [
        (("vertebrae",), False, False),  # one numbering named rootlets and vertebrae: they agree even if it is wrong
        (("vertebrae",), True, True),
        (("model",), False, True),  # another model named the rootlets
        (None, False, True),  # they were given
    ],
)
def test_deviation_is_judged_where_rootlets_and_vertebrae_are_independent(
    phantom_levels, sources, corroborated, is_judged
):
    numbering = VertebralNumbering(0.99, {}, corroborated)
    judged = flag(replace(phantom_levels, name_sources=sources, numbering=numbering), "deviation")
    assert (judged.state, judged.text == "not independent") == (("ok", False) if is_judged else ("none", True))


def expected_pitch(subject, value):
    """From the place where level ``value`` is expected to that of the next, by the vertebrae."""
    pairs = {pair.spinal.value: pair for pair in subject.shifted_pairs}
    expected = {one: pair.spinal.midpoint_mm - deviations(subject)[pair.spinal.name] for one, pair in pairs.items()}
    return expected[value + 1] - expected[value]


def test_without_discs_levels_are_judged_by_their_neighbours(phantom_levels):
    alone = replace(phantom_levels, vertebral=None, discs=[])
    middles = {level.name: level.midpoint_mm for level in alone.extents.levels}
    assert deviations(alone)["C5–C6"] == pytest.approx(middles["C6"] - middles["C5"] - LEVEL_PITCH_MM)
    assert "neighbours" in flag(alone, "deviation").why
    gap = [level for level in alone.extents.levels if level.name != "C5"]
    left_out = replace(alone, extents=replace(alone.extents, levels=tuple(gap)))
    assert deviations(left_out)["C4–C6"] == pytest.approx(middles["C6"] - middles["C4"] - 2 * LEVEL_PITCH_MM)


def test_expectations_say_where_they_come_from(phantom_levels):
    """Of the published medians only those of the first and the last pair are known."""
    found = {one.name: one for one in expectations(phantom_levels)}
    assert [name for name, one in found.items() if one.source == "published"] == ["C3", "T1"]
    assert {one.source for one in found.values()} == {"published", "PAM50"}
    vertebrae = {level.name: level.midpoint_mm for level in phantom_levels.vertebral.levels}
    assert found["C3"].expected_mm == pytest.approx(vertebrae["C2"])
    assert found["T1"].expected_mm == pytest.approx(vertebrae["T1"] - 8.15)
    level = next(level for level in phantom_levels.extents.levels if level.name == "C5")
    assert found["C5"].measured_mm == level.midpoint_mm
    assert found["C5"].measured_sd_mm == pytest.approx(math.sqrt(level.rostral_sd_mm**2 + level.caudal_sd_mm**2) / 2)
    alone = expectations(replace(phantom_levels, vertebral=None))
    assert {one.source for one in alone} == {"level above"}
    assert alone[0].label == "C2–C3"
    assert alone[0].expected_mm == pytest.approx(phantom_levels.extents.levels[0].midpoint_mm + LEVEL_PITCH_MM)


def test_confidence_and_completeness(phantom_levels):
    sure = {level.value: 0.99 for level in phantom_levels.spinal.levels}
    assert flag(with_confidence(phantom_levels, sure), "confidence").state == "ok"
    doubtful = flag(with_confidence(phantom_levels, {**sure, 6: 0.3}), "confidence")
    assert (doubtful.value, doubtful.text, doubtful.state) == (0.3, "0.30  C6", "bad")
    assert doubtful.level == ("spinal", "C6")
    levels = list(phantom_levels.spinal.levels)
    levels[3] = replace(levels[3], incomplete=("rootlets of one root only",))
    lacking = flag(replace(phantom_levels, spinal=replace(phantom_levels.spinal, levels=tuple(levels))), "complete")
    assert lacking.state == "look"
    assert levels[3].name in lacking.text
    assert lacking.level == ("spinal", levels[3].name)
    levels = list(phantom_levels.spinal.levels)
    levels[0] = replace(levels[0], incomplete=("may be cut by the field of view",))
    cut = flag(replace(phantom_levels, spinal=replace(phantom_levels.spinal, levels=tuple(levels))), "complete")
    assert (cut.state, cut.value) == ("ok", pytest.approx(7 / 8))
    assert (cut.text, cut.level) == ("7/8", None)  # an outer level is cut on nearly every scan: that says nothing


@pytest.mark.parametrize(("length", "state"), [(45, "bad"), (60, "look"), (90, "ok")])
def test_short_fields_of_view(phantom_levels, length, state):
    line = replace(phantom_levels.centerline, cord_length=float(length))
    assert flag(replace(phantom_levels, centerline=line), "length").state == state


@pytest.mark.parametrize(("fluid", "expected"), [(200, 10.0), (50, -5.0), (100, 0.0)])
def test_contrast_is_in_units_of_the_noise(fluid, expected):
    """A cylinder of 100 in fluid of another brightness, with noise of standard deviation 10."""
    x, y, _ = np.indices((40, 40, 80)) - np.array([20, 20, 40]).reshape(3, 1, 1, 1)
    cord = np.hypot(x, y) <= 6
    image = np.where(cord, 100.0, fluid) + np.random.default_rng(0).normal(0, 10, cord.shape)
    affine = np.eye(4)
    affine[:3, 3] = (-20, -20, -40)
    line = Centerline.from_points([[0, 0, 39], [0, 0, -39]])
    mask = Volume(cord, affine)
    assert csf_cord_contrast(Volume(image, affine), mask, line) == pytest.approx(expected, rel=0.1, abs=0.3)
    assert csf_cord_contrast(Volume(np.zeros(cord.shape), affine), mask, line) is None


def test_without_an_image_the_contrast_is_not_known(phantom_levels):
    assert flag(replace(phantom_levels, image=None), "contrast").state == "none"


@pytest.mark.parametrize("shift", [-8, -5, -3, 0, 3, 5, 8])
def test_a_mask_beside_the_rootlets_is_flagged(phantom, shift):
    """A mask moved to the right leaves the middle of the rootlets to its left, by as much."""
    axis, step = phantom_right(phantom)
    moved = np.roll(phantom.cord.data, shift * step, axis=axis)
    subject = compute_spinal_levels(phantom.rootlets, cord=replace(phantom.cord, data=moved), discs=phantom.discs)
    assert subject.rootlets_middle_mm[0] == pytest.approx(-shift, abs=0.3)
    mask = flag(subject, "mask")
    if shift:
        assert (mask.state, mask.value) == ("look", 1)
        assert f"mm to the {'left' if shift > 0 else 'right'} of that of the mask" in mask.text
        assert "check that the mask is that of this scan" in mask.note
    else:
        assert (mask.state, mask.text) == ("ok", "whole")


@pytest.mark.parametrize(("spinal", "discs"), [(10, 0), (0, 10), (-3, 9), (20, 0)])
def test_numbers_so_far_off_that_no_pair_is_left_are_implausible(phantom, spinal, discs):
    """One level off, positions of a pair contradict each other; ten off, there is no pair, and each place does."""
    rootlets, labels = phantom.rootlets.data.astype(int), phantom.discs.data
    moved = np.where(rootlets > 0, rootlets + spinal, 0)
    kept = np.where(moved >= 2, moved, 0).astype(np.uint8)
    subject = compute_spinal_levels(
        replace(phantom.rootlets, data=kept),
        cord=phantom.cord,
        discs=replace(phantom.discs, data=np.where(labels > 0, labels + discs, 0).astype(np.uint8)),
    )
    assert not [pair for pair in subject.pairs if pair.pairing == "shifted"]
    deviation = flag(subject, "deviation")
    assert deviation.state == "bad"
    assert " beside vertebra " in deviation.text


def test_levels_without_their_vertebra_are_no_fault(phantom):
    """Rootlets of C2 to C4 beside discs of C6 and below: nothing to compare, and nothing impossible."""
    rootlets = np.where(phantom.rootlets.data <= 4, phantom.rootlets.data, 0).astype(np.uint8)
    discs = np.where(phantom.discs.data >= 7, phantom.discs.data, 0).astype(np.uint8)
    subject = compute_spinal_levels(
        replace(phantom.rootlets, data=rootlets), cord=phantom.cord, discs=replace(phantom.discs, data=discs)
    )
    assert impossible_places(subject) == {}
    assert flag(subject, "deviation").state != "bad"


def test_levels_of_the_whole_cord_lie_beside_possible_vertebrae():
    """Vertebrae beside the segments of the cord: from C1 for C2 to L1 for S5 (Cadotte 2015, Frostell 2016)."""
    places = {"C2": 1.6, "T1": 8.2, "T6": 12.5, "T12": 17.0, "L3": 19.0, "S5": 21.2}
    for name, coordinate in places.items():
        value = level_value(name, "spinal")
        low, high = next(limits for last, limits in NUMBER_LIMITS.items() if value <= last)
        assert low + 1 <= value - coordinate <= high - 1


@pytest.mark.parametrize(
    ("side", "removed_mm", "text"),
    [
        ("caudal", 70, "caudal end 7[0-9] mm before that of the field of view, and T1 not found"),
        ("rostral", 60, "rostral end 8[0-9] mm before that of the field of view, and C2 and C3 not found"),
        ("caudal", 12, None),  # T1 is found
        ("none", 0, None),
    ],
)
def test_a_mask_that_ends_early_is_flagged_where_levels_are_missing(phantom, side, removed_mm, text):
    """As a segmentation ends at a metal artefact, although the image goes on."""
    arc = fit_centerline(phantom.cord.data, phantom.cord.affine)
    ijk = np.argwhere(phantom.cord.data)
    place = arc.project(apply_affine(phantom.cord.affine, ijk)).arc
    gone = {"caudal": place > arc.cord_length - removed_mm, "rostral": place < removed_mm, "none": place < -1}[side]
    data = phantom.cord.data.copy()
    data[tuple(ijk[gone].T)] = 0
    subject = compute_spinal_levels(phantom.rootlets, cord=replace(phantom.cord, data=data))
    mask = flag(subject, "mask")
    if text is None:
        assert (mask.state, mask.text) == ("ok", "whole")
    else:
        assert mask.state == "look"
        assert re.fullmatch(text, mask.text)


@pytest.mark.parametrize(("shift", "text"), [(0, None), (2, None), (4, "behind"), (-4, "in front of")])
def test_a_mask_in_front_of_or_behind_the_rootlets_is_flagged(phantom, shift, text):
    """A mask moved to the front leaves the middle of the rootlets behind, by as much."""
    codes = nib.aff2axcodes(phantom.cord.affine)
    axis = next(axis for axis, code in enumerate(codes) if code in "AP")
    assert phantom.cord.spacing[axis] == 1
    moved = np.roll(phantom.cord.data, shift if codes[axis] == "A" else -shift, axis=axis)
    whole = compute_spinal_levels(phantom.rootlets, cord=phantom.cord)
    subject = compute_spinal_levels(phantom.rootlets, cord=replace(phantom.cord, data=moved))
    assert subject.rootlets_middle_mm[1] == pytest.approx(whole.rootlets_middle_mm[1] - shift, abs=0.3)
    mask = flag(subject, "mask")
    if text is None:
        assert (mask.state, mask.text) == ("ok", "whole")
    else:
        assert (mask.state, mask.value) == ("look", 1)
        assert f"mm {text} that of the mask (usually 1.4 mm in front)" in mask.text


@pytest.mark.parametrize("roots", [("left_dorsal", "right_dorsal"), ("left_ventral", "right_ventral")])
def test_dorsal_or_ventral_rootlets_alone_are_no_fault(phantom, roots):
    """The published model r20240730 labels dorsal rootlets only."""
    whole = compute_spinal_levels(phantom.rootlets, cord=phantom.cord)
    ijk, values = labelled_voxels(phantom.rootlets)
    cord_mm = apply_affine(phantom.cord.affine, np.argwhere(phantom.cord.data))
    split = split_roots(ijk, values, phantom.rootlets.affine, cord_mm, whole.centerline)
    is_other = ~np.isin(split.root, [ROOTS.index(root) for root in roots])
    kept = phantom.rootlets.data.copy()
    kept[tuple(ijk[is_other].T)] = 0
    subject = compute_spinal_levels(replace(phantom.rootlets, data=kept), cord=phantom.cord)
    assert flag(subject, "mask").state == "ok"


def test_rootlets_of_one_side_are_flagged_and_fewer_ones_are_not(phantom):
    """Half of the left rootlets leave the middle where it is; none of them move it beside the cord."""
    axis, step = phantom_right(phantom)
    right = np.indices(phantom.cord.data.shape)[axis] * step
    is_left = right < right[phantom.cord.data > 0].mean()
    data = phantom.rootlets.data
    for left, state in ((0, "look"), (np.indices(data.shape).sum(axis=0) % 2, "ok")):
        kept = np.where(is_left, data * left, data).astype(np.uint8)
        subject = compute_spinal_levels(replace(phantom.rootlets, data=kept), cord=phantom.cord, discs=phantom.discs)
        assert flag(subject, "mask").state == state
    one_sided = compute_spinal_levels(
        replace(phantom.rootlets, data=np.where(is_left, 0, data).astype(np.uint8)), cord=phantom.cord
    )
    assert all(level.roots["left_dorsal"] == 0 for level in one_sided.spinal.levels)
    half_width_mm, _ = measure_half_axes(
        apply_affine(phantom.cord.affine, np.argwhere(phantom.cord.data)), one_sided.centerline
    )
    assert one_sided.rootlets_middle_mm[0] > half_width_mm


def phantom_right(phantom):
    """Axis of the phantom along left and right, and the sign with which it runs to the right; its voxels are 1 mm."""
    codes = nib.aff2axcodes(phantom.cord.affine)
    axis = next(axis for axis, code in enumerate(codes) if code in "LR")
    assert phantom.cord.spacing[axis] == 1
    return axis, 1 if codes[axis] == "R" else -1


@pytest.mark.parametrize(
    ("value", "limits", "expected"),
    [
        (0.8, (0.8, 0.5), "ok"),
        (0.5, (0.8, 0.5), "look"),
        (0.49, (0.8, 0.5), "bad"),
        (7.0, (7.0, 11.0), "ok"),
        (11.0, (7.0, 11.0), "look"),
        (11.1, (7.0, 11.0), "bad"),
    ],
)
def test_grades_by_limits_of_either_order(value, limits, expected):
    assert grade(value, *limits) == expected


def test_flags_need_no_level_at_all(phantom_levels):
    empty = Levels("spinal", "extent", ())
    assert flag(replace(phantom_levels, spinal=empty, rootlets=None), "complete").state == "none"
    single = Levels("spinal", "extent", (Level(5, "spinal", 10, 20, 1, 1),))
    alone = replace(phantom_levels, spinal=single, extents=single, vertebral=None, rootlets=None)
    assert flag(alone, "deviation").state == "none"


def test_flags_of_a_changed_copy_are_judged_anew(phantom_levels):
    before = {one.key: one for one in phantom_levels.flags}
    assert (before["mask"].state, before["deviation"].state) == ("ok", "ok")
    shifted = [
        replace(level, rostral_mm=level.rostral_mm + 15, caudal_mm=level.caudal_mm + 15)
        for level in phantom_levels.extents.levels
    ]
    changed = replace(
        phantom_levels,
        mask_problems=("the canal",),
        extents=replace(phantom_levels.extents, levels=tuple(shifted)),
    )
    after = {one.key: one for one in changed.flags}
    assert (after["mask"].state, after["deviation"].state) == ("bad", "bad")
    assert {one.key: one for one in phantom_levels.flags} == before


@pytest.mark.parametrize(
    ("given", "state", "text"),
    [
        ({}, "ok", "given"),
        ({"contradicted_by_image": 0.96}, "bad", "given, others by the image (0.96)"),
        ({"contradicted_by_image": 0.61}, "look", "given, others by the image (0.61)"),
        ({"disc_offset_mm": {4: 3.0, 5: -4.9}}, "ok", "given"),
        ({"disc_offset_mm": {4: 3.0, 5: -6.4}}, "look", "given, disc C4/C5 6 mm off"),
        ({"disc_offset_mm": {4: 7.6, 5: -6.4}}, "bad", "given, disc C3/C4 8 mm off"),
    ],
)
def test_given_discs_that_the_image_shows_otherwise_are_flagged(phantom_levels, monkeypatch, given, state, text):
    monkeypatch.setattr("sct_rootlets.plausibility.thickness_against", lambda _: None)
    numbering = VertebralNumbering(1.0, {}, True, is_given=True, **given)
    found = flag(replace(phantom_levels, numbering=numbering), "numbering")
    assert (found.state, found.text) == (state, text)


@pytest.mark.parametrize(
    ("values", "moved_mm", "worst", "state"),
    [
        ((3, 4, 5, 6, 7, 8), 0.0, 1.1, "ok"),
        ((3, 4, 5, 6, 7, 8), 3.0, 1.45, "ok"),
        ((3, 4, 5, 6, 7, 8), 5.0, 1.83, "look"),  # (17 + 5) / (16 - 5)
        ((3, 4, 5, 6, 7, 8), -8.0, 2.78, "bad"),
        ((3, 4, 5, 7, 8, 9), 0.0, 1.94, "look"),  # disc C5/C6 is called C6/C7, and so on
    ],
)
def test_vertebrae_are_compared_with_their_neighbours(phantom_levels, values, moved_mm, worst, state):
    places = np.array([0.0, 17.0, 34.0, 50.0, 66.0, 83.0])  # usual ones, of C2/C3 to C7/T1
    places[2] += moved_mm
    discs = [Disc(value, float(at), 0.3) for value, at in zip(values, places, strict=True)]
    ratios = compare_vertebrae(discs)
    assert max(ratios.values()) == pytest.approx(worst, abs=0.15)
    found = flag(replace(phantom_levels, discs=discs), "level_length")
    assert found.state == state
