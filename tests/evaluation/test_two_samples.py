"""Comparisons of two samples against hand-computed numbers, exhaustive enumeration, SciPy and pingouin."""

from itertools import product
from math import comb

import numpy as np
import pytest
from scipy import stats

from sct_rootlets.evaluation.statistics import rank_sum_test
from sct_rootlets.evaluation.two_samples import independent_test, paired_test


def test_paired_test_by_hand_and_by_enumeration():
    """Six subjects, all better: p = 2 / 2⁶. And p of mixed signs by going through all 2⁸ of them."""
    first = np.array([0.5, 0.6, 0.7, 0.5, 0.4, 0.6])
    gain = np.arange(1, 7) / 100
    better = paired_test(first, first + gain, "dice")
    assert better.p == pytest.approx(2 / 64)
    assert better.mean_difference == pytest.approx(0.035)
    assert (better.rank_biserial, better.better, better.note) == (1, "second", "")
    assert paired_test(first, first + gain, "hd95_mm").better == "first"
    differences = np.array([0.3, -0.1, 0.8, 0.45, -0.2, 0.6, 0.7, -0.05])
    ranks = stats.rankdata(abs(differences))
    sums = [sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign) for signs in product((0, 1), repeat=8)]
    low = min(ranks[differences > 0].sum(), ranks[differences < 0].sum())
    expected = 2 * np.mean(np.array(sums) <= low)
    assert paired_test(np.zeros(8), differences).p == pytest.approx(expected)


def test_paired_test_is_that_of_pingouin():
    pingouin = pytest.importorskip("pingouin", reason="pingouin is not installed")
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(2, 40))
    theirs = pingouin.wilcoxon(second, first)
    ours = paired_test(first, second)
    assert ours.p == pytest.approx(float(theirs.filter(regex="p.val").iloc[0, 0]))
    assert ours.rank_biserial == pytest.approx(float(theirs.RBC.iloc[0]))


def test_too_few_subjects_are_flagged():
    two = paired_test(np.array([0.5, 0.6]), np.array([0.6, 0.8]))
    assert (two.p, two.note) == (0.5, "p cannot fall below 0.5 with 2 subjects")
    one = paired_test(np.array([0.5]), np.array([0.6]))
    assert np.isnan(one.p)
    assert np.isnan(one.mean_difference_interval[0])
    assert one.note == "fewer than 2 subjects: no test"
    same = paired_test(np.ones(9), np.ones(9))
    assert (same.p, same.rank_biserial, same.better, same.note) == (1, 0, "", "no subject differs")
    assert (same.mean_difference_interval[0], same.mean_difference_interval[1]) == (0, 0)


def test_subjects_who_do_not_differ_are_left_out_of_wilcoxon_s_test():
    """Four of nine differ, all upwards: p = 2 / 2⁴, and no smaller; what sums in another order is no difference."""
    first = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.1 + 0.2])
    second = first + np.array([0, 0, 0, 0, 0.01, 0.02, 0.03, 0.04, 0])
    second[8] = 0.3
    assert second[8] != first[8]
    row = paired_test(first, second, "dice")
    assert row.p == pytest.approx(2 / 16)
    assert (row.n_subjects, row.rank_biserial) == (9, 1)
    assert row.note == "p cannot fall below 0.125 with 4 of 9 subjects that differ"


@pytest.mark.parametrize(("n", "m"), [(2, 5), (3, 3), (3, 4), (5, 5)])
def test_samples_apart_with_ties_are_as_rare_as_their_order(n, m):
    """2 of all C(n + m, n) ways; what SciPy takes for large samples would say less. No tie: as SciPy's exact test."""
    result = independent_test(np.zeros(n), np.full(m, 0.5), "dice")
    assert result.p == pytest.approx(2 / comb(n + m, n))
    assert ("p cannot fall below" in result.note) == (2 / comb(n + m, n) > 0.05)
    first, second = np.arange(n) * 1.5, np.arange(m) + 0.2
    exact = stats.mannwhitneyu(first, second, method="exact").pvalue
    assert rank_sum_test(first, second) == pytest.approx(exact)
