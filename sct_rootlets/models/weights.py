"""The models there are: bundled, installed, or in a folder of the user's; choosing one, checking it, loading it.

Installed models lie in the folders that `model_folders` names. In such a folder, ``NAME/current.json`` names the folder
beside it that holds the model's files, with what is known of them in its ``source.json``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sct_rootlets.errors import ModelError

if TYPE_CHECKING:
    pass

_DATA = Path(__file__).parents[1] / "data"
FOLDER = _DATA / "models"
#: The networks: where the cord is, what its segments are called, and its rootlets.
NAMES = ("overview", "names", "rootlets")
#: Name of the model that comes with the package.
BUNDLED = "bundled"
#: Variable with the folders of installed models, separated as in PATH: all are read, the first is written to.
VARIABLE = "SCT_ROOTLETS_MODELS"
POINTER = "current.json"
#: What is known of an installed model, beside it; SCT looks for a file of this name in a model folder.
RECORD = "source.json"
#: Files that are read to run a model, in the trainer's folder.
_READ = ("plans.json", "dataset.json", "heads.json", "fold_*/checkpoint_final.pth")


@dataclass(frozen=True)
class Release:
    """A model of the catalogue, ``data/weights.json``.

    Attributes
    ----------
    name, version : str
    contrasts : tuple of str
        That it was trained for.
    levels : str
    licence, citation : str
    mirrors : tuple of str
        Where it is published.
    sha256 : str, optional
        Of the archive. Where it is not known, that of the first installation counts.
    bytes : int, optional
        Size of the archive.
    """

    name: str
    version: str
    contrasts: tuple[str, ...]
    levels: str
    licence: str
    citation: str
    mirrors: tuple[str, ...] = ()
    sha256: str | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Weights:
    """A model on disk.

    Attributes
    ----------
    name : str
        Of an installed model, or of the user's folder.
    version : str, optional
    folder : Path
    files : dict of str to str
        SHA-256 of each file by its path in `folder`.
    source : str, optional
        Where an installed model came from.
    sha256 : str, optional
        Of the archive that it came in.
    """

    name: str
    version: str | None
    folder: Path
    files: dict[str, str]
    source: str | None = None
    sha256: str | None = None

    @property
    def is_bundled(self) -> bool:
        """Whether it is the model that comes with the package."""
        return self.folder == FOLDER

    def describe(self) -> dict[str, Any]:
        """Name, version and hashes, as sidecars give them."""
        read = {path: digest for path, digest in self.files.items() if self.is_bundled or _is_read(Path(path))}
        facts: dict[str, Any] = {"Name": self.name, "Version": self.version, "SHA256": read}
        if self.source is not None:  # of a file only its name: sidecars are published, where it lay is private
            web = self.source.startswith(("http://", "https://"))
            facts |= {"Source": self.source if web else Path(self.source).name, "ArchiveSHA256": self.sha256}
        return facts if self.is_bundled else facts | {"CordAndRoots": bundled().describe()}


def manifest() -> dict[str, Any]:
    """What the bundled models are: name, version, licence, and SHA-256 of each file."""
    return dict(json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8")))


def catalogue() -> dict[str, Release]:
    """The models that this package knows where to get, by name; the bundled one comes first."""
    content = json.loads((_DATA / "weights.json").read_text(encoding="utf-8"))
    own = manifest()
    content[BUNDLED] |= {"version": own["version"], "licence": own["licence"], "bytes": own["bytes"]}
    releases = {}
    for name, facts in content.items():
        facts |= {key: tuple(facts.get(key, ())) for key in ("contrasts", "mirrors")}
        releases[name] = Release(name=name, **facts)
    return releases


def model_folders() -> list[Path]:
    """Folders with installed models: those of `VARIABLE`, or else one of the user's own. The first is written to."""
    named = [part for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part.strip()]
    if named:
        return [Path(os.path.expanduser(part)).absolute() for part in named]  # noqa: PTH111 (never raises)
    import platformdirs

    return [platformdirs.user_data_path("sct_rootlets", appauthor=False) / "models"]


def check_name(name: str) -> None:
    """Raise a `ModelError` if a model cannot have this name."""
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?", name):
        raise ModelError(f"{name!r} cannot name a model; use letters, digits, '.', '_' and '-'")


def find_model(model: str | os.PathLike[str] | Weights | None) -> Weights:
    """Find a model and check its files.

    Parameters
    ----------
    model : str, path or Weights, optional
        Name of an installed model, ``"bundled"`` (as None is), or a model folder. A name goes before a folder of the
        same name in the working directory; ``./name`` means the folder.

    Raises
    ------
    ModelError
        If there is no such model, or the files of an installed one are not those that were installed.
    """
    if isinstance(model, Weights):
        return model
    if model is None or str(model) == BUNDLED:
        return bundled()
    installed = find_installed(str(model))
    if installed is not None:
        changes = changed_files(installed)
        now = find_installed(str(model)) if changes else None
        if now is not None and now != installed:  # it was replaced at that moment
            installed, changes = now, changed_files(now)
        if changes:
            raise ModelError(f"{installed.name} is not as it was installed: {changes[0]}; {_again(installed)}")
        return installed
    try:
        if str(model) in catalogue() and not Path(model).exists():
            raise ModelError(f"{model} is not installed; install it with: sct_rootlets models install {model}")
        return _in_folder(Path(model))
    except OSError as error:
        raise ModelError(f"{error.filename or model} cannot be read ({error.strerror})") from error


def _again(weights: Weights) -> str:
    known = weights.name in catalogue()
    return f"run: sct_rootlets models install {weights.name}" + ("" if known else " -custom-url <where it came from>")


def _in_folder(folder: Path) -> Weights:
    """Return a model of the user's own."""
    if folder.is_file():
        raise ModelError(f"{folder} is a file; install it: sct_rootlets models install <name> -custom-url {folder}")
    if not folder.is_dir():
        raise ModelError(f"{folder} is neither an installed model nor a folder; see: sct_rootlets models list")
    found = (path for pattern in _READ for path in (*folder.glob(pattern), *folder.glob(f"*/{pattern}")))
    files = {path.relative_to(folder).as_posix(): sha256_of(path) for path in sorted(found)}
    return Weights(folder.resolve().name, None, folder, files)


def bundled() -> Weights:
    """Return the model that comes with the package."""
    own = manifest()
    return Weights(own["name"], own["version"], FOLDER, own["files"])


def find_installed(name: str) -> Weights | None:
    """Find an installed model by its name; its files are not looked at.

    Raises
    ------
    ModelError
        If what is known of it cannot be read.
    """
    for folder in model_folders():
        found = read_installed(folder, name)
        if found is not None:
            return found
    return None


def read_installed(folder: Path, name: str) -> Weights | None:
    """Read what is known of a model that is installed in one of `model_folders`."""
    try:
        check_name(name)
        home = folder / name
        if not (home / POINTER).is_file():
            return None
    except (ModelError, OSError):  # no name but a path; or a folder that is not for this user
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
        inner = json.loads((home / POINTER).read_text(encoding="utf-8"))["folder"]
        if not re.fullmatch("[0-9a-f]+", inner):
            raise ValueError(f"{inner} is no folder of this package")
        record = json.loads((home / inner / RECORD).read_text(encoding="utf-8"))
        files = {str(path): str(digest) for path, digest in record["files"].items()}
        return Weights(home.name, record["version"], home / inner, files, record["model_urls"], record["sha256"])
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(f"{home.name} in {home.parent} is damaged; install it again") from error


def named(name: str) -> Weights:
    """Find the bundled model or an installed one; its files are not looked at.

    Raises
    ------
    ModelError
        If none of this name is installed, or what is known of it cannot be read.
    """
    weights = bundled() if name == BUNDLED else find_installed(name)
    if weights is None:
        raise ModelError(f"{name} is not installed; see: sct_rootlets models list")
    return weights


def installed_names() -> list[str]:
    """Names of the models that are installed, in the order of the alphabet."""
    names: set[str] = set()
    for folder in model_folders():
        with contextlib.suppress(OSError):  # a folder that is not for this user
            names |= {path.parent.name for path in folder.glob(f"*/{POINTER}")}
    return sorted(names)


def changed_files(weights: Weights) -> list[str]:
    """Compare a model's files with what is recorded of them.

    Returns
    -------
    list of str
        What is wrong, such as ``"plans.json has changed"``; empty if nothing is.
    """
    from sct_rootlets.bids_folder import files_below  # SCT imports this module at each start; scipy it can do without

    changes = []
    for path, digest in sorted(weights.files.items()):
        try:
            if sha256_of(weights.folder / path) != digest:
                changes.append(f"{path} has changed")
        except FileNotFoundError:
            changes.append(f"{path} is missing")
        except OSError as error:
            changes.append(f"{path} cannot be read ({error.strerror})")
    there = {path.relative_to(weights.folder) for path in files_below(weights.folder)}
    more = sorted(path for path in there - set(map(Path, weights.files)) if _is_read(path))
    return changes + [f"{path.as_posix()} was added" for path in more]


def verified(name: str | None = None) -> list[Weights]:
    """Compare the files of a model, or of the bundled and all installed ones, with what is recorded of them.

    Raises
    ------
    ModelError
        That names what is wrong with each model, if anything is.
    """
    sound, wrong = [], []
    for one in [BUNDLED, *installed_names()] if name is None else [name]:
        try:
            weights = named(one)
        except ModelError as error:
            wrong.append(str(error))
            continue
        changes = changed_files(weights)
        if changes:
            more = f" (and {len(changes) - 1} more)" if len(changes) > 1 else ""
            wrong.append(f"{one} in {weights.folder}: {changes[0]}{more}; install it again")
        else:
            sound.append(weights)
    if wrong:
        raise ModelError("; ".join(wrong))
    return sound


def _is_read(path: Path) -> bool:
    return any(path.match(pattern) for pattern in _READ)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def check_classes(labels: dict[str, int], model: object) -> None:
    """Raise a `ModelError` if a model segments anything but levels' rootlets."""
    wrong = [name for name, value in labels.items() if name != f"lvl{value}"]
    if wrong or not labels:
        raise ModelError(
            f"{model} segments {', '.join(wrong) or 'nothing'}; a model of rootlets has the classes lvl1, lvl2, ..."
        )


def import_torch() -> Any:
    """Import torch, or raise a `ModelError` that says what to install."""
    try:
        import dynamic_network_architectures  # noqa: F401
        import torch
    except ImportError as error:
        package = {"torch": "torch"}.get(error.name or "", "dynamic-network-architectures")
        raise ModelError(f"segmenting images needs {package}: python -m pip install {package}") from error
    return torch
