"""Output files that appear together, whole, or not at all."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sct_rootlets.errors import ImageError

#: What names of folders begin with in which outputs wait until all are there.
STAGE_PREFIX = ".sct_rootlets-"


@contextlib.contextmanager
def staged_outputs(folder: str | os.PathLike[str], keep: Iterable[Path] = ()) -> Iterator[Path]:
    """Write several files so that all of them appear, whole, or none does.

    Yields a temporary folder inside ``folder``. When the block ends well, every file in it is moved into
    ``folder``, over a file of the same name; when anything fails, nothing is left behind and what was there before
    is there again.

    Parameters
    ----------
    folder : path
    keep : iterable of Path
        Files that must not be replaced: the inputs.

    Raises
    ------
    ImageError
        If the folder cannot be made or written to, the disk is full, or a file would replace one of ``keep``.
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
    """Move files into a folder; if one cannot be moved, put back those that were replaced."""
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


def write_json(path: Path, content: Any) -> None:
    """Write a sidecar."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_table(path: Path, columns: Sequence[str], rows: Sequence[dict[str, object]], separator: str = ",") -> None:
    """Write rows as a delimited text file: numbers in mm to 0.001, nothing where a value is None."""

    def text(value: object) -> object:
        return f"{value:.3f}" if isinstance(value, float) else value

    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([text(row[column]) for column in columns] for row in rows)
