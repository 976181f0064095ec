"""The raw dataset of nnU-Net v2 that is made from labelled scans: one channel, whatever the contrast.

Images and labels are written in RAS+. ``dataset.json`` says so in SCT's terms (LPI), so that SCT reorients an image
before it runs the model. Classes are ``lvl1``, ``lvl2``, … with the values of the levels, as SCT reads them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sct_rootlets.cells import unescape_cell
from sct_rootlets.errors import DatasetError
from sct_rootlets.nifti import load_volume, save_volume
from sct_rootlets.nnunet.scans import LabelledScan, reorient_to_ras
from sct_rootlets.nnunet.split_files import write_split_table
from sct_rootlets.nnunet.splits import Split, summary
from sct_rootlets.output.files import staged_outputs, write_json, write_table

#: nnU-Net's name and number of the dataset, the only one in its folder.
NAME = "Dataset501_rootlets"
ID = 501
SOURCES = "sources.tsv"
PERSONS = "persons.json"
SPLITS = "splits_final.json"
SPLIT_TABLE = "splits.tsv"
COLUMNS = (
    "case", "side", "participant_id", "session_id", "contrast", "image", "label", "axes", "voxel_mm", "levels",
    "image_sha256", "label_sha256",
)  # fmt: skip


def dataset_json(n_training: int, highest: int) -> dict[str, Any]:
    """Describe a dataset in the format of nnU-Net and SCT.

    Parameters
    ----------
    n_training : int
        Number of cases that are not kept for the test.
    highest : int
        Value of the highest level.
    """
    return {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0} | {f"lvl{value}": value for value in range(1, highest + 1)},
        "numTraining": n_training,
        "file_ending": ".nii.gz",
        "image_orientation": "LPI",  # SCT's name for axes that lead to right, anterior and superior
    }


def write_dataset(folder: Path, scans: Sequence[LabelledScan], split: Split) -> Path:
    """Write the raw dataset, its splits, and a table of the sources of its cases.

    Scans that are kept for the test go to ``imagesTs`` and ``labelsTs``, which nnU-Net does not use in training.

    Parameters
    ----------
    folder : Path
        nnU-Net's ``nnUNet_raw``; `NAME` is made in it.
    scans : sequence of LabelledScan
    split : Split
        Split of these scans.

    Returns
    -------
    Path
        The folder of the dataset.

    Raises
    ------
    DatasetError
        If the split is of other scans.
    """
    target = folder / NAME
    if set(split.persons) != {scan.case.name for scan in scans}:
        raise DatasetError("the split is not of these scans")
    for scan in scans:
        side = "Ts" if scan.case.name in split.test else "Tr"
        image, affine = reorient_to_ras(load_volume(scan.scan.image.path))
        label, _ = reorient_to_ras(load_volume(scan.scan.labels["rootlets"]))
        # The label gets the affine of the image: nnU-Net compares them to the last digit.
        with staged_outputs(target / f"images{side}") as stage:
            save_volume(stage / f"{scan.case.name}_0000.nii.gz", image, affine)
        with staged_outputs(target / f"labels{side}") as stage:
            save_volume(stage / f"{scan.case.name}.nii.gz", np.rint(label).astype(np.uint8), affine)
    highest = max(value for scan in scans for value in scan.levels)
    with staged_outputs(target) as stage:
        write_json(stage / "dataset.json", dataset_json(len(scans) - len(split.test), highest))
        write_json(stage / SPLITS, split.as_nnunet())
        write_json(stage / PERSONS, dict(sorted(split.persons.items())))
        write_sources(stage / SOURCES, scans, split)
        write_split_table(stage / SPLIT_TABLE, [scan.case for scan in scans], split)
        (stage / "README.txt").write_text("\n".join(_readme(scans, split)) + "\n", encoding="utf-8")
    return target


def _readme(scans: Sequence[LabelledScan], split: Split) -> Iterator[str]:
    contrasts = sorted({scan.case.contrast for scan in scans})
    n_persons = len(set(split.persons.values()))
    yield f"Rootlets by spinal level; {len(scans)} scans of {n_persons} subjects; {', '.join(contrasts)}."
    yield "Axes lead to right, anterior and superior (RAS+; LPI in SCT's words). Values are levels: 2 is C2, 9 is T1."
    yield from summary(split)


def write_sources(path: Path, scans: Sequence[LabelledScan], split: Split) -> None:
    """Write the sources of the cases as a table: files, axes, voxel sizes, levels, hashes."""
    rows = []
    for labelled in sorted(scans, key=lambda labelled: labelled.case.name):
        case, scan = labelled.case, labelled.scan
        rows.append(
            {
                "case": case.name,
                "side": "test" if case.name in split.test else "train",
                "participant_id": f"sub-{case.subject}",
                "session_id": f"ses-{case.session}" if case.session else "n/a",
                "contrast": case.contrast,
                "image": scan.image.path.absolute(),
                "label": scan.labels["rootlets"].absolute(),
                "axes": labelled.axes,
                "voxel_mm": labelled.spacing,
                "levels": " ".join(map(str, labelled.levels)),
                "image_sha256": case.image_hash,
                "label_sha256": labelled.label_hash,
            }
        )
    write_table(path, COLUMNS, rows, separator="\t")


def read_sources(path: Path) -> list[dict[str, str]]:
    """Read the table of `write_sources`."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream, delimiter="\t")
        return [{name: unescape_cell(text) for name, text in row.items()} for row in rows]
