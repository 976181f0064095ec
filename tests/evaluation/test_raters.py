"""Raters against an independent STAPLE, published intraclass correlations, and numbers by hand."""

import sys

import numpy as np
import pandas as pd
import pytest
from ladder import ladder

from sct_rootlets.errors import DatasetError
from sct_rootlets.evaluation.raters import (
    icc,
    icc_by_level,
    pairwise_agreement,
    staple,
    variability,
    variability_by_level,
)

#: Table 2 of Shrout & Fleiss 1979: six targets, four judges.
SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)


@pytest.fixture
def sitk():
    return pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")


def expectation_maximisation(masks, n_steps=500):
    """STAPLE for one structure as the paper has it (Warfield 2004), with the mean of the masks as the prior."""
    votes = np.stack([mask.ravel() for mask in masks]).astype(float)
    prior = votes.mean()
    sensitivity, specificity = np.full(len(masks), 0.99999), np.full(len(masks), 0.99999)
    for _ in range(n_steps):
        inside = prior * np.prod(np.where(votes, sensitivity[:, None], 1 - sensitivity[:, None]), axis=0)
        outside = (1 - prior) * np.prod(np.where(votes, 1 - specificity[:, None], specificity[:, None]), axis=0)
        weight = inside / (inside + outside)
        sensitivity = (votes * weight).sum(axis=1) / weight.sum()
        specificity = ((1 - votes) * (1 - weight)).sum(axis=1) / (1 - weight).sum()
    return weight.reshape(masks[0].shape), sensitivity, specificity


def noisy_raters(n=4):
    """A block, of which every rater misses some and adds some."""
    rng = np.random.default_rng(0)
    truth = np.zeros((16, 16, 16), dtype=np.uint8)
    truth[5:11, 5:11, 5:11] = 4
    return truth, [np.where(rng.random(truth.shape) < rate, 4 - truth, truth) for rate in np.linspace(0.02, 0.08, n)]


def test_staple_is_that_of_the_paper(sitk):
    """Consensus, sensitivity and specificity by SimpleITK and by a few lines of expectation maximisation."""
    truth, raters = noisy_raters()
    consensus, performance = staple(raters)
    weight, sensitivity, specificity = expectation_maximisation([rater > 0 for rater in raters])
    np.testing.assert_array_equal(consensus, np.where(weight > 0.95, 4, 0))
    np.testing.assert_allclose(performance.sensitivity, sensitivity, atol=1e-3)
    np.testing.assert_allclose(performance.specificity, specificity, atol=1e-3)
    assert np.count_nonzero(consensus != truth) < min(np.count_nonzero(rater != truth) for rater in raters) / 5


def test_raters_who_agree_are_the_consensus(sitk):
    consensus, performance = staple([ladder()] * 3)
    np.testing.assert_array_equal(consensus, ladder())
    assert (performance.sensitivity == 1).all()


def test_a_level_counts_whoever_drew_it_if_half_of_the_raters_did(sitk):
    """The published script takes the levels of the first rater alone."""
    with_it, without = ladder(values=(2, 3, 4)), ladder(values=(2, 3))
    consensus, _ = staple([without, with_it, with_it])
    assert set(np.unique(consensus)) == {0, 2, 3, 4}
    consensus, performance = staple([without, without, with_it])
    assert set(np.unique(consensus)) == {0, 2, 3}
    last = performance[performance.name == "C4"]
    assert last.drawn.tolist() == [False, False, True]
    assert last.sensitivity.isna().all()


def test_a_voxel_that_two_levels_claim_gets_one_of_their_names(sitk):
    """The published script adds labels: where C3 and C4 both are likely, there would be C7."""
    upper, lower = ladder(values=(3,)), ladder(values=(4,))
    low = np.where((upper == 3) & (np.arange(upper.shape[2]) < 45), 4, upper)  # the boundary is drawn lower or higher
    high = np.where(lower == 4, 4, upper)
    consensus, _ = staple([np.maximum(upper, lower), low, high, np.maximum(low, lower)])
    assert set(np.unique(consensus)) <= {0, 3, 4}
    assert {3, 4} <= set(np.unique(consensus))


def test_what_has_no_consensus_is_refused(monkeypatch):
    with pytest.raises(DatasetError, match="at least 2 raters"):
        staple([ladder()])
    with pytest.raises(DatasetError, match="no rater drew anything"):
        staple([np.zeros_like(ladder())] * 2)
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(DatasetError, match=r"needs SimpleITK: pip install"):
        staple([ladder(), ladder(shift=1)])


def test_pairs_by_hand():
    """Levels 6 slices tall, one 2 slices lower: Dice and F1 4/6; its surface is 2 mm off at the ends."""
    rows = pairwise_agreement({"a": ladder((2, 3)), "b": ladder((2, 3), shift=2), "c": ladder((2,))}, np.eye(4))
    assert [tuple(row) for row in rows[["first", "second", "name"]].to_numpy()] == [
        ("a", "b", "C2"), ("a", "b", "C3"), ("a", "c", "C2"), ("a", "c", "C3"), ("b", "c", "C2"), ("b", "c", "C3"),
    ]  # fmt: skip
    assert rows.dice.tolist() == pytest.approx([4 / 6, 4 / 6, 1, 0, 4 / 6, 0])
    assert rows.slice_f1.tolist() == pytest.approx([4 / 6, 4 / 6, 1, 0, 4 / 6, 0])
    assert rows.hd95_mm[0] == 2
    assert np.isnan(rows.hd95_mm[3])


def positions(middles, reference="PMJ", level=4, name="C4"):
    """Rows of a level: one list of midpoints a subject, one midpoint a repeat."""
    return pd.DataFrame(
        [
            {"group": f"sub-{i}", "repeat": f"r{j}", "level": level, "name": name, "midpoint_mm": float(middle),
             "length_mm": 10.0 + j, "reference": reference}
            for i, row in enumerate(middles) for j, middle in enumerate(row) if middle is not None
        ]
    )  # fmt: skip


def test_variation_by_hand():
    """98, 100, 102: SD 2, mean 100, so 2 %. 49, 51: SD 1.414, so 2.83 %. Pooled SD: root of (2 × 4 + 1 × 2) / 3."""
    table = variability(positions([[98, 100, 102], [49, 51], [70]]))
    assert table.sd_mm.tolist() == pytest.approx([2, np.sqrt(2), np.nan], nan_ok=True)
    assert table.cov_percent.tolist() == pytest.approx([2, 100 * np.sqrt(2) / 50, np.nan], nan_ok=True)
    assert table.range_mm.tolist() == pytest.approx([4, 2, np.nan], nan_ok=True)
    assert table.note.tolist() == ["", "", "seen once (r0)"]
    row = variability_by_level(table).iloc[0]
    assert row.n_groups == 2
    assert row.cov_percent == pytest.approx((2 + 2 * np.sqrt(2)) / 2)
    assert row.sd_mm == pytest.approx(np.sqrt(10 / 3))


def test_without_a_natural_zero_there_is_no_coefficient_of_variation():
    table = variability(positions([[98, 100, 102]], reference="disc C2/C3"))
    assert table.sd_mm[0] == pytest.approx(2)
    assert np.isnan(table.cov_percent[0])


def test_what_does_not_compare_is_refused():
    mixed = pd.concat([positions([[98, 100]]), positions([[1, 2]], reference="cord top")])
    message = r"different references \(sub-0 r0 from PMJ but sub-0 r0 from cord top\)"
    with pytest.raises(DatasetError, match=message):
        variability(mixed)
    with pytest.raises(DatasetError, match="nothing repeats"):
        variability(positions([[98], [99]]))


def test_intraclass_correlations_are_the_published_ones():
    """Shrout & Fleiss 1979, table 4: ICC(2,1) = 0.29 and ICC(3,1) = 0.71; intervals as R's psych prints them."""
    found = icc(SHROUT_FLEISS)
    assert found["agreement"] == pytest.approx(0.29, abs=0.005)
    assert found["consistency"] == pytest.approx(0.71, abs=0.005)
    assert (found["agreement_ci_low"], found["agreement_ci_high"]) == pytest.approx((0.019, 0.761), abs=0.001)
    assert (found["consistency_ci_low"], found["consistency_ci_high"]) == pytest.approx((0.342, 0.946), abs=0.001)


def test_intraclass_correlations_are_those_of_statsmodels_analysis_of_variance():
    """From the mean squares of a two-way table: McGraw & Wong 1996 (doi 10.1037/1082-989X.1.1.30), A,1 and C,1."""
    formula = pytest.importorskip("statsmodels.formula.api", reason="statsmodels is not installed")
    from statsmodels.stats.anova import anova_lm

    rng = np.random.default_rng(7)
    n, k = 12, 3
    ratings = rng.normal(size=(n, 1)) + rng.normal(0, 0.4, (n, k)) + [0, 0.2, 0.5]
    long = pd.DataFrame(ratings).stack().rename("value").rename_axis(["target", "rater"]).reset_index()
    squares = anova_lm(formula.ols("value ~ C(target) + C(rater)", long).fit())
    rows, columns, error = (squares.sum_sq / squares.df).to_list()
    found = icc(ratings)
    assert found["consistency"] == pytest.approx((rows - error) / (rows + (k - 1) * error))
    assert found["agreement"] == pytest.approx((rows - error) / (rows + (k - 1) * error + k / n * (columns - error)))


def test_intraclass_correlations_are_those_of_pingouin():
    pingouin = pytest.importorskip("pingouin", reason="pingouin is not installed")
    rng = np.random.default_rng(7)
    ratings = rng.normal(size=(12, 1)) + rng.normal(0, 0.4, (12, 3)) + [0, 0.2, 0.5]
    long = pd.DataFrame(ratings).stack().rename("value").rename_axis(["target", "rater"]).reset_index()
    theirs = pingouin.intraclass_corr(long, targets="target", raters="rater", ratings="value")
    ours = icc(ratings)
    for row, ours_of_it in ((1, "agreement"), (2, "consistency")):
        assert ours[ours_of_it] == pytest.approx(theirs.ICC.iloc[row], abs=1e-6)
        interval = theirs.filter(regex="CI").iloc[row, 0]
        assert [ours[f"{ours_of_it}_ci_low"], ours[f"{ours_of_it}_ci_high"]] == pytest.approx(list(interval), abs=0.006)


def test_intraclass_correlation_of_levels_is_of_complete_subjects():
    rng = np.random.default_rng(8)
    middles = (rng.normal(100, 5, (5, 1)) + rng.normal(0, 1, (5, 3))).tolist()
    expected = icc(np.array(middles))
    middles.append([90, None, 91])
    rows = icc_by_level(pd.concat([positions(middles), positions([[50, 51, 52]], level=5, name="C5")]))
    first = rows[rows.level == 4].iloc[0]
    assert (first.n_subjects, first.n_repeats, first.n_left_out) == (5, 3, 1)
    assert first.agreement == pytest.approx(expected["agreement"])
    assert rows[rows.level == 5].iloc[0].note == "fewer than 2 subjects with all repeats"
    assert icc_by_level(positions([[50, 51]])).empty
    with pytest.raises(DatasetError, match="at least 2 subjects and 2 raters, not 1 and 3"):
        icc(np.ones((1, 3)))
