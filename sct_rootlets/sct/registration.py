"""Registration by ``sct_register_to_template`` of the Spinal Cord Toolbox, with the same outputs as our own."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.errors import SctRootletsError
from sct_rootlets.image import Volume
from sct_rootlets.nifti import has_millimetres, load_field, look_at_header, save_labels, save_volume, with_header_in_mm
from sct_rootlets.registration.result import Registration
from sct_rootlets.sct.steps import run_command, sct_command
from sct_rootlets.vertebral import label_points

COMMAND = "sct_register_to_template"
#: Contents of the template's file from which SCT takes the landmarks.
TEMPLATE_LANDMARKS = {"rootlets": "rootlets_midpoint", "discs": "discs_in_cord"}
WARPS = ("warp_anat2template.nii.gz", "warp_template2anat.nii.gz")


def register_by_sct(registration: Registration) -> Registration:
    """Register the same volumes by SCT, and take its warps in place of ours.

    Parameters
    ----------
    registration : Registration
        Registration by our own engine; its table of landmarks and errors is kept.

    Returns
    -------
    Registration

    Raises
    ------
    SctRootletsError
        If SCT is missing or fails, or writes no warps.
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
        run_command([str(command), *prepare_arguments(registration, kind, folder)], folder)
        missing = [name for name in WARPS if not (folder / "out" / name).exists()]
        if missing:
            raise SctRootletsError(f"{COMMAND} made no {' and no '.join(missing)}; use -engine own")
        fields = [load_field(folder / "out" / name) for name in WARPS]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for (field, _), volume, name in zip(fields, (registration.template_mask, registration.image), WARPS, strict=True):
        if field.shape[:3] != volume.data.shape:
            raise SctRootletsError(f"{COMMAND} made {name} on another grid than that of {volume.name}")
    settings = {**registration.settings, "Engine": COMMAND, "RefinedByShape": kind == "rootlets"}
    return replace(registration, external_fields=(fields[0][0], fields[1][0]), settings=settings)


def _check_template(registration: Registration, kind: str) -> None:
    """Check that the template has the files that SCT needs, which are more than ours."""
    template = registration.template
    needed = [registration.contrast, "cord", TEMPLATE_LANDMARKS[kind], *(["rootlets"] if kind == "rootlets" else [])]
    missing = [template.expected[name].name for name in needed if name not in template.files]
    if not (template.folder / "info_label.txt").exists():
        missing.append("info_label.txt")
    if missing:
        raise SctRootletsError(
            f"{COMMAND} needs {', '.join(missing)} in {template.folder}; give SCT's own template "
            "(sct_download_data -d PAM50), or use -engine own"
        )
    for name in needed:
        if not has_millimetres(look_at_header(template.files[name]).header):
            raise SctRootletsError(
                f"the header of {template.files[name]} is not in mm, and {COMMAND} takes its numbers as mm; convert "
                "the files of the template to mm, or use -engine own"
            )


def prepare_arguments(registration: Registration, kind: str, folder: Path) -> list[str]:
    """Write the inputs of SCT into a folder, and return the arguments of the command to be run there.

    SCT fails at labels that the template's landmarks lack, and at discs of several voxels: both are left out. SCT takes
    the numbers of every header as mm, so all files are in mm.

    Parameters
    ----------
    registration : Registration
    kind : {"rootlets", "discs"}
    folder : Path

    Returns
    -------
    list of str
    """
    volumes = {**registration.sources, **registration.segmented}
    labels, cord = volumes[kind], registration.alignment.subject_cord.mask
    landmarks = registration.template.load(TEMPLATE_LANDMARKS[kind])
    assert landmarks is not None  # it has been checked
    values = np.rint(labels.data).astype(int)
    kept = np.where(np.isin(values, np.unique(np.rint(landmarks.data)).astype(int)), values, 0)
    if kind == "discs":
        kept = _single_voxels(kept, labels)
    save_labels(folder / "labels.nii.gz", kept, with_header_in_mm(labels))
    save_labels(folder / "cord.nii.gz", cord.data, with_header_in_mm(cord))
    arguments = ["-i", str(_image_file(registration.image, folder)), "-s", "cord.nii.gz"]
    arguments += ["-ldisc" if kind == "discs" else "-lrootlet", "labels.nii.gz", "-c", registration.contrast]
    return [*arguments, "-t", str(_sct_folder(registration.template.folder)), "-ofolder", "out"]


def _single_voxels(kept: np.ndarray, labels: Volume) -> np.ndarray:
    """Reduce each disc to the voxel that is nearest to its middle, shape (I, J, K)."""
    points = label_points(Volume(kept, labels.affine, labels.name))
    result = np.zeros_like(kept)
    for value, point in points.items():
        result[tuple(np.rint(apply_affine(np.linalg.inv(labels.affine), point)).astype(int))] = value
    return result


def _image_file(image: Volume, folder: Path) -> Path:
    """Return the file of the image; one in mm is written into a folder if there is none, or none in mm."""
    if image.path is not None and has_millimetres(image.header):
        return image.path.resolve()
    image = with_header_in_mm(image)
    save_volume(folder / "image.nii.gz", image.data, image.affine, image.header)
    return folder / "image.nii.gz"


def _sct_folder(files: Path) -> Path:
    """Return the folder that SCT takes: the parent of ``template/``."""
    if files.name != "template":
        raise SctRootletsError(
            f"{COMMAND} needs a template folder with template/ and info_label.txt in it, as SCT's own data/PAM50; "
            f"{files} has the files alone"
        )
    return files.parent.resolve()
