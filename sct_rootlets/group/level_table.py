"""The level table of a scan, as `sct_compute_spinal_levels` writes it, read from its file and its sidecar."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sct_rootlets.bids import LABEL_NAMES, TABLE_ENDING
from sct_rootlets.cells import BOOLEANS
from sct_rootlets.errors import DatasetError
from sct_rootlets.levels import Kind, fits_ends, level_value
from sct_rootlets.sidecar import find_edited, read_name_sources, read_object, read_sidecar

#: Columns that a level table must have, among others.
REQUIRED_COLUMNS = (
    "name",
    "kind",
    "method",
    "rostral_mm",
    "caudal_mm",
    "midpoint_mm",
    "length_mm",
    "reference",
    "complete",
)
#: What to do about a damaged table. A rerun does not replace a table that was edited, but one that is missing.
AGAIN = "delete this file or move it away, and compute the levels again (sct_compute_spinal_levels, bids)"


@dataclass(frozen=True, kw_only=True)
class LevelRow:
    """A level of a subject.

    Attributes
    ----------
    name : str
    kind : {"spinal", "vertebral"}
    rostral_mm, caudal_mm, midpoint_mm : float
        Positions along the cord, from the table's reference.
    length_mm : float
    complete : bool
        Whether the level cannot be longer than stated.
    """

    name: str
    kind: Kind
    rostral_mm: float
    caudal_mm: float
    midpoint_mm: float
    length_mm: float
    complete: bool


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How levels were computed, as far as sidecars say it.

    Attributes
    ----------
    method : str
        Definition of the spinal levels; empty if it is not known.
    distance_mm : float or None
        Largest distance of the rootlets of a level from the cord.
    model : (str, str) or None
        Name with version, and hashes, of the model that segmented labels that were not given.
    image : str or None
        SHA-256 of the voxels of the scan.
    is_edited : bool
        Whether the table was changed since it was written, by its sidecar.
    is_corroborated : bool or None
        Whether independent kinds of evidence agree on the numbers of vertebrae that were found in the image; None for
        discs that were given.
    """

    method: str = ""
    distance_mm: float | None = None
    model: tuple[str, str] | None = None
    image: str | None = None
    is_edited: bool = False
    is_corroborated: bool | None = None


@dataclass(frozen=True, kw_only=True)
class LevelTable:
    """The level table of a scan.

    Attributes
    ----------
    subject : str
        Such as ``sub-01``.
    path : Path
    reference : str
        Point from which positions count.
    method : str
        Definition of the spinal levels; empty if there are none.
    levels : dict of (str, str) to LevelRow
        Levels by kind and name.
    names_from_discs : bool or None
        Whether discs decided the names of the spinal levels; None where no sidecar says so.
    numbering : float or None
        Least probability of the number of a vertebra, where vertebrae were numbered by the image.
    companions : tuple of Path
        Other files that its levels come from.
    is_published : bool
        Whether the published scripts wrote it: see `sct_rootlets.group.published_table`.
    provenance : Provenance
    """

    subject: str
    path: Path
    reference: str
    method: str
    levels: dict[tuple[str, str], LevelRow]
    names_from_discs: bool | None
    numbering: float | None = None
    companions: tuple[Path, ...] = ()
    is_published: bool = False
    provenance: Provenance = Provenance()

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files that its levels come from."""
        return self.path, *self.companions

    @property
    def kinds(self) -> set[str]:
        """Kinds of its levels."""
        return {kind for kind, _ in self.levels}


def subject_of(path: Path) -> str:
    """Find the subject that a level table belongs to.

    The subject is the ``sub-…`` of the table's name, or of the name of the innermost folder that has one; otherwise the
    table's own name.

    Examples
    --------
    >>> subject_of(Path("levels/sub-01/anat/sub-01_ses-2_T2w_levels.csv"))
    'sub-01'
    >>> subject_of(Path("levels/sub-01/t2_levels.csv"))
    'sub-01'
    >>> subject_of(Path("levels/anna_levels.csv"))
    'anna'
    """
    for name in (path.name, *(parent.name for parent in path.parents)):
        subject = re.match(r"sub-[a-zA-Z0-9]+", name)
        if subject:
            return subject.group()
    return path.name.removesuffix(TABLE_ENDING)


def read_rows(path: Path, remedy: str) -> list[dict[str, str]]:
    """Read a table of values between commas.

    Parameters
    ----------
    path : Path
    remedy : str
        What the error message says to do.

    Returns
    -------
    list of dict
        Cells by column, one a row.

    Raises
    ------
    DatasetError
        If the file cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            return list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read as a table; {remedy}") from error


def read_level_table(path: Path) -> LevelTable:
    """Read a level table, and the source of its names from its sidecar.

    Parameters
    ----------
    path : Path

    Returns
    -------
    LevelTable

    Raises
    ------
    DatasetError
        If the file is not a level table, or its levels make no sense.
    """
    rows = read_rows(path, AGAIN)
    if not rows:
        raise DatasetError(f"{path} has no levels; {AGAIN}")
    missing = [column for column in REQUIRED_COLUMNS if column not in rows[0]]
    if missing:
        raise DatasetError(f"{path} is not a level table: it has no column {', '.join(missing)}; {AGAIN}")
    levels: dict[tuple[str, str], LevelRow] = {}
    for row in rows:
        level = _parse_row(row, path)
        if (level.kind, level.name) in levels:
            raise DatasetError(f"{path} has {level.kind} level {level.name} twice; {AGAIN}")
        levels[level.kind, level.name] = level
    references = {row["reference"] for row in rows}
    methods = {row["method"] for row in rows if row["kind"] == "spinal"}
    if len(references) > 1 or len(methods) > 1:
        raise DatasetError(f"{path} mixes references or methods; {AGAIN}")
    return LevelTable(
        subject=subject_of(path),
        path=path,
        reference=references.pop(),
        method=next(iter(methods), ""),
        levels=levels,
        names_from_discs=_names_from_discs(path),
        numbering=_least_numbering(rows, path),
        provenance=read_provenance(path),
    )


def _least_numbering(rows: Sequence[dict[str, str]], path: Path) -> float | None:
    """Return the least probability in the column ``confidence`` of vertebrae; None where there is none."""
    cells = [row.get("confidence") for row in rows if row["kind"] == "vertebral"]
    try:
        values = [float(cell) for cell in cells if cell]
    except ValueError:
        raise DatasetError(f"{path} has a confidence that is not a number; {AGAIN}") from None
    return min(values, default=None)


def _parse_row(row: dict[str, str], path: Path) -> LevelRow:
    kind: Kind = "spinal" if row["kind"] == "spinal" else "vertebral"
    name = row["name"]
    try:
        if kind != row["kind"]:
            raise ValueError
        value = level_value(name, kind)
    except ValueError:
        raise DatasetError(f"{path} has a level {name!r} of kind {row['kind']!r}, which is none; {AGAIN}") from None
    if row.get("level") not in (None, str(value), f"{value}.0"):
        raise DatasetError(f"{path}: {kind} level {name} has the number {row['level']}, not {value}; {AGAIN}")
    columns = ("rostral_mm", "caudal_mm", "midpoint_mm", "length_mm")
    try:
        rostral, caudal, midpoint, length = (float(row[column]) for column in columns)
    except (TypeError, ValueError):
        rostral = caudal = midpoint = length = math.nan
    if not (rostral <= midpoint <= caudal and math.isfinite(caudal - rostral)):
        raise DatasetError(f"{path} has no valid ends for {kind} level {name}; {AGAIN}")
    if not fits_ends(rostral, caudal, midpoint, length):
        raise DatasetError(f"{path}: length or midpoint of {kind} level {name} are not those of its ends; {AGAIN}")
    complete = BOOLEANS.get((row["complete"] or "").strip().lower())
    if complete is None:
        raise DatasetError(
            f"{path} has no valid ends for {kind} level {name}, or moved cells: complete is {row['complete']!r}, and "
            f"not True or False; {AGAIN}"
        )
    return LevelRow(
        name=name,
        kind=kind,
        rostral_mm=rostral,
        caudal_mm=caudal,
        midpoint_mm=midpoint,
        length_mm=length,
        complete=complete,
    )


def _spinal_map(path: Path) -> Path:
    """Return the path of the map of spinal levels that belongs to a table."""
    stem = path.name.removesuffix(TABLE_ENDING)
    return path.with_name(f"{stem}_label-{LABEL_NAMES['spinal']}_dseg.nii.gz")


def _names_from_discs(path: Path) -> bool | None:
    """Read from the sidecar of the map of spinal levels whether discs decided their names."""
    sources = read_name_sources(_spinal_map(path))
    return None if sources is None else "discs" in sources


def read_provenance(path: Path) -> Provenance:
    """Read how the levels of a table were computed, from its sidecar or from that of the map of spinal levels.

    Parameters
    ----------
    path : Path
        The level table, ``*_levels.csv``.

    Returns
    -------
    Provenance
    """
    content = read_object(path.with_suffix(".json")) or read_sidecar(_spinal_map(path))
    method, distance, scan = (content.get(key) for key in ("Method", "DistanceMillimeters", "Scan"))
    image = scan.get("Voxels") if isinstance(scan, dict) else None
    return Provenance(
        method=method if isinstance(method, str) else "",
        distance_mm=float(distance) if isinstance(distance, int | float) else None,
        model=_model(content),
        image=image if isinstance(image, str) else None,
        is_edited=bool(find_edited(content, [path])),
        is_corroborated=_is_corroborated(content),
    )


def _is_corroborated(content: Mapping[str, Any]) -> bool | None:
    numbering = content.get("VertebralNumbering")
    if not isinstance(numbering, dict) or numbering.get("FixedByGivenDiscs"):
        return None
    agree = numbering.get("KindsOfEvidenceAgree")
    return agree if isinstance(agree, bool) else None


def _model(content: Mapping[str, Any]) -> tuple[str, str] | None:
    model = content.get("Model")
    if not isinstance(model, dict):
        return None
    name = " ".join(str(model[key]) for key in ("Name", "Version") if model.get(key))
    return name, json.dumps({key: model.get(key) for key in ("SHA256", "CordAndRoots")}, sort_keys=True)
