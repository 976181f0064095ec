"""Comparisons of methods and contrasts against numbers by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scores import score_table

from sct_rootlets.errors import DatasetError
from sct_rootlets.evaluation.compare import compare_contrasts, compare_methods, compare_pairs_of_contrasts
from sct_rootlets.evaluation.statistics import holm
from sct_rootlets.evaluation.tables import ALL_LEVELS


def test_subjects_are_the_unit_of_the_paired_test():
    """Two sessions a subject are averaged, and scans that one method lacks are left out and counted."""
    first = score_table([0.5, 0.6, 0.7, 0.8, 0.4, 0.3], "a")
    twice = pd.concat([first, first.assign(scan=first.scan + "_ses-2", value=first.value + 0.1)])
    second = twice.assign(method="b", value=twice.value + 0.02)
    row = compare_methods(pd.concat([twice, second.iloc[1:]]), "a", "b").iloc[0]
    assert (row.n_subjects, row.n_scans, row.n_scans_left_out) == (6, 11, 1)
    assert row.mean_difference == pytest.approx(0.02)
    assert row.p == pytest.approx(2 / 64)


def test_holm_runs_over_metrics_for_all_levels_and_over_levels_for_a_metric():
    rng = np.random.default_rng(6)
    parts = [
        score_table(rng.random(10), method, metric, scope)
        for method in ("a", "b")
        for metric in ("dice", "hd95_mm")
        for scope in (ALL_LEVELS, "C2", "C3", "C4")
    ]
    rows = compare_methods(pd.concat(parts), "a", "b")
    whole = rows[rows.scope == ALL_LEVELS]
    assert (whole.n_tests == 2).all()
    np.testing.assert_allclose(whole.p_holm, holm(whole.p))
    for _, part in rows[rows.scope != ALL_LEVELS].groupby("metric"):
        assert (part.n_tests == 3).all()
        np.testing.assert_allclose(part.p_holm, holm(part.p))


def test_a_method_gains_nothing_by_missing_a_hard_level():
    """The first finds C2 within 1 mm and C3 within 9, the second C2 within 2: it is 1 mm worse, not 3 better."""
    parts = [
        score_table([value] * 6, method, "hd95_mm", scope)
        for method, scope, value in (
            ("a", "C2", 1.0), ("a", "C3", 9.0), ("a", ALL_LEVELS, 5.0),
            ("b", "C2", 2.0), ("b", ALL_LEVELS, 2.0),
        )
    ]  # fmt: skip
    rows = compare_methods(pd.concat(parts), "a", "b").set_index("scope")
    assert rows.mean_difference[ALL_LEVELS] == 1
    assert rows.better[ALL_LEVELS] == "first"
    assert rows.n_scans_left_out["C3"] == 6


def test_a_paired_test_of_one_subject_is_refused():
    pair = pd.concat([score_table([0.5], "a"), score_table([0.6], "b")])
    with pytest.raises(DatasetError, match="needs scored scans of at least 2 subjects; they share only sub-00"):
        compare_methods(pair, "a", "b")
    with pytest.raises(DatasetError, match="they share none"):
        compare_methods(score_table([0.5, 0.6], "a"), "a", "b")


def test_contrasts_by_hand():
    """Three contrasts of four subjects, fully apart: H = 12 / (12 × 13) × (10² + 26² + 42²) / 4 - 3 × 13 = 9.846."""
    parts = [
        score_table(np.array([0.1, 0.12, 0.14, 0.16]) + shift, contrast=name)
        for name, shift in (("T1w", 0), ("T2w", 0.2), ("UNIT1", 0.4))
    ]
    alone = score_table([0.9], contrast="PD")
    row = compare_contrasts(pd.concat([*parts, alone])).iloc[0]
    h = 12 / (12 * 13) * (10**2 + 26**2 + 42**2) / 4 - 3 * 13
    assert row.contrast == "T1w / T2w / UNIT1"  # one subject is no group
    assert row.n_subjects == "4 / 4 / 4"
    assert row.kruskal_h == pytest.approx(h)
    assert row.p == pytest.approx(np.exp(-h / 2))  # chi square with 2 degrees of freedom
    assert row.epsilon_squared == pytest.approx(h / 11)
    assert (row.n_complete, row.friedman_chi2) == (4, pytest.approx(8.0))  # n (k - 1)
    assert row.friedman_p == pytest.approx(np.exp(-4))
    assert compare_contrasts(pd.concat([parts[0], alone])).empty


def test_pairs_of_contrasts_of_the_same_subjects_are_compared_within_them():
    """Subjects differ by more than contrasts do: within them all agree (p = 2 / 2⁸), between them nothing shows."""
    own = np.linspace(0.3, 0.9, 8)
    parts = [score_table(own + gain, contrast=name) for name, gain in (("T1w", 0), ("T2w", 0.01), ("UNIT1", 0.02))]
    rows = compare_pairs_of_contrasts(pd.concat(parts)).set_index(["first", "second"])
    assert list(rows.index) == [("T1w", "T2w"), ("T1w", "UNIT1"), ("T2w", "UNIT1")]
    assert (rows.test == "paired").all()
    assert rows.p.tolist() == pytest.approx([2 / 2**8] * 3)
    assert rows.p_holm.tolist() == pytest.approx([3 * 2 / 2**8] * 3)
    assert rows.mean_difference.tolist() == pytest.approx([0.01, 0.02, 0.01])
    assert (rows.better == "second").all()
    assert stats.mannwhitneyu(parts[0].value, parts[2].value).pvalue > 0.5


def test_pairs_of_contrasts_of_different_subjects_are_compared_between_them():
    """3 against 4, fully apart: 2 of 35 orders are as extreme. One subject in both does not make them paired."""
    first = score_table([0.1, 0.2, 0.3], contrast="T1w")
    second = score_table([0.0, 0.0, 0.6, 0.7, 0.8, 0.9], contrast="T2w").iloc[2:]
    row = compare_pairs_of_contrasts(pd.concat([first, second])).iloc[0]
    assert (row.test, row.n_first, row.n_second, row.n_both) == ("independent", 3, 4, 1)
    assert row.p == pytest.approx(2 / 35)
    assert row.mean_difference == pytest.approx(0.75 - 0.2)
    assert (row.rank_biserial, row.better) == (1, "second")
    same = compare_pairs_of_contrasts(pd.concat([first.assign(value=0.5), second.assign(value=0.5)])).iloc[0]
    assert (same.p, same.rank_biserial, same.better, same.note) == (1, 0, "", "no subject differs")
    assert compare_pairs_of_contrasts(first).empty
