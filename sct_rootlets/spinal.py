"""Spinal levels from rootlets: where along the cord each level's rootlets attach.

Arrays in, values out; positions are mm of arc length along the centerline. Definitions, and what is done about
stray voxels, are in ``docs/methods.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from nibabel.affines import apply_affine
from scipy.spatial import cKDTree

from sct_rootlets.centerline import Centerline
from sct_rootlets.cord_mask import MaskDefect
from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume, labelled_voxels, nonzero_voxels, superior_axis, voxel_length
from sct_rootlets.levels import FIRST_ROOTLET, LAST_ROOTLET, ROOTS, Level, Levels, level_name

Method = Literal["segment", "extent", "midgap"]
METHODS: tuple[str, ...] = get_args(Method)

#: How far from the cord rootlets count, as in Valošek 2024: 3 voxels of 0.8 mm.
DISTANCE_MM = 2.4
#: Rootlets of one level that lie further apart than this along the cord are separate runs.
RUN_GAP_MM = 5.0
#: A run with less than this share of the rootlets of its level never stands for the level.
RUN_SHARE = 0.25
#: An end of a level needs this share of its voxels (and two of them) within the window behind it; long runs need less.
END_SUPPORT, END_WINDOW_MM = 0.05, 2.0
#: A level that ends closer than this to an end of the cord mask may go on beyond it.
CUT_MM = 2.0
#: Reason for such a level to be incomplete.
CUT_BY_VIEW = "may be cut by the field of view"
#: Midpoints of levels that follow one another lie at least this far apart.
STEP_MM = 1.0
#: A level measured on fewer voxels than this, or on one root only, is not complete.
MIN_VOXELS = 10
#: Smaller overlaps of levels are not noted.
MIN_NOTED_OVERLAP_MM = 0.05
#: A level whose neighbour ends with a greater standard deviation than this is not complete.
MAX_END_SD_MM = 3.0
#: Rootlets attaching more than this angle ventral of the cord's widest line are ventral ones. The angle is that of
#: the cross-section stretched to a circle; PAM50's rootlets leave a gap around it between dorsal and ventral.
VENTRAL_DEG = 20.0
#: The turn of a cord about its long axis is the median over so many levels or more, each with so many voxels or more on
#: either side within this distance of the centerline. Smaller turns are left: in seven scans of healthy adults it is at
#: most 6°.
MIN_TURN_LEVELS, MIN_TURN_VOXELS, MAX_TURN_DISTANCE_MM, MIN_TURN_DEG = 3, 5, 8.0, 10.0
#: The hindmost and the foremost rootlets each show this share of the turn at least.
MIN_TURN_SHARE = 0.5
#: Of a map with this share of its voxels inside the cord mask, rootlets are doubted: if they fill that share of the
#: cord along which they lie, or have that share in the inner half of the cord's section, they are none.
MIN_INSIDE_SHARE, MIN_FILLED_SHARE, MIN_CENTRAL_SHARE = 0.75, 0.5, 0.5
#: A map that holds this share of the cord along which it lies covers the cord, whatever it holds beside.
MIN_COVERED_SHARE = 0.9
#: About this number of a cord's voxels suffices to measure its half axes.
_MAX_SECTION_VOXELS = 5000


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


def rootlet_arcs(rootlets: Volume, centerline: Centerline) -> dict[int, np.ndarray]:
    """Return the arc length of the rootlet voxels of each level in mm, by value; empty where there are no rootlets."""
    if not rootlets.data.any():
        return {}
    ijk, values = labelled_voxels(rootlets)
    arc = centerline.project(apply_affine(rootlets.affine, ijk)).arc
    return {int(value): arc[values == value] for value in np.unique(values)}


def spinal_levels(
    ijk: np.ndarray,
    values: np.ndarray,
    affine: np.ndarray,
    shape: tuple[int, ...],
    cord_mm: np.ndarray,
    centerline: Centerline,
    method: Method = "segment",
    distance_mm: float = DISTANCE_MM,
    defects: Sequence[MaskDefect] = (),
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
    defects : sequence of MaskDefect
        Where the cord mask is missing or too thin. Levels whose rootlets lie there too far from the mask to count are
        incomplete, and the uncertainty of their ends covers these rootlets.

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
    check_level_values(values)
    rootlets = _near_cord(ijk, values, affine, shape, cord_mm, centerline, distance_mm)
    extents, notes = _extents_in_order(rootlets, centerline.cord_length)
    extents, overlap_notes = _without_overlap(extents)
    if defects:
        dropped = _rootlets_beside(defects, ijk, values, affine, cord_mm, centerline, distance_mm)
        extents, defect_notes = _with_uncertain_ends(extents, defects, dropped, float(rootlets.length.mean()) / 2)
        notes += defect_notes
    missing = sorted(set(np.unique(values).tolist()) - set(rootlets.value.tolist()))
    notes += [
        f"{level_name(value, 'spinal')}: none of its rootlets lies within {distance_mm:g} mm of the cord: left out"
        for value in missing
    ]
    return redefine_levels(Levels("spinal", "extent", tuple(extents), tuple(notes + overlap_notes)), method)


def redefine_levels(extents: Levels, method: Method) -> Levels:
    """Turn levels by method ``extent`` into those of another method.

    Parameters
    ----------
    extents : Levels
        Result of `spinal_levels` by method ``extent``.
    method : {"segment", "extent", "midgap"}
        See `spinal_levels`.
    """
    define = {"extent": _as_extents, "segment": _as_segments, "midgap": _as_midgaps}[method]
    return replace(extents, method=method, levels=tuple(define(list(extents.levels))))


def check_beside_cord_mask(rootlets: Volume, cord: Volume, cord_mm: np.ndarray, centerline: Centerline) -> None:
    """Check that rootlets lie beside the cord, and do not fill it as a map of levels, or lie on its middle.

    Parameters
    ----------
    rootlets : Volume
    cord : Volume
        Mask, as booleans.
    cord_mm : numpy.ndarray, shape (M, 3)
        Centres of the voxels of the cord mask in RAS+ mm.
    centerline : Centerline

    Raises
    ------
    LabelError
        If most voxels lie inside the mask, and fill it or lie around its middle, or if they cover it.
    """
    points = apply_affine(rootlets.affine, nonzero_voxels(rootlets.data))
    index = np.rint(apply_affine(np.linalg.inv(cord.affine), points)).astype(int)
    on_grid = np.all((index >= 0) & (index < cord.data.shape), axis=1)
    inside = np.zeros(len(points), dtype=bool)
    inside[on_grid] = cord.data[tuple(index[on_grid].T)]
    if not inside.any():
        return
    place, right_mm, anterior_mm = centerline.across(points)
    cord_arc = centerline.project(cord_mm).arc
    beside = (cord_arc >= place.arc.min()) & (cord_arc <= place.arc.max())
    half_width, half_depth = measure_half_axes(cord_mm, centerline)
    radius = np.hypot(right_mm / half_width, anterior_mm / half_depth)
    fills = inside.sum() >= MIN_FILLED_SHARE * beside.sum()
    if inside.mean() < MIN_INSIDE_SHARE:
        if inside.sum() >= MIN_COVERED_SHARE * beside.sum():
            raise LabelError(
                f"{rootlets.name} covers the cord ({cord.name}) and what is around it; give the segmentation of the "
                "rootlets"
            )
        return
    if fills or np.mean(radius < 0.5) >= MIN_CENTRAL_SHARE:
        raise LabelError(
            f"{inside.mean():.0%} of {rootlets.name} lies inside the cord ({cord.name}), where no rootlets are: "
            + ("it is the cord coloured by level" if fills else "it holds places of levels")
            + "; give the segmentation of the rootlets"
        )


def leave_out_c1(rootlets: np.ndarray) -> np.ndarray:
    """Return a rootlet map without rootlets of C1, which some models label and for which there is no spinal level here.

    Parameters
    ----------
    rootlets : numpy.ndarray of int

    Returns
    -------
    numpy.ndarray of uint8, same shape
    """
    return np.where(rootlets >= FIRST_ROOTLET, rootlets, 0).astype(np.uint8)


def check_level_values(values: np.ndarray) -> None:
    """Raise a `LabelError` if a value of a rootlet map is no level."""
    wrong = sorted(set(np.unique(values).tolist()) - set(range(FIRST_ROOTLET, LAST_ROOTLET + 1)))
    if wrong:
        raise LabelError(
            f"the rootlet map holds the value {wrong[0]}, which is not a level; rootlets have the values "
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
    tree = cKDTree(cord_mm)
    # No voxel reaches further from its centre than half its diagonal; voxels beyond both are not searched for.
    half_diagonal = float(np.linalg.norm(np.linalg.norm(affine[:3, :3], axis=0))) / 2
    distance, closest = tree.query(points, distance_upper_bound=distance_mm + half_diagonal + 1e-3)
    if not np.isfinite(distance).any():
        distance, closest = tree.query(points)
    within = np.isfinite(distance)
    ijk, values, points, distance, closest = (of[within] for of in (ijk, values, points, distance, closest))
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
    projection, to_right, to_anterior = centerline.across(points)
    caudal, _, _ = centerline.frame(projection.arc)
    axis, _ = superior_axis(affine)
    return _Rootlets(
        value=values[near],
        arc=projection.arc,
        length=voxel_length(affine, caudal),
        root=classify_roots(to_right, to_anterior, *measure_half_axes(cord_mm, centerline)),
        at_edge=(ijk[:, axis] == 0) | (ijk[:, axis] == shape[axis] - 1),
    )


def measure_half_axes(cord_mm: np.ndarray, centerline: Centerline) -> tuple[float, float]:
    """Measure half of the width and half of the depth of a cord, along its whole length.

    Parameters
    ----------
    cord_mm : numpy.ndarray, shape (M, 3)
        Centres of the voxels of the cord mask in RAS+ mm.
    centerline : Centerline

    Returns
    -------
    half_width_mm, half_depth_mm : float
        Half axes of the ellipse whose area has the same spread as the voxels.
    """
    cord = cord_mm[:: max(1, len(cord_mm) // _MAX_SECTION_VOXELS)]
    projection = centerline.project(cord)
    _, right, anterior = centerline.frame(projection.arc)
    offset = cord - projection.foot
    # Twice the standard deviation of a filled ellipse is its half axis.
    half_width, half_depth = (2 * np.std(np.einsum("ij,ij->i", offset, axis)) for axis in (right, anterior))
    return float(half_width), float(half_depth)


def turn_to_rootlets(centerline: Centerline, points: np.ndarray, values: np.ndarray) -> Centerline:
    """Turn the frame of a centerline about the cord, as its rootlets show it turned in the scanner.

    Parameters
    ----------
    centerline : Centerline
    points : numpy.ndarray, shape (N, 3)
        Voxels of rootlets in RAS+ mm.
    values : numpy.ndarray of int, shape (N,)
        Their levels.

    Returns
    -------
    Centerline
        The same if `measure_turn` finds no turn.
    """
    _, right_mm, anterior_mm = centerline.across(points)
    turn_deg = measure_turn(right_mm, anterior_mm, values)
    return replace(centerline, turn_deg=centerline.turn_deg + turn_deg) if turn_deg else centerline


def measure_turn(right_mm: np.ndarray, anterior_mm: np.ndarray, values: np.ndarray) -> float:
    """Measure by how much a cord is turned about its long axis.

    Where the head is turned to one side, the line from the left to the right rootlets of a level is too.

    Parameters
    ----------
    right_mm, anterior_mm : numpy.ndarray, shape (N,)
        Offsets of voxels of rootlets from the centerline.
    values : numpy.ndarray of int, shape (N,)
        Their levels.

    Returns
    -------
    float
        Degrees from the right towards anterior; 0 for less than `MIN_TURN_DEG`, or if too few levels have rootlets of
        both sides.
    """
    near = np.hypot(right_mm, anterior_mm) <= MAX_TURN_DISTANCE_MM
    turns = []
    for value in np.unique(values[near]):
        left, right = (near & (values == value) & (right_mm * side > 0) for side in (-1, 1))
        if min(np.count_nonzero(left), np.count_nonzero(right)) >= MIN_TURN_VOXELS:
            width_mm = right_mm[right].mean() - right_mm[left].mean()
            # A root that is missing on one side moves the mean of that side, but not both its back and its front.
            heights_mm = [
                (anterior_mm[side].mean(), *np.percentile(anterior_mm[side], (10, 90))) for side in (left, right)
            ]
            turns.append(np.degrees(np.arctan2(np.subtract(*reversed(heights_mm)), width_mm)))
    if len(turns) < MIN_TURN_LEVELS:
        return 0.0
    turn_deg, *at_ends = np.median(turns, axis=0)
    is_turned = abs(turn_deg) >= MIN_TURN_DEG and min(at_ends / turn_deg) >= MIN_TURN_SHARE
    return float(turn_deg) if is_turned else 0.0


def classify_roots(
    right_mm: np.ndarray, anterior_mm: np.ndarray, half_width_mm: float, half_depth_mm: float
) -> np.ndarray:
    """Tell which root voxels near the cord belong to, by the angle at which they attach.

    Roots are ventral from `VENTRAL_DEG` ventral of the cord's widest line on, in the section stretched to a circle. The
    plane through the centerline does not separate dorsal from ventral roots: dorsal rootlets attach near the widest
    line of the cord and soon run ventrally.

    Parameters
    ----------
    right_mm, anterior_mm : numpy.ndarray, shape (N,)
        Offsets from the centerline, across the cord.
    half_width_mm, half_depth_mm : float
        Half axes of the cord's section (`measure_half_axes`).

    Returns
    -------
    numpy.ndarray of int, shape (N,)
        Index into `sct_rootlets.levels.ROOTS`.

    Examples
    --------
    >>> right, anterior = np.array([-6.0, 6.0, 6.0]), np.array([-1.0, 1.3, 1.4])
    >>> [ROOTS[index] for index in classify_roots(right, anterior, 6.5, 4.0)]
    ['left_dorsal', 'right_dorsal', 'right_ventral']
    """
    to_right, to_anterior = right_mm / half_width_mm, anterior_mm / half_depth_mm
    ventral = np.degrees(np.arctan2(to_anterior, np.abs(to_right))) > VENTRAL_DEG
    return 2 * ventral + (to_right > 0)


@dataclass(frozen=True)
class _Candidate:
    """A run of a level's rootlets: where it lies, and how many voxels speak for it."""

    level: Level
    n_voxels: int

    def follows(self, other: _Candidate) -> bool:
        """Whether this run can stand for a level below that of another."""
        return self.level.value > other.level.value and self.level.midpoint_mm >= other.level.midpoint_mm + STEP_MM


def _extents_in_order(rootlets: _Rootlets, cord_length: float) -> tuple[list[Level], list[str]]:
    """One run a level, such that levels follow one another caudally and the most voxels are kept.

    Of the runs that hold a fair share of their level, the heaviest selection in which a higher level lies further
    caudally is kept (weighted longest increasing subsequence). A level that is left out because of a single other
    one might as well be the right one of the two: then both are left out.
    """
    candidates = [
        _Candidate(_extent(run, cord_length), len(run))
        for value in np.unique(rootlets.value)
        for run in _runs(rootlets[rootlets.value == value])
    ]
    kept = _heaviest_sequence(candidates)
    found = {candidate.level.value for candidate in kept}
    misplaced = [candidate for candidate in candidates if candidate.level.value not in found]
    notes, doubtful = [], set()
    for candidate in misplaced:
        others = [other for other in kept if not (candidate.follows(other) or other.follows(candidate))]
        names = " and ".join(other.level.name for other in others)
        note = f"{candidate.level.name}: its rootlets lie on the wrong side of {names}: left out"
        if len(others) == 1:
            doubtful.add(others[0].level.value)
            note += f", and so is {names}, as one of the two bears the wrong name"
        notes.append(note)
    kept = [candidate for candidate in kept if candidate.level.value not in doubtful]
    if len(kept) < len({candidate.level.value for candidate in misplaced}) or not kept:
        names = ", ".join(
            level_name(value, "spinal") for value in sorted({c.level.value for c in misplaced} | doubtful)
        )
        raise LabelError(
            f"the rootlet levels do not follow one another from rostral to caudal (out of place: {names}); "
            "check the values of the rootlet map and its orientation"
        )
    for candidate in kept:
        n_voxels = np.count_nonzero(rootlets.value == candidate.level.value)
        if n_voxels > candidate.n_voxels:
            notes.append(
                f"{candidate.level.name}: {n_voxels - candidate.n_voxels} of {n_voxels} rootlet voxels lie apart from "
                "the rest of the level: left out"
            )
    return [candidate.level for candidate in kept], notes


def _runs(level: _Rootlets) -> list[_Rootlets]:
    """Rootlets of a level in ascending arc length, split where the cord shows none of them for a while.

    Runs that hold little of the level are left out.
    """
    level = level[np.argsort(level.arc, kind="stable")]
    gap = np.maximum(RUN_GAP_MM, 1.5 * level.length[1:])  # thick slices leave gaps of one slice
    parts = np.split(np.arange(len(level)), np.flatnonzero(np.diff(level.arc) > gap) + 1)
    heaviest = max(len(part) for part in parts)
    return [level[part] for part in parts if len(part) >= min(heaviest, RUN_SHARE * len(level))]


def _heaviest_sequence(candidates: list[_Candidate]) -> list[_Candidate]:
    """The candidates that follow one another and hold the most voxels; they come sorted by level."""
    best: list[tuple[int, list[_Candidate]]] = []  # voxels, and the best sequence that ends with each candidate
    for i, candidate in enumerate(candidates):
        before = [best[j] for j in range(i) if candidate.follows(candidates[j])]
        n_voxels, sequence = max(before, default=(0, []), key=lambda entry: entry[0])
        best.append((n_voxels + candidate.n_voxels, [*sequence, candidate]))
    return max(best, key=lambda entry: entry[0])[1]


def _extent(run: _Rootlets, cord_length: float) -> Level:
    """The level that a run covers, its ends robust against stray voxels."""
    rostral, rostral_sd = _end(run.arc, run.length, run.root)
    caudal, caudal_sd = _end(-run.arc[::-1], run.length[::-1], run.root[::-1])
    caudal = -caudal
    inside = run[(run.arc >= rostral) & (run.arc <= caudal)]
    counts = np.bincount(inside.root, minlength=len(ROOTS))
    incomplete = incomplete_reasons(
        rostral,
        caudal,
        cord_length,
        counts,
        at_edge=bool(inside.at_edge.any()),
        counted="rootlet voxels near the cord",
    )
    return Level(
        int(run.value[0]),
        "spinal",
        rostral,
        caudal,
        rostral_sd,
        caudal_sd,
        dict(zip(ROOTS, counts.tolist(), strict=True)),
        incomplete,
    )


def incomplete_reasons(
    rostral_mm: float,
    caudal_mm: float,
    cord_length_mm: float,
    n_voxels: np.ndarray,
    *,
    at_edge: bool = False,
    counted: str = "rootlet voxels",
) -> tuple[str, ...]:
    """State why a level may be longer than the stretch along which its rootlets were found.

    Parameters
    ----------
    rostral_mm, caudal_mm : float
        Ends of the level in mm of arc length.
    cord_length_mm : float
        Arc length of the caudal end of the cord mask.
    n_voxels : numpy.ndarray of int, shape (4,)
        Number of rootlet voxels of each root, in the order of `ROOTS`.
    at_edge : bool
        Whether rootlet voxels lie on the first or last slice of the volume.
    counted : str
        Name of the voxels in the message about few of them.

    Returns
    -------
    tuple of str
        Empty for a complete level.
    """
    reasons = []
    if at_edge or rostral_mm < CUT_MM or caudal_mm > cord_length_mm - CUT_MM:
        reasons.append(CUT_BY_VIEW)
    if n_voxels.sum() < MIN_VOXELS:
        reasons.append(f"only {n_voxels.sum()} {counted}")
    elif np.count_nonzero(n_voxels) == 1:
        reasons.append(f"rootlets of one root only ({ROOTS[int(n_voxels.argmax())].replace('_', ' ')})")
    return tuple(reasons)


def _end(arc: np.ndarray, length: np.ndarray, root: np.ndarray) -> tuple[float, float]:
    """Where a run begins, and the standard deviation of that, for ascending ``arc``; all in mm.

    The first voxel that is not alone (`END_SUPPORT`), and half a voxel more: a voxel stands for its whole length.
    The uncertainty is that of a rounding to voxels, half of what the end moves by when the root that sets it is
    left out, and the expected gap between the end of a span and the outermost of as many points strewn over it.
    """
    first = _first_supported(arc, length)
    end = arc[first] - length[first] / 2
    others = root != root[first]
    shift = 0.0
    if others.any():
        shift = arc[others][_first_supported(arc[others], length[others])] - arc[first]
    gap = (arc[-1] - arc[0] + length[first]) / (len(arc) + 1)
    return float(end), float(np.linalg.norm([length[first] / np.sqrt(12), max(shift, 0) / 2, gap]))


def _first_supported(arc: np.ndarray, length: np.ndarray) -> int:
    window = np.maximum(END_WINDOW_MM, length / 2)
    # Half of what rootlets that are spread evenly have in the window, if the run is long (more than 20 mm).
    evenly = window / (arc[-1] - arc[0] + length)
    needed = np.maximum(2, np.minimum(END_SUPPORT, evenly / 2) * len(arc)) if len(arc) >= 8 else 1
    support = np.searchsorted(arc, arc + window, side="right") - np.arange(len(arc))
    return int(np.argmax(support >= needed))


def _without_overlap(levels: list[Level]) -> tuple[list[Level], list[str]]:
    """Levels cut back to the middle of an overlap with a neighbour, short of either's midpoint."""
    notes = []
    rostral = [level.rostral_mm for level in levels]
    caudal = [level.caudal_mm for level in levels]
    for i, upper in enumerate(levels):
        for j, lower in enumerate(levels[i + 1 :], start=i + 1):
            overlap = upper.caudal_mm - lower.rostral_mm
            if overlap <= 0:
                continue
            middle = (upper.caudal_mm + lower.rostral_mm) / 2
            margin = (lower.midpoint_mm - upper.midpoint_mm) / 4
            boundary = float(np.clip(middle, upper.midpoint_mm + margin, lower.midpoint_mm - margin))
            caudal[i], rostral[j] = min(caudal[i], boundary), max(rostral[j], boundary)
            if overlap >= MIN_NOTED_OVERLAP_MM:
                notes.append(
                    f"{upper.name} and {lower.name} overlap by {overlap:.1f} mm: "
                    "their boundary is the middle of the overlap"
                )
    return [
        replace(level, rostral_mm=r, caudal_mm=c) for level, r, c in zip(levels, rostral, caudal, strict=True)
    ], notes


@dataclass(frozen=True)
class _Dropped:
    """Rootlet voxels that lie too far from the cord mask to count, because the mask has a defect."""

    value: np.ndarray  # level of each voxel
    arc: np.ndarray  # mm
    defect: np.ndarray  # index of the defect


def _rootlets_beside(
    defects: Sequence[MaskDefect],
    ijk: np.ndarray,
    values: np.ndarray,
    affine: np.ndarray,
    cord_mm: np.ndarray,
    centerline: Centerline,
    distance_mm: float,
) -> _Dropped:
    """Find the rootlets beside defects of the mask that would count if the mask had its usual section there."""
    points = apply_affine(affine, ijk)
    far = cKDTree(cord_mm).query(points, distance_upper_bound=distance_mm + 1e-3)[0] > distance_mm
    place = centerline.project(points[far])
    index = np.full(len(place.arc), -1)
    for number, defect in enumerate(defects):
        beside = (place.arc > defect.rostral_mm) & (place.arc < defect.caudal_mm)
        index[beside & (place.distance <= defect.radius_mm + distance_mm)] = number
    known = index >= 0
    return _Dropped(values[far][known], place.arc[known], index[known])


def _with_uncertain_ends(
    levels: list[Level], defects: Sequence[MaskDefect], dropped: _Dropped, half_voxel_mm: float
) -> tuple[list[Level], list[str]]:
    """Widen the uncertainty of ends beyond which rootlets were dropped, and mark these levels incomplete."""
    notes = []
    for number, defect in enumerate(defects):
        here = dropped.defect == number
        names = ", ".join(level_name(int(value), "spinal") for value in np.unique(dropped.value[here]))
        if here.any():
            notes.append(
                f"the cord mask is {defect.kind} over {defect.length_mm:.0f} mm: {np.count_nonzero(here)} rootlet "
                f"voxels there do not count ({names}); complete the mask"
            )
    result = []
    for level in levels:
        own = dropped.value == level.value
        arc = dropped.arc[own]
        above, below = arc < level.rostral_mm, arc > level.caudal_mm
        within = ~(above | below)
        if not own.any():
            result.append(level)
            continue
        beyond_mm = [
            float(np.max(level.rostral_mm - arc + half_voxel_mm, where=above, initial=0)),
            float(np.max(arc - level.caudal_mm + half_voxel_mm, where=below, initial=0)),
        ]
        # Rootlets dropped within the level do not move its ends, but more than a few show that it is badly known.
        if not (above.any() or below.any() or within.sum() >= MIN_VOXELS):
            result.append(level)
            continue
        kinds = {defects[index].kind for index in dropped.defect[own]}
        reason = f"{own.sum()} rootlet voxels do not count where the cord mask is {' or '.join(sorted(kinds))}"
        result.append(
            replace(
                _marked(level, reason),
                rostral_sd_mm=float(np.hypot(level.rostral_sd_mm, beyond_mm[0])),
                caudal_sd_mm=float(np.hypot(level.caudal_sd_mm, beyond_mm[1])),
            )
        )
    return result, notes


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
            if above.caudal_sd_mm > MAX_END_SD_MM:
                level = _marked(level, f"begins at the end of {above.name}, which is uncertain")
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
            if above.caudal_sd_mm > MAX_END_SD_MM:
                level = _marked(level, f"shares the gap with {above.name}, whose end is uncertain")
        if below is None:
            level = _marked(level, "no level below it to share the gap with")
        else:
            level = replace(
                level,
                caudal_mm=(by_value[level.value].caudal_mm + below.rostral_mm) / 2,
                caudal_sd_mm=_mean_sd(by_value[level.value].caudal_sd_mm, below.rostral_sd_mm),
            )
            if below.rostral_sd_mm > MAX_END_SD_MM:
                level = _marked(level, f"shares the gap with {below.name}, whose end is uncertain")
        levels.append(level)
    return levels


def _marked(level: Level, reason: str) -> Level:
    return replace(level, incomplete=(*level.incomplete, reason))


def _mean_sd(first: float, second: float) -> float:
    """Standard deviation of the mean of two independent positions."""
    return float(np.hypot(first, second) / 2)
