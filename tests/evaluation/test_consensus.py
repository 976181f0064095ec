"""Consensus against an independent STAPLE, and agreement of raters against numbers by hand."""

import sys

import numpy as np
import pytest
from ladder import ladder

from sct_rootlets.errors import DatasetError
from sct_rootlets.evaluation.consensus import pairwise_agreement, staple


@pytest.fixture
def sitk():
    return pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")


def expectation_maximisation(masks, n_steps=500):
    """STAPLE for one structure as the paper has it (Warfield 2004), with the mean of the masks as the prior."""
    votes = np.stack([mask.ravel() for mask in masks]).astype(float)
    prior = votes.mean()
    sensitivity, specificity = np.full(len(masks), 0.99999), np.full(len(masks), 0.99999)
    for _ in range(n_steps):
        inside = prior * np.prod(np.where(votes, sensitivity[:, None], 1 - sensitivity[:, None]), axis=0)
        outside = (1 - prior) * np.prod(np.where(votes, 1 - specificity[:, None], specificity[:, None]), axis=0)
        weight = inside / (inside + outside)
        sensitivity = (votes * weight).sum(axis=1) / weight.sum()
        specificity = ((1 - votes) * (1 - weight)).sum(axis=1) / (1 - weight).sum()
    return weight.reshape(masks[0].shape), sensitivity, specificity


def noisy_raters(n=4):
    """A block, of which every rater misses some and adds some."""
    rng = np.random.default_rng(0)
    truth = np.zeros((16, 16, 16), dtype=np.uint8)
    truth[5:11, 5:11, 5:11] = 4
    return truth, [np.where(rng.random(truth.shape) < rate, 4 - truth, truth) for rate in np.linspace(0.02, 0.08, n)]


def test_staple_is_that_of_the_paper(sitk):
    """Consensus, sensitivity and specificity by SimpleITK and by a few lines of expectation maximisation."""
    truth, raters = noisy_raters()
    consensus, performance = staple(raters)
    weight, sensitivity, specificity = expectation_maximisation([rater > 0 for rater in raters])
    np.testing.assert_array_equal(consensus, np.where(weight > 0.95, 4, 0))
    np.testing.assert_allclose(performance.sensitivity, sensitivity, atol=1e-3)
    np.testing.assert_allclose(performance.specificity, specificity, atol=1e-3)
    assert np.count_nonzero(consensus != truth) < min(np.count_nonzero(rater != truth) for rater in raters) / 5


def test_raters_who_agree_are_the_consensus(sitk):
    consensus, performance = staple([ladder()] * 3)
    np.testing.assert_array_equal(consensus, ladder())
    assert (performance.sensitivity == 1).all()


def test_a_level_counts_whoever_drew_it_if_half_of_the_raters_did(sitk):
    """The published script takes the levels of the first rater alone."""
    with_it, without = ladder(values=(2, 3, 4)), ladder(values=(2, 3))
    consensus, _ = staple([without, with_it, with_it])
    assert set(np.unique(consensus)) == {0, 2, 3, 4}
    consensus, performance = staple([without, without, with_it])
    assert set(np.unique(consensus)) == {0, 2, 3}
    last = performance[performance.name == "C4"]
    assert last.drawn.tolist() == [False, False, True]
    assert last.sensitivity.isna().all()


def test_a_voxel_that_two_levels_claim_gets_one_of_their_names(sitk):
    """The published script adds labels: where C3 and C4 both are likely, there would be C7."""
    upper, lower = ladder(values=(3,)), ladder(values=(4,))
    low = np.where((upper == 3) & (np.arange(upper.shape[2]) < 45), 4, upper)  # the boundary is drawn lower or higher
    high = np.where(lower == 4, 4, upper)
    consensus, _ = staple([np.maximum(upper, lower), low, high, np.maximum(low, lower)])
    assert set(np.unique(consensus)) <= {0, 3, 4}
    assert {3, 4} <= set(np.unique(consensus))


def test_what_has_no_consensus_is_refused(monkeypatch):
    with pytest.raises(DatasetError, match="at least 2 raters"):
        staple([ladder()])
    with pytest.raises(DatasetError, match="no rater drew anything"):
        staple([np.zeros_like(ladder())] * 2)
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(DatasetError, match=r"needs SimpleITK: python -m pip install SimpleITK$"):
        staple([ladder(), ladder(shift=1)])


def test_pairs_by_hand():
    """Levels 6 slices tall, one 2 slices lower: Dice and F1 4/6; its surface is 2 mm off at the ends."""
    rows = pairwise_agreement({"a": ladder((2, 3)), "b": ladder((2, 3), shift=2), "c": ladder((2,))}, np.eye(4))
    assert [tuple(row) for row in rows[["first", "second", "name"]].to_numpy()] == [
        ("a", "b", "C2"), ("a", "b", "C3"), ("a", "c", "C2"), ("a", "c", "C3"), ("b", "c", "C2"), ("b", "c", "C3"),
    ]  # fmt: skip
    assert rows.dice.tolist() == pytest.approx([4 / 6, 4 / 6, 1, 0, 4 / 6, 0])
    assert rows.slice_f1.tolist() == pytest.approx([4 / 6, 4 / 6, 1, 0, 4 / 6, 0])
    assert rows.hd95_mm[0] == 2
    assert np.isnan(rows.hd95_mm[3])
