from itertools import pairwise

import numpy as np
import pytest
from cohorts import SHIFTED, level_rows, write_cohort, write_participants, write_subject
from scipy import stats

from sct_rootlets.correspondence import BIAS_MM
from sct_rootlets.deepseg import compute_spinal_levels
from sct_rootlets.group.agreement import POOLED
from sct_rootlets.group.collect import collect
from sct_rootlets.group.compare import compare
from sct_rootlets.levels import level_value
from sct_rootlets.output.levels import save_levels
from sct_rootlets.phantom import draw_phantom, phantom_grid
from sct_rootlets.synthesis.cervical import cohort_anatomy


def pair_of(table, vertebral, spinal, pairing="shifted"):
    where = (table.pairing == pairing) & (table.vertebral_level == vertebral) & (table.spinal_level == spinal)
    (row,) = table[where].to_dict("records")
    return row


def test_bias_and_limits_of_each_pair_are_those_of_its_differences(tmp_path):
    differences = write_cohort(tmp_path, 12)
    table = compare(collect([tmp_path]), n_resamples=200).agreement
    for column, (upper, lower) in enumerate(SHIFTED):
        row = pair_of(table, upper, lower)
        values = differences[:, column]
        assert (row["n"], row["n_subjects"], row["n_spinal_missing"]) == (12, 12, 0)
        assert row["median_mm"] == pytest.approx(np.median(values), abs=2e-3)  # tables hold 0.001 mm
        assert row["percentile_2.5_mm"] == pytest.approx(np.percentile(values, 2.5), abs=2e-3)
        assert row["mean_plus_1.96sd_mm"] == pytest.approx(values.mean() + 1.96 * values.std(ddof=1), abs=5e-3)
        assert row["shapiro_p"] == pytest.approx(stats.shapiro(values).pvalue, abs=0.01)
        assert row["median_low"] < row["median_mm"] < row["median_high"]
    pooled = pair_of(table, POOLED, POOLED)
    assert (pooled["n"], pooled["n_subjects"]) == (84, 12)
    assert pooled["median_mm"] == pytest.approx(np.median(differences), abs=2e-3)
    assert pooled["percentile_97.5_mm"] == pytest.approx(np.percentile(differences, 97.5), abs=2e-3)
    assert list(dict.fromkeys(table.pairing)) == ["same-name", "shifted"]


def test_missing_levels_are_counted_and_shift_nothing(tmp_path):
    """A subject without spinal C5 and vertebra C6: its other pairs are what they were."""
    write_cohort(tmp_path, 5)
    rows = [row for row in level_rows() if (row["kind"], row["name"]) not in (("spinal", "C5"), ("vertebral", "C6"))]
    write_subject(tmp_path, "sub-03", rows)
    group = compare(collect([tmp_path]), n_resamples=0)
    gone = {("C4", "C5"): "n_spinal_missing", ("C6", "C7"): "n_vertebral_missing"}
    for upper, lower in SHIFTED:
        row = pair_of(group.agreement, upper, lower)
        missing = {name: row[name] for name in row if name.endswith("_missing") and row[name]}
        assert missing == ({gone[upper, lower]: 1} if (upper, lower) in gone else {})
        assert row["n"] == 5 - len(missing)
    of_subject = group.pairs[(group.pairs.subject == "sub-03") & (group.pairs.pairing == "shifted")]
    planted = dict(zip(SHIFTED, BIAS_MM, strict=True))
    for row in of_subject.itertuples():
        if row.status == "compared":
            assert row.difference_mm == pytest.approx(planted[row.vertebral_level, row.spinal_level], abs=1.1e-3)
        else:
            assert (row.vertebral_level, row.spinal_level) in gone
    assert pair_of(group.agreement, POOLED, POOLED)["n"] == 33


def test_a_level_seen_once_is_flagged(tmp_path):
    write_cohort(tmp_path, 3)
    for subject, scale in (("sub-01", 1.0), ("sub-02", 1.1)):
        rows = [row for row in level_rows(scale=scale) if (row["kind"], row["name"]) != ("spinal", "T1")]
        write_subject(tmp_path, subject, rows)
    group = compare(collect([tmp_path]))
    row = pair_of(group.agreement, "T1", "T1")
    assert (row["n"], row["n_spinal_missing"]) == (1, 2)
    assert row["remarks"] == "seen in one subject only"
    assert np.isfinite(row["median_mm"])
    assert np.isnan([row["sd_mm"], row["percentile_2.5_mm"], row["mean_low"], row["shapiro_p"]]).all()
    assert "fewer than 10 subjects" in pair_of(group.agreement, "C2", "C3")["remarks"]
    (length,) = group.lengths[(group.lengths.kind == "spinal") & (group.lengths.name == "T1")].to_dict("records")
    assert (length["n"], length["remarks"]) == (1, "seen in one subject only")


def test_levels_that_may_be_longer_are_left_out_and_counted(tmp_path):
    write_cohort(tmp_path, 4)
    rows = level_rows()
    rows[0]["complete"] = False
    write_subject(tmp_path, "sub-02", rows)
    cohort = collect([tmp_path])
    group = compare(cohort, n_resamples=0)
    row = pair_of(group.agreement, "C2", "C3")
    assert (row["n"], row["n_incomplete"]) == (3, 1)
    assert any("may be longer than stated" in note for note in group.notes)
    kept = compare(cohort, keep_incomplete=True, n_resamples=0)
    assert (pair_of(kept.agreement, "C2", "C3")["n"], len(kept.measured)) == (4, len(group.measured) + 1)


def test_positions_are_normalised_by_height(tmp_path):
    """Subjects that differ in size as they do in height become alike; the cohort's median height stays as it is."""
    heights = {"sub-01": 160.0, "sub-02": 170.0, "sub-03": 190.0}
    for subject, height in heights.items():
        write_subject(tmp_path, subject, level_rows(scale=height / 170))
    path = write_participants(tmp_path / "participants.tsv", heights)
    cohort = collect([tmp_path], path, need_height=True)
    plain, scaled = compare(cohort, n_resamples=0), compare(cohort, normalize_height=True, n_resamples=0)
    assert (plain.height_cm, scaled.height_cm) == (None, 170)
    assert pair_of(plain.agreement, "T1", "T1")["sd_mm"] > 0.5
    assert pair_of(scaled.agreement, "T1", "T1")["sd_mm"] < 0.002
    assert pair_of(scaled.agreement, "T1", "T1")["mean_mm"] == pytest.approx(8.15, abs=2e-3)
    row = scaled.positions[(scaled.positions.subject == "sub-03") & (scaled.positions.kind == "vertebral")].iloc[0]
    assert (row.rostral_mm, row.length_mm) == pytest.approx((20, 14), abs=1e-3)
    assert (row.age, row.sex, row.height_cm) == (32, "F", 190)


def test_the_bias_grows_along_the_cord(tmp_path):
    """The slope of difference on mean over all pairs, against numpy's least squares."""
    write_cohort(tmp_path, 8)
    group = compare(collect([tmp_path]), n_resamples=0)
    pairs = group.pairs[group.pairs.pairing == "shifted"]
    row = pair_of(group.agreement, POOLED, POOLED)
    slope, intercept = np.polyfit(pairs.mean_mm, pairs.difference_mm, 1)
    found = row["difference_on_mean_slope"], row["difference_on_mean_intercept_mm"]
    assert found == pytest.approx((slope, intercept))
    assert row["difference_on_mean_slope_low"] > 0.03
    spinal, vertebral = pairs.spinal_midpoint_mm, pairs.vertebral_midpoint_mm
    assert row["vertebral_on_spinal_r2"] == pytest.approx(np.corrcoef(spinal, vertebral)[0, 1] ** 2)


def test_names_one_level_off_are_pointed_out(tmp_path):
    """Spinal levels that bear the name of the next: 12 to 17 mm off; those of the others only scatter."""
    write_cohort(tmp_path, 6)
    rows = [row for row in level_rows() if row["kind"] == "vertebral"]
    spinal = [row for row in level_rows() if row["kind"] == "spinal"]
    for row, following in pairwise(spinal):
        rows.append(row | {"level": following["level"], "name": following["name"]})
    write_subject(tmp_path, "sub-04", rows)
    group = compare(collect([tmp_path]), n_resamples=0)
    assert group.implausible == ["sub-04"]
    assert any("levels of 1 of 6 subjects lie more than 8 mm" in note and "sub-04" in note for note in group.notes)


def test_nothing_to_compare_is_said(tmp_path):
    for subject, scale in (("sub-01", 1.0), ("sub-02", 1.1)):
        write_subject(tmp_path, subject, [row for row in level_rows(scale=scale) if row["kind"] == "spinal"])
    group = compare(collect([tmp_path]))
    assert group.agreement.empty
    assert "no subject has both levels of a pair: there is nothing to compare" in group.notes


def test_a_group_shows_bias_and_limits_of_each_pair(tmp_path):
    differences = write_cohort(tmp_path, 12)
    group = compare(collect([tmp_path]), n_resamples=0)
    table = group.limits_table()
    assert table.columns.tolist() == ["pairing", "vertebra", "spinal", "n", "bias_mm", "p2.5_mm", "p97.5_mm"]
    last = table[(table.pairing == "shifted") & (table.vertebra == "T1")].iloc[0]
    expected = np.percentile(differences[:, -1], (50, 2.5, 97.5))
    np.testing.assert_allclose(last[["bias_mm", "p2.5_mm", "p97.5_mm"]].astype(float), expected, atol=2e-3)
    text = repr(group)
    assert text.startswith("GroupLevels of 12 subjects; positions from PMJ; method extent;")
    assert len(text.splitlines()) == 1 + 1 + len(table) == 17  # 6 pairs of the same name, 7 shifted, all of each
    html = group._repr_html_()
    assert html.startswith("<p>GroupLevels of 12 subjects;")
    assert html.count("<tr") == 1 + len(table)


def test_a_group_without_pairs_says_so(tmp_path):
    for subject, scale in (("sub-01", 1.0), ("sub-02", 1.1)):
        write_subject(tmp_path, subject, [row for row in level_rows(scale=scale) if row["kind"] == "spinal"])
    group = compare(collect([tmp_path]))
    assert repr(group).endswith("\nno pairs")
    assert group._repr_html_().endswith("<p>no pairs</p>")


def test_medians_of_phantoms_come_back(tmp_path):
    """From volumes: the bias that was planted in five anatomies; benchmarks/group.py does it with sixty."""
    rng = np.random.default_rng(1)
    truth = []
    for number in range(5):
        anatomy, _ = cohort_anatomy(rng)
        drawn = draw_phantom(anatomy, *phantom_grid(anatomy, (1, 1, 1), "PSR", margin_mm=10))
        labels = {"cord": drawn.cord, "discs": drawn.discs, "pmj": drawn.pmj}
        subject = compute_spinal_levels(drawn.rootlets, **labels, method="extent")
        save_levels(subject, tmp_path, prefix=f"sub-{number}_T2w", figure=False)
        extents = anatomy.spinal_extents(2.4)
        middles = [
            (anatomy.discs[level_value(upper, "vertebral")] + anatomy.discs[level_value(upper, "vertebral") + 1]) / 2
            for upper, _ in SHIFTED
        ]
        truth.append([middle - np.mean(extents[lower]) for middle, (_, lower) in zip(middles, SHIFTED, strict=True)])
    table = compare(collect([tmp_path]), n_resamples=0).agreement
    found = [pair_of(table, upper, lower)["median_mm"] for upper, lower in SHIFTED]
    np.testing.assert_allclose(found, np.median(truth, axis=0), atol=0.6)
    np.testing.assert_allclose(np.mean(np.subtract(found, np.median(truth, axis=0))), 0, atol=0.3)


def test_the_remark_on_differences_that_are_not_normal_says_what_to_do():
    """The intervals of outer percentiles are not recommended there (benchmarks/group.py coverage)."""
    from sct_rootlets.group.agreement import _remarks

    (remark,) = _remarks(50, 50, shapiro_p=0.001, is_pooled=False)
    assert remark == (
        "differences are not normal: look at the subjects that lie apart and check the names of their levels and "
        "discs; report the median with its interval (intervals of the outer percentiles cover too little)"
    )
    assert _remarks(50, 50, shapiro_p=0.5, is_pooled=False) == []
