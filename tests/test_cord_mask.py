import numpy as np
import pytest
from scipy import ndimage

from sct_rootlets.centerline import fit_centerline
from sct_rootlets.cord_mask import (
    find_mask_defects,
    implausible_sections,
    measure_sections,
    nested_labels,
)
from sct_rootlets.image import Volume
from sct_rootlets.subject import Inputs, levels_from_labels

AFFINE = np.diag([0.5, 0.5, 1.0, 1.0])


def cylinder(half_width_mm=6.0, half_depth_mm=4.0, length=80, center_mm=(20.0, 20.0)):
    x, y = np.meshgrid(0.5 * np.arange(80), 0.5 * np.arange(80), indexing="ij")
    inside = ((x - center_mm[0]) / half_width_mm) ** 2 + ((y - center_mm[1]) / half_depth_mm) ** 2 <= 1
    return np.repeat(inside[:, :, None], length, axis=2)


def sections_of(mask, affine=AFFINE):
    line = fit_centerline(mask, affine)
    return line, measure_sections(mask, affine, line)


def test_sections_are_those_of_the_ellipse():
    _, sections = sections_of(cylinder())
    np.testing.assert_allclose(sections.area_mm2, np.pi * 6 * 4, rtol=0.02)
    assert np.all(np.diff(sections.arc_mm) > 0)


def test_an_oblique_cord_has_its_perpendicular_section():
    """Sheared by 30 degrees, slices across the body cut the cord obliquely: their area is 1 / cos 30 degrees larger."""
    affine = AFFINE.copy()
    affine[1, 2] = np.tan(np.radians(30))
    _, sections = sections_of(cylinder(), affine)
    np.testing.assert_allclose(np.median(sections.area_mm2), np.pi * 6 * 4 * np.cos(np.radians(30)), rtol=0.03)


def test_a_whole_mask_has_no_defect():
    line, sections = sections_of(cylinder())
    assert find_mask_defects(sections) == []
    assert implausible_sections(cylinder(), AFFINE, line, sections) == []


def test_gaps_and_thin_parts_are_found():
    mask = cylinder()
    mask[:, :, 20:32] = False
    mask[:, :, 50:60] &= cylinder(2.0, 2.0)[:, :, 50:60]
    _, sections = sections_of(mask)
    thin, missing = find_mask_defects(sections)  # slices grow towards superior
    assert (thin.kind, missing.kind) == ("too thin", "missing")
    assert thin.length_mm == pytest.approx(10, abs=0.5)
    assert missing.length_mm == pytest.approx(12, abs=0.5)
    assert missing.caudal_mm == pytest.approx(80 - 20, abs=1)
    assert missing.radius_mm == pytest.approx(np.sqrt(24), rel=0.02)


def test_the_taper_of_an_end_is_no_defect():
    mask = cylinder()
    mask[:, :, :2] &= cylinder(2.0, 2.0)[:, :, :2]
    assert find_mask_defects(sections_of(mask)[1]) == []


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (cylinder() | cylinder(center_mm=(34.0, 20.0)), "two parts side by side over 80 mm"),
        (cylinder(9.0, 8.0), "at most 100 mm²: does the mask show the spinal canal"),
        (cylinder(3.0, 4.0), "1.3 times deeper than wide"),
        (cylinder(8.0, 2.5), "times wider than deep"),
        (cylinder(3.0, 2.5), "section of the cord mask is 23 mm²"),
    ],
)
def test_masks_of_something_else_are_described(mask, message):
    line, sections = sections_of(mask)
    (problem,) = implausible_sections(mask, AFFINE, line, sections)
    assert message in problem


def test_a_canal_around_a_cord_is_recognized():
    cord = cylinder()
    canal = ndimage.binary_dilation(cord, iterations=6)
    labels = np.where(cord, 1, np.where(canal, 2, 0)).astype(np.uint8)
    assert nested_labels(Volume(labels, AFFINE)) == (1, 2)
    assert nested_labels(Volume(cord.astype(np.uint8), AFFINE)) is None
    halves = np.where(cord, np.where(np.arange(80)[None, None] < 40, 3, 4), 0).astype(np.uint8)
    assert nested_labels(Volume(halves, AFFINE)) is None


@pytest.mark.parametrize("method", ["segment", "midgap", "extent"])
def test_a_gap_in_the_mask_makes_levels_incomplete_and_uncertain(phantom, method):
    """24 mm of the mask are missing, where C6 ends: its end moves by up to 10 mm, and its uncertainty says so."""
    inputs = Inputs(cord=phantom.cord, rootlets=phantom.rootlets)
    whole = levels_from_labels(inputs, method)
    end = next(level.caudal_mm for level in levels_from_labels(inputs, "extent").spinal.levels if level.name == "C6")
    arc = whole.centerline.project(
        np.argwhere(phantom.cord.data) @ phantom.cord.affine[:3, :3].T + phantom.cord.affine[:3, 3]
    ).arc
    data = phantom.cord.data.copy()
    missing = (arc > end - 9) & (arc < end + 15)
    data[tuple(np.argwhere(phantom.cord.data)[missing].T)] = 0
    cut = levels_from_labels(Inputs(cord=Volume(data, phantom.cord.affine), rootlets=phantom.rootlets), method)
    assert any("the cord mask is missing over 2" in note and "C6" in note for note in cut.notes)
    truth = {level.name: level for level in whole.spinal.levels}
    moved = 0
    for level in cut.spinal.levels:
        other = truth[level.name]
        errors = (level.rostral_mm - other.rostral_mm, level.caudal_mm - other.caudal_mm)
        for error, sd in zip(errors, (level.rostral_sd_mm, level.caudal_sd_mm), strict=True):
            if abs(error) > 1.5:
                moved += 1
                assert abs(error) <= 1.2 * sd
                assert level.incomplete
    assert moved or method == "midgap"  # there, both ends beside the gap may move alike
