"""Steps of the Spinal Cord Toolbox that make what a user did not give: cord mask, disc labels, PMJ."""

from __future__ import annotations

import gzip
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from sct_rootlets.bids import LABEL_ENDINGS
from sct_rootlets.errors import SctRootletsError

#: What can be made, in the order in which it must be.
STEPS = ("cord", "discs", "pmj")
_COMMANDS = {"cord": "sct_deepseg", "discs": "sct_label_vertebrae", "pmj": "sct_detect_pmj"}


def sct_command(name: str) -> Path:
    """A command of the Spinal Cord Toolbox: in ``$SCT_DIR/bin``, or beside ``sct_label_vertebrae`` on the PATH.

    This package has an ``sct_deepseg`` too, so the first of that name on the PATH will not do.

    Raises
    ------
    SctRootletsError
        If there is none.
    """
    folders = [Path(os.environ["SCT_DIR"]) / "bin"] if os.environ.get("SCT_DIR") else []
    known = shutil.which("sct_label_vertebrae")
    if known:
        folders.append(Path(known).parent)
    for folder in folders:
        found = shutil.which(name, path=str(folder))
        if found:
            return Path(found)
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
        Of `STEPS`.
    image : Path
    folder : Path
        Where the labels are written, and stay: they can be corrected, and given the next time.
    prefix : str
        What names of files begin with.
    contrast : {"t1", "t2"}
    cord : Path, optional
        Cord mask; needed for discs unless it is among what is wanted.

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
    commands = {step: sct_command(_COMMANDS[step]) for step in steps}  # before the first one takes its minutes
    if "discs" in steps and cord is None and "cord" not in steps:
        raise SctRootletsError("discs are found along the cord: give its mask (-s), or let -run-sct make it too")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SctRootletsError(f"cannot write to {folder}: {error.strerror}") from error
    made: dict[str, Path] = {}
    for step in steps:
        target = folder / f"{prefix}_{LABEL_ENDINGS[step]}.nii.gz"
        _make(step, commands[step], image, made.get("cord", cord), contrast, target)
        made[step] = target
    return made


def _make(step: str, command: Path, image: Path, cord: Path | None, contrast: str, target: Path) -> None:
    """Run one step in a folder of its own beside the target, and keep what is wanted of it."""
    working = target.with_name(f".{target.name}.{os.getpid()}")
    working.mkdir()
    try:
        mask = [] if cord is None else ["-s", str(cord.resolve())]
        source = str(image.resolve())
        if step == "cord":
            arguments, result = ["spinalcord", "-i", source, "-o", "result.nii.gz"], "result.nii.gz"
        elif step == "discs":
            arguments, result = ["-i", source, *mask, "-c", contrast], "*_labeled_discs.nii*"
        else:
            arguments, result = ["-i", source, *mask, "-c", contrast, "-o", "result.nii.gz"], "result.nii.gz"
        run_command([str(command), *arguments], working)
        found = list(working.glob(result))
        if not found:
            raise SctRootletsError(f"{command.name} found no {_called(step)} in {image.name}; give the file instead")
        if found[0].suffix == ".gz":
            found[0].replace(target)
        else:  # as the mask is
            packed = working / target.name
            packed.write_bytes(gzip.compress(found[0].read_bytes(), mtime=0))
            packed.replace(target)
    finally:
        shutil.rmtree(working, ignore_errors=True)


def _called(step: str) -> str:
    return {"cord": "spinal cord", "discs": "discs", "pmj": "PMJ"}[step]


def run_command(command: list[str], folder: Path) -> None:
    """Run a command of the toolbox in a folder.

    Raises
    ------
    SctRootletsError
        If it fails, with the last thing it said.
    """
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, errors="replace")
    except OSError as error:
        raise SctRootletsError(f"{command[0]} cannot be run ({error.strerror}); install it again") from error
    if done.returncode:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()] or ["no message"]
        raise SctRootletsError(
            f"{Path(command[0]).name} failed with: {said[-1][:300]} (status {done.returncode}; run it yourself to see "
            f"more: {shlex.join(command)})"
        )
