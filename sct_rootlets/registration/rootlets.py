"""The voxels of a rootlet map in the cord's own coordinates, by level and by root."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.image import Volume, labelled_voxels
from sct_rootlets.registration.cordspace import CordSpace
from sct_rootlets.spinal import VENTRAL_DEG


@dataclass(frozen=True)
class RootletVoxels:
    """The voxels of a rootlet map.

    Attributes
    ----------
    value : numpy.ndarray of int, shape (N,)
        Level, 2 for C2.
    points : numpy.ndarray, shape (N, 3)
        RAS+ mm.
    place : numpy.ndarray, shape (N, 3)
        Arc length, right, anterior in mm.
    voxel_mm3 : float
    """

    value: np.ndarray
    points: np.ndarray
    place: np.ndarray
    voxel_mm3: float

    @classmethod
    def of(cls, rootlets: Volume, space: CordSpace) -> RootletVoxels:
        """Read a rootlet map."""
        ijk, value = labelled_voxels(rootlets)
        points = apply_affine(rootlets.affine, ijk)
        volume = float(abs(np.linalg.det(rootlets.affine[:3, :3])))
        return cls(value, points, space.coordinates(points), volume)

    @property
    def root(self) -> np.ndarray:
        """Which root each voxel belongs to, by its angle: left and right, behind and in front, shape (N,)."""
        return roots_of(self.place)


def roots_of(place: np.ndarray) -> np.ndarray:
    """Root of each place by its angle: 0 left dorsal, 1 right dorsal, 2 left ventral, 3 right ventral, shape (N,)."""
    ventral = np.degrees(np.arctan2(place[:, 2], np.abs(place[:, 1]))) > VENTRAL_DEG
    return 2 * ventral + (place[:, 1] > 0)
