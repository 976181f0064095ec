"""Files that make the output folder of a cohort a BIDS derivative dataset."""

from __future__ import annotations

import json
import os
from pathlib import Path

from sct_rootlets.errors import ImageError
from sct_rootlets.output.files import describe_refusal, format_json, write_atomic
from sct_rootlets.sidecar import generated_by

#: Version of the BIDS standard that the dataset follows.
BIDS_VERSION = "1.10.0"
#: Outputs without names in the standard: pictures, tables, logs, the page, and labels as spine-generic names them.
IGNORED = (
    "logs",
    "qc",
    "group",
    "status.tsv",
    "**/*.csv",
    "**/*.png",
    "**/*.svg",
    "**/*_levels.json",
    "**/*_measures.json",
    "**/*_provenance.json",
    "**/*_label-*",
)
README = """\
Made by: sct_rootlets bids

sub-*/[ses-*/]anat/ holds, for each scan, rootlets (label-rootlets), cord (label-SC) and the cord coloured by spinal and
vertebral level, with their tables. To correct rootlets, cord or discs (label-discs), save the corrected file in the
place of the one here and run the command again: it takes precedence, and what depends on it is computed again.

status.tsv says which scans are done, and why the others failed. qc/index.html shows them.
"""


def describe_dataset(root: Path, bids: Path) -> None:
    """Write ``dataset_description.json``; also ``.bidsignore`` and a README, unless they exist.

    Parameters
    ----------
    root : Path
        The output folder.
    bids : Path
        The BIDS folder with the scans.

    Raises
    ------
    ImageError
        If the folder cannot be written to.
    """
    description = {
        "Name": f"Spinal levels of {dataset_name(bids)}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": generated_by(),
        "SourceDatasets": [{"URL": _relative_path(bids, root)}],
    }
    files = {
        "dataset_description.json": format_json(description),
        ".bidsignore": "\n".join(IGNORED) + "\n",
        "README": README,
    }
    try:
        for name, text in files.items():
            if not (root / name).exists() or name == "dataset_description.json":
                write_atomic(root / name, text)
    except OSError as error:
        raise ImageError(f"cannot write to {root}: {describe_refusal(root, error)}") from error


def _relative_path(bids: Path, root: Path) -> str:
    """Return the path of the scans relative to the results, so that both may be moved together."""
    try:
        return Path(os.path.relpath(bids.resolve(), root.resolve())).as_posix()
    except ValueError:  # on another drive
        return bids.resolve().name


def dataset_name(bids: Path) -> str:
    """Return the name of a dataset, as its ``dataset_description.json`` says it, or that of its folder."""
    try:
        return str(json.loads((bids / "dataset_description.json").read_text(encoding="utf-8"))["Name"])
    except (OSError, ValueError, KeyError, TypeError):
        return bids.resolve().name
