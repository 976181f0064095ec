"""Files of a group: tables, a summary in Markdown, and figures."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sct_rootlets.group.compare import GroupLevels
from sct_rootlets.output.files import staged_outputs, write_table
from sct_rootlets.report.group_summary import group_summary

if TYPE_CHECKING:
    import pandas as pd


def save_group(group: GroupLevels, folder: str | os.PathLike[str], figures: bool = True) -> list[Path]:
    """Write tables (CSV), summary (Markdown) and figures (SVG and PNG) into a folder; all of them or none.

    Parameters
    ----------
    group : GroupLevels
    folder : path
        Made if it is missing; files of the same names are replaced.
    figures : bool
        Draw the figures.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ImageError
        If the folder cannot be written to, or an input would be replaced.
    """
    scans = [*group.cohort.scans, *(scan for scan, _ in group.cohort.left_out)]
    tables = {
        "subjects": _subject_rows(group),
        "positions": _rows(group.positions),
        "pairs": _rows(group.pairs),
        "agreement": _rows(group.agreement),
        "lengths": _rows(group.lengths),
    }
    with staged_outputs(folder, keep=[scan.path for scan in scans]) as stage:
        for name, rows in tables.items():
            if rows:
                write_table(stage / f"group_{name}.csv", tuple(rows[0]), rows)
        drawn = _save_figures(group, stage) if figures else []
        text = group_summary(group, [f"{name}.png" for name in drawn])
        (stage / "group_summary.md").write_text(text, encoding="utf-8")
        names = sorted(path.name for path in stage.iterdir())
    return [Path(folder) / name for name in names]


def _save_figures(group: GroupLevels, folder: Path) -> list[str]:
    from sct_rootlets.output.figures import save_figures
    from sct_rootlets.report.group import FIGURES, PNG_DPI

    return save_figures(FIGURES, group, folder, PNG_DPI, lay_out_once=True)


def _subject_rows(group: GroupLevels) -> list[dict[str, object]]:
    """Describe every level table that was found: its origin, and whether it is compared or why not."""
    tables = [(table, "") for table in group.cohort.scans] + list(group.cohort.left_out)
    rows: list[dict[str, object]] = []
    for table, reason in sorted(tables, key=lambda entry: (entry[0].subject, str(entry[0].path))):
        participant = group.cohort.participant(table.subject)
        rows.append(
            {
                "subject": table.subject,
                "compared": not reason,
                "left_out_because": reason,
                "age": participant.age,
                "sex": participant.sex,
                "height_cm": participant.height_cm,
                "reference": table.reference,
                "method": table.method,
                "names_from_discs": "n/a" if table.names_from_discs is None else table.names_from_discs,
                "n_spinal": sum(kind == "spinal" for kind, _ in table.levels),
                "n_vertebral": sum(kind == "vertebral" for kind, _ in table.levels),
                "table": str(table.path),
            }
        )
    return rows


def _rows(table: pd.DataFrame) -> list[dict[str, object]]:
    """Convert a data frame to rows of `write_table`; numbers that are not in mm keep six significant digits."""
    return [{name: _cell(name, value) for name, value in row.items()} for row in table.to_dict("records")]


def _cell(name: Any, value: object) -> object:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and not str(name).endswith("_mm"):
        return f"{value:.6g}"
    return value
