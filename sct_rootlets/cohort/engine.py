"""Starting workers and waiting for them: processes of this machine, or an array of SLURM jobs, both by ``submitit``."""

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
from sct_rootlets.cohort.plan import CohortSettings, Job
from sct_rootlets.cohort.worker import KILLED, Worker, read_attempt
from sct_rootlets.errors import SctRootletsError

#: Between looks at what has been done.
PAUSE_S = 0.5
#: A worker that runs out of time is started again so often; each time it has done or failed a scan at least.
MOST_REQUEUES = 100
#: How long before the end of its time a worker is warned, at most, and of each minute that it has.
#: That of processes of this machine is fixed by ``submitit``.
WARNING_S, WARNING_OF_MINUTE_S, WARNING_LOCAL_S = 90.0, 15.0, 30
#: How long processes of this machine may take to end when they are told to.
ENDING_S = 10.0


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

    @property
    def limit_s(self) -> float:
        """How long a worker runs at least before it is warned: SLURM does so up to a minute early."""
        return max(0.0, 60 * max(self.minutes, 1) - self.warning_s - (60 if self.name == "slurm" else 0) - 5)

    @property
    def warning_s(self) -> int:
        """How long before the end of its time a worker is warned."""
        if self.name == "local":
            return WARNING_LOCAL_S
        return round(min(WARNING_S, WARNING_OF_MINUTE_S * max(self.minutes, 1)))


@dataclass(frozen=True)
class State:
    """How far it has come.

    Attributes
    ----------
    reasons : dict of str to (str or None)
        By stem: why a scan failed, empty if it is done, None if it was not begun; `KILLED` of those that are being
        done.
    over : bool
        Whether workers have ended: what was being done is not any more.
    where : str
        What the engine says of itself; may be empty.
    """

    reasons: dict[str, str | None]
    over: bool = False
    where: str = ""

    @property
    def done(self) -> int:
        """Number of scans."""
        return self._count("")

    @property
    def waiting(self) -> int:
        """Number of scans that were not begun."""
        return self._count(None)

    @property
    def running(self) -> int:
        """Number of scans that are being done."""
        return 0 if self.over else self._count(KILLED)

    @property
    def failed(self) -> int:
        """Number of scans."""
        return len(self.reasons) - self.done - self.waiting - self.running

    def _count(self, wanted: str | None) -> int:
        return sum(reason == wanted for reason in self.reasons.values())


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
    folder = jobs[0].root / "logs" / "workers" / run  # another run may be beside this one
    executor = _executor(engine, folder)
    n_workers = min(engine.workers, len(jobs))
    parent = (socket.gethostname(), os.getpid()) if engine.name == "local" else None
    for _ in range(len(jobs) + 1):  # each round of workers does or fails one scan at least
        left = [job for job in jobs if read_attempt(job, run) is None]
        if not left:
            break
        n_workers = min(n_workers, len(left))
        workers = [
            Worker(
                left, settings, described, run, index * len(left) // n_workers, engine.threads, parent, engine.limit_s
            )
            for index in range(n_workers)
        ]
        started = _start(workers, executor, engine, folder)
        try:
            _wait(started, jobs, run, engine, report)
        finally:
            _stop(started, engine)
        if all(read_attempt(job, run) is None for job in left):
            raise SctRootletsError(f"no worker could start: {_why(started)}; see {folder}")
    if not any(read_attempt(job, run) for job in jobs):
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()
    return {job.stem: read_attempt(job, run) or "" for job in jobs}


def _executor(engine: Engine, folder: Path) -> Any:
    if os.name == "nt":
        raise SctRootletsError("this needs Linux or macOS, or on Windows its Subsystem for Linux (wsl --install)")
    try:
        import submitit
    except ImportError as error:
        raise SctRootletsError('this needs submitit: python -m pip install "sct_rootlets[cohort]"') from error
    try:
        often = {f"{engine.name}_max_num_timeout": MOST_REQUEUES}
        executor = submitit.AutoExecutor(folder=folder, cluster=engine.name, **often)
        executor.update_parameters(timeout_min=max(1, round(engine.minutes)), name="sct_rootlets")
        if engine.name == "slurm":
            executor.update_parameters(**_slurm_parameters(engine))
    except (RuntimeError, NameError, OSError) as error:
        raise SctRootletsError(f"the engine {engine.name} cannot be used here: {error}") from error
    return executor


def _slurm_parameters(engine: Engine) -> dict[str, Any]:
    more: dict[str, Any] = {"slurm_additional_parameters": engine.more} if engine.more else {}
    if engine.partition:
        more["slurm_partition"] = engine.partition
    if engine.memory_gb:
        more["mem_gb"] = engine.memory_gb
    return {
        "cpus_per_task": engine.threads,
        "slurm_srun_args": [f"--cpus-per-task={engine.threads}"],  # since SLURM 22.05 it is not taken from the job
        "slurm_array_parallelism": engine.workers,
        "slurm_signal_delay_s": engine.warning_s,
        **more,
    }


def _start(workers: list[Worker], executor: Any, engine: Engine, folder: Path) -> list[Any]:
    """Start workers; what SLURM, or a process that watches over workers, writes is not for the user's screen."""
    said = io.StringIO()
    aside = contextlib.redirect_stderr(said) if engine.name == "slurm" else _errors_into(folder / "watchers.err")
    try:
        with _threads(engine.threads), aside, executor.batch():
            return [executor.submit(worker) for worker in workers]
    except Exception as error:  # submitit shares none for what SLURM refuses
        why = " ".join((said.getvalue() or str(error)).split())
        raise SctRootletsError(f"jobs cannot be started: {why or type(error).__name__}") from error


@contextmanager
def _errors_into(path: Path) -> Iterator[None]:
    """Let processes that are started write their errors into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with path.open("ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


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


def _wait(
    started: list[Any], jobs: list[Job], run: str, engine: Engine, report: Callable[[State], None] | None
) -> None:
    """Wait for workers, and say how far they have come. SLURM's that still wait when all is done are not waited for."""
    queue = slurm.Queue([job.job_id for job in started]) if engine.name == "slurm" else None
    reasons: dict[str, str | None] = {}
    while True:
        over = all(_has_ended(job, queue) for job in started)
        for job in jobs:
            if reasons.get(job.stem) in (None, KILLED):
                reasons[job.stem] = read_attempt(job, run)
        over = over or (queue is not None and not {None, KILLED} & set(reasons.values()))
        if report is not None:
            report(State(dict(reasons), over, queue.describe() if queue else ""))
        if over:
            return
        time.sleep(PAUSE_S)


def _has_ended(job: Any, queue: slurm.Queue | None) -> bool:
    if queue is None:
        return bool(job.done())
    if job.paths.result_pickle.exists():
        return True
    queue.look()
    return queue.has_left(job.job_id)


def _stop(started: list[Any], engine: Engine) -> None:
    """End workers that still run, when the command is interrupted."""
    if engine.name == "slurm":
        left = [job.job_id for job in started if not job.paths.result_pickle.exists()]
        if left:
            slurm.cancel(left)
        return
    left = [job for job in started if not job.done()]
    for job in left:
        job.cancel()
    end = time.monotonic() + ENDING_S
    while time.monotonic() < end and not all(job.done() for job in left):
        time.sleep(0.05)


def _why(started: list[Any]) -> str:
    """The last line that a worker wrote before it ended."""
    for job in started:
        lines = (job.stderr() or "").strip().splitlines()
        if lines:
            return str(lines[-1])
    return "they ended without a word"
