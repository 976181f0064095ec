"""The cord of a scan and its levels, as measures need them: weights, centerline, level maps, and ends in mm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.centerline import Centerline, fit_centerline
from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume, as_axial, binary_mask, check_same_grid, labelled_voxels
from sct_rootlets.label_kinds import check_cord_mask, check_no_scan
from sct_rootlets.levels import Kind, level_name
from sct_rootlets.measure.norms import published_norm

#: Largest value of a soft mask; interpolation may overshoot 1 a little.
MAX_WEIGHT = 1.5
#: A soft mask is thresholded there (`sct_rootlets.image.binary_mask`).
MIN_MASK_VALUE = 0.5
#: Level maps and level tables that contradict one another by more than this belong to different scans or runs, or were
#: edited; above the second value, that is noted. Along the centerline of their own cord mask they agree within 0.02 mm,
#: whatever the size of voxels. Along that of a given centerline, or of a corrected mask, up to 1 mm is usual.
MAX_TABLE_ERROR_MM, NOTED_TABLE_ERROR_MM = 2.5, 1.0
#: An end of a level that lies further beyond the outermost voxel that is shown, in voxels along the cord, is not shown.
#: In a whole map, it lies one voxel beyond at most.
MAX_GAP_VOXELS = 1.25
#: In a straight cord across its slices, bounds of levels are half voxels apart, within this share of half a voxel.
MAX_STEP_ERROR = 0.01
#: Name of the reference of positions that count from the rostral end of the cord mask.
CORD_TOP = "cord top"
#: Two steps of the last digit of a level table.
TABLE_DIGITS_MM = 0.002


@dataclass(frozen=True, kw_only=True)
class TableLevel:
    """What a level table says of a level.

    Attributes
    ----------
    rostral_mm, caudal_mm : float
        Ends, from the reference of the table.
    rostral_sd_mm, caudal_sd_mm : float
        Their uncertainty, a standard deviation; NaN where it is not known.
    complete : bool
        Whether the level cannot be longer than stated.
    """

    rostral_mm: float
    caudal_mm: float
    rostral_sd_mm: float
    caudal_sd_mm: float
    complete: bool


@dataclass(frozen=True, kw_only=True)
class MeasuredLevel:
    """A level of the cord that is measured.

    Attributes
    ----------
    value : int
        Value in the level map.
    kind : {"spinal", "vertebral"}
    rostral_mm, caudal_mm : float
        Ends in mm of arc length.
    rostral_sd_mm, caudal_sd_mm : float
        Uncertainty of the ends, NaN where no table tells.
    complete : bool or None
        Whether the level cannot be longer than stated, and is shown from end to end; None where no table tells.
    shown_mm : float
        Length that the map and the mask show of a level whose ends are known, and of which they do not show all;
        NaN for other levels.
    """

    value: int
    kind: Kind
    rostral_mm: float
    caudal_mm: float
    rostral_sd_mm: float = np.nan
    caudal_sd_mm: float = np.nan
    complete: bool | None = None
    shown_mm: float = np.nan

    @property
    def name(self) -> str:
        """Name such as ``"C5"``."""
        return level_name(self.value, self.kind)

    @property
    def is_cut(self) -> bool:
        """Whether only a part of the level is shown, whose ends are known."""
        return bool(np.isfinite(self.shown_mm))

    @property
    def has_known_ends(self) -> bool:
        """Whether the level cannot be longer than stated, whether all of it is shown or not."""
        return self.complete is not False or self.is_cut

    @property
    def shown_text(self) -> str:
        """How much of a cut level is shown, such as ``"8.2 of 17.6 mm"``."""
        return f"{self.shown_mm:.1f} of {self.caudal_mm - self.rostral_mm:.1f} mm"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a level map and the cord mask show of a level, in mm of arc length.

    Attributes
    ----------
    first_mm, last_mm : float
        Outermost centres of the voxels that bear its label.
    first_in_cord_mm, last_in_cord_mm : float
        The same of those that the mask shows, too; NaN if it shows none.
    voxel_mm : float
        How far a voxel reaches along the cord.
    """

    first_mm: float
    last_mm: float
    first_in_cord_mm: float
    last_in_cord_mm: float
    voxel_mm: float

    def length_of(self, rostral_mm: float, caudal_mm: float, tolerance_mm: float) -> float:
        """Length that is shown of a level between two ends, each of which may lie a little beyond what is shown."""
        if not np.isfinite(self.first_in_cord_mm):
            return 0.0
        half, reach = self.voxel_mm / 2, MAX_GAP_VOXELS * self.voxel_mm + tolerance_mm
        lost = [self.first_in_cord_mm - rostral_mm, caudal_mm - self.last_in_cord_mm]
        return float(caudal_mm - rostral_mm - sum(gap - half for gap in lost if gap > reach))


@dataclass(frozen=True, kw_only=True)
class CordLevels:
    """A cord and its levels. Volumes have axes to the left, to anterior and to superior, except `grid`.

    Attributes
    ----------
    cord : Volume
        Share of each voxel that is cord, 0 to 1.
    centerline : Centerline
    maps : dict of {"spinal", "vertebral"} to Volume
        Level maps, on the grid of the cord.
    levels : dict of {"spinal", "vertebral"} to tuple of MeasuredLevel
        Levels of each map, from rostral to caudal.
    reference : str
        Point from which positions count: that of the level table, or ``"cord top"``.
    reference_mm : float
        Arc length of this point.
    grid : Volume
        The cord mask, or a level map, in the order of its file.
    has_norms : bool
        Whether the mask is as large as those of the healthy adults, so that sizes can be compared with theirs.
    facts : dict
        What the record of measures says of the levels (`sct_rootlets.measure.level_folder.describe_levels`).
    notes : tuple of str
    """

    cord: Volume
    centerline: Centerline
    maps: dict[Kind, Volume]
    levels: dict[Kind, tuple[MeasuredLevel, ...]]
    reference: str
    reference_mm: float
    grid: Volume
    has_norms: bool = True
    facts: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def all_levels(self) -> list[MeasuredLevel]:
        """Levels of all kinds, spinal first."""
        return [level for levels in self.levels.values() for level in levels]

    def volume_mm3(self, level: MeasuredLevel) -> float:
        """Compute the volume of the cord in a level."""
        weights = self.cord.data[self.maps[level.kind].data == level.value]
        return float(weights.sum(dtype=float)) * abs(float(np.linalg.det(self.cord.affine[:3, :3])))

    @cached_property
    def slice_arc_mm(self) -> np.ndarray:
        """Arc length where the centerline meets the middle of each slice, shape (K,); NaN beyond its ends."""
        line = self.centerline
        index = apply_affine(np.linalg.inv(self.cord.affine), line.points)[:, 2]
        order = np.argsort(index)
        slices = np.arange(self.cord.data.shape[2])
        return np.interp(slices, index[order], line.arc[order], left=np.nan, right=np.nan)

    def vertebral_coordinate(self, arc_mm: np.ndarray) -> np.ndarray:
        """Compute vertebral coordinates, such as 3.5 for the middle of vertebra C3; NaN where no vertebra is known.

        Parameters
        ----------
        arc_mm : numpy.ndarray, shape (N,)
        """
        coordinate = np.full(len(arc_mm), np.nan)
        for level in self.levels.get("vertebral", ()):
            if not level.has_known_ends:
                continue
            inside = (arc_mm >= level.rostral_mm) & (arc_mm < level.caudal_mm)
            share = (arc_mm[inside] - level.rostral_mm) / (level.caudal_mm - level.rostral_mm)
            coordinate[inside] = level.value + share
        return coordinate

    def norm(self, coordinate: np.ndarray) -> tuple[dict[str, float], dict[str, float]]:
        """Compute the size of healthy cords (`sct_rootlets.measure.norms.published_norm`); empty without `has_norms`.

        Parameters
        ----------
        coordinate : numpy.ndarray, shape (N,)
            Vertebral coordinates (`vertebral_coordinate`).
        """
        return published_norm(coordinate) if self.has_norms else ({}, {})


def read_cord_levels(
    maps: Mapping[Kind, Volume],
    cord: Volume | None = None,
    table: Mapping[tuple[Kind, str], TableLevel] | None = None,
    reference: str | None = None,
    reference_mm: float | None = None,
) -> CordLevels:
    """Bring level maps and the cord mask together.

    Parameters
    ----------
    maps : mapping of {"spinal", "vertebral"} to Volume
        At least one level map.
    cord : Volume, optional
        Cord mask, binary or soft, on the grid of the maps. Without it, the labelled part of the maps is taken.
    table : mapping, optional
        The level table of the maps, by kind and name.
    reference : str, optional
        Point from which the positions of the table count.
    reference_mm : float, optional
        Its arc length on the cord mask of the levels, where that is recorded; else, it is found from the voxels
        (`find_table_start`).

    Raises
    ------
    ImageError
        If the volumes lie on different grids.
    LabelError
        If a map holds no levels, the mask is no cord mask, or maps, mask and table do not belong together.
    """
    grid = cord if cord is not None else next(iter(maps.values()))
    for volume in maps.values():
        if volume is not grid:
            check_same_grid(grid, volume)
    axial = {kind: _read_map(volume, kind) for kind, volume in maps.items()}
    notes: list[str] = []
    if cord is None:
        labelled = np.any([volume.data > 0 for volume in axial.values()], axis=0)
        weights = replace(next(iter(axial.values())), data=labelled.astype(np.float32))
        notes.append("the cord mask was not found: the labelled part of the cord is measured; give the mask (-s)")
    else:
        weights, mask_notes = read_cord(cord)
        notes += mask_notes
    centerline = fit_centerline(weights.data >= 0.5, weights.affine)
    notes += centerline.notes
    levels: dict[Kind, tuple[MeasuredLevel, ...]] = {}
    shown: dict[tuple[Kind, int], Shown] = {}
    for kind, volume in axial.items():
        levels[kind], seen = _levels_of_map(volume, kind, weights, centerline)
        shown |= {(kind, value): of_level for value, of_level in seen.items()}
    for volume in axial.values():
        outside = float(np.mean(weights.data[volume.data > 0] <= 0))
        if outside > 0.5:
            raise LabelError(
                f"{volume.name} and {weights.name} do not show the same cord: {outside:.0%} of the levels lie outside "
                "the mask; give the mask that the levels were computed from (-s)"
            )
    start = 0.0
    if table:
        expected_mm = 0.0 if reference == CORD_TOP else reference_mm
        levels, start, table_notes = _with_table(levels, shown, table, expected_mm)
        notes += table_notes
    return CordLevels(
        cord=weights,
        centerline=centerline,
        maps=axial,
        levels=levels,
        reference=reference if table and reference else CORD_TOP,
        reference_mm=start,
        grid=grid,
        notes=tuple(notes),
    )


def _read_map(volume: Volume, kind: Kind) -> Volume:
    """Check that a volume is a level map, and reorder its axes."""
    _, values = labelled_voxels(volume)
    for value in np.unique(values):
        try:
            level_name(int(value), kind)
        except ValueError as error:
            raise LabelError(f"{volume.name} is not a map of {kind} levels: {error}") from None
    return as_axial(replace(volume, data=np.rint(volume.data).astype(np.uint8)))


def read_cord(cord: Volume) -> tuple[Volume, list[str]]:
    """Read a cord mask as `read_weights` does, and check that it is no scan.

    Raises
    ------
    LabelError
        As `read_weights`, and if the values are those of a scan, or of TotalSpineSeg.
    """
    if not is_soft(cord):
        check_cord_mask(cord)
    return read_weights(cord)


def is_soft(mask: Volume) -> bool:
    """Whether the values of a mask can be shares of its voxels."""
    return mask.data.dtype.kind == "f" and float(mask.data.max()) <= MAX_WEIGHT


def threshold_reason(highest: float) -> str:
    """Say why a soft mask whose highest value is below the threshold holds no voxel."""
    return f"its highest value is {highest:g}, and soft masks are thresholded at {MIN_MASK_VALUE:g}"


def read_weights(mask: Volume) -> tuple[Volume, list[str]]:
    """Read a mask as the share of each voxel that belongs to it.

    Parameters
    ----------
    mask : Volume
        Binary, or soft with values from 0 to 1.

    Returns
    -------
    weights : Volume
        Values from 0 to 1; axes to the left, to anterior and to superior.
    notes : list of str
        Whether the mask holds several labels.

    Raises
    ------
    LabelError
        If the mask is empty or below 0.5 everywhere, or holds other values, such as those of a scan.
    """
    if not is_soft(mask):  # a soft mask in a small field of view has as many values as a scan
        check_no_scan(mask, "give a mask, 1 inside and 0 elsewhere")
    highest = float(mask.data.max())
    if 0 < highest < MIN_MASK_VALUE:
        raise LabelError(
            f"{mask.name} marks no voxel: {threshold_reason(highest)}; give a mask that reaches 1 where it is sure"
        )
    chosen, notes = binary_mask(mask)  # checks the values
    data = np.clip(mask.data, 0, 1) if is_soft(mask) else chosen
    weights = as_axial(replace(mask, data=np.asarray(data, dtype=np.float32)))
    return weights, [] if is_soft(mask) else notes


def _levels_of_map(
    volume: Volume, kind: Kind, weights: Volume, centerline: Centerline
) -> tuple[tuple[MeasuredLevel, ...], dict[int, Shown]]:
    """Find the ends of each level of a map along the centerline, and what the map and the mask show of it."""
    in_mask = weights.data >= MIN_MASK_VALUE
    ijk = np.argwhere((volume.data > 0) | in_mask)
    values, in_cord = volume.data[tuple(ijk.T)], in_mask[tuple(ijk.T)]
    arc = centerline.project(apply_affine(volume.affine, ijk)).arc
    found: dict[int, Shown] = {}
    ends: list[list[float]] = []
    for value in np.unique(values[values > 0]):
        own, seen = arc[values == value], arc[(values == value) & in_cord]
        first, last = float(own.min()), float(own.max())
        voxel = voxel_along_cord(volume.affine, centerline, float(own.mean()))
        outer = (float(seen.min()), float(seen.max())) if len(seen) else (np.nan, np.nan)
        found[int(value)] = Shown(
            first_mm=first,
            last_mm=last,
            first_in_cord_mm=outer[0],
            last_in_cord_mm=outer[1],
            voxel_mm=voxel,
        )
        # An end lies between the last voxel of the level and the next one of the cord; without one, at its face.
        above = arc[(values == 0) & (arc < first)].max(initial=-np.inf)
        below = arc[(values == 0) & (arc > last)].min(initial=np.inf)
        rostral = (above + first) / 2 if first - above < 1.5 * voxel else first - voxel / 2
        caudal = (last + below) / 2 if below - last < 1.5 * voxel else last + voxel / 2
        ends.append([int(value), float(rostral), float(caudal)])
    ends.sort(key=lambda entry: entry[1] + entry[2])
    for upper, lower in pairwise(ends):
        before, behind = found[int(upper[0])], found[int(lower[0])]
        if behind.first_mm - before.last_mm < 1.5 * before.voxel_mm:  # no cord between them
            upper[2] = lower[1] = (before.last_mm + behind.first_mm) / 2
    return tuple(MeasuredLevel(value=int(v), kind=kind, rostral_mm=a, caudal_mm=b) for v, a, b in ends), found


def voxel_along_cord(affine: np.ndarray, centerline: Centerline, arc_mm: float) -> float:
    """Compute how far a voxel reaches along the cord at an arc length, in mm.

    Parameters
    ----------
    affine : numpy.ndarray, shape (4, 4)
        Of the grid of the voxel.
    centerline : Centerline
    arc_mm : float
    """
    caudal, _, _ = centerline.frame(np.array([arc_mm]))
    return float(np.abs(caudal[0] @ affine[:3, :3]).max())


def find_table_start(
    pairs: Sequence[tuple[MeasuredLevel, Shown, TableLevel]], expected_mm: float | None = None
) -> tuple[float, float, tuple[MeasuredLevel, MeasuredLevel]]:
    """Find the arc length from which the positions of a level table count, by the voxels that its levels label.

    A level labels the voxels of the cord whose centres lie between its ends, the upper end included. Thus each level
    bounds the start from both sides, also one of which the map shows a part only, and all levels of a curved or oblique
    cord bound it to a small part of a slice. There, the middle between the bounds of spinal levels is taken, of which
    as many begin early in a slice as late; or the upper bound without spinal levels, as discs are centres of voxels.

    In a straight cord whose slices are perpendicular to it, all ends lie at faces or centres of slices. If there are
    ends of both sorts, the bounds are half a slice apart, and the start lies at the upper one, which ends at centres
    reach. If the bounds are a whole slice apart, all ends are of one sort: at centres where there are vertebrae, and at
    faces where there are spinal levels alone.

    Parameters
    ----------
    pairs : sequence of (MeasuredLevel, Shown, TableLevel)
        At least one level of the maps that the table has, too.
    expected_mm : float, optional
        Where the start is unless the voxels contradict.

    Returns
    -------
    start_mm : float
    contradiction_mm : float
        By how much the levels contradict one another about the start; not above 0 if one start suits all of them.
    levels : (MeasuredLevel, MeasuredLevel)
        The levels that set the bounds.
    """
    low = np.array([shown.last_mm - entry.caudal_mm for _, shown, entry in pairs])
    high = np.array([shown.first_mm - entry.rostral_mm for _, shown, entry in pairs])
    lowest, highest = float(low.max()), float(high.min())
    bounding = (pairs[int(low.argmax())][0], pairs[int(high.argmin())][0])
    if lowest >= highest:
        start = (lowest + highest) / 2
    elif expected_mm is not None and lowest - TABLE_DIGITS_MM <= expected_mm <= highest + TABLE_DIGITS_MM:
        start = expected_mm
    else:
        start = float(np.clip(_likely_start(pairs, low, high), lowest, highest))
    return start, lowest - highest, bounding


def _likely_start(pairs: Sequence[tuple[MeasuredLevel, Shown, TableLevel]], low: np.ndarray, high: np.ndarray) -> float:
    """Choose between bounds that do not contradict one another (`find_table_start`)."""
    lowest, highest = float(low.max()), float(high.min())
    is_spinal = np.array([level.kind == "spinal" for level, _, _ in pairs])
    voxel = np.array([shown.voxel_mm for _, shown, _ in pairs])
    steps = (np.stack([low, high]) - highest) / (voxel / 2)
    if (abs(steps - np.rint(steps)) < MAX_STEP_ERROR).all():  # a straight cord across its slices
        at_faces = is_spinal.all() and highest - lowest > 0.75 * voxel.max()
        return (lowest + highest) / 2 if at_faces else highest
    whole = is_spinal & (high - low < 2 * MAX_GAP_VOXELS * voxel)
    return float(np.median((low + high)[whole] / 2)) if whole.any() else highest


def _with_table(
    levels: Mapping[Kind, Sequence[MeasuredLevel]],
    shown: Mapping[tuple[Kind, int], Shown],
    table: Mapping[tuple[Kind, str], TableLevel],
    expected_mm: float | None,
) -> tuple[dict[Kind, tuple[MeasuredLevel, ...]], float, list[str]]:
    """Take ends and uncertainties from the level table; returns the arc length of its reference and notes, too."""
    pairs = [
        (level, shown[level.kind, level.value], table[level.kind, level.name])
        for kind in levels.values()
        for level in kind
        if (level.kind, level.name) in table
    ]
    if not pairs:
        raise LabelError("the level table has none of the levels of the maps; compute the levels again")
    start, apart, between = find_table_start(pairs, expected_mm)
    if apart > MAX_TABLE_ERROR_MM:
        raise LabelError(
            f"the level table and the level maps are up to {apart:.1f} mm apart: they are not of the same run, or one "
            "was edited; compute the levels again"
        )
    notes = []
    if apart > NOTED_TABLE_ERROR_MM:
        names = " and ".join(dict.fromkeys(f"{level.kind} {level.name}" for level in between))
        notes.append(
            f"the level table and the level maps are up to {apart:.1f} mm apart ({names}): one was edited, or the "
            "levels were computed from another cord mask or along a given centerline; positions are as uncertain"
        )

    unknown = [
        f"{level.kind} {level.name}"
        for kind in levels.values()
        for level in kind
        if (level.kind, level.name) not in table
    ]
    if unknown:
        notes.append(
            f"the level maps show levels that the level table does not have ({', '.join(unknown)}): they may be longer "
            "than stated; compute the levels again"
        )

    def described(level: MeasuredLevel) -> MeasuredLevel:
        entry = table.get((level.kind, level.name))
        if entry is None:
            return replace(level, complete=False)
        rostral_mm, caudal_mm = entry.rostral_mm + start, entry.caudal_mm + start
        shown_mm = shown[level.kind, level.value].length_of(rostral_mm, caudal_mm, max(apart, 0.0))
        is_cut = entry.complete and shown_mm < caudal_mm - rostral_mm
        return replace(
            level,
            rostral_mm=rostral_mm,
            caudal_mm=caudal_mm,
            rostral_sd_mm=entry.rostral_sd_mm,
            caudal_sd_mm=entry.caudal_sd_mm,
            complete=entry.complete and not is_cut,
            shown_mm=shown_mm if is_cut else np.nan,
        )

    whole = {kind: tuple(map(described, of_kind)) for kind, of_kind in levels.items()}
    cut = [f"{level.kind} {level.name} {level.shown_text}" for kind in whole.values() for level in kind if level.is_cut]
    if cut:
        notes.append(
            f"the level map and the cord mask show less of some levels than the level table says ({', '.join(cut)}): "
            "these levels are not complete; measure the maps and the mask of the whole scan"
        )
    return whole, start, notes
