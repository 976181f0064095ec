"""The command line that shows a scan and its labels in FSLeyes, as users of SCT expect it after a command."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from sct_rootlets.bids import LABEL_ENDINGS, LABEL_NAMES
from sct_rootlets.registration.result import Registration
from sct_rootlets.subject import SubjectLevels

#: Options of each layer, from the lowest to the topmost: the colour maps are those that SCT gives for images, masks and
#: numbered labels.
LAYER_OPTIONS = {
    "image": "-cm greyscale",
    "levels": "-cm subcortical -a 40",
    "cord": "-cm red -a 40",
    "rootlets": "-cm subcortical -a 100",
}


def fsleyes_command(layers: Mapping[str, Path | None], relative_to: Path | None = None) -> str:
    """Write the command that shows the layers of a scan.

    Parameters
    ----------
    layers : dict of str to Path
        Files by the keys of `LAYER_OPTIONS`; those that are None are left out.
    relative_to : Path, optional
        Folder in which the command is to be run; by default, anywhere.

    Returns
    -------
    str
        Empty if there is no image, or nothing to show on it.

    Examples
    --------
    >>> fsleyes_command({"image": Path("/a b/t2.nii.gz"), "rootlets": Path("/t2_rootlets.nii.gz")})
    "fsleyes '/a b/t2.nii.gz' -cm greyscale /t2_rootlets.nii.gz -cm subcortical -a 100 &"
    """
    given = {name: path for name in LAYER_OPTIONS if (path := layers.get(name)) is not None}
    if "image" not in given or len(given) < 2:
        return ""
    parts = []
    for name, path in given.items():
        text = os.path.relpath(path, relative_to) if relative_to is not None else path.absolute()
        parts.append(f"{shlex.quote(Path(text).as_posix())} {LAYER_OPTIONS[name]}")
    return " ".join(["fsleyes", *parts, "&"])


def level_layers(subject: SubjectLevels, written: Sequence[Path]) -> dict[str, Path | None]:
    """Find the files of a subject's levels that `fsleyes_command` shows: those written, or else those given.

    Parameters
    ----------
    subject : SubjectLevels
    written : sequence of Path
        Files that `sct_rootlets.output.levels.save_levels` wrote.

    Returns
    -------
    dict of str to Path or None
    """

    def find(ending: str) -> Path | None:
        return next((path for path in written if path.name.endswith(f"_{ending}.nii.gz")), None)

    layers: dict[str, Path | None] = {"image": None if subject.image is None else subject.image.path}
    for name in ("cord", "rootlets"):
        source = subject.sources.get(name)
        layers[name] = find(LABEL_ENDINGS[name]) or (None if source is None else source.path)
    kinds = [levels.kind for levels in subject.kinds]
    layers["levels"] = find(f"label-{LABEL_NAMES[kinds[0]]}_dseg") if kinds else None
    return layers


def registration_layers(registration: Registration, written: Sequence[Path]) -> dict[str, Path | None]:
    """Find the files that show a registration in the space of the scan: labels of the template, rootlets of the scan.

    Parameters
    ----------
    registration : Registration
    written : sequence of Path
        Files that `sct_rootlets.output.registration.save_registration` wrote.

    Returns
    -------
    dict of str to Path or None
    """
    files = {path.name: path for path in written}
    segmented = [path for path in written if path.name.endswith(f"_{LABEL_ENDINGS['rootlets']}.nii.gz")]
    given = {name: volume.path for name, volume in registration.sources.items()}
    return {
        "image": given.get("image"),
        "cord": files.get("cord2anat.nii.gz"),
        "levels": files.get("spinal_levels2anat.nii.gz"),
        "rootlets": segmented[0] if segmented else given.get("rootlets"),
    }
