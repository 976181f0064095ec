"""Views of the page along the cord: the straightened planes and the unrolled surface.

All views share their rows: things side by side lie at the same place of the cord.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from sct_rootlets.report.page.picture import NO_IMAGE_GRAY, View, edges, pixel_centers, window
from sct_rootlets.straighten import Plane, arc_around, project_labels, sample_plane, surface_radius, unroll
from sct_rootlets.subject import SubjectLevels

#: Pixels of the views, and their reach from the centerline: posterior to anterior, and left to right.
PIXEL_MM = 0.2
SAGITTAL_MM = (-15.0, 30.0)
CORONAL_MM = (-20.0, 20.0)
#: Rootlets this far in front of and behind the centerline are projected onto the coronal view.
ROOTLET_DEPTH_MM = 8.0
#: Pixels around the cord, and distances outside its surface at which the unrolled image is sampled and averaged: clear
#: of the cord itself, within the fluid.
PIXEL_DEG = 1.0
AROUND_DEG = (-180.0, 180.0)
OUTSIDE_MM = (1.0, 1.5, 2.0)
#: Standard deviations, along the cord and around it, of the surroundings that the unrolled image is divided by: they
#: differ in brightness because of coils and of the thickness of the fluid. Rootlets are finer.
SURROUNDINGS_SD_MM, SURROUNDINGS_SD_DEG = 8.0, 24.0
#: Length of cord that is shown above the first and below the last level.
MARGIN_MM = 10.0


@dataclass(frozen=True)
class Rows:
    """The rows that all views along the cord share.

    Attributes
    ----------
    arc : numpy.ndarray, shape (H,)
        Arc length of each row in mm.
    ends : (float, float)
        Arc length of the upper and the lower edge.
    """

    arc: np.ndarray
    ends: tuple[float, float]

    @classmethod
    def between(cls, first: float, last: float) -> Rows:
        """Make rows of `PIXEL_MM` from one arc length to another."""
        arc = pixel_centers(first, last, PIXEL_MM)
        return cls(arc, (first, first + len(arc) * PIXEL_MM))


@dataclass(frozen=True, kw_only=True)
class ViewAlong:
    """A view along the cord: how it is drawn, and how the page describes it.

    Attributes
    ----------
    title : str
        Title of the picture with labels.
    ends : tuple of str
        Directions that are written below the picture, from its left to its right.
    draw : callable
        Draws the view of a subject; None if there is nothing to draw.
    unit : {"mm", "deg"}
        Unit of the columns, from which the page takes the width.
    title_without_labels : str, optional
        Title of a second picture, left of the first and without labels; by default there is none.
    shows_discs : bool
        Whether the page marks the discs on the picture.
    """

    title: str
    ends: tuple[str, ...]
    draw: Callable[[SubjectLevels, Rows], View | None]
    unit: Literal["mm", "deg"] = "mm"
    title_without_labels: str | None = None
    shows_discs: bool = False


def views_along(subject: SubjectLevels) -> dict[str, View]:
    """Draw the views of `VIEWS` that show anything of a subject, by name."""
    rows = Rows.between(*shown_arc(subject))
    drawn = {name: described.draw(subject, rows) for name, described in VIEWS.items()}
    return {name: view for name, view in drawn.items() if view is not None}


def shown_arc(subject: SubjectLevels) -> tuple[float, float]:
    """Return the arc length in mm at which views along the cord begin and end.

    They show all spinal levels, the vertebrae that these are compared with, and `MARGIN_MM` more; without spinal
    levels, all vertebrae. Vertebrae further down would take the room of the rootlets.
    """
    levels = [level for kind in subject.kinds[:1] for level in kind.levels]
    levels += [pair.vertebral for pair in subject.shifted_pairs]
    if not levels:
        return 0.0, subject.centerline.cord_length
    first, last = arc_around(levels, subject.centerline, MARGIN_MM)
    return first, max(last, first + MARGIN_MM)


def _sagittal(subject: SubjectLevels, rows: Rows) -> View:
    """Draw the midsagittal plane, the cord coloured by spinal level, or by vertebral level if there are no others."""
    across = pixel_centers(*SAGITTAL_MM, PIXEL_MM)
    cord = _cord(subject, rows, across, "sagittal")
    kinds = subject.kinds
    values = kinds[0].label(rows.arc) if kinds else np.zeros(len(rows.arc), dtype=np.uint8)
    return View(
        gray=_gray(subject, rows, across, "sagittal"),
        labels=np.where(cord, values[:, None], 0).astype(np.uint8),
        kind=kinds[0].kind if kinds else "spinal",
        cord_edge=edges(cord),
        rows=rows.ends,
        columns=SAGITTAL_MM,
    )


def _coronal(subject: SubjectLevels, rows: Rows) -> View:
    """Draw the coronal plane, and project the rootlets in front of and behind it onto it."""
    across = pixel_centers(*CORONAL_MM, PIXEL_MM)
    labels = np.zeros((len(rows.arc), len(across)), dtype=np.uint8)
    if subject.rootlets is not None:
        step = float(min(1.0, subject.rootlets.spacing.min()))  # no voxel is skipped
        depths = np.arange(-ROOTLET_DEPTH_MM, ROOTLET_DEPTH_MM + step, step)
        labels = project_labels(subject.rootlets, subject.centerline, rows.arc, across, "coronal", depths)
    return View(
        gray=_gray(subject, rows, across, "coronal"),
        labels=labels,
        cord_edge=edges(_cord(subject, rows, across, "coronal")),
        rows=rows.ends,
        columns=CORONAL_MM,
    )


def _unrolled(subject: SubjectLevels, rows: Rows) -> View | None:
    """Draw the tube just outside the cord, from the front over the patient's left, the back and the right."""
    if subject.image is None and subject.rootlets is None:
        return None
    line, angle = subject.centerline, pixel_centers(*AROUND_DEG, PIXEL_DEG)
    radius = surface_radius(subject.cord, line, rows.arc, angle)
    labels = np.zeros(radius.shape, dtype=np.uint8)
    gray = np.full(radius.shape, NO_IMAGE_GRAY, dtype=np.uint8)
    tubes = [radius + outside for outside in OUTSIDE_MM]
    if subject.rootlets is not None:
        for tube in tubes:
            layer = unroll(subject.rootlets, line, rows.arc, angle, tube, order=0)
            labels = np.maximum(labels, np.rint(layer).astype(np.uint8))
    if subject.image is not None:
        layers = [unroll(subject.image, line, rows.arc, angle, tube) for tube in tubes]
        gray = window(normalize_local_intensity(np.nan_to_num(np.mean(layers, axis=0))))
    return View(
        gray=gray,
        labels=labels,
        cord_edge=np.zeros(radius.shape, dtype=bool),
        rows=rows.ends,
        columns=AROUND_DEG,
    )


def _cord(subject: SubjectLevels, rows: Rows, across: np.ndarray, plane: Plane) -> np.ndarray:
    """Sample the cord mask on a straightened plane."""
    return sample_plane(subject.cord, subject.centerline, rows.arc, across, plane) >= 0.5


def _gray(subject: SubjectLevels, rows: Rows, across: np.ndarray, plane: Plane) -> np.ndarray:
    """Sample the image, if there is one, on a straightened plane."""
    if subject.image is None:
        return np.full((len(rows.arc), len(across)), NO_IMAGE_GRAY, dtype=np.uint8)
    return window(sample_plane(subject.image, subject.centerline, rows.arc, across, plane))


def normalize_local_intensity(values: np.ndarray) -> np.ndarray:
    """Divide the brightness of the unrolled surface by that of the surroundings of each place.

    Parameters
    ----------
    values : numpy.ndarray, shape (N, M)
        Brightness of rows `PIXEL_MM` apart and columns `PIXEL_DEG` apart.

    Returns
    -------
    numpy.ndarray, shape (N, M)
        1 where a place is as bright as its surroundings.
    """
    usual = ndimage.gaussian_filter1d(values, SURROUNDINGS_SD_MM / PIXEL_MM, axis=0, mode="nearest")
    usual = ndimage.gaussian_filter1d(usual, SURROUNDINGS_SD_DEG / PIXEL_DEG, axis=1, mode="wrap")
    return values / np.maximum(usual, max(0.05 * float(np.median(usual)), 1e-6))


#: Views along the cord by name, in the order of the page.
VIEWS: dict[str, ViewAlong] = {
    "sagittal": ViewAlong(
        title="midsagittal",
        ends=("posterior", "anterior"),
        draw=_sagittal,
        shows_discs=True,
    ),
    "coronal": ViewAlong(
        title="coronal",
        ends=("left", "right"),
        draw=_coronal,
    ),
    "unrolled": ViewAlong(
        title="the same, with labels",
        ends=("front", "left", "back", "right", "front"),
        draw=_unrolled,
        unit="deg",
        title_without_labels="surface of the cord, unrolled",
    ),
}
