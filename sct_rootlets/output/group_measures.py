"""Files of the measures of a group: tables and figures."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sct_rootlets.bids import FIGURE_TYPES
from sct_rootlets.measure.group import GroupMeasures
from sct_rootlets.output.files import seal_sidecars, staged_outputs, write_json, write_table
from sct_rootlets.output.ownership import Guard
from sct_rootlets.sidecar import generated_by

if TYPE_CHECKING:
    import pandas as pd

#: All values, one row for each scan, level and measure; means over people; scans, and why some do not count.
VALUES, STATISTICS, SCANS = "group_measures.csv", "group_measures_statistics.csv", "group_measures_scans.csv"
RECORD = "group_measures.json"
#: What stands for a value that is not known.
NOT_KNOWN = "n/a"


def group_measure_files(figures: bool = True) -> list[str]:
    """Names of the files that `save_group_measures` may write."""
    from sct_rootlets.report.group_measures import FIGURES

    names = [f"{name}.{ending}" for name in (FIGURES if figures else ()) for ending in FIGURE_TYPES]
    return [VALUES, STATISTICS, SCANS, RECORD, *names]


def group_measure_guard(inputs: Iterable[Path], overwrite: bool = False) -> Guard:
    """Return what the files of the measures of a group must not replace."""
    return Guard(inputs=tuple(inputs), overwrite=overwrite, record=RECORD)


def save_group_measures(
    group: GroupMeasures,
    folder: str | os.PathLike[str],
    figures: bool = True,
    overwrite: bool = False,
    may_overwrite: bool = True,
) -> list[Path]:
    """Write tables (CSV) and figures (SVG and PNG) into a folder; all of them or none.

    Parameters
    ----------
    group : GroupMeasures
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
    guard = group_measure_guard([scan.path for scan in group.scans], overwrite)
    with staged_outputs(folder, guard=guard if may_overwrite else guard.without_options()) as stage:
        tables = {VALUES: _rows(group.values), STATISTICS: _rows(group.statistics), SCANS: _scans(group)}
        for name, rows in tables.items():
            write_table(stage / name, tuple(rows[0]), rows)
        if figures:
            from sct_rootlets.output.figures import save_figures
            from sct_rootlets.report.group_measures import FIGURES

            save_figures(FIGURES, group, stage)
        facts = {"Description": "Measures of the spinal cord per level of a group", "GeneratedBy": generated_by()}
        write_json(stage / RECORD, {**facts, "Notes": list(group.notes)})
        seal_sidecars(stage, Path(folder), RECORD)
        names = sorted(path.name for path in stage.iterdir())
    return [Path(folder) / name for name in names]


def _rows(table: pd.DataFrame) -> list[dict[str, object]]:
    return [{name: _cell(value) for name, value in row.items()} for row in table.to_dict("records")]


def _cell(value: object) -> object:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NOT_KNOWN
    return f"{value:.6g}" if isinstance(value, float) else value


def _scans(group: GroupMeasures) -> list[dict[str, object]]:
    return [
        {
            "participant_id": scan.subject,
            "session_id": scan.session or NOT_KNOWN,
            "scan": scan.prefix,
            "left_out_because": group.left_out.get(scan.path, NOT_KNOWN),
            "table": str(scan.path),
        }
        for scan in group.scans
    ]


def _spread(sd: float) -> str:
    """Text about a standard deviation; empty if it is not known, as that of one person."""
    return f" ± {sd:.1f}" if math.isfinite(sd) else ""


def summary(group: GroupMeasures) -> list[str]:
    """Lines that commands print: the area of each level over people, and notes."""
    lines = [f"measures of {group.n_people} {'person' if group.n_people == 1 else 'people'}"]
    areas = group.statistics[group.statistics["measure"] == "MEAN(area)"]
    for kind, levels in areas.groupby("kind", sort=False):
        lines.append(f"{kind} levels: area (mm²), mean ± SD over people (number of people)")
        lines += [
            f"  {row.level:<4}" + (f"{row.mean:7.1f}{_spread(row.sd)} ({row.n})" if row.n else f"{NOT_KNOWN:>7}")
            for row in levels.itertuples(index=False)
        ]
    return [*lines, *(f"note: {note}" for note in group.notes)]
