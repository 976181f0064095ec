"""Overlap of spinal levels with vertebral and proportional levels, and where the latter lie."""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from cohorts import level_rows, write_subject

from sct_rootlets.cord_profile import PAM50_DISCS_MM
from sct_rootlets.group.collect import collect
from sct_rootlets.group.compare import compare
from sct_rootlets.group.level_table import LevelRow
from sct_rootlets.group.proportional import BORDERS_MM, proportional_levels
from sct_rootlets.levels import level_name

DATA = Path(os.environ.get("SCT_ROOTLETS_DATA", Path(__file__).parents[3] / "shared" / "data"))


def level(name, kind, rostral, caudal, complete=True):
    middle, length = (rostral + caudal) / 2, caudal - rostral
    return LevelRow(name=name, kind=kind, rostral_mm=rostral, caudal_mm=caudal, midpoint_mm=middle, length_mm=length,
                    complete=complete)  # fmt: skip


def template_like_vertebrae(scale, first=1, last=8):
    """Vertebrae of a cord that is PAM50's, stretched: positions grow caudally from 20 mm above the top of C1."""
    places = scale * (PAM50_DISCS_MM[0] + 20 - np.array(PAM50_DISCS_MM))
    names = [level_name(value, "vertebral") for value in range(1, len(places))]
    return {
        ("vertebral", name): level(name, "vertebral", places[i], places[i + 1])
        for i, name in enumerate(names)
        if first <= i + 1 <= last
    }


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.3])
def test_proportional_levels_of_a_stretched_template_are_stretched(scale):
    placed = proportional_levels(template_like_vertebrae(scale))
    borders = scale * (PAM50_DISCS_MM[0] + 20 - np.array(BORDERS_MM))
    assert list(placed) == ["C2", "C3", "C4", "C5", "C6", "C7", "C8", "T1"]  # T2 ends below the last disc
    for name, rostral, caudal in zip(placed, borders[:-1], borders[1:], strict=False):
        assert (placed[name].rostral_mm, placed[name].caudal_mm) == pytest.approx((rostral, caudal))


def test_levels_beyond_the_discs_are_not_placed():
    assert list(proportional_levels(template_like_vertebrae(1.0, 3, 5))) == ["C5", "C6"]
    assert proportional_levels({("spinal", "C5"): level("C5", "spinal", 10, 20)}) == {}


def test_borders_are_those_of_the_template():
    path = DATA / "PAM50" / "PAM50_spinal_levels.nii.gz"
    if not path.exists():
        pytest.skip("PAM50 is not here")
    import nibabel as nib

    labels = np.asarray(nib.load(path).dataobj)
    for value, (top, bottom) in enumerate(pairwise(BORDERS_MM), start=2):
        slices = np.flatnonzero((labels == value).any(axis=(0, 1))) * 0.5
        assert slices.max() < top <= slices.max() + 0.5
        assert bottom == pytest.approx(slices.min() - 0.25)


def test_shares_of_both_levels(tmp_path):
    """Spinal levels of 12 mm lie in vertebrae of 14 to 17 mm, off their middles by the planted differences."""
    rows = level_rows((0, 0, 0, 0, 10, 0, 0))
    write_subject(tmp_path, "sub-01", rows)
    write_subject(tmp_path, "sub-02", [row for row in rows if (row["kind"], row["name"]) != ("vertebral", "C1")])
    group = compare(collect([tmp_path]), n_resamples=0)
    table = group.overlaps
    shifted = table[(table.compared_with == "shifted") & (table.subject == "sub-01")].set_index("spinal_level")
    assert shifted.percent_of_spinal["C4"] == 100
    assert shifted.percent_of_other["C4"] == pytest.approx(100 * 12 / 16)
    # C7, 10 mm above the middle of a vertebra of 16 mm: 8 + 6 - 10 mm are shared
    assert shifted.shared_mm["C7"] == pytest.approx(4)
    assert shifted.percent_of_spinal["C7"] == pytest.approx(100 * 4 / 12)
    summary = group.overlap_summary.set_index(["compared_with", "spinal_level"])
    row = summary.loc[("shifted", "C7")]
    assert (row.n, row.n_missing, row.other_level) == (2, 0, "C6")
    assert (row.mean_percent_of_spinal, row.sd_percent_of_spinal) == pytest.approx((100 * 4 / 12, 0))
    assert summary.loc[("same-name", "C4")].mean_percent_of_spinal == 0
    assert ("proportional", "C4") in summary.index


def test_missing_and_cut_levels_have_no_overlap(tmp_path):
    rows = [row for row in level_rows() if (row["kind"], row["name"]) != ("spinal", "C5")]
    rows[0]["complete"] = False
    write_subject(tmp_path, "sub-01", rows)
    write_subject(tmp_path, "sub-02", level_rows())
    group = compare(collect([tmp_path]), n_resamples=0)
    table = group.overlaps[group.overlaps.subject == "sub-01"].set_index(["compared_with", "spinal_level"])
    assert table.status[("shifted", "C5")] == table.status[("proportional", "C5")] == "spinal missing"
    assert table.status[("shifted", "C3")] == table.status[("proportional", "C3")] == "incomplete"
    assert table.percent_of_spinal[[("shifted", "C5"), ("shifted", "C3")]].isna().all()
    summary = group.overlap_summary.set_index(["compared_with", "spinal_level"])
    assert (summary.n[("shifted", "C5")], summary.n_missing[("shifted", "C5")]) == (1, 1)


def test_the_root_mean_square_error_is_that_of_the_differences(tmp_path):
    for subject, shift in (("sub-01", 3.0), ("sub-02", -1.0)):
        write_subject(tmp_path, subject, level_rows([shift] * 7))
    table = compare(collect([tmp_path]), n_resamples=0).agreement
    assert table[table.pairing == "shifted"].rmse_mm.to_numpy() == pytest.approx(np.sqrt(5))


def test_curves_are_those_of_the_midpoints(tmp_path):
    from scipy import stats

    for i, shift in enumerate((0.0, 1.0, 5.0, 2.0)):
        write_subject(tmp_path, f"sub-0{i}", level_rows([shift] * 7))
    group = compare(collect([tmp_path]), n_resamples=0)
    row = group.distributions.set_index(["kind", "name"]).loc[("spinal", "C5")]
    values = group.positions.query("kind == 'spinal' and name == 'C5'").midpoint_mm
    assert (row.mean_mm, row.fit_sd_mm) == pytest.approx(stats.norm.fit(values))
    assert row.sd_mm == pytest.approx(values.std())
    assert row.n == 4
