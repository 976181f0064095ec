"""Adding our tasks and commands to an installed Spinal Cord Toolbox (SCT), and removing them again.

Two things are written: a ``.pth`` file, by which each Python of SCT's environment waits for SCT's tasks to be loaded
(see `sct_rootlets.plugin.hook`), and links to our commands in the folder that SCT has on the PATH. No file of SCT is
changed. One thing is repaired: pip has replaced the ``sct_deepseg`` of SCT in the environment by ours (but not the copy
on the PATH). The command of SCT is put back, and removed from the list of files that pip deletes with this package.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from sct_rootlets.errors import LinkError
from sct_rootlets.sct.installation import (
    SHARED_COMMAND,
    Environment,
    Toolbox,
    commands_to_link,
    is_ours,
    launches,
    nnunet_notes,
)

PTH_FILE = "sct_rootlets_link.pth"
# Python's site module wants one line; it does nothing where this file was left behind by an uninstalled package.
_PTH_TEXT = (
    'import sys; exec("'
    r"try:\n from sct_rootlets.plugin import hook\n hook.install()\nexcept Exception:\n pass"
    '")\n'
)
_LIST_TASKS_CODE = (
    "import json, spinalcordtoolbox.scripts.sct_deepseg\n"
    "from sct_rootlets.plugin.register import added_tasks\n"
    "print(json.dumps(added_tasks()))"
)


def link(environment: Environment, toolbox: Toolbox) -> list[str]:
    """Link our tasks and commands; linking again changes nothing.

    Parameters
    ----------
    environment : Environment
    toolbox : Toolbox

    Returns
    -------
    list of str
        Lines for the user: the linked tasks, and notes.

    Raises
    ------
    LinkError
        If a file cannot be written, a command of another program has the same name, or SCT does not take the tasks;
        then nothing is linked.
    """
    with ExitStack() as undo, _one_line_errors():
        notes = restore_shared(environment, toolbox)
        for command in _missing_commands(environment, toolbox):
            _symlink(command, environment.scripts / command.name)
            undo.callback(command.unlink)
        pth = environment.site_packages / PTH_FILE
        if not pth.exists():
            undo.callback(pth.unlink, missing_ok=True)
        _write(pth, _PTH_TEXT.encode())
        tasks, trouble = ask_toolbox(environment)
        if not tasks:
            raise LinkError(f"the Spinal Cord Toolbox {toolbox.version} does not take our tasks: {trouble}")
        undo.pop_all()
    return [f"sct_deepseg has the tasks {', '.join(tasks)}", *notes, *nnunet_notes()]


def unlink(environment: Environment, toolbox: Toolbox | None) -> list[str]:
    """Remove what `link` has added, and make sure that uninstalling the package leaves SCT's commands in place.

    Parameters
    ----------
    environment : Environment
    toolbox : Toolbox, optional
        None if SCT is gone.

    Returns
    -------
    list of str
        Lines for the user: the removed files, and notes.

    Raises
    ------
    LinkError
        If a file cannot be deleted.
    """
    with _one_line_errors():
        pth = environment.site_packages / PTH_FILE
        removed = [pth] if pth.exists() else []
        if toolbox is not None:
            removed += [command for command in commands_to_link(environment, toolbox) if is_ours(command, environment)]
        for path in removed:
            path.unlink()
        notes = [] if toolbox is None else restore_shared(environment, toolbox)
    return [*(f"removed {path}" for path in removed), *notes] or ["nothing was linked"]


def restore_shared(environment: Environment, toolbox: Toolbox) -> list[str]:
    """Put SCT's ``sct_deepseg`` back into its environment, where pip will leave it.

    Returns
    -------
    list of str
        A note if SCT's own command was not found; otherwise empty.
    """
    command = environment.scripts / SHARED_COMMAND
    if not command.exists() or launches(command, "sct_rootlets"):
        source = _find_launcher_of_sct(environment, toolbox)
        if source is None:
            return [
                f"{command} is still ours (it hands over to SCT's): SCT's own copy is not in {toolbox.commands}; after "
                "uninstalling sct_rootlets, install SCT's commands again"
            ]
        with _staged(command) as stage:
            shutil.copy2(source, stage)
    _keep_from_pip(environment, command)
    return []


def ask_toolbox(environment: Environment) -> tuple[list[str], str]:
    """Ask a new Python of this environment which of our tasks SCT has.

    Returns
    -------
    tasks : list of str
    trouble : str
        Last line of the errors if there are no tasks; otherwise empty.
    """
    done = subprocess.run(
        [sys.executable, "-c", _LIST_TASKS_CODE], capture_output=True, text=True, check=False, cwd=environment.prefix
    )
    with contextlib.suppress(ValueError, IndexError):
        tasks = json.loads(done.stdout.splitlines()[-1])
        if tasks:
            return tasks, ""
    return [], (done.stderr.strip().splitlines() or ["it gives no reason"])[-1]


def _missing_commands(environment: Environment, toolbox: Toolbox) -> list[Path]:
    """List the commands that are still to be linked, or raise a `LinkError` if another program has such a command."""
    missing = [command for command in commands_to_link(environment, toolbox) if not is_ours(command, environment)]
    for command in missing:
        if os.path.lexists(command):
            raise LinkError(f"{command} is there already and not ours; move it away")
    return missing


def _find_launcher_of_sct(environment: Environment, toolbox: Toolbox) -> Path | None:
    """Find a copy of SCT's ``sct_deepseg``: that on the PATH, or another command of SCT, as pip writes all alike."""
    others = [environment.scripts / name for name in ("sct_image", "sct_maths", "sct_version")]
    for source in (toolbox.commands / SHARED_COMMAND, *others):
        if source.is_file() and launches(source, "spinalcordtoolbox") and not launches(source, "sct_rootlets"):
            return source
    return None


def _keep_from_pip(environment: Environment, command: Path) -> None:
    """Remove a command from the records by which pip deletes the package's files: RECORD, and the commands' names."""
    record = environment.record
    if record is None:
        return
    entry_points = record.with_name("entry_points.txt")
    lines = entry_points.read_bytes().splitlines(keepends=True)
    commands = b"".join(line for line in lines if line.split(b"=")[0].strip() != SHARED_COMMAND.encode())
    digest = base64.urlsafe_b64encode(hashlib.sha256(commands).digest()).rstrip(b"=").decode()
    files = []
    for name, *rest in csv.reader(io.StringIO(record.read_text(encoding="utf-8"))):
        path = (environment.site_packages / name).resolve()
        if path == entry_points.resolve():
            rest = [f"sha256={digest}", str(len(commands))]
        if path != command.resolve():
            files.append([name, *rest])
    listing = io.StringIO()
    csv.writer(listing, lineterminator="\n").writerows(files)
    for path, content in ((entry_points, commands), (record, listing.getvalue().encode())):
        if path.read_bytes() != content:
            _write(path, content)


def _write(path: Path, content: bytes) -> None:
    with _staged(path) as stage:
        stage.write_bytes(content)
        stage.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)


def _symlink(path: Path, target: Path) -> None:
    """Make a relative link, so that the folder may be moved as a whole."""
    path.symlink_to(os.path.relpath(target.parent.resolve() / target.name, path.parent.resolve()))


@contextlib.contextmanager
def _staged(path: Path) -> Iterator[Path]:
    """Give a temporary file that replaces another one at the end, unless an error occurs."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    stage = Path(name)
    try:
        yield stage
        stage.replace(path)
    finally:
        stage.unlink(missing_ok=True)


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    """Turn errors of reading and writing into a `LinkError`."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LinkError(
            f"cannot write {error.filename}: {reason}; whoever installed the Spinal Cord Toolbox can do this"
        ) from error
