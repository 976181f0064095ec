"""Agreement of pairs of levels, and Shapiro and Wilk's test against the published example."""

import math

import numpy as np
import pytest

from sct_rootlets.group.agreement import POOLED, agreement_rows, shapiro_wilk
from sct_rootlets.group.level_table import LevelRow
from sct_rootlets.group.pairs import pair_levels


def test_shapiro_and_wilk_s_own_example():
    """Weights of eleven men (Shapiro & Wilk 1965, doi 10.1093/biomet/52.3-4.591): W = 0.79."""
    w, p = shapiro_wilk(np.array([148, 154, 158, 160, 161, 162, 166, 170, 182, 195, 236.0]))
    assert w == pytest.approx(0.79, abs=0.005)
    assert p < 0.01
    assert np.isnan(shapiro_wilk(np.array([1.0, 2]))).all()
    assert np.isnan(shapiro_wilk(np.ones(5))).all()


def level(name, kind, midpoint):
    ends = {"rostral_mm": midpoint - 5, "caudal_mm": midpoint + 5, "midpoint_mm": midpoint, "length_mm": 10.0}
    return {(kind, name): LevelRow(name=name, kind=kind, complete=True, **ends)}


def test_rows_of_pairs_by_hand():
    """Differences of 1, 2 and 6 mm; the fourth subject has no spinal level."""
    pairs = []
    for number, difference in enumerate((1, 2, 6, None)):
        levels = level("C2", "vertebral", 50.0)
        levels |= {} if difference is None else level("C3", "spinal", 50.0 - difference)
        pairs.append(pair_levels(f"sub-{number}", levels, ("shifted", "C2", "C3")))
    single, pooled = agreement_rows(pairs, n_resamples=0)
    assert (single["vertebral_level"], single["spinal_level"], pooled["spinal_level"]) == ("C2", "C3", POOLED)
    assert (single["n"], single["n_subjects"], single["n_spinal_missing"], single["n_both_missing"]) == (3, 3, 1, 0)
    assert (single["median_mm"], single["mean_mm"]) == (2, 3)
    assert single["sd_mm"] == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    assert single["mean_plus_1.96sd_mm"] == pytest.approx(3 + 1.96 * math.sqrt(7))
    assert single["remarks"] == "fewer than 10 subjects: no confidence intervals"
    assert agreement_rows([], n_resamples=0) == []
