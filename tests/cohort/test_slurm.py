"""A real SLURM, where there is one; ``one_node_slurm.sh`` makes a machine one."""

import shutil
import subprocess

import pytest
from filelock import FileLock

from sct_rootlets.cohort.attempt import Attempt, Status
from sct_rootlets.cohort.engine import Engine, run_workers
from sct_rootlets.cohort.job import CohortSettings
from sct_rootlets.cohort.plan import make_plan

SETTINGS = CohortSettings(find_discs=False)


def why_not(folder):
    """Why there is no cluster that takes a job at once and sees a folder; empty if there is one."""
    if shutil.which("sbatch") is None:
        return "no sbatch"
    probe = ["srun", "--immediate=10", "--ntasks=1", "--time=5", "test", "-d", folder]
    try:  # nobody is to wait for it where a cluster is busy
        done = subprocess.run(probe, capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return "SLURM does not answer"
    return f"SLURM starts no job now, or does not see {folder}: {done.stderr.strip()}" if done.returncode else ""


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory):
    if why := why_not(tmp_path_factory.mktemp("seen")):
        pytest.skip(why)


def test_an_array_of_jobs_does_all_scans(bids, out):
    jobs = make_plan(bids, out).jobs
    seen = []
    engine = Engine(name="slurm", workers=2, minutes=10, memory_gb=2)
    assert run_workers(jobs, SETTINGS, SETTINGS.describe(), engine, seen.append) == {
        job.stem: Attempt(Status.DONE) for job in jobs
    }
    assert seen[-1].queue.startswith("SLURM ")
    assert all((job.folder / f"{job.stem}_levels.csv").is_file() for job in jobs)


def test_a_job_that_is_killed_is_noticed_and_another_does_the_rest(bids, out):
    """Whether or not the cluster has accounting. The job waits for a scan that is locked."""
    jobs = make_plan(bids, out).jobs
    jobs[1].lock.parent.mkdir(parents=True)
    lock = FileLock(jobs[1].lock)
    lock.acquire()
    killed = []

    def kill_once(progress):
        number = progress.queue.removeprefix("SLURM ").partition(":")[0]
        if progress.count(Status.DONE) == 2 and not killed:
            killed.append(number)
            subprocess.run(["scancel", "--signal=KILL", number], check=True)
        elif killed and number != killed[0]:
            lock.release()

    engine = Engine(name="slurm", minutes=10, memory_gb=2)
    assert run_workers(jobs, SETTINGS, SETTINGS.describe(), engine, kill_once) == {
        job.stem: Attempt(Status.DONE) for job in jobs
    }
    assert len(killed) == 1
