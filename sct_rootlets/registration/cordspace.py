"""Coordinates of the cord: every point of the world as (arc length, right, anterior), and back.

`sct_rootlets.centerline` measures along a polyline, which is enough for levels. A warp needs a curve whose direction
has no steps, so that planes across it neither jump nor collide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline, PPoly
from scipy.spatial import cKDTree

from sct_rootlets.centerline import KNOT_SPACING_MM, Centerline

#: Points of the curve among which the search for the nearest place starts.
_START_MM = 1.0
_STEPS = 4
#: Points are handled in pieces of this number, to need little memory.
_PIECE = 400_000
#: A step of the search is at most this long.
_LONGEST_MM = 20.0


@dataclass(frozen=True)
class CordSpace:
    """The cord's own coordinates, by a smooth curve through its middle, straight beyond its ends.

    Unique within the radius of curvature of the cord (50 mm and more in necks); beyond, the nearest place counts.

    Attributes
    ----------
    curve : scipy.interpolate.CubicSpline
        RAS+ mm by arc length, from rostral to caudal.
    """

    curve: CubicSpline

    @classmethod
    def along(cls, centerline: Centerline) -> CordSpace:
        """Coordinates along a centerline: a cubic spline through a point every few millimetres."""
        n_points = max(4, 1 + round((centerline.arc[-1] - centerline.arc[0]) / KNOT_SPACING_MM))
        arc = np.linspace(centerline.arc[0], centerline.arc[-1], n_points)
        return cls(CubicSpline(arc, centerline.position(arc)))

    @property
    def ends(self) -> tuple[float, float]:
        """Arc lengths where the curve begins and ends, mm."""
        return float(self.curve.x[0]), float(self.curve.x[-1])

    @cached_property
    def _derivatives(self) -> tuple[PPoly, PPoly]:
        return self.curve.derivative(1), self.curve.derivative(2)

    @cached_property
    def _start(self) -> tuple[np.ndarray, cKDTree]:
        low, high = self.ends
        arc = np.linspace(low, high, 2 + round((high - low) / _START_MM))
        return arc, cKDTree(self.curve(arc))

    def _middle(self, arc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points and directions (not quite unit vectors) of the curve and its straight continuation."""
        inside = np.clip(arc, *self.ends)
        direction = self._derivatives[0](inside)
        return self.curve(inside) + (arc - inside)[:, None] * direction, direction

    def axes(self, arc: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unit vectors to caudal, right and anterior, as `Centerline.frame` has them, shape (N, 3) each, RAS+."""
        return _axes(self._middle(np.asarray(arc, dtype=float))[1])

    def points(self, coordinates: np.ndarray) -> np.ndarray:
        """World positions of the cord's coordinates.

        Parameters
        ----------
        coordinates : numpy.ndarray, shape (N, 3)
            Arc length, right, anterior in mm.

        Returns
        -------
        numpy.ndarray, shape (N, 3)
            RAS+ mm.
        """
        return _in_pieces(self._points, coordinates)

    def _points(self, coordinates: np.ndarray) -> np.ndarray:
        middle, direction = self._middle(coordinates[:, 0])
        _, right, anterior = _axes(direction)
        return middle + coordinates[:, 1:2] * right + coordinates[:, 2:] * anterior

    def coordinates(self, points: np.ndarray) -> np.ndarray:
        """The cord's coordinates of world positions, the inverse of `points`.

        Parameters
        ----------
        points : numpy.ndarray, shape (N, 3)
            RAS+ mm.

        Returns
        -------
        numpy.ndarray, shape (N, 3)
            Arc length, right, anterior in mm.
        """
        return _in_pieces(self._coordinates, points)

    def _coordinates(self, points: np.ndarray) -> np.ndarray:
        known, tree = self._start
        arc = known[tree.query(points)[1]]
        for _ in range(_STEPS):  # Newton's method for (point - curve) · direction = 0
            middle, direction = self._middle(arc)
            offset = points - middle
            bend = np.einsum("ij,ij->i", offset, self._derivatives[1](np.clip(arc, *self.ends)))
            bend[(arc < known[0]) | (arc > known[-1])] = 0
            speed = np.einsum("ij,ij->i", direction, direction)
            step = np.einsum("ij,ij->i", offset, direction) / np.maximum(speed - bend, 0.25)
            # Beyond the ends it is a line: from there, the first step is exact, however long.
            arc = arc + np.where((arc <= known[0]) | (arc >= known[-1]), step, np.clip(step, -_LONGEST_MM, _LONGEST_MM))
        middle, direction = self._middle(arc)
        offset = points - middle
        _, right, anterior = _axes(direction)
        return np.stack([arc, *(np.einsum("ij,ij->i", offset, axis) for axis in (right, anterior))], axis=1)


def _axes(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    caudal = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    right = np.array([1.0, 0.0, 0.0]) - caudal[:, :1] * caudal
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return caudal, right, np.cross(right, caudal)


def _in_pieces(function: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=float).reshape(-1, 3)
    result = np.empty_like(values)
    for first in range(0, len(values), _PIECE):
        result[first : first + _PIECE] = function(values[first : first + _PIECE])
    return result
