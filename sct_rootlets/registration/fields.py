"""Displacement fields as ITK defines them, which ANTs, SCT and nitransforms read.

A field lives on the grid of the image that comes out: ``warp_template2anat`` lies on the grid of the subject, and holds
for each voxel the displacement to the same place in the template, in mm. Stored components are those of ITK (left,
posterior, superior: LPS).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from scipy import ndimage

#: Least distance between the nodes at which a map is evaluated; it is linearly interpolated between them.
MIN_NODE_SPACING_MM = 1.0
#: Displacements are rounded to this, a thousandth of the size of a voxel, which halves the size of the file.
ROUNDING_MM = 2.0**-10

PointMap = Callable[[np.ndarray], np.ndarray]


def displacement_field(
    point_map: PointMap, shape: tuple[int, ...], affine: np.ndarray, spacing_mm: float = MIN_NODE_SPACING_MM
) -> np.ndarray:
    """Evaluate a map on a grid.

    Parameters
    ----------
    point_map : callable
        Points of shape (N, 3) to points of the same shape, RAS+ mm.
    shape : tuple of int
    affine : numpy.ndarray, shape (4, 4)
    spacing_mm : float
        Distance between the nodes at which the map is evaluated; larger voxels are all nodes.

    Returns
    -------
    numpy.ndarray of float32, shape (I, J, K, 3)
        Displacements in RAS+ mm.
    """
    nodes = []
    for size, voxel_mm in zip(shape, voxel_sizes(affine), strict=True):
        every = max(1, int(spacing_mm / voxel_mm + 1e-6))
        nodes.append(np.unique(np.append(np.arange(0, size, every), size - 1)))
    grid = np.stack(np.meshgrid(*nodes, indexing="ij"), axis=-1)
    points = apply_affine(affine, grid.reshape(-1, 3))
    field = (point_map(points) - points).astype(np.float32).reshape(grid.shape)
    for axis in (2, 1, 0):
        field = _interpolate_along(field, nodes[axis], shape[axis], axis)
    return np.rint(field / ROUNDING_MM, out=field) * np.float32(ROUNDING_MM)


def _interpolate_along(field: np.ndarray, nodes: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Interpolate linearly along an axis from its nodes to all of its indices."""
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


def sample_field(field: np.ndarray, affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Interpolate displacements at points; points beyond the grid take those of the nearest voxel.

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


def jacobian(field: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Compute the volume of each voxel after the map, over its volume before: above 0 where nothing folds.

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
