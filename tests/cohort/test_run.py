"""Whole cohorts; by a worker in this process but where it is said, as processes are slow to start."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from sct_rootlets.bids_folder import files_below
from sct_rootlets.cohort import run
from sct_rootlets.cohort.attempt import Attempt, Status, read_attempt, write_attempt
from sct_rootlets.cohort.engine import Engine, run_workers
from sct_rootlets.cohort.job import CohortSettings
from sct_rootlets.cohort.plan import make_plan
from sct_rootlets.cohort.record import read_record
from sct_rootlets.cohort.selection import Filter
from sct_rootlets.cohort.worker import TOO_LONG, Worker
from sct_rootlets.deepseg import compute_spinal_levels
from sct_rootlets.errors import DatasetError
from sct_rootlets.sidecar import sha256_of

#: All labels are given: without discs of the image, no network runs.
SETTINGS = CohortSettings(find_discs=False)
WAITING, RUNNING, DONE = (Attempt(status) for status in (Status.WAITING, Status.RUNNING, Status.DONE))


@pytest.fixture
def here(monkeypatch):
    """Workers that run in this process."""

    def run_here(jobs, settings, provenance, engine, report=None):
        number = str(time.monotonic_ns())
        Worker(jobs=jobs, settings=settings, provenance=provenance, run=number)()
        return {job.stem: read_attempt(job, number) for job in jobs}

    monkeypatch.setattr(run, "run_workers", run_here)


@pytest.fixture
def unseen(here, monkeypatch):
    """No pictures: they take most of the time."""

    def save_without_drawing(_, __, folder, prefix):
        (folder / f"{prefix}levels.png").write_text("figure")

    monkeypatch.setattr("sct_rootlets.output.figures.save_figures", save_without_drawing)
    monkeypatch.setattr("sct_rootlets.cohort.process.add_levels", lambda *_: None)
    monkeypatch.setattr("sct_rootlets.cohort.job.has_entry", lambda *_: True)


def worker_of(jobs, number, provenance=None, **options):
    return Worker(jobs=jobs, settings=SETTINGS, provenance=provenance or {}, run=number, **options)


def go(bids, out, settings=SETTINGS):
    return run.run_cohort(bids, out, make_plan(bids, out), settings, Engine())


def label(root, kind, place="sub-01"):
    [path] = (root / "derivatives" / "labels" / place / "anat").glob(f"*label-{kind}_*.nii.gz")
    return path


def change(source, target, value=9):
    """Remove a level from a map of rootlets, as a rater might."""
    image = nib.load(source)
    data = np.asarray(image.dataobj).copy()
    data[data == value] = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, image.affine, image.header), target)


def state(out):
    """Every result with its content; what is of a run, and not of its results, is left out."""
    files = (path for path in sorted(out.rglob("*")) if path.is_file() and "logs" not in path.parts)
    return {str(path.relative_to(out)): path.read_bytes() for path in files if path.name != ".lock"}


def status(out):
    return pd.read_csv(out / "status.tsv", sep="\t", keep_default_na=False).set_index("scan")


def test_every_scan_has_its_results_and_its_place_on_the_page(bids, out, here):
    result = go(bids, out)
    assert (result.n_done, result.n_skipped, result.failed) == (3, 0, {})
    folder = out / "sub-02" / "ses-b" / "anat"
    for ending in ("levels.csv", "correspondence.csv", "levels.png", "label-spinalLevels_dseg.nii.gz"):
        assert (folder / f"sub-02_ses-b_T2w_{ending}").is_file()
    record = json.loads((folder / "sub-02_ses-b_T2w_provenance.json").read_text())
    assert record["Sources"]["image"] == "bids::sub-02/ses-b/anat/sub-02_ses-b_T2w.nii.gz"
    assert record["Model"]["SHA256"]
    assert list(status(out).status) == ["done"] * 3
    page = (out / "qc" / "rootlets" / "entries.js").read_text()
    assert all(f"{stem}_T2w.nii.gz" in page for stem in ("sub-01", "sub-02_ses-a", "sub-02_ses-b"))
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["SourceDatasets"] == [{"URL": "../mes données"}]
    assert str(bids) not in "".join(text.decode(errors="replace") for text in state(out).values())


def test_what_is_done_is_skipped_and_anything_else_done_again(bids, out, unseen):
    go(bids, out)
    first = state(out)
    assert go(bids, out).n_skipped == 3
    assert state(out) == first
    change(label(bids, "rootlets"), label(bids, "rootlets"))  # another input
    assert (go(bids, out).n_done, go(bids, out).n_skipped) == (1, 3)
    (out / "sub-01" / "anat" / "sub-01_T2w_levels.csv").unlink()  # an output is gone
    assert go(bids, out).n_done == 1
    assert go(bids, out, CohortSettings(method="extent", find_discs=False)).n_done == 3  # other settings


def test_a_file_that_was_corrected_by_hand_counts_before_all(bids, out, unseen):
    go(bids, out)
    corrected = out / "sub-01" / "anat" / "sub-01_T2w_label-rootlets_dseg.nii.gz"
    change(label(bids, "rootlets"), corrected)
    content = corrected.read_bytes()
    assert go(bids, out).n_done == 1
    names = set(pd.read_csv(corrected.with_name("sub-01_T2w_levels.csv")).query("kind == 'spinal'").name)
    assert "C8" in names
    assert "T1" not in names
    assert corrected.read_bytes() == content
    assert status(out).corrected["sub-01/anat/sub-01_T2w.nii.gz"] == "rootlets"
    assert go(bids, out).n_skipped == 3
    corrected.unlink()  # the correction is taken back
    assert go(bids, out).n_done == 1
    assert "T1" in set(pd.read_csv(corrected.with_name("sub-01_T2w_levels.csv")).name)


def test_the_sidecar_of_a_correction_stays_and_tells_its_image(bids, out, unseen):
    """An earlier run segmented the map and wrote its sidecar; then the map was corrected, and the image replaced."""
    go(bids, out)
    corrected = out / "sub-01" / "anat" / "sub-01_T2w_label-rootlets_dseg.nii.gz"
    sidecar = corrected.with_name("sub-01_T2w_label-rootlets_dseg.json")
    sidecar.write_text(json.dumps({"Scan": {"Path": None, "Grid": "0", "Voxels": "those of the earlier image"}}))
    job = make_plan(bids, out).jobs[0]
    record = read_record(job.record)
    replace(record, written={**record.written, sidecar.name: sha256_of(sidecar)}).save(job.record)
    change(label(bids, "rootlets"), corrected)
    assert go(bids, out).n_done == 1
    assert sidecar.exists()
    notes = json.loads(corrected.with_name("sub-01_T2w_levels.json").read_text())["Notes"]
    assert any(note.startswith(f"{corrected.name} was made from other voxels than those of") for note in notes)


def test_an_edited_output_that_is_no_input_is_never_replaced(bids, out, unseen):
    go(bids, out)
    table = out / "sub-01" / "anat" / "sub-01_T2w_levels.csv"
    table.write_text("mine")
    assert go(bids, out).n_skipped == 3
    before = state(out / "sub-01" / "anat")
    result = go(bids, out, CohortSettings(method="extent", find_discs=False))
    assert list(result.failed) == ["sub-01_T2w"]
    assert f"{table} was not written by this command, or was edited since" in result.failed["sub-01_T2w"]
    assert result.failed["sub-01_T2w"].endswith("move it away and run again")
    assert state(out / "sub-01" / "anat") == before
    table.unlink()
    assert go(bids, out, CohortSettings(method="extent", find_discs=False)).n_done == 1
    assert "C5" in set(pd.read_csv(table).name)


def test_discs_that_were_corrected_count_too(bids, out):
    """Those that were found in the image, corrected where they were written."""
    job = make_plan(bids, out).jobs[0]
    corrected = job.folder / f"{job.stem}_label-discs_dlabel.nii.gz"
    assert job.inputs(None).get("discs") != corrected
    corrected.parent.mkdir(parents=True)
    shutil.copy(label(bids, "discs"), corrected)
    assert job.inputs(None)["discs"] == corrected


def test_a_correction_that_is_saved_while_the_scan_is_being_done_is_kept(bids, out, unseen, monkeypatch):
    go(bids, out)
    corrected = out / "sub-01" / "anat" / "sub-01_T2w_label-rootlets_dseg.nii.gz"
    (out / "sub-01" / "anat" / "sub-01_T2w_levels.csv").unlink()  # it is to be done again

    def compute_slowly(*arguments, **options):
        change(label(bids, "rootlets"), corrected)
        return compute_spinal_levels(*arguments, **options)

    monkeypatch.setattr("sct_rootlets.cohort.process.compute_spinal_levels", compute_slowly)
    result = go(bids, out)
    assert list(result.failed) == ["sub-01_T2w"]
    assert "changed while it was being done" in result.failed["sub-01_T2w"]
    monkeypatch.undo()
    levels = np.unique(np.asarray(nib.load(corrected).dataobj))
    assert 8 in levels
    assert 9 not in levels


def test_a_page_that_was_removed_is_made_anew(bids, out, here):
    go(bids, out)
    first = state(out)
    shutil.rmtree(out / "qc")
    assert go(bids, out).n_done == 3
    assert state(out) == first


def test_what_a_killed_run_left_goes_but_not_what_another_is_writing(bids, out, unseen):
    go(bids, out)
    folders = [out / "sub-01" / "anat", out / "sub-02" / "ses-a" / "anat", out]
    stages = [folder / ".sct_rootlets-abc" for folder in folders]
    for stage in stages[:2]:
        stage.mkdir()
        (stage / "sub-01_T2w_levels.csv").write_text("half")
    stages[2].write_text("half")
    for stage in stages:
        os.utime(stage, (1e9, 1e9))
    with FileLock(make_plan(bids, out).jobs[1].lock):
        assert go(bids, out).n_skipped == 3
    assert [stage.exists() for stage in stages] == [False, True, False]


def test_one_broken_file_is_reported_and_the_rest_done(bids, out, unseen):
    whole = label(bids, "SC").read_bytes()
    label(bids, "SC").write_bytes(whole[: len(whole) // 2])
    result = go(bids, out)
    assert (result.n_done, list(result.failed)) == (2, ["sub-01_T2w"])
    missing = json.loads((out / "qc" / "rootlets" / "missing.json").read_text(encoding="utf-8"))
    assert missing == result.failed
    row = status(out).loc["sub-01/anat/sub-01_T2w.nii.gz"]
    assert row.status == "failed"
    assert "sub-01_T2w_label-SC_seg.nii.gz" in row.reason
    assert not list((out / "sub-01").rglob("*.csv"))
    label(bids, "SC").write_bytes(whole)
    assert go(bids, out).n_done == 1
    assert list(status(out).status) == ["done"] * 3


def test_a_scan_that_kills_its_worker_is_left_to_itself(bids, out, unseen):
    """Within a run nobody tries it again; the next run does."""
    jobs = make_plan(bids, out).jobs
    write_attempt(jobs[0], "this", RUNNING)
    worker_of(jobs, "this", SETTINGS.describe())()
    assert [read_attempt(job, "this") for job in jobs] == [RUNNING, DONE, DONE]
    worker_of(jobs, "next", SETTINGS.describe())()
    assert read_attempt(jobs[0], "next") == DONE


def test_a_timeout_begins_the_scan_anew(bids, out):
    worker = worker_of(make_plan(bids, out).jobs, "this")
    worker.current = worker.jobs[0]
    write_attempt(worker.current, "this", RUNNING)
    again = worker.checkpoint()
    assert again.function is worker
    assert read_attempt(worker.jobs[0], "this") == WAITING


@pytest.mark.parametrize(
    ("n_ended", "seconds", "attempt"), [(0, 100, Attempt(Status.FAILED, TOO_LONG)), (1, 100, WAITING), (0, 10, WAITING)]
)
def test_a_scan_that_takes_longer_than_a_job_may_is_not_begun_forever(bids, out, n_ended, seconds, attempt):
    """It had all of the job's time; a job that was ended earlier (to let others in) says nothing about it."""
    worker = worker_of(make_plan(bids, out).jobs, "this", limit_s=60)
    worker.current, worker.n_ended, worker.begin = worker.jobs[0], n_ended, time.monotonic() - seconds
    write_attempt(worker.current, "this", RUNNING)
    worker.checkpoint()
    assert read_attempt(worker.jobs[0], "this") == attempt


def test_what_a_job_had_begun_is_begun_anew_when_its_node_failed(bids, out, unseen, monkeypatch):
    """SLURM queues the job again, under the same number; what a job of another number had begun is left alone."""
    jobs = make_plan(bids, out).jobs
    for job, number in zip(jobs, ("71", "72"), strict=False):
        monkeypatch.setenv("SLURM_JOB_ID", number)
        write_attempt(job, "this", RUNNING)
    worker_of(jobs, "this", SETTINGS.describe())()
    assert [read_attempt(job, "this") for job in jobs] == [RUNNING, DONE, DONE]


def test_without_its_parent_a_worker_begins_nothing(bids, out):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    worker_of(make_plan(bids, out).jobs, "this", parent=(socket.gethostname(), child.pid))()
    assert not out.exists()


def test_processes_report_how_far_they_have_come(bids, out):
    jobs = make_plan(bids, out).jobs[:1]
    seen = []
    attempts = run_workers(jobs, SETTINGS, SETTINGS.describe(), Engine(workers=2), seen.append)
    assert attempts == {"sub-01_T2w": DONE}
    assert seen[0].count(Status.WAITING) == 1
    assert [seen[-1].count(status) for status in (Status.DONE, Status.RUNNING, Status.FAILED)] == [1, 0, 0]
    assert not (out / "logs" / "workers").exists()


def test_killed_and_run_again_it_is_as_if_nothing_had_happened(bids, out, here, tmp_path):
    go(bids, out)
    other = tmp_path / "other"
    command = [
        sys.executable,
        "-m",
        "sct_rootlets.cli.main",
        "bids",
        str(bids),
        str(other),
        "participant",
        "-jobs",
        "2",
        "-discs",
        "none",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen([*command, "-v", "0"], env=environment, start_new_session=True)
    deadline = time.monotonic() + 120
    while not any(path.name.endswith("_provenance.json") for path in files_below(other)):
        assert time.monotonic() < deadline, "no scan was begun"
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for name in ("sub-01", "sub-02"):
        assert not [path for path in (other / name).rglob("*.nii.gz") if not _is_whole(path)]
    assert subprocess.run([*command, "-v", "0"], env=environment, check=False).returncode == 0
    assert state(other) == state(out)
    assert not list(other.rglob(".sct_rootlets-*"))


def _is_whole(path: Path) -> bool:
    try:
        np.asarray(nib.load(path).dataobj)
    except Exception:
        return False
    return True


def test_the_group_is_compared_by_contrast(bids, out, here):
    with pytest.raises(DatasetError, match="no scan is done in"):
        run.run_group(bids, out, make_plan(bids, out))
    go(bids, out)
    with pytest.raises(DatasetError, match="sub-02"):  # two sessions of one subject
        run.run_group(bids, out, make_plan(bids, out))
    without_b = Filter(exclude="ses-b")
    with pytest.raises(DatasetError, match=r"only one subject .* 1 left out: its levels are those of sub-01, the same"):
        run.run_group(bids, out, make_plan(bids, out, wanted=without_b))
    other = label(bids, "rootlets", "sub-02/ses-a")
    change(other, other)
    go(bids, out)
    groups, page = run.run_group(bids, out, make_plan(bids, out, wanted=without_b))
    note = "levels of 2 subjects are of one and the same image; keep the right one (sub-01, sub-02)"
    assert note in groups["T2w"].levels.notes
    assert list(groups) == ["T2w"]
    assert (out / "group" / "T2w" / "group_agreement.csv").is_file()
    assert page == out / "qc" / "index.html"
