"""Level tables of many subjects, from their folders: which belong together, which are left out, and why.

Reads what `sct_compute_spinal_levels` wrote (level tables and sidecars) and a BIDS ``participants.tsv``.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sct_rootlets.bids import LABEL_NAMES, TABLE_ENDING
from sct_rootlets.bids_folder import files_below
from sct_rootlets.errors import DatasetError
from sct_rootlets.levels import Kind, level_value
from sct_rootlets.sidecar import read_name_sources

#: What a level table must have; it has more.
COLUMNS = ("name", "kind", "method", "rostral_mm", "caudal_mm", "midpoint_mm", "length_mm", "reference", "complete")
#: Heights that a person may have, in cm; outside, they are in another unit, or wrong.
HEIGHTS_CM = (50.0, 250.0)
#: How missing values are written in a participants.tsv.
MISSING = ("", "n/a", "N/A", "na", "NA", "nan", "NaN", "-")


@dataclass(frozen=True)
class LevelRow:
    """A level of a subject, as its table has it; positions in mm from the table's reference."""

    name: str
    kind: Kind
    rostral_mm: float
    caudal_mm: float
    midpoint_mm: float
    length_mm: float
    complete: bool


@dataclass(frozen=True)
class Scan:
    """The level table of a scan.

    Attributes
    ----------
    subject : str
        Such as ``sub-01``.
    path : Path
    reference, method : str
        What positions are counted from, and how spinal levels were defined (empty if there are none).
    levels : dict of (str, str) to LevelRow
        By kind and name.
    names_from_discs : bool or None
        Whether discs decided the names of its spinal levels; None where no sidecar says so.
    """

    subject: str
    path: Path
    reference: str
    method: str
    levels: dict[tuple[str, str], LevelRow]
    names_from_discs: bool | None


#: A scan that is not compared, and why.
LeftOut = tuple[Scan, str]


@dataclass(frozen=True)
class Participant:
    """A row of a ``participants.tsv``; None where a value is missing."""

    age: float | None = None
    sex: str | None = None
    height_cm: float | None = None


@dataclass(frozen=True)
class Cohort:
    """The scans that are compared, one a subject.

    Attributes
    ----------
    scans : tuple of Scan
        In the order of their subjects.
    left_out : tuple of (Scan, str)
        Scans that are not compared, and why.
    participants : dict of str to Participant
        By subject.
    notes : tuple of str
        One line each.
    """

    scans: tuple[Scan, ...]
    left_out: tuple[LeftOut, ...] = ()
    participants: dict[str, Participant] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def participant(self, subject: str) -> Participant:
        """What is known of a subject."""
        return self.participants.get(subject, Participant())


def collect(
    folders: Sequence[str | os.PathLike[str]],
    participants: str | os.PathLike[str] | None = None,
    match: str = "",
    reference: str | None = None,
    need_height: bool = False,
    keep_names_from_discs: bool = False,
) -> Cohort:
    """Read the level tables in folders, and leave out those that should not be compared.

    Parameters
    ----------
    folders : sequence of path
        Searched with all their subfolders for ``*_levels.csv``; tables themselves may be given too.
    participants : path, optional
        By default, those ``participants.tsv`` that lie in the folders.
    match : str
        Only tables whose file name holds this, such as ``"_T2w"`` or ``"ses-01"``.
    reference : str, optional
        Only tables with positions from this point; by default all must be from the same.
    need_height : bool
        Leave out subjects without a height.
    keep_names_from_discs : bool
        Keep scans whose spinal levels were named by the discs that they are compared with.

    Returns
    -------
    Cohort

    Raises
    ------
    DatasetError
        If tables are missing, damaged, or do not belong together: two for a subject, different references or
        methods, fewer than two subjects; or if heights are needed and not there.
    """
    paths = [path for path in find_tables(folders) if match in path.name]
    if not paths:
        having = f" with {match!r} in their names" if match else ""
        where = ", ".join(str(folder) for folder in folders)
        raise DatasetError(
            f"no level tables (*{TABLE_ENDING}){having} in {where}; sct_compute_spinal_levels writes them"
        )
    scans, left_out = _comparable([read_scan(path) for path in paths], reference, keep_names_from_discs)
    _check_one_table_each(scans)
    people, source = _participants(folders, participants)
    for scan in scans:  # anna_levels.csv, in no folder sub-anna
        if f"sub-{scan.subject}" in people:
            people.setdefault(scan.subject, people[f"sub-{scan.subject}"])
    if need_height:
        scans, others = _with_heights(scans, people, source)
        left_out += others
    _check_alike(scans)
    if len(scans) < 2:
        why = Counter(reason for _, reason in left_out)
        out = "".join(f"; {count} left out: {reason}" for reason, count in why.items())
        one = f"only one subject ({scans[0].subject})" if scans else "no subject"
        raise DatasetError(f"{one} to compare: a group needs two or more{out}")
    return Cohort(tuple(scans), tuple(left_out), people, tuple(_notes(scans, left_out, people, source)))


def _comparable(
    scans: list[Scan], reference: str | None, keep_names_from_discs: bool
) -> tuple[list[Scan], list[LeftOut]]:
    left_out: list[LeftOut] = []
    if reference is not None:
        scans, others = _parted(scans, lambda scan: scan.reference == reference)
        left_out += [(scan, f"positions from {scan.reference}, not {reference}") for scan in others]
    if not keep_names_from_discs:
        scans, others = _parted(scans, lambda scan: not scan.names_from_discs)
        left_out += [(scan, "discs decided the names of its spinal levels") for scan in others]
    return scans, left_out


def _with_heights(
    scans: list[Scan], people: dict[str, Participant], source: Path | None
) -> tuple[list[Scan], list[LeftOut]]:
    if source is None:
        raise DatasetError(
            "normalising by height needs the heights: give participants.tsv (-participants), with a column height"
        )
    if scans:
        _check_heights(people, scans, source)
    kept, others = _parted(scans, lambda scan: people.get(scan.subject, Participant()).height_cm is not None)
    return kept, [(scan, f"no height in {source.name}") for scan in others]


def find_tables(folders: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Level tables in folders and their subfolders, each once, sorted."""
    found: dict[Path, Path] = {}
    for folder in map(Path, folders):
        if folder.is_dir():
            paths = [path for path in files_below(folder) if path.name.endswith(TABLE_ENDING)]
        elif folder.exists():
            paths = [folder]
        else:
            raise DatasetError(f"{folder} does not exist; check the path")
        found |= {path.resolve(): path for path in paths}
    return sorted(found.values())


def subject_of(path: Path) -> str:
    """Subject that a level table belongs to.

    ``sub-…`` in its name, or in the name of the innermost folder that has one; else its own name.

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
        found = re.match(r"sub-[a-zA-Z0-9]+", name)
        if found:
            return found.group()
    return path.name.removesuffix(TABLE_ENDING)


def read_scan(path: Path) -> Scan:
    """Read a level table and what its sidecar says about names.

    Raises
    ------
    DatasetError
        If the table is not one, or its levels make no sense.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read as a table; make it again with sct_compute_spinal_levels") from error
    if not rows:
        raise DatasetError(f"{path} has no levels; make it again with sct_compute_spinal_levels, or remove it")
    missing = [column for column in COLUMNS if column not in rows[0]]
    if missing:
        raise DatasetError(f"{path} is no level table: it has no column {', '.join(missing)}")
    levels: dict[tuple[str, str], LevelRow] = {}
    for row in rows:
        level = _level_row(row, path)
        if (level.kind, level.name) in levels:
            raise DatasetError(f"{path} has {level.kind} level {level.name} twice; make it again")
        levels[level.kind, level.name] = level
    references = {row["reference"] for row in rows}
    methods = {row["method"] for row in rows if row["kind"] == "spinal"}
    if len(references) > 1 or len(methods) > 1:
        raise DatasetError(f"{path} mixes references or methods; make it again with sct_compute_spinal_levels")
    return Scan(subject_of(path), path, references.pop(), next(iter(methods), ""), levels, _names_from_discs(path))


def _level_row(row: dict[str, str], path: Path) -> LevelRow:
    kind: Kind = "spinal" if row["kind"] == "spinal" else "vertebral"
    name = row["name"]
    try:
        if kind != row["kind"]:
            raise ValueError
        level_value(name, kind)
    except ValueError:
        raise DatasetError(
            f"{path} has a level {name!r} of kind {row['kind']!r}, which is none; make it again"
        ) from None
    try:
        rostral, caudal, middle, length = (float(row[f"{place}_mm"]) for place in _PLACES)
    except (TypeError, ValueError):
        rostral = caudal = middle = length = math.nan
    if not (rostral <= middle <= caudal and math.isfinite(caudal - rostral) and row["complete"] in _BOOLEANS):
        raise DatasetError(f"{path} has no valid ends for {kind} level {name}; make it again")
    return LevelRow(name, kind, rostral, caudal, middle, length, _BOOLEANS[row["complete"]])


_PLACES = ("rostral", "caudal", "midpoint", "length")
_BOOLEANS = {"True": True, "False": False, "true": True, "false": False, "1": True, "0": False}


def _names_from_discs(path: Path) -> bool | None:
    stem = path.name.removesuffix(TABLE_ENDING)
    sources = read_name_sources(path.with_name(f"{stem}_label-{LABEL_NAMES['spinal']}_dseg.nii.gz"))
    return None if sources is None else "discs" in sources


def read_participants(path: str | os.PathLike[str]) -> dict[str, Participant]:
    """Read age, sex and height (cm) of a BIDS ``participants.tsv``, by subject.

    Raises
    ------
    DatasetError
        If it cannot be read, has no column ``participant_id``, or a subject twice.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
    except FileNotFoundError as error:
        raise DatasetError(f"{path} does not exist; check the path") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read as a table of participants") from error
    if not rows or "participant_id" not in rows[0]:
        raise DatasetError(f"{path} has no column participant_id; give a BIDS participants.tsv (columns between tabs)")
    people: dict[str, Participant] = {}
    for row in rows:
        if not (row["participant_id"] or "").strip():  # a line of tabs
            continue
        subject = "sub-" + (row["participant_id"] or "").strip().removeprefix("sub-")
        if subject in people:
            raise DatasetError(f"{path} has {subject} twice; keep one row for each subject")
        lowered = {(key or "").strip().lower(): value for key, value in row.items()}
        text = {key: (lowered.get(key) or "").strip() for key in ("age", "sex", "height")}
        people[subject] = Participant(
            _number(text["age"], "age", subject, path),
            None if text["sex"] in MISSING else text["sex"],
            _number(text["height"], "height", subject, path),
        )
    return people


def _number(text: str, column: str, subject: str, path: Path) -> float | None:
    if text in MISSING:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DatasetError(f"{path}: the {column} of {subject} is {text!r}; write a number, or n/a")
    return value


def _participants(
    folders: Sequence[str | os.PathLike[str]], given: str | os.PathLike[str] | None
) -> tuple[dict[str, Participant], Path | None]:
    if given is not None:
        return read_participants(given), Path(given)
    beside = [path for path in (Path(folder) / "participants.tsv" for folder in folders) if path.is_file()]
    people: dict[str, Participant] = {}
    for path in beside:
        for subject, found in read_participants(path).items():
            if people.setdefault(subject, found) != found:
                raise DatasetError(
                    f"{path} and another participants.tsv differ on {subject}; give people of different sites "
                    "different names, or one table (-participants)"
                )
    return people, beside[0] if beside else None


def _check_heights(people: dict[str, Participant], scans: list[Scan], source: Path) -> None:
    heights = {scan.subject: people[scan.subject].height_cm for scan in scans if scan.subject in people}
    known = {subject: height for subject, height in heights.items() if height is not None}
    if not known:
        raise DatasetError(f"{source} has no height of any subject that is compared; add a column height, in cm")
    low, high = HEIGHTS_CM
    wrong = {subject: height for subject, height in known.items() if not low <= height <= high}
    if wrong:
        subject, height = next(iter(wrong.items()))
        unit = "metres" if all(0.5 <= height <= 2.5 for height in wrong.values()) else "another unit than cm, or wrong"
        raise DatasetError(
            f"{source}: {len(wrong)} of {len(known)} heights seem to be in {unit} ({subject}: {height:g}); "
            "write them in cm"
        )


def _check_one_table_each(scans: list[Scan]) -> None:
    first: dict[str, Scan] = {}
    for scan in scans:
        other = first.setdefault(scan.subject, scan)
        if other is not scan:
            raise DatasetError(
                f"{scan.subject} has more than one level table: {other.path} and {scan.path}; "
                "choose by what their names hold (-match _T2w, -match ses-01), "
                "or give people of different sites different names"
            )


def _check_alike(scans: list[Scan]) -> None:
    for what, advice, values in (
        ("positions from", "give the same labels (-pmj) to all, or choose (-reference)", [s.reference for s in scans]),
        ("spinal levels by the method", "use one for all (-method)", [s.method for s in scans]),
    ):
        counts = Counter(value for value in values if value)
        if len(counts) > 1:
            (most, _), *others = counts.most_common()
            stranger = next(scan for scan, value in zip(scans, values, strict=True) if value == others[0][0])
            shares = ", ".join(f"{value} ({count})" for value, count in counts.most_common())
            raise DatasetError(
                f"tables do not belong together: {what} {shares}, such as {stranger.path} not {most}; {advice}"
            )


def _parted(scans: list[Scan], keep: Callable[[Scan], bool]) -> tuple[list[Scan], list[Scan]]:
    return [scan for scan in scans if keep(scan)], [scan for scan in scans if not keep(scan)]


def _notes(
    scans: list[Scan], left_out: list[LeftOut], people: dict[str, Participant], source: Path | None
) -> Iterable[str]:
    for reason, count in Counter(reason for _, reason in left_out).items():
        subjects = [scan.subject for scan, why in left_out if why == reason]
        yield f"left out, {count}: {reason} ({some(subjects)})"
    silent = [scan.subject for scan in scans if scan.names_from_discs is None and scan.method]
    if silent:
        yield (
            f"no sidecar says how spinal levels of {len(silent)} of {len(scans)} subjects got their names; "
            f"if it was from discs, leave them out ({some(silent)})"
        )
    kept = [scan.subject for scan in scans if scan.names_from_discs]
    if kept:
        yield f"kept as asked, {len(kept)}: discs decided the names of their spinal levels ({some(kept)})"
    for kind in LABEL_NAMES:
        without = [scan.subject for scan in scans if not any(one == kind for one, _ in scan.levels)]
        if without:
            yield f"{len(without)} of {len(scans)} subjects have no {kind} levels ({some(without)})"
    if source is not None:
        unknown = [scan.subject for scan in scans if scan.subject not in people]
        if unknown:
            yield f"{len(unknown)} of {len(scans)} subjects are not in {source.name} ({some(unknown)})"
    if any(scan.method not in ("", "extent") for scan in scans):
        yield "spinal levels are not by the method extent: do not compare them with published figures"


def some(subjects: list[str], most: int = 5) -> str:
    """The first few of them, for messages."""
    return ", ".join(subjects[:most]) + (", …" if len(subjects) > most else "")
