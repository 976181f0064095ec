"""Images along displacement fields: a volume, or a series of volumes, on the grid of a field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from sct_rootlets.image import Volume

#: Order of the spline for each way to interpolate, named as in SCT.
SPLINE_ORDERS = {"nn": 0, "linear": 1, "spline": 3}
#: Number of voxels that are sampled at a time.
_MAX_SLAB_VOXELS = 2_000_000


def resample(
    moving: Volume, field: np.ndarray, affine: np.ndarray, order: int = 1, dtype: np.dtype | type | None = None
) -> np.ndarray:
    """Resample an image along a displacement field.

    Parameters
    ----------
    moving : Volume
    field : numpy.ndarray, shape (I, J, K, 3)
        Displacements from the output grid to the world of `moving`, RAS+ mm.
    affine : numpy.ndarray, shape (4, 4)
        Affine of the output grid.
    order : int
        0 takes the nearest voxel (labels), 1 is linear, 3 cubic.
    dtype : optional
        Type of the result; by default that of the image for order 0, and single precision otherwise.

    Returns
    -------
    numpy.ndarray, shape (I, J, K)
        0 outside of the image.
    """
    dtype = _output_dtype(moving.data.dtype, order, dtype)
    slabs = _sample_slabs(field, affine, moving.data.shape, moving.affine)
    return _interpolate(moving.data, order, slabs, field.shape[:3], dtype)


def resample_series(
    volumes: Iterable[np.ndarray],
    shape: tuple[int, ...],
    moving_affine: np.ndarray,
    field: np.ndarray,
    affine: np.ndarray,
    order: int = 1,
) -> Iterator[np.ndarray]:
    """Resample volumes of one grid along a displacement field, one at a time; positions are computed once.

    Parameters
    ----------
    volumes : iterable of numpy.ndarray, shape (I, J, K) each
    shape : (int, int, int)
        Shape of each volume.
    moving_affine : numpy.ndarray, shape (4, 4)
        Affine of the volumes.
    field, affine, order
        See `resample`.

    Yields
    ------
    numpy.ndarray
        On the grid of the field.
    """
    slabs = list(_sample_slabs(field, affine, shape, moving_affine))
    for data in volumes:
        yield _interpolate(data, order, slabs, field.shape[:3], _output_dtype(data.dtype, order))


@dataclass(frozen=True)
class _SampledSlab:
    """The voxels of a slab of the output grid that lie inside an image.

    Attributes
    ----------
    slab : tuple of slice
        Part of the output grid.
    shape : tuple of int
        Shape of this part.
    inside : numpy.ndarray of int, shape (N,)
        Flat indices of the voxels that lie inside the image.
    index : numpy.ndarray, shape (3, N)
        Positions of these voxels in voxels of the image.
    """

    slab: tuple[slice, slice, slice]
    shape: tuple[int, ...]
    inside: np.ndarray
    index: np.ndarray

    def fill(self, result: np.ndarray, source: np.ndarray, order: int) -> None:
        """Set this slab of a result from an image."""
        dtype = result.dtype
        # As in ITK, the outermost voxels reach to their own faces; nothing is extrapolated beyond.
        mode = "mirror" if order > 1 else "nearest"
        output = np.float64 if dtype.itemsize > 4 or (dtype.kind in "iu" and dtype.itemsize == 4) else np.float32
        value = ndimage.map_coordinates(source, self.index, order=order, mode=mode, prefilter=False, output=output)
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            value = np.clip(np.rint(value), limits.min, limits.max)
        block = np.zeros(self.shape, dtype=dtype)
        block.reshape(-1)[self.inside] = value
        result[self.slab] = block


def _interpolate(
    data: np.ndarray, order: int, slabs: Iterable[_SampledSlab], shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """Interpolate an image on another grid; NaN, which a spline filter would spread, stays where it is."""
    result = np.zeros(shape, dtype=dtype)
    not_finite = None if order < 2 or data.dtype.kind != "f" else ~np.isfinite(data)
    if not_finite is None or not not_finite.any():
        source = _prefilter(data, order)
        for slab in slabs:
            slab.fill(result, source, order)
        return result
    source, gaps = _prefilter(np.where(not_finite, 0, data), order), not_finite.astype(np.uint8)
    missing = np.zeros(shape, dtype=np.uint8)
    for slab in slabs:
        slab.fill(result, source, order)
        slab.fill(missing, gaps, 0)
    result[missing > 0] = np.nan
    return result


def _prefilter(data: np.ndarray, order: int) -> np.ndarray:
    """Compute the coefficients of a spline; orders 0 and 1 need none."""
    source = data.astype(np.uint8) if data.dtype == bool else data
    if order < 2:
        return source
    return ndimage.spline_filter(source.astype(np.float32), order, output=np.float32, mode="mirror")


def _sample_slabs(
    field: np.ndarray, affine: np.ndarray, shape: tuple[int, ...], moving_affine: np.ndarray
) -> Iterator[_SampledSlab]:
    """Find the positions in an image that the voxels of each slab take their values from."""
    to_index = np.linalg.inv(moving_affine)
    limits = np.array(shape)[:, None] - 0.5
    for slab in _slabs(field.shape):
        size = field[slab].shape[:3]
        voxels = np.indices(size, dtype=np.float32).reshape(3, -1).T
        voxels[:, 2] += slab[2].start
        points = apply_affine(affine, voxels) + field[slab].reshape(-1, 3)
        index = apply_affine(to_index, points).T
        inside = np.flatnonzero(((index >= -0.5) & (index <= limits)).all(axis=0))
        if len(inside):
            yield _SampledSlab(slab, size, inside.astype(np.int32), index[:, inside].astype(np.float32))


def _slabs(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice, slice]]:
    """Divide a grid along its last axis."""
    thickness = max(1, _MAX_SLAB_VOXELS // (shape[0] * shape[1]))
    for first in range(0, shape[2], thickness):
        yield slice(None), slice(None), slice(first, min(first + thickness, shape[2]))


def _output_dtype(moving: np.dtype, order: int, dtype: np.dtype | type | None = None) -> np.dtype:
    """Choose the type of a result: that of the image for order 0, and single precision otherwise."""
    if dtype is None:
        dtype = (np.uint8 if moving.kind == "b" else moving) if order == 0 else np.float32
    return np.dtype(dtype)
