"""The two levels of ``sct_rootlets bids``: all scans of a cohort (participant), and their comparison (group)."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from sct_rootlets.bids import LABEL_NAMES, MEASURE_ENDINGS, MEASURE_RECORD_ENDING, TABLE_ENDING
from sct_rootlets.cohort.attempt import Attempt, Status
from sct_rootlets.cohort.dataset import dataset_name, describe_dataset
from sct_rootlets.cohort.engine import Engine, Progress, run_workers
from sct_rootlets.cohort.job import CohortSettings, Job
from sct_rootlets.cohort.plan import Plan, find_pending
from sct_rootlets.cohort.sessions import session_flags
from sct_rootlets.cohort.status import StatusTable
from sct_rootlets.errors import DatasetError, SctRootletsError
from sct_rootlets.flags import Flag, read_flags
from sct_rootlets.output.files import STAGE_PREFIX
from sct_rootlets.output.page import build_page
from sct_rootlets.sidecar import read_object, read_sidecar

if TYPE_CHECKING:
    from sct_rootlets.group.compare import GroupLevels
    from sct_rootlets.measure.group import GroupMeasures


@dataclass(frozen=True, kw_only=True)
class GroupResult:
    """The group of one contrast.

    Attributes
    ----------
    levels : GroupLevels or None
        None if levels cannot be compared.
    measures : GroupMeasures or None
        None if no scan was measured, or none of those that were counts.
    notes : tuple of str
        Why one of them is missing, and which scans are left out because another of their session contradicts them.
    """

    levels: GroupLevels | None
    measures: GroupMeasures | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """How a run over a cohort ended.

    Attributes
    ----------
    failed : dict of str to str
        The reason by stem, of scans that failed.
    n_done, n_skipped : int
        Numbers of scans that were processed now, and that had been done before.
    status : Path
        The table of all scans.
    """

    failed: dict[str, str]
    n_done: int
    n_skipped: int
    status: Path


def run_cohort(
    bids: Path,
    out: Path,
    plan: Plan,
    settings: CohortSettings,
    engine: Engine,
    report: Callable[[Progress], None] | None = None,
) -> Result:
    """Process all scans of a plan that are not done yet.

    Parameters
    ----------
    bids, out : Path
        The BIDS folder, and the folder of results.
    plan : Plan
        Result of `sct_rootlets.cohort.plan.make_plan`.
    settings : CohortSettings
    engine : Engine
    report : callable, optional
        Function that is called with the progress about twice a second.

    Returns
    -------
    Result

    Raises
    ------
    SctRootletsError
        If the results cannot be written, or nothing can be run at all. A scan that fails raises nothing.
    """
    provenance = settings.describe()
    begin = time.time()
    describe_dataset(out, bids)
    pending, failed = find_pending(plan, settings)
    attempts = {job.stem: Attempt(Status.DONE) for job in plan.jobs}
    attempts |= {stem: Attempt(Status.FAILED, reason) for stem, reason in failed.items()}
    attempts |= {job.stem: Attempt(Status.WAITING) for job in pending}
    status_table = StatusTable(out, plan, attempts)
    status_table.write()
    ended: dict[str, Attempt] = {}
    try:
        if pending:
            ended = run_workers(pending, settings, provenance, engine, status_table.wrap(report))
    finally:  # also when the run is interrupted
        status_table.update(ended)
        status_table.write()
        _update_page(bids, out, plan, status_table.failed)
    _remove_unfinished(plan, begin)
    failed |= {stem: attempt.reason for stem, attempt in ended.items() if attempt.status is Status.FAILED}
    n_done = sum(attempt.status is Status.DONE for attempt in ended.values())
    return Result(failed, n_done, len(plan.jobs) - len(failed) - n_done, status_table.path)


def implausible_scans(plan: Plan) -> dict[str, list[str]]:
    """Find the scans whose results a flag says to be implausible, or another scan of the session contradicts.

    Returns
    -------
    dict of str to list of str
        What the flags in the sidecars say, and what contradicts the scan, by scan.
    """
    found: dict[str, list[str]] = {}
    for job in plan.jobs:
        maps = [job.folder / f"{job.stem}_label-{name}_dseg.nii.gz" for name in LABEL_NAMES.values()]
        levels = next((facts for path in maps if (facts := read_sidecar(path).get("Flags"))), None)
        measures = read_object(job.folder / f"{job.stem}_{MEASURE_RECORD_ENDING}").get("Flags")
        texts = [
            f"{flag.key} {flag.text}"
            for stored in (levels, measures)
            for flag in read_flags(stored)
            if flag.state == "bad"
        ]
        if texts:
            found[job.stem] = texts
    contradicted = session_flags([*plan.jobs, *plan.others])
    for job in plan.jobs:
        if flag := contradicted.get(job.stem):
            found.setdefault(job.stem, []).append(f"{flag.text}: {flag.advice}")
    return found


def run_group(
    bids: Path, out: Path, plan: Plan, participants: Path | None = None
) -> tuple[dict[str, GroupResult], Path]:
    """Compare spinal with vertebral levels over the scans of a plan that are done, and average their measures.

    Parameters
    ----------
    bids, out : Path
        The BIDS folder, and the folder of results.
    plan : Plan
    participants : Path, optional
        By default ``participants.tsv`` of the BIDS folder, if it exists.

    Returns
    -------
    groups : dict of str to GroupResult
        By contrast. Their tables are in ``group/CONTRAST`` of `out`. Levels are compared of one scan per subject;
        measures may be of several sessions.
    page : Path

    Raises
    ------
    DatasetError
        If no scan is done, or scans do not belong together.
    """
    from sct_rootlets.output.group import save_group
    from sct_rootlets.output.group_measures import save_group_measures

    if participants is None and (bids / "participants.tsv").is_file():
        participants = bids / "participants.tsv"
    jobs: dict[str, list[Job]] = {}
    for job in plan.jobs:
        if (job.folder / f"{job.stem}{TABLE_ENDING}").is_file():
            jobs.setdefault(job.scan.image.contrast, []).append(job)
    if not jobs:
        raise DatasetError(f"no scan is done in {out}; run first: sct_rootlets bids {bids} {out} participant")
    all_jobs = [*plan.jobs, *plan.others]
    contradicted = session_flags(all_jobs)
    groups = {contrast: _group_of(of_contrast, participants, contradicted) for contrast, of_contrast in jobs.items()}
    for contrast, group in groups.items():
        if group.levels is not None:
            save_group(group.levels, out / "group" / contrast, may_overwrite=False)
        if group.measures is not None:
            save_group_measures(group.measures, out / "group" / contrast, may_overwrite=False)
    flags = {job.about.identifier: contradicted[job.stem] for job in all_jobs if job.stem in contradicted}
    return groups, build_page(out / "qc", flags=flags)


def _group_of(jobs: Sequence[Job], participants: Path | None, contradicted: Mapping[str, Flag]) -> GroupResult:
    """Compare the levels of scans, and average the measures of those that were measured.

    Parameters
    ----------
    jobs : sequence of Job
    participants : Path, optional
    contradicted : mapping of str to Flag
        Scans that are left out, and why.

    Raises
    ------
    DatasetError
        If levels cannot be compared, and there are no measures.
    """
    from sct_rootlets.group.compare import group_levels
    from sct_rootlets.measure.group import group_measures

    left_out = [(job.stem, contradicted[job.stem]) for job in jobs if job.stem in contradicted]
    notes = [f"{name} is left out: {flag.text}: {flag.advice}" for name, flag in left_out]
    jobs = [job for job in jobs if job.stem not in contradicted]
    levels = measures = None
    if not jobs:
        return GroupResult(levels=None, measures=None, notes=tuple(notes))
    measured = [path for job in jobs if (path := job.folder / f"{job.stem}_{MEASURE_ENDINGS['shape']}").is_file()]
    if measured:
        try:
            measures = group_measures(measured, participants)
        except DatasetError as error:
            notes.append(f"no measures: {error}")
    try:
        levels = group_levels([job.folder / f"{job.stem}{TABLE_ENDING}" for job in jobs], participants)
    except DatasetError as error:
        if measures is None:
            raise
        notes.append(f"levels are not compared: {error}")
    return GroupResult(levels=levels, measures=measures, notes=tuple(notes))


def _update_page(bids: Path, out: Path, plan: Plan, failed: dict[str, str]) -> None:
    """Complete the page's list, and show which scans failed or contradict others, and the name of the dataset."""
    if failed or (out / "qc").is_dir():
        jobs = [*plan.jobs, *plan.others]
        contradicted = session_flags(jobs)
        flags = {job.about.identifier: contradicted[job.stem] for job in jobs if job.stem in contradicted}
        with contextlib.suppress(SctRootletsError):  # if the page cannot be written, the scans have failed for it
            build_page(out / "qc", failed, dataset_name(bids), flags)


def _remove_unfinished(plan: Plan, before: float) -> None:
    """Remove unfinished outputs that a killed run has left.

    If another run is processing a scan, it holds the scan's lock, and unfinished outputs in that folder are kept.

    Parameters
    ----------
    plan : Plan
    before : float
        Time in s since the epoch; newer outputs are kept.
    """
    locks: dict[Path, list[Path]] = {plan.jobs[0].root: [], plan.jobs[0].attempt.parent: []}
    for job in plan.jobs:
        locks.setdefault(job.folder, []).append(job.lock)
    for folder, folder_locks in locks.items():
        stages = [path for path in folder.glob(f"{STAGE_PREFIX}*") if _is_older(path, before)]
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError, Timeout):
            for lock in folder_locks if stages else []:
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
    except OSError:  # another run has moved it into its place
        return False
