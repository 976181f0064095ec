"""Evaluation of repeated scans of the same subjects, from their level tables to the variation of positions."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from sct_rootlets.errors import DatasetError
from sct_rootlets.evaluation.files import Sources, find_files, parse_scan_name
from sct_rootlets.evaluation.groups import read_groups, variability_of_groups
from sct_rootlets.evaluation.level_table import read_level_table, read_record
from sct_rootlets.evaluation.study import Study
from sct_rootlets.evaluation.variability import position_rows, position_tables


def evaluate_repeats(
    level_tables: Sources, over: str, groups: str | os.PathLike[str] | None = None, by: str | None = None
) -> Study:
    """Compute how much positions of levels vary over repeated scans of the same subjects, from their level tables.

    Parameters
    ----------
    level_tables : sequence of path
        Tables of `sct_compute_spinal_levels` (``…_levels.csv``), or folders of them.
    over : str
        BIDS entity that tells repeats apart, such as ``ses``, ``acq`` or ``res``; or ``contrast``. With ``sub``
        all tables are of one person (a travelling volunteer who bears another name at each site).
    groups : path, optional
        Tab-separated table with ``participant_id`` (or ``scan``), such as ``participants.tsv``, and a column of groups
        of scans. The variation is then also computed within each group.
    by : str, optional
        Column of the groups, such as ``manufacturer``; needed with `groups`.

    Returns
    -------
    Study
        Tables ``positions``, ``variability``, ``variability_by_level`` and, with several subjects, ``icc``; with
        groups also those of `sct_rootlets.evaluation.groups.variability_of_groups`.

    Raises
    ------
    DatasetError
        If a table is unreadable, references, methods or distances of rootlets are mixed, or nothing repeats.
    """
    positions: list[dict[str, object]] = []
    notes: list[str] = []
    first_paths: dict[tuple[str, str], Path] = {}
    distances: dict[Path, float | None] = {}
    paths = list(find_files(level_tables, "level tables").values())
    group_of = _groups_of_scans(paths, groups, by)
    for path in paths:
        group, repeat = _group_and_repeat(path, over)
        first = first_paths.setdefault((group, repeat), path)
        if first != path:
            raise DatasetError(f"{first} and {path} are both {over} {repeat} of {group}; remove one")
        rows = position_rows(read_level_table(path), group, repeat, notes)
        rows = [row | {"scan_group": group_of[path]} for row in rows] if group_of else rows
        notes += [] if rows else [f"{path}: holds no complete spinal level"]
        positions += rows
        if rows:
            distances[path], is_edited = read_record(path)
            notes += [f"{path} was changed since it was written; its map shows what was there before"] * is_edited
    if not positions:
        raise DatasetError("no level table holds a complete spinal level; make them from rootlets")
    table = pd.DataFrame(positions)
    methods = sorted(table.method.unique())
    if len(methods) > 1:
        raise DatasetError(
            f"level tables are of different methods ({' and '.join(methods)}); make all with one -method"
        )
    _check_distances(distances)
    tables = position_tables(table)
    notes += _same_levels_notes(table, over)
    if group_of:
        tables |= variability_of_groups(table, notes)
    notes += [f"{group}: one {over} only" for group, part in table.groupby("group") if part["repeat"].nunique() < 2]
    about = {"over": over, "reference": table.reference.iloc[0], "method": methods[0]}
    return Study(kind="repeats", tables=tables, notes=tuple(notes), about=about | ({"by": by} if group_of else {}))


def _groups_of_scans(paths: list[Path], groups: str | os.PathLike[str] | None, by: str | None) -> dict[Path, str]:
    """Read the groups of level tables; none if they are not asked for."""
    if groups is None and by is None:
        return {}
    if groups is None or by is None:
        raise DatasetError("groups of scans need both a table and the name of its column")
    return read_groups(Path(groups), by, {path: parse_scan_name(path) for path in paths})


def _group_and_repeat(path: Path, over: str) -> tuple[str, str]:
    """Split the name of a level table into the repeat, and the subject (all that does not tell repeats apart)."""
    scan = parse_scan_name(path)
    if over == "contrast":
        repeat, parts = scan.contrast or "unknown", scan.contrast.split("_")
    elif over in scan.entities:
        repeat, parts = scan.entities[over], [f"{over}-{scan.entities[over]}"]
    else:
        raise DatasetError(f"{path} has no {over}- in its name; name it in the manner of BIDS, or choose another -over")
    return "_".join(part for part in scan.key.split("_") if part not in parts) or "all", repeat


def _check_distances(distances: dict[Path, float | None]) -> None:
    """Check that rootlets counted within one distance of the cord in all tables, as far as sidecars say it."""
    known = {path: distance for path, distance in distances.items() if distance is not None}
    if len(set(known.values())) > 1:
        first = next(iter(known))
        other = next(path for path in known if known[path] != known[first])
        raise DatasetError(
            f"level tables are of rootlets within different distances ({known[first]:g} mm in {first}, "
            f"{known[other]:g} mm in {other}); make all with one -distance"
        )


def _same_levels_notes(positions: pd.DataFrame, over: str) -> list[str]:
    """Note repeats whose levels are the same to 0.001 mm, as those of one scan under two names are."""
    notes = []
    for group, of_group in positions.groupby("group"):
        first: dict[object, str] = {}
        for repeat, part in of_group.groupby("repeat"):
            ends = part.sort_values("level")[["level", "rostral_mm", "caudal_mm"]].itertuples(index=False, name=None)
            other = first.setdefault(tuple(ends), str(repeat))
            if other != repeat:
                notes.append(
                    f"{group}: the levels of {over} {repeat} are those of {other} to 0.001 mm, as of one scan under "
                    "two names; keep one of them, unless the maps were made alike on purpose"
                )
    return notes
