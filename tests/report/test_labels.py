from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from sct_rootlets.levels import level_color
from sct_rootlets.report.labels import labels_figure, save_labels_figure


def pictures(figure):
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes]


def test_every_level_is_painted_in_its_colour_from_both_sides(phantom):
    figure = labels_figure(phantom.image, phantom.rootlets, "sub-01")
    plain_side, side, plain_front, front = pictures(figure)
    for name in ("C2", "C5", "T1"):
        for picture, expected in ((side, True), (front, True), (plain_side, False), (plain_front, False)):
            painted = np.isclose(picture, to_rgb(level_color(name)), atol=1e-6).all(axis=2).any()
            assert painted == expected
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [*(f"C{n}" for n in range(2, 9)), "T1"]
    assert "sub-01 (PSR)" in figure.get_suptitle()


def test_head_is_up(phantom):
    side = pictures(labels_figure(phantom.image, phantom.rootlets, "x"))[1]
    rows = [
        np.flatnonzero(np.isclose(side, to_rgb(level_color(name)), atol=1e-6).all(axis=2).any(axis=1)).mean()
        for name in ("C3", "C7")
    ]
    assert rows[0] > rows[1]  # drawn with the origin below


@pytest.mark.parametrize("change", [lambda data: data[:-3], lambda data: data * 0, lambda data: data.astype(int) * 40])
def test_bad_labels_are_shown_as_far_as_they_can_be(phantom, change):
    labels = replace(phantom.rootlets, data=change(phantom.rootlets.data))
    assert len(labels_figure(phantom.image, labels, "x").axes) == 4


def test_same_input_same_bytes(phantom, tmp_path):
    for name in ("a", "b"):
        save_labels_figure(phantom.image, phantom.rootlets, "x", tmp_path / name)
    for kind in ("png", "svg"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
