"""Attempts to process a scan: how far the last one came, in a file that all workers read and write."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sct_rootlets.cohort.job import Job
from sct_rootlets.cohort.slurm import own_job
from sct_rootlets.output.files import format_json, write_atomic

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
    """Write how far a scan has come in a run, in place of an earlier attempt.

    Parameters
    ----------
    job : Job
    run : str
        Identifier of this run of the command.
    attempt : Attempt
    """
    content = {"Run": run, "Status": attempt.status.value, "Reason": attempt.reason, "Job": own_job()}
    write_atomic(job.attempt, format_json(content, indent=None))


def read_attempt(job: Job, run: str) -> Attempt:
    """Read how far a scan has come in a run; it is waiting if that run has not begun it."""
    content = _read(job)
    try:
        if content["Run"] == run:
            return Attempt(Status(content["Status"]), str(content["Reason"]))
    except (KeyError, ValueError):
        pass
    return Attempt(Status.WAITING)


def remove_attempt(job: Job) -> None:
    """Remove the last attempt: the scan is waiting again."""
    job.attempt.unlink(missing_ok=True)


def is_running_in(job: Job, run: str, slurm_job: str) -> bool:
    """Whether a scan was begun in a run by a job of SLURM, and has not ended."""
    return read_attempt(job, run).status is Status.RUNNING and _read(job).get("Job") == slurm_job


def _read(job: Job) -> dict[str, Any]:
    try:
        content = json.loads(job.attempt.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
