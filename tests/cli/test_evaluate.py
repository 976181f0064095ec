"""The command from its arguments to files and messages; above all what it does with bad input."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ladder import cord, ladder, write

from sct_rootlets.cli.evaluate import EXAMPLES, _check_usage, get_parser, main


@pytest.fixture
def data(tmp_path):
    """Three subjects with references, cords, and the maps of two methods."""
    for subject in ("01", "02", "03"):
        stem = f"sub-{subject}_T2w"
        write(tmp_path / "labels" / f"sub-{subject}", f"{stem}_label-rootlets_dseg.nii.gz", ladder())
        write(tmp_path / "labels" / f"sub-{subject}", f"{stem}_label-SC_seg.nii.gz", cord())
        write(tmp_path / "ours", f"{stem}_rootlets.nii.gz", ladder(shift=1))
        write(tmp_path / "theirs", f"{stem}_rootlets.nii.gz", ladder(shift=2))
    return tmp_path


def fails(data, capsys, arguments, *fragments):
    """The command exits 1 with one line that holds the fragments, and writes nothing."""
    folder = data / "out"
    assert main([*map(str, arguments), "-ofolder", str(folder)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("sct_rootlets evaluate: error: ")
    for fragment in fragments:
        assert fragment in printed.err
    assert not folder.exists()


def test_predictions_against_references(data, capsys):
    folder = data / "out"
    arguments = ["-i", data / "ours", "-i2", data / "theirs", "-names", "ours,theirs", "-ref", data / "labels",
                 "-s", data / "labels", "-levels", "C2:C5", "-ofolder", folder]  # fmt: skip
    assert main([*map(str, arguments)]) == 0
    names = {path.name for path in folder.iterdir()}
    assert names == {"levels.csv", "scans.csv", "summary.csv", "statuses.csv", "methods.csv", "summary.md",
                     "evaluation.json", "scores.svg", "scores.png", "methods.svg", "methods.png"}  # fmt: skip
    levels = pd.read_csv(folder / "levels.csv")
    assert sorted(set(levels.name)) == ["C2", "C3", "C4", "C5"]
    np.testing.assert_allclose(levels[levels.method == "theirs"].caudal_error_mm, 2, atol=0.01)
    printed = capsys.readouterr().out
    assert all(name in printed for name in names)


def test_commands_of_guide_and_help_are_understood():
    guide = (Path(__file__).parents[2] / "docs" / "evaluate.md").read_text(encoding="utf-8")
    whole_lines = re.sub(r"\\\n *", " ", guide) + EXAMPLES
    lines = re.findall(r"^ *sct_rootlets evaluate (.*)$", whole_lines, flags=re.MULTILINE)
    assert len(lines) == 5 + 6
    for line in lines:
        parser = get_parser()
        _check_usage(parser, parser.parse_args(shlex.split(line)))


def test_one_scan_of_any_name(data, capsys):
    reference = write(data, "reference.nii.gz", ladder())
    prediction = write(data, "whatever.nii.gz", ladder(shift=3))
    out = ["-ofolder", str(data / "out"), "-figure", "0", "-v", "0"]
    assert main(["-i", str(prediction), "-ref", str(reference), *out]) == 0
    assert capsys.readouterr().out == ""
    assert (pd.read_csv(data / "out" / "levels.csv").dice == 0.5).all()


def test_raters_and_repeats(data, capsys):
    pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    folder = data / "out"
    raters = ["-raters", str(data / "ours"), str(data / "theirs"), "-names", "ann,ben", "-s", str(data / "labels")]
    assert main([*raters, "-ofolder", str(folder), "-figure", "0"]) == 0
    assert (folder / "sub-01_T2w_label-rootlets_desc-staple_dseg.nii.gz").exists()
    assert set(pd.read_csv(folder / "positions.csv")["repeat"]) == {"ann", "ben"}
    tables = data / "tables"
    tables.mkdir()
    for session in "ab":
        row = {"level": 3, "name": "C3", "kind": "spinal", "method": "segment", "rostral_mm": 1.0, "caudal_mm": 9.0,
               "midpoint_mm": 5.0, "length_mm": 8.0, "reference": "PMJ"}  # fmt: skip
        pd.DataFrame([row]).to_csv(tables / f"sub-01_ses-{session}_T2w_levels.csv", index=False)
    assert main(["-tables", str(tables), "-over", "ses", "-ofolder", str(data / "sessions")]) == 0
    assert pd.read_csv(data / "sessions" / "variability.csv").cov_percent.tolist() == [0]
    assert (data / "sessions" / "positions.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of -i"),
        (["-i", "a"], "give references"),
        (["-i", "a", "-ref", "b", "-raters", "c"], "give one of -i"),
        (["-tables", "a"], "say what tells repeated scans apart"),
        (["-raters", "a", "b", "-levels", "C2"], "-levels does not go with -raters"),
        (["-i", "a", "-ref", "b", "-over", "ses"], "-over does not go with -i"),
        (["-i", "a", "-ref", "b", "-names", "x,y"], "-names gives 2 names for 1"),
        (["-raters", "a", "b", "-names", "x,x"], "must be different names between commas"),
    ],
)
def test_bad_usage_exits_2(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert message in capsys.readouterr().err


def test_another_grid(data, capsys):
    write(data / "ours", "sub-02_T2w_rootlets.nii.gz", ladder()[:-1])
    names = "sub-02_T2w_rootlets.nii.gz", "sub-02_T2w_label-rootlets_dseg.nii.gz"
    fails(data, capsys, ["-i", data / "ours", "-ref", data / "labels"], *names, "different shapes")


def test_other_values(data, capsys):
    write(data / "ours", "sub-02_T2w_rootlets.nii.gz", (ladder() > 0).astype(np.uint8))
    fails(data, capsys, ["-i", data / "ours", "-ref", data / "labels"], "sub-02_T2w_rootlets.nii.gz holds the value 1")


def test_nothing_in_common(data, capsys):
    write(data / "other", "sub-77_T2w_rootlets.nii.gz", ladder())
    write(data / "other", "sub-78_T2w_rootlets.nii.gz", ladder())
    fails(data, capsys, ["-i", data / "other", "-ref", data / "labels"], "no scan is in predictions and references")


def test_missing_and_damaged_files(data, capsys):
    fails(data, capsys, ["-i", data / "nowhere", "-ref", data / "labels"], "nowhere does not exist")
    (data / "ours" / "sub-02_T2w_rootlets.nii.gz").write_text("subject,age\n")
    fails(data, capsys, ["-i", data / "ours", "-ref", data / "labels"], "is not a NIfTI file")


def test_one_scan_for_a_test(data, capsys):
    one = data / "ours" / "sub-01_T2w_rootlets.nii.gz"
    arguments = ["-i", one, "-i2", data / "theirs", "-ref", data / "labels"]
    fails(data, capsys, arguments, "a paired test of first and second needs", "at least 2 subjects", "only sub-01")


def test_levels_and_raters_that_are_none(data, capsys):
    fails(data, capsys, ["-i", data / "ours", "-ref", data / "labels", "-levels", "C9"], "'C9' does not name")
    fails(data, capsys, ["-raters", data / "ours"], "raters are compared with one another: give at least 2")


def test_what_was_there_survives_a_failure(data, capsys):
    folder = data / "out"
    folder.mkdir()
    (folder / "summary.md").mkdir()  # a folder where a file is to be written
    (folder / "levels.csv").write_text("mine")
    assert main(["-i", str(data / "ours"), "-ref", str(data / "labels"), "-ofolder", str(folder), "-figure", "0"]) == 1
    assert "summary.md is a folder" in capsys.readouterr().err
    assert (folder / "levels.csv").read_text() == "mine"
    assert sorted(path.name for path in folder.iterdir()) == ["levels.csv", "summary.md"]


def test_names_that_are_formulas_are_text_in_tables(data, capsys):
    arguments = ["-i", data / "ours", "-i2", data / "theirs", "-names", "=HYPERLINK(1),@b", "-ref", data / "labels",
                 "-ofolder", data / "out", "-figure", 0]  # fmt: skip
    assert main([*map(str, arguments)]) == 0
    assert set(pd.read_csv(data / "out/scans.csv").method) == {"'=HYPERLINK(1)", "'@b"}
    for path in (data / "out").glob("*.csv"):
        assert not any(
            cell.startswith(("=", "@")) for line in path.read_text().splitlines() for cell in line.split(",")
        )


def test_raters_of_a_scan_are_not_chosen_by_alphabet(data, capsys):
    for name in ("rater1", "staple"):
        folder = data / "raters" / "sub-01"
        write(folder, f"sub-01_T2w_label-rootlets_desc-{name}_dseg.nii.gz", ladder())
    fails(data, capsys, ["-i", data / "ours", "-ref", data / "raters"], "are both rootlet maps of sub-01_T2w",
          'a pattern such as "folder/**/*_desc-staple_*"')  # fmt: skip
    pattern = f"{data}/raters/**/*_desc-staple_*"
    assert main([*map(str, ["-i", data / "ours", "-ref", pattern, "-ofolder", data / "out", "-figure", 0])]) == 0
