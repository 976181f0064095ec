"""Points of levels on the centerline of the cord: where each begins, its middle, and its centre of mass."""

from __future__ import annotations

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume
from sct_rootlets.levels import Kind
from sct_rootlets.measure.cord_levels import CordLevels, MeasuredLevel


def border_points(cord: CordLevels, kind: Kind) -> dict[int, np.ndarray]:
    """Find where each level begins, as discs mark where vertebrae begin.

    Parameters
    ----------
    cord : CordLevels
    kind : {"spinal", "vertebral"}

    Returns
    -------
    dict of int to numpy.ndarray, shape (3,)
        RAS+ mm on the centerline: value n where level n begins, and one more value where the last level ends.
    """
    levels = cord.levels[kind]
    arcs = {level.value: level.rostral_mm for level in levels}
    arcs[max(arcs) + 1] = levels[-1].caudal_mm
    return {value: cord.centerline.position(arc)[0] for value, arc in arcs.items()}


def middle_points(cord: CordLevels, kind: Kind) -> dict[int, np.ndarray]:
    """Find the middle between the ends of each level on the centerline, RAS+ mm, by value."""
    middles = {level.value: (level.rostral_mm + level.caudal_mm) / 2 for level in cord.levels[kind]}
    return {value: cord.centerline.position(arc)[0] for value, arc in middles.items()}


def centre_of_mass(cord: CordLevels, level: MeasuredLevel) -> np.ndarray:
    """Compute the centre of mass of the cord in a level, RAS+ mm, shape (3,); NaN if the mask does not show it."""
    ijk = np.argwhere(cord.maps[level.kind].data == level.value)
    weights = cord.cord.data[tuple(ijk.T)]
    if not weights.any():
        return np.full(3, np.nan)
    return np.average(apply_affine(cord.cord.affine, ijk), axis=0, weights=weights)


def draw_points(points: dict[int, np.ndarray], grid: Volume) -> np.ndarray:
    """Draw points as single voxels.

    Parameters
    ----------
    points : dict of int to numpy.ndarray, shape (3,)
        RAS+ mm by value.
    grid : Volume
        Grid of the labels.

    Returns
    -------
    numpy.ndarray of uint8, shape (I, J, K)
        Points outside of the grid are moved to its nearest voxel, if they lie within a voxel of it.

    Raises
    ------
    LabelError
        If two points lie in one voxel, or one lies outside of the grid.
    """
    labels = np.zeros(grid.data.shape, dtype=np.uint8)
    last = np.array(labels.shape) - 1
    for value, point in sorted(points.items()):
        index = np.rint(apply_affine(np.linalg.inv(grid.affine), point)).astype(int)
        if (index < -1).any() or (index > last + 1).any():
            raise LabelError(f"the point of level {value} lies outside of {grid.name}; compute the levels again")
        place = tuple(np.clip(index, 0, last))
        if labels[place]:
            raise LabelError(
                f"the points of levels {labels[place]} and {value} lie in one voxel of {grid.name}; leave out the "
                "points (-points 0), or compute the levels on a finer grid"
            )
        labels[place] = value
    return labels
