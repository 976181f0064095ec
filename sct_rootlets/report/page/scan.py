"""What the page shows of a scan: one shape for what `sct_deepseg` and `sct_compute_spinal_levels` find."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.centerline import Centerline
from sct_rootlets.correspondence import Pair, Reference, choose_reference, correspond
from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume, labelled_voxels
from sct_rootlets.levels import ROOTS, Level, Levels
from sct_rootlets.spinal import CUT_BY_VIEW, CUT_MM, MIN_VOXELS
from sct_rootlets.vertebral import Disc, place_discs, vertebral_levels

if TYPE_CHECKING:
    from sct_rootlets.segmentation.segment import Segmentation
    from sct_rootlets.subject import SubjectLevels


@dataclass(frozen=True)
class Scan:
    """A scan and what was found in it.

    Attributes
    ----------
    image : Volume or None
    cord : Volume
        The cord mask, as booleans.
    rootlets : Volume or None
    centerline : Centerline
    reference : Reference
        What positions are counted from.
    spinal, vertebral : Levels or None
    discs : list of Disc
    confidence : dict of int to float
        Probability of the name of each spinal level, by value; empty where rootlets were given.
    notes : tuple of str
    """

    image: Volume | None
    cord: Volume
    rootlets: Volume | None
    centerline: Centerline
    reference: Reference
    spinal: Levels | None
    vertebral: Levels | None
    discs: list[Disc]
    confidence: dict[int, float]
    notes: tuple[str, ...]

    @property
    def kinds(self) -> list[Levels]:
        """The kinds of levels that there are: spinal first."""
        return [levels for levels in (self.spinal, self.vertebral) if levels is not None and levels.levels]

    @property
    def pairs(self) -> list[Pair]:
        """Vertebral and spinal levels that are compared (``shifted``); empty if one kind is missing."""
        if self.spinal is None or self.vertebral is None:
            return []
        return [pair for pair in correspond(self.spinal, self.vertebral) if pair.pairing == "shifted"]


def scan_of_subject(subject: SubjectLevels) -> Scan:
    """What `sct_compute_spinal_levels` finds."""
    return Scan(
        subject.image,
        subject.cord,
        subject.rootlets,
        subject.centerline,
        subject.reference,
        subject.spinal,
        subject.vertebral,
        subject.discs,
        subject.confidence,
        subject.notes,
    )


def scan_of_segmentation(image: Volume, found: Segmentation, disc_points: dict[int, np.ndarray] | None = None) -> Scan:
    """What `sct_deepseg` finds: levels are where rootlets attach.

    Parameters
    ----------
    image : Volume
    found : Segmentation
        Of it.
    disc_points : dict of int to numpy.ndarray, optional
        RAS+ mm of each disc, by value.
    """
    discs: list[Disc] = []
    vertebral = None
    if disc_points:
        discs, notes = place_discs(disc_points, found.centerline, image.affine)
        with contextlib.suppress(LabelError):  # where no two are neighbours there are no vertebrae
            vertebral = vertebral_levels(discs, found.centerline.cord_length, notes)
    spinal = Levels("spinal", "attachment", _attachments(found)) if found.spinal.levels else None
    return Scan(
        image,
        replace(image, data=found.cord, name="cord", path=None),
        replace(image, data=found.rootlets, name="rootlets", path=None),
        found.centerline,
        choose_reference(None, discs),
        spinal,
        vertebral,
        discs,
        {level.value: level.confidence for level in found.spinal.levels if level.confidence is not None},
        found.notes,
    )


def _attachments(found: Segmentation) -> tuple[Level, ...]:
    """Stretches as levels, with the reasons why one may be longer than stated (as `sct_rootlets.spinal` has them)."""
    levels = []
    end = found.centerline.cord_length
    for one in found.spinal.levels:
        of_roots = found.roots[found.rootlets == one.value]
        counts = np.bincount(of_roots[of_roots > 0] - 1, minlength=len(ROOTS))
        reasons = []
        if one.rostral_mm < CUT_MM or one.caudal_mm > end - CUT_MM:
            reasons.append(CUT_BY_VIEW)
        if counts.sum() < MIN_VOXELS:
            reasons.append(f"only {counts.sum()} rootlet voxels")
        elif np.count_nonzero(counts) == 1:
            reasons.append(f"rootlets of one root only ({ROOTS[int(counts.argmax())].replace('_', ' ')})")
        levels.append(
            Level(
                one.value,
                "spinal",
                one.rostral_mm,
                one.caudal_mm,
                one.rostral_sd_mm,
                one.caudal_sd_mm,
                dict(zip(ROOTS, counts.tolist(), strict=True)),
                tuple(reasons),
            )
        )
    return tuple(levels)


def rootlet_arcs(scan: Scan) -> dict[int, np.ndarray]:
    """Arc length of each voxel of rootlets, in mm, by level."""
    if scan.rootlets is None or not scan.rootlets.data.any():
        return {}
    ijk, values = labelled_voxels(scan.rootlets)
    arc = scan.centerline.project(apply_affine(scan.rootlets.affine, ijk)).arc
    return {int(value): arc[values == value] for value in np.unique(values)}
