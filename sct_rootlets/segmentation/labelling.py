"""Level names that respect anatomy: one explanation of the whole cord at once.

A network names each voxel from what is around it and errs in short fields of view, one voxel this way and the next
that. Here, groups of rootlets along the cord are named together: names follow one another without repetition, groups
of neighbouring names lie about a segment apart, and the names on which the evidence agrees best win. Rootlets alone say
where a group is; evidence, from the network or from discs, only says what it is called.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sct_rootlets.levels import FIRST_ROOTLET, LAST_ROOTLET

#: Distance between the midpoints of neighbouring cervical levels: 12-17 mm in PAM50. Its standard deviation allows for
#: people of other sizes and for groups of which a part was not found.
PITCH_MM, PITCH_SD_MM = 14.5, 3.0
#: A group of so many voxels counts as so many independent observations of its name; a smaller one counts less.
#: Voxels of a group err together, so that the observations are few.
LARGE_GROUP, OBSERVATIONS = 20, 3.0
#: Log-probability, for each observation, that a group of rootlets is none of its own (a piece of a neighbour, or
#: no rootlets): a large group is a level, whatever it is called.
SPURIOUS_LOG = -6.0
#: No evidence makes a name less likely than this for a voxel: networks are too sure of themselves.
LEAST_PROBABILITY = 0.05


@dataclass(frozen=True)
class Group:
    """Rootlets that lie together along the cord.

    Attributes
    ----------
    middle_mm : float
        Arc length of their middle.
    weight : float
        How much evidence there is, in independent observations.
    log_evidence : numpy.ndarray, shape (LAST_ROOTLET + 1,)
        Mean log-probability of each level value over the group's voxels.
    """

    middle_mm: float
    weight: float
    log_evidence: np.ndarray


@dataclass(frozen=True)
class Naming:
    """Names for groups of rootlets.

    Attributes
    ----------
    values : tuple of int
        Level of each group; 0 for a group that is none of its own.
    confidence : tuple of float
        Posterior probability of each name, over all sequences of names; 0 to 1.
    """

    values: tuple[int, ...]
    confidence: tuple[float, ...]


def group_evidence(middle_mm: float, probability: np.ndarray) -> Group:
    """Make a group of the network's probabilities at its voxels.

    Parameters
    ----------
    middle_mm : float
        Arc length of the group's middle.
    probability : numpy.ndarray, shape (N, n_values)
        Of each level value (column 2 is C2), for each voxel; columns 0 and 1 are ignored.
    """
    clipped = np.full((len(probability), LAST_ROOTLET + 1), LEAST_PROBABILITY)
    n_values = min(probability.shape[1], LAST_ROOTLET + 1)
    clipped[:, FIRST_ROOTLET:n_values] = np.maximum(probability[:, FIRST_ROOTLET:n_values], LEAST_PROBABILITY)
    weight = OBSERVATIONS * min(1.0, len(probability) / LARGE_GROUP)
    return Group(middle_mm, weight, np.log(clipped).mean(axis=0))


def name_groups(groups: list[Group], prior: np.ndarray | None = None) -> Naming:
    """Name groups of rootlets along the cord, all at once.

    A hidden Markov model over the groups from rostral to caudal: a group bears a name below those of all groups above
    it, or is spurious; the distance between two named groups is that of their names, give or take; the most probable
    sequence of names wins (Viterbi 1967, doi 10.1109/TIT.1967.1054010), and the forward-backward sums give how probable
    each name is.

    Parameters
    ----------
    groups : list of Group
        In any order.
    prior : numpy.ndarray, shape (n_groups, LAST_ROOTLET + 1), optional
        Further log-evidence for each name of each group, such as from discs.

    Returns
    -------
    Naming
        In the order of the groups given.
    """
    if not groups:
        return Naming((), ())
    order = np.argsort([group.middle_mm for group in groups], kind="stable")
    middles = np.array([groups[i].middle_mm for i in order])
    evidence = np.stack([groups[i].weight * groups[i].log_evidence for i in order])
    if prior is not None:
        evidence = evidence + np.asarray(prior)[order]
    evidence = evidence[:, FIRST_ROOTLET:]
    evidence = evidence - _log_sum(evidence)[:, None]  # of a group's names, one is right

    spurious = SPURIOUS_LOG * np.array([groups[i].weight for i in order])
    chosen = _most_probable(middles, evidence, spurious)
    posterior = _posterior(middles, evidence, spurious)
    values, confidence = [0] * len(groups), [0.0] * len(groups)
    for place, index in enumerate(order):
        name = chosen[place]
        values[index] = 0 if name is None else FIRST_ROOTLET + name
        confidence[index] = float(1 - posterior[place].sum()) if name is None else float(posterior[place, name])
    return Naming(tuple(values), tuple(confidence))


def _step(distance_mm: float, n_names: int) -> np.ndarray:
    """Log-probability density of the distance from a group of one name to one of another, shape (names, names)."""
    names = np.arange(n_names)
    apart = names[None, :] - names[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = (distance_mm - PITCH_MM * apart) / (PITCH_SD_MM * np.sqrt(apart))
        # Each level that is passed over was not found, which happens to one in about twenty.
        log = -0.5 * deviation**2 - 0.5 * np.log(apart) - 3.0 * (apart - 1)
    return np.where(apart > 0, log, -np.inf)


def _most_probable(middles: np.ndarray, evidence: np.ndarray, spurious: np.ndarray) -> list[int | None]:
    """The best sequence of names; None for a spurious group."""
    n_groups, n_names = evidence.shape
    passed = np.concatenate([[0.0], np.cumsum(spurious)])  # log-probability that all groups before are spurious
    score = np.empty_like(evidence)  # of the best sequence that gives group i the name k
    came_from: list[list[tuple[int, int] | None]] = []
    for i in range(n_groups):
        best = np.full(n_names, passed[i])
        origin: list[tuple[int, int] | None] = [None] * n_names
        for j in range(i):
            through = score[j][:, None] + _step(middles[i] - middles[j], n_names) + passed[i] - passed[j + 1]
            for k in map(int, np.flatnonzero(through.max(axis=0) > best)):
                best[k] = through[:, k].max()
                origin[k] = (j, int(through[:, k].argmax()))
        score[i] = best + evidence[i]
        came_from.append(origin)
    ends = score + (passed[-1] - passed[1:])[:, None]
    chosen: list[int | None] = [None] * n_groups
    if ends.max() < passed[-1]:
        return chosen
    last = np.unravel_index(ends.argmax(), ends.shape)
    place: tuple[int, int] | None = (int(last[0]), int(last[1]))
    while place is not None:
        chosen[place[0]] = place[1]
        place = came_from[place[0]][place[1]]
    return chosen


def _posterior(middles: np.ndarray, evidence: np.ndarray, spurious: np.ndarray) -> np.ndarray:
    """Probability of each name of each group, summed over all sequences, shape (groups, names)."""
    n_groups, n_names = evidence.shape
    passed = np.concatenate([[0.0], np.cumsum(spurious)])
    forward, backward = np.empty_like(evidence), np.empty_like(evidence)
    for i in range(n_groups):
        paths = [np.full(n_names, passed[i])]
        for j in range(i):
            step = _step(middles[i] - middles[j], n_names) + passed[i] - passed[j + 1]
            paths.append(_log_sum((forward[j][:, None] + step).T))
        forward[i] = _log_sum(np.stack(paths, axis=1)) + evidence[i]
    for i in reversed(range(n_groups)):
        paths = [np.full(n_names, passed[-1] - passed[i + 1])]
        for j in range(i + 1, n_groups):
            step = _step(middles[j] - middles[i], n_names) + passed[j] - passed[i + 1]
            paths.append(_log_sum(step + (backward[j] + evidence[j])[None, :]))
        backward[i] = _log_sum(np.stack(paths, axis=1))
    after = (passed[-1] - passed[1:])[:, None]
    total = _log_sum(np.append((forward + after).ravel(), passed[-1])[None])[0]
    return np.exp(forward + backward - total)


def _log_sum(values: np.ndarray) -> np.ndarray:
    """Logarithm of the sum of exponentials along the last axis."""
    largest = values.max(axis=-1, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(values - largest).sum(axis=-1)) + largest[..., 0]
