import pytest

from sct_rootlets.bids import Scan, parse_name
from sct_rootlets.cohort.plan import Filter, make_plan, read_lists
from sct_rootlets.errors import DatasetError


def wanted(names, **options):
    return [name for name in names if Filter(**options).wants(Scan(None, parse_name(f"{name}_T2w.nii.gz")))]


NAMES = ["sub-01", "sub-02_ses-a", "sub-02_ses-b", "sub-10"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, NAMES),
        ({"include": "sub-0"}, NAMES[:3]),
        ({"include": "sub-0", "exclude": "ses-b"}, NAMES[:2]),
        ({"include_list": ("sub-02",)}, NAMES[1:3]),
        ({"include_list": ("sub-02/ses-b", "sub-01")}, ["sub-01", "sub-02_ses-b"]),
        ({"exclude_list": ("ses-a", "sub-1")}, ["sub-01", "sub-02_ses-b", "sub-10"]),
        ({"exclude_list": ("sub-10_T2w.nii.gz",)}, NAMES[:3]),
    ],
)
def test_scans_are_chosen_as_in_sct_run_batch(options, expected):
    assert wanted(NAMES, **options) == expected


def test_lists_may_be_files(tmp_path):
    (tmp_path / "exclude.yml").write_text("# by Jan\n- sub-01\n- 'sub-02/ses-a'  # moved\n")
    (tmp_path / "failed.tsv").write_text("sub-03_T2w.nii.gz\tfail\n\n")
    assert read_lists(["sub-9", str(tmp_path / "exclude.yml"), str(tmp_path / "failed.tsv")]) == (
        "sub-9", "sub-01", "sub-02/ses-a", "sub-03_T2w.nii.gz",
    )  # fmt: skip
    (tmp_path / "none_failed.yml").write_text("[]\n")  # as the page exports it
    assert read_lists([str(tmp_path / "none_failed.yml")]) == ()
    (tmp_path / "verdicts.tsv").write_text(  # as the page exports it, of a cohort without a name
        "dataset\tsubject\tfile\tfolder\tverdict\tnote\n"
        '\tsub-01\tsub-01_T2w.nii.gz\tsub-01\tpass\t\n\tsub-02\tsub-02_T2w.nii.gz\tsub-02\tfail\t"C5\n'
        "\tsub-10\tsub-10_T2w.nii.gz\tsub-10\t\t\n"
    )
    assert read_lists([str(tmp_path / "verdicts.tsv")]) == ("sub-02_T2w.nii.gz",)
    with pytest.raises(DatasetError, match=r"none\.yml cannot be read"):
        read_lists([str(tmp_path / "none.yml")])


def test_the_scans_of_a_folder_with_their_labels(bids, out):
    plan = make_plan(bids, out)
    assert [job.stem for job in plan.jobs] == ["sub-01_T2w", "sub-02_ses-a_T2w", "sub-02_ses-b_T2w"]
    assert plan.jobs[1].folder == out / "sub-02" / "ses-a" / "anat"
    assert set(plan.jobs[0].inputs(None)) == {"image", "cord", "rootlets", "discs", "pmj"}
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"contrasts": ("UNIT1",)}, "has no UNIT1 images"), ({"exclude": "sub"}, "of 3 scans in .* none is left")],
)
def test_nothing_to_be_done_is_said(bids, out, options, message):
    with pytest.raises(DatasetError, match=message):
        make_plan(bids, out, wanted=Filter(**options))


def test_names_in_lists_that_are_none_of_the_scans_are_said(bids, out):
    """A slip in a list of exclusions leaves in what was to be left out."""
    plan = make_plan(bids, out, wanted=Filter(exclude_list=("sub-2", "sub-01", "sub-02/ses-b", "sub-3_T2w.nii.gz")))
    assert [job.stem for job in plan.jobs] == ["sub-02_ses-a_T2w"]
    assert plan.notes == [f"{name} of a list is none of the scans" for name in ("sub-2", "sub-3_T2w.nii.gz")]


def test_results_do_not_go_among_the_scans(bids):
    with pytest.raises(DatasetError, match="is the BIDS folder itself"):
        make_plan(bids, bids)


def test_labels_are_not_needed(bids, out):
    (bids / "derivatives").rename(bids / "code")
    assert set(make_plan(bids, out).jobs[0].inputs(None)) == {"image"}
