"""Measures of a group: the tables of many scans read back into one, and means over people per level."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sct_rootlets.bids import MEASURE_ENDINGS, MEASURE_RECORD_ENDING, TABLE_ENDING, stem
from sct_rootlets.bids_folder import files_below
from sct_rootlets.cells import BOOLEANS, MISSING_CELLS
from sct_rootlets.errors import DatasetError
from sct_rootlets.group.collect import abbreviate, check_same_method, describe_uncorroborated
from sct_rootlets.group.level_table import Provenance, read_provenance, read_rows, subject_of
from sct_rootlets.group.participants import Participant, describe_wrong_heights, find_participants
from sct_rootlets.levels import level_value
from sct_rootlets.measure.axial import axial_mean, unwrap_axial, wrap_axial
from sct_rootlets.measure.cells import read_cell
from sct_rootlets.sidecar import read_object, sha256_of
from sct_rootlets.vertebral import SURE_NUMBERING

if TYPE_CHECKING:
    import pandas as pd

SHAPE_TABLE_ENDING = f"_{MEASURE_ENDINGS['shape']}"
#: Measures of each table, by how their columns begin.
MEASURE_COLUMNS = {
    "shape": ("MEAN(", "SUM("),
    "signal": ("WA()", "MEDIAN()", "STD()"),
    "lesions": ("n_lesions", "volume_mm3", "volume_share", "length_mm", "greatest_axial_share"),
}
#: What tells the values of one series from those of another: they are averaged over people, and drawn as one line.
SERIES_COLUMNS = ("table", "image", "label", "part", "measure", "kind")
#: What tells the rows of one table apart.
ROW_COLUMNS = ("kind", "name", "part", "Filename", "Label")
#: What tells the values of a scan apart.
CONTENT_COLUMNS = ("table", "image", "label", "part", "kind", "level", "measure")
#: Measures that grow with the level: they do not count where the level may be longer than stated.
EXTENSIVE = ("SUM(length)", "n_lesions", "volume_mm3", "length_mm")
#: Measures that are directions of an axis (`sct_rootlets.measure.axial`).
AXIAL_COLUMNS = ("MEAN(orientation)",)
NOT_COMPLETE = "the level may be longer than stated"


@dataclass(frozen=True, kw_only=True)
class ScanMeasures:
    """The tables of measures of one scan.

    Attributes
    ----------
    subject : str
        Such as ``sub-01``.
    session : str
        Such as ``ses-01``; empty if names do not say it.
    path : Path
        The table of shape; the other tables lie beside it.
    record : dict
        What their record says of them; empty if it is missing.
    """

    subject: str
    session: str
    path: Path
    record: Mapping[str, object]

    @property
    def prefix(self) -> str:
        """What the names of its tables begin with."""
        return self.path.name.removesuffix(SHAPE_TABLE_ENDING)


@dataclass(frozen=True, kw_only=True)
class GroupMeasures:
    """Measures per level of many scans.

    Attributes
    ----------
    scans : tuple of ScanMeasures
        All that were found.
    left_out : dict of Path to str
        Why scans do not count, by their table of shape.
    values : pandas.DataFrame
        One row for each scan, level and measure, also of scans that do not count: ``left_out_because`` says why.
    statistics : pandas.DataFrame
        Mean and standard deviation over people, one row for each level and measure. Several sessions of a person are
        averaged first.
    notes : tuple of str
    """

    scans: tuple[ScanMeasures, ...]
    left_out: dict[Path, str]
    values: pd.DataFrame
    statistics: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def n_people(self) -> int:
        """Number of people with scans that count."""
        return len({scan.subject for scan in self.scans if scan.path not in self.left_out})


def group_measures(
    folders: Sequence[str | os.PathLike[str]],
    participants: str | os.PathLike[str] | None = None,
    match: str = "",
    keep_uncertain: bool = False,
    keep_incomplete: bool = False,
) -> GroupMeasures:
    """Read the measures of many scans, and average them over people.

    Parameters
    ----------
    folders : sequence of path
        Folders, which are searched with all their subfolders for ``*_shape.csv``, or such tables.
    participants : path, optional
        BIDS ``participants.tsv``; by default those that lie in the folders.
    match : str
        Text that the names of tables must hold, such as ``"_T2w"``.
    keep_uncertain : bool
        Count scans whose levels may bear wrong numbers, too.
    keep_incomplete : bool
        Count lengths, and lesions, of levels that may be longer than stated, too.

    Returns
    -------
    GroupMeasures

    Raises
    ------
    DatasetError
        If tables are missing or damaged, a session has several, their spinal levels were computed by different methods
        or distances, or no scan counts.
    """
    scans = [_read_scan(path) for path in _find_tables(folders) if match in path.name]
    if not scans:
        having = f" with {match!r} in their names" if match else ""
        where = ", ".join(str(folder) for folder in folders)
        raise DatasetError(
            f"no measures (*{SHAPE_TABLE_ENDING}){having} in {where}; sct_rootlets measure writes them, and "
            "sct_rootlets bids with -measure 1"
        )
    _check_one_scan_each(scans)
    people, source = find_participants(folders, participants)
    left_out = {scan.path: reason for scan in scans if (reason := _reason_to_leave_out(scan, keep_uncertain))}
    if len(left_out) == len(scans):
        path, reason = next(iter(left_out.items()))
        raise DatasetError(f"none of the {len(scans)} measured scans counts, such as {path}: {reason}")
    rows: list[dict[str, object]] = []
    first: dict[object, ScanMeasures] = {}
    with_spinal_levels: list[Path] = []
    for scan in scans:
        person = people.get(scan.subject) or people.get(f"sub-{scan.subject}") or Participant()
        because = left_out.get(scan.path, "")
        values = list(_scan_rows(scan, person, because, keep_incomplete))
        if not because and any(row["kind"] == "spinal" for row in values):
            with_spinal_levels.append(scan.path)
        linked = scan if because else first.setdefault(scan.path.resolve(), scan)
        other = scan if because else first.setdefault(_content(values), linked)
        if other is not scan:
            because = f"its values are those of {other.prefix}, the same scan under two names; keep the right one"
            left_out[scan.path] = because
            values = [{**row, "left_out_because": because} for row in values]
        rows += values
    provenance = {scan.path: _provenance(scan) for scan in scans}
    check_same_method([(path, provenance[path]) for path in with_spinal_levels])
    frame = _sorted_frame(rows)
    notes = list(_notes(scans, left_out, people if source is not None else None))
    counted = [scan for scan in scans if scan.path not in left_out]
    single = [scan.subject for scan in counted if provenance[scan.path].is_corroborated is False]
    if single:
        notes.append(describe_uncorroborated(single, len(counted)))
    if source is not None and (wrong := describe_wrong_heights(people, [scan.subject for scan in scans], source)):
        notes.append(wrong)
    return GroupMeasures(
        scans=tuple(scans), left_out=left_out, values=frame, statistics=_average(frame), notes=tuple(notes)
    )


def _find_tables(folders: Sequence[str | os.PathLike[str]]) -> list[Path]:
    tables: dict[tuple[Path, str], Path] = {}
    for folder in map(Path, folders):
        if not folder.exists():
            raise DatasetError(f"{folder} does not exist; check the path")
        paths = files_below(folder) if folder.is_dir() else [folder]
        tables |= {(path.resolve(), subject_of(path)): path for path in paths if path.name.endswith(SHAPE_TABLE_ENDING)}
    return sorted(tables.values())


def _read_scan(path: Path) -> ScanMeasures:
    prefix = path.name.removesuffix(SHAPE_TABLE_ENDING)
    names = (path.name, *(parent.name for parent in path.parents))
    sessions = (found.group(1) for name in names if (found := re.search(r"(?:^|_)(ses-[a-zA-Z0-9]+)", name)))
    return ScanMeasures(
        subject=subject_of(path.with_name(f"{prefix}{TABLE_ENDING}")),
        session=next(sessions, ""),
        path=path,
        record=read_object(path.with_name(f"{prefix}_{MEASURE_RECORD_ENDING}")),
    )


def _check_one_scan_each(scans: Sequence[ScanMeasures]) -> None:
    first: dict[tuple[str, str], ScanMeasures] = {}
    for scan in scans:
        other = first.setdefault((scan.subject, scan.session), scan)
        if other is not scan:
            place = f"{scan.subject}, {scan.session}," if scan.session else scan.subject
            raise DatasetError(
                f"{place} has the measures of more than one scan: {other.path} and {scan.path}; choose by what their "
                "names hold (-match _T2w), or give people of different sites different names"
            )


def _reason_to_leave_out(scan: ScanMeasures, keep_uncertain: bool) -> str:
    """Say why a scan does not count; empty if it does."""
    levels = scan.record.get("Levels")
    facts = levels if isinstance(levels, dict) else {}
    if _are_levels_newer(scan, facts):
        return "its levels were computed again since it was measured; measure it again"
    if keep_uncertain:
        return ""
    numbering, flags = facts.get("Numbering"), facts.get("Implausible")
    if isinstance(numbering, float) and numbering < SURE_NUMBERING:
        return "the numbers of its vertebrae are uncertain"
    return f"its levels are implausible ({'; '.join(map(str, flags))})" if flags and isinstance(flags, list) else ""


def _are_levels_newer(scan: ScanMeasures, facts: Mapping[str, object]) -> bool:
    """Whether the level table that lies beside the measures is another one than that they were made from."""
    name, digest = facts.get("Table"), facts.get("SHA256")
    if not isinstance(name, str) or not name or not digest:
        return False
    table = scan.path.with_name(name)
    return table.is_file() and sha256_of(table) != digest


def _scan_rows(
    scan: ScanMeasures, person: Participant, left_out_because: str, keep_incomplete: bool
) -> Iterator[dict[str, object]]:
    """Yield the rows of one scan: each level and measure of each of its tables."""
    constant = {
        "participant_id": scan.subject,
        "session_id": scan.session or None,
        "scan": scan.prefix,
        "age": person.age,
        "sex": person.sex,
        "height_cm": person.height_cm,
    }
    complete: dict[tuple[str, str], bool] = {}
    for table, ending in MEASURE_ENDINGS.items():
        path = scan.path.with_name(f"{scan.prefix}_{ending}")
        if not _is_of_this_run(scan, table) or not path.is_file():
            continue
        for row in _read_table(path, table):
            key = (row["kind"], row["name"])
            if table == "shape":
                complete[key] = _is_complete(row, path)
            is_complete = complete.get(key, True)
            because = left_out_because
            if not because and _is_flagged(scan, row.get("Filename", "")):
                because = "the cord of the image does not lie where that of the levels is"
            identity = {
                "table": table,
                "image": _without_subject(row["Filename"], scan) if table == "signal" else None,
                "label": _without_subject(row["Label"], scan) if table == "signal" else None,
                "part": row.get("part") or "all",
                "kind": row["kind"],
                "level": row["name"],
            }
            for column in row:
                if column.startswith(MEASURE_COLUMNS[table]):
                    is_short = column in EXTENSIVE and not is_complete and not keep_incomplete
                    norms = (column.replace("MEAN(", f"NORM_{what}(") for what in ("MEAN", "SD"))
                    norm_mean, norm_sd = (_number(row, name, path) if name != column else math.nan for name in norms)
                    yield {
                        **constant,
                        **identity,
                        "measure": column,
                        "value": _number(row, column, path),
                        "norm_mean": norm_mean,
                        "norm_sd": norm_sd,
                        "complete": is_complete,
                        "left_out_because": because or (NOT_COMPLETE if is_short else None),
                    }


def _provenance(scan: ScanMeasures) -> Provenance:
    """Read how the spinal levels were computed that a scan was measured in, if their table lies beside the measures."""
    levels = scan.record.get("Levels")
    name = levels.get("Table") if isinstance(levels, dict) else None
    return read_provenance(scan.path.with_name(name)) if isinstance(name, str) and name else Provenance()


def _content(values: Sequence[Mapping[str, object]]) -> str:
    """Return all values of a scan, with what they are of and without whose they are."""
    return repr([[row[column] for column in (*CONTENT_COLUMNS, "value")] for row in values])


def _is_of_this_run(scan: ScanMeasures, table: str) -> bool:
    """Whether the last run of the scan wrote a table; without a record, all tables count."""
    needed = {"signal": "Images", "lesions": "Lesions"}.get(table)
    inputs = scan.record.get("Inputs")
    return needed is None or not isinstance(inputs, dict) or needed in inputs


def _is_flagged(scan: ScanMeasures, image: str) -> bool:
    flags = scan.record.get("Flags")
    of_image = [flag for key, flag in flags.items() if key.endswith(f" {image}")] if isinstance(flags, dict) else []
    return any(isinstance(flag, dict) and flag.get("State") == "bad" for flag in of_image)


def _without_subject(name: str, scan: ScanMeasures) -> str:
    """Strip subject and session from the name of a file: images of a group have the rest in common."""
    return re.sub(r"^sub-[a-zA-Z0-9]+_(ses-[a-zA-Z0-9]+_)?", "", stem(name).removeprefix(f"{scan.prefix}_"))


def _read_table(path: Path, table: str) -> list[dict[str, str]]:
    rows = read_rows(path, "measure the scan again")
    columns = set(rows[0]) if rows else set()
    needed = {"name", "kind", *({"Filename", "Label"} if table == "signal" else set())}
    if not needed <= columns or not any(column.startswith(MEASURE_COLUMNS[table]) for column in columns):
        raise DatasetError(f"{path} is not a table of measures per level; measure the scan again, or move it away")
    for row in rows:
        try:
            if None in row or row["kind"] not in ("spinal", "vertebral"):
                raise ValueError("a row with too many cells, or too few")
            _place(row["name"], row["kind"])
        except ValueError:
            raise DatasetError(f"{path} has a level {row['name']!r}, which is none; measure the scan again") from None
    identities = [tuple(row.get(column) or "" for column in ROW_COLUMNS) for row in rows]
    twice = next((identity for identity, count in Counter(identities).items() if count > 1), None)
    if twice is not None:
        raise DatasetError(f"{path} has {' '.join(filter(None, twice))} twice; measure the scan again")
    return rows


def _number(row: Mapping[str, str], column: str, path: Path) -> float:
    """Read a number; NaN where the column or the value is missing."""
    return read_cell(row.get(column), f"{path}: {column} of {row['kind']} level {row['name']}")


def _is_complete(row: Mapping[str, str], path: Path) -> bool:
    """Whether a level is complete; it counts as such where the table does not tell."""
    text = (row.get("complete") or "").strip()
    if text in MISSING_CELLS:
        return True
    if text.lower() not in BOOLEANS:
        raise DatasetError(
            f"{path}: complete of {row['kind']} level {row['name']} is {text!r}, and neither True nor False; measure "
            "the scan again"
        )
    return BOOLEANS[text.lower()]


def _sorted_frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Make the table of all values: by scan, table and image, and levels from rostral to caudal."""
    import pandas as pd

    order = {table: number for number, table in enumerate(MEASURE_ENDINGS)}

    def place(row: Mapping[str, object]) -> tuple[object, ...]:
        kind = str(row["kind"])
        scan = (str(row["participant_id"]), str(row["session_id"] or ""), str(row["scan"]))
        series = (order[str(row["table"])], str(row["image"] or ""), str(row["label"] or ""), kind)
        return (*scan, *series, _place(str(row["level"]), kind))

    return pd.DataFrame(sorted(rows, key=place))


def _average(values: pd.DataFrame) -> pd.DataFrame:
    """Average each measure of each level over people, of whom several sessions are averaged first."""
    import pandas as pd

    keys = [*SERIES_COLUMNS, "level"]
    counted = values[values["left_out_because"].isna()]
    rows = []
    for key, group in values.groupby(keys, dropna=False, sort=False):
        own = counted.loc[counted.index.intersection(group.index)]
        is_axial = group["measure"].iloc[0] in AXIAL_COLUMNS
        sessions = own.dropna(subset="value").groupby("participant_id")["value"]
        people = (sessions.agg(axial_mean) if is_axial else sessions.mean()).dropna()
        rows.append(
            {
                **dict(zip(keys, key, strict=True)),
                "n": len(people),
                "n_missing": own["participant_id"].nunique() - len(people),
                "n_left_out": group["participant_id"].nunique() - own["participant_id"].nunique(),
                **(_summarize_axes(people) if is_axial else _summarize(people)),
                "norm_mean": own["norm_mean"].mean(),
                "norm_sd": own["norm_sd"].mean(),
            }
        )
    table = pd.DataFrame(rows)
    series = table.groupby(list(SERIES_COLUMNS), dropna=False, sort=False).ngroup()
    places = [_place(level, kind) for level, kind in zip(table["level"], table["kind"], strict=True)]
    order = np.lexsort([places, series])
    return table.iloc[order].reset_index(drop=True)


def _summarize(people: pd.Series) -> dict[str, float]:
    return {
        "mean": people.mean(),
        "sd": people.std(ddof=1),
        "median": people.median(),
        "minimum": people.min(),
        "maximum": people.max(),
    }


def _summarize_axes(people: pd.Series) -> dict[str, float]:
    """Summarize directions of axes: the range is that of the directions around their mean, and may cross 90 degrees."""
    import pandas as pd

    spread = pd.Series(unwrap_axial(people), dtype=float)
    found = {name: float(wrap_axial(value)) for name, value in _summarize(spread).items() if name != "sd"}
    return found | {"mean": axial_mean(people), "sd": spread.std(ddof=1)}


def _place(level: str, kind: str) -> int:
    """Number of a level along the cord."""
    return level_value(level, "spinal" if kind == "spinal" else "vertebral")


def _notes(
    scans: Sequence[ScanMeasures], left_out: Mapping[Path, str], people: Mapping[str, Participant] | None
) -> Iterator[str]:
    for reason, count in Counter(left_out.values()).items():
        yield f"left out, {count}: {reason} ({abbreviate([s.prefix for s in scans if left_out.get(s.path) == reason])})"
    unknown = [scan.prefix for scan in scans if not scan.record]
    if unknown:
        yield (
            f"no record (*_{MEASURE_RECORD_ENDING}) says how sure the numbers of levels of {len(unknown)} of "
            f"{len(scans)} scans are ({abbreviate(unknown)})"
        )
    by_header = [scan.prefix for scan in scans if scan.record.get("PlacedByHeader")]
    if by_header:
        yield (
            f"images of {len(by_header)} of {len(scans)} scans are placed by their headers alone, and the person may "
            f"have moved: give their cord masks ({abbreviate(by_header)})"
        )
    sessions = Counter(scan.subject for scan in scans if scan.path not in left_out)
    several = [subject for subject, count in sessions.items() if count > 1]
    if several:
        yield f"several sessions of {len(several)} people are averaged before people are ({abbreviate(several)})"
    if people is not None:
        missing = [scan.subject for scan in scans if scan.subject not in people and f"sub-{scan.subject}" not in people]
        if missing:
            yield f"{len(missing)} of {len(scans)} scans are of nobody in participants.tsv ({abbreviate(missing)})"
