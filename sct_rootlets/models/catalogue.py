"""The catalogue of published models, ``data/weights.json``: where to download each, and what it was trained for."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from sct_rootlets.models.download import without_secrets
from sct_rootlets.models.manifest import BUNDLED, DATA_FOLDER, read_manifest


@dataclass(frozen=True, kw_only=True)
class Release:
    """A model of the catalogue.

    Attributes
    ----------
    name, version : str
    contrasts : tuple of str
        Contrasts that the model was trained for.
    levels : str
        First and last level that it segments, such as ``"C2-T1"``.
    licence, citation : str
    mirrors : tuple of str
        Addresses where the archive is published.
    sha256 : str, optional
        SHA-256 of the archive. Where it is not known, the files of the first installation are remembered instead.
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


def read_catalogue() -> dict[str, Release]:
    """Read the releases by name; the bundled model comes first."""
    entries = json.loads((DATA_FOLDER / "weights.json").read_text(encoding="utf-8"))
    manifest = read_manifest()
    entries[BUNDLED] |= {key: manifest[key] for key in ("version", "licence", "bytes")}
    releases = {}
    for name, facts in entries.items():
        facts |= {key: tuple(facts.get(key, ())) for key in ("contrasts", "mirrors")}
        releases[name] = Release(name=name, **facts)
    return releases


def suggest_name(source: str) -> str:
    """Suggest a name for a model that is installed from an address, file or folder.

    Returns
    -------
    str
        The name of the catalogue if the file is published there, or else one made from the name of the file.
    """
    file = PurePosixPath(without_secrets(source).replace("\\", "/")).name
    for name, release in read_catalogue().items():
        if any(mirror.endswith(f"/{file}") for mirror in release.mirrors):
            return name
    stem = file[: -len(".zip")] if file.lower().endswith(".zip") else file
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("._-") or "custom"
