"""The cohort of a group: which level tables in folders belong together, and which are left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from sct_rootlets.bids import LABEL_NAMES, TABLE_ENDING
from sct_rootlets.bids_folder import files_below
from sct_rootlets.errors import DatasetError
from sct_rootlets.group.level_table import LevelTable, Provenance, read_level_table, subject_of
from sct_rootlets.group.participants import (
    Participant,
    check_heights,
    describe_wrong_heights,
    find_participants,
)
from sct_rootlets.group.published_table import (
    PUBLISHED_SUMMARY,
    is_published,
    read_published_tables,
    scan_of,
    select,
)
from sct_rootlets.levels import level_value
from sct_rootlets.plausibility import LAST_JUDGED, SPINAL_LENGTH_LIMITS_MM, VERTEBRAL_LENGTH_LIMITS_MM
from sct_rootlets.vertebral import SURE_NUMBERING

#: A level table that is not compared, and the reason.
LeftOut = tuple[LevelTable, str]
#: Names that a message lists before it breaks off.
MAX_LISTED = 5


@dataclass(frozen=True)
class Cohort:
    """The level tables that are compared, one per subject.

    Attributes
    ----------
    scans : tuple of LevelTable
        Level tables in the order of their subjects.
    left_out : tuple of (LevelTable, str)
        Level tables that are not compared, and the reasons.
    participants : dict of str to Participant
        Participants by subject.
    notes : tuple of str
        Remarks on the choice of tables, one line each.
    """

    scans: tuple[LevelTable, ...]
    left_out: tuple[LeftOut, ...] = ()
    participants: dict[str, Participant] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def participant(self, subject: str) -> Participant:
        """Return age, sex and height of a subject, as far as they are known."""
        return self.participants.get(subject, Participant())


def collect(
    folders: Sequence[str | os.PathLike[str]],
    participants: str | os.PathLike[str] | None = None,
    match: str = "",
    reference: str | None = None,
    need_height: bool = False,
    keep_names_from_discs: bool = False,
    keep_uncertain: bool = False,
) -> Cohort:
    """Read the level tables in folders, and leave out those that should not be compared.

    Parameters
    ----------
    folders : sequence of path
        Folders, which are searched with all their subfolders for ``*_levels.csv`` and for tables of the published
        scripts (`sct_rootlets.group.published_table`), or tables themselves.
    participants : path, optional
        BIDS ``participants.tsv``; by default those that lie in the folders.
    match : str
        Text that the names of tables must hold, such as ``"_T2w"`` or ``"ses-01"``.
    reference : str, optional
        Point from which positions of tables must count; by default all tables must have the same.
    need_height : bool
        Leave out subjects without a height.
    keep_names_from_discs : bool
        Keep scans whose spinal levels were named by the discs that they are compared with.
    keep_uncertain : bool
        Keep scans whose vertebrae were numbered by the image with a probability below `SURE_NUMBERING`.

    Returns
    -------
    Cohort

    Raises
    ------
    DatasetError
        If tables are missing, damaged, or do not belong together: two for a subject, different references, methods
        or distances, fewer than two subjects; or if heights are needed, and missing or impossible.
    """
    tables, n_unread = _read_tables(folders, match)
    scans, left_out = _select_comparable(tables, reference, keep_names_from_discs, keep_uncertain)
    _check_one_table_each(scans)
    unfit = [scan for scan, _ in left_out]
    people, source = find_participants(folders, participants)
    for scan in scans:  # anna_levels.csv, in no folder sub-anna
        if f"sub-{scan.subject}" in people:
            people.setdefault(scan.subject, people[f"sub-{scan.subject}"])
    if need_height:
        scans, without = _select_with_heights(scans, people, source)
        left_out += without
    scans, repeated = _leave_out_repeated(scans, unfit)
    left_out += repeated
    _check_alike(scans)
    if len(scans) < 2:
        counts = Counter(reason for _, reason in left_out)
        reasons = "".join(f"; {count} left out: {reason}" for reason, count in counts.items())
        subjects = f"only one subject ({scans[0].subject})" if scans else "no subject"
        raise DatasetError(f"{subjects} to compare: a group needs two or more{reasons}")
    notes = [*_notes(scans, left_out, people, source)]
    if not need_height and source is not None:
        wrong = describe_wrong_heights(people, [scan.subject for scan in scans], source)
        notes += [f"{wrong}: correlations with height are wrong until then"] if wrong else []
    if n_unread:
        notes.append(
            f"{n_unread} tables of the published scripts are not read: their scans have a *{TABLE_ENDING}, too"
        )
    return Cohort(tuple(scans), tuple(left_out), people, tuple(notes))


def _read_tables(folders: Sequence[str | os.PathLike[str]], match: str) -> tuple[list[LevelTable], int]:
    """Read our own tables, and those of the published scripts of other scans; also count those that are not read."""
    paths = find_tables(folders)
    own = [path for path in paths if not is_published(path) and match in path.name]
    published = select([path for path in paths if is_published(path)], match)
    if not own and not published:
        having = f" with {match!r} in their names" if match else ""
        where = ", ".join(str(folder) for folder in folders)
        raise DatasetError(
            f"no level tables (*{TABLE_ENDING}){having} in {where}; sct_compute_spinal_levels writes them"
        )
    scans = set(map(scan_of, own))
    others = [path for path in published if scan_of(path) not in scans]
    return [*map(read_level_table, own), *read_published_tables(others)], len(published) - len(others)


def find_tables(folders: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Find the level tables in folders and their subfolders, each once for each subject that it is called by, sorted.

    A link under the name of another subject is a table of this subject, too.
    """
    tables: dict[tuple[Path, str], Path] = {}
    for folder in map(Path, folders):
        if folder.is_dir():
            paths = [path for path in files_below(folder) if path.name.endswith(TABLE_ENDING) or is_published(path)]
            paths = [path for path in paths if path.name != PUBLISHED_SUMMARY]
        elif folder.exists():
            paths = [folder]
        else:
            raise DatasetError(f"{folder} does not exist; check the path")
        tables |= {(path.resolve(), subject_of(path)): path for path in paths}
    return sorted(tables.values())


def _select_comparable(
    scans: list[LevelTable], reference: str | None, keep_names_from_discs: bool, keep_uncertain: bool
) -> tuple[list[LevelTable], list[LeftOut]]:
    left_out: list[LeftOut] = []
    if reference is not None:
        scans, others = _split(scans, lambda scan: scan.reference == reference)
        left_out += [(scan, f"positions from {scan.reference}, not {reference}") for scan in others]
    if not keep_names_from_discs:
        scans, others = _split(scans, lambda scan: not scan.names_from_discs)
        left_out += [(scan, "discs decided the names of its spinal levels") for scan in others]
    if not keep_uncertain:
        scans, others = _split(scans, lambda scan: scan.numbering is None or scan.numbering >= SURE_NUMBERING)
        left_out += [(scan, "the numbers of its vertebrae are uncertain") for scan in others]
    return scans, left_out


def _select_with_heights(
    scans: list[LevelTable], people: dict[str, Participant], source: Path | None
) -> tuple[list[LevelTable], list[LeftOut]]:
    if source is None:
        raise DatasetError(
            "normalising by height needs the heights: give participants.tsv (-participants), with a column height"
        )
    if scans:
        check_heights(people, [scan.subject for scan in scans], source)
    kept, others = _split(scans, lambda scan: people.get(scan.subject, Participant()).height_cm is not None)
    return kept, [(scan, f"no height in {source.name}") for scan in others]


def _split(scans: list[LevelTable], keep: Callable[[LevelTable], bool]) -> tuple[list[LevelTable], list[LevelTable]]:
    return [scan for scan in scans if keep(scan)], [scan for scan in scans if not keep(scan)]


def _leave_out_repeated(
    scans: list[LevelTable], unfit: Sequence[LevelTable] = ()
) -> tuple[list[LevelTable], list[LeftOut]]:
    """Leave out tables whose levels are those of another subject: no two people have the same to 0.001 mm.

    Parameters
    ----------
    scans : list of LevelTable
    unfit : sequence of LevelTable
        Tables that were left out before: a copy of one is as unfit, though its sidecar may be missing.
    """
    first: dict[object, LevelTable] = {}
    kept: list[LevelTable] = []
    repeated: list[LeftOut] = []
    for scan in (*unfit, *scans):
        other = first.setdefault((scan.reference, scan.method, frozenset(scan.levels.values())), scan)
        if scan in unfit:
            continue
        if other is scan:
            kept.append(scan)
        else:
            reason = f"its levels are those of {other.subject}, the same scan under two names; keep the right one"
            repeated.append((scan, reason))
    return kept, repeated


def _check_one_table_each(scans: list[LevelTable]) -> None:
    first: dict[str, LevelTable] = {}
    for scan in scans:
        other = first.setdefault(scan.subject, scan)
        if other is not scan:
            raise DatasetError(
                f"{scan.subject} has more than one level table: {other.path} and {scan.path}; "
                "choose by what their names hold (-match _T2w, -match ses-01), "
                "or give people of different sites different names"
            )


def _check_alike(scans: list[LevelTable]) -> None:
    """Check that all tables have the same reference, method and distance."""
    check_same(
        "positions from",
        "give the same labels (-pmj) to all, or choose (-reference)",
        [(scan.path, scan.reference) for scan in scans],
    )
    check_same_method([(scan.path, replace(scan.provenance, method=scan.method)) for scan in scans if scan.method])


def check_same_method(tables: Sequence[tuple[Path, Provenance]]) -> None:
    """Check that the spinal levels of tables were computed in the same way, as far as it is known.

    Parameters
    ----------
    tables : sequence of (Path, Provenance)
        Tables with spinal levels.

    Raises
    ------
    DatasetError
        If methods or distances differ.
    """
    methods = [(path, facts.method) for path, facts in tables]
    distances = [(path, "" if facts.distance_mm is None else f"{facts.distance_mm:g} mm") for path, facts in tables]
    check_same("spinal levels by the method", "use one for all (-method)", methods)
    check_same("spinal levels of rootlets within", "use one for all (-distance)", distances)


def check_same(what: str, advice: str, values: Sequence[tuple[Path, str]]) -> None:
    """Check that tables have the same value.

    Parameters
    ----------
    what, advice : str
        What the values are, and what the error message says to do.
    values : sequence of (Path, str)
        Values of tables; empty where they are not known.

    Raises
    ------
    DatasetError
        If values differ.
    """
    counts = Counter(value for _, value in values if value)
    if len(counts) > 1:
        (most, _), *others = counts.most_common()
        stranger = next(path for path, value in values if value == others[0][0])
        shares = ", ".join(f"{value} ({count})" for value, count in counts.most_common())
        raise DatasetError(f"tables do not belong together: {what} {shares}, such as {stranger} not {most}; {advice}")


def _notes(
    scans: list[LevelTable], left_out: list[LeftOut], people: dict[str, Participant], source: Path | None
) -> Iterable[str]:
    for reason, count in Counter(reason for _, reason in left_out).items():
        subjects = [scan.subject for scan, why in left_out if why == reason]
        yield f"left out, {count}: {reason} ({abbreviate(subjects)})"
    unsaid = [scan.subject for scan in scans if scan.names_from_discs is None and scan.method]
    if unsaid:
        yield (
            f"no sidecar says how spinal levels of {len(unsaid)} of {len(scans)} subjects got their names; "
            f"if it was from discs, leave them out ({abbreviate(unsaid)})"
        )
    n_published = sum(scan.is_published for scan in scans)
    if n_published:
        yield (
            f"tables of {n_published} of {len(scans)} subjects are of the published scripts, which do not tell whether "
            "the field of view cuts a level: each level counts as complete"
        )
    kept = [scan.subject for scan in scans if scan.names_from_discs]
    if kept:
        yield f"kept as asked, {len(kept)}: discs decided the names of their spinal levels ({abbreviate(kept)})"
    edited = [scan.subject for scan in scans if scan.provenance.is_edited]
    if edited:
        yield (
            f"level tables of {len(edited)} of {len(scans)} subjects were changed since they were written "
            f"({abbreviate(edited)}); their maps and figures show what was there before"
        )
    yield from _describe_implausible(scans)
    single = [scan.subject for scan in scans if scan.provenance.is_corroborated is False]
    if single:
        yield describe_uncorroborated(single, len(scans))
    models = Counter(scan.provenance.model for scan in scans if scan.provenance.model)
    if len(models) > 1:
        shares = ", ".join(f"{name} ({count})" for (name, _), count in models.most_common())
        yield (
            f"labels were segmented by {len(models)} different models: {shares}; differences between models look like "
            "differences between people"
        )
    for same in _same_images(scans):
        yield f"levels of {len(same)} subjects are of one and the same image; keep the right one ({abbreviate(same)})"
    for kind in LABEL_NAMES:
        without = [scan.subject for scan in scans if kind not in scan.kinds]
        if without:
            yield f"{len(without)} of {len(scans)} subjects have no {kind} levels ({abbreviate(without)})"
    if source is not None:
        unknown = [scan.subject for scan in scans if scan.subject not in people]
        if unknown:
            yield f"{len(unknown)} of {len(scans)} subjects are not in {source.name} ({abbreviate(unknown)})"
    if any(scan.method not in ("", "extent") for scan in scans):
        yield "spinal levels are not by the method extent: do not compare them with published figures"


def _describe_implausible(scans: Sequence[LevelTable]) -> Iterator[str]:
    """Name subjects whose levels do not follow one another, or are longer than levels are."""
    disordered, long_ = [], []
    for scan in scans:
        for kind, limit in (("spinal", SPINAL_LENGTH_LIMITS_MM), ("vertebral", VERTEBRAL_LENGTH_LIMITS_MM)):
            named = {level_value(name, level.kind): level for (of, name), level in scan.levels.items() if of == kind}
            levels = [named[value] for value in sorted(named)]
            disordered += [
                f"{scan.subject}: {lower.name} above {upper.name}"
                for upper, lower in pairwise(levels)
                if lower.midpoint_mm <= upper.midpoint_mm
            ]
            longest = limit["long"][1]
            long_ += [
                f"{scan.subject}: {kind} {level.name}, {level.length_mm:.0f} mm"
                for value, level in sorted(named.items())
                if value <= LAST_JUDGED[kind] and level.length_mm > longest
            ]
    if disordered:
        yield f"levels out of order, {len(disordered)}: {abbreviate(disordered)}; check these tables and their labels"
    if long_:
        yield f"levels longer than levels are, {len(long_)}: {abbreviate(long_)}; check these tables and their labels"


def describe_uncorroborated(subjects: Sequence[str], n_all: int) -> str:
    """Say that levels of some of all subjects may be off by one together, though their numbers look sure."""
    return (
        f"nothing independent supports the numbers of the vertebrae of {len(subjects)} of {n_all} subjects, which were "
        "found in the image: their spinal and vertebral levels may be off by one together; one disc each settles it "
        f"(-ldisc) ({abbreviate(subjects)})"
    )


def _same_images(scans: list[LevelTable]) -> list[list[str]]:
    """Find subjects whose levels are of the same image, though they differ."""
    subjects: dict[str, list[str]] = {}
    for scan in scans:
        if scan.provenance.image:
            subjects.setdefault(scan.provenance.image, []).append(scan.subject)
    return [same for same in subjects.values() if len(same) > 1]


def abbreviate(names: Sequence[str]) -> str:
    """List the first few names, with an ellipsis in place of the others, for messages."""
    return ", ".join(names[:MAX_LISTED]) + (", …" if len(names) > MAX_LISTED else "")
