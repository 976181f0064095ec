"""The table ``status.tsv``: how far each scan of a cohort has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sct_rootlets.cohort.attempt import Attempt, Status
from sct_rootlets.cohort.engine import Progress
from sct_rootlets.cohort.job import Job
from sct_rootlets.cohort.plan import Plan
from sct_rootlets.cohort.record import read_record
from sct_rootlets.cohort.selection import folder_name
from sct_rootlets.errors import ImageError
from sct_rootlets.output.files import format_table, write_atomic

COLUMNS = ("participant_id", "session_id", "scan", "status", "reason", "corrected")
#: Shortest time between two updates of the table during a run.
STATUS_INTERVAL_S = 30.0


class StatusTable:
    """The table, kept up to date so that it can be read during a run, or after a run was killed.

    Parameters
    ----------
    root : Path
        The output folder of the cohort.
    plan : Plan
    attempts : dict of str to Attempt
        By stem.
    """

    def __init__(self, root: Path, plan: Plan, attempts: dict[str, Attempt]) -> None:
        self.path = root / "status.tsv"
        self.plan, self.attempts = plan, attempts
        self._next = time.monotonic() + STATUS_INTERVAL_S

    @property
    def failed(self) -> dict[str, str]:
        """The reason by stem, of scans that failed."""
        return {stem: attempt.reason for stem, attempt in self.attempts.items() if attempt.status is Status.FAILED}

    def update(self, attempts: Mapping[str, Attempt]) -> None:
        """Take over attempts that have ended; a scan that is running stays waiting in the table."""
        self.attempts |= {stem: attempt for stem, attempt in attempts.items() if attempt.has_ended}

    def wrap(self, report: Callable[[Progress], None] | None) -> Callable[[Progress], None]:
        """Return a function that updates the table from time to time, and calls `report`."""

        def update_and_report(progress: Progress) -> None:
            self.update(progress.attempts)
            if time.monotonic() > self._next:
                self.write()
                self._next = time.monotonic() + STATUS_INTERVAL_S
            if report is not None:
                report(progress)

        return update_and_report

    def write(self) -> None:
        """Write the table, one row a scan.

        Raises
        ------
        ImageError
            If the folder cannot be written to.
        """
        rows = (self._row(job) for job in self.plan.jobs)
        try:
            write_atomic(self.path, format_table(COLUMNS, rows, separator="\t"))
        except OSError as error:
            raise ImageError(
                f"cannot write to {self.path}: {error.strerror or error}; scans that are done are kept, run it again "
                "when that is mended"
            ) from error

    def _row(self, job: Job) -> dict[str, object]:
        image, attempt = job.scan.image, self.attempts[job.stem]
        return {
            "participant_id": f"sub-{image.subject}",
            "session_id": f"ses-{image.session}" if image.session else "n/a",
            "scan": f"{folder_name(job.scan)}/anat/{image.path.name}",
            "status": attempt.status.value,
            "reason": attempt.reason or "n/a",
            "corrected": _corrected(job),
        }


def _corrected(job: Job) -> str:
    """List the outputs that were corrected by hand."""
    try:
        inputs = job.inputs(read_record(job.record))
    except OSError:
        return "n/a"
    return ",".join(kind for kind, path in inputs.items() if path.parent == job.folder) or "n/a"
