"""The folders of installed models, and what is recorded in them.

In such a folder, ``NAME/current.json`` names the folder beside it that holds the files of the model, and their
``source.json`` says what was installed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path

from sct_rootlets.errors import ModelError
from sct_rootlets.models.weights import Weights

#: Variable with the folders of installed models, separated as in PATH: all are read, the first is written to.
FOLDERS_VARIABLE = "SCT_ROOTLETS_MODELS"
#: The small file that says which folder holds the model.
POINTER_FILE = "current.json"
#: What is recorded of an installed model, among its files; SCT looks for a file of this name in a model folder.
RECORD_FILE = "source.json"
#: What is remembered of a removed model: a later installation under this name should have the same content.
REMOVED_FILE = "removed.json"


def model_folders() -> list[Path]:
    """List the folders of installed models: those of `FOLDERS_VARIABLE`, or else the user's own.

    The first one is written to.
    """
    named = [part for part in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if part.strip()]
    if named:
        return [Path(os.path.expanduser(part)).absolute() for part in named]  # noqa: PTH111 (never raises)
    import platformdirs

    return [platformdirs.user_data_path("sct_rootlets", appauthor=False) / "models"]


def check_name(name: str) -> None:
    """Raise a `ModelError` if a model cannot have this name."""
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?", name):
        raise ModelError(f"{name!r} cannot name a model; use letters, digits, '.', '_' and '-'")


def installed_names() -> list[str]:
    """List the names of the installed models, in alphabetical order."""
    names: set[str] = set()
    for folder in model_folders():
        with contextlib.suppress(OSError):  # this user may not read the folder
            names |= {path.parent.name for path in folder.glob(f"*/{POINTER_FILE}")}
    return sorted(names)


def find_installed(name: str) -> Weights | None:
    """Find an installed model by its name, without reading its files.

    Raises
    ------
    ModelError
        If the record of the model cannot be read.
    """
    for folder in model_folders():
        weights = read_installed(folder, name)
        if weights is not None:
            return weights
    return None


def read_installed(folder: Path, name: str) -> Weights | None:
    """Read the record of a model that is installed in one of `model_folders`; None if there is no such model.

    Raises
    ------
    ModelError
        If the record cannot be read.
    """
    try:
        check_name(name)
        home = folder / name
        if not (home / POINTER_FILE).is_file():
            return None
    except (ModelError, OSError):  # the name is a path, or this user may not read the folder
        return None
    try:
        try:
            return _read_record(home)
        except FileNotFoundError:  # another process replaces the model at this moment
            return _read_record(home)
    except OSError as error:
        raise ModelError(f"{name} in {folder} cannot be read ({error.strerror}); install it again") from error


def _read_record(home: Path) -> Weights:
    try:
        inner = json.loads((home / POINTER_FILE).read_text(encoding="utf-8"))["folder"]
        if not re.fullmatch("[0-9a-f]+", inner):
            raise ValueError(f"{inner} is not a folder of this package")
        record = json.loads((home / inner / RECORD_FILE).read_text(encoding="utf-8"))
        files = dict(record["files"].items())
        texts = [record["version"], record["model_urls"], record["sha256"], *files.keys(), *files.values()]
        if not files or not all(text is None or isinstance(text, str) for text in texts):
            raise ValueError("entries of another type")
        return Weights(
            name=home.name,
            version=record["version"],
            folder=home / inner,
            files=files,
            source=record["model_urls"],
            sha256=record["sha256"],
        )
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ModelError(f"{home.name} in {home.parent} is damaged; install it again") from error


def recorded_content(folder: Path, name: str) -> str | None:
    """Read the hash of what is, or was, installed under a name.

    Returns
    -------
    str or None
        None if nothing was ever installed; empty if the records are damaged.
    """
    records = [file for file in (POINTER_FILE, REMOVED_FILE) if os.path.lexists(folder / name / file)]
    for record in records:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads((folder / name / record).read_text(encoding="utf-8"))["content"])
    return "" if records else None
