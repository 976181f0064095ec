"""Registration by the Spinal Cord Toolbox itself, ``sct_register_to_template``, with the same outputs as our own."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from sct_rootlets.errors import SctRootletsError
from sct_rootlets.image import Volume, save_labels
from sct_rootlets.registration.fields import load_field
from sct_rootlets.registration.to_template import Registration
from sct_rootlets.sct.steps import run_command, sct_command

COMMAND = "sct_register_to_template"
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
    volumes = {**registration.sources, **registration.segmented}
    known = {pair.subject.value for pair in registration.alignment.pairs if pair.subject.kind == kind}
    folder = Path(tempfile.mkdtemp(prefix="sct_rootlets-"))
    try:
        labels = volumes[kind]
        kept = np.where(np.isin(np.rint(labels.data), list(known)), np.rint(labels.data), 0)
        save_labels(folder / "labels.nii.gz", kept, labels)
        save_labels(folder / "cord.nii.gz", registration.alignment.subject.mask.data, registration.image)
        arguments = ["-i", str(_file(registration.image, folder)), "-s", "cord.nii.gz"]
        arguments += ["-ldisc" if kind == "discs" else "-lrootlet", "labels.nii.gz", "-c", registration.contrast]
        arguments += ["-t", str(_sct_folder(registration.template.folder)), "-ofolder", "out"]
        run_command([str(command), *arguments], folder)
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


def _file(image: Volume, folder: Path) -> Path:
    if image.path is not None:
        return image.path.resolve()
    from sct_rootlets.image import save_volume

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
