"""Statistics of arrays: corrected p values, rank tests, effect sizes, and confidence intervals over subjects."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from math import comb

import numpy as np
from scipy import optimize, stats

#: Resamples of a bootstrap, the seed they are drawn with, and the confidence level of every interval.
N_RESAMPLES = 2000
SEED = 0
CONFIDENCE = 0.95
#: Wilcoxon's test of more differences is left to SciPy; the signs of up to this many are enumerated.
MAX_EXACT_DIFFERENCES = 13
#: Rank-sum tests with more ways to distribute the ranks are left to SciPy; up to this many are enumerated.
MAX_EXACT_PERMUTATIONS = 20_000

Statistic = Callable[..., np.ndarray]


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Correct p values for several tests (Holm 1979, Scand J Stat 6:65): step down, strong control of errors.

    SciPy has no such correction. The five lines here are tested against statsmodels, which is not needed to run them.

    Parameters
    ----------
    p : sequence of float, shape (N,)
        P values; NaN stays NaN and is not counted.

    Returns
    -------
    numpy.ndarray, shape (N,)

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p, dtype=float)
    corrected = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected


def bootstrap_interval(
    samples: Sequence[np.ndarray], statistic: Statistic, paired: bool = False
) -> tuple[float, float]:
    """Compute a 95 % confidence interval by resampling subjects; the seed is fixed.

    BCa (bias-corrected and accelerated; Efron 1987, doi 10.2307/2289144), or percentiles where BCa is not defined.

    Parameters
    ----------
    samples : sequence of numpy.ndarray, shape (N,) each
        Samples with one value per subject.
    statistic : callable
        Function of the samples and ``axis``.
    paired : bool
        Whether all samples are of the same subjects, who are then drawn together.

    Returns
    -------
    low, high : float
        NaN if a sample has fewer than two values.
    """
    if min(len(sample) for sample in samples) < 2:
        return float("nan"), float("nan")
    interval = None
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # BCa is degenerate where values are equal: percentiles follow
            interval = stats.bootstrap(
                tuple(samples),
                statistic,
                paired=paired,
                vectorized=True,
                n_resamples=N_RESAMPLES,
                confidence_level=CONFIDENCE,
                method=method,
                random_state=np.random.default_rng(SEED),
            ).confidence_interval
        if np.isfinite([interval.low, interval.high]).all():
            break
    assert interval is not None
    return float(interval.low), float(interval.high)


def _unanimous_interval(sign: float, n: int) -> tuple[float, float]:
    """Compute the interval of a rank-biserial correlation of 1 or -1 from n independent observations.

    Resampling observations that all agree never shows disagreement. The share that agrees in the population is bounded
    instead (Clopper & Pearson 1934, doi 10.1093/biomet/26.4.404); the limit is the share for minus the share against,
    which is the correlation if ranks did not matter.
    """
    limit = 2 * ((1 - CONFIDENCE) / 2) ** (1 / n) - 1
    return (limit, 1.0) if sign > 0 else (-1.0, -limit)


def rank_biserial(differences: np.ndarray, axis: int = -1) -> np.ndarray:
    """Compute the matched-pairs rank-biserial correlation, the effect size of Wilcoxon's signed-rank test.

    The share of the rank sum of positive differences minus the share of negative ones (Kerby 2014, doi
    10.2466/11.IT.3.1).

    Parameters
    ----------
    differences : numpy.ndarray
        Differences along `axis`; zeros do not count, as in Wilcoxon's test.

    Returns
    -------
    numpy.ndarray
        -1 (all negative) to 1 (all positive); 0 where every difference is 0.
    """
    differences = np.asarray(differences, dtype=float)
    zero = differences == 0
    ranks = stats.rankdata(np.abs(differences), axis=axis) - zero.sum(axis=axis, keepdims=True)
    signed = np.where(zero, 0.0, ranks * np.sign(differences)).sum(axis=axis)
    total = np.where(zero, 0.0, ranks).sum(axis=axis)
    return np.divide(signed, total, out=np.zeros_like(signed), where=total > 0)


def rank_biserial_interval(differences: np.ndarray) -> tuple[float, float]:
    """Compute the 95 % confidence interval of `rank_biserial`.

    Subjects are resampled (`bootstrap_interval`). Where all of them differ in one direction, the share of such subjects
    is bounded instead.

    Parameters
    ----------
    differences : numpy.ndarray, shape (N,)

    Returns
    -------
    low, high : float
    """
    signs = np.sign(differences[differences != 0])
    if len(signs) and len(differences) > 1 and (signs == signs[0]).all():
        return _unanimous_interval(signs[0], len(signs))
    return bootstrap_interval((differences,), rank_biserial)


def cliffs_delta(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
    """Compute Cliff's delta, the rank-biserial correlation of two independent samples.

    Of all pairs of a value of the first and a value of the second sample, the share in which the second is larger,
    minus the share in which it is smaller (Cliff 1993, doi 10.1037/0033-2909.114.3.494).

    Parameters
    ----------
    first, second : numpy.ndarray
        Values along `axis`.

    Returns
    -------
    numpy.ndarray
        -1 (all values of the second sample are smaller) to 1 (all are larger).
    """
    n = first.shape[axis], second.shape[axis]
    ranks = stats.rankdata(np.concatenate([first, second], axis=axis), axis=axis)
    second_sum = np.take(ranks, range(n[0], sum(n)), axis=axis).sum(axis=axis)
    return 2 * (second_sum - n[1] * (n[1] + 1) / 2) / (n[0] * n[1]) - 1


def cliffs_delta_interval(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Compute the 95 % confidence interval of `cliffs_delta` by resampling both samples.

    Where the samples do not overlap, as many pairs as the smaller sample has values are independent and all agree; the
    share of pairs that agree is bounded as in `rank_biserial_interval`.

    Parameters
    ----------
    first, second : numpy.ndarray, shape (N,), (M,)

    Returns
    -------
    low, high : float
    """
    n = min(len(first), len(second))
    effect = float(cliffs_delta(first, second)) if n else float("nan")
    if n > 1 and abs(effect) == 1:
        return _unanimous_interval(effect, n)
    return bootstrap_interval((first, second), cliffs_delta)


def epsilon_squared(*groups: np.ndarray, axis: int = -1) -> np.ndarray:
    """Compute epsilon squared, the share of the variance of ranks that lies between groups.

    Kruskal-Wallis' H / (n - 1): Kelley 1935 (doi 10.1073/pnas.21.9.554), as recommended by Tomczak & Tomczak 2014
    (Trends Sport Sci 21:19).

    Parameters
    ----------
    *groups : numpy.ndarray
        Values of each group along `axis`.

    Returns
    -------
    numpy.ndarray
        0 to 1; 0 where all values are equal.
    """
    values = np.concatenate(groups, axis=axis)
    ranks = np.moveaxis(stats.rankdata(values, axis=axis), axis, -1)
    mean_rank = (ranks.shape[-1] + 1) / 2
    parts = np.split(ranks, np.cumsum([group.shape[axis] for group in groups])[:-1], axis=-1)
    between = np.sum([part.shape[-1] * (part.mean(axis=-1) - mean_rank) ** 2 for part in parts], axis=0)
    total = ((ranks - mean_rank) ** 2).sum(axis=-1)
    return np.divide(between, total, out=np.zeros_like(between), where=total > 0)


def epsilon_squared_interval(h: float, n_groups: int, n: int) -> tuple[float, float]:
    """Compute the 95 % confidence interval of epsilon squared from the noncentral chi-square distribution of H.

    The interval holds the values under which an H as extreme as this one is not too rare (Steiger 2004, doi
    10.1037/1082-989X.9.2.164). It begins at 0 where Kruskal-Wallis' test finds little. A bootstrap is no alternative:
    resampled groups differ even where the true groups do not, and the interval would hardly ever hold 0.

    Parameters
    ----------
    h : float
        Kruskal-Wallis' statistic.
    n_groups, n : int
        Number of groups, and of values in all groups.

    Returns
    -------
    low, high : float
    """
    ends = []
    for share in ((1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2):
        if stats.chi2.cdf(h, n_groups - 1) <= share:
            ends.append(0.0)
            continue
        noncentrality = optimize.brentq(
            lambda value, p=share: stats.ncx2.cdf(h, n_groups - 1, value) - p, 1e-9, 20 * h + 100
        )
        ends.append(min(noncentrality / (n - 1), 1.0))
    return ends[0], ends[1]


def signed_rank_test(differences: np.ndarray) -> tuple[float, float]:
    """Compute Wilcoxon's signed-rank test, two-sided.

    The signs of up to `MAX_EXACT_DIFFERENCES` differences are enumerated, which is exact also where sizes are equal;
    SciPy does the same a hundred times slower, or in older versions not at all. SciPy tests more differences.

    Parameters
    ----------
    differences : numpy.ndarray, shape (N,)
        Differences other than 0.

    Returns
    -------
    statistic, p : float
        The smaller one of the two rank sums, and its p value.
    """
    n = len(differences)
    if n > MAX_EXACT_DIFFERENCES:
        result = stats.wilcoxon(differences)
        return float(result.statistic), float(result.pvalue)
    ranks = stats.rankdata(np.abs(differences))
    signs = np.arange(2**n)[:, None] >> np.arange(n) & 1
    smaller = min(ranks[differences > 0].sum(), ranks[differences < 0].sum())
    return float(smaller), min(1.0, 2 * float(np.mean(signs @ ranks <= smaller + 1e-9)))


def rank_sum_test(first: np.ndarray, second: np.ndarray) -> float:
    """Compute the two-sided p value of Mann and Whitney's rank-sum test.

    Up to `MAX_EXACT_PERMUTATIONS` ways to distribute the ranks are enumerated, which is exact also where values are
    equal. SciPy tests larger samples.

    Parameters
    ----------
    first, second : numpy.ndarray, shape (N,), (M,)

    Returns
    -------
    float
    """
    if comb(len(first) + len(second), len(first)) > MAX_EXACT_PERMUTATIONS:
        return float(stats.mannwhitneyu(second, first).pvalue)
    ranks = stats.rankdata(np.concatenate([first, second]))
    result = stats.permutation_test(
        (ranks[: len(first)], ranks[len(first) :]),
        lambda _, second_ranks, axis: second_ranks.sum(axis=axis),
        vectorized=True,
        n_resamples=MAX_EXACT_PERMUTATIONS,
    )
    return float(result.pvalue)
