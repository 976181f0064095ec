"""Steps of the Spinal Cord Toolbox that make the labels a user did not provide: cord mask, discs and PMJ."""

from __future__ import annotations

import gzip
import json
import logging
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from sct_rootlets.bids import LABEL_ENDINGS, stem
from sct_rootlets.errors import SctRootletsError
from sct_rootlets.sidecar import seal, sha256_of

_LOGGER = logging.getLogger(__name__)

#: Labels that can be made, in the order in which they must be.
STEPS = ("cord", "discs", "pmj")
_COMMANDS = {"cord": "sct_deepseg", "discs": "sct_label_vertebrae", "pmj": "sct_detect_pmj"}
_STEP_NAMES = {"cord": "spinal cord", "discs": "discs", "pmj": "PMJ"}


def sct_command(name: str) -> Path:
    """Find a command of the Spinal Cord Toolbox: in ``$SCT_DIR/bin``, or beside ``sct_label_vertebrae`` on the PATH.

    This package has an ``sct_deepseg`` too, so the first command of that name on the PATH may be the wrong one.

    Raises
    ------
    SctRootletsError
        If there is no such command.
    """
    folders = [Path(os.environ["SCT_DIR"]) / "bin"] if os.environ.get("SCT_DIR") else []
    neighbour = shutil.which("sct_label_vertebrae")
    if neighbour:
        folders.append(Path(neighbour).parent)
    for folder in folders:
        command = shutil.which(name, path=str(folder))
        if command:
            return Path(command)
    where = " or ".join(map(str, folders)) or "PATH, and SCT_DIR is not set"
    raise SctRootletsError(
        f"{name} of the Spinal Cord Toolbox was not found in {where}; install it, or give the file instead of -run-sct"
    )


def run_steps(
    wanted: Iterable[str], image: Path, folder: Path, prefix: str, contrast: str = "t2", cord: Path | None = None
) -> dict[str, Path]:
    """Make labels of an image with the Spinal Cord Toolbox.

    Parameters
    ----------
    wanted : iterable of str
        Steps of `STEPS`.
    image : Path
    folder : Path
        Output folder. The labels stay there: they can be corrected, and provided the next time.
    prefix : str
        Beginning of the names of the files.
    contrast : {"t1", "t2"}
    cord : Path, optional
        Cord mask; needed for discs unless the cord is among the wanted steps.

    Returns
    -------
    dict of str to Path
        The file of each step.

    Raises
    ------
    SctRootletsError
        If a command is missing, fails, or finds nothing.
    """
    steps = [step for step in STEPS if step in set(wanted)]
    commands = {step: sct_command(_COMMANDS[step]) for step in steps}  # before the first step takes its minutes
    if "discs" in steps and cord is None and "cord" not in steps:
        raise SctRootletsError("discs are found along the cord: give its mask (-s), or let -run-sct make it too")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SctRootletsError(f"cannot write to {folder}: {error.strerror}") from error
    outputs: dict[str, Path] = {}
    for step in steps:
        target = folder / f"{prefix}_{LABEL_ENDINGS[step]}.nii.gz"
        _LOGGER.info("running %s of the Spinal Cord Toolbox for the %s", commands[step].name, _STEP_NAMES[step])
        _run_step(step, commands[step], image, outputs.get("cord", cord), contrast, target)
        write_sidecar(target, step, commands[step].name)
        outputs[step] = target
    return outputs


def write_sidecar(target: Path, step: str, command: str) -> None:
    """Write beside a label which command made it, and its hash: a label that is corrected is known by that."""
    content = {
        "Description": f"Label of the {_STEP_NAMES[step]}",
        "GeneratedBy": [{"Name": "Spinal Cord Toolbox", "Description": command}],
    }
    sidecar = target.with_name(f"{stem(target.name)}.json")
    sealed = seal(content, {target.name: sha256_of(target)})
    sidecar.write_text(json.dumps(sealed, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _run_step(step: str, command: Path, image: Path, cord: Path | None, contrast: str, target: Path) -> None:
    """Run a step in a temporary folder beside the target, and keep its label."""
    working = target.with_name(f".{target.name}.{os.getpid()}")
    working.mkdir()
    try:
        mask = [] if cord is None else ["-s", _input_file(cord, working / "cord_mm.nii.gz")]
        source = _input_file(image, working / "image_mm.nii.gz")
        if step == "cord":
            arguments, pattern = ["spinalcord", "-i", source, "-o", "result.nii.gz"], "result.nii.gz"
        elif step == "discs":
            arguments, pattern = ["-i", source, *mask, "-c", contrast], "*_labeled_discs.nii*"
        else:
            arguments, pattern = ["-i", source, *mask, "-c", contrast, "-o", "result.nii.gz"], "result.nii.gz"
        run_command([str(command), *arguments], working)
        results = list(working.glob(pattern))
        if not results:
            name = _STEP_NAMES[step]
            raise SctRootletsError(f"{command.name} found no {name} in {image.name}; give the file instead")
        if results[0].suffix == ".gz":
            results[0].replace(target)
        else:  # discs are compressed only if the cord mask is
            packed = working / target.name
            packed.write_bytes(gzip.compress(results[0].read_bytes(), mtime=0))
            packed.replace(target)
    finally:
        shutil.rmtree(working, ignore_errors=True)


def _input_file(file: Path, copy: Path) -> str:
    """Return the path of a file for SCT, which takes the numbers of a header as mm: of a copy, if they are not."""
    from sct_rootlets.nifti import file_in_mm

    return str(file_in_mm(file, copy).resolve())


def run_command(command: list[str], folder: Path) -> None:
    """Run a command of the toolbox in a folder.

    Raises
    ------
    SctRootletsError
        If the command fails; the message has the last line of its output.
    """
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, errors="replace")
    except OSError as error:
        raise SctRootletsError(f"{command[0]} cannot be run ({error.strerror}); install it again") from error
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()] or ["no message"]
        raise SctRootletsError(
            f"{Path(command[0]).name} failed with: {lines[-1][:300]} (status {done.returncode}; run it yourself to see "
            f"more: {shlex.join(command)})"
        )
