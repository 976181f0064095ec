"""The summary shows the numbers of the tables."""

import pytest
from ladder import cord, ladder, write
from scores import two_methods

from sct_rootlets.evaluation.raters import evaluate_raters
from sct_rootlets.report.evaluation_summary import evaluation_summary


def test_summary_says_the_main_numbers(tmp_path):
    study = two_methods(tmp_path)
    text = evaluation_summary(study, ["scores"])
    assert "Scans: 4; subjects: 4; contrasts: T2w. Ends of levels along the superior axis" in text
    theirs = text[text.index("## theirs\n") :]
    assert f"| all | all levels | 4 | {4 / 6:.2f} ± 0.00 | 0.667 to 0.667 | 2.00 ± 0.00 |" in theirs
    assert "| all | C6 | 4 | 0.00 ± 0.00 | 0 to 0 | – | – | – | 0/4 | 0 | 4 / 0 |" in text
    assert "Note: p cannot fall below 0.125 with 4 subjects." in text
    assert "![scores](scores.png)" in text
    header = next(line for line in text.splitlines() if line.startswith("| contrast | level"))
    rows = [line for line in text.splitlines() if line.startswith("| all | C")]
    assert {line.count("|") for line in rows} == {header.count("|")}


def test_summary_of_raters(tmp_path):
    pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    for number in (1, 2):
        write(tmp_path, f"sub-01_T2w_rootlets_rater{number}.nii.gz", ladder(shift=number))
    mask = write(tmp_path, "sub-01_T2w_seg.nii.gz", cord())
    raters = {f"rater{number}": [tmp_path / f"sub-01_T2w_rootlets_rater{number}.nii.gz"] for number in (1, 2)}
    text = evaluation_summary(evaluate_raters(raters, [mask]))
    assert "| rater1 – rater2 | all levels | 1 | 0.83 ± 0.00 |" in text
    assert "it needs distances from the PMJ, and is left empty here" in text
