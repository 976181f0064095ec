"""Statistics against hand-computed numbers, exhaustive enumeration, SciPy and statsmodels."""

import doctest

import numpy as np
import pytest
from scipy import stats

from sct_rootlets.evaluation import statistics


def test_holm_by_hand():
    """Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, never falling: 0.02, 0.03, 0.06, 0.06."""
    np.testing.assert_allclose(statistics.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(statistics.holm([0.5, np.nan, 0.9]), [1, np.nan, 1])


def test_holm_is_that_of_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is not installed")
    rng = np.random.default_rng(0)
    for n in (1, 2, 8, 30):
        p = rng.random(n) ** 3
        np.testing.assert_allclose(statistics.holm(p), multitest.multipletests(p, method="holm")[1])


def test_rank_biserial_by_hand():
    """Ranks 1, 2, 4 speak for, 3 against: (7 - 3) / 10. A difference of 0 changes nothing."""
    assert statistics.rank_biserial(np.array([1.0, 2, -3, 4])) == pytest.approx(0.4)
    assert statistics.rank_biserial(np.array([0.0, 1, 2, -3, 4, 0])) == pytest.approx(0.4)
    assert statistics.rank_biserial(np.zeros(3)) == 0
    assert statistics.rank_biserial(np.array([[1.0, 2, 3], [-1, -2, -3]])).tolist() == [1, -1]


def test_interval_of_the_rank_biserial_correlation():
    """Six subjects of one mind: of a population with less than 0.025^(1/6) of that mind, this is too rare."""
    low = 2 * 0.025 ** (1 / 6) - 1
    assert statistics.rank_biserial_interval(np.arange(1.0, 7)) == pytest.approx((low, 1))
    assert statistics.rank_biserial_interval(-np.arange(0.0, 7)) == pytest.approx((-1, -low))
    mixed = statistics.rank_biserial_interval(np.array([1.0, 2, -3, 4, 5, 6, -0.5, 3.5]))
    assert -1 < mixed[0] < 0.64 < mixed[1] <= 1
    assert np.isnan(statistics.rank_biserial_interval(np.array([1.0]))).all()


@pytest.mark.parametrize(("shift", "truth"), [(0.0, 0.0), (1.0, 0.843), (2.0, 0.995)])
def test_intervals_of_the_rank_biserial_correlation_cover_the_truth(shift, truth):
    """15 subjects, 120 times: at least 90 % hold the correlation of a million subjects."""
    rng = np.random.default_rng(9)
    intervals = np.array([statistics.rank_biserial_interval(rng.normal(shift, 1, 15)) for _ in range(120)])
    assert np.mean((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])) >= 0.9


def test_cliffs_delta_counts_pairs():
    """Of 3 × 2 pairs the second's value is larger in 4, smaller in 1, equal in 1."""
    assert statistics.cliffs_delta(np.array([1.0, 2, 4]), np.array([2.0, 5])) == pytest.approx((4 - 1) / 6)
    rng = np.random.default_rng(11)
    first, second = rng.integers(0, 6, 9).astype(float), rng.integers(2, 8, 12).astype(float)
    pairs = np.sign(second[:, None] - first)
    assert statistics.cliffs_delta(first, second) == pytest.approx(pairs.mean())
    u = stats.mannwhitneyu(second, first).statistic
    assert statistics.cliffs_delta(first, second) == pytest.approx(2 * u / (9 * 12) - 1)


def test_interval_of_samples_that_do_not_overlap_is_not_a_point():
    """As of five subjects of one mind: more than 0.025^(1/5) of them, or this is too rare."""
    low, high = statistics.cliffs_delta_interval(np.arange(5.0), np.arange(10.0, 18))
    assert (low, high) == pytest.approx((2 * 0.025 ** (1 / 5) - 1, 1))
    assert statistics.cliffs_delta_interval(np.arange(10.0, 18), np.arange(5.0)) == pytest.approx((-high, -low))


@pytest.mark.parametrize(("shift", "truth"), [(0.0, 0.0), (1.0, 0.520)])
def test_intervals_of_cliffs_delta_cover_the_truth(shift, truth):
    """15 against 15, 100 times; two normal values 1 SD apart are in order in Φ(1 / √2) = 0.760 of all pairs."""
    rng = np.random.default_rng(12)
    held = []
    for _ in range(100):
        low, high = statistics.cliffs_delta_interval(rng.normal(0, 1, 15), rng.normal(shift, 1, 15))
        held.append(low <= truth <= high)
    assert np.mean(held) >= 0.9


def test_epsilon_squared_by_hand():
    """Ranks 1-3 against 4-6: H = 12 / (6 × 7) × (6² + 15²) / 3 - 3 × 7 = 27/7, and epsilon² = H / 5."""
    assert statistics.epsilon_squared(np.array([1.0, 2, 3]), np.array([7.0, 8, 9])) == pytest.approx(27 / 35)
    assert statistics.epsilon_squared(np.ones(4), np.ones(5)) == 0


def test_epsilon_squared_with_ties_is_h_over_n_minus_1():
    rng = np.random.default_rng(1)
    groups = [rng.integers(0, 5, n).astype(float) for n in (5, 8, 11)]
    assert statistics.epsilon_squared(*groups) == pytest.approx(stats.kruskal(*groups).statistic / 23)


def test_epsilon_squared_intervals_cover_the_truth_also_where_it_is_0():
    """Three groups of 10, alike and 0.6 SD apart (0.195 in a million each): at least 93 % of 150 intervals hold it."""
    rng = np.random.default_rng(10)
    for shift, truth in ((0.0, 0.0), (0.6, 0.195)):
        held = []
        for _ in range(150):
            h = stats.kruskal(*(rng.normal(shift * group, 1, 10) for group in range(3))).statistic
            low, high = statistics.epsilon_squared_interval(h, 3, 30)
            held.append(low <= truth <= high)
        assert np.mean(held) >= 0.93


@pytest.mark.parametrize("n", [1, 2, 5, 9, 13, 14, 30])
def test_signed_rank_test_is_that_of_scipy(n):
    """Without equal sizes, where SciPy's distribution is exact; and with them, by its permutations."""
    differences = np.random.default_rng(n).normal(0.4, 1, n)
    theirs = stats.wilcoxon(differences, method="exact")
    assert statistics.signed_rank_test(differences) == pytest.approx((theirs.statistic, theirs.pvalue))
    if 2 <= n <= 9:
        tied = np.round(differences * 2) + 0.5
        theirs = stats.wilcoxon(tied, method=stats.PermutationMethod(n_resamples=2**n))
        assert statistics.signed_rank_test(tied) == pytest.approx((theirs.statistic, theirs.pvalue))


def test_bootstrap_interval_of_a_mean_is_student_s():
    """For many normal values the bootstrap and the t distribution agree."""
    values = np.random.default_rng(3).normal(5, 2, 400)
    expected = stats.t.interval(0.95, 399, values.mean(), values.std(ddof=1) / 20)
    np.testing.assert_allclose(statistics.bootstrap_interval((values,), np.mean), expected, atol=0.03)
    assert statistics.bootstrap_interval((values,), np.mean) == statistics.bootstrap_interval((values,), np.mean)


def test_bootstrap_intervals_cover_the_truth_at_their_rate():
    """Mean differences of 20 subjects with a bias of 0.5: 95 % of the intervals hold it, give or take chance."""
    rng = np.random.default_rng(4)
    intervals = np.array([statistics.bootstrap_interval((rng.normal(0.5, 1, 20),), np.mean) for _ in range(300)])
    covered = np.mean((intervals[:, 0] <= 0.5) & (intervals[:, 1] >= 0.5))
    assert 0.90 <= covered <= 0.98


def test_docstring_examples():
    result = doctest.testmod(statistics)
    assert (result.attempted > 0, result.failed) == (True, 0)
