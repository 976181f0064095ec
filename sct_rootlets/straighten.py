"""The surface of the cord, unrolled: angle around the cord against arc length along it.

Just outside the cord, rootlets cross this surface one by one. Unrolled, they show as oblique lines: dark against bright
fluid on T2w scans.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from sct_rootlets.centerline import Centerline
from sct_rootlets.image import values_at

#: Rays from the centerline are followed in steps of this length, up to this distance.
RAY_STEP_MM, LONGEST_RAY_MM = 0.25, 14.0
#: Steps of the mask's voxels are smoothed away along the cord and around it (standard deviations).
SMOOTH_MM, SMOOTH_DEG = 1.5, 10.0
#: Where the surface is looked for; it is smooth, and interpolated between.
GRID_MM, GRID_DEG = 1.0, 5.0
#: Where the mask, interpolated at the centerline, is less than this, there is a gap or its rim, and no surface.
WITHIN = 0.99
#: Where no ray meets the surface at all.
TYPICAL_RADIUS_MM = 5.0


def outward(line: Centerline, arc: np.ndarray, angle_deg: np.ndarray) -> np.ndarray:
    """Unit vectors from the centerline outwards, shape (N, M, 3), RAS+: posterior at 0°, the patient's right at 90°."""
    _, right, anterior = line.frame(arc)
    turn = np.radians(angle_deg)
    return np.sin(turn)[None, :, None] * right[:, None] - np.cos(turn)[None, :, None] * anterior[:, None]


def surface_radius(
    cord: np.ndarray, affine: np.ndarray, line: Centerline, arc: ArrayLike, angle_deg: ArrayLike
) -> np.ndarray:
    """How far the cord's surface is from its centerline.

    Parameters
    ----------
    cord : numpy.ndarray of bool, shape (I, J, K)
    affine : numpy.ndarray, shape (4, 4)
    line : Centerline
    arc : array_like, shape (N,)
        mm.
    angle_deg : array_like, shape (M,)
        Around the cord, within -180 to 180: 0 is posterior, 90 the patient's right.

    Returns
    -------
    numpy.ndarray, shape (N, M)
        mm, smooth; continued from the nearest known place where the mask has none.
    """
    arc, angle_deg = np.asarray(arc, dtype=float), np.asarray(angle_deg, dtype=float)
    rows = np.arange(arc.min(), arc.max() + GRID_MM, GRID_MM)
    columns = np.arange(-180, 180, GRID_DEG)
    ray = np.arange(0, LONGEST_RAY_MM, RAY_STEP_MM)
    points = line.position(rows)[:, None, None] + ray[:, None] * outward(line, rows, columns)[:, :, None]
    inside = values_at(cord, affine, points)
    leaves = (inside < 0.5).argmax(axis=2)
    after = np.take_along_axis(inside, leaves[..., None], 2)[..., 0]
    before = np.take_along_axis(inside, np.maximum(leaves - 1, 0)[..., None], 2)[..., 0]
    radius = RAY_STEP_MM * (leaves - (0.5 - after) / np.maximum(before - after, 1e-6))
    radius[leaves == 0] = np.nan  # the ray never leaves
    radius[inside[:, 0, 0] < WITHIN] = np.nan
    radius = _filled(radius)
    radius = ndimage.gaussian_filter1d(radius, SMOOTH_MM / GRID_MM, axis=0, mode="nearest")
    radius = ndimage.gaussian_filter1d(radius, SMOOTH_DEG / GRID_DEG, axis=1, mode="wrap")
    radius = np.concatenate([radius, radius[:, :1]], axis=1)  # 180° is -180°
    where = np.meshgrid((arc - rows[0]) / GRID_MM, (angle_deg + 180) / GRID_DEG, indexing="ij")
    return ndimage.map_coordinates(radius, where, order=1, mode="nearest")


def _filled(radius: np.ndarray) -> np.ndarray:
    """NaN replaced along the cord, from the nearest rows."""
    rows = np.arange(len(radius))
    typical = np.nanmedian(radius) if np.isfinite(radius).any() else TYPICAL_RADIUS_MM
    filled = np.empty_like(radius)
    for column in range(radius.shape[1]):
        known = np.isfinite(radius[:, column])
        filled[:, column] = np.interp(rows, rows[known], radius[known, column]) if known.any() else typical
    return filled


def unroll(
    data: np.ndarray,
    affine: np.ndarray,
    line: Centerline,
    arc: ArrayLike,
    angle_deg: ArrayLike,
    radius_mm: np.ndarray,
    order: int = 1,
) -> np.ndarray:
    """Sample a volume on a tube around the cord.

    Parameters
    ----------
    data, affine, line, arc, angle_deg
        See `surface_radius`.
    radius_mm : numpy.ndarray, shape (N, M)
        Distance from the centerline: that of the surface, and a little more.
    order : int
        0 for labels, 1 for intensities.

    Returns
    -------
    numpy.ndarray of float32, shape (N, M)
    """
    arc, angle_deg = np.asarray(arc, dtype=float), np.asarray(angle_deg, dtype=float)
    points = line.position(arc)[:, None] + radius_mm[..., None] * outward(line, arc, angle_deg)
    return values_at(data, affine, points, order)
