"""What the thickness of the cord says of the number of the vertebra beside it.

In healthy adults the cord widens from C3 to C6 and thins to T2. Contrast does not matter, and where a person's cord is
thick or thin as a whole does not matter either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from sct_rootlets.centerline import Centerline
from sct_rootlets.image import nonzero_voxels
from sct_rootlets.models.manifest import DATA_FOLDER

#: Mean and covariance of 203 healthy adults (Valošek 2024, doi 10.1162/imag_a_00075) by vertebral coordinate.
PROFILE_FILE = DATA_FOLDER / "cord_profile.npz"
#: Height in PAM50 of the discs above vertebrae C1 to T4, mm above its lowest slice (the label volume of the template),
#: and the distance between slices.
PAM50_DISCS_MM = (487.0, 469.5, 454.0, 435.5, 417.0, 400.5, 385.0, 368.0, 346.5, 323.5, 300.0)
PAM50_SLICE_MM = 0.5
#: Standard deviation by which masks differ from those of the healthy adults, of the logarithm of area and of RL over
#: AP diameter: the same along the whole cord, and at each place.
COMMON_SD = (0.12, 0.06)
PLACE_SD = (0.05, 0.05)
#: Beyond the known coordinates, the thickness drifts from that at their ends by so much in the first vertebra.
DRIFT_SD = 0.12
#: The mask is not used this close to its ends, nor to places where it is thinner than any healthy cord: it has failed.
END_MM, FAILURE_MM = 4.0, 10.0
MIN_AREA_MM2 = 25.0


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
    points = apply_affine(affine, nonzero_voxels(mask))
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
def _stored_profile() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read coordinates and means as `load_profile` returns them, and the factor of the covariance."""
    with np.load(PROFILE_FILE) as stored:
        coordinate, mean, factor = (stored[name].astype(float) for name in ("coordinate", "mean", "factor"))
        return coordinate, mean, factor


@lru_cache(maxsize=1)
def load_profile() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read the model of the thickness of healthy cords.

    Returns
    -------
    coordinate : numpy.ndarray, shape (N,)
        Vertebral coordinate: 3.5 is the middle of vertebra C3.
    mean : numpy.ndarray, shape (2, N)
        Means of the logarithms of the area in mm² and of RL over AP diameter.
    covariance : numpy.ndarray, shape (2 N, 2 N)
        Covariance of these logarithms between people, all areas before all ratios.
    """
    coordinate, mean, factor = _stored_profile()
    return coordinate, mean, factor @ factor.T


def draw_section(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the size of a healthy adult's cord along the vertebrae.

    Parameters
    ----------
    rng : numpy.random.Generator
        The same state draws the same cord.

    Returns
    -------
    coordinate, area_mm2, ratio : numpy.ndarray, shape (N,)
        Vertebral coordinate, cross-sectional area, and RL over AP diameter.
    """
    coordinate, mean, factor = _stored_profile()
    area, ratio = np.exp(mean + (factor @ rng.standard_normal(factor.shape[1])).reshape(mean.shape))
    return coordinate, area, ratio


def compare_numberings(
    moments: Moments, coordinates: Sequence[np.ndarray], where: np.ndarray | None = None
) -> np.ndarray:
    """Compute how well the thickness of a cord agrees with each numbering of its vertebrae.

    A cord that differs more from those of healthy adults than they do from one another, whatever its numbers are, says
    as much less.

    Parameters
    ----------
    moments : Moments
    coordinates : sequence of numpy.ndarray, shape (N,)
        Vertebral coordinate of each cell, by each numbering.
    where : numpy.ndarray of bool, shape (N,), optional
        Cells that are used; by default, all but those at the ends of the mask.

    Returns
    -------
    numpy.ndarray, shape (P,)
        Logarithms of the likelihoods; 0 where nothing is measured.
    """
    fits = [_fit(moments, coordinate, where) for coordinate in coordinates]
    usual = max(1.0, min(squares / max(n, 1) for squares, n, _ in fits))
    return np.array([-0.5 * (squares / usual + n * np.log(usual) + determinant) for squares, n, determinant in fits])


def even_likelihood(moments: Moments, coordinate: np.ndarray, where: np.ndarray | None = None) -> float:
    """Compute how well the thickness agrees with that of a cord that is as thick everywhere; as `compare_numberings`.

    Parameters
    ----------
    moments, where
        As for `compare_numberings`.
    coordinate : numpy.ndarray, shape (N,)
        By any numbering.
    """
    squares, _, determinant = _fit(moments, coordinate, where, is_even=True)
    return -0.5 * (squares + determinant)


def _fit(
    moments: Moments, coordinate: np.ndarray, where: np.ndarray | None, is_even: bool = False
) -> tuple[float, int, float]:
    """Return squared deviation, number of measures, and logarithm of the determinant of their covariance."""
    grid, mean, covariance = load_profile()
    step = grid[1] - grid[0]
    at, measured = _measure(moments, np.round(coordinate / step) * step, where)
    n = len(at)
    if not n:
        return 0.0, 0, 0.0
    drift = np.zeros((n, n))
    spread: np.ndarray = np.zeros((2 * n, 2 * n))
    if is_even:
        deviation = (measured - measured.mean(axis=1, keepdims=True)).ravel()
    else:
        nearest = np.clip(np.round((at - grid[0]) / step).astype(int), 0, len(grid) - 1)
        deviation = (measured - mean[:, nearest]).ravel()
        rows = np.concatenate([nearest, nearest + len(grid)])
        spread = covariance[np.ix_(rows, rows)]
        above, below = np.maximum(grid[0] - at, 0), np.maximum(at - grid[-1], 0)
        drift = DRIFT_SD**2 * (np.minimum.outer(above, above) + np.minimum.outer(below, below))
    for feature in range(2):
        part = slice(feature * n, (feature + 1) * n)
        spread[part, part] += drift + COMMON_SD[feature] ** 2 + PLACE_SD[feature] ** 2 * np.eye(n)
    _, log_determinant = np.linalg.slogdet(spread)
    return float(deviation @ np.linalg.solve(spread, deviation)), 2 * n, float(log_determinant)


def _measure(moments: Moments, place: np.ndarray, where: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Average the mask over cells of one place; places, and logarithms of area and of RL over AP, shape (2, places)."""
    ends = round(END_MM)
    used = np.zeros(len(place), dtype=bool)
    used[ends : len(place) - ends] = True
    failed = ndimage.gaussian_filter1d(moments.volume, 1.0) < MIN_AREA_MM2
    used &= ~ndimage.binary_dilation(failed, iterations=round(FAILURE_MM))
    if where is not None:
        used &= where
    places, index, count = np.unique(place[used], return_inverse=True, return_counts=True)
    volume, right, anterior = (
        np.bincount(index, part[used], len(places)) for part in (moments.volume, moments.right, moments.anterior)
    )
    whole = (count >= 2) & (anterior > 0) & (right > 0)
    area = np.log(volume[whole] / count[whole])
    return places[whole], np.stack([area, 0.5 * np.log(right[whole] / anterior[whole])])
