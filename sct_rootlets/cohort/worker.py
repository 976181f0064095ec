"""A worker: one process that processes scans until none is left, and loads the model once.

Workers share the list of scans. Each scan has a lock, and the worker that holds it processes the scan. If a worker is
killed, its scan stays begun, and the other workers process the rest.
"""

from __future__ import annotations

import math
import os
import socket
import time
import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from sct_rootlets.cohort.attempt import (
    Attempt,
    Status,
    is_running_in,
    read_attempt,
    remove_attempt,
    write_attempt,
)
from sct_rootlets.cohort.job import CohortSettings, Job
from sct_rootlets.cohort.measures import is_measured, measure_job
from sct_rootlets.cohort.slurm import own_job
from sct_rootlets.deepseg import load_networks
from sct_rootlets.errors import SctRootletsError

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

    from sct_rootlets.segmentation.segment import Segmenter

#: Longest time to wait for a scan that another worker is processing.
MAX_LOCK_WAIT_S = 3600.0
TOO_LONG = "not done within the time of a job (-time); give more"


@dataclass(kw_only=True)
class Worker:
    """A worker, called by the engine in a process of its own.

    Attributes
    ----------
    jobs : list of Job
        All scans.
    settings : CohortSettings
    provenance : dict
        Result of `CohortSettings.describe`.
    run : str
        Identifier of this run of the command: a scan that was begun in it, and has not ended, was killed.
    first : int
        Index of the scan to begin with.
    threads : int
        Number of threads of the networks.
    parent : (str, int), optional
        Host and process that waits for this one; if that process has ended, no more scans are begun.
    limit_s : float
        Shortest running time after which the end of a job means that its time was over.
    """

    jobs: list[Job]
    settings: CohortSettings
    provenance: dict[str, Any]
    run: str
    first: int = 0
    threads: int = 1
    parent: tuple[str, int] | None = None
    limit_s: float = math.inf

    def __post_init__(self) -> None:
        self.current: Job | None = None
        self.segmenter: Segmenter | None = None
        self.begin = time.monotonic()
        self.n_ended = 0

    def __call__(self) -> None:
        """Process scans until none is left."""
        self.begin, self.n_ended = time.monotonic(), 0
        self._reset_requeued()
        busy = []
        for job in [*self.jobs[self.first :], *self.jobs[: self.first]]:
            if not self._process_if_free(job, max_wait_s=0):
                busy.append(job)
        for job in busy:  # still to be done if the other worker is killed, or belongs to an earlier run
            self._process_if_free(job, max_wait_s=MAX_LOCK_WAIT_S)

    def _process_if_free(self, job: Job, max_wait_s: float) -> bool:
        """Process a scan unless it was begun in this run; return False if another worker holds its lock too long."""
        if not self._is_awaited():
            return True
        job.lock.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(job.lock))
        try:
            lock.acquire(timeout=max_wait_s)
        except Timeout:
            return False
        try:
            if read_attempt(job, self.run).status is Status.WAITING:
                self.current = job
                write_attempt(job, self.run, Attempt(Status.RUNNING))
                write_attempt(job, self.run, self._process(job))
                self.current = None
                self.n_ended += 1
        finally:
            lock.release()
        return True

    def _reset_requeued(self) -> None:
        """Let scans begin anew that this job had begun when its node failed and SLURM queued the job again."""
        own = own_job() if self.parent is None else ""  # processes of this machine may all run in one job of SLURM
        for job in self.jobs if own else []:
            if is_running_in(job, self.run, own):
                remove_attempt(job, self.run)

    def _process(self, job: Job) -> Attempt:
        """Process a scan, unless another run has done so meanwhile, and return how it ended."""
        try:
            if not job.is_done(self.provenance):
                from sct_rootlets.cohort.process import process_scan

                process_scan(job, self.settings, self.provenance, self._load)
            if self.settings.measures is not None and not is_measured(job, self.settings.measures):
                measure_job(job, self.settings.measures)
        except SctRootletsError as error:
            reason = " ".join(str(error).split())
        except MemoryError:
            reason = "out of memory; give each worker more (-memory), or run fewer at once (-jobs)"
        except OSError as error:
            reason = f"{error.filename or job.stem}: {error.strerror or error}"
        except Exception as error:  # one scan never stops the rest; the traceback is in the log
            traceback.print_exc()
            reason = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}; see {job.root / 'logs'}"
        else:
            return Attempt(Status.DONE)
        return Attempt(Status.FAILED, reason)

    def checkpoint(self) -> DelayedSubmission:
        """Continue in a new process after a timeout; the current scan fails if it had all of the job's time."""
        from submitit.helpers import DelayedSubmission

        if self.current is not None:
            if self.n_ended == 0 and time.monotonic() - self.begin >= self.limit_s:
                write_attempt(self.current, self.run, Attempt(Status.FAILED, TOO_LONG))
            else:
                remove_attempt(self.current, self.run)
            self.current = None
        self.segmenter = None  # loaded anew in the new process, not sent to it
        return DelayedSubmission(self)

    def _is_awaited(self) -> bool:
        """Whether the parent process, if it is on this host, still runs."""
        if self.parent is None or self.parent[0] != socket.gethostname():
            return True
        try:
            os.kill(self.parent[1], 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True
        return True

    def _load(self) -> Segmenter:
        if self.segmenter is None:
            self.segmenter = load_networks(replace(self.settings.segmentation, threads=self.threads))
        return self.segmenter
