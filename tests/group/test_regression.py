import numpy as np
import pytest

from sct_rootlets.group.regression import fit_line


@pytest.fixture
def points():
    """Seven points of each of twelve subjects, who deviate from the line in their own ways."""
    rng = np.random.default_rng(3)
    subject = np.repeat(np.arange(12), 7)
    x = np.tile(np.linspace(40, 140, 7), 12) + rng.normal(0, 4, len(subject))
    y = 0.07 * x - 3 + rng.normal(0, 2, 12)[subject] + rng.normal(0, 0.02, 12)[subject] * x + rng.normal(0, 1, len(x))
    return x, y, subject


def test_a_line_without_error():
    line = fit_line(np.arange(5.0), 2 * np.arange(5.0) + 1)
    assert (line.slope, line.intercept, line.r_squared) == pytest.approx((2, 1, 1))


@pytest.mark.parametrize("clustered", [False, True])
def test_lines_are_those_of_statsmodels(points, clustered):
    models = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    x, y, subject = points
    how = {"cov_type": "cluster", "cov_kwds": {"groups": subject, "df_correction": True}, "use_t": True}
    fit = models.OLS(y, models.add_constant(x)).fit(**(how if clustered else {}))
    line = fit_line(x, y, subject if clustered else None)
    np.testing.assert_allclose([line.intercept, line.slope], fit.params)
    np.testing.assert_allclose(line.slope_interval, fit.conf_int()[1])
    np.testing.assert_allclose([line.p, line.r_squared], [fit.pvalues[1], fit.rsquared])


def test_points_of_a_subject_are_not_taken_for_independent(points):
    x, y, subject = points
    copied = fit_line(np.repeat(x, 3), np.repeat(y, 3), np.repeat(subject, 3))
    np.testing.assert_allclose(copied.slope_interval, fit_line(x, y, subject).slope_interval, rtol=0.02)


def test_differences_that_are_all_alike_have_no_slope():
    """What lies on a flat line speaks for none; what lies on a steep one, for it beyond doubt."""
    assert fit_line(np.arange(5.0), np.ones(5)).p == 1
    assert fit_line(np.arange(6.0), np.ones(6), np.array([0, 0, 1, 1, 2, 2])).p == 1
    assert fit_line(np.arange(5.0), 2 * np.arange(5.0)).p == 0


def test_no_line_through_too_little():
    assert fit_line(np.array([1.0, 2.0]), np.array([1.0, 2.0])) is None
    assert fit_line(np.ones(5), np.arange(5.0)) is None
    assert fit_line(np.arange(6.0), np.arange(6.0), np.array([0, 0, 0, 1, 1, 1])) is None
