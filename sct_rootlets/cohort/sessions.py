"""Scans of one session beside one another: they show the same neck, so that their levels lie at the same places.

Each scan names its levels on its own. Where two scans of a session name the same place differently, the numbers of one
of them are wrong, however sure it is of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sct_rootlets.cohort.job import Job
from sct_rootlets.cohort.record import read_record
from sct_rootlets.correspondence import LEVEL_PITCH_MM
from sct_rootlets.flags import Flag
from sct_rootlets.levels import Kind, level_name
from sct_rootlets.output.page import read_entry

#: Numbers of levels by which names of two scans are compared, and the fewest levels that must show it.
SHIFTS, MIN_LEVELS = (-2, -1, 1, 2), 2
#: Names contradict each other if levels lie so many times closer by other names than by their own: half a level of
#: movement between two scans makes both alike.
MIN_RATIO = 2.0


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
    distance_mm, other_mm : float
        Mean distance of levels of the same name, and of those that lie at the same place.
    doubted : tuple of str
        The scans whose names may be wrong: those without discs of the user's; both if neither or both have some.
    """

    first: str
    second: str
    kind: Kind
    names: tuple[str, str]
    distance_mm: float
    other_mm: float
    doubted: tuple[str, ...]

    def flag(self, stem: str) -> Flag:
        """Return the flag of one of the two scans."""
        other, (here, there) = (self.second, self.names) if stem == self.first else (self.first, self.names[::-1])
        return Flag(
            key="session",
            title="session",
            text=f"{self.kind} level {here} lies where {other} of the same session has {there}",
            state="bad",
            level=(self.kind, here),
            why="scans of one session show the same neck: where they name the same place differently, the numbers of "
            "one of them are wrong",
            advice="give one disc of the scan that is wrong, or of both",
        )


def session_flags(jobs: Iterable[Job]) -> dict[str, Flag]:
    """Return a flag, by stem, of each scan whose names may be wrong because another one of its session has others."""
    return {stem: found.flag(stem) for found in find_contradictions(jobs) for stem in found.doubted}


def compare_places(first: Mapping[int, np.ndarray], second: Mapping[int, np.ndarray]) -> tuple[int, float, float]:
    """Compare where two scans have their levels.

    Parameters
    ----------
    first, second : mapping of int to numpy.ndarray, shape (3,)
        Middle of each level by value, RAS+ mm.

    Returns
    -------
    shift : int
        What is added to a value of the first scan to get the value that the second scan has at the same place; 0 if
        their names agree, or cannot be compared.
    distance_mm, other_mm : float
        Mean distance of levels of the same name (of other names, if none has the same), and with the shift.
    """
    distances = {
        shift: np.mean([np.linalg.norm(first[value] - second[value + shift]) for value in common])
        for shift in (0, *SHIFTS)
        if len(common := [value for value in first if value + shift in second]) >= MIN_LEVELS
    }
    if not distances:
        return 0, np.nan, np.nan
    best = min(distances, key=lambda shift: distances[shift])
    own = distances.get(0, np.nan)
    if best and 0 in distances and own >= MIN_RATIO * distances[best] and distances[best] < LEVEL_PITCH_MM / 2:
        return best, float(own), float(distances[best])
    return 0, float(own), float(own)


def find_contradictions(jobs: Iterable[Job]) -> list[Contradiction]:
    """Find scans of one session that name the same place differently, by their entries on the page."""
    sessions: dict[tuple[str, str | None], list[Job]] = defaultdict(list)
    for job in jobs:
        sessions[job.scan.image.subject, job.scan.image.session].append(job)
    found: list[Contradiction] = []
    for together in sessions.values():
        if len(together) < 2:
            continue
        for kind in ("spinal", "vertebral"):
            places = {job.stem: _level_places(job, kind) for job in together}
            for one, other in combinations(together, 2):
                shift, own, best = compare_places(places[one.stem], places[other.stem])
                if shift and not _is_known(found, one, other):
                    value = next(value for value in places[one.stem] if value + shift in places[other.stem])
                    found.append(
                        Contradiction(
                            first=one.stem,
                            second=other.stem,
                            kind=kind,
                            names=(level_name(value, kind), level_name(value + shift, kind)),
                            distance_mm=own,
                            other_mm=best,
                            doubted=_doubted(one, other),
                        )
                    )
    return found


def _is_known(found: Iterable[Contradiction], one: Job, other: Job) -> bool:
    return any({one.stem, other.stem} == {known.first, known.second} for known in found)


def _level_places(job: Job, kind: Kind) -> dict[int, np.ndarray]:
    """Return the middle of each level of a scan, RAS+ mm, as its entry of the page holds it; none without an entry."""
    levels = read_entry(job.page, job.about).get("levels", [])
    try:
        return {int(one["value"]): np.array(one["point"], float) for one in levels if one["kind"] == kind}
    except (KeyError, TypeError, ValueError):  # of another version
        return {}


def _doubted(one: Job, other: Job) -> tuple[str, ...]:
    """Return the scans without discs of the user's; both if that says nothing."""
    without = tuple(job.stem for job in (one, other) if "discs" not in job.inputs(read_record(job.record)))
    return without if len(without) == 1 else (one.stem, other.stem)
