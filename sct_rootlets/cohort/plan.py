"""All scans of a cohort, and which of them are still to be processed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sct_rootlets.bids import parse_name
from sct_rootlets.bids_folder import Scan, find_scans, places_without_scan
from sct_rootlets.cohort.job import CohortSettings, Job
from sct_rootlets.cohort.measures import is_measured
from sct_rootlets.cohort.repeated import repeated_files
from sct_rootlets.cohort.selection import Filter, is_listed
from sct_rootlets.errors import DatasetError


@dataclass(frozen=True)
class Plan:
    """All scans of a cohort.

    Attributes
    ----------
    jobs : list of Job
        In the order of their names.
    notes : list of str
        Files that were left out, and subjects and sessions without a scan, and why; scans that are there twice.
    others : list of Job
        Scans of other contrasts, or that were not asked for, but were not excluded either: results of an earlier run
        may tell something of the scans of their session.
    """

    jobs: list[Job]
    notes: list[str] = field(default_factory=list)
    others: list[Job] = field(default_factory=list)


def make_plan(bids: Path, out: Path, labels: Sequence[Path] = (), wanted: Filter | None = None) -> Plan:
    """Find the scans of a BIDS folder.

    Parameters
    ----------
    bids, out : Path
        The BIDS folder, and the folder of results.
    labels : sequence of Path
        Folders with labels, in place of ``derivatives/labels``.
    wanted : Filter, optional

    Returns
    -------
    Plan

    Raises
    ------
    DatasetError
        If no scan is left, two scans would have results of the same name, or the folder of results is one of labels.
    """
    wanted = wanted or Filter()
    if out.resolve() == bids.resolve():
        raise DatasetError(f"{out} is the BIDS folder itself; give another folder for the results")
    _check_no_label_folder(out, [*labels, bids / "derivatives" / "labels"])
    every, notes = find_scans(bids, labels)
    contrasts = {contrast.lower() for contrast in wanted.contrasts}
    scans = [scan for scan in every if not contrasts or scan.image.contrast.lower() in contrasts]
    if not scans:
        raise DatasetError(
            f"{bids} has no {', '.join(wanted.contrasts)} images in sub-*/anat; {_why_none(bids, notes)}"
        )
    jobs = [Job(scan, out) for scan in scans if wanted.wants(scan)]
    if not jobs:
        raise DatasetError(f"of {len(scans)} scans in {bids} none is left; look at -include, -exclude and the lists")
    stems: dict[str, Job] = {}
    for job in jobs:
        other = stems.setdefault(job.stem, job)
        if other is not job:
            raise DatasetError(
                f"{other.scan.image.path} and {job.scan.image.path} would have results of the same name; "
                "move one away, or leave it out (-exclude-list)"
            )
    notes += [
        f"{name} of a list is none of the scans"
        for name in dict.fromkeys((*wanted.include_list, *wanted.exclude_list))
        if not any(is_listed(scan, (name,)) for scan in scans)
    ]
    notes += [
        f"{again} has the same content as {first}, so it is one scan under two names; keep the right one"
        for again, first in repeated_files(job.scan.image.path for job in jobs)
    ]
    allowed = replace(wanted, include=None, include_list=())
    others = [Job(scan, out) for scan in every if allowed.wants(scan)]
    return Plan(jobs, notes + _without_scan(bids, scans, wanted), [job for job in others if job.stem not in stems])


def _why_none(bids: Path, notes: Sequence[str]) -> str:
    """Say why files in the folders of the subjects are no scans, or that other contrasts may be chosen."""
    reasons = [note for note in notes if note.startswith(f"{bids / 'sub-'}")]
    more = f" (and {len(reasons) - 1} more files)" if len(reasons) > 1 else ""
    return f"{reasons[0]}{more}" if reasons else "-contrasts takes others"


def _without_scan(bids: Path, scans: Sequence[Scan], wanted: Filter) -> list[str]:
    """Describe the subjects and sessions that were asked for and have no scan that can be used."""
    lines = []
    for place, there in places_without_scan(bids, scans).items():
        name = parse_name(f"{place.replace('/', '_')}_none.nii.gz")
        if name is not None and wanted.wants(Scan(bids, name)):
            contrasts = ", ".join(wanted.contrasts)
            lines.append(f"{bids / place} has no usable scan: none of {contrasts} is in anat, but {there}")
    return lines


def _check_no_label_folder(out: Path, labels: Sequence[Path]) -> None:
    """Raise an error if results would get the names of manual labels."""
    place = out.resolve()
    folders = [place, *place.parents]
    named = any(folder.name == "labels" and folder.parent.name == "derivatives" for folder in folders)
    if named or not set(folders).isdisjoint(folder.resolve() for folder in labels):
        raise DatasetError(
            f"{out} is a folder of labels, and results would get the names of manual labels; give another folder for "
            "the results, such as derivatives/sct_rootlets"
        )


def find_pending(plan: Plan, settings: CohortSettings) -> tuple[list[Job], dict[str, str]]:
    """Find the scans that are still to be processed, and those that cannot be read.

    Parameters
    ----------
    plan : Plan
    settings : CohortSettings

    Returns
    -------
    pending : list of Job
    unreadable : dict of str to str
        The reason by stem.
    """
    provenance = settings.describe()
    pending, unreadable = [], {}
    for job in plan.jobs:
        try:
            if not job.is_done(provenance) or not is_measured(job, settings.measures):
                pending.append(job)
        except OSError as error:
            unreadable[job.stem] = f"{error.filename}: {error.strerror or error}"
    return pending, unreadable


def describe_pending(plan: Plan, settings: CohortSettings) -> list[str]:
    """Describe in one line per scan, and one for all, what a run would do."""
    pending, unreadable = find_pending(plan, settings)
    stems = {job.stem for job in pending}
    lines = []
    for job in plan.jobs:
        state = unreadable.get(job.stem) or ("to be done" if job.stem in stems else "done")
        labels = ", ".join(sorted(job.scan.labels))
        lines.append(f"{job.stem}: {state}" + (f" (with {labels})" if labels and job.stem in stems else ""))
    return [*lines, f"{len(plan.jobs)} scans, {len(pending)} to be done"]
