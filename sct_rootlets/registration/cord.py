"""A cord with what registration needs to know of it, whether it is a template's or a subject's."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sct_rootlets.centerline import Centerline, fit_centerline
from sct_rootlets.image import Volume, binary_mask, superior_axis
from sct_rootlets.registration.cordspace import CordSpace
from sct_rootlets.registration.landmarks import Landmark, disc_landmarks, rootlet_landmarks
from sct_rootlets.registration.rootlets import RootletVoxels
from sct_rootlets.vertebral import label_points


@dataclass(frozen=True)
class LandmarkedCord:
    """A cord and its landmarks.

    Attributes
    ----------
    mask : Volume
        Of booleans.
    centerline : Centerline
    space : CordSpace
        Along the centerline.
    landmarks : tuple of Landmark
    rootlets : RootletVoxels or None
    notes : tuple of str
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
    notes += [*centerline.notes, *_at_the_side(mask, cord.affine)]
    volume = replace(cord, data=mask)
    space = CordSpace.along(centerline)
    voxels = None
    landmarks: list[Landmark] = []
    if rootlets is not None:
        voxels = RootletVoxels.of(rootlets, space)
        found, more = rootlet_landmarks(rootlets, volume, centerline)
        landmarks, notes = landmarks + found, [*notes, *more]
    if discs is not None:
        found, more = disc_landmarks(label_points(discs), discs.affine, centerline)
        landmarks, notes = landmarks + found, [*notes, *more]
    return LandmarkedCord(volume, centerline, space, tuple(landmarks), voxels, tuple(notes))


def _at_the_side(mask: np.ndarray, affine: np.ndarray) -> list[str]:
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
