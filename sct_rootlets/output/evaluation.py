"""Files of an evaluation: its tables, a summary in Markdown, figures, and consensus maps."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from sct_rootlets.evaluation.study import Study
from sct_rootlets.nifti import save_labels
from sct_rootlets.output.files import seal_sidecars, staged_outputs, write_json
from sct_rootlets.output.ownership import Guard
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
    folder : path
        Made if it is missing; files of an earlier run are replaced.
    figures : bool
        Draw the figures.
    overwrite : bool
        Replace files that this package did not write, or that were edited since.
    inputs : iterable of Path
        Files that are never replaced.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ImageError
        If the folder cannot be written to, or a file that is kept would be replaced; nothing is left behind then.
    """
    from sct_rootlets.report import evaluation as report

    with staged_outputs(folder, guard=evaluation_guard(inputs, overwrite)) as stage:
        for name, table in study.tables.items():
            table.round(6).to_csv(stage / f"{name}.csv", index=False)
        drawn = report.save_figures(study, stage) if figures else []
        (stage / "summary.md").write_text(report.summary(study, drawn), encoding="utf-8")
        for scan, volume in study.consensus.items():
            save_labels(stage / f"{scan}_label-rootlets_desc-staple_dseg.nii.gz", volume.data, volume)
        write_json(stage / RECORD, {"Description": f"Evaluation: {study.kind}", "GeneratedBy": generated_by()})
        seal_sidecars(stage, Path(folder), RECORD)
        names = sorted(path.name for path in stage.iterdir())
    return [Path(folder) / name for name in names]
