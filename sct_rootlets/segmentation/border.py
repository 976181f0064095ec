"""The border of one value that padding, masking or defacing leaves around a scan: networks do not see it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.image import Volume
from sct_rootlets.segmentation.grid import Box


def find_content(data: np.ndarray) -> Box:
    """Find the box within which a volume shows something: planes of one and the same value are cut off its sides.

    Parameters
    ----------
    data : numpy.ndarray, shape (I, J, K)

    Returns
    -------
    tuple of slice
        The whole volume if it shows nothing anywhere.
    """
    box = [slice(0, n) for n in data.shape]
    for axis in range(3):
        seen = np.moveaxis(data[tuple(box)], axis, 0)
        first, last = 0, len(seen) - 1
        while first < last and _is_uniform(seen[first], seen[0]):
            first += 1
        if first == last:
            return tuple(slice(0, n) for n in data.shape)
        while _is_uniform(seen[last], seen[-1]):
            last -= 1
        box[axis] = slice(first, last + 1)
    return tuple(box)


def _is_uniform(plane: np.ndarray, outermost: np.ndarray) -> bool:
    value = outermost.flat[0]
    return bool(plane.flat[0] == value and (plane == value).all())


def cut(volume: Volume, box: Box) -> Volume:
    """Cut a box out of a volume; nothing moves in scanner space."""
    affine = volume.affine.copy()
    affine[:3, 3] = apply_affine(volume.affine, [part.start for part in box])
    return replace(volume, data=volume.data[box], affine=affine)


def uncut(data: np.ndarray, box: Box, shape: tuple[int, ...]) -> np.ndarray:
    """Put what lies in a box back into a volume of zeros."""
    if data.shape == shape:
        return data
    whole = np.zeros(shape, dtype=data.dtype)
    whole[box] = data
    return whole
