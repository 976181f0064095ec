"""The view of the page across the cord: a mosaic of cuts, a column for each spinal level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sct_rootlets.image import values_at
from sct_rootlets.report.page.picture import NO_IMAGE_GRAY, View, edges, pixel_centers, window
from sct_rootlets.report.page.views import shown_arc
from sct_rootlets.straighten import section_points
from sct_rootlets.subject import SubjectLevels

TITLE = "Across the cord (left of the picture: the patient's left)"
#: Half the width and half the height of a cut, and its pixels: single rootlets show.
HALF_SIZE_MM = (13.0, 10.0)
PIXEL_MM = 0.2
#: Cuts of a level, as quantiles of the arc length of its rootlets.
CUT_QUANTILES = (0.2, 0.5, 0.8)
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


def mosaic(subject: SubjectLevels) -> tuple[View, list[Cut]]:
    """Draw cuts across the cord, a column of them for each spinal level.

    Returns
    -------
    view : View
        Anterior is up, the patient's right is on the right.
    cuts : list of Cut
    """
    cuts = _cuts(subject)
    right, behind = (pixel_centers(-half, half, PIXEL_MM) for half in HALF_SIZE_MM)
    shape = (len(behind), len(right))
    size = (shape[0] * (1 + max(cut.row for cut in cuts)), shape[1] * (1 + max(cut.column for cut in cuts)))
    gray, labels, edge = np.full(size, NO_IMAGE_GRAY, np.uint8), np.zeros(size, np.uint8), np.zeros(size, bool)
    image, cord, rootlets = subject.image, subject.cord, subject.rootlets
    for cut in cuts:
        tile = tuple(slice(place * n, (place + 1) * n) for place, n in zip((cut.row, cut.column), shape, strict=True))
        points = section_points(subject.centerline, cut.arc_mm, right, -behind)
        if image is not None:
            gray[tile] = window(values_at(image.data, image.affine, points))
        edge[tile] = edges(values_at(cord.data, cord.affine, points) >= 0.5)
        if rootlets is not None:
            labels[tile] = np.rint(values_at(rootlets.data, rootlets.affine, points, order=0)).astype(np.uint8)
    height, width = (n * PIXEL_MM for n in size)
    view = View(gray=gray, labels=labels, cord_edge=edge, rows=(0.0, height), columns=(0.0, width), filled=False)
    return view, cuts


def _cuts(subject: SubjectLevels) -> list[Cut]:
    """Place the cuts of each level where its own rootlets lie, which may be a part of it; else between its ends."""
    if subject.spinal is None or not subject.spinal.levels:
        places = np.linspace(*shown_arc(subject), N_CUTS_WITHOUT_LEVELS + 2)[1:-1]
        return [Cut(float(arc), 0, column, 0) for column, arc in enumerate(places)]
    cuts = []
    for column, level in enumerate(subject.spinal.levels):
        ends = np.array([level.rostral_mm, level.caudal_mm])
        own = subject.rootlet_arcs.get(level.value, ends)
        for row, arc in enumerate(np.quantile(own, CUT_QUANTILES)):
            cuts.append(Cut(float(np.clip(arc, *ends)), level.value, column, row))
    return cuts
