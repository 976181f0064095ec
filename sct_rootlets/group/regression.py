"""Regression lines through points that may come in groups, such as several levels of each subject."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, kw_only=True)
class Line:
    """A regression line.

    Attributes
    ----------
    slope, intercept, r_squared : float
    slope_interval : (float, float)
        Confidence interval of the slope.
    p : float
        P value of a slope of 0.
    """

    slope: float
    intercept: float
    r_squared: float
    slope_interval: tuple[float, float]
    p: float


def fit_line(x: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None, confidence: float = 0.95) -> Line | None:
    """Fit a line by least squares.

    Parameters
    ----------
    x, y : numpy.ndarray, shape (N,)
    groups : numpy.ndarray, shape (N,), optional
        Group of each point. Points of a group are not independent: the interval and p then come from a variance that
        allows for it, and Student's t with one degree of freedom less than there are groups.
    confidence : float
        Confidence level of the interval.

    Returns
    -------
    Line or None
        None with fewer than three points or groups, or where x is the same for all points.

    References
    ----------
    Cameron & Miller 2015, doi 10.3368/jhr.50.2.317, equations 10-12 (the cluster-robust variance and its correction).
    """
    n = len(x)
    n_groups = n if groups is None else len(np.unique(groups))
    if n_groups < 3 or np.ptp(x) == 0:
        return None
    fit = stats.linregress(x, y)
    error, freedom = fit.stderr, n - 2
    if groups is not None:
        deviation = x - x.mean()
        score = np.bincount(np.unique(groups, return_inverse=True)[1], deviation * (y - fit.intercept - fit.slope * x))
        correction = n_groups / (n_groups - 1) * (n - 1) / (n - 2)
        error, freedom = np.sqrt(correction * (score**2).sum()) / (deviation**2).sum(), n_groups - 1
    half = stats.t.ppf((1 + confidence) / 2, freedom) * error
    p = 2 * stats.t.sf(abs(fit.slope) / error, freedom) if error > 0 else float(fit.slope == 0)
    return Line(
        slope=float(fit.slope),
        intercept=float(fit.intercept),
        r_squared=float(fit.rvalue**2),
        slope_interval=(float(fit.slope - half), float(fit.slope + half)),
        p=float(p),
    )
