"""Age, sex and height of participants, from BIDS ``participants.tsv`` files."""

from __future__ import annotations

import contextlib
import csv
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sct_rootlets.cells import MISSING_IN_HAND_MADE, read_number
from sct_rootlets.errors import DatasetError

#: Age in years from which limits of height are those of adults.
ADULT_AGE = 18.0
#: Lowest and highest height in cm of a newborn and of an adult; in between, both grow evenly with age. At every age the
#: WHO standards from -3 to +3 SD lie within (doi 10.1111/j.1651-2227.2006.tb02378.x, doi 10.2471/BLT.07.043497), and
#: the same heights in inches or in metres do not.
BIRTH_HEIGHTS_CM, ADULT_HEIGHTS_CM = (40.0, 100.0), (130.0, 220.0)
#: Units in which heights are written by mistake, in cm.
WRONG_UNITS_CM = {"metres": 100.0, "inches": 2.54}
#: Greatest age in years; greater numbers are months, or codes of missing values.
MAX_AGE = 120.0
#: Ways in which BIDS lets a sex be written, in lower case.
SEXES = {"m": "M", "male": "M", "f": "F", "female": "F", "o": "O", "other": "O"}
#: Units at the end of the title of a column.
UNITS_IN_TITLES = re.compile(r"[ _]*[(\[]?(?<![a-z])(cm|years|yrs|y)[)\]]?$")


@dataclass(frozen=True)
class Participant:
    """A row of a ``participants.tsv``; None where a value is missing."""

    age: float | None = None
    sex: str | None = None
    height_cm: float | None = None


def read_participants(path: str | os.PathLike[str]) -> dict[str, Participant]:
    """Read age, sex and height (cm) of a BIDS ``participants.tsv``, by subject.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict of str to Participant
        Participants by subject, such as ``sub-01``.

    Raises
    ------
    DatasetError
        If the file cannot be read, has no column ``participant_id``, a column or a subject twice, or ages or heights
        that are none.
    """
    path = Path(path)
    header, rows = _read_rows(path)
    columns = _known_columns(header, path)
    participants: dict[str, Participant] = {}
    for row in rows:
        text = {key: row[place] for key, place in columns.items()}
        if not text["participant_id"]:  # a line of tabs
            continue
        subject = "sub-" + text["participant_id"].removeprefix("sub-")
        if subject in participants:
            raise DatasetError(f"{path} has {subject} twice; keep one row for each subject")
        age = _number(text.get("age", ""), "age", subject, path)
        if age is not None and not 0 <= age <= MAX_AGE:
            raise DatasetError(f"{path}: the age of {subject} is {age:g}; write years, or n/a")
        sex = text.get("sex", "")
        participants[subject] = Participant(
            age,
            None if sex in MISSING_IN_HAND_MADE else SEXES.get(sex.lower(), sex),
            _number(text.get("height", ""), "height", subject, path),
        )
    return participants


def _read_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Read the header, and rows of as many cells.

    A quote within a cell is a part of its text; only where a line has too many cells, some of which are quoted, the
    quotes hold tabs, as BIDS allows.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError as error:
        raise DatasetError(f"{path} does not exist; check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read as a table of participants") from error
    header = [_unquote(cell) for cell in lines[0].rstrip("\t").split("\t")]
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split("\t")
        while len(cells) > len(header) and not cells[-1].strip():
            cells.pop()
        if len(cells) > len(header):
            with contextlib.suppress(csv.Error):
                cells = next(csv.reader([line], delimiter="\t", strict=True))
        if len(cells) > len(header) or (len(cells) < len(header) and line.count('"') % 2):
            raise DatasetError(
                f"{path}: line {number} has {len(cells)} cells, and the header has {len(header)}; write one line for "
                "each subject, with one tab between cells"
            )
        rows.append([_unquote(cell) for cell in cells] + [""] * (len(header) - len(cells)))
    return header, rows


def _unquote(cell: str) -> str:
    cell = cell.strip()
    return cell[1:-1].replace('""', '"').strip() if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def _known_columns(header: Sequence[str], path: Path) -> dict[str, int]:
    """Find the columns that are read, by name; their names may end with the unit (``Height (cm)``)."""
    columns: dict[str, int] = {}
    for place, title in enumerate(header):
        name = UNITS_IN_TITLES.sub("", title.lower())
        if name not in ("participant_id", "age", "sex", "height"):
            continue
        if name in columns:
            raise DatasetError(f"{path} has two columns {name} ({header[columns[name]]}, {title}); keep one")
        columns[name] = place
    if "participant_id" not in columns:
        raise DatasetError(f"{path} has no column participant_id; give a BIDS participants.tsv (columns between tabs)")
    return columns


def _number(text: str, column: str, subject: str, path: Path) -> float | None:
    try:
        return read_number(text, MISSING_IN_HAND_MADE)
    except ValueError:
        raise DatasetError(f"{path}: the {column} of {subject} is {text!r}; write a number, or n/a") from None


def find_participants(
    folders: Sequence[str | os.PathLike[str]], path: str | os.PathLike[str] | None = None
) -> tuple[dict[str, Participant], Path | None]:
    """Read the participants of a group.

    Parameters
    ----------
    folders : sequence of path
        Folders whose ``participants.tsv`` are read if no path is given.
    path : path, optional
        The ``participants.tsv`` to read.

    Returns
    -------
    participants : dict of str to Participant
        Participants by subject.
    source : Path or None
        The file, or the first of several; None if there is none.

    Raises
    ------
    DatasetError
        If a file is damaged, or two of them differ on a subject.
    """
    if path is not None:
        return read_participants(path), Path(path)
    sources = [source for source in (Path(folder) / "participants.tsv" for folder in folders) if source.is_file()]
    participants: dict[str, Participant] = {}
    for source in sources:
        for subject, participant in read_participants(source).items():
            if participants.setdefault(subject, participant) != participant:
                raise DatasetError(
                    f"{source} and another participants.tsv differ on {subject}; give people of different sites "
                    "different names, or one table (-participants)"
                )
    return participants, sources[0] if sources else None


def height_limits(age: float | None) -> tuple[float, float]:
    """Return the lowest and the highest height that people of an age have.

    Parameters
    ----------
    age : float, optional
        In years; people of unknown age count as adults.

    Returns
    -------
    lowest, highest : float
        In cm.

    Examples
    --------
    >>> height_limits(40), height_limits(None), height_limits(9)
    ((130.0, 220.0), (130.0, 220.0), (85.0, 160.0))
    """
    share = 1.0 if age is None else min(max(age / ADULT_AGE, 0.0), 1.0)
    lowest, highest = (
        birth + share * (adult - birth) for birth, adult in zip(BIRTH_HEIGHTS_CM, ADULT_HEIGHTS_CM, strict=True)
    )
    return lowest, highest


def describe_wrong_heights(participants: Mapping[str, Participant], subjects: Iterable[str], source: Path) -> str:
    """Describe heights that people of that age cannot have, in one line.

    Parameters
    ----------
    participants : mapping of str to Participant
        Participants by subject.
    subjects : iterable of str
        Subjects to look at.
    source : Path
        File that the participants were read from.

    Returns
    -------
    str
        Empty if all heights are possible, or none is known.
    """
    people = {subject: participants[subject] for subject in subjects if subject in participants}
    known = {subject: person.height_cm for subject, person in people.items() if person.height_cm is not None}
    limits = {subject: height_limits(people[subject].age) for subject in known}
    wrong = [subject for subject, height in known.items() if not _is_within(height, limits[subject])]
    if not wrong:
        return ""
    subject, age = wrong[0], people[wrong[0]].age
    units = (
        unit for unit, cm in WRONG_UNITS_CM.items() if all(_is_within(known[name] * cm, limits[name]) for name in wrong)
    )
    whom = "adults, as there is no age" if age is None else "adults" if age >= ADULT_AGE else f"the age of {age:g}"
    lowest, highest = limits[subject]
    return (
        f"{source}: {len(wrong)} of {len(known)} heights seem to be in {next(units, 'another unit than cm, or wrong')} "
        f"({subject}: {known[subject]:g}; expected for {whom}: {lowest:.0f} to {highest:.0f}); write them in cm"
    )


def _is_within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]


def check_heights(participants: Mapping[str, Participant], subjects: Iterable[str], source: Path) -> None:
    """Check that the heights of subjects are in centimetres, and possible at their age.

    Parameters
    ----------
    participants : mapping of str to Participant
        Participants by subject.
    subjects : iterable of str
        Subjects to check.
    source : Path
        File that the participants were read from.

    Raises
    ------
    DatasetError
        If no subject has a height, or some heights are in another unit, or wrong.
    """
    subjects = list(subjects)
    if all(participants.get(subject, Participant()).height_cm is None for subject in subjects):
        raise DatasetError(f"{source} has no height of any subject that is compared; add a column height, in cm")
    if wrong := describe_wrong_heights(participants, subjects, source):
        raise DatasetError(wrong)
