"""Groups of repeated scans, such as the vendors of scanners, and the variation of positions within each group."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from sct_rootlets.errors import DatasetError
from sct_rootlets.evaluation.files import ScanName
from sct_rootlets.evaluation.text_table import check_all_given, read_text_table
from sct_rootlets.evaluation.variability import variability, variability_by_level

#: Group of rows over all scans.
ALL_GROUPS = "all"


def read_groups(path: Path, column: str, scans: dict[Path, ScanName]) -> dict[Path, str]:
    """Read the group of each level table from a table such as ``participants.tsv``.

    Parameters
    ----------
    path : Path
        Tab-separated table with ``scan`` (``sub-01_ses-a_T2w``), or ``participant_id`` and, if it has several rows for
        a subject, ``session_id``.
    column : str
        Column of the groups, such as ``manufacturer``.
    scans : dict of Path to ScanName
        Scans of the level tables.

    Returns
    -------
    dict of Path to str

    Raises
    ------
    DatasetError
        If the table cannot be read, lacks a column, names a scan twice, has no group for a scan, or a group called
        ``all``.
    """
    given = read_text_table(path)
    keys: list[str]
    names: dict[Path, tuple[str, ...]]
    if "scan" in given:
        keys, names = ["scan"], {table: (scan.key,) for table, scan in scans.items()}
    elif "session_id" in given and "participant_id" in given:
        keys = ["participant_id", "session_id"]
        names = {table: (scan.subject, f"ses-{scan.entities.get('ses', '')}") for table, scan in scans.items()}
    else:
        keys, names = ["participant_id"], {table: (scan.subject,) for table, scan in scans.items()}
    missing = [name for name in (*keys, column) if name not in given]
    if missing:
        raise DatasetError(
            f"{path} has the columns {', '.join(given.columns)}; it needs {column} (-by) and scan (or participant_id)"
        )
    rows = list(zip(*(given[key] for key in keys), strict=True))
    if len(set(rows)) < len(rows):
        twice = next(row for row in rows if rows.count(row) > 1)
        raise DatasetError(f"{path} names {' '.join(map(str, twice))} twice; keep one row for each")
    groups = dict(zip(rows, given[column], strict=True))
    check_all_given(path, column, {" ".join(name): groups.get(name) for name in names.values()})
    result = {table: groups[name] for table, name in names.items()}
    if ALL_GROUPS in result.values():
        raise DatasetError(f"{path} has a group called all, as the row over all groups is; rename it")
    return result


def variability_of_groups(positions: pd.DataFrame, notes: list[str]) -> dict[str, pd.DataFrame]:
    """Compute the variation of positions within each group of scans, and over all.

    Parameters
    ----------
    positions : pandas.DataFrame
        Table for `variability`, with the column ``scan_group``.
    notes : list of str
        List to which notes are added.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``variability_in_groups``: rows of `variability_by_level` of each group. ``variability_of_groups``: one row a
        group; the coefficient of variation is the mean and the SD over levels, as published (Valošek 2024, doi
        10.1162/imag_a_00218), and ``sd_mm`` the root of the mean variance over levels.
    """
    by_level, rows = [], []
    names = [ALL_GROUPS, *sorted(positions["scan_group"].unique())]
    for name in names:
        part = positions if name == ALL_GROUPS else positions[positions["scan_group"] == name]
        row: dict[str, object] = {
            "scan_group": name,
            "n_subjects": part["group"].nunique(),
            "n_scans": len(part[["group", "repeat"]].drop_duplicates()),
        }
        repeats = part.groupby("group")["repeat"].nunique()
        if repeats.max() < 2:
            notes.append(f"{name}: nothing repeats within this group, so it has no variation")
            rows.append(row | {"n_levels": 0, "note": "nothing repeats"})
            continue
        levels = variability_by_level(variability(part))
        if levels.empty:
            notes.append(f"{name}: no level is seen twice within this group, so it has no variation")
            rows.append(row | {"n_levels": 0, "note": "no level is seen twice"})
            continue
        by_level.append(levels.assign(scan_group=name))
        cov = levels["cov_percent"].dropna()
        row |= {
            "n_levels": len(levels),
            "cov_percent_mean": cov.mean(),
            "cov_percent_sd": cov.std(ddof=1),
            "sd_mm": float(np.sqrt((levels["sd_mm"] ** 2).mean())),
            "note": "",
        }
        rows.append(row)
    in_groups = pd.concat(by_level) if by_level else pd.DataFrame()
    ordered = ["scan_group", *(column for column in in_groups.columns if column != "scan_group")]
    return {"variability_in_groups": in_groups[ordered], "variability_of_groups": pd.DataFrame(rows)}
