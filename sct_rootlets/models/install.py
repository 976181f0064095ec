"""Install and remove models, so that at every moment a model is there whole or not at all.

Files are copied into a new folder and checked there, completely; then the pointer, a small file beside that folder, is
replaced in one step (`os.replace`), and only then is the old folder removed. A process that is killed leaves the old
model or the new one, and perhaps a folder that nothing points to, which the next installation removes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sct_rootlets.errors import ModelError
from sct_rootlets.models import archive, download
from sct_rootlets.models.weights import (
    BUNDLED,
    POINTER,
    RECORD,
    VARIABLE,
    Release,
    Weights,
    bundled,
    catalogue,
    changed_files,
    check_classes,
    check_name,
    find_installed,
    import_torch,
    model_folders,
    read_installed,
    sha256_of,
)

#: What a removed model was, beside its pointer: it may come back, and should then be the same.
REMOVED = "removed.json"
_LOCK = ".lock"
_LOCK_WAIT_S = 1800.0
_LOCK_NOTE_S = 2.0


def install(
    name: str,
    sources: Sequence[str] = (),
    *,
    force: bool = False,
    progress: bool = False,
    patience: download.Patience = download.Patience(),  # noqa: B008 (frozen)
) -> tuple[Weights, bool]:
    """Install a model into the first of `sct_rootlets.models.weights.model_folders`.

    Parameters
    ----------
    name : str
        Of the catalogue; or a new one, with `sources`.
    sources : sequence of str
        Where to take it from: http(s) or file addresses, zip files or folders, tried in turn. By default, where it is
        published.
    force : bool
        Install it even if it differs from what was installed under this name before.
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
        If it cannot be had, or what is had is not a whole, sound model of rootlets; nothing has changed then.
    """
    if name == BUNDLED:
        return bundled(), False
    check_name(name)
    release = catalogue().get(name)
    if release is None and not sources:
        known = ", ".join(other for other in catalogue() if other != BUNDLED)
        raise ModelError(f"{name} is no model that can be installed by its name; there are {known}")
    if not sources:
        present = _sound(name)
        if present is not None and not force:
            return present, False
    import_torch()  # without it a model cannot be checked: better said before it is downloaded
    with _locked_home(model_folders()[0], name, progress) as home:
        _tidy(home)
        present = _sound(name)  # another process may have installed it meanwhile
        if present is not None and not sources and not force:
            return present, False
        reasons = []
        for source in sources or (release.mirrors if release else ()):
            try:
                result = _install_from(source, home, release, present, force, progress, patience)
                for part in home.glob(".*"):
                    if part.suffix in download.UNFINISHED:  # of mirrors that failed
                        part.unlink()
                return result
            except ModelError as error:
                reasons.append(str(error))
            except OSError as error:
                raise ModelError(f"{home} cannot be written to ({error.strerror or error})") from error
            finally:
                _tidy(home)
    raise ModelError("; ".join(reasons))


def suggested_name(source: str) -> str:
    """Name of a model that is installed from an address: of the catalogue if its file is, or else of the file."""
    file = PurePosixPath(download.shown(source).replace("\\", "/")).name
    for name, release in catalogue().items():
        if any(mirror.endswith(f"/{file}") for mirror in release.mirrors):
            return name
    stem = file[: -len(".zip")] if file.lower().endswith(".zip") else file
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("._-") or "custom"


def remove(name: str) -> Path:
    """Remove an installed model; what its files were is remembered, for the next installation.

    Returns
    -------
    Path
        Where it was.

    Raises
    ------
    ModelError
        If it is not installed, or its folder cannot be written to.
    """
    if name == BUNDLED:
        raise ModelError("the bundled model is part of the package; python -m pip uninstall sct_rootlets removes both")
    check_name(name)
    folder = next((folder for folder in model_folders() if (folder / name / POINTER).is_file()), None)
    if folder is None:
        raise ModelError(f"{name} is not installed; see: sct_rootlets models list")
    with _locked_home(folder, name) as home:
        try:
            digest = _recorded(folder, name)
            if digest is not None:
                _replace(home / REMOVED, {"content": digest})
            (home / POINTER).unlink(missing_ok=True)
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
    """Copy a model into a new folder, check it, and make it the one that counts."""
    name = home.name
    new = home / uuid.uuid4().hex  # not by tempfile, whose folders others could not read
    new.mkdir()
    # The first three are SCT's; "custom" keeps it from putting what it knows under a name in the place of this.
    record: dict[str, Any] = {"model_name": name, "model_urls": _shown(source), "custom": True}
    record |= {"version": release.version if release else None, "sha256": None}
    local = _local(source)
    if local is not None and local.is_dir():
        trainer = archive.copy_folder(local, new)
    else:
        published = release.sha256 if release else None
        record["sha256"], trainer = _unpack(source, local, home, new, published, progress, patience)
    _check_model(trainer, _shown(source))
    record["files"] = {
        path.relative_to(new).as_posix(): sha256_of(path) for path in sorted(new.rglob("*")) if path.is_file()
    }
    content = _content(record["files"])
    record["version"] = record["version"] or content[:12]
    before = next((known for folder in model_folders() if (known := _recorded(folder, name)) is not None), None)
    if before not in (None, content) and not force:
        reason = (
            "does not hold the files that were installed" if before else "cannot be compared with what was installed"
        )
        raise ModelError(
            f"{_shown(source)} {reason} as {name} before; give it another name, or replace them for good with -force"
        )
    if present is not None and _content(present.files) == content:
        return present, False
    record |= {"licence": release.licence, "citation": release.citation} if release else {}
    _write(new / RECORD, record)
    _replace(home / POINTER, {"folder": new.name, "content": content})  # from here on, the new model counts
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
    """Get a zip file, check it against the published hash, and unpack it; returns its hash and the trainer's folder."""
    path = local
    if path is None:
        path = download.download(
            source, home, published, limit_bytes=archive.MAX_BYTES, patience=patience, progress=progress
        )
    try:
        digest = sha256_of(path)
        if published not in (None, digest):
            raise ModelError(f"{_shown(source)} is not the file that was published: its SHA-256 differs")
        return digest, archive.unpack(path, new, _shown(source))
    finally:
        if local is None:
            path.unlink(missing_ok=True)


def _check_model(trainer: Path, shown: str) -> None:
    """Load a model without running code from it; raise a `ModelError` if it is not a sound model of rootlets."""
    from sct_rootlets.models.model import check_runs, load_model

    for path in trainer.glob("fold_*/checkpoint_final.pth"):
        archive.check_checkpoint(path, shown)
    try:
        model = load_model(trainer)
        check_classes(model.labels, shown)
        check_runs(model)
    except ModelError as error:
        reason = str(error).replace(f"{trainer}{os.sep}", "").replace(str(trainer), trainer.name)
        raise ModelError(f"{shown} was refused: {reason}") from error


def _content(files: dict[str, str]) -> str:
    """One hash of all files, whatever archive they came in."""
    lines = "".join(f"{digest}  {path}\n" for path, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _recorded(folder: Path, name: str) -> str | None:
    """Hash of what is, or was, installed under a name: None if nothing ever was, empty if nobody can say."""
    files = [file for file in (POINTER, REMOVED) if os.path.lexists(folder / name / file)]
    for file in files:
        with suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads((folder / name / file).read_text(encoding="utf-8"))["content"])
    return "" if files else None


def _sound(name: str) -> Weights | None:
    """Find an installed model whose files are as they were installed."""
    try:
        installed = find_installed(name)
    except ModelError:
        return None
    return None if installed is None or changed_files(installed) else installed


def _local(source: str) -> Path | None:
    """Path of a file or folder, or None for an address on the network."""
    try:
        scheme = urlsplit(source).scheme.lower()
    except ValueError as error:
        raise ModelError(f"{source} is no address ({error})") from error
    if scheme in ("http", "https"):
        return None
    if scheme == "file":
        path = Path(url2pathname(urlsplit(source).path))
    elif "://" in source:
        raise ModelError(f"{download.shown(source)} has a scheme that is not supported; use http, https or file")
    else:
        path = Path(os.path.expanduser(source))  # noqa: PTH111 (leaves a user that there is not as it is)
    try:
        there = path.exists()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error
    if not there:
        raise ModelError(f"{path} does not exist; give an address, a zip file or a folder")
    if not os.access(path, os.R_OK):
        raise ModelError(f"{path} cannot be read by you")
    return path.absolute()


def _shown(source: str) -> str:
    return download.shown(source) if "://" in source else source


@contextmanager
def _locked_home(folder: Path, name: str, progress: bool = False) -> Iterator[Path]:
    """Make the folder of a model, and keep other processes from changing it."""
    home = folder / name
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _lock(home / _LOCK, f"{name} in {folder}", progress):
            yield home
    except OSError as error:
        raise ModelError(
            f"{folder} cannot be written to ({error.strerror or error}); begin {VARIABLE} with a folder of yours, as "
            f"in {VARIABLE}=mine{os.pathsep}shared"
        ) from error


@contextmanager
def _lock(path: Path, what: str, progress: bool) -> Iterator[None]:
    import filelock

    lock = filelock.FileLock(path, timeout=_LOCK_WAIT_S, mode=0o664)  # a group may look after the folder
    try:
        try:
            lock.acquire(timeout=min(_LOCK_NOTE_S, _LOCK_WAIT_S))
        except filelock.Timeout:
            if progress:
                print(f"waiting for another process that is changing {what}", file=sys.stderr)
            lock.acquire()
    except filelock.Timeout as error:
        raise ModelError(f"another process is changing {what}; try again when it has finished") from error
    except NotImplementedError as error:
        raise ModelError(
            f"{path.parent} lies on a file system that cannot lock files; begin {VARIABLE} with a folder on another one"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _tidy(home: Path) -> None:
    """Remove what nothing points to: folders of installations that were killed or have been replaced."""
    keep = {POINTER, _LOCK}
    try:
        keep.add(json.loads((home / POINTER).read_text(encoding="utf-8"))["folder"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # nothing is installed, or nobody can say what
        keep.add(REMOVED)
    for path in home.iterdir():
        if path.name not in keep and path.suffix not in download.UNFINISHED:
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
