"""A picture of segmented rootlets: what a reviewer needs to see at a glance."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from nibabel.affines import apply_affine
from scipy import ndimage

from sct_rootlets.image import Volume
from sct_rootlets.levels import level_color, level_name
from sct_rootlets.report.figures import INK, standard_settings

if TYPE_CHECKING:
    from sct_rootlets.segmentation.segment import Segmentation

#: Half the width of an axial cut, and the size of its pixels.
HALF_MM, PIXEL_MM = 14.0, 0.35
#: Cuts of each level: near its ends and in its middle.
CUTS = (0.2, 0.5, 0.8)
#: Where cuts are made when there are no levels.
EVENLY = 8


def save_segmentation_figure(volume: Volume, segmentation: Segmentation, path: str | os.PathLike[str]) -> None:
    """Draw `segmentation_figure` into a PNG file; same input, same bytes."""
    with standard_settings():
        segmentation_figure(volume, segmentation).savefig(path, dpi=110, metadata={"Software": None})


def segmentation_figure(volume: Volume, segmentation: Segmentation) -> Figure:
    """Cuts across the cord, three a level, without and with the rootlets' outlines.

    Parameters
    ----------
    volume : Volume
        The image.
    segmentation : Segmentation
        Of it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    stretches = segmentation.stretches
    if stretches:
        rows = [[one.rostral_mm + share * (one.caudal_mm - one.rostral_mm) for share in CUTS] for one in stretches]
        titles = [f"{level_name(one.value, 'spinal')}  {one.confidence:.2f}" for one in stretches]
    else:
        rows = [[float(arc)] for arc in np.linspace(0, segmentation.centerline.cord_length, EVENLY + 2)[1:-1]]
        titles = [""] * EVENLY
    n_columns = 2 * len(rows[0])
    figure = Figure(figsize=(1.35 * n_columns + 0.9, 1.35 * len(rows) + 0.7), facecolor="white")
    axes = figure.subplots(len(rows), n_columns, squeeze=False)
    figure.subplots_adjust(left=0.1, right=0.99, top=0.93, bottom=0.07, wspace=0.03, hspace=0.03)
    for line, arcs, title in zip(axes, rows, titles, strict=True):
        for index, arc in enumerate(arcs):
            draw_cut(line[2 * index : 2 * index + 2], volume, segmentation, arc)
        line[0].set_ylabel(title, fontsize=9, color=INK, rotation=0, ha="right", va="center", labelpad=4)
    figure.suptitle(f"{volume.name}: rootlets by level, with confidence of the name", fontsize=10, color=INK)
    names = [level_name(one.value, "spinal") for one in stretches]
    handles = [Patch(facecolor=level_color(name), edgecolor=INK, label=name) for name in names]
    if handles:
        figure.legend(handles=handles, loc="lower center", ncols=len(names), fontsize=8, frameon=False)
    return figure


def draw_cut(pair: np.ndarray, volume: Volume, segmentation: Segmentation, arc: float) -> None:
    """An axial cut, perpendicular to the cord, twice: as it is, and with outlines of cord and rootlets."""
    line = segmentation.centerline
    offset = np.arange(-HALF_MM, HALF_MM + PIXEL_MM, PIXEL_MM)
    _, right, anterior = line.frame(arc)
    points = line.position(arc) + offset[None, :, None] * right[:, None] + offset[:, None, None] * anterior[:, None]
    index = np.moveaxis(apply_affine(np.linalg.inv(volume.affine), points), -1, 0)

    def cut(data: np.ndarray, order: int) -> np.ndarray:
        return ndimage.map_coordinates(data, index, order=order, output=np.float32, mode="constant")

    gray = np.nan_to_num(cut(volume.data, 1))
    low, high = np.percentile(gray, (1, 99.5))
    shown = np.clip((gray - low) / max(high - low, 1e-6), 0, 1)
    colored = np.repeat(shown[..., None], 3, axis=2)
    labels = cut(segmentation.rootlets, 0)
    for value in np.unique(labels[labels > 0]):
        colored[labels == value] = to_rgb(level_color(level_name(int(value), "spinal")))
    cord = cut(segmentation.cord.astype(np.uint8), 1)
    axes: Axes
    for axes, picture in zip(pair, (np.repeat(shown[..., None], 3, axis=2), colored), strict=True):
        axes.imshow(picture, origin="lower", interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        for side in axes.spines.values():
            side.set_visible(False)
    if cord.max() >= 0.5 > cord.min():
        pair[1].contour(cord, levels=[0.5], colors=["#FFFFFF"], linewidths=0.6)
