"""Tables of the published scripts, read as level tables."""

import doctest
import sys

import numpy as np
import pytest
from cohorts import drawn_differences, level_rows, write_published, write_subject

from sct_rootlets.errors import DatasetError
from sct_rootlets.group import published_table
from sct_rootlets.group.collect import collect
from sct_rootlets.group.compare import compare
from sct_rootlets.group.published_table import read_published_tables

#: Before Python 3.11, its reader of tables refuses NUL bytes.
NUL_MESSAGE = "not a table of the published scripts" if sys.version_info >= (3, 11) else "cannot be read as a table"


@pytest.mark.parametrize("year", ["2025", "2026"])
def test_levels_are_those_of_our_own_tables(tmp_path, year):
    differences = drawn_differences(5).round(3)
    for number, row in enumerate(differences, start=1):
        write_subject(tmp_path / "ours", f"sub-{number:02d}", level_rows(row))
        write_published(tmp_path / year, f"sub-{number:02d}", level_rows(row), year)
    (tmp_path / year / "spinal_vs_vertebral_levels.csv").write_text("spinal_level,fname\n")  # all of them once more
    ours, theirs = (compare(collect([tmp_path / name]), n_resamples=0) for name in ("ours", year))
    assert [scan.subject for scan in theirs.cohort.scans] == [f"sub-{number:02d}" for number in range(1, 6)]
    assert (theirs.reference, theirs.method) == ("PMJ", "extent")
    columns = ["rostral_mm", "caudal_mm", "midpoint_mm", "length_mm"]
    order = ["subject", "kind", "name"]
    left, right = (group.positions.sort_values(order).reset_index(drop=True) for group in (ours, theirs))
    assert left[order].equals(right[order])
    np.testing.assert_allclose(left[columns], right[columns], atol=1e-3)
    assert any("which do not tell whether the field of view cuts a level" in note for note in theirs.notes)


def test_positions_from_the_top_of_c2_may_be_negative(tmp_path):
    rows = [row for row in level_rows() if row["kind"] == "spinal"]
    for row in rows:
        for column in ("rostral_mm", "caudal_mm", "midpoint_mm"):
            row[column] -= 60
    spinal = [write_published(tmp_path, f"sub-0{n}", rows + level_rows()[-8:], "2026", "c2")[0] for n in (1, 2)]
    tables = read_published_tables(spinal)
    assert [table.reference for table in tables] == ["top of spinal level C2"] * 2
    first = tables[0].levels["spinal", "C3"]
    assert (first.rostral_mm, first.length_mm) == (rows[0]["rostral_mm"], 12.0)
    assert first.rostral_mm < 0


def test_names_that_the_scripts_of_the_paper_give(tmp_path):
    """Spinal and vertebral levels of one session are joined, of another session not."""
    rows = level_rows()
    for session in ("1", "2"):
        spinal, vertebral = write_published(tmp_path / session, "sub-01", rows)
        name = f"sub-01_ses-{session}_T2w_"
        spinal.rename(spinal.with_name(f"{name}rootletsseg_pmj_distance.csv"))
        vertebral.rename(vertebral.with_name(f"{name}labels-disc_centerline_pmj_distance_vertebral_disc.csv"))
    tables = read_published_tables(sorted(tmp_path.rglob("*.csv")))
    assert [len(table.paths) for table in tables] == [2, 2]
    assert {kind for table in tables for kind in table.kinds} == {"spinal", "vertebral"}
    assert len(collect([tmp_path, write_other(tmp_path)], match="ses-1").scans) == 2


def write_other(tmp_path):
    return write_published(tmp_path / "1", "sub-02", level_rows(scale=1.1), stem="ses-1_T2w")[0]


def test_our_own_table_of_a_scan_takes_precedence(tmp_path):
    for subject, scale in (("sub-01", 1.0), ("sub-02", 1.1)):
        write_subject(tmp_path, subject, level_rows(scale=scale))
        write_published(tmp_path, subject, level_rows(scale=scale))
    cohort = collect([tmp_path])
    assert not any(scan.is_published for scan in cohort.scans)
    assert cohort.notes == ("4 tables of the published scripts are not read: their scans have a *_levels.csv, too",)
    assert all(scan.is_published for scan in collect([tmp_path], match="pmj_distance").scans)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "", "has no levels"),
        (lambda text: text.replace("distance_from_pmj_start", "start"), "it needs the columns spinal_level and"),
        (lambda text: text.replace("distance_from_pmj", "distance_from_top"), "it needs the columns spinal_level and"),
        (lambda text: text + text.split("\n")[1] + "\n", "spinal level C3 twice"),
        (lambda text: text.replace("\n3,", "\n3.5,"), "spinal level '3.5'"),
        (lambda text: text.replace("\n3,", "\n99,"), "spinal level '99'"),
        (lambda text: text.replace("35.000", "far", 1), "no valid distances of spinal level C3"),
        (lambda text: "\0\0\n\0", NUL_MESSAGE),
    ],
)
def test_damaged_tables(tmp_path, change, message):
    path, _ = write_published(tmp_path, "sub-02", level_rows())
    path.write_text(change(path.read_text()))
    with pytest.raises(DatasetError) as caught:
        read_published_tables([path])
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_level_without_distances_is_missing(tmp_path):
    path, _ = write_published(tmp_path, "sub-02", level_rows())
    lines = path.read_text().splitlines()
    lines[1] = ",".join([*lines[1].split(",")[:4], "", "", ""])
    path.write_text("\n".join(lines))
    (table,) = read_published_tables([path])
    assert ("spinal", "C3") not in table.levels
    assert ("spinal", "C4") in table.levels


def test_two_tables_of_a_scan(tmp_path):
    write_published(tmp_path, "sub-01", level_rows())
    write_published(tmp_path, "sub-01", level_rows(), "2026")
    with pytest.raises(DatasetError, match="hold the spinal levels of one scan; choose by what their names hold"):
        collect([tmp_path])


def test_docstring_examples():
    result = doctest.testmod(published_table)
    assert (result.attempted > 0, result.failed) == (True, 0)
