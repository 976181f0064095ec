"""Which vertebra lies beside each place along the cord: paths of the vertebral coordinate, one for each numbering.

Disc n has the coordinate n, the middle of vertebra n has n + 0.5. Along the cord the coordinate grows, about as fast as
usual vertebrae are long, in a person's own scale. Where discs lie is seen well; how they are numbered is not. So there
is one path, shifted by each whole number by which its numbering may be wrong, and the evidence decides between them.

The path is the mean of a hidden Markov model over coordinate and scale (Rabiner 1989, doi 10.1109/5.18626).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from sct_rootlets.vertebral import VERTEBRA_LENGTH_MM

#: Usual distance of disc n to disc n + 1 along the cord in mm, from n = 0 on: above C1 and below T3 as well.
USUAL_LENGTH_MM = (15.0, *VERTEBRA_LENGTH_MM, 22.0, 22.5, 23.0)
#: Scales of a person's vertebrae, and how they are distributed.
SCALES = np.linspace(0.75, 1.25, 11)
SCALE_SD = 0.1
#: States of the coordinate: from `FIRST` to `LAST`, this far apart; beyond those that a network knows, for whole spines
#: that are numbered otherwise.
STEP = 0.0625
FIRST, LAST = -4.0, 18.0
STATES = np.arange(FIRST, LAST + STEP / 2, STEP)
#: Variance of the coordinate along the cord beside the person's scale, in vertebrae squared per mm.
VARIANCE_PER_MM = 0.0009
#: Number of independent observations that a place counts as: for where discs lie, and for how they are numbered. What
#: a network sees at neighbouring places errs alike, and its numbers nearly everywhere alike: they must not bend a path.
PLACE_WEIGHT, NUMBER_WEIGHT = 0.5, 0.02
#: Length along which numbers err alike, where numberings are compared; and the least probability of a number.
NUMBER_INDEPENDENCE_MM, MIN_NUMBER_PROBABILITY = 12.0, 0.02
#: States that are a whole number of vertebrae apart look alike.
PERIOD = round(1 / STEP)
#: Numberings that are considered: shifts against the best one.
SHIFTS = tuple(range(-4, 5))
#: The path stays within so many vertebrae of that on which discs are counted.
HALF_WIDTH = 0.5


@dataclass(frozen=True)
class VertebralPath:
    """The vertebral coordinate along the cord, by one numbering.

    Attributes
    ----------
    shift : int
        Against the numbering that vertebrae look most like.
    coordinate, sd : numpy.ndarray, shape (N,)
        Mean and standard deviation at each place, in vertebrae.
    log_evidence : float
        Logarithm of the evidence for this numbering from the look of the vertebrae, up to a constant.
    """

    shift: int
    coordinate: np.ndarray
    sd: np.ndarray
    log_evidence: float

    def at(self, arc: np.ndarray, places: np.ndarray) -> VertebralPath:
        """Return the path at other places, given those that it holds; beyond its ends it goes on as it ended."""
        coordinate = np.interp(places, arc, self.coordinate)
        n = min(10, len(arc) - 1)
        for end, first, beyond in ((0, n, places < arc[0]), (-1, -1 - n, places > arc[-1])):
            pace = (self.coordinate[end] - self.coordinate[first]) / (arc[end] - arc[first])
            coordinate = np.where(beyond, self.coordinate[end] + pace * (places - arc[end]), coordinate)
        return replace(self, coordinate=coordinate, sd=np.interp(places, arc, self.sd))


def find_paths(arc: np.ndarray, log_probability: np.ndarray, bins: np.ndarray) -> list[VertebralPath]:
    """Find the path of each numbering.

    Parameters
    ----------
    arc : numpy.ndarray, shape (N,)
        Places along the cord, evenly spaced, in mm.
    log_probability : numpy.ndarray, shape (N, K)
        Logarithm of the probability of each coordinate at each place.
    bins : numpy.ndarray, shape (K,)
        Coordinates.

    Returns
    -------
    list of VertebralPath
        One for each of `SHIFTS` that lies within the states.
    """
    log = np.full((len(arc), len(STATES)), np.log(MIN_NUMBER_PROBABILITY) + log_probability.min())
    known = (bins[0] <= STATES) & (bins[-1] >= STATES)
    at = (STATES[known] - bins[0]) / (bins[1] - bins[0])
    low = np.minimum(at.astype(int), len(bins) - 2)
    share = at - low
    log[:, known] = log_probability[:, low] * (1 - share) + log_probability[:, low + 1] * share
    place = np.stack([logsumexp(log[:, first::PERIOD], axis=1) for first in range(PERIOD)], axis=1)
    place = place[:, np.arange(len(STATES)) % PERIOD]
    emission = PLACE_WEIGHT * place + NUMBER_WEIGHT * (log - place)
    number = np.maximum(log - place, np.log(MIN_NUMBER_PROBABILITY))
    step_mm = float(arc[1] - arc[0])
    posterior = _forward_backward(emission, step_mm)
    middle = len(arc) // 2
    best = STATES[int(np.convolve(posterior[middle], np.ones(5), "same").argmax())]
    # From there, discs are counted in both directions: a number that the network doubts elsewhere must not skip one.
    counted = PLACE_WEIGHT * place
    counted[middle, np.abs(STATES - best) > HALF_WIDTH] = -np.inf
    centre = _follow(_forward_backward(counted, step_mm), middle, best)
    counted[np.abs(STATES[None, :] - centre[:, None]) > HALF_WIDTH] = -np.inf
    posterior = _forward_backward(counted, step_mm)
    coordinate = posterior @ STATES
    sd = np.sqrt(np.maximum(posterior @ STATES**2 - coordinate**2, 0) + STEP**2 / 12)
    paths = []
    for shift in SHIFTS:
        if coordinate[0] + shift >= FIRST and coordinate[-1] + shift <= LAST:
            shifted = np.roll(posterior, shift * PERIOD, axis=1)
            evidence = float((shifted * number).sum()) * step_mm / NUMBER_INDEPENDENCE_MM
            paths.append(VertebralPath(shift, coordinate + shift, sd, evidence))
    return paths


def _follow(posterior: np.ndarray, start: int, value: float) -> np.ndarray:
    """Follow the mode of a posterior from one row to the others, within half a vertebra a row."""
    path = np.empty(len(posterior))
    for rows in (range(start, len(posterior)), range(start, -1, -1)):
        current = value
        for row in rows:
            near = np.abs(STATES - current) <= HALF_WIDTH
            mass = posterior[row] * near
            if mass.sum() > 1e-9:
                current = float(mass @ STATES / mass.sum())
            path[row] = current
    return path


def _forward_backward(emission: np.ndarray, step_mm: float) -> np.ndarray:
    """Return the posterior of the states at each place, shape (N, states)."""
    kernels = _transitions(step_mm)  # (scales, states, offsets)
    n_offsets = kernels.shape[2]
    prior = np.exp(-0.5 * ((SCALES - 1) / SCALE_SD) ** 2)
    scaled = np.exp(emission - emission.max(axis=1, keepdims=True))
    n, n_states = emission.shape
    forward = np.empty((n, len(SCALES), n_states))
    current = prior[:, None] / prior.sum() * np.ones(n_states) / n_states
    for row in range(n):
        if row:
            moved = np.zeros_like(current)
            for offset in range(n_offsets):
                part = current[:, : n_states - offset] * kernels[:, : n_states - offset, offset]
                moved[:, offset:] += part
            current = moved
        current = current * scaled[row]
        total = current.sum()
        if total <= 0:
            return np.full(emission.shape, 1 / n_states)
        current = current / total
        forward[row] = current
    posterior = np.empty((n, n_states))
    behind = np.ones((len(SCALES), n_states))
    for row in range(n - 1, -1, -1):
        both = forward[row] * behind
        posterior[row] = both.sum(axis=0) / both.sum()
        ahead = behind * scaled[row]
        behind = np.zeros_like(behind)
        for offset in range(n_offsets):
            behind[:, : n_states - offset] += kernels[:, : n_states - offset, offset] * ahead[:, offset:]
        behind /= behind.max()
    return posterior


def _transitions(step_mm: float) -> np.ndarray:
    """Return the probability of an advance by 0, 1, … states from each state, shape (scales, states, offsets)."""
    lengths = np.array(USUAL_LENGTH_MM)[np.clip(np.floor(STATES).astype(int), 0, len(USUAL_LENGTH_MM) - 1)]
    advance = step_mm / (SCALES[:, None] * lengths) / STEP
    sd = np.sqrt(VARIANCE_PER_MM * step_mm) / STEP
    n_offsets = int(np.ceil(advance.max() + 3 * sd)) + 1
    log = -0.5 * ((np.arange(n_offsets) - advance[:, :, None]) / sd) ** 2
    return np.exp(log - logsumexp(log, axis=2, keepdims=True))
