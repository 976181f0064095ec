"""The length from C2 to C8, and its correlations."""

import doctest

import numpy as np
import pytest
from cohorts import level_rows, write_subject
from scipy import stats

from sct_rootlets.group import cervical_length
from sct_rootlets.group.collect import collect
from sct_rootlets.group.compare import compare
from sct_rootlets.levels import level_value

N = 24
HEIGHTS = 150 + 2 * np.arange(N)[np.random.default_rng(1).permutation(N)]
AGES = 20 + np.arange(N)
#: Lengths go with height, with some disorder.
SCALES = (HEIGHTS + np.random.default_rng(2).normal(0, 10, N)) / 170
SEXES = ["F", "male"] * (N // 2)


def rows_with_c2(scale):
    rows = level_rows(scale=scale)
    c2 = dict(rows[0], level=level_value("C2", "spinal"), name="C2")
    c2 |= {"rostral_mm": 30 * scale, "caudal_mm": 38 * scale, "midpoint_mm": 34 * scale, "length_mm": 8 * scale}
    return [c2, *rows]


@pytest.fixture
def folder(tmp_path):
    lines = ["participant_id\tage\tsex\theight"]
    for i, scale in enumerate(SCALES):
        write_subject(tmp_path, f"sub-{i:02d}", rows_with_c2(scale))
        lines.append(f"sub-{i:02d}\t{AGES[i]}\t{SEXES[i]}\t{HEIGHTS[i]}")
    (tmp_path / "participants.tsv").write_text("\n".join(lines))
    return tmp_path


def row_of(table, **values):
    (row,) = table[(table[list(values)] == list(values.values())).all(axis=1)].to_dict("records")
    return row


def test_lengths_are_not_scaled_by_height(folder):
    group = compare(collect([folder]), normalize_height=True, n_resamples=0)
    c8 = next(row for row in level_rows() if (row["kind"], row["name"]) == ("spinal", "C8"))
    table = group.cervical_lengths
    np.testing.assert_allclose(table.c2_c8_midpoints_mm, (c8["midpoint_mm"] - 34) * SCALES, atol=2e-3)
    np.testing.assert_allclose(table.c2_c8_ends_mm, (c8["caudal_mm"] - 30) * SCALES, atol=2e-3)
    assert list(table.sex) == ["F", "M"] * (N // 2)


def test_correlations_are_those_of_all_and_of_each_sex(folder):
    table = compare(collect([folder]), n_resamples=0).correlations
    for sex, part in (("all", slice(None)), ("F", slice(0, None, 2)), ("M", slice(1, None, 2))):
        for trait, values in (("height_cm", HEIGHTS), ("age", AGES)):
            row = row_of(table, length="c2_c8_midpoints_mm", trait=trait, sex=sex)
            expected = stats.spearmanr(values[part], SCALES[part])
            assert (row["n"], row["n_missing"]) == (len(SCALES[part]), 0)
            assert row["spearman_rho"] == pytest.approx(expected.statistic)
            assert row["p"] == pytest.approx(expected.pvalue)
            assert row["rho_low"] < row["spearman_rho"] < row["rho_high"]


def test_what_is_missing_is_counted_and_said(folder):
    rows = rows_with_c2(1.0)
    rows[0]["complete"] = False
    write_subject(folder, "sub-00", rows)
    write_subject(folder, "sub-01", level_rows())
    people = folder / "participants.tsv"
    people.write_text(people.read_text().replace(f"\tF\t{HEIGHTS[2]}", "\tn/a\tn/a"))
    group = compare(collect([folder]), n_resamples=0)
    remarks = group.cervical_lengths.remarks
    assert (remarks[0], remarks[1], remarks[2]) == ("C2 may be longer than stated", "C2 missing", "")
    row = row_of(group.correlations, length="c2_c8_midpoints_mm", trait="height_cm", sex="all")
    assert (row["n"], row["n_missing"]) == (N - 3, 3)
    assert row_of(group.correlations, length="c2_c8_ends_mm", trait="age", sex="F")["n"] == N // 2 - 2
    kept = compare(collect([folder]), n_resamples=0, keep_incomplete=True)
    assert np.isfinite(kept.cervical_lengths.c2_c8_ends_mm[0])


def test_docstring_examples():
    result = doctest.testmod(cervical_length)
    assert (result.attempted > 0, result.failed) == (True, 0)
