import csv
import json

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import aff2axcodes

from sct_rootlets.models.requirements import check_classes
from sct_rootlets.nnunet.dataset import NAME, dataset_json, read_sources, write_dataset
from sct_rootlets.nnunet.scans import find_labelled, read_labelled
from sct_rootlets.nnunet.splits import make_split


@pytest.fixture(scope="module")
def written(bids, tmp_path_factory):
    named, problems = find_labelled([bids])
    assert problems == []
    scans = [read_labelled(name, scan)[0] for name, scan in named]
    split = make_split([scan.case for scan in scans], n_folds=3, test_share=0.2)
    return scans, split, write_dataset(tmp_path_factory.mktemp("raw"), scans, split)


def voxels(path):
    image = nib.load(path)
    return np.asarray(image.dataobj), image.affine


def test_every_scan_is_on_its_side_with_its_label(written):
    scans, split, folder = written
    assert len(scans) == 10
    assert folder.name == NAME
    for scan in scans:
        here, there = ("Ts", "Tr") if scan.case.name in split.test else ("Tr", "Ts")
        assert (folder / f"images{here}" / f"{scan.case.name}_0000.nii.gz").exists()
        assert (folder / f"labels{here}" / f"{scan.case.name}.nii.gz").exists()
        assert not (folder / f"images{there}" / f"{scan.case.name}_0000.nii.gz").exists()


def test_voxels_are_turned_to_ras_and_stay_where_they_are(written):
    scans, split, folder = written
    for scan in scans:
        side = "Ts" if scan.case.name in split.test else "Tr"
        image, affine = voxels(folder / f"images{side}" / f"{scan.case.name}_0000.nii.gz")
        label, label_affine = voxels(folder / f"labels{side}" / f"{scan.case.name}.nii.gz")
        assert aff2axcodes(affine) == ("R", "A", "S")
        np.testing.assert_array_equal(affine, label_affine)
        before, before_affine = voxels(scan.scan.labels["rootlets"])
        for value in scan.levels:
            was = nib.affines.apply_affine(before_affine, np.argwhere(before == value))
            now = nib.affines.apply_affine(affine, np.argwhere(label == value))
            np.testing.assert_allclose(now[np.lexsort(now.T.round(2))], was[np.lexsort(was.T.round(2))], atol=1e-3)
        assert sorted(image.ravel()) == sorted(voxels(scan.scan.image.path)[0].ravel())


def test_dataset_json_is_what_sct_reads(written):
    scans, split, folder = written
    content = json.loads((folder / "dataset.json").read_text())
    assert content["numTraining"] == len(list((folder / "imagesTr").iterdir())) == 10 - len(split.test)
    assert content["image_orientation"] == "LPI"
    assert content["channel_names"] == {"0": "MRI"}
    labels = dict(content["labels"])
    assert labels.pop("background") == 0
    assert list(labels.values()) == list(range(1, max(max(scan.levels) for scan in scans) + 1))
    check_classes(labels, "dataset")


def test_classes_have_the_values_of_levels():
    assert dataset_json(3, 4)["labels"] == {"background": 0, "lvl1": 1, "lvl2": 2, "lvl3": 3, "lvl4": 4}


def test_tables_say_what_came_from_where(written, bids):
    _, split, folder = written
    rows = {row["case"]: row for row in csv.DictReader((folder / "sources.tsv").open(), delimiter="\t")}
    assert read_sources(folder / "sources.tsv") == list(rows.values())
    assert set(rows) == set(split.persons)
    row = rows["sub-02_ses-b_UNIT1"]
    assert (row["participant_id"], row["session_id"], row["contrast"]) == ("sub-02", "ses-b", "UNIT1")
    assert row["image"] == str(bids / "sub-02" / "ses-b" / "anat" / "sub-02_ses-b_UNIT1.nii.gz")
    assert (row["axes"], row["voxel_mm"]) == ("PSR", "1.5×1.5×1.5")
    assert row["side"] == ("test" if "sub-02_ses-b_UNIT1" in split.test else "train")
    assert len({row["image_sha256"] for row in rows.values()}) == 10
    assert json.loads((folder / "splits_final.json").read_text()) == split.as_nnunet()
    assert json.loads((folder / "persons.json").read_text()) == dict(split.persons)
