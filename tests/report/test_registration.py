"""The picture of a registration."""

import numpy as np
import pytest

from sct_rootlets.registration.to_template import register
from sct_rootlets.report.registered import registered_cords
from sct_rootlets.report.registration import registration_figure
from sct_rootlets.straighten import sample_plane


@pytest.fixture(scope="module")
def registration(phantom, template_folder):
    return register(phantom.image, cord=phantom.cord, rootlets=phantom.rootlets, template=template_folder)


def test_it_shows_the_subject_before_and_after_with_levels_where_the_template_has_them(registration):
    """On one axis along the template's cord; as scanned, the distances between levels are those of the subject."""
    figure = registration_figure(registration)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [f"{plane},\n{where}" for where in ("as scanned", "in template space")
                      for plane in ("sagittal", "coronal")]  # fmt: skip
    assert figure.axes[0].get_ylabel() == "mm along the template's cord, from its top"
    pairs = registration.alignment.pairs
    template, subject = (np.array([getattr(pair, name).arc_mm for pair in pairs]) for name in ("template", "subject"))
    for axes in figure.axes:
        names = [text.get_text() for text in axes.texts]
        assert names[:2] in (["P", "A"], ["L", "R"])
        assert names[2:] == ["C2", "C3", "C4", "C5", "C6", "C7", "C8", "T1"]
    for axes in figure.axes[2:]:
        np.testing.assert_allclose([line.get_ydata()[0] for line in axes.lines], template)
    for axes in figure.axes[:2]:
        scanned = np.array([line.get_ydata()[0] for line in axes.lines])
        np.testing.assert_allclose(np.diff(scanned), np.diff(subject))
        assert scanned.mean() == pytest.approx(template.mean())
    assert all(len(axes.images) == 2 for axes in figure.axes[1::2])  # image and rootlets


def test_rootlets_lie_at_the_levels_of_the_template(registration):
    """In template space, the middle of the coloured rows of each level, against the template's own middle."""
    cords = registered_cords(registration)
    arcs = cords.registered.rootlet_arcs
    for level in cords.registered.spinal.levels:
        assert np.median(arcs[level.value]) == pytest.approx(level.midpoint_mm, abs=1.5)


def test_a_curved_neck_is_straight(registration):
    """The cord's middle is at the same place across of every row, as scanned and in template space."""
    cords = registered_cords(registration)
    across = np.arange(-15, 15, 0.25)
    for subject in (cords.scanned, cords.registered):
        rows = np.array([level.midpoint_mm for level in subject.spinal.levels])
        cord = sample_plane(subject.cord, subject.centerline, rows, across, "sagittal") >= 0.5
        middles = np.array([across[row].mean() for row in cord])
        np.testing.assert_allclose(middles, 0, atol=0.6)
