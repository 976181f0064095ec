"""Figures of an evaluation, drawn from its tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from sct_rootlets.evaluation.study import Study, StudyKind
from sct_rootlets.evaluation.tables import ALL_CONTRASTS, ALL_LEVELS, level_order
from sct_rootlets.levels import level_color
from sct_rootlets.report.evaluation_summary import METRIC_TITLES
from sct_rootlets.report.style import (
    INK,
    MIN_BOX_VALUES,
    PAGE_INCH,
    SMALL_PT,
    TEXT_PT,
    group_colors,
    in_style,
    y_grid,
)

#: Metrics of the panels of the figure of scores.
SCORE_PANELS = ("dice", "hd95_mm", "rostral_error_mm", "caudal_error_mm")
#: Height of a panel.
PANEL_INCH = 1.7
#: Columns of bars that one figure shows, and that fit side by side; width of one, and height of a row.
MAX_COLUMNS, MAX_COLUMNS_PER_ROW, COLUMN_INCH, ROW_INCH = 60, 19, 0.32, 4.4


@in_style
def scores_figure(study: Study) -> Figure:
    """Draw Dice, HD95 and errors of the ends by level: boxes, and a point per scan, coloured by method or contrast."""
    levels = study.tables["levels"]
    panels = [metric for metric in SCORE_PANELS if levels[metric].notna().any()]
    groups, by = _groups(study)
    names = level_order(levels)
    figure, axes = _rows(len(panels))
    colors = group_colors(len(groups))
    for line, metric in zip(axes, panels, strict=True):
        for index, group in enumerate(groups):
            part = levels[levels[by] == group]
            values = [part[part.name == name][metric].dropna().to_numpy() for name in names]
            face = [level_color(name) for name in names] if len(groups) == 1 else [colors[index]] * len(names)
            _boxes(line, values, _places(len(names), len(groups), index), 0.75 / len(groups), face)
        line.set_ylabel(METRIC_TITLES[metric])
        if metric.endswith("error_mm"):
            line.axhline(0, color=INK, linewidth=0.6)
        elif metric == "dice":
            line.set_ylim(-0.02, 1.02)
        else:
            line.set_ylim(bottom=0)
    axes[-1].set_xticks(range(len(names)), names)
    axes[-1].set_xlabel("spinal level")
    _legend(axes[0], groups, colors)
    return figure


def _groups(study: Study) -> tuple[list[str], str]:
    """Return the groups that colours stand for, and their column: methods where there are two, otherwise contrasts."""
    methods = study.tables["scans"].method.drop_duplicates().tolist()
    if len(methods) > 1:
        return methods, "method"
    return sorted(study.tables["scans"].contrast.unique()), "contrast"


@in_style
def methods_figure(study: Study) -> Figure | None:
    """Draw mean differences of two methods, second minus first, with their intervals, for all levels and for each."""
    if "methods" not in study.tables:
        return None
    table = study.tables["methods"]
    table = table[(table.contrast == ALL_CONTRASTS) & table.mean_difference.notna()]
    metrics = [metric for metric in METRIC_TITLES if (table.metric == metric).any()]
    figure, axes = _rows(len(metrics))
    scopes = [ALL_LEVELS, *level_order(study.tables["levels"])]
    for line, metric in zip(axes, metrics, strict=True):
        rows = table[table.metric == metric].set_index("scope").reindex(scopes)
        middle = rows.mean_difference.to_numpy()
        reach = np.abs([middle - rows.mean_difference_ci_low, rows.mean_difference_ci_high - middle])
        line.errorbar(range(len(scopes)), middle, np.nan_to_num(reach), fmt="o", color=INK, markersize=4, capsize=3)
        for place, p in enumerate(rows.p_holm):
            if p < 0.05:
                line.annotate(
                    "*", (place, 0.99), xycoords=("data", "axes fraction"), ha="center", va="top", fontsize=12
                )
        line.axhline(0, color=INK, linewidth=0.6)
        line.margins(y=0.2)  # room for stars above intervals and the line of no difference
        line.set_ylabel("difference of\n" + METRIC_TITLES[metric].replace(" (", "\n("))
    axes[-1].set_xticks(range(len(scopes)), scopes)
    first, second = table["first"].iloc[0], table["second"].iloc[0]
    figure.suptitle(f"{second} minus {first}: mean, 95 % interval over subjects; * p < 0.05 (Holm)", fontsize=TEXT_PT)
    return figure


@in_style
def agreement_figure(study: Study) -> Figure:
    """Draw Dice of every pair of raters by level, with a point per scan."""
    table = study.tables["pairwise"]
    pairs = (table["first"] + " – " + table["second"]).rename("pair")
    groups, names = pairs.drop_duplicates().tolist(), level_order(table)
    figure, (line,) = _rows(1, 3.0)
    colors = group_colors(len(groups))
    for index, group in enumerate(groups):
        part = table[pairs == group]
        values = [part[part.name == name].dice.dropna().to_numpy() for name in names]
        _boxes(line, values, _places(len(names), len(groups), index), 0.75 / len(groups), [colors[index]] * len(names))
    line.set_ylim(-0.02, 1.02)
    line.set_ylabel(METRIC_TITLES["dice"])
    line.set_xticks(range(len(names)), names)
    line.set_xlabel("spinal level")
    _legend(line, groups, colors)
    return figure


@in_style
def positions_figure(study: Study) -> Figure | None:
    """Draw levels of each subject as bars, with a column per rater or repeat (as in Valošek 2024)."""
    if "positions" not in study.tables:
        return None
    table = study.tables["positions"]
    all_groups, repeats = table.group.drop_duplicates().tolist(), sorted(table["repeat"].unique())
    groups = all_groups[: max(1, MAX_COLUMNS // (len(repeats) + 1))]
    per_row = max(1, MAX_COLUMNS_PER_ROW // (len(repeats) + 1))
    rows = [groups[start : start + per_row] for start in range(0, len(groups), per_row)]
    width = max(3.0, 0.9 + COLUMN_INCH * (len(repeats) + 1) * len(rows[0]))
    figure = Figure(figsize=(width, ROW_INCH * len(rows)), layout="constrained")
    for part, axes in zip(rows, figure.subplots(len(rows), 1, squeeze=False)[:, 0], strict=True):
        _draw_positions(axes, table[table.group.isin(part)], part, repeats)
        axes.set_xlim(-1, len(rows[0]) * (len(repeats) + 1) - 1)
        axes.set_ylim(table.caudal_mm.max() + 3, table.rostral_mm.min() - 3)
        axes.set_ylabel(f"mm along the cord, from: {study.about['reference']}")
    if len(groups) < len(all_groups):
        figure.axes[-1].set_xlabel(f"the first {len(groups)} of {len(all_groups)} subjects")
    return figure


def _draw_positions(axes: Axes, table: pd.DataFrame, groups: list[str], repeats: list[str]) -> None:
    """Draw the levels of some subjects, a column for each rater or repeat."""
    y_grid(axes)
    for row in table.itertuples():
        x = groups.index(row.group) * (len(repeats) + 1) + repeats.index(row.repeat)
        box = (x - 0.4, row.rostral_mm), 0.8, row.caudal_mm - row.rostral_mm
        axes.add_patch(Rectangle(*box, facecolor=level_color(row.name), edgecolor=INK, linewidth=0.4))
        white = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
        axes.annotate(row.name, (x, row.midpoint_mm), ha="center", va="center", fontsize=SMALL_PT, bbox=white)
    columns = [group * (len(repeats) + 1) + index for group in range(len(groups)) for index in range(len(repeats))]
    axes.set_xticks(columns, repeats * len(groups), rotation=90)
    for index, group in enumerate(groups):
        middle = index * (len(repeats) + 1) + (len(repeats) - 1) / 2
        axes.annotate(group, (middle, 1.01), xycoords=("data", "axes fraction"), ha="center", va="bottom",
                      fontsize=SMALL_PT)  # fmt: skip


#: Functions that draw a figure, or return None where there is nothing to draw, by kind of study and name of the files.
FIGURES: dict[StudyKind, dict[str, Callable[[Study], Figure | None]]] = {
    "references": {"scores": scores_figure, "methods": methods_figure},
    "raters": {"agreement": agreement_figure, "positions": positions_figure},
    "repeats": {"positions": positions_figure},
}


def _rows(n: int, height: float = PANEL_INCH) -> tuple[Figure, list[Axes]]:
    """Make a figure of n panels below each other."""
    figure = Figure(figsize=(PAGE_INCH, height * n + 0.4), layout="constrained")
    axes = list(figure.subplots(n, 1, sharex=True, squeeze=False)[:, 0])
    for panel in axes:
        y_grid(panel)
    return figure, axes


def _places(n_names: int, n_groups: int, index: int) -> np.ndarray:
    """Place the boxes of a group of several beside the names of the axis."""
    return np.arange(n_names) + (index - (n_groups - 1) / 2) * 0.8 / n_groups


def _boxes(axes: Axes, values: list[np.ndarray], places: np.ndarray, width: float, face: list[str]) -> None:
    """Draw boxes of quartiles with whiskers over all values, where there are enough, and the values as points."""
    for box_values, place, color in zip(values, places, face, strict=True):
        if not len(box_values):
            continue
        if len(box_values) >= MIN_BOX_VALUES:
            style = {"color": INK, "linewidth": 0.6}
            axes.boxplot(
                [box_values],
                positions=[place],
                widths=width * 0.9,
                whis=(0, 100),
                showfliers=False,
                patch_artist=True,
                manage_ticks=False,
                boxprops={"facecolor": color, "edgecolor": INK, "linewidth": 0.6, "alpha": 0.8},
                medianprops={"color": INK, "linewidth": 1.2},
                whiskerprops=style,
                capprops=style,
            )
        # Points lie side by side in the order of their values, so that the figure is the same every time.
        columns = min(len(box_values), 5)
        spread = (np.arange(len(box_values)) % columns - (columns - 1) / 2) * width / 8
        axes.plot(
            place + spread,
            np.sort(box_values),
            "o",
            color=color,
            markeredgecolor=INK,
            markeredgewidth=0.4,
            markersize=3,
        )


def _legend(axes: Axes, groups: list[str], colors: list[str]) -> None:
    """Add a legend above the panel if there is more than one colour."""
    if len(groups) > 1:
        patches = zip(groups, colors, strict=True)
        handles = [Patch(facecolor=color, edgecolor=INK, label=group) for group, color in patches]
        columns = min(len(groups), 4)
        axes.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns)
