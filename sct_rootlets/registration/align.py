"""Alignment of two cords with landmarks: from values to the map between them, without files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sct_rootlets.registration.arcmap import ArcMap
from sct_rootlets.registration.axial_rotation import axial_rotation_of_roots
from sct_rootlets.registration.cord import LandmarkedCord
from sct_rootlets.registration.landmarks import LandmarkKind
from sct_rootlets.registration.pairs import Pair, find_contradictions, map_through, pair_landmarks
from sct_rootlets.registration.section_map import SectionMap, fit_section_map
from sct_rootlets.registration.sections import MIN_AREA_SHARE, SECTION_SPACING_MM, measure_sections
from sct_rootlets.registration.shape import refine_by_shape
from sct_rootlets.registration.warp import CordWarp


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """The map between a template's cord and a subject's cord.

    Attributes
    ----------
    template_cord, subject_cord : LandmarkedCord
    warp : CordWarp
    pairs : tuple of Pair
        All landmarks that both cords have.
    notes : tuple of str
        What a user should know, one line each.
    """

    template_cord: LandmarkedCord
    subject_cord: LandmarkedCord
    warp: CordWarp
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]


def align(
    template_cord: LandmarkedCord,
    subject_cord: LandmarkedCord,
    kinds: Sequence[LandmarkKind] = ("rootlets",),
    by_shape: bool = True,
) -> Alignment:
    """Align a subject's cord with a template's cord.

    Parameters
    ----------
    template_cord, subject_cord : LandmarkedCord
    kinds : sequence of {"rootlets", "discs"}
        Landmarks that take part.
    by_shape : bool
        Refine the positions of levels by the shape of their rootlets (`refine_by_shape`).

    Raises
    ------
    LabelError
        If the cords have no landmark in common.
    """
    pairs, notes = pair_landmarks(template_cord.landmarks, subject_cord.landmarks, kinds)
    arc_map = map_through(pairs)
    section_map, measured = _map_sections(template_cord, subject_cord, arc_map)
    warp = CordWarp(template_cord.space, subject_cord.space, arc_map, section_map)
    by_rootlets = any(pair.used and pair.subject.kind == "rootlets" for pair in pairs)
    if by_shape and by_rootlets and template_cord.rootlets is not None and subject_cord.rootlets is not None:
        pairs, arc_map = refine_by_shape(pairs, warp, template_cord.rootlets, subject_cord.rootlets)
        section_map, measured = _map_sections(template_cord, subject_cord, arc_map)
        warp = replace(warp, arc_map=arc_map, section_map=section_map)
    return Alignment(
        template_cord=template_cord,
        subject_cord=subject_cord,
        warp=warp,
        pairs=tuple(pairs),
        notes=(*notes, *find_contradictions(pairs), *_section_notes(measured)),
    )


def _map_sections(
    template_cord: LandmarkedCord, subject_cord: LandmarkedCord, arc_map: ArcMap
) -> tuple[SectionMap, np.ndarray]:
    """Map cross-sections along the part of the template's cord that the subject's cord covers."""
    low, high = arc_map.inverse(np.array([0.0, subject_cord.centerline.cord_length]))
    low, high = max(low, template_cord.space.ends[0]), min(high, template_cord.space.ends[1])
    arc = low + SECTION_SPACING_MM * np.arange(max(2, 1 + int((high - low) / SECTION_SPACING_MM)))
    rotation_of_roots = None if subject_cord.rootlets is None else axial_rotation_of_roots(subject_cord.rootlets)
    sections = measure_sections(template_cord.mask, template_cord.space, arc)
    return fit_section_map(sections, subject_cord.mask, subject_cord.space, arc_map, rotation_of_roots)


def _section_notes(measured: np.ndarray) -> list[str]:
    """Note which cross-sections were not measured.

    Parameters
    ----------
    measured : numpy.ndarray of bool, shape (S,)
        Whether each section was, `SECTION_SPACING_MM` apart.
    """
    if not measured.any():
        return ["no cross-section of the cord could be compared with the template's: its size is left as it is"]
    between = measured[np.argmax(measured) : len(measured) - np.argmax(measured[::-1])]
    missing_mm = np.count_nonzero(~between) * SECTION_SPACING_MM
    if not missing_mm:
        return []
    return [
        f"along {missing_mm:.0f} mm of the template's cord, the mask lacks the section, or {1 - MIN_AREA_SHARE:.0%} "
        "and more of it: taken from nearby; look whether the cord's middle is right there"
    ]
