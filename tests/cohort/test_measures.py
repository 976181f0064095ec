"""Measures of a cohort: which images they are of, when they are made anew, and their group."""

import json
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from sct_rootlets.cohort import run
from sct_rootlets.cohort.attempt import read_attempt
from sct_rootlets.cohort.engine import Engine
from sct_rootlets.cohort.job import CohortSettings
from sct_rootlets.cohort.measures import MeasureRequest, check_endings
from sct_rootlets.cohort.plan import make_plan
from sct_rootlets.cohort.worker import Worker
from sct_rootlets.errors import DatasetError

REQUEST = MeasureRequest(images=("MTR",), lesions="label-lesion_seg", division="side")


@pytest.fixture(autouse=True)
def unseen(monkeypatch):
    """Workers that run in this process, without pictures."""

    def run_here(jobs, settings, provenance, engine, report=None):
        Worker(jobs=jobs, settings=settings, provenance=provenance, run="1")()
        return {job.stem: read_attempt(job, "1") for job in jobs}

    monkeypatch.setattr(run, "run_workers", run_here)
    monkeypatch.setattr("sct_rootlets.output.figures.save_figures", lambda *_: [])
    monkeypatch.setattr("sct_rootlets.cohort.process.add_levels", lambda *_: None)
    monkeypatch.setattr("sct_rootlets.cohort.job.has_entry", lambda *_: True)
    monkeypatch.setattr("sct_rootlets.cohort.run.build_page", lambda *_, **__: None)


def go(bids, out, measures):
    shutil.rmtree(out / "logs", ignore_errors=True)
    return run.run_cohort(
        bids, out, make_plan(bids, out), CohortSettings(find_discs=False, measures=measures), Engine()
    )


def add_images(bids):
    """An MTR map of three scans, with a cord mask of one, and a mask of lesions of one."""
    for place, value in (("sub-01", 30), ("sub-02/ses-a", 34), ("sub-02/ses-b", 36)):
        stem = place.replace("/", "_")
        (mask,) = (bids / "derivatives" / "labels" / place / "anat").glob("*label-SC_seg.nii.gz")
        cord = nib.load(mask)
        data = np.where(np.asarray(cord.dataobj) > 0, value, 5).astype(np.int16)
        nib.save(nib.Nifti1Image(data, cord.affine), bids / place / "anat" / f"{stem}_MTR.nii.gz")
        if place == "sub-01":
            shutil.copy(mask, mask.with_name(f"{stem}_MTR_label-SC_seg.nii.gz"))
            lesion = (data == value) & (np.random.default_rng(1).random(data.shape) < 0.5)  # half of the cord
            nib.save(nib.Nifti1Image(lesion.astype(np.uint8), cord.affine),
                     mask.with_name(f"{stem}_T2w_label-lesion_seg.nii.gz"))  # fmt: skip


def test_a_cohort_is_measured_once_and_averaged(bids, out):
    add_images(bids)
    go(bids, out, None)
    before = (out / "sub-01" / "anat" / "sub-01_T2w_levels.csv").stat().st_mtime_ns
    result = go(bids, out, REQUEST)
    assert (result.n_done, result.n_skipped, result.failed) == (3, 0, {})
    assert (out / "sub-01" / "anat" / "sub-01_T2w_levels.csv").stat().st_mtime_ns == before
    record = json.loads((out / "sub-01" / "anat" / "sub-01_T2w_measures.json").read_text())
    assert record["Inputs"] == {
        "Images": ["sub-01_MTR.nii.gz"],
        "ImageCords": ["sub-01_MTR_label-SC_seg.nii.gz"],
        "Lesions": "sub-01_T2w_label-lesion_seg.nii.gz",
        "Division": "side",
    }
    other = json.loads((out / "sub-02" / "ses-a" / "anat" / "sub-02_ses-a_T2w_measures.json").read_text())
    assert other["Inputs"]["ImageCords"] == [None]
    assert "sub-02/ses-a has no file that ends in _label-lesion_seg" in other["Notes"]
    assert go(bids, out, REQUEST).n_skipped == 3
    image = nib.load(bids / "sub-01" / "anat" / "sub-01_MTR.nii.gz")
    nib.save(
        nib.Nifti1Image(np.asarray(image.dataobj) + 2, image.affine), bids / "sub-01" / "anat" / "sub-01_MTR.nii.gz"
    )
    result = go(bids, out, REQUEST)
    assert (result.n_done, result.n_skipped) == (1, 2)

    groups, _ = run.run_group(bids, out, make_plan(bids, out))
    assert groups["T2w"].levels is None  # two sessions of a subject: no level table each
    assert "levels are not compared: sub-02 has more than one level table" in groups["T2w"].notes[0]
    table = pd.read_csv(out / "group" / "T2w" / "group_measures_statistics.csv")
    row = table[(table["measure"] == "WA()") & (table["level"] == "C5") & (table["part"] == "left")].iloc[0]
    assert (row["image"], row["n"]) == ("MTR", 2)
    assert row["mean"] == pytest.approx((32 + 35) / 2)
    assert row["sd"] == pytest.approx(3 / 2**0.5, rel=1e-4)


def test_a_scan_that_cannot_be_measured_fails_and_keeps_its_levels(bids, out):
    add_images(bids)
    plain = bids / "sub-01" / "anat" / "sub-01_MTR.nii.gz"
    shutil.copy(plain, plain.with_name("sub-01_acq-2_MTR.nii.gz"))
    plain.rename(plain.with_name("sub-01_acq-1_MTR.nii.gz"))  # the plain name would be preferred
    result = go(bids, out, MeasureRequest(images=("MTR",)))
    assert list(result.failed) == ["sub-01_T2w"]
    assert "2 files of sub-01 end in _MTR" in result.failed["sub-01_T2w"]
    assert (out / "sub-01" / "anat" / "sub-01_T2w_levels.csv").is_file()
    assert not (out / "sub-01" / "anat" / "sub-01_T2w_shape.csv").exists()


def test_a_mistyped_ending_is_an_error(bids, out):
    jobs = make_plan(bids, out).jobs
    with pytest.raises(DatasetError, match=r"no scan has a file whose name ends in _FA\.nii\.gz"):
        check_endings(jobs, MeasureRequest(images=("FA",)))
