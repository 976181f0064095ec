"""JSON sidecars of images: how they are read, and what they say of the program that wrote an image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sct_rootlets.bids import stem


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
    try:
        content = json.loads(image.with_name(f"{stem(image.name)}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def read_name_sources(labels: Path | None) -> tuple[str, ...] | None:
    """Read from the sidecar of a label map which evidence decided the names of its levels.

    Parameters
    ----------
    labels : Path, optional
        The NIfTI file.

    Returns
    -------
    tuple of str or None
        ``("discs",)`` if discs decided, ``()`` if not, None where no sidecar says so.
    """
    by_discs = None if labels is None else read_sidecar(labels).get("NamesFromDiscs")
    if not isinstance(by_discs, bool):
        return None
    return ("discs",) if by_discs else ()


def version() -> str:
    """Return the version of the installed package, or ``"unknown"``."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed_version

    try:
        return installed_version("sct_rootlets")
    except PackageNotFoundError:
        return "unknown"


def generated_by() -> list[dict[str, str]]:
    """Return the BIDS field ``GeneratedBy`` of everything that the package writes."""
    return [{"Name": "sct_rootlets", "Version": version()}]
