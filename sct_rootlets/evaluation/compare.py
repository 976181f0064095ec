"""Scores of many scans: summaries, two methods on the same scans, several contrasts.

Data frames in, data frames out. The unit of every test and interval is the **subject**: scans of one subject resemble
each other, and to count them one by one would promise more than was seen.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
from scipy import optimize, stats

from sct_rootlets.errors import DatasetError

#: Columns of the level table that are summarised; what follows is also summarised and compared by its size.
SCORES = ("dice", "slice_f1", "hd95_mm", "volume_mm3")
ERRORS = ("volume_difference_mm3", "rostral_error_mm", "caudal_error_mm")
#: What is compared; ``|x|`` is the size of an error x.
COMPARED = ("dice", "hd95_mm", *(f"|{name}|" for name in ERRORS))
#: Scores without a value for a level that was missed.
UNDEFINED_IF_MISSED = ("hd95_mm", "|rostral_error_mm|", "|caudal_error_mm|")
#: Scores of which more is better; of all others, less is.
MORE_IS_BETTER = ("dice", "slice_f1")
#: Scopes beside the single levels: the mean over a scan's levels, and all rootlets as one mask.
ALL_LEVELS, ANY_NAME = "all levels", "names ignored"
#: Contrast of rows over all contrasts.
ALL_CONTRASTS = "all"
N_RESAMPLES, SEED, CONFIDENCE = 2000, 0, 0.95
#: Up to so many differences, Wilcoxon's test goes through all of their signs.
MOST_ENUMERATED = 13
#: Up to so many ways to share out ranks to two samples, the rank-sum test goes through all of them.
MOST_SHARED_OUT = 20_000
#: Differences are rounded to so many decimals before they are ranked: sums in another order are no difference.
DECIMALS = 9

Statistic = Callable[..., np.ndarray]


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """P values corrected for several tests (Holm 1979, Scand J Stat 6:65): step down, strong control of errors.

    SciPy has no such correction, and five lines need no statsmodels, against which they are tested.

    Parameters
    ----------
    p : sequence of float
        NaN stays NaN and is not counted.

    Returns
    -------
    numpy.ndarray

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p, dtype=float)
    corrected = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected


def rank_biserial(differences: np.ndarray, axis: int = -1) -> np.ndarray:
    """Matched-pairs rank-biserial correlation (Kerby 2014, doi 10.2466/11.IT.3.1): the effect size of Wilcoxon's test.

    The share of the rank sum that speaks for positive differences minus the share for negative ones.

    Parameters
    ----------
    differences : numpy.ndarray
        Zeros do not count, as in Wilcoxon's test.

    Returns
    -------
    numpy.ndarray
        -1 (all negative) to 1 (all positive); 0 where every difference is 0.
    """
    differences = np.asarray(differences, dtype=float)
    zero = differences == 0
    ranks = stats.rankdata(np.abs(differences), axis=axis) - zero.sum(axis=axis, keepdims=True)
    signed = np.where(zero, 0.0, ranks * np.sign(differences)).sum(axis=axis)
    total = np.where(zero, 0.0, ranks).sum(axis=axis)
    return np.divide(signed, total, out=np.zeros_like(signed), where=total > 0)


def rank_biserial_interval(differences: np.ndarray) -> tuple[float, float]:
    """95 % confidence interval of `rank_biserial`, shape (N,) to two limits.

    By resampling subjects (`bootstrap_interval`). Where all of them differ in one direction, resampling never sees
    another: then the share of such subjects is bounded (Clopper & Pearson 1934, doi 10.1093/biomet/26.4.404), and
    the limit is the correlation if ranks did not matter, share for minus share against.
    """
    signs = np.sign(differences[differences != 0])
    if len(signs) and len(differences) > 1 and (signs == signs[0]).all():
        limit = 2 * ((1 - CONFIDENCE) / 2) ** (1 / len(signs)) - 1
        return (limit, 1.0) if signs[0] > 0 else (-1.0, -limit)
    return bootstrap_interval((differences,), rank_biserial)


def epsilon_squared(*groups: np.ndarray, axis: int = -1) -> np.ndarray:
    """Share of the variance of ranks between groups: epsilon squared, H / (n - 1), of Kruskal-Wallis' H.

    Kelley 1935 (doi 10.1073/pnas.21.9.554); recommended by Tomczak & Tomczak 2014 (Trends Sport Sci 21:19).

    Parameters
    ----------
    *groups : numpy.ndarray
        The values of each group along ``axis``.

    Returns
    -------
    numpy.ndarray
        0 to 1; 0 where all values are equal.
    """
    together = np.concatenate(groups, axis=axis)
    ranks = np.moveaxis(stats.rankdata(together, axis=axis), axis, -1)
    middle = (ranks.shape[-1] + 1) / 2
    parts = np.split(ranks, np.cumsum([group.shape[axis] for group in groups])[:-1], axis=-1)
    between = np.sum([part.shape[-1] * (part.mean(axis=-1) - middle) ** 2 for part in parts], axis=0)
    total = ((ranks - middle) ** 2).sum(axis=-1)
    return np.divide(between, total, out=np.zeros_like(between), where=total > 0)


def epsilon_squared_interval(h: float, n_groups: int, n: int) -> tuple[float, float]:
    """95 % confidence interval of epsilon squared, by the noncentral chi-square distribution of H.

    The interval holds the values under which an H as extreme as this one is not too rare (Steiger 2004, doi
    10.1037/1082-989X.9.2.164): it begins at 0 where Kruskal-Wallis' test finds little. A bootstrap would not do:
    resampled groups differ even where the true ones do not, and the interval would hardly ever hold 0.

    Parameters
    ----------
    h : float
        Kruskal-Wallis' statistic.
    n_groups, n : int
        Number of groups and of values in all.

    Returns
    -------
    low, high : float
    """
    ends = []
    for share in ((1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2):
        if stats.chi2.cdf(h, n_groups - 1) <= share:
            ends.append(0.0)
            continue
        noncentrality = optimize.brentq(lambda at, p=share: stats.ncx2.cdf(h, n_groups - 1, at) - p, 1e-9, 20 * h + 100)
        ends.append(min(noncentrality / (n - 1), 1.0))
    return ends[0], ends[1]


def bootstrap_interval(
    samples: Sequence[np.ndarray], statistic: Statistic, paired: bool = False
) -> tuple[float, float]:
    """95 % confidence interval by resampling subjects; the same numbers every time.

    BCa (bias-corrected and accelerated; Efron 1987, doi 10.2307/2289144), or percentiles where it is not defined.

    Parameters
    ----------
    samples : sequence of numpy.ndarray, shape (N,) each
        One value a subject.
    statistic : callable
        Takes the samples and ``axis``.
    paired : bool
        Whether the samples are of the same subjects, which are then drawn together.

    Returns
    -------
    low, high : float
        NaN with fewer than two values in a sample.
    """
    if min(len(sample) for sample in samples) < 2:
        return float("nan"), float("nan")
    interval = None
    for how in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # equal values make BCa degenerate: the percentiles follow
            interval = stats.bootstrap(
                tuple(samples),
                statistic,
                paired=paired,
                vectorized=True,
                n_resamples=N_RESAMPLES,
                confidence_level=CONFIDENCE,
                method=how,
                random_state=np.random.default_rng(SEED),
            ).confidence_interval
        if np.isfinite([interval.low, interval.high]).all():
            break
    assert interval is not None
    return float(interval.low), float(interval.high)


def long_values(levels: pd.DataFrame, scans: pd.DataFrame) -> pd.DataFrame:
    """One row a method, scan, scope and metric, from the tables of levels and scans.

    Parameters
    ----------
    levels : pandas.DataFrame
        Rows of `evaluate_scan`, with the columns ``method``, ``scan``, ``subject`` and ``contrast``.
    scans : pandas.DataFrame
        Its scan rows, with the same columns.

    Returns
    -------
    pandas.DataFrame
        Columns ``method``, ``contrast``, ``subject``, ``scan``, ``scope``, ``metric``, ``value``. ``scope`` is a
        level's name, `ALL_LEVELS` (mean over the levels of the scan that have a value) or `ANY_NAME`. Absent levels and
        rows without a value are left out.
    """
    keys = ["method", "contrast", "subject", "scan"]
    levels = levels[levels.status != "absent"]  # two volumes of 0 would count as perfect
    table = levels.assign(**{f"|{name}|": levels[name].abs() for name in ERRORS})
    metrics = [*SCORES, *ERRORS, *(f"|{name}|" for name in ERRORS)]
    single = table.melt([*keys, "name"], metrics, "metric").rename(columns={"name": "scope"}).dropna(subset="value")
    means = single.groupby([*keys, "metric"], as_index=False, sort=False).value.mean().assign(scope=ALL_LEVELS)
    whole = scans[keys].assign(dice=scans.dice_any_name, hd95_mm=scans.hd95_any_name_mm, scope=ANY_NAME)
    whole = whole.melt([*keys, "scope"], ["dice", "hd95_mm"], "metric").dropna(subset="value")
    return pd.concat([means, whole, single], ignore_index=True)[[*keys, "scope", "metric", "value"]]


def summarise(values: pd.DataFrame) -> pd.DataFrame:
    """Mean, SD, quartiles and a confidence interval of the mean, a method, contrast, scope and metric.

    Parameters
    ----------
    values : pandas.DataFrame
        Of `long_values`.

    Returns
    -------
    pandas.DataFrame
        The interval resamples subjects with all of their scans.
    """
    rows = []
    for contrast, part in _by_contrast(values):
        for (method, scope, metric), group in part.groupby(["method", "scope", "metric"], sort=False):
            subjects = group.groupby("subject").value
            interval = bootstrap_interval((subjects.sum().to_numpy(), subjects.count().to_numpy()), _ratio, paired=True)
            low, middle, high = np.percentile(group.value, (25, 50, 75))
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
                    "median": middle,
                    "p25": low,
                    "p75": high,
                }
            )
    return pd.DataFrame(rows)


def _ratio(sums: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
    return sums.sum(axis=axis) / counts.sum(axis=axis)


def _by_contrast(values: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """All contrasts together, and each by itself where there are several."""
    contrasts = sorted(values.contrast.unique())
    each = [(contrast, values[values.contrast == contrast]) for contrast in contrasts] if len(contrasts) > 1 else []
    return [(ALL_CONTRASTS, values), *each]


def count_statuses(levels: pd.DataFrame) -> pd.DataFrame:
    """How many levels were detected, wrongly named, missed and extra, a method, contrast and level.

    Parameters
    ----------
    levels : pandas.DataFrame
        With the columns ``method``, ``contrast``, ``name`` and ``status``.
    """
    rows = []
    for contrast, part in _by_contrast(levels):
        for method, of_method in part.groupby("method", sort=False):
            named = [*((name, of_method[of_method.name == name]) for name in level_order(of_method))]
            for scope, group in [(ALL_LEVELS, of_method), *named]:
                counts = {status.replace(" ", "_"): int((group.status == status).sum()) for status in _COUNTED}
                in_reference = len(group) - counts["extra"] - int((group.status == "absent").sum())
                rows.append({"method": method, "contrast": contrast, "scope": scope,
                             "in_reference": in_reference, **counts})  # fmt: skip
    return pd.DataFrame(rows)


_COUNTED = ("detected", "wrongly named", "missed", "extra")


def level_order(levels: pd.DataFrame) -> list[str]:
    """Names of the levels of a table, from rostral to caudal."""
    return levels.drop_duplicates("level").sort_values("level").name.tolist()


def compare_methods(values: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Paired comparison of two methods on the same scans, for all levels and for each.

    A scan counts where both methods have a value (``n_scans_left_out`` says how many do not: no HD95 where a level was
    missed), and means over levels are over those that both have a value of. Differences, second minus first, are
    averaged over the scans of a subject and tested with Wilcoxon's signed-rank test. Holm's correction runs over the
    metrics in rows of all levels, and over the levels of a metric in the others (``n_tests``).

    Parameters
    ----------
    values : pandas.DataFrame
        Of `long_values`.
    first, second : str
        Methods.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    DatasetError
        If fewer than two subjects have scans of both methods.
    """
    values = values[values.metric.isin(COMPARED) & values.method.isin((first, second))]
    _check_pairs(values, first, second)
    values = _with_common_levels(values)
    rows = []
    for contrast, part in _by_contrast(values):
        for (scope, metric), group in part.groupby(["scope", "metric"], sort=False):
            wide = group.pivot_table(index=["subject", "scan"], columns="method", values="value")
            wide = wide.reindex(columns=[first, second])
            both = wide.dropna()
            by_subject = both.groupby("subject").mean()
            row = {"contrast": contrast, "scope": scope, "metric": metric, "first": first, "second": second,
                   "n_scans": len(both), "n_scans_left_out": len(wide) - len(both)}  # fmt: skip
            rows.append(row | paired_test(by_subject[first].to_numpy(), by_subject[second].to_numpy(), metric))
    return _with_holm(pd.DataFrame(rows))


def _with_common_levels(values: pd.DataFrame) -> pd.DataFrame:
    """Means of HD95 and of errors of ends over the levels of both methods: to miss a hard level is no gain."""
    whole = values.scope == ALL_LEVELS
    single = values[values.metric.isin(UNDEFINED_IF_MISSED) & ~values.scope.isin((ALL_LEVELS, ANY_NAME))]
    common = single[single.groupby(["scan", "scope", "metric"]).method.transform("nunique") == 2]
    keys = ["method", "contrast", "subject", "scan", "metric"]
    means = common.groupby(keys, as_index=False, sort=False).value.mean().assign(scope=ALL_LEVELS)
    fair = values[whole & ~values.metric.isin(UNDEFINED_IF_MISSED)]
    return pd.concat([fair, means, values[~whole]], ignore_index=True)


def _check_pairs(values: pd.DataFrame, first: str, second: str) -> None:
    scans = [set(values[values.method == method].scan) for method in (first, second)]
    subjects = sorted(set(values[values.scan.isin(scans[0] & scans[1])].subject))
    if len(subjects) < 2:
        shared = f"only {subjects[0]}" if subjects else "none"
        raise DatasetError(
            f"a paired test of {first} and {second} needs scored scans of at least 2 subjects; they share {shared}"
        )


def signed_rank_test(differences: np.ndarray) -> tuple[float, float]:
    """Wilcoxon's signed-rank test, two-sided.

    Of up to `MOST_ENUMERATED` differences by going through all signs, which is exact also where sizes are equal; SciPy
    would do the same a hundred times slower, or in older versions not at all. Of more, by SciPy.

    Parameters
    ----------
    differences : numpy.ndarray, shape (N,)
        None of them 0.

    Returns
    -------
    statistic, p : float
        The smaller one of the rank sums for and against.
    """
    n = len(differences)
    if n > MOST_ENUMERATED:
        found = stats.wilcoxon(differences)
        return float(found.statistic), float(found.pvalue)
    ranks = stats.rankdata(np.abs(differences))
    signs = np.arange(2**n)[:, None] >> np.arange(n) & 1
    smaller = min(ranks[differences > 0].sum(), ranks[differences < 0].sum())
    return float(smaller), min(1.0, 2 * float(np.mean(signs @ ranks <= smaller + 1e-9)))


def paired_test(first: np.ndarray, second: np.ndarray, metric: str = "") -> dict[str, object]:
    """Second minus first: mean and median difference, Wilcoxon's signed-rank test, and its effect size.

    Parameters
    ----------
    first, second : numpy.ndarray, shape (N,)
        One value a subject, in the same order.
    metric : str
        Decides which of the two ``better`` names.

    Returns
    -------
    dict
        ``p`` is two-sided, NaN with fewer than two subjects, and 1 where every difference is 0. Differences of 0 are
        left out of the test, as Wilcoxon (1945, doi 10.2307/3001968) has it.
    """
    differences = np.round(np.asarray(second, dtype=float) - np.asarray(first, dtype=float), DECIMALS)
    n = len(differences)
    moved = differences[differences != 0]
    interval = bootstrap_interval((differences,), np.mean)
    effect = float(rank_biserial(differences)) if n else float("nan")
    effect_interval = rank_biserial_interval(differences)
    statistic, p, note = float("nan"), float("nan"), "fewer than 2 subjects: no test" if n < 2 else ""
    if n >= 2 and not len(moved):
        p, note = 1.0, "no subject differs"
    elif n >= 2:
        statistic, p = signed_rank_test(moved)
        if len(moved) < 6:
            who = f"{n} subjects" if len(moved) == n else f"{len(moved)} of {n} subjects that differ"
            note = f"p cannot fall below {2.0 ** (1 - len(moved)):.3g} with {who}"
    return {
        "n_subjects": n,
        "mean_first": float(np.mean(first)) if n else float("nan"),
        "mean_second": float(np.mean(second)) if n else float("nan"),
        "mean_difference": float(differences.mean()) if n else float("nan"),
        "mean_difference_ci_low": interval[0],
        "mean_difference_ci_high": interval[1],
        "median_difference": float(np.median(differences)) if n else float("nan"),
        "rank_biserial": effect,
        "rank_biserial_ci_low": effect_interval[0],
        "rank_biserial_ci_high": effect_interval[1],
        "better": _better(effect, metric),
        "wilcoxon_w": statistic,
        "p": p,
        "note": note,
    }


def _better(effect: float, metric: str) -> str:
    """Which of two has better scores, by an effect size that is positive where those of the second are larger."""
    gain = effect if metric in MORE_IS_BETTER else -effect
    return "second" if gain > 0 else "first" if gain < 0 else ""


def separation(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
    """Rank-biserial correlation of two independent samples (Cliff 1993, doi 10.1037/0033-2909.114.3.494).

    The share of all pairs of a value of each in which the second's is larger, minus the share in which it is smaller.

    Parameters
    ----------
    first, second : numpy.ndarray
        The values along ``axis``.

    Returns
    -------
    numpy.ndarray
        -1 (all of the second are smaller) to 1 (all are larger).
    """
    n = first.shape[axis], second.shape[axis]
    ranks = stats.rankdata(np.concatenate([first, second], axis=axis), axis=axis)
    of_second = np.take(ranks, range(n[0], sum(n)), axis=axis).sum(axis=axis)
    return 2 * (of_second - n[1] * (n[1] + 1) / 2) / (n[0] * n[1]) - 1


def separation_interval(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """95 % confidence interval of `separation`, by resampling both samples.

    Where the samples do not overlap, resampling never sees that they could: then as many pairs as the smaller sample
    has values, none in two of them, all say the same, and their share is bounded as in `rank_biserial_interval`.
    """
    n = min(len(first), len(second))
    effect = float(separation(first, second)) if n else float("nan")
    if n > 1 and abs(effect) == 1:
        limit = 2 * ((1 - CONFIDENCE) / 2) ** (1 / n) - 1
        return (limit, 1.0) if effect > 0 else (-1.0, -limit)
    return bootstrap_interval((first, second), separation)


def independent_test(first: np.ndarray, second: np.ndarray, metric: str = "") -> dict[str, object]:
    """Two samples of different subjects: Mann and Whitney's rank-sum test, and its effect size.

    Parameters
    ----------
    first, second : numpy.ndarray, shape (N,), (M,)
        One value a subject, two at least.
    metric : str
        Decides which of the two ``better`` names.

    Returns
    -------
    dict
        With the keys of `paired_test`, less the statistic.
    """
    first, second = (np.round(np.asarray(values, dtype=float), DECIMALS) for values in (first, second))
    interval = bootstrap_interval((first, second), _mean_difference)
    effect, effect_interval = float(separation(first, second)), separation_interval(first, second)
    equal = len(np.unique(np.concatenate([first, second]))) == 1
    least = 2 / comb(len(first) + len(second), len(first))
    note = f"p cannot fall below {least:.3g} with {len(first)} and {len(second)} subjects" if least > 0.05 else ""
    return {
        "mean_first": float(first.mean()),
        "mean_second": float(second.mean()),
        "mean_difference": float(second.mean() - first.mean()),
        "mean_difference_ci_low": interval[0],
        "mean_difference_ci_high": interval[1],
        "median_difference": float(np.median(second) - np.median(first)),
        "rank_biserial": effect,
        "rank_biserial_ci_low": effect_interval[0],
        "rank_biserial_ci_high": effect_interval[1],
        "better": _better(effect, metric),
        "p": 1.0 if equal else rank_sum_test(first, second),
        "note": "no subject differs" if equal else note,
    }


def rank_sum_test(first: np.ndarray, second: np.ndarray) -> float:
    """P of Mann and Whitney's rank-sum test, two-sided.

    By all ways to share the ranks out where these are few, which is exact also where values are equal; else SciPy's.
    """
    if comb(len(first) + len(second), len(first)) > MOST_SHARED_OUT:
        return float(stats.mannwhitneyu(second, first).pvalue)
    ranks = stats.rankdata(np.concatenate([first, second]))
    found = stats.permutation_test(
        (ranks[: len(first)], ranks[len(first) :]),
        lambda _, of_second, axis: of_second.sum(axis=axis),
        vectorized=True,
        n_resamples=MOST_SHARED_OUT,
    )
    return float(found.pvalue)


def _mean_difference(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
    return second.mean(axis=axis) - first.mean(axis=axis)


def compare_contrasts(values: pd.DataFrame) -> pd.DataFrame:
    """Whether scores differ between contrasts: Kruskal-Wallis' test, for all levels and for each, a method.

    One value a subject and contrast. Contrasts with fewer than two subjects take no part. Where subjects were scanned
    in several contrasts, the test's samples are not independent, and its p value is usually too large; with three
    contrasts or more, Friedman's test on the subjects that have them all stands beside it.

    Parameters
    ----------
    values : pandas.DataFrame
        Of `long_values`.

    Returns
    -------
    pandas.DataFrame
        Empty where no two contrasts have two subjects each.
    """
    rows = [{**about, "contrast": " / ".join(wide.columns)} | _groups_test(wide) for about, wide in _by_subject(values)]
    return _with_holm(pd.DataFrame(rows)) if rows else pd.DataFrame()


def _by_subject(values: pd.DataFrame) -> list[tuple[dict[str, object], pd.DataFrame]]:
    """A row a subject and a column a contrast of each method, scope and metric; contrasts with two subjects or more."""
    found = []
    compared = values[values.metric.isin(COMPARED)]
    for (method, scope, metric), group in compared.groupby(["method", "scope", "metric"], sort=False):
        wide = group.pivot_table(index="subject", columns="contrast", values="value")  # means of a subject's scans
        wide = wide.loc[:, wide.count() >= 2]
        if wide.shape[1] >= 2:
            found.append(({"method": method, "contrast": "", "scope": scope, "metric": metric}, wide))
    return found


def compare_pairs_of_contrasts(values: pd.DataFrame) -> pd.DataFrame:
    """Which contrasts differ, two by two, after `compare_contrasts`: second minus first.

    Where at least half of the subjects of the contrast that has fewer were scanned in both, those are compared with
    themselves: Wilcoxon's signed-rank test (``test``: ``paired``), and subjects with one contrast only do not count.
    Else the contrasts are of different people: Mann and Whitney's rank-sum test (``independent``). Holm's
    correction runs over the pairs of a metric and scope.

    Parameters
    ----------
    values : pandas.DataFrame
        Of `long_values`.

    Returns
    -------
    pandas.DataFrame
        Empty where no two contrasts have two subjects each.
    """
    rows: list[dict[str, object]] = []
    for about, wide in _by_subject(values):
        for first, second in combinations(wide.columns, 2):
            both = wide[[first, second]].dropna()
            one, two = (wide[name].dropna().to_numpy() for name in (first, second))
            paired = len(both) >= 2 and 2 * len(both) >= min(len(one), len(two))
            row = {key: about[key] for key in ("method", "scope", "metric")}
            row |= {"first": first, "second": second, "test": "paired" if paired else "independent",
                    "n_first": len(one), "n_second": len(two), "n_both": len(both)}  # fmt: skip
            samples = (both[first].to_numpy(), both[second].to_numpy()) if paired else (one, two)
            result = (paired_test if paired else independent_test)(*samples, str(about["metric"]))
            rows.append(row | {key: value for key, value in result.items() if key not in ("n_subjects", "wilcoxon_w")})
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows)
    groups = table.groupby(["method", "scope", "metric"]).p
    return table.assign(p_holm=groups.transform(holm), n_tests=groups.transform("count"))


def _groups_test(wide: pd.DataFrame) -> dict[str, object]:
    """Kruskal-Wallis over the columns, and Friedman over the complete rows."""
    groups = [column.dropna().to_numpy() for _, column in wide.items()]
    equal = len(np.unique(np.concatenate(groups))) == 1
    h, p = (0.0, 1.0) if equal else (float(value) for value in stats.kruskal(*groups))
    interval = epsilon_squared_interval(h, len(groups), sum(map(len, groups)))
    complete = wide.dropna()
    friedman = (float("nan"), float("nan"))
    if wide.shape[1] >= 3 and len(complete) >= 2 and not equal:
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


def _with_holm(table: pd.DataFrame) -> pd.DataFrame:
    """Add Holm's correction: over metrics for the rows of all levels, over levels for each metric."""
    family = np.where(table.scope.isin((ALL_LEVELS, ANY_NAME)), table.scope, "level " + table.metric)
    groups = table.groupby([column for column in ("method", "contrast") if column in table] + [family]).p
    table = table.assign(p_holm=groups.transform(holm), n_tests=groups.transform("count"))
    return table
