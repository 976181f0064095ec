"""Pictures against the phantom's geometry: a level lies where the picture shows it."""

from dataclasses import replace

import numpy as np
import pytest

from sct_rootlets.levels import level_value
from sct_rootlets.report.page.entry import About, make_entry
from sct_rootlets.report.page.picture import View
from sct_rootlets.report.page.views import (
    PIXEL_MM,
    VIEWS,
    ViewAlong,
    normalize_local_intensity,
    shown_arc,
    views_along,
)


@pytest.fixture(scope="module")
def views(phantom_levels) -> dict[str, View]:
    return views_along(phantom_levels)


def row_of(view, arc):
    return int((arc - view.rows[0]) / (view.rows[1] - view.rows[0]) * view.gray.shape[0])


def column_of(view, across):
    left, right = view.columns
    return int((across - left) / (right - left) * view.gray.shape[1])


def arc_of(view, rows):
    return view.rows[0] + (np.asarray(rows) + 0.5) / view.gray.shape[0] * (view.rows[1] - view.rows[0])


def test_views_stand_side_by_side(views, phantom_levels):
    first, last = shown_arc(phantom_levels)
    for view in views.values():
        assert view.rows == views["sagittal"].rows
        assert view.rows[0] == first
        assert abs(view.rows[1] - last) <= PIXEL_MM
        assert view.labels.shape == view.gray.shape == view.cord_edge.shape


def test_the_cord_is_coloured_between_the_ends_of_each_level(views, phantom_levels):
    view = views["sagittal"]
    column = view.labels[:, column_of(view, 0.0)]
    for level in phantom_levels.spinal.levels:
        arc = arc_of(view, np.flatnonzero(column == level.value))
        assert abs(arc.min() - level.rostral_mm) <= PIXEL_MM
        assert abs(arc.max() - level.caudal_mm) <= PIXEL_MM


def test_discs_of_the_image_lie_at_their_arc_length(views, phantom):
    """The phantom's discs are brighter than its vertebrae: in the picture, at the true places."""
    view = views["sagittal"]
    strip = view.gray[:, column_of(view, 12) : column_of(view, 20)].mean(axis=1)
    values = sorted(phantom.anatomy.discs)
    first = phantom.anatomy.centerline.project(phantom.anatomy.centerline.position(np.array([0.0]))).arc[0]
    for value in values[1:-2]:
        disc, below = (phantom.anatomy.discs[one] - first for one in (value, value + 1))
        on_disc = strip[row_of(view, disc - 1) : row_of(view, disc + 1)].mean()
        on_bone = strip[row_of(view, (disc + below) / 2 - 2) : row_of(view, (disc + below) / 2 + 2)].mean()
        assert on_disc > on_bone + 15


@pytest.mark.parametrize(("name", "reach"), [("coronal", (6.5, 8.0)), ("unrolled", (40.0, 150.0))])
def test_rootlets_lie_where_they_attach(views, phantom, name, reach):
    """Beside the cord's edge, each level's rootlets span their true attachment, on both sides."""
    view = views[name]
    for side in (-1, 1):
        low, high = sorted(side * end for end in reach)
        strip = view.labels[:, column_of(view, low) : column_of(view, high)]
        for level, ends in phantom.anatomy.spinal_extents(2.0).items():
            arc = arc_of(view, np.flatnonzero((strip == level_value(level, "spinal")).any(axis=1)))
            assert abs(arc.min() - ends[0]) < 1.5, (side, level)
            assert abs(arc.max() - ends[1]) < 1.5, (side, level)


def test_rootlets_are_dark_on_the_unrolled_surface(views):
    view = views["unrolled"]
    assert np.median(view.gray[view.labels > 0]) < 0.5 * np.median(view.gray[view.labels == 0])


def test_an_image_with_holes_is_drawn(phantom_levels, phantom):
    broken = phantom.image.data.astype(np.float32)
    broken[::7] = np.nan
    scan = replace(phantom_levels, image=replace(phantom.image, data=broken))
    assert views_along(scan)["unrolled"].gray.dtype == np.uint8


def test_right_is_right_and_dorsal_is_behind(right_dorsal):
    """With only the right dorsal rootlets left, they lie right of the middle, behind it."""
    along = views_along(right_dorsal)
    for name in ("coronal", "unrolled"):
        _, columns = np.nonzero(along[name].labels)
        assert (columns > along[name].labels.shape[1] / 2).all()
    assert np.nonzero(along["unrolled"].labels)[1].max() < column_of(along["unrolled"], 120.0)  # dorsal


def test_what_is_missing_is_not_drawn(phantom_levels):
    bare = replace(phantom_levels, image=None, rootlets=None, spinal=None, vertebral=None, discs=[])
    assert list(views_along(bare)) == ["sagittal", "coronal"]
    for view in views_along(bare).values():
        assert not view.labels.any()
        assert len(np.unique(view.gray)) == 1
    only_vertebrae = views_along(replace(phantom_levels, spinal=None))["sagittal"]
    assert only_vertebrae.kind == "vertebral"
    assert {level.value for level in phantom_levels.vertebral.levels} >= set(np.unique(only_vertebrae.labels)) - {0}


def test_a_new_view_is_one_entry_of_the_table(phantom_levels, monkeypatch):
    def draw(subject, rows):
        empty = np.zeros((len(rows.arc), 4), dtype=np.uint8)
        return View(gray=empty, labels=empty, cord_edge=empty > 0, rows=rows.ends, columns=(0.0, 1.0))

    monkeypatch.setitem(VIEWS, "new", ViewAlong(title="a new view", ends=("here", "there"), draw=draw))
    entry = make_entry(phantom_levels, About("sub-01_T2w.nii.gz", "/data", "test"))
    assert entry.facts["views"]["new"]["title"] == "a new view"
    assert {"new.webp", "new_labels.webp"} <= set(entry.files)


@pytest.mark.parametrize("brightness", [1.0, 40.0])
def test_local_intensity_is_that_of_the_place_against_its_surroundings(brightness):
    """Brightness that changes slowly goes; a fine line stays."""
    slow = brightness * np.linspace(1, 3, 600)[:, None] * np.ones(180)
    values = slow.copy()
    values[:, 90] *= 0.5
    found = normalize_local_intensity(values)
    assert np.median(np.abs(found[100:-100] - 1)) < 0.05
    assert np.allclose(found[100:-100, 90], 0.5, atol=0.05)
