"""A whole cohort: what is to be done is found, done, and told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sct_rootlets.cohort.dataset import describe_dataset, write_status
from sct_rootlets.cohort.engine import Engine, State, run_workers
from sct_rootlets.cohort.plan import CohortSettings, Job, Plan


@dataclass(frozen=True)
class Result:
    """How a cohort ended.

    Attributes
    ----------
    failed : dict of str to str
        Why scans failed, by stem.
    n_done, n_skipped : int
        Scans that were done now, and that had been done before.
    status : Path
        The table of all.
    """

    failed: dict[str, str]
    n_done: int
    n_skipped: int
    status: Path


def sort_out(plan: Plan, settings: CohortSettings) -> tuple[list[Job], dict[str, str]]:
    """Which scans are still to be done, and which cannot be read.

    Returns
    -------
    to_do : list of Job
    unreadable : dict of str to str
        Why, by stem.
    """
    described = settings.describe()
    to_do, unreadable = [], {}
    for job in plan.jobs:
        try:
            if not job.is_done(described):
                to_do.append(job)
        except OSError as error:
            unreadable[job.stem] = f"{error.filename}: {error.strerror or error}"
    return to_do, unreadable


def run_cohort(
    bids: Path,
    out: Path,
    plan: Plan,
    settings: CohortSettings,
    engine: Engine,
    report: Callable[[State], None] | None = None,
) -> Result:
    """Do all scans of a plan that are not done yet.

    Parameters
    ----------
    bids, out : Path
    plan : Plan
        Of `sct_rootlets.cohort.plan.make_plan`.
    settings : CohortSettings
    engine : Engine
    report : callable, optional
        Called about twice a second.

    Returns
    -------
    Result

    Raises
    ------
    SctRootletsError
        If the results cannot be written, or nothing can be run at all. A scan that fails raises nothing.
    """
    described = settings.describe()
    describe_dataset(out, bids)
    to_do, failed = sort_out(plan, settings)
    states = {job.stem: ("done", "") for job in plan.jobs}
    states |= {stem: ("failed", reason) for stem, reason in failed.items()}
    states |= {job.stem: ("waiting", "") for job in to_do}
    status = write_status(out, plan, states)
    reasons = run_workers(to_do, settings, described, engine, report) if to_do else {}
    states |= {stem: ("failed", reason) if reason else ("done", "") for stem, reason in reasons.items()}
    write_status(out, plan, states)
    failed |= {stem: reason for stem, reason in reasons.items() if reason}
    n_done = sum(not reason for reason in reasons.values())
    return Result(failed, n_done, len(plan.jobs) - len(failed) - n_done, status)
