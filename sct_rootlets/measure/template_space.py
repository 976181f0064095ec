"""Shape of a cord in the dimensions of PAM50: at the template's slices, aligned by vertebrae."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sct_rootlets.cord_profile import PAM50_DISCS_MM, PAM50_SLICE_MM
from sct_rootlets.measure.axial import interpolate_axial
from sct_rootlets.measure.cord_levels import CordLevels
from sct_rootlets.measure.shape import AXIAL, MEASURES, SliceShapes


@dataclass(frozen=True, kw_only=True)
class TemplateShapes:
    """Shape of a cord at slices of PAM50, from inferior to superior.

    Attributes
    ----------
    slices : numpy.ndarray of int, shape (N,)
        Slices of the template, 0.5 mm each.
    vertebrae : numpy.ndarray of int, shape (N,)
        Vertebral level of each slice.
    coordinate : numpy.ndarray, shape (N,)
        Vertebral coordinate, such as 3.5 for the middle of vertebra C3.
    values : dict of str to numpy.ndarray, shape (N,)
        `MEASURES`; sizes are those of the subject, and only places are those of the template.
    """

    slices: np.ndarray
    vertebrae: np.ndarray
    coordinate: np.ndarray
    values: dict[str, np.ndarray]


def interpolate_to_template(shapes: SliceShapes, cord: CordLevels) -> TemplateShapes:
    """Interpolate the shape of slices to the slices of PAM50.

    Parameters
    ----------
    shapes : SliceShapes
        Of the cord of `cord`.
    cord : CordLevels

    Returns
    -------
    TemplateShapes
        Only slices in complete vertebral levels from C1 to T3; none without vertebral levels.
    """
    discs = np.array(PAM50_DISCS_MM)
    slices = np.arange(round(discs[-1] / PAM50_SLICE_MM), round(discs[0] / PAM50_SLICE_MM))
    height = slices * PAM50_SLICE_MM
    vertebrae = (discs[:, None] > height).sum(axis=0)
    upper, lower = discs[vertebrae - 1], discs[np.minimum(vertebrae, len(discs) - 1)]
    share = (upper - height) / (upper - lower)
    arc = np.full(len(slices), np.nan)
    for level in cord.levels.get("vertebral", ()):
        if level.has_known_ends:
            inside = vertebrae == level.value
            arc[inside] = level.rostral_mm + share[inside] * (level.caudal_mm - level.rostral_mm)
    own = cord.slice_arc_mm[shapes.slices]
    usable = np.isfinite(own) & np.isfinite(shapes.values["area"])
    own, order = own[usable], np.argsort(own[usable])
    found = np.zeros(len(arc), dtype=bool)
    if len(own):
        found = (arc >= own.min()) & (arc <= own.max())
    values = {}
    for name in MEASURES:
        interpolate = interpolate_axial if name in AXIAL else np.interp
        given = shapes.values[name][usable][order]
        values[name] = interpolate(arc[found], own[order], given) if found.any() else np.zeros(0)
    return TemplateShapes(
        slices=slices[found],
        vertebrae=vertebrae[found],
        coordinate=(vertebrae + share)[found],
        values=values,
    )
