"""Files of a group: tables, a summary in Markdown, and figures."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sct_rootlets.bids import FIGURE_TYPES
from sct_rootlets.group.compare import GroupLevels
from sct_rootlets.output.files import seal_sidecars, staged_outputs, write_json, write_table
from sct_rootlets.output.ownership import Guard
from sct_rootlets.report.group_summary import group_summary
from sct_rootlets.sidecar import generated_by

if TYPE_CHECKING:
    import pandas as pd

_LOGGER = logging.getLogger(__name__)


#: Names of the tables, and the record that lists all files of the set.
TABLES = (
    "subjects",
    "positions",
    "pairs",
    "agreement",
    "lengths",
    "distributions",
    "c2_c8",
    "correlations",
    "overlap",
    "overlap_summary",
)
RECORD = "group.json"


def group_files(figures: bool = True) -> list[str]:
    """Names of the files that `save_group` may write."""
    from sct_rootlets.report.group import FIGURES

    names = [*(f"group_{name}.csv" for name in TABLES), "group_summary.md", RECORD]
    return names + [f"{name}.{ending}" for name in (FIGURES if figures else ()) for ending in FIGURE_TYPES]


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
    """Write tables (CSV), summary (Markdown) and figures (SVG and PNG) into a folder; all of them or none.

    Parameters
    ----------
    group : GroupLevels
    folder : path
        Made if it is missing; files of an earlier run are replaced.
    figures : bool
        Draw the figures.
    overwrite : bool
        Replace files that this package did not write, or that were edited since.
    may_overwrite : bool
        Whether the error message may name the option ``-overwrite``.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ImageError
        If the folder cannot be written to, or an input or a file that is kept would be replaced.
    """
    scans = [*group.cohort.scans, *(scan for scan, _ in group.cohort.left_out)]
    _LOGGER.info("computing the statistics of the group")
    frames = (
        group.positions,
        group.pairs,
        group.agreement,
        group.lengths,
        group.distributions,
        group.cervical_lengths,
        group.correlations,
        group.overlaps,
        group.overlap_summary,
    )
    tables = dict(zip(TABLES, (_subject_rows(group), *map(_rows, frames)), strict=True))
    guard = group_guard([path for scan in scans for path in scan.paths], overwrite)
    with staged_outputs(folder, guard=guard if may_overwrite else guard.without_options()) as stage:
        for name, rows in tables.items():
            if rows:
                write_table(stage / f"group_{name}.csv", tuple(rows[0]), rows)
        drawn = _save_figures(group, stage) if figures else []
        text = group_summary(group, [f"{name}.png" for name in drawn])
        (stage / "group_summary.md").write_text(text, encoding="utf-8")
        description = "Spinal and vertebral levels of a group of subjects"
        write_json(stage / RECORD, {"Description": description, "GeneratedBy": generated_by()})
        seal_sidecars(stage, Path(folder), RECORD)
        names = sorted(path.name for path in stage.iterdir())
    return [Path(folder) / name for name in names]


def _save_figures(group: GroupLevels, folder: Path) -> list[str]:
    from sct_rootlets.output.figures import save_figures
    from sct_rootlets.report.group import FIGURES

    return save_figures(FIGURES, group, folder, lay_out_once=True)


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
                "table": " ".join(map(str, table.paths)),
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
