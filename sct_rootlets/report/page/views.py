"""Pictures of a scan as arrays: cuts across the cord, the straightened cord, and its unrolled surface.

A view is a grey picture and, on the same pixels, level values and outlines, so that a page can show and hide them. All
views along the cord share their rows: what stands side by side lies at the same place of the cord.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import ImageColor
from scipy import ndimage

from sct_rootlets.image import Volume, values_at
from sct_rootlets.levels import Kind, level_color, level_name
from sct_rootlets.report.page.scan import Scan, rootlet_arcs
from sct_rootlets.straighten import surface_radius, unroll

#: Pixels of the views along the cord, and how far they reach from its centerline: posterior to anterior, left to right.
PIXEL_MM = 0.25
SAGITTAL_MM = (-15.0, 30.0)
CORONAL_MM = (-20.0, 20.0)
#: Rootlets this far in front of and behind the centerline are projected onto the coronal view.
DEPTH_MM = 8.0
#: Pixels around the cord, and the distances outside its surface at which the unrolled image is looked up and averaged:
#: clear of the cord itself, within the fluid.
PIXEL_DEG = 2.0
OUTSIDE_MM = (1.0, 1.5, 2.0)
#: The unrolled image is shown against its surroundings (standard deviations along the cord and around it), which are
#: brighter here than there by coils and by how thick the fluid is. Rootlets are finer.
SURROUNDINGS_MM, SURROUNDINGS_DEG = 8.0, 24.0
#: How much cord is shown above the first and below the last level.
MARGIN_MM = 10.0
#: Cuts across the cord: half their width and height, their pixels, and the cuts of each level.
CUT_MM = (13.0, 10.0)
CUT_PIXEL_MM = 0.2
CUTS = (0.2, 0.5, 0.8)
#: Where cuts are made when there are no levels.
EVENLY = 8
#: Brightness that is shown as black and as white, percentiles.
WINDOW = (1.0, 99.5)
#: What is shown where there is no image.
NO_IMAGE = 60
#: How opaque areas are (of 255); their edges hide what is behind them.
AREA = 110


@dataclass(frozen=True)
class View:
    """A picture and what is known of its pixels.

    Attributes
    ----------
    gray : numpy.ndarray of uint8, shape (H, W)
    labels : numpy.ndarray of uint8, shape (H, W)
        Values of levels.
    kind : {"spinal", "vertebral"}
        Of the values.
    cord_edge : numpy.ndarray of bool, shape (H, W)
        Outline of the cord.
    rows, columns : (float, float)
        Positions at the upper and lower, and at the left and right edge: mm, or degrees around the cord.
    filled : bool
        Whether labels are shown as areas with outlines, or as outlines only.
    """

    gray: np.ndarray
    labels: np.ndarray
    kind: Kind
    cord_edge: np.ndarray
    rows: tuple[float, float]
    columns: tuple[float, float]
    filled: bool = True

    def overlay(self) -> np.ndarray:
        """Labels in their colours and the outline of the cord, shape (H, W, 4), uint8, transparent elsewhere."""
        picture = np.zeros((*self.labels.shape, 4), dtype=np.uint8)
        picture[self.cord_edge] = (255, 255, 255, 150)
        edge = edges(self.labels)
        for value in np.unique(self.labels[self.labels > 0]):
            color = ImageColor.getrgb(level_color(level_name(int(value), self.kind)))
            if self.filled:
                picture[self.labels == value] = (*color, AREA)
            picture[edge & (self.labels == value)] = (*color, 255)
        return picture


@dataclass(frozen=True)
class Cut:
    """Where a cut of the mosaic lies: arc length, level (0 for none), and column and row in the mosaic."""

    arc_mm: float
    level: int
    column: int
    row: int


def edges(labels: np.ndarray) -> np.ndarray:
    """Pixels of labels that have a neighbour of another value.

    Parameters
    ----------
    labels : numpy.ndarray, shape (H, W)
    """
    cross = ndimage.generate_binary_structure(2, 1)
    low, high = (filtered(labels, footprint=cross) for filtered in (ndimage.minimum_filter, ndimage.maximum_filter))
    return (labels > 0) & ((low != labels) | (high != labels))


def shown_arc(scan: Scan) -> tuple[float, float]:
    """First and last arc length of the views along the cord, in mm: all levels, and a little more."""
    line = scan.centerline
    levels = [level for kind in scan.kinds for level in kind.levels]
    if not levels:
        return 0.0, line.cord_length
    first = max(min(level.rostral_mm for level in levels) - MARGIN_MM, line.arc[0])
    last = min(max(level.caudal_mm for level in levels) + MARGIN_MM, line.cord_length)
    return float(first), float(max(last, first + MARGIN_MM))


def views_along(scan: Scan) -> dict[str, View]:
    """The midsagittal and the coronal view, straightened, and the unrolled surface if it shows anything, by name."""
    first, last = shown_arc(scan)
    arc = _centres(first, last, PIXEL_MM)
    rows = (first, first + len(arc) * PIXEL_MM)
    views = {"sagittal": _sagittal(scan, arc, rows), "coronal": _coronal(scan, arc, rows)}
    if scan.image is not None or scan.rootlets is not None:
        views["unrolled"] = _unrolled(scan, arc, rows)
    return views


def _centres(first: float, last: float, pixel: float) -> np.ndarray:
    return first + pixel * (np.arange(max(round((last - first) / pixel), 1)) + 0.5)


def _plane(scan: Scan, arc: np.ndarray, across: np.ndarray, view: str, depth: float = 0.0) -> np.ndarray:
    """Points of a straightened plane along the cord, shape (arc, across, 3), RAS+ mm."""
    _, right, anterior = scan.centerline.frame(arc)
    within, normal = (anterior, right) if view == "sagittal" else (right, anterior)
    points = scan.centerline.position(arc) + depth * normal
    return points[:, None] + across[None, :, None] * within[:, None]


def _sagittal(scan: Scan, arc: np.ndarray, rows: tuple[float, float]) -> View:
    """The cord coloured by spinal level, or by vertebral level where that is all there is."""
    points = _plane(scan, arc, _centres(*SAGITTAL_MM, PIXEL_MM), "sagittal")
    cord = values_at(scan.cord.data, scan.cord.affine, points) >= 0.5
    kinds = scan.kinds
    values = kinds[0].label(arc) if kinds else np.zeros(len(arc), dtype=np.uint8)
    labels = np.where(cord, values[:, None], 0).astype(np.uint8)
    kind: Kind = kinds[0].kind if kinds else "spinal"
    return View(_gray(scan.image, points), labels, kind, edges(cord), rows, SAGITTAL_MM)


def _coronal(scan: Scan, arc: np.ndarray, rows: tuple[float, float]) -> View:
    """Rootlets in front of and behind the plane are projected onto it."""
    across = _centres(*CORONAL_MM, PIXEL_MM)
    points = _plane(scan, arc, across, "coronal")
    labels = np.zeros(points.shape[:2], dtype=np.uint8)
    if scan.rootlets is not None:
        step = float(min(1.0, scan.rootlets.spacing.min()))  # no voxel is skipped
        for depth in np.arange(-DEPTH_MM, DEPTH_MM + step, step):
            seen = _values(scan.rootlets, _plane(scan, arc, across, "coronal", float(depth)))
            labels = np.maximum(labels, seen)
    cord = values_at(scan.cord.data, scan.cord.affine, points) >= 0.5
    return View(_gray(scan.image, points), labels, "spinal", edges(cord), rows, CORONAL_MM)


def _unrolled(scan: Scan, arc: np.ndarray, rows: tuple[float, float]) -> View:
    """Just outside the cord, from the front over the patient's left to the back, and over the right to the front."""
    angle = _centres(-180, 180, PIXEL_DEG)
    radius = surface_radius(scan.cord.data, scan.cord.affine, scan.centerline, arc, angle)
    labels = np.zeros(radius.shape, dtype=np.uint8)
    gray = np.full(radius.shape, NO_IMAGE, dtype=np.uint8)
    tubes = [radius + outside for outside in OUTSIDE_MM]
    if scan.rootlets is not None:
        for tube in tubes:
            volume = scan.rootlets
            seen = unroll(volume.data, volume.affine, scan.centerline, arc, angle, tube, order=0)
            labels = np.maximum(labels, np.rint(seen).astype(np.uint8))
    if scan.image is not None:
        volume = scan.image
        layers = [unroll(volume.data, volume.affine, scan.centerline, arc, angle, tube) for tube in tubes]
        gray = window(against_surroundings(np.nan_to_num(np.mean(layers, axis=0))))
    return View(gray, labels, "spinal", np.zeros(radius.shape, dtype=bool), rows, (-180.0, 180.0))


def against_surroundings(values: np.ndarray) -> np.ndarray:
    """Brightness of the unrolled surface against that around each place, 1 where there is no difference.

    Parameters
    ----------
    values : numpy.ndarray, shape (N, M)
        Rows `PIXEL_MM` apart, columns `PIXEL_DEG`.
    """
    usual = ndimage.gaussian_filter1d(values, SURROUNDINGS_MM / PIXEL_MM, axis=0, mode="nearest")
    usual = ndimage.gaussian_filter1d(usual, SURROUNDINGS_DEG / PIXEL_DEG, axis=1, mode="wrap")
    return values / np.maximum(usual, max(0.05 * float(np.median(usual)), 1e-6))


def mosaic(scan: Scan) -> tuple[View, list[Cut]]:
    """Cuts across the cord, a column of them for each spinal level, at a zoom that shows single rootlets.

    Returns
    -------
    view : View
        Anterior is up, the patient's right is on the right.
    cuts : list of Cut
    """
    cuts = _cuts(scan)
    columns, rows = (_centres(-half, half, CUT_PIXEL_MM) for half in CUT_MM)
    shape = (len(rows), len(columns))
    size = (shape[0] * (1 + max(cut.row for cut in cuts)), shape[1] * (1 + max(cut.column for cut in cuts)))
    gray, labels, edge = np.zeros(size, np.uint8), np.zeros(size, np.uint8), np.zeros(size, bool)
    for cut in cuts:
        place = tuple(slice(at * n, (at + 1) * n) for at, n in zip((cut.row, cut.column), shape, strict=True))
        _, right, anterior = scan.centerline.frame(cut.arc_mm)
        points = scan.centerline.position(cut.arc_mm) + columns[None, :, None] * right - rows[:, None, None] * anterior
        gray[place] = _gray(scan.image, points)
        edge[place] = edges(values_at(scan.cord.data, scan.cord.affine, points) >= 0.5)
        if scan.rootlets is not None:
            labels[place] = _values(scan.rootlets, points)
    width, height = size[1] * CUT_PIXEL_MM, size[0] * CUT_PIXEL_MM
    return View(gray, labels, "spinal", edge, (0.0, height), (0.0, width), filled=False), cuts


def _cuts(scan: Scan) -> list[Cut]:
    """Where a level's own rootlets lie, which may be only a part of the level; else by its ends."""
    if scan.spinal is None or not scan.spinal.levels:
        first, last = shown_arc(scan)
        return [Cut(float(arc), 0, i, 0) for i, arc in enumerate(np.linspace(first, last, EVENLY + 2)[1:-1])]
    arcs = rootlet_arcs(scan)
    cuts = []
    for column, level in enumerate(scan.spinal.levels):
        ends = np.array([level.rostral_mm, level.caudal_mm])
        own = arcs.get(level.value, ends)
        for row, at in enumerate(np.quantile(own, CUTS)):
            cuts.append(Cut(float(np.clip(at, *ends)), level.value, column, row))
    return cuts


def _gray(image: Volume | None, points: np.ndarray) -> np.ndarray:
    if image is None:
        return np.full(points.shape[:2], NO_IMAGE, dtype=np.uint8)
    return window(np.nan_to_num(values_at(image.data, image.affine, points)))


def _values(labels: Volume, points: np.ndarray) -> np.ndarray:
    return np.rint(values_at(labels.data, labels.affine, points, order=0)).astype(np.uint8)


def window(values: np.ndarray, percentiles: Sequence[float] = WINDOW) -> np.ndarray:
    """Brightness as 0 to 255.

    Parameters
    ----------
    values : numpy.ndarray
        Finite.
    percentiles : (float, float)
        What becomes 0 and 255.
    """
    low, high = np.percentile(values, percentiles)
    return np.rint(255 * np.clip((values - low) / max(high - low, 1e-6), 0, 1)).astype(np.uint8)
