"""Names of files, and the scans that they belong to."""

from pathlib import Path

import pytest

from sct_rootlets.errors import DatasetError
from sct_rootlets.evaluation.files import (
    complete_scan_names,
    find_files,
    match_scans,
    pair_single_file,
    parse_scan_name,
)


@pytest.mark.parametrize(
    ("name", "key", "subject", "contrast"),
    [
        ("sub-01_T2w_label-rootlets_dseg.nii.gz", "sub-01_T2w", "sub-01", "T2w"),
        ("sub-01_T2w_rootlets.nii.gz", "sub-01_T2w", "sub-01", "T2w"),
        ("sub-01_T2w_label-rootlet_rater1.nii.gz", "sub-01_T2w", "sub-01", "T2w"),
        ("sub-01_T2w_label-SC_seg.nii", "sub-01_T2w", "sub-01", "T2w"),
        ("sub-01_T2w_levels.csv", "sub-01_T2w", "sub-01", "T2w"),
        ("sub-01_ses-a_run-2_UNIT1_dseg.nii.gz", "sub-01_ses-a_run-2_UNIT1", "sub-01", "UNIT1"),
        (
            "sub-01_inv-1_part-mag_MP2RAGE_label-rootlets_dseg.nii.gz",
            "sub-01_inv-1_part-mag_MP2RAGE",
            "sub-01",
            "inv-1_part-mag_MP2RAGE",
        ),
        ("sub-01_label-rootlets_dseg.nii.gz", "sub-01", "sub-01", ""),
        ("sub-01_dseg.nii.gz", "sub-01", "sub-01", ""),
        ("t2_rootlets.nii.gz", "t2", "t2", ""),
        ("t2_seg-manual.nii.gz", "t2", "t2", ""),
        ("case_001.nii.gz", "case_001", "case_001", ""),
        ("rootlets.nii.gz", "rootlets", "rootlets", ""),
    ],
)
def test_names_tell_scans(name, key, subject, contrast):
    scan = parse_scan_name(Path(name))
    assert (scan.key, scan.subject, scan.contrast) == (key, subject, contrast)


def test_labels_that_do_not_say_the_suffix_are_of_the_scan_that_they_fit():
    """As in plain BIDS; where two could be meant, or the name is taken, they keep their own."""
    images = ["sub-01_T2w", "sub-01_inv-1_part-mag_MP2RAGE", "sub-01_inv-2_part-mag_MP2RAGE",
              "sub-02_T2w", "sub-03_T2w", "sub-03_UNIT1", "t2"]  # fmt: skip
    predictions = {key: Path(key) for key in images}
    keys = ["sub-01_inv-1_part-mag", "sub-01_inv-2", "sub-01", "sub-02", "sub-03", "t2"]
    labels, same = complete_scan_names({key: Path(key) for key in keys}, predictions)
    assert same == predictions
    assert {str(path): key for key, path in labels.items()} == {
        "sub-01_inv-1_part-mag": "sub-01_inv-1_part-mag_MP2RAGE",
        "sub-01_inv-2": "sub-01_inv-2_part-mag_MP2RAGE",
        "sub-01": "sub-01_T2w",
        "sub-02": "sub-02_T2w",
        "sub-03": "sub-03",
        "t2": "t2",
    }
    both, _ = complete_scan_names({"sub-02": Path("a"), "sub-02_T2w": Path("b")}, predictions)
    assert both == {"sub-02": Path("a"), "sub-02_T2w": Path("b")}


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_a_folder_of_labels_gives_the_kind_that_is_wanted(tmp_path):
    stem = "sub-01/anat/sub-01_T2w"
    of_labels = [f"{stem}_label-{one}.nii.gz" for one in ("rootlets_dseg", "SC_seg", "PMJ_dlabel", "discs_dlabel")]
    hidden = "sub-01/anat/._sub-01_T2w_label-rootlets_dseg.nii.gz"
    labels = touch(tmp_path, *of_labels, hidden, f"{stem}_levels.csv", "participants.csv")
    for kind, name in (
        ("rootlet maps", "sub-01_T2w_label-rootlets_dseg.nii.gz"),
        ("cord masks", "sub-01_T2w_label-SC_seg.nii.gz"),
        ("PMJ labels", "sub-01_T2w_label-PMJ_dlabel.nii.gz"),
        ("level tables", "sub-01_T2w_levels.csv"),
    ):
        found = find_files([labels], kind)
        assert {key: path.name for key, path in found.items()} == {"sub-01_T2w": name}


def test_patterns_files_and_plain_names(tmp_path):
    touch(
        tmp_path,
        "a/sub-01_T2w_label-rootlets_rater1.nii.gz",
        "a/sub-01_T2w_label-rootlets_rater2.nii.gz",
        "b/c_1.nii.gz",
    )
    found = find_files([str(tmp_path / "**" / "*_rater2.nii.gz")], "rootlet maps")
    assert [path.name for path in found.values()] == ["sub-01_T2w_label-rootlets_rater2.nii.gz"]
    assert list(find_files([tmp_path / "b"], "rootlet maps")) == ["c_1"]
    assert list(find_files([tmp_path / "b" / "c_1.nii.gz", tmp_path / "b"], "rootlet maps")) == ["c_1"]
    with pytest.raises(
        DatasetError, match=r"rater1.nii.gz and .*rater2.nii.gz are both rootlet maps of sub-01_T2w; give"
    ):
        find_files([tmp_path / "a"], "rootlet maps")


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(DatasetError, match="nowhere does not exist"):
        find_files([tmp_path / "nowhere"], "rootlet maps")
    with pytest.raises(DatasetError, match="holds no rootlet maps"):
        find_files([tmp_path], "rootlet maps")
    with pytest.raises(DatasetError, match="holds no cord masks"):
        find_files([str(tmp_path / "*.nii.gz")], "cord masks")
    touch(tmp_path, "participants.csv")
    with pytest.raises(DatasetError, match="holds no level tables"):
        find_files([tmp_path], "level tables")


def test_unmatched_files_are_named():
    one = {"a": Path("x/a.nii.gz"), "b": Path("x/b.nii.gz")}
    other = {"b": Path("y/b.nii.gz"), "c": Path("y/c.nii.gz")}
    matched = match_scans({"predictions": one, "references": other})
    assert matched.scans == ("b",)
    assert matched.notes == (
        f"{Path('x/a.nii.gz')}: no scan of this name in references; left out",
        f"{Path('y/c.nii.gz')}: no scan of this name in predictions; left out",
    )
    with pytest.raises(
        DatasetError, match=r"no scan is in predictions and references.*predictions: a.nii.gz; references: c"
    ):
        match_scans({"predictions": {"a": one["a"]}, "references": {"c": other["c"]}})


def test_a_single_file_takes_the_key_of_a_single_reference():
    """Unless both name a subject, and another one each."""
    plain, named, other = ({key: Path(f"{key}.nii.gz")} for key in ("mine", "sub-01_T2w", "sub-02_T2w"))
    assert pair_single_file(plain, named) == {"sub-01_T2w": plain["mine"]}
    assert pair_single_file(other, named) == other
    assert pair_single_file(plain | other, named) == plain | other
