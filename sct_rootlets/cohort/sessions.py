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
from nibabel.affines import apply_affine
from scipy import ndimage

from sct_rootlets.bids import LABEL_NAMES
from sct_rootlets.cohort.job import Job
from sct_rootlets.cohort.record import read_record
from sct_rootlets.errors import SctRootletsError
from sct_rootlets.levels import Kind, level_name
from sct_rootlets.nifti import lacks_orientation, load_volume

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

    def describe(self, stem: str) -> str:
        """Say what contradicts the names of one of the two scans."""
        other, here = (self.second, self.names) if stem == self.first else (self.first, self.names[::-1])
        return (
            f"{self.kind} level {here[0]} lies where {other} of the same session has {here[1]}: give one disc of the "
            "scan that is wrong, or of both"
        )


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
    if best and 0 in distances and own >= MIN_RATIO * distances[best]:
        return best, float(own), float(distances[best])
    return 0, float(own), float(own)


def find_contradictions(jobs: Iterable[Job]) -> list[Contradiction]:
    """Find scans of one session that name the same place differently, by the level maps of their results."""
    sessions: dict[tuple[str, str | None], list[Job]] = defaultdict(list)
    for job in jobs:
        sessions[job.scan.image.subject, job.scan.image.session].append(job)
    found = []
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
    """Return the middle of each level of a scan, RAS+ mm; none if its map is missing or has no orientation."""
    path = job.folder / f"{job.stem}_label-{LABEL_NAMES[kind]}_dseg.nii.gz"
    if not path.is_file():
        return {}
    try:
        volume = load_volume(path)
    except SctRootletsError:
        return {}
    if lacks_orientation(volume):
        return {}
    values = [int(value) for value in np.unique(volume.data) if value > 0]
    middles = ndimage.center_of_mass(volume.data > 0, volume.data, values)
    return dict(zip(values, apply_affine(volume.affine, np.array(middles).reshape(-1, 3)), strict=True))


def _doubted(one: Job, other: Job) -> tuple[str, ...]:
    """Return the scans without discs of the user's; both if that says nothing."""
    without = tuple(job.stem for job in (one, other) if "discs" not in job.inputs(read_record(job.record)))
    return without if len(without) == 1 else (one.stem, other.stem)
