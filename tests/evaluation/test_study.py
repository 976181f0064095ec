"""From files to tables, on maps of known geometry."""

import numpy as np
import pandas as pd
import pytest
from ladder import cord, ladder, write

from sct_rootlets.errors import DatasetError, ImageError, LabelError
from sct_rootlets.evaluation.study import evaluate_files, evaluate_raters, evaluate_repeats, levels_of
from sct_rootlets.nifti import load_volume

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


def test_axes_may_differ_and_grids_may_not(tmp_path):
    flipped = np.diag([-1.0, 1, 1, 1])
    flipped[0, 3] = ladder().shape[0] - 1
    reference = write(tmp_path, "reference.nii.gz", ladder())
    turned = write(tmp_path, "turned.nii.gz", ladder()[::-1], flipped)
    assert evaluate_files({"a": [turned]}, [reference]).tables["scans"].dice[0] == 1
    moved = np.eye(4)
    moved[2, 3] = 5
    with pytest.raises(ImageError, match=r"corners lie up to 5 mm apart; resample moved.nii.gz"):
        evaluate_files({"a": [write(tmp_path, "moved.nii.gz", ladder(), moved)]}, [reference])


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
    for rows, message in (
        ("scan\tgroup\na\tb\n", "has the columns scan, group; it needs contrast and scan"),
        ("scan\tcontrast\nsub-01_T2w\tdark\n", "has no contrast for sub-01_UNIT1 and 4 others"),
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


@pytest.mark.parametrize(
    ("change", "message"),
    [(lambda data: data * 0.5, "is no label"), (lambda data: (data > 0) * 1, "the value 1, which is no level"),
     (lambda data: data + (data > 0) * 90.0, "the value 92, which is no level"),
     (lambda data: np.where(data > 0, np.nan, 0), "NaN or infinite")],
)  # fmt: skip
def test_values_that_are_no_levels(tmp_path, change, message):
    reference = write(tmp_path, "reference.nii.gz", ladder())
    spoilt = write(tmp_path, "spoilt.nii.gz", np.asarray(change(ladder()), dtype=np.float32))
    for pair in ((spoilt, reference), (reference, spoilt)):
        with pytest.raises(LabelError, match=message):
            evaluate_files({"a": [pair[0]]}, [pair[1]])


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
    assert levels_of("C2:C5") == (2, 3, 4, 5)
    assert levels_of("T1, C8") == (8, 9)
    for text, message in (
        ("C9", "does not name"),
        ("C5:C3", "no range"),
        ("C2:C3:C4", "no range"),
        ("", "does not name"),
    ):
        with pytest.raises(DatasetError, match=message):
            levels_of(text)


@pytest.fixture
def raters(tmp_path):
    """Three raters of two scans, a slice apart; the second scan's levels lie a slice lower."""
    for number in (1, 2, 3):
        for subject in ("01", "02"):
            down = number - 2 + (subject == "02")
            write(tmp_path / "maps", f"sub-{subject}_T2w_label-rootlets_rater{number}.nii.gz", ladder(shift=down))
    for subject in ("01", "02"):
        write(tmp_path / "labels", f"sub-{subject}_T2w_label-SC_seg.nii.gz", cord())
        pmj = np.zeros_like(cord())
        pmj[9, 7, 59] = 50
        write(tmp_path / "labels", f"sub-{subject}_T2w_label-PMJ_dlabel.nii.gz", pmj)
    return tmp_path


def patterns(folder):
    return {f"rater{number}": [str(folder / "maps" / f"*_rater{number}.nii.gz")] for number in (1, 2, 3)}


def test_raters(raters):
    """Midpoints at m - 1, m and m + 1 mm from the PMJ: SD 1 mm, COV 100 / m %."""
    pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    study = evaluate_raters(patterns(raters), [raters / "labels"], [raters / "labels"])
    pairs = study.tables["pairwise"]
    assert len(pairs) == 2 * 3 * 6
    assert sorted(pairs.dice.unique()) == pytest.approx([4 / 6, 5 / 6])
    table = study.tables["variability"]
    assert (table.n_repeats == 3).all()
    np.testing.assert_allclose(table.sd_mm, 1, atol=0.01)
    np.testing.assert_allclose(table.cov_percent, 100 / table.mean_mm, rtol=0.01)
    # C2 of the second rater of the first subject: slices 50-55, its middle 6.5 mm below the PMJ in slice 59.
    assert table[(table.group == "sub-01_T2w") & (table.name == "C2")].mean_mm.iloc[0] == pytest.approx(6.5, abs=0.05)
    assert set(study.tables["icc"].name) == {"C2", "C3", "C4", "C5", "C6", "C7"}
    consensus = study.consensus["sub-01_T2w"]
    inner = ladder(shift=0)
    assert set(np.unique(consensus.data)) == {0, 2, 3, 4, 5, 6, 7}
    assert ((consensus.data == inner) | (consensus.data == 0) | (inner == 0)).all()
    written = study.save(raters / "out", figures=False)
    again = load_volume(
        next(path for path in written if path.name == "sub-01_T2w_label-rootlets_desc-staple_dseg.nii.gz")
    )
    np.testing.assert_array_equal(again.data, consensus.data)


def test_raters_that_lack_something(raters):
    pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    study = evaluate_raters(patterns(raters), [raters / "labels"])
    assert study.tables["variability"].cov_percent.isna().all()  # no PMJ
    assert study.about["reference"] == "cord top"
    assert "variability" not in evaluate_raters(patterns(raters)).tables
    (raters / "labels" / "sub-02_T2w_label-PMJ_dlabel.nii.gz").unlink()
    with pytest.raises(DatasetError, match="sub-02_T2w has no PMJ label"):
        evaluate_raters(patterns(raters), [raters / "labels"], [raters / "labels"])
    (raters / "maps" / "sub-02_T2w_label-rootlets_rater3.nii.gz").unlink()
    study = evaluate_raters(patterns(raters), [raters / "labels"])
    assert study.about["scans"] == ["sub-01_T2w"]
    assert len([note for note in study.notes if "no scan of this name in rater3" in note]) == 2
    assert "icc" not in study.tables
    with pytest.raises(DatasetError, match="give at least 2"):
        evaluate_raters({"rater1": [raters / "maps"]})


def test_levels_without_a_consensus_are_named(tmp_path):
    """C3 was drawn by one of two, or of three; of C2 they agree."""
    pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    for rater, values in ((1, (2, 3)), (2, (2,)), (3, (2,))):
        write(tmp_path / f"{rater}", "sub-01_T2w_rootlets.nii.gz", ladder(values))
    two = evaluate_raters({"a": [tmp_path / "1"], "b": [tmp_path / "2"]})
    assert two.notes == ("sub-01_T2w: 1 of 2 raters drew C3, and no voxel is surely of it: not in the consensus",)
    assert set(np.unique(two.consensus["sub-01_T2w"].data)) == {0, 2}
    three = evaluate_raters({str(n): [tmp_path / str(n)] for n in (1, 2, 3)})
    assert three.notes == ("sub-01_T2w: 1 of 3 raters drew C3: not in the consensus",)


def level_table(folder, name, middles, reference="PMJ", method="extent"):
    folder.mkdir(exist_ok=True)
    rows = [
        {"level": level, "name": f"C{level}", "kind": "spinal", "method": method, "rostral_mm": middle - 5,
         "caudal_mm": middle + 5, "midpoint_mm": middle, "length_mm": 10.0, "reference": reference}
        for level, middle in middles.items()
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / f"{name}_levels.csv", index=False)


def test_repeated_scans(tmp_path):
    """Sessions of two subjects; a level seen in one session only has a row that says so."""
    level_table(tmp_path, "sub-01_ses-a_T2w", {3: 49.0, 4: 70.0})
    level_table(tmp_path, "sub-01_ses-b_T2w", {3: 51.0})
    level_table(tmp_path, "sub-02_ses-a_T2w", {3: 60.0})
    level_table(tmp_path, "sub-02_ses-b_T2w", {3: 60.0})
    study = evaluate_repeats([tmp_path], "ses")
    table = study.tables["variability"].set_index(["group", "name"])
    assert table.cov_percent["sub-01_T2w", "C3"] == pytest.approx(100 * np.sqrt(2) / 50)
    assert table.cov_percent["sub-02_T2w", "C3"] == 0
    assert table.note["sub-01_T2w", "C4"] == "seen once (a)"
    assert study.tables["variability_by_level"].cov_percent.tolist() == pytest.approx([100 * np.sqrt(2) / 100])


def test_levels_that_the_field_of_view_may_have_cut_do_not_vary(tmp_path):
    """Half of C4 is outside in one session: its middle has not moved, and nobody knows where it is."""
    for session, middle in (("a", 70.0), ("b", 66.0)):
        level_table(tmp_path, f"sub-01_ses-{session}_T2w", {3: 50.0, 4: middle})
        path = tmp_path / f"sub-01_ses-{session}_T2w_levels.csv"
        table = pd.read_csv(path)
        table.assign(complete=(table["name"] == "C3") | (session == "a")).to_csv(path, index=False)
    study = evaluate_repeats([tmp_path], "ses")
    table = study.tables["variability"].set_index("name")
    assert table.n_repeats.to_dict() == {"C3": 2, "C4": 1}
    assert table.note["C4"] == "seen once (a)"
    assert study.notes == ("b, sub-01_T2w: C4 left out, because it may be longer than stated",)


def test_one_person_under_many_names_and_in_many_contrasts(tmp_path):
    for number, site in enumerate(("amu", "mgh", "ucl")):
        level_table(tmp_path / "a", f"sub-{site}_T2w", {3: 50.0 + number})
    table = evaluate_repeats([tmp_path / "a"], "sub").tables["variability"]
    assert (table.group.tolist(), table.n_repeats.tolist(), table.sd_mm.tolist()) == (["T2w"], [3], [1.0])
    for number, contrast in enumerate(("T2w", "inv-1_part-mag_MP2RAGE")):
        level_table(tmp_path / "b", f"sub-01_{contrast}", {3: 50.0 + number})
    table = evaluate_repeats([tmp_path / "b"], "contrast").tables["variability"]
    assert (table.group.tolist(), table.n_repeats.tolist()) == (["sub-01"], [2])


def test_level_tables_that_do_not_compare(tmp_path):
    level_table(tmp_path, "sub-01_ses-a_T2w", {3: 49.0})
    with pytest.raises(DatasetError, match="nothing repeats"):
        evaluate_repeats([tmp_path], "ses")
    with pytest.raises(DatasetError, match="has no acq- in its name"):
        evaluate_repeats([tmp_path], "acq")
    level_table(tmp_path, "sub-01_ses-b_T2w", {3: 9.0}, reference="disc C2/C3")
    with pytest.raises(
        DatasetError, match=r"different references \(sub-01_T2w a from PMJ but sub-01_T2w b from disc C2/C3\)"
    ):
        evaluate_repeats([tmp_path], "ses")
    level_table(tmp_path, "sub-01_ses-b_T2w", {3: 49.0}, method="segment")
    with pytest.raises(DatasetError, match=r"different methods \(extent and segment\)"):
        evaluate_repeats([tmp_path], "ses")
    (tmp_path / "sub-01_ses-b_T2w_levels.csv").write_text("level,name\n3,C3\n")
    with pytest.raises(DatasetError, match=r"ses-b_T2w_levels.csv has no column caudal_mm; give level tables"):
        evaluate_repeats([tmp_path], "ses")
    level_table(tmp_path, "sub-01_ses-b_T2w", {3: 49.0})
    path = tmp_path / "sub-01_ses-b_T2w_levels.csv"
    path.write_text(path.read_text().replace("49.0", "n/a"))
    with pytest.raises(DatasetError, match=r"ses-b_T2w_levels.csv has a row whose midpoint_mm is no number"):
        evaluate_repeats([tmp_path], "ses")
    (tmp_path / "sub-01_ses-b_T2w_levels.csv").write_text("")
    with pytest.raises(DatasetError, match="cannot be read as a table"):
        evaluate_repeats([tmp_path], "ses")
