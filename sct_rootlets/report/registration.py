"""The picture of a registration: the subject as scanned and in template space, straightened, with its rootlets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sct_rootlets.levels import level_color, level_name
from sct_rootlets.report.registered import REACH_MM, Mark, marks, registered_cords
from sct_rootlets.report.style import DARK_FRAME, INK, PAGE_INCH, SMALL_PT, TEXT_PT, InlineFigure, in_style
from sct_rootlets.straighten import Plane, project_labels, sample_plane
from sct_rootlets.subject import SubjectLevels

if TYPE_CHECKING:
    from sct_rootlets.registration.result import Registration

#: Size of the pixels.
PIXEL_MM = 0.5
#: Letters of the patient's directions at the left and the right edge of each view.
DIRECTIONS: dict[Plane, str] = {"sagittal": "PA", "coronal": "LR"}
#: Rootlets within this distance in front of and behind the cord are projected onto coronal views.
PROJECTION_DEPTH_MM = 8.0
#: Opacity of rootlets.
ROOTLET_ALPHA = 0.6
#: Margins of the figure: left, right, top, bottom, and between the views, in inches.
MARGINS_INCH = (0.55, 0.08, 0.55, 0.1, 0.1)


@in_style
def registration_figure(registration: Registration) -> Figure:
    """Draw four views: the subject as scanned, and in template space, from the side and from the front.

    Views are straightened along the cord and share one axis, mm along the template's cord. In template space the
    outline is that of the template's cord, and lines mark the middle of each level of the template: the subject's
    rootlets, in colours, should lie around the lines. As scanned, the subject's cord is moved along the axis by one
    distance, and lines mark the middles of the subject's levels.

    Parameters
    ----------
    registration : Registration

    Returns
    -------
    matplotlib.figure.Figure
    """
    cords = registered_cords(registration)
    first, last = cords.ends
    left, right, top, bottom, gap = MARGINS_INCH
    widths = 2 * [float(np.ptp(REACH_MM[plane])) for plane in REACH_MM]
    inch_per_mm = (PAGE_INCH - left - right - 3 * gap) / sum(widths)
    height = (last - first) * inch_per_mm
    figure = InlineFigure(figsize=(PAGE_INCH, top + height + bottom))
    rows = np.arange(first, last, PIXEL_MM)
    panels: list[Axes] = []
    for subject, shift_mm, title in (
        (cords.scanned, cords.shift_mm, "as scanned"),
        (cords.registered, 0.0, "in template space"),
    ):
        for plane in REACH_MM:
            width = widths[len(panels)] * inch_per_mm
            box = (left / PAGE_INCH, bottom / (top + height + bottom), width / PAGE_INCH,
                   height / (top + height + bottom))  # fmt: skip
            axes = figure.add_axes(box, sharey=panels[0] if panels else None)
            left += width + gap
            panels.append(axes)
            _draw(axes, plane, subject, rows, shift_mm)
            _draw_marks(axes, marks(registration, None if subject is cords.registered else shift_mm))
            axes.set_title(f"{plane},\n{title}", fontsize=TEXT_PT)
    panels[0].set_ylim(last, first)
    panels[0].set_ylabel("mm along the template's cord, from its top")
    for axes in panels[1:]:
        axes.tick_params(labelleft=False)
    return figure


def _draw(axes: Axes, plane: Plane, subject: SubjectLevels, rows: NDArray[Any], shift_mm: float) -> None:
    """Draw the image, the outline of the cord, and on coronal views the rootlets.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    plane : {"sagittal", "coronal"}
    subject : SubjectLevels
    rows : numpy.ndarray, shape (N,)
        Arc length along the template's cord, mm.
    shift_mm : float
        Distance from there to the arc length along the cord that is drawn.
    """
    line, arc = subject.centerline, rows + shift_mm
    across = np.arange(*REACH_MM[plane], PIXEL_MM)
    box: dict[str, Any] = {
        "extent": (across[0], across[-1], rows[-1], rows[0]),
        "aspect": "auto",
        "interpolation": "nearest",
    }
    if subject.image is None:
        axes.set_facecolor("#EEEEEE")
    else:
        values = np.nan_to_num(sample_plane(subject.image, line, arc, across, plane))
        low, high = np.percentile(values, (1, 99.5))
        axes.imshow(values, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), **box)
    edge = sample_plane(subject.cord, line, arc, across, plane)
    if edge.max() >= 0.5 > edge.min():
        axes.contour(across, rows, edge, levels=[0.5], colors=[INK], linewidths=1.2)
        axes.contour(across, rows, edge, levels=[0.5], colors=["white"], linewidths=0.6)
    if subject.rootlets is not None and plane == "coronal":
        depths = np.arange(-PROJECTION_DEPTH_MM, PROJECTION_DEPTH_MM + 0.5, min(1.0, *subject.rootlets.spacing))
        labels = project_labels(subject.rootlets, line, arc, across, plane, depths)
        present = np.unique(labels[labels > 0])
        if len(present):
            colors = ListedColormap([level_color(level_name(int(value), "spinal")) for value in present])
            ranks = np.ma.masked_where(labels == 0, np.searchsorted(present, labels) + 1)
            axes.imshow(ranks, cmap=colors, vmin=0.5, vmax=len(present) + 0.5, alpha=ROOTLET_ALPHA, **box)
    for letter, x in zip(DIRECTIONS[plane], (0.03, 0.97), strict=True):
        axes.text(x, 0.99, letter, transform=axes.transAxes, fontsize=SMALL_PT, fontweight="bold", color="white",
                  ha="left" if x < 0.5 else "right", va="top", path_effects=DARK_FRAME)  # fmt: skip
    axes.set_xticks([])
    axes.spines[:].set_visible(False)


def _draw_marks(axes: Axes, landmarks: Sequence[Mark]) -> None:
    """Draw a line at each landmark, with its name."""
    for mark in landmarks:
        axes.axhline(mark.arc_mm, color=mark.color, linewidth=0.8, linestyle=":")
        axes.annotate(mark.name, (0.02, mark.arc_mm), xycoords=("axes fraction", "data"), xytext=(0, 1),
                      textcoords="offset points", fontsize=SMALL_PT, color="white", va="bottom",
                      path_effects=DARK_FRAME)  # fmt: skip


#: Figures that are drawn of a registration, by the names of their files.
FIGURES: dict[str, Callable[[Registration], Figure]] = {"registration": registration_figure}
