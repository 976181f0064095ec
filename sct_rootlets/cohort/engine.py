"""Starting workers and waiting for them: processes of this machine, or an array of SLURM jobs, both by ``submitit``."""

from __future__ import annotations

import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sct_rootlets.cohort.plan import CohortSettings, Job
from sct_rootlets.cohort.worker import KILLED, Worker, read_attempt
from sct_rootlets.errors import SctRootletsError

#: Between looks at what has been done.
PAUSE_S = 0.5
#: A worker that runs out of time is started again so often.
MOST_REQUEUES = 100


@dataclass(frozen=True)
class Engine:
    """How workers run.

    Attributes
    ----------
    name : {"local", "slurm"}
    workers : int
        At once.
    threads : int
        Of each.
    minutes : float
        After which a worker is stopped and started again.
    memory_gb : float, optional
        Of each (SLURM).
    partition : str, optional
        (SLURM)
    more : dict of str to str
        Further options of ``sbatch``.
    """

    name: str = "local"
    workers: int = 1
    threads: int = 1
    minutes: float = 24 * 60
    memory_gb: float | None = None
    partition: str | None = None
    more: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class State:
    """How far it has come, in numbers of scans."""

    done: int
    failed: int
    running: int
    waiting: int


def run_workers(
    jobs: list[Job],
    settings: CohortSettings,
    described: dict[str, Any],
    engine: Engine,
    report: Callable[[State], None] | None = None,
) -> dict[str, str]:
    """Do scans, and wait until all are done.

    Parameters
    ----------
    jobs : list of Job
        Those that are not done.
    settings : CohortSettings
    described : dict
    engine : Engine
    report : callable, optional
        Called about twice a second.

    Returns
    -------
    dict of str to str
        Why each scan failed, by its stem; empty for those that did not.

    Raises
    ------
    SctRootletsError
        If workers cannot be started.
    """
    run = uuid.uuid4().hex
    folder = jobs[0].root / "logs" / "workers"
    executor = _executor(engine, folder)
    n_workers = min(engine.workers, len(jobs))
    parent = (socket.gethostname(), os.getpid()) if engine.name == "local" else None
    started: list[Any] = []
    try:
        for _ in range(len(jobs) + 1):  # each round of workers does or fails one scan at least
            left = [job for job in jobs if read_attempt(job, run) is None]
            if not left:
                break
            n_workers = min(n_workers, len(left))
            workers = [
                Worker(left, settings, described, run, index * len(left) // n_workers, engine.threads, parent)
                for index in range(n_workers)
            ]
            with _threads(engine.threads), executor.batch():
                started = [executor.submit(worker) for worker in workers]
            _wait(started, jobs, run, report)
            if all(read_attempt(job, run) is None for job in left):
                raise SctRootletsError(f"no worker could start: {_why(started)}; see {folder}")
    finally:
        for job in started:
            if not job.done():
                job.cancel()
    if not any(read_attempt(job, run) for job in jobs):
        shutil.rmtree(folder, ignore_errors=True)
    return {job.stem: read_attempt(job, run) or "" for job in jobs}


def _executor(engine: Engine, folder: Path) -> Any:
    try:
        import submitit
    except ImportError as error:
        raise SctRootletsError('this needs submitit: python -m pip install "sct_rootlets[cohort]"') from error
    try:
        often = {f"{engine.name}_max_num_timeout": MOST_REQUEUES}
        executor = submitit.AutoExecutor(folder=folder, cluster=engine.name, **often)
        executor.update_parameters(timeout_min=max(1, round(engine.minutes)), name="sct_rootlets")
        if engine.name == "slurm":
            more: dict[str, Any] = {"slurm_additional_parameters": engine.more} if engine.more else {}
            if engine.partition:
                more["slurm_partition"] = engine.partition
            if engine.memory_gb:
                more["mem_gb"] = engine.memory_gb
            executor.update_parameters(cpus_per_task=engine.threads, slurm_array_parallelism=engine.workers, **more)
    except (RuntimeError, NameError, OSError) as error:
        raise SctRootletsError(f"the engine {engine.name} cannot be used here: {error}") from error
    return executor


@contextmanager
def _threads(n: int) -> Iterator[None]:
    """Environment of workers, which take it from this process."""
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


def _wait(started: list[Any], jobs: list[Job], run: str, report: Callable[[State], None] | None) -> None:
    """Wait for workers, and say how far they have come."""
    while True:
        ended = [job.done() for job in started]
        reasons = [read_attempt(job, run) for job in jobs]
        running = 0 if all(ended) else reasons.count(KILLED)
        state = State(
            done=reasons.count(""),
            failed=sum(bool(reason) for reason in reasons) - running,
            running=running,
            waiting=reasons.count(None),
        )
        if report is not None:
            report(state)
        if all(ended):
            return
        time.sleep(PAUSE_S)


def _why(started: list[Any]) -> str:
    """The last line that a worker wrote before it ended."""
    for job in started:
        lines = (job.stderr() or "").strip().splitlines()
        if lines:
            return str(lines[-1])
    return "they ended without a word"
