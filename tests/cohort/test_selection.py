import pytest

from sct_rootlets.bids import parse_name
from sct_rootlets.bids_folder import Scan
from sct_rootlets.cohort.selection import Filter, read_filter, read_lists
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


def test_an_empty_list_of_inclusions_is_not_taken_for_all_scans(tmp_path):
    (tmp_path / "none.yml").write_text("[]\n")
    with pytest.raises(DatasetError, match=r"none\.yml lists no scans; leave -include-list out to take all"):
        read_filter(include_list=[str(tmp_path / "none.yml")])
    assert read_filter(exclude_list=[str(tmp_path / "none.yml")]) == Filter()
