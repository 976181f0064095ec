"""Numbers in cells of tables, which people may have edited."""

from __future__ import annotations

import math

from sct_rootlets.cells import read_number
from sct_rootlets.errors import DatasetError


def read_cell(text: str | None, what: str) -> float:
    """Read a number from a cell of a table.

    Parameters
    ----------
    text : str or None
    what : str
        The cell, in messages.

    Returns
    -------
    float
        NaN if the number is missing (`sct_rootlets.cells.MISSING_CELLS`).

    Raises
    ------
    DatasetError
        If it holds anything else that is no finite number, such as a decimal comma.
    """
    try:
        value = read_number(text)
    except ValueError:
        raise DatasetError(
            f"{what} is {text!r}, which is no number; write numbers with a decimal point, and n/a or nothing for those "
            "that are missing"
        ) from None
    return math.nan if value is None else value
