"""Places along a cord that a template's cord has too: the middles of levels' rootlets, and discs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.centerline import Centerline
from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume, labelled_voxels
from sct_rootlets.levels import disc_name
from sct_rootlets.registration.arcmap import ArcMap, fit_arc_map
from sct_rootlets.spinal import CUT_BY_VIEW, spinal_levels
from sct_rootlets.vertebral import place_discs

Kind = Literal["rootlets", "discs"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Landmark:
    """A place along a cord.

    Attributes
    ----------
    kind : {"rootlets", "discs"}
    value : int
        In label maps.
    name : str
        Such as ``"C5"`` or ``"C4/C5"``.
    arc_mm, sd_mm : float
        Arc length and its uncertainty.
    half_length_mm : float
        Of a level's rootlets along the cord; 0 for a disc.
    cut : bool
        Whether the field of view may have cut it: its middle is not where it seems.
    """

    kind: Kind
    value: int
    name: str
    arc_mm: float
    sd_mm: float
    half_length_mm: float = 0.0
    cut: bool = False


@dataclass(frozen=True)
class Pair:
    """A landmark on the template and on the subject.

    Attributes
    ----------
    template, subject : Landmark
    used : bool
        Whether it takes part in the map.
    """

    template: Landmark
    subject: Landmark
    used: bool


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
    found = spinal_levels(ijk, values, rootlets.affine, rootlets.data.shape, cord_mm, centerline, "extent")
    landmarks = [
        Landmark(
            "rootlets",
            level.value,
            level.name,
            level.midpoint_mm,
            float(np.hypot(level.rostral_sd_mm, level.caudal_sd_mm) / 2),
            level.length_mm / 2,
            CUT_BY_VIEW in level.incomplete,
        )
        for level in found.levels
    ]
    return landmarks, found.notes


def disc_landmarks(
    points: dict[int, np.ndarray], affine: np.ndarray, centerline: Centerline
) -> tuple[list[Landmark], tuple[str, ...]]:
    """Discs along the cord.

    Parameters
    ----------
    points : dict of int to numpy.ndarray, shape (3,)
        As `sct_rootlets.vertebral.label_points` reads them, RAS+ mm.
    affine : numpy.ndarray, shape (4, 4)
        Of the volume they were read from.
    centerline : Centerline

    Returns
    -------
    landmarks : list of Landmark
    notes : tuple of str
    """
    discs, notes = place_discs(points, centerline, affine, least=1)
    return [Landmark("discs", disc.value, disc_name(disc.value), disc.arc_mm, disc.sd_mm) for disc in discs], tuple(
        notes
    )


def pair_landmarks(
    template: Sequence[Landmark], subject: Sequence[Landmark], kinds: Sequence[Kind]
) -> tuple[list[Pair], list[str]]:
    """Pair landmarks by kind and value.

    A label that the template lacks is left out, and so is one that the field of view cuts, if others remain.

    Parameters
    ----------
    template, subject : sequence of Landmark
    kinds : sequence of {"rootlets", "discs"}
        What takes part in the map.

    Returns
    -------
    pairs : list of Pair
        Ordered along the template.
    notes : list of str

    Raises
    ------
    LabelError
        If nothing is common to both.
    """
    there = {(one.kind, one.value): one for one in template}
    common = [(there[one.kind, one.value], one) for one in subject if (one.kind, one.value) in there]
    common.sort(key=lambda both: both[0].arc_mm)
    lacking = [one for one in subject if one.kind in kinds and (one.kind, one.value) not in there]
    notes = [f"the template has no {one.name} ({one.kind}): left out" for one in lacking]
    wanted = [both for both in common if both[0].kind in kinds]
    if not wanted:
        raise LabelError(_nothing_common(template, subject, kinds))
    # Cut by the template's own end counts as little as cut by the scan's.
    whole = [both for both in wanted if not (both[0].cut or both[1].cut)]
    used = whole or wanted
    for both in wanted:
        if both not in used:
            notes.append(f"{both[1].name}: the field of view may cut its rootlets: not used as a landmark")
    if not whole:
        notes.append("the field of view may cut all levels that are used: positions along the cord are uncertain")
    return [Pair(*both, both in used) for both in common], notes


def _nothing_common(template: Sequence[Landmark], subject: Sequence[Landmark], kinds: Sequence[Kind]) -> str:
    def listed(landmarks: Sequence[Landmark]) -> str:
        return ", ".join(one.name for one in landmarks if one.kind in kinds) or "none"

    what = " and ".join(kinds)
    return (
        f"no label of the {what} is common to the subject ({listed(subject)}) and the template ({listed(template)}); "
        "check the values of the labels, or choose other landmarks"
    )


def arc_map(pairs: Sequence[Pair]) -> ArcMap:
    """The map of arc length through the landmarks that are used, each weighted by its uncertainty."""
    used = [pair for pair in pairs if pair.used]
    sd = np.hypot([pair.template.sd_mm for pair in used], [pair.subject.sd_mm for pair in used])
    return fit_arc_map(
        [pair.template.arc_mm for pair in used],
        [pair.subject.arc_mm for pair in used],
        1 / np.maximum(sd, 0.1) ** 2,
    )


def errors(pairs: Sequence[Pair]) -> list[tuple[float, float | None]]:
    """How far the map misses each landmark along the subject's cord, in mm: with it, and without it.

    Parameters
    ----------
    pairs : sequence of Pair

    Returns
    -------
    list of (float, float or None)
        The map's place minus the landmark's: by the map as it is, and by one through the other landmarks (None where
        there is no other). Of a landmark that is not used, both are the same.
    """
    everything = arc_map(pairs)
    result: list[tuple[float, float | None]] = []
    for pair in pairs:
        miss = float(everything(pair.template.arc_mm)) - pair.subject.arc_mm
        others = [other for other in pairs if other is not pair and other.used]
        without: float | None = miss
        if pair.used:
            without = float(arc_map(others)(pair.template.arc_mm)) - pair.subject.arc_mm if others else None
        result.append((miss, without))
    return result
