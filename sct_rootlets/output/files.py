"""Writing of files: JSON and tables in one format, and several files that appear together or not at all."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sct_rootlets.cells import escape_cell
from sct_rootlets.errors import ImageError

#: Beginning of the names of folders in which outputs wait until all are complete, and of files being written.
STAGE_PREFIX = ".sct_rootlets-"


@contextlib.contextmanager
def staged_outputs(folder: str | os.PathLike[str], keep: Iterable[Path] = ()) -> Iterator[Path]:
    """Write several files so that all of them appear complete, or none does.

    Yields a temporary folder inside `folder`. When the block ends without an error, every file in it is moved into
    `folder`, where it replaces a file of the same name. When anything fails, the temporary folder is removed, and
    files that were replaced are restored.

    Parameters
    ----------
    folder : path
    keep : iterable of Path
        Files that must not be replaced: the inputs.

    Raises
    ------
    ImageError
        If the folder cannot be made or written to, the disk is full, or a file would replace one of `keep`.
    """
    folder = Path(folder)
    created = [path for path in (folder, *folder.parents) if not os.path.exists(path)]  # noqa: PTH110 (never raises)
    stage = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=STAGE_PREFIX, dir=folder))
        yield stage
        _move_in(sorted(stage.iterdir()), folder, stage, keep)
        shutil.rmtree(stage)
    except BaseException as error:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
        for path in created:
            with contextlib.suppress(OSError):
                path.rmdir()
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise ImageError(f"cannot write to {folder}: {reason}; nothing was changed there") from error
        raise


def _move_in(paths: list[Path], folder: Path, stage: Path, keep: Iterable[Path]) -> None:
    """Move files into a folder; if one cannot be moved, restore those that were replaced."""
    targets = [folder / path.name for path in paths]
    for target in targets:
        if target.is_dir():
            raise ImageError(f"{target} is a folder where a file is to be written; move it away")
        if target.exists() and any(path.exists() and target.samefile(path) for path in keep):
            raise ImageError(f"{target} is an input and would be replaced; choose another output folder")
    before = stage / "before"
    before.mkdir()
    old = [target for target in targets if target.exists()]
    for target in old:
        shutil.copy2(target, before / target.name)
    try:
        for path, target in zip(paths, targets, strict=True):
            path.replace(target)
    except BaseException:
        for target in targets:
            if target in old:
                (before / target.name).replace(target)
            else:
                target.unlink(missing_ok=True)
        raise


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
