"""Add our tasks and commands to an installed Spinal Cord Toolbox (SCT), take them out again, and say how things stand.

What is written: a ``.pth`` file, which lets each Python of SCT's environment wait for SCT's tasks to be loaded (see
`sct_rootlets.plugin.hook`), and links to our commands in the folder that SCT has on the PATH. Nothing of SCT's is changed.
One thing is put right: pip has written our ``sct_deepseg`` over SCT's in the environment (not the copy on the PATH).
SCT's is put back, and struck off the lists of what pip deletes when it uninstalls this package.
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
from sct_rootlets.sct.installation import SHARED, Environment, Toolbox, nnunet_notes

PTH = "sct_rootlets_link.pth"
# One line, as site wants it; silent where the package has been uninstalled and this file has been left behind.
_PTH_TEXT = (
    'import sys; exec("'
    r"try:\n from sct_rootlets.plugin import hook\n hook.install()\nexcept Exception:\n pass"
    '")\n'
)
_ASK = (
    "import json, spinalcordtoolbox.scripts.sct_deepseg\n"
    "from sct_rootlets.plugin.register import added_tasks\n"
    "print(json.dumps(added_tasks()))"
)


def link(environment: Environment, toolbox: Toolbox) -> list[str]:
    """Link; linking twice is linking once.

    Parameters
    ----------
    environment : Environment
    toolbox : Toolbox

    Returns
    -------
    list of str
        What was done, and what to know.

    Raises
    ------
    LinkError
        If a file cannot be written, another program's is in the way, or SCT does not take the tasks; then nothing
        is linked.
    """
    with ExitStack() as undo, _one_line():
        notes = restore_shared(environment, toolbox)
        for command in _missing_commands(environment, toolbox):
            _symlink(command, environment.scripts / command.name)
            undo.callback(command.unlink)
        pth = environment.site_packages / PTH
        if not pth.exists():
            undo.callback(pth.unlink, missing_ok=True)
        _write(pth, _PTH_TEXT.encode())
        tasks, trouble = ask_toolbox(environment)
        if not tasks:
            raise LinkError(f"the Spinal Cord Toolbox {toolbox.version} does not take our tasks: {trouble}")
        undo.pop_all()
    return [f"sct_deepseg has the tasks {', '.join(tasks)}", *notes, *nnunet_notes()]


def unlink(environment: Environment, toolbox: Toolbox | None) -> list[str]:
    """Take out what `link` has added, and see to it that uninstalling the package leaves SCT's commands alone.

    Parameters
    ----------
    environment : Environment
    toolbox : Toolbox, optional
        None where it is gone.

    Returns
    -------
    list of str
        What was done.

    Raises
    ------
    LinkError
        If a file cannot be deleted.
    """
    with _one_line():
        pth = environment.site_packages / PTH
        removed = [pth] if pth.exists() else []
        if toolbox is not None:
            removed += [command for command in _commands(environment, toolbox) if _is_ours(command, environment)]
        for path in removed:
            path.unlink()
        notes = [] if toolbox is None else restore_shared(environment, toolbox)
    return [*(f"removed {path}" for path in removed), *notes] or ["nothing was linked"]


def restore_shared(environment: Environment, toolbox: Toolbox) -> list[str]:
    """Put SCT's ``sct_deepseg`` back into its environment, and have pip leave it there.

    Returns
    -------
    list of str
        A note, if SCT's own command is not to be found.
    """
    command = environment.scripts / SHARED
    if not command.exists() or _mentions(command, "sct_rootlets"):
        source = _own_launcher(environment, toolbox)
        if source is None:
            return [
                f"{command} is still ours (it hands over to SCT's): SCT's own copy is not in {toolbox.commands}; after "
                "uninstalling sct_rootlets, install SCT's commands again"
            ]
        with _staged(command) as stage:
            shutil.copy2(source, stage)
    _strike_off(environment, command)
    return []


def ask_toolbox(environment: Environment) -> tuple[list[str], str]:
    """Ask a new Python of this environment which of our tasks SCT has.

    Returns
    -------
    tasks : list of str
    trouble : str
        Its last words, where it has none.
    """
    done = subprocess.run(
        [sys.executable, "-c", _ASK], capture_output=True, text=True, check=False, cwd=environment.prefix
    )
    with contextlib.suppress(ValueError, IndexError):
        tasks = json.loads(done.stdout.splitlines()[-1])
        if tasks:
            return tasks, ""
    return [], (done.stderr.strip().splitlines() or ["it gives no reason"])[-1]


def status(environment: Environment, toolbox: Toolbox) -> list[str]:
    """What is linked, with which SCT, and which weights there are.

    Returns
    -------
    list of str
        Lines for a reader.
    """
    pth = environment.site_packages / PTH
    tasks, trouble = ask_toolbox(environment) if pth.exists() else ([], "not linked: sct_rootlets link")
    commands = [str(command) for command in _commands(environment, toolbox) if _is_ours(command, environment)]
    if toolbox.commands == environment.scripts or not toolbox.commands.is_dir():
        commands = [str(environment.scripts / name) for name in environment.own_commands]
    shared = environment.scripts / SHARED
    own = shared.exists() and not _mentions(shared, "sct_rootlets")
    return [
        f"sct_rootlets {environment.package.version} in {environment.prefix}",
        f"Spinal Cord Toolbox {toolbox.version} in {toolbox.folder}",
        f"tasks: {', '.join(tasks)}" if tasks else f"tasks: none ({trouble})",
        f"linked by: {pth if pth.exists() else 'nothing'}",
        f"commands: {', '.join(commands) or 'none on the PATH of SCT'}",
        f"{shared}: {'of SCT' if own else 'ours, which hands over to that of SCT (sct_rootlets link puts it back)'}",
        f"weights: {_weights()}",
        *nnunet_notes(),
    ]


def _weights() -> str:
    from sct_rootlets.models.weights import FOLDER, installed_names, manifest

    try:
        own = manifest()
        bundled = f"{own['name']} {own['version']}, bundled, {own['bytes'] / 1e6:.1f} MB in {FOLDER}"
    except (OSError, ValueError, KeyError):
        return f"those in {FOLDER} are damaged; install sct_rootlets again"
    try:
        installed = installed_names()
    except ImportError:  # without platformdirs there is no folder to look in
        installed = []
    return "; ".join([bundled, *(f"{name}, installed" for name in installed)])


def _commands(environment: Environment, toolbox: Toolbox) -> list[Path]:
    """Our commands where SCT's are; none if the environment's own folder is on the PATH instead."""
    if not toolbox.commands.is_dir() or toolbox.commands.resolve() == environment.scripts.resolve():
        return []
    return [toolbox.commands / name for name in environment.own_commands]


def _missing_commands(environment: Environment, toolbox: Toolbox) -> list[Path]:
    missing = [command for command in _commands(environment, toolbox) if not _is_ours(command, environment)]
    for command in missing:
        if os.path.lexists(command):
            raise LinkError(f"{command} is there already and not ours; move it away")
    return missing


def _is_ours(command: Path, environment: Environment) -> bool:
    """Whether a command is a link to ours, even one that leads nowhere any more, or a copy of it."""
    if command.is_symlink():
        target = os.path.normpath(command.parent.resolve() / command.readlink())
        return target == os.path.normpath(environment.scripts.resolve() / command.name)
    return command.is_file() and _mentions(command, "sct_rootlets")


def _own_launcher(environment: Environment, toolbox: Toolbox) -> Path | None:
    """A copy of SCT's ``sct_deepseg``: that on the PATH, else another command of SCT's, as pip writes all alike."""
    others = [environment.scripts / name for name in ("sct_image", "sct_maths", "sct_version")]
    for source in (toolbox.commands / SHARED, *others):
        if source.is_file() and _mentions(source, "spinalcordtoolbox") and not _mentions(source, "sct_rootlets"):
            return source
    return None


def _mentions(file: Path, package: str) -> bool:
    return f"from {package}".encode() in file.read_bytes()


def _strike_off(environment: Environment, command: Path) -> None:
    """Take our ``sct_deepseg`` out of what pip deletes with the package: listed files, and commands by name."""
    record = environment.record
    if record is None:
        return
    points = record.with_name("entry_points.txt")
    lines = points.read_bytes().splitlines(keepends=True)
    commands = b"".join(line for line in lines if line.split(b"=")[0].strip() != SHARED.encode())
    digest = base64.urlsafe_b64encode(hashlib.sha256(commands).digest()).rstrip(b"=").decode()
    files = []
    for name, *rest in csv.reader(io.StringIO(record.read_text(encoding="utf-8"))):
        place = (environment.site_packages / name).resolve()
        if place == points.resolve():
            rest = [f"sha256={digest}", str(len(commands))]
        if place != command.resolve():
            files.append([name, *rest])
    listing = io.StringIO()
    csv.writer(listing, lineterminator="\n").writerows(files)
    for path, content in ((points, commands), (record, listing.getvalue().encode())):
        if path.read_bytes() != content:
            _write(path, content)


def _write(path: Path, content: bytes) -> None:
    with _staged(path) as stage:
        stage.write_bytes(content)
        stage.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)


def _symlink(path: Path, target: Path) -> None:
    """Link relatively, so that the folder may be moved as a whole."""
    path.symlink_to(os.path.relpath(target.parent.resolve() / target.name, path.parent.resolve()))


@contextlib.contextmanager
def _staged(path: Path) -> Iterator[Path]:
    """Give a temporary file that takes the place of another one when all went well."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    stage = Path(name)
    try:
        yield stage
        stage.replace(path)
    finally:
        stage.unlink(missing_ok=True)


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LinkError(
            f"cannot write {error.filename}: {reason}; whoever installed the Spinal Cord Toolbox can do this"
        ) from error
