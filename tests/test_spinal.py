from itertools import pairwise

import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy import ndimage
from skimage.morphology import ball

from sct_rootlets.centerline import Centerline, fit_centerline
from sct_rootlets.errors import LabelError
from sct_rootlets.image import to_canonical
from sct_rootlets.levels import level_name
from sct_rootlets.phantom import cervical_anatomy, draw_phantom, phantom_grid
from sct_rootlets.spinal import spinal_levels

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
    assert any(note.startswith("C6: its rootlets lie on the wrong side of C3 and C4 and C5") for note in levels.notes)


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
    assert agreeing.rostral_sd_mm == pytest.approx(1 / np.sqrt(12), abs=0.01)
    data[5:11, 15, 76:80] = 0  # the left root begins 4 mm further down
    assert levels_of(data).levels[0].rostral_sd_mm == pytest.approx(np.hypot(1 / np.sqrt(12), 2), abs=0.01)


def test_bad_values_and_absent_rootlets():
    for value in (1, 31, 60, 255):
        with pytest.raises(LabelError, match=f"holds the value {value}, which is no level"):
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
    cord, rootlets = to_canonical(phantom.cord), to_canonical(phantom.rootlets)
    touching = rootlets.data * ndimage.binary_dilation(cord.data > 0, ball(3))
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
