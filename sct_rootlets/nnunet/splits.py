"""Splits of cases by person: who is trained on, who is validated on, and who is kept for the test.

A `Split` in which a person is on two sides cannot be made. All scans of a person stay together: sessions, contrasts,
the same subject in several BIDS folders, and one image under two names (by the hash of its voxels).
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sct_rootlets.errors import DatasetError


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a split needs to know of a labelled scan.

    Attributes
    ----------
    name : str
        Name in nnU-Net's dataset, unique.
    subject : str
        Without ``sub-``.
    session : str, optional
    contrast : str
    image_hash : str
        Hash of the image's content.
    """

    name: str
    subject: str
    session: str | None = None
    contrast: str = ""
    image_hash: str = ""


@dataclass(frozen=True)
class Split:
    """Cases on the sides of a split; a split in which a person is on two sides cannot be made.

    Attributes
    ----------
    persons : dict of str to str
        Person by the name of the case; see `find_persons`.
    test : frozenset of str
        Cases that are neither trained nor validated on.
    folds : tuple of frozenset of str
        Cases that each fold is validated on; it is trained on all others except `test`.

    Raises
    ------
    DatasetError
        If a person is on two sides, a side is empty, there is no fold, or a case is unknown.
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
        """Return the cases to train on and to validate on, for each fold."""
        rest = set(self.persons) - self.test
        return [(sorted(rest - fold), sorted(fold)) for fold in self.folds]

    def as_nnunet(self) -> list[dict[str, list[str]]]:
        """Return the content of nnU-Net's ``splits_final.json``."""
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
        Name of the split in the message.
    """
    leaks = find_leaks(sides, persons)
    if leaks:
        raise DatasetError(f"{what} {describe_leaks(leaks)}")


def find_leaks(sides: Mapping[str, Iterable[str]], persons: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Find the persons who have cases on two sides or more.

    Parameters
    ----------
    sides : dict of str to iterable of str
        Cases by side.
    persons : dict of str to str
        Person by case.

    Returns
    -------
    dict of str to dict of str to str
        For each such person, the first case on each side.
    """
    seen: dict[str, dict[str, str]] = {}
    for side, cases in sides.items():
        for case in sorted(cases):
            seen.setdefault(persons[case], {}).setdefault(side, case)
    return {person: on_sides for person, on_sides in seen.items() if len(on_sides) > 1}


def describe_leaks(leaks: Mapping[str, Mapping[str, str]]) -> str:
    """Describe persons on two sides, as the second part of a message: the first with its cases, and all others."""
    (person, on_sides), *others = leaks.items()
    cases = " and in ".join(f"{side} ({case})" for side, case in on_sides.items())
    also = f"; so are {', '.join(name for name, _ in others)}" if others else ""
    return f"leaks: {person} is in {cases}{also}; all scans, sessions and contrasts of a subject belong on one side"


def find_persons(cases: Sequence[Case]) -> dict[str, str]:
    """Find the person of each case: cases with the same subject label, or the same image, are of the same person.

    Subject labels are compared without regard to capitals.

    Parameters
    ----------
    cases : sequence of Case

    Returns
    -------
    dict of str to str
        Person by the name of the case: ``"sub-01"``, or ``"sub-01 = sub-99"`` for two subject labels of one person.

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
    """Distribute persons to test and folds at random, so that folds have similar numbers of scans.

    Parameters
    ----------
    cases : sequence of Case
    n_folds : int
        Number of folds. With a single fold, a fifth of the persons who are not kept for the test are validated on.
    test_share : float
        Share of the persons kept for the test; 0 for none.
    seed : int
        The same seed gives the same split of the same persons, whatever the order of the cases.

    Returns
    -------
    Split

    Raises
    ------
    DatasetError
        If there are too few persons.
    """
    persons = find_persons(cases)
    scans = group_by_person(persons)
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
    folds = deal_folds(rest, scans, n_folds)
    return Split(persons, cases_of(order[:n_test], scans), tuple(cases_of(fold, scans) for fold in folds))


def group_by_person(persons: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the cases of each person, from the person of each case."""
    scans: dict[str, list[str]] = defaultdict(list)
    for case, person in persons.items():
        scans[person].append(case)
    return dict(scans)


def cases_of(people: Iterable[str], scans: Mapping[str, list[str]]) -> frozenset[str]:
    """Return the cases of some persons, from the cases of each person."""
    return frozenset(case for person in people for case in scans[person])


def deal_folds(people: Sequence[str], scans: Mapping[str, list[str]], n_folds: int) -> list[list[str]]:
    """Choose the persons that each fold is validated on; with a single fold, a fifth of them.

    Parameters
    ----------
    people : sequence of str
        Persons in random order.
    scans : dict of str to list of str
        Cases of each person.
    n_folds : int
    """
    n_parts = n_folds if n_folds > 1 else min(5, len(people))
    return _deal(people, scans, n_parts)[:n_folds]


def _deal(people: Sequence[str], scans: Mapping[str, list[str]], n_parts: int) -> list[list[str]]:
    """Deal persons to parts, those with most scans first, each to the part with fewest scans."""
    parts: list[list[str]] = [[] for _ in range(n_parts)]
    sizes = [0] * n_parts
    for person in sorted(people, key=lambda person: -len(scans[person])):
        smallest = min(range(n_parts), key=lambda part: (sizes[part], len(parts[part])))
        parts[smallest].append(person)
        sizes[smallest] += len(scans[person])
    return parts


def summary(split: Split) -> list[str]:
    """Describe how many subjects and scans are on each side, one line for the test and one a fold."""

    def count(cases: Collection[str]) -> str:
        return f"{len({split.persons[case] for case in cases})} subjects ({len(cases)} scans)"

    lines = [f"test: {count(split.test)}"]
    for number, (train, validation) in enumerate(split.sides()):
        lines.append(f"fold {number}: trained on {count(train)}, validated on {count(validation)}")
    return lines
