from itertools import pairwise, product

import numpy as np
import pytest

from sct_rootlets.levels import FIRST_ROOTLET, LAST_ROOTLET
from sct_rootlets.segmentation.labelling import (
    SPURIOUS_LOG,
    Group,
    _posterior,
    _step,
    group_evidence,
    name_groups,
)


def voxels(value, share=0.9, n=40):
    """Probabilities of a network that is mostly sure of one level."""
    probability = np.full((n, 11), (1 - share) / 10)
    probability[:, value] = share
    return probability


def groups_at(positions, said):
    return [group_evidence(at, voxels(value)) for at, value in zip(positions, said, strict=True)]


PITCH = [10.0, 24.0, 39.0, 53.0, 68.0, 82.0]


def test_right_names_stay():
    naming = name_groups(groups_at(PITCH, range(3, 9)))
    assert naming.values == (3, 4, 5, 6, 7, 8)
    assert min(naming.confidence) > 0.99


def test_a_wrong_name_among_right_ones_is_corrected():
    assert name_groups(groups_at(PITCH, (3, 4, 4, 6, 7, 8))).values == (3, 4, 5, 6, 7, 8)
    assert name_groups(groups_at(PITCH, (3, 5, 4, 6, 7, 8))).values == (3, 4, 5, 6, 7, 8)
    assert name_groups(groups_at(PITCH, (3, 4, 5, 6, 7, 7))).values == (3, 4, 5, 6, 7, 8)


def test_order_of_the_groups_does_not_matter():
    groups = groups_at(PITCH, (3, 4, 5, 6, 7, 8))
    shuffled = [groups[i] for i in (3, 0, 5, 1, 4, 2)]
    assert name_groups(shuffled).values == (6, 3, 8, 4, 7, 5)


def test_a_level_that_was_not_found_stays_missing():
    assert name_groups(groups_at([10, 24, 53, 68], (3, 4, 6, 7))).values == (3, 4, 6, 7)


def test_distance_names_a_group_that_nobody_knows():
    unknown = group_evidence(53.0, np.full((40, 11), 1 / 11))
    groups = groups_at([10, 24, 39], (3, 4, 5))
    naming = name_groups([*groups, unknown])
    assert naming.values[-1] == 6
    assert naming.confidence[-1] < min(naming.confidence[:-1])


def test_a_piece_between_two_levels_is_none_of_its_own():
    groups = groups_at([10, 24, 39], (3, 4, 5))
    stray = group_evidence(31.0, voxels(4, n=3))
    assert name_groups([*groups, stray]).values == (3, 4, 5, 0)


def test_discs_may_choose_the_number_but_not_the_place():
    groups = groups_at([10, 24], (4, 5))
    prior = np.zeros((2, LAST_ROOTLET + 1))
    assert name_groups(groups, prior).values == (4, 5)
    prior[0, 5] = prior[1, 6] = 60.0
    assert name_groups(groups, prior).values == (5, 6)


def test_names_in_a_window_are_those_of_the_whole():
    """Where the evidence of a group is what it is, leaving out its neighbours does not rename it."""
    said = (3, 4, 4, 6, 7, 8)
    whole = name_groups(groups_at(PITCH, said)).values
    for first, last in ((0, 4), (1, 5), (2, 6)):
        part = name_groups(groups_at(PITCH[first:last], said[first:last])).values
        assert part == whole[first:last]


def test_no_groups_no_names():
    assert name_groups([]).values == ()


def every_sequence(groups):
    """Log-probability of every way to name the groups, without dynamic programming."""
    middles = [group.middle_mm for group in groups]
    evidence = np.stack([group.weight * group.log_evidence for group in groups])[:, FIRST_ROOTLET:]
    evidence = evidence - np.log(np.exp(evidence).sum(axis=1, keepdims=True))
    n_names = evidence.shape[1]
    for names in product([None, *range(n_names)], repeat=len(groups)):
        used = [(i, k) for i, k in enumerate(names) if k is not None]
        log = sum(evidence[i, k] for i, k in used)
        log += sum(SPURIOUS_LOG * group.weight for group, k in zip(groups, names, strict=True) if k is None)
        for (i, k), (j, m) in pairwise(used):
            log += _step(middles[j] - middles[i], n_names)[k, m]
        yield names, log


@pytest.mark.parametrize("seed", range(3))
def test_against_every_sequence(seed, monkeypatch):
    """With names cut to C2-C8, all 8^4 ways to name four groups can be counted."""
    import sct_rootlets.segmentation.labelling as labelling

    monkeypatch.setattr(labelling, "LAST_ROOTLET", 8)
    rng = np.random.default_rng(seed)
    middles = np.cumsum(rng.uniform(3, 20, 4))
    groups = [Group(at, rng.uniform(0.3, 3), np.log(rng.dirichlet(np.full(9, 0.4)) + 0.01)) for at in middles]
    sequences = dict(every_sequence(groups))
    best = max(sequences, key=sequences.get)
    naming = name_groups(groups)
    assert naming.values == tuple(0 if name is None else FIRST_ROOTLET + name for name in best)

    logs = np.array(list(sequences.values()))
    probability = np.exp(logs - logs.max())
    probability /= probability.sum()
    evidence = np.stack([group.weight * group.log_evidence for group in groups])[:, FIRST_ROOTLET:]
    evidence = evidence - np.log(np.exp(evidence).sum(axis=1, keepdims=True))
    posterior = _posterior(middles, evidence, SPURIOUS_LOG * np.array([group.weight for group in groups]))
    for i, k in product(range(4), range(7)):
        expected = sum(p for names, p in zip(sequences, probability, strict=True) if names[i] == k)
        assert posterior[i, k] == pytest.approx(expected, abs=1e-9)
