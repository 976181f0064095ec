"""Bias and limits of agreement of arrays of differences, with confidence intervals by a bootstrap over subjects.

Differences come as a matrix of subjects × pairs of levels. A subject is drawn with all its pairs, because the pairs of
a subject resemble each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import brentq
from scipy.special import ndtr

#: Half the width of the limits of agreement in standard deviations, and the percentiles that match them.
LIMIT_SDS = 1.96
PERCENTILES = (2.5, 97.5)
#: Names of the estimates, in the order of the rows of results.
STATISTICS = ("median", "p2.5", "p97.5", "mean", "lower", "upper")
#: Subjects that confidence intervals need: see benchmarks/group.py for how often the intervals cover the truth.
MIN_SUBJECTS_FOR_INTERVALS = 10
#: Widths of the smoothing in standard deviations times the fifth root of the number of subjects. The width for moments
#: is about the best one for the density as a whole (1.06; Silverman 1986). Percentiles lie in its tails, which need
#: more.
MOMENT_BANDWIDTH, QUANTILE_BANDWIDTH = 1.0, 1.8
#: Factor by which intervals of percentiles are wider than the bootstrap's: a density estimated from few subjects
#: resembles these subjects too much. Set by simulation of normal differences (benchmarks/group.py).
PERCENTILE_EXPANSION = 1.1
#: Number of values of the resamples that are held in memory at a time, about.
MAX_CHUNK_VALUES = 2_000_000

#: A function of tables of shape (R, S, P) that returns estimates and the units of their errors, both of shape (R, 3).
Measure = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Limits:
    """Bias and limits of agreement of differences.

    Attributes
    ----------
    n : int
        Number of differences.
    values : dict of str to float
        Estimates by the names in `STATISTICS`: ``median``, ``p2.5`` and ``p97.5`` (percentiles); ``mean``, ``lower``
        and ``upper`` (mean ∓ 1.96 SD). NaN for limits of a single difference.
    sd : float
        Standard deviation of the differences, NaN if there is one.
    intervals : dict of str to (float, float)
        Confidence intervals of the estimates; empty with too few subjects.
    """

    n: int
    values: dict[str, float]
    sd: float
    intervals: dict[str, tuple[float, float]]


def limits_of_agreement(
    differences: np.ndarray, n_resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Limits:
    """Compute bias and limits of agreement, both as percentiles and from mean and standard deviation.

    Intervals come from a smoothed bootstrap: whole subjects are drawn with replacement, each with normal noise that is
    correlated as the pairs are, shrunk so that variances stay. In each resample the error of an estimate is divided by
    its standard error in that resample (mean and mean ∓ 1.96 SD) or by the standard deviation (median, percentiles).
    The distribution of these errors stands for that of the true error. Plain percentiles of resamples do not serve for
    the 2.5th percentile of fifty subjects, because nothing lower than the lowest subject is ever drawn.

    Percentiles of a single pair of 146 subjects or more have intervals from one of the differences to another
    (`order_interval`), which assume no shape of the distribution.

    Parameters
    ----------
    differences : numpy.ndarray, shape (S,) or (S, P)
        Differences in mm of S subjects and P pairs of levels, which are pooled; NaN where a difference is missing.
    n_resamples : int
        Number of resamples; 0 for no intervals.
    confidence : float
        Confidence level of the intervals.
    seed : int
        Seed of the resamples.

    Returns
    -------
    Limits

    References
    ----------
    Bland & Altman 1999, doi 10.1177/096228029900800204 (limits); Efron & Tibshirani 1993, An Introduction to the
    Bootstrap, chapters 12 (bootstrap-t) and 16.5 (smoothed); Silverman & Young 1987, doi 10.1093/biomet/74.3.469;
    Hampel 1974, doi 10.1080/01621459.1974.10482962 (influence, for standard errors).
    """
    table = np.asarray(differences, dtype=float)
    table = table[:, None] if table.ndim == 1 else table
    table = table[np.isfinite(table).any(axis=1)]
    table = table[:, np.isfinite(table).any(axis=0)]
    n = int(np.isfinite(table).sum())
    if not n:
        return Limits(0, dict.fromkeys(STATISTICS, np.nan), np.nan, {})
    estimate = _statistics(table)
    values = dict(zip(STATISTICS, map(float, estimate), strict=True))
    if n == 1:
        values = {name: value if name in ("median", "mean") else np.nan for name, value in values.items()}
        return Limits(n, values, np.nan, {})
    intervals: dict[str, tuple[float, float]] = {}
    if n_resamples and len(table) >= MIN_SUBJECTS_FOR_INTERVALS:
        ends = _intervals(table, estimate, n_resamples, confidence, seed)
        intervals = {name: (float(low), float(high)) for name, (low, high) in zip(STATISTICS, ends, strict=True)}
    return Limits(n, values, float(np.nanstd(table, ddof=1)), intervals)


def _intervals(table: np.ndarray, estimate: np.ndarray, n_resamples: int, confidence: float, seed: int) -> np.ndarray:
    """Compute the ends of the confidence intervals of `STATISTICS`, shape (6, 2)."""
    rng = np.random.default_rng(seed)
    tail = 50 * (1 - confidence)
    ends = []
    for measure, bandwidth in ((_quantiles, QUANTILE_BANDWIDTH), (_moments, MOMENT_BANDWIDTH)):
        errors = _errors(table, n_resamples, rng, measure, bandwidth)
        ends.append(np.percentile(errors, (tail, 100 - tail), axis=0) * measure(table[None])[1])
    low, high = np.concatenate(ends, axis=1)
    expansion = np.where(np.isin(STATISTICS, ("p2.5", "p97.5")), (PERCENTILE_EXPANSION - 1) / 2, 0) * (high - low)
    result = np.stack([estimate - high - expansion, estimate - low + expansion], axis=1)
    if table.shape[1] == 1:
        for name, percent in zip(("p2.5", "p97.5"), PERCENTILES, strict=True):
            row = STATISTICS.index(name)
            result[row] = order_interval(table[:, 0], percent, confidence) or result[row]
    return result


def order_interval(values: np.ndarray, percent: float, confidence: float = 0.95) -> tuple[float, float] | None:
    """Find a confidence interval of a percentile from one of the values to another, whatever the distribution.

    The number of n independent values that lie below the true percentile is binomial (David & Nagaraja 2003, Order
    Statistics, 7.1, doi 10.1002/0471722162).

    Parameters
    ----------
    values : numpy.ndarray, shape (N,)
    percent, confidence : float

    Returns
    -------
    (float, float) or None
        None where the values are too few for an interval with two ends: fewer than 146, of the 2.5th and the 97.5th
        percentile at 95 %.

    Examples
    --------
    >>> order_interval(np.arange(1, 201.0), 97.5)
    (190.0, 200.0)
    """
    ordered, n = np.sort(values), len(values)
    tail = (1 - confidence) / 2
    below = stats.binom(n, percent / 100)
    first = int(below.ppf(tail))  # so many values, or fewer, lie below in at least this tail of all samples
    if below.cdf(first) <= tail:
        first += 1
    last = int(below.isf(tail)) + 1
    return (float(ordered[first - 1]), float(ordered[last - 1])) if first >= 1 and last <= n else None


def _statistics(table: np.ndarray) -> np.ndarray:
    """Compute `STATISTICS` of a table of shape (S, P); shape (6,)."""
    return np.concatenate([_quantiles(table[None])[0][0], _moments(table[None])[0][0]])


def _quantiles(tables: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute median and percentiles of R tables, shape (R, S, P), and the units of their errors; both (R, 3)."""
    ordered = np.sort(tables.reshape(len(tables), -1), axis=1)  # NaN at the end
    n = np.isfinite(ordered).sum(axis=1)

    def percentile(percent: float) -> np.ndarray:
        place = percent / 100 * (n - 1)
        below = np.floor(place).astype(int)
        above = np.minimum(below + 1, n - 1)
        rows = np.arange(len(ordered))
        return ordered[rows, below] + (place - below) * (ordered[rows, above] - ordered[rows, below])

    values = np.stack([percentile(percent) for percent in (50, *PERCENTILES)], axis=1)
    return values, np.repeat(_scale(tables)[:, None], 3, axis=1)


def _moments(tables: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean and mean ∓ 1.96 SD of R tables, shape (R, S, P), and their standard errors; both (R, 3).

    The standard error is that of a sum over subjects of their influence on the estimate, with all pairs of a subject
    together.
    """
    known = np.isfinite(tables)
    n, n_subjects = known.sum(axis=(1, 2)), tables.shape[1]
    mean = np.where(known, tables, 0.0).sum(axis=(1, 2)) / n
    deviation = np.where(known, tables - mean[:, None, None], 0.0)
    sd = np.sqrt((deviation**2).sum(axis=(1, 2)) / np.maximum(n - 1, 1))
    one_sd = sd[:, None, None]
    of_sd = np.divide(deviation**2 - one_sd**2, 2 * one_sd, out=np.zeros_like(deviation), where=known & (one_sd > 0))
    values, errors = [], []
    for sds in (0.0, -LIMIT_SDS, LIMIT_SDS):
        influence = (deviation + sds * of_sd).sum(axis=2)
        values.append(mean + sds * sd)
        errors.append(np.sqrt((influence**2).sum(axis=1) * n_subjects / max(n_subjects - 1, 1)) / n)
    return np.stack(values, axis=1), np.stack(errors, axis=1)


def _scale(tables: np.ndarray) -> np.ndarray:
    """Compute the standard deviation within pairs of R tables, shape (R, S, P): the unit of errors."""
    known = np.isfinite(tables)
    n = known.sum(axis=1)
    filled = np.where(known, tables, 0.0)
    mean = filled.sum(axis=1) / np.maximum(n, 1)
    squares = (np.where(known, tables - mean[:, None], 0.0) ** 2).sum(axis=(1, 2))
    return np.sqrt(squares / np.maximum(n.sum(axis=1) - (n > 0).sum(axis=1), 1))


def _errors(
    table: np.ndarray, n_resamples: int, rng: np.random.Generator, measure: Measure, bandwidth: float
) -> np.ndarray:
    """Compute errors in resamples of the smoothed table, in the units that `measure` returns, shape (R, 3)."""
    n_subjects = len(table)
    known = np.isfinite(table)
    centre = np.nanmean(table, axis=0)
    residual = table - centre
    sd = np.sqrt(np.nanmean(residual**2, axis=0))
    if not sd.any():  # all subjects are alike
        return np.zeros((1, 3))
    width = bandwidth * known.sum(axis=0) ** -0.2
    shrink = 1 / np.sqrt(1 + width**2)
    kernels = centre + shrink * residual
    noise = _root_of_correlation(residual, sd) * (shrink * width * sd)
    smoothed = _smoothed_statistics(kernels[known], np.broadcast_to(shrink * width * sd, table.shape)[known])
    truth = smoothed[:3] if measure is _quantiles else smoothed[3:]
    rows = max(1, MAX_CHUNK_VALUES // table.size)
    errors = []
    for start in range(0, n_resamples, rows):
        size = min(rows, n_resamples - start)
        drawn = kernels[rng.integers(0, n_subjects, (size, n_subjects))]
        drawn = drawn + rng.standard_normal(drawn.shape) @ noise
        estimates, scale = measure(drawn)
        usable = (scale > 0).all(axis=1)
        errors.append((estimates[usable] - truth) / scale[usable])
    return np.concatenate(errors)


def _root_of_correlation(residual: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Compute the matrix that correlates independent normal numbers as the columns of a table, shape (P, P)."""
    filled = np.nan_to_num(residual / np.where(sd > 0, sd, 1))
    product = filled.T @ filled
    diagonal = np.sqrt(np.diag(product))
    correlation = product / np.where(diagonal > 0, diagonal, 1) / np.where(diagonal > 0, diagonal, 1)[:, None]
    values, vectors = np.linalg.eigh(correlation)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _smoothed_statistics(kernels: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Compute `STATISTICS` of a mixture of normal distributions of equal weight, shape (6,)."""
    mean = kernels.mean()
    half = LIMIT_SDS * np.sqrt(kernels.var() + (widths**2).mean())
    low, high = kernels.min() - 6 * widths.max(), kernels.max() + 6 * widths.max()
    widths = np.maximum(widths, 1e-9 * (high - low))  # a pair in which all subjects are alike

    def excess(share: float) -> Callable[[float], float]:
        return lambda value: float(ndtr((value - kernels) / widths).mean()) - share

    quantiles = [brentq(excess(percent / 100), low, high) for percent in (50, *PERCENTILES)]
    return np.array([*quantiles, mean, mean - half, mean + half])
