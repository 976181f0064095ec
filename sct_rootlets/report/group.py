"""Figures of a group: agreement of spinal and vertebral levels, their positions in each subject, and their lengths."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke

from sct_rootlets.correspondence import published_bias
from sct_rootlets.group.agreement import POOLED, STATISTIC_COLUMNS
from sct_rootlets.group.compare import GroupLevels
from sct_rootlets.group.pairs import PairStatus
from sct_rootlets.levels import level_color, level_value
from sct_rootlets.report.group_cord import cervical_length_figure, distributions_figure, overlap_figure
from sct_rootlets.report.group_style import POINTS, draw_strip, reference_name
from sct_rootlets.report.style import (
    BEHIND,
    INK,
    LIGHT_FRAME,
    PAGE_INCH,
    SMALL_PT,
    TEXT_PT,
    in_style,
    y_grid,
)

#: Number of subjects up to which all are in one row, with the names of levels on their bars.
MAX_NAMED_SUBJECTS = 12
#: Number of subjects per row if there are more; their bars are narrower, and every second subject is named.
MAX_SUBJECTS_PER_ROW, NAMED_EVERY = 48, 2
#: Width of a subject's pair of bars and height of a row, in inches: of few subjects, and of many.
SUBJECT_INCH, ROW_INCH = (0.44, 0.11), (4.6, 2.4)
LIMIT_STYLE = {"linestyle": "--", "linewidth": 1.2}
#: Lines in the colour of a level have a frame: some of the colours are light.
FRAME = [Stroke(linewidth=2.8, foreground=INK), Normal()]


@in_style
def bland_altman_figure(group: GroupLevels, pairing: str) -> Figure | None:
    """Draw differences against means with bias and limits, and those of each pair with their confidence intervals.

    Parameters
    ----------
    group : GroupLevels
    pairing : {"shifted", "same-name"}

    Returns
    -------
    matplotlib.figure.Figure or None
        None if no pair is compared.
    """
    if not any(pair.pairing == pairing and pair.is_compared for pair in group.level_pairs):
        return None
    points = group.pairs
    points = points[(points["pairing"] == pairing) & (points["status"] == PairStatus.COMPARED.value)]
    table = group.agreement
    table = table[(table["pairing"] == pairing) & (table["n"] > 0)]
    figure = Figure(figsize=(PAGE_INCH, 4.4), layout="constrained")
    scatter, forest = figure.subplots(1, 2, width_ratios=(1.75, 1), sharey=True)
    for row in table.to_dict("records"):
        if row["vertebral_level"] == POOLED:
            _pooled_lines(scatter, row)
            continue
        of_pair = points[(points["vertebral_level"] == row["vertebral_level"])]
        color = level_color(row["spinal_level"])
        scatter.scatter(of_pair["mean_mm"], of_pair["difference_mm"], **POINTS, facecolor=color)
        middle = float(of_pair["mean_mm"].median())
        for name, ink in (("median", INK), ("p2.5", color), ("p97.5", color)):
            line = [middle - 6, middle + 6], [row[f"{STATISTIC_COLUMNS[name]}_mm"]] * 2
            scatter.plot(*line, color=ink, linewidth=2, path_effects=FRAME)
        scatter.annotate(
            f"{row['vertebral_level']}–{row['spinal_level']}",
            (middle, np.nanmax([row[f"{STATISTIC_COLUMNS['p97.5']}_mm"], of_pair["difference_mm"].max()])),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=SMALL_PT,
            path_effects=LIGHT_FRAME,
        )
    scatter.set_xlabel(f"mean of the two midpoints: mm along the cord from {reference_name(group)}")
    scatter.set_ylabel("vertebral − spinal midpoint (mm)")
    scatter.set_title(
        f"Bland–Altman, {pairing} pairs, {len(group.cohort.scans)} subjects\n"
        "short lines: median (black), 2.5th and 97.5th percentile\nof a pair; long lines: of all",
        fontsize=TEXT_PT,
    )
    _forest(forest, table)
    for axes in (scatter, forest):
        y_grid(axes)
        axes.axhline(0, color=INK, linewidth=0.6)
    return figure


def _pooled_lines(axes: Axes, row: dict[str, float]) -> None:
    """Draw bias and limits of all pairs as labelled lines."""
    for name, label in (("median", "median"), ("p2.5", "2.5th perc."), ("p97.5", "97.5th perc.")):
        value = row[f"{STATISTIC_COLUMNS[name]}_mm"]
        if math.isnan(value):  # limits of a single difference
            continue
        style = {"linestyle": "-", "linewidth": 1.2} if name == "median" else LIMIT_STYLE
        axes.axhline(value, color=BEHIND, **style)  # type: ignore[arg-type]
        axes.annotate(
            f"{label}\n{value:.2f}".replace("-", "−"),
            (1, value),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL_PT,
        )


def _forest(axes: Axes, table: pd.DataFrame) -> None:
    """Draw median and percentiles (filled) and mean ± 1.96 SD (open) of each pair, with their confidence intervals."""
    rows = table.to_dict("records")
    names = []
    known = _draw_known_bias(axes, rows)
    for x, row in enumerate(rows):
        pooled = row["vertebral_level"] == POOLED
        names.append("all" if pooled else f"{row['vertebral_level']}\n{row['spinal_level']}")
        color = BEHIND if pooled else level_color(row["spinal_level"])
        filled, opened = (-0.17, ("median", "p2.5", "p97.5"), color), (0.17, ("mean", "lower", "upper"), "white")
        for shift, statistics, face in (filled, opened):
            for name, aside in zip(statistics, (0.0, -0.07, 0.07), strict=True):  # intervals may overlap
                place = x + shift + aside
                value, low, high = (row[f"{STATISTIC_COLUMNS[name]}_{end}"] for end in ("mm", "low", "high"))
                axes.plot([place] * 2, [low, high], color=color, linewidth=2.2, path_effects=FRAME)
                marker = "o" if name in ("median", "mean") else "_" if face == "white" else "D"
                axes.plot(place, value, marker, color=INK, markerfacecolor=face, markersize=5, markeredgewidth=0.8)
    axes.set_xticks(range(len(rows)), names)
    axes.set_xlabel("vertebra, spinal level")
    has_intervals = any(math.isfinite(row[f"{STATISTIC_COLUMNS['median']}_low"]) for row in rows)
    axes.set_title("bias and limits,\nwith 95 % intervals" if has_intervals else "bias and limits", fontsize=TEXT_PT)
    axes.legend(
        handles=[
            Line2D([], [], linestyle="", marker=marker, color=INK, markerfacecolor=face, markersize=5, label=label)
            for marker, face, label in (
                ("o", "#999999", "median"),
                ("D", "#999999", "percentiles"),
                ("o", "white", "mean"),
                ("_", "white", "± 1.96 SD"),
            )
        ]
        + known,
        ncols=2,
        columnspacing=1.2,
        handletextpad=0.2,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.2),
    )


def _draw_known_bias(axes: Axes, rows: list[dict[str, Any]]) -> list[Line2D]:
    """Draw in grey, behind the cohort, the published medians of the outer pairs and PAM50's own pairs between them.

    Returns
    -------
    list of Line2D
        What the legend says of them; empty if no pair is one of these.
    """
    bias = published_bias()
    ends = (next(iter(bias)), next(reversed(bias)))
    legend = {}
    for x, row in enumerate(rows):
        names = (row["vertebral_level"], row["spinal_level"])
        if names not in bias:
            continue
        label, face = ("published median", "#BBBBBB") if names in ends else ("PAM50", "white")
        style: dict[str, Any] = {"marker": "s", "color": "#999999", "markerfacecolor": face, "markersize": 9}
        axes.plot(x, bias[names], linestyle="", zorder=0.5, **style)
        legend[label] = Line2D([], [], linestyle="", label=label, **style)
    return list(legend.values())


@in_style
def subjects_figure(group: GroupLevels) -> Figure:
    """Draw the spinal (left) and vertebral (right) levels of each subject as bars, as in the RootletSeg paper.

    Parameters
    ----------
    group : GroupLevels

    Returns
    -------
    matplotlib.figure.Figure
    """
    table = group.positions
    subjects = list(dict.fromkeys(table["subject"]))
    is_large = len(subjects) > MAX_NAMED_SUBJECTS
    rows = [subjects[start : start + MAX_SUBJECTS_PER_ROW] for start in range(0, len(subjects), MAX_SUBJECTS_PER_ROW)]
    size = (max(5.0, 1.6 + SUBJECT_INCH[is_large] * len(rows[0])), 0.6 + ROW_INCH[is_large] * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    limits = (float(table["caudal_mm"].max()) + 5, float(table["rostral_mm"].min()) - 5)
    for part, axes in zip(rows, np.atleast_1d(figure.subplots(len(rows), 1)), strict=True):
        _bars(axes, table[table["subject"].isin(part)], part, named=not is_large)
        axes.set_ylim(limits)
        axes.set_xlim(-0.6, len(rows[0]) - 0.4)
        axes.set_ylabel(f"mm from {reference_name(group)}", fontsize=SMALL_PT if is_large else TEXT_PT)
        y_grid(axes)
    names = sorted(set(table["name"]), key=lambda name: level_value(name, "spinal"))
    handles = [Patch(facecolor=level_color(name), label=name) for name in names]
    if not table["complete"].all():
        handles.append(Patch(facecolor="white", edgecolor=INK, hatch="////", label="may be longer"))
    figure.legend(handles=handles, loc="outside right upper")
    title = "left bars: spinal levels\nright bars, framed: vertebral levels"  # narrow: the legend stands beside it
    figure.axes[0].set_title(title, loc="left")
    return figure


def _bars(axes: Axes, table: pd.DataFrame, subjects: list[str], named: bool) -> None:
    """Draw a row of subjects, with the names of levels on the bars if wanted."""
    place = {subject: x for x, subject in enumerate(subjects)}
    for kind, offset, edge in (("spinal", -0.40, "white"), ("vertebral", 0.02, INK)):
        of_kind = table[table["kind"] == kind]
        for complete, hatch in ((True, None), (False, "////")):
            shown = of_kind[of_kind["complete"] == complete]
            left = shown["subject"].map(place).to_numpy(dtype=float) + offset
            top, bottom = shown["rostral_mm"].to_numpy(), shown["caudal_mm"].to_numpy()
            corners = [
                [(x, above), (x + 0.38, above), (x + 0.38, below), (x, below)]
                for x, above, below in zip(left, top, bottom, strict=True)
            ]
            colors = [level_color(name) for name in shown["name"]]
            axes.add_collection(
                PolyCollection(corners, facecolors=colors, edgecolors=edge, linewidths=0.6, hatch=hatch)
            )
        if named:
            for row in of_kind.itertuples():
                axes.text(
                    place[row.subject] + offset + 0.19,
                    row.midpoint_mm,
                    row.name,
                    fontsize=SMALL_PT,
                    ha="center",
                    va="center",
                    bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
                )
    step = 1 if named else NAMED_EVERY
    axes.set_xticks(range(0, len(subjects), step), subjects[::step], rotation=90)


@in_style
def lengths_figure(group: GroupLevels) -> Figure | None:
    """Draw lengths of spinal and vertebral levels over the cohort: every subject, median, and quartiles.

    Parameters
    ----------
    group : GroupLevels

    Returns
    -------
    matplotlib.figure.Figure or None
        None if no level takes part.
    """
    table = group.measured
    if table.empty:
        return None
    kinds = [kind for kind in ("spinal", "vertebral") if (table["kind"] == kind).any()]
    figure = Figure(figsize=(PAGE_INCH / 2 * len(kinds), 3.2), layout="constrained")
    shift = np.random.default_rng(0)  # sideways, so that points do not hide each other
    for kind, axes in zip(kinds, np.atleast_1d(figure.subplots(1, len(kinds), sharey=True)), strict=True):
        of_kind = group.lengths[group.lengths["kind"] == kind]
        for x, row in enumerate(of_kind.to_dict("records")):
            values = table[(table["kind"] == kind) & (table["name"] == row["name"])]["length_mm"].to_numpy()
            draw_strip(axes, x, values, row["name"], shift)
        axes.set_xticks(range(len(of_kind)), [f"{row.name}\n{row.n}" for row in of_kind.itertuples(index=False)])
        axes.set_xlim(-0.6, len(of_kind) - 0.4)
        method = f" ({group.method})" if kind == "spinal" else ""
        axes.set_title(f"{kind} levels{method}")
        axes.set_xlabel("level, number of subjects")
        y_grid(axes)
    figure.axes[0].set_ylabel("length along the cord (mm)")
    return figure


#: Functions that draw a figure, or return None where there is nothing to draw, by the names of the files.
FIGURES: dict[str, Callable[[GroupLevels], Figure | None]] = {
    "group_bland-altman_same-name": partial(bland_altman_figure, pairing="same-name"),
    "group_bland-altman_shifted": partial(bland_altman_figure, pairing="shifted"),
    "group_levels_by_subject": subjects_figure,
    "group_lengths": lengths_figure,
    "group_distributions": distributions_figure,
    "group_c2_c8": cervical_length_figure,
    "group_overlap": overlap_figure,
}
