import pytest

from sct_rootlets.bids import output_prefix, parse_name, stem

SPINE_GENERIC = "sub-01_T2w_label-rootlets_dseg.nii.gz"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.nii.gz", "a"),
        ("a.nii", "a"),
        ("A.NII.GZ", "A"),
        ("a.b.nii", "a.b"),
        ("a.nii.json", "a.nii.json"),
        ("a", "a"),
    ],
)
def test_stem(name, expected):
    assert stem(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sub-01_T2w.nii.gz", "sub-01_T2w"),
        ("sub-01_T2w_label-SC_seg.nii.gz", "sub-01_T2w"),
        ("sub-01_T2w_label-rootlets_desc-manual_dseg.nii", "sub-01_T2w"),
        ("t2_seg-manual.nii.gz", "t2"),
        ("_seg.nii.gz", "_seg"),
    ],
)
def test_output_prefix(name, expected):
    assert output_prefix(name) == expected


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("sub-01_T2w.nii.gz", ("01", None, {}, "T2w", "T2w", None)),
        (SPINE_GENERIC, ("01", None, {"label": "rootlets"}, "T2w", "T2w", "rootlets")),
        ("sub-01_label-rootlets_dseg.nii", ("01", None, {"label": "rootlets"}, None, "", "rootlets")),
        (
            "sub-01_ses-a_inv-1_part-mag_MP2RAGE.nii.gz",
            ("01", "a", {"inv": "1", "part": "mag"}, "MP2RAGE", "INV1", None),
        ),
        ("sub-01_inv-02_MP2RAGE.nii.gz", ("01", None, {"inv": "02"}, "MP2RAGE", "INV2", None)),
        ("sub-01_UNIT1_label-SC_seg.nii.gz", ("01", None, {"label": "SC"}, "UNIT1", "UNIT1", "cord")),
        ("sub-01_T2w_label-discs_dlabel.nii.gz", ("01", None, {"label": "discs"}, "T2w", "T2w", "discs")),
        ("sub-01_T2w_label-PMJ_dlabel.nii.gz", ("01", None, {"label": "PMJ"}, "T2w", "T2w", "pmj")),
    ],
)
def test_names(file, expected):
    name = parse_name(file)
    assert name is not None
    assert (name.subject, name.session, name.entities, name.suffix, name.contrast, name.kind) == expected


@pytest.mark.parametrize(
    "file",
    ["sub-01_T2w.json", "T2w.nii.gz", "sub-01.nii.gz", "sub-01_sub-02_T2w.nii", "ses-1_sub-1_T2.nii", "sub-_T2.nii"],
)  # fmt: skip
def test_what_is_no_name(file):
    assert parse_name(file) is None


@pytest.mark.parametrize(
    ("ending", "kind", "manual"),
    [
        ("T2w_seg", "cord", False),
        ("T2w_seg-manual", "cord", True),
        ("T2w_seg_manual", "cord", True),
        ("T2w_label-SC_mask", "cord", False),
        ("T2w_label-SC_mask-manual", "cord", True),
        ("T2w_label-SC_desc-manual_seg", "cord", True),
        ("T2w_totalspineseg_cord", "cord", False),
        ("T2w_labels-disc-manual", "discs", True),
        ("T2w_labels-disc", "discs", False),
        ("T2w_label-disc-manual", "discs", True),
        ("T2w_label-discs_dlabel-manual", "discs", True),
        ("T2w_seg_labeled_discs", "discs", False),
        ("T2w_seg_labeled_discs-manual", "discs", True),
        ("T2w_totalspineseg_discs", "discs", False),
        ("T2w_rootlets", "rootlets", False),
        ("T2w_rootlets-manual", "rootlets", True),
        ("T2w_label-rootlets", "rootlets", False),
        ("T2w_label-rootlet_dseg", "rootlets", False),
        ("T2w_pmj", "pmj", False),
        ("T2w_PMJ-manual", "pmj", True),
        ("T2w_labels-pmj-manual", "pmj", True),
        ("T2w_seg_labeled", None, False),
        ("T2w_mask", None, False),
        ("T2w_label-lesion_mask-manual", None, True),
        ("T2w_gmseg-manual", None, True),
    ],
)
def test_labels_of_older_names(ending, kind, manual):
    name = parse_name(f"sub-01_ses-a_{ending}.nii.gz")
    assert name is not None
    assert (name.subject, name.session, name.suffix, name.derived) == ("01", "a", "T2w", True)
    assert (name.kind, name.manual) == (kind, manual)


def test_an_image_whose_name_says_manual_is_an_image():
    name = parse_name("sub-01_acq-manual_T2w.nii.gz")
    assert (name.entities, name.derived, name.manual) == ({"acq": "manual"}, False, False)


def test_consensus_before_manual_before_today_s_names_before_older_ones():
    endings = ["label-SC_desc-staple_seg", "seg-manual", "label-SC_seg", "seg", "label-SC_desc-rater1_seg"]
    names = [parse_name(f"sub-01_T2w_{ending}.nii.gz") for ending in endings]
    assert [name.precedence for name in names] == [0, 1, 2, 3, 4]
