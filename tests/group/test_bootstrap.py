import math
import statistics

import numpy as np
import pytest
from cohorts import drawn_differences
from scipy import stats
from scipy.optimize import brentq

from sct_rootlets.correspondence import BIAS_MM
from sct_rootlets.group.bootstrap import MIN_SUBJECTS_FOR_INTERVALS, STATISTICS, limits_of_agreement, order_interval

SAMPLE = np.random.default_rng(4).normal(3, 2, 60)


def test_bias_and_limits_are_those_of_the_standard_library():
    """Its quantiles in 40 equal parts begin with the 2.5th percentile and end with the 97.5th."""
    found = limits_of_agreement(SAMPLE, 0)
    values = SAMPLE.tolist()
    low, *_, high = statistics.quantiles(values, n=40, method="inclusive")
    half = 1.96 * statistics.stdev(values)
    expected = [statistics.median(values), low, high]
    expected += [statistics.mean(values), statistics.mean(values) - half, statistics.mean(values) + half]
    np.testing.assert_allclose([found.values[name] for name in STATISTICS], expected)
    assert found.sd == pytest.approx(statistics.stdev(values))
    assert (found.n, found.intervals) == (60, {})


def test_interval_of_the_mean_is_student_s():
    weightstats = pytest.importorskip("statsmodels.stats.weightstats", reason="statsmodels is not installed")
    expected = weightstats.DescrStatsW(SAMPLE).tconfint_mean()
    np.testing.assert_allclose(limits_of_agreement(SAMPLE, 8000).intervals["mean"], expected, atol=0.05)


def test_intervals_of_limits_are_the_exact_ones_of_normal_differences():
    """Mean + 1.96 SD in units of SD / √n follows a non-central t (Carkeet 2015, doi 10.1097/OPX.0000000000000513)."""
    n = len(SAMPLE)
    mean, sd = SAMPLE.mean(), SAMPLE.std(ddof=1)
    low, high = (
        mean + sd / np.sqrt(n) * stats.nct.ppf(p, n - 1, 1.96 * np.sqrt(n), loc=0, scale=1) for p in (0.025, 0.975)
    )
    found = limits_of_agreement(SAMPLE, 8000).intervals
    np.testing.assert_allclose(found["upper"], (low, high), atol=0.15 * (high - low))
    np.testing.assert_allclose(found["lower"], (2 * mean - high, 2 * mean - low), atol=0.15 * (high - low))


def test_order_intervals_cover_by_the_binomial_distribution():
    """From the r-th to the s-th value: P(r ≤ number below < s), summed up by hand; one value fewer would not do."""
    for n in (146, 200, 600):
        for percent in (2.5, 50.0, 97.5):
            ends = order_interval(np.arange(1.0, n + 1), percent)
            assert ends is not None
            first, last = map(int, ends)
            chances = [math.comb(n, k) * (percent / 100) ** k * (1 - percent / 100) ** (n - k) for k in range(n + 1)]
            assert sum(chances[first:last]) >= 0.95
            assert sum(chances[:first]) <= 0.025 < sum(chances[: first + 1])
            assert sum(chances[last:]) <= 0.025 < sum(chances[last - 1 :])
    assert order_interval(np.arange(145.0), 97.5) is None  # 0.975^145 = 0.0255
    assert order_interval(np.arange(145.0), 2.5) is None


def test_percentiles_of_a_single_pair_of_many_are_between_its_own_values():
    table = drawn_differences(150)
    found = limits_of_agreement(table[:, 0], 200).intervals
    for name, percent in (("p2.5", 2.5), ("p97.5", 97.5)):
        assert found[name] == order_interval(table[:, 0], percent)
        assert not set(limits_of_agreement(table, 200).intervals[name]) & set(table.ravel())
        assert not set(limits_of_agreement(table[:145, 0], 200).intervals[name]) & set(table.ravel())


def test_interval_of_limits_of_heavy_tailed_differences_is_wider():
    """The variance of mean + 1.96 SD is (1 + 1.96² (κ - 1) / 4) σ² / n; κ is 3 of a normal distribution, 6 of t (6)."""
    normal = stats.norm.ppf((np.arange(400) + 0.5) / 400)
    heavy = stats.t(6).ppf((np.arange(400) + 0.5) / 400) / stats.t(6).std()
    for values in (normal, heavy):
        kurtosis = stats.kurtosis(values, fisher=False)
        expected = 2 * 1.96 * values.std() * np.sqrt((1 + 1.96**2 * (kurtosis - 1) / 4) / 400)
        for name in ("lower", "upper"):
            assert np.ptp(limits_of_agreement(values, 4000).intervals[name]) == pytest.approx(expected, rel=0.12)


def test_units_and_origin_do_not_matter():
    table = drawn_differences(20)
    plain, moved = limits_of_agreement(table, 300), limits_of_agreement(table * 2.5 + 7, 300)
    for name in STATISTICS:
        assert moved.values[name] == pytest.approx(plain.values[name] * 2.5 + 7)
        np.testing.assert_allclose(moved.intervals[name], np.array(plain.intervals[name]) * 2.5 + 7)


def test_the_same_data_give_the_same_intervals():
    assert limits_of_agreement(SAMPLE, 200) == limits_of_agreement(SAMPLE.copy(), 200)
    assert limits_of_agreement(SAMPLE, 200) != limits_of_agreement(SAMPLE, 200, seed=1)


def test_pairs_of_a_subject_are_not_taken_for_independent():
    """Five copies of a pair tell no more than one: intervals do not shrink by √5."""
    once = limits_of_agreement(SAMPLE, 4000).intervals
    copies = limits_of_agreement(np.repeat(SAMPLE[:, None], 5, axis=1), 4000).intervals
    for name in ("median", "mean", "lower", "upper"):
        assert np.ptp(copies[name]) == pytest.approx(np.ptp(once[name]), rel=0.1)


def test_missing_differences_are_left_out_and_move_nothing():
    table = drawn_differences(30)
    table[:10, 2] = np.nan
    table[4] = np.nan
    found = limits_of_agreement(table, 400)
    assert found.n == np.isfinite(table).sum()
    assert found.values["median"] == pytest.approx(np.nanmedian(table))
    assert found.values["p97.5"] == pytest.approx(np.nanpercentile(table, 97.5))
    wide = limits_of_agreement(np.column_stack([table, np.full(30, np.nan)]), 400)
    assert wide == found


def test_few_differences():
    assert limits_of_agreement(np.array([np.nan])).n == 0
    single = limits_of_agreement(np.array([2.0, np.nan]))
    assert (single.n, single.values["median"], single.intervals) == (1, 2.0, {})
    assert np.isnan([single.sd, single.values["p2.5"], single.values["upper"]]).all()
    assert not limits_of_agreement(SAMPLE[: MIN_SUBJECTS_FOR_INTERVALS - 1]).intervals
    assert limits_of_agreement(SAMPLE[:MIN_SUBJECTS_FOR_INTERVALS], 200).intervals
    one_pair_once = np.column_stack([SAMPLE[:20], np.r_[5.0, np.full(19, np.nan)]])
    assert np.isfinite(list(limits_of_agreement(one_pair_once, 200).intervals.values())).all()
    alike = limits_of_agreement(np.full(12, 1.5), 200)
    assert set(alike.intervals.values()) == {(1.5, 1.5)}


def test_intervals_cover_the_truth_as_often_as_they_say():
    """150 tables of 50 subjects: 95 %, less four standard errors at most; benchmarks/group.py has 1000."""
    sd, bias = np.hypot(1.8, 1.2), np.array(BIAS_MM)
    truths = []
    for part in (bias[-1:], bias):
        quantiles = [
            brentq(lambda at, share=share, part=part: stats.norm.cdf((at - part) / sd).mean() - share, -50, 50)
            for share in (0.5, 0.025, 0.975)
        ]
        half = 1.96 * np.hypot(sd, part.std())
        truths.append([*quantiles, part.mean(), part.mean() - half, part.mean() + half])
    hits = np.zeros((2, len(STATISTICS)))
    for seed in range(150):
        table = drawn_differences(50, seed)
        for row, part in enumerate((table[:, -1], table)):
            ends = np.array([limits_of_agreement(part, 200, seed=seed).intervals[name] for name in STATISTICS])
            hits[row] += (ends[:, 0] <= truths[row]) & (truths[row] <= ends[:, 1])
    share = hits / 150
    margin = 4 * np.sqrt(0.95 * 0.05 / 150)
    assert share.min() > 0.95 - margin
    assert share.mean() == pytest.approx(0.95, abs=0.03)
