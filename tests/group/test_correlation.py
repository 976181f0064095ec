"""Spearman's correlation and its interval."""

import numpy as np
import pytest
from scipy import stats

from sct_rootlets.group.correlation import rank_correlation


def test_intervals_contain_the_true_correlation():
    """Of a bivariate normal distribution, it is 6 / pi asin(r / 2) (Pearson 1907)."""
    rng = np.random.default_rng(3)
    r, n, n_samples = 0.6, 30, 1000
    true = 6 / np.pi * np.arcsin(r / 2)
    covered = 0
    for _ in range(n_samples):
        x, y = rng.multivariate_normal([0, 0], [[1, r], [r, 1]], n).T
        low, high = rank_correlation(x, y).interval
        covered += low <= true <= high
    assert 0.93 <= covered / n_samples <= 0.97


def test_pairs_with_a_missing_value_are_left_out():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 20))
    expected = stats.spearmanr(x[2:], y[2:])
    x[0], y[1] = np.nan, np.nan
    result = rank_correlation(x, y)
    assert (result.n, result.rho, result.p) == (18, expected.statistic, expected.pvalue)
    assert result.interval[0] < result.rho < result.interval[1]


@pytest.mark.parametrize(
    ("x", "n", "has_rho"),
    [([1, 2], 2, False), ([1, 1, 1, 1], 4, False), ([1, 2, 3, 5], 4, True), (list(range(20)), 20, True)],
)
def test_there_is_no_interval_of_few_values_or_a_perfect_order(x, n, has_rho):
    result = rank_correlation(np.array(x, dtype=float), np.arange(len(x), dtype=float) ** 2)
    assert result.n == n
    assert np.isnan(result.interval).all()
    assert np.isfinite(result.rho) == has_rho
    assert np.isfinite(result.p) == (n >= 10)
