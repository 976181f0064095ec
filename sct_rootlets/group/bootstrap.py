"""Bias and limits of agreement of differences, and their confidence intervals by a bootstrap over subjects.

Arrays only: nothing here knows what a level is. Differences come as a matrix of subjects × pairs of levels, so that a
subject is drawn with all its pairs: those of one subject resemble each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

#: Half the width of the limits of agreement in standard deviations, and the percentiles that match them.
LIMIT_SDS = 1.96
PERCENTILES = (2.5, 97.5)
#: What is estimated, in the order of the rows of results.
STATISTICS = ("median", "p2.5", "p97.5", "mean", "lower", "upper")
#: With fewer subjects, no intervals are given: see benchmarks/group.py for how often they cover the truth.
FEWEST_SUBJECTS = 10
#: Width of the smoothing in standard deviations times the fifth root of the number of subjects: 1.06 is best for the
#: density as a whole (Silverman 1986), more for its tails.
BANDWIDTH = 1.8
#: How much wider than the bootstrap says intervals of percentiles are: a density estimated from few subjects resembles
#: them too much. Set by simulation of normal differences (benchmarks/group.py).
PERCENTILE_EXPANSION = 1.1
#: Resamples held in memory at a time hold about this many values.
CHUNK_VALUES = 2_000_000


@dataclass(frozen=True)
class Limits:
    """Bias and limits of agreement of differences.

    Attributes
    ----------
    n : int
        Number of differences.
    values : dict of str to float
        By the names in `STATISTICS`: ``median``, ``p2.5`` and ``p97.5`` (percentiles); ``mean``, ``lower`` and
        ``upper`` (mean ∓ 1.96 SD). NaN for limits of a single difference.
    sd : float
        Standard deviation of the differences, NaN if there is one.
    intervals : dict of str to (float, float)
        Confidence interval of each; empty with too few subjects.
    """

    n: int
    values: dict[str, float]
    sd: float
    intervals: dict[str, tuple[float, float]]


def limits_of_agreement(
    differences: np.ndarray, n_resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Limits:
    """Bias and limits of agreement, each as a percentile and from mean and standard deviation.

    Intervals come from a smoothed bootstrap: whole subjects are drawn with replacement, each with normal noise that is
    correlated as the pairs are, shrunk so that variances stay. In each resample the error of an estimate, divided by
    the standard deviation of that resample, is noted; its distribution is taken for that of the true error. Plain
    percentiles of resamples will not do for the 2.5th percentile of fifty subjects: nothing lower than the lowest of
    them is ever drawn.

    Parameters
    ----------
    differences : numpy.ndarray, shape (S,) or (S, P)
        mm, of S subjects and P pairs of levels, pooled; NaN where one is missing.
    n_resamples : int
        0 for no intervals.
    confidence : float
    seed : int
        The same seed gives the same intervals.

    Returns
    -------
    Limits

    References
    ----------
    Bland & Altman 1999, doi 10.1177/096228029900800204 (limits); Efron & Tibshirani 1993, An Introduction to the
    Bootstrap, chapters 12 (bootstrap-t) and 16.5 (smoothed); Silverman & Young 1987, doi 10.1093/biomet/74.3.469.
    """
    table = np.asarray(differences, dtype=float)
    table = table[:, None] if table.ndim == 1 else table
    table = table[np.isfinite(table).any(axis=1)]
    table = table[:, np.isfinite(table).any(axis=0)]
    n = int(np.isfinite(table).sum())
    if not n:
        return Limits(0, dict.fromkeys(STATISTICS, np.nan), np.nan, {})
    estimate = _statistics(np.sort(table.ravel())[None])[0]
    values = dict(zip(STATISTICS, map(float, estimate), strict=True))
    if n == 1:
        values = {name: value if name in ("median", "mean") else np.nan for name, value in values.items()}
        return Limits(n, values, np.nan, {})
    intervals: dict[str, tuple[float, float]] = {}
    if n_resamples and len(table) >= FEWEST_SUBJECTS:
        ends = _intervals(table, estimate, n_resamples, confidence, seed)
        intervals = {name: (float(low), float(high)) for name, (low, high) in zip(STATISTICS, ends, strict=True)}
    return Limits(n, values, float(np.nanstd(table, ddof=1)), intervals)


def _intervals(table: np.ndarray, estimate: np.ndarray, n_resamples: int, confidence: float, seed: int) -> np.ndarray:
    """Ends of the confidence intervals of `STATISTICS`, shape (6, 2)."""
    errors = _errors(table, n_resamples, np.random.default_rng(seed))
    tail = 50 * (1 - confidence)
    low, high = np.percentile(errors, (tail, 100 - tail), axis=0) * _scale(table[None])[0]
    wider = np.where(np.isin(STATISTICS, ("p2.5", "p97.5")), (PERCENTILE_EXPANSION - 1) / 2, 0) * (high - low)
    return np.stack([estimate - high - wider, estimate - low + wider], axis=1)


def _statistics(ordered: np.ndarray) -> np.ndarray:
    """`STATISTICS` of each row, shape (R, 6); rows are sorted, with NaN at their ends."""
    known = np.isfinite(ordered)
    n = known.sum(axis=1)

    def percentile(percent: float) -> np.ndarray:
        place = percent / 100 * (n - 1)
        below = np.floor(place).astype(int)
        above = np.minimum(below + 1, n - 1)
        rows = np.arange(len(ordered))
        return ordered[rows, below] + (place - below) * (ordered[rows, above] - ordered[rows, below])

    filled = np.where(known, ordered, 0.0)
    mean = filled.sum(axis=1) / n
    squares = (np.where(known, ordered - mean[:, None], 0.0) ** 2).sum(axis=1)
    half = LIMIT_SDS * np.sqrt(squares / np.maximum(n - 1, 1))
    quantiles = [percentile(50), *(percentile(percent) for percent in PERCENTILES)]
    return np.stack([*quantiles, mean, mean - half, mean + half], axis=1)


def _scale(tables: np.ndarray) -> np.ndarray:
    """Standard deviation within pairs of each of R tables of shape (R, S, P): what errors are measured in."""
    known = np.isfinite(tables)
    n = known.sum(axis=1)
    filled = np.where(known, tables, 0.0)
    mean = filled.sum(axis=1) / np.maximum(n, 1)
    squares = (np.where(known, tables - mean[:, None], 0.0) ** 2).sum(axis=(1, 2))
    return np.sqrt(squares / np.maximum(n.sum(axis=1) - (n > 0).sum(axis=1), 1))


def _errors(table: np.ndarray, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Errors of `STATISTICS` in resamples of the smoothed table, in units of `_scale`, shape (R, 6)."""
    n_subjects = len(table)
    known = np.isfinite(table)
    centre = np.nanmean(table, axis=0)
    residual = table - centre
    sd = np.sqrt(np.nanmean(residual**2, axis=0))
    if not sd.any():  # all subjects alike: nothing to be uncertain about
        return np.zeros((1, len(STATISTICS)))
    bandwidth = BANDWIDTH * known.sum(axis=0) ** -0.2
    shrink = 1 / np.sqrt(1 + bandwidth**2)
    kernels = centre + shrink * residual
    noise = _root_of_correlation(residual, sd) * (shrink * bandwidth * sd)
    truth = _smoothed_statistics(kernels[known], np.broadcast_to(shrink * bandwidth * sd, table.shape)[known])
    rows = max(1, CHUNK_VALUES // table.size)
    errors = []
    for start in range(0, n_resamples, rows):
        size = min(rows, n_resamples - start)
        drawn = kernels[rng.integers(0, n_subjects, (size, n_subjects))]
        drawn = drawn + rng.standard_normal(drawn.shape) @ noise
        scale = _scale(drawn)
        estimates = _statistics(np.sort(drawn.reshape(size, -1), axis=1))
        usable = scale > 0
        errors.append((estimates[usable] - truth) / scale[usable, None])
    return np.concatenate(errors)


def _root_of_correlation(residual: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Matrix that turns independent normal numbers into ones correlated as the columns of a table are, (P, P)."""
    filled = np.nan_to_num(residual / np.where(sd > 0, sd, 1))
    product = filled.T @ filled
    diagonal = np.sqrt(np.diag(product))
    correlation = product / np.where(diagonal > 0, diagonal, 1) / np.where(diagonal > 0, diagonal, 1)[:, None]
    values, vectors = np.linalg.eigh(correlation)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _smoothed_statistics(kernels: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """`STATISTICS` of a mixture of normal distributions of equal weight, shape (6,)."""
    mean = kernels.mean()
    half = LIMIT_SDS * np.sqrt(kernels.var() + (widths**2).mean())
    low, high = kernels.min() - 6 * widths.max(), kernels.max() + 6 * widths.max()
    widths = np.maximum(widths, 1e-9 * (high - low))  # a pair in which all subjects are alike

    def excess(share: float) -> Callable[[float], float]:
        return lambda at: float(ndtr((at - kernels) / widths).mean()) - share

    quantiles = [brentq(excess(percent / 100), low, high) for percent in (50, *PERCENTILES)]
    return np.array([*quantiles, mean, mean - half, mean + half])
