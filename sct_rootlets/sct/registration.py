"""Registration by the Spinal Cord Toolbox itself, ``sct_register_to_template``, with the same outputs as our own."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.errors import SctRootletsError
from sct_rootlets.image import Volume
from sct_rootlets.nifti import load_field, save_labels
from sct_rootlets.registration.to_template import Registration
from sct_rootlets.sct.steps import run_command, sct_command
from sct_rootlets.vertebral import label_points

COMMAND = "sct_register_to_template"
#: What SCT takes the landmarks of the template from.
USED_BY_SCT = {"rootlets": "rootlets_midpoint", "discs": "discs_in_cord"}
WARPS = ("warp_anat2template.nii.gz", "warp_template2anat.nii.gz")


def by_toolbox(registration: Registration) -> Registration:
    """Let SCT register what has been read and segmented, and take its warps in place of ours.

    Labels that the template lacks, at which SCT fails, are left out before.

    Parameters
    ----------
    registration : Registration
        By our own engine; its landmarks and errors stay those of the table.

    Returns
    -------
    Registration

    Raises
    ------
    SctRootletsError
        If SCT is missing or fails, or makes no warps.
    """
    try:
        command = sct_command(COMMAND)
    except SctRootletsError as error:
        raise SctRootletsError(
            f"{COMMAND} of the Spinal Cord Toolbox was not found: set SCT_DIR, or use -engine own"
        ) from error
    kind = "discs" if registration.settings["Landmarks"] == "discs" else "rootlets"
    _check_template(registration, kind)
    folder = Path(tempfile.mkdtemp(prefix="sct_rootlets-"))
    try:
        run_command([str(command), *prepared_arguments(registration, kind, folder)], folder)
        missing = [name for name in WARPS if not (folder / "out" / name).exists()]
        if missing:
            raise SctRootletsError(f"{COMMAND} made no {' and no '.join(missing)}; use -engine own")
        fields = [load_field(folder / "out" / name) for name in WARPS]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for (field, _), volume, name in zip(fields, (registration.template_cord, registration.image), WARPS, strict=True):
        if field.shape[:3] != volume.data.shape:
            raise SctRootletsError(f"{COMMAND} made {name} on another grid than that of {volume.name}")
    settings = {**registration.settings, "Engine": COMMAND, "RefinedByShape": kind == "rootlets"}
    return replace(registration, given_fields=(fields[0][0], fields[1][0]), settings=settings)


def _check_template(registration: Registration, kind: str) -> None:
    """Check that the template has what SCT asks of it, which is more than we do."""
    template = registration.template
    needed = [registration.contrast, "cord", *(USED_BY_SCT[kind],), *(("rootlets",) if kind == "rootlets" else ())]
    missing = [template.expected[name].name for name in needed if name not in template.files]
    if not (template.folder / "info_label.txt").exists():
        missing.append("info_label.txt")
    if missing:
        raise SctRootletsError(
            f"{COMMAND} needs {', '.join(missing)} in {template.folder}; give SCT's own template "
            "(sct_download_data -d PAM50), or use -engine own"
        )


def prepared_arguments(registration: Registration, kind: str, folder: Path) -> list[str]:
    """Write what SCT is to read into a folder; the command's arguments, to be run there.

    Labels that the template's own landmarks lack, at which SCT fails, are left out; so are further voxels of a disc.

    Parameters
    ----------
    registration : Registration
    kind : {"rootlets", "discs"}
    folder : Path
    """
    volumes = {**registration.sources, **registration.segmented}
    labels, cord = volumes[kind], registration.alignment.subject.mask
    landmarks = registration.template.volume(USED_BY_SCT[kind])
    assert landmarks is not None  # it has been checked
    values = np.rint(labels.data).astype(int)
    kept = np.where(np.isin(values, np.unique(np.rint(landmarks.data)).astype(int)), values, 0)
    if kind == "discs":
        kept = _single_voxels(kept, labels)
    save_labels(folder / "labels.nii.gz", kept, labels)
    save_labels(folder / "cord.nii.gz", cord.data, cord)
    arguments = ["-i", str(_file(registration.image, folder)), "-s", "cord.nii.gz"]
    arguments += ["-ldisc" if kind == "discs" else "-lrootlet", "labels.nii.gz", "-c", registration.contrast]
    return [*arguments, "-t", str(_sct_folder(registration.template.folder)), "-ofolder", "out"]


def _single_voxels(kept: np.ndarray, labels: Volume) -> np.ndarray:
    """One voxel a disc, the nearest to its middle, shape (I, J, K)."""
    points = label_points(Volume(kept, labels.affine, labels.name))
    result = np.zeros_like(kept)
    for value, point in points.items():
        result[tuple(np.rint(apply_affine(np.linalg.inv(labels.affine), point)).astype(int))] = value
    return result


def _file(image: Volume, folder: Path) -> Path:
    if image.path is not None:
        return image.path.resolve()
    from sct_rootlets.nifti import save_volume

    save_volume(folder / "image.nii.gz", image.data, image.affine, image.header)
    return folder / "image.nii.gz"


def _sct_folder(files: Path) -> Path:
    """The folder that SCT wants, which has the files in ``template/``."""
    if files.name != "template":
        raise SctRootletsError(
            f"{COMMAND} needs a template folder with template/ and info_label.txt in it, as SCT's own data/PAM50; "
            f"{files} has the files alone"
        )
    return files.parent.resolve()
