"""Rootlet voxels in the cord's own coordinates, by level and by root."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.image import Volume, labelled_voxels
from sct_rootlets.registration.cordspace import CordSpace
from sct_rootlets.spinal import classify_roots


@dataclass(frozen=True, kw_only=True)
class RootletVoxels:
    """The voxels of a rootlet map.

    Attributes
    ----------
    value : numpy.ndarray of int, shape (N,)
        Level, 2 for C2.
    root : numpy.ndarray of int, shape (N,)
        Index into `sct_rootlets.levels.ROOTS`.
    points : numpy.ndarray, shape (N, 3)
        RAS+ mm.
    coordinates : numpy.ndarray, shape (N, 3)
        Arc length, right, anterior in mm.
    voxel_mm3 : float
    """

    value: np.ndarray
    root: np.ndarray
    points: np.ndarray
    coordinates: np.ndarray
    voxel_mm3: float

    @classmethod
    def from_volume(cls, rootlets: Volume, space: CordSpace, half_axes_mm: tuple[float, float]) -> RootletVoxels:
        """Read a rootlet map.

        Parameters
        ----------
        rootlets : Volume
        space : CordSpace
            Coordinates of the cord that the rootlets belong to.
        half_axes_mm : (float, float)
            Half of the width and half of the depth of that cord (`sct_rootlets.spinal.measure_half_axes`).
        """
        ijk, value = labelled_voxels(rootlets)
        points = apply_affine(rootlets.affine, ijk)
        coordinates = space.coordinates(points)
        return cls(
            value=value,
            root=classify_roots(coordinates[:, 1], coordinates[:, 2], *half_axes_mm),
            points=points,
            coordinates=coordinates,
            voxel_mm3=float(abs(np.linalg.det(rootlets.affine[:3, :3]))),
        )
