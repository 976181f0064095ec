"""Maps as displacement fields as ITK has them, which ANTs, SCT and nitransforms read; and moving images by them.

A field lives on the grid of the image that comes out: ``warp_template2anat`` on the subject's, where it says for each
voxel how far away the place is in the template, in mm. Stored components are ITK's (left, posterior, superior: LPS).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from scipy import ndimage

from sct_rootlets.image import Volume

#: Maps are evaluated no more densely than this, and linearly interpolated between.
STEP_MM = 1.0
#: Displacements are rounded to this, which saves half of the file: a thousandth of the size of a voxel.
ROUNDING_MM = 2.0**-10
#: Voxels that are moved at a time.
_PIECE = 2_000_000

PointMap = Callable[[np.ndarray], np.ndarray]


def displacement_field(
    point_map: PointMap, shape: tuple[int, ...], affine: np.ndarray, step_mm: float = STEP_MM
) -> np.ndarray:
    """Evaluate a map on a grid.

    Parameters
    ----------
    point_map : callable
        Points of shape (N, 3) to points of the same shape, RAS+ mm.
    shape : tuple of int
    affine : numpy.ndarray, shape (4, 4)
    step_mm : float
        The map is evaluated at every so many mm, and at every voxel where voxels are larger.

    Returns
    -------
    numpy.ndarray of float32, shape (I, J, K, 3)
        Displacements in RAS+ mm.
    """
    nodes = []
    for size, spacing in zip(shape, voxel_sizes(affine), strict=True):
        every = max(1, int(step_mm / spacing + 1e-6))
        nodes.append(np.unique(np.append(np.arange(0, size, every), size - 1)))
    grid = np.stack(np.meshgrid(*nodes, indexing="ij"), axis=-1)
    points = apply_affine(affine, grid.reshape(-1, 3))
    field = (point_map(points) - points).astype(np.float32).reshape(grid.shape)
    for axis in (2, 1, 0):
        field = _between(field, nodes[axis], shape[axis], axis)
    return np.rint(field / ROUNDING_MM, out=field) * np.float32(ROUNDING_MM)


def _between(field: np.ndarray, nodes: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Linear interpolation along an axis from some of its indices to all of them."""
    if len(nodes) == size:
        return field
    index = np.arange(size)
    below = np.clip(np.searchsorted(nodes, index, side="right") - 1, 0, len(nodes) - 2)
    share = ((index - nodes[below]) / (nodes[below + 1] - nodes[below])).astype(np.float32)
    share = share.reshape([-1 if n == axis else 1 for n in range(field.ndim)])
    low, high = np.take(field, below, axis=axis), np.take(field, below + 1, axis=axis)
    high -= low
    high *= share
    low += high
    return low


def resample(
    moving: Volume, field: np.ndarray, affine: np.ndarray, order: int = 1, dtype: np.dtype | type | None = None
) -> np.ndarray:
    """Bring an image along a displacement field.

    Parameters
    ----------
    moving : Volume
    field : numpy.ndarray, shape (I, J, K, 3)
        From the grid that comes out to the world of `moving`, RAS+ mm.
    affine : numpy.ndarray, shape (4, 4)
        Of that grid.
    order : int
        0 takes the nearest voxel (labels), 1 is linear, 3 cubic.
    dtype : optional
        Of the result; by default that of the image for labels, and single precision otherwise.

    Returns
    -------
    numpy.ndarray, shape (I, J, K)
        0 where the image does not reach.
    """
    kind = _kind(moving.data.dtype, order, dtype)
    return _moved(moving.data, order, _seen(field, affine, moving.data.shape, moving.affine), field.shape[:3], kind)


def resample_series(
    volumes: Iterable[np.ndarray],
    shape: tuple[int, ...],
    moving_affine: np.ndarray,
    field: np.ndarray,
    affine: np.ndarray,
    order: int = 1,
) -> Iterator[np.ndarray]:
    """Bring many images of one grid along a displacement field, one at a time: places are worked out once.

    Parameters
    ----------
    volumes : iterable of numpy.ndarray, shape (I, J, K) each
    shape : (int, int, int)
        Of each.
    moving_affine : numpy.ndarray, shape (4, 4)
    field, affine, order
        See `resample`.

    Yields
    ------
    numpy.ndarray
        On the grid of the field.
    """
    everywhere = list(_seen(field, affine, shape, moving_affine))
    for data in volumes:
        yield _moved(data, order, everywhere, field.shape[:3], _kind(data.dtype, order))


def _moved(
    data: np.ndarray, order: int, everywhere: Iterable[_Seen], shape: tuple[int, ...], kind: np.dtype
) -> np.ndarray:
    """An image on another grid. A spline filter would spread NaN over all of it: they stay where they are."""
    result = np.zeros(shape, dtype=kind)
    lost = None if order < 2 or data.dtype.kind != "f" else ~np.isfinite(data)
    if lost is None or not lost.any():
        source = _filtered(data, order)
        for seen in everywhere:
            seen.fill(result, source, order)
        return result
    source, gaps = _filtered(np.where(lost, 0, data), order), lost.astype(np.uint8)
    missing = np.zeros(shape, dtype=np.uint8)
    for seen in everywhere:
        seen.fill(result, source, order)
        seen.fill(missing, gaps, 0)
    result[missing > 0] = np.nan
    return result


@dataclass(frozen=True)
class _Seen:
    """Voxels of a part of a grid that see an image: which ones, and where they look, in voxels of the image."""

    part: tuple[slice, slice, slice]
    size: tuple[int, ...]
    which: np.ndarray
    place: np.ndarray

    def fill(self, result: np.ndarray, source: np.ndarray, order: int) -> None:
        """Set the part of a result that sees the source."""
        kind = result.dtype
        # Up to the outermost voxels' own faces, they count as they are, as ITK has it; nothing is made up beyond.
        mode = "mirror" if order > 1 else "nearest"
        output = np.float64 if kind.itemsize > 4 or (kind.kind in "iu" and kind.itemsize == 4) else np.float32
        value = ndimage.map_coordinates(source, self.place, order=order, mode=mode, prefilter=False, output=output)
        if kind.kind in "iu":
            limits = np.iinfo(kind)
            value = np.clip(np.rint(value), limits.min, limits.max)
        block = np.zeros(self.size, dtype=kind)
        block.reshape(-1)[self.which] = value
        result[self.part] = block


def _seen(field: np.ndarray, affine: np.ndarray, shape: tuple[int, ...], moving_affine: np.ndarray) -> Iterator[_Seen]:
    back = np.linalg.inv(moving_affine)
    limits = np.array(shape)[:, None] - 0.5
    for part in _slabs(field.shape):
        size = field[part].shape[:3]
        index = np.indices(size, dtype=np.float32).reshape(3, -1).T
        index[:, 2] += part[2].start
        points = apply_affine(affine, index) + field[part].reshape(-1, 3)
        place = apply_affine(back, points).T
        which = np.flatnonzero(((place >= -0.5) & (place <= limits)).all(axis=0))
        if len(which):
            yield _Seen(part, size, which.astype(np.int32), place[:, which].astype(np.float32))


def _kind(moving: np.dtype, order: int, dtype: np.dtype | type | None = None) -> np.dtype:
    if dtype is None:
        dtype = (np.uint8 if moving.kind == "b" else moving) if order == 0 else np.float32
    return np.dtype(dtype)


def _filtered(data: np.ndarray, order: int) -> np.ndarray:
    source = data.astype(np.uint8) if data.dtype == bool else data
    return (
        ndimage.spline_filter(source.astype(np.float32), order, output=np.float32, mode="mirror")
        if order > 1
        else source
    )


def sample_field(field: np.ndarray, affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Displacements at points, linearly between voxels and as at the nearest one beyond them.

    Parameters
    ----------
    field : numpy.ndarray, shape (I, J, K, 3)
    affine : numpy.ndarray, shape (4, 4)
    points : numpy.ndarray, shape (N, 3)
        RAS+ mm.

    Returns
    -------
    numpy.ndarray, shape (N, 3)
    """
    index = apply_affine(np.linalg.inv(affine), points).T
    return np.stack([ndimage.map_coordinates(field[..., k], index, order=1, mode="nearest") for k in range(3)], axis=1)


def _slabs(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice, slice]]:
    thick = max(1, _PIECE // (shape[0] * shape[1]))
    for first in range(0, shape[2], thick):
        yield slice(None), slice(None), slice(first, min(first + thick, shape[2]))


def jacobian(field: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Volume that a voxel has after the map, over what it had: above 0 where nothing folds.

    Parameters
    ----------
    field : numpy.ndarray, shape (I, J, K, 3)
        RAS+ mm.
    affine : numpy.ndarray, shape (4, 4)

    Returns
    -------
    numpy.ndarray, shape (I, J, K)
        By central differences.
    """
    slopes = np.stack([np.gradient(field[..., axis], axis=(0, 1, 2)) for axis in range(3)], axis=0)
    matrix = np.moveaxis(slopes, (0, 1), (-2, -1)) @ np.linalg.inv(affine[:3, :3])
    return np.linalg.det(matrix + np.eye(3))
