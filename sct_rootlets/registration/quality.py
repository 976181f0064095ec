"""How well a registration fits, in numbers that need no truth: the cords' overlap, and whether space folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from scipy import ndimage

from sct_rootlets.image import Volume
from sct_rootlets.registration.align import Alignment
from sct_rootlets.registration.fields import jacobian, resample

#: How far from the template's cord folds are looked for: the canal.
CANAL_MM = 3.0
#: The part of the template's grid that is looked at reaches this far from the middle of the cord.
MARGIN_MM = 14.0
#: Displacements beyond this are SCT's mark of places that its warps do not reach (100 m along each axis).
NOWHERE_MM = 1e4


@dataclass(frozen=True)
class Quality:
    """How well a registration fits.

    Attributes
    ----------
    cord_dice : float
        Of the template's cord and the subject's in template space, along the cord that both have, where the warp
        reaches.
    least_jacobian : float
        In the cord and `CANAL_MM` around it, there: at or below 0, space folds.
    """

    cord_dice: float
    least_jacobian: float


def assess(alignment: Alignment, field: np.ndarray) -> Quality:
    """Compare the cords in template space, and look for folds.

    Parameters
    ----------
    alignment : Alignment
    field : numpy.ndarray, shape (I, J, K, 3)
        Displacements on the template's grid, RAS+ mm.
    """
    there, own = alignment.template, alignment.subject
    low, high = alignment.warp.along.inverse(np.array([0.0, own.centerline.cord_length]))
    low, high = max(float(low), 0.0), min(float(high), there.centerline.cord_length)
    affine = there.mask.affine
    line = np.arange(low, max(high, low + 1), 1.0)
    index = apply_affine(np.linalg.inv(affine), there.space.points(np.column_stack([line, 0 * line, 0 * line])))
    margin = MARGIN_MM / voxel_sizes(affine)
    first = np.clip(np.floor(index.min(axis=0) - margin), 0, np.array(there.mask.data.shape) - 2).astype(int)
    last = np.clip(np.ceil(index.max(axis=0) + margin), first + 2, there.mask.data.shape).astype(int)
    box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    part = affine.copy()
    part[:3, 3] = apply_affine(affine, first)
    cord = there.mask.data[box]
    moved = resample(Volume(own.mask.data.astype(np.float32), own.mask.affine), field[box], part) >= 0.5
    canal = ndimage.distance_transform_edt(~cord, sampling=voxel_sizes(affine)) <= CANAL_MM
    seen = np.argwhere(cord | moved | canal)
    arc = there.space.coordinates(apply_affine(part, seen))[:, 0]
    shared = np.zeros(cord.shape, dtype=bool)
    shared[tuple(seen[(arc >= low) & (arc <= high)].T)] = True
    shared &= ~ndimage.binary_dilation(np.abs(field[box]).max(axis=-1) > NOWHERE_MM)
    cord, moved = cord & shared, moved & shared
    total = int(cord.sum()) + int(moved.sum())
    around = (canal & shared)[1:-1, 1:-1, 1:-1]  # at its faces, differences are one-sided
    least = jacobian(field[box], part)[1:-1, 1:-1, 1:-1][around].min(initial=np.inf)
    return Quality(2 * int((cord & moved).sum()) / max(total, 1), float(least))
