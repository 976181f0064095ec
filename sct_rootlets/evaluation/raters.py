"""Several raters of one scan, and repeated scans of one subject: consensus, agreement, variation of positions.

Arrays and data frames in, the same out. The consensus needs SimpleITK (extra ``evaluate``), nothing else does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from sct_rootlets.errors import DatasetError
from sct_rootlets.evaluation.overlap import dice, hd95, slice_f1
from sct_rootlets.image import superior_axis
from sct_rootlets.levels import level_name

#: A voxel belongs to the consensus where STAPLE finds it likelier than this, as in the published scripts.
STAPLE_THRESHOLD = 0.95
#: Reference from which positions are distances that a coefficient of variation makes sense of.
NATURAL_ZERO = "PMJ"


def staple(raters: Sequence[np.ndarray]) -> tuple[np.ndarray, pd.DataFrame]:
    """Consensus of rootlet maps, level by level (STAPLE; Warfield 2004, doi 10.1109/TMI.2004.828354).

    As in Valošek 2024, STAPLE runs on the whole volume for one level at a time and its probability is cut at 0.95.
    Otherwise than in the published script, a level counts whichever rater drew it, a voxel that two levels
    claim goes to the likelier one (there the labels are added up), and a level that fewer than half of the raters
    drew is no consensus.

    Parameters
    ----------
    raters : sequence of numpy.ndarray of int, shape (I, J, K) each
        Rootlet maps on one grid.

    Returns
    -------
    consensus : numpy.ndarray of uint8, shape (I, J, K)
    performance : pandas.DataFrame
        ``level``, ``name``, ``rater`` (number, from 0), ``drawn``, ``sensitivity`` and ``specificity``; NaN for a
        level without consensus.

    Raises
    ------
    DatasetError
        If there are fewer than two maps, all are empty, or SimpleITK is not installed.
    """
    if len(raters) < 2:
        raise DatasetError("a consensus needs at least 2 raters; only one is given")
    values = sorted({int(value) for rater in raters for value in np.unique(rater)} - {0})
    if not values:
        raise DatasetError("no rater drew anything: there is no consensus to find")
    best = np.full(raters[0].shape, STAPLE_THRESHOLD)
    consensus = np.zeros(raters[0].shape, dtype=np.uint8)
    rows = []
    for value in values:
        masks = [rater == value for rater in raters]
        drawn = [bool(mask.any()) for mask in masks]
        sensitivity, specificity = [np.nan] * len(masks), [np.nan] * len(masks)
        if 2 * sum(drawn) >= len(masks):
            probability, sensitivity, specificity = _staple(masks)
            wins = probability > best
            consensus[wins], best[wins] = value, probability[wins]
        for rater, of_rater in enumerate(zip(drawn, sensitivity, specificity, strict=True)):
            rows.append((value, level_name(value, "spinal"), rater, *of_rater))
    columns = ["level", "name", "rater", "drawn", "sensitivity", "specificity"]
    return consensus, pd.DataFrame(rows, columns=columns)


def _staple(masks: Sequence[np.ndarray]) -> tuple[np.ndarray, list[float], list[float]]:
    """Probability of each voxel, shape (I, J, K), and sensitivity and specificity of each rater."""
    try:
        import SimpleITK
    except ImportError as error:
        raise DatasetError(
            'the consensus of raters needs SimpleITK: pip install "sct_rootlets[evaluate]" (or pip install SimpleITK)'
        ) from error
    if all(np.array_equal(masks[0], mask) for mask in masks):  # nothing to estimate
        return masks[0].astype(float), [1.0] * len(masks), [1.0] * len(masks)
    staple_filter = SimpleITK.STAPLEImageFilter()
    staple_filter.SetForegroundValue(1)
    result = staple_filter.Execute([SimpleITK.GetImageFromArray(mask.astype(np.uint8)) for mask in masks])
    return (
        SimpleITK.GetArrayFromImage(result),
        list(staple_filter.GetSensitivity()),
        list(staple_filter.GetSpecificity()),
    )


def pairwise_agreement(raters: Mapping[str, np.ndarray], affine: np.ndarray) -> pd.DataFrame:
    """Dice, slice-wise F1 and HD95 of every pair of raters, a level.

    Parameters
    ----------
    raters : mapping of str to numpy.ndarray of int, shape (I, J, K) each
        Rootlet maps by rater.
    affine : numpy.ndarray, shape (4, 4)

    Returns
    -------
    pandas.DataFrame
        ``first``, ``second``, ``level``, ``name``, ``dice``, ``slice_f1``, ``hd95_mm``. A pair has no row for a level
        that neither drew.
    """
    axis, _ = superior_axis(affine)
    rows = []
    for first, second in combinations(raters, 2):
        pair = raters[first], raters[second]
        for value in sorted({int(value) for one in pair for value in np.unique(one)} - {0}):
            one, two = pair[0] == value, pair[1] == value
            scores = dice(one, two), slice_f1(one, two, axis), hd95(one, two, affine)
            rows.append((first, second, value, level_name(value, "spinal"), *scores))
    columns = ["first", "second", "level", "name", "dice", "slice_f1", "hd95_mm"]
    return pd.DataFrame(rows, columns=columns)


def variability(positions: pd.DataFrame) -> pd.DataFrame:
    """How much a level's position varies over raters, sites, sessions or resolutions, within each subject.

    The coefficient of variation is that of Valošek 2024 (doi 10.1162/imag_a_00218): standard deviation over mean of
    the midpoint's distance from the pontomedullary junction (PMJ). From any other reference a distance has no
    natural zero, and a ratio to it means nothing: the coefficient is then NaN, and the standard deviation in mm
    stands alone.

    Parameters
    ----------
    positions : pandas.DataFrame
        One row a level and repeat: ``group`` (the subject), ``repeat`` (the rater, site, ...), ``level``, ``name``,
        ``midpoint_mm``, ``length_mm``, ``reference``.

    Returns
    -------
    pandas.DataFrame
        One row a group and level seen in at least two repeats: ``n_repeats``, ``mean_mm``, ``sd_mm`` (n - 1),
        ``cov_percent``, ``range_mm``, ``length_sd_mm``; rows of levels seen once have NaN and the ``note``.

    Raises
    ------
    DatasetError
        If positions count from different references, or no group has two repeats.
    """
    references = sorted(positions.reference.unique())
    if len(references) > 1:
        examples = [positions[positions.reference == one].iloc[0] for one in references]
        named = " but ".join(f"{one.group} {one['repeat']} from {one.reference}" for one in examples)
        raise DatasetError(f"positions count from different references ({named}); use the same labels for all of them")
    if positions.groupby("group")["repeat"].nunique().max() < 2:
        raise DatasetError("nothing repeats: every subject has one table only; a variation needs at least 2")
    natural = references == [NATURAL_ZERO]
    rows = []
    for (group, level, name), part in positions.groupby(["group", "level", "name"], sort=True):
        middle = part.midpoint_mm
        sd = float(middle.std(ddof=1)) if len(part) > 1 else np.nan
        rows.append(
            {
                "group": group,
                "level": level,
                "name": name,
                "n_repeats": len(part),
                "mean_mm": middle.mean(),
                "sd_mm": sd,
                "cov_percent": 100 * sd / middle.mean() if natural else np.nan,
                "range_mm": middle.max() - middle.min() if len(part) > 1 else np.nan,
                "length_sd_mm": part.length_mm.std(ddof=1) if len(part) > 1 else np.nan,
                "note": "" if len(part) > 1 else f"seen once ({part['repeat'].iloc[0]})",
            }
        )
    return pd.DataFrame(rows)


def variability_by_level(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over subjects of the coefficient of variation a level, as published, and the pooled standard deviation.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `variability`.

    Returns
    -------
    pandas.DataFrame
        ``n_groups``, ``cov_percent`` (mean), ``cov_percent_max``, ``sd_mm`` (root of the variance pooled by degrees of
        freedom), ``range_mm_max``.
    """
    rows = []
    for (level, name), part in table[table.n_repeats > 1].groupby(["level", "name"], sort=True):
        freedom = part.n_repeats - 1
        rows.append(
            {
                "level": level,
                "name": name,
                "n_groups": len(part),
                "cov_percent": part.cov_percent.mean(),
                "cov_percent_max": part.cov_percent.max(),
                "sd_mm": float(np.sqrt((part.sd_mm**2 * freedom).sum() / freedom.sum())),
                "range_mm_max": part.range_mm.max(),
            }
        )
    return pd.DataFrame(rows)


def icc(ratings: np.ndarray) -> dict[str, float]:
    """Intraclass correlations for single ratings, with 95 % confidence intervals.

    Shrout & Fleiss 1979 (doi 10.1037/0033-2909.86.2.420): ``agreement`` is their ICC(2,1) (raters are a sample of
    raters, a constant offset between them counts), ``consistency`` their ICC(3,1) (it does not).

    Parameters
    ----------
    ratings : numpy.ndarray, shape (N, K)
        One row a subject, one column a rater, no gaps.

    Returns
    -------
    dict
        ``agreement``, ``agreement_ci_low``, ``agreement_ci_high``, and the same of ``consistency``; NaN where
        all ratings are equal.

    Raises
    ------
    DatasetError
        With fewer than two subjects or raters.
    """
    n, k = ratings.shape
    if n < 2 or k < 2:
        raise DatasetError(f"an intraclass correlation needs at least 2 subjects and 2 raters, not {n} and {k}")
    mean = ratings.mean()
    by_row, by_column = ratings.mean(axis=1), ratings.mean(axis=0)
    rows = k * ((by_row - mean) ** 2).sum() / (n - 1)
    columns = n * ((by_column - mean) ** 2).sum() / (k - 1)
    error = ((ratings - by_row[:, None] - by_column + mean) ** 2).sum() / ((n - 1) * (k - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        agreement = (rows - error) / (rows + (k - 1) * error + k * (columns - error) / n)
        consistency = (rows - error) / (rows + (k - 1) * error)
        low, high = _agreement_interval(rows, columns, error, agreement, n, k)
        f = rows / error
        f_low = f / stats.f.ppf(0.975, n - 1, (n - 1) * (k - 1))
        f_high = f * stats.f.ppf(0.975, (n - 1) * (k - 1), n - 1)
        return {
            "agreement": float(agreement),
            "agreement_ci_low": float(low),
            "agreement_ci_high": float(high),
            "consistency": float(consistency),
            "consistency_ci_low": float((f_low - 1) / (f_low + k - 1)),
            "consistency_ci_high": float((f_high - 1) / (f_high + k - 1)),
        }


def _agreement_interval(
    rows: float, columns: float, error: float, agreement: float, n: int, k: int
) -> tuple[float, float]:
    """Interval of ICC(2,1) by Satterthwaite's degrees of freedom (Shrout & Fleiss 1979, p. 424)."""
    f = columns / error
    a = n * (1 + (k - 1) * agreement) - k * agreement
    freedom = (k - 1) * (n - 1) * (k * agreement * f + a) ** 2 / ((n - 1) * (k * agreement * f) ** 2 + a**2)
    upper, lower = stats.f.ppf(0.975, n - 1, freedom), stats.f.ppf(0.975, freedom, n - 1)
    rest = k * columns + (k * n - k - n) * error
    low = n * (rows - upper * error) / (upper * rest + n * rows)
    return low, n * (lower * rows - error) / (rest + n * lower * rows)


def icc_by_level(positions: pd.DataFrame) -> pd.DataFrame:
    """Intraclass correlation of the midpoint and the length of each level, over subjects and repeats.

    Levels are never pooled: along a cord they differ by centimetres, and any rater who can count would agree.

    Parameters
    ----------
    positions : pandas.DataFrame
        As for `variability`.

    Returns
    -------
    pandas.DataFrame
        One row a level and quantity; subjects that lack a repeat are left out and counted in ``n_left_out``. Levels
        with fewer than two complete subjects have NaN and the ``note``. Empty if there is one subject only.
    """
    if positions.group.nunique() < 2:
        return pd.DataFrame()
    rows = []
    for (level, name), part in positions.groupby(["level", "name"], sort=True):
        for quantity in ("midpoint_mm", "length_mm"):
            wide = part.pivot_table(index="group", columns="repeat", values=quantity)
            wide = wide.reindex(columns=sorted(positions["repeat"].unique()))
            complete = wide.dropna()
            enough = len(complete) >= 2 and wide.shape[1] >= 2
            row = {"level": level, "name": name, "quantity": quantity, "n_subjects": len(complete),
                   "n_repeats": wide.shape[1], "n_left_out": positions.group.nunique() - len(complete)}  # fmt: skip
            note = "" if enough else "fewer than 2 subjects with all repeats"
            rows.append(row | (icc(complete.to_numpy()) if enough else {}) | {"note": note})
    return pd.DataFrame(rows)
