"""Writing of files: JSON and tables in one format, and several files that appear together or not at all."""

from __future__ import annotations

import contextlib
import csv
import filecmp
import io
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sct_rootlets.cells import escape_cell
from sct_rootlets.errors import ImageError
from sct_rootlets.output.ownership import Guard, check_not_inputs, still_there
from sct_rootlets.output.scan import Scan
from sct_rootlets.sidecar import SCAN, read_object, seal, sha256_of

_LOGGER = logging.getLogger(__name__)

#: Beginning of the names of folders in which outputs wait until all are complete, and of files being written.
STAGE_PREFIX = ".sct_rootlets-"
#: Age at which the lock of a folder is that of a process that was killed.
STALE_LOCK_S = 60.0
#: Time between two looks at the lock of a folder.
WAIT_S = 0.02
#: Files of results that this process has put in place, for the message after an interruption.
placed_files: list[Path] = []


@contextlib.contextmanager
def staged_outputs(
    folder: str | os.PathLike[str], keep: Iterable[Path] = (), guard: Guard | None = None
) -> Iterator[Path]:
    """Write several files so that all of them appear complete, or none does.

    Yields a temporary folder inside `folder`. When the block ends without an error, every file in it, or in folders
    below it, is moved to the same place in `folder`, where it replaces a file of the same name. When anything fails,
    the temporary folder is removed, and files that were replaced are restored. Of two processes, the second one waits
    until the files of the first one are in place.

    Parameters
    ----------
    folder : path
    keep : iterable of Path
        Files that must not be replaced: the inputs.
    guard : Guard, optional
        Files of the user that must not be replaced; by default, only `keep` is protected.

    Raises
    ------
    ImageError
        If the folder cannot be made or written to, the disk is full, or a file would replace one that is kept.
    """
    folder = Path(folder)
    created = [path for path in (folder, *folder.parents) if not os.path.exists(path)]  # noqa: PTH110 (never raises)
    stage = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=STAGE_PREFIX, dir=folder))
        yield stage
        with _locked(folder) as refresh:
            _move_in(stage, folder, keep, guard, refresh)
        shutil.rmtree(stage)
    except BaseException as error:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
        for path in created:
            with contextlib.suppress(OSError):
                path.rmdir()
        if isinstance(error, OSError):
            raise ImageError(f"cannot write to {folder}: {describe_refusal(folder, error)}") from error
        raise


def describe_refusal(folder: Path, error: OSError) -> str:
    """Say why a folder cannot be written to, such as that a file has its name."""
    existing = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), folder)
    if not existing.is_dir():
        what = "a link to nothing" if existing.is_symlink() and not existing.exists() else "a file"
        return f"{existing} is {what}, not a folder; move it away, or choose another folder"
    return f"{error.strerror or error}; nothing was changed there"


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[Callable[[], None]]:
    """Hold the lock of a folder; yields a function that shows that its holder is alive."""
    lock = folder / f"{STAGE_PREFIX}lock"
    waits = 0
    while True:
        try:
            lock.mkdir()
            break
        except FileExistsError:
            with contextlib.suppress(OSError):
                if time.time() - lock.stat().st_mtime > STALE_LOCK_S:
                    dead = lock.with_name(f"{lock.name}-{os.getpid()}")
                    lock.rename(dead)  # of several processes that wait, one succeeds
                    dead.rmdir()
                    continue
            time.sleep(WAIT_S)
            waits += 1
            if waits == round(1 / WAIT_S):
                _LOGGER.info("waiting for another command in %s, or for one killed less than a minute ago", folder)
    try:
        yield lambda: os.utime(lock)
    finally:
        with contextlib.suppress(OSError):
            lock.rmdir()


def _move_in(stage: Path, folder: Path, keep: Iterable[Path], guard: Guard | None, refresh: Callable[[], None]) -> None:
    """Move files into a folder; if one cannot be moved, restore those that were replaced."""
    paths = sorted(path for path in stage.rglob("*") if path.is_file())
    targets = [folder / path.relative_to(stage) for path in paths]
    check_not_inputs(targets, keep)
    if guard is not None:
        guard.check([target for path, target in zip(paths, targets, strict=True) if not _is_same(path, target)])
    before = Path(tempfile.mkdtemp(prefix="before-", dir=stage))
    old = {target: before / str(number) for number, target in enumerate(targets) if os.path.lexists(target)}
    for target, copy in old.items():
        shutil.copy2(target, copy, follow_symlinks=False)
        refresh()
    try:
        for path, target in zip(paths, targets, strict=True):
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    except BaseException:
        for target in targets:
            if target in old:
                old[target].replace(target)
            else:
                target.unlink(missing_ok=True)
        raise
    if guard is not None:
        placed_files.extend(targets)


def _is_same(path: Path, target: Path) -> bool:
    """Whether a file is there already, with the same content: nothing is lost where it is replaced."""
    return target.is_file() and not target.is_symlink() and filecmp.cmp(path, target, shallow=False)


def write_atomic(path: Path, text: str) -> None:
    """Write a small text file so that it appears complete or not at all; its folder is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{STAGE_PREFIX}{os.getpid()}-{path.name}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def format_json(content: Any, indent: int | None = 2) -> str:
    """Format content as JSON in UTF-8, with a line break at the end; on one line if `indent` is None."""
    return json.dumps(content, indent=indent, ensure_ascii=False) + "\n"


def write_json(path: Path, content: Any, indent: int | None = 2) -> None:
    """Write a JSON file; see `format_json`."""
    path.write_text(format_json(content, indent), encoding="utf-8")


def format_table(columns: Sequence[str], rows: Iterable[Mapping[str, object]], separator: str = ",") -> str:
    """Format rows as delimited text: floats with three decimals (0.001 mm), None as an empty cell.

    Text that a spreadsheet would run as a formula is escaped (`sct_rootlets.cells.escape_cell`).

    Parameters
    ----------
    columns : sequence of str
        Keys of the rows, in the order of the columns.
    rows : iterable of mapping
    separator : str
    """

    def cell(value: object) -> object:
        return f"{value:.3f}" if isinstance(value, float) else escape_cell(value)

    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
    writer.writerow([escape_cell(column) for column in columns])
    writer.writerows([cell(row[column]) for column in columns] for row in rows)
    return stream.getvalue()


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]], separator: str = ",") -> None:
    """Write rows as a delimited text file; see `format_table`."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        stream.write(format_table(columns, rows, separator))


def seal_sidecars(stage: Path, folder: Path, record: str | None = None, scan: Scan | None = None) -> None:
    """Write into each sidecar of a folder of complete outputs the hashes of the files that it describes.

    Parameters
    ----------
    stage : Path
        Folder of the outputs, before they are moved in.
    folder : Path
        Folder that they are moved into. What the earlier record there lists, and is not written anew, stays listed if
        it is unchanged.
    record : str, optional
        Name of the JSON file that lists all files of the set.
    scan : Scan, optional
        The scan that the outputs belong to.
    """
    paths = sorted(path for path in stage.iterdir() if path.is_file())
    digests = {path.name: sha256_of(path) for path in paths if path.suffix != ".json"}
    for sidecar in (path for path in paths if path.suffix == ".json"):
        own = {name: digest for name, digest in digests.items() if name.startswith(f"{sidecar.stem}.")}
        if sidecar.name == record:
            own = {**still_there(folder, record), **digests}
        content = read_object(sidecar) if scan is None else {**read_object(sidecar), SCAN: scan.record}
        write_json(sidecar, seal(content, own))
