"""Files of splits: tables and JSON files that users give, and the table that is written."""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sct_rootlets.cells import MISSING_CELLS, unescape_cell
from sct_rootlets.errors import DatasetError
from sct_rootlets.nnunet.splits import (
    Case,
    Split,
    cases_of,
    deal_folds,
    describe_leaks,
    find_leaks,
    find_persons,
    group_by_person,
)
from sct_rootlets.output.files import write_table

#: A row of a split: name of a case or subject, its side, and the number of the fold, or None for all folds.
Assignment = tuple[str, str, int | None]
SIDES = ("train", "val", "test")
_SIDE_NAMES = {"training": "train", "validation": "val"}
#: Columns of the folds of a table of the published repository, and what nnU-Net's converters add to the name of a case.
_FOLD_COLUMN = re.compile(r"Fold_\d+")
_CASE_NUMBER = re.compile(r"_\d{3}(_0000)?$")
COLUMNS = ("case", "participant_id", "session_id", "contrast", "person", "split", "fold")


def read_split(
    path: Path, cases: Sequence[Case], n_folds: int = 5, seed: int = 0, person_clean: bool = False
) -> tuple[Split, list[str]]:
    """Read a split that the user gives.

    A table (``.tsv`` or ``.csv``) has the columns ``participant_id`` or ``case``, ``split`` (``train``, ``val`` or
    ``test``) and, for several folds, ``fold``. If there are rows of ``val``, a row's ``fold`` is the fold that it is
    about: a person has one row for all folds (without a number), or one row for each fold. Without rows of ``val``,
    the ``fold`` of a row of ``train`` is the fold in which the case is validated on, as in the tables of
    `write_split_table`. Persons whom the table does not name are trained on; if nobody is validated on, folds are made
    at random.

    A table of the published repository has the columns ``Subject`` and ``Fold_0``, ``Fold_1``, … with ``Train``,
    ``Validation`` or ``Test``. Its names may end in nnU-Net's number of the case (``sub-002_ses-headUp_003``).

    A ``.json`` file is nnU-Net's ``splits_final.json``, of cases or of subjects; a fold may have ``test`` beside
    ``train`` and ``val``. Persons whom it does not name are kept for the test: nnU-Net does not train on them
    either.

    Parameters
    ----------
    path : Path
    cases : sequence of Case
    n_folds, seed : int
        See `sct_rootlets.nnunet.splits.make_split`; for a table in which nobody is validated on.
    person_clean : bool
        If a person is on two sides, move all of the person's scans to one of them: to the test if one of them is there,
        otherwise to the validation. By default such a split is refused.

    Returns
    -------
    split : Split
    notes : list of str
        Persons whom the split does not name, persons who were moved to one side, and the number of names that match no
        scan.

    Raises
    ------
    DatasetError
        If the file cannot be read, names none of the scans, or has a person on two sides.
    """
    persons = find_persons(cases)
    scans = group_by_person(persons)
    is_json = path.suffix.lower() == ".json"
    assignments, n_given = _read_assignments(path, is_json)
    known = _cases_by_name(cases)
    test: set[str] = set()
    folds: list[dict[str, set[str]]] = [{"train": set(), "val": set()} for _ in range(n_given)]
    for name, side, fold in assignments:
        for number in range(n_given) if fold is None else [fold]:
            (test if side == "test" else folds[number][side]).update(_find_cases(name, known))
    named = test.union(*(side for fold in folds for side in fold.values()))
    if not named:
        raise DatasetError(f"{path} names none of the {len(cases)} scans that are there, nor their subjects")
    leaks: dict[str, dict[str, str]] = {}
    leaking_folds: dict[str, int] = {}
    for number, fold_sides in enumerate(folds):
        sides = {"training": fold_sides["train"], "validation": fold_sides["val"], "test": test}
        for person, on_sides in find_leaks(sides, persons).items():
            leaks.setdefault(person, on_sides)
            leaking_folds.setdefault(person, number)
    if leaks and not person_clean:
        first_fold = next(iter(leaking_folds.values()))
        raise DatasetError(f"{path}, fold {first_fold}, {describe_leaks(leaks)} (-person-clean moves them to one)")
    # If a split names one scan of a person and not the others, these go with it.
    unnamed = sorted(set(scans) - {persons[case] for case in named})
    notes = []
    if unnamed:
        what = "kept for the test" if is_json else "trained on in every fold"
        notes.append(f"{path.name} does not name {', '.join(unnamed)}: {what}")
    for person, on_sides in leaks.items():
        side = "test" if "test" in on_sides else "validation"
        where = f"{' and in '.join(on_sides)} of {path.name} (fold {leaking_folds[person]})"
        notes.append(f"{person} is in {where}; all of its scans are now in {side}")
    n_unknown = sum(not _find_cases(name, known) for name in {name for name, _, _ in assignments})
    if n_unknown:
        notes.append(f"{n_unknown} names in {path.name} are of no scan that is there")
    test_persons = {persons[case] for case in test} | set(unnamed if is_json else ())
    validated = [{persons[case] for case in fold["val"]} - test_persons for fold in folds]
    if not any(validated):
        rest = sorted(set(scans) - test_persons)
        random.Random(seed).shuffle(rest)
        validated = [set(part) for part in deal_folds(rest, scans, n_folds)]
    return Split(persons, cases_of(test_persons, scans), tuple(cases_of(fold, scans) for fold in validated)), notes


def _cases_by_name(cases: Sequence[Case]) -> dict[str, list[str]]:
    """Return cases by all names that a split may use: that of the case, or of its subject."""
    own = {case.name for case in cases}
    known: dict[str, list[str]] = {name: [name] for name in own}
    for case in cases:
        names = {f"sub-{case.subject}", case.subject}
        if case.session:
            names.add(f"sub-{case.subject}_ses-{case.session}")
        for name in names - own:
            known.setdefault(name, []).append(case.name)
    return known


def _find_cases(name: str, known: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Find the cases that a split names, without nnU-Net's number of the case if that is no part of a name."""
    return known.get(name) or known.get(_CASE_NUMBER.sub("", name), ())


def _read_assignments(path: Path, is_json: bool) -> tuple[list[Assignment], int]:
    """Read the rows of a split, and the number of its folds."""
    try:
        return _read_json(path) if is_json else _read_table(path)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise DatasetError(
            f"{path} is not a split: {error}; give a table with participant_id, split and fold, or a splits_final.json"
        ) from error


def _read_table(path: Path) -> tuple[list[Assignment], int]:
    text = path.read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t" if "\t" in text.partition("\n")[0] else ","))
    if not rows:
        raise ValueError("it has no rows")
    if "Subject" in rows[0] and any(map(_FOLD_COLUMN.fullmatch, rows[0])):
        return _read_published(rows)
    key = next((key for key in ("case", "participant_id") if key in rows[0]), None)
    if key is None or "split" not in rows[0]:
        raise ValueError("it has no columns participant_id (or case) and split")
    named = [(unescape_cell(row[key].strip()), *_read_side_and_fold(row)) for row in rows]
    n_folds = max(1 + max(number for _, _, number in named), 1)
    has_val = any(side == "val" for _, side, _ in named)
    assignments: list[Assignment] = []
    for name, side, number in named:
        if side == "test":
            assignments.append((name, "test", None))
        elif has_val:
            assignments.append((name, side, None if number < 0 else number))
        else:  # the number is that of the fold in which the case is validated on
            assignments += [(name, "val" if fold == number else "train", fold) for fold in range(n_folds)]
    return assignments, n_folds


def _read_published(rows: Sequence[dict[str, str]]) -> tuple[list[Assignment], int]:
    """Read a table of the published repository, which has a column for each fold."""
    columns = [column for column in rows[0] if _FOLD_COLUMN.fullmatch(column)]
    assignments: list[Assignment] = []
    for row in rows:
        for number, column in enumerate(columns):
            side = _read_side(row[column] or "")
            assignments.append((row["Subject"].strip(), side, None if side == "test" else number))
    return assignments, len(columns)


def _read_side(text: str) -> str:
    side = text.strip().lower()
    side = _SIDE_NAMES.get(side, side)
    if side not in SIDES:
        raise ValueError(f"{text!r} is none of train, val and test")
    return side


def _read_side_and_fold(row: dict[str, str]) -> tuple[str, int]:
    """Read the side of a row and the number of its fold, -1 if it has none; without a number, ``val`` is of fold 0."""
    side = _read_side(row["split"])
    fold = (row.get("fold") or "").strip()
    number = -1 if fold in MISSING_CELLS else int(fold)
    if number < -1:
        raise ValueError(f"{fold} is not the number of a fold")
    return side, 0 if side == "val" and number < 0 else number


def _read_json(path: Path) -> tuple[list[Assignment], int]:
    content: Any = json.loads(path.read_text(encoding="utf-8"))
    folds = content if isinstance(content, list) else [content]
    assignments: list[Assignment] = []
    for number, fold in enumerate(folds):
        for side, names in fold.items():
            if side not in SIDES:
                raise ValueError(f"{side!r} is none of train, val and test")
            assignments += [(str(name), side, number if side != "test" else None) for name in names]
    return assignments, len(folds)


def write_split_table(path: Path, cases: Sequence[Case], split: Split) -> None:
    """Write the side and fold of each case as a table, which `read_split` can read.

    Parameters
    ----------
    path : Path
    cases : sequence of Case
    split : Split
        Split of these cases.
    """
    rows = []
    for case in sorted(cases, key=lambda case: (split.persons[case.name], case.name)):
        number = next((number for number, fold in enumerate(split.folds) if case.name in fold), None)
        rows.append(
            {
                "case": case.name,
                "participant_id": f"sub-{case.subject}",
                "session_id": f"ses-{case.session}" if case.session else "n/a",
                "contrast": case.contrast,
                "person": split.persons[case.name],
                "split": "test" if case.name in split.test else "train",
                "fold": "n/a" if number is None else number,
            }
        )
    write_table(path, COLUMNS, rows, separator="\t")
