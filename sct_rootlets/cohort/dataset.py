"""What describes the results as a whole: a BIDS derivative dataset, and how far each scan has come."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

from sct_rootlets.cohort.plan import Job, Plan, folder_name
from sct_rootlets.cohort.record import write_whole
from sct_rootlets.errors import ImageError
from sct_rootlets.sidecar import generated_by

#: Of the BIDS standard that the dataset follows.
BIDS_VERSION = "1.10.0"
#: What the standard has no names for: pictures, tables, logs, the page, and labels as spine-generic names them.
IGNORED = ("logs", "qc", "group", "status.tsv", "**/*.csv", "**/*.png", "**/*_provenance.json", "**/*_label-*")
COLUMNS = ("participant_id", "session_id", "scan", "status", "reason", "corrected")


def describe_dataset(root: Path, bids: Path) -> None:
    """Write ``dataset_description.json``, ``.bidsignore`` and a README, where they are not there yet.

    Raises
    ------
    ImageError
        If the folder cannot be written to.
    """
    description = {
        "Name": f"Spinal levels of {_name_of(bids)}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": generated_by(),
        "SourceDatasets": [{"URL": _relative(bids, root)}],
    }
    files = {
        "dataset_description.json": json.dumps(description, indent=2, ensure_ascii=False) + "\n",
        ".bidsignore": "\n".join(IGNORED) + "\n",
        "README": README,
    }
    try:
        for name, text in files.items():
            if not (root / name).exists() or name == "dataset_description.json":
                write_whole(root / name, text)
    except OSError as error:
        raise ImageError(f"cannot write to {root}: {error.strerror or error}") from error


README = """\
Made by: sct_rootlets bids

sub-*/[ses-*/]anat/ holds, for each scan, rootlets (label-rootlets), cord (label-SC) and the cord coloured by spinal and
vertebral level, with their tables. To correct rootlets or cord, save the corrected file in the place of the one here
and run the command again: it counts before all others, and all that follows from it is computed anew.

status.tsv says which scans are done, and why the others failed. qc/index.html shows them.
"""


def _relative(bids: Path, root: Path) -> str:
    """Where the scans are, seen from the results: both may be moved together."""
    try:
        return Path(os.path.relpath(bids.resolve(), root.resolve())).as_posix()
    except ValueError:  # on another drive
        return bids.resolve().name


def _name_of(bids: Path) -> str:
    try:
        return str(json.loads((bids / "dataset_description.json").read_text(encoding="utf-8"))["Name"])
    except (OSError, ValueError, KeyError, TypeError):
        return bids.resolve().name


def write_status(root: Path, plan: Plan, states: dict[str, tuple[str, str]]) -> Path:
    """Write ``status.tsv``: one row a scan.

    Parameters
    ----------
    root : Path
    plan : Plan
    states : dict of str to (str, str)
        ``done``, ``failed`` or ``waiting``, and why it failed, by stem.

    Returns
    -------
    Path
    """
    stream = io.StringIO()
    table = csv.writer(stream, delimiter="\t", lineterminator="\n")
    table.writerow(COLUMNS)
    for job in plan.jobs:
        state, reason = states[job.stem]
        image = job.scan.image
        session = f"ses-{image.session}" if image.session else "n/a"
        scan = f"{folder_name(job.scan)}/anat/{image.path.name}"
        table.writerow((f"sub-{image.subject}", session, scan, state, reason or "n/a", _corrected(job)))
    path = root / "status.tsv"
    try:
        write_whole(path, stream.getvalue())
    except OSError as error:
        raise ImageError(f"cannot write to {path}: {error.strerror or error}") from error
    return path


def _corrected(job: Job) -> str:
    """Outputs that were corrected by hand."""
    from sct_rootlets.cohort.record import read_record

    try:
        inputs = job.inputs(read_record(job.record))
    except OSError:
        return "n/a"
    return ",".join(kind for kind, path in inputs.items() if path.parent == job.folder) or "n/a"
