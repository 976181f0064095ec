"""Level tables of the published scripts (ivadomed/model-spinal-rootlets, 2025 and 2026), read as our own.

A scan has a table of spinal levels and, if its discs were labelled, another one of vertebral levels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from sct_rootlets.bids import TABLE_ENDING
from sct_rootlets.errors import DatasetError
from sct_rootlets.group.level_table import LevelRow, LevelTable, read_rows, subject_of
from sct_rootlets.levels import Kind, level_name

#: What the scripts add to the stem of a label file: the reference, and how the levels were found.
_ENDING = re.compile(r"_(pmj|c2)_distance(_vertebral_disc|_rootlets-only|_PAM50|_rootlets)?\.csv$")
#: Parts of a name that tell of the label, and no longer of the scan.
_LABEL_PART = re.compile(r"(labels?|desc)-|rootlet|discs?$|seg$|SC$", re.IGNORECASE)
#: Our names of the references, by the beginning of the columns of distances.
REFERENCES = {"distance_from_pmj": "PMJ", "distance_from_c2_top": "top of spinal level C2"}
#: Columns of the ends of a level, after the name of the reference, in the scripts of 2025 and of 2026. Which end is the
#: start differs: there, ``start`` is the lowest slice, and here the one nearest to the reference.
_END_COLUMNS = (("_start", "_end"), ("_start_S-I", "_end_S-I"))


@dataclass(frozen=True)
class _Part:
    """A table of one kind of levels of a scan."""

    path: Path
    scan: str
    kind: Kind
    reference: str
    method: str
    levels: tuple[LevelRow, ...]


#: The table of all subjects that the published scripts write beside those of the subjects.
PUBLISHED_SUMMARY = "spinal_vs_vertebral_levels.csv"


def is_published(path: Path) -> bool:
    """Return whether a file has the name of a table of the published scripts.

    Examples
    --------
    >>> is_published(Path("sub-01_T2w_label-rootlets_dseg_pmj_distance.csv"))
    True
    >>> is_published(Path("sub-01_T2w_levels.csv"))
    False
    """
    return _ENDING.search(path.name) is not None


def scan_of(path: Path) -> str:
    """Find the scan that a level table belongs to, ours or one of the published scripts, from its name and folder.

    Examples
    --------
    >>> scan_of(Path("sub-01_ses-2_T2w_rootletsseg_pmj_distance.csv"))
    'sub-01_ses-2_T2w'
    >>> scan_of(Path("sub-01_ses-2_T2w_labels-disc_centerline_pmj_distance_vertebral_disc.csv"))
    'sub-01_ses-2_T2w'
    >>> scan_of(Path("sub-01/t2_levels.csv"))
    'sub-01_t2'
    """
    stem, subject = _stem(path), _subject_of(path)
    return stem if stem.startswith(subject) else f"{subject}_{stem}"


def _stem(path: Path) -> str:
    """Strip from a name what belongs to a label or a table."""
    first, *others = _ENDING.sub("", path.name).removesuffix(TABLE_ENDING).split("_")
    return "_".join([first, *takewhile(lambda part: not _LABEL_PART.match(part), others)])


def _subject_of(path: Path) -> str:
    return subject_of(path.with_name(_stem(path) + TABLE_ENDING))


def is_vertebral(path: Path) -> bool:
    """Return whether a table of the published scripts is one of vertebral levels, as its name tells."""
    return path.name.endswith("_vertebral_disc.csv")


def select(paths: Sequence[Path], match: str) -> list[Path]:
    """Select tables whose names hold a text, and the vertebral tables of the scans whose spinal tables do."""
    chosen = [path for path in paths if match in path.name]
    scans = {scan_of(path) for path in chosen if not is_vertebral(path)}
    return [path for path in paths if path in chosen or (is_vertebral(path) and scan_of(path) in scans)]


def read_published_tables(paths: Iterable[Path]) -> list[LevelTable]:
    """Read tables of the published scripts, and join the spinal and the vertebral table of each scan.

    Positions are those of the tables. Each level counts as complete, because the tables do not tell whether the field
    of view cuts it.

    Parameters
    ----------
    paths : iterable of Path

    Returns
    -------
    list of LevelTable
        One for each scan, in the order of the names of the scans.

    Raises
    ------
    DatasetError
        If a file is no such table, its levels make no sense, or two tables of one kind are of the same scan.
    """
    scans: dict[str, list[_Part]] = {}
    for path in paths:
        part = _read(path)
        scans.setdefault(part.scan, []).append(part)
    return [_join(scans[scan]) for scan in sorted(scans)]


def _join(parts: list[_Part]) -> LevelTable:
    """Join the tables of a scan."""
    spinal = [part for part in parts if part.kind == "spinal"]
    vertebral = [part for part in parts if part.kind == "vertebral"]
    for same in (spinal, vertebral):
        if len(same) > 1:
            raise DatasetError(
                f"{same[0].path} and {same[1].path} hold the {same[0].kind} levels of one scan; choose by what their "
                "names hold (-match), or remove one"
            )
    references = {part.reference for part in parts}
    if len(references) > 1:
        raise DatasetError(
            f"{spinal[0].path} counts positions from {spinal[0].reference}, but {vertebral[0].path} from "
            f"{vertebral[0].reference}; give tables with the same reference"
        )
    ordered = [*spinal, *vertebral]
    first = ordered[0]
    return LevelTable(
        subject=_subject_of(first.path),
        path=first.path,
        companions=tuple(part.path for part in ordered[1:]),
        reference=first.reference,
        method=spinal[0].method if spinal else "",
        levels={(level.kind, level.name): level for part in ordered for level in part.levels},
        names_from_discs=None,
        is_published=True,
    )


def _read(path: Path) -> _Part:
    rows = read_rows(path, "make it again with the published scripts")
    if not rows:
        raise DatasetError(f"{path} has no levels; make it again, or remove it")
    prefix, ends = _find_columns(tuple(rows[0]), path)
    kind: Kind = "vertebral" if is_vertebral(path) else "spinal"
    levels: dict[str, LevelRow] = {}
    for row in rows:
        level = _read_row(row, kind, (prefix + ends[0], prefix + ends[1]), path)
        if level is None:
            continue
        if level.name in levels:
            raise DatasetError(f"{path} has {kind} level {level.name} twice; make it again")
        levels[level.name] = level
    if not levels:
        raise DatasetError(f"{path} has no level with a distance; make it again, or remove it")
    return _Part(
        path=path,
        scan=scan_of(path),
        kind=kind,
        reference=REFERENCES[prefix],
        method="PAM50" if path.name.endswith("_PAM50.csv") else "extent",
        levels=tuple(levels.values()),
    )


def _find_columns(columns: Sequence[str], path: Path) -> tuple[str, tuple[str, str]]:
    """Find the reference and the columns of the ends of levels."""
    if "spinal_level" in columns:
        for prefix in REFERENCES:
            for ends in _END_COLUMNS:
                if {prefix + end for end in ends} <= set(columns):
                    return prefix, ends
    raise DatasetError(
        f"{path} is not a table of the published scripts: it needs the columns spinal_level and "
        "distance_from_pmj_start and _end (2025), or distance_from_pmj_start_S-I and _end_S-I (2026; or "
        "distance_from_c2_top_…)"
    )


def _read_row(row: dict[str, str], kind: Kind, columns: tuple[str, str], path: Path) -> LevelRow | None:
    """Read a level; None if its distances are missing."""
    try:
        number = float(row["spinal_level"])
        name = level_name(int(number), kind)
        if number != int(number):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise DatasetError(
            f"{path} has a {kind} level {row['spinal_level']!r}, which is none; write its number, such as 3 for C3"
        ) from None
    cells = [(row[column] or "").strip() for column in columns]
    if all(cell.lower() in ("", "nan", "n/a") for cell in cells):
        return None
    try:
        one, other = (float(cell) for cell in cells)
    except ValueError:
        one = other = math.nan
    if not math.isfinite(one - other):
        raise DatasetError(f"{path} has no valid distances of {kind} level {name}; make it again")
    rostral, caudal = min(one, other), max(one, other)
    return LevelRow(
        name=name,
        kind=kind,
        rostral_mm=rostral,
        caudal_mm=caudal,
        midpoint_mm=(rostral + caudal) / 2,
        length_mm=caudal - rostral,
        complete=True,
    )
