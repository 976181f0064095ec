"""Age, sex and height of participants, from BIDS ``participants.tsv`` files."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sct_rootlets.errors import DatasetError

#: Heights that a person may have, in cm; others are in another unit, or wrong.
MIN_HEIGHT_CM, MAX_HEIGHT_CM = 50.0, 250.0
#: Ways in which missing values are written.
MISSING_VALUES = ("", "n/a", "N/A", "na", "NA", "nan", "NaN", "-")


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
        If the file cannot be read, has no column ``participant_id``, or a subject twice.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
    except FileNotFoundError as error:
        raise DatasetError(f"{path} does not exist; check the path") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read as a table of participants") from error
    if not rows or "participant_id" not in rows[0]:
        raise DatasetError(f"{path} has no column participant_id; give a BIDS participants.tsv (columns between tabs)")
    participants: dict[str, Participant] = {}
    for row in rows:
        name = (row["participant_id"] or "").strip()
        if not name:  # a line of tabs
            continue
        subject = "sub-" + name.removeprefix("sub-")
        if subject in participants:
            raise DatasetError(f"{path} has {subject} twice; keep one row for each subject")
        lowered = {(key or "").strip().lower(): value for key, value in row.items()}
        text = {key: (lowered.get(key) or "").strip() for key in ("age", "sex", "height")}
        participants[subject] = Participant(
            _number(text["age"], "age", subject, path),
            None if text["sex"] in MISSING_VALUES else text["sex"],
            _number(text["height"], "height", subject, path),
        )
    return participants


def _number(text: str, column: str, subject: str, path: Path) -> float | None:
    if text in MISSING_VALUES:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DatasetError(f"{path}: the {column} of {subject} is {text!r}; write a number, or n/a")
    return value


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


def check_heights(participants: Mapping[str, Participant], subjects: Iterable[str], source: Path) -> None:
    """Check that the heights of subjects are in centimetres.

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
        If no subject has a height, or some heights are in another unit.
    """
    heights = {subject: participants[subject].height_cm for subject in subjects if subject in participants}
    known = {subject: height for subject, height in heights.items() if height is not None}
    if not known:
        raise DatasetError(f"{source} has no height of any subject that is compared; add a column height, in cm")
    wrong = {subject: height for subject, height in known.items() if not MIN_HEIGHT_CM <= height <= MAX_HEIGHT_CM}
    if wrong:
        subject, height = next(iter(wrong.items()))
        unit = "metres" if all(0.5 <= height <= 2.5 for height in wrong.values()) else "another unit than cm, or wrong"
        raise DatasetError(
            f"{source}: {len(wrong)} of {len(known)} heights seem to be in {unit} ({subject}: {height:g}); "
            "write them in cm"
        )
