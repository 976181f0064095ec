"""Figure of a label map on its image, with which a reviewer of many scans checks the levels."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from nibabel.orientations import aff2axcodes

from sct_rootlets.image import Volume
from sct_rootlets.levels import FIRST_ROOTLET, LAST_ROOTLET, level_color, level_name
from sct_rootlets.report.style import INK, PAGE_INCH, in_style, save_figure

#: Width of the surroundings that are shown around the labels.
MARGIN_MM = 15.0


def save_labels_figure(image: Volume, labels: Volume, title: str, path: Path) -> None:
    """Draw `labels_figure` into files of a path without ending; same input, same bytes."""
    save_figure(labels_figure(image, labels, title), path)


@in_style
def labels_figure(image: Volume, labels: Volume, title: str) -> Figure:
    """Draw the image from the left and from behind, without and with the labels projected onto it.

    Parameters
    ----------
    image, labels : Volume
        Image and labels on one grid. The image is shown alone if the grids differ or nothing is labelled.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    gray = _upright(image)
    marks = _upright(labels)
    values = np.zeros(gray.shape, dtype=int)
    if marks.shape == gray.shape:
        values = np.nan_to_num(marks.get_fdata()).round().astype(int)
    spacing = np.array(gray.header.get_zooms()[:3], dtype=float)
    data = np.nan_to_num(gray.get_fdata(dtype=np.float32))
    box, center = _box(values, spacing)
    data, values = data[box], values[box]
    low, high = np.percentile(data, (1, 99.5))
    data = np.clip((data - low) / max(float(high - low), 1e-6), 0, 1)
    figure = Figure(figsize=(PAGE_INCH, 0.5 * PAGE_INCH))
    panels = figure.subplots(1, 4)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.91, bottom=0.1, wspace=0.02)
    for pair, axis in ((panels[:2], 0), (panels[2:], 1)):
        plain = np.repeat(np.take(data, center[axis], axis=axis).T[..., None], 3, axis=2)
        colored = plain.copy()
        projected = values.max(axis=axis).T
        for value in np.unique(projected[projected > 0]):
            colored[projected == value] = to_rgb(_color(int(value)))
        across, up = (n for n in range(3) if n != axis)
        for panel, picture in zip(pair, (plain, colored), strict=True):
            panel.imshow(picture, origin="lower", interpolation="nearest", aspect=spacing[up] / spacing[across])
            panel.axis("off")
    figure.suptitle(f"{title} ({''.join(aff2axcodes(image.affine))}): from the left, and from behind")
    present = [int(value) for value in np.unique(values[values != 0])][:12]
    handles = [Patch(facecolor=_color(value), edgecolor=INK, label=_name(value)) for value in present]
    if handles:
        figure.legend(handles=handles, loc="lower center", ncols=len(handles), columnspacing=1.0, handlelength=1.2)
    return figure


def _upright(volume: Volume) -> nib.Nifti1Image:
    data = volume.data.astype(np.float32) if volume.data.dtype.kind != "f" else volume.data
    return nib.as_closest_canonical(nib.Nifti1Image(data, volume.affine))


def _box(values: np.ndarray, spacing: np.ndarray) -> tuple[tuple[slice, ...], np.ndarray]:
    """Return the part of the grid around the labels (the whole grid without labels), and their middle in it."""
    places = np.argwhere(values)
    if not len(places):
        return tuple(slice(0, n) for n in values.shape), np.array(values.shape) // 2
    margin = np.ceil(MARGIN_MM / spacing).astype(int)
    low = np.maximum(places.min(axis=0) - margin, 0)
    high = np.minimum(places.max(axis=0) + 1 + margin, values.shape)
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True)), np.median(places, axis=0).astype(int) - low


def _name(value: int) -> str:
    return level_name(value, "spinal") if FIRST_ROOTLET <= value <= LAST_ROOTLET else f"value {value}"


def _color(value: int) -> str:
    return level_color(level_name(value, "spinal")) if FIRST_ROOTLET <= value <= LAST_ROOTLET else "#FF0000"
