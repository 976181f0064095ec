"""Spinal levels from rootlets: where along the cord each level's rootlets attach.

Arrays in, values out; positions are mm of arc length along the centerline. Definitions, and what is done about
stray voxels, are in ``docs/methods.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from nibabel.affines import apply_affine
from scipy.spatial import cKDTree

from sct_rootlets.centerline import Centerline
from sct_rootlets.errors import LabelError
from sct_rootlets.image import superior_axis, voxel_length
from sct_rootlets.levels import FIRST_ROOTLET, LAST_ROOTLET, ROOTS, Level, Levels, level_name

Method = Literal["segment", "extent", "midgap"]
METHODS: tuple[str, ...] = get_args(Method)

#: How far from the cord rootlets count, as in Valošek 2024: 3 voxels of 0.8 mm.
DISTANCE_MM = 2.4
#: Rootlets of one level that lie further apart than this along the cord are separate runs.
RUN_GAP_MM = 5.0
#: A run with less than this share of the rootlets of its level never stands for the level.
RUN_SHARE = 0.25
#: An end of a level needs this share of its voxels (and two of them) within the window behind it.
END_SUPPORT, END_WINDOW_MM = 0.05, 2.0
#: A level that ends closer than this to an end of the cord mask may go on beyond it.
CUT_MM = 2.0
#: Rootlets attaching more than this angle ventral of the cord's widest line are ventral ones. The angle is that of
#: the cross-section stretched to a circle; PAM50's rootlets leave a gap around it between dorsal and ventral.
VENTRAL_DEG = 20.0


@dataclass(frozen=True)
class _Rootlets:
    """Rootlet voxels near the cord: the evidence for the levels."""

    value: np.ndarray  # level of each voxel
    arc: np.ndarray  # mm
    length: np.ndarray  # of each voxel along the cord, mm
    root: np.ndarray  # index into ROOTS
    at_edge: np.ndarray  # whether the voxel lies on the first or last slice of the volume

    def __getitem__(self, index: np.ndarray) -> _Rootlets:
        return _Rootlets(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.arc)


def spinal_levels(
    ijk: np.ndarray,
    values: np.ndarray,
    affine: np.ndarray,
    shape: tuple[int, ...],
    cord_mm: np.ndarray,
    centerline: Centerline,
    method: Method = "segment",
    distance_mm: float = DISTANCE_MM,
) -> Levels:
    """Spinal levels from the voxels of a rootlet map.

    Parameters
    ----------
    ijk : numpy.ndarray of int, shape (N, 3)
        Indices of the rootlet voxels.
    values : numpy.ndarray of int, shape (N,)
        Their levels, 2 for C2 and so on; dorsal and ventral rootlets of a level share its value.
    affine : numpy.ndarray, shape (4, 4)
        Voxel indices to RAS+ mm.
    shape : tuple of int
        Shape of the rootlet map.
    cord_mm : numpy.ndarray, shape (M, 3)
        Centres of the voxels of the cord mask in RAS+ mm.
    centerline : Centerline
    method : {"segment", "extent", "midgap"}
        ``extent``: from the first to the last place where the level's rootlets touch the cord dilated by
        ``distance_mm`` (Valošek 2024, doi 10.1162/imag_a_00218); leaves gaps. ``segment``: from the caudal end of
        the level above to the caudal end of this one; no gaps. ``midgap``: boundaries halfway between neighbours;
        no gaps.
    distance_mm : float
        Rootlets further than this from the cord do not count: they have run caudally from where they attach.

    Returns
    -------
    Levels
        Ordered from rostral to caudal, never overlapping. Levels that lie in the wrong place are left out and
        named in the notes.

    Raises
    ------
    LabelError
        If a value is no level, no rootlet lies near the cord, or most levels are in the wrong order.
    ValueError
        If the method is unknown or the distance is not positive.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    if not distance_mm > 0:
        raise ValueError(f"the distance must be a positive number of mm, not {distance_mm}")
    _check_values(values)
    rootlets = _near_cord(ijk, values, affine, shape, cord_mm, centerline, distance_mm)
    runs, notes = _runs_in_order(rootlets)
    extents, stray_notes = _without_overlap([_extent(run, centerline.cord_length) for run in runs])
    levels = {"extent": _as_extents, "segment": _as_segments, "midgap": _as_midgaps}[method](extents)
    missing = sorted(set(np.unique(values).tolist()) - set(rootlets.value.tolist()))
    notes += [
        f"{level_name(value, 'spinal')}: none of its rootlets lies within {distance_mm:g} mm of the cord: left out"
        for value in missing
    ]
    return Levels("spinal", method, tuple(levels), tuple(notes + stray_notes))


def _check_values(values: np.ndarray) -> None:
    wrong = sorted(set(np.unique(values).tolist()) - set(range(FIRST_ROOTLET, LAST_ROOTLET + 1)))
    if wrong:
        raise LabelError(
            f"the rootlet map holds the value {wrong[0]}, which is no level; rootlets have the values "
            f"{FIRST_ROOTLET} (C2) to {LAST_ROOTLET} (S5), with 9 for T1"
        )


def _near_cord(
    ijk: np.ndarray,
    values: np.ndarray,
    affine: np.ndarray,
    shape: tuple[int, ...],
    cord_mm: np.ndarray,
    centerline: Centerline,
    distance_mm: float,
) -> _Rootlets:
    """The rootlet voxels whose centre lies within a distance of the cord mask's surface."""
    points = apply_affine(affine, ijk)
    distance, closest = cKDTree(cord_mm).query(points)
    # From the centre of the closest cord voxel to its face: without this, coarse voxels would shorten the reach.
    toward = (points - cord_mm[closest]) / np.maximum(distance, 1e-6)[:, None]
    distance -= voxel_length(affine, toward) / 2
    near = distance <= distance_mm + 1e-6
    if not near.any():
        raise LabelError(
            f"no rootlet lies within {distance_mm:g} mm of the cord mask (the closest is "
            f"{distance.min():.3g} mm away); check that both belong to the same scan"
        )
    ijk, points = ijk[near], points[near]
    projection = centerline.project(points)
    caudal, right, anterior = centerline.frame(projection.arc)
    axis, _ = superior_axis(affine)
    return _Rootlets(
        value=values[near],
        arc=projection.arc,
        length=voxel_length(affine, caudal),
        root=_roots(points - projection.foot, right, anterior, cord_mm, centerline),
        at_edge=(ijk[:, axis] == 0) | (ijk[:, axis] == shape[axis] - 1),
    )


def _roots(
    offset: np.ndarray, right: np.ndarray, anterior: np.ndarray, cord_mm: np.ndarray, centerline: Centerline
) -> np.ndarray:
    """Which root each voxel near the cord belongs to (index into `ROOTS`), by the angle at which it attaches.

    The plane through the centerline does not tell dorsal from ventral: dorsal rootlets attach near the widest
    line of the cord and soon run ventrally.
    """
    cord = cord_mm[:: max(1, len(cord_mm) // 5000)]
    cord_foot = centerline.project(cord)
    _, cord_right, cord_anterior = centerline.frame(cord_foot.arc)
    half_width, half_depth = (
        2 * np.std(np.einsum("ij,ij->i", cord - cord_foot.foot, axes)) for axes in (cord_right, cord_anterior)
    )  # twice the standard deviation of a filled ellipse is its half axis
    to_right = np.einsum("ij,ij->i", offset, right) / half_width
    to_anterior = np.einsum("ij,ij->i", offset, anterior) / half_depth
    ventral = np.degrees(np.arctan2(to_anterior, np.abs(to_right))) > VENTRAL_DEG
    return 2 * ventral + (to_right > 0)


def _runs_in_order(rootlets: _Rootlets) -> tuple[list[_Rootlets], list[str]]:
    """One run of voxels a level, such that levels follow one another caudally and the most voxels are kept.

    Rootlets of a level are split into runs where the cord shows none of them for a while. Of the runs that hold
    a fair share of their level, the heaviest selection in which a higher level lies further caudally is kept
    (weighted longest increasing subsequence).
    """
    candidates: list[_Rootlets] = []
    for value in np.unique(rootlets.value):
        level = rootlets[rootlets.value == value]
        level = level[np.argsort(level.arc, kind="stable")]
        gap = np.maximum(RUN_GAP_MM, 1.5 * level.length[1:])  # thick slices leave gaps of one slice
        runs = [level[part] for part in np.split(np.arange(len(level)), np.flatnonzero(np.diff(level.arc) > gap) + 1)]
        heaviest = max(len(run) for run in runs)
        candidates += [run for run in runs if len(run) >= min(heaviest, RUN_SHARE * len(level))]

    middle = [(run.arc[0] + run.arc[-1]) / 2 for run in candidates]
    best: list[tuple[int, list[int]]] = []  # (voxels kept, runs) of the best selection that ends with each run
    for i, run in enumerate(candidates):
        above = [best[j] for j in range(i) if candidates[j].value[0] < run.value[0] and middle[j] < middle[i]]
        kept, chosen = max(above, default=(0, []), key=lambda selection: selection[0])
        best.append((kept + len(run), [*chosen, i]))
    runs = [candidates[i] for i in max(best, key=lambda selection: selection[0])[1]]

    kept_middle = {int(candidates[i].value[0]): middle[i] for i in max(best, key=lambda selection: selection[0])[1]}
    misplaced = [i for i, run in enumerate(candidates) if run.value[0] not in kept_middle]
    names = [level_name(value, "spinal") for value in sorted({int(candidates[i].value[0]) for i in misplaced})]
    if len(names) > len(runs):
        raise LabelError(
            "the rootlet levels do not follow one another from rostral to caudal (out of place: "
            f"{', '.join(names)}); check the values of the rootlet map and its orientation"
        )
    notes = []
    for i in misplaced:
        value = int(candidates[i].value[0])
        passed = [
            level_name(other, "spinal") for other, at in kept_middle.items() if (other < value) == (at > middle[i])
        ]
        notes.append(
            f"{level_name(value, 'spinal')}: its rootlets lie on the wrong side of {' and '.join(passed)}: "
            "left out, as one of them bears the wrong name"
        )
    for run in runs:
        apart = np.count_nonzero(rootlets.value == run.value[0]) - len(run)
        if apart:
            notes.append(
                f"{level_name(int(run.value[0]), 'spinal')}: {apart} of {apart + len(run)} rootlet voxels lie "
                "apart from the rest of the level: left out"
            )
    return runs, notes


def _extent(run: _Rootlets, cord_length: float) -> Level:
    """The level that a run covers, its ends robust against stray voxels."""
    rostral, rostral_sd = _end(run.arc, run.length, run.root)
    caudal, caudal_sd = _end(-run.arc[::-1], run.length[::-1], run.root[::-1])
    caudal = -caudal
    inside = run[(run.arc >= rostral) & (run.arc <= caudal)]
    incomplete = []
    if inside.at_edge.any() or rostral < CUT_MM or caudal > cord_length - CUT_MM:
        incomplete.append("may be cut by the field of view")
    counts = np.bincount(inside.root, minlength=len(ROOTS)).tolist()
    return Level(
        int(run.value[0]),
        "spinal",
        rostral,
        caudal,
        rostral_sd,
        caudal_sd,
        dict(zip(ROOTS, counts, strict=True)),
        tuple(incomplete),
    )


def _end(arc: np.ndarray, length: np.ndarray, root: np.ndarray) -> tuple[float, float]:
    """Where a run begins, and the standard deviation of that, for ascending ``arc``; all in mm.

    The first voxel that is not alone (`END_SUPPORT`), and half a voxel more: a voxel stands for its whole length.
    The uncertainty is that of a rounding to voxels, and half of what the end moves by when the root that sets it
    is left out.
    """
    first = _first_supported(arc, length)
    end = arc[first] - length[first] / 2
    others = root != root[first]
    shift = 0.0
    if others.any():
        shift = arc[others][_first_supported(arc[others], length[others])] - arc[first]
    return float(end), float(np.hypot(length[first] / np.sqrt(12), max(shift, 0) / 2))


def _first_supported(arc: np.ndarray, length: np.ndarray) -> int:
    needed = max(2, END_SUPPORT * len(arc)) if len(arc) >= 8 else 1
    window = np.maximum(END_WINDOW_MM, length / 2)
    support = np.searchsorted(arc, arc + window, side="right") - np.arange(len(arc))
    return int(np.argmax(support >= needed))


def _without_overlap(levels: list[Level]) -> tuple[list[Level], list[str]]:
    """Levels cut back to the middle of an overlap with a neighbour, never beyond either's midpoint."""
    notes = []
    rostral = [level.rostral_mm for level in levels]
    caudal = [level.caudal_mm for level in levels]
    for i, upper in enumerate(levels):
        for j, lower in enumerate(levels[i + 1 :], start=i + 1):
            overlap = upper.caudal_mm - lower.rostral_mm
            if overlap <= 0:
                continue
            middle = (upper.caudal_mm + lower.rostral_mm) / 2
            boundary = float(np.clip(middle, upper.midpoint_mm, lower.midpoint_mm))
            caudal[i], rostral[j] = min(caudal[i], boundary), max(rostral[j], boundary)
            notes.append(
                f"{upper.name} and {lower.name} overlap by {overlap:.1f} mm: "
                "their boundary is the middle of the overlap"
            )
    return [
        replace(level, rostral_mm=r, caudal_mm=c) for level, r, c in zip(levels, rostral, caudal, strict=True)
    ], notes


def _as_extents(extents: list[Level]) -> list[Level]:
    return extents


def _as_segments(extents: list[Level]) -> list[Level]:
    by_value = {level.value: level for level in extents}
    levels = []
    for level in extents:
        above = by_value.get(level.value - 1)
        if above is None:
            levels.append(_marked(level, "no level above it to start from"))
        else:
            levels.append(replace(level, rostral_mm=above.caudal_mm, rostral_sd_mm=above.caudal_sd_mm))
    return levels


def _as_midgaps(extents: list[Level]) -> list[Level]:
    by_value = {level.value: level for level in extents}
    levels = []
    for level in extents:
        above, below = by_value.get(level.value - 1), by_value.get(level.value + 1)
        if above is None:
            level = _marked(level, "no level above it to share the gap with")
        else:
            level = replace(
                level,
                rostral_mm=(above.caudal_mm + by_value[level.value].rostral_mm) / 2,
                rostral_sd_mm=_mean_sd(above.caudal_sd_mm, by_value[level.value].rostral_sd_mm),
            )
        if below is None:
            level = _marked(level, "no level below it to share the gap with")
        else:
            level = replace(
                level,
                caudal_mm=(by_value[level.value].caudal_mm + below.rostral_mm) / 2,
                caudal_sd_mm=_mean_sd(by_value[level.value].caudal_sd_mm, below.rostral_sd_mm),
            )
        levels.append(level)
    return levels


def _marked(level: Level, reason: str) -> Level:
    return replace(level, incomplete=(*level.incomplete, reason))


def _mean_sd(first: float, second: float) -> float:
    """Standard deviation of the mean of two independent positions."""
    return float(np.hypot(first, second) / 2)
