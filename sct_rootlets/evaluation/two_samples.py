"""Comparison of two samples of a score, paired or independent: means, confidence intervals, effect size and p value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb
from typing import Literal

import numpy as np

from sct_rootlets.evaluation.statistics import (
    bootstrap_interval,
    cliffs_delta,
    cliffs_delta_interval,
    rank_biserial,
    rank_biserial_interval,
    rank_sum_test,
    signed_rank_test,
)

#: Metrics of which more is better; of all others, less is.
MORE_IS_BETTER = ("dice", "slice_f1")
#: Decimals that values are rounded to before they are ranked: sums in another order do not differ.
RANK_DECIMALS = 9
#: With fewer subjects that differ, the p value of a signed-rank test cannot fall below 0.05.
MIN_PAIRED_SUBJECTS = 6

#: A comparison such as `paired_test`: takes two samples and the name of a metric.
TwoSampleTest = Callable[[np.ndarray, np.ndarray, str], "TestResult"]


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """A comparison of two samples of a score, second minus first.

    Attributes
    ----------
    n_subjects : int
        Number of values of both samples, or of pairs.
    mean_first, mean_second, mean_difference, median_difference : float
        The median of the differences of pairs; the difference of the medians of independent samples.
    mean_difference_interval : (float, float)
        95 % confidence interval.
    rank_biserial : float
        Effect size, positive where values of the second sample are larger; Cliff's delta of independent samples.
    rank_biserial_interval : (float, float)
        95 % confidence interval.
    better : {"first", "second", ""}
        The sample with the better scores; empty where there is no effect.
    statistic : float
        Wilcoxon's rank sum; NaN of independent samples, or where there is no test.
    p : float
        Two-sided p value.
    note : str
        A limit of the test; empty if there is none.
    """

    __test__ = False  # no test case of pytest, though its name begins with Test

    n_subjects: int
    mean_first: float
    mean_second: float
    mean_difference: float
    mean_difference_interval: tuple[float, float]
    median_difference: float
    rank_biserial: float
    rank_biserial_interval: tuple[float, float]
    better: Literal["first", "second", ""]
    statistic: float
    p: float
    note: str

    def columns(self) -> dict[str, object]:
        """Return the estimates as columns of a table of comparisons, without the p value."""
        return {
            "mean_first": self.mean_first,
            "mean_second": self.mean_second,
            "mean_difference": self.mean_difference,
            "mean_difference_ci_low": self.mean_difference_interval[0],
            "mean_difference_ci_high": self.mean_difference_interval[1],
            "median_difference": self.median_difference,
            "rank_biserial": self.rank_biserial,
            "rank_biserial_ci_low": self.rank_biserial_interval[0],
            "rank_biserial_ci_high": self.rank_biserial_interval[1],
            "better": self.better,
        }


def paired_test(first: np.ndarray, second: np.ndarray, metric: str = "") -> TestResult:
    """Compare two samples of the same subjects: Wilcoxon's signed-rank test, and its effect size.

    Parameters
    ----------
    first, second : numpy.ndarray, shape (N,)
        Samples with one value per subject, in the same order.
    metric : str
        Name of the metric, which decides the better sample.

    Returns
    -------
    TestResult
        ``p`` is NaN with fewer than two subjects, and 1 where every difference is 0. Differences of 0 are left out of
        the test, after Wilcoxon (1945, doi 10.2307/3001968).
    """
    differences = np.round(np.asarray(second, dtype=float) - np.asarray(first, dtype=float), RANK_DECIMALS)
    n = len(differences)
    nonzero = differences[differences != 0]
    effect = float(rank_biserial(differences)) if n else float("nan")
    statistic, p, note = float("nan"), float("nan"), "fewer than 2 subjects: no test" if n < 2 else ""
    if n >= 2 and not len(nonzero):
        p, note = 1.0, "no subject differs"
    elif n >= 2:
        statistic, p = signed_rank_test(nonzero)
        if len(nonzero) < MIN_PAIRED_SUBJECTS:
            who = f"{n} subjects" if len(nonzero) == n else f"{len(nonzero)} of {n} subjects that differ"
            note = f"p cannot fall below {2.0 ** (1 - len(nonzero)):.3g} with {who}"
    return TestResult(
        n_subjects=n,
        mean_first=float(np.mean(first)) if n else float("nan"),
        mean_second=float(np.mean(second)) if n else float("nan"),
        mean_difference=float(differences.mean()) if n else float("nan"),
        mean_difference_interval=bootstrap_interval((differences,), np.mean),
        median_difference=float(np.median(differences)) if n else float("nan"),
        rank_biserial=effect,
        rank_biserial_interval=rank_biserial_interval(differences),
        better=_better(effect, metric),
        statistic=statistic,
        p=p,
        note=note,
    )


def independent_test(first: np.ndarray, second: np.ndarray, metric: str = "") -> TestResult:
    """Compare two samples of different subjects: Mann and Whitney's rank-sum test, and its effect size.

    Parameters
    ----------
    first, second : numpy.ndarray, shape (N,), (M,)
        Samples with one value per subject, at least two each.
    metric : str
        Name of the metric, which decides the better sample.

    Returns
    -------
    TestResult
    """
    first, second = (np.round(np.asarray(values, dtype=float), RANK_DECIMALS) for values in (first, second))
    effect = float(cliffs_delta(first, second))
    is_constant = len(np.unique(np.concatenate([first, second]))) == 1
    min_p = 2 / comb(len(first) + len(second), len(first))
    note = f"p cannot fall below {min_p:.3g} with {len(first)} and {len(second)} subjects" if min_p > 0.05 else ""
    return TestResult(
        n_subjects=len(first) + len(second),
        mean_first=float(first.mean()),
        mean_second=float(second.mean()),
        mean_difference=float(second.mean() - first.mean()),
        mean_difference_interval=bootstrap_interval((first, second), _mean_difference),
        median_difference=float(np.median(second) - np.median(first)),
        rank_biserial=effect,
        rank_biserial_interval=cliffs_delta_interval(first, second),
        better=_better(effect, metric),
        statistic=float("nan"),
        p=1.0 if is_constant else rank_sum_test(first, second),
        note="no subject differs" if is_constant else note,
    )


def _mean_difference(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
    return second.mean(axis=axis) - first.mean(axis=axis)


def _better(effect: float, metric: str) -> Literal["first", "second", ""]:
    """Name the sample with the better scores by an effect size that is positive where the second has larger ones."""
    gain = effect if metric in MORE_IS_BETTER else -effect
    return "second" if gain > 0 else "first" if gain < 0 else ""
