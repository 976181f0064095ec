import pytest

from sct_rootlets.cohort.job import CohortSettings
from sct_rootlets.cohort.plan import describe_pending, find_pending, make_plan
from sct_rootlets.cohort.record import Record
from sct_rootlets.cohort.repeated import repeated_files
from sct_rootlets.cohort.selection import Filter
from sct_rootlets.errors import DatasetError


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


def test_scans_that_are_pending_are_told_from_those_that_cannot_be_read(bids, out, monkeypatch):
    monkeypatch.setattr("sct_rootlets.cohort.job.has_entry", lambda *_: True)
    plan, settings = make_plan(bids, out), CohortSettings()
    for number, job in enumerate(plan.jobs[:2]):
        fingerprint = job.fingerprint(job.inputs(None), settings.describe())
        job.folder.mkdir(parents=True)
        Record(fingerprint=fingerprint, finished=True, written={}, earlier={}, facts={}).save(job.record)
        if number == 1:
            job.scan.image.path.unlink()
    pending, unreadable = find_pending(plan, settings)
    assert pending == plan.jobs[2:]
    assert unreadable == {"sub-02_ses-a_T2w": f"{plan.jobs[1].scan.image.path}: No such file or directory"}
    assert describe_pending(plan, settings) == [
        "sub-01_T2w: done",
        f"sub-02_ses-a_T2w: {unreadable['sub-02_ses-a_T2w']}",
        "sub-02_ses-b_T2w: to be done (with cord, discs, pmj, rootlets)",
        "3 scans, 1 to be done",
    ]


def test_subjects_without_a_scan_are_said_if_they_are_wanted(bids, out):
    for number in ("07", "08"):
        (bids / f"sub-{number}" / "anat").mkdir(parents=True)
        (bids / f"sub-{number}" / "anat" / f"sub-{number}_T1w.nii.gz").touch()
    plan = make_plan(bids, out, wanted=Filter(exclude="sub-08"))
    assert plan.notes[2:] == [
        f"{bids / 'sub-07'} has no usable scan: none of T2w, UNIT1, INV1, INV2 is in anat, but T1w",
    ]


def test_scans_that_are_there_twice_are_said(bids, out):
    first, second, third = (job.scan.image.path for job in make_plan(bids, out).jobs)
    second.unlink()
    second.symlink_to(first)
    link = f"{second} has the same content as {first}, so it is one scan under two names; keep the right one"
    assert make_plan(bids, out).notes == [link, link.replace(str(second), str(third))]
    content = bytearray(third.read_bytes())
    content[-1] ^= 1  # of the same size
    third.write_bytes(content)
    assert make_plan(bids, out).notes == [link]


def test_large_files_that_differ_anywhere_are_none_that_repeat(tmp_path, monkeypatch):
    monkeypatch.setattr("sct_rootlets.cohort.repeated.SAMPLE_BYTES", 8)
    paths = []
    for name, content in (("a", b"0" * 64), ("b", b"0" * 64), ("c", b"0" * 63 + b"1"), ("d", b"0" * 32 + b"1" * 32)):
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    assert repeated_files([*paths, tmp_path / "gone"]) == [(paths[1], paths[0])]


def test_without_a_scan_the_error_says_why_none_is_taken(tmp_path, out):
    anat = tmp_path / "bids" / "sub-03" / "anat"
    anat.mkdir(parents=True)
    (anat / "sub-03_desc-x_T2w.nii.gz").touch()
    with pytest.raises(DatasetError) as caught:
        make_plan(tmp_path / "bids", out)
    assert str(caught.value) == (
        f"{tmp_path / 'bids'} has no T2w, UNIT1, INV1, INV2 images in sub-*/anat; {anat / 'sub-03_desc-x_T2w.nii.gz'} "
        "is left out: desc-x in its name marks a processed image; to use it as a scan, leave desc-x out of its name"
    )
    (anat / "T2w.nii.gz").touch()
    with pytest.raises(DatasetError, match=r"T2w.nii.gz is left out: its name is none of BIDS .* \(and 1 more files\)"):
        make_plan(tmp_path / "bids", out)
