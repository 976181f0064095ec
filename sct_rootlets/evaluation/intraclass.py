"""Intraclass correlations of ratings, with confidence intervals."""

from __future__ import annotations

import numpy as np
from scipy import stats

from sct_rootlets.errors import DatasetError


def icc(ratings: np.ndarray) -> dict[str, float]:
    """Compute the intraclass correlations of single ratings, with 95 % confidence intervals.

    ``agreement`` is the ICC(2,1) of Shrout & Fleiss 1979 (doi 10.1037/0033-2909.86.2.420): raters are a sample of
    raters, and a constant offset between them counts. ``consistency`` is the ICC(3,1), in which it does not count.

    Parameters
    ----------
    ratings : numpy.ndarray, shape (N, K)
        Subjects in rows, raters in columns, no gaps.

    Returns
    -------
    dict
        ``agreement``, ``agreement_ci_low``, ``agreement_ci_high``, and the same of ``consistency``; NaN where
        all ratings are equal.

    Raises
    ------
    DatasetError
        With fewer than two subjects or raters.
    """
    n, k = ratings.shape
    if n < 2 or k < 2:
        raise DatasetError(f"an intraclass correlation needs at least 2 subjects and 2 raters, not {n} and {k}")
    mean = ratings.mean()
    by_row, by_column = ratings.mean(axis=1), ratings.mean(axis=0)
    rows = k * ((by_row - mean) ** 2).sum() / (n - 1)
    columns = n * ((by_column - mean) ** 2).sum() / (k - 1)
    error = ((ratings - by_row[:, None] - by_column + mean) ** 2).sum() / ((n - 1) * (k - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        agreement = (rows - error) / (rows + (k - 1) * error + k * (columns - error) / n)
        consistency = (rows - error) / (rows + (k - 1) * error)
        low, high = _agreement_interval(rows, columns, error, agreement, n, k)
        f = rows / error
        f_low = f / stats.f.ppf(0.975, n - 1, (n - 1) * (k - 1))
        f_high = f * stats.f.ppf(0.975, (n - 1) * (k - 1), n - 1)
        return {
            "agreement": float(agreement),
            "agreement_ci_low": float(low),
            "agreement_ci_high": float(high),
            "consistency": float(consistency),
            "consistency_ci_low": float((f_low - 1) / (f_low + k - 1)),
            "consistency_ci_high": float((f_high - 1) / (f_high + k - 1)),
        }


def _agreement_interval(
    rows: float, columns: float, error: float, agreement: float, n: int, k: int
) -> tuple[float, float]:
    """Compute the interval of ICC(2,1) by Satterthwaite's degrees of freedom (Shrout & Fleiss 1979, p. 424)."""
    f = columns / error
    a = n * (1 + (k - 1) * agreement) - k * agreement
    freedom = (k - 1) * (n - 1) * (k * agreement * f + a) ** 2 / ((n - 1) * (k * agreement * f) ** 2 + a**2)
    upper, lower = stats.f.ppf(0.975, n - 1, freedom), stats.f.ppf(0.975, freedom, n - 1)
    rest = k * columns + (k * n - k - n) * error
    low = n * (rows - upper * error) / (upper * rest + n * rows)
    return low, n * (lower * rows - error) / (rest + n * lower * rows)
