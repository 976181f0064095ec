"""Signal of images per level: voxels weighted by how much of them the level fills.

An image may lie on another grid of the same session. Each of its voxels is divided into points; the levels at these
points, and the cord there, give the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from nibabel.affines import apply_affine, from_matvec
from scipy import ndimage

from sct_rootlets.errors import ImageError
from sct_rootlets.flags import Flag, grade
from sct_rootlets.measure.cord_levels import CordLevels, MeasuredLevel

#: Parts of a level that are measured apart: the whole level, its sides, its dorsal and ventral halves, or quarters.
Division = Literal["level", "side", "half", "quarter"]
DIVISIONS: dict[Division, tuple[str, ...]] = {
    "level": ("",),
    "side": ("left", "right"),
    "half": ("dorsal", "ventral"),
    "quarter": ("left dorsal", "right dorsal", "left ventral", "right ventral"),
}
#: Points of a voxel are at most this far apart, as a share of the size of the voxels of the level map.
POINT_SHARE = 0.5
#: Number of points that are handled at a time.
_MAX_POINTS = 2_000_000
#: A level of which less is in view is named in the remarks.
MIN_COVERED = 0.98
# Limits of values, for `sct_rootlets.flags.grade`.
#: Distance between the middles of the two cords, mm, and their Dice coefficient.
SHIFT_LIMITS_MM = (1.0, 3.0)
OVERLAP_LIMITS = (0.7, 0.4)


@dataclass(frozen=True, kw_only=True)
class Region:
    """A level, or a part of one.

    Attributes
    ----------
    level : MeasuredLevel
    part : str
        Name in `DIVISIONS`; empty for the whole level.
    """

    level: MeasuredLevel
    part: str

    @property
    def name(self) -> str:
        """Such as ``"C5 left dorsal"``."""
        return f"{self.level.name} {self.part}".strip()


@dataclass(frozen=True, kw_only=True)
class SignalWeights:
    """How much of each voxel of an image belongs to each region.

    Attributes
    ----------
    regions : tuple of Region
    voxels : numpy.ndarray of int, shape (V, 3)
        Voxels of the image that any region reaches.
    weights : numpy.ndarray of float32, shape (regions, V)
        Share of each voxel, 0 to 1.
    cord : numpy.ndarray of float32, shape (V,)
        Share of each voxel that is cord, whether or not it belongs to a level; not restricted by masks.
    covered : numpy.ndarray, shape (regions,)
        Share of the volume of each region's level that the image shows, before masks.
    voxel_mm3 : float
        Volume of a voxel.
    """

    regions: tuple[Region, ...]
    voxels: np.ndarray
    weights: np.ndarray
    cord: np.ndarray
    covered: np.ndarray
    voxel_mm3: float


@dataclass(frozen=True, kw_only=True)
class SignalStatistics:
    """Signal of an image in a region.

    Attributes
    ----------
    region : Region
    mean, median, sd : float
        Weighted by how much of each voxel the region fills; NaN if the region is not in view.
    n_voxels : int
        Number of voxels that the region reaches.
    size_voxels, volume_mm3 : float
        Sum of the weights, in voxels and in mm³.
    covered : float
        Share of the level's volume that the image shows.
    remarks : tuple of str
    """

    region: Region
    mean: float
    median: float
    sd: float
    n_voxels: int
    size_voxels: float
    volume_mm3: float
    covered: float
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CordOverlap:
    """How the cord of an image lies to the cord of the levels.

    Attributes
    ----------
    dice : float
        Dice coefficient of the two cords, in the slices of the image that show both.
    shift_mm : float
        Distance between the middles of the two cords, the median over slices.
    left_mm, anterior_mm : float
        Median displacement of the image's cord along the axes of its slices, to the left and to anterior.
    vector_mm : numpy.ndarray, shape (3,)
        The same displacement, RAS+.
    """

    dice: float
    shift_mm: float
    left_mm: float
    anterior_mm: float
    vector_mm: np.ndarray

    def flags(self, name: str) -> list[Flag]:
        """Grade overlap and shift; ``name`` is that of the image."""
        return [
            Flag(
                key=f"shift {name}",
                title="shift between cords",
                value=round(self.shift_mm, 2),
                text=f"{self.shift_mm:.1f} mm  {name}",
                state=grade(self.shift_mm, *SHIFT_LIMITS_MM),
                why="median distance between the middles of the image's cord and of the cord of the levels",
                advice="the person moved between the scans, or a header is wrong; give a warp (-w)",
            ),
            Flag(
                key=f"overlap {name}",
                title="overlap of cords",
                value=round(self.dice, 3),
                text=f"{self.dice:.2f}  {name}",
                state=grade(self.dice, *OVERLAP_LIMITS),
                why="Dice coefficient of the image's cord and the cord of the levels",
                advice="the person moved between the scans, or a mask or a header is wrong; give a warp (-w)",
            ),
        ]


def level_weights(
    cord: CordLevels,
    shape: tuple[int, ...],
    affine: np.ndarray,
    division: Division = "level",
    field: tuple[np.ndarray, np.ndarray] | None = None,
    shift_mm: np.ndarray | None = None,
    name: str = "the image",
) -> SignalWeights:
    """Compute how much of each voxel of an image each level fills.

    Parameters
    ----------
    cord : CordLevels
    shape : (int, int, int)
        Shape of the image.
    affine : numpy.ndarray, shape (4, 4)
        Affine of the image.
    division : {"level", "side", "half", "quarter"}
        Parts that are measured apart. Sides are those of the patient, halves those in front of and behind the middle
        of the cord.
    field : (numpy.ndarray, shape (I, J, K, 3); numpy.ndarray, shape (4, 4)), optional
        Displacements in RAS+ mm from the image to the space of the levels, and the affine of their grid.
    shift_mm : numpy.ndarray, shape (3,), optional
        Displacement of the cord in the image from the cord of the levels, RAS+ mm; it is taken back.
    name : str
        What messages call the image.

    Returns
    -------
    SignalWeights

    Raises
    ------
    ImageError
        If no level lies in the field of view.
    """
    parts = DIVISIONS[division]
    regions = tuple(Region(level=level, part=part) for level in cord.all_levels for part in parts)
    # Sampling moves from the image to the levels; moving the image's grid back is the same.
    affine = affine if shift_mm is None else from_matvec(np.eye(3), -shift_mm) @ affine
    voxels = _voxels_near_cord(cord, shape, affine, field)
    offsets = _points_of_a_voxel(affine, cord.cord.spacing)
    weights = np.zeros((len(regions), len(voxels)), dtype=np.float32)
    share_of_cord = np.zeros(len(voxels), dtype=np.float32)
    chunk = max(1, _MAX_POINTS // len(offsets))
    for first in range(0, len(voxels), chunk):
        part = slice(first, first + chunk)
        points = apply_affine(affine, voxels[part, None, :] + offsets[None])
        _add_points(cord, division, _displaced(points, field), weights[:, part], share_of_cord[part])
    weights /= len(offsets)
    share_of_cord /= len(offsets)
    voxel_mm3 = abs(float(np.linalg.det(affine[:3, :3])))
    covered = _covered(cord, regions, weights, voxel_mm3)
    if not (covered > 0).any():
        raise ImageError(
            f"{name} and the levels do not overlap: no level lies in its field of view; give an image of the same "
            "session, or a warp to it (-w)"
        )
    reached = share_of_cord > 0
    return SignalWeights(
        regions=regions,
        voxels=voxels[reached],
        weights=weights[:, reached],
        cord=share_of_cord[reached],
        covered=covered,
        voxel_mm3=voxel_mm3,
    )


def _voxels_near_cord(
    cord: CordLevels, shape: tuple[int, ...], affine: np.ndarray, field: tuple[np.ndarray, np.ndarray] | None
) -> np.ndarray:
    """List the voxels of an image that may hold cord, shape (V, 3)."""
    if field is not None:
        return _voxels_displaced_to_cord(cord, shape, affine, field)
    index = apply_affine(np.linalg.inv(affine) @ cord.cord.affine, np.argwhere(cord.cord.data > 0))
    # A voxel of the cord reaches half of its diagonal beyond its middle.
    reach = np.linalg.norm(cord.cord.spacing) / 2 / np.linalg.norm(affine[:3, :3], axis=0)
    low = np.clip(np.floor(index - reach), 0, np.array(shape) - 1).astype(int)
    high = np.clip(np.ceil(index + reach), 0, np.array(shape) - 1).astype(int)
    near = np.zeros(shape, dtype=bool)
    size = np.ceil(2 * reach).astype(int) + 1
    inside = ((index > -1 - reach) & (index < np.array(shape) + reach)).all(axis=1)
    for corner in (low[inside], high[inside]):
        near[tuple(corner.T)] = True
    near = ndimage.maximum_filter(near, size=2 * size + 1)
    return np.argwhere(near)


def _voxels_displaced_to_cord(
    cord: CordLevels, shape: tuple[int, ...], affine: np.ndarray, field: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """List the voxels of an image whose middles a field brings to within half of their diagonal of the cord."""
    reach_mm = (np.linalg.norm(affine[:3, :3]) + np.linalg.norm(cord.cord.spacing)) / 2
    near = ndimage.distance_transform_edt(cord.cord.data <= 0, sampling=cord.cord.spacing) <= reach_mm
    found = []
    for k in range(shape[2]):
        voxels = np.argwhere(np.ones((*shape[:2], 1), dtype=bool)) + np.array([0, 0, k])
        points = _displaced(apply_affine(affine, voxels)[:, None], field)[:, 0]
        index = np.rint(apply_affine(np.linalg.inv(cord.cord.affine), points)).astype(int)
        inside = ((index >= 0) & (index < near.shape)).all(axis=1)
        inside[inside] = near[tuple(index[inside].T)]
        found.append(voxels[inside])
    return np.concatenate(found)


def _points_of_a_voxel(affine: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Place points evenly in a voxel, shape (M, 3), in voxels from its middle."""
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    counts = np.maximum(1, np.ceil(sizes / (POINT_SHARE * spacing.min()) - 1e-3)).astype(int)
    axes = [(np.arange(count) + 0.5) / count - 0.5 for count in counts]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def _displaced(points: np.ndarray, field: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
    if field is None:
        return points
    displacement, affine = field
    index = np.moveaxis(apply_affine(np.linalg.inv(affine), points), -1, 0)
    moved = [ndimage.map_coordinates(displacement[..., k], index, order=1, mode="nearest") for k in range(3)]
    return points + np.stack(moved, axis=-1)


def _add_points(
    cord: CordLevels, division: Division, points: np.ndarray, weights: np.ndarray, share_of_cord: np.ndarray
) -> None:
    """Add the cord at points, shape (V, M, 3), to the weights of each region, shape (regions, V)."""
    index = np.rint(apply_affine(np.linalg.inv(cord.cord.affine), points)).astype(int)
    inside = ((index >= 0) & (index < cord.cord.data.shape)).all(axis=-1)
    index[~inside] = 0
    place = tuple(np.moveaxis(index, -1, 0))
    amount = np.where(inside, cord.cord.data[place], 0).astype(np.float32)
    share_of_cord += amount.sum(axis=1)
    parts = _parts(cord, division, points, amount > 0)
    n_parts = len(DIVISIONS[division])
    row = 0
    for kind, levels in cord.levels.items():
        labels = cord.maps[kind].data[place]
        for level in levels:
            of_level = np.where(labels == level.value, amount, 0)
            for part in range(n_parts):
                weights[row] += (of_level if n_parts == 1 else np.where(parts == part, of_level, 0)).sum(axis=1)
                row += 1


def _parts(cord: CordLevels, division: Division, points: np.ndarray, is_cord: np.ndarray) -> np.ndarray:
    """Number of the part, by `DIVISIONS`, that each point lies in."""
    parts = np.zeros(points.shape[:2], dtype=np.uint8)
    if division == "level" or not is_cord.any():
        return parts
    _, right_mm, anterior_mm = cord.centerline.across(points[is_cord])
    is_right, is_ventral = right_mm > 0, anterior_mm > 0
    number = {"side": is_right, "half": is_ventral, "quarter": is_right + 2 * is_ventral}[division]
    parts[is_cord] = number
    return parts


def _covered(cord: CordLevels, regions: Sequence[Region], weights: np.ndarray, voxel_mm3: float) -> np.ndarray:
    """Share of each region's level that is in view."""
    shares = {}
    for level, n_voxels in _level_sums(regions, weights).items():
        total = cord.volume_mm3(level)
        shares[level] = min(1.0, n_voxels * voxel_mm3 / total) if total else 0.0
    return np.array([shares[region.level] for region in regions])


def _level_sums(regions: Sequence[Region], weights: np.ndarray) -> dict[MeasuredLevel, float]:
    """Sum of the weights of each level over its regions, in voxels."""
    sums: dict[MeasuredLevel, float] = {}
    for region, row in zip(regions, weights, strict=True):
        sums[region.level] = sums.get(region.level, 0.0) + float(row.sum(dtype=float))
    return sums


def restrict(weights: SignalWeights, mask: np.ndarray) -> SignalWeights:
    """Multiply weights by a mask on the grid of the image.

    Parameters
    ----------
    weights : SignalWeights
    mask : numpy.ndarray, shape (I, J, K)
        Share of each voxel that counts, 0 to 1.
    """
    factor = np.asarray(mask[tuple(weights.voxels.T)], dtype=np.float32)
    return replace(weights, weights=weights.weights * factor)


def leave_out(weights: SignalWeights, outside: np.ndarray) -> SignalWeights:
    """Remove voxels that an image does not show, as if they lay outside of its grid.

    Parameters
    ----------
    weights : SignalWeights
        Before `restrict`.
    outside : numpy.ndarray of bool, shape (I, J, K)
        Voxels that are not shown (`sct_rootlets.measure.shown_cord.ShownCord`).
    """
    kept = weights.weights * ~outside[tuple(weights.voxels.T)]
    before, after = (_level_sums(weights.regions, rows) for rows in (weights.weights, kept))
    shares = {level: after[level] / total if total else 0.0 for level, total in before.items()}
    covered = weights.covered * [shares[region.level] for region in weights.regions]
    return replace(weights, weights=kept, covered=covered)


def summarize_signal(data: np.ndarray, weights: SignalWeights) -> list[SignalStatistics]:
    """Compute the signal of each region of an image.

    Parameters
    ----------
    data : numpy.ndarray, shape (I, J, K)
        Values that are not finite are left out.
    weights : SignalWeights
        On the grid of the image.
    """
    values = np.asarray(data[tuple(weights.voxels.T)], dtype=float)
    finite = np.isfinite(values)
    result = []
    for region, row, covered in zip(weights.regions, weights.weights, weights.covered, strict=True):
        used = finite & (row > 0)
        remarks = _remarks(region, float(covered), bool(used.any()), int(np.count_nonzero((row > 0) & ~finite)))
        mean, median, sd = weighted_statistics(values[used], row[used].astype(float))
        size = float(row[used].sum(dtype=float))
        result.append(
            SignalStatistics(
                region=region,
                mean=mean,
                median=median,
                sd=sd,
                n_voxels=int(np.count_nonzero(used)),
                size_voxels=size,
                volume_mm3=size * weights.voxel_mm3,
                covered=float(covered),
                remarks=remarks,
            )
        )
    return result


def _remarks(region: Region, covered: float, measured: bool, n_not_finite: int) -> tuple[str, ...]:
    remarks = []
    if covered == 0:
        remarks.append("outside the image")
    elif not measured:
        remarks.append("no voxel of the mask lies in it")
    elif covered < MIN_COVERED:
        remarks.append(f"{covered:.0%} of the level is in view")
    if not region.level.has_known_ends:
        remarks.append("the level may be longer than stated")
    if region.level.is_cut:
        remarks.append(f"the level map and the cord mask show {region.level.shown_text} of the level")
    if n_not_finite:
        remarks.append(f"{n_not_finite} voxels without a finite value are left out")
    return tuple(remarks)


def weighted_statistics(values: np.ndarray, weights: np.ndarray) -> tuple[float, float, float]:
    """Compute weighted mean, median and standard deviation; NaN without values.

    Parameters
    ----------
    values, weights : numpy.ndarray, shape (N,)

    Notes
    -----
    The median interpolates the values at the half of the cumulated weights, each value in the middle of its own.
    """
    total = float(weights.sum())
    if total == 0:
        return np.nan, np.nan, np.nan
    mean = float(values @ weights / total)
    sd = float(np.sqrt(((values - mean) ** 2) @ weights / total))
    order = np.argsort(values, kind="stable")
    below = (np.cumsum(weights[order]) - 0.5 * weights[order]) / total
    return mean, float(np.interp(0.5, below, values[order])), sd


def mean_of_volume(data: np.ndarray, weights: SignalWeights) -> np.ndarray:
    """Compute the weighted mean of each region of one volume of a series, shape (regions,); NaN out of view."""
    values = np.asarray(data[tuple(weights.voxels.T)], dtype=float)
    finite = np.isfinite(values)
    used = weights.weights if finite.all() else weights.weights * finite
    total = used.sum(axis=1, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((used @ np.where(finite, values, 0.0)) / total, dtype=float)


def compare_cords(mask: np.ndarray, affine: np.ndarray, weights: SignalWeights) -> CordOverlap | None:
    """Compare the cord mask of an image with the cord of the levels.

    Parameters
    ----------
    mask : numpy.ndarray, shape (I, J, K)
        Cord of the image, 0 to 1; axes to the left, to anterior and to superior.
    affine : numpy.ndarray, shape (4, 4)
        Affine of the image.
    weights : SignalWeights
        On the grid of the image, before `restrict`.

    Returns
    -------
    CordOverlap or None
        None if no slice shows both.
    """
    other = np.zeros(mask.shape, dtype=np.float32)
    other[tuple(weights.voxels.T)] = weights.cord
    both = np.flatnonzero((mask > 0).any(axis=(0, 1)) & (other > 0).any(axis=(0, 1)))
    if not len(both):
        return None
    ours, theirs = mask[:, :, both], other[:, :, both]
    dice = 2 * float(np.minimum(ours, theirs).sum(dtype=float)) / float(ours.sum(dtype=float) + theirs.sum(dtype=float))
    shifts = np.array(
        [
            np.subtract(ndimage.center_of_mass(ours[:, :, k]), ndimage.center_of_mass(theirs[:, :, k]))
            for k in range(len(both))
        ]
    )
    spacing = np.linalg.norm(affine[:3, :2], axis=0)
    shifts = shifts * spacing
    left, anterior = np.median(shifts, axis=0)
    return CordOverlap(
        dice=dice,
        shift_mm=float(np.median(np.linalg.norm(shifts, axis=1))),
        left_mm=float(left),
        anterior_mm=float(anterior),
        vector_mm=affine[:3, :2] @ (np.array([left, anterior]) / spacing),
    )
