"""The view of the page across the cord: a mosaic of cuts, a row for each spinal level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from sct_rootlets.image import values_at
from sct_rootlets.report.page.picture import NO_IMAGE_GRAY, View, contrast_window, edges, pixel_centers, window
from sct_rootlets.report.page.views import shown_arc
from sct_rootlets.straighten import section_points
from sct_rootlets.subject import SubjectLevels

TITLE = "across the cord"
#: Half the width and half the height of a cut, and its pixels: single rootlets show.
HALF_SIZE_MM = (13.0, 10.0)
PIXEL_MM = 0.2
#: Cuts of a level, as quantiles of the arc length of its rootlets.
CUT_QUANTILES = (0.2, 0.5, 0.8)
#: Distances from the cord between which there is fluid, and quantiles of brightness there that are fluid and not
#: rootlets: one where fluid is brighter than the cord, one where it is darker.
FLUID_MM, FLUID_QUANTILES = (0.6, 2.4), (0.75, 0.25)
#: Number of cuts, evenly spaced, if there are no levels.
N_CUTS_WITHOUT_LEVELS = 8


@dataclass(frozen=True)
class Cut:
    """A cut of the mosaic.

    Attributes
    ----------
    arc_mm : float
        Place of the cut along the cord.
    level : int
        Value of the spinal level, 0 for none.
    column, row : int
        Place of the cut in the mosaic.
    """

    arc_mm: float
    level: int
    column: int
    row: int


def mosaic(subject: SubjectLevels, ends: tuple[float, float] | None = None) -> tuple[View, list[Cut]]:
    """Draw cuts across the cord, a row of them for each spinal level, in a window of its own from cord to fluid.

    Parameters
    ----------
    subject : SubjectLevels
    ends : (float, float), optional
        Arc length in mm between which cuts lie if there are no levels; by default, those of the views along the cord.

    Returns
    -------
    view : View
        Anterior is up, the patient's right is on the right.
    cuts : list of Cut
    """
    cuts = _cuts(subject, ends or shown_arc(subject))
    right, behind = (pixel_centers(-half, half, PIXEL_MM) for half in HALF_SIZE_MM)
    shape = (len(behind), len(right))
    size = (shape[0] * (1 + max(cut.row for cut in cuts)), shape[1] * (1 + max(cut.column for cut in cuts)))
    gray, labels, edge = np.full(size, NO_IMAGE_GRAY, np.uint8), np.zeros(size, np.uint8), np.zeros(size, bool)
    image, cord, rootlets = subject.image, subject.cord, subject.rootlets
    for row in range(1 + max(cut.row for cut in cuts)):
        in_row = [cut for cut in cuts if cut.row == row]
        points = np.stack([section_points(subject.centerline, cut.arc_mm, right, -behind) for cut in in_row])
        inside = values_at(cord.data, cord.affine, points) >= 0.5
        shown = None if image is None else level_window(values_at(image.data, image.affine, points), inside)
        for at, cut in enumerate(in_row):
            tile = tuple(slice(place * n, (place + 1) * n) for place, n in zip((row, cut.column), shape, strict=True))
            edge[tile] = edges(inside[at])
            if shown is not None:
                gray[tile] = shown[at]
            if rootlets is not None:
                nearest = values_at(rootlets.data, rootlets.affine, points[at], order=0)
                labels[tile] = np.rint(nearest).astype(np.uint8)
    height, width = (n * PIXEL_MM for n in size)
    view = View(gray=gray, labels=labels, cord_edge=edge, rows=(0.0, height), columns=(0.0, width), filled=False)
    return view, cuts


def level_window(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Scale the brightness of the cuts of a level by that of their cord and of the fluid around it.

    Parameters
    ----------
    values : numpy.ndarray, shape (N, H, W)
        Brightness of cuts, pixels `PIXEL_MM` apart.
    inside : numpy.ndarray of bool, shape (N, H, W)
        Where the cord is.

    Returns
    -------
    numpy.ndarray of uint8, shape (N, H, W)
        See `sct_rootlets.report.page.picture.contrast_window`; without a cord, between percentiles.
    """
    values = np.nan_to_num(values)
    distance = [PIXEL_MM * ndimage.distance_transform_edt(~one) if one.any() else np.zeros(one.shape) for one in inside]
    around = (np.array(distance) >= FLUID_MM[0]) & (np.array(distance) <= FLUID_MM[1])
    if not inside.any() or not around.any():
        return window(values)
    cord = float(np.median(values[inside]))
    is_brighter = np.median(values[around]) >= cord
    return contrast_window(values, cord, float(np.quantile(values[around], FLUID_QUANTILES[0 if is_brighter else 1])))


def _cuts(subject: SubjectLevels, ends: tuple[float, float]) -> list[Cut]:
    """Place the cuts of each level where its own rootlets lie, which may be a part of it; else between its ends."""
    if subject.spinal is None or not subject.spinal.levels:
        places = np.linspace(*ends, N_CUTS_WITHOUT_LEVELS + 2)[1:-1]
        return [Cut(float(arc), 0, 0, row) for row, arc in enumerate(places)]
    cuts = []
    for row, level in enumerate(subject.spinal.levels):
        of_level = np.array([level.rostral_mm, level.caudal_mm])
        own = subject.rootlet_arcs.get(level.value, of_level)
        for column, arc in enumerate(np.quantile(own, CUT_QUANTILES)):
            cuts.append(Cut(float(np.clip(arc, *of_level)), level.value, column, row))
    return cuts
