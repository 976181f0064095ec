"""Means of the directions of axes, which are the same after half a turn: 89 and -89 degrees are 2 degrees apart.

Angles are in degrees, from above -90 to 90.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

#: Axes whose mean resultant is shorter point everywhere alike, and have no mean.
_MIN_RESULTANT = 1e-6


def wrap_axial(angle_deg: ArrayLike) -> np.ndarray:
    """Turn angles by half turns into the range from above -90 to 90 degrees; any shape."""
    return 90.0 - (90.0 - np.asarray(angle_deg, dtype=float)) % 180.0


def axial_mean(angle_deg: ArrayLike) -> float:
    """Compute the mean direction of axes: half of the direction of the mean of unit vectors at the doubled angles.

    Parameters
    ----------
    angle_deg : array_like, shape (N,)

    Returns
    -------
    float
        In degrees; NaN without axes, or for axes that point everywhere alike.
    """
    turns = np.exp(2j * np.radians(np.asarray(angle_deg, dtype=float)))
    mean = complex(turns.mean()) if turns.size else complex(np.nan)
    return float(wrap_axial(np.degrees(np.angle(mean)) / 2)) if abs(mean) > _MIN_RESULTANT else np.nan


def unwrap_axial(angle_deg: ArrayLike) -> np.ndarray:
    """Turn axes by half turns to within 90 degrees of their mean, so that they can be averaged as other numbers.

    Parameters
    ----------
    angle_deg : array_like, shape (N,)

    Returns
    -------
    numpy.ndarray, shape (N,)
        In degrees, beyond the range where the mean lies near its end; NaN for axes without a mean.
    """
    mean = axial_mean(angle_deg)
    return mean + wrap_axial(np.asarray(angle_deg, dtype=float) - mean)


def axial_sd(angle_deg: ArrayLike) -> float:
    """Compute the standard deviation of axes from their mean in degrees, shape (N,); as `numpy.std`, divided by N."""
    deviation = unwrap_axial(angle_deg) - axial_mean(angle_deg)
    return float(np.sqrt(np.mean(deviation**2))) if deviation.size else np.nan


def interpolate_axial(at: np.ndarray, places: np.ndarray, angle_deg: np.ndarray) -> np.ndarray:
    """Interpolate the directions of axes between places, the shorter way round.

    Parameters
    ----------
    at : numpy.ndarray, shape (M,)
    places : numpy.ndarray, shape (N,)
        Ascending.
    angle_deg : numpy.ndarray, shape (N,)

    Returns
    -------
    numpy.ndarray, shape (M,)
        In degrees.
    """
    return wrap_axial(np.interp(at, places, np.unwrap(angle_deg, period=180.0)))
