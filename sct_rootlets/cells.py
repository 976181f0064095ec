"""Text in cells of tables: a spreadsheet must not take it for a formula, and may have saved it in its own way."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Any

#: Beginning of a text that a spreadsheet may run (OWASP, "CSV Injection"), behind any apostrophes.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")

#: How tables write booleans, in lower case; a spreadsheet saves them in upper case.
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}

#: Cells without a value, as BIDS writes them; any other text, such as the name of a site ``NA``, is a value.
MISSING_CELLS = ("", "n/a", "N/A")
#: Cells without a value in tables that people write, where no value can be such a text.
MISSING_IN_HAND_MADE = (*MISSING_CELLS, "na", "NA", "nan", "NaN", "-")


def read_number(text: str | None, missing: Collection[str] = MISSING_CELLS) -> float | None:
    """Read a number from a cell.

    Parameters
    ----------
    text : str or None
        None where a row has no such cell.
    missing : collection of str
        Texts for a number that is missing.

    Returns
    -------
    float or None
        None if the number is missing.

    Raises
    ------
    ValueError
        If the cell holds anything else that is no finite number, such as a decimal comma.
    """
    text = (text or "").strip()
    if text in missing:
        return None
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value


def escape_cell(value: Any) -> Any:
    """Put an apostrophe before a text that a spreadsheet would run as a formula, as OWASP advises.

    Numbers stay, also those that are text, and so does all that is no text. `unescape_cell` undoes it.

    Examples
    --------
    >>> escape_cell("=HYPERLINK(1)"), escape_cell("-1.5"), escape_cell(-1.5), escape_cell("sub-01")
    ("'=HYPERLINK(1)", '-1.5', -1.5, 'sub-01')
    """
    if not isinstance(value, str) or not _FORMULA.match(value) or _is_number(value):
        return value
    return f"'{value}"


def unescape_cell(text: str) -> str:
    """Take the apostrophe of `escape_cell` away again.

    Examples
    --------
    >>> unescape_cell("'=HYPERLINK(1)"), unescape_cell("'quoted'")
    ('=HYPERLINK(1)', "'quoted'")
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return not text[:1].isspace()
