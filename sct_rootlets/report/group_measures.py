"""Figures of the measures of a group: each person, mean and standard deviation per level, and the norms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sct_rootlets.levels import level_color
from sct_rootlets.measure.group import GroupMeasures
from sct_rootlets.measure.norms import SOURCE
from sct_rootlets.report.style import BEHIND_LIGHT, INK, PAGE_INCH, in_style, y_grid

#: Measures that are drawn of each table, and their axes.
DRAWN = {
    "shape": {"MEAN(area)": "area (mm²)", "MEAN(diameter_AP_ellipse)": "AP diameter (mm)",
              "MEAN(diameter_RL)": "RL diameter (mm)"},
    "signal": {"WA()": "weighted average"},
    "lesions": {"n_lesions": "number of lesions", "volume_mm3": "volume (mm³)", "volume_share": "share of the level"},
}  # fmt: skip
#: Tables of rare things, whose standard deviation would reach below nothing: the mean alone is drawn.
WITHOUT_SD = ("lesions",)
#: Markers of the parts of levels, in the order of the table.
PART_MARKERS = ("o", "s", "^", "D")


@in_style
def measures_figure(group: GroupMeasures, table: str) -> Figure | None:
    """Draw measures against levels: a thin line for each person, and mean ± standard deviation.

    Parameters
    ----------
    group : GroupMeasures
    table : {"shape", "signal", "lesions"}

    Returns
    -------
    matplotlib.figure.Figure or None
        One column for each kind of level, one row for each measure, image and mask; None if the table is empty.
    """
    statistics = group.statistics.query("table == @table and n > 0")
    statistics = statistics[statistics["measure"].isin(DRAWN[table])]
    if statistics.empty:
        return None
    values = group.values[group.values["left_out_because"].isna()]
    kinds = list(dict.fromkeys(statistics["kind"]))
    has_sd = table not in WITHOUT_SD
    columns = statistics[["image", "label", "measure"]].fillna("")
    panels = list(dict.fromkeys(columns.itertuples(index=False, name=None)))
    figure = Figure(figsize=(PAGE_INCH, 0.7 + 2.1 * len(panels)), layout="constrained")
    grid = figure.subplots(len(panels), len(kinds), squeeze=False, sharey="row")
    for row, (image, label, measure) in zip(grid, panels, strict=True):
        for axes, kind in zip(row, kinds, strict=True):
            people, means = (_choose(frame, table, image, label, measure, kind) for frame in (values, statistics))
            _draw_panel(axes, people, means, has_sd)
        where = "" if not image else f"{image}\n" if label == "cord" else f"{image}, {label}\n"
        row[0].set_ylabel(f"{where}{DRAWN[table][measure]}")
    for axes, kind in zip(grid[0], kinds, strict=True):
        axes.set_title(f"{kind} levels")
    for axes in grid[-1]:
        axes.set_xlabel("level, number of people")
    parts = list(dict.fromkeys(statistics["part"]))
    figure.legend(
        handles=_legend(parts, has_sd, bool(statistics["norm_mean"].notna().any())),
        loc="outside lower center",
        ncols=3,
    )
    return figure


def _choose(frame: pd.DataFrame, table: str, image: str, label: str, measure: str, kind: str) -> pd.DataFrame:
    chosen = (frame["table"] == table) & (frame["measure"] == measure) & (frame["kind"] == kind)
    return frame[chosen & (frame["image"].fillna("") == image) & (frame["label"].fillna("") == label)]


def _draw_panel(axes: Axes, values: pd.DataFrame, statistics: pd.DataFrame, has_sd: bool) -> None:
    """Draw one measure of one kind of level."""
    names = list(dict.fromkeys(statistics["level"]))
    parts = list(dict.fromkeys(statistics["part"]))
    x = np.arange(len(names))
    axes.use_sticky_edges = False  # the norms' lower end is no end of the axis
    for shift, part, marker in zip(_shifts(len(parts)), parts, PART_MARKERS, strict=False):
        own = statistics[statistics["part"] == part].set_index("level").reindex(names)
        if own["norm_mean"].notna().any():
            low, high = (own["norm_mean"] + sign * 2 * own["norm_sd"] for sign in (-1, 1))
            axes.bar(x, high - low, 0.8, bottom=low, color=BEHIND_LIGHT, linewidth=0, zorder=0.5)
        people = values[values["part"] == part].groupby(["participant_id", "level"])["value"].mean().unstack("level")
        for _, person in people.reindex(columns=names).iterrows():
            axes.plot(x + shift, person, color="#999999", linewidth=0.6, alpha=0.8, zorder=1)
            axes.scatter(x + shift, person, s=9, marker=marker, c=[level_color(name) for name in names],
                         edgecolor=INK, linewidths=0.2, alpha=0.8, zorder=2)  # fmt: skip
        sd = own["sd"].fillna(0) if has_sd else None
        axes.errorbar(x + shift + 0.12, own["mean"], sd, color=INK, marker=marker, markersize=4,
                      linestyle="", linewidth=1.4, capsize=2.5, zorder=3)  # fmt: skip
    counts = statistics.groupby("level")["n"].max()
    axes.set_xticks(x, [f"{name}\n{counts[name]}" for name in names])
    axes.set_xlim(-0.6, len(names) - 0.4)
    y_grid(axes)


def _shifts(n_parts: int) -> np.ndarray:
    """Sideways places of the parts of a level."""
    return np.linspace(-0.27, 0.15, n_parts) if n_parts > 1 else np.zeros(1)


def _legend(parts: Sequence[str], has_sd: bool, has_norms: bool) -> list[Any]:
    handles: list[Any] = [Line2D([], [], color="#999999", linewidth=0.6, label="a person")]
    mean = "mean ± SD" if has_sd else "mean"
    for part, marker in zip(parts, PART_MARKERS, strict=False):
        label = mean if len(parts) == 1 else f"{part}: {mean}"
        handles.append(Line2D([], [], color=INK, marker=marker, markersize=4, linestyle="", label=label))
    if has_norms:
        handles.append(Patch(facecolor=BEHIND_LIGHT, label=f"mean ± 2 SD of {SOURCE}"))
    return handles


#: Figures of the measures of a group, by the names of the files.
FIGURES: dict[str, Callable[[GroupMeasures], Figure | None]] = {
    f"group_measures_{table}": partial(measures_figure, table=table) for table in DRAWN
}
