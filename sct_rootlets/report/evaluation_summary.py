"""Results of an evaluation as text: a summary in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from sct_rootlets.evaluation.study import MAIN_METRICS, Study, StudyKind
from sct_rootlets.evaluation.tables import ALL_LEVELS, ANY_NAME, level_order
from sct_rootlets.evaluation.variability import NATURAL_ZERO

#: Titles of metrics in figures and tables.
METRIC_TITLES = {
    "dice": "Dice",
    "slice_f1": "F1 over slices",
    "hd95_mm": "HD95 (mm)",
    "volume_mm3": "volume (mm³)",
    "volume_difference_mm3": "volume difference (mm³)",
    "rostral_error_mm": "rostral end error (mm)",
    "caudal_error_mm": "caudal end error (mm)",
    "|volume_difference_mm3|": "absolute volume difference (mm³)",
    "|rostral_error_mm|": "absolute rostral end error (mm)",
    "|caudal_error_mm|": "absolute caudal end error (mm)",
}


def evaluation_summary(study: Study, figures: Sequence[str] = ()) -> str:
    """Write the results in Markdown: what was compared, the main numbers, definitions, and notes.

    Parameters
    ----------
    study : Study
    figures : sequence of str
        Names of figures beside the summary, without ending.

    Returns
    -------
    str
    """
    lines = _SECTIONS[study.kind](study)
    lines += [line for name in figures for line in (f"![{name}]({name}.png)", "")]
    if study.notes:
        lines += ["## Notes", "", *(f"- {note}" for note in study.notes), ""]
    return "\n".join(lines)


def _references(study: Study) -> list[str]:
    tables = study.tables
    scans = tables["scans"]
    along = "the centerline of the cord" if study.about["along"] == "cord" else "the superior axis (no cord mask given)"
    lines = [
        "# Predictions against references",
        "",
        f"Scans: {scans.scan.nunique()}; subjects: {scans.subject.nunique()}; "
        f"contrasts: {', '.join(sorted(scans.contrast.unique()))}. Ends of levels along {along}.",
        "",
    ]
    for method in study.about["methods"]:
        lines += [f"## {method}", "", *_score_table(tables["summary"], tables["statuses"], method), ""]
    if "methods" in tables:
        lines += _methods_section(tables["methods"])
    if "contrasts" in tables:
        lines += _contrasts_section(tables["contrasts"], tables["contrast_pairs"])
    return [
        *lines,
        "## Definitions",
        "",
        "- Mean ± SD over scans. Intervals are 95 % bootstrap intervals that resample subjects. All levels: mean over "
        "the levels of a scan.",
        "- A level that only one side has scores Dice 0 and no HD95. A level that neither side has is scored nowhere.",
        "- HD95: the larger of both directions' 95th percentiles of the distances between surface voxels.",
        "- Detected: predicted rootlets of this name lie within 2 mm of a quarter of the level's voxels or more. "
        "Wrongly named: those near it bear another name. Missed: neither. Extra: the reference has no such level.",
        "- Errors of ends: prediction minus reference, positive further caudally.",
        "",
    ]


def _score_table(table: pd.DataFrame, statuses: pd.DataFrame, method: str) -> list[str]:
    """Tabulate mean ± SD of the scores of contrasts and levels, and counts of statuses."""
    table, statuses = table[table.method == method], statuses[statuses.method == method]
    counts_by_scope = statuses.set_index(["contrast", "scope"])
    rows = []
    for (contrast, scope), part in table.groupby(["contrast", "scope"], sort=False):
        values = part.set_index("metric")
        cells = [
            _mean_sd(values.loc[metric].rename({"sd": "std"})) if metric in values.index else "–"
            for metric in MAIN_METRICS
        ]
        interval = _interval(values.loc["dice"], "mean_ci") if "dice" in values.index else "–"
        key = (contrast, scope)
        counts = counts_by_scope.loc[key] if key in counts_by_scope.index else None
        shown = ["–"] * 3 if counts is None else [
            f"{counts.detected}/{counts.in_reference}", str(counts.wrongly_named), f"{counts.missed} / {counts.extra}"
        ]  # fmt: skip
        rows.append([contrast, scope, str(int(part.n_scans.max())), cells[0], interval, *cells[1:], *shown])
    head = ["contrast", "level", "scans", "Dice", "95 % CI", *(METRIC_TITLES[name] for name in MAIN_METRICS[1:]),
            "detected", "wrongly named", "missed / extra"]  # fmt: skip
    return _markdown(head, rows)


def _methods_section(table: pd.DataFrame) -> list[str]:
    table = table[table.scope.isin((ALL_LEVELS, ANY_NAME))]
    first, second = table["first"].iloc[0], table["second"].iloc[0]
    head = ["contrast", "scope", "metric", "subjects", first, second, "difference (95 % CI)",
            "rank-biserial (95 % CI)", "p", "p (Holm)", "better"]  # fmt: skip
    rows = [
        [row.contrast, row.scope, METRIC_TITLES[row.metric], str(row.n_subjects), _number(row.mean_first),
         _number(row.mean_second), f"{_number(row.mean_difference)} ({_interval(row, 'mean_difference_ci')})",
         f"{_number(row.rank_biserial)} ({_interval(row, 'rank_biserial_ci')})", _p(row.p), _p(row.p_holm),
         {"first": first, "second": second}[row.better] if row.p_holm < 0.05 else "–"]
        for row in table.itertuples()
    ]  # fmt: skip
    remarks = sorted({note for note in table.note if note})
    return [
        f"## {second} against {first}",
        "",
        *_markdown(head, rows),
        "",
        f"Wilcoxon's signed-rank test, {second} minus {first}, one value a subject; better is named where Holm's p "
        "is below 0.05; levels: `methods.csv`." + "".join(f" Note: {remark}." for remark in remarks),
        "",
    ]


def _contrasts_section(table: pd.DataFrame, pairs: pd.DataFrame) -> list[str]:
    table, pairs = (rows[rows.scope.isin((ALL_LEVELS, ANY_NAME))] for rows in (table, pairs))
    head = ["method", "scope", "metric", "contrasts", "subjects", "medians", "H", "ε² (95 % CI)", "p", "p (Holm)",
            "Friedman p (subjects)"]  # fmt: skip
    rows = [
        [row.method, row.scope, METRIC_TITLES[row.metric], row.contrast, row.n_subjects, row.median,
         _number(row.kruskal_h), f"{_number(row.epsilon_squared)} ({_interval(row, 'epsilon_squared_ci')})",
         _p(row.p), _p(row.p_holm), f"{_p(row.friedman_p)} ({row.n_complete})"]
        for row in table.itertuples()
    ]  # fmt: skip
    head_of_pairs = ["method", "scope", "metric", "first", "second", "test (subjects)", "difference (95 % CI)",
                     "rank-biserial (95 % CI)", "p", "p (Holm)", "better"]  # fmt: skip
    rows_of_pairs = [
        [row.method, row.scope, METRIC_TITLES[row.metric], row.first, row.second,
         f"paired ({row.n_both})" if row.test == "paired" else f"independent ({row.n_first}, {row.n_second})",
         f"{_number(row.mean_difference)} ({_interval(row, 'mean_difference_ci')})",
         f"{_number(row.rank_biserial)} ({_interval(row, 'rank_biserial_ci')})", _p(row.p), _p(row.p_holm),
         {"first": row.first, "second": row.second}[row.better] if row.p_holm < 0.05 else "–"]
        for row in pairs.itertuples()
    ]  # fmt: skip
    remarks = sorted({note for note in pairs.note if note})
    return [
        "## Contrasts",
        "",
        *_markdown(head, rows),
        "",
        "Kruskal-Wallis' test, one value a subject and contrast; levels: `contrasts.csv`.",
        "",
        *_markdown(head_of_pairs, rows_of_pairs),
        "",
        "Second minus first: Wilcoxon's signed-rank test of the subjects that have both contrasts (paired), or Mann "
        "and Whitney's of different subjects (independent); Holm's correction over the pairs; levels: "
        "`contrast_pairs.csv`." + "".join(f" Note: {remark}." for remark in remarks),
        "",
    ]


def _raters(study: Study) -> list[str]:
    raters, scans = study.about["raters"], study.about["scans"]
    table = study.tables["pairwise"]
    head = ["raters", "level", "scans", "Dice", "F1 over slices", "HD95 (mm)"]
    rows = []
    for (first, second), pair in table.groupby(["first", "second"], sort=False):
        for scope, part in [(ALL_LEVELS, pair), *((name, pair[pair.name == name]) for name in level_order(pair))]:
            cells = [_mean_sd(part[name].agg(["mean", "std"])) for name in ("dice", "slice_f1", "hd95_mm")]
            rows.append([f"{first} – {second}", scope, str(part.scan.nunique()), *cells])
    lines = [
        "# Raters",
        "",
        f"Raters: {', '.join(raters)}; scans: {len(scans)}. "
        "Consensus: STAPLE, a level at a time, cut at 0.95 (`…_desc-staple_dseg.nii.gz`; sensitivity and specificity "
        "of each rater in `staple.csv`).",
        "",
        "## Agreement of pairs",
        "",
        *_markdown(head, rows),
        "",
    ]
    return lines + (_variability_section(study) if "variability_by_level" in study.tables else [])


def _repeats(study: Study) -> list[str]:
    table = study.tables["positions"]
    return [
        "# Repeated scans",
        "",
        f"Subjects: {table.group.nunique()}; repeats (by {study.about['over']}): {table['repeat'].nunique()}; "
        f"method of the levels: {study.about['method']}.",
        "",
        *_variability_section(study),
    ]


_SECTIONS: dict[StudyKind, Callable[[Study], list[str]]] = {
    "references": _references,
    "raters": _raters,
    "repeats": _repeats,
}


def _variability_section(study: Study) -> list[str]:
    table = study.tables["variability_by_level"]
    head = ["level", "subjects", "COV (%)", "largest COV (%)", "SD (mm)", "largest range (mm)"]
    rows = [
        [row.name, str(row.n_groups), _number(row.cov_percent), _number(row.cov_percent_max), _number(row.sd_mm),
         _number(row.range_mm_max)]
        for row in table.itertuples(index=False)
    ]  # fmt: skip
    reference = study.about["reference"]
    has_natural_zero = reference == NATURAL_ZERO
    lines = [
        "## Variation of midpoints",
        "",
        *_markdown(head, rows),
        "",
        f"Positions count from: {reference}. COV: SD over mean of a subject's midpoints, mean over subjects"
        + ("." if has_natural_zero else "; it needs distances from the PMJ, and is left empty here."),
        "",
    ]
    if "variability_of_groups" in study.tables:
        lines += _groups_section(study)
    if "icc" in study.tables:
        icc = study.tables["icc"]
        shown = [
            [row.name, row.quantity.removesuffix("_mm"), str(row.n_subjects),
             f"{_number(row.agreement)} ({_interval(row, 'agreement_ci')})",
             f"{_number(row.consistency)} ({_interval(row, 'consistency_ci')})"]
            for row in icc.itertuples() if not row.note
        ]  # fmt: skip
        columns = ["level", "of", "subjects", "ICC(2,1) agreement", "ICC(3,1) consistency"]
        lines += ["## Intraclass correlation", "", *_markdown(columns, shown), ""] if shown else []
    return lines


def _groups_section(study: Study) -> list[str]:
    rows = [
        [row.scan_group, str(row.n_scans), str(row.n_levels),
         f"{_number(row.cov_percent_mean)} ± {_number(row.cov_percent_sd)}", _number(row.sd_mm), row.note]
        for row in study.tables["variability_of_groups"].itertuples(index=False)
    ]  # fmt: skip
    head = [study.about["by"], "scans", "levels", "COV (%), mean ± SD over levels", "SD (mm)", "remarks"]
    return [f"## Variation within groups, by {study.about['by']}", "", *_markdown(head, rows), ""]


def _markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    table = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in table]


def _mean_sd(row: pd.Series) -> str:
    mean, sd = row["mean"], row["std"]
    return "–" if not np.isfinite(mean) else f"{mean:.2f} ± {sd:.2f}" if np.isfinite(sd) else f"{mean:.2f}"


def _interval(row: object, prefix: str) -> str:
    low, high = getattr(row, f"{prefix}_low"), getattr(row, f"{prefix}_high")
    return f"{_number(low)} to {_number(high)}" if np.isfinite(low) else "–"


def _number(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "–"


def _p(value: float) -> str:
    return "–" if not np.isfinite(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"
