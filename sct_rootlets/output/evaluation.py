"""Files of an evaluation: tables, a summary in Markdown, figures, and consensus maps."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from sct_rootlets.cells import escape_cell
from sct_rootlets.evaluation.study import Study
from sct_rootlets.nifti import save_labels
from sct_rootlets.output.files import seal_sidecars, staged_outputs, write_json
from sct_rootlets.output.ownership import Guard
from sct_rootlets.report.evaluation_summary import evaluation_summary
from sct_rootlets.sidecar import generated_by

#: The record that lists all files of an evaluation.
RECORD = "evaluation.json"
#: Names of the tables of each kind of study, as far as they are written whatever the data hold.
TABLES = {
    "references": ("levels", "scans", "summary", "statuses"),
    "raters": ("pairwise", "staple"),
    "repeats": ("positions", "variability", "variability_by_level"),
}


def evaluation_files(kind: str) -> list[str]:
    """Names of the files that `save_evaluation` writes of a kind of study, whatever the data hold."""
    return [*(f"{name}.csv" for name in TABLES[kind]), "summary.md", RECORD]


def evaluation_guard(inputs: Iterable[Path], overwrite: bool = False) -> Guard:
    """Return what the files of an evaluation must not replace."""
    return Guard(inputs=tuple(inputs), overwrite=overwrite, record=RECORD)


def save_evaluation(
    study: Study,
    folder: str | os.PathLike[str],
    figures: bool = True,
    overwrite: bool = False,
    inputs: Iterable[Path] = (),
) -> list[Path]:
    """Write tables (CSV), summary (Markdown), figures (SVG and PNG) and consensus maps into a folder; all or none.

    Parameters
    ----------
    study : Study
    folder, figures, overwrite
        See `sct_rootlets.output.group.save_group`.
    inputs : iterable of Path
        Files that are never replaced.

    Returns
    -------
    list of Path
        Files written.

    Raises
    ------
    ImageError
        If the folder cannot be written to, or a file that is kept would be replaced; nothing is left behind then.
    """
    with staged_outputs(folder, guard=evaluation_guard(inputs, overwrite)) as stage:
        for name, table in study.tables.items():
            _escaped(table.round(6)).to_csv(stage / f"{name}.csv", index=False)
        drawn = _save_figures(study, stage) if figures else []
        (stage / "summary.md").write_text(evaluation_summary(study, drawn), encoding="utf-8")
        for scan, volume in study.consensus.items():
            save_labels(stage / f"{scan}_label-rootlets_desc-staple_dseg.nii.gz", volume.data, volume)
        write_json(stage / RECORD, {"Description": f"Evaluation: {study.kind}", "GeneratedBy": generated_by()})
        seal_sidecars(stage, Path(folder), RECORD)
        names = sorted(path.name for path in stage.iterdir())
    return [Path(folder) / name for name in names]


def _escaped(table: pd.DataFrame) -> pd.DataFrame:
    """Escape the text of a table, such as names of methods and scans; see `escape_cell`."""
    text = {name: column.map(escape_cell) for name, column in table.items() if column.dtype.kind not in "biufc"}
    return table.assign(**{str(name): column for name, column in text.items()}).rename(columns=escape_cell)


def _save_figures(study: Study, folder: Path) -> list[str]:
    from sct_rootlets.output.figures import save_figures
    from sct_rootlets.report.evaluation import FIGURES

    return save_figures(FIGURES[study.kind], study, folder)
