"""Axial rotation of the cord about its own axis, from pairs of left and right roots and from its cross-sections.

Masks say little about the rotation: the long axis of manual masks of real scans is rotated by several degrees where the
cords' rootlets are not (``benchmarks/registration.py real`` prints both). Each source is therefore weighted by its
uncertainty, with the prior that a cord lies straight in the scanner.
"""

from __future__ import annotations

import numpy as np

from sct_rootlets.registration.rootlets import RootletVoxels

#: Standard deviations: of the rotation of a cord in the scanner, and of the rotation by one pair of roots and by the
#: section.
CORD_SD_DEG, ROOT_PAIR_SD_DEG, SECTION_SD_DEG = 5.0, 4.0, 8.0
#: Standard deviation of the Gaussian along the cord by which observations are averaged: cords twist slowly.
WINDOW_SD_MM = 15.0
#: Eccentricity (of second moments) of a section at which its long axis counts half.
HALF_WEIGHT_ECCENTRICITY = 0.1
#: Rootlets within this distance of the centerline are compared, if either side has this number of voxels.
MAX_ROOT_DISTANCE_MM, MIN_PAIRED_VOXELS = 8.0, 5


def axial_rotation_of_roots(rootlets: RootletVoxels) -> tuple[np.ndarray, np.ndarray]:
    """Measure the rotation by each pair of a left and a right root, dorsal and ventral, of each level.

    Parameters
    ----------
    rootlets : RootletVoxels

    Returns
    -------
    arc : numpy.ndarray, shape (N,)
        Middle of each pair along the cord, mm.
    rotation : numpy.ndarray, shape (N,)
        Angle of the line from the left to the right root, from the right towards anterior, in radians.
    """
    coordinates = rootlets.coordinates
    near = np.hypot(coordinates[:, 1], coordinates[:, 2]) <= MAX_ROOT_DISTANCE_MM
    arc, rotation = [], []
    for value in np.unique(rootlets.value):
        of_level = near & (rootlets.value == value)
        for left_root in (0, 2):
            left, right = (coordinates[of_level & (rootlets.root == root)] for root in (left_root, left_root + 1))
            if min(len(left), len(right)) >= MIN_PAIRED_VOXELS:
                line = right.mean(axis=0) - left.mean(axis=0)
                arc.append(np.concatenate([left, right])[:, 0].mean())
                rotation.append(np.arctan2(line[2], line[1]))
    return np.array(arc), np.array(rotation)


def axial_rotation_of_sections(
    template: np.ndarray, subject: np.ndarray, angle: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Measure the rotation by the long axis of sections.

    Parameters
    ----------
    template, subject : numpy.ndarray, shape (S, A)
        Radii in mm; NaN where unknown.
    angle : numpy.ndarray, shape (A,)
        Angles of the radii, from the right towards anterior.

    Returns
    -------
    rotation : numpy.ndarray, shape (S,)
        In radians.
    weight : numpy.ndarray, shape (S,)
        0 for a round or unknown section, near 1 for an oblong one.
    """
    phase = np.exp(2j * angle)

    def second_moment(radius: np.ndarray) -> np.ndarray:
        """Compute the moment whose argument is twice the angle of the long axis."""
        return (radius**4 * phase).mean(axis=1) / (radius**4).mean(axis=1)

    with np.errstate(invalid="ignore"):  # unknown sections
        product = np.nan_to_num(second_moment(subject) * np.conj(second_moment(template)))
    size = np.abs(product)
    return np.angle(product) / 2, size / (size + HALF_WEIGHT_ECCENTRICITY**2)


def estimate_axial_rotation(
    arc: np.ndarray,
    roots: tuple[np.ndarray, np.ndarray] | None,
    sections: tuple[np.ndarray, np.ndarray] | None,
) -> np.ndarray:
    """Estimate the rotation along the cord: the mean of nearby observations and of no rotation, by their precision.

    Parameters
    ----------
    arc : numpy.ndarray, shape (S,)
        mm.
    roots : (numpy.ndarray, numpy.ndarray), optional
        Arc length and rotation of each pair of roots, shape (N,) each.
    sections : (numpy.ndarray, numpy.ndarray), optional
        Rotation and weight at each of `arc`.

    Returns
    -------
    numpy.ndarray, shape (S,)
        In radians.
    """
    precision = np.full(len(arc), CORD_SD_DEG**-2.0)
    weighted_sum = np.zeros(len(arc))
    if roots is not None and len(roots[0]):
        weight = _window(arc, roots[0]) * ROOT_PAIR_SD_DEG**-2.0
        weighted_sum += weight @ roots[1]
        precision += weight.sum(axis=1)
    if sections is not None and sections[1].any():
        rotation, weight = sections
        window = _window(arc, arc)
        nearby = window @ weight / window.sum(axis=1)  # neighbouring sections are not independent
        nearby_sum = window @ (weight * rotation)
        weighted_sum += SECTION_SD_DEG**-2.0 * nearby * nearby_sum / np.maximum(window @ weight, 1e-9)
        precision += SECTION_SD_DEG**-2.0 * nearby
    return weighted_sum / precision


def _window(arc: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Weight observations by their distance along the cord, shape (S, N)."""
    return np.exp(-0.5 * ((arc[:, None] - places[None, :]) / WINDOW_SD_MM) ** 2)
