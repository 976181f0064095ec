"""The engine that runs workers: processes of this machine, or an array of SLURM jobs, both by ``submitit``."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sct_rootlets.cohort import slurm
from sct_rootlets.cohort.attempt import Attempt, Status, read_attempt
from sct_rootlets.cohort.job import CohortSettings, Job
from sct_rootlets.cohort.worker import Worker
from sct_rootlets.errors import SctRootletsError

#: Time between two reports of the progress.
POLL_INTERVAL_S = 0.5
#: Largest number of times that a worker is started again because its time was over; each time, at least one scan ends.
MAX_REQUEUES = 100
#: How long before the end of its time a worker is warned: at most, and per minute of its time.
MAX_WARNING_S, WARNING_S_PER_MINUTE = 90.0, 15.0
#: How long before the end of its time a process of this machine is warned, as ``submitit`` fixes it.
LOCAL_WARNING_S = 30
#: Longest time to wait for processes of this machine to end when they are stopped.
MAX_STOP_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Engine:
    """How workers are run.

    Attributes
    ----------
    name : {"local", "slurm"}
    workers : int
        Largest number of workers at a time.
    threads : int
        Threads of each worker.
    minutes : float
        Time after which a worker is stopped and started again.
    memory_gb : float, optional
        Memory of each worker (SLURM only).
    partition : str, optional
        Partition of the cluster (SLURM only).
    sbatch_options : dict of str to str
        Further options of ``sbatch`` (SLURM only).
    """

    name: str = "local"
    workers: int = 1
    threads: int = 1
    minutes: float = 24 * 60
    memory_gb: float | None = None
    partition: str | None = None
    sbatch_options: dict[str, str] = field(default_factory=dict)

    @property
    def limit_s(self) -> float:
        """The shortest time that a worker runs before it is warned: SLURM warns up to a minute early."""
        return max(0.0, 60 * max(self.minutes, 1) - self.warning_s - (60 if self.name == "slurm" else 0) - 5)

    @property
    def warning_s(self) -> int:
        """How long before the end of its time a worker is warned."""
        if self.name == "local":
            return LOCAL_WARNING_S
        return round(min(MAX_WARNING_S, WARNING_S_PER_MINUTE * max(self.minutes, 1)))


@dataclass(frozen=True)
class Progress:
    """How far the scans of a run have come.

    Attributes
    ----------
    attempts : dict of str to Attempt
        By stem.
    queue : str
        Description of the engine's queue; may be empty.
    """

    attempts: dict[str, Attempt]
    queue: str = ""

    def count(self, status: Status) -> int:
        """Count the scans of a status."""
        return sum(attempt.status is status for attempt in self.attempts.values())


def default_workers(threads: int) -> int:
    """Return the number of workers for which each core of this machine has one thread."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, n_cores // threads)


def run_workers(
    jobs: list[Job],
    settings: CohortSettings,
    provenance: dict[str, Any],
    engine: Engine,
    report: Callable[[Progress], None] | None = None,
) -> dict[str, Attempt]:
    """Process scans, and wait until all have ended.

    Parameters
    ----------
    jobs : list of Job
        Scans to be processed.
    settings : CohortSettings
    provenance : dict
        Result of `CohortSettings.describe`.
    engine : Engine
    report : callable, optional
        Function that is called with the progress about twice a second.

    Returns
    -------
    dict of str to Attempt
        Whether each scan is done or failed, by its stem.

    Raises
    ------
    SctRootletsError
        If workers cannot be started.
    """
    run = uuid.uuid4().hex
    folder = jobs[0].root / "logs" / "workers" / run  # of its own, as several runs may share the output folder
    executor = _executor(engine, folder)
    n_workers = min(engine.workers, len(jobs))
    parent = (socket.gethostname(), os.getpid()) if engine.name == "local" else None
    for _ in range(len(jobs) + 1):  # at least one scan ends in each round of workers
        left = [job for job in jobs if read_attempt(job, run).status is Status.WAITING]
        if not left:
            break
        n_workers = min(n_workers, len(left))
        workers = [
            Worker(
                jobs=left,
                settings=settings,
                provenance=provenance,
                run=run,
                first=index * len(left) // n_workers,
                threads=engine.threads,
                parent=parent,
                limit_s=engine.limit_s,
            )
            for index in range(n_workers)
        ]
        started = _start(workers, executor, engine, folder)
        try:
            _wait(started, jobs, run, engine, report)
        finally:
            _stop(started, engine)
        if all(read_attempt(job, run).status is Status.WAITING for job in left):
            raise SctRootletsError(f"no worker could start: {_last_error(started)}; see {folder}")
    attempts = {job.stem: read_attempt(job, run).after_workers_ended() for job in jobs}
    if all(attempt.status is Status.DONE for attempt in attempts.values()):
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()
    return attempts


def _executor(engine: Engine, folder: Path) -> Any:
    if os.name == "nt":
        raise SctRootletsError("this needs Linux or macOS, or on Windows its Subsystem for Linux (wsl --install)")
    try:
        import submitit
    except ImportError as error:
        raise SctRootletsError("this needs submitit: python -m pip install submitit") from error
    try:
        requeues = {f"{engine.name}_max_num_timeout": MAX_REQUEUES}
        executor = submitit.AutoExecutor(folder=folder, cluster=engine.name, **requeues)
        executor.update_parameters(timeout_min=max(1, round(engine.minutes)), name="sct_rootlets")
        if engine.name == "slurm":
            executor.update_parameters(**_slurm_parameters(engine))
    except (RuntimeError, NameError, OSError) as error:
        raise SctRootletsError(f"the engine {engine.name} cannot be used here: {error}") from error
    return executor


def _slurm_parameters(engine: Engine) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "cpus_per_task": engine.threads,
        "slurm_srun_args": [f"--cpus-per-task={engine.threads}"],  # srun does not inherit it since SLURM 22.05
        "slurm_array_parallelism": engine.workers,
        "slurm_signal_delay_s": engine.warning_s,
    }
    if engine.sbatch_options:
        parameters["slurm_additional_parameters"] = engine.sbatch_options
    if engine.partition:
        parameters["slurm_partition"] = engine.partition
    if engine.memory_gb:
        parameters["mem_gb"] = engine.memory_gb
    return parameters


def _start(workers: list[Worker], executor: Any, engine: Engine, folder: Path) -> list[Any]:
    """Start workers; messages of SLURM, and of processes that watch over workers, are kept off the user's screen."""
    messages = io.StringIO()
    redirected = contextlib.redirect_stderr(messages) if engine.name == "slurm" else _stderr_to(folder / "watchers.err")
    try:
        with _thread_environment(engine.threads), redirected, executor.batch():
            return [executor.submit(worker) for worker in workers]
    except Exception as error:  # submitit has no common exception for jobs that SLURM refuses
        reason = " ".join((messages.getvalue() or str(error)).split())
        raise SctRootletsError(f"jobs cannot be started: {reason or type(error).__name__}") from error


@contextmanager
def _stderr_to(path: Path) -> Iterator[None]:
    """Redirect the standard error of processes that are started to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    original = os.dup(2)
    try:
        with path.open("ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(original, 2)
        os.close(original)


@contextmanager
def _thread_environment(n: int) -> Iterator[None]:
    """Set the number of threads in the environment, which workers inherit from this process."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(n)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _wait(
    started: list[Any], jobs: list[Job], run: str, engine: Engine, report: Callable[[Progress], None] | None
) -> None:
    """Wait for workers, and report the progress; jobs of SLURM that are still queued in the end are not waited for."""
    queue = slurm.Queue([job.job_id for job in started]) if engine.name == "slurm" else None
    attempts = {job.stem: Attempt(Status.WAITING) for job in jobs}
    while True:
        workers_ended = all(_has_ended(job, queue) for job in started)
        for job in jobs:
            if not attempts[job.stem].has_ended:
                attempts[job.stem] = read_attempt(job, run)
        if workers_ended:
            attempts = {stem: attempt.after_workers_ended() for stem, attempt in attempts.items()}
        if report is not None:
            report(Progress(dict(attempts), queue.describe() if queue else ""))
        if workers_ended or (queue is not None and all(attempt.has_ended for attempt in attempts.values())):
            return
        time.sleep(POLL_INTERVAL_S)


def _has_ended(job: Any, queue: slurm.Queue | None) -> bool:
    if queue is None:
        return bool(job.done())
    if job.paths.result_pickle.exists():
        return True
    queue.update()
    return queue.has_left(job.job_id)


def _stop(started: list[Any], engine: Engine) -> None:
    """End workers that still run when the command is interrupted."""
    if engine.name == "slurm":
        left = [job.job_id for job in started if not job.paths.result_pickle.exists()]
        if left:
            slurm.cancel(left)
        return
    left = [job for job in started if not job.done()]
    for job in left:
        job.cancel()
    end = time.monotonic() + MAX_STOP_S
    while time.monotonic() < end and not all(job.done() for job in left):
        time.sleep(0.05)


def _last_error(started: list[Any]) -> str:
    """Return the last line that a worker wrote before it ended."""
    for job in started:
        lines = (job.stderr() or "").strip().splitlines()
        if lines:
            return str(lines[-1])
    return "they ended without a word"
