from itertools import pairwise, product

import numpy as np
import pytest
from scipy.special import logsumexp

from sct_rootlets.levels import ABOVE_C2, BELOW_T1, FIRST_NAMED, N_NAMES
from sct_rootlets.segmentation.decode import (
    DETECTION_RATE,
    FALSE_POSITIVE_RATE,
    SEGMENT_PENALTY,
    Division,
    _SemiMarkovModel,
    decode_levels,
)
from sct_rootlets.segmentation.evidence import NameEvidence

#: Segments of C2 to T1 as in a cord of usual size: 11 mm each, 15 mm apart.
TRUE = [(10 + 15 * i, 21 + 15 * i, FIRST_NAMED + i) for i in range(8)]
LENGTH = 140


def presence_of(segments, length=LENGTH, seen=0.9, elsewhere=0.05):
    presence = np.full(length, elsewhere)
    for begin, end, _ in segments:
        presence[begin:end] = seen
    return presence


def names_around(middles, length=LENGTH, sd=5.0, shift=0.0):
    """Evidence as from vertebrae: how near each position is to where each level is expected."""
    at = np.arange(length) + 0.5
    log = np.full((length, N_NAMES), -np.inf)
    for value, middle in middles.items():
        log[:, value] = -0.5 * ((at - middle - shift) / sd) ** 2
    return NameEvidence("test", log - logsumexp(log, axis=1, keepdims=True))


MIDDLES = {name: (begin + end) / 2 for begin, end, name in TRUE}


def found(division):
    return [(level.rostral_mm, level.caudal_mm, level.value) for level in division.levels]


def test_clear_segments_are_found_and_named():
    segments = decode_levels(presence_of(TRUE), [names_around(MIDDLES)])
    assert found(segments) == TRUE
    assert min(one.confidence for one in segments.levels) > 0.95


def test_names_follow_the_evidence_and_positions_do_not():
    """Evidence that is shifted by a whole segment gives other names to the same segments."""
    segments = decode_levels(presence_of(TRUE[:5]), [names_around(MIDDLES, shift=-15)])
    assert found(segments) == [(begin, end, name + 1) for begin, end, name in TRUE[:5]]
    for shift in (-5, 5):
        assert found(decode_levels(presence_of(TRUE), [names_around(MIDDLES, shift=shift)])) == TRUE


def test_a_level_that_is_missing_is_a_missing_level():
    there = [one for one in TRUE if one[2] != 5]
    assert found(decode_levels(presence_of(there), [names_around(MIDDLES)])) == there


def test_nothing_comes_of_nothing():
    assert decode_levels(presence_of([]), [names_around(MIDDLES)]) == Division()
    specks = presence_of([])
    specks[::25] = 0.5
    assert decode_levels(specks, [names_around(MIDDLES)]) == Division()


def test_where_roots_are_hardly_seen_anywhere_there_are_none():
    faint, names = presence_of(TRUE), [names_around(MIDDLES)]
    assert len(decode_levels(faint * 0.75, names).levels) == len(TRUE)
    assert decode_levels(faint * 0.4, names) == Division()


def test_levels_that_are_not_named_are_left_out():
    """Thoracic rootlets below T1 are segments of their own, not T1."""
    more = [*TRUE[4:], (130, 139, BELOW_T1)]
    middles = {**MIDDLES, ABOVE_C2: 0.0, BELOW_T1: 135.0}
    division = decode_levels(presence_of(more), [names_around(middles)])
    assert found(division) == TRUE[4:]
    (below,) = division.unnamed
    assert (below.value, below.rostral_mm, below.caudal_mm) == (BELOW_T1, 130, 139)


def test_a_segment_that_the_field_of_view_cuts_is_still_one():
    presence = presence_of(TRUE)[15:]  # begins within C2
    segments = decode_levels(presence, [NameEvidence("test", names_around(MIDDLES).log_probability[15:])])
    assert found(segments)[0] == (0, 6, 2)


def test_doubt_shows():
    """Two names that fit equally well are equally probable; a blurred end has a large deviation."""
    even, presence = names_around({4: 50.0, 5: 50.0}), presence_of([(45, 56, 4)])
    (one,) = decode_levels(presence, [even]).levels
    names = _SemiMarkovModel(presence, [even], 1.0).marginals[50]
    four, five = names[[4 - ABOVE_C2, 5 - ABOVE_C2]]
    assert four == pytest.approx(five)
    assert one.confidence == pytest.approx(four)
    assert 0.2 < four < 0.5
    assert four > 2 * np.delete(names, [4 - ABOVE_C2, 5 - ABOVE_C2]).max()
    blurred = presence_of([(45, 56, 4)])
    for_it, against = (
        np.log(DETECTION_RATE / FALSE_POSITIVE_RATE),
        np.log((1 - FALSE_POSITIVE_RATE) / (1 - DETECTION_RATE)),
    )
    blurred[37:45] = against / (for_it + against)  # speaks neither for a segment nor against one
    (clear,) = decode_levels(presence_of([(45, 56, 4)]), [names_around(MIDDLES)]).levels
    (doubtful,) = decode_levels(blurred, [names_around(MIDDLES)]).levels
    assert doubtful.rostral_sd_mm > 2 * clear.rostral_sd_mm
    assert doubtful.caudal_sd_mm == pytest.approx(clear.caudal_sd_mm, abs=0.2)


def all_divisions(model):
    """Every sequence of segments with its score, one by one."""

    def onwards(border, name, score, sequence):
        yield score, sequence
        for gap in range(model.n - border + 1):
            begin = border + gap
            for end, other in product(range(begin + 1, model.n + 1), range(N_NAMES - 1)):
                link = (
                    0.0
                    if name is None
                    else model.transitions[gap, name, other]
                    if gap in model.gap_lengths
                    else -np.inf
                )
                begins, scores = model.segments[end]
                row = np.flatnonzero(begins == begin)
                if len(row) and np.isfinite(link):
                    own = scores[row[0], other]
                    yield from onwards(end, other, score + link + own, [*sequence, (begin, end, other + ABOVE_C2)])

    yield from onwards(0, None, 0.0, [])


def states_of(sequence, n):
    states = np.zeros(n, dtype=int)
    for begin, end, name in sequence:
        states[begin:end] = name
    return states


def test_the_division_agrees_most_with_all_divisions():
    """Marginals, confidence and the choice itself, against every division there is."""
    rng = np.random.default_rng(3)
    for _ in range(4):
        n = 5
        presence = rng.random(n)
        names = np.log(rng.dirichlet(np.ones(N_NAMES), n))
        model = _SemiMarkovModel(presence, [NameEvidence("test", names)], cell_mm=4.0)
        scores, sequences = zip(*all_divisions(model), strict=True)
        probability = np.exp(scores - logsumexp(scores))
        of_all = np.array([states_of(sequence, n) for sequence in sequences])
        marginals = np.array([[probability[of_all[:, i] == k].sum() for k in range(N_NAMES)] for i in range(n)])
        np.testing.assert_allclose(model.marginals, marginals[:, ABOVE_C2:], atol=1e-9)

        chosen = model.posterior_decode()
        agreement = marginals[np.arange(n), states_of(chosen, n)].sum() - SEGMENT_PENALTY * len(chosen)
        most = max(
            marginals[np.arange(n), list(states)].sum() - SEGMENT_PENALTY * len(runs(states))
            for states in product(range(N_NAMES), repeat=n)
            if is_possible(states)
        )
        assert agreement == pytest.approx(most)
        for begin, end, name in chosen:
            expected = marginals[(begin + end) // 2, name]
            assert model.level_with_uncertainty(begin, end, name).confidence == pytest.approx(expected, abs=1e-9)


def runs(states):
    return [state for i, state in enumerate(states) if state and (i == 0 or states[i - 1] != state)]


def is_possible(states):
    """Names never go back, and none comes again after something else, but for those that stand for several levels."""
    return all(a < b or a == b in (ABOVE_C2, BELOW_T1) for a, b in pairwise(runs(states)))
