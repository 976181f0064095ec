"""Intraclass correlations of ratings, with confidence intervals."""

from __future__ import annotations

import numpy as np
from scipy import stats

from sct_rootlets.errors import DatasetError

#: A mean square of less than this share of the greatest squared deviation is rounding, not variance.
ROUNDING_SHARE = 1e-20


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
        ``agreement``, ``agreement_ci_low``, ``agreement_ci_high``, and the same of ``consistency``; NaN where they are
        not defined (`why_undefined`).

    Raises
    ------
    DatasetError
        With fewer than two subjects or raters.
    """
    n, k = ratings.shape
    if n < 2 or k < 2:
        raise DatasetError(f"an intraclass correlation needs at least 2 subjects and 2 raters, not {n} and {k}")
    ratings = ratings - ratings[0, 0]  # of equal ratings, exactly 0
    mean = ratings.mean()
    by_row, by_column = ratings.mean(axis=1), ratings.mean(axis=0)
    rows = k * ((by_row - mean) ** 2).sum() / (n - 1)
    columns = n * ((by_column - mean) ** 2).sum() / (k - 1)
    error = ((ratings - by_row[:, None] - by_column + mean) ** 2).sum() / ((n - 1) * (k - 1))
    rounding = ROUNDING_SHARE * ((ratings - mean) ** 2).max()
    rows, columns, error = (square if square > rounding else np.float64(0) for square in (rows, columns, error))
    with np.errstate(divide="ignore", invalid="ignore"):
        agreement = (rows - error) / (rows + (k - 1) * error + k * (columns - error) / n)
        consistency = (rows - error) / (rows + (k - 1) * error)
        low, high = _agreement_interval(rows, columns, error, agreement, n, k)
        f = rows / error
        f_low = f / stats.f.ppf(0.975, n - 1, (n - 1) * (k - 1))
        f_high = f * stats.f.ppf(0.975, (n - 1) * (k - 1), n - 1)
        found = {
            "agreement": agreement,
            "agreement_ci_low": low,
            "agreement_ci_high": high,
            "consistency": consistency,
            "consistency_ci_low": (f_low - 1) / (f_low + k - 1),
            "consistency_ci_high": (f_high - 1) / (f_high + k - 1),
        }
    return {name: float(value) if np.isfinite(value) else np.nan for name, value in found.items()}


def why_undefined(found: dict[str, float]) -> str:
    """Say why correlations or their intervals are not defined.

    Parameters
    ----------
    found : dict
        Result of `icc`.

    Returns
    -------
    str
        Empty if all are defined.
    """
    undefined = [name for name in ("agreement", "consistency") if np.isnan(found[name])]
    if undefined:
        return f"{' and '.join(undefined)} undefined: the subjects do not differ"
    if any(np.isnan(value) for value in found.values()):
        return "no interval: repeats do not scatter, apart from a constant"
    return ""


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
