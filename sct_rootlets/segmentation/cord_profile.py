"""What the thickness of the cord says of the number of the vertebra beside it.

In healthy adults the cord widens from C3 to C6 and thins to T2. Contrast does not matter, and where a person's cord is
thick or thin as a whole does not matter either.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.centerline import Centerline
from sct_rootlets.models.manifest import DATA_FOLDER

#: Mean and covariance of 203 healthy adults (Valošek 2024, doi 10.1162/imag_a_00075) by vertebral coordinate.
PROFILE_FILE = DATA_FOLDER / "cord_profile.npz"
#: Standard deviation by which masks differ from those of the healthy adults, of the logarithm of area and of RL over
#: AP diameter: the same along the whole cord, and at each place.
COMMON_SD = (0.12, 0.06)
PLACE_SD = (0.05, 0.05)
#: Beyond the known coordinates, the thickness drifts from that at their ends by so much in the first vertebra.
DRIFT_SD = 0.12
#: The mask is not used this close to its ends.
END_MM = 4.0


@dataclass(frozen=True)
class Moments:
    """Moments of the cord's cross-sections in cells of 1 mm along it.

    Attributes
    ----------
    volume : numpy.ndarray, shape (N,)
        Volume of the cord in each cell, mm³.
    right, anterior : numpy.ndarray, shape (N,)
        Second moments about the middle, volume times mm².
    """

    volume: np.ndarray
    right: np.ndarray
    anterior: np.ndarray


def measure_moments(mask: np.ndarray, affine: np.ndarray, line: Centerline, n_cells: int) -> Moments:
    """Measure the cord across its centerline.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (I, J, K)
    affine : numpy.ndarray, shape (4, 4)
    line : Centerline
    n_cells : int
        Number of cells of 1 mm along the centerline.
    """
    points = apply_affine(affine, np.argwhere(mask))
    arc = line.project(points).arc
    inside = (arc >= 0) & (arc < n_cells)
    points, arc = points[inside], arc[inside]
    cell = np.floor(arc).astype(int)
    _, right, anterior = line.frame(arc)
    offset = points - line.position(arc)
    count = np.maximum(np.bincount(cell, minlength=n_cells), 1)
    moments = []
    for direction in (right, anterior):
        value = (offset * direction).sum(axis=1)
        total, squares = np.bincount(cell, value, n_cells), np.bincount(cell, value**2, n_cells)
        moments.append(squares - total**2 / count)
    voxel = abs(float(np.linalg.det(affine[:3, :3])))
    return Moments(np.bincount(cell, minlength=n_cells) * voxel, moments[0] * voxel, moments[1] * voxel)


@lru_cache(maxsize=1)
def _profile() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with np.load(PROFILE_FILE) as stored:
        factor = stored["factor"].astype(float)
        return stored["coordinate"].astype(float), stored["mean"].astype(float), factor @ factor.T


def log_likelihood(sections: Moments, coordinate: np.ndarray) -> float:
    """Compute how well the thickness of a cord agrees with a numbering of its vertebrae.

    Parameters
    ----------
    sections : Moments
    coordinate : numpy.ndarray, shape (N,)
        Vertebral coordinate of each cell.

    Returns
    -------
    float
        Logarithm of the likelihood; 0 where nothing is measured.
    """
    grid, mean, covariance = _profile()
    step = grid[1] - grid[0]
    place = np.round(coordinate / step).astype(int)
    ends = round(END_MM)
    used = np.zeros(len(place), dtype=bool)
    used[ends : len(place) - ends] = True
    used &= sections.volume > 0
    if not used.any():
        return 0.0
    places, index, count = np.unique(place[used], return_inverse=True, return_counts=True)
    volume, right, anterior = (
        np.bincount(index, part[used]) for part in (sections.volume, sections.right, sections.anterior)
    )
    whole = (count >= 2) & (anterior > 0) & (right > 0)
    if not whole.any():
        return 0.0
    measured = np.stack([np.log(volume / count), 0.5 * np.log(np.maximum(right, 1e-9) / np.maximum(anterior, 1e-9))])
    at = places[whole] * step
    measured = measured[:, whole]
    nearest = np.clip(np.round((at - grid[0]) / step).astype(int), 0, len(grid) - 1)
    above, below = np.maximum(grid[0] - at, 0), np.maximum(at - grid[-1], 0)
    drift = DRIFT_SD**2 * (np.minimum.outer(above, above) + np.minimum.outer(below, below))
    n = len(at)
    rows = np.concatenate([nearest, nearest + len(grid)])
    spread = covariance[np.ix_(rows, rows)]
    for feature in range(2):
        part = slice(feature * n, (feature + 1) * n)
        spread[part, part] += drift + COMMON_SD[feature] ** 2 + PLACE_SD[feature] ** 2 * np.eye(n)
    deviation = (measured - mean[:, nearest]).ravel()
    _, log_determinant = np.linalg.slogdet(spread)
    return float(-0.5 * (deviation @ np.linalg.solve(spread, deviation) + log_determinant))
