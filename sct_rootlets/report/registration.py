"""The picture of a registration: the subject as scanned and in template space, with its rootlets."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sct_rootlets.image import Volume, values_at
from sct_rootlets.levels import level_color, level_name
from sct_rootlets.report.style import INK, InlineFigure, standard_settings

if TYPE_CHECKING:
    from sct_rootlets.registration.result import Registration

PointMap = Callable[[NDArray[Any]], NDArray[Any]]

#: Size of the pixels, half of the width of a view, and its margin beyond the outermost landmarks.
PIXEL_MM, VIEW_HALF_WIDTH_MM, VIEW_MARGIN_MM = 0.5, 22.0, 15.0
#: Rootlets within this distance in front of and behind the cord are projected onto coronal views.
PROJECTION_DEPTH_MM = 8.0
#: Scale of the views.
INCH_PER_MM = 0.042


def save_registration_figure(registration: Registration, path: str | os.PathLike[str] | IO[bytes]) -> None:
    """Draw `registration_figure` into a PNG file or stream; the same input gives the same bytes."""
    with standard_settings():
        registration_figure(registration).savefig(path, dpi=110, format="png", metadata={"Software": None})


def registration_figure(registration: Registration) -> Figure:
    """Draw four views: the subject as scanned, and in template space, from the side and from the front.

    In template space the outline is that of the template's cord, and lines mark the middle of each level of the
    template: the subject's rootlets, in colours, should lie around the lines.

    Parameters
    ----------
    registration : Registration

    Returns
    -------
    matplotlib.figure.Figure
    """
    template_cord, subject_cord = registration.alignment.template_cord, registration.alignment.subject_cord
    used = [pair for pair in registration.alignment.pairs if pair.used]
    before = _view(subject_cord.space.points, [pair.subject.arc_mm for pair in used])
    after = _view(template_cord.space.points, [pair.template.arc_mm for pair in used])
    height = max(np.ptp(before[2]), np.ptp(after[2])) * INCH_PER_MM
    width = (2 * VIEW_HALF_WIDTH_MM + 1) * INCH_PER_MM
    figure = InlineFigure(figsize=(4 * width + 2.0, height + 0.8), facecolor="white")
    axes = figure.subplots(1, 4)
    figure.subplots_adjust(left=0.05, right=0.99, top=1 - 0.4 / (height + 0.8), bottom=0.03, wspace=0.24)
    rootlets = {**registration.sources, **registration.segmented}.get("rootlets")
    for panels, name, view, outline, warp in (
        (axes[:2], "as scanned", before, subject_cord.mask, None),
        (axes[2:], "in template space", after, template_cord.mask, registration.map_to_subject),
    ):
        for panel, plane in zip(panels, ("sagittal", "coronal"), strict=True):
            _draw(panel, plane, view, (registration.image, outline, rootlets), warp)
            panel.set_title(f"{plane}, {name}", fontsize=8, color=INK)
    for panel in axes[1::2]:
        panel.tick_params(labelleft=False)
    for panel in axes[2:]:
        for pair in used:
            z = template_cord.space.points(np.array([[pair.template.arc_mm, 0, 0]]))[0, 2]
            colour = level_color(pair.template.name) if pair.template.kind == "rootlets" else INK
            panel.axhline(z, color=colour, linewidth=0.8, linestyle=":")
            panel.annotate(pair.template.name, (0.01, z), xycoords=("axes fraction", "data"), fontsize=6.5,
                           color="white", va="bottom")  # fmt: skip
    return figure


def _view(points: PointMap, arcs: list[float]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Place a view over the landmarks; returns its middle (RAS+ mm), and pixel positions across and along z."""
    line = points(np.array([[arc, 0.0, 0.0] for arc in (min(arcs), np.mean(arcs), max(arcs))]))
    z = np.arange(line[:, 2].min() - VIEW_MARGIN_MM, line[:, 2].max() + VIEW_MARGIN_MM, PIXEL_MM)
    return line[1], np.arange(-VIEW_HALF_WIDTH_MM, VIEW_HALF_WIDTH_MM + PIXEL_MM, PIXEL_MM), z


def _draw(
    axes: Axes,
    plane: str,
    view: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    volumes: tuple[Volume, Volume, Volume | None],
    warp: PointMap | None,
) -> None:
    """Draw the image, the outline of a cord, and rootlets.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    plane : {"sagittal", "coronal"}
    view : (numpy.ndarray, numpy.ndarray, numpy.ndarray)
        See `_view`.
    volumes : (Volume, Volume, Volume or None)
        Image, outline and rootlets. The outline lies in the space that is shown, the others in the subject.
    warp : callable, optional
        Map from that space to the subject.
    """
    centre, across, z = view
    image, outline, rootlets = volumes
    points = np.empty((len(z), len(across), 3))
    points[...] = centre
    within, normal = (1, 0) if plane == "sagittal" else (0, 1)
    points[..., within] += across
    points[..., 2] = z[:, None]
    box: dict[str, Any] = {"extent": (across[0], across[-1], z[0], z[-1]), "origin": "lower", "aspect": "equal"}
    values = _sample(image, points, 1, warp)
    low, high = np.percentile(values, (1, 99.5))
    axes.imshow(values, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), **box)
    edge = _sample(outline, points, 1, None)
    if edge.max() >= 0.5 > edge.min():
        axes.contour(across, z, edge, levels=[0.5], colors=["#FFFFFF"], linewidths=0.7)
    if rootlets is not None and plane == "coronal":
        depth = np.zeros(3)
        layers = []
        for offset in np.arange(-PROJECTION_DEPTH_MM, PROJECTION_DEPTH_MM + 1, 1.0):
            depth[normal] = offset
            layers.append(_sample(rootlets, points + depth, 0, warp))
        labels = np.rint(np.max(layers, axis=0)).astype(int)
        present = np.unique(labels[labels > 0])
        if len(present):
            colours = ListedColormap([level_color(level_name(int(value), "spinal")) for value in present])
            ranks = np.ma.masked_where(labels == 0, np.searchsorted(present, labels) + 1)
            box["interpolation"] = "nearest"
            axes.imshow(ranks, cmap=colours, vmin=0.5, vmax=len(present) + 0.5, alpha=0.85, **box)
    axes.set_xticks([])
    axes.tick_params(labelsize=6, colors=INK)


def _sample(volume: Volume, points: NDArray[Any], order: int, warp: PointMap | None) -> NDArray[Any]:
    """Sample a volume at points of shape (..., 3) in RAS+ mm, mapped by a warp if there is one."""
    if warp is not None:
        points = warp(points.reshape(-1, 3)).reshape(points.shape)
    return values_at(volume.data, volume.affine, points, order)
