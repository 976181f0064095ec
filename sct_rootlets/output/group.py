"""What is written of a group: tables, a summary in Markdown, figures."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sct_rootlets.group.bootstrap import FEWEST_SUBJECTS
from sct_rootlets.group.compare import COLUMN, POOLED, GroupLevels
from sct_rootlets.output.files import seal_sidecars, staged_outputs, write_json, write_table
from sct_rootlets.output.ownership import Guard
from sct_rootlets.sidecar import generated_by, version

if TYPE_CHECKING:
    import pandas as pd

#: How the pairings are headed.
TITLES = {
    "same-name": "Levels of the same name",
    "shifted": "Shifted pairs: vertebra C2 with spinal level C3, … C7 with C8, T1 with T1",
}


#: Names of the tables, and the record that lists all files of the set.
TABLES = ("subjects", "positions", "pairs", "agreement", "lengths")
RECORD = "group.json"


def group_files(figures: bool = True) -> list[str]:
    """Names of the files that `save_group` may write."""
    names = [*(f"group_{name}.csv" for name in TABLES), "group_summary.md", RECORD]
    drawn = [*(f"bland-altman_{pairing}" for pairing in TITLES), "levels_by_subject", "lengths"] if figures else []
    return names + [f"group_{name}.{ending}" for name in drawn for ending in ("svg", "png")]


def group_guard(inputs: Iterable[Path], overwrite: bool = False) -> Guard:
    """Return what the files of a group must not replace."""
    return Guard(inputs=tuple(inputs), overwrite=overwrite, record=RECORD)


def save_group(
    group: GroupLevels,
    folder: str | os.PathLike[str],
    figures: bool = True,
    overwrite: bool = False,
    may_overwrite: bool = True,
) -> list[Path]:
    """Write tables, summary and figures into a folder; all of them or none.

    Parameters
    ----------
    group : GroupLevels
    folder : path
        Made if it is missing; files of an earlier run are replaced.
    figures : bool
    overwrite : bool
        Replace files that this package did not write, or that were edited since.
    may_overwrite : bool
        Whether the error message may name the option ``-overwrite``.

    Returns
    -------
    list of Path

    Raises
    ------
    ImageError
        If the folder cannot be written to, or an input or a file that is kept would be replaced.
    """
    scans = [*group.cohort.scans, *(scan for scan, _ in group.cohort.left_out)]
    guard = group_guard([scan.path for scan in scans], overwrite)
    if not may_overwrite:
        guard = replace(guard, may_overwrite=False, elsewhere=None)
    with staged_outputs(folder, guard=guard) as stage:
        tables = (None, group.positions, group.pairs, group.agreement, group.lengths)
        for name, table in zip(TABLES, tables, strict=True):
            rows = subject_rows(group) if table is None else _rows(table)
            if rows:
                write_table(stage / f"group_{name}.csv", tuple(rows[0]), rows)
        drawn: list[Path] = []
        if figures:
            from sct_rootlets.report.group import save_group_figures

            drawn = save_group_figures(group, stage)
        text = summary(group, [path.name for path in drawn if path.suffix == ".png"])
        (stage / "group_summary.md").write_text(text, encoding="utf-8")
        description = "Spinal and vertebral levels of a group of subjects"
        write_json(stage / RECORD, {"Description": description, "GeneratedBy": generated_by()})
        seal_sidecars(stage, Path(folder), RECORD)
        names = sorted(path.name for path in stage.iterdir())
    return [Path(folder) / name for name in names]


def subject_rows(group: GroupLevels) -> list[dict[str, object]]:
    """One row a scan that was found: where it came from, and whether and why not it is compared."""
    found = [(scan, "") for scan in group.cohort.scans] + list(group.cohort.left_out)
    rows: list[dict[str, object]] = []
    for scan, reason in sorted(found, key=lambda one: (one[0].subject, str(one[0].path))):
        who = group.cohort.participant(scan.subject)
        rows.append(
            {
                "subject": scan.subject,
                "compared": not reason,
                "left_out_because": reason,
                "age": who.age,
                "sex": who.sex,
                "height_cm": who.height_cm,
                "reference": scan.reference,
                "method": scan.method,
                "names_from_discs": "n/a" if scan.names_from_discs is None else scan.names_from_discs,
                "n_spinal": sum(kind == "spinal" for kind, _ in scan.levels),
                "n_vertebral": sum(kind == "vertebral" for kind, _ in scan.levels),
                "table": str(scan.path),
            }
        )
    return rows


def _rows(table: pd.DataFrame) -> list[dict[str, object]]:
    """Rows of a data frame as `write_table` takes them; what is not in mm keeps six significant digits."""
    return [{name: _cell(name, value) for name, value in row.items()} for row in table.to_dict("records")]


def _cell(name: Any, value: object) -> object:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and not str(name).endswith("_mm"):
        return f"{value:.6g}"
    return value


def summary(group: GroupLevels, figures: Iterable[str] = ()) -> str:
    """The results in Markdown.

    Parameters
    ----------
    group : GroupLevels
    figures : iterable of str
        File names of pictures beside the summary.
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
        lines += [f"## {TITLES.get(pairing, pairing)}", "", "Vertebral minus spinal midpoint, in mm.", ""]
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
        missing = row["n_spinal_missing"] + row["n_vertebral_missing"] + row["n_both_missing"]
        gaps = f"{missing}" + (f" + {row['n_incomplete']} cut" if row["n_incomplete"] else "")
        cells = [
            "**all**" if pooled else f"{row['vertebral_level']}, {row['spinal_level']}",
            str(row["n"]),
            gaps,
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
    value, low, high = (row[f"{COLUMN[name]}_{end}"] for end in ("mm", "low", "high"))
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
    """What the command prints: the shifted pairs, or those there are, and notes."""
    lines = [f"{len(group.cohort.scans)} subjects; positions from {group.reference}; method {group.method or 'none'}"]
    rows = [] if group.agreement.empty else group.agreement.to_dict("records")
    for pairing in dict.fromkeys(row["pairing"] for row in rows):
        lines.append(f"vertebral minus spinal midpoint in mm, {pairing}: median [2.5th, 97.5th percentile]")
        for row in (row for row in rows if row["pairing"] == pairing):
            name = "all" if row["vertebral_level"] == POOLED else f"{row['vertebral_level']}-{row['spinal_level']}"
            limits = " to ".join(f"{row[f'{COLUMN[end]}_mm']:.2f}" for end in ("p2.5", "p97.5")) if row["n"] > 1 else ""
            bias = f"{row['median_mm']:+6.2f}" if row["n"] else "     –"
            few = 1 < row["n_subjects"] < FEWEST_SUBJECTS  # said once, below
            flag = f"  {row['remarks']}" if row["remarks"] and not few else ""
            lines.append(f"  {name:<6}{bias}  [{limits}]  n = {row['n']}{flag}")
    if any(row["n_subjects"] < FEWEST_SUBJECTS for row in rows):
        lines.append(f"note: no confidence intervals of pairs with fewer than {FEWEST_SUBJECTS} subjects")
    return "\n".join(lines + [f"note: {note}" for note in group.notes])
