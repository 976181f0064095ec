"""Results of a group as text: a summary in Markdown, and a shorter one for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from sct_rootlets.distribution import version
from sct_rootlets.group.agreement import POOLED, STATISTIC_COLUMNS
from sct_rootlets.group.bootstrap import MIN_SUBJECTS_FOR_INTERVALS
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
    ]
    lines += [line for name in figures for line in (f"![{name}]({name})", "")]
    return "\n".join(lines).rstrip() + "\n"


def _agreement_table(rows: list[Mapping[str, Any]]) -> list[str]:
    lines = [
        "| vertebra, spinal | n | missing | median | 2.5 % | 97.5 % | mean ± SD | − 1.96 SD | + 1.96 SD | p (normal) "
        "| slope | remarks |",
        "|" + "---|" * 12,
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
    return "\n".join(lines + [f"note: {note}" for note in group.notes])
