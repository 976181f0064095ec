"""A cervical cord with rootlets and discs, written in the coordinates of the cord.

The coordinates are arc length, right and anterior, in mm, so that the true levels and discs are known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from sct_rootlets.centerline import Centerline
from sct_rootlets.levels import level_name


@dataclass(frozen=True)
class Filum:
    """A rootlet as a tube along a polyline, in the cord's coordinates.

    Attributes
    ----------
    value : int
        Spinal level, 2 for C2.
    root : str
        One of `sct_rootlets.levels.ROOTS`.
    path : numpy.ndarray, shape (K, 3)
        (arc length, right, anterior) in mm, from where it attaches to the cord outwards.
    radius_mm : float
        Radius of the tube.
    """

    value: int
    root: str
    path: np.ndarray
    radius_mm: float


@dataclass(frozen=True)
class Anatomy:
    """A cervical cord with rootlets and discs, in the cord's coordinates.

    Attributes
    ----------
    centerline : Centerline
        Centerline of the cord from its top, extended upwards to the PMJ.
    half_width_mm, half_depth_mm : float
        Half axes of the cord's elliptic cross-section.
    fila : tuple of Filum
        All rootlets.
    discs : dict of int to float
        Arc length of each disc in mm, by value.
    pmj_mm : float
        Arc length of the PMJ, negative.
    enlargement : float
        Relative gain in size of the cross-section of the cord at the cervical enlargement (C5/C6).
    size : numpy.ndarray, shape (N, 3), optional
        Arc length, and size of the half axes there relative to ``half_width_mm`` and ``half_depth_mm``; by default the
        same all along, but for the enlargement.
    canal_half_axes_mm : (float, float)
        Half axes of the dural sac, which holds the cerebrospinal fluid.
    """

    centerline: Centerline
    half_width_mm: float
    half_depth_mm: float
    fila: tuple[Filum, ...]
    discs: dict[int, float]
    pmj_mm: float
    enlargement: float = 0.0
    size: np.ndarray | None = None
    canal_half_axes_mm: tuple[float, float] = (11.0, 8.0)

    def relative_size(self, arc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute the width and depth of the cord relative to those at C3, without the enlargement.

        Parameters
        ----------
        arc : numpy.ndarray
            Arc lengths in mm.
        """
        return relative_size(self.size, arc)

    def spinal_extents(self, distance_mm: float) -> dict[str, tuple[float, float]]:
        """Compute the true ends of each level, where its rootlets lie within a distance of the cord's surface.

        Parameters
        ----------
        distance_mm : float
            Greatest distance from the surface; 0 gives the attachment.

        Returns
        -------
        dict of str to (float, float)
            Rostral and caudal end by level name, mm of arc length.
        """
        angle = np.linspace(0, 2 * np.pi, 720)
        surface = cKDTree(np.stack([self.half_width_mm * np.cos(angle), self.half_depth_mm * np.sin(angle)], axis=1))
        ends: dict[str, tuple[float, float]] = {}
        for filum in self.fila:
            path = _densely(filum.path, 400)
            across = path[:, 1:] / np.stack(self.relative_size(path[:, 0]), axis=1)
            near = surface.query(across)[0] <= distance_mm
            near[0] = True  # where it attaches
            drop, *outwards = filum.path[1] - filum.path[0]
            half = filum.radius_mm * np.hypot(1, drop / np.hypot(*outwards))  # of the tube along the cord
            name = level_name(filum.value, "spinal")
            rostral, caudal = ends.get(name, (np.inf, -np.inf))
            ends[name] = min(rostral, path[near, 0].min() - half), max(caudal, path[near, 0].max() + half)
        return ends


def relative_size(size: np.ndarray | None, arc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate `Anatomy.size` at arc lengths; see `Anatomy.relative_size`."""
    if size is None:
        return np.ones_like(arc), np.ones_like(arc)
    return np.interp(arc, size[:, 0], size[:, 1]), np.interp(arc, size[:, 0], size[:, 2])


def _densely(path: np.ndarray, n: int) -> np.ndarray:
    """Sample ``n`` points along a polyline; shape (n, 3)."""
    along = np.linspace(0, len(path) - 1, n)
    return np.stack([np.interp(along, np.arange(len(path)), coordinate) for coordinate in path.T], axis=1)


def course(arc_mm: np.ndarray, lean_rad: np.ndarray, lateral_mm: np.ndarray) -> Centerline:
    """Make the centerline of a cord that leans forward and strays to the right along its course.

    Parameters
    ----------
    arc_mm : numpy.ndarray, shape (N,)
        Arc lengths in equal steps, from 0.
    lean_rad : numpy.ndarray, shape (N,)
        Angle between the cord and the body axis, positive where the cord runs forward on its way down.
    lateral_mm : numpy.ndarray, shape (N,)
        Distance to the right.

    Returns
    -------
    Centerline
        From head to foot, centred on the origin.
    """
    sideways = np.gradient(lateral_mm, arc_mm)
    down = np.sqrt(1 - sideways**2)  # unit speed: arc length is exact
    direction = np.stack([sideways, down * np.sin(lean_rad), -down * np.cos(lean_rad)], axis=1)
    steps = (direction[1:] + direction[:-1]) / 2 * (arc_mm[1] - arc_mm[0])
    points = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])
    return Centerline.from_points(points - points.mean(axis=0))
