from dataclasses import replace

import numpy as np
import pytest

from sct_rootlets import compute_spinal_levels
from sct_rootlets.centerline import Centerline
from sct_rootlets.correspondence import LEVEL_PITCH_MM, Reference
from sct_rootlets.image import Volume
from sct_rootlets.levels import Level, Levels
from sct_rootlets.measure.quality import contrast_of_fluid, deviations, scan_flags
from sct_rootlets.report.page.scan import Scan, scan_of_segmentation, scan_of_subject


def flag(scan, key):
    return {one.key: one for one in scan_flags(scan)}[key]


def with_values(scan, change):
    """The scan with other numbers on its rootlets."""
    data = scan.rootlets.data
    new = np.where(data > 0, np.vectorize(lambda value: change.get(value, value), otypes=[np.uint8])(data), 0)
    return replace(scan, rootlets=replace(scan.rootlets, data=new.astype(np.uint8)))


def test_a_phantom_is_as_it_should_be(page_scan):
    flags = {one.key: one for one in scan_flags(page_scan)}
    assert (flags["levels"].value, flags["levels"].text) == (8, "8  C2–T1")
    assert flags["order"].state == "ok"
    assert flags["length"].value == pytest.approx(page_scan.centerline.cord_length)
    assert flags["confidence"].state == "none"  # its rootlets were given
    assert flags["deviation"].state == "ok"
    assert flags["contrast"].value > 5
    assert {one.state for one in scan_flags(page_scan)} <= {"ok", "none"}


def test_levels_out_of_order_or_left_out(page_scan):
    swapped = flag(with_values(page_scan, {4: 5, 5: 4}), "order")
    assert (swapped.state, swapped.text) == ("bad", "C5 above C4")
    missing = flag(with_values(page_scan, {5: 0}), "order")
    assert (missing.state, missing.text) == ("look", "no C5")
    none = flag(replace(page_scan, rootlets=None, spinal=None), "order")
    assert none.state == "none"
    assert flag(replace(page_scan, rootlets=None, spinal=None), "levels").state == "bad"


def test_deviation_is_that_of_the_anatomy(phantom, page_scan):
    """The phantom's levels are where they are published to be; named one too far, they are one level off."""
    assert all(abs(value) < 1.5 for name, value in deviations(page_scan).items() if name not in ("C2", "T1"))
    shifted = np.where(phantom.rootlets.data > 0, phantom.rootlets.data + 1, 0).astype(np.uint8)
    wrong = scan_of_subject(
        compute_spinal_levels(
            (shifted, phantom.rootlets.affine), cord=phantom.cord, discs=phantom.discs, method="extent"
        )
    )
    # The roots of C5, named C6, lie a level too high.
    found = deviations(wrong)
    assert found["C6"] == pytest.approx(deviations(page_scan)["C5"] - (page_scan_pitch(page_scan, 5)), abs=1.0)
    assert flag(wrong, "deviation").state == "bad"


def page_scan_pitch(scan, value):
    """From the place where level ``value`` is expected to that of the next, by the vertebrae."""
    pairs = {pair.spinal.value: pair for pair in scan.pairs}
    expected = {one: pair.spinal.midpoint_mm - deviations(scan)[pair.spinal.name] for one, pair in pairs.items()}
    return expected[value + 1] - expected[value]


def test_without_discs_levels_are_judged_by_their_neighbours(page_scan):
    alone = replace(page_scan, vertebral=None, discs=[])
    middles = {level.name: level.midpoint_mm for level in alone.spinal.levels}
    assert deviations(alone)["C5–C6"] == pytest.approx(middles["C6"] - middles["C5"] - LEVEL_PITCH_MM)
    assert "neighbours" in flag(alone, "deviation").why
    gap = [level for level in alone.spinal.levels if level.name != "C5"]
    left_out = replace(alone, spinal=replace(alone.spinal, levels=tuple(gap)))
    assert deviations(left_out)["C4–C6"] == pytest.approx(middles["C6"] - middles["C4"] - 2 * LEVEL_PITCH_MM)


def test_confidence_and_completeness(page_scan):
    sure = {level.value: 0.99 for level in page_scan.spinal.levels}
    assert flag(replace(page_scan, confidence=sure), "confidence").state == "ok"
    doubtful = flag(replace(page_scan, confidence={**sure, 6: 0.3}), "confidence")
    assert (doubtful.value, doubtful.text, doubtful.state) == (0.3, "0.30  C6", "bad")
    levels = list(page_scan.spinal.levels)
    levels[3] = replace(levels[3], incomplete=("rootlets of one root only",))
    lacking = flag(replace(page_scan, spinal=replace(page_scan.spinal, levels=tuple(levels))), "complete")
    assert lacking.state == "look"
    assert levels[3].name in lacking.text
    levels = list(page_scan.spinal.levels)
    levels[0] = replace(levels[0], incomplete=("may be cut by the field of view",))
    cut = flag(replace(page_scan, spinal=replace(page_scan.spinal, levels=tuple(levels))), "complete")
    assert (cut.state, cut.value) == ("ok", pytest.approx(7 / 8))


@pytest.mark.parametrize(("length", "state"), [(45, "bad"), (60, "look"), (90, "ok")])
def test_short_fields_of_view(page_scan, length, state):
    line = replace(page_scan.centerline, cord_length=float(length))
    assert flag(replace(page_scan, centerline=line), "length").state == state


@pytest.mark.parametrize(("fluid", "expected"), [(200, 10.0), (50, -5.0), (100, 0.0)])
def test_contrast_is_in_units_of_the_noise(fluid, expected):
    """A cylinder of 100 in fluid of another brightness, with noise of standard deviation 10."""
    x, y, _ = np.indices((40, 40, 80)) - np.array([20, 20, 40]).reshape(3, 1, 1, 1)
    cord = np.hypot(x, y) <= 6
    image = np.where(cord, 100.0, fluid) + np.random.default_rng(0).normal(0, 10, cord.shape)
    affine = np.eye(4)
    affine[:3, 3] = (-20, -20, -40)
    line = Centerline.from_points([[0, 0, 39], [0, 0, -39]])
    volume = Volume(image, affine)
    scan = Scan(volume, Volume(cord, affine), None, line, Reference("cord top", 0.0), None, None, [], {}, ())
    assert contrast_of_fluid(scan) == pytest.approx(expected, rel=0.1, abs=0.3)
    assert contrast_of_fluid(replace(scan, image=replace(volume, data=np.zeros(cord.shape)))) is None
    assert flag(replace(scan, image=None), "contrast").state == "none"


def test_of_a_segmentation(phantom, page_scan):
    """What sct_deepseg hands over, without networks: roots are counted, ends that are cut are said to be."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    assert torch
    from sct_rootlets.segmentation.segment import Segmentation
    from sct_rootlets.vertebral import label_points

    line = replace(page_scan.centerline)
    roots = np.where(phantom.rootlets.data > 0, 2, 0).astype(np.uint8)
    levels = (
        Level(5, "spinal", 1.0, 12.0, 1.0, 1.0, confidence=0.9),
        Level(6, "spinal", 20.0, 30.0, 1.0, 1.0, confidence=0.7),
    )
    found = Segmentation(
        rootlets=phantom.rootlets.data,
        roots=roots,
        cord=phantom.cord.data > 0,
        centerline=line,
        spinal=Levels("spinal", "attachment", levels),
        name_sources=("rootlets", "spine"),
        notes=("a note",),
    )
    scan = scan_of_segmentation(phantom.image, found, label_points(phantom.discs))
    first, second = scan.spinal.levels
    assert first.incomplete == ("may be cut by the field of view", "rootlets of one root only (right dorsal)")
    assert first.roots["right_dorsal"] == (phantom.rootlets.data == 5).sum()
    assert second.incomplete == ("rootlets of one root only (right dorsal)",)
    assert scan.confidence == {5: 0.9, 6: 0.7}
    assert scan.vertebral is not None
    assert scan.notes == ("a note",)
    points = label_points(phantom.discs)
    apart = scan_of_segmentation(phantom.image, found, {3: points[3], 6: points[6]})
    assert apart.vertebral is None  # no two discs are neighbours
    assert [disc.value for disc in apart.discs] == [3, 6]
    assert flag(scan, "confidence").state == "look"
    assert scan_of_segmentation(phantom.image, replace(found, spinal=Levels("spinal", "attachment", ()))).spinal is None


def test_flags_need_no_level_at_all(page_scan):
    empty = Levels("spinal", "extent", ())
    assert flag(replace(page_scan, spinal=empty, rootlets=None), "complete").state == "none"
    single = Levels("spinal", "extent", (Level(5, "spinal", 10, 20, 1, 1),))
    alone = replace(page_scan, spinal=single, vertebral=None, rootlets=None)
    assert flag(alone, "deviation").state == "none"
