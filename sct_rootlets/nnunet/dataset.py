"""From labelled scans of BIDS folders to a raw dataset of nnU-Net v2, of one channel, whatever the contrast.

Images and labels are written in RAS+, which ``dataset.json`` says in SCT's words (LPI), so that SCT turns an image that
way before it runs the model. Classes are ``lvl1``, ``lvl2``, … with the values of the levels, as SCT reads them.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.orientations import aff2axcodes

from sct_rootlets.bids import Scan, find_scans
from sct_rootlets.errors import DatasetError, SctRootletsError
from sct_rootlets.image import Volume
from sct_rootlets.nifti import load_volume, save_volume
from sct_rootlets.nnunet.checks import Problem, check_scan
from sct_rootlets.nnunet.splits import Case, Split, summary, write_table
from sct_rootlets.output.files import staged_outputs, write_json

#: nnU-Net's name of the dataset; it is alone in its folder.
NAME = "Dataset501_rootlets"
ID = 501
SOURCES = "sources.tsv"
PERSONS = "persons.json"
SPLITS = "splits_final.json"


@dataclass(frozen=True)
class Labelled:
    """A scan with a rootlet map, and its name in the dataset.

    Attributes
    ----------
    case : Case
    scan : Scan
    levels : tuple of int
        Values in the map.
    axes, spacing : str
        Of the image as it is stored.
    label_hash : str
    """

    case: Case
    scan: Scan
    levels: tuple[int, ...]
    axes: str
    spacing: str
    label_hash: str


def find_labelled(
    roots: Sequence[str | os.PathLike[str]],
    labels: Sequence[str | os.PathLike[str]] = (),
    contrasts: Collection[str] = (),
    exclude: Collection[str] = (),
) -> tuple[list[tuple[str, Scan]], list[Problem]]:
    """Find the scans with rootlet maps in BIDS folders, and name them.

    Parameters
    ----------
    roots : sequence of path
        BIDS folders.
    labels : sequence of path
        Folders with labels, in place of ``derivatives/labels`` in each of them; see `labels_for`.
    contrasts : collection of str
        Those wanted; all by default.
    exclude : collection of str
        Subjects (``sub-01``) or scans (``sub-01_ses-2_T2w``) to leave out.

    Returns
    -------
    scans : list of (str, Scan)
        With their names, which are unique.
    problems : list of Problem
        Of names and links; and of labels that were predicted and not reviewed.

    Raises
    ------
    DatasetError
        If there are none, or a folder is not there.
    """
    named: dict[str, Scan] = {}
    problems: list[Problem] = []
    unlabelled = 0
    for number, root in enumerate(roots, start=1):
        scans, texts = find_scans(root, labels_for(root, roots, labels), contrasts)
        # With labels of several BIDS folders in one place, those of the others are no problem here.
        if labels and len(roots) > 1:
            texts = [text for text in texts if "no image that it could belong to" not in text]
        problems += [Problem(str(root), "warning", text) for text in texts]
        for scan in scans:
            image = scan.image
            if image.stem in exclude or f"sub-{image.subject}" in exclude or image.subject in exclude:
                continue
            if "rootlets" not in scan.labels:
                unlabelled += 1
                continue
            name = image.stem if image.stem not in named else f"{image.stem}_folder{number}"
            if name in named:
                raise DatasetError(f"{image.path} is a second image of the name {image.stem} in {root}; rename one")
            named[name] = scan
            if not reviewed(scan.labels["rootlets"]):
                text = f"{scan.labels['rootlets']} was predicted, and nobody has reviewed it (its sidecar says so)"
                problems.append(Problem(name, "error", text))
    if not named:
        kind = f" of the contrasts {', '.join(contrasts)}" if contrasts else ""
        raise DatasetError(
            f"no scan{kind} with a rootlet map was found in {', '.join(map(str, roots))}, among {unlabelled} without; "
            "labels are derivatives/labels/sub-01/anat/sub-01_T2w_label-rootlets_dseg.nii.gz and so on"
        )
    return sorted(named.items()), problems


def labels_for(
    root: str | os.PathLike[str], roots: Sequence[str | os.PathLike[str]], labels: Sequence[str | os.PathLike[str]]
) -> list[Path]:
    """Label folders for a BIDS folder: not those inside another one, where the same names may be of other images."""
    others = [Path(other).resolve() for other in roots if Path(other).resolve() != Path(root).resolve()]
    paths = [Path(folder) for folder in labels]
    return [path for path in paths if not any(path.resolve().is_relative_to(other) for other in others)]


def reviewed(label: Path) -> bool:
    """Whether a label may be trained on: not if its sidecar has ``"Reviewed": false``."""
    sidecar = label.with_name(label.name.removesuffix(".gz").removesuffix(".nii") + ".json")
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    return not (isinstance(content, dict) and content.get("Reviewed") is False)


def examine(name: str, scan: Scan, picture: Path | None = None) -> tuple[Labelled | None, list[Problem]]:
    """Read a scan, check its labels, and draw a picture of it.

    Parameters
    ----------
    name : str
        See `find_labelled`.
    scan : Scan
    picture : Path, optional
        A PNG file to write.

    Returns
    -------
    Labelled or None
        None if a file cannot be read.
    problems : list of Problem
    """
    try:
        image, label = load_volume(scan.image.path), load_volume(scan.labels["rootlets"])
    except SctRootletsError as error:
        return None, [Problem(name, "error", str(error))]
    cord, problems = None, []
    if "cord" in scan.labels:
        try:
            cord = load_volume(scan.labels["cord"])
        except SctRootletsError as error:
            problems.append(Problem(name, "warning", f"the cord mask was not used: {error}"))
    problems += check_scan(name, image, label, cord)
    if picture is not None:
        from sct_rootlets.report.labels import save_labels_figure

        save_labels_figure(image, label, name, picture)
    values = np.unique(np.nan_to_num(label.data)).astype(int)
    found = scan.image
    return Labelled(
        Case(name, found.subject, found.session, found.contrast, _hash(image)),
        scan,
        tuple(int(value) for value in values if value),
        "".join(aff2axcodes(image.affine)),
        "×".join(f"{mm:.3g}" for mm in image.spacing),
        _hash(label),
    ), problems


def _hash(volume: Volume) -> str:
    """SHA-256 of the voxels in RAS+ and where they are: the same for one image in two files, however it is stored."""
    data, affine = _canonical(volume)
    digest = hashlib.sha256(repr((data.shape, np.round(affine, 3).tolist())).encode())
    digest.update(np.ascontiguousarray(data, dtype=np.float32).tobytes())
    return digest.hexdigest()


def _canonical(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    data = volume.data.astype(np.uint8) if volume.data.dtype == bool else volume.data
    turned = nib.as_closest_canonical(nib.Nifti1Image(data, volume.affine, dtype=data.dtype))
    return np.asarray(turned.dataobj), turned.affine


def dataset_json(n_training: int, highest: int) -> dict[str, Any]:
    """Describe a dataset whose highest level is `highest`, as nnU-Net and SCT read it."""
    return {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0} | {f"lvl{value}": value for value in range(1, highest + 1)},
        "numTraining": n_training,
        "file_ending": ".nii.gz",
        "image_orientation": "LPI",  # SCT's name for axes that lead to right, anterior and superior
    }


def write_dataset(folder: Path, scans: Sequence[Labelled], split: Split) -> Path:
    """Write the raw dataset, its splits, and a table of what came from where.

    Scans that are kept for the test go to ``imagesTs`` and ``labelsTs``, where nnU-Net does not see them in training.

    Parameters
    ----------
    folder : Path
        nnU-Net's ``nnUNet_raw``; `NAME` is made in it.
    scans : sequence of Labelled
    split : Split
        Of them.

    Returns
    -------
    Path
        Of the dataset.
    """
    target = folder / NAME
    if set(split.persons) != {scan.case.name for scan in scans}:
        raise DatasetError("the split is not of these scans")
    for scan in scans:
        side = "Ts" if scan.case.name in split.test else "Tr"
        image, affine = _canonical(load_volume(scan.scan.image.path))
        label, _ = _canonical(load_volume(scan.scan.labels["rootlets"]))
        for what, data, ending in (("images", image, "_0000.nii.gz"), ("labels", label, ".nii.gz")):
            if what == "labels":
                data = np.rint(data).astype(np.uint8)
            with staged_outputs(target / f"{what}{side}") as stage:  # with the affine of the image, to the last digit
                save_volume(stage / f"{scan.case.name}{ending}", data, affine)
    highest = max(value for scan in scans for value in scan.levels)
    with staged_outputs(target) as stage:
        write_json(stage / "dataset.json", dataset_json(len(scans) - len(split.test), highest))
        write_json(stage / SPLITS, split.as_nnunet())
        write_json(stage / PERSONS, dict(sorted(split.persons.items())))
        write_sources(stage / SOURCES, scans, split)
        write_table(stage / "splits.tsv", [scan.case for scan in scans], split)
        (stage / "README.txt").write_text("\n".join(_about(scans, split)) + "\n", encoding="utf-8")
    return target


def _about(scans: Sequence[Labelled], split: Split) -> Iterable[str]:
    contrasts = sorted({scan.case.contrast for scan in scans})
    n_persons = len(set(split.persons.values()))
    yield f"Rootlets by spinal level; {len(scans)} scans of {n_persons} subjects; {', '.join(contrasts)}."
    yield "Axes lead to right, anterior and superior (RAS+; LPI in SCT's words). Values are levels: 2 is C2, 9 is T1."
    yield from summary(split)


def write_sources(path: Path, scans: Sequence[Labelled], split: Split) -> None:
    """Write what came from where as a table."""
    columns = (
        "case", "side", "participant_id", "session_id", "contrast", "image", "label", "axes", "voxel_mm", "levels",
        "image_sha256", "label_sha256",
    )  # fmt: skip
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(columns)
        for one in sorted(scans, key=lambda one: one.case.name):
            case = one.case
            table.writerow(
                [
                    case.name,
                    "test" if case.name in split.test else "train",
                    f"sub-{case.subject}",
                    f"ses-{case.session}" if case.session else "n/a",
                    case.contrast,
                    one.scan.image.path.absolute(),
                    one.scan.labels["rootlets"].absolute(),
                    one.axes,
                    one.spacing,
                    " ".join(map(str, one.levels)),
                    case.image_hash,
                    one.label_hash,
                ]
            )
