"""Landmarks of a cord: the middle of each level's rootlets, and discs, as arc lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.centerline import Centerline
from sct_rootlets.image import Volume, labelled_voxels
from sct_rootlets.levels import disc_name
from sct_rootlets.spinal import CUT_BY_VIEW, spinal_levels
from sct_rootlets.vertebral import place_discs

LandmarkKind = Literal["rootlets", "discs"]


@dataclass(frozen=True, kw_only=True)
class Landmark:
    """A position along a cord that other cords have too.

    Attributes
    ----------
    kind : {"rootlets", "discs"}
    value : int
        Value in label maps.
    name : str
        Such as ``"C5"`` or ``"C4/C5"``.
    arc_mm, sd_mm : float
        Arc length and its uncertainty.
    half_length_mm : float
        Half of the length of a level's rootlets along the cord; 0 for a disc.
    cut : bool
        Whether the field of view may have cut the level, so that its middle is not where it seems.
    """

    kind: LandmarkKind
    value: int
    name: str
    arc_mm: float
    sd_mm: float
    half_length_mm: float = 0.0
    cut: bool = False


def rootlet_landmarks(rootlets: Volume, mask: Volume, centerline: Centerline) -> tuple[list[Landmark], tuple[str, ...]]:
    """Find the middle of each level's rootlets along the cord, where they attach (`spinal_levels`, method ``extent``).

    Parameters
    ----------
    rootlets : Volume
        2 for C2 and so on.
    mask : Volume
        The cord.
    centerline : Centerline

    Returns
    -------
    landmarks : list of Landmark
    notes : tuple of str
    """
    ijk, values = labelled_voxels(rootlets)
    cord_mm = apply_affine(mask.affine, np.argwhere(mask.data))
    levels = spinal_levels(ijk, values, rootlets.affine, rootlets.data.shape, cord_mm, centerline, "extent")
    landmarks = [
        Landmark(
            kind="rootlets",
            value=level.value,
            name=level.name,
            arc_mm=level.midpoint_mm,
            sd_mm=float(np.hypot(level.rostral_sd_mm, level.caudal_sd_mm) / 2),
            half_length_mm=level.length_mm / 2,
            cut=CUT_BY_VIEW in level.incomplete,
        )
        for level in levels.levels
    ]
    return landmarks, levels.notes


def disc_landmarks(
    points: dict[int, np.ndarray], affine: np.ndarray, centerline: Centerline
) -> tuple[list[Landmark], tuple[str, ...]]:
    """Find the position of each disc along the cord.

    Parameters
    ----------
    points : dict of int to numpy.ndarray, shape (3,)
        RAS+ mm, as `sct_rootlets.vertebral.label_points` reads them.
    affine : numpy.ndarray, shape (4, 4)
        Affine of the volume that the points were read from.
    centerline : Centerline

    Returns
    -------
    landmarks : list of Landmark
    notes : tuple of str
    """
    discs, notes = place_discs(points, centerline, affine, least=1)
    landmarks = [
        Landmark(kind="discs", value=disc.value, name=disc_name(disc.value), arc_mm=disc.arc_mm, sd_mm=disc.sd_mm)
        for disc in discs
    ]
    return landmarks, tuple(notes)
