"""Labelled scans: those of BIDS folders that have a rootlet map, their names, and what was read and checked of each."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import aff2axcodes

from sct_rootlets.bids_folder import Scan, find_scans
from sct_rootlets.errors import DatasetError, SctRootletsError
from sct_rootlets.image import Volume
from sct_rootlets.nifti import header_notes, load_volume
from sct_rootlets.nnunet.checks import Problem, Roots, check_scan, find_roots
from sct_rootlets.nnunet.splits import Case
from sct_rootlets.sidecar import read_sidecar


@dataclass(frozen=True, kw_only=True)
class LabelledScan:
    """A scan with a rootlet map, and its name in the dataset.

    Attributes
    ----------
    case : Case
    scan : Scan
    levels : tuple of int
        Values in the map.
    axes : str
        Axes of the image as it is stored, such as ``"RAS"``.
    spacing : str
        Voxel size of the image in mm, such as ``"1×1×2"``.
    label_hash : str
        Hash of the map's content.
    roots : {"dorsal", "ventral", "both"} or None
        Roots that the map holds, None if this cannot be told.
    """

    case: Case
    scan: Scan
    levels: tuple[int, ...]
    axes: str
    spacing: str
    label_hash: str
    roots: Roots | None = None


def find_labelled(
    roots: Sequence[str | os.PathLike[str]],
    labels: Sequence[str | os.PathLike[str]] = (),
    contrasts: Collection[str] = (),
    exclude: Collection[str] = (),
    desc: str | None = None,
) -> tuple[list[tuple[str, Scan]], list[Problem]]:
    """Find the scans with rootlet maps in BIDS folders, and name them.

    Parameters
    ----------
    roots : sequence of path
        BIDS folders.
    labels : sequence of path
        Folders with labels, in place of ``derivatives/labels`` in each BIDS folder; see `labels_for`.
    contrasts : collection of str
        Contrasts to keep; all by default.
    exclude : collection of str
        Subjects (``sub-01``) or scans (``sub-01_ses-2_T2w``) to leave out.
    desc : str, optional
        Choose among maps of several raters; see `sct_rootlets.bids_folder.find_scans`.

    Returns
    -------
    scans : list of (str, Scan)
        Scans with their names, which are unique.
    problems : list of Problem
        Problems of names and links, predicted labels that nobody has reviewed, and scans of several raters without a
        consensus.

    Raises
    ------
    DatasetError
        If no scan has a rootlet map, two scans have the same name, or a folder does not exist.
    """
    named: dict[str, Scan] = {}
    problems: list[Problem] = []
    n_unlabelled = 0
    undecided: list[Problem] = []
    for number, root in enumerate(roots, start=1):
        scans, texts = find_scans(root, labels_for(root, roots, labels), contrasts, desc)
        # With labels of several BIDS folders in one place, labels of the other folders are no problem here.
        if labels and len(roots) > 1:
            texts = [text for text in texts if "no image that it could belong to" not in text]
        texts = [text for text in texts if all(text != scan.ambiguous.get("rootlets") for scan in scans)]
        problems += [Problem(str(root), "warning", text) for text in texts]
        for scan in scans:
            image = scan.image
            if image.stem in exclude or f"sub-{image.subject}" in exclude or image.subject in exclude:
                continue
            if "rootlets" in scan.ambiguous:
                text = f"{scan.ambiguous['rootlets']}; or choose a rater with -desc"
                undecided.append(Problem(image.stem, "error", text))
                continue
            if "rootlets" not in scan.labels:
                n_unlabelled += 1
                continue
            name = image.stem if image.stem not in named else f"{image.stem}_folder{number}"
            if name in named:
                raise DatasetError(f"{image.path} is a second image of the name {image.stem} in {root}; rename one")
            named[name] = scan
            if not may_be_trained_on(scan.labels["rootlets"]):
                text = f"{scan.labels['rootlets']} was predicted, and nobody has reviewed it (its sidecar says so)"
                problems.append(Problem(name, "error", text))
    problems += undecided
    if not named and undecided:
        others = "" if len(undecided) == 1 else f" (and {len(undecided) - 1} more)"
        raise DatasetError(f"{undecided[0].scan}: {undecided[0].text}{others}")
    if not named:
        kind = f" of the contrasts {', '.join(contrasts)}" if contrasts else ""
        raise DatasetError(
            f"no scan{kind} with a rootlet map was found in {', '.join(map(str, roots))}, among {n_unlabelled} "
            "without; labels are derivatives/labels/sub-01/anat/sub-01_T2w_label-rootlets_dseg.nii.gz and so on"
        )
    return sorted(named.items()), problems


def labels_for(
    root: str | os.PathLike[str], roots: Sequence[str | os.PathLike[str]], labels: Sequence[str | os.PathLike[str]]
) -> list[Path]:
    """Choose the label folders for a BIDS folder: not those inside another one, whose names may be of other images.

    Parameters
    ----------
    root : path
        The BIDS folder.
    roots : sequence of path
        All BIDS folders.
    labels : sequence of path
        All label folders.
    """
    others = [Path(other).resolve() for other in roots if Path(other).resolve() != Path(root).resolve()]
    paths = [Path(folder) for folder in labels]
    return [path for path in paths if not any(path.resolve().is_relative_to(other) for other in others)]


def may_be_trained_on(label: Path) -> bool:
    """Whether a label may be trained on: not if its sidecar has ``"Reviewed": false``."""
    return read_sidecar(label).get("Reviewed") is not False


def read_labelled(name: str, scan: Scan, picture: Path | None = None) -> tuple[LabelledScan | None, list[Problem]]:
    """Read a scan, check its labels, and draw a picture of it.

    Parameters
    ----------
    name : str
        Name of the scan; see `find_labelled`.
    scan : Scan
    picture : Path, optional
        Files to write (`save_labels_figure`), without ending.

    Returns
    -------
    LabelledScan or None
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
    read = [volume for volume in (image, label, cord) if volume is not None]
    problems += [Problem(name, "warning", note) for note in header_notes(*read)]
    problems += check_scan(name, image, label, cord)
    if picture is not None:
        from sct_rootlets.report.labels import save_labels_figure

        save_labels_figure(image, label, name, picture)
    usable = all(problem.severity != "error" for problem in problems)
    values = np.unique(np.nan_to_num(label.data)).astype(int)
    case = Case(
        name=name,
        subject=scan.image.subject,
        session=scan.image.session,
        contrast=scan.image.contrast,
        image_hash=_hash(image),
    )
    labelled = LabelledScan(
        case=case,
        scan=scan,
        levels=tuple(int(value) for value in values if value),
        axes="".join(aff2axcodes(image.affine)),
        spacing="×".join(f"{mm:.3g}" for mm in image.spacing),
        label_hash=_hash(label),
        roots=find_roots(label, cord) if usable else None,
    )
    return labelled, problems


def _hash(volume: Volume) -> str:
    """Hash the voxels in RAS+ and their positions: the result is the same however a file stores the image."""
    data, affine = reorient_to_ras(volume)
    digest = hashlib.sha256(repr((data.shape, np.round(affine, 3).tolist())).encode())
    digest.update(np.ascontiguousarray(data, dtype=np.float32).tobytes())
    return digest.hexdigest()


def reorient_to_ras(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Return the voxels of a volume with axes as close to RAS+ as reordering allows, and their affine."""
    data = volume.data.astype(np.uint8) if volume.data.dtype == bool else volume.data
    reoriented = nib.as_closest_canonical(nib.Nifti1Image(data, volume.affine, dtype=data.dtype))
    return np.asarray(reoriented.dataobj), reoriented.affine
