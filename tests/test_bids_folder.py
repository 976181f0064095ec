import os
import shutil
from pathlib import Path

import pytest

from sct_rootlets.bids_folder import files_below, find_scans, places_without_scan
from sct_rootlets.errors import DatasetError

SPINE_GENERIC = "sub-01_T2w_label-rootlets_dseg.nii.gz"


def write(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


@pytest.fixture
def bids(tmp_path):
    def make(images, labels):
        anat = [f"sub-01/anat/{name}" if "/" not in name else name for name in images]
        labelled = [f"sub-01/anat/{name}" if "/" not in name else name for name in labels]
        return write(tmp_path, *anat, *(f"derivatives/labels/{name}" for name in labelled), "derivatives/labels/x.json")

    return make


MP2RAGE = ["sub-01_inv-1_part-mag_MP2RAGE.nii.gz", "sub-01_inv-2_part-mag_MP2RAGE.nii.gz", "sub-01_UNIT1.nii.gz"]


@pytest.mark.parametrize(
    ("label", "stem"),
    [
        (SPINE_GENERIC, "sub-01_T2w"),
        ("sub-01_UNIT1_label-rootlets_dseg.nii.gz", "sub-01_UNIT1"),
        ("sub-01_inv-1_part-mag_MP2RAGE_label-rootlets_dseg.nii.gz", "sub-01_inv-1_part-mag_MP2RAGE"),
        ("sub-01_inv-2_part-mag_label-rootlets_dseg.nii.gz", "sub-01_inv-2_part-mag_MP2RAGE"),
        ("sub-01_inv-2_MP2RAGE_label-rootlets_desc-manual_dseg.nii.gz", "sub-01_inv-2_part-mag_MP2RAGE"),
    ],
)
def test_labels_find_their_image_among_four(bids, label, stem):
    scans, problems = find_scans(bids(["sub-01_T2w.nii.gz", *MP2RAGE], [label]))
    assert problems == []
    assert len(scans) == 4
    assert [scan.image.stem for scan in scans if "rootlets" in scan.labels] == [stem]


def test_a_label_that_names_an_image_exactly_is_of_no_other(bids):
    """Images that differ by an entity: a label without it is of the image without it."""
    images = ["sub-01_T2w.nii.gz", "sub-01_acq-sag_T2w.nii.gz"]
    scans, problems = find_scans(bids(images, [SPINE_GENERIC, "sub-01_acq-sag_label-rootlets_dseg.nii.gz"]))
    assert problems == []
    for scan in scans:
        assert scan.labels["rootlets"].name.startswith(scan.image.stem.removesuffix("_T2w"))
        assert ("acq" in scan.image.entities) == ("acq" in scan.labels["rootlets"].name)


def test_kinds_are_told_apart(bids):
    labels = ["rootlets_dseg", "SC_seg", "discs_dlabel", "PMJ_dlabel", "lesion_mask"]
    (scan,), problems = find_scans(
        bids(["sub-01_T2w.nii.gz"], [f"sub-01_T2w_label-{label}.nii.gz" for label in labels])
    )
    assert set(scan.labels) == {"rootlets", "cord", "discs", "pmj"}
    assert problems == []


def test_sessions_are_kept_apart(bids):
    images = [f"sub-01/ses-{n}/anat/sub-01_ses-{n}_T2w.nii.gz" for n in (1, 2)]
    label = "sub-01/ses-2/anat/sub-01_ses-2_T2w_label-rootlets_dseg.nii.gz"
    scans, problems = find_scans(bids(images, [label]))
    assert problems == []
    assert [(scan.image.session, len(scan.labels)) for scan in scans] == [("1", 0), ("2", 1)]


def test_contrasts_are_chosen_whatever_the_capitals(bids):
    root = bids(["sub-01_T2w.nii.gz", *MP2RAGE], [])
    assert [scan.image.contrast for scan in find_scans(root, contrasts=["inv1", "t2W"])[0]] == ["T2w", "INV1"]


@pytest.mark.parametrize(
    ("images", "labels", "problem"),
    [
        (["sub-01_T2w.nii.gz", "sub-01_UNIT1.nii.gz"], ["sub-01_label-rootlets_dseg.nii.gz"],
         "could belong to sub-01_T2w, sub-01_UNIT1; name it after its image, such as sub-01_T2w_label-rootlets_dseg"),
        (["sub-01_T2w.nii.gz"], ["sub-01_UNIT1_label-rootlets_dseg.nii.gz"], "no image that it could belong to"),
        (["sub-01_T2w.nii.gz"], [SPINE_GENERIC, "sub-01_T2w_label-rootlets_desc-2_dseg.nii"],
         "2 rootlet maps of one image, and the consensus"),
        (["sub-01_T2w.nii.gz", "T1w.nii.gz"], [], "its name is none of BIDS"),
        (["sub-01_T2w.nii.gz", "sub-02_T2w.nii.gz"], [], "by its folder it belongs to sub-01, by its name it does not"),
    ],
)  # fmt: skip
def test_what_is_left_out_is_said_in_one_line(bids, images, labels, problem):
    _, problems = find_scans(bids(images, labels))
    assert len(problems) == 1
    assert problem in problems[0]
    assert "\n" not in problems[0]


def test_what_was_made_from_an_image_and_lies_beside_it_is_no_image(bids):
    """As sct_deepseg writes it: labels still find the image, nothing is done twice, and a processed image is said."""
    beside = ["sub-01_T2w_seg.nii.gz", "sub-01_T2w_rootlets.nii.gz", "sub-01_T2w_label-discs_dlabel.nii.gz",
              "sub-01_T2w_label-lesion_mask.nii.gz", "sub-01_T2w_RPI_r.nii", "sub-01_desc-n4_T2w.nii.gz"]  # fmt: skip
    (scan,), problems = find_scans(bids(["sub-01_T2w.nii.gz", *beside], [SPINE_GENERIC]))
    assert (scan.image.stem, set(scan.labels)) == ("sub-01_T2w", {"rootlets"})
    assert [problem.partition(" is left out")[0] for problem in problems] == [
        str(scan.image.path.with_name("sub-01_desc-n4_T2w.nii.gz"))
    ]


def test_processed_images_are_said_once_for_each_kind(bids):
    names = [f"sub-0{n}/anat/sub-0{n}_desc-x_T2w.nii.gz" for n in (1, 2, 3)]
    root = bids(["sub-01_T2w.nii.gz", *names, "sub-01_desc-y_T1w.nii.gz"], [])
    (scan,), problems = find_scans(root)
    assert problems == [
        f"{root / names[0]} (and 2 more such files) is left out: desc-x in its name marks a processed image; to use it "
        "as a scan, leave desc-x out of its name",
        f"{root / 'sub-01/anat/sub-01_desc-y_T1w.nii.gz'} is left out: desc-y in its name marks a processed image; to "
        "use it as a scan, leave desc-y out of its name",
    ]
    assert len(find_scans(root, contrasts=["T2w"])[1]) == 1
    assert places_without_scan(root, [scan]) == {"sub-02": "desc-x_T2w", "sub-03": "desc-x_T2w"}


def test_a_mask_without_its_image_is_said(bids):
    scans, (problem,) = find_scans(bids(["sub-01_T2w.nii.gz", "sub-01_UNIT1_seg.nii.gz"], []))
    assert len(scans) == 1
    assert "sub-01_UNIT1_seg.nii.gz is left out: by its name it was made from an image, which is not there" in problem


def test_a_link_to_nothing_is_said(bids):
    root = bids(["sub-01_T2w.nii.gz"], [])
    (root / "sub-01/anat/sub-01_UNIT1.nii.gz").symlink_to(".git/annex/objects/gone")
    scans, problems = find_scans(root)
    assert len(scans) == 1
    assert "a link to nothing (git annex get" in problems[0]


def test_labels_may_lie_elsewhere(bids, tmp_path):
    root = bids(["sub-01_T2w.nii.gz"], [SPINE_GENERIC])
    other = write(tmp_path / "other", f"sub-01/anat/{SPINE_GENERIC}")
    for folders, expected in (([other], other), ([root / "derivatives/labels", other], root / "derivatives/labels")):
        (scan,), _ = find_scans(root, folders)
        assert scan.labels["rootlets"].is_relative_to(expected)


def test_what_is_no_bids_folder(tmp_path):
    with pytest.raises(DatasetError, match="is not a folder"):
        find_scans(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="is it a BIDS folder"):
        find_scans(tmp_path)
    root = write(tmp_path, "sub-01/anat/sub-01_T2w.nii.gz")
    with pytest.raises(DatasetError, match=r"gone is not a folder; give one with labels"):
        find_scans(root, [tmp_path / "gone"])
    assert [scan.labels for scan in find_scans(root)[0]] == [{}]


def test_files_below_a_folder_in_which_others_write(tmp_path, monkeypatch):
    for name in ("b/c/2", "b/1", ".git/x", "a", "b/.sct_rootlets-1/staged", "gone/y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    walk = os.walk

    def while_others_write(folder):
        for step in walk(folder):
            shutil.rmtree(tmp_path / "gone", ignore_errors=True)  # after it was listed, before it is entered
            yield step

    monkeypatch.setattr(os, "walk", while_others_write)
    assert [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path)] == ["a", "b/1", "b/c/2"]


OLDER = {
    "cord": ("T2w_seg-manual", "T2w_seg", "T2w_label-SC_mask", "T2w_label-SC_mask-manual"),
    "discs": ("T2w_labels-disc-manual", "T2w_label-disc-manual", "T2w_seg_labeled_discs", "T2w_labels-disc"),
    "rootlets": ("T2w_rootlets", "T2w_rootlets-manual", "T2w_label-rootlets"),
    "pmj": ("T2w_pmj", "T2w_pmj-manual", "T2w_labels-pmj-manual"),
}


@pytest.mark.parametrize(("kind", "ending"), [(kind, ending) for kind, endings in OLDER.items() for ending in endings])
def test_labels_under_older_names_are_read(bids, kind, ending):
    (scan,), problems = find_scans(bids(["sub-01_T2w.nii.gz"], [f"sub-01_{ending}.nii.gz"]))
    assert {kind: path.name for kind, path in scan.labels.items()} == {kind: f"sub-01_{ending}.nii.gz"}
    assert problems == []


def test_manual_labels_take_precedence_and_the_others_are_said(bids):
    """Also where the alphabet has it otherwise."""
    endings = ["label-SC_seg", "seg", "label-SC_mask-manual", "a_label-SC_desc-auto_seg"]
    labels = [f"sub-01_T2w_{ending}.nii.gz" for ending in endings[:3]] + ["sub-01_T2w_desc-auto_label-SC_seg.nii.gz"]
    (scan,), problems = find_scans(bids(["sub-01_T2w.nii.gz"], labels))
    assert scan.labels["cord"].name == "sub-01_T2w_label-SC_mask-manual.nii.gz"
    assert len(problems) == 3
    for label in (labels[0], labels[1], labels[3]):
        assert sum(f"{label} is left out: {labels[2]} is a label of the same kind" in text for text in problems) == 1


def test_of_equal_labels_none_is_taken(bids):
    labels = [f"sub-01_T2w_label-rootlets_desc-rater{number}_dseg.nii.gz" for number in (1, 2)]
    (scan,), (problem,) = find_scans(bids(["sub-01_T2w.nii.gz"], labels))
    assert scan.labels == {}
    assert all(label in problem for label in labels)
    assert "none is used: leave the right one there" in problem
    (scan,), problems = find_scans(bids([], ["sub-01_T2w_label-rootlets_desc-staple_dseg.nii.gz"]))
    assert scan.labels["rootlets"].name.endswith("desc-staple_dseg.nii.gz")
    assert len(problems) == 1
    assert "it is the consensus; left out beside it" in problems[0]


@pytest.mark.parametrize(
    ("labels", "fragments"),
    [
        (["T2w_mask", "T1w_mask"], ["_T1w_mask.nii.gz (and 1 more such files) is left out", "label-SC_seg.nii.gz"]),
        (["T2w_seg_labeled"], ["_seg_labeled.nii.gz is left out", "label-discs_dlabel.nii.gz, with the points of"]),
        (["T2w_label-spinalcord_seg"], ["label-spinalcord_seg.nii.gz is left out", "label-rootlets_dseg.nii.gz"]),
        (["T2w_gmseg-manual"], ["_T2w_gmseg-manual.nii.gz is left out", "label-PMJ_dlabel.nii.gz"]),
    ],
)
def test_labels_of_unknown_names_are_said_with_the_names_expected(bids, labels, fragments):
    names = [f"sub-01_{label}.nii.gz" for label in labels]
    (scan,), (problem,) = find_scans(bids(["sub-01_T2w.nii.gz"], names))
    assert scan.labels == {}
    assert all(fragment in problem for fragment in fragments)
    assert "\n" not in problem


@pytest.mark.parametrize("place", ["sub-01/sub-01_T2w_seg.nii.gz", "sub-01_T2w_seg.nii.gz"])
def test_labels_outside_of_anat_are_said(bids, tmp_path, place):
    root = write(bids(["sub-01_T2w.nii.gz"], []), f"derivatives/labels/{place}")
    (scan,), (problem,) = find_scans(root)
    assert scan.labels == {}
    assert f"{place} is left out: labels are expected in sub-01/anat" in problem


def test_subjects_and_sessions_without_a_scan(bids):
    root = bids(["sub-01_T2w.nii.gz"], [])
    write(
        root,
        "sub-02/anat/sub-02_T1w.nii.gz",
        "sub-02/anat/sub-02_T1w_seg.nii.gz",
        "sub-03/dwi/sub-03_dwi.nii.gz",
        "sub-04/ses-1/anat/sub-04_ses-1_T2w.nii.gz",
        "sub-04/ses-2/anat/sub-04_ses-2_acq-x_T2star.nii.gz",
    )
    scans, _ = find_scans(root, contrasts=["T2w"])
    assert places_without_scan(root, scans) == {"sub-02": "T1w", "sub-03": "no image", "sub-04/ses-2": "T2star"}


RATERS = [f"sub-01_T2w_label-rootlets_desc-rater{n}_dseg.nii.gz" for n in (1, 2, 3)]


@pytest.mark.parametrize(
    "consensus",
    [
        "sub-01_T2w_label-rootlets_desc-staple_dseg.nii.gz",
        "sub-01_T2w_label-rootlets_desc-Consensus_dseg.nii.gz",
        "sub-01_T2w_desc-STAPLE_label-rootlets_dseg.nii.gz",
        "sub-01_T2w_label-rootlets_staple.nii.gz",
        "sub-01_desc-consensus_label-rootlets_dseg.nii.gz",
    ],
)
def test_of_several_raters_the_consensus_is_used_and_said(bids, consensus):
    (scan,), (problem,) = find_scans(bids(["sub-01_T2w.nii.gz"], [*RATERS, consensus, SPINE_GENERIC]))
    assert scan.labels["rootlets"].name == consensus
    assert scan.ambiguous == {}
    assert problem.startswith(f"{scan.labels['rootlets']} is used: it is the consensus; left out beside it: ")
    for name in (*RATERS, SPINE_GENERIC):
        assert name in problem.partition("left out")[2]


@pytest.mark.parametrize(
    "labels",
    [
        RATERS,
        RATERS[:2],
        [RATERS[0], SPINE_GENERIC],
        ["sub-01_T2w_label-rootlets_rater1.nii.gz", "sub-01_T2w_label-rootlets_rater2.nii.gz"],
        [SPINE_GENERIC, SPINE_GENERIC.removesuffix(".gz")],
        [*RATERS, *(f"sub-01_T2w_label-rootlets_desc-{name}_dseg.nii.gz" for name in ("staple", "consensus"))],
    ],
)
def test_without_a_consensus_no_label_is_used_and_all_are_listed(bids, labels):
    (scan,), (problem,) = find_scans(bids(["sub-01_T2w.nii.gz"], labels))
    assert scan.labels == {}
    assert scan.ambiguous == {"rootlets": problem}
    assert f"holds {len(labels)} rootlet maps of one image, and the consensus is not known" in problem
    assert all(label in problem for label in labels)
    assert "\n" not in problem


def test_a_rater_may_be_chosen(bids):
    root = bids(["sub-01_T2w.nii.gz"], RATERS)
    (scan,), problems = find_scans(root, desc="rater2")
    assert (scan.labels["rootlets"].name, problems) == (RATERS[1], [])
    (scan,), (problem,) = find_scans(root, desc="rater9")
    assert scan.labels == {}
    assert "none of them is desc-rater9" in problem


@pytest.mark.parametrize(("label", "used"), [(SPINE_GENERIC, True), (RATERS[0], False)])
def test_a_single_map_of_another_rater_is_not_the_one_chosen(bids, label, used):
    (scan,), problems = find_scans(bids(["sub-01_T2w.nii.gz"], [label]), desc="rater2")
    assert ("rootlets" in scan.labels, len(problems)) == (used, not used)


def test_an_undecided_folder_is_not_passed_over_for_the_next(bids, tmp_path):
    root = bids(["sub-01_T2w.nii.gz"], RATERS)
    other = write(tmp_path / "other", f"sub-01/anat/{SPINE_GENERIC}")
    (scan,), _ = find_scans(root, [root / "derivatives/labels", other])
    assert scan.labels == {}


def test_masks_of_several_raters_are_not_chosen_by_alphabet_either(bids):
    masks = [f"sub-01_T2w_label-SC_desc-{name}_seg.nii.gz" for name in ("a", "b")]
    (scan,), (problem,) = find_scans(bids(["sub-01_T2w.nii.gz"], masks))
    assert scan.labels == {}
    assert "2 cord masks of one image" in problem
