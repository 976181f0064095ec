from dataclasses import replace

import numpy as np
import pytest
from nibabel.affines import apply_affine

from sct_rootlets.image import Volume
from sct_rootlets.nnunet.checks import check_scan, compare_roots, find_roots
from sct_rootlets.phantom import draw_phantom, phantom_grid
from sct_rootlets.synthesis.cervical import cervical_anatomy


def texts(problems, severity):
    return [problem.text for problem in problems if problem.severity == severity]


def changed(volume, data):
    return replace(volume, data=data)


@pytest.mark.parametrize("with_cord", [True, False])
def test_a_sound_scan_has_no_problems(phantom, with_cord):
    assert check_scan("s", phantom.image, phantom.rootlets, phantom.cord if with_cord else None) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data * 0, "rootlets is empty"),
        (lambda data: np.where(data == 4, 4.5, data), "holds 4.5, which is not a label"),
        (lambda data: np.where(data == 4, np.nan, data), "NaN"),
        (lambda data: np.where(data == 4, 1, data), "holds 1; rootlets have the values 2 (C2) to 30"),
        (lambda data: np.where(data == 4, 50, data), "holds 50; rootlets"),
        (lambda data: np.where(data == 4, -3, data.astype(int)), "holds -3; rootlets"),
        (lambda data: data[:-1], "voxels"),
    ],
)
def test_labels_that_cannot_be_trained_on(phantom, change, message):
    problems = check_scan("s", phantom.image, changed(phantom.rootlets, change(phantom.rootlets.data)))
    assert len(texts(problems, "error")) == 1
    assert message in texts(problems, "error")[0]


def test_another_place(phantom):
    shifted = phantom.rootlets.affine.copy()
    shifted[2, 3] += 1.5
    (problem,) = check_scan("s", phantom.image, replace(phantom.rootlets, affine=shifted))
    assert "their corners lie up to 1.5 mm apart" in problem.text
    assert str(problem).startswith("error: s: ")


@pytest.mark.parametrize("with_cord", [True, False])
def test_levels_that_are_swapped(phantom, with_cord):
    data = phantom.rootlets.data
    swapped = np.where(data == 4, 5, np.where(data == 5, 4, data))
    problems = check_scan("s", phantom.image, changed(phantom.rootlets, swapped), phantom.cord if with_cord else None)
    (error,) = texts(problems, "error")
    ends = phantom.anatomy.spinal_extents(0)
    distance = sum(ends["C5"]) / 2 - sum(ends["C4"]) / 2
    assert error.startswith("C5 lies ")
    assert abs(float(error.split()[2]) - distance) < 2
    assert "above C4" in error


def test_a_scan_counted_from_below(phantom):
    data = phantom.rootlets.data
    problems = check_scan("s", phantom.image, changed(phantom.rootlets, np.where(data > 0, 11 - data, 0)))
    assert len(texts(problems, "error")) == 7


def test_a_level_that_is_missing(phantom):
    data = phantom.rootlets.data
    problems = check_scan("s", phantom.image, changed(phantom.rootlets, np.where(data == 6, 0, data)))
    assert [(p.severity, p.text) for p in problems] == [("warning", "C6 is missing between levels that are there")]


def test_levels_that_are_missing_at_an_end_are_none(phantom):
    data = phantom.rootlets.data
    assert check_scan("s", phantom.image, changed(phantom.rootlets, np.where(data > 5, 0, data))) == []


@pytest.mark.parametrize("with_cord", [True, False])
def test_stray_voxels_are_found_where_they_are(phantom, with_cord):
    data = phantom.rootlets.data.copy()
    place = tuple(np.argwhere(data == 8)[5])
    data[place] = 4
    problems = check_scan("s", phantom.image, changed(phantom.rootlets, data), phantom.cord if with_cord else None)
    assert len(problems) == 1
    assert problems[0].severity == "warning"
    assert problems[0].text.startswith("1 voxels of C4 lie up to ")
    assert f"one is {', '.join(map(str, place))})" in problems[0].text


def test_voxels_far_from_the_cord_need_a_cord_mask(phantom):
    rootlet = np.argwhere(phantom.rootlets.data == 4).mean(axis=0)
    target = apply_affine(phantom.image.affine, rootlet) + np.array([0, 31, 0])
    problems = check_scan("s", *with_room(phantom, target), phantom.cord)
    assert any("C4 lie up to" in text and "from the cord" in text for text in texts(problems, "warning"))


def with_room(phantom, target):
    """Image and labels on a grid with room in front, and one voxel of C4 there."""
    before = phantom.image.affine
    pad = [(40, 40)] * 3
    affine = before.copy()
    affine[:3, 3] = apply_affine(before, [-40, -40, -40])
    image = Volume(np.pad(phantom.image.data, pad), affine, "image")
    data = np.pad(phantom.rootlets.data, pad)
    data[tuple(np.rint(apply_affine(np.linalg.inv(affine), target)).astype(int))] = 4
    return image, Volume(data, affine, "rootlets")


def test_a_cord_mask_that_is_none_is_a_warning(phantom):
    problems = check_scan("s", phantom.image, phantom.rootlets, changed(phantom.cord, phantom.cord.data * 0))
    assert ["the cord mask was not used" in text for text in texts(problems, "warning")] == [True]
    assert texts(problems, "error") == []


def test_images_that_cannot_be_trained_on(phantom):
    flat = changed(phantom.image, np.full_like(phantom.image.data, 7))
    nans = changed(phantom.image, np.where(phantom.image.data > 100, np.nan, 0.0))
    sheared = phantom.image.affine.copy()
    sheared[:3, 0] += 0.01 * sheared[:3, 1]
    skew = [replace(volume, affine=sheared) for volume in (phantom.image, phantom.rootlets)]
    for image, label, message in [
        (flat, phantom.rootlets, "shows nothing: all its voxels are 7"),
        (nans, phantom.rootlets, "NaN"),
        (*skew, "not at right angles"),
    ]:
        assert message in texts(check_scan("s", image, label), "error")[0]


@pytest.mark.parametrize(
    ("voxel_mm", "axes", "rotation_deg"),
    [((1, 1, 1), "PSR", (0, 0, 0)), ((0.5, 0.5, 3), "RAS", (0, 0, 0)), ((1.5, 1.5, 1.5), "RPI", (20, 0, 5))],
)
@pytest.mark.parametrize("root", ["dorsal", "ventral", "both"])
def test_which_roots_a_map_holds(voxel_mm, axes, rotation_deg, root):
    """By the angle at which rootlets attach; without a cord mask by their spread, which only counts roots."""
    whole = cervical_anatomy()
    anatomy = replace(whole, fila=tuple(filum for filum in whole.fila if root == "both" or root in filum.root))
    drawn = draw_phantom(
        anatomy, *phantom_grid(anatomy, voxel_mm, axes, rotation_deg, margin_mm=14, arc_range=(20, 90))
    )
    assert find_roots(drawn.rootlets, drawn.cord) == root
    assert find_roots(drawn.rootlets) == ("both" if root == "both" else "one")


def test_a_few_voxels_do_not_tell_the_root(phantom):
    data = np.zeros_like(phantom.rootlets.data)
    data[tuple(np.argwhere(phantom.rootlets.data == 5)[:6].T)] = 5
    assert find_roots(changed(phantom.rootlets, data), phantom.cord) is None


@pytest.mark.parametrize(
    ("roots", "named"),
    [
        ({"a": "both", "b": "both", "c": "dorsal"}, ["c"]),
        ({"a": "both", "b": "dorsal"}, ["b"]),
        ({"a": "one", "b": "both", "c": "dorsal"}, ["b"]),
        ({"a": "one", "b": "dorsal", "c": None}, []),
        ({"a": "both", "b": None}, []),
        ({"a": "dorsal", "b": "dorsal", "c": "ventral"}, ["c"]),
        ({}, []),
    ],
)
def test_maps_of_other_roots_than_most_are_named(roots, named):
    problems = compare_roots(roots)
    assert [problem.scan for problem in problems] == named
    assert {problem.severity for problem in problems} <= {"warning"}


def test_what_is_said_of_a_dorsal_map():
    (problem,) = compare_roots({"a": "both", "b": "both", "c": "dorsal"})
    assert problem.text == (
        "its rootlet map holds dorsal rootlets only, but 2 of 3 maps hold dorsal and ventral rootlets; complete the "
        "map, or leave it out"
    )
