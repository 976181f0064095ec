"""The command from its arguments to files and messages."""

import csv
import subprocess
import sys

import numpy as np
import pytest
from cohorts import level_rows, write_cohort, write_participants, write_subject

from sct_rootlets.cli.main import main

TABLES = ["agreement", "c2_c8", "correlations", "distributions", "lengths", "overlap", "overlap_summary"]
TABLES += ["pairs", "positions", "subjects"]
FIGURES = ["bland-altman_same-name", "bland-altman_shifted", "distributions", "lengths", "levels_by_subject", "overlap"]


@pytest.fixture
def levels(tmp_path):
    write_cohort(tmp_path / "levels", 12)
    return tmp_path / "levels"


def group(levels, out, *more):
    return main(["group", "-i", str(levels), "-ofolder", str(out), "-bootstrap", "200", *map(str, more)])


def read(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_all_files_are_written_and_named(levels, tmp_path, capsys):
    out = tmp_path / "out"
    assert group(levels, out) == 0
    names = sorted(path.name for path in out.iterdir())
    pictures = [f"group_{name}.{ending}" for name in FIGURES for ending in ("png", "svg")]
    assert names == sorted([*(f"group_{name}.csv" for name in TABLES), "group_summary.md", "group.json", *pictures])
    printed = capsys.readouterr().out
    assert all(name in printed for name in names)
    assert "12 subjects; positions from PMJ; method extent" in printed
    assert "C2-C3" in printed


def test_tables_and_summary_hold_what_was_found(levels, tmp_path):
    out = tmp_path / "out"
    write_subject(levels, "sub-13", level_rows(), names_from_discs=True)
    assert group(levels, out, "-figure", 0, "-v", 0) == 0
    differences = np.loadtxt(out / "group_pairs.csv", delimiter=",", skiprows=1, usecols=7)
    assert len(differences) == 12 * (6 + 7)  # same-name: C3-C7 and T1
    (row,) = [
        row
        for row in read(out / "group_agreement.csv")
        if (row["pairing"], row["vertebral_level"], row["spinal_level"]) == ("shifted", "T1", "T1")
    ]
    summary = (out / "group_summary.md").read_text(encoding="utf-8")
    assert f"| T1, T1 | 12 | 0 | {float(row['median_mm']):.2f} [" in summary
    assert "left out, 1: discs decided the names of its spinal levels (sub-13)" in summary
    assert not list(out.glob("*.svg"))
    left_out = [row for row in read(out / "group_subjects.csv") if row["compared"] == "False"]
    assert [(row["subject"], row["left_out_because"]) for row in left_out] == [
        ("sub-13", "discs decided the names of its spinal levels")
    ]
    assert group(levels, out, "-figure", 0, "-v", 0, "-keep-disc-names") == 0
    assert all(row["compared"] == "True" for row in read(out / "group_subjects.csv"))


def test_output_is_the_same_every_time(levels, tmp_path):
    for name in ("once", "twice"):
        assert group(levels, tmp_path / name, "-v", 0, "-figure", 0) == 0
    for path in (tmp_path / "once").iterdir():
        assert path.read_bytes() == (tmp_path / "twice" / path.name).read_bytes(), path.name


def test_height(levels, tmp_path, capsys):
    assert group(levels, tmp_path / "out", "-normalize-height") == 1
    assert "give participants.tsv (-participants)" in capsys.readouterr().err
    heights = {f"sub-{number:02d}": 160 + number for number in range(1, 13)}
    people = write_participants(tmp_path / "people.tsv", heights)
    assert group(levels, tmp_path / "out", "-normalize-height", "-participants", people, "-figure", 0) == 0
    row = read(tmp_path / "out" / "group_positions.csv")[0]
    assert (row["height_cm"], float(row["scale"])) == ("161", pytest.approx(166.5 / 161, abs=1e-4))
    assert "scaled to 166.5 cm" in (tmp_path / "out" / "group_summary.md").read_text(encoding="utf-8")


def test_bad_input_is_one_line_and_changes_nothing(levels, tmp_path, capsys):
    out = tmp_path / "out"
    assert group(levels, out, "-v", 0, "-figure", 0) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    write_subject(levels, "sub-02", level_rows(reference="cord top"))
    write_participants(levels / "participants.tsv", {f"sub-{number:02d}": 1.7 for number in range(1, 13)})
    for more, message in (
        ([], "positions from PMJ (11), cord top (1)"),
        (["-reference", "disc"], "no subject to compare"),
        (["-reference", "top"], "only one subject (sub-02)"),
        (["-reference", "PMJ", "-normalize-height"], "11 of 11 heights seem to be in metres"),
        (["-match", "_T1w"], "no level tables (*_levels.csv) with '_T1w' in their names"),
        (["-participants", "nowhere.tsv", "-reference", "PMJ"], "nowhere.tsv does not exist; check the path"),
    ):
        assert group(levels, out, *more) == 1
        printed = capsys.readouterr()
        assert (printed.out, printed.err.count("\n")) == ("", 1)
        assert printed.err.startswith("sct_rootlets group: error: ")
        assert message in printed.err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_bad_usage_exits_2(levels, tmp_path, capsys):
    for more in (["-bootstrap", "20"], ["-reference", "C3"], ["-nothing"]):
        with pytest.raises(SystemExit, match="2"):
            group(levels, tmp_path / "out", *more)
    assert "must be 0, or from 200 to 100000, not 20" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_names_that_are_formulas_are_text_in_tables(levels, tmp_path):
    """As a process; a spreadsheet shows the text, and numbers stay numbers."""
    people = levels / "participants.tsv"
    people.write_text("participant_id\tage\tsex\theight\nsub-01\t30\t=HYPERLINK(1)\t170\n", encoding="utf-8")
    command = [sys.executable, "-m", "sct_rootlets.cli.main", "group", "-i", levels, "-ofolder", tmp_path / "out",
               "-participants", people, "-bootstrap", "200", "-figure", "0"]  # fmt: skip
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    first, *_ = read(tmp_path / "out/group_subjects.csv")
    assert first["sex"] == "'=HYPERLINK(1)"
    for path in (tmp_path / "out").glob("*.csv"):
        for row in read(path):
            assert not any(cell.startswith(("=", "@", "+", "\t")) for cell in row.values())
    assert any(float(row["difference_mm"] or 0) < 0 for row in read(tmp_path / "out/group_pairs.csv"))
