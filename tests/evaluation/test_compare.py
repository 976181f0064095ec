"""Statistics against hand-computed numbers, exhaustive enumeration, statsmodels and pingouin."""

from itertools import product
from math import comb

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sct_rootlets.errors import DatasetError
from sct_rootlets.evaluation import compare


def table(values, method="a", metric="dice", scope=compare.ALL_LEVELS, contrast="T2w"):
    """Long values, one scan a subject."""
    return pd.DataFrame(
        {
            "method": method,
            "contrast": contrast,
            "subject": [f"sub-{i:02}" for i in range(len(values))],
            "scan": [f"sub-{i:02}_{contrast}" for i in range(len(values))],
            "scope": scope,
            "metric": metric,
            "value": values,
        }
    )


def test_holm_by_hand():
    """Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, never falling: 0.02, 0.03, 0.06, 0.06."""
    np.testing.assert_allclose(compare.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(compare.holm([0.5, np.nan, 0.9]), [1, np.nan, 1])


def test_holm_is_that_of_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is not installed")
    rng = np.random.default_rng(0)
    for n in (1, 2, 8, 30):
        p = rng.random(n) ** 3
        np.testing.assert_allclose(compare.holm(p), multitest.multipletests(p, method="holm")[1])


def test_rank_biserial_by_hand():
    """Ranks 1, 2, 4 speak for, 3 against: (7 - 3) / 10. A difference of 0 changes nothing."""
    assert compare.rank_biserial(np.array([1.0, 2, -3, 4])) == pytest.approx(0.4)
    assert compare.rank_biserial(np.array([0.0, 1, 2, -3, 4, 0])) == pytest.approx(0.4)
    assert compare.rank_biserial(np.zeros(3)) == 0
    assert compare.rank_biserial(np.array([[1.0, 2, 3], [-1, -2, -3]])).tolist() == [1, -1]


def test_interval_of_the_rank_biserial_correlation():
    """Six subjects of one mind: of a population with less than 0.025^(1/6) of that mind, this is too rare."""
    low = 2 * 0.025 ** (1 / 6) - 1
    assert compare.rank_biserial_interval(np.arange(1.0, 7)) == pytest.approx((low, 1))
    assert compare.rank_biserial_interval(-np.arange(0.0, 7)) == pytest.approx((-1, -low))
    mixed = compare.rank_biserial_interval(np.array([1.0, 2, -3, 4, 5, 6, -0.5, 3.5]))
    assert -1 < mixed[0] < 0.64 < mixed[1] <= 1
    assert np.isnan(compare.rank_biserial_interval(np.array([1.0]))).all()


@pytest.mark.parametrize(("shift", "truth"), [(0.0, 0.0), (1.0, 0.843), (2.0, 0.995)])
def test_intervals_of_the_rank_biserial_correlation_cover_the_truth(shift, truth):
    """15 subjects, 120 times: at least 90 % hold the correlation of a million subjects."""
    rng = np.random.default_rng(9)
    intervals = np.array([compare.rank_biserial_interval(rng.normal(shift, 1, 15)) for _ in range(120)])
    assert np.mean((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])) >= 0.9


def test_epsilon_squared_intervals_cover_the_truth_also_where_it_is_0():
    """Three groups of 10, alike and 0.6 SD apart (0.195 in a million each): at least 93 % of 150 intervals hold it."""
    rng = np.random.default_rng(10)
    for shift, truth in ((0.0, 0.0), (0.6, 0.195)):
        held = []
        for _ in range(150):
            h = stats.kruskal(*(rng.normal(shift * group, 1, 10) for group in range(3))).statistic
            low, high = compare.epsilon_squared_interval(h, 3, 30)
            held.append(low <= truth <= high)
        assert np.mean(held) >= 0.93


def test_epsilon_squared_by_hand():
    """Ranks 1-3 against 4-6: H = 12 / (6 × 7) × (6² + 15²) / 3 - 3 × 7 = 27/7, and epsilon² = H / 5."""
    assert compare.epsilon_squared(np.array([1.0, 2, 3]), np.array([7.0, 8, 9])) == pytest.approx(27 / 35)
    assert compare.epsilon_squared(np.ones(4), np.ones(5)) == 0


def test_epsilon_squared_with_ties_is_h_over_n_minus_1():
    rng = np.random.default_rng(1)
    groups = [rng.integers(0, 5, n).astype(float) for n in (5, 8, 11)]
    assert compare.epsilon_squared(*groups) == pytest.approx(stats.kruskal(*groups).statistic / 23)


def test_paired_test_by_hand_and_by_enumeration():
    """Six subjects, all better: p = 2 / 2⁶. And p of mixed signs by going through all 2⁸ of them."""
    first = np.array([0.5, 0.6, 0.7, 0.5, 0.4, 0.6])
    gain = np.arange(1, 7) / 100
    better = compare.paired_test(first, first + gain, "dice")
    assert better["p"] == pytest.approx(2 / 64)
    assert better["mean_difference"] == pytest.approx(0.035)
    assert (better["rank_biserial"], better["better"], better["note"]) == (1, "second", "")
    assert compare.paired_test(first, first + gain, "hd95_mm")["better"] == "first"
    differences = np.array([0.3, -0.1, 0.8, 0.45, -0.2, 0.6, 0.7, -0.05])
    ranks = stats.rankdata(abs(differences))
    sums = [sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign) for signs in product((0, 1), repeat=8)]
    low = min(ranks[differences > 0].sum(), ranks[differences < 0].sum())
    expected = 2 * np.mean(np.array(sums) <= low)
    assert compare.paired_test(np.zeros(8), differences)["p"] == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 2, 5, 9, 13, 14, 30])
def test_signed_rank_test_is_that_of_scipy(n):
    """Without equal sizes, where SciPy's distribution is exact; and with them, by its permutations."""
    differences = np.random.default_rng(n).normal(0.4, 1, n)
    theirs = stats.wilcoxon(differences, method="exact")
    assert compare.signed_rank_test(differences) == pytest.approx((theirs.statistic, theirs.pvalue))
    if 2 <= n <= 9:
        tied = np.round(differences * 2) + 0.5
        theirs = stats.wilcoxon(tied, method=stats.PermutationMethod(n_resamples=2**n))
        assert compare.signed_rank_test(tied) == pytest.approx((theirs.statistic, theirs.pvalue))


def test_paired_test_is_that_of_pingouin():
    pingouin = pytest.importorskip("pingouin", reason="pingouin is not installed")
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(2, 40))
    theirs = pingouin.wilcoxon(second, first)
    ours = compare.paired_test(first, second)
    assert ours["p"] == pytest.approx(float(theirs.filter(regex="p.val").iloc[0, 0]))
    assert ours["rank_biserial"] == pytest.approx(float(theirs.RBC.iloc[0]))


def test_too_few_subjects_are_flagged():
    two = compare.paired_test(np.array([0.5, 0.6]), np.array([0.6, 0.8]))
    assert (two["p"], two["note"]) == (0.5, "p cannot fall below 0.5 with 2 subjects")
    one = compare.paired_test(np.array([0.5]), np.array([0.6]))
    assert np.isnan(one["p"])
    assert np.isnan(one["mean_difference_ci_low"])
    assert one["note"] == "fewer than 2 subjects: no test"
    same = compare.paired_test(np.ones(9), np.ones(9))
    assert (same["p"], same["rank_biserial"], same["better"], same["note"]) == (1, 0, "", "no subject differs")
    assert (same["mean_difference_ci_low"], same["mean_difference_ci_high"]) == (0, 0)


def test_subjects_who_do_not_differ_are_left_out_of_wilcoxon_s_test():
    """Four of nine differ, all upwards: p = 2 / 2⁴, and no smaller; what sums in another order is no difference."""
    first = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.1 + 0.2])
    second = first + np.array([0, 0, 0, 0, 0.01, 0.02, 0.03, 0.04, 0])
    second[8] = 0.3
    assert second[8] != first[8]
    row = compare.paired_test(first, second, "dice")
    assert row["p"] == pytest.approx(2 / 16)
    assert (row["n_subjects"], row["rank_biserial"]) == (9, 1)
    assert row["note"] == "p cannot fall below 0.125 with 4 of 9 subjects that differ"


def test_bootstrap_interval_of_a_mean_is_student_s():
    """For many normal values the bootstrap and the t distribution agree."""
    values = np.random.default_rng(3).normal(5, 2, 400)
    expected = stats.t.interval(0.95, 399, values.mean(), values.std(ddof=1) / 20)
    np.testing.assert_allclose(compare.bootstrap_interval((values,), np.mean), expected, atol=0.03)
    assert compare.bootstrap_interval((values,), np.mean) == compare.bootstrap_interval((values,), np.mean)


def test_bootstrap_intervals_cover_the_truth_at_their_rate():
    """Mean differences of 20 subjects with a bias of 0.5: 95 % of the intervals hold it, give or take chance."""
    rng = np.random.default_rng(4)
    intervals = np.array([compare.bootstrap_interval((rng.normal(0.5, 1, 20),), np.mean) for _ in range(300)])
    covered = np.mean((intervals[:, 0] <= 0.5) & (intervals[:, 1] >= 0.5))
    assert 0.90 <= covered <= 0.98


def test_summary_by_hand():
    values = table([0.5, 0.6, 0.7, 1.0])
    row = compare.summarise(values).iloc[0]
    assert (row["n_scans"], row["n_subjects"], row["contrast"]) == (4, 4, "all")
    assert (row["mean"], row["median"], row["p25"], row["p75"]) == pytest.approx((0.7, 0.65, 0.575, 0.775))
    assert row["sd"] == pytest.approx(np.sqrt((0.04 + 0.01 + 0 + 0.09) / 3))


def test_scans_of_one_subject_are_no_subjects():
    """Every scan ten times over: the interval stays what it was."""
    once = table(np.random.default_rng(5).random(12))
    often = pd.concat([once.assign(scan=once.scan + f"_run-{run}") for run in range(10)])
    rows = [compare.summarise(values).iloc[0] for values in (once, often)]
    assert rows[1]["n_scans"] == 120
    for end in ("mean_ci_low", "mean_ci_high"):
        assert rows[0][end] == pytest.approx(rows[1][end], abs=0.01)


def test_subjects_are_the_unit_of_the_paired_test():
    """Two sessions a subject are averaged, and scans that one method lacks are left out and counted."""
    first = table([0.5, 0.6, 0.7, 0.8, 0.4, 0.3], "a")
    twice = pd.concat([first, first.assign(scan=first.scan + "_ses-2", value=first.value + 0.1)])
    second = twice.assign(method="b", value=twice.value + 0.02)
    row = compare.compare_methods(pd.concat([twice, second.iloc[1:]]), "a", "b").iloc[0]
    assert (row.n_subjects, row.n_scans, row.n_scans_left_out) == (6, 11, 1)
    assert row.mean_difference == pytest.approx(0.02)
    assert row.p == pytest.approx(2 / 64)


def test_holm_runs_over_metrics_for_all_levels_and_over_levels_for_a_metric():
    rng = np.random.default_rng(6)
    parts = [
        table(rng.random(10), method, metric, scope)
        for method in ("a", "b")
        for metric in ("dice", "hd95_mm")
        for scope in (compare.ALL_LEVELS, "C2", "C3", "C4")
    ]
    rows = compare.compare_methods(pd.concat(parts), "a", "b")
    whole = rows[rows.scope == compare.ALL_LEVELS]
    assert (whole.n_tests == 2).all()
    np.testing.assert_allclose(whole.p_holm, compare.holm(whole.p))
    for _, part in rows[rows.scope != compare.ALL_LEVELS].groupby("metric"):
        assert (part.n_tests == 3).all()
        np.testing.assert_allclose(part.p_holm, compare.holm(part.p))


def test_a_method_gains_nothing_by_missing_a_hard_level():
    """The first finds C2 within 1 mm and C3 within 9, the second C2 within 2: it is 1 mm worse, not 3 better."""
    parts = [
        table([value] * 6, method, "hd95_mm", scope)
        for method, scope, value in (
            ("a", "C2", 1.0), ("a", "C3", 9.0), ("a", compare.ALL_LEVELS, 5.0),
            ("b", "C2", 2.0), ("b", compare.ALL_LEVELS, 2.0),
        )
    ]  # fmt: skip
    rows = compare.compare_methods(pd.concat(parts), "a", "b").set_index("scope")
    assert rows.mean_difference[compare.ALL_LEVELS] == 1
    assert rows.better[compare.ALL_LEVELS] == "first"
    assert rows.n_scans_left_out["C3"] == 6


def test_a_paired_test_of_one_subject_is_refused():
    pair = pd.concat([table([0.5], "a"), table([0.6], "b")])
    with pytest.raises(DatasetError, match="needs scored scans of at least 2 subjects; they share only sub-00"):
        compare.compare_methods(pair, "a", "b")
    with pytest.raises(DatasetError, match="they share none"):
        compare.compare_methods(table([0.5, 0.6], "a"), "a", "b")


def test_contrasts_by_hand():
    """Three contrasts of four subjects, fully apart: H = 12 / (12 × 13) × (10² + 26² + 42²) / 4 - 3 × 13 = 9.846."""
    parts = [
        table(np.array([0.1, 0.12, 0.14, 0.16]) + shift, contrast=name)
        for name, shift in (("T1w", 0), ("T2w", 0.2), ("UNIT1", 0.4))
    ]
    alone = table([0.9], contrast="PD")
    row = compare.compare_contrasts(pd.concat([*parts, alone])).iloc[0]
    h = 12 / (12 * 13) * (10**2 + 26**2 + 42**2) / 4 - 3 * 13
    assert row.contrast == "T1w / T2w / UNIT1"  # one subject is no group
    assert row.n_subjects == "4 / 4 / 4"
    assert row.kruskal_h == pytest.approx(h)
    assert row.p == pytest.approx(np.exp(-h / 2))  # chi square with 2 degrees of freedom
    assert row.epsilon_squared == pytest.approx(h / 11)
    assert (row.n_complete, row.friedman_chi2) == (4, pytest.approx(8.0))  # n (k - 1)
    assert row.friedman_p == pytest.approx(np.exp(-4))
    assert compare.compare_contrasts(pd.concat([parts[0], alone])).empty


def test_separation_counts_pairs():
    """Of 3 × 2 pairs the second's value is larger in 4, smaller in 1, equal in 1."""
    assert compare.separation(np.array([1.0, 2, 4]), np.array([2.0, 5])) == pytest.approx((4 - 1) / 6)
    rng = np.random.default_rng(11)
    first, second = rng.integers(0, 6, 9).astype(float), rng.integers(2, 8, 12).astype(float)
    pairs = np.sign(second[:, None] - first)
    assert compare.separation(first, second) == pytest.approx(pairs.mean())
    u = stats.mannwhitneyu(second, first).statistic
    assert compare.separation(first, second) == pytest.approx(2 * u / (9 * 12) - 1)


def test_interval_of_samples_that_do_not_overlap_is_not_a_point():
    """As of five subjects of one mind: more than 0.025^(1/5) of them, or this is too rare."""
    low, high = compare.separation_interval(np.arange(5.0), np.arange(10.0, 18))
    assert (low, high) == pytest.approx((2 * 0.025 ** (1 / 5) - 1, 1))
    assert compare.separation_interval(np.arange(10.0, 18), np.arange(5.0)) == pytest.approx((-high, -low))


@pytest.mark.parametrize(("shift", "truth"), [(0.0, 0.0), (1.0, 0.520)])
def test_intervals_of_separation_cover_the_truth(shift, truth):
    """15 against 15, 100 times; two normal values 1 SD apart are in order in Φ(1 / √2) = 0.760 of all pairs."""
    rng = np.random.default_rng(12)
    held = []
    for _ in range(100):
        low, high = compare.separation_interval(rng.normal(0, 1, 15), rng.normal(shift, 1, 15))
        held.append(low <= truth <= high)
    assert np.mean(held) >= 0.9


def test_pairs_of_contrasts_of_the_same_subjects_are_compared_within_them():
    """Subjects differ by more than contrasts do: within them all agree (p = 2 / 2⁸), between them nothing shows."""
    own = np.linspace(0.3, 0.9, 8)
    parts = [table(own + gain, contrast=name) for name, gain in (("T1w", 0), ("T2w", 0.01), ("UNIT1", 0.02))]
    rows = compare.compare_pairs_of_contrasts(pd.concat(parts)).set_index(["first", "second"])
    assert list(rows.index) == [("T1w", "T2w"), ("T1w", "UNIT1"), ("T2w", "UNIT1")]
    assert (rows.test == "paired").all()
    assert rows.p.tolist() == pytest.approx([2 / 2**8] * 3)
    assert rows.p_holm.tolist() == pytest.approx([3 * 2 / 2**8] * 3)
    assert rows.mean_difference.tolist() == pytest.approx([0.01, 0.02, 0.01])
    assert (rows.better == "second").all()
    assert stats.mannwhitneyu(parts[0].value, parts[2].value).pvalue > 0.5


def test_pairs_of_contrasts_of_different_subjects_are_compared_between_them():
    """3 against 4, fully apart: 2 of 35 orders are as extreme. One subject in both does not make them paired."""
    first = table([0.1, 0.2, 0.3], contrast="T1w")
    second = table([0.0, 0.0, 0.6, 0.7, 0.8, 0.9], contrast="T2w").iloc[2:]
    row = compare.compare_pairs_of_contrasts(pd.concat([first, second])).iloc[0]
    assert (row.test, row.n_first, row.n_second, row.n_both) == ("independent", 3, 4, 1)
    assert row.p == pytest.approx(2 / 35)
    assert row.mean_difference == pytest.approx(0.75 - 0.2)
    assert (row.rank_biserial, row.better) == (1, "second")
    same = compare.compare_pairs_of_contrasts(pd.concat([first.assign(value=0.5), second.assign(value=0.5)])).iloc[0]
    assert (same.p, same.rank_biserial, same.better, same.note) == (1, 0, "", "no subject differs")
    assert compare.compare_pairs_of_contrasts(first).empty


@pytest.mark.parametrize(("n", "m"), [(2, 5), (3, 3), (3, 4), (5, 5)])
def test_samples_apart_with_ties_are_as_rare_as_their_order(n, m):
    """2 of all C(n + m, n) ways; what SciPy takes for large samples would say less. No tie: as SciPy's exact test."""
    result = compare.independent_test(np.zeros(n), np.full(m, 0.5), "dice")
    assert result["p"] == pytest.approx(2 / comb(n + m, n))
    assert ("p cannot fall below" in result["note"]) == (2 / comb(n + m, n) > 0.05)
    first, second = np.arange(n) * 1.5, np.arange(m) + 0.2
    exact = stats.mannwhitneyu(first, second, method="exact").pvalue
    assert compare.rank_sum_test(first, second) == pytest.approx(exact)


def test_long_values_average_over_the_levels_of_a_scan():
    identity = {"method": "a", "scan": "s", "subject": "s", "contrast": "T2w"}
    columns = (
        "dice",
        "slice_f1",
        "hd95_mm",
        "volume_mm3",
        "volume_difference_mm3",
        "rostral_error_mm",
        "caudal_error_mm",
    )
    rows = [
        [1.0, 1, 2, 10, 4, -1, 3],
        [0.0, 0, np.nan, 0, -8, np.nan, np.nan],
        [np.nan, np.nan, np.nan, 0, 0, np.nan, np.nan],
    ]
    levels = pd.DataFrame(
        [
            identity | {"name": name, "status": status} | dict(zip(columns, row, strict=True))
            for name, status, row in zip(("C2", "C3", "C4"), ("detected", "missed", "absent"), rows, strict=True)
        ]
    )
    scans = pd.DataFrame([identity | {"dice_any_name": 0.8, "hd95_any_name_mm": 3.0}])
    values = compare.long_values(levels, scans).set_index(["scope", "metric"]).value
    assert values["all levels", "dice"] == 0.5
    assert values["all levels", "hd95_mm"] == 2
    assert (values["all levels", "volume_difference_mm3"], values["all levels", "|volume_difference_mm3|"]) == (-2, 6)
    assert (values["C2", "rostral_error_mm"], values["C2", "|rostral_error_mm|"]) == (-1, 1)
    assert values["names ignored", "dice"] == 0.8
    assert ("C3", "hd95_mm") not in values.index
    assert ("C4", "volume_difference_mm3") not in values.index  # absent on both sides: no perfect volume
