"""Copying a model out of a zip file or a folder that is not trusted.

Everything is checked before anything is written: names, kinds, numbers and sizes of all members. Then the files of the
one ``nnUNetTrainer...`` folder are copied, as plain files.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import IO

from sct_rootlets.errors import ModelError
from sct_rootlets.models.files import CHECKPOINTS, CROP_FILE, SETTINGS_FILES

#: Largest size of an unpacked model: one with five folds of 250 MB stays below, and so do all that a laptop can run.
MAX_BYTES = 4 * 2**30
MAX_FILES = 2000
#: Weights do not compress: an archive that unpacks to more than this many times its size does not hold weights.
MAX_COMPRESSION_RATIO = 100
#: Archives that unpack to no more than this are not checked for their ratio.
_MIN_CHECKED_BYTES = 2**20
#: Names of trainers' folders begin so.
TRAINER_PREFIX = "nnUNetTrainer"
#: Errors that zipfile raises for damaged files.
_DAMAGE_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True)
class _Member:
    """A file in an archive or folder; `path` is relative to its top, and `size` is in bytes."""

    path: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, target: Path, shown: str) -> Path:
    """Copy the model in a zip file to a folder.

    Parameters
    ----------
    archive : Path
    target : Path
        An empty folder.
    shown : str
        Name of the archive in messages.

    Returns
    -------
    Path
        The trainer's folder, in `target`.

    Raises
    ------
    ModelError
        If it is not a zip file, is damaged, has members that no archive of a model has, or does not hold one model.
    """
    with _opened(archive, shown) as opened:
        return _copy(_zip_members(opened, archive.stat().st_size, shown), target, shown)


def check_members(archive: Path, shown: str) -> None:
    """Check the members that a zip file lists, without unpacking it; parameters and errors are those of `unpack`."""
    with _opened(archive, shown) as opened:
        _zip_members(opened, archive.stat().st_size, shown)


@contextmanager
def _opened(archive: Path, shown: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip file; damage becomes a `ModelError`."""
    try:
        with zipfile.ZipFile(archive) as opened:
            yield opened
    except _DAMAGE_ERRORS as error:
        reason = "it is encrypted" if "password" in str(error) else str(error).partition("\n")[0].rstrip(".")
        raise ModelError(f"{shown} is not a zip file that can be unpacked ({reason})") from error


def copy_folder(folder: Path, target: Path) -> Path:
    """Copy the model in a folder to another one; parameters and errors are those of `unpack`."""
    if folder.name.startswith(TRAINER_PREFIX) and (folder / "plans.json").is_file():
        members = _folder_members(folder, PurePosixPath(folder.name))
    else:
        members = _folder_members(folder, PurePosixPath())
    return _copy(members, target, str(folder))


def _zip_members(archive: zipfile.ZipFile, size: int, shown: str) -> list[_Member]:
    members = []
    for info in archive.infolist():
        if _is_litter(PurePosixPath(info.filename)):
            continue
        path = _checked_path(info.filename, shown)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            what = "a link" if kind == stat.S_IFLNK else "no plain file"
            raise ModelError(f"{shown} was refused: {info.filename!r} in it is {what}")
        if not info.is_dir():
            members.append(_Member(path, info.file_size, lambda info=info: archive.open(info)))  # type: ignore[misc]
    unpacked = _check_amount(members, shown)
    if unpacked > max(MAX_COMPRESSION_RATIO * size, _MIN_CHECKED_BYTES):
        raise ModelError(f"{shown} was refused: it unpacks to {unpacked // size} times its size, as no weights do")
    return members


def _checked_path(name: str, shown: str) -> PurePosixPath:
    """Return the path of a member, or raise a `ModelError` if no file of a model can have it."""
    path = PurePosixPath(name)
    outside = path.is_absolute() or ".." in path.parts or "\\" in name or re.match("[A-Za-z]:", name)
    if outside:
        raise ModelError(f"{shown} was refused: {name!r} in it would lie outside the model's folder")
    if not name.isprintable() or any(len(part.encode()) > 255 for part in path.parts):
        raise ModelError(f"{shown} was refused: {name[:80]!r} in it is not a valid file name")
    return path


def _folder_members(folder: Path, prefix: PurePosixPath) -> list[_Member]:
    members: list[_Member] = []

    def failed(error: OSError) -> None:
        raise ModelError(f"{error.filename} cannot be read ({error.strerror})") from error

    for parent, folders, files in os.walk(folder, onerror=failed):
        for name in (*folders, *files):
            path = Path(parent, name)
            state = path.lstat()
            if not (stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)):
                what = "a link; give a copy made by cp -rL" if path.is_symlink() else "no plain file"
                raise ModelError(f"{folder} was refused: {path.relative_to(folder)} in it is {what}")
            if name in files and not _is_litter(path):
                inner = prefix / path.relative_to(folder).as_posix()
                members.append(_Member(inner, state.st_size, lambda path=path: path.open("rb")))  # type: ignore[misc]
        _check_amount(members, str(folder))
    return members


def _check_amount(members: list[_Member], shown: str) -> int:
    """Return the unpacked size in bytes, or raise a `ModelError` if there are too many bytes or files."""
    total = sum(member.size for member in members)
    if total > MAX_BYTES:
        raise ModelError(
            f"{shown} was refused: it unpacks to {total / 2**30:.1f} GiB; models have up to {MAX_BYTES / 2**30:g}"
        )
    if len(members) > MAX_FILES:
        raise ModelError(f"{shown} was refused: it holds more than {MAX_FILES} files; a model has a few")
    return total


def _copy(members: list[_Member], target: Path, shown: str) -> Path:
    """Write the files of the trainer's folder, and the margins beside it if there are any; return the folder."""
    depth, trainer = _find_trainer(members, shown)
    seen: set[str] = set()
    folders: set[str] = set()
    chosen = []
    for member in members:
        if member.path.parts[: depth + 1] == trainer or member.path.parts == (*trainer[:-1], CROP_FILE):
            inner = PurePosixPath(*member.path.parts[depth:])
            folded = str(inner).casefold()
            above = {str(folder).casefold() for folder in inner.parents}
            if folded in seen or folded in folders or above & seen:
                raise ModelError(f"{shown} was refused: it holds {str(inner)!r} twice")
            seen.add(folded)
            folders |= above
            chosen.append((inner, member))
    _check_complete([inner for inner, _ in chosen], shown)
    for inner, member in chosen:
        path = target.joinpath(*inner.parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        with _open_member(member, shown) as source, path.open("xb") as file:
            shutil.copyfileobj(source, file, 2**20)
            file.flush()
            os.fsync(file.fileno())
    return target / trainer[-1]


def _open_member(member: _Member, shown: str) -> IO[bytes]:
    try:
        return member.open()
    except OSError as error:
        raise ModelError(f"{member.path} in {shown} cannot be read ({error.strerror or error})") from error


def _is_litter(path: PurePath) -> bool:
    """Tell whether a file is one that macOS adds to archives and folders."""
    return "__MACOSX" in path.parts or path.name in (".DS_Store", "Icon\r") or path.name.startswith("._")


def _find_trainer(members: list[_Member], shown: str) -> tuple[int, tuple[str, ...]]:
    """Find the only trainer's folder; return the number of folders above it, and its path."""
    trainers = set()
    for member in members:
        depths = [n for n, part in enumerate(member.path.parts[:-1]) if part.startswith(TRAINER_PREFIX)]
        if depths:
            trainers.add(member.path.parts[: depths[0] + 1])
    if len(trainers) > 1:
        names = ", ".join(sorted("/".join(parts) for parts in trainers))
        raise ModelError(f"{shown} holds {len(trainers)} models ({names}); give one of them alone")
    if not trainers:
        flat = any(member.path.name == "plans.json" for member in members)
        why = (
            " around its plans.json; put the files into one, as nnU-Net does"
            if flat
            else ": it is not an nnU-Net model"
        )
        raise ModelError(f"{shown} has no folder {TRAINER_PREFIX}...{why}")
    trainer = trainers.pop()
    return len(trainer) - 1, trainer


def _check_complete(paths: list[PurePosixPath], shown: str) -> None:
    """Raise a `ModelError` if a file is missing among paths that begin with the trainer's folder."""
    inner = [PurePosixPath(*path.parts[1:]) for path in paths]
    for patterns in (*((name,) for name in SETTINGS_FILES[:2]), CHECKPOINTS):
        depth = patterns[0].count("/") + 1
        if not any(len(path.parts) == depth and path.match(pattern) for path in inner for pattern in patterns):
            raise ModelError(f"{shown} is incomplete: it has no {patterns[0]} in its {TRAINER_PREFIX}... folder")


def check_checkpoint(path: Path, shown: str) -> None:
    """Raise a `ModelError` if a checkpoint, which is a zip file itself, unpacks to more than any model has."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as opened:
            total = sum(info.file_size for info in opened.infolist())
    except _DAMAGE_ERRORS as error:
        raise ModelError(f"{shown} was refused: its {path.name} is damaged") from error
    if total > min(MAX_BYTES, max(MAX_COMPRESSION_RATIO * path.stat().st_size, _MIN_CHECKED_BYTES)):
        raise ModelError(f"{shown} was refused: its {path.name} unpacks to {total / 2**20:.0f} MiB")
