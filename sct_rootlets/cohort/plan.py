"""What is to be done: the scans of a BIDS folder, what there is of each, and which are done already."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sct_rootlets.bids import Scan, find_scans
from sct_rootlets.cohort.record import Record, read_record
from sct_rootlets.errors import DatasetError
from sct_rootlets.models.files import sha256_of
from sct_rootlets.models.store import find_model
from sct_rootlets.output.levels import SEGMENTED_ENDINGS
from sct_rootlets.output.page import has_entry
from sct_rootlets.report.page.entry import About
from sct_rootlets.sidecar import version
from sct_rootlets.spinal import DISTANCE_MM, Method

#: Suffixes of images that rootlets can be found in; others of the folder are left alone.
CONTRASTS = ("T2w", "UNIT1", "INV1", "INV2")
#: Kinds of labels that are used where they are there.
USED = ("cord", "rootlets", "discs", "pmj")


@dataclass(frozen=True)
class CohortSettings:
    """What results depend on.

    Attributes
    ----------
    model : str, optional
        Name or folder of a model, in place of the bundled one.
    device : {"cpu", "cuda", "mps"}
    method, distance_mm
        See `sct_rootlets.spinal.spinal_levels`.
    """

    model: str | None = None
    device: str = "cpu"
    method: Method = "segment"
    distance_mm: float = DISTANCE_MM

    def describe(self) -> dict[str, Any]:
        """For the fingerprint: settings, version, and the model with its hashes."""
        return {
            "Version": version(),
            "Model": find_model(self.model).describe(),
            "Device": self.device,
            "Method": self.method,
            "DistanceMillimeters": self.distance_mm,
        }


@dataclass(frozen=True)
class Filter:
    """Which scans are wanted, as in the files of ``sct_run_batch``.

    Attributes
    ----------
    contrasts : tuple of str
    include, exclude : str, optional
        Regular expressions, looked for in ``sub-01/ses-02``.
    include_list, exclude_list : tuple of str
        ``sub-01``, ``ses-02``, ``sub-01/ses-02``, or names of images.
    """

    contrasts: tuple[str, ...] = CONTRASTS
    include: str | None = None
    exclude: str | None = None
    include_list: tuple[str, ...] = ()
    exclude_list: tuple[str, ...] = ()

    def wants(self, scan: Scan) -> bool:
        """Whether a scan is to be done: inclusions count before exclusions."""
        place = folder_name(scan)
        if self.include and not re.search(self.include, place):
            return False
        if self.include_list and not _is_listed(scan, self.include_list):
            return False
        if self.exclude and re.search(self.exclude, place):
            return False
        return not _is_listed(scan, self.exclude_list)


def read_lists(names: Sequence[str]) -> tuple[str, ...]:
    """Names of scans, where some may be files that list them: a bullet list (``.yml``), or one a line.

    Of ``verdicts.tsv``, which the page exports, those that were failed.

    Raises
    ------
    DatasetError
        If a file cannot be read.
    """
    result: list[str] = []
    for name in names:
        if not name.lower().endswith((".yml", ".yaml", ".txt", ".tsv")):
            result.append(name)
            continue
        try:
            lines = Path(name).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(f"{name} cannot be read as a list of scans; it holds one a line") from error
        result += _failed_files(lines) if _is_of_the_page(lines) else _listed(lines)
    return tuple(result)


def _listed(lines: Sequence[str]) -> list[str]:
    cells = (line.partition("#")[0].split("\t")[0].strip().removeprefix("- ").strip("\"' ") for line in lines)
    return [cell for cell in cells if cell not in ("", "[]") and not cell.endswith(":")]


def _is_of_the_page(lines: Sequence[str]) -> bool:
    """Whether a list is ``verdicts.tsv`` of the page, which has all scans in it."""
    return {"file", "verdict"} <= set(lines[0].split("\t") if lines else ())


def _failed_files(lines: Sequence[str]) -> list[str]:
    rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    return [row["file"] for row in rows if row["verdict"] == "fail"]


def folder_name(scan: Scan) -> str:
    """``sub-01`` or ``sub-01/ses-02``.

    Examples
    --------
    >>> from sct_rootlets.bids import parse_name
    >>> folder_name(Scan(Path(), parse_name("sub-01_ses-02_T2w.nii.gz")))
    'sub-01/ses-02'
    """
    return f"sub-{scan.image.subject}" + (f"/ses-{scan.image.session}" if scan.image.session else "")


def _is_listed(scan: Scan, wanted: Sequence[str]) -> bool:
    place = folder_name(scan)
    names = {place, *place.split("/"), scan.image.path.name, scan.image.stem}
    return any(name.strip().rstrip("/") in names for name in wanted)


@dataclass(frozen=True)
class Job:
    """A scan to be done.

    Attributes
    ----------
    scan : Scan
    root : Path
        The output folder of the cohort.
    """

    scan: Scan
    root: Path

    @property
    def stem(self) -> str:
        """What names of outputs begin with."""
        return self.scan.image.stem

    @property
    def folder(self) -> Path:
        """Where outputs go."""
        return self.root / folder_name(self.scan) / "anat"

    @property
    def record(self) -> Path:
        """What is known of the outputs."""
        return self.folder / f"{self.stem}_provenance.json"

    @property
    def lock(self) -> Path:
        """Held while the scan is being done."""
        return self.root / "logs" / "locks" / f"{self.stem}.lock"

    @property
    def attempt(self) -> Path:
        """Says that the scan was begun, and whether and why it failed."""
        return self.root / "logs" / "attempts" / f"{self.stem}.json"

    @property
    def page(self) -> Path:
        """The folder of the page."""
        return self.root / "qc"

    @property
    def about(self) -> About:
        """What the page calls it."""
        place = folder_name(self.scan)
        return About(self.scan.image.path.name, place, "sct_rootlets bids", place, "")

    def inputs(self, record: Record | None) -> dict[str, Path]:
        """The image, and labels of it by kind: what was corrected by hand among the outputs counts before all.

        An output is corrected by hand if it is not what was written.
        """
        found = {
            "image": self.scan.image.path,
            **{kind: self.scan.labels[kind] for kind in USED if kind in self.scan.labels},
        }
        for kind, ending in SEGMENTED_ENDINGS.items():
            path = self.folder / f"{self.stem}_{ending}"
            if path.is_file() and (record is None or not record.wrote(path)):
                found[kind] = path
        return found

    def fingerprint(self, inputs: dict[str, Path], described: dict[str, Any]) -> str:
        """Of all that the outputs depend on: inputs, model, settings, version."""
        content = {"Inputs": {kind: sha256_of(path) for kind, path in inputs.items()}, **described}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def is_done(self, described: dict[str, Any]) -> bool:
        """Whether its outputs, and its entry of the page, are there, whole, made of the same inputs in the same way.

        Raises
        ------
        OSError
            If an input cannot be read.
        """
        record = read_record(self.record)
        if record is None or not record.finished or not record.is_whole(self.folder):
            return False
        if not has_entry(self.page, self.about):
            return False
        return record.fingerprint == self.fingerprint(self.inputs(record), described)


@dataclass(frozen=True)
class Plan:
    """All scans of a cohort.

    Attributes
    ----------
    jobs : list of Job
        In the order of their names.
    notes : list of str
        What was found and left out.
    """

    jobs: list[Job]
    notes: list[str] = field(default_factory=list)


def make_plan(bids: Path, out: Path, labels: Sequence[Path] = (), wanted: Filter | None = None) -> Plan:
    """Find the scans of a BIDS folder.

    Parameters
    ----------
    bids, out : Path
        The BIDS folder, and the folder of results.
    labels : sequence of Path
        Folders with labels, in place of ``derivatives/labels``.
    wanted : Filter, optional

    Raises
    ------
    DatasetError
        If there is no scan to be done.
    """
    wanted = wanted or Filter()
    if out.resolve() == bids.resolve():
        raise DatasetError(f"{out} is the BIDS folder itself; give another folder for the results")
    scans, notes = find_scans(bids, labels, wanted.contrasts)
    if not scans:
        raise DatasetError(f"{bids} has no {', '.join(wanted.contrasts)} images in sub-*/anat; -contrasts takes others")
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
        if not any(_is_listed(scan, (name,)) for scan in scans)
    ]
    return Plan(jobs, notes)
