"""Quality of a registration in numbers that need no truth: the overlap of the cords, and whether space folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from scipy import ndimage

from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume
from sct_rootlets.registration.align import Alignment
from sct_rootlets.registration.fields import jacobian
from sct_rootlets.registration.resample import resample

#: Distance from the template's cord within which folds are looked for: the canal.
CANAL_DISTANCE_MM = 3.0
#: Distance from the middle of the cord to the sides of the part of the template's grid that is assessed.
BOX_MARGIN_MM = 14.0
#: Greater displacements mark places that the warps of SCT do not reach (SCT writes 100 m along each axis).
MAX_DISPLACEMENT_MM = 1e4


@dataclass(frozen=True)
class Quality:
    """How well a registration fits.

    Attributes
    ----------
    cord_dice : float
        Dice of the template's cord and the subject's cord in template space, along the cord that both have, where the
        warp reaches.
    least_jacobian : float
        Least Jacobian in the same part of the cord and `CANAL_DISTANCE_MM` around it: at or below 0, space folds.
    """

    cord_dice: float
    least_jacobian: float


def refuse_folds(quality: Quality) -> None:
    """Raise an error if a map folds space in the canal.

    Raises
    ------
    LabelError
        If the least Jacobian is not above 0.
    """
    if not quality.least_jacobian > 0:
        raise LabelError(
            f"the map folds space in the canal (least Jacobian {quality.least_jacobian:.2f}, which must be above 0): "
            "nothing is written; check the numbers of the landmarks and the cord mask (-s), or try other -landmarks, "
            "-refine or -engine"
        )


def assess(alignment: Alignment, field: np.ndarray) -> Quality:
    """Compare the cords in template space, and look for folds.

    Parameters
    ----------
    alignment : Alignment
    field : numpy.ndarray, shape (I, J, K, 3)
        Displacements on the template's grid, RAS+ mm.
    """
    template_cord, subject_cord = alignment.template_cord, alignment.subject_cord
    low, high = alignment.warp.arc_map.inverse(np.array([0.0, subject_cord.centerline.cord_length]))
    low, high = max(float(low), 0.0), min(float(high), template_cord.centerline.cord_length)
    line = np.arange(low, max(high, low + 1), 1.0)
    box, affine = _box_around(
        template_cord.mask, template_cord.space.points(np.column_stack([line, 0 * line, 0 * line]))
    )
    field = field[box]
    cord = template_cord.mask.data[box]
    subject_mask = Volume(subject_cord.mask.data.astype(np.float32), subject_cord.mask.affine)
    warped = resample(subject_mask, field, affine) >= 0.5
    canal = ndimage.distance_transform_edt(~cord, sampling=voxel_sizes(affine)) <= CANAL_DISTANCE_MM
    voxels = np.argwhere(cord | warped | canal)
    arc = template_cord.space.coordinates(apply_affine(affine, voxels))[:, 0]
    shared = np.zeros(cord.shape, dtype=bool)
    shared[tuple(voxels[(arc >= low) & (arc <= high)].T)] = True
    shared &= ~ndimage.binary_dilation(np.abs(field).max(axis=-1) > MAX_DISPLACEMENT_MM)
    cord, warped = cord & shared, warped & shared
    total = int(cord.sum()) + int(warped.sum())
    inner = (slice(1, -1),) * 3  # at the faces of the box, differences are one-sided
    least = jacobian(field, affine)[inner][(canal & shared)[inner]].min(initial=np.inf)
    return Quality(2 * int((cord & warped).sum()) / max(total, 1), float(least))


def _box_around(mask: Volume, points: np.ndarray) -> tuple[tuple[slice, ...], np.ndarray]:
    """Cut the grid of a mask around points; returns slices of its arrays, and the affine of the part."""
    index = apply_affine(np.linalg.inv(mask.affine), points)
    margin = BOX_MARGIN_MM / voxel_sizes(mask.affine)
    first = np.clip(np.floor(index.min(axis=0) - margin), 0, np.array(mask.data.shape) - 2).astype(int)
    last = np.clip(np.ceil(index.max(axis=0) + margin), first + 2, mask.data.shape).astype(int)
    affine = mask.affine.copy()
    affine[:3, 3] = apply_affine(mask.affine, first)
    return tuple(slice(a, b) for a, b in zip(first, last, strict=True)), affine
