"""Figures of the measures of one scan."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sct_rootlets.levels import level_color
from sct_rootlets.measure.norms import SOURCE
from sct_rootlets.measure.scan import Measures
from sct_rootlets.report.style import BEHIND_LIGHT, INK, PAGE_INCH, SMALL_PT, in_style, y_grid

#: Measures that are drawn, and their axes.
DRAWN = (("area", "area (mm²)"), ("diameter_AP_ellipse", "AP diameter (mm)"), ("diameter_RL", "RL diameter (mm)"))


@in_style
def shape_figure(measures: Measures) -> Figure:
    """Draw area and diameters against the position along the cord.

    Bands are the levels, in their colours. The grey range holds two standard deviations of the published healthy
    adults, where vertebral levels are known.

    Parameters
    ----------
    measures : Measures

    Returns
    -------
    matplotlib.figure.Figure
    """
    cord = measures.cord
    arc = cord.slice_arc_mm[measures.slices.slices]
    position = arc - cord.reference_mm
    figure = Figure(figsize=(PAGE_INCH, 6.2), layout="constrained")
    panels = figure.subplots(len(DRAWN), 1, sharex=True)
    kind = next(iter(cord.levels))
    norms = [cord.norm(np.array([place])) for place in cord.vertebral_coordinate(arc)]
    for axes, (name, label) in zip(panels, DRAWN, strict=True):
        values = measures.slices.values[name]
        _draw_norm(axes, name, norms, position)
        axes.plot(position, values, color=INK, linewidth=1)
        finite = values[np.isfinite(values)]
        if len(finite):
            axes.set_ylim(0, 1.25 * float(finite.max()))
        axes.set_ylabel(label)
        y_grid(axes)
        for level in cord.levels[kind]:
            ends = level.rostral_mm - cord.reference_mm, level.caudal_mm - cord.reference_mm
            axes.axvspan(*ends, ymax=0.06, color=level_color(level.name), linewidth=0)
            if axes is panels[0]:
                axes.annotate(level.name, (sum(ends) / 2, 0.08), xycoords=("data", "axes fraction"), ha="center")
        _draw_means(axes, measures, name)
    panels[0].set_title(f"{cord.cord.name}: bands are {kind} levels")
    panels[-1].set_xlabel(f"mm along the cord, from: {cord.reference}")
    legend = f"; grey: mean ± 2 SD of {SOURCE}" if any(mean for mean, _ in norms) else ""
    figure.supxlabel(f"black: slices; coloured: means of levels{legend}", fontsize=SMALL_PT)
    return figure


def _draw_norm(
    axes: Axes, name: str, norms: list[tuple[dict[str, float], dict[str, float]]], position: np.ndarray
) -> None:
    """Draw the range of healthy adults at each slice whose norm is known."""
    mean, sd = (np.array([norm[part].get(name, np.nan) for norm in norms]) for part in (0, 1))
    axes.fill_between(position, mean - 2 * sd, mean + 2 * sd, color=BEHIND_LIGHT, linewidth=0)
    axes.plot(position, mean, color="#8C8C8C", linewidth=0.8)


def _draw_means(axes: Axes, measures: Measures, name: str) -> None:
    """Draw the mean of each level of the first kind over its extent."""
    cord = measures.cord
    kind = next(iter(cord.levels))
    for shape in measures.shapes:
        if shape.level.kind == kind and np.isfinite(shape.mean[name]):
            ends = [shape.level.rostral_mm - cord.reference_mm, shape.level.caudal_mm - cord.reference_mm]
            axes.plot(ends, [shape.mean[name]] * 2, color=level_color(shape.level.name), linewidth=2.5, alpha=0.8)


#: Figures of the measures of one scan, by the ending of their files' names.
FIGURES: dict[str, Callable[[Measures], Figure]] = {"shape": shape_figure}
