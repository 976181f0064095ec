"""A whole cohort: what is to be done is found, done, and told."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from sct_rootlets.cohort.dataset import describe_dataset, write_status
from sct_rootlets.cohort.engine import Engine, State, run_workers
from sct_rootlets.cohort.plan import CohortSettings, Job, Plan
from sct_rootlets.cohort.worker import KILLED
from sct_rootlets.errors import DatasetError, SctRootletsError
from sct_rootlets.output.files import STAGE_PREFIX
from sct_rootlets.output.page import build_page

if TYPE_CHECKING:
    from sct_rootlets.group.compare import GroupLevels

#: Between two writings of ``status.tsv``.
STATUS_EVERY_S = 30.0


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


def run_group(
    bids: Path, out: Path, plan: Plan, participants: Path | None = None
) -> tuple[dict[str, GroupLevels], Path]:
    """Compare spinal with vertebral levels over the scans of a plan that are done, and write tables and the page.

    Parameters
    ----------
    bids, out : Path
    plan : Plan
    participants : Path, optional
        By default ``participants.tsv`` of the BIDS folder, if it is there.

    Returns
    -------
    groups : dict of str to GroupLevels
        By contrast: a subject takes part once in each. Tables are in ``group/CONTRAST`` of `out`.
    page : Path

    Raises
    ------
    DatasetError
        If nothing is done, or scans do not belong together.
    """
    from sct_rootlets.bids import TABLE_ENDING
    from sct_rootlets.group.compare import group_levels
    from sct_rootlets.output.group import save_group

    if participants is None and (bids / "participants.tsv").is_file():
        participants = bids / "participants.tsv"
    tables: dict[str, list[Path]] = {}
    for job in plan.jobs:
        table = job.folder / f"{job.stem}{TABLE_ENDING}"
        if table.is_file():
            tables.setdefault(job.scan.image.contrast, []).append(table)
    if not tables:
        raise DatasetError(f"no scan is done in {out}; run first: sct_rootlets bids {bids} {out} participant")
    groups = {}
    for contrast, paths in tables.items():
        groups[contrast] = group_levels(paths, participants)
        save_group(groups[contrast], out / "group" / contrast)
    return groups, build_page(out / "qc")


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
    begin = time.time()
    describe_dataset(out, bids)
    to_do, failed = sort_out(plan, settings)
    states = {job.stem: ("done", "") for job in plan.jobs}
    states |= {stem: ("failed", reason) for stem, reason in failed.items()}
    states |= {job.stem: ("waiting", "") for job in to_do}
    keeper = _Status(out, plan, states)
    keeper.write()
    reasons: dict[str, str] = {}
    try:
        if to_do:
            reasons = run_workers(to_do, settings, described, engine, keeper.listen(report))
    finally:  # also when it is interrupted
        keeper.take(reasons, over=True)
        keeper.write()
        _update_page(out, keeper.failed)
    _tidy(plan, begin)
    failed |= {stem: reason for stem, reason in reasons.items() if reason}
    n_done = sum(not reason for reason in reasons.values())
    return Result(failed, n_done, len(plan.jobs) - len(failed) - n_done, keeper.path)


class _Status:
    """Keeps ``status.tsv`` as things are, so that it can be looked at while a run goes on, or after it was killed."""

    def __init__(self, out: Path, plan: Plan, states: dict[str, tuple[str, str]]) -> None:
        self.out, self.plan, self.states = out, plan, states
        self.path = out / "status.tsv"
        self.next = time.monotonic() + STATUS_EVERY_S

    def write(self) -> None:
        write_status(self.out, self.plan, self.states)

    @property
    def failed(self) -> dict[str, str]:
        """Why, by stem."""
        return {stem: reason for stem, (state, reason) in self.states.items() if state == "failed"}

    def take(self, reasons: Mapping[str, str | None], over: bool) -> None:
        """Take over what is known; what is being done is waiting as long as it is not over."""
        for stem, reason in reasons.items():
            if reason is not None and (over or reason != KILLED):
                self.states[stem] = ("failed", reason) if reason else ("done", "")

    def listen(self, report: Callable[[State], None] | None) -> Callable[[State], None]:
        def heard(state: State) -> None:
            self.take(state.reasons, over=state.over)
            if time.monotonic() > self.next:
                self.write()
                self.next = time.monotonic() + STATUS_EVERY_S
            if report is not None:
                report(state)

        return heard


def _update_page(out: Path, failed: dict[str, str]) -> None:
    """Complete the page's list, and say on it which scans failed."""
    if failed or (out / "qc").is_dir():
        with contextlib.suppress(SctRootletsError):  # each scan that could not be added says why
            build_page(out / "qc", failed)


def _tidy(plan: Plan, before: float) -> None:
    """Remove what a killed run has left unfinished: outputs that never appeared.

    A run beside this one may be at a scan: it holds the lock, and what is being written in that folder is left alone.
    """
    locks: dict[Path, list[Path]] = {plan.jobs[0].root: [], plan.jobs[0].attempt.parent: []}
    for job in plan.jobs:
        locks.setdefault(job.folder, []).append(job.lock)
    for folder, held in locks.items():
        stages = [path for path in folder.glob(f"{STAGE_PREFIX}*") if _is_older(path, before)]
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError, Timeout):
            for lock in held if stages else []:
                lock.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(FileLock(lock, timeout=0))
            for stage in stages:
                if stage.is_dir():
                    shutil.rmtree(stage, ignore_errors=True)
                else:
                    stage.unlink(missing_ok=True)


def _is_older(path: Path, than: float) -> bool:
    try:
        return path.stat().st_mtime < than
    except OSError:  # a run beside this one has moved it in
        return False
