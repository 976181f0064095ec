"""Workers as SLURM jobs, with commands that stand in for those of SLURM: they run the jobs on this machine."""

import os
import sys
import textwrap

import pytest

from sct_rootlets.cohort.attempt import Attempt, Status
from sct_rootlets.cohort.engine import Engine, run_workers
from sct_rootlets.cohort.job import CohortSettings
from sct_rootlets.cohort.plan import make_plan
from sct_rootlets.cohort.slurm import Queue
from sct_rootlets.errors import SctRootletsError

SETTINGS = CohortSettings(find_discs=False)
COMMANDS = {
    "sbatch": """
        import os, re, subprocess, sys
        from pathlib import Path

        script = Path(sys.argv[1])
        text = script.read_text()
        Path(os.environ["SLURM_STANDIN"], "script").write_text(text)
        first, last = map(int, re.search(r"#SBATCH --array=(\\d+)-(\\d+)", text).groups())
        for index in range(first, last + 1):
            job = {"SLURM_JOB_ID": f"7{index}", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": str(index)}
            job |= {"SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_JOB_NODELIST": "node", "SLURM_NODEID": "0"}
            job |= {"SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
            command = f"bash {script}; touch $SLURM_STANDIN/ended{index}"
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
            subprocess.Popen(["bash", "-c", command], env={**os.environ, **job}, **quiet)
        print("Submitted batch job 7")
    """,
    "srun": """
        import os, sys

        command = sys.argv[-5:]  # python -u -m submitit.core._submit FOLDER
        os.execvp(command[0], command)
    """,
    "squeue": """
        import os
        from pathlib import Path

        for index in range(2):
            if not Path(os.environ["SLURM_STANDIN"], f"ended{index}").exists():
                print(f"7_{index}|RUNNING|None")
    """,
    "scancel": """
        import os, sys
        from pathlib import Path

        Path(os.environ["SLURM_STANDIN"], "cancelled").write_text(" ".join(sys.argv[1:]))
    """,
}


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, code in COMMANDS.items():
        (folder / name).write_text(f"#!{sys.executable}\n{textwrap.dedent(code)}")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("SLURM_STANDIN", str(folder))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    return folder


def test_workers_are_an_array_of_jobs(bids, out, slurm):
    jobs = make_plan(bids, out).jobs
    engine = Engine(
        name="slurm",
        workers=2,
        threads=3,
        minutes=90,
        memory_gb=4,
        partition="short",
        sbatch_options={"account": "def-lab"},
    )
    assert run_workers(jobs, SETTINGS, SETTINGS.describe(), engine) == {job.stem: Attempt(Status.DONE) for job in jobs}
    script = (slurm / "script").read_text()
    for option in (
        "--array=0-1%2",
        "--cpus-per-task=3",
        "--time=90",
        "--mem=4GB",
        "--partition=short",
        "--account=def-lab",
        "--signal=USR2@90",
    ):
        assert f"#SBATCH {option}\n" in script
    assert " --cpus-per-task=3 " in script.splitlines()[-1]  # of srun, which does not take it from the job
    assert all((job.folder / f"{job.stem}_levels.csv").is_file() for job in jobs)


def test_without_slurm_it_says_so(bids, out, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SctRootletsError, match="the engine slurm cannot be used here"):
        run_workers(make_plan(bids, out).jobs, SETTINGS, {}, Engine(name="slurm"))


def test_without_submitit_it_says_what_to_install(bids, out, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(SctRootletsError, match=r"^this needs submitit: python -m pip install submitit$"):
        run_workers(make_plan(bids, out).jobs, SETTINGS, {}, Engine())


def test_what_slurm_refuses_is_one_line(bids, out, slurm):
    (slurm / "sbatch").write_text("#!/bin/sh\necho 'sbatch: error: invalid partition specified: nope' >&2\nexit 1\n")
    with pytest.raises(SctRootletsError, match=r"^jobs cannot be started: sbatch: error: invalid partition .*: nope$"):
        run_workers(make_plan(bids, out).jobs, SETTINGS, SETTINGS.describe(), Engine(name="slurm"))


def test_an_interrupt_takes_jobs_out_of_the_queue(bids, out, slurm):
    (slurm / "sbatch").write_text("#!/bin/sh\necho Submitted batch job 7\n")  # they wait there
    (slurm / "squeue").write_text("#!/bin/sh\nprintf '7_0|PENDING|PartitionTimeLimit\\n7_1|PENDING|Priority\\n'\n")
    seen = []

    def interrupt(progress):
        seen.append(progress.queue)
        if len(seen) > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_workers(
            make_plan(bids, out).jobs, SETTINGS, SETTINGS.describe(), Engine(name="slurm", workers=2), interrupt
        )
    assert seen[-1] == "SLURM 7: 1 waiting (PartitionTimeLimit), 1 waiting (Priority)"
    assert (slurm / "cancelled").read_text() == "7_0 7_1"


def test_jobs_that_still_wait_when_all_is_done_are_taken_out_of_the_queue(bids, out, slurm, monkeypatch):
    """The first of two does everything, the second never starts."""
    code = (slurm / "sbatch").read_text().replace("range(first, last + 1)", "range(first, last)")
    (slurm / "sbatch").write_text(code)
    jobs = make_plan(bids, out).jobs
    attempts = run_workers(jobs, SETTINGS, SETTINGS.describe(), Engine(name="slurm", workers=2))
    assert attempts == {job.stem: Attempt(Status.DONE) for job in jobs}
    assert "7_1" in (slurm / "cancelled").read_text().split()


def test_jobs_that_vanish_from_the_queue_have_ended(slurm, monkeypatch):
    """Without the database that ``sacct`` needs: at the second look, as a job may come into the queue a little late."""
    monkeypatch.setattr("sct_rootlets.cohort.slurm.MIN_PAUSE_S", 0)
    monkeypatch.setattr("sct_rootlets.cohort.slurm.PAUSE_SHARE", 0)
    queue = Queue(["7_0", "7_1"])

    def look(code):
        (slurm / "squeue").write_text(f"#!/bin/sh\n{code}\n")
        queue.update()
        return [queue.has_left(name) for name in queue.names]

    assert look("echo '7_0|RUNNING|None'") == [False, False]
    assert look("echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1") == [False, False]
    assert look("echo '7_0|RUNNING|None'") == [False, False]  # the other one may still come
    monkeypatch.setattr("sct_rootlets.cohort.slurm.MAX_DELAY_S", 0)
    assert look("echo '7_0|RUNNING|None'") == [False, True]
    assert look("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1") == [False, True]
    assert look("echo '7_0|RUNNING|None'") == [False, True]  # it was overlooked once
    assert look("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1") == [False, True]
    assert look("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1") == [True, True]


@pytest.mark.parametrize(
    ("name", "minutes", "warning", "limit"),
    [("slurm", 1440, 90, 86245), ("slurm", 2, 30, 25), ("slurm", 1, 15, 0), ("local", 2, 30, 85)],
)
def test_workers_are_warned_before_their_time_is_over(name, minutes, warning, limit):
    engine = Engine(name=name, minutes=minutes)
    assert (engine.warning_s, engine.limit_s) == (warning, limit)
