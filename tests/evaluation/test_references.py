"""Predictions against references, from files to tables, on maps of known geometry."""

import doctest

import numpy as np
import pandas as pd
import pytest
from ladder import cord, ladder, write

from sct_rootlets.errors import DatasetError, LabelError
from sct_rootlets.evaluation import references
from sct_rootlets.evaluation.references import evaluate_files, parse_levels

SUBJECTS, CONTRASTS = ("01", "02", "03"), ("T2w", "UNIT1")


@pytest.fixture
def bids(tmp_path):
    """Three subjects in two contrasts; one method is off by a slice in T2w and by two in UNIT1, another by one more."""
    for subject in SUBJECTS:
        for slices, contrast in enumerate(CONTRASTS, start=1):
            stem = f"sub-{subject}_{contrast}"
            anat = tmp_path / "labels" / f"sub-{subject}" / "anat"
            write(anat, f"{stem}_label-rootlets_dseg.nii.gz", ladder())
            write(anat, f"{stem}_label-SC_seg.nii.gz", cord())
            write(tmp_path / "ours", f"{stem}_rootlets.nii.gz", ladder(shift=slices))
            write(tmp_path / "theirs", f"{stem}_rootlets.nii.gz", ladder(shift=slices + 1))
    return tmp_path


def test_tables_of_two_methods_and_two_contrasts(bids):
    """A level of 6 slices that is off by n has a Dice of (6 - n) / 6, and its ends are off by n mm."""
    methods = {"ours": [bids / "ours"], "theirs": [bids / "theirs"]}
    study = evaluate_files(methods, [bids / "labels"], cords=[bids / "labels"])
    assert study.notes == ()
    scans = study.tables["scans"].set_index(["method", "scan"])
    assert len(scans) == 12
    for method, more in (("ours", 0), ("theirs", 1)):
        for slices, contrast in enumerate(CONTRASTS, start=1 + more):
            assert scans.dice[method, f"sub-01_{contrast}"] == pytest.approx((6 - slices) / 6)
            rows = study.tables["levels"]
            rows = rows[(rows.method == method) & (rows.contrast == contrast)]
            np.testing.assert_allclose(rows[["rostral_error_mm", "caudal_error_mm"]], slices, atol=0.01)
            assert (rows.hd95_mm == slices).all()
    summary = study.tables["summary"].set_index(["method", "contrast", "scope", "metric"])
    assert summary["mean"]["ours", "all", "all levels", "dice"] == pytest.approx(4.5 / 6)
    assert summary["n_scans"]["ours", "T2w", "C4", "dice"] == 3
    pairs = study.tables["methods"].set_index(["contrast", "scope", "metric"])
    assert pairs.mean_difference["all", "all levels", "dice"] == pytest.approx(-1 / 6)
    assert pairs.n_subjects["all", "all levels", "dice"] == 3
    assert pairs.better["all", "C4", "hd95_mm"] == "first"
    contrasts = study.tables["contrasts"].set_index(["method", "scope", "metric"])
    assert contrasts.epsilon_squared["ours", "all levels", "dice"] == pytest.approx(1)  # two values, one a contrast
    between = study.tables["contrast_pairs"].set_index(["method", "scope", "metric"])
    of_dice = between.loc[("ours", "all levels", "dice")]
    assert (of_dice["first"], of_dice["second"], of_dice.test, of_dice.n_both) == ("T2w", "UNIT1", "paired", 3)
    assert of_dice.mean_difference == pytest.approx(-1 / 6)
    statuses = study.tables["statuses"].set_index(["method", "contrast", "scope"])
    assert (statuses.detected == statuses.in_reference).all()
    assert statuses.detected["ours", "all", "all levels"] == 36


def test_unmatched_scans_are_named_and_left_out(bids):
    (bids / "ours" / "sub-03_T2w_rootlets.nii.gz").rename(bids / "ours" / "sub-09_T2w_rootlets.nii.gz")
    study = evaluate_files({"first": [bids / "ours"]}, [bids / "labels"])
    assert len(study.tables["scans"]) == 5
    assert len(study.notes) == 2
    assert "sub-09_T2w_rootlets.nii.gz: no scan of this name in references; left out" in study.notes[0]
    assert "sub-03_T2w_label-rootlets_dseg.nii.gz: no scan of this name in predictions; left out" in study.notes[1]


def test_a_single_file_of_another_subject_is_no_partner(tmp_path):
    first = write(tmp_path, "sub-01_T2w_rootlets.nii.gz", ladder())
    other = write(tmp_path, "sub-02_T2w_label-rootlets_dseg.nii.gz", ladder())
    plain = write(tmp_path, "manual.nii.gz", ladder())
    assert len(evaluate_files({"a": [first]}, [plain]).tables["scans"]) == 1
    with pytest.raises(DatasetError, match="no scan is in predictions and references"):
        evaluate_files({"a": [first]}, [other])


def test_a_cord_mask_that_is_none_is_named(bids):
    short = np.zeros_like(cord())
    short[7:12, 5:10, :2] = 1
    write(bids / "labels" / "sub-02" / "anat", "sub-02_T2w_label-SC_seg.nii.gz", short)
    with pytest.raises(LabelError, match=r"sub-02_T2w_label-SC_seg.nii.gz: the cord mask has 2 slices"):
        evaluate_files({"a": [bids / "ours"]}, [bids / "labels"], cords=[bids / "labels"])


def test_contrasts_from_a_table(bids):
    path = bids / "contrasts.tsv"
    names = [f"sub-{subject}_{contrast}" for subject in SUBJECTS for contrast in CONTRASTS]
    pd.DataFrame({"scan": names, "contrast": ["dark", "bright"] * 3}).to_csv(path, sep="\t", index=False)
    study = evaluate_files({"first": [bids / "ours"]}, [bids / "labels"], contrasts=path)
    assert set(study.tables["scans"].contrast) == {"dark", "bright"}
    assert study.tables["contrasts"].contrast[0] == "bright / dark"
    pd.DataFrame({"scan": names, "contrast": ["NA", "nan"] * 3}).to_csv(path, sep="\t", index=False)
    study = evaluate_files({"first": [bids / "ours"]}, [bids / "labels"], contrasts=path)
    assert set(study.tables["scans"].contrast) == {"NA", "nan"}  # names, not missing values
    for rows, message in (
        ("scan\tgroup\na\tb\n", "has the columns scan, group; it needs contrast and scan"),
        ("scan\tcontrast\nsub-01_T2w\tdark\n", "has no contrast for sub-01_UNIT1 and 4 others"),
        (
            "scan\tcontrast\n" + "".join(f"{name}\tn/a\n" for name in names),
            "has no contrast for sub-01_T2w and 5 others; its cell is empty or n/a; write a value",
        ),
        ("scan\tcontrast\nsub-01_T2w\tdark\nsub-01_T2w\tdark\n", "names sub-01_T2w twice"),
        ("", "cannot be read as a tab-separated table"),
        (
            "participant_id\tcontrast\nsub-01\ta\nsub-02\tb\nsub-03\tb\n",
            "fewer than two of them have scans of at least 2",
        ),
    ):
        path.write_text(rows)
        with pytest.raises(DatasetError, match=message):
            evaluate_files({"first": [bids / "ours"]}, [bids / "labels"], contrasts=path)


def test_empty_maps(tmp_path):
    empty = write(tmp_path, "empty.nii.gz", np.zeros_like(ladder()))
    full = write(tmp_path, "full.nii.gz", ladder())
    row = evaluate_files({"a": [empty]}, [full]).tables["scans"].iloc[0]
    assert (row.dice, row.n_missed) == (0, 6)
    with pytest.raises(DatasetError, match="all empty: there is nothing to score"):
        evaluate_files({"a": [empty]}, [empty])
    with pytest.raises(DatasetError, match="no map holds a level that is to be scored"):
        evaluate_files({"a": [full]}, [full], values=(20,))


def test_references_in_plain_bids_find_their_predictions(tmp_path):
    """As sct_rootlets train takes them: sub-01_inv-1_part-mag_label-rootlets_dseg is of ..._part-mag_MP2RAGE."""
    for number in (1, 2):
        stem = f"sub-01_inv-{number}_part-mag"
        write(tmp_path / "labels", f"{stem}_label-rootlets_dseg.nii.gz", ladder())
        write(tmp_path / "labels", f"{stem}_label-SC_seg.nii.gz", cord())
        write(tmp_path / "ours", f"{stem}_MP2RAGE_rootlets.nii.gz", ladder(shift=number))
    study = evaluate_files({"a": [tmp_path / "ours"]}, [tmp_path / "labels"], [tmp_path / "labels"])
    scans = study.tables["scans"].set_index("contrast")
    assert study.notes == ()
    assert scans.dice["inv-1_part-mag_MP2RAGE"] == pytest.approx(5 / 6)
    assert scans.dice["inv-2_part-mag_MP2RAGE"] == pytest.approx(4 / 6)


def test_a_missing_cord_mask_is_named(bids):
    (bids / "labels" / "sub-02" / "anat" / "sub-02_T2w_label-SC_seg.nii.gz").unlink()
    with pytest.raises(DatasetError, match="sub-02_T2w has no cord mask"):
        evaluate_files({"a": [bids / "ours"]}, [bids / "labels"], cords=[bids / "labels"])


def test_names_of_levels():
    assert parse_levels("C2:C5") == (2, 3, 4, 5)
    assert parse_levels("T1, C8") == (8, 9)
    for text, message in (
        ("C9", "does not name"),
        ("C5:C3", "not a range"),
        ("C2:C3:C4", "not a range"),
        ("", "does not name"),
    ):
        with pytest.raises(DatasetError, match=message):
            parse_levels(text)


def test_docstring_examples():
    result = doctest.testmod(references)
    assert (result.attempted > 0, result.failed) == (True, 0)
