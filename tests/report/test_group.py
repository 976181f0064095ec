"""Figures of a group show the numbers of its tables."""

import numpy as np
import pytest
from cohorts import level_rows, write_cohort, write_subject
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_hex

from sct_rootlets.group.collect import collect
from sct_rootlets.group.compare import compare
from sct_rootlets.levels import level_color
from sct_rootlets.report.group import FIGURES, bland_altman_figure, lengths_figure, subjects_figure
from sct_rootlets.report.group_cord import cervical_length_figure, distributions_figure, overlap_figure
from sct_rootlets.report.style import standard_settings


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    folder = tmp_path_factory.mktemp("levels")
    write_cohort(folder, 11)
    rows = level_rows()
    rows[2]["complete"] = False
    write_subject(folder, "sub-04", rows)
    return compare(collect([folder]), n_resamples=200)


def test_every_compared_pair_is_a_point_in_the_colour_of_its_level(group):
    scatter, forest = bland_altman_figure(group, "shifted").axes
    shown = {to_hex(one.get_facecolor()[0]).upper(): one.get_offsets() for one in scatter.collections}
    pairs = group.pairs[(group.pairs.pairing == "shifted") & (group.pairs.status == "compared")]
    for name, part in pairs.groupby("spinal_level"):
        np.testing.assert_allclose(shown[level_color(name)], part[["mean_mm", "difference_mm"]])
    labels = [text.get_text() for text in forest.get_xticklabels()]
    assert labels == ["C2\nC3", "C3\nC4", "C4\nC5", "C5\nC6", "C6\nC7", "C7\nC8", "T1\nT1", "all"]


def test_lines_stand_at_bias_and_limits(group):
    scatter, forest = bland_altman_figure(group, "shifted").axes
    table = group.agreement[group.agreement.pairing == "shifted"]
    for axes in (scatter, forest):
        heights = np.array([line.get_ydata()[0] for line in axes.lines], dtype=float)
        for name in ("median_mm", "percentile_2.5_mm", "percentile_97.5_mm"):
            assert all(np.isclose(heights, value).any() for value in table[name])
    ends = [line.get_ydata() for line in forest.lines]
    for row in table.to_dict("records"):
        assert any(np.allclose(one, [row["median_low"], row["median_high"]]) for one in ends if len(one) == 2)


def test_bars_lie_where_the_levels_do(group):
    (axes,) = subjects_figure(group).axes
    drawn = {
        (to_hex(color).upper(), tuple(np.round([path.vertices[0, 1], path.vertices[2, 1]], 3)))
        for bars in axes.collections
        if isinstance(bars, PolyCollection)
        for path, color in zip(bars.get_paths(), bars.get_facecolor(), strict=True)
    }
    for row in group.positions.itertuples():
        assert (level_color(row.name), (round(row.rostral_mm, 3), round(row.caudal_mm, 3))) in drawn
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the head is up
    hatched = [len(bars.get_paths()) for bars in axes.collections if bars.get_hatch()]
    assert sum(hatched) == 1


def test_many_subjects_go_into_rows(tmp_path):
    write_cohort(tmp_path, 101)
    figure = subjects_figure(compare(collect([tmp_path]), n_resamples=0))
    assert [len(axes.get_xticks()) for axes in figure.axes] == [24, 24, 3]


def test_every_complete_length_is_a_point(group):
    spinal, vertebral = lengths_figure(group).axes
    for kind, axes in (("spinal", spinal), ("vertebral", vertebral)):
        shown = np.concatenate([one.get_offsets()[:, 1] for one in axes.collections if isinstance(one, PathCollection)])
        expected = group.measured[group.measured.kind == kind].length_mm
        np.testing.assert_allclose(np.sort(shown), np.sort(expected))


def test_a_single_subject_with_a_pair_and_one_kind_alone_are_drawn(tmp_path):
    write_subject(tmp_path, "sub-01", level_rows())
    write_subject(tmp_path, "sub-02", [row for row in level_rows() if row["kind"] == "spinal"])
    group = compare(collect([tmp_path]))
    with standard_settings():
        assert len(bland_altman_figure(group, "shifted").axes) == 2
        drawn = {name for name, draw in FIGURES.items() if draw(group) is not None}
        assert drawn == set(FIGURES) - {"group_distributions", "group_c2_c8"}  # two subjects, without C2


def test_what_there_is_nothing_for_is_not_drawn(tmp_path):
    for subject, scale in (("sub-01", 1.0), ("sub-02", 1.1)):
        rows = [row | {"complete": False} for row in level_rows(scale=scale) if row["kind"] == "spinal"]
        write_subject(tmp_path, subject, rows)
    group = compare(collect([tmp_path]))
    with standard_settings():
        assert [name for name, draw in FIGURES.items() if draw(group)] == ["group_levels_by_subject"]


def test_pairs_are_named_in_both_panels_and_known_values_stand_behind_them(group):
    """The published medians at the ends, and PAM50's own between; the paper compares no same-name pairs."""
    scatter, forest = bland_altman_figure(group, "shifted").axes
    names = [text.get_text() for text in scatter.texts]
    assert [name for name in names if "–" in name] == ["C2–C3", "C3–C4", "C4–C5", "C5–C6", "C6–C7", "C7–C8", "T1–T1"]
    known = [line for line in forest.lines if line.get_marker() == "s"]
    np.testing.assert_allclose([line.get_ydata()[0] for line in known], [0.0, 0.9, 3.6, 4.6, 4.8, 5.4, 8.15])
    assert [line.get_markerfacecolor() != "white" for line in known] == [True, *[False] * 5, True]
    assert all(line.get_zorder() < 1 for line in known)
    labels = [text.get_text() for text in forest.get_legend().get_texts()]
    assert labels[-2:] == ["published median", "PAM50"]
    same_name = bland_altman_figure(group, "same-name").axes[1]
    assert not [line for line in same_name.lines if line.get_marker() == "s" and line.get_ydata()[0] != 8.15]


def test_intervals_are_promised_only_where_there_are_some_and_boxes_only_of_enough_subjects(group, tmp_path):
    assert bland_altman_figure(group, "shifted").axes[1].get_title().endswith("with 95 % intervals")
    assert all(axes.patches for axes in lengths_figure(group).axes)
    write_cohort(tmp_path, 2)
    few = compare(collect([tmp_path]), n_resamples=0)
    assert bland_altman_figure(few, "shifted").axes[1].get_title() == "bias and limits"
    assert not any(axes.patches for axes in lengths_figure(few).axes)


def test_the_title_is_not_written_over_the_legend(tmp_path):
    write_cohort(tmp_path, 2)  # the narrowest figure
    figure = subjects_figure(compare(collect([tmp_path]), n_resamples=0))
    figure.canvas.draw()
    title, legend = figure.axes[0]._left_title.get_window_extent(), figure.legends[0].get_window_extent()
    assert title.x1 <= legend.x0


def test_curves_stand_at_the_means_and_points_at_the_midpoints(group):
    spinal, vertebral = distributions_figure(group).axes
    table = group.distributions.set_index(["kind", "name"])
    assert not vertebral.lines  # the vertebrae of all subjects lie at the same places
    for line, name in zip(spinal.lines, table.loc["spinal"].index, strict=True):
        x, y = line.get_data()
        assert x[np.argmax(y)] == pytest.approx(table.mean_mm["spinal", name])
        assert y.max() == pytest.approx(1 / (table.fit_sd_mm["spinal", name] * np.sqrt(2 * np.pi)))


def test_strips_of_overlaps_hold_every_subject(group):
    shifted, *_, proportional = overlap_figure(group).axes
    points = [one for one in shifted.collections if isinstance(one, PathCollection)]
    summary = group.overlap_summary
    counts = summary[summary.compared_with == "shifted"].n
    assert [len(one.get_offsets()) for one in points] == list(counts)
    assert "Frostell 2016" in proportional.get_title()


def test_without_c2_there_is_no_figure_of_the_length_to_c8(group):
    assert cervical_length_figure(group) is None
