"""The level of each rootlet voxel, given the levels along the cord."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from sct_rootlets.centerline import Centerline
from sct_rootlets.levels import Level
from sct_rootlets.spinal import DISTANCE_MM

#: Rootlets that attach between two levels belong to a level whose end is this near.
MAX_OUTSIDE_LEVEL_MM = 2.5
#: Rootlets that are not connected to the cord belong to a root that is this near.
MAX_DETACHED_MM = 4.0
# Added to the distance between voxels of different components, so that voxels of one component find each other first.
_COMPONENT_OFFSET_MM = 1000.0


def assign_levels(
    points: np.ndarray,
    distance_mm: np.ndarray,
    components: np.ndarray,
    centerline: Centerline,
    levels: Sequence[Level],
) -> np.ndarray:
    """Give each rootlet voxel the level at whose place its root attaches to the cord.

    The place where the root attaches decides, and not the place of the voxel itself: rootlets run caudally.

    Parameters
    ----------
    points : numpy.ndarray, shape (N, 3)
        Positions of the voxels, RAS+ mm.
    distance_mm : numpy.ndarray, shape (N,)
        Distance from the surface of the cord.
    components : numpy.ndarray of int, shape (N,)
        Number of the connected component of each voxel.
    centerline : Centerline
    levels : sequence of Level
        Levels from rostral to caudal.

    Returns
    -------
    numpy.ndarray of uint8, shape (N,)
        Value of the level; 0 for voxels that belong to no level.
    """
    arc = centerline.project(points).arc
    ends = np.array([(level.rostral_mm, level.caudal_mm) for level in levels])
    outside_mm = np.maximum(np.maximum(ends[:, 0] - arc[:, None], arc[:, None] - ends[:, 1]), 0)
    nearest = outside_mm.argmin(axis=1)
    values = np.array([level.value for level in levels], dtype=np.uint8)[nearest]
    near = distance_mm <= DISTANCE_MM
    attached = near & (outside_mm.min(axis=1) <= MAX_OUTSIDE_LEVEL_MM)
    result = np.where(attached, values, 0).astype(np.uint8)
    remote = np.flatnonzero(~near)
    if not len(remote) or not attached.any():
        return result
    places = np.hstack([points, _COMPONENT_OFFSET_MM * components[:, None]])
    distance, index = cKDTree(places[attached]).query(places[remote])
    detached = distance > _COMPONENT_OFFSET_MM / 2
    if detached.any():
        gap, closest = cKDTree(points[attached]).query(points[remote][detached])
        index[detached] = closest
        distance[detached] = np.where(gap <= MAX_DETACHED_MM, 0, np.inf)
    known = np.isfinite(distance)
    result[remote[known]] = result[attached][index[known]]
    return result
