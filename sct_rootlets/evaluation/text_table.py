"""Tables between commas or tabs as text, read without guessing what a cell means."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from sct_rootlets.cells import MISSING_CELLS
from sct_rootlets.errors import DatasetError

#: How messages about a table begin, by what lies between its cells.
_UNREADABLE = {",": "cannot be read as a table", "\t": "cannot be read as a tab-separated table"}


def read_text_table(path: Path, delimiter: str = "\t") -> pd.DataFrame:
    """Read a table with names of columns in its first row.

    Parameters
    ----------
    path : Path
    delimiter : str
        Tab or comma. Between tabs, quotation marks are part of the text, as in BIDS, unless they are around a whole
        cell, as R writes it.

    Returns
    -------
    pandas.DataFrame
        Text without spaces around it; empty where a value is missing (`sct_rootlets.cells.MISSING_CELLS`). Empty rows
        are left out.

    Raises
    ------
    DatasetError
        If the file cannot be read, has two columns of one name, or a row with more cells than columns.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            if delimiter == "\t":
                lines = [
                    [re.sub(r'^\s*"(.*)"\s*$', r"\1", cell) for cell in line]
                    for line in csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
                ]
            else:
                lines = list(csv.reader(stream, delimiter=delimiter, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} {_UNREADABLE[delimiter]}: {error}") from error
    rows = [[cell.strip() for cell in line] for line in lines]
    if not rows or not any(rows[0]):
        raise DatasetError(f"{path} {_UNREADABLE[delimiter]}: its first row has no names of columns")
    names, *rows = rows
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise DatasetError(f"{path} has two columns called {twice}; keep one")
    for number, row in enumerate(rows, start=2):
        if any(row[len(names) :]) or any("\n" in cell or "\r" in cell for cell in row):
            raise DatasetError(
                f"{path} {_UNREADABLE[delimiter]}: row {number} has more cells than there are columns "
                f"({len(names)}), or a line break in a cell"
            )
    cells = [["" if cell in MISSING_CELLS else cell for cell in row[: len(names)]] for row in rows if any(row)]
    return pd.DataFrame([row + [""] * (len(names) - len(row)) for row in cells], columns=names, dtype=object)


def check_all_given(path: Path, column: str, cells: Mapping[str, str | None]) -> None:
    """Check that a table has a value for each of the names that are looked up in it.

    Parameters
    ----------
    path : Path
        The table, for the message.
    column : str
    cells : mapping of str to (str or None)
        Cell of the column by name; empty where it has no value, None where the name has no row.

    Raises
    ------
    DatasetError
        If a row, or a value, is missing.
    """
    for missing, advice in ((None, "add a row for each"), ("", "its cell is empty or n/a; write a value")):
        unknown = sorted(name for name, cell in cells.items() if cell == missing)
        if unknown:
            others = f" and {len(unknown) - 1} others" if len(unknown) > 1 else ""
            raise DatasetError(f"{path} has no {column} for {unknown[0]}{others}; {advice}")
