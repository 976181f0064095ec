"""Agreement of vertebral and spinal levels over many subjects: bias, limits, normality and regressions of each pair."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy import stats

from sct_rootlets.group.bootstrap import MIN_SUBJECTS_FOR_INTERVALS, STATISTICS, limits_of_agreement
from sct_rootlets.group.pairs import MISSING_STATUSES, LevelPair, PairStatus
from sct_rootlets.group.regression import fit_line

#: Name of the levels in rows over all pairs of a pairing.
POOLED = "all"
#: Numbers of values that Shapiro and Wilk's test is for (Royston 1995, doi 10.2307/2986146).
MIN_SHAPIRO_VALUES, MAX_SHAPIRO_VALUES = 3, 5000
#: P value below which differences are said not to be normal.
MAX_SHAPIRO_P = 0.05
#: Column of each statistic, before the unit or the end of its interval.
STATISTIC_COLUMNS = {
    "median": "median",
    "p2.5": "percentile_2.5",
    "p97.5": "percentile_97.5",
    "mean": "mean",
    "lower": "mean_minus_1.96sd",
    "upper": "mean_plus_1.96sd",
}

Row = dict[str, object]


def agreement_rows(pairs: Sequence[LevelPair], n_resamples: int) -> list[Row]:
    """Describe the agreement of each pair of levels, and of all pairs of each pairing.

    Parameters
    ----------
    pairs : sequence of LevelPair
        Pairs of all subjects, including those that are not compared.
    n_resamples : int
        Number of bootstrap resamples; 0 for no confidence intervals.

    Returns
    -------
    list of dict
    """
    rows: list[Row] = []
    for pairing in dict.fromkeys(pair.pairing for pair in pairs):
        of_pairing = [pair for pair in pairs if pair.pairing == pairing]
        for names in dict.fromkeys(pair.names for pair in of_pairing):
            rows.append(_agreement_row([pair for pair in of_pairing if pair.names == names], n_resamples))
        rows.append(_agreement_row(of_pairing, n_resamples, is_pooled=True))
    return rows


def _agreement_row(pairs: list[LevelPair], n_resamples: int, is_pooled: bool = False) -> Row:
    """Describe the agreement of one pair of levels, or of all pairs of a pairing."""
    compared = [pair for pair in pairs if pair.is_compared]
    n_subjects = len({pair.subject for pair in compared})
    counts = Counter(pair.status for pair in pairs)
    limits = limits_of_agreement(_difference_table(pairs), n_resamples)
    differences = np.array([pair.difference_mm for pair in compared])
    w, p = shapiro_wilk(differences)
    row: Row = {
        "pairing": pairs[0].pairing,
        "vertebral_level": POOLED if is_pooled else pairs[0].vertebral,
        "spinal_level": POOLED if is_pooled else pairs[0].spinal,
        "n": limits.n,
        "n_subjects": n_subjects,
        **{status.column: counts[status] for status in (*MISSING_STATUSES, PairStatus.INCOMPLETE)},
    }
    for name in STATISTICS:
        low, high = limits.intervals.get(name, (math.nan, math.nan))
        column = STATISTIC_COLUMNS[name]
        row |= {f"{column}_mm": limits.values[name], f"{column}_low": low, f"{column}_high": high}
    rmse = float(np.sqrt(np.mean(differences**2))) if compared else math.nan
    row |= {"sd_mm": limits.sd, "rmse_mm": rmse, "shapiro_w": w, "shapiro_p": p}
    row |= _regressions(compared, is_pooled)
    row["remarks"] = "; ".join(_remarks(limits.n, n_subjects, p, is_pooled))
    return row


def _difference_table(pairs: list[LevelPair]) -> np.ndarray:
    """Arrange differences in a matrix of subjects × pairs, NaN where a pair is not compared."""
    subjects = {name: i for i, name in enumerate(dict.fromkeys(pair.subject for pair in pairs))}
    columns = {names: i for i, names in enumerate(dict.fromkeys(pair.names for pair in pairs))}
    table = np.full((len(subjects), len(columns)), np.nan)
    for pair in pairs:
        if pair.is_compared:
            table[subjects[pair.subject], columns[pair.names]] = pair.difference_mm
    return table


def shapiro_wilk(values: np.ndarray) -> tuple[float, float]:
    """Test by Shapiro and Wilk's test that values come from a normal distribution.

    Parameters
    ----------
    values : numpy.ndarray, shape (N,)

    Returns
    -------
    w, p : float
        NaN where there are too few or too many values, or all are equal.
    """
    if not MIN_SHAPIRO_VALUES <= len(values) <= MAX_SHAPIRO_VALUES or np.ptp(values) < 1e-9:
        return math.nan, math.nan
    result = stats.shapiro(values)
    return float(result.statistic), float(result.pvalue)


def _regressions(compared: list[LevelPair], is_pooled: bool) -> Row:
    """Fit difference on mean (does the bias grow along the cord?), and vertebral on spinal position (as published)."""
    subjects = np.array([pair.subject for pair in compared]) if is_pooled else None
    row: Row = {}
    for name, x, y in (
        ("difference_on_mean", [pair.mean_mm for pair in compared], [pair.difference_mm for pair in compared]),
        ("vertebral_on_spinal", [pair.spinal_mm for pair in compared], [pair.vertebral_mm for pair in compared]),
    ):
        line = fit_line(np.array(x), np.array(y), subjects)
        low, high = line.slope_interval if line else (math.nan, math.nan)
        row |= {
            f"{name}_slope": line.slope if line else math.nan,
            f"{name}_slope_low": low,
            f"{name}_slope_high": high,
            f"{name}_slope_p": line.p if line else math.nan,
            f"{name}_intercept_mm": line.intercept if line else math.nan,
            f"{name}_r2": line.r_squared if line else math.nan,
        }
    return row


def _remarks(n: int, n_subjects: int, shapiro_p: float, is_pooled: bool) -> list[str]:
    remarks = []
    if not n:
        remarks.append("no subject has both levels")
    elif n_subjects == 1:
        remarks.append("seen in one subject only")
    elif n_subjects < MIN_SUBJECTS_FOR_INTERVALS:
        remarks.append(f"fewer than {MIN_SUBJECTS_FOR_INTERVALS} subjects: no confidence intervals")
    if shapiro_p < MAX_SHAPIRO_P and not is_pooled:
        remarks.append(
            "differences are not normal: look at the subjects that lie apart and check the names of their levels and "
            "discs; report the median with its interval (intervals of the outer percentiles cover too little)"
        )
    return remarks
