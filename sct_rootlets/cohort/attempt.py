"""Attempts to process a scan: how far each run came, in a file that all workers read and write."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from sct_rootlets.cohort.job import Job
from sct_rootlets.cohort.slurm import own_job
from sct_rootlets.output.files import format_json, write_atomic
from sct_rootlets.sidecar import read_object

#: Attempts of so many other runs are kept.
MAX_OTHER_RUNS = 15
KILLED = "the process was killed while it was at this scan (out of memory, or cancelled?)"


class Status(Enum):
    """How far a scan has come."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Attempt:
    """An attempt to process a scan.

    Attributes
    ----------
    status : Status
    reason : str
        Why the scan failed; empty unless it did.
    """

    status: Status
    reason: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether the scan is done or has failed."""
        return self.status in (Status.DONE, Status.FAILED)

    def after_workers_ended(self) -> Attempt:
        """Return the attempt as it stands when no worker runs any more: one that was running was killed."""
        return Attempt(Status.FAILED, KILLED) if self.status is Status.RUNNING else self


def write_attempt(job: Job, run: str, attempt: Attempt) -> None:
    """Write how far a scan has come in a run, in place of its earlier attempt in that run.

    Attempts of other runs are kept, as several may go on at the same time.

    Parameters
    ----------
    job : Job
        Its lock is held.
    run : str
        Identifier of this run of the command.
    attempt : Attempt
    """
    content = {"Status": attempt.status.value, "Reason": attempt.reason, "Job": own_job()}
    _write(job, {**_read_others(job, run), run: content})


def read_attempt(job: Job, run: str) -> Attempt:
    """Read how far a scan has come in a run; it is waiting if that run has not begun it."""
    content = _read(job, run)
    try:
        return Attempt(Status(content["Status"]), str(content["Reason"]))
    except (KeyError, ValueError):
        return Attempt(Status.WAITING)


def remove_attempt(job: Job, run: str) -> None:
    """Remove the attempt of a run: the scan is waiting again."""
    _write(job, _read_others(job, run))


def is_running_in(job: Job, run: str, slurm_job: str) -> bool:
    """Whether a scan was begun in a run by a job of SLURM, and has not ended."""
    return read_attempt(job, run).status is Status.RUNNING and _read(job, run).get("Job") == slurm_job


def _read(job: Job, run: str) -> dict[str, Any]:
    attempt = read_object(job.attempt).get(run)
    return attempt if isinstance(attempt, dict) else {}


def _read_others(job: Job, run: str) -> dict[str, Any]:
    """Return the last attempts of other runs, by run."""
    others = [(name, attempt) for name, attempt in read_object(job.attempt).items() if name != run]
    return dict(others[-MAX_OTHER_RUNS:])


def _write(job: Job, attempts: dict[str, Any]) -> None:
    write_atomic(job.attempt, format_json(attempts, indent=None))
