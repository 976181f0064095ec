"""Comparison of two methods on the same scans, and of contrasts, with p values corrected for the number of tests.

The unit of every test is the **subject**: scans of one subject resemble each other and are averaged.
"""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from sct_rootlets.errors import DatasetError
from sct_rootlets.evaluation.statistics import epsilon_squared, epsilon_squared_interval, holm
from sct_rootlets.evaluation.tables import ALL_LEVELS, ANY_NAME, ERROR_SIZES, split_by_contrast
from sct_rootlets.evaluation.two_samples import TwoSampleTest, independent_test, paired_test

#: Metrics that are compared.
COMPARED_METRICS = ("dice", "hd95_mm", *ERROR_SIZES)
#: Metrics without a value for a level that was missed.
UNDEFINED_IF_MISSED = ("hd95_mm", "|rostral_error_mm|", "|caudal_error_mm|")
#: Subjects that a contrast needs to be compared, and that two methods must share.
MIN_COMPARED_SUBJECTS = 2


def compare_methods(values: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Compare two methods on the same scans, for all levels together and for each.

    A scan counts where both methods have a value; ``n_scans_left_out`` counts the others (no HD95 where a level was
    missed). Means over levels are over those of which both methods have a value. Differences, second minus first, are
    averaged over the scans of a subject and tested with Wilcoxon's signed-rank test. Holm's correction runs over the
    metrics in rows of all levels, and over the levels of a metric in the others (``n_tests``).

    Parameters
    ----------
    values : pandas.DataFrame
        Result of `sct_rootlets.evaluation.tables.make_long_table`.
    first, second : str
        Names of the methods.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    DatasetError
        If fewer than two subjects have scans of both methods.
    """
    values = values[values.metric.isin(COMPARED_METRICS) & values.method.isin((first, second))]
    _check_pairs(values, first, second)
    values = _average_common_levels(values)
    rows = []
    for contrast, part in split_by_contrast(values):
        for (scope, metric), group in part.groupby(["scope", "metric"], sort=False):
            wide = group.pivot_table(index=["subject", "scan"], columns="method", values="value")
            wide = wide.reindex(columns=[first, second])
            both = wide.dropna()
            by_subject = both.groupby("subject").mean()
            result = paired_test(by_subject[first].to_numpy(), by_subject[second].to_numpy(), metric)
            rows.append(
                {
                    "contrast": contrast,
                    "scope": scope,
                    "metric": metric,
                    "first": first,
                    "second": second,
                    "n_scans": len(both),
                    "n_scans_left_out": len(wide) - len(both),
                    "n_subjects": result.n_subjects,
                    **result.columns(),
                    "wilcoxon_w": result.statistic,
                    "p": result.p,
                    "note": result.note,
                }
            )
    return _add_holm(pd.DataFrame(rows))


def _average_common_levels(values: pd.DataFrame) -> pd.DataFrame:
    """Average HD95 and errors of ends over the levels of both methods: missing a hard level is no gain."""
    is_mean = values.scope == ALL_LEVELS
    single = values[values.metric.isin(UNDEFINED_IF_MISSED) & ~values.scope.isin((ALL_LEVELS, ANY_NAME))]
    common = single[single.groupby(["scan", "scope", "metric"]).method.transform("nunique") == 2]
    keys = ["method", "contrast", "subject", "scan", "metric"]
    means = common.groupby(keys, as_index=False, sort=False).value.mean().assign(scope=ALL_LEVELS)
    defined = values[is_mean & ~values.metric.isin(UNDEFINED_IF_MISSED)]
    return pd.concat([defined, means, values[~is_mean]], ignore_index=True)


def _check_pairs(values: pd.DataFrame, first: str, second: str) -> None:
    scans = [set(values[values.method == method].scan) for method in (first, second)]
    subjects = sorted(set(values[values.scan.isin(scans[0] & scans[1])].subject))
    if len(subjects) < MIN_COMPARED_SUBJECTS:
        shared = f"only {subjects[0]}" if subjects else "none"
        raise DatasetError(
            f"a paired test of {first} and {second} needs scored scans of at least 2 subjects; they share {shared}"
        )


def compare_contrasts(values: pd.DataFrame) -> pd.DataFrame:
    """Test whether scores differ between contrasts by Kruskal-Wallis' test, by method, for all levels and for each.

    Each subject has one value per contrast. Contrasts with fewer than two subjects take no part. Where subjects were
    scanned in several contrasts, the samples of the test are not independent, and its p value is usually too large;
    with three contrasts or more, Friedman's test on the subjects that have them all stands beside it.

    Parameters
    ----------
    values : pandas.DataFrame
        Result of `sct_rootlets.evaluation.tables.make_long_table`.

    Returns
    -------
    pandas.DataFrame
        Empty where no two contrasts have two subjects each.
    """
    rows = [
        {"method": method, "contrast": " / ".join(wide.columns), "scope": scope, "metric": metric, **_test_groups(wide)}
        for (method, scope, metric), wide in _values_by_subject(values)
    ]
    return _add_holm(pd.DataFrame(rows)) if rows else pd.DataFrame()


def _values_by_subject(values: pd.DataFrame) -> list[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Return a table of subjects × contrasts by method, scope and metric, without contrasts of too few subjects."""
    tables = []
    compared = values[values.metric.isin(COMPARED_METRICS)]
    for key, group in compared.groupby(["method", "scope", "metric"], sort=False):
        wide = group.pivot_table(index="subject", columns="contrast", values="value")  # means of a subject's scans
        wide = wide.loc[:, wide.count() >= MIN_COMPARED_SUBJECTS]
        if wide.shape[1] >= 2:
            tables.append((key, wide))
    return tables


def compare_pairs_of_contrasts(values: pd.DataFrame) -> pd.DataFrame:
    """Compare contrasts two by two, second minus first, after `compare_contrasts`.

    Where at least half of the subjects of the contrast that has fewer were scanned in both, those subjects are compared
    with themselves: Wilcoxon's signed-rank test (``test``: ``paired``), and subjects with one contrast only do not
    count. Otherwise the contrasts are of different people: Mann and Whitney's rank-sum test (``independent``). Holm's
    correction runs over the pairs of a metric and scope.

    Parameters
    ----------
    values : pandas.DataFrame
        Table as for `compare_contrasts`.

    Returns
    -------
    pandas.DataFrame
        Empty where the table of `compare_contrasts` is.
    """
    rows: list[dict[str, object]] = []
    for (method, scope, metric), wide in _values_by_subject(values):
        for first, second in combinations(wide.columns, 2):
            both = wide[[first, second]].dropna()
            samples = [wide[name].dropna().to_numpy() for name in (first, second)]
            n_first, n_second = map(len, samples)
            is_paired = len(both) >= MIN_COMPARED_SUBJECTS and 2 * len(both) >= min(n_first, n_second)
            if is_paired:
                samples = [both[name].to_numpy() for name in (first, second)]
            test: TwoSampleTest = paired_test if is_paired else independent_test
            result = test(samples[0], samples[1], metric)
            rows.append(
                {
                    "method": method,
                    "scope": scope,
                    "metric": metric,
                    "first": first,
                    "second": second,
                    "test": "paired" if is_paired else "independent",
                    "n_first": n_first,
                    "n_second": n_second,
                    "n_both": len(both),
                    **result.columns(),
                    "p": result.p,
                    "note": result.note,
                }
            )
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows)
    return _correct(table, ["method", "scope", "metric"])


def _test_groups(wide: pd.DataFrame) -> dict[str, object]:
    """Test the columns by Kruskal-Wallis' test, and the complete rows by Friedman's."""
    groups = [column.dropna().to_numpy() for _, column in wide.items()]
    is_constant = len(np.unique(np.concatenate(groups))) == 1
    h, p = (0.0, 1.0) if is_constant else (float(value) for value in stats.kruskal(*groups))
    interval = epsilon_squared_interval(h, len(groups), sum(map(len, groups)))
    complete = wide.dropna()
    friedman = (float("nan"), float("nan"))
    if wide.shape[1] >= 3 and len(complete) >= 2 and not is_constant:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rows of equal values have no order: NaN
            friedman = stats.friedmanchisquare(*(column for _, column in complete.items()))
    return {
        "n_subjects": " / ".join(str(len(group)) for group in groups),
        "median": " / ".join(f"{np.median(group):.3g}" for group in groups),
        "kruskal_h": h,
        "epsilon_squared": float(epsilon_squared(*groups)),
        "epsilon_squared_ci_low": interval[0],
        "epsilon_squared_ci_high": interval[1],
        "p": p,
        "n_complete": len(complete),
        "friedman_chi2": float(friedman[0]),
        "friedman_p": float(friedman[1]),
    }


def _add_holm(table: pd.DataFrame) -> pd.DataFrame:
    """Add Holm's correction: over metrics for the rows of all levels, over levels for each metric."""
    family = np.where(table.scope.isin((ALL_LEVELS, ANY_NAME)), table.scope, "level " + table.metric)
    keys = [column for column in ("method", "contrast") if column in table]
    return _correct(table, [*keys, family])


def _correct(table: pd.DataFrame, keys: list[str | np.ndarray]) -> pd.DataFrame:
    """Add p values that are corrected within groups of tests, and the number of tests of each group."""
    p = table.groupby(keys).p
    return table.assign(p_holm=p.transform(holm), n_tests=p.transform("count"))
