"""Connected components of label maps: keeping the largest, or removing small ones."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def filter_components(
    labels: np.ndarray, spacing_mm: np.ndarray, largest: bool, remove_small: tuple[float, str] | None
) -> np.ndarray:
    """Remove components of each label: all but the largest, or small ones.

    Parameters
    ----------
    labels : numpy.ndarray of uint8, shape (I, J, K)
    spacing_mm : numpy.ndarray, shape (3,)
        Voxel size along each axis.
    largest : bool
        Keep only the largest component of each label.
    remove_small : (float, {"mm3", "vox"}), optional
        Remove components smaller than this.

    Returns
    -------
    numpy.ndarray of uint8, shape (I, J, K)
    """
    if not largest and remove_small is None:
        return labels
    result = labels.copy()
    for value in np.unique(labels[labels > 0]):
        components, n_components = ndimage.label(labels == value, np.ones((3, 3, 3)))
        sizes = np.bincount(components.ravel(), minlength=n_components + 1)
        sizes[0] = 0
        drop = np.zeros(n_components + 1, dtype=bool)
        if remove_small is not None:
            size, unit = remove_small
            drop |= sizes * (float(np.prod(spacing_mm)) if unit == "mm3" else 1.0) < size
        if largest:
            drop |= np.arange(n_components + 1) != sizes.argmax()
        drop[0] = False
        result[drop[components]] = 0
    return result
