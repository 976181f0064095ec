"""Level names that respect anatomy: one explanation of the whole cord at once.

A network names each voxel from what is around it and errs in short fields of view, one voxel this way and the next
that. Here the cord is divided, from rostral to caudal, into stretches along which one level's rootlets attach and gaps
between them. Rootlets alone say where a stretch is; evidence, from networks or from discs, only says what it is called.
The model is a hidden semi-Markov chain (Yu 2010, doi 10.1016/j.artint.2009.11.011): names follow one another without
repetition, stretches and gaps have plausible lengths, and of all divisions that one is taken which agrees best with all
others, each weighted by its probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product

import numpy as np
from scipy.special import logsumexp

from sct_rootlets.correspondence import spinal_middles
from sct_rootlets.levels import level_value

#: Positions along the cord are this far apart.
STEP_MM = 1.0
#: First and last level that is named, C2 and T1; stretches above and below are recognised, and left unnamed.
FIRST, LAST = level_value("C2", "spinal"), level_value("T1", "spinal")
ABOVE, BELOW = FIRST - 1, LAST + 1
N_NAMES = BELOW + 1

#: Length of a stretch, mean and standard deviation: root entry zones measure 10.6-13.6 mm (Kobayashi 2015, Eur Spine J
#: 24:2828), of which the ends are often too thin to be seen.
LENGTH_MM, LENGTH_SD_MM = 10.5, 2.5
SHORTEST_MM, LONGEST_MM = 3.0, 21.0
#: Gap to the next stretch: with the length it makes the 12-17 mm between neighbouring levels of PAM50.
GAP_MM, GAP_SD_MM = 4.0, 2.5
#: Each level that is passed over adds this to the gap, and happens to one level in twenty.
PITCH_MM, MISSED_LOG = 14.5, float(np.log(0.05))
#: Furthest gap that is bridged.
FURTHEST_MM = 50.0
#: How often a root is seen where it attaches, and how often something looks like one elsewhere.
SEEN, MISTAKEN = 0.6, 0.05
#: Where stretches show fewer of their roots than this on average, over the whole cord, none of them is one. On
#: synthetic scans of the training population it was 0.61 and more with rootlets, and about 0.45 without.
CLEAR = 0.5
#: Roots at positions so far apart are seen or missed independently.
INDEPENDENT_MM = 2.5
#: The name of a stretch is worth so many independent observations: its positions err together, and with its neighbours.
OBSERVATIONS = 0.5
#: No evidence makes a name less likely than this: networks are too sure of themselves.
LEAST_PROBABILITY = 0.02
#: Positions that a stretch must explain to be one of its own.
WORTH = 1.0
#: Standard deviation of the place of a spinal level that is expected from discs.
DISC_SD_MM = 4.0


@dataclass(frozen=True)
class Stretch:
    """Where the rootlets of one level attach.

    Attributes
    ----------
    value : int
        Level; 2 is C2.
    rostral_mm, caudal_mm : float
        Arc length of its ends.
    confidence : float
        Posterior probability of the name at its middle, 0 to 1.
    rostral_sd_mm, caudal_sd_mm : float
        Posterior standard deviation of its ends.
    """

    value: int
    rostral_mm: float
    caudal_mm: float
    confidence: float
    rostral_sd_mm: float
    caudal_sd_mm: float


def expected_names(arc: np.ndarray, discs: dict[int, float]) -> np.ndarray:
    """Log-probability of each level at positions along the cord, from where discs lie.

    Parameters
    ----------
    arc : numpy.ndarray, shape (N,)
        mm.
    discs : dict of int to float
        Arc length of each disc in mm, by value; at least two neighbours.

    Returns
    -------
    numpy.ndarray, shape (N, N_NAMES)
    """
    # Discs that are missing continue the row of those that are there, at the usual distance.
    known = sorted(discs)
    everything = np.arange(1, LAST + 2)
    distance = np.median([(discs[b] - discs[a]) / (b - a) for a, b in pairwise(known)] or [17.0])
    placed = np.interp(everything, known, [discs[value] for value in known])
    placed += distance * (np.minimum(everything - known[0], 0) + np.maximum(everything - known[-1], 0))
    middles = spinal_middles(dict(zip(everything.tolist(), placed.tolist(), strict=True)))
    at = np.array([middles[FIRST] - PITCH_MM, *(middles[value] for value in range(FIRST, BELOW))])
    at = np.append(at, at[-1] + PITCH_MM)  # ABOVE, C2 to T1, BELOW
    log = -0.5 * ((arc[:, None] - at) / DISC_SD_MM) ** 2
    log[arc < at[0], 0] = 0
    log[arc > at[-1], -1] = 0
    names = np.full((len(arc), N_NAMES), -np.inf)
    names[:, ABOVE:] = log - logsumexp(log, axis=1, keepdims=True)
    return names


def divide(presence: np.ndarray, names: list[np.ndarray], step_mm: float = STEP_MM) -> list[Stretch]:
    """Divide the cord into stretches of one level each, and gaps.

    Parameters
    ----------
    presence : numpy.ndarray, shape (N,)
        Share of the four roots that are seen at each position, 0 to 1.
    names : list of numpy.ndarray, shape (N, N_NAMES)
        Log-probability of each name at each position, from sources that err independently: column 1 is any level above
        C2, 2 is C2 … 9 is T1, 10 any level below.
    step_mm : float
        Between positions.

    Returns
    -------
    list of Stretch
        From rostral to caudal, positions counted from the first one's beginning; none if no rootlets are seen.
    """
    chain = _Chain(presence, names, step_mm)
    chosen = chain.best()
    if chosen and np.mean(np.concatenate([presence[begin:end] for begin, end, _ in chosen])) < CLEAR:
        return []
    return [chain.describe(begin, end, name) for begin, end, name in chosen if FIRST <= name <= LAST]


class _Chain:
    """Log-probabilities of all divisions; positions are cells of `step_mm`, their borders numbered from 0 to n."""

    def __init__(self, presence: np.ndarray, names: list[np.ndarray], step_mm: float) -> None:
        self.step, self.n = step_mm, len(presence)
        seen, unseen = np.log(SEEN / MISTAKEN), np.log((1 - SEEN) / (1 - MISTAKEN))
        gain = 4 * (presence * seen + (1 - presence) * unseen) * step_mm / INDEPENDENT_MM
        self.gain = np.concatenate([[0.0], np.cumsum(gain)])
        evidence = np.zeros((self.n, N_NAMES - 1))
        for source in names:
            log = np.maximum(source[:, ABOVE:], np.log(LEAST_PROBABILITY))
            evidence += log - logsumexp(log, axis=1, keepdims=True)
        # Against the name that fits best: evidence says what a stretch is called, and rewards neither a stretch for
        # being there nor two for being where one is.
        evidence -= evidence.max(axis=1, keepdims=True)
        self.evidence = np.concatenate([np.zeros((1, N_NAMES - 1)), np.cumsum(evidence, axis=0)])
        self.weight = OBSERVATIONS
        self.lengths = np.arange(max(1, round(SHORTEST_MM / step_mm)), round(LONGEST_MM / step_mm) + 1)
        self.stretches = {end: self._stretches_to(end) for end in range(1, self.n + 1)}
        self.gap_lengths = np.arange(round(FURTHEST_MM / step_mm) + 1)
        self.follows = _follows(self.gap_lengths * step_mm)
        self.before, self.after, self.total = self._forward_backward()

    def _stretches_to(self, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Begins and scores (begins, names) of the stretches that end at a border."""
        lengths = self.lengths[self.lengths <= end]
        begins = end - lengths
        mm = lengths * self.step
        prior = -0.5 * ((mm - LENGTH_MM) / LENGTH_SD_MM) ** 2
        cut = (begins == 0) | (end == self.n)  # the field of view may show a part
        prior = np.where(cut & (mm < LENGTH_MM), 0.0, prior) - np.log(LENGTH_SD_MM * np.sqrt(2 * np.pi) / self.step)
        mean = (self.evidence[end] - self.evidence[begins]) / lengths[:, None]
        # A part of a level shows a part of its evidence.
        weight = self.weight * np.minimum(1, mm / 8.0)
        score = (self.gain[end] - self.gain[begins] + prior)[:, None] + weight[:, None] * mean
        return begins, score

    @cached_property
    def marginals(self) -> np.ndarray:
        """Probability that a stretch of each name covers each position, shape (n, names)."""
        steps = np.zeros((self.n + 1, N_NAMES - 1))
        for end, (begins, score) in self.stretches.items():
            posterior = np.exp(self.before[begins] + score + self.after[end] - self.total)
            steps[begins] += posterior
            steps[end] -= posterior.sum(axis=0)
        return np.cumsum(steps[:-1], axis=0)

    def best(self) -> list[tuple[int, int, int]]:
        """The division that agrees with all divisions at most positions, each counted by its probability.

        It is not the most probable one: where names are in doubt, that one may be right at no position. Each stretch
        must be worth as much as some positions, so that doubt between two names does not split one.

        Returns
        -------
        list of (int, int, int)
            Begin and end borders and name of each stretch.
        """
        n_names = N_NAMES - 1
        gap = 1 - self.marginals.sum(axis=1)
        # States: in a stretch of name k: k; before all of them: n_names; in a gap after one of name k: n_names + 1 + k.
        allowed = np.zeros((2 * n_names + 1, 2 * n_names + 1), dtype=bool)
        names = np.arange(n_names)
        again = np.isin(names, (0, n_names - 1))
        follows = (names[None, :] > names[:, None]) | np.diag(again)
        allowed[:n_names, :n_names] = follows | np.eye(n_names, dtype=bool)
        allowed[:n_names, n_names + 1 :] = np.eye(n_names, dtype=bool)
        allowed[n_names, : n_names + 1] = True
        allowed[n_names + 1 :, :n_names] = follows
        allowed[n_names + 1 :, n_names + 1 :] = np.eye(n_names, dtype=bool)
        cost = np.where(allowed, 0.0, -np.inf)
        cost[:, :n_names] -= WORTH * ~np.eye(2 * n_names + 1, n_names, dtype=bool)
        gains = np.concatenate([self.marginals, np.repeat(gap[:, None], n_names + 1, axis=1)], axis=1)
        score = np.where(np.arange(2 * n_names + 1) <= n_names, gains[0], -np.inf)
        score[:n_names] -= WORTH
        came_from = []
        for gain in gains[1:]:
            total = score[:, None] + cost
            came_from.append(total.argmax(axis=0))
            score = total.max(axis=0) + gain
        states = [int(score.argmax())]
        for origin in reversed(came_from):
            states.append(int(origin[states[-1]]))
        states = [state if state < n_names else -1 for state in reversed(states)]
        borders = [0, *(i for i in range(1, self.n) if states[i] != states[i - 1]), self.n]
        return [(a, b, states[a] + ABOVE) for a, b in pairwise(borders) if states[a] >= 0]

    def describe(self, begin: int, end: int, name: int) -> Stretch:
        """A stretch of the best division, with what all other divisions say of it."""
        middle, column = (begin + end) // 2, name - ABOVE
        begins, ends, weights = [], [], []
        for other in range(middle + 1, min(self.n, middle + self.lengths[-1]) + 1):
            starts, score = self.stretches[other]
            over = starts <= middle
            posterior = np.exp(
                self.before[starts[over], column] + score[over, column] + self.after[other, column] - self.total
            )
            begins.append(starts[over])
            ends.append(np.full(over.sum(), other))
            weights.append(posterior)
        weight = np.concatenate(weights)
        confidence = float(weight.sum())
        spread = []
        for borders in (np.concatenate(begins), np.concatenate(ends)):
            mean = (weight * borders).sum() / max(confidence, 1e-12)
            variance = (weight * (borders - mean) ** 2).sum() / max(confidence, 1e-12)
            spread.append(float(self.step * np.sqrt(variance + 1 / 12)))
        return Stretch(name, begin * self.step, end * self.step, min(confidence, 1.0), *spread)

    def _forward_backward(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Sums over all ways to arrive at a stretch, over all to go on after it, and over everything."""
        shape = (self.n + 1, N_NAMES - 1)
        ending, before = np.full(shape, -np.inf), np.zeros(shape)
        for border in range(self.n + 1):
            if border and len(self.stretches[border][0]):
                begins, score = self.stretches[border]
                ending[border] = logsumexp(before[begins] + score, axis=0)
            gaps = self.gap_lengths[self.gap_lengths <= border]
            reach = (ending[border - gaps][:, :, None] + self.follows[gaps]).reshape(-1, N_NAMES - 1)
            before[border] = np.logaddexp(0, logsumexp(reach, axis=0))
        beginning, after = np.full(shape, -np.inf), np.zeros(shape)
        for border in range(self.n, -1, -1):
            gaps = self.gap_lengths[self.gap_lengths <= self.n - border]
            reach = (beginning[border + gaps][:, None, :] + self.follows[gaps]).transpose(0, 2, 1)
            after[border] = np.logaddexp(0, logsumexp(reach.reshape(-1, N_NAMES - 1), axis=0))
            if border:
                begins, score = self.stretches[border]
                beginning[begins] = np.logaddexp(beginning[begins], score + after[border])
        return before, after, float(np.logaddexp(0, logsumexp(ending)))


def _follows(gap_mm: np.ndarray) -> np.ndarray:
    """Log-probability that a stretch of one name is followed by one of another after a gap, (gaps, names, names)."""
    log = np.full((len(gap_mm), N_NAMES - 1, N_NAMES - 1), -np.inf)
    spacing = gap_mm[1] - gap_mm[0]
    for one, other in product(range(N_NAMES - 1), repeat=2):
        apart = other - one
        if one == other and one in (0, N_NAMES - 2):
            apart = 1  # there are several levels above, and below
        if apart < 1:
            continue
        spread = GAP_SD_MM * np.sqrt(apart)
        deviation = (gap_mm - GAP_MM - PITCH_MM * (apart - 1)) / spread
        log[:, one, other] = -0.5 * deviation**2 - np.log(spread * np.sqrt(2 * np.pi) / spacing)
        log[:, one, other] += MISSED_LOG * (apart - 1)
    return log
