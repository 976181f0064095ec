import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.errors import DatasetError, ImageError
from sct_rootlets.flags import Flag
from sct_rootlets.nifti import load_volume
from sct_rootlets.nnunet.first_labels import Prediction, invert_contrast, predict_first_labels
from sct_rootlets.nnunet.scans import find_labelled

MODEL = {"Name": "test"}


def test_bright_and_dark_change_places():
    data = np.array([[-3, 0], [5, 12]], dtype=np.int16)
    np.testing.assert_array_equal(invert_contrast(data), [[12, 9], [4, -3]])
    np.testing.assert_array_equal(invert_contrast(invert_contrast(data)), data)
    np.testing.assert_array_equal(invert_contrast(np.array([np.nan, 1.0, 2.0])), [1, 2, 1])


@pytest.fixture
def unlabelled(bids, tmp_path):
    """The BIDS folder without labels of UNIT1."""
    root = shutil.copytree(bids, tmp_path / "bids")
    for path in root.rglob("*UNIT1_label*"):
        path.unlink()
    return root


def bright(volume):
    return Prediction(np.where(volume.data > 150, 4, 0).astype(np.uint8))


def nothing(volume):
    return Prediction(np.zeros(volume.data.shape, np.uint8))


def test_labels_of_the_inverted_image_are_written_for_review(unlabelled, tmp_path):
    found = predict_first_labels([unlabelled], tmp_path / "first", bright, MODEL)
    assert [one.scan.image.stem for one in found] == [
        "sub-01_UNIT1", "sub-02_ses-a_UNIT1", "sub-02_ses-b_UNIT1", "sub-03_UNIT1", "sub-04_UNIT1",
    ]  # fmt: skip
    for one in found:
        image, label = load_volume(one.scan.image.path), load_volume(one.label)
        np.testing.assert_array_equal(label.data > 0, invert_contrast(image.data) > 150)
        np.testing.assert_array_equal(label.affine, image.affine)
    sidecar = json.loads(found[1].label.with_name(found[1].label.name[:-7] + ".json").read_text())
    assert (sidecar["Reviewed"], sidecar["Inverted"], sidecar["Model"]) == (False, True, MODEL)
    assert found[1].label.parent == tmp_path / "first/derivatives/labels/sub-02/ses-a/anat"
    assert found[1].label.with_name(found[1].label.name[:-7] + ".png").exists()


def test_they_are_trained_on_once_somebody_has_reviewed_them(unlabelled, tmp_path):
    found = predict_first_labels([unlabelled], tmp_path / "first", bright, MODEL)
    labels = [unlabelled / "derivatives/labels", tmp_path / "first/derivatives/labels"]
    named, problems = find_labelled([unlabelled], labels)
    assert len(named) == 10
    assert [problem.severity for problem in problems] == ["error"] * 5
    assert "nobody has reviewed it" in problems[0].text
    for one in found:
        sidecar = one.label.with_name(one.label.name[:-7] + ".json")
        sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"Reviewed": True}))
    assert find_labelled([unlabelled], labels)[1] == []


def test_what_somebody_has_corrected_is_left_alone(unlabelled, tmp_path):
    first = predict_first_labels([unlabelled], tmp_path, bright, MODEL)[0].label
    before = first.read_bytes()
    again = predict_first_labels([unlabelled], tmp_path, nothing, MODEL)
    assert first.read_bytes() == before
    assert again[0].note == "there already, left as it is"


def test_a_scan_that_cannot_be_segmented_does_not_stop_the_others(unlabelled, tmp_path):
    def sometimes(volume):
        if "sub-01" in volume.name:
            raise ImageError("no cord was found")
        return nothing(volume)

    found = predict_first_labels([unlabelled], tmp_path, sometimes, MODEL, invert=False)
    assert [one.note for one in found] == ["no cord was found", *["no rootlets were found"] * 4]
    assert found[0].label is None
    assert [one.has_failed for one in found] == [True, *[False] * 4]


def test_flags_are_returned_and_are_in_the_sidecar(unlabelled, tmp_path):
    flag = Flag(key="levels", title="levels", value=0.0, text="none", state="bad", why="spinal levels found")

    def flagged(volume):
        return bright(volume)._replace(flags=(flag,))

    found = predict_first_labels([unlabelled], tmp_path, flagged, MODEL)
    assert [one.flags for one in found] == [(flag,)] * 5
    sidecar = json.loads(found[0].label.with_name(found[0].label.name[:-7] + ".json").read_text())
    assert sidecar["Flags"]["levels"]["State"] == "bad"
    again = predict_first_labels([unlabelled], tmp_path, flagged, MODEL)  # not predicted again: read from the sidecars
    assert [[(one.key, one.state, one.text) for one in found.flags] for found in again] == [
        [("levels", "bad", "none")]
    ] * 5
    corrected = again[0].label
    image = nib.load(corrected)
    nib.save(nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine), corrected)
    flags = [one.flags for one in predict_first_labels([unlabelled], tmp_path, flagged, MODEL)]
    assert flags[0] == ()
    assert all(flags[1:])


def test_nothing_to_do(bids, tmp_path):
    with pytest.raises(DatasetError, match="every scan has a rootlet map"):
        predict_first_labels([bids], tmp_path, bright, MODEL)
