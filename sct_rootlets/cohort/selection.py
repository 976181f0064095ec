"""Which scans of a BIDS folder are wanted, by contrast, regular expressions and lists of names."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sct_rootlets.bids import SEGMENTED_CONTRASTS
from sct_rootlets.bids_folder import Scan
from sct_rootlets.errors import DatasetError

#: Endings of files that list scans; other entries of a list are names of scans.
LIST_ENDINGS = (".yml", ".yaml", ".txt", ".tsv")


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which scans are wanted, in the terms of ``sct_run_batch``.

    Attributes
    ----------
    contrasts : tuple of str
    include, exclude : str, optional
        Regular expressions, searched for in ``sub-01/ses-02``.
    include_list, exclude_list : tuple of str
        ``sub-01``, ``ses-02``, ``sub-01/ses-02``, or names of images.
    """

    contrasts: tuple[str, ...] = SEGMENTED_CONTRASTS
    include: str | None = None
    exclude: str | None = None
    include_list: tuple[str, ...] = ()
    exclude_list: tuple[str, ...] = ()

    def wants(self, scan: Scan) -> bool:
        """Whether a scan is wanted, its contrast apart: inclusions are applied before exclusions."""
        place = folder_name(scan)
        if self.include and not re.search(self.include, place):
            return False
        if self.include_list and not is_listed(scan, self.include_list):
            return False
        if self.exclude and re.search(self.exclude, place):
            return False
        return not is_listed(scan, self.exclude_list)


def read_filter(
    contrasts: Sequence[str] | None = None,
    include: str | None = None,
    exclude: str | None = None,
    include_list: Sequence[str] | None = None,
    exclude_list: Sequence[str] | None = None,
) -> Filter:
    """Make a filter from the options of a command, whose lists may be files.

    Parameters
    ----------
    contrasts : sequence of str, optional
        `sct_rootlets.bids.SEGMENTED_CONTRASTS` by default.
    include, exclude : str, optional
    include_list, exclude_list : sequence of str, optional
        See `read_lists`.

    Raises
    ------
    DatasetError
        If a file cannot be read, or the list of inclusions is empty: no inclusions would mean all scans.
    """
    included = read_lists(include_list or ())
    if include_list and not included:
        raise DatasetError(f"{' '.join(include_list)} lists no scans; leave -include-list out to take all")
    return Filter(
        contrasts=tuple(contrasts or SEGMENTED_CONTRASTS),
        include=include,
        exclude=exclude,
        include_list=included,
        exclude_list=read_lists(exclude_list or ()),
    )


def is_list_file(name: str) -> bool:
    """Whether an entry of a list is the name of a file that lists scans, and not of a scan."""
    return name.lower().endswith(LIST_ENDINGS)


def read_lists(names: Sequence[str]) -> tuple[str, ...]:
    """Read names of scans, some of which may be files that list them: a bullet list (``.yml``), or one name a line.

    From ``verdicts.tsv``, which the page exports, the scans that failed are read.

    Raises
    ------
    DatasetError
        If a file cannot be read.
    """
    listed: list[str] = []
    for name in names:
        if not is_list_file(name):
            listed.append(name)
            continue
        try:
            lines = Path(name).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(f"{name} cannot be read as a list of scans; it holds one a line") from error
        listed += _read_failed(lines) if _are_verdicts(lines) else _read_list(lines)
    return tuple(listed)


def _read_list(lines: Sequence[str]) -> list[str]:
    cells = (line.partition("#")[0].split("\t")[0].strip().removeprefix("- ").strip("\"' ") for line in lines)
    return [cell for cell in cells if cell not in ("", "[]") and not cell.endswith(":")]


def _are_verdicts(lines: Sequence[str]) -> bool:
    """Whether lines are those of ``verdicts.tsv``, which lists all scans of the page."""
    return {"file", "verdict"} <= set(lines[0].split("\t") if lines else ())


def _read_failed(lines: Sequence[str]) -> list[str]:
    rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    return [row["file"] for row in rows if row["verdict"] == "fail"]


def folder_name(scan: Scan) -> str:
    """Return ``sub-01`` or ``sub-01/ses-02``.

    Examples
    --------
    >>> from sct_rootlets.bids import parse_name
    >>> folder_name(Scan(Path(), parse_name("sub-01_ses-02_T2w.nii.gz")))
    'sub-01/ses-02'
    """
    return f"sub-{scan.image.subject}" + (f"/ses-{scan.image.session}" if scan.image.session else "")


def is_listed(scan: Scan, listed: Sequence[str]) -> bool:
    """Whether a list names a scan: its subject, session, folder or image."""
    place = folder_name(scan)
    names = {place, *place.split("/"), scan.image.path.name, scan.image.stem}
    return any(name.strip().rstrip("/") in names for name in listed)
