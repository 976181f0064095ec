import numpy as np
import pytest
from matplotlib.colors import to_rgb

from sct_rootlets.levels import level_color, level_name
from sct_rootlets.report.page.picture import BRIGHTER_GRAY, DARKER_GRAY, contrast_window, edges, pixel_centers, window
from sct_rootlets.report.page.views import views_along


def test_colours_are_those_of_the_levels(phantom_levels):
    view = views_along(phantom_levels)["coronal"]
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


def test_pixels_fill_an_interval():
    np.testing.assert_allclose(pixel_centers(-1.0, 1.0, 0.5), [-0.75, -0.25, 0.25, 0.75])
    assert len(pixel_centers(0.0, 0.0, 0.5)) == 1


def test_brightness_is_cut_at_percentiles_and_holes_are_black():
    values = np.linspace(0, 100, 1001)
    shown = window(values, (10, 90))
    assert (shown[values <= 10] == 0).all()
    assert (shown[values >= 90] == 255).all()
    assert shown[500] == 128
    assert window(np.array([np.nan, 1.0, 2.0]))[0] == 0


@pytest.mark.parametrize(("cord", "fluid"), [(300.0, 900.0), (30.0, 90.0), (900.0, 300.0)])
def test_cord_and_fluid_have_the_same_grey_whatever_the_coil(cord, fluid):
    values = np.append(np.linspace(0, 1200, 1000), [cord, fluid])
    shown = contrast_window(values, cord, fluid)
    darker, brighter = sorted((-2, -1), key=lambda at: values[at])
    assert shown[darker] == pytest.approx(255 * DARKER_GRAY, abs=2)
    assert shown[brighter] == pytest.approx(255 * BRIGHTER_GRAY, abs=2)
    assert (np.diff(shown[:1000].astype(int)) >= 0).all()


def test_a_window_without_contrast_is_still_one():
    flat = contrast_window(np.full(100, 7.0), 7.0, 7.0)
    assert flat.dtype == np.uint8
    bones = contrast_window(np.linspace(0, 120, 100), 100.0, 105.0)  # hardly any: the gamma is limited
    assert bones[30] > 20
