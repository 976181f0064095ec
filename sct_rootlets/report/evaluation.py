"""Figures and the Markdown summary of an evaluation, drawn from its tables alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import colormaps, rcParams
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from sct_rootlets.evaluation.compare import ALL_CONTRASTS, ALL_LEVELS, ANY_NAME, level_order
from sct_rootlets.levels import level_color
from sct_rootlets.report.style import GRID, INK, standard_settings

if TYPE_CHECKING:
    from sct_rootlets.evaluation.study import Study

#: Titles of metrics in figures and tables.
TITLES = {
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
#: Panels of the figure of scores.
SHOWN = ("dice", "hd95_mm", "rostral_error_mm", "caudal_error_mm")
#: A line of figures of a journal page, 180 mm, in inches; resolution of PNG files.
WIDTH_INCH, PANEL_INCH, DPI = 7.1, 1.7, 300
#: Columns of bars that one figure shows.
MOST_COLUMNS = 60


def save_figures(study: Study, folder: Path) -> list[str]:
    """Draw the figures of a study as SVG and PNG into a folder; returns their names without ending."""
    drawn = []
    with standard_settings():
        rcParams.update({"svg.hashsalt": "sct_rootlets", "svg.fonttype": "none", "font.size": 8})
        for name, draw in FIGURES[study.kind].items():
            figure = draw(study)
            if figure is None:
                continue
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
            figure.savefig(folder / f"{name}.png", dpi=DPI, metadata={"Software": None})
            drawn.append(name)
    return drawn


def scores_figure(study: Study) -> Figure:
    """Dice, HD95 and errors of the ends by level: boxes with a point a scan, a colour a contrast or method."""
    levels = study.tables["levels"]
    panels = [metric for metric in SHOWN if levels[metric].notna().any()]
    groups, by = _groups(study)
    names = level_order(levels)
    figure, axes = _rows(len(panels))
    colors = _colors(len(groups))
    for line, metric in zip(axes, panels, strict=True):
        for index, group in enumerate(groups):
            part = levels[levels[by] == group]
            values = [part[part.name == name][metric].dropna().to_numpy() for name in names]
            face = [level_color(name) for name in names] if len(groups) == 1 else [colors[index]] * len(names)
            _boxes(line, values, _places(len(names), len(groups), index), 0.75 / len(groups), face)
        line.set_ylabel(TITLES[metric])
        if metric.endswith("error_mm"):
            line.axhline(0, color=INK, linewidth=0.6)
        elif metric == "dice":
            line.set_ylim(-0.02, 1.02)
        else:
            line.set_ylim(bottom=0)
    axes[-1].set_xticks(range(len(names)), names)
    axes[-1].set_xlabel("spinal level")
    _legend(axes[0], groups, colors)
    return figure


def _groups(study: Study) -> tuple[list[str], str]:
    """What the colours stand for: methods where there are two, else contrasts."""
    methods = study.tables["scans"].method.drop_duplicates().tolist()
    if len(methods) > 1:
        return methods, "method"
    return sorted(study.tables["scans"].contrast.unique()), "contrast"


def methods_figure(study: Study) -> Figure | None:
    """Differences between two methods, second minus first: mean and confidence interval, for all levels and each."""
    if "methods" not in study.tables:
        return None
    table = study.tables["methods"]
    table = table[(table.contrast == ALL_CONTRASTS) & table.mean_difference.notna()]
    metrics = [metric for metric in TITLES if (table.metric == metric).any()]
    figure, axes = _rows(len(metrics))
    scopes = [ALL_LEVELS, *level_order(study.tables["levels"])]
    for line, metric in zip(axes, metrics, strict=True):
        rows = table[table.metric == metric].set_index("scope").reindex(scopes)
        middle = rows.mean_difference.to_numpy()
        reach = np.abs([middle - rows.mean_difference_ci_low, rows.mean_difference_ci_high - middle])
        line.errorbar(range(len(scopes)), middle, np.nan_to_num(reach), fmt="o", color=INK, markersize=4, capsize=3)
        for place, p in enumerate(rows.p_holm):
            if p < 0.05:
                line.annotate(
                    "*", (place, 0.99), xycoords=("data", "axes fraction"), ha="center", va="top", fontsize=12
                )
        line.axhline(0, color=INK, linewidth=0.6)
        line.margins(y=0.2)  # room for stars above intervals and the line of no difference
        line.set_ylabel(TITLES[metric].replace(" (", "\n("))
    axes[-1].set_xticks(range(len(scopes)), scopes)
    first, second = table["first"].iloc[0], table["second"].iloc[0]
    figure.suptitle(f"{second} minus {first}: mean, 95 % interval over subjects; * p < 0.05 (Holm)", fontsize=8)
    return figure


def agreement_figure(study: Study) -> Figure:
    """Dice of every pair of raters by level, a point a scan."""
    table = study.tables["pairwise"]
    pairs = (table["first"] + " – " + table["second"]).rename("pair")
    groups, names = pairs.drop_duplicates().tolist(), level_order(table)
    figure, (line,) = _rows(1, 3.0)
    colors = _colors(len(groups))
    for index, group in enumerate(groups):
        part = table[pairs == group]
        values = [part[part.name == name].dice.dropna().to_numpy() for name in names]
        _boxes(line, values, _places(len(names), len(groups), index), 0.75 / len(groups), [colors[index]] * len(names))
    line.set_ylim(-0.02, 1.02)
    line.set_ylabel(TITLES["dice"])
    line.set_xticks(range(len(names)), names)
    line.set_xlabel("spinal level")
    _legend(line, groups, colors)
    return figure


def positions_figure(study: Study) -> Figure | None:
    """Levels of each subject as bars, one column a rater or repeat (as in Valošek 2024)."""
    if "positions" not in study.tables:
        return None
    table = study.tables["positions"]
    every, repeats = table.group.drop_duplicates().tolist(), sorted(table["repeat"].unique())
    groups = every[: max(1, MOST_COLUMNS // (len(repeats) + 1))]
    table = table[table.group.isin(groups)]
    figure = Figure(figsize=(max(3.0, 0.9 + 0.32 * (len(repeats) + 1) * len(groups)), 5.0), layout="constrained")
    axes = figure.subplots()
    _bare(axes)
    for row in table.itertuples():
        x = groups.index(row.group) * (len(repeats) + 1) + repeats.index(row.repeat)
        box = (x - 0.4, row.rostral_mm), 0.8, row.caudal_mm - row.rostral_mm
        axes.add_patch(Rectangle(*box, facecolor=level_color(row.name), edgecolor=INK, linewidth=0.4))
        white = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
        axes.annotate(row.name, (x, row.midpoint_mm), ha="center", va="center", fontsize=6, bbox=white)
    axes.set_xlim(-1, len(groups) * (len(repeats) + 1) - 1)
    axes.set_ylim(table.caudal_mm.max() + 3, table.rostral_mm.min() - 3)
    axes.set_xticks(
        [group * (len(repeats) + 1) + index for group in range(len(groups)) for index in range(len(repeats))],
        repeats * len(groups),
        rotation=90,
    )
    for index, group in enumerate(groups):
        middle = index * (len(repeats) + 1) + (len(repeats) - 1) / 2
        axes.annotate(group, (middle, 1.01), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=7)
    axes.set_ylabel(f"mm along the cord, from: {study.about['reference']}")
    if len(groups) < len(every):
        axes.set_xlabel(f"the first {len(groups)} of {len(every)} subjects")
    return figure


FIGURES: dict[str, dict[str, Callable[[Study], Figure | None]]] = {
    "references": {"scores": scores_figure, "methods": methods_figure},
    "raters": {"agreement": agreement_figure, "positions": positions_figure},
    "repeats": {"positions": positions_figure},
}


def _rows(n: int, height: float = PANEL_INCH) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(WIDTH_INCH, height * n + 0.4), facecolor="white", layout="constrained")
    axes = list(figure.subplots(n, 1, sharex=True, squeeze=False)[:, 0])
    for one in axes:
        _bare(one)
    return figure, axes


def _bare(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.yaxis.grid(True, color=GRID, linewidth=0.4)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK)


def _colors(n: int) -> list[str]:
    """Colours that grow lighter steadily: they are told apart in grey as well, and by all kinds of eyes."""
    return [to_hex(color) for color in colormaps["viridis"](np.linspace(0.25, 0.95, n))]


def _places(n_names: int, n_groups: int, index: int) -> np.ndarray:
    return np.arange(n_names) + (index - (n_groups - 1) / 2) * 0.8 / n_groups


def _boxes(axes: Axes, values: list[np.ndarray], places: np.ndarray, width: float, face: list[str]) -> None:
    """Boxes of quartiles with whiskers over all values, and the values as points."""
    for some, place, color in zip(values, places, face, strict=True):
        if not len(some):
            continue
        if len(some) > 1:
            style = {"color": INK, "linewidth": 0.6}
            axes.boxplot(
                [some],
                positions=[place],
                widths=width * 0.9,
                whis=(0, 100),
                showfliers=False,
                patch_artist=True,
                manage_ticks=False,
                boxprops={"facecolor": color, "edgecolor": INK, "linewidth": 0.6, "alpha": 0.8},
                medianprops={"color": INK, "linewidth": 1.2},
                whiskerprops=style,
                capprops=style,
            )
        # Side by side in the order of the values, so that the figure is the same every time.
        columns = min(len(some), 5)
        spread = (np.arange(len(some)) % columns - (columns - 1) / 2) * width / 8
        axes.plot(
            place + spread, np.sort(some), "o", color=color, markeredgecolor=INK, markeredgewidth=0.4, markersize=3
        )


def _legend(axes: Axes, groups: list[str], colors: list[str]) -> None:
    """Above the panel, where there is more than one colour."""
    if len(groups) > 1:
        patches = zip(groups, colors, strict=True)
        handles = [Patch(facecolor=color, edgecolor=INK, label=group) for group, color in patches]
        columns = min(len(groups), 4)
        axes.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, frameon=False)


def summary(study: Study, figures: list[str]) -> str:
    """The study as Markdown: what was compared, its main numbers, definitions, what was left out."""
    lines = {"references": _references, "raters": _raters, "repeats": _repeats}[study.kind](study)
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
    for method in study.about["methods"]:  # type: ignore[attr-defined]
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
    """Rows of contrasts and levels with mean ± SD."""
    metrics = ("dice", "hd95_mm", "|rostral_error_mm|", "|caudal_error_mm|")
    table, statuses = table[table.method == method], statuses[statuses.method == method]
    found = statuses.set_index(["contrast", "scope"])
    rows = []
    for (contrast, scope), part in table.groupby(["contrast", "scope"], sort=False):
        values = part.set_index("metric")
        cells = [
            _mean_sd(values.loc[metric].rename({"sd": "std"})) if metric in values.index else "–" for metric in metrics
        ]
        interval = _interval(values.loc["dice"], "mean_ci") if "dice" in values.index else "–"
        counts = found.loc[(contrast, scope)] if (contrast, scope) in found.index else None
        shown = ["–"] * 3 if counts is None else [
            f"{counts.detected}/{counts.in_reference}", str(counts.wrongly_named), f"{counts.missed} / {counts.extra}"
        ]  # fmt: skip
        rows.append([contrast, scope, str(int(part.n_scans.max())), cells[0], interval, *cells[1:], *shown])
    head = ["contrast", "level", "scans", "Dice", "95 % CI", *(TITLES[name] for name in metrics[1:]),
            "detected", "wrongly named", "missed / extra"]  # fmt: skip
    return _markdown(head, rows)


def _methods_section(table: pd.DataFrame) -> list[str]:
    table = table[table.scope.isin((ALL_LEVELS, ANY_NAME))]
    first, second = table["first"].iloc[0], table["second"].iloc[0]
    head = ["contrast", "scope", "metric", "subjects", first, second, "difference (95 % CI)",
            "rank-biserial (95 % CI)", "p", "p (Holm)", "better"]  # fmt: skip
    rows = [
        [row.contrast, row.scope, TITLES[row.metric], str(row.n_subjects), _number(row.mean_first),
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
    table, pairs = (one[one.scope.isin((ALL_LEVELS, ANY_NAME))] for one in (table, pairs))
    head = ["method", "scope", "metric", "contrasts", "subjects", "medians", "H", "ε² (95 % CI)", "p", "p (Holm)",
            "Friedman p (subjects)"]  # fmt: skip
    rows = [
        [row.method, row.scope, TITLES[row.metric], row.contrast, row.n_subjects, row.median, _number(row.kruskal_h),
         f"{_number(row.epsilon_squared)} ({_interval(row, 'epsilon_squared_ci')})", _p(row.p), _p(row.p_holm),
         f"{_p(row.friedman_p)} ({row.n_complete})"]
        for row in table.itertuples()
    ]  # fmt: skip
    head_of_pairs = ["method", "scope", "metric", "first", "second", "test (subjects)", "difference (95 % CI)",
                     "rank-biserial (95 % CI)", "p", "p (Holm)", "better"]  # fmt: skip
    rows_of_pairs = [
        [row.method, row.scope, TITLES[row.metric], row.first, row.second,
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
        f"Raters: {', '.join(raters)}; scans: {len(scans)}. "  # type: ignore[arg-type]
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


def _variability_section(study: Study) -> list[str]:
    table = study.tables["variability_by_level"]
    head = ["level", "subjects", "COV (%)", "largest COV (%)", "SD (mm)", "largest range (mm)"]
    rows = [
        [row.name, str(row.n_groups), _number(row.cov_percent), _number(row.cov_percent_max), _number(row.sd_mm),
         _number(row.range_mm_max)]
        for row in table.itertuples(index=False)
    ]  # fmt: skip
    reference = study.about["reference"]
    natural = reference == "PMJ"
    lines = [
        "## Variation of midpoints",
        "",
        *_markdown(head, rows),
        "",
        f"Positions count from: {reference}. COV: SD over mean of a subject's midpoints, mean over subjects"
        + ("." if natural else "; it needs distances from the PMJ, and is left empty here."),
        "",
    ]
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
