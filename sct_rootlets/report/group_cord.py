"""Figures of a group along the cord: where levels lie over people, lengths from C2 to C8, and overlaps of levels."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from sct_rootlets.group.cervical_length import ALL_SEXES
from sct_rootlets.group.compare import GroupLevels
from sct_rootlets.group.overlap import PROPORTIONAL
from sct_rootlets.levels import level_color
from sct_rootlets.report.group_style import POINTS, draw_strip, reference_name
from sct_rootlets.report.style import INK, PAGE_INCH, SMALL_PT, TEXT_PT, in_style, y_grid

#: Subjects that a curve needs.
MIN_CURVE_SUBJECTS = 3
#: The length that is drawn, as published; its axis; and those of the traits.
LENGTH, LENGTH_LABEL = "c2_c8_midpoints_mm", "C2 to C8, between midpoints (mm)"
TRAIT_LABELS = {"height_cm": "height (cm)", "age": "age (years)"}
_SEX_STYLE = {"F": ("#CC79A7", "o"), "M": ("#0072B2", "s")}
_OTHER_STYLE = ("#999999", "^")
_OVERLAP_TITLES = {
    "shifted": "vertebral level,\nshifted (C2 with C3, …)",
    "same-name": "vertebral level\nof the same name",
    PROPORTIONAL: "proportional level\n(Frostell 2016)",
}


@in_style
def distributions_figure(group: GroupLevels) -> Figure | None:
    """Draw the midpoints of each level over the subjects, with the normal curve fitted to them, as in the paper.

    Parameters
    ----------
    group : GroupLevels

    Returns
    -------
    matplotlib.figure.Figure or None
        None if no level has a curve.
    """
    table, points = group.distributions, group.measured
    if table.empty or not ((table["n"] >= MIN_CURVE_SUBJECTS) & (table["fit_sd_mm"] > 0)).any():
        return None
    kinds = [kind for kind in ("spinal", "vertebral") if (table["kind"] == kind).any()]
    figure = Figure(figsize=(PAGE_INCH, 2.4 * len(kinds)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(len(kinds), 1, sharex=True, sharey=True))
    for kind, axes in zip(kinds, panels, strict=True):
        for row in table[table["kind"] == kind].to_dict("records"):
            of_level = points[(points["kind"] == kind) & (points["name"] == row["name"])]["midpoint_mm"]
            color = level_color(row["name"])
            axes.scatter(of_level, np.zeros(len(of_level)), **POINTS, facecolor=color, zorder=3)
            if row["n"] < MIN_CURVE_SUBJECTS or not row["fit_sd_mm"] > 0:
                continue
            mean, sd = row["mean_mm"], row["fit_sd_mm"]
            x = np.linspace(mean - 4 * sd, mean + 4 * sd, 201)
            y = stats.norm.pdf(x, mean, sd)
            axes.fill_between(x, y, color=color, alpha=0.5, linewidth=0)
            axes.plot(x, y, color=INK, linewidth=0.9)
            axes.annotate(
                f"{row['name']}\n{mean:.1f} ± {row['sd_mm']:.1f}",
                (mean, y.max()),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=SMALL_PT,
            )
        axes.set_title(f"{kind} levels: mean ± SD in mm", loc="left")
        axes.set_ylabel("density (1/mm)")
        y_grid(axes)
    highest = max(axes.dataLim.y1 for axes in panels)
    panels[0].set_ylim(-0.04 * highest, 1.2 * highest)
    panels[-1].set_xlabel(f"midpoint: mm along the cord from {reference_name(group)}")
    return figure


@in_style
def cervical_length_figure(group: GroupLevels) -> Figure | None:
    """Draw the length from C2 to C8 against height and age, with Spearman's correlation.

    Parameters
    ----------
    group : GroupLevels

    Returns
    -------
    matplotlib.figure.Figure or None
        None if no subject has a length with a height or an age.
    """
    lengths = group.cervical_lengths
    lengths = lengths.assign(**{trait: lengths[trait].astype(float) for trait in TRAIT_LABELS})
    traits = [trait for trait in TRAIT_LABELS if lengths[[trait, LENGTH]].notna().all(axis=1).any()]
    if not traits:
        return None
    figure = Figure(figsize=(PAGE_INCH / 2 * len(traits), 3.4), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(traits), sharey=True))
    for trait, axes in zip(traits, panels, strict=True):
        shown = lengths[lengths[[trait, LENGTH]].notna().all(axis=1)]
        for sex, part in shown.groupby(shown["sex"].fillna("unknown")):
            color, marker = _SEX_STYLE.get(str(sex), _OTHER_STYLE)
            label = f"{sex} (n = {len(part)})"
            axes.scatter(part[trait], part[LENGTH], **{**POINTS, "s": 26}, facecolor=color, marker=marker, label=label)
        axes.set_title(_correlation_text(group.correlations, trait), fontsize=SMALL_PT, loc="left")
        axes.set_xlabel(TRAIT_LABELS[trait])
        axes.legend()
        y_grid(axes)
    panels[0].set_ylabel(LENGTH_LABEL)
    return figure


def _correlation_text(table: pd.DataFrame, trait: str) -> str:
    """Name Spearman's correlation with a trait over all subjects and by sex, one line each."""
    lines = []
    rows = table[(table["length"] == LENGTH) & (table["trait"] == trait)].to_dict("records")
    for row in rows:
        if math.isnan(row["spearman_rho"]):
            continue
        interval = "" if math.isnan(row["rho_low"]) else f" [{row['rho_low']:.2f}, {row['rho_high']:.2f}]"
        sex = "" if row["sex"] == ALL_SEXES else f"{row['sex']}: "
        lines.append(f"{sex}Spearman rho = {row['spearman_rho']:.2f}{interval}, n = {row['n']}".replace("-", "−"))
    return "\n".join(lines)


@in_style
def overlap_figure(group: GroupLevels) -> Figure | None:
    """Draw how much of each spinal level lies within its vertebral and its proportional level: subjects and quartiles.

    Parameters
    ----------
    group : GroupLevels

    Returns
    -------
    matplotlib.figure.Figure or None
        None if no levels are compared.
    """
    table = group.overlaps
    if table.empty or not table["percent_of_spinal"].notna().any():
        return None
    table = table[table["percent_of_spinal"].notna()]
    kinds = [kind for kind in _OVERLAP_TITLES if (table["compared_with"] == kind).any()]
    figure = Figure(figsize=(PAGE_INCH / 3 * len(kinds), 3.0), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(kinds), sharey=True))
    shift = np.random.default_rng(0)  # sideways, so that points do not hide each other
    for kind, axes in zip(kinds, panels, strict=True):
        of_kind = table[table["compared_with"] == kind]
        names = list(dict.fromkeys(of_kind["spinal_level"]))
        for x, name in enumerate(names):
            draw_strip(axes, x, of_kind[of_kind["spinal_level"] == name]["percent_of_spinal"].to_numpy(), name, shift)
        counts = [int((of_kind["spinal_level"] == name).sum()) for name in names]
        axes.set_xticks(range(len(names)), [f"{name}\n{n}" for name, n in zip(names, counts, strict=True)])
        axes.set_title(f"within the {_OVERLAP_TITLES[kind]}", fontsize=TEXT_PT)
        axes.set_xlabel("spinal level, number of subjects")
        y_grid(axes)
    panels[0].set_ylim(-4, 104)
    panels[0].set_ylabel("share of the spinal level (%)")
    return figure
