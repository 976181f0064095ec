"""Cross-sections of a cord mask: its radius in every direction, measured along the cord."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from sct_rootlets.image import Volume
from sct_rootlets.registration.cordspace import CordSpace

#: Sampling of the cross-section: distance along the cord, number of directions, and distance along each.
SECTION_SPACING_MM, N_ANGLES, RADIAL_SPACING_MM = 1.0, 72, 0.25
#: No cord is thicker: half of twice the width of the widest cord.
MAX_RADIUS_MM = 14.0
#: Radii are smoothed by Gaussians of these standard deviations: masks are made slice by slice, and cords are smooth.
SMOOTHING_SD_MM, SMOOTHING_SD_DEG = 2.5, 9.0
#: Sections closer to an end of the mask may be cut obliquely, and do not count.
END_MARGIN_MM = 3.0
#: Sections with a smaller share of the median area around them are gaps (lesions, errors), and do not count.
MIN_AREA_SHARE, AREA_WINDOW_MM = 0.6, 40.0


@dataclass(frozen=True)
class Sections:
    """Radii of a cord.

    Attributes
    ----------
    arc : numpy.ndarray, shape (S,)
        mm.
    radius : numpy.ndarray, shape (S, A)
        Distance from the centerline to the surface in mm, at `angles`; NaN where unknown.
    """

    arc: np.ndarray
    radius: np.ndarray


def angles() -> np.ndarray:
    """Return the angles of the radii: 0 to the right, growing towards anterior, shape (A,)."""
    return 2 * np.pi * np.arange(N_ANGLES) / N_ANGLES


def measure_sections(mask: Volume, space: CordSpace, arc: np.ndarray) -> Sections:
    """Measure the radius of a cord mask in every direction.

    The square of a radius is twice the integral of r dr over the mask along a ray, so that areas are kept.

    Parameters
    ----------
    mask : Volume
        Cord, of booleans or 0 and 1.
    space : CordSpace
        Coordinates of this cord.
    arc : numpy.ndarray, shape (S,)
        Ascending, mm.

    Returns
    -------
    Sections
        NaN where the cord leaves the field of view, is cut, or ends.
    """
    area = _sector_areas(mask, space, arc)
    total = np.nan_to_num(area).mean(axis=1)
    known = total > 0
    if known.any():
        window = 2 * round(AREA_WINDOW_MM / 2 / max(np.diff(arc).min(initial=AREA_WINDOW_MM), 1e-3)) + 1
        typical = np.full(len(arc), np.median(total[known]))
        size = min(window, 2 * (known.sum() // 2) + 1)
        typical[known] = ndimage.median_filter(total[known], size, mode="nearest")
        known &= total >= MIN_AREA_SHARE * typical
    low, high = space.ends
    known &= (arc >= low + END_MARGIN_MM) & (arc <= high - END_MARGIN_MM)
    area[~known] = np.nan
    return Sections(arc, np.sqrt(area))


def _sector_areas(mask: Volume, space: CordSpace, arc: np.ndarray) -> np.ndarray:
    """Measure the area of the mask in each sector over half of the sector's angle, shape (S, A), mm².

    NaN where the cord reaches a side of the field of view: how far it goes on is not known there.
    """
    ray = np.arange(RADIAL_SPACING_MM / 2, MAX_RADIUS_MM, RADIAL_SPACING_MM)
    angle = angles()
    coordinates = np.empty((len(arc), N_ANGLES, len(ray), 3))
    coordinates[..., 0] = arc[:, None, None]
    coordinates[..., 1] = ray * np.cos(angle)[:, None]
    coordinates[..., 2] = ray * np.sin(angle)[:, None]
    index = apply_affine(np.linalg.inv(mask.affine), space.points(coordinates.reshape(-1, 3)))
    inside = ((index >= -0.5) & (index <= np.array(mask.data.shape) - 0.5)).all(axis=1)
    data = mask.data.astype(np.uint8) if mask.data.dtype == bool else mask.data
    value = ndimage.map_coordinates(data, index.T, order=1, mode="nearest", output=np.float32)
    value, inside = (array.reshape(coordinates.shape[:-1]) for array in (value, inside))
    area = 2 * RADIAL_SPACING_MM * (np.where(inside, value, 0) * ray).sum(axis=2)
    last = np.take_along_axis(value, np.maximum(inside.sum(axis=2) - 1, 0)[..., None], axis=2)[..., 0]
    area[~inside.all(axis=2) & (last >= 0.5)] = np.nan
    return area


def fill_along_cord(table: np.ndarray) -> np.ndarray:
    """Fill unknown entries along the cord, between and from the nearest known entries of the same direction.

    A direction that is unknown throughout takes the mean of the others.

    Parameters
    ----------
    table : numpy.ndarray, shape (S, A)
        NaN where unknown.
    """
    table = table.copy()
    rows = np.arange(len(table))
    known = np.isfinite(table)
    for column in range(table.shape[1]):
        in_column = known[:, column]
        if in_column.any():
            table[:, column] = np.interp(rows, rows[in_column], table[in_column, column])
    empty = ~known.any(axis=0)
    if empty.any() and not empty.all():
        table[:, empty] = np.mean(table[:, ~empty], axis=1, keepdims=True)
    return table


def smooth_radii(radius: np.ndarray) -> np.ndarray:
    """Smooth radii along and around the cord, keeping areas, shape (S, A)."""
    square = ndimage.gaussian_filter1d(radius**2, SMOOTHING_SD_MM / SECTION_SPACING_MM, axis=0, mode="nearest")
    square = ndimage.gaussian_filter1d(square, SMOOTHING_SD_DEG / (360 / N_ANGLES), axis=1, mode="wrap")
    return np.sqrt(square)


def rotate_radii(radius: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Interpolate radii at angles that are greater by a rotation.

    Parameters
    ----------
    radius : numpy.ndarray, shape (S, A)
        mm, at `angles`.
    rotation : numpy.ndarray, shape (S,)
        In radians.
    """
    column = np.arange(N_ANGLES) + rotation[:, None] * (N_ANGLES / (2 * np.pi))
    rows = np.broadcast_to(np.arange(len(radius))[:, None], column.shape)
    return ndimage.map_coordinates(radius, [rows, column], order=1, mode="grid-wrap")
