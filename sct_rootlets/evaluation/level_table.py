"""The level table of a scan, as `sct_compute_spinal_levels` writes it, for the comparison of repeated scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from sct_rootlets.bids import LABEL_NAMES, TABLE_ENDING
from sct_rootlets.cells import BOOLEANS
from sct_rootlets.errors import DatasetError
from sct_rootlets.evaluation.text_table import read_text_table
from sct_rootlets.levels import fits_ends, level_value
from sct_rootlets.sidecar import find_edited, read_object, read_sidecar

#: Columns that a level table must have: numbers, and text.
NUMBER_COLUMNS = ("level", "rostral_mm", "caudal_mm", "midpoint_mm", "length_mm")
TEXT_COLUMNS = ("kind", "name", "method", "reference")


def read_level_table(path: Path) -> pd.DataFrame:
    """Read a level table.

    Parameters
    ----------
    path : Path

    Returns
    -------
    pandas.DataFrame
        With numbers in `NUMBER_COLUMNS`, and booleans in the column ``complete``, if it has one.

    Raises
    ------
    DatasetError
        If the file is no level table, or a row makes no sense: a cell is not what its column holds, name and value of a
        level differ, a level is there twice, its ends are in the wrong order, or midpoint or length do not fit them.
    """
    table = read_text_table(path, ",")
    missing = sorted({*NUMBER_COLUMNS, *TEXT_COLUMNS} - set(table.columns))
    if missing:
        raise DatasetError(f"{path} has no column {missing[0]}; give level tables of sct_compute_spinal_levels")
    for column in NUMBER_COLUMNS:
        table[column] = pd.to_numeric(table[column], errors="coerce")
        if not np.isfinite(table[column]).all():
            raise DatasetError(f"{path} has a row whose {column} is not a number; make the table again")
    if "complete" in table:
        table["complete"] = table.complete.str.lower().map(BOOLEANS)
        if table.complete.isna().any():
            raise DatasetError(f"{path} has a row whose complete is neither True nor False; make the table again")
        table["complete"] = table.complete.astype(bool)
    for row in table.itertuples():
        if not _is_level(row.kind, row.name, row.level):
            raise DatasetError(
                f"{path} has a level {row.name} of kind {row.kind} with the value {row.level:g}, which is none; make "
                "the table again"
            )
        if not row.rostral_mm <= row.midpoint_mm <= row.caudal_mm:
            raise DatasetError(
                f"{path} has no valid ends for {row.kind} level {row.name}: its midpoint is not between them; make "
                "the table again"
            )
        if not fits_ends(row.rostral_mm, row.caudal_mm, row.midpoint_mm, row.length_mm):
            raise DatasetError(
                f"{path} has a length or a midpoint of {row.kind} level {row.name} that are not those of its ends; "
                "make the table again"
            )
    twice = table[table.duplicated(["kind", "name"])]
    if len(twice):
        raise DatasetError(f"{path} has {twice.kind.iloc[0]} level {twice['name'].iloc[0]} twice; make the table again")
    return table.astype({"level": int})


def _is_level(kind: str, name: str, value: float) -> bool:
    try:
        return level_value(name, kind) == value  # type: ignore[arg-type]
    except (KeyError, ValueError):
        return False


def read_record(path: Path) -> tuple[float | None, bool]:
    """Read how a level table came about, from its sidecar or that of its map.

    Parameters
    ----------
    path : Path
        The level table.

    Returns
    -------
    distance_mm : float or None
        Within which distance of the cord rootlets counted; None where no sidecar says it.
    is_edited : bool
        Whether the table was changed since it was written.
    """
    stem = path.name.removesuffix(TABLE_ENDING)
    of_map = path.with_name(f"{stem}_label-{LABEL_NAMES['spinal']}_dseg.nii.gz")
    content = read_object(path.with_suffix(".json")) or read_sidecar(of_map)
    distance = content.get("DistanceMillimeters")
    return float(distance) if isinstance(distance, int | float) else None, bool(find_edited(content, [path]))
