"""Results of a group as text: a summary in Markdown, and a shorter one for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from sct_rootlets.distribution import version
from sct_rootlets.group.agreement import POOLED, STATISTIC_COLUMNS
from sct_rootlets.group.bootstrap import MIN_SUBJECTS_FOR_INTERVALS
from sct_rootlets.group.cervical_length import ALL_SEXES, LENGTHS, TRAITS
from sct_rootlets.group.compare import GroupLevels
from sct_rootlets.group.pairs import MISSING_STATUSES, PairStatus

#: Headings of the pairings.
PAIRING_TITLES = {
    "same-name": "Levels of the same name",
    "shifted": "Shifted pairs: vertebra C2 with spinal level C3, … C7 with C8, T1 with T1",
}


def group_summary(group: GroupLevels, figures: Iterable[str] = ()) -> str:
    """Write the results in Markdown.

    Parameters
    ----------
    group : GroupLevels
    figures : iterable of str
        File names of pictures beside the summary.

    Returns
    -------
    str
    """
    scaled = (
        "as measured"
        if group.height_cm is None
        else f"scaled to {group.height_cm:g} cm (position / height × the cohort's median height)"
    )
    lines = [
        "# Spinal and vertebral levels of a group",
        "",
        f"- {len(group.cohort.scans)} subjects; spinal levels by the method `{group.method or 'none'}`; "
        f"positions in mm along the cord from: {group.reference}, {scaled}",
        f"- sct_rootlets {version()}; intervals: 95 %, {group.n_resamples} bootstrap resamples of subjects",
        *(f"- note: {note}" for note in group.notes),
        "",
    ]
    table = group.agreement
    rows = [] if table.empty else table.to_dict("records")
    for pairing in dict.fromkeys(row["pairing"] for row in rows):
        lines += [f"## {PAIRING_TITLES.get(pairing, pairing)}", "", "Vertebral minus spinal midpoint, in mm.", ""]
        lines += _agreement_table([row for row in rows if row["pairing"] == pairing])
    lines += [
        "Percentiles and median are those of the RootletSeg paper; mean ± 1.96 SD are the limits of Bland and Altman. "
        "In brackets, 95 % confidence intervals; those of the percentiles of a pair rest on differences that are "
        "nearly normal, unless it has 146 subjects or more: see p (Shapiro-Wilk; that of all pairs takes them as "
        "independent). The slope is that of the difference on the mean of the two positions. A missing level is "
        "missing: no level takes its place.",
        "",
        "## Lengths of levels",
        "",
        *_length_table(group.lengths.to_dict("records") if not group.lengths.empty else []),
        "",
        *_cervical_length_section(group),
        *_overlap_section(group),
    ]
    lines += [line for name in figures for line in (f"![{name}]({name})", "")]
    return "\n".join(lines).rstrip() + "\n"


def _agreement_table(rows: list[Mapping[str, Any]]) -> list[str]:
    lines = [
        "| vertebra, spinal | n | missing | median | 2.5 % | 97.5 % | mean ± SD | − 1.96 SD | + 1.96 SD | RMSE "
        "| p (normal) | slope | remarks |",
        "|" + "---|" * 13,
    ]
    for row in rows:
        pooled = row["vertebral_level"] == POOLED
        n_missing = sum(row[status.column] for status in MISSING_STATUSES)
        n_incomplete = row[PairStatus.INCOMPLETE.column]
        cells = [
            "**all**" if pooled else f"{row['vertebral_level']}, {row['spinal_level']}",
            str(row["n"]),
            f"{n_missing}" + (f" + {n_incomplete} cut" if n_incomplete else ""),
            *(_with_interval(row, name) for name in ("median", "p2.5", "p97.5")),
            f"{_number(row['mean_mm'])} ± {_number(row['sd_mm'])}",
            *(_with_interval(row, name) for name in ("lower", "upper")),
            _number(row["rmse_mm"]),
            _number(row["shapiro_p"], "{:.2g}"),
            _number(row["difference_on_mean_slope"], "{:+.3f}"),
            row["remarks"],
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _with_interval(row: Mapping[str, Any], name: str) -> str:
    value, low, high = (row[f"{STATISTIC_COLUMNS[name]}_{end}"] for end in ("mm", "low", "high"))
    return _number(value) + ("" if math.isnan(low) else f" [{_number(low)}, {_number(high)}]")


def _number(value: float, form: str = "{:.2f}") -> str:
    text = "–" if math.isnan(value) else form.format(value)
    return text.replace("-", "−") if text != "-0.00" else "0.00"


def _length_table(rows: list[Mapping[str, Any]]) -> list[str]:
    lines = ["| level | kind | n | median (mm) | quartiles | mean ± SD | remarks |", "|" + "---|" * 7]
    for row in rows:
        quartiles = f"{row['percentile_25_mm']:.1f} to {row['percentile_75_mm']:.1f}"
        spread = f"{row['mean_mm']:.1f} ± {_number(row['sd_mm'], '{:.1f}')}"
        cells = [row["name"], row["kind"], str(row["n"]), f"{row['median_mm']:.1f}", quartiles, spread, row["remarks"]]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _cervical_length_section(group: GroupLevels) -> list[str]:
    """Describe the length from C2 to C8, and its correlations; no lines if nobody has both levels."""
    lengths = group.cervical_lengths
    n_measured = int(lengths["c2_c8_midpoints_mm"].notna().sum())
    if not n_measured:
        return []
    lines = [
        "## Length from spinal level C2 to C8",
        "",
        f"Measured in {n_measured} of {len(lengths)} subjects, in mm along the cord, not scaled by height.",
        "",
    ]
    for column, text in LENGTHS.items():
        values = lengths[column].dropna()
        lines.append(f"- {text}: {values.mean():.1f} ± {_number(values.std(), '{:.1f}')} (mean ± SD)")
    lines += [
        "",
        "Spearman's correlation; in brackets, the 95 % confidence interval (Bonett & Wright 2000).",
        "",
        "| length | against | sex | n | n/a | rho | p | remarks |",
        "|" + "---|" * 8,
    ]
    for row in group.correlations.to_dict("records"):
        ends = (row["rho_low"], row["rho_high"])
        interval = "" if math.isnan(ends[0]) else f" [{_number(ends[0])}, {_number(ends[1])}]"
        cells = [
            LENGTHS[row["length"]],
            TRAITS[row["trait"]],
            row["sex"],
            str(row["n"]),
            str(row["n_missing"]),
            _number(row["spearman_rho"]) + interval,
            _number(row["p"], "{:.2g}"),
            row["remarks"],
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _overlap_section(group: GroupLevels) -> list[str]:
    """Describe the overlap of spinal levels with others; no lines if nothing is compared."""
    rows = [] if group.overlap_summary.empty else group.overlap_summary.to_dict("records")
    if not any(row["n"] for row in rows):
        return []
    lines = [
        "## Overlap of spinal levels with vertebral and proportional levels",
        "",
        "Share of the length of the spinal level that lies within the other level, and share of the other level, in %. "
        "`proportional` are the levels of PAM50 (Frostell 2016), placed linearly between the subject's discs.",
        "",
        "| compared with | spinal | other | n | n/a | of the spinal level, mean ± SD | median (quartiles) "
        "| of the other level, mean ± SD |",
        "|" + "---|" * 8,
    ]
    for row in rows:
        median, low, high = (_number(row[f"{name}_percent_of_spinal"], "{:.0f}") for name in ("median", "p25", "p75"))
        of_spinal, of_other = (
            f"{_number(row[f'mean_percent_of_{which}'], '{:.1f}')} ± {_number(row[f'sd_percent_of_{which}'], '{:.1f}')}"
            for which in ("spinal", "other")
        )
        cells = [row["compared_with"], row["spinal_level"], row["other_level"], str(row["n"]), str(row["n_missing"]),
                 of_spinal, f"{median} ({low} to {high})", of_other]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def text_summary(group: GroupLevels) -> str:
    """Write bias and limits of each pair and the notes as plain text, for the terminal."""
    lines = [f"{len(group.cohort.scans)} subjects; positions from {group.reference}; method {group.method or 'none'}"]
    rows = [] if group.agreement.empty else group.agreement.to_dict("records")
    for pairing in dict.fromkeys(row["pairing"] for row in rows):
        lines.append(f"vertebral minus spinal midpoint in mm, {pairing}: median [2.5th, 97.5th percentile]")
        for row in (row for row in rows if row["pairing"] == pairing):
            name = "all" if row["vertebral_level"] == POOLED else f"{row['vertebral_level']}-{row['spinal_level']}"
            limits = (
                " to ".join(f"{row[f'{STATISTIC_COLUMNS[end]}_mm']:.2f}" for end in ("p2.5", "p97.5"))
                if row["n"] > 1
                else ""
            )
            bias = f"{row['median_mm']:+6.2f}" if row["n"] else "     –"
            lacks_intervals = 1 < row["n_subjects"] < MIN_SUBJECTS_FOR_INTERVALS  # one note below
            remarks = f"  {row['remarks']}" if row["remarks"] and not lacks_intervals else ""
            lines.append(f"  {name:<6}{bias}  [{limits}]  n = {row['n']}{remarks}")
    if any(row["n_subjects"] < MIN_SUBJECTS_FOR_INTERVALS for row in rows):
        lines.append(f"note: no confidence intervals of pairs with fewer than {MIN_SUBJECTS_FOR_INTERVALS} subjects")
    lines += _correlation_lines(group)
    return "\n".join(lines + [f"note: {note}" for note in group.notes])


def _correlation_lines(group: GroupLevels) -> list[str]:
    """List Spearman's correlations of the length between the midpoints of C2 and C8 over all subjects."""
    lines = []
    for row in group.correlations.to_dict("records"):
        is_shown = row["length"] == "c2_c8_midpoints_mm" and row["sex"] == ALL_SEXES
        if not is_shown or math.isnan(row["spearman_rho"]):
            continue
        interval = "" if math.isnan(row["rho_low"]) else f"  [{row['rho_low']:.2f} to {row['rho_high']:.2f}]"
        lines.append(
            f"length C2 to C8 against {TRAITS[row['trait']]}: Spearman {row['spearman_rho']:+.2f}{interval}  "
            f"n = {row['n']}"
        )
    return lines
