"""Who is trained on, who is validated on, and who is kept for the test: people, never scans.

A `Split` cannot be made if a person would be on two sides of it. All scans of a person go together: sessions,
contrasts, the same subject in several BIDS folders, and one image under two names (by the hash of its voxels).
"""

from __future__ import annotations

import csv
import json
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sct_rootlets.errors import DatasetError


@dataclass(frozen=True)
class Case:
    """A labelled scan, as splits see it.

    Attributes
    ----------
    name : str
        nnU-Net's name of it, unique.
    subject : str
        Without ``sub-``.
    session : str, optional
    contrast : str
    image_hash : str
        Of the image's content.
    """

    name: str
    subject: str
    session: str | None = None
    contrast: str = ""
    image_hash: str = ""


@dataclass(frozen=True)
class Split:
    """Cases on the sides of a split; cannot be made if a person is on two of them.

    Attributes
    ----------
    persons : dict of str to str
        Person by the name of the case; see `find_persons`.
    test : frozenset of str
        Cases that are never trained on, and never validated on.
    folds : tuple of frozenset of str
        Cases that each fold is validated on; it is trained on all others but `test`.
    """

    persons: Mapping[str, str]
    test: frozenset[str]
    folds: tuple[frozenset[str], ...]

    def __post_init__(self) -> None:
        named = {case for cases in (self.test, *self.folds) for case in cases}
        unknown = sorted(named - set(self.persons))
        if unknown:
            raise DatasetError(f"the split names {unknown[0]}, which is none of the {len(self.persons)} scans")
        if not self.folds:
            raise DatasetError("the split has no fold; each has scans to validate on")
        for number, (train, validation) in enumerate(self.sides()):
            sides = {"training": train, "validation": validation, "test": self.test}
            check_sides(sides, self.persons, f"fold {number}")
            for side in ("training", "validation"):
                if not sides[side]:
                    raise DatasetError(
                        f"fold {number} of the split has nobody for {side}; give more subjects, or fewer folds"
                    )

    def sides(self) -> list[tuple[list[str], list[str]]]:
        """Cases to train and to validate on, for each fold."""
        rest = set(self.persons) - self.test
        return [(sorted(rest - fold), sorted(fold)) for fold in self.folds]

    def as_nnunet(self) -> list[dict[str, list[str]]]:
        """What nnU-Net reads as ``splits_final.json``."""
        return [{"train": train, "val": validation} for train, validation in self.sides()]


def check_sides(sides: Mapping[str, Iterable[str]], persons: Mapping[str, str], what: str = "the split") -> None:
    """Raise a `DatasetError` if a person has cases on two sides.

    Parameters
    ----------
    sides : dict of str to iterable of str
        Cases by side.
    persons : dict of str to str
        Person by case.
    what : str
        What the message calls the split.
    """
    seen: dict[str, tuple[str, str]] = {}
    for side, cases in sides.items():
        for case in sorted(cases):
            before, other = seen.setdefault(persons[case], (side, case))
            if before != side:
                raise DatasetError(
                    f"{what} leaks: {persons[case]} is in {before} ({other}) and in {side} ({case}); all scans, "
                    "sessions and contrasts of a subject belong on one side"
                )


def find_persons(cases: Sequence[Case]) -> dict[str, str]:
    """Person of each case: the same subject label (capitals do not matter), or the same image, is the same person.

    Returns
    -------
    dict of str to str
        By the name of the case; such as ``"sub-01"``, or ``"sub-01 = sub-99"`` for two labels of one person.

    Raises
    ------
    DatasetError
        If two cases have one name.
    """
    if len({case.name for case in cases}) < len(cases):
        raise DatasetError("two scans would have the same name in the training set")
    parent: dict[str, str] = {}

    def find(node: str) -> str:
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    for case in cases:
        person = find(f"subject {case.subject.lower()}")
        if case.image_hash:
            parent[find(f"image {case.image_hash}")] = person
    subjects = defaultdict(set)
    for case in cases:
        subjects[find(f"subject {case.subject.lower()}")].add(f"sub-{case.subject}")
    return {case.name: " = ".join(sorted(subjects[find(f"subject {case.subject.lower()}")])) for case in cases}


def make_split(cases: Sequence[Case], n_folds: int = 5, test_share: float = 0.2, seed: int = 0) -> Split:
    """Deal people out at random, so that the folds have about as many scans each.

    Parameters
    ----------
    cases : sequence of Case
    n_folds : int
        With 1, a fifth of the people who are not kept for the test are validated on.
    test_share : float
        Share of the people kept for the test; 0 for none.
    seed : int
        The same seed gives the same split of the same people, in whatever order they come.

    Raises
    ------
    DatasetError
        If there are too few people.
    """
    persons = find_persons(cases)
    scans = _scans_of(persons)
    order = sorted(scans)
    random.Random(seed).shuffle(order)
    n_test = max(1, round(test_share * len(order))) if test_share > 0 else 0
    rest = order[n_test:]
    needed = n_test + max(n_folds, 2)
    if len(order) < needed:
        raise DatasetError(
            f"there are {len(order)} subjects; {n_folds} folds with a test set of {n_test} need {needed} at least: "
            "give more subjects, -n-folds, or -test-share 0"
        )
    folds = _folds_of(rest, scans, n_folds)
    return Split(persons, _cases_of(order[:n_test], scans), tuple(_cases_of(fold, scans) for fold in folds))


def _folds_of(people: Sequence[str], scans: Mapping[str, list[str]], n_folds: int) -> list[list[str]]:
    """The people whom each fold is validated on; with one fold, a fifth of them."""
    n_parts = n_folds if n_folds > 1 else min(5, len(people))
    return _dealt(people, scans, n_parts)[:n_folds]


def _scans_of(persons: Mapping[str, str]) -> dict[str, list[str]]:
    scans: dict[str, list[str]] = defaultdict(list)
    for case, person in persons.items():
        scans[person].append(case)
    return dict(scans)


def _cases_of(people: Iterable[str], scans: Mapping[str, list[str]]) -> frozenset[str]:
    return frozenset(case for person in people for case in scans[person])


def _dealt(people: Sequence[str], scans: Mapping[str, list[str]], n_parts: int) -> list[list[str]]:
    """Deal people to parts, those with most scans first, always to the part that has fewest."""
    parts: list[list[str]] = [[] for _ in range(n_parts)]
    sizes = [0] * n_parts
    for person in sorted(people, key=lambda person: -len(scans[person])):
        smallest = min(range(n_parts), key=lambda part: (sizes[part], len(parts[part])))
        parts[smallest].append(person)
        sizes[smallest] += len(scans[person])
    return parts


def read_split(path: Path, cases: Sequence[Case], n_folds: int = 5, seed: int = 0) -> tuple[Split, list[str]]:
    """Read a split that the user gives.

    A table (``.tsv`` or ``.csv``) has the columns ``participant_id`` or ``case``, ``split`` (``train``, ``val`` or
    ``test``) and, for several folds, ``fold``. Where rows of ``val`` say who is validated on, ``fold`` is that of the
    row: a person has one row for all folds (without a number), or one for each. Without such rows, ``fold`` is the
    number of the one that a row of ``train`` is validated in, as in tables by `write_table`. People whom it does not
    name are trained on; if it names nobody to validate on, folds are dealt out.

    A ``.json`` is nnU-Net's ``splits_final.json``, of cases or of subjects; a fold may have ``test`` beside
    ``train`` and ``val``. People whom it does not name are kept for the test, as nnU-Net does not train on them either.

    Parameters
    ----------
    path : Path
    cases : sequence of Case
    n_folds, seed : int
        As in `make_split`, for a table with nobody to validate on.

    Returns
    -------
    split : Split
    notes : list of str
        Of people whom the split does not name, and of names of nobody.

    Raises
    ------
    DatasetError
        If it cannot be read, names nobody who is there, or has a person on two sides.
    """
    persons = find_persons(cases)
    is_json = path.suffix.lower() == ".json"
    try:
        named_sides, n_given = _read_json(path) if is_json else _read_table(path)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise DatasetError(
            f"{path} is no split: {error}; give a table with participant_id, split and fold, or a splits_final.json"
        ) from error
    known = _by_name(cases)
    test: set[str] = set()
    folds: list[dict[str, set[str]]] = [{"train": set(), "val": set()} for _ in range(n_given)]
    for name, side, where in named_sides:
        for number in range(n_given) if where is None else [where]:
            (test if side == "test" else folds[number][side]).update(known.get(name, ()))
    named = test.union(*(members for fold in folds for members in fold.values()))
    if not named:
        raise DatasetError(f"{path} names none of the {len(cases)} scans that are there, nor their subjects")
    for number, fold in enumerate(folds):
        given = {"training": fold["train"], "validation": fold["val"], "test": test}
        check_sides(given, persons, f"{path}, fold {number},")
    # Where one scan of a person is named and others are not, those go with it.
    scans = _scans_of(persons)
    unnamed = sorted(set(scans) - {persons[case] for case in named})
    notes = []
    if unnamed:
        what = "kept for the test" if is_json else "trained on in every fold"
        notes.append(f"{path.name} does not name {', '.join(unnamed)}: {what}")
    nobody = len({name for name, _, _ in named_sides} - set(known))
    if nobody:
        notes.append(f"{nobody} names in {path.name} are of no scan that is there")
    kept = {persons[case] for case in test} | set(unnamed if is_json else ())
    validated = [{persons[case] for case in fold["val"]} for fold in folds]
    if not any(validated):
        rest = sorted(set(scans) - kept)
        random.Random(seed).shuffle(rest)
        validated = [set(part) for part in _folds_of(rest, scans, n_folds)]
    return Split(persons, _cases_of(kept, scans), tuple(_cases_of(fold, scans) for fold in validated)), notes


def _by_name(cases: Sequence[Case]) -> dict[str, list[str]]:
    """Cases by all that a split may call them: their own name, or that of their subject."""
    own = {case.name for case in cases}
    known: dict[str, list[str]] = {name: [name] for name in own}
    for case in cases:
        for name in {f"sub-{case.subject}", case.subject} - own:
            known.setdefault(name, []).append(case.name)
    return known


def _read_table(path: Path) -> tuple[list[tuple[str, str, int | None]], int]:
    text = path.read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t" if "\t" in text.partition("\n")[0] else ","))
    if not rows:
        raise ValueError("it has no rows")
    key = next((key for key in ("case", "participant_id") if key in rows[0]), None)
    if key is None or "split" not in rows[0]:
        raise ValueError("it has no columns participant_id (or case) and split")
    named: list[tuple[str, str, int]] = []
    for row in rows:
        side = {"validation": "val", "training": "train"}.get(
            row["split"].strip().lower(), row["split"].strip().lower()
        )
        if side not in ("train", "val", "test"):
            raise ValueError(f"{row['split']!r} is none of train, val and test")
        fold = (row.get("fold") or "").strip().lower()
        number = -1 if fold in ("", "n/a") else int(fold)
        if number < -1:
            raise ValueError(f"{fold} is no number of a fold")
        named.append((row[key].strip(), side, 0 if side == "val" and number < 0 else number))
    n_folds = max(1 + max(number for _, _, number in named), 1)
    # Where some row says who is validated on, folds are spelled out row by row; else by where each is validated.
    spelled = any(side == "val" for _, side, _ in named)
    sides: list[tuple[str, str, int | None]] = []
    for name, side, number in named:
        if side == "test":
            sides.append((name, "test", None))
        elif spelled:
            sides.append((name, side, None if number < 0 else number))
        else:
            sides += [(name, "val" if fold == number else "train", fold) for fold in range(n_folds)]
    return sides, n_folds


def _read_json(path: Path) -> tuple[list[tuple[str, str, int | None]], int]:
    content: Any = json.loads(path.read_text(encoding="utf-8"))
    folds = content if isinstance(content, list) else [content]
    sides: list[tuple[str, str, int | None]] = []
    for number, fold in enumerate(folds):
        for side, names in fold.items():
            if side not in ("train", "val", "test"):
                raise ValueError(f"{side!r} is none of train, val and test")
            sides += [(str(name), side, number if side != "test" else None) for name in names]
    return sides, len(folds)


def write_table(path: Path, cases: Sequence[Case], split: Split) -> None:
    """Write who is where as a table for people, which `read_split` reads again."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(["case", "participant_id", "session_id", "contrast", "person", "split", "fold"])
        for case in sorted(cases, key=lambda case: (split.persons[case.name], case.name)):
            number = next((n for n, fold in enumerate(split.folds) if case.name in fold), None)
            fold = "n/a" if number is None else str(number)
            side = "test" if case.name in split.test else "train"
            session = f"ses-{case.session}" if case.session else "n/a"
            row = [case.name, f"sub-{case.subject}", session, case.contrast, split.persons[case.name], side, fold]
            table.writerow(row)


def summary(split: Split) -> list[str]:
    """How many people and scans are on each side, for people."""

    def count(cases: Collection[str]) -> str:
        return f"{len({split.persons[case] for case in cases})} subjects ({len(cases)} scans)"

    lines = [f"test: {count(split.test)}"]
    for number, (train, validation) in enumerate(split.sides()):
        lines.append(f"fold {number}: trained on {count(train)}, validated on {count(validation)}")
    return lines
