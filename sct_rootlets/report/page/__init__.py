"""The page of quality control: what a reviewer needs to pass or fail a scan, in one folder that opens from disk.

`add_scan` draws a scan and adds it to the page in a folder; `build_page` writes a page of what is there.
"""

from __future__ import annotations

from pathlib import Path

from sct_rootlets.report.page.entry import About, make_entry
from sct_rootlets.report.page.folder import add_entry, build_page
from sct_rootlets.report.page.scan import Scan

__all__ = ["About", "Scan", "add_scan", "build_page"]


def add_scan(folder: Path, scan: Scan, about: About, at_most_every_s: float = 0.0) -> Path:
    """Draw a scan and add it to the page in a folder, in place of an earlier result of the same scan.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    scan : Scan
    about : About
        Where it comes from.
    at_most_every_s : float
        See `add_entry`.

    Returns
    -------
    Path
        The page to open.

    Raises
    ------
    ImageError
        If the folder cannot be written to.
    SctRootletsError
        If a later version of this package made it.
    """
    return add_entry(folder, make_entry(scan, about), at_most_every_s)
