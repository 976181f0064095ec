"""Intraclass correlations against published ones, statsmodels and pingouin."""

import numpy as np
import pandas as pd
import pytest

from sct_rootlets.evaluation.intraclass import icc

#: Table 2 of Shrout & Fleiss 1979: six targets, four judges.
SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)


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
