"""Variation of positions against numbers by hand."""

import numpy as np
import pandas as pd
import pytest

from sct_rootlets.errors import DatasetError
from sct_rootlets.evaluation.intraclass import icc
from sct_rootlets.evaluation.variability import icc_by_level, variability, variability_by_level


def positions(middles, reference="PMJ", level=4, name="C4"):
    """Rows of a level: one list of midpoints a subject, one midpoint a repeat."""
    return pd.DataFrame(
        [
            {"group": f"sub-{i}", "repeat": f"r{j}", "level": level, "name": name, "midpoint_mm": float(middle),
             "length_mm": 10.0 + j, "reference": reference}
            for i, row in enumerate(middles) for j, middle in enumerate(row) if middle is not None
        ]
    )  # fmt: skip


def test_variation_by_hand():
    """98, 100, 102: SD 2, mean 100, so 2 %. 49, 51: SD 1.414, so 2.83 %. Pooled SD: root of (2 × 4 + 1 × 2) / 3."""
    table = variability(positions([[98, 100, 102], [49, 51], [70]]))
    assert table.sd_mm.tolist() == pytest.approx([2, np.sqrt(2), np.nan], nan_ok=True)
    assert table.cov_percent.tolist() == pytest.approx([2, 100 * np.sqrt(2) / 50, np.nan], nan_ok=True)
    assert table.range_mm.tolist() == pytest.approx([4, 2, np.nan], nan_ok=True)
    assert table.note.tolist() == ["", "", "seen once (r0)"]
    row = variability_by_level(table).iloc[0]
    assert row.n_groups == 2
    assert row.cov_percent == pytest.approx((2 + 2 * np.sqrt(2)) / 2)
    assert row.sd_mm == pytest.approx(np.sqrt(10 / 3))


def test_without_a_natural_zero_there_is_no_coefficient_of_variation():
    table = variability(positions([[98, 100, 102]], reference="disc C2/C3"))
    assert table.sd_mm[0] == pytest.approx(2)
    assert np.isnan(table.cov_percent[0])


def test_what_does_not_compare_is_refused():
    mixed = pd.concat([positions([[98, 100]]), positions([[1, 2]], reference="cord top")])
    message = r"different references \(sub-0 r0 from PMJ but sub-0 r0 from cord top\)"
    with pytest.raises(DatasetError, match=message):
        variability(mixed)
    twice = pd.concat([positions([[98, 100]]), positions([[20]])])
    with pytest.raises(DatasetError, match="sub-0 r0 has level C4 twice; keep one row of it"):
        variability(twice)
    with pytest.raises(DatasetError, match="nothing repeats"):
        variability(positions([[98], [99]]))


def test_intraclass_correlation_of_levels_is_of_complete_subjects():
    rng = np.random.default_rng(8)
    middles = (rng.normal(100, 5, (5, 1)) + rng.normal(0, 1, (5, 3))).tolist()
    expected = icc(np.array(middles))
    middles.append([90, None, 91])
    rows = icc_by_level(pd.concat([positions(middles), positions([[50, 51, 52]], level=5, name="C5")]))
    first = rows[rows.level == 4].iloc[0]
    assert (first.n_subjects, first.n_repeats, first.n_left_out) == (5, 3, 1)
    assert first.agreement == pytest.approx(expected["agreement"])
    assert rows[rows.level == 5].iloc[0].note == "fewer than 2 subjects with all repeats"
    assert icc_by_level(positions([[50, 51]])).empty
    with pytest.raises(DatasetError, match="at least 2 subjects and 2 raters, not 1 and 3"):
        icc(np.ones((1, 3)))


@pytest.mark.parametrize(
    ("middles", "agreement", "consistency", "note"),
    [
        ([[35.565] * 3] * 3, False, False, "agreement and consistency undefined: the subjects do not differ"),
        ([[0.1, 0.7, 0.3]] * 4, True, False, "consistency undefined: the subjects do not differ"),
        ([[0, 1], [1, 0]], False, True, "agreement undefined: the subjects do not differ"),
        ([[1.1] * 3, [2.3] * 3, [3.7] * 3], True, True, "no interval: repeats do not scatter, apart from a constant"),
        ([[1.1, 1.2], [2.0, 2.2], [3.7, 3.5]], True, True, ""),
    ],
)
def test_a_correlation_that_is_not_defined_says_why(middles, agreement, consistency, note):
    row = icc_by_level(positions(middles)).iloc[0]
    assert (np.isfinite(row.agreement), np.isfinite(row.consistency)) == (agreement, consistency)
    assert row.note == note
    intervals = row[[column for column in row.index if "_ci_" in column]].astype(float)
    assert bool(note) == intervals.isna().any()
    assert not np.isinf(intervals).any()
