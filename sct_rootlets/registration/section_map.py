"""A map of the cord's cross-section from the template to the subject, by its radius in every direction.

In polar coordinates about the centerline, a point of the template keeps its share of the radius of the cord, and
rotates with the cord. Outside of the cord the change of the radius fades out. Along each ray this is a growing
function: it cannot fold, and it has an inverse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from sct_rootlets.image import Volume
from sct_rootlets.registration.arcmap import ArcMap
from sct_rootlets.registration.axial_rotation import axial_rotation_of_sections, estimate_axial_rotation
from sct_rootlets.registration.cordspace import CordSpace
from sct_rootlets.registration.sections import (
    MAX_RADIUS_MM,
    N_ANGLES,
    SECTION_SPACING_MM,
    Sections,
    angles,
    fill_along_cord,
    measure_sections,
    rotate_radii,
    smooth_radii,
)

#: Distance over which the change of the radius fades out outside of the cord: bones are not moved.
FADE_DISTANCE_MM = 12.0
#: Greatest change of the radius, as a share of `FADE_DISTANCE_MM`, by which the slope along a ray stays above 0.25.
MAX_CHANGE_SHARE = 0.5
#: Limits of the radius of a cord over that of the template's cord.
MIN_RADIUS_RATIO, MAX_RADIUS_RATIO = 0.4, 2.5
#: Radius of a cord where none could be measured.
DEFAULT_RADIUS_MM = 5.0
#: Iterations of Newton's method for the inverse.
_N_NEWTON_ITERATIONS = 6


@dataclass(frozen=True)
class SectionMap:
    """Cross-sections of the template to those of the subject.

    Attributes
    ----------
    first_mm : float
        Arc length on the template of the first row of the tables; rows are `SECTION_SPACING_MM` apart.
    radius : numpy.ndarray, shape (S, A)
        Radius of the template's cord in mm.
    ratio : numpy.ndarray, shape (S, A)
        Radius of the subject's cord over that of the template's.
    axial_rotation : numpy.ndarray, shape (S,)
        Angle from the template's right to the subject's right, towards anterior, in radians.
    """

    first_mm: float
    radius: np.ndarray
    ratio: np.ndarray
    axial_rotation: np.ndarray

    def to_subject(self, coordinates: np.ndarray) -> np.ndarray:
        """Map cord coordinates of the template, shape (N, 3), to right and anterior on the subject, shape (N, 2).

        All coordinates are in mm.
        """
        row = self._row(coordinates[:, 0])
        distance = np.hypot(coordinates[:, 1], coordinates[:, 2])
        angle = np.arctan2(coordinates[:, 2], coordinates[:, 1])
        near = distance < MAX_RADIUS_MM + FADE_DISTANCE_MM
        radius, ratio = self._look_up(row[near], angle[near])
        distance[near] = _stretch(distance[near], radius, ratio)
        return _cartesian(distance, angle + self._rotation_at(row))

    def to_template(self, arc: np.ndarray, across: np.ndarray) -> np.ndarray:
        """Map positions across the subject's cord to the template: the inverse of `to_subject`.

        Parameters
        ----------
        arc : numpy.ndarray, shape (N,)
            Arc length on the template, mm.
        across : numpy.ndarray, shape (N, 2)
            Right and anterior on the subject's cord, mm.

        Returns
        -------
        numpy.ndarray, shape (N, 2)
            Right and anterior on the template's cord, mm.
        """
        row = self._row(arc)
        distance = np.hypot(across[:, 0], across[:, 1])
        angle = np.arctan2(across[:, 1], across[:, 0]) - self._rotation_at(row)
        near = distance < MAX_RADIUS_MM + FADE_DISTANCE_MM
        radius, ratio = self._look_up(row[near], angle[near])
        distance[near] = _unstretch(distance[near], radius, ratio)
        return _cartesian(distance, angle)

    def _row(self, arc: np.ndarray) -> np.ndarray:
        return np.clip((arc - self.first_mm) / SECTION_SPACING_MM, 0, len(self.axial_rotation) - 1)

    def _rotation_at(self, row: np.ndarray) -> np.ndarray:
        return np.interp(row, np.arange(len(self.axial_rotation)), self.axial_rotation)

    def _look_up(self, row: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Interpolate the radius and the ratio, shape (N,) each."""
        column = np.mod(angle, 2 * np.pi) * (N_ANGLES / (2 * np.pi))
        tables = (np.concatenate([table, table[:, :1]], axis=1) for table in (self.radius, self.ratio))
        radius, ratio = (ndimage.map_coordinates(table, [row, column], order=1) for table in tables)
        return radius, ratio


def _cartesian(distance: np.ndarray, angle: np.ndarray) -> np.ndarray:
    return np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=1)


def _fade(beyond: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute a weight and its derivative: 1 at the surface of the cord, 0 from `FADE_DISTANCE_MM` on, smooth at both.

    Parameters
    ----------
    beyond : numpy.ndarray, shape (N,)
        Distance from the surface of the cord, mm.
    """
    share = np.clip(beyond / FADE_DISTANCE_MM, 0, 1)
    return (1 - share) ** 2 * (1 + 2 * share), -6 * share * (1 - share) / FADE_DISTANCE_MM


def _stretch(distance: np.ndarray, radius: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Scale distances from the centerline within the cord, and shift them less and less outside of it."""
    change = radius * (ratio - 1)
    return np.where(distance <= radius, distance * ratio, distance + change * _fade(distance - radius)[0])


def _unstretch(distance: np.ndarray, radius: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Invert `_stretch`: by a division within the cord, and by Newton's method outside of it."""
    change = radius * (ratio - 1)
    outside = np.maximum(distance - change, radius)
    for _ in range(_N_NEWTON_ITERATIONS):
        fade, slope = _fade(outside - radius)
        outside -= (outside + change * fade - distance) / (1 + change * slope)
        outside = np.maximum(outside, radius)
    return np.where(distance <= radius * ratio, distance / ratio, outside)


def fit_section_map(
    template: Sections,
    subject_mask: Volume,
    subject_space: CordSpace,
    arc_map: ArcMap,
    rotation_of_roots: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[SectionMap, np.ndarray]:
    """Map the cross-sections of a template to those of a subject.

    Parameters
    ----------
    template : Sections
        At arc lengths `SECTION_SPACING_MM` apart.
    subject_mask : Volume
    subject_space : CordSpace
    arc_map : ArcMap
    rotation_of_roots : (numpy.ndarray, numpy.ndarray), optional
        Axial rotation by the subject's roots (`sct_rootlets.registration.axial_rotation.axial_rotation_of_roots`).

    Returns
    -------
    SectionMap
    measured : numpy.ndarray of bool, shape (S,)
        Sections that were measured on both cords; the map takes the others from the nearest measured ones.
    """
    arc = template.arc
    subject_radius = measure_sections(subject_mask, subject_space, arc_map(arc)).radius
    measured = np.isfinite(subject_radius).any(axis=1) & np.isfinite(template.radius).any(axis=1)
    if not measured.any():
        default = np.full_like(subject_radius, DEFAULT_RADIUS_MM)
        return SectionMap(float(arc[0]), default, np.ones_like(default), np.zeros(len(arc))), measured
    template_radius, subject_radius = (
        smooth_radii(fill_along_cord(radius)) for radius in (template.radius, subject_radius)
    )
    rotation, weight = axial_rotation_of_sections(template_radius, subject_radius, angles())
    by_roots = None if rotation_of_roots is None else (arc_map.inverse(rotation_of_roots[0]), rotation_of_roots[1])
    rotation = estimate_axial_rotation(arc, by_roots, (rotation, weight * measured))
    ratio = rotate_radii(subject_radius, rotation) / template_radius
    ratio[~measured] = np.nan
    ratio = fill_along_cord(ratio)
    max_change = MAX_CHANGE_SHARE * FADE_DISTANCE_MM / template_radius
    ratio = np.clip(ratio, np.maximum(MIN_RADIUS_RATIO, 1 - max_change), np.minimum(MAX_RADIUS_RATIO, 1 + max_change))
    return SectionMap(float(arc[0]), template_radius, ratio, rotation), measured
