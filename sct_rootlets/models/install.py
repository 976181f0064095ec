"""Installing and removing models, so that each is complete or absent at every moment.

Files are copied into a new folder and checked there, completely; then the pointer, a small file beside that folder, is
replaced in one step (`os.replace`), and only then is the old folder removed. A process that is killed leaves the old
model or the new one, and perhaps a folder that nothing points to, which the next installation removes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sct_rootlets.errors import ModelError
from sct_rootlets.models import archive, download
from sct_rootlets.models.catalogue import Release, read_catalogue
from sct_rootlets.models.files import checkpoints
from sct_rootlets.models.installed import (
    FOLDERS_VARIABLE,
    POINTER_FILE,
    RECORD_FILE,
    REMOVED_FILE,
    check_name,
    find_installed,
    model_folders,
    read_installed,
    recorded_content,
)
from sct_rootlets.models.manifest import BUNDLED
from sct_rootlets.models.requirements import check_classes, import_torch
from sct_rootlets.models.weights import Weights, bundled_weights
from sct_rootlets.sidecar import sha256_of

_LOCK_FILE = ".lock"
#: An installation by another process is waited for so long; a note appears after the shorter time.
_MAX_LOCK_WAIT_S = 1800.0
_LOCK_NOTE_AFTER_S = 2.0


def install(
    name: str,
    sources: Sequence[str] = (),
    *,
    force: bool = False,
    progress: bool = False,
    patience: download.Patience = download.Patience(),  # noqa: B008 (frozen)
) -> tuple[Weights, bool]:
    """Install a model into the first of `sct_rootlets.models.installed.model_folders`.

    Parameters
    ----------
    name : str
        Name of the catalogue; or a new one, with `sources`.
    sources : sequence of str
        http(s) or file addresses, zip files or folders, tried in turn. By default, the addresses where the model is
        published.
    force : bool
        Install the model even if it differs from what was installed under this name before.
    progress : bool
        Show a bar while downloading.
    patience : sct_rootlets.models.download.Patience

    Returns
    -------
    weights : Weights
    new : bool
        False if the very same files were installed already.

    Raises
    ------
    ModelError
        If no source gives a complete, sound model of rootlets; nothing has changed then.
    """
    if name == BUNDLED:
        return bundled_weights(), False
    check_name(name)
    releases = read_catalogue()
    release = releases.get(name)
    if release is None and not sources:
        known = ", ".join(other for other in releases if other != BUNDLED)
        raise ModelError(f"{name} is not a model that can be installed by its name; there are {known}")
    if not sources:
        present = _find_unchanged(name)
        if present is not None and not force:
            return present, False
    if len(sources) == 1:
        local = _local_path(sources[0])  # a mistyped path, or no archive, is reported before torch is loaded
        if local is not None and local.is_file():
            archive.check_members(local, _printable(sources[0]))
    import_torch()  # a model cannot be checked without it, and the download takes long
    with _locked_home(model_folders()[0], name, progress) as home:
        _tidy(home)
        present = _find_unchanged(name)  # another process may have installed it meanwhile
        if present is not None and not sources and not force:
            return present, False
        reasons = []
        for source in sources or (release.mirrors if release else ()):
            try:
                result = _install_from(source, home, release, present, force, progress, patience)
                for part in home.glob(".*"):
                    if part.suffix in download.UNFINISHED_SUFFIXES:  # left by mirrors that failed
                        part.unlink()
                return result
            except ModelError as error:
                reasons.append(str(error))
            except OSError as error:
                raise ModelError(f"{home} cannot be written to ({error.strerror or error})") from error
            finally:
                _tidy(home)
    raise ModelError("; ".join(reasons))


def remove(name: str) -> Path:
    """Remove an installed model; the hash of its files is kept for the next installation.

    Returns
    -------
    Path
        The folder of the removed model.

    Raises
    ------
    ModelError
        If it is not installed, or its folder cannot be written to.
    """
    if name == BUNDLED:
        raise ModelError("the bundled model is part of the package; python -m pip uninstall sct_rootlets removes both")
    check_name(name)
    folder = next((folder for folder in model_folders() if (folder / name / POINTER_FILE).is_file()), None)
    if folder is None:
        raise ModelError(f"{name} is not installed; see: sct_rootlets models list")
    with _locked_home(folder, name) as home:
        try:
            content = recorded_content(folder, name)
            if content is not None:
                _replace(home / REMOVED_FILE, {"content": content})
            (home / POINTER_FILE).unlink(missing_ok=True)
        except OSError as error:
            raise ModelError(f"{home} cannot be written to ({error.strerror})") from error
        _tidy(home)
    return home


def _install_from(
    source: str,
    home: Path,
    release: Release | None,
    present: Weights | None,
    force: bool,
    progress: bool,
    patience: download.Patience,
) -> tuple[Weights, bool]:
    """Copy a model into a new folder, check it, and let the pointer name that folder."""
    name = home.name
    new = home / uuid.uuid4().hex  # folders that tempfile makes cannot be read by other users
    new.mkdir()
    # SCT reads the first three entries; because of "custom", it does not replace the model by its own of this name.
    record: dict[str, Any] = {"model_name": name, "model_urls": _printable(source), "custom": True}
    record |= {"version": release.version if release else None, "sha256": None}
    local = _local_path(source)
    if local is not None and local.is_dir():
        trainer = archive.copy_folder(local, new)
    else:
        published = release.sha256 if release else None
        record["sha256"], trainer = _unpack(source, local, home, new, published, progress, patience)
    _check_model(trainer, _printable(source))
    record["files"] = {
        path.relative_to(new).as_posix(): sha256_of(path) for path in sorted(new.rglob("*")) if path.is_file()
    }
    content = _content(record["files"])
    record["version"] = record["version"] or content[:12]
    recorded = (recorded_content(folder, name) for folder in model_folders())
    before = next((known for known in recorded if known is not None), None)
    if before not in (None, content) and not force:
        reason = (
            "does not hold the files that were installed" if before else "cannot be compared with what was installed"
        )
        raise ModelError(
            f"{_printable(source)} {reason} as {name} before; give it another name, or replace them for good with "
            "-force"
        )
    if present is not None and _content(present.files) == content:
        return present, False
    record |= {"licence": release.licence, "citation": release.citation} if release else {}
    _write(new / RECORD_FILE, record)
    _replace(home / POINTER_FILE, {"folder": new.name, "content": content})  # from here on, the new model is found
    installed = read_installed(home.parent, name)
    assert installed is not None
    return installed, True


def _unpack(
    source: str,
    local: Path | None,
    home: Path,
    new: Path,
    published: str | None,
    progress: bool,
    patience: download.Patience,
) -> tuple[str, Path]:
    """Get a zip file, check it against the published hash, and unpack it; return its hash and the trainer's folder."""
    path = local
    if path is None:
        path = download.download(
            source, home, published, limit_bytes=archive.MAX_BYTES, patience=patience, progress=progress
        )
    try:
        digest = sha256_of(path)
        if published not in (None, digest):
            raise ModelError(f"{_printable(source)} is not the file that was published: its SHA-256 differs")
        return digest, archive.unpack(path, new, _printable(source))
    finally:
        if local is None:
            path.unlink(missing_ok=True)


def _check_model(trainer: Path, shown: str) -> None:
    """Load a model without running code from it; raise a `ModelError` if it is no sound model of rootlets."""
    from sct_rootlets.models.model import check_runs, load_model

    for path in checkpoints(trainer):
        archive.check_checkpoint(path, shown)
    try:
        model = load_model(trainer.parent)
        check_classes(model.labels, shown)
        check_runs(model)
    except ModelError as error:
        reason = str(error).replace(f"{trainer}{os.sep}", "").replace(str(trainer), trainer.name)
        raise ModelError(f"{shown} was refused: {reason}") from error


def _content(files: dict[str, str]) -> str:
    """Combine the hashes of all files into one, which does not depend on the archive that they came in."""
    lines = "".join(f"{digest}  {path}\n" for path, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _find_unchanged(name: str) -> Weights | None:
    """Find an installed model, provided that its files have not changed."""
    try:
        installed = find_installed(name)
    except ModelError:
        return None
    return None if installed is None or installed.changed_files() else installed


def _local_path(source: str) -> Path | None:
    """Return the path of a file or folder, or None for an address on the network."""
    try:
        scheme = urlsplit(source).scheme.lower()
    except ValueError as error:
        raise ModelError(f"{source} is not an address ({error})") from error
    if scheme in ("http", "https"):
        return None
    if scheme == "file":
        path = Path(url2pathname(urlsplit(source).path))
    elif "://" in source:
        raise ModelError(f"{_printable(source)} has a scheme that is not supported; use http, https or file")
    else:
        path = Path(os.path.expanduser(source))  # noqa: PTH111 (leaves an unknown user's name in place)
    try:
        exists = path.exists()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error
    if not exists:
        raise ModelError(f"{path} does not exist; give an address, a zip file or a folder")
    if not os.access(path, os.R_OK):
        raise ModelError(f"{path} cannot be read by you")
    return path.absolute()


def _printable(source: str) -> str:
    """Return a source as messages and records show it."""
    return download.without_secrets(source) if "://" in source else source


@contextmanager
def _locked_home(folder: Path, name: str, progress: bool = False) -> Iterator[Path]:
    """Make the folder of a model, and keep other processes from changing it meanwhile."""
    home = folder / name
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _lock(home / _LOCK_FILE, f"{name} in {folder}", progress):
            yield home
    except OSError as error:
        raise ModelError(
            f"{folder} cannot be written to ({error.strerror or error}); begin {FOLDERS_VARIABLE} with a folder of "
            f"yours, as in {FOLDERS_VARIABLE}=mine{os.pathsep}shared"
        ) from error


@contextmanager
def _lock(path: Path, what: str, progress: bool) -> Iterator[None]:
    import filelock

    lock = filelock.FileLock(path, timeout=_MAX_LOCK_WAIT_S, mode=0o664)  # a group may share the folder
    try:
        try:
            lock.acquire(timeout=min(_LOCK_NOTE_AFTER_S, _MAX_LOCK_WAIT_S))
        except filelock.Timeout:
            if progress:
                print(f"waiting for another process that is changing {what}", file=sys.stderr)
            lock.acquire()
    except filelock.Timeout as error:
        raise ModelError(f"another process is changing {what}; try again when it has finished") from error
    except NotImplementedError as error:
        raise ModelError(
            f"{path.parent} lies on a file system that cannot lock files; begin {FOLDERS_VARIABLE} with a folder on "
            "another one"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _tidy(home: Path) -> None:
    """Remove the folders that nothing points to: of installations that were killed or have been replaced."""
    keep = {POINTER_FILE, _LOCK_FILE}
    try:
        keep.add(json.loads((home / POINTER_FILE).read_text(encoding="utf-8"))["folder"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # nothing is installed, or the pointer is damaged
        keep.add(REMOVED_FILE)
    for path in home.iterdir():
        if path.name not in keep and path.suffix not in download.UNFINISHED_SUFFIXES:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _write(path: Path, content: dict[str, Any]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _replace(path: Path, content: dict[str, Any]) -> None:
    """Replace a small file in one step."""
    new = path.with_suffix(".new")
    _write(new, content)
    new.replace(path)
