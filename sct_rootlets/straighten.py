"""Sampling of volumes along the cord: on planes that follow it, across it, and on its unrolled surface.

Just outside the cord, rootlets cross its surface one by one. Unrolled (angle around the cord against arc length along
it), they show as oblique lines: dark against bright fluid on T2w scans.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from sct_rootlets.centerline import Centerline
from sct_rootlets.image import Volume, values_at
from sct_rootlets.levels import Level

Plane = Literal["sagittal", "coronal"]

#: Rays from the centerline are followed in steps of this length, up to this distance.
RAY_STEP_MM, MAX_RAY_MM = 0.25, 14.0
#: Standard deviations of the smoothing, along the cord and around it, that removes the steps of the mask's voxels.
SMOOTHING_SD_MM, SMOOTHING_SD_DEG = 1.5, 10.0
#: Distances, along the cord and around it, between the rays; the surface is interpolated between them.
GRID_MM, GRID_DEG = 1.0, 5.0
#: A lower value of the mask, interpolated at the centerline, means a gap of the mask or the rim of a gap: no surface.
MIN_MASK_AT_CENTERLINE = 0.99
#: Radius of the cord if no ray meets the surface.
TYPICAL_RADIUS_MM = 5.0


def arc_around(levels: Iterable[Level], line: Centerline, margin_mm: float) -> tuple[float, float]:
    """Return the arc length at which a view of all levels begins and ends.

    Parameters
    ----------
    levels : iterable of Level
        At least one level.
    line : Centerline
    margin_mm : float
        Length of cord that is shown above the first and below the last level, as far as there is cord.

    Returns
    -------
    first, last : float
        mm.
    """
    levels = list(levels)
    first = max(min(level.rostral_mm for level in levels) - margin_mm, line.arc[0])
    last = min(max(level.caudal_mm for level in levels) + margin_mm, line.cord_length)
    return float(first), float(last)


def plane_points(
    line: Centerline, arc: np.ndarray, across_mm: np.ndarray, plane: Plane, depth_mm: ArrayLike = 0.0
) -> np.ndarray:
    """Return the points of a plane that follows the cord.

    Parameters
    ----------
    line : Centerline
    arc : numpy.ndarray, shape (N,)
        Rows of the plane, mm.
    across_mm : numpy.ndarray, shape (M,)
        Columns of the plane: distance from the centerline, positive in front of it in a sagittal plane and to the
        patient's right in a coronal plane.
    plane : {"sagittal", "coronal"}
    depth_mm : array_like, shape (...)
        Distance of the plane from the centerline, positive to the right for a sagittal plane and in front for a coronal
        plane. Several distances give several planes.

    Returns
    -------
    numpy.ndarray, shape (..., N, M, 3)
        RAS+ mm.
    """
    _, right, anterior = line.frame(arc)
    within, normal = (anterior, right) if plane == "sagittal" else (right, anterior)
    points = line.position(arc) + np.asarray(depth_mm)[..., None, None] * normal
    return points[..., None, :] + across_mm[:, None] * within[:, None]


def sample_plane(
    volume: Volume,
    line: Centerline,
    arc: np.ndarray,
    across_mm: np.ndarray,
    plane: Plane,
    depth_mm: ArrayLike = 0.0,
    order: int = 1,
) -> np.ndarray:
    """Sample a volume on a plane that follows the cord.

    Parameters
    ----------
    volume : Volume
    line, arc, across_mm, plane, depth_mm
        See `plane_points`.
    order : int
        0 for labels, 1 for intensities.

    Returns
    -------
    numpy.ndarray of float32, shape (..., N, M)
        0 beyond the volume.
    """
    return values_at(volume.data, volume.affine, plane_points(line, arc, across_mm, plane, depth_mm), order)


def project_labels(
    volume: Volume,
    line: Centerline,
    arc: np.ndarray,
    across_mm: np.ndarray,
    plane: Plane,
    depths_mm: np.ndarray,
) -> np.ndarray:
    """Project labels from parallel planes onto one plane that follows the cord; the highest label is seen.

    Parameters
    ----------
    volume, line, arc, across_mm, plane
        See `sample_plane`.
    depths_mm : numpy.ndarray, shape (D,)
        Distances of the planes from the centerline.

    Returns
    -------
    numpy.ndarray of uint8, shape (N, M)
    """
    labels = np.zeros((len(arc), len(across_mm)), dtype=np.uint8)
    for depth in depths_mm:
        layer = sample_plane(volume, line, arc, across_mm, plane, depth, order=0)
        labels = np.maximum(labels, np.rint(layer).astype(np.uint8))
    return labels


def section_points(line: Centerline, arc_mm: float, right_mm: np.ndarray, anterior_mm: np.ndarray) -> np.ndarray:
    """Return the points of a plane across the cord.

    Parameters
    ----------
    line : Centerline
    arc_mm : float
        Place of the plane.
    right_mm : numpy.ndarray, shape (M,)
        Columns: distance from the centerline to the patient's right.
    anterior_mm : numpy.ndarray, shape (N,)
        Rows: distance in front of the centerline.

    Returns
    -------
    numpy.ndarray, shape (N, M, 3)
        RAS+ mm.
    """
    _, right, anterior = line.frame(arc_mm)
    return line.position(arc_mm) + right_mm[None, :, None] * right + anterior_mm[:, None, None] * anterior


def outward(line: Centerline, arc: np.ndarray, angle_deg: np.ndarray) -> np.ndarray:
    """Return outward unit vectors, shape (N, M, 3): posterior at 0°, the patient's right at 90°."""
    _, right, anterior = line.frame(arc)
    turn = np.radians(angle_deg)
    return np.sin(turn)[None, :, None] * right[:, None] - np.cos(turn)[None, :, None] * anterior[:, None]


def surface_radius(cord: Volume, line: Centerline, arc: ArrayLike, angle_deg: ArrayLike) -> np.ndarray:
    """Measure how far the cord's surface is from its centerline.

    Parameters
    ----------
    cord : Volume
        Cord mask, as booleans.
    line : Centerline
    arc : array_like, shape (N,)
        mm.
    angle_deg : array_like, shape (M,)
        Around the cord, within -180 to 180: 0 is posterior, 90 the patient's right.

    Returns
    -------
    numpy.ndarray, shape (N, M)
        mm, smooth; where the mask has a gap, continued from the nearest place with a surface.
    """
    arc, angle_deg = np.asarray(arc, dtype=float), np.asarray(angle_deg, dtype=float)
    rows = np.arange(arc.min(), arc.max() + GRID_MM, GRID_MM)
    columns = np.arange(-180, 180, GRID_DEG)
    ray = np.arange(0, MAX_RAY_MM, RAY_STEP_MM)
    points = line.position(rows)[:, None, None] + ray[:, None] * outward(line, rows, columns)[:, :, None]
    inside = values_at(cord.data, cord.affine, points)
    leaves = (inside < 0.5).argmax(axis=2)
    after = np.take_along_axis(inside, leaves[..., None], 2)[..., 0]
    before = np.take_along_axis(inside, np.maximum(leaves - 1, 0)[..., None], 2)[..., 0]
    radius = RAY_STEP_MM * (leaves - (0.5 - after) / np.maximum(before - after, 1e-6))
    radius[leaves == 0] = np.nan  # the ray never leaves
    radius[inside[:, 0, 0] < MIN_MASK_AT_CENTERLINE] = np.nan
    radius = _filled(radius)
    radius = ndimage.gaussian_filter1d(radius, SMOOTHING_SD_MM / GRID_MM, axis=0, mode="nearest")
    radius = ndimage.gaussian_filter1d(radius, SMOOTHING_SD_DEG / GRID_DEG, axis=1, mode="wrap")
    radius = np.concatenate([radius, radius[:, :1]], axis=1)  # 180° is -180°
    where = np.meshgrid((arc - rows[0]) / GRID_MM, (angle_deg + 180) / GRID_DEG, indexing="ij")
    return ndimage.map_coordinates(radius, where, order=1, mode="nearest")


def _filled(radius: np.ndarray) -> np.ndarray:
    """Replace NaN by interpolation along the cord."""
    rows = np.arange(len(radius))
    typical = np.nanmedian(radius) if np.isfinite(radius).any() else TYPICAL_RADIUS_MM
    filled = np.empty_like(radius)
    for column in range(radius.shape[1]):
        known = np.isfinite(radius[:, column])
        filled[:, column] = np.interp(rows, rows[known], radius[known, column]) if known.any() else typical
    return filled


def unroll(
    volume: Volume,
    line: Centerline,
    arc: ArrayLike,
    angle_deg: ArrayLike,
    radius_mm: np.ndarray,
    order: int = 1,
) -> np.ndarray:
    """Sample a volume on a tube around the cord.

    Parameters
    ----------
    volume : Volume
    line, arc, angle_deg
        See `surface_radius`.
    radius_mm : numpy.ndarray, shape (N, M)
        Distance of the tube from the centerline: the surface's own, and a little more.
    order : int
        0 for labels, 1 for intensities.

    Returns
    -------
    numpy.ndarray of float32, shape (N, M)
    """
    arc, angle_deg = np.asarray(arc, dtype=float), np.asarray(angle_deg, dtype=float)
    points = line.position(arc)[:, None] + radius_mm[..., None] * outward(line, arc, angle_deg)
    return values_at(volume.data, volume.affine, points, order)
