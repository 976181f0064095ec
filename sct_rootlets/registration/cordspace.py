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

from sct_rootlets.centerline import KNOT_SPACING_MM, Centerline, axes_across

#: Distance between the points of the curve from which the search for the nearest position starts.
_START_SPACING_MM = 1.0
#: Iterations of Newton's method in that search, and the greatest length of each.
_N_NEWTON_ITERATIONS, _MAX_STEP_MM = 4, 20.0
#: Number of points that are handled at a time, to need little memory.
_MAX_POINTS = 400_000


@dataclass(frozen=True)
class CordSpace:
    """The cord's own coordinates, by a smooth curve through its middle that goes on straight beyond its ends.

    Coordinates are unique within the radius of curvature of the cord (50 mm and more in necks); beyond it, a point has
    the coordinates of the nearest position of the curve.

    Attributes
    ----------
    curve : scipy.interpolate.CubicSpline
        RAS+ mm by arc length, from rostral to caudal.
    turn_deg : float
        See `Centerline.turn_deg`.
    """

    curve: CubicSpline
    turn_deg: float = 0.0

    @classmethod
    def along(cls, centerline: Centerline) -> CordSpace:
        """Fit the curve, a cubic spline through a point every few millimetres of a centerline."""
        n_points = max(4, 1 + round((centerline.arc[-1] - centerline.arc[0]) / KNOT_SPACING_MM))
        arc = np.linspace(centerline.arc[0], centerline.arc[-1], n_points)
        return cls(CubicSpline(arc, centerline.position(arc)), centerline.turn_deg)

    @property
    def ends(self) -> tuple[float, float]:
        """Arc lengths where the curve begins and ends, mm."""
        return float(self.curve.x[0]), float(self.curve.x[-1])

    @cached_property
    def _derivatives(self) -> tuple[PPoly, PPoly]:
        return self.curve.derivative(1), self.curve.derivative(2)

    @cached_property
    def _start(self) -> tuple[np.ndarray, cKDTree]:
        """Arc lengths and points from which the search for the nearest position starts."""
        low, high = self.ends
        arc = np.linspace(low, high, 2 + round((high - low) / _START_SPACING_MM))
        return arc, cKDTree(self.curve(arc))

    def _line(self, arc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute points and directions (not quite unit vectors) of the curve and its straight continuation."""
        inside = np.clip(arc, *self.ends)
        direction = self._derivatives[0](inside)
        return self.curve(inside) + (arc - inside)[:, None] * direction, direction

    def axes(self, arc: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute unit vectors to caudal, right and anterior, as `Centerline.frame` does, shape (N, 3) each, RAS+."""
        return self._axes(self._line(np.asarray(arc, dtype=float))[1])

    def _axes(self, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute the axes from the direction of the curve."""
        caudal = direction / np.linalg.norm(direction, axis=1, keepdims=True)
        return caudal, *axes_across(caudal, self.turn_deg)

    def points(self, coordinates: np.ndarray) -> np.ndarray:
        """Compute world positions from the cord's coordinates.

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
        line, direction = self._line(coordinates[:, 0])
        _, right, anterior = self._axes(direction)
        return line + coordinates[:, 1:2] * right + coordinates[:, 2:] * anterior

    def coordinates(self, points: np.ndarray) -> np.ndarray:
        """Compute the cord's coordinates from world positions, the inverse of `points`.

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
        start, tree = self._start
        arc = start[tree.query(points)[1]]
        for _ in range(_N_NEWTON_ITERATIONS):  # for (point - curve) · direction = 0
            line, direction = self._line(arc)
            offset = points - line
            bend = np.einsum("ij,ij->i", offset, self._derivatives[1](np.clip(arc, *self.ends)))
            bend[(arc < start[0]) | (arc > start[-1])] = 0
            speed = np.einsum("ij,ij->i", direction, direction)
            step = np.einsum("ij,ij->i", offset, direction) / np.maximum(speed - bend, 0.25)
            # Beyond the ends the curve is a line: from there, the first step is exact, however long.
            straight = (arc <= start[0]) | (arc >= start[-1])
            arc = arc + np.where(straight, step, np.clip(step, -_MAX_STEP_MM, _MAX_STEP_MM))
        line, direction = self._line(arc)
        offset = points - line
        _, right, anterior = self._axes(direction)
        return np.stack([arc, *(np.einsum("ij,ij->i", offset, axis) for axis in (right, anterior))], axis=1)


def _in_pieces(function: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    """Apply a function to `_MAX_POINTS` rows at a time."""
    values = np.asarray(values, dtype=float).reshape(-1, 3)
    result = np.empty_like(values)
    for first in range(0, len(values), _MAX_POINTS):
        result[first : first + _MAX_POINTS] = function(values[first : first + _MAX_POINTS])
    return result
