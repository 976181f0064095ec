"""The level of each root along the cord: one explanation of the whole cord at once.

A network names each voxel from its surroundings and errs in short fields of view, one voxel up and the next voxel down.
Here the cord is divided, from rostral to caudal, into segments, along each of which the rootlets of one level attach,
and gaps between them. Rootlets alone decide where a segment lies; evidence, from networks or from discs, only decides
its name. The model is a hidden semi-Markov model (Yu 2010, doi 10.1016/j.artint.2009.11.011): names follow one another
without repetition, and segments and gaps have plausible lengths. The division that is returned agrees best with all
possible divisions, each weighted by its probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product

import numpy as np
from scipy.special import logsumexp

from sct_rootlets.correspondence import LEVEL_PITCH_MM
from sct_rootlets.levels import ABOVE_C2, BELOW_T1, FIRST_NAMED, LAST_NAMED, N_NAMES, Level
from sct_rootlets.segmentation.evidence import CELL_MM, NameEvidence

#: Length of a segment, mean and standard deviation: root entry zones measure 10.6-13.6 mm (Kobayashi 2015, Eur Spine J
#: 24:2828), of which the ends are often too thin to be seen.
MEAN_LENGTH_MM, LENGTH_SD_MM = 10.5, 2.5
MIN_LENGTH_MM, MAX_LENGTH_MM = 3.0, 21.0
#: Gap to the next segment: with the length it makes the 12-17 mm between neighbouring levels of PAM50.
MEAN_GAP_MM, GAP_SD_MM = 4.0, 2.5
#: One level in twenty is missed. Each missed level adds `LEVEL_PITCH_MM` to the gap.
MISSED_LOG_PROBABILITY = float(np.log(0.05))
MAX_GAP_MM = 50.0
#: Probability that a root is detected where it attaches, and that something else is detected elsewhere.
DETECTION_RATE, FALSE_POSITIVE_RATE = 0.6, 0.05
#: Segments whose roots are detected less than this, on average over the whole cord, are no levels. On synthetic
#: scans of the training population this mean was 0.61 and more with rootlets, and about 0.45 without.
MIN_MEAN_PRESENCE = 0.5
#: Detections this far apart are independent.
INDEPENDENCE_MM = 2.5
#: Evidence for the name of a segment counts as this many independent observations: evidence at neighbouring positions
#: errs alike.
NAME_EVIDENCE_WEIGHT = 0.5
#: A segment shorter than this shows a part of its level, and its evidence counts in proportion.
FULL_EVIDENCE_LENGTH_MM = 8.0
#: Evidence never makes a name less probable than this, because networks are overconfident.
MIN_NAME_PROBABILITY = 0.02
#: Number of positions that a segment must explain to be worth having.
SEGMENT_PENALTY = 1.0

_N_COLUMNS = N_NAMES - ABOVE_C2  # names from ABOVE_C2 on


@dataclass(frozen=True)
class Unnamed:
    """Where roots attach that lie above C2 or below T1.

    Attributes
    ----------
    value : int
        `ABOVE_C2` or `BELOW_T1`.
    rostral_mm, caudal_mm : float
    """

    value: int
    rostral_mm: float
    caudal_mm: float


@dataclass(frozen=True)
class Division:
    """The cord divided into segments along which the roots of one level attach, from rostral to caudal.

    Attributes
    ----------
    levels : tuple of Level
        With `Level.confidence`; positions are in mm from the beginning of the first cell.
    unnamed : tuple of Unnamed
        Segments above C2 and below T1.
    """

    levels: tuple[Level, ...] = ()
    unnamed: tuple[Unnamed, ...] = ()


def decode_levels(presence: np.ndarray, evidence: Sequence[NameEvidence], cell_mm: float = CELL_MM) -> Division:
    """Divide the cord into one segment a level, and gaps.

    Parameters
    ----------
    presence : numpy.ndarray, shape (N,)
        Share of the four roots that are detected in each cell along the cord, 0 to 1.
    evidence : sequence of NameEvidence
        Log-probabilities of names in the same cells, from sources that err independently.
    cell_mm : float
        Length of a cell in mm.

    Returns
    -------
    Division
        Empty if no rootlets are detected.
    """
    model = _SemiMarkovModel(presence, evidence, cell_mm)
    segments = model.posterior_decode()
    if segments:
        within = np.concatenate([presence[begin:end] for begin, end, _ in segments])
        if np.mean(within) < MIN_MEAN_PRESENCE:
            return Division()
    named = [segment for segment in segments if FIRST_NAMED <= segment[2] <= LAST_NAMED]
    return Division(
        levels=tuple(model.level_with_uncertainty(*segment) for segment in named),
        unnamed=tuple(
            Unnamed(name, begin * cell_mm, end * cell_mm)
            for begin, end, name in segments
            if name in (ABOVE_C2, BELOW_T1)
        ),
    )


class _SemiMarkovModel:
    """Log-probabilities of all divisions of N cells; borders between cells are numbered from 0 to N."""

    def __init__(self, presence: np.ndarray, evidence: Sequence[NameEvidence], cell_mm: float) -> None:
        self.cell_mm, self.n = cell_mm, len(presence)
        detected = np.log(DETECTION_RATE / FALSE_POSITIVE_RATE)
        undetected = np.log((1 - DETECTION_RATE) / (1 - FALSE_POSITIVE_RATE))
        gain = 4 * (presence * detected + (1 - presence) * undetected) * cell_mm / INDEPENDENCE_MM
        self.gain = np.concatenate([[0.0], np.cumsum(gain)])
        names = np.zeros((self.n, _N_COLUMNS))
        for source in evidence:
            log = np.maximum(source.log_probability[:, ABOVE_C2:], np.log(MIN_NAME_PROBABILITY))
            names += log - logsumexp(log, axis=1, keepdims=True)
        # Relative to the most probable name: evidence decides what a segment is called, and must reward neither the
        # presence of a segment nor the splitting of one.
        names -= names.max(axis=1, keepdims=True)
        self.names = np.concatenate([np.zeros((1, _N_COLUMNS)), np.cumsum(names, axis=0)])
        self.lengths = np.arange(max(1, round(MIN_LENGTH_MM / cell_mm)), round(MAX_LENGTH_MM / cell_mm) + 1)
        self.segments = {end: self._segments_ending_at(end) for end in range(1, self.n + 1)}
        self.gap_lengths = np.arange(round(MAX_GAP_MM / cell_mm) + 1)
        self.transitions = _transition_log_probability(self.gap_lengths * cell_mm)
        self.forward, self.backward, self.log_evidence = self._forward_backward()

    def _segments_ending_at(self, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Begins and scores, shape (begins, names), of the segments that end at a border."""
        lengths = self.lengths[self.lengths <= end]
        begins = end - lengths
        mm = lengths * self.cell_mm
        prior = -0.5 * ((mm - MEAN_LENGTH_MM) / LENGTH_SD_MM) ** 2
        cut = (begins == 0) | (end == self.n)  # the field of view may show a part of the level
        prior = np.where(cut & (mm < MEAN_LENGTH_MM), 0.0, prior)
        prior = prior - np.log(LENGTH_SD_MM * np.sqrt(2 * np.pi) / self.cell_mm)
        # The middle of a segment is named: its ends may lie nearer to the usual place of a neighbour.
        rim = 3 * lengths // 8
        mean = (self.names[end - rim] - self.names[begins + rim]) / (lengths - 2 * rim)[:, None]
        weight = NAME_EVIDENCE_WEIGHT * np.minimum(1, mm / FULL_EVIDENCE_LENGTH_MM)
        score = (self.gain[end] - self.gain[begins] + prior)[:, None] + weight[:, None] * mean
        return begins, score

    @cached_property
    def marginals(self) -> np.ndarray:
        """Probability that a segment of each name covers each cell, shape (N, names)."""
        steps = np.zeros((self.n + 1, _N_COLUMNS))
        for end, (begins, score) in self.segments.items():
            posterior = np.exp(self.forward[begins] + score + self.backward[end] - self.log_evidence)
            steps[begins] += posterior
            steps[end] -= posterior.sum(axis=0)
        return np.cumsum(steps[:-1], axis=0)

    def posterior_decode(self) -> list[tuple[int, int, int]]:
        """Find the division that agrees with all divisions in most cells, each weighted by its probability.

        This is not the most probable division: where names are in doubt, that one may be right in no cell. Each
        segment must explain `SEGMENT_PENALTY` cells, so that doubt between two names does not split a segment.

        Returns
        -------
        list of (int, int, int)
            Begin and end borders and name of each segment.
        """
        n_names = _N_COLUMNS
        gap = 1 - self.marginals.sum(axis=1)
        # States: k: in a segment of name k; n_names: above all segments; n_names + 1 + k: in a gap below name k.
        allowed = np.zeros((2 * n_names + 1, 2 * n_names + 1), dtype=bool)
        names = np.arange(n_names)
        repeatable = np.isin(names, (0, n_names - 1))
        may_follow = (names[None, :] > names[:, None]) | np.diag(repeatable)
        allowed[:n_names, :n_names] = may_follow | np.eye(n_names, dtype=bool)
        allowed[:n_names, n_names + 1 :] = np.eye(n_names, dtype=bool)
        allowed[n_names, : n_names + 1] = True
        allowed[n_names + 1 :, :n_names] = may_follow
        allowed[n_names + 1 :, n_names + 1 :] = np.eye(n_names, dtype=bool)
        cost = np.where(allowed, 0.0, -np.inf)
        cost[:, :n_names] -= SEGMENT_PENALTY * ~np.eye(2 * n_names + 1, n_names, dtype=bool)
        gains = np.concatenate([self.marginals, np.repeat(gap[:, None], n_names + 1, axis=1)], axis=1)
        score = np.where(np.arange(2 * n_names + 1) <= n_names, gains[0], -np.inf)
        score[:n_names] -= SEGMENT_PENALTY
        origins = []
        for gain in gains[1:]:
            total = score[:, None] + cost
            origins.append(total.argmax(axis=0))
            score = total.max(axis=0) + gain
        states = [int(score.argmax())]
        for origin in reversed(origins):
            states.append(int(origin[states[-1]]))
        states = [state if state < n_names else -1 for state in reversed(states)]
        borders = [0, *(i for i in range(1, self.n) if states[i] != states[i - 1]), self.n]
        return [(a, b, states[a] + ABOVE_C2) for a, b in pairwise(borders) if states[a] >= 0]

    def level_with_uncertainty(self, begin: int, end: int, name: int) -> Level:
        """Turn a segment of the decoded division into a level, with the uncertainty that all divisions give it."""
        middle, column = (begin + end) // 2, name - ABOVE_C2
        begins, ends, weights = [], [], []
        for other_end in range(middle + 1, min(self.n, middle + self.lengths[-1]) + 1):
            starts, score = self.segments[other_end]
            over = starts <= middle
            log_posterior = self.forward[starts[over], column] + score[over, column] + self.backward[other_end, column]
            begins.append(starts[over])
            ends.append(np.full(over.sum(), other_end))
            weights.append(np.exp(log_posterior - self.log_evidence))
        weight = np.concatenate(weights)
        confidence = float(weight.sum())
        deviations_mm = []
        for borders in (np.concatenate(begins), np.concatenate(ends)):
            mean = (weight * borders).sum() / max(confidence, 1e-12)
            variance = (weight * (borders - mean) ** 2).sum() / max(confidence, 1e-12)
            deviations_mm.append(float(self.cell_mm * np.sqrt(variance + 1 / 12)))
        rostral_sd_mm, caudal_sd_mm = deviations_mm
        return Level(
            name,
            "spinal",
            begin * self.cell_mm,
            end * self.cell_mm,
            rostral_sd_mm,
            caudal_sd_mm,
            confidence=min(confidence, 1.0),
        )

    def _forward_backward(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Sum over all divisions above each border, over all below it, and over all of the cord."""
        shape = (self.n + 1, _N_COLUMNS)
        onwards = np.exp(self.transitions)  # gaps, names above, names below
        back = np.ascontiguousarray(onwards.transpose(0, 2, 1))
        ending, forward = np.full(shape, -np.inf), np.zeros(shape)
        for border in range(self.n + 1):
            if border and len(self.segments[border][0]):
                begins, score = self.segments[border]
                ending[border] = _log_sum_exp(forward[begins] + score)
            gaps = self.gap_lengths[self.gap_lengths <= border]
            forward[border] = np.logaddexp(0, _log_product(ending[border - gaps], onwards))
        beginning, backward = np.full(shape, -np.inf), np.zeros(shape)
        for border in range(self.n, -1, -1):
            gaps = self.gap_lengths[self.gap_lengths <= self.n - border]
            backward[border] = np.logaddexp(0, _log_product(beginning[border + gaps], back))
            if border:
                begins, score = self.segments[border]
                beginning[begins] = np.logaddexp(beginning[begins], score + backward[border])
        return forward, backward, float(np.logaddexp(0, logsumexp(ending)))


def _log_sum_exp(values: np.ndarray) -> np.ndarray:
    """Sum probabilities over the first axis by their logarithms; faster than scipy's for small arrays."""
    top = values.max(axis=0)
    top[top == -np.inf] = 0.0
    with np.errstate(divide="ignore"):
        return top + np.log(np.exp(values - top).sum(axis=0))


def _log_product(logs: np.ndarray, transitions: np.ndarray) -> np.ndarray:
    """Multiply probabilities, given by their logarithms, by those of transitions, and sum over gaps and names.

    What is improbable by more than the range of numbers is lost: it changes no sum.

    Parameters
    ----------
    logs : numpy.ndarray, shape (G, names)
    transitions : numpy.ndarray, shape (at least G, names, names)

    Returns
    -------
    numpy.ndarray, shape (names,)
        Logarithms.
    """
    top = logs.max()
    if top == -np.inf:
        return np.full(logs.shape[1], -np.inf)
    with np.errstate(divide="ignore"):
        return top + np.log(np.exp(logs - top).ravel() @ transitions[: len(logs)].reshape(-1, logs.shape[1]))


def _transition_log_probability(gap_mm: np.ndarray) -> np.ndarray:
    """Compute the log-probability that one name follows another after a gap, shape (gaps, names, names)."""
    log = np.full((len(gap_mm), _N_COLUMNS, _N_COLUMNS), -np.inf)
    spacing = gap_mm[1] - gap_mm[0]
    for upper, lower in product(range(_N_COLUMNS), repeat=2):
        levels_apart = lower - upper
        if upper == lower and upper in (0, _N_COLUMNS - 1):
            levels_apart = 1  # the names above C2 and below T1 stand for several levels
        if levels_apart < 1:
            continue
        spread = GAP_SD_MM * np.sqrt(levels_apart)
        deviation = (gap_mm - MEAN_GAP_MM - LEVEL_PITCH_MM * (levels_apart - 1)) / spread
        log[:, upper, lower] = -0.5 * deviation**2 - np.log(spread * np.sqrt(2 * np.pi) / spacing)
        log[:, upper, lower] += MISSED_LOG_PROBABILITY * (levels_apart - 1)
    return log
