"""The cross-section of the cord, from the template's to the subject's: by its radius in every direction.

In polar coordinates about the centerline, a place of the template keeps its share of the radius of the cord, and turns
with the cord. Outside of the cord the change of the radius fades out. Along each ray this is a growing function: it
cannot fold, and it has an inverse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from sct_rootlets.image import Volume
from sct_rootlets.registration.arcmap import ArcMap
from sct_rootlets.registration.cordspace import CordSpace
from sct_rootlets.registration.turn import estimate_turn, turn_of_sections

#: Sampling of the cross-section: along the cord, around it, and along a ray.
ARC_STEP_MM, N_ANGLES, RAY_STEP_MM = 1.0, 72, 0.25
#: No cord is thicker: half of twice the width of the widest.
LONGEST_MM = 14.0
#: Radii are smoothed by Gaussians of these standard deviations: masks are made slice by slice, cords are not.
SMOOTH_ARC_MM, SMOOTH_DEG = 2.5, 9.0
#: Sections this close to an end of the mask may be cut obliquely, and do not count.
END_MM = 3.0
#: Sections smaller than this share of those around them are gaps (lesions, errors) and do not count.
GAP_SHARE, AROUND_MM = 0.6, 40.0
#: Outside of the cord the change of its radius fades out over this distance: the bones stay as they are.
FADE_MM = 12.0
#: The change of the radius is at most this share of `FADE_MM`, so that the slope along a ray stays above 0.25.
STEEPEST = 0.5
#: A cord's radius is at least and at most so many times the template's.
RATIOS = (0.4, 2.5)
#: Radius of a cord where none could be measured.
USUAL_MM = 5.0


@dataclass(frozen=True)
class Sections:
    """Radii of a cord.

    Attributes
    ----------
    arc : numpy.ndarray, shape (S,)
        mm.
    radius : numpy.ndarray, shape (S, A)
        From the centerline to the surface in mm, at even angles from the right towards anterior; NaN where unknown.
    """

    arc: np.ndarray
    radius: np.ndarray


def measure_sections(mask: Volume, space: CordSpace, arc: np.ndarray) -> Sections:
    """Measure the radius of a cord mask in every direction, such that areas are kept: twice the integral of r dr.

    Parameters
    ----------
    mask : Volume
        Cord, of booleans or 0 and 1.
    space : CordSpace
        Of this cord.
    arc : numpy.ndarray, shape (S,)
        Ascending, mm.

    Returns
    -------
    Sections
        NaN where the cord leaves the field of view, is cut, or ends.
    """
    ray = np.arange(RAY_STEP_MM / 2, LONGEST_MM, RAY_STEP_MM)
    angle = angles()
    place = np.empty((len(arc), N_ANGLES, len(ray), 3))
    place[..., 0] = arc[:, None, None]
    place[..., 1] = ray * np.cos(angle)[:, None]
    place[..., 2] = ray * np.sin(angle)[:, None]
    index = apply_affine(np.linalg.inv(mask.affine), space.points(place.reshape(-1, 3)))
    inside = ((index >= -0.5) & (index <= np.array(mask.data.shape) - 0.5)).all(axis=1)
    data = mask.data.astype(np.uint8) if mask.data.dtype == bool else mask.data
    value = ndimage.map_coordinates(data, index.T, order=1, mode="nearest", output=np.float32)
    value, inside = (array.reshape(place.shape[:-1]) for array in (value, inside))
    area = 2 * RAY_STEP_MM * (np.where(inside, value, 0) * ray).sum(axis=2)  # of a sector, by half of its angle
    # Where the cord reaches the side of the field of view, nobody knows how far it goes.
    last = np.take_along_axis(value, np.maximum(inside.sum(axis=2) - 1, 0)[..., None], axis=2)[..., 0]
    area[~inside.all(axis=2) & (last >= 0.5)] = np.nan
    total = np.nan_to_num(area).mean(axis=1)
    here = total > 0
    if here.any():
        window = 2 * round(AROUND_MM / 2 / max(np.diff(arc).min(initial=AROUND_MM), 1e-3)) + 1
        usual = np.full(len(arc), np.median(total[here]))
        usual[here] = ndimage.median_filter(total[here], min(window, 2 * (here.sum() // 2) + 1), mode="nearest")
        here &= total >= GAP_SHARE * usual
    low, high = space.ends
    here &= (arc >= low + END_MM) & (arc <= high - END_MM)
    area[~here] = np.nan
    return Sections(arc, np.sqrt(area))


def angles() -> np.ndarray:
    """Angles of the rays: 0 to the right, growing towards anterior, shape (A,)."""
    return 2 * np.pi * np.arange(N_ANGLES) / N_ANGLES


@dataclass(frozen=True)
class SectionMap:
    """Cross-sections of the template to those of the subject.

    Attributes
    ----------
    first_mm : float
        Arc length on the template of the first row of the tables; rows are `ARC_STEP_MM` apart.
    radius : numpy.ndarray, shape (S, A)
        Of the template's cord in mm.
    ratio : numpy.ndarray, shape (S, A)
        Subject's radius over the template's.
    turn : numpy.ndarray, shape (S,)
        Angle from the template's right to the subject's, towards anterior, in radians.
    """

    first_mm: float
    radius: np.ndarray
    ratio: np.ndarray
    turn: np.ndarray

    def to_subject(self, coordinates: np.ndarray) -> np.ndarray:
        """Right and anterior on the subject's cord, shape (N, 2), of template coordinates, shape (N, 3), mm."""
        row = self._row(coordinates[:, 0])
        distance = np.hypot(coordinates[:, 1], coordinates[:, 2])
        angle = np.arctan2(coordinates[:, 2], coordinates[:, 1])
        near = distance < LONGEST_MM + FADE_MM
        radius, ratio = self._look_up(row[near], angle[near])
        distance[near] = _stretched(distance[near], radius, ratio)
        return _cartesian(distance, angle + self._turn(row))

    def to_template(self, arc: np.ndarray, across: np.ndarray) -> np.ndarray:
        """Right and anterior on the template's cord, shape (N, 2): the inverse of `to_subject`.

        Parameters
        ----------
        arc : numpy.ndarray, shape (N,)
            On the template, mm.
        across : numpy.ndarray, shape (N, 2)
            Right and anterior on the subject's cord, mm.
        """
        row = self._row(arc)
        distance = np.hypot(across[:, 0], across[:, 1])
        angle = np.arctan2(across[:, 1], across[:, 0]) - self._turn(row)
        near = distance < LONGEST_MM + FADE_MM
        radius, ratio = self._look_up(row[near], angle[near])
        distance[near] = _unstretched(distance[near], radius, ratio)
        return _cartesian(distance, angle)

    def _row(self, arc: np.ndarray) -> np.ndarray:
        return np.clip((arc - self.first_mm) / ARC_STEP_MM, 0, len(self.turn) - 1)

    def _turn(self, row: np.ndarray) -> np.ndarray:
        return np.interp(row, np.arange(len(self.turn)), self.turn)

    def _look_up(self, row: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        column = np.mod(angle, 2 * np.pi) * (N_ANGLES / (2 * np.pi))
        tables = (np.concatenate([table, table[:, :1]], axis=1) for table in (self.radius, self.ratio))
        radius, ratio = (ndimage.map_coordinates(table, [row, column], order=1) for table in tables)
        return radius, ratio


def _cartesian(distance: np.ndarray, angle: np.ndarray) -> np.ndarray:
    return np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=1)


def _fade(beyond: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1 at the surface of the cord, 0 at `FADE_MM` and beyond, and its derivative; smooth at both ends."""
    share = np.clip(beyond / FADE_MM, 0, 1)
    return (1 - share) ** 2 * (1 + 2 * share), -6 * share * (1 - share) / FADE_MM


def _stretched(distance: np.ndarray, radius: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    change = radius * (ratio - 1)
    return np.where(distance <= radius, distance * ratio, distance + change * _fade(distance - radius)[0])


def _unstretched(distance: np.ndarray, radius: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Inverse of `_stretched`: a division within the cord, Newton's method without."""
    change = radius * (ratio - 1)
    outside = np.maximum(distance - change, radius)
    for _ in range(6):
        fade, slope = _fade(outside - radius)
        outside -= (outside + change * fade - distance) / (1 + change * slope)
        outside = np.maximum(outside, radius)
    return np.where(distance <= radius * ratio, distance / ratio, outside)


def fit_section_map(
    template: Sections,
    subject_mask: Volume,
    subject_space: CordSpace,
    along: ArcMap,
    roots: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[SectionMap, np.ndarray]:
    """Map the cross-sections of a template to those of a subject.

    Parameters
    ----------
    template : Sections
        At arc lengths `ARC_STEP_MM` apart.
    subject_mask : Volume
    subject_space : CordSpace
    along : ArcMap
    roots : (numpy.ndarray, numpy.ndarray), optional
        What the subject's roots say about its turn (`sct_rootlets.registration.turn.turns_of_roots`).

    Returns
    -------
    SectionMap
    used : numpy.ndarray of bool, shape (S,)
        Sections of the template at which the subject's were measured; elsewhere the nearest ones count.
    """
    arc = template.arc
    subject = measure_sections(subject_mask, subject_space, along(arc)).radius
    used = np.isfinite(subject).any(axis=1) & np.isfinite(template.radius).any(axis=1)
    if not used.any():
        usual = np.full_like(subject, USUAL_MM)
        return SectionMap(float(arc[0]), usual, np.ones_like(usual), np.zeros(len(arc))), used
    reference, own = _smooth(_filled(template.radius)), _smooth(_filled(subject))
    turn, weight = turn_of_sections(reference, own, angles())
    at_roots = None if roots is None else (along.inverse(roots[0]), roots[1])
    turn = estimate_turn(arc, at_roots, (turn, weight * used))
    ratio = _rotated(own, turn) / reference
    ratio[~used] = np.nan
    ratio = _filled(ratio)
    largest = STEEPEST * FADE_MM / reference
    ratio = np.clip(ratio, np.maximum(RATIOS[0], 1 - largest), np.minimum(RATIOS[1], 1 + largest))
    return SectionMap(float(arc[0]), reference, ratio, turn), used


def _filled(table: np.ndarray) -> np.ndarray:
    """Unknown entries filled along the cord, between and from the nearest known ones of the same direction.

    Where a direction is unknown throughout, the mean of the others takes its place.
    """
    table = table.copy()
    rows = np.arange(len(table))
    known = np.isfinite(table)
    for column in range(table.shape[1]):
        here = known[:, column]
        if here.any():
            table[:, column] = np.interp(rows, rows[here], table[here, column])
    empty = ~known.any(axis=0)
    if empty.any() and not empty.all():
        table[:, empty] = np.mean(table[:, ~empty], axis=1, keepdims=True)
    return table


def _smooth(radius: np.ndarray) -> np.ndarray:
    """Radii smoothed along and around the cord, keeping areas."""
    square = ndimage.gaussian_filter1d(radius**2, SMOOTH_ARC_MM / ARC_STEP_MM, axis=0, mode="nearest")
    square = ndimage.gaussian_filter1d(square, SMOOTH_DEG / (360 / N_ANGLES), axis=1, mode="wrap")
    return np.sqrt(square)


def _rotated(radius: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Radii at angles that are greater by a turn, shape (S, A)."""
    column = np.arange(N_ANGLES) + turn[:, None] * (N_ANGLES / (2 * np.pi))
    rows = np.broadcast_to(np.arange(len(radius))[:, None], column.shape)
    return ndimage.map_coordinates(radius, [rows, column], order=1, mode="grid-wrap")
