"""The files of phantoms: those of ``testing_data/``, a cohort as a BIDS dataset, a template; and an example scan."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.nifti import save_volume
from sct_rootlets.output.files import staged_outputs
from sct_rootlets.output.ownership import Guard
from sct_rootlets.phantom import Phantom, activation, draw_phantom, phantom_grid
from sct_rootlets.synthesis.anatomy import Anatomy
from sct_rootlets.synthesis.cervical import cervical_anatomy, cohort_anatomy

_LOGGER = logging.getLogger(__name__)


def write_phantoms(folder: str | os.PathLike[str], guard: Guard | None = None) -> list[Path]:
    """Write the phantoms of ``testing_data/``; the same bytes every time.

    ``sub-phantom01`` is a sagittal scan of 1 mm voxels like many T2w scans, with the PMJ in view;
    ``sub-phantom02`` an oblique one of anisotropic voxels in another axis order, cropped between C3 and C7, whose
    rootlets lie 3 mm further caudally against the vertebrae.

    Parameters
    ----------
    folder : path
    guard : Guard, optional
        By default, files of the same names and other content are kept.

    Returns
    -------
    list of Path

    Raises
    ------
    ImageError
        If the folder cannot be written to, or holds files of the same names and other content.
    """
    return _all_or_none(Path(folder), guard, _write_phantoms)


def _all_or_none(folder: Path, guard: Guard | None, write: Callable[[Path], list[Path]]) -> list[Path]:
    """Write a whole dataset, unless a file of the user would be replaced."""
    with staged_outputs(folder, guard=guard or Guard()) as stage:
        names = [path.relative_to(stage) for path in write(stage)]
    return sorted(folder / name for name in names)


def _write_phantoms(folder: Path) -> list[Path]:
    first = cervical_anatomy()
    second = cervical_anatomy(bend_deg=12, sway_mm=3, scale=0.95, drift_mm=3)
    grids = {
        "sub-phantom01": (first, phantom_grid(first, (1, 1, 1), "PSR", margin_mm=16)),
        "sub-phantom02": (second, phantom_grid(second, (0.8, 0.8, 1.6), "LIA", (8, 5, -4), 16, (38, 105))),
    }
    paths = []
    for subject, (anatomy, grid) in grids.items():
        paths += _write_subject(folder, subject, draw_phantom(anatomy, *grid))
    return paths + _write_descriptions(folder)


def write_cohort(
    folder: str | os.PathLike[str], n_subjects: int, seed: int = 0, activity: bool = False, guard: Guard | None = None
) -> list[Path]:
    """Write a cohort of phantoms as a BIDS dataset with a ``participants.tsv``; the same bytes every time.

    Scans are sagittal, of 1 mm voxels, with the PMJ in view (`cohort_anatomy`).

    Parameters
    ----------
    folder : path
    n_subjects : int
    seed : int
    activity : bool
        Whether a map of `activation` of each subject, and a template, are written as well.
    guard : Guard, optional
        By default, files of the same names and other content are kept.

    Returns
    -------
    list of Path

    Raises
    ------
    ImageError
        If the folder cannot be written to, or holds files of the same names and other content.
    """
    return _all_or_none(Path(folder), guard, lambda stage: _write_cohort(stage, n_subjects, seed, activity))


def _write_cohort(folder: Path, n_subjects: int, seed: int, activity: bool) -> list[Path]:
    rng = np.random.default_rng(seed)
    rows, paths = [], []
    digits = max(2, len(str(n_subjects)))
    for number in range(1, n_subjects + 1):
        subject = f"sub-cohort{number:0{digits}d}"
        _LOGGER.info("drawing %s: phantom %d of %d", subject, number, n_subjects)
        anatomy, height = cohort_anatomy(rng)
        grid = phantom_grid(anatomy, (1, 1, 1), "PSR", margin_mm=16)
        phantom = draw_phantom(anatomy, *grid, seed=seed + number)
        paths += _write_subject(folder, subject, phantom)
        if activity:
            with staged_outputs(folder / subject / "func") as stage:
                save_volume(stage / f"{subject}_task-hand_zstat.nii.gz", activation(phantom), phantom.cord.affine)
                paths += [stage.parent / path.name for path in stage.iterdir()]
        rows.append(f"{subject}\t{rng.integers(20, 46)}\t{'FM'[int(rng.integers(2))]}\t{height}\n")
    if activity:
        paths += _write_template(folder / "derivatives" / "template")
    with staged_outputs(folder) as stage:
        (stage / "participants.tsv").write_text("participant_id\tage\tsex\theight\n" + "".join(rows), encoding="utf-8")
    return [*paths, folder / "participants.tsv", *_write_descriptions(folder)]


def _write_subject(folder: Path, subject: str, phantom: Phantom) -> list[Path]:
    """Write image, labels and truth of a phantom into a BIDS dataset."""
    affine = phantom.image.affine
    with staged_outputs(folder / subject / "anat") as stage:
        save_volume(stage / f"{subject}_T2w.nii.gz", phantom.image.data, affine)
        paths = [stage.parent / path.name for path in stage.iterdir()]
    with staged_outputs(folder / "derivatives" / "labels" / subject / "anat") as stage:
        for name, volume in (
            ("label-SC_seg", phantom.cord),
            ("label-rootlets_dseg", phantom.rootlets),
            ("label-discs_dlabel", phantom.discs),
            ("label-PMJ_dlabel", phantom.pmj),
        ):
            if volume.data.any():
                save_volume(stage / f"{subject}_T2w_{name}.nii.gz", volume.data, affine)
        (stage / f"{subject}_T2w_truth.json").write_text(json.dumps(_truth(phantom.anatomy), indent=2) + "\n")
        paths += [stage.parent / path.name for path in stage.iterdir()]
    return paths


def _write_descriptions(folder: Path) -> list[Path]:
    description = {"Name": "Cervical phantoms", "BIDSVersion": "1.9.0", "DatasetType": "raw"}
    derived = description | {
        "Name": "Labels of the cervical phantoms",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "sct_rootlets phantom"}],
    }
    paths = []
    for where, content in ((folder, description), (folder / "derivatives" / "labels", derived)):
        with staged_outputs(where) as stage:
            (stage / "dataset_description.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        paths.append(where / "dataset_description.json")
    return paths


#: Name of the scan that `write_example` writes, without an ending.
EXAMPLE = "sub-synthetic01_T2w"


def write_example(folder: str | os.PathLike[str], guard: Guard | None = None) -> Path:
    """Write the synthetic scan of demonstrations, and the true places of its levels and discs.

    Parameters
    ----------
    folder : path
    guard : Guard, optional
        By default, files of the same names and other content are kept.

    Returns
    -------
    Path
        The image.

    Raises
    ------
    ImageError
        If the folder cannot be written to, or holds files of the same names and other content.
    """
    from sct_rootlets.synthesis.example import example_scan

    anatomy, image = example_scan()
    with staged_outputs(folder, guard=guard or Guard()) as stage:
        save_volume(stage / f"{EXAMPLE}.nii.gz", image.data, image.affine)
        truth = json.dumps(_truth(anatomy), indent=2) + "\n"
        (stage / f"{EXAMPLE}_truth.json").write_text(truth, encoding="utf-8")
    return Path(folder) / f"{EXAMPLE}.nii.gz"


#: Numbers that SCT gives to the files of a template, in ``info_label.txt``.
TEMPLATE_IDS = {"t2": 1, "cord": 3, "levels": 7, "label_disc": 10, "spinal_levels": 15, "rootlets": 16,
                "rootlets_midpoint": 17}  # fmt: skip


def write_template(folder: str | os.PathLike[str], guard: Guard | None = None) -> list[Path]:
    """Write a phantom that stands for a template: straight, in the layout and with the names of PAM50.

    It stands in for PAM50 in demonstrations and tests of registration, and says nothing about people.

    Parameters
    ----------
    folder : path
        Folder in which a folder ``template`` is made.
    guard : Guard, optional
        By default, files of the same names and other content are kept.

    Returns
    -------
    list of Path

    Raises
    ------
    ImageError
        If the folder cannot be written to, or holds files of the same names and other content.
    """
    return _all_or_none(Path(folder), guard, _write_template)


def _write_template(folder: Path) -> list[Path]:
    anatomy = cervical_anatomy(bend_deg=0, sway_mm=0)
    shape, affine = phantom_grid(anatomy, (1, 1, 1), "LAS", margin_mm=16)
    phantom = draw_phantom(anatomy, shape, affine, noise=0)
    arc = anatomy.centerline.project(apply_affine(affine, np.argwhere(phantom.cord.data))).arc
    discs = np.array(list(anatomy.discs.values()))
    caudal = np.array([end for _, end in anatomy.spinal_extents(0.0).values()])
    first = min(rostral for rostral, _ in anatomy.spinal_extents(0.0).values())
    spinal = np.where((arc >= first) & (arc < caudal[-1]), np.searchsorted(caudal, arc, side="right") + 2, 0)
    vertebral = np.where(arc < discs[-1], np.searchsorted(discs, arc, side="right"), 0)
    volumes = {"t2": phantom.image.data, "cord": phantom.cord.data, "rootlets": phantom.rootlets.data,
               "label_disc": phantom.discs.data}  # fmt: skip
    for name, labels in (("spinal_levels", spinal), ("levels", vertebral)):
        volumes[name] = np.zeros(shape, dtype=np.uint8)
        volumes[name][phantom.cord.data > 0] = labels
    volumes["rootlets_midpoint"] = np.zeros(shape, dtype=np.uint8)
    for value, ends in enumerate(anatomy.spinal_extents(0.0).values(), start=2):
        middle = anatomy.centerline.position(np.array([np.mean(ends)]))[0]
        volumes["rootlets_midpoint"][tuple(np.rint(apply_affine(np.linalg.inv(affine), middle)).astype(int))] = value
    listed = [
        f"{TEMPLATE_IDS[name]}, {name}, phantom_{name}.nii.gz" for name in sorted(volumes, key=TEMPLATE_IDS.__getitem__)
    ]
    with staged_outputs(folder / "template") as stage:
        for name, data in volumes.items():
            save_volume(stage / f"phantom_{name}.nii.gz", data, affine)
        (stage / "info_label.txt").write_text(
            "\n".join(["# Keyword=IndivLabels", "# ID, name, file", *listed]) + "\n", encoding="utf-8"
        )
    return [folder / "template" / f"phantom_{name}.nii.gz" for name in volumes]


def _truth(anatomy: Anatomy) -> dict[str, object]:
    """Describe what a phantom's labels should yield, in mm of arc length from the top of the whole cord."""
    return {
        "unit": "mm of arc length, growing caudally; 0 is the top of the cord",
        "pmj": anatomy.pmj_mm,
        "discs": {str(value): round(arc, 3) for value, arc in anatomy.discs.items()},
        "attachment": {
            name: [round(float(end), 3) for end in ends] for name, ends in anatomy.spinal_extents(0.0).items()
        },
        "extent_2.4mm": {
            name: [round(float(end), 3) for end in ends] for name, ends in anatomy.spinal_extents(2.4).items()
        },
    }
