"""JSON sidecars: how they are read, and what they say of the program that wrote a file and of the file's content."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sct_rootlets.bids import stem
from sct_rootlets.distribution import version

#: Name of this program in ``GeneratedBy``.
PACKAGE = "sct_rootlets"
#: First version of the bundled model whose cords are as large as manual ones.
FIRST_CALIBRATED = (2, 2)
#: Key of a sidecar under which the SHA-256 of each file of its set is, by name.
WRITTEN = "Written"
#: Key of a sidecar under which the SHA-256 of all its other content is.
SEAL = "ContentSHA256"
#: Key of a sidecar under which the scan is that its files belong to, with the SHA-256 of its voxels (``Voxels``).
SCAN = "Scan"
#: Key of the sidecar of a level map under which the hash of the voxels of the cord mask is
#: (`sct_rootlets.cord_mask.mask_digest`).
CORD_MASK = "CordMaskSHA256"
#: Key under which a level map says by how much the cord is turned about its long axis (`Centerline.turn_deg`).
CORD_TURN = "CordTurnDegrees"


def sha256_of(path: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def seal(content: Mapping[str, Any], written: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of a sidecar with the hashes of the files of its set, and of itself.

    Parameters
    ----------
    content : dict
    written : dict of str to str
        SHA-256 of each file, by its name.
    """
    sealed = {**content, WRITTEN: dict(sorted(written.items()))}
    sealed.pop(SEAL, None)
    return {**sealed, SEAL: _content_digest(sealed)}


def is_intact(content: Mapping[str, Any]) -> bool:
    """Whether the content of a sidecar is as `seal` returned it, and nobody has edited it since."""
    return SEAL in content and content[SEAL] == _content_digest(content)


def find_edited(content: Mapping[str, Any], paths: Iterable[Path]) -> list[Path]:
    """Find the files that were changed since they were written, by the content of their sidecar.

    Files that the sidecar does not list, or that do not exist, are left out.
    """
    written = content.get(WRITTEN)
    known = written if isinstance(written, dict) else {}
    return [path for path in paths if path.name in known and path.is_file() and sha256_of(path) != known[path.name]]


def _content_digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of content without its own, whatever the order of its keys and its line breaks."""
    rest = {key: value for key, value in content.items() if key != SEAL}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file; an empty dict if it is missing, unreadable or no JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def read_sidecar(image: Path) -> dict[str, Any]:
    """Read the sidecar of a NIfTI file: the JSON file of the same name beside it.

    Parameters
    ----------
    image : Path
        The NIfTI file, which need not exist.

    Returns
    -------
    dict
        Empty if there is no sidecar, or it cannot be read as a JSON object.
    """
    return read_object(image.with_name(f"{stem(image.name)}.json"))


def read_scan_voxels(labels: Path) -> str | None:
    """Read from the sidecar of a file the SHA-256 of the voxels of the image that it was made from; None if unknown."""
    scan = read_sidecar(labels).get(SCAN)
    voxels = scan.get("Voxels") if isinstance(scan, dict) else None
    return voxels if isinstance(voxels, str) else None


def has_large_cord(labels: Path) -> bool:
    """Whether a cord mask, or the cord of a level map, was segmented by an early version of the bundled model.

    Those versions draw cords 6 to 8 % larger than people do (docs/measures.md).

    Parameters
    ----------
    labels : Path
        The NIfTI file; its sidecar tells.
    """
    content = read_sidecar(labels)
    programs = content.get("GeneratedBy")
    names = [one.get("Name") for one in programs if isinstance(one, dict)] if isinstance(programs, list) else []
    settings = content.get("Settings")
    model = content.get("Model") or (settings.get("Model") if isinstance(settings, dict) else None)
    if isinstance(model, dict) and isinstance(model.get("CordAndRoots"), dict):  # beside another model of rootlets
        model = model["CordAndRoots"]
    if PACKAGE not in names or not isinstance(model, dict):
        return False
    version = re.match(r"(\d+)\.(\d+)", str(model.get("Version")))
    return version is None or tuple(map(int, version.groups())) < FIRST_CALIBRATED


def read_name_sources(labels: Path | None) -> tuple[str, ...] | None:
    """Read from the sidecar of a label map which evidence decided the names of its levels.

    Parameters
    ----------
    labels : Path, optional
        The NIfTI file.

    Returns
    -------
    tuple of str or None
        ``("discs",)`` if discs decided, ``("model",)`` if another model of rootlets did, ``()`` if neither, None where
        no sidecar says so.
    """
    sidecar = {} if labels is None else read_sidecar(labels)
    by_discs, settings = sidecar.get("NamesFromDiscs"), sidecar.get("Settings")
    if not isinstance(by_discs, bool):
        return None
    if isinstance(settings, dict) and settings.get("Names") == "model":
        return ("model",)
    return ("discs",) if by_discs else ()


def read_name_confidence(labels: Path | None) -> dict[str, float]:
    """Read from the sidecar of a rootlet map the probabilities of the names of its levels.

    Parameters
    ----------
    labels : Path, optional
        The NIfTI file.

    Returns
    -------
    dict of str to float
        By name of the level. Empty if the map, or its sidecar, is not as this package wrote it: after an edit the
        probabilities would be of other rootlets.
    """
    sidecar = {} if labels is None else read_sidecar(labels)
    written, levels = sidecar.get(WRITTEN), sidecar.get("Levels")
    if labels is None or not isinstance(written, dict) or not isinstance(levels, list) or not is_intact(sidecar):
        return {}
    if sha256_of(labels) not in written.values():
        return {}
    known = ((level.get("Name"), level.get("Confidence")) for level in levels if isinstance(level, dict))
    return {name: value for name, value in known if isinstance(name, str) and isinstance(value, float)}


def generated_by() -> list[dict[str, str]]:
    """Return the BIDS field ``GeneratedBy`` of everything that the package writes."""
    return [{"Name": PACKAGE, "Version": version()}]
