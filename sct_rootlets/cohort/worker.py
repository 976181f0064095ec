"""One process that does scans until none is left: the model is loaded once.

Workers share the list of scans, and each scan has a lock: whoever holds it does the scan. A worker that is killed
leaves its scan begun and the others to the rest.
"""

from __future__ import annotations

import json
import math
import os
import socket
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from sct_rootlets.cohort.plan import CohortSettings, Job
from sct_rootlets.cohort.record import write_whole
from sct_rootlets.cohort.slurm import own_job
from sct_rootlets.errors import SctRootletsError

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

    from sct_rootlets.segmentation.segment import Segmenter

#: How long to wait for a scan that another worker is at.
PATIENCE_S = 3600.0
KILLED = "the process was killed while it was at this scan (out of memory, or cancelled?)"
TOO_LONG = "not done within the time of a job (-time); give more"


@dataclass
class Worker:
    """Does scans until none is left. Called by the engine, in a process of its own.

    Attributes
    ----------
    jobs : list of Job
        All scans; where to begin with them is `first`.
    settings : CohortSettings
    described : dict
        `CohortSettings.describe`.
    run : str
        Of this start of the command: what was begun in it, and not ended, was killed.
    first : int
    threads : int
    parent : (str, int), optional
        Host and process that waits for this one; without it there, nothing more is begun.
    limit_s : float
        A job that is ended earlier was not ended because its time was over.
    """

    jobs: list[Job]
    settings: CohortSettings
    described: dict[str, Any]
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
        """Do scans until none is left."""
        self.begin, self.n_ended = time.monotonic(), 0
        self._forget()
        busy = []
        for job in [*self.jobs[self.first :], *self.jobs[: self.first]]:
            if not self._try(job, patience_s=0):
                busy.append(job)
        for job in busy:  # others are at them: if one is killed, or was of an earlier run, they are not done
            self._try(job, patience_s=PATIENCE_S)

    def _try(self, job: Job, patience_s: float) -> bool:
        """Do a scan if that is still to be done; False if another worker is at it for longer than one waits."""
        if not self._is_wanted():
            return True
        job.lock.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(job.lock))
        try:
            lock.acquire(timeout=patience_s)
        except Timeout:
            return False
        try:
            if read_attempt(job, self.run) is None:
                self.current = job
                write_attempt(job, self.run, KILLED)
                write_attempt(job, self.run, self._done(job))
                self.current = None
                self.n_ended += 1
        finally:
            lock.release()
        return True

    def _forget(self) -> None:
        """What this job had begun when its node failed, and SLURM queued it again, is begun anew."""
        own = own_job() if self.parent is None else ""  # processes of this machine may all be in one job
        for job in self.jobs if own else []:
            if read_attempt(job, self.run) == KILLED and _read(job).get("Job") == own:
                job.attempt.unlink(missing_ok=True)

    def _done(self, job: Job) -> str:
        """Do a scan, unless another run has done it meanwhile; why it failed, or nothing."""
        try:
            if job.is_done(self.described):
                return ""
            from sct_rootlets.cohort.scan import process

            process(job, self.settings, self.described, self._load)
        except SctRootletsError as error:
            return " ".join(str(error).split())
        except MemoryError:
            return "out of memory; give each worker more (-memory), or run fewer at once (-jobs)"
        except OSError as error:
            return f"{error.filename or job.stem}: {error.strerror or error}"
        except Exception as error:  # one scan never stops the rest; the traceback is in the log
            traceback.print_exc()
            return f"unexpected {type(error).__name__}: {' '.join(str(error).split())}; see {job.root / 'logs'}"
        return ""

    def checkpoint(self) -> DelayedSubmission:
        """Go on in a new process after a timeout; what was being done is begun anew, if it can be done in that time."""
        from submitit.helpers import DelayedSubmission

        if self.current is not None:
            if self.n_ended == 0 and time.monotonic() - self.begin >= self.limit_s:
                write_attempt(self.current, self.run, TOO_LONG)
            else:
                self.current.attempt.unlink(missing_ok=True)
            self.current = None
        self.segmenter = None  # loaded anew, and not sent along
        return DelayedSubmission(self)

    def _is_wanted(self) -> bool:
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
        from sct_rootlets.models.requirements import import_torch
        from sct_rootlets.segmentation.load import load_segmenter

        if self.segmenter is None:
            import_torch().set_num_threads(self.threads)
            self.segmenter = load_segmenter(self.settings.model, self.settings.device)
        return self.segmenter


def write_attempt(job: Job, run: str, reason: str) -> None:
    """Note that a scan was begun in a run, and why it failed; an empty reason means that it did not."""
    write_whole(job.attempt, json.dumps({"Run": run, "Reason": reason, "Job": own_job()}) + "\n")


def read_attempt(job: Job, run: str) -> str | None:
    """Why a scan failed, empty if it did not; None if it was not begun in that run."""
    content = _read(job)
    return str(content["Reason"]) if content.get("Run") == run and "Reason" in content else None


def _read(job: Job) -> dict[str, Any]:
    try:
        content = json.loads(job.attempt.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
