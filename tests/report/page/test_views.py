"""Pictures against the phantom's geometry: a level lies where the picture shows it."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from sct_rootlets.levels import level_color, level_name, level_value
from sct_rootlets.report.page.views import CUT_MM, CUT_PIXEL_MM, PIXEL_MM, View, edges, mosaic, shown_arc, views_along


@pytest.fixture(scope="module")
def views(page_scan) -> dict[str, View]:
    return views_along(page_scan)


def row_of(view, arc):
    return int((arc - view.rows[0]) / (view.rows[1] - view.rows[0]) * view.gray.shape[0])


def column_of(view, across):
    left, right = view.columns
    return int((across - left) / (right - left) * view.gray.shape[1])


def arc_of(view, rows):
    return view.rows[0] + (np.asarray(rows) + 0.5) / view.gray.shape[0] * (view.rows[1] - view.rows[0])


def test_views_stand_side_by_side(views, page_scan):
    first, last = shown_arc(page_scan)
    for view in views.values():
        assert view.rows == views["sagittal"].rows
        assert view.rows[0] == first
        assert abs(view.rows[1] - last) <= PIXEL_MM
        assert view.labels.shape == view.gray.shape == view.cord_edge.shape


def test_the_cord_is_coloured_between_the_ends_of_each_level(views, page_scan):
    view = views["sagittal"]
    column = view.labels[:, column_of(view, 0.0)]
    for level in page_scan.spinal.levels:
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


def test_cuts_show_their_own_level_at_its_place(page_scan):
    view, cuts = mosaic(page_scan)
    assert [cut.level for cut in cuts[::3]] == [level.value for level in page_scan.spinal.levels]
    height, width = (round(2 * half / CUT_PIXEL_MM) for half in reversed(CUT_MM))
    for cut in cuts:
        tile = (slice(cut.row * height, (cut.row + 1) * height), slice(cut.column * width, (cut.column + 1) * width))
        assert set(np.unique(view.labels[tile])) <= {0, cut.level}
        level = next(one for one in page_scan.spinal.levels if one.value == cut.level)
        assert level.rostral_mm <= cut.arc_mm <= level.caudal_mm
        # The cord's outline is as wide as the phantom's cord, and in the middle.
        columns = np.flatnonzero(view.cord_edge[tile].any(axis=0)) * CUT_PIXEL_MM - CUT_MM[0]
        assert columns.min() == pytest.approx(-6.5, abs=0.8)
        assert columns.max() == pytest.approx(6.5, abs=0.8)
    seen = {cut.level for cut in cuts if (view.labels[:, cut.column * width : (cut.column + 1) * width]).any()}
    assert seen == {level.value for level in page_scan.spinal.levels}


def test_right_is_right_and_anterior_is_up(page_scan, phantom):
    """With only the right dorsal rootlets left, they lie right of the middle, below it."""
    only = np.zeros_like(phantom.rootlets.data)
    ijk = np.argwhere(phantom.rootlets.data > 0)
    points = ijk @ phantom.rootlets.affine[:3, :3].T + phantom.rootlets.affine[:3, 3]
    foot = page_scan.centerline.project(points).foot
    keep = tuple(ijk[(points[:, 0] > foot[:, 0] + 2) & (points[:, 1] < foot[:, 1] + 1)].T)
    only[keep] = phantom.rootlets.data[keep]
    scan = replace(page_scan, rootlets=replace(phantom.rootlets, data=only))
    view, _ = mosaic(scan)
    height, width = (round(2 * half / CUT_PIXEL_MM) for half in reversed(CUT_MM))
    rows, columns = np.nonzero(view.labels)
    assert len(rows) > 100
    assert (columns % width > width / 2).all()
    assert (rows % height).mean() > 0.4 * height
    along = views_along(scan)
    for name in ("coronal", "unrolled"):
        _, columns = np.nonzero(along[name].labels)
        assert (columns > along[name].labels.shape[1] / 2).all()
    assert np.nonzero(along["unrolled"].labels)[1].max() < column_of(along["unrolled"], 120.0)  # dorsal


def test_colours_are_those_of_the_levels(views):
    view = views["coronal"]
    picture = view.overlay()
    for value in np.unique(view.labels[view.labels > 0]):
        [color] = np.unique(picture[view.labels == value][:, :3], axis=0)
        expected = 255 * np.array(to_rgb(level_color(level_name(int(value), "spinal"))))
        np.testing.assert_allclose(color, expected, atol=1)
    assert (picture[(view.labels == 0) & ~view.cord_edge] == 0).all()


def test_edges_are_one_pixel_wide():
    labels = np.zeros((9, 9), dtype=np.uint8)
    labels[2:7, 2:7] = 3
    assert edges(labels).sum() == 16


def test_what_is_missing_is_not_drawn(page_scan):
    bare = replace(page_scan, image=None, rootlets=None, spinal=None, vertebral=None, discs=[])
    for view in views_along(bare).values():
        assert not view.labels.any()
        assert len(np.unique(view.gray)) == 1
    view, cuts = mosaic(bare)
    assert len(cuts) == 8
    assert view.cord_edge.any()
    only_vertebrae = views_along(replace(page_scan, spinal=None))["sagittal"]
    assert only_vertebrae.kind == "vertebral"
    assert {level.value for level in page_scan.vertebral.levels} >= set(np.unique(only_vertebrae.labels)) - {0}


def test_an_image_with_holes_is_drawn(page_scan, phantom):
    broken = phantom.image.data.astype(np.float32)
    broken[::7] = np.nan
    scan = replace(page_scan, image=replace(phantom.image, data=broken))
    assert views_along(scan)["unrolled"].gray.dtype == np.uint8
