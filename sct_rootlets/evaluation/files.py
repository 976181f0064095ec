"""Which files belong to the same scan, by their names; no file is opened here."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sct_rootlets.bids import parse_name
from sct_rootlets.bids_folder import files_below
from sct_rootlets.errors import DatasetError

#: Files, folders and patterns in which files are looked for.
Sources = Sequence["str | os.PathLike[str]"]

FileKind = Literal["rootlet maps", "cord masks", "PMJ labels", "level tables"]
#: Patterns of the names of a folder's files by kind; if none matches, all files of the folder are taken.
FILE_PATTERNS: dict[FileKind, str] = {
    "rootlet maps": r"rootlet",
    "cord masks": r"label-(SC|cord|spinalcord)_|^(?!.*label-).*_seg([-_]manual)?\.nii",
    "PMJ labels": r"pmj",
    "level tables": r"_levels\.csv$",
}
_VOLUME = r"\.nii(\.gz)?$"
#: Entities in which scans of one contrast may differ.
_NOT_OF_CONTRAST = ("sub", "ses", "run", "chunk", "rec", "space")
#: Suffixes of files that were derived from a scan, in place of the scan's suffix or behind it.
_DERIVED = re.compile(
    r"(d?seg|mask|probseg|d?label|levels|rootlets?|staple|rater\w*|manual|pred\w*|gt)([-_]manual)?", re.IGNORECASE
)


@dataclass(frozen=True)
class ScanName:
    """What a file's name says about the scan that the file belongs to.

    Attributes
    ----------
    key : str
        Identifier that all files of the scan share, such as ``sub-01_ses-a_T2w``.
    subject, contrast : str
        Such as ``sub-01`` and ``T2w``; the contrast is empty if the name does not tell it.
    entities : mapping of str to str
        BIDS entities in the order of the name.
    """

    key: str
    subject: str
    contrast: str
    entities: Mapping[str, str]


def parse_scan_name(path: Path) -> ScanName:
    """Find the scan that a file belongs to from the file's name.

    The part of a BIDS name before ``label-``, ``desc-`` or a suffix such as ``dseg`` names the scan:
    ``sub-01_ses-a_T2w_label-rootlets_dseg.nii.gz`` belongs to ``sub-01_ses-a_T2w``, whose contrast is ``T2w``; the
    contrast of ``sub-01_inv-1_part-mag_MP2RAGE`` is ``inv-1_part-mag_MP2RAGE``. Other names without such a suffix are
    the name of a scan and of a subject, without a contrast.

    Parameters
    ----------
    path : pathlib.Path
    """
    stem = re.sub(r"\.(nii(\.gz)?|csv)$", "", path.name, flags=re.IGNORECASE)
    if not stem.startswith("sub-"):
        parts = stem.split("_")
        while len(parts) > 1 and (_DERIVED.fullmatch(parts[-1]) or parts[-1].startswith(("label-", "desc-"))):
            parts.pop()
        return ScanName("_".join(parts), "_".join(parts), "", {})
    entities, suffix = _bids_parts(stem)
    names = [f"{name}-{value}" for name, value in entities.items()]
    contrast = [f"{name}-{value}" for name, value in entities.items() if name not in _NOT_OF_CONTRAST]
    return ScanName(
        "_".join([*names, suffix] if suffix else names),
        f"sub-{entities['sub']}",
        "_".join([*contrast, suffix] if suffix else []),
        entities,
    )


def _bids_parts(stem: str) -> tuple[dict[str, str], str]:
    """Split a BIDS name, up to a derivative's own entities, into the scan's entities and suffix."""
    entities: dict[str, str] = {}
    for part in stem.split("_"):
        name, dash, value = part.partition("-")
        if name in ("label", "desc") or _DERIVED.fullmatch(part):
            break
        if not dash:
            return entities, part
        entities[name] = value
    return entities, ""


def find_files(sources: Sources, kind: FileKind) -> dict[str, Path]:
    """Find files by scan in files, folders and patterns.

    Parameters
    ----------
    sources : sequence of path
        Files; folders, which are searched with their subfolders; or patterns with ``*`` (``**`` for folders).
    kind : str
        Key of `FILE_PATTERNS`.

    Returns
    -------
    dict of str to Path
        Files by `ScanName.key`, sorted.

    Raises
    ------
    DatasetError
        If a source does not exist or holds nothing, or two files are of the same scan.
    """
    found: dict[str, Path] = {}
    for source in sources:
        for path in list_files(str(source), kind):
            key = parse_scan_name(path).key
            if key in found and found[key] != path:
                version = (parse_name(path) or parse_name(found[key])) if key.startswith("sub-") else None
                example = f"desc-{version.version}_*" if version and version.version else "label-rootlets_dseg.nii.gz"
                raise DatasetError(
                    f"{found[key]} and {path} are both {kind} of {key}; give a narrower folder, or a pattern such as "
                    f'"folder/**/*_{example}"'
                )
            found[key] = path
    return dict(sorted(found.items()))


def list_files(source: str, kind: FileKind) -> list[Path]:
    """Files of one kind that a source holds: a file, a folder with all below it, or a pattern.

    Raises
    ------
    DatasetError
        If the source does not exist or holds nothing.
    """
    ending = r"\.csv$" if kind == "level tables" else _VOLUME
    path = Path(source)
    if path.is_dir():
        paths = files_below(path)
    elif path.exists():
        return [path]
    elif glob.has_magic(source):
        paths = sorted(Path(name) for name in glob.glob(source, recursive=True))  # noqa: PTH207 (patterns may be absolute)
    else:
        raise DatasetError(f"{source} does not exist; check the path")
    paths = [path for path in paths if re.search(ending, path.name, re.IGNORECASE) and not path.name.startswith(".")]
    if not paths:
        raise DatasetError(
            f"{source} holds no {kind} ({'.csv' if kind == 'level tables' else '.nii or .nii.gz'} files)"
        )
    named = [path for path in paths if re.search(FILE_PATTERNS[kind], path.name, re.IGNORECASE)]
    if kind == "level tables" and not named:
        raise DatasetError(f"{source} holds no level tables (…_levels.csv of sct_compute_spinal_levels)")
    return named or paths


def complete_scan_names(*sets: Mapping[str, Path]) -> list[dict[str, Path]]:
    """Complete the keys of labels in plain BIDS, which lack the suffix of their scan, from those of the other files.

    ``sub-01_inv-1_part-mag_label-rootlets_dseg`` belongs to ``sub-01_inv-1_part-mag_MP2RAGE`` if some set has that scan
    and no other scan fits, which is the rule of ``sct_rootlets bids``, too.

    Parameters
    ----------
    *sets : mapping of str to Path
        Files by `ScanName.key`.

    Returns
    -------
    list of dict of str to Path
        The same sets; files keep their keys where several scans fit, or two files would have the same key.
    """
    keys = {key for files in sets for key in files}
    scans = {key for key in keys if "-" not in key.rpartition("_")[2]}

    def complete(key: str) -> str:
        parts = set(key.split("_"))
        fitting = [scan for scan in scans if parts < set(scan.split("_"))] if key.startswith("sub-") else []
        exact = [scan for scan in fitting if scan.rpartition("_")[0] == key]
        return (exact or fitting or [key])[0] if len(exact or fitting) == 1 else key

    result = []
    for files in sets:
        names = {key: complete(key) if key not in scans else key for key in files}
        counts = Counter(names.values())
        completed = {names[key] if counts[names[key]] == 1 else key: path for key, path in files.items()}
        result.append(dict(sorted(completed.items())))
    return result


def pair_single_file(files: dict[str, Path], references: dict[str, Path]) -> dict[str, Path]:
    """Give a single file the key of a single reference, whatever their names, unless they name two subjects.

    Parameters
    ----------
    files, references : dict of str to Path
        Files by `ScanName.key`.

    Returns
    -------
    dict of str to Path
        The files, unchanged if there are several of either.
    """
    subjects = {parse_scan_name(path).subject for path in (*files.values(), *references.values())}
    if len(files) == len(references) == 1 and sum(subject.startswith("sub-") for subject in subjects) < 2:
        return dict(zip(references, files.values(), strict=True))
    return files


def cord_path(cords: Mapping[str, Path], key: str) -> Path:
    """Return the cord mask of a scan.

    Raises
    ------
    DatasetError
        If the scan has none.
    """
    if key not in cords:
        raise DatasetError(f"{key} has no cord mask among those given; add it, or leave out -s")
    return cords[key]


@dataclass(frozen=True)
class Matched:
    """Scans that several sets of files have in common.

    Attributes
    ----------
    scans : tuple of str
        Keys in all sets.
    notes : tuple of str
        Files without a partner, one line each.
    """

    scans: tuple[str, ...]
    notes: tuple[str, ...]


def match_scans(sets: Mapping[str, Mapping[str, Path]]) -> Matched:
    """Find the scans that sets of files have in common.

    Parameters
    ----------
    sets : mapping of str to mapping of str to Path
        Files by scan, of each set by its name in messages.

    Returns
    -------
    Matched

    Raises
    ------
    DatasetError
        If there is no such scan.
    """
    common = sorted(set.intersection(*(set(files) for files in sets.values())))
    if not common:
        examples = "; ".join(f"{name}: {next(iter(files.values())).name}" for name, files in sets.items())
        raise DatasetError(f"no scan is in {' and '.join(sets)}, by the names of the files ({examples})")
    notes = [
        f"{path}: no scan of this name in {', '.join(lacking)}; left out"
        for files in sets.values()
        for key, path in files.items()
        if (lacking := [name for name, others in sets.items() if key not in others])
    ]
    return Matched(tuple(common), tuple(notes))
