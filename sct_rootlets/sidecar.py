"""JSON sidecars: what made a file, and what a label map's sidecar says of it."""

from __future__ import annotations

import json
import re
from pathlib import Path


def names_from_discs(labels: Path | None) -> bool | None:
    """Whether discs decided the names in a label map, as its sidecar says.

    Parameters
    ----------
    labels : Path, optional
        The NIfTI file.

    Returns
    -------
    bool or None
        None where no sidecar says so.
    """
    if labels is None:
        return None
    try:
        stem = re.sub(r"\.nii(\.gz)?$", "", labels.name, flags=re.IGNORECASE)
        content = json.loads(labels.with_name(f"{stem}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    said = content.get("NamesFromDiscs") if isinstance(content, dict) else None
    return said if isinstance(said, bool) else None


def version() -> str:
    """Version of the installed package."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("sct_rootlets")
    except PackageNotFoundError:
        return "unknown"


def generated_by() -> list[dict[str, str]]:
    """The BIDS field ``GeneratedBy`` of everything that the package writes."""
    return generated_by()
