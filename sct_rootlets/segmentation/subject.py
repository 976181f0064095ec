"""How the levels of a segmentation become those of a subject, which figures, tables and the page show."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.centerline import Centerline
from sct_rootlets.correspondence import choose_reference
from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume, labelled_voxels, nonzero_voxels
from sct_rootlets.levels import ROOTS, Level, Levels
from sct_rootlets.spinal import incomplete_reasons, leave_out_c1, spinal_levels
from sct_rootlets.subject import SubjectLevels
from sct_rootlets.vertebral import Disc, place_discs, vertebral_levels

if TYPE_CHECKING:
    from sct_rootlets.segmentation.segment import Segmentation


def subject_of_segmentation(
    volume: Volume, segmentation: Segmentation, disc_points: dict[int, np.ndarray] | None = None
) -> SubjectLevels:
    """Describe what a segmentation found as the levels of a subject.

    Spinal levels are the segments of cord along which rootlets attach (method ``"attachment"``), where the definitions
    of `sct_rootlets.spinal.spinal_levels` do not apply; those of another model that keeps its own names are by method
    ``"extent"``.

    Parameters
    ----------
    volume : Volume
        Image that was segmented.
    segmentation : Segmentation
        With a cord.
    disc_points : dict of int to numpy.ndarray, shape (3,), optional
        Posterior tips of discs by value, RAS+ mm, that were given: they take precedence over those of the
        segmentation. Vertebral levels are left out where no two discs are neighbours.

    Returns
    -------
    SubjectLevels
        Positions count from disc C2/C3 if it is known, else from the top of the cord.

    Raises
    ------
    LabelError
        If the discs make no sense: see `sct_rootlets.vertebral.place_discs`.
    """
    line = segmentation.centerline
    assert line is not None
    discs, vertebral = list(segmentation.discs), None
    notes: list[str] = []
    if disc_points:
        discs, notes = place_discs(disc_points, line, volume.affine, least=1)
        placed = {disc.value for disc in discs}
        discs = sorted([*discs, *(disc for disc in segmentation.discs if disc.value not in placed)], key=_value)
    with contextlib.suppress(LabelError):
        vertebral = vertebral_levels(discs, line.cord_length, notes, segmentation.numbering)
    levels = tuple(_with_evidence(level, segmentation, line.cord_length) for level in segmentation.spinal.levels)
    extents = _extents(volume, segmentation, line)
    return SubjectLevels(
        cord=replace(volume, data=segmentation.cord, name="cord", path=None),
        centerline=line,
        reference=choose_reference(None, discs),
        spinal=replace(segmentation.spinal, levels=levels) if levels else None,
        vertebral=vertebral,
        discs=discs,
        rootlets=replace(volume, data=segmentation.rootlets, name="rootlets", path=None),
        image=volume,
        sources={"image": volume},
        settings={"Method": segmentation.spinal.method},
        extents=extents,
        name_sources=segmentation.name_sources,
        numbering=segmentation.numbering,
        notes=segmentation.notes,
    )


def _value(disc: Disc) -> int:
    return disc.value


def _extents(volume: Volume, segmentation: Segmentation, line: Centerline) -> Levels | None:
    """Compute the spinal levels by method ``extent``, which plausibility is judged by; None where there are none."""
    if not segmentation.rootlets.any():
        return None
    named = leave_out_c1(segmentation.rootlets)
    if not named.any():
        return None
    ijk, values = labelled_voxels(replace(volume, data=named))
    cord_mm = apply_affine(volume.affine, nonzero_voxels(segmentation.cord))
    try:
        return spinal_levels(ijk, values, volume.affine, volume.data.shape, cord_mm, line, method="extent")
    except LabelError:
        return None


def _with_evidence(level: Level, segmentation: Segmentation, cord_length: float) -> Level:
    """Count the rootlet voxels of a level by root, and state why the level may be longer."""
    roots = segmentation.roots[segmentation.rootlets == level.value]
    n_voxels = np.bincount(roots[roots > 0] - 1, minlength=len(ROOTS))
    return replace(
        level,
        roots=dict(zip(ROOTS, n_voxels.tolist(), strict=True)),
        incomplete=incomplete_reasons(level.rostral_mm, level.caudal_mm, cord_length, n_voxels),
    )
