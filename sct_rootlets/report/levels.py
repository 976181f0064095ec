"""Figures of one subject's levels, drawn from the results alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from sct_rootlets.levels import Kind, Level, Levels, disc_name, level_color, level_name
from sct_rootlets.report.style import (
    DARK_FRAME,
    INK,
    PAGE_INCH,
    SMALL_PT,
    TEXT_PT,
    TITLE_PT,
    InlineFigure,
    in_style,
    y_grid,
)
from sct_rootlets.straighten import Plane, arc_around, project_labels, sample_plane
from sct_rootlets.subject import SubjectLevels

#: Pixels of the straightened views, and their reach from the centerline: posterior to anterior, and left to right.
STEP_MM = 0.5
SAGITTAL_MM = (-15.0, 30.0)
CORONAL_MM = (-20.0, 20.0)
#: Rootlets this far in front of and behind the centerline are projected onto the coronal view.
ROOTLET_DEPTH_MM = 8.0
#: Opacity of rootlets within their outlines: the image shows through.
ROOTLET_ALPHA = 0.35
#: Length of cord that is shown above the first and below the last level.
MARGIN_MM = 8.0
#: Width of the rulers of one kind of levels, and of two, and as far as their axes reach.
RULERS_INCH, RULERS_REACH = {1: 1.35, 2: 2.4}, {1: 4.0, 2: 10.0}
#: Left edges of the rulers, and their width, on these axes.
RULER_PLACES, RULER_WIDTH = (0.6, 6.6), 2.8
MARGINS_INCH = (0.55, 0.08, 0.62, 0.5, 0.15)  # left, right, top, bottom, between panels
#: Scale of the views: with the rulers of two kinds of levels they fill the width of a page.
INCH_PER_MM = (PAGE_INCH - MARGINS_INCH[0] - MARGINS_INCH[1] - 2 * MARGINS_INCH[4] - RULERS_INCH[2]) / (
    SAGITTAL_MM[1] - SAGITTAL_MM[0] + CORONAL_MM[1] - CORONAL_MM[0]
)
#: Place of the scan's name below the upper edge of the figure.
NAME_INCH = 0.15


#: Letters of the patient's directions at the left and the right edge of each view.
DIRECTIONS: dict[Plane, str] = {"sagittal": "PA", "coronal": "LR"}


@in_style
def levels_figure(subject: SubjectLevels) -> Figure:
    """Draw straightened views of the cord beside rulers of its spinal and vertebral levels.

    All panels share one vertical axis, mm along the cord from the reference: things side by side lie at the same place
    of the cord.

    Parameters
    ----------
    subject : SubjectLevels

    Returns
    -------
    matplotlib.figure.Figure
    """
    arc = _shown_arc(subject)
    figure, (sagittal, coronal, rulers) = _panels(float(arc[-1] - arc[0]), RULERS_INCH[len(subject.kinds)])
    width, height = figure.get_size_inches()
    name = (subject.image or subject.cord).name
    figure.text(MARGINS_INCH[0] / width, 1 - NAME_INCH / height, name, fontsize=TITLE_PT, va="center")
    start = arc[0] - subject.reference.arc_mm
    sagittal.set_ylim(arc[-1] - subject.reference.arc_mm, start)
    sagittal.set_ylabel(f"mm along the cord, from {_reference_text(subject.reference.name)}")
    _draw_sagittal(sagittal, subject, arc)
    _draw_coronal(coronal, subject, arc)
    _draw_rulers(rulers, subject)
    for axes in (sagittal, coronal, rulers):
        axes.spines[:].set_visible(False)
    return figure


def _panels(length_mm: float, rulers_inch: float) -> tuple[Figure, list[Axes]]:
    """Make a figure with three panels side by side; views have one scale along and across the cord."""
    widths = np.array([np.ptp(SAGITTAL_MM) * INCH_PER_MM, np.ptp(CORONAL_MM) * INCH_PER_MM, rulers_inch])
    height = length_mm * INCH_PER_MM
    left, right, top, bottom, gap = MARGINS_INCH
    size = np.array([left + widths.sum() + 2 * gap + right, top + height + bottom])
    figure = InlineFigure(figsize=tuple(size))
    panels: list[Axes] = []
    for width in widths:
        box = np.array([left, bottom, width, height]) / np.tile(size, 2)
        panels.append(figure.add_axes(tuple(box), sharey=panels[0] if panels else None))
        left += width + gap
    for axes in panels[1:]:
        axes.tick_params(labelleft=False)
    return figure, panels


def _reference_text(name: str) -> str:
    return "the top of the cord mask" if name == "cord top" else f"the {name}" if name in ("PMJ", "conus") else name


def _shown_arc(subject: SubjectLevels) -> NDArray[Any]:
    """Return the arc length of each row of the straightened views."""
    levels = [level for kind in subject.kinds for level in kind.levels]
    return np.arange(*arc_around(levels, subject.centerline, MARGIN_MM), STEP_MM)


def _draw_view(
    axes: Axes, subject: SubjectLevels, arc: NDArray[Any], across: NDArray[Any], plane: Plane
) -> dict[str, Any]:
    """Draw the image (or a plain ground) and the outline of the cord; return the place of further layers."""
    line = subject.centerline
    rows = arc - subject.reference.arc_mm
    box: dict[str, Any] = {
        "extent": (across[0], across[-1], rows[-1], rows[0]),
        "aspect": "auto",
        "interpolation": "nearest",
    }
    if subject.image is not None:
        values = np.nan_to_num(sample_plane(subject.image, line, arc, across, plane))
        low, high = np.percentile(values, (1, 99.5))
        axes.imshow(values, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), **box)
    else:
        axes.set_facecolor("#EEEEEE")
    cord = sample_plane(subject.cord, line, arc, across, plane)
    if cord.max() >= 0.5 > cord.min():
        axes.contour(across, rows, cord, levels=[0.5], colors=[INK], linewidths=1.2)
        if subject.image is not None:  # a light line on a dark one is seen on any ground
            axes.contour(across, rows, cord, levels=[0.5], colors=["white"], linewidths=0.5)
    for letter, x in zip(DIRECTIONS[plane], (0.03, 0.97), strict=True):
        axes.text(
            x,
            0.99,
            letter,
            transform=axes.transAxes,
            fontweight="bold",
            color="white" if subject.image is not None else INK,
            ha="left" if x < 0.5 else "right",
            va="top",
            path_effects=DARK_FRAME if subject.image is not None else None,
        )
    axes.set_xlim(across[0], across[-1])
    return box


def _draw_sagittal(axes: Axes, subject: SubjectLevels, arc: NDArray[Any]) -> None:
    """Draw the midsagittal plane, the cord coloured by spinal level, or by vertebral level if there are no others."""
    across = np.arange(*SAGITTAL_MM, STEP_MM)
    box = _draw_view(axes, subject, arc, across, "sagittal")
    levels = subject.spinal or subject.vertebral
    assert levels is not None  # a subject has at least one kind of levels
    cord = sample_plane(subject.cord, subject.centerline, arc, across, "sagittal", order=0) > 0
    labels = np.where(cord, levels.label(arc)[:, None], 0)
    _overlay(axes, labels, levels.kind, box, alpha=0.55)
    for disc in subject.discs:
        row = disc.arc_mm - subject.reference.arc_mm
        if arc[0] <= disc.arc_mm <= arc[-1]:
            found = disc.source == "image"
            color = "white" if subject.image is not None else INK
            axes.plot([8, 13], [row, row], color=color, linewidth=1.2, linestyle=":" if found else "-")
            axes.annotate(
                f"{disc_name(disc.value)} ± {disc.sd_mm:.1f}" if found else disc_name(disc.value),
                (14, row),
                color="white" if subject.image is not None else INK,
                fontsize=SMALL_PT,
                va="center",
                path_effects=DARK_FRAME if subject.image is not None else None,
            )
    axes.set_title("midsagittal", fontsize=TEXT_PT)
    axes.set_xlabel("posterior – anterior (mm)")


def _draw_coronal(axes: Axes, subject: SubjectLevels, arc: NDArray[Any]) -> None:
    """Draw the coronal plane, and project the rootlets in front of and behind it onto it."""
    across = np.arange(*CORONAL_MM, STEP_MM)
    box = _draw_view(axes, subject, arc, across, "coronal")
    if subject.rootlets is not None:
        step = max(STEP_MM, float(subject.rootlets.spacing.min()))  # no voxel is skipped
        depths = np.arange(-ROOTLET_DEPTH_MM, ROOTLET_DEPTH_MM + step, step)
        labels = project_labels(subject.rootlets, subject.centerline, arc, across, "coronal", depths)
        _overlay(axes, labels, "spinal", box, alpha=ROOTLET_ALPHA)
        for value in np.unique(labels[labels > 0]):
            color = level_color(level_name(int(value), "spinal"))
            rows = arc - subject.reference.arc_mm
            axes.contour(across, rows, labels == value, levels=[0.5], colors=[color], linewidths=0.8)
    axes.set_title("coronal, with rootlets" if subject.rootlets is not None else "coronal", fontsize=TEXT_PT)
    axes.set_xlabel("left – right (mm)")


def _overlay(axes: Axes, labels: NDArray[Any], kind: Kind, box: dict[str, Any], alpha: float) -> None:
    """Draw labels in the colours of their levels."""
    values = np.unique(labels[labels > 0])
    colors = [level_color(level_name(int(value), kind)) for value in values]
    if len(values):
        ranks = np.ma.masked_less(np.searchsorted(values, labels) + 1, 1)
        ranks = np.ma.masked_where(labels == 0, ranks)
        axes.imshow(ranks, cmap=ListedColormap(colors), vmin=0.5, vmax=len(values) + 0.5, alpha=alpha, **box)


def _draw_rulers(axes: Axes, subject: SubjectLevels) -> None:
    """Draw spinal levels left, vertebral levels right, and between them the differences of shifted pairs."""
    axes.set_xlim(0, RULERS_REACH[len(subject.kinds)])
    axes.set_xticks([])
    y_grid(axes)
    offset = subject.reference.arc_mm
    for levels, x in zip(subject.kinds, RULER_PLACES, strict=False):
        _draw_ruler(axes, levels, x, offset)
    for pair in subject.shifted_pairs:
        ends = [pair.spinal.midpoint_mm - offset, pair.vertebral.midpoint_mm - offset]
        axes.plot([RULER_PLACES[0] + RULER_WIDTH, RULER_PLACES[1]], ends, color=INK, linewidth=0.9, linestyle=":")
        axes.annotate(
            f"{pair.difference_mm:+.1f}",
            (5, sum(ends) / 2),
            fontsize=SMALL_PT,
            ha="center",
            va="center",
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"},
        )
    _write_ruler_titles(axes, subject)
    legend = "whiskers: ± 2 SD of an end\nhatched: may be longer"
    if any(disc.source == "image" for disc in subject.discs):
        legend += "\ndiscs: ± 1 SD"
    axes.set_xlabel(legend, fontsize=SMALL_PT)


def _write_ruler_titles(axes: Axes, subject: SubjectLevels) -> None:
    """Write above each ruler what it shows, and above the differences between them that they are in mm."""
    titles = {
        levels.kind: f"spinal levels\n({levels.method})" if levels.kind == "spinal" else "vertebral\nlevels"
        for levels in subject.kinds
    }
    places = [x + RULER_WIDTH / 2 for x in RULER_PLACES]
    texts = list(zip(places, titles.values(), strict=False))
    if subject.pairs:
        texts.append((sum(places) / 2, "difference\n(mm)"))
    for x, text in texts:
        axes.annotate(
            text, (x, 1), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
            fontsize=SMALL_PT, ha="center", va="bottom", annotation_clip=False,
        )  # fmt: skip


def _draw_ruler(axes: Axes, levels: Levels, x: float, offset: float) -> None:
    """Draw a bar for each level, with its name; levels that may be longer are hatched."""
    for level in levels.levels:
        top, color = level.rostral_mm - offset, level_color(level.name)
        axes.add_patch(
            Rectangle(
                (x, top),
                RULER_WIDTH,
                level.length_mm,
                facecolor=color,
                edgecolor=INK,
                linewidth=0.6,
                alpha=0.9,
                hatch="//" if level.incomplete else None,
            )
        )
        axes.annotate(
            level.name,
            (x + RULER_WIDTH / 2, level.midpoint_mm - offset),
            ha="center",
            va="center",
            fontweight="bold",
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        )
        _draw_uncertainty(axes, level, x, offset)


def _draw_uncertainty(axes: Axes, level: Level, x: float, offset: float) -> None:
    """Draw whiskers of two standard deviations at both ends, on the two sides of the ruler."""
    for end, sd, at in (
        (level.rostral_mm, level.rostral_sd_mm, x + 0.35),
        (level.caudal_mm, level.caudal_sd_mm, x + RULER_WIDTH - 0.35),
    ):
        axes.plot(
            [at, at], [end - offset - 2 * sd, end - offset + 2 * sd], color=INK, linewidth=1.1, solid_capstyle="butt"
        )


#: Figures that are drawn of a subject, by the ending of their files' names.
FIGURES: dict[str, Callable[[SubjectLevels], Figure]] = {"levels": levels_figure}
