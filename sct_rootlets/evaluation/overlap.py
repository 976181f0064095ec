"""Overlap and distance of two masks.

Two empty masks have neither: the measure is NaN, which is no perfect score and stays out of every mean. One empty mask
gives a Dice of 0 and no distance (NaN).
"""

from __future__ import annotations

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage
from scipy.spatial import cKDTree


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Compute the Dice coefficient of two masks (Dice 1945, doi 10.2307/1932409).

    Parameters
    ----------
    first, second : numpy.ndarray of bool, of the same shape

    Returns
    -------
    float
        0 to 1; 0 if one mask is empty; NaN if both are empty.

    Examples
    --------
    >>> import numpy as np
    >>> dice(np.array([1, 1, 0], bool), np.array([0, 1, 0], bool))
    0.6666666666666666
    """
    total = int(np.count_nonzero(first)) + int(np.count_nonzero(second))
    return 2 * int(np.count_nonzero(first & second)) / total if total else float("nan")


def slice_f1(first: np.ndarray, second: np.ndarray, axis: int) -> float:
    """Compute the F1 score of the slices that two masks reach: a slice that both reach is a hit, wherever in the slice.

    Valošek 2024 (doi 10.1162/imag_a_00218) compares raters by this score. (The published script leaves out the last
    slice.)

    Parameters
    ----------
    first, second : numpy.ndarray of bool, shape (I, J, K)
    axis : int
        Voxel axis across which slices are counted.

    Returns
    -------
    float
        0 to 1; NaN if both masks are empty.
    """
    across = tuple(other for other in range(first.ndim) if other != axis)
    return dice(np.asarray(first.any(axis=across)), np.asarray(second.any(axis=across)))


def hd95(first: np.ndarray, second: np.ndarray, affine: np.ndarray) -> float:
    """Compute the 95th percentile of the Hausdorff distance between the surfaces of two masks, in mm.

    The surface of a mask consists of its voxels with a face towards the outside, and the border of the volume is
    outside. Distances are measured from each surface voxel of one mask to the closest surface voxel of the other,
    between centres. The result is the **larger of the two directions' 95th percentiles**, interpolated linearly, as in
    Metrics Reloaded (Maier-Hein 2024, doi 10.1038/s41592-023-02151-z). Other tools pool both directions before they
    take the percentile, so that a piece that one mask lacks is lost among twice as many distances.

    Parameters
    ----------
    first, second : numpy.ndarray of bool, shape (I, J, K)
    affine : numpy.ndarray, shape (4, 4)
        Voxel indices to RAS+ mm.

    Returns
    -------
    float
        NaN if a mask is empty.
    """
    if not (first.any() and second.any()):
        return float("nan")
    points = [apply_affine(affine, _surface(mask)) for mask in (first, second)]
    from_first = cKDTree(points[1]).query(points[0])[0]
    from_second = cKDTree(points[0]).query(points[1])[0]
    return float(max(np.percentile(from_first, 95), np.percentile(from_second, 95)))


def _surface(mask: np.ndarray) -> np.ndarray:
    """Find the indices of the voxels of a mask that have a face towards the outside, shape (N, 3)."""
    low, box = bounding_box(mask)
    cropped = mask[box]
    return np.argwhere(cropped & ~ndimage.binary_erosion(cropped)) + low


def bounding_box(mask: np.ndarray) -> tuple[np.ndarray, tuple[slice, ...]]:
    """Find the smallest box that holds a mask.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (I, J, K)
        Mask that is not empty.

    Returns
    -------
    low : numpy.ndarray of int, shape (3,)
        Indices of the first voxel of the box.
    box : tuple of slice
    """
    low, high = np.zeros(3, dtype=int), np.array(mask.shape)
    for axis in range(3):
        inside = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        low[axis], high[axis] = inside[0], inside[-1] + 1
    return low, tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))
