"""Which files belong to the same scan, by their names. Nothing is opened here."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sct_rootlets.bids import stem
from sct_rootlets.bids_folder import files_below
from sct_rootlets.errors import DatasetError

#: What the files of a folder must be called to be of a kind; where no file is called so, all are taken.
KINDS = {
    "rootlet maps": r"rootlet",
    "cord masks": r"label-(SC|cord|spinalcord)_|^(?!.*label-).*_seg([-_]manual)?\.nii",
    "PMJ labels": r"pmj",
    "level tables": r"_levels\.csv$",
}
_VOLUME = r"\.nii(\.gz)?$"
#: Entities that do not tell contrasts apart.
_NO_CONTRAST = ("sub", "ses", "run", "chunk", "rec", "space")
#: What files derived from a scan are called, in place of or behind its suffix.
_DERIVED = re.compile(
    r"(d?seg|mask|probseg|d?label|levels|rootlets?|staple|rater\w*|manual|pred\w*|gt)([-_]manual)?", re.IGNORECASE
)


@dataclass(frozen=True)
class Scan:
    """What a file name says about a scan: ``key`` is the same for all files of the scan."""

    key: str
    subject: str
    contrast: str
    entities: Mapping[str, str]


def scan_of(path: Path) -> Scan:
    """The scan that a file belongs to.

    Parameters
    ----------
    path : pathlib.Path
        Of a BIDS name, the part before ``label-``, ``desc-`` or a suffix such as ``dseg`` counts:
        ``sub-01_ses-a_T2w_label-rootlets_dseg.nii.gz`` is of ``sub-01_ses-a_T2w``, whose contrast is ``T2w``; the
        contrast of ``sub-01_inv-1_part-mag_MP2RAGE`` is ``inv-1_part-mag_MP2RAGE``. Other names are scans by
        themselves, without a contrast, less such a suffix.
    """
    name = re.sub(r"\.csv$", "", stem(path.name), flags=re.IGNORECASE)
    if not name.startswith("sub-"):
        parts = name.split("_")
        while len(parts) > 1 and (_DERIVED.fullmatch(parts[-1]) or parts[-1].startswith(("label-", "desc-"))):
            parts.pop()
        return Scan("_".join(parts), "_".join(parts), "", {})
    entities, suffix = _bids_parts(name)
    names = [f"{key}-{value}" for key, value in entities.items()]
    contrast = [f"{key}-{value}" for key, value in entities.items() if key not in _NO_CONTRAST]
    return Scan(
        "_".join([*names, suffix] if suffix else names),
        f"sub-{entities['sub']}",
        "_".join([*contrast, suffix] if suffix else []),
        entities,
    )


def _bids_parts(stem: str) -> tuple[dict[str, str], str]:
    """Entities of a BIDS name in order, and the scan's suffix, up to where a derivative's own entities begin."""
    entities: dict[str, str] = {}
    for part in stem.split("_"):
        name, dash, value = part.partition("-")
        if name in ("label", "desc") or _DERIVED.fullmatch(part):
            break
        if not dash:
            return entities, part
        entities[name] = value
    return entities, ""


def find_files(sources: Sequence[str | os.PathLike[str]], kind: str) -> dict[str, Path]:
    """Files by scan, from files, folders and patterns.

    Parameters
    ----------
    sources : sequence of path
        A file; a folder, which is searched with all below it; or a pattern with ``*`` (``**`` for folders).
    kind : str
        A key of `KINDS`.

    Returns
    -------
    dict of str to Path
        By `Scan.key`, sorted.

    Raises
    ------
    DatasetError
        If a source does not exist or holds nothing, or two files are of the same scan.
    """
    found: dict[str, Path] = {}
    for source in sources:
        for path in list_files(str(source), kind):
            key = scan_of(path).key
            if key in found and found[key] != path:
                raise DatasetError(
                    f"{found[key]} and {path} are both {kind} of {key}; give a narrower folder, or a pattern such as "
                    '"folder/**/*_label-rootlets_dseg.nii.gz"'
                )
            found[key] = path
    return dict(sorted(found.items()))


def list_files(source: str, kind: str) -> list[Path]:
    """Files of one kind that a source holds: a file, a folder with all below it, or a pattern.

    Raises
    ------
    DatasetError
        If the source does not exist or holds nothing.
    """
    ending = r"\.csv$" if kind == "level tables" else _VOLUME
    path = Path(source)
    if path.is_dir():
        every = files_below(path)
    elif path.exists():
        return [path]
    elif glob.has_magic(source):
        every = sorted(Path(one) for one in glob.glob(source, recursive=True))  # noqa: PTH207 (patterns may be absolute)
    else:
        raise DatasetError(f"{source} does not exist; check the path")
    every = [one for one in every if re.search(ending, one.name, re.IGNORECASE) and not one.name.startswith(".")]
    if not every:
        raise DatasetError(
            f"{source} holds no {kind} ({'.csv' if kind == 'level tables' else '.nii or .nii.gz'} files)"
        )
    called = [one for one in every if re.search(KINDS[kind], one.name, re.IGNORECASE)]
    if kind == "level tables" and not called:
        raise DatasetError(f"{source} holds no level tables (…_levels.csv of sct_compute_spinal_levels)")
    return called or every


def completed(*sets: Mapping[str, Path]) -> list[dict[str, Path]]:
    """Sets of files by scan, where labels in plain BIDS are of the scan whose suffix they do not say.

    ``sub-01_inv-1_part-mag_label-rootlets_dseg`` is of ``sub-01_inv-1_part-mag_MP2RAGE`` if some set has that scan,
    and no other that it could be of (as `sct_rootlets.bids.find_scans` has it).

    Parameters
    ----------
    *sets : mapping of str to Path
        By `Scan.key`.
    """
    every = {key for files in sets for key in files}
    scans = {key for key in every if "-" not in key.rpartition("_")[2]}

    def whole(key: str) -> str:
        parts = set(key.split("_"))
        fitting = [scan for scan in scans if parts < set(scan.split("_"))] if key.startswith("sub-") else []
        exact = [scan for scan in fitting if scan.rpartition("_")[0] == key]
        return (exact or fitting or [key])[0] if len(exact or fitting) == 1 else key

    result = []
    for files in sets:
        names = {key: whole(key) if key not in scans else key for key in files}
        taken = Counter(names.values())
        named = {names[key] if taken[names[key]] == 1 else key: path for key, path in files.items()}
        result.append(dict(sorted(named.items())))
    return result


@dataclass(frozen=True)
class Matched:
    """Scans that several sets of files have in common, and what is left over.

    Attributes
    ----------
    scans : tuple of str
        Keys in all sets.
    notes : tuple of str
        One line a file without a partner.
    """

    scans: tuple[str, ...]
    notes: tuple[str, ...]


def match(sets: Mapping[str, Mapping[str, Path]], needed: Sequence[str] | None = None) -> Matched:
    """The scans that sets of files have in common.

    Parameters
    ----------
    sets : mapping of str to mapping of str to Path
        Files by scan, by what they are.
    needed : sequence of str, optional
        The sets that a scan must be in; by default all.

    Raises
    ------
    DatasetError
        If there is no such scan.
    """
    needed = list(sets) if needed is None else list(needed)
    common = sorted(set.intersection(*(set(sets[name]) for name in needed)))
    if not common:
        examples = "; ".join(f"{name}: {next(iter(sets[name].values())).name}" for name in needed)
        raise DatasetError(f"no scan is in {' and '.join(needed)}, by the names of the files ({examples})")
    notes = [
        f"{path}: no scan of this name in {', '.join(lacking)}; left out"
        for name in needed
        for key, path in sets[name].items()
        if (lacking := [other for other in needed if key not in sets[other]])
    ]
    return Matched(tuple(common), tuple(notes))
