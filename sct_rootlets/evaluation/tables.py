"""Tables of scores: one row per value, summaries by level, and counts of what has become of levels.

The unit of every interval is the **subject**: scans of one subject resemble each other, and counting each of them would
make intervals too narrow.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sct_rootlets.evaluation.scan import LevelStatus
from sct_rootlets.evaluation.statistics import bootstrap_interval

#: Scores of a level, and errors of a level; errors are summarised and compared by their sizes, ``|error|``, too.
SCORES = ("dice", "slice_f1", "hd95_mm", "volume_mm3")
ERRORS = ("volume_difference_mm3", "rostral_error_mm", "caudal_error_mm")
ERROR_SIZES = tuple(f"|{name}|" for name in ERRORS)
#: Scopes beside the single levels: the mean over a scan's levels, and all rootlets as one mask.
ALL_LEVELS, ANY_NAME = "all levels", "names ignored"
#: Contrast of rows over all contrasts.
ALL_CONTRASTS = "all"
#: Statuses that are counted, in the order of their columns.
COUNTED_STATUSES = (LevelStatus.DETECTED, LevelStatus.WRONGLY_NAMED, LevelStatus.MISSED, LevelStatus.EXTRA)


def make_long_table(levels: pd.DataFrame, scans: pd.DataFrame) -> pd.DataFrame:
    """Make a table with one row per method, scan, scope and metric from the tables of levels and scans.

    Parameters
    ----------
    levels : pandas.DataFrame
        Level rows of `sct_rootlets.evaluation.scan.evaluate_scan`, with the columns ``method``, ``scan``, ``subject``
        and ``contrast``.
    scans : pandas.DataFrame
        Scan rows of the same function, with the same columns.

    Returns
    -------
    pandas.DataFrame
        Columns ``method``, ``contrast``, ``subject``, ``scan``, ``scope``, ``metric``, ``value``. ``scope`` is a
        level's name, `ALL_LEVELS` (mean over the levels of the scan that have a value) or `ANY_NAME`. Absent levels and
        rows without a value are left out.
    """
    keys = ["method", "contrast", "subject", "scan"]
    levels = levels[levels.status != LevelStatus.ABSENT.value]  # two volumes of 0 would count as perfect
    table = levels.assign(**{size: levels[name].abs() for name, size in zip(ERRORS, ERROR_SIZES, strict=True)})
    metrics = [*SCORES, *ERRORS, *ERROR_SIZES]
    single = table.melt([*keys, "name"], metrics, "metric").rename(columns={"name": "scope"}).dropna(subset="value")
    means = single.groupby([*keys, "metric"], as_index=False, sort=False).value.mean().assign(scope=ALL_LEVELS)
    whole = scans[keys].assign(dice=scans.dice_any_name, hd95_mm=scans.hd95_any_name_mm, scope=ANY_NAME)
    whole = whole.melt([*keys, "scope"], ["dice", "hd95_mm"], "metric").dropna(subset="value")
    return pd.concat([means, whole, single], ignore_index=True)[[*keys, "scope", "metric", "value"]]


def summarize(values: pd.DataFrame) -> pd.DataFrame:
    """Compute mean, SD, quartiles and a confidence interval of the mean by method, contrast, scope and metric.

    Parameters
    ----------
    values : pandas.DataFrame
        Result of `make_long_table`.

    Returns
    -------
    pandas.DataFrame
        The interval comes from resampling subjects with all of their scans.
    """
    rows = []
    for contrast, part in split_by_contrast(values):
        for (method, scope, metric), group in part.groupby(["method", "scope", "metric"], sort=False):
            subjects = group.groupby("subject").value
            interval = bootstrap_interval((subjects.sum().to_numpy(), subjects.count().to_numpy()), _ratio, paired=True)
            lower_quartile, median, upper_quartile = np.percentile(group.value, (25, 50, 75))
            rows.append(
                {
                    "method": method,
                    "contrast": contrast,
                    "scope": scope,
                    "metric": metric,
                    "n_scans": len(group),
                    "n_subjects": len(subjects),
                    "mean": group.value.mean(),
                    "sd": group.value.std(ddof=1),
                    "mean_ci_low": interval[0],
                    "mean_ci_high": interval[1],
                    "median": median,
                    "p25": lower_quartile,
                    "p75": upper_quartile,
                }
            )
    return pd.DataFrame(rows)


def _ratio(sums: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
    return sums.sum(axis=axis) / counts.sum(axis=axis)


def split_by_contrast(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return all contrasts together, and each of them where there are several."""
    contrasts = sorted(table.contrast.unique())
    parts = [(contrast, table[table.contrast == contrast]) for contrast in contrasts] if len(contrasts) > 1 else []
    return [(ALL_CONTRASTS, table), *parts]


def count_statuses(levels: pd.DataFrame) -> pd.DataFrame:
    """Count detected, wrongly named, missed and extra levels by method, contrast and level.

    Parameters
    ----------
    levels : pandas.DataFrame
        Table with the columns ``method``, ``contrast``, ``name`` and ``status``.

    Returns
    -------
    pandas.DataFrame
    """
    rows = []
    for contrast, part in split_by_contrast(levels):
        for method, of_method in part.groupby("method", sort=False):
            named = [*((name, of_method[of_method.name == name]) for name in level_order(of_method))]
            for scope, group in [(ALL_LEVELS, of_method), *named]:
                n_absent = int((group.status == LevelStatus.ABSENT.value).sum())
                counts = {status.column: int((group.status == status.value).sum()) for status in COUNTED_STATUSES}
                in_reference = len(group) - counts[LevelStatus.EXTRA.column] - n_absent
                rows.append({"method": method, "contrast": contrast, "scope": scope,
                             "in_reference": in_reference, **counts})  # fmt: skip
    return pd.DataFrame(rows)


def level_order(levels: pd.DataFrame) -> list[str]:
    """List the names of the levels of a table, from rostral to caudal."""
    return levels.drop_duplicates("level").sort_values("level").name.tolist()
