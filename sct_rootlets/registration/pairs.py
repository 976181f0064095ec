"""Landmarks that a template and a subject share: pairing, the map through the pairs, and how far it misses each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sct_rootlets.errors import LabelError
from sct_rootlets.registration.arcmap import TRANSITION_MM, ArcMap, fit_arc_map
from sct_rootlets.registration.landmarks import Landmark, LandmarkKind

#: Lower bound of the standard deviation of a pair's distance in mm, so that no pair outweighs all others.
_MIN_SD_MM = 0.1
#: Distance between the places of a level by rootlets and by discs above which the two contradict each other. Healthy
#: people differ by less than half a level (about 7 mm), and a wrong number is off by a whole one (14 mm).
MAX_CONTRADICTION_MM = 5.0
#: Distance by which the map may miss a landmark that it goes through without a note.
MAX_MISS_MM = 3.0


@dataclass(frozen=True)
class Pair:
    """A landmark on the template and on the subject.

    Attributes
    ----------
    template, subject : Landmark
    used : bool
        Whether the landmark takes part in the map.
    """

    template: Landmark
    subject: Landmark
    used: bool


class LandmarkError(NamedTuple):
    """How far the map misses a landmark: mapped position minus position on the subject, positive is caudal.

    Attributes
    ----------
    error_mm : float
        Error of the map through all landmarks that are used.
    leave_one_out_mm : float or None
        Error of the map through the other landmarks; None if there is no other. For a landmark that is not used, both
        errors are the same.
    """

    error_mm: float
    leave_one_out_mm: float | None


def pair_landmarks(
    template: Sequence[Landmark], subject: Sequence[Landmark], kinds: Sequence[LandmarkKind]
) -> tuple[list[Pair], list[str]]:
    """Pair landmarks by kind and value.

    A landmark that the template lacks is left out. A landmark that the field of view cuts is not used, unless all are.

    Parameters
    ----------
    template, subject : sequence of Landmark
    kinds : sequence of {"rootlets", "discs"}
        Landmarks that take part in the map.

    Returns
    -------
    pairs : list of Pair
        Ordered along the template.
    notes : list of str

    Raises
    ------
    LabelError
        If no landmark of these kinds is common to both.
    """
    by_label = {(landmark.kind, landmark.value): landmark for landmark in template}
    common = [
        (by_label[landmark.kind, landmark.value], landmark)
        for landmark in subject
        if (landmark.kind, landmark.value) in by_label
    ]
    common.sort(key=lambda both: both[0].arc_mm)
    notes = [
        f"the template has no {landmark.name} ({landmark.kind}): left out"
        for landmark in subject
        if landmark.kind in kinds and (landmark.kind, landmark.value) not in by_label
    ]
    wanted = [both for both in common if both[0].kind in kinds]
    if not wanted:
        raise LabelError(_nothing_common(template, subject, kinds))
    # A landmark that an end of the template cuts is as uncertain as one that the field of view of the scan cuts.
    whole = [both for both in wanted if not (both[0].cut or both[1].cut)]
    used = whole or wanted
    notes += [
        f"{both[1].name}: the field of view may cut its rootlets: not used as a landmark"
        for both in wanted
        if both not in used
    ]
    if not whole:
        notes.append("the field of view may cut all levels that are used: positions along the cord are uncertain")
    return [Pair(*both, both in used) for both in common], notes


def _nothing_common(template: Sequence[Landmark], subject: Sequence[Landmark], kinds: Sequence[LandmarkKind]) -> str:
    """Word the error that names the landmarks of both sides."""

    def listed(landmarks: Sequence[Landmark]) -> str:
        return ", ".join(landmark.name for landmark in landmarks if landmark.kind in kinds) or "none"

    what = " and ".join(kinds)
    return (
        f"no label of the {what} is common to the subject ({listed(subject)}) and the template ({listed(template)}); "
        "check the values of the labels, or choose other landmarks"
    )


def map_through(pairs: Sequence[Pair]) -> ArcMap:
    """Fit the map of arc length through the pairs that are used, each weighted by its uncertainty."""
    used = [pair for pair in pairs if pair.used]
    sd = np.hypot([pair.template.sd_mm for pair in used], [pair.subject.sd_mm for pair in used])
    return fit_arc_map(
        [pair.template.arc_mm for pair in used],
        [pair.subject.arc_mm for pair in used],
        1 / np.maximum(sd, _MIN_SD_MM) ** 2,
    )


def landmark_errors(pairs: Sequence[Pair]) -> list[LandmarkError]:
    """Compute how far the map misses each landmark, with this landmark and without it.

    Parameters
    ----------
    pairs : sequence of Pair

    Returns
    -------
    list of LandmarkError
        One for each pair, in the same order.
    """
    full_map = map_through(pairs)
    errors = []
    for pair in pairs:
        error = _error(full_map, pair)
        others = [other for other in pairs if other is not pair and other.used]
        leave_one_out: float | None = error
        if pair.used:
            leave_one_out = _error(map_through(others), pair) if others else None
        errors.append(LandmarkError(error, leave_one_out))
    return errors


def find_contradictions(pairs: Sequence[Pair]) -> list[str]:
    """Note where rootlets and discs, both used, place the levels apart, and landmarks that the map misses.

    Parameters
    ----------
    pairs : sequence of Pair

    Returns
    -------
    list of str
        At most two notes, which name the landmarks and give mm along the subject's cord.
    """
    used = [pair for pair in pairs if pair.used]
    rootlets, discs = ([pair for pair in used if pair.subject.kind == kind] for kind in ("rootlets", "discs"))
    notes = []
    if rootlets and discs:
        by_discs = map_through(discs)
        apart = [(pair.subject.name, -_error(by_discs, pair)) for pair in within_reach(rootlets, discs)]
        wrong = [(name, mm) for name, mm in apart if abs(mm) > MAX_CONTRADICTION_MM]
        if wrong:
            listed = ", ".join(f"{name} {abs(mm):.1f} mm {_side(mm)}" for name, mm in wrong)
            notes.append(
                "rootlets and discs contradict each other: rootlets lie away from where the discs place them "
                f"({listed}): check the numbers and the positions of both, or register by one kind (-landmarks "
                "rootlets or discs)"
            )
    missed = [(pair.subject.name, _error(map_through(pairs), pair)) for pair in used]
    missed = [(name, mm) for name, mm in missed if abs(mm) > MAX_MISS_MM]
    if missed:
        listed = ", ".join(f"{name} by {abs(mm):.1f} mm {_side(mm)}" for name, mm in missed)
        notes.append(
            f"the map misses landmarks that it is to go through ({listed}): they contradict the others; check their "
            "numbers and positions"
        )
    return notes


def within_reach(pairs: Sequence[Pair], knots: Sequence[Pair]) -> list[Pair]:
    """Return the pairs where a map through others is no extrapolation: at most `TRANSITION_MM` beyond those.

    Parameters
    ----------
    pairs : sequence of Pair
    knots : sequence of Pair
        At least one pair that the map goes through.
    """
    ends = [pair.template.arc_mm for pair in knots]
    low, high = min(ends) - TRANSITION_MM, max(ends) + TRANSITION_MM
    return [pair for pair in pairs if low <= pair.template.arc_mm <= high]


def missed_landmarks(pairs: Sequence[Pair]) -> dict[LandmarkKind, list[float]]:
    """Measure how far the map misses landmarks of the kind that it is not made of.

    Landmarks that the field of view cuts do not count, as their middle is unknown. Landmarks beyond the reach of those
    that are used (`within_reach`) count only if all are beyond it: a wrong number can place all of them there.

    Parameters
    ----------
    pairs : sequence of Pair
        At least one of them used.

    Returns
    -------
    dict of {"rootlets", "discs"} to list of float
        Mapped position minus position on the subject in mm, positive is caudal; kinds without such landmarks are
        absent.
    """
    used = [pair for pair in pairs if pair.used]
    arc_map = map_through(pairs)
    missed: dict[LandmarkKind, list[float]] = {}
    for kind in ("rootlets", "discs"):
        whole = [pair for pair in pairs if pair.subject.kind == kind and not (pair.template.cut or pair.subject.cut)]
        if whole and all(pair.subject.kind != kind for pair in used):
            missed[kind] = [_error(arc_map, pair) for pair in within_reach(whole, used) or whole]
    return missed


def _side(mm: float) -> str:
    return "caudally" if mm > 0 else "rostrally"


def _error(arc_map: ArcMap, pair: Pair) -> float:
    """Compute the mapped position of a landmark minus its position on the subject, mm."""
    return float(arc_map(pair.template.arc_mm)) - pair.subject.arc_mm
