"""Cuts across the cord against the phantom's geometry."""

from dataclasses import replace

import numpy as np
import pytest

from sct_rootlets.report.page.mosaic import HALF_SIZE_MM, N_CUTS_WITHOUT_LEVELS, PIXEL_MM, level_window, mosaic
from sct_rootlets.report.page.picture import DARKER_GRAY


def test_cuts_show_their_own_level_at_its_place(phantom_levels):
    view, cuts = mosaic(phantom_levels)
    assert [cut.level for cut in cuts[::3]] == [level.value for level in phantom_levels.spinal.levels]
    height, width = (round(2 * half / PIXEL_MM) for half in reversed(HALF_SIZE_MM))
    for cut in cuts:
        tile = (slice(cut.row * height, (cut.row + 1) * height), slice(cut.column * width, (cut.column + 1) * width))
        assert set(np.unique(view.labels[tile])) <= {0, cut.level}
        level = next(one for one in phantom_levels.spinal.levels if one.value == cut.level)
        assert level.rostral_mm <= cut.arc_mm <= level.caudal_mm
        # The cord's outline is as wide as the phantom's cord, and in the middle.
        columns = np.flatnonzero(view.cord_edge[tile].any(axis=0)) * PIXEL_MM - HALF_SIZE_MM[0]
        assert columns.min() == pytest.approx(-6.5, abs=0.8)
        assert columns.max() == pytest.approx(6.5, abs=0.8)
    seen = {cut.level for cut in cuts if (view.labels[cut.row * height : (cut.row + 1) * height]).any()}
    assert seen == {level.value for level in phantom_levels.spinal.levels}


def test_right_is_right_and_anterior_is_up(right_dorsal):
    """With only the right dorsal rootlets left, they lie right of the middle, below it."""
    view, _ = mosaic(right_dorsal)
    height, width = (round(2 * half / PIXEL_MM) for half in reversed(HALF_SIZE_MM))
    rows, columns = np.nonzero(view.labels)
    assert len(rows) > 100
    assert (columns % width > width / 2).all()
    assert (rows % height).mean() > 0.4 * height


def test_without_levels_cuts_are_spread_over_the_cord(phantom_levels):
    bare = replace(phantom_levels, image=None, rootlets=None, spinal=None, vertebral=None, discs=[])
    view, cuts = mosaic(bare)
    assert len(cuts) == N_CUTS_WITHOUT_LEVELS == 8
    assert view.cord_edge.any()
    assert not view.labels.any()


def test_each_level_is_shown_from_its_cord_to_its_fluid(phantom_levels):
    """Under a coil that sees the upper end ten times as well as the lower one, no level is dark and none saturated."""
    image = phantom_levels.image
    axis = int(np.abs(image.affine[2, :3]).argmax())
    along = np.linspace(0, 2.3, image.data.shape[axis])
    factor = np.exp(along).reshape([-1 if at == axis else 1 for at in range(3)])
    uneven = replace(phantom_levels, image=replace(image, data=image.data * factor))
    view, cuts = mosaic(uneven)
    even, _ = mosaic(phantom_levels)
    height, width = (round(2 * half / PIXEL_MM) for half in reversed(HALF_SIZE_MM))
    middle = (slice(height // 2 - 5, height // 2 + 5), slice(width // 2 - 5, width // 2 + 5))
    for picture in (view, even):
        tiles = [
            picture.gray[cut.row * height : (cut.row + 1) * height, cut.column * width : (cut.column + 1) * width]
            for cut in cuts
        ]
        cords = [np.median(tile[middle]) for tile in tiles]
        assert np.ptp(cords) < 25
        assert max((tile == 255).mean() for tile in tiles) < 0.05
        assert np.median(cords) == pytest.approx(255 * DARKER_GRAY, abs=25)


def test_a_level_without_a_cord_in_its_cuts_is_shown_between_percentiles():
    values = np.random.default_rng(0).uniform(0, 100, (1, 20, 20))
    shown = level_window(values, np.zeros(values.shape, dtype=bool))
    assert (shown.min(), shown.max()) == (0, 255)
