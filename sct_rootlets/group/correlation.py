"""Rank correlation of two quantities, with its confidence interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from sct_rootlets.group.bootstrap import MIN_SUBJECTS_FOR_INTERVALS


@dataclass(frozen=True, kw_only=True)
class RankCorrelation:
    """Spearman's rank correlation.

    Attributes
    ----------
    n : int
        Number of pairs of values.
    rho : float
        NaN with fewer than three pairs, or where all values of a side are equal.
    interval : (float, float)
        Confidence interval; NaN with too few pairs.
    p : float
        P value of no correlation (Student's t with n - 2 degrees of freedom); NaN with too few pairs.
    """

    n: int
    rho: float
    interval: tuple[float, float]
    p: float


def rank_correlation(x: np.ndarray, y: np.ndarray, confidence: float = 0.95) -> RankCorrelation:
    """Compute Spearman's rank correlation of pairs of values; pairs with a NaN are left out.

    Parameters
    ----------
    x, y : numpy.ndarray, shape (N,)
    confidence : float
        Confidence level of the interval.

    Returns
    -------
    RankCorrelation

    References
    ----------
    Bonett & Wright 2000, doi 10.1007/BF02294183 (interval: Fisher's z with a variance of (1 + rho² / 2) / (n - 3)).
    """
    known = np.isfinite(x) & np.isfinite(y)
    x, y, n = x[known], y[known], int(known.sum())
    if n < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return RankCorrelation(n=n, rho=math.nan, interval=(math.nan, math.nan), p=math.nan)
    result = stats.spearmanr(x, y)
    rho, p = float(result.statistic), float(result.pvalue)
    if n < MIN_SUBJECTS_FOR_INTERVALS:
        return RankCorrelation(n=n, rho=rho, interval=(math.nan, math.nan), p=math.nan)
    if abs(rho) > 1 - 1e-12:  # the variance of z says nothing there
        return RankCorrelation(n=n, rho=rho, interval=(math.nan, math.nan), p=p)
    half = stats.norm.ppf((1 + confidence) / 2) * math.sqrt((1 + rho**2 / 2) / (n - 3))
    z = math.atanh(rho)
    return RankCorrelation(n=n, rho=rho, interval=(math.tanh(z - half), math.tanh(z + half)), p=p)
