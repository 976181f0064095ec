"""Scans that are in a BIDS folder twice, under two names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from sct_rootlets.sidecar import sha256_of

#: Bytes in the middle of a file that are compared before the whole file is read: scans that are not compressed often
#: have the same size and the same header.
SAMPLE_BYTES = 2**20


def repeated_files(paths: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Find files that repeat the content of another one, such as copies and links.

    Parameters
    ----------
    paths : iterable of Path
        Files that cannot be read are passed over.

    Returns
    -------
    list of (Path, Path)
        Each file that repeats another one, and the first file with this content.
    """
    groups = [list(paths)]
    for content in (_size, _sample, sha256_of):
        groups = [alike for group in groups if len(group) > 1 for alike in _split(group, content)]
    return [(path, group[0]) for group in groups for path in group[1:]]


def _split(paths: Iterable[Path], content: Callable[[Path], object]) -> list[list[Path]]:
    """Split files into those with the same content."""
    alike: dict[object, list[Path]] = {}
    for path in paths:
        try:
            alike.setdefault(content(path), []).append(path)
        except OSError:
            continue
    return list(alike.values())


def _size(path: Path) -> int:
    return path.stat().st_size


def _sample(path: Path) -> bytes:
    """Hash some bytes from the middle of a file."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - SAMPLE_BYTES, 0) // 2)
        return hashlib.sha256(file.read(SAMPLE_BYTES)).digest()
