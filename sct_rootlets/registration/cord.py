"""A cord with everything that registration needs: mask, coordinates, landmarks and rootlets."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.centerline import Centerline, fit_centerline
from sct_rootlets.image import Volume, binary_mask, labelled_voxels, superior_axis
from sct_rootlets.registration.cordspace import CordSpace
from sct_rootlets.registration.landmarks import Landmark, disc_landmarks, rootlet_landmarks
from sct_rootlets.registration.rootlets import RootletVoxels
from sct_rootlets.spinal import check_beside_cord_mask, measure_half_axes, turn_to_rootlets
from sct_rootlets.vertebral import disc_points


@dataclass(frozen=True, kw_only=True)
class LandmarkedCord:
    """A cord and its landmarks, of a template or of a subject.

    Attributes
    ----------
    mask : Volume
        Booleans.
    centerline : Centerline
    space : CordSpace
        Coordinates along the centerline.
    landmarks : tuple of Landmark
    rootlets : RootletVoxels or None
    notes : tuple of str
        What a user should know, one line each.
    """

    mask: Volume
    centerline: Centerline
    space: CordSpace
    landmarks: tuple[Landmark, ...]
    rootlets: RootletVoxels | None
    notes: tuple[str, ...]


def landmarked_cord(cord: Volume, rootlets: Volume | None = None, discs: Volume | None = None) -> LandmarkedCord:
    """Fit a centerline to a cord mask, and place rootlets and discs along it.

    Parameters
    ----------
    cord : Volume
        Mask.
    rootlets : Volume, optional
        Rootlet map.
    discs : Volume, optional
        Disc labels.

    Raises
    ------
    LabelError
        If labels make no sense: see `fit_centerline`, `spinal_levels`, `place_discs`.
    """
    mask, notes = binary_mask(cord)
    centerline = fit_centerline(mask, cord.affine)
    notes += [*centerline.notes, *_side_notes(mask, cord.affine)]
    volume = replace(cord, data=mask)
    if rootlets is not None:
        ijk, values = labelled_voxels(rootlets)
        centerline = turn_to_rootlets(centerline, apply_affine(rootlets.affine, ijk), values)
    space = CordSpace.along(centerline)
    voxels = None
    landmarks: list[Landmark] = []
    if rootlets is not None:
        cord_mm = apply_affine(cord.affine, np.argwhere(mask))
        check_beside_cord_mask(rootlets, volume, cord_mm, centerline)
        voxels = RootletVoxels.from_volume(rootlets, space, measure_half_axes(cord_mm, centerline))
        levels, more = rootlet_landmarks(rootlets, volume, centerline)
        landmarks, notes = landmarks + levels, [*notes, *more]
    if discs is not None:
        placed, more = disc_landmarks(disc_points(discs), discs.affine, centerline)
        landmarks, notes = landmarks + placed, [*notes, *more]
    return LandmarkedCord(
        mask=volume,
        centerline=centerline,
        space=space,
        landmarks=tuple(landmarks),
        rootlets=voxels,
        notes=tuple(notes),
    )


def _side_notes(mask: np.ndarray, affine: np.ndarray) -> list[str]:
    """Note that a cord leaves the field of view sideways."""
    along, _ = superior_axis(affine)
    for axis in set(range(3)) - {along}:
        for face in (0, -1):
            if np.take(mask, face, axis=axis).any():
                return [
                    "the cord mask reaches a side of the field of view: where it does, its section is taken from "
                    "nearby; make sure that the cord has not been cut lengthwise"
                ]
    return []
