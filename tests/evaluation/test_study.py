"""What a study shows of itself."""

import numpy as np
import pandas as pd
import pytest
from ladder import ladder, write

from sct_rootlets.evaluation.references import evaluate_files
from sct_rootlets.evaluation.study import Study


@pytest.fixture
def study(tmp_path):
    for subject in ("sub-01", "sub-02"):
        write(tmp_path / "labels", f"{subject}_T2w_rootlets.nii.gz", ladder())
        write(tmp_path / "ours", f"{subject}_T2w_rootlets.nii.gz", ladder(shift=1))
    return evaluate_files({"ours": [tmp_path / "ours"]}, [tmp_path / "labels"])


def test_a_study_against_references_shows_mean_scores_over_all_levels(study):
    """Levels of 6 slices, off by one: Dice 5/6, everything else 1 mm."""
    table = study.main_table().set_index("metric")
    assert list(table.index) == ["dice", "hd95_mm", "|rostral_error_mm|", "|caudal_error_mm|"]
    assert table["mean"].tolist() == pytest.approx([5 / 6, 1, 1, 1])
    text = repr(study)
    assert text.startswith("Study of references; tables (rows): levels (12), scans (2), summary (")
    assert len(text.splitlines()) == 1 + 1 + 4
    assert "0.833" in text
    html = study._repr_html_()
    assert html.startswith("<p>Study of references;")
    assert html.count("<tr") == 1 + 4


def test_a_study_of_raters_shows_each_pair():
    rows = [("a", "b", 0.5), ("a", "b", 0.7), ("a", "c", np.nan), ("a", "c", 0.9)]
    pairwise = pd.DataFrame(rows, columns=["first", "second", "dice"]).assign(slice_f1=1.0, hd95_mm=2.0)
    table = Study(kind="raters", tables={"pairwise": pairwise}).main_table()
    assert table[["first", "second"]].to_numpy().tolist() == [["a", "b"], ["a", "c"]]
    assert table.dice.tolist() == pytest.approx([0.6, 0.9])


def test_a_study_of_repeats_shows_each_level_and_a_study_without_tables_shows_its_kind():
    by_level = pd.DataFrame({"name": ["C3"], "sd_mm": [1.25]})
    study = Study(kind="repeats", tables={"variability_by_level": by_level})
    assert study.main_table() is by_level
    assert "1.25" in repr(study)
    assert repr(Study(kind="repeats", tables={})) == "Study of repeats; tables (rows): none; notes: 0"
    assert Study(kind="references", tables={})._repr_html_().count("<table") == 0
