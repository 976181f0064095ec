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
#: Level maps and level tables that differ by more than this belong to different scans or runs.
MAX_TABLE_ERROR_MM = 5.0


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
        Whether the level cannot be longer than stated; None where no table tells.
    """

    value: int
    kind: Kind
    rostral_mm: float
    caudal_mm: float
    rostral_sd_mm: float = np.nan
    caudal_sd_mm: float = np.nan
    complete: bool | None = None

    @property
    def name(self) -> str:
        """Name such as ``"C5"``."""
        return level_name(self.value, self.kind)


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
            if level.complete is False:
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
    levels = {kind: _levels_of_map(volume, kind, centerline) for kind, volume in axial.items()}
    for volume in axial.values():
        outside = float(np.mean(weights.data[volume.data > 0] <= 0))
        if outside > 0.5:
            raise LabelError(
                f"{volume.name} and {weights.name} do not show the same cord: {outside:.0%} of the levels lie outside "
                "the mask; give the mask that the levels were computed from (-s)"
            )
    start = 0.0
    if table:
        levels, start = _with_table(levels, table)
    return CordLevels(
        cord=weights,
        centerline=centerline,
        maps=axial,
        levels=levels,
        reference=reference if table and reference else "cord top",
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


def _levels_of_map(volume: Volume, kind: Kind, centerline: Centerline) -> tuple[MeasuredLevel, ...]:
    """Find the ends of each level of a map along the centerline."""
    ijk, values = labelled_voxels(volume)
    arc = centerline.project(apply_affine(volume.affine, ijk)).arc
    found = []
    for value in np.unique(values):
        inside = arc[values == value]
        found.append((int(value), float(inside.min()), float(inside.max())))
    found.sort(key=lambda entry: entry[1] + entry[2])
    ends = [list(entry) for entry in found]
    for upper, lower in pairwise(ends):
        # Voxel centres of neighbours end before, and begin behind, the border between them.
        if abs(lower[1] - upper[2]) < 2 * float(volume.spacing.max()):
            upper[2] = lower[1] = (upper[2] + lower[1]) / 2
    return tuple(MeasuredLevel(value=int(v), kind=kind, rostral_mm=a, caudal_mm=b) for v, a, b in ends)


def _with_table(
    levels: Mapping[Kind, Sequence[MeasuredLevel]], table: Mapping[tuple[Kind, str], TableLevel]
) -> tuple[dict[Kind, tuple[MeasuredLevel, ...]], float]:
    """Take ends and uncertainties from the level table; returns the arc length of its reference too."""
    pairs = [
        (level, table[level.kind, level.name])
        for kind in levels.values()
        for level in kind
        if (level.kind, level.name) in table
    ]
    if not pairs:
        raise LabelError("the level table has none of the levels of the maps; compute the levels again")
    offsets = [
        (level.rostral_mm + level.caudal_mm) / 2 - (entry.rostral_mm + entry.caudal_mm) / 2 for level, entry in pairs
    ]
    start = float(np.median(offsets))
    apart = max(abs(offset - start) for offset in offsets)
    if apart > MAX_TABLE_ERROR_MM:
        raise LabelError(
            f"the level table and the level maps are up to {apart:.0f} mm apart: they are not of the same run; compute "
            "the levels again"
        )

    def described(level: MeasuredLevel) -> MeasuredLevel:
        entry = table.get((level.kind, level.name))
        if entry is None:
            return level
        return replace(
            level,
            rostral_mm=entry.rostral_mm + start,
            caudal_mm=entry.caudal_mm + start,
            rostral_sd_mm=entry.rostral_sd_mm,
            caudal_sd_mm=entry.caudal_sd_mm,
            complete=entry.complete,
        )

    return {kind: tuple(map(described, of_kind)) for kind, of_kind in levels.items()}, start
