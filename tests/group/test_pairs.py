"""Pairs of levels, and the reasons why some are not compared."""

import math

import pytest

from sct_rootlets.group.level_table import LevelRow
from sct_rootlets.group.pairs import PairStatus, pair_levels


def row(name, kind, midpoint, complete=True):
    ends = {"rostral_mm": midpoint - 5, "caudal_mm": midpoint + 5, "midpoint_mm": midpoint, "length_mm": 10.0}
    return LevelRow(name=name, kind=kind, complete=complete, **ends)


VERTEBRAL = {("vertebral", "C2"): row("C2", "vertebral", 50.0)}
SPINAL = {("spinal", "C3"): row("C3", "spinal", 48.0)}
CUT = {("spinal", "C3"): row("C3", "spinal", 48.0, complete=False)}


@pytest.mark.parametrize(
    ("levels", "status"),
    [
        (VERTEBRAL | SPINAL, PairStatus.COMPARED),
        (VERTEBRAL | CUT, PairStatus.INCOMPLETE),
        (VERTEBRAL, PairStatus.SPINAL_MISSING),
        (SPINAL, PairStatus.VERTEBRAL_MISSING),
        ({}, PairStatus.BOTH_MISSING),
    ],
)
def test_status_of_a_pair(levels, status):
    pair = pair_levels("sub-01", levels, ("shifted", "C2", "C3"))
    assert pair.status is status
    assert pair.is_compared == (status is PairStatus.COMPARED)
    assert math.isnan(pair.difference_mm) == (len(levels) < 2)


def test_positions_are_scaled_and_incomplete_levels_kept_on_request():
    pair = pair_levels("sub-01", VERTEBRAL | CUT, ("shifted", "C2", "C3"), scale=2.0, keep_incomplete=True)
    assert (pair.status, pair.names) == (PairStatus.COMPARED, ("C2", "C3"))
    assert (pair.difference_mm, pair.mean_mm) == (4.0, 98.0)


def test_columns_that_count_statuses():
    assert PairStatus.SPINAL_MISSING.column == "n_spinal_missing"
