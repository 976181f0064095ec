"""How far the cord is turned about its own axis, from what left and right say, and from its cross-section.

Masks say little about it: the long axis of manual masks of real scans is turned by several degrees where the cords'
rootlets are not (``benchmarks/registration.py real`` prints both). So each source counts by how far it can be trusted,
and a cord that lies straight in the scanner is the first guess.
"""

from __future__ import annotations

import numpy as np

from sct_rootlets.registration.rootlets import RootletVoxels

#: Standard deviations: of a cord's turn in the scanner; of the turn by one pair of roots; by the section.
CORD_DEG, ROOTS_DEG, SECTION_DEG = 5.0, 4.0, 8.0
#: What is seen counts for its surroundings along the cord by a Gaussian of this standard deviation: cords twist slowly.
WINDOW_MM = 15.0
#: Eccentricity (of second moments) of a section at which its long axis counts half.
ROUND = 0.1
#: Rootlets within this distance of the centerline are compared, if there are so many voxels of them on either side.
NEAR_MM, FEW_VOXELS = 8.0, 5


def turns_of_roots(rootlets: RootletVoxels) -> tuple[np.ndarray, np.ndarray]:
    """Turn of the cord by each pair of a left and a right root: dorsal ones, and ventral ones, of each level.

    Parameters
    ----------
    rootlets : RootletVoxels

    Returns
    -------
    arc : numpy.ndarray, shape (N,)
        Middle of each pair along the cord, mm.
    turn : numpy.ndarray, shape (N,)
        Angle of the line from the left to the right root, from the right towards anterior, in radians.
    """
    place = rootlets.place
    near = np.hypot(place[:, 1], place[:, 2]) <= NEAR_MM
    arc, turn = [], []
    for value in np.unique(rootlets.value):
        of_level = near & (rootlets.value == value)
        for left_root in (0, 2):
            left, right = (place[of_level & (rootlets.root == root)] for root in (left_root, left_root + 1))
            if min(len(left), len(right)) >= FEW_VOXELS:
                line = right.mean(axis=0) - left.mean(axis=0)
                arc.append(np.concatenate([left, right])[:, 0].mean())
                turn.append(np.arctan2(line[2], line[1]))
    return np.array(arc), np.array(turn)


def turn_of_sections(template: np.ndarray, subject: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn of the long axis of sections, and how much each says about it.

    Parameters
    ----------
    template, subject : numpy.ndarray, shape (S, A)
        Radii in mm; NaN counts as nothing known.
    angle : numpy.ndarray, shape (A,)
        Of the radii, from the right towards anterior.

    Returns
    -------
    turn : numpy.ndarray, shape (S,)
        In radians.
    weight : numpy.ndarray, shape (S,)
        0 for a round section, near 1 for an oblong one.
    """
    phase = np.exp(2j * angle)

    def moment(radius: np.ndarray) -> np.ndarray:
        """Of second order; its argument is twice the angle of the long axis."""
        return (radius**4 * phase).mean(axis=1) / (radius**4).mean(axis=1)

    with np.errstate(invalid="ignore"):  # nothing known
        product = np.nan_to_num(moment(subject) * np.conj(moment(template)))
    size = np.abs(product)
    return np.angle(product) / 2, size / (size + ROUND**2)


def estimate_turn(
    arc: np.ndarray,
    roots: tuple[np.ndarray, np.ndarray] | None,
    sections: tuple[np.ndarray, np.ndarray] | None,
) -> np.ndarray:
    """Turn at places along the cord: the mean of what is seen around them and of none, by how much each is trusted.

    Parameters
    ----------
    arc : numpy.ndarray, shape (S,)
        mm.
    roots : (numpy.ndarray, numpy.ndarray), optional
        Arc length and turn of each pair, shape (N,) each.
    sections : (numpy.ndarray, numpy.ndarray), optional
        Turn and weight at each of `arc`.

    Returns
    -------
    numpy.ndarray, shape (S,)
        In radians.
    """
    trust = np.full(len(arc), CORD_DEG**-2.0)
    total = np.zeros(len(arc))
    if roots is not None and len(roots[0]):
        weight = _window(arc, roots[0]) * ROOTS_DEG**-2.0
        total += weight @ roots[1]
        trust += weight.sum(axis=1)
    if sections is not None and sections[1].any():
        turn, weight = sections
        window = _window(arc, arc)
        here = window @ weight / window.sum(axis=1)  # neighbouring sections are not independent
        total += SECTION_DEG**-2.0 * here * (window @ (weight * turn)) / np.maximum(window @ weight, 1e-9)
        trust += SECTION_DEG**-2.0 * here
    return total / trust


def _window(arc: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * ((arc[:, None] - places[None, :]) / WINDOW_MM) ** 2)
