import pytest

from sct_rootlets.bids import parse_name
from sct_rootlets.bids_folder import Scan
from sct_rootlets.cohort.attempt import (
    KILLED,
    Attempt,
    Status,
    is_running_in,
    read_attempt,
    remove_attempt,
    write_attempt,
)
from sct_rootlets.cohort.job import Job


@pytest.fixture
def job(tmp_path):
    return Job(Scan(tmp_path, parse_name("sub-01_T2w.nii.gz")), tmp_path / "out")


@pytest.mark.parametrize("attempt", [Attempt(Status.RUNNING), Attempt(Status.DONE), Attempt(Status.FAILED, "no cord")])
def test_an_attempt_is_of_one_run(job, attempt):
    write_attempt(job, "this", attempt)
    assert read_attempt(job, "this") == attempt
    assert read_attempt(job, "next") == Attempt(Status.WAITING)
    remove_attempt(job, "this")
    assert read_attempt(job, "this") == Attempt(Status.WAITING)


def test_attempts_of_runs_at_the_same_time_do_not_replace_each_other(job):
    write_attempt(job, "one", Attempt(Status.DONE))
    write_attempt(job, "other", Attempt(Status.RUNNING))
    remove_attempt(job, "other")
    write_attempt(job, "other", Attempt(Status.FAILED, "no cord"))
    assert read_attempt(job, "one") == Attempt(Status.DONE)
    assert read_attempt(job, "other") == Attempt(Status.FAILED, "no cord")
    for number in range(100):
        write_attempt(job, f"{number}", Attempt(Status.DONE))
    assert job.attempt.stat().st_size < 2000  # bytes: those of a few runs are kept


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"this": 1}', '{"this": {}}', '{"this": {"Status": "?", "Reason": ""}}']
)
def test_a_damaged_attempt_is_none(job, text):
    job.attempt.parent.mkdir(parents=True)
    job.attempt.write_text(text)
    assert read_attempt(job, "this") == Attempt(Status.WAITING)


def test_a_scan_that_was_running_when_its_workers_ended_was_killed():
    assert Attempt(Status.RUNNING).after_workers_ended() == Attempt(Status.FAILED, KILLED)
    for attempt in (Attempt(Status.WAITING), Attempt(Status.DONE), Attempt(Status.FAILED, "no cord")):
        assert attempt.after_workers_ended() == attempt
    assert [Attempt(status).has_ended for status in Status] == [False, False, True, True]


def test_the_job_of_slurm_that_began_a_scan_is_known(job, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "71")
    write_attempt(job, "this", Attempt(Status.RUNNING))
    assert is_running_in(job, "this", "71")
    assert not is_running_in(job, "this", "72")
    assert not is_running_in(job, "next", "71")
    write_attempt(job, "this", Attempt(Status.DONE))
    assert not is_running_in(job, "this", "71")
