import json
import shutil

import nibabel as nib
import pytest

from sct_rootlets.errors import DatasetError
from sct_rootlets.nnunet.scans import find_labelled, read_labelled
from sct_rootlets.nnunet.splits import make_split


def test_two_folders_with_the_same_subject(bids, tmp_path):
    """The same people in another folder: other names in the dataset, and one person all the same."""
    shutil.copytree(bids, tmp_path / "copy")
    named, _ = find_labelled([bids, tmp_path / "copy"], contrasts=["T2w"])
    assert [name for name, _ in named][:2] == ["sub-01_T2w", "sub-01_T2w_folder2"]
    cases = [read_labelled(name, scan)[0].case for name, scan in named]
    assert len(set(make_split(cases, 2).persons.values())) == 4


def test_labels_of_one_folder_are_not_given_to_the_same_names_in_another(bids, tmp_path):
    copy = shutil.copytree(bids, tmp_path / "copy")
    labels = [root / "derivatives" / "labels" for root in (copy, bids)]
    named, problems = find_labelled([bids, copy], labels, contrasts=["T2w"])
    assert problems == []
    assert len(named) == 10
    assert all(scan.labels["rootlets"].is_relative_to(scan.root) for _, scan in named)


def test_a_renamed_copy_is_the_same_person(bids, tmp_path):
    """One scan under another subject's name, stored in another axis order: found by its voxels."""
    for folder in ("", "derivatives/labels"):
        source, target = bids / folder / "sub-03" / "anat", tmp_path / folder / "sub-99" / "anat"
        target.mkdir(parents=True)
        for path in source.glob("*T2w*.nii.gz"):
            nib.save(nib.as_closest_canonical(nib.load(path)), target / path.name.replace("sub-03", "sub-99"))
    cases = [read_labelled(name, scan)[0].case for name, scan in find_labelled([bids, tmp_path], contrasts=["T2w"])[0]]
    split = make_split(cases, 2)
    assert split.persons["sub-99_T2w"] == split.persons["sub-03_T2w"] == "sub-03 = sub-99"


def test_leaving_out_and_choosing(bids):
    named, _ = find_labelled([bids], contrasts=["t2w"], exclude=["sub-01", "sub-02_ses-a_T2w"])
    assert [name for name, _ in named] == ["sub-02_ses-b_T2w", "sub-03_T2w", "sub-04_T2w"]


def test_nothing_to_train_on(bids):
    with pytest.raises(DatasetError, match="no scan of the contrasts T1w with a rootlet map was found"):
        find_labelled([bids], contrasts=["T1w"])


def test_labels_that_nobody_has_reviewed_are_an_error(bids, tmp_path):
    root = shutil.copytree(bids, tmp_path / "bids")
    label = root / "derivatives/labels/sub-01/anat/sub-01_T2w_label-rootlets_dseg.json"
    for said, n_problems in (({"Reviewed": False}, 1), ({"Reviewed": True}, 0), ({}, 0)):
        label.write_text(json.dumps(said))
        problems = find_labelled([root])[1]
        assert [problem.severity for problem in problems] == ["error"] * n_problems


def test_a_damaged_file_is_an_error_of_its_scan(bids, tmp_path):
    root = shutil.copytree(bids, tmp_path / "bids")
    (root / "sub-01/anat/sub-01_T2w.nii.gz").write_bytes(b"nothing")
    named, _ = find_labelled([root])
    labelled, problems = read_labelled(*named[0])
    assert labelled is None
    assert [(problem.scan, problem.severity) for problem in problems] == [("sub-01_T2w", "error")]
