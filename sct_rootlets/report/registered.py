"""A registration as two subjects whose cords can be drawn side by side: as scanned, and in template space.

Both are straightened along their own cord, however curved a neck is, and both are placed by mm along the template's
cord. As scanned, the whole cord is moved along it by one distance, so that only the distances between levels differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sct_rootlets.correspondence import Reference
from sct_rootlets.image import Volume
from sct_rootlets.levels import Level, Levels, level_color
from sct_rootlets.spinal import CUT_BY_VIEW
from sct_rootlets.straighten import Plane
from sct_rootlets.subject import SubjectLevels

if TYPE_CHECKING:
    from sct_rootlets.registration.cord import LandmarkedCord
    from sct_rootlets.registration.landmarks import Landmark
    from sct_rootlets.registration.result import Registration

#: Reach of the views from the centerline: posterior to anterior, and left to right.
REACH_MM: dict[Plane, tuple[float, float]] = {"sagittal": (-12.0, 20.0), "coronal": (-15.0, 15.0)}
#: Colour of marks that are not of a level.
DISC_COLOR = "#FFFFFF"
#: Length of the template's cord that is shown above the first and below the last landmark.
MARGIN_MM = 10.0


@dataclass(frozen=True, kw_only=True)
class RegisteredCords:
    """The cords of a registration, for views along them.

    Attributes
    ----------
    scanned : SubjectLevels
        The scan in its own space, with the levels of the subject.
    registered : SubjectLevels
        The scan and its rootlets in template space, with cord and levels of the template.
    shift_mm : float
        Arc length along the subject's cord minus that along the template's cord, where both are shown side by side.
    ends : (float, float)
        Arc length along the template's cord at which views begin and end.
    """

    scanned: SubjectLevels
    registered: SubjectLevels
    shift_mm: float
    ends: tuple[float, float]


def registered_cords(registration: Registration) -> RegisteredCords:
    """Bring a scan and its rootlets to template space, and place its cord beside that of the template.

    Parameters
    ----------
    registration : Registration

    Returns
    -------
    RegisteredCords
    """
    alignment = registration.alignment
    pairs = [pair for pair in alignment.pairs if pair.used]
    volumes = {**registration.sources, **registration.segmented}
    image, rootlets = volumes.get("image"), volumes.get("rootlets")
    affine = registration.template_mask.affine

    def resample(volume: Volume | None, interpolation: str) -> Volume | None:
        if volume is None:
            return None
        return Volume(registration.resample_to_template(volume, interpolation), affine, volume.name)

    named = [pair for pair in alignment.pairs if pair.subject.kind == "rootlets"]
    spinal = Levels("spinal", "extent", _levels([pair.subject for pair in named]))
    first = min(pair.template.arc_mm - pair.template.half_length_mm for pair in pairs) - MARGIN_MM
    last = max(pair.template.arc_mm + pair.template.half_length_mm for pair in pairs) + MARGIN_MM
    return RegisteredCords(
        scanned=_subject(alignment.subject_cord, spinal.with_confidence(registration.name_confidence), image, rootlets),
        registered=_subject(
            alignment.template_cord,
            Levels("spinal", "extent", _levels([pair.template for pair in named])),
            resample(image, "linear"),
            resample(rootlets, "nn"),
        ),
        shift_mm=float(np.mean([pair.subject.arc_mm - pair.template.arc_mm for pair in pairs])),
        ends=(max(first, 0.0), min(last, alignment.template_cord.centerline.cord_length)),
    )


@dataclass(frozen=True)
class Mark:
    """A landmark on a view of a registration: its name, mm along the template's cord, and colour."""

    name: str
    arc_mm: float
    color: str


def marks(registration: Registration, shift_mm: float | None = None) -> list[Mark]:
    """Place the landmarks that are used.

    Parameters
    ----------
    registration : Registration
    shift_mm : float, optional
        `RegisteredCords.shift_mm`, for the landmarks of the subject as scanned; by default, those of the template.
    """
    return [
        Mark(
            pair.template.name,
            pair.template.arc_mm if shift_mm is None else pair.subject.arc_mm - shift_mm,
            level_color(pair.template.name) if pair.template.kind == "rootlets" else DISC_COLOR,
        )
        for pair in registration.alignment.pairs
        if pair.used
    ]


def _levels(landmarks: Sequence[Landmark]) -> tuple[Level, ...]:
    """Describe the rootlets of each level by their ends; the two ends are equally uncertain."""
    return tuple(
        Level(
            landmark.value,
            "spinal",
            landmark.arc_mm - landmark.half_length_mm,
            landmark.arc_mm + landmark.half_length_mm,
            landmark.sd_mm * 2**0.5,
            landmark.sd_mm * 2**0.5,
            incomplete=(CUT_BY_VIEW,) if landmark.cut else (),
        )
        for landmark in sorted(landmarks, key=lambda landmark: landmark.arc_mm)
    )


def _subject(cord: LandmarkedCord, spinal: Levels, image: Volume | None, rootlets: Volume | None) -> SubjectLevels:
    """Put a cord, its levels, and what is shown along it together."""
    return SubjectLevels(
        cord=cord.mask,
        centerline=cord.centerline,
        reference=Reference("cord top", 0.0),
        spinal=spinal if spinal.levels else None,
        vertebral=None,
        discs=[],
        rootlets=rootlets,
        image=image,
        sources={},
        settings={},
        notes=(),
    )
