"""From two cords with landmarks to the map between them: arrays and values, no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sct_rootlets.registration.arcmap import ArcMap
from sct_rootlets.registration.cord import LandmarkedCord
from sct_rootlets.registration.landmarks import Kind, Pair, arc_map, pair_landmarks
from sct_rootlets.registration.section import ARC_STEP_MM, GAP_SHARE, SectionMap, fit_section_map, measure_sections
from sct_rootlets.registration.shape import refine
from sct_rootlets.registration.turn import turns_of_roots
from sct_rootlets.registration.warp import CordWarp


@dataclass(frozen=True)
class Alignment:
    """The map between a template's cord and a subject's.

    Attributes
    ----------
    template, subject : LandmarkedCord
    warp : CordWarp
    pairs : tuple of Pair
        All landmarks that both have.
    notes : tuple of str
    """

    template: LandmarkedCord
    subject: LandmarkedCord
    warp: CordWarp
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]


def align(
    template: LandmarkedCord,
    subject: LandmarkedCord,
    kinds: Sequence[Kind] = ("rootlets",),
    by_shape: bool = True,
) -> Alignment:
    """Align a subject's cord with a template's.

    Parameters
    ----------
    template, subject : LandmarkedCord
    kinds : sequence of {"rootlets", "discs"}
        Landmarks that take part.
    by_shape : bool
        Refine the places of levels by the shape of their rootlets (`sct_rootlets.registration.shape.refine`).

    Raises
    ------
    LabelError
        If they have no landmark in common.
    """
    pairs, notes = pair_landmarks(template.landmarks, subject.landmarks, kinds)
    along = arc_map(pairs)
    across, used = _across(template, subject, along)
    warp = CordWarp(template.space, subject.space, along, across)
    known = any(pair.used and pair.subject.kind == "rootlets" for pair in pairs)
    if by_shape and known and template.rootlets is not None and subject.rootlets is not None:
        pairs, along = refine(pairs, warp, template.rootlets, subject.rootlets)
        across, used = _across(template, subject, along)
        warp = replace(warp, along=along, across=across)
    if not used.any():
        notes.append("no cross-section of the cord could be compared with the template's: its size is left as it is")
    else:
        between = used[np.argmax(used) : len(used) - np.argmax(used[::-1])]
        lacking = np.count_nonzero(~between) * ARC_STEP_MM
        if lacking:
            notes.append(
                f"along {lacking:.0f} mm of the template's cord, the mask lacks the section, or {1 - GAP_SHARE:.0%} "
                "and more of it: taken from nearby; look whether the cord's middle is right there"
            )
    return Alignment(template, subject, warp, tuple(pairs), tuple(notes))


def _across(template: LandmarkedCord, subject: LandmarkedCord, along: ArcMap) -> tuple[SectionMap, np.ndarray]:
    """Map cross-sections where both cords are, given the map along them."""
    low, high = along.inverse(np.array([0.0, subject.centerline.cord_length]))
    low, high = max(low, template.space.ends[0]), min(high, template.space.ends[1])
    arc = low + ARC_STEP_MM * np.arange(max(2, 1 + int((high - low) / ARC_STEP_MM)))
    roots = None if subject.rootlets is None else turns_of_roots(subject.rootlets)
    sections = measure_sections(template.mask, template.space, arc)
    return fit_section_map(sections, subject.mask, subject.space, along, roots)
