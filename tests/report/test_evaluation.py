"""Figures show the numbers of the tables."""

import numpy as np
import pytest
from ladder import cord, ladder, write
from matplotlib.colors import to_hex
from scores import two_methods

from sct_rootlets.evaluation.raters import evaluate_raters
from sct_rootlets.evaluation.study import Study
from sct_rootlets.levels import level_color
from sct_rootlets.report import evaluation as report


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return two_methods(tmp_path_factory.mktemp("study"))


def test_scores_are_drawn_where_they_lie(study):
    """Every Dice is a point; missed levels are points at 0."""
    figure = report.scores_figure(study)
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["Dice", "HD95 (mm)", "rostral end error (mm)", "caudal end error (mm)"]
    drawn = np.sort(np.concatenate([line.get_ydata() for line in figure.axes[0].lines if line.get_marker() == "o"]))
    np.testing.assert_allclose(drawn, np.sort(study.tables["levels"].dice))
    assert [text.get_text() for text in figure.axes[-1].get_xticklabels()] == ["C2", "C3", "C4", "C5", "C6", "C7"]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["ours", "theirs"]


def test_one_method_in_one_contrast_bears_the_colours_of_the_levels(study):
    tables = {name: study.tables[name][study.tables[name].method == "theirs"] for name in ("levels", "scans")}
    figure = report.scores_figure(Study(kind="references", tables=tables))
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [to_hex(line.get_color()).upper() for line in points] == [level_color(f"C{i}") for i in range(2, 8)]


def test_differences_and_intervals_are_those_of_the_table(study):
    figure = report.methods_figure(study)
    rows = study.tables["methods"]
    rows = rows[(rows.metric == "dice") & (rows.scope != "names ignored")]
    points = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(points, rows.mean_difference)
    assert figure.axes[0].get_ylabel() == "difference of\nDice"
    assert report.methods_figure(Study(kind="references", tables={})) is None


def test_positions_of_raters(tmp_path):
    pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    for number in (1, 2):
        write(tmp_path, f"sub-01_T2w_rootlets_rater{number}.nii.gz", ladder(shift=number))
    mask = write(tmp_path, "sub-01_T2w_seg.nii.gz", cord())
    raters = {f"rater{number}": [tmp_path / f"sub-01_T2w_rootlets_rater{number}.nii.gz"] for number in (1, 2)}
    study = evaluate_raters(raters, [mask])
    bars = [(bar.get_x(), bar.get_y(), bar.get_height()) for bar in report.positions_figure(study).axes[0].patches]
    table = study.tables["positions"]
    expected = [
        (0.6 if row["repeat"] == "rater2" else -0.4, row.rostral_mm, row.length_mm) for _, row in table.iterrows()
    ]
    np.testing.assert_allclose(bars, expected)
