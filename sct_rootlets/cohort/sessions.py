"""Scans of one session beside one another: they show the same neck, so that their levels lie at the same places.

Each scan names its levels on its own. Where two scans of a session name the same place differently, the numbers of one
of them are wrong, however sure it is of them (or their headers do not share one coordinate system).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sct_rootlets.cohort.job import Job
from sct_rootlets.cohort.record import read_record
from sct_rootlets.correspondence import LEVEL_PITCH_MM
from sct_rootlets.errors import SctRootletsError
from sct_rootlets.flags import Flag
from sct_rootlets.levels import LAST_DISC, Kind, level_name
from sct_rootlets.nifti import load_volume
from sct_rootlets.output.page import read_entry

#: Numbers of levels by which names of two scans are compared, and the fewest levels that must lie at the same places.
MAX_SHIFT, MIN_LEVELS = 6, 2
#: Names contradict each other if levels lie so many times closer by other names than by their own: half a level of
#: movement between two scans makes both alike.
MIN_RATIO = 2.0
KINDS: tuple[Kind, ...] = ("spinal", "vertebral")

#: Middle of each level of a scan by kind and value, RAS+ mm, shape (3,).
Places = Mapping[Kind, Mapping[int, np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class Contradiction:
    """Two scans of a session that name the same place differently.

    Attributes
    ----------
    first, second : str
        Stems of the scans.
    kind : {"spinal", "vertebral"}
    names : (str, str)
        The name of a place in the first and in the second scan.
    """

    first: str
    second: str
    kind: Kind
    names: tuple[str, str]

    @property
    def stems(self) -> tuple[str, str]:
        """Both scans."""
        return self.first, self.second


def compare_places(first: Mapping[int, np.ndarray], second: Mapping[int, np.ndarray]) -> int:
    """Compare where two scans have their levels.

    Parameters
    ----------
    first, second : mapping of int to numpy.ndarray, shape (3,)
        Middle of each level by value, RAS+ mm.

    Returns
    -------
    int
        What is added to a value of the first scan to get the value that the second scan has at the same place; 0 if
        their names agree, or cannot be compared.
    """

    def distance_mm(shift: int, least: int) -> float:
        """Return the mean distance of levels whose values differ by a number; infinite if there are too few."""
        common = [value for value in first if value + shift in second]
        if len(common) < least:
            return np.inf
        return float(np.mean([np.linalg.norm(first[value] - second[value + shift]) for value in common]))

    others = {shift: distance_mm(shift, MIN_LEVELS) for shift in range(-MAX_SHIFT, MAX_SHIFT + 1) if shift}
    best = min(others, key=lambda shift: others[shift])
    contradicts = others[best] < LEVEL_PITCH_MM / 2 and distance_mm(0, 1) >= MIN_RATIO * others[best]
    return best if contradicts else 0


def find_contradictions(jobs: Iterable[Job]) -> list[Contradiction]:
    """Find scans of one session that name the same place differently, by their entries on the page; one kind a pair."""
    sessions: dict[tuple[str, str | None], list[Job]] = defaultdict(list)
    for job in jobs:
        sessions[job.scan.image.subject, job.scan.image.session].append(job)
    found = []
    for together in sessions.values():
        if len(together) > 1:
            places = {job.stem: _level_places(job) for job in together}
            for one, other in combinations(places, 2):
                found += _contradictions(one, other, places[one], places[other])[:1]
    return found


def _contradictions(one: str, other: str, places: Places, others: Places) -> list[Contradiction]:
    found = []
    for kind in KINDS:
        shift = compare_places(places[kind], others[kind])
        if shift:
            value = next(value for value in places[kind] if value + shift in others[kind])
            names = (level_name(value, kind), level_name(value + shift, kind))
            found.append(Contradiction(first=one, second=other, kind=kind, names=names))
    return found


def session_flags(jobs: Sequence[Job]) -> dict[str, Flag]:
    """Return a flag of each scan whose names may be wrong, because another one of its session has others.

    Of two scans, that one is doubted which has no discs of the user's while the other one has some; else that one which
    more scans of the session contradict; else both.

    Parameters
    ----------
    jobs : sequence of Job

    Returns
    -------
    dict of str to Flag
        By stem.
    """
    by_stem = {job.stem: job for job in jobs}
    contradictions = find_contradictions(jobs)
    counts = Counter(stem for one in contradictions for stem in one.stems)
    with_discs = {stem for stem in counts if _has_discs(by_stem[stem])}
    flags: dict[str, Flag] = {}
    for one in contradictions:
        doubted = [stem for stem in one.stems if stem not in with_discs]
        if len(doubted) != 1:
            most = max(counts[stem] for stem in one.stems)
            doubted = [stem for stem in one.stems if counts[stem] == most]
        for stem in doubted:
            flags.setdefault(stem, _flag(one, stem, len(doubted) == 1, stem in with_discs))
    return flags


def _flag(found: Contradiction, stem: str, is_alone: bool, has_discs: bool) -> Flag:
    here, there = found.names if stem == found.first else found.names[::-1]
    other = found.second if stem == found.first else found.first
    if has_discs:
        advice = "check its discs"
    elif is_alone:
        advice = "give one disc of it"
    else:
        advice = "give one disc of the scan that is wrong, or of both"
    return Flag(
        key="session",
        title="session",
        text=f"{found.kind} level {here} lies where {other} of the same session has {there}",
        state="bad",
        level=(found.kind, here),
        why="scans of one session show the same neck: where they name the same place differently, the numbers of one "
        "of them are wrong, or their headers do not share one coordinate system",
        advice=advice,
    )


def _level_places(job: Job) -> Places:
    """Return where a scan has its levels, as its entry of the page holds it; nowhere without an entry."""
    places: dict[Kind, dict[int, np.ndarray]] = {kind: {} for kind in KINDS}
    levels = read_entry(job.page, job.about).get("levels")
    for one in levels if isinstance(levels, list) else []:
        try:
            value, point = int(one["value"]), np.array(one["point"], dtype=float)
            if point.shape == (3,) and np.isfinite(point).all():
                places[one["kind"]][value] = point
        except (KeyError, TypeError, ValueError):  # of another version
            continue
    return places


def _has_discs(job: Job) -> bool:
    """Whether the user gave discs of a scan, or corrected them; the conus alone is none."""
    try:
        path = job.inputs(read_record(job.record)).get("discs")
        data = np.zeros(1) if path is None else load_volume(path).data
    except (OSError, SctRootletsError):
        return False
    return bool(((data > 0) & (data <= LAST_DISC)).any())
