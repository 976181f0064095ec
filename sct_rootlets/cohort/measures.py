"""Measures of the scans of a cohort: which images of the session are measured, and whether that is done already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sct_rootlets.bids import MEASURE_RECORD_ENDING, TABLE_ENDING, parse_name, stem
from sct_rootlets.bids_folder import files_below
from sct_rootlets.cohort.record import read_record
from sct_rootlets.cohort.selection import folder_name
from sct_rootlets.distribution import version
from sct_rootlets.errors import DatasetError
from sct_rootlets.sidecar import WRITTEN, is_intact, read_object, sha256_of

if TYPE_CHECKING:
    from sct_rootlets.cohort.job import Job
    from sct_rootlets.measure.level_folder import LevelFolder
    from sct_rootlets.measure.scan import MeasuredFiles
    from sct_rootlets.measure.signal import Division


@dataclass(frozen=True, kw_only=True)
class MeasureRequest:
    """What is measured of each scan beside the shape of its cord.

    Attributes
    ----------
    images : tuple of str
        Ends of the names of images of the session, such as ``"MTR"``, behind an underscore and before ``.nii.gz``.
    lesions : str, optional
        End of the name of a mask of lesions.
    division : {"level", "side", "half", "quarter"}
        Parts of levels within which images are measured.
    """

    images: tuple[str, ...] = ()
    lesions: str | None = None
    division: Division = "level"

    @property
    def endings(self) -> tuple[str, ...]:
        """All ends of names."""
        return (*self.images, *(() if self.lesions is None else (self.lesions,)))


def check_endings(jobs: Sequence[Job], request: MeasureRequest) -> None:
    """Check that each ending is that of a file of some scan: otherwise it is mistyped.

    Raises
    ------
    DatasetError
    """
    for ending in request.endings:
        if not any(_ending_in(job, _session_files(job), ending) for job in jobs):
            raise DatasetError(
                f"no scan has a file whose name ends in _{ending}.nii.gz, in its folder of the BIDS folder or of "
                "derivatives; correct -measure-images or -measure-lesions"
            )


def is_measured(job: Job, request: MeasureRequest | None) -> bool:
    """Whether nothing is to be measured, or the measures of a scan are complete, of the same inputs.

    Raises
    ------
    OSError
        If an input cannot be read.
    """
    if request is None:
        return True
    record = read_object(job.folder / f"{job.stem}_{MEASURE_RECORD_ENDING}")
    written = record.get(WRITTEN)
    if not is_intact(record) or not isinstance(written, dict):
        return False
    if not all((job.folder / name).is_file() for name in written):
        return False
    try:
        return bool(record.get("Fingerprint") == _find_inputs(job, request).fingerprint)
    except DatasetError:  # it is raised anew where the scan is measured
        return False


def measure_job(job: Job, request: MeasureRequest) -> None:
    """Measure one scan whose levels are done, and write the tables beside them.

    Raises
    ------
    SctRootletsError
        If a file cannot be read, does not show the cord of the levels, or is not the only one of its name.
    """
    from sct_rootlets.measure.level_folder import load_levels
    from sct_rootlets.measure.scan import measure_scan
    from sct_rootlets.output.measures import save_measures

    inputs = _find_inputs(job, request)
    fingerprint = inputs.fingerprint
    inputs.files.check()
    cord = load_levels(inputs.levels, inputs.cord)
    save_measures(
        measure_scan(replace(cord, notes=(*cord.notes, *inputs.notes)), inputs.files),
        job.folder,
        job.stem,
        inputs=inputs.paths,
        may_overwrite=False,
        facts={"Fingerprint": fingerprint},
    )


@dataclass(frozen=True, kw_only=True)
class _Inputs:
    """The files that the measures of one scan are made from, and which images were not found."""

    levels: LevelFolder
    cord: Path | None
    files: MeasuredFiles
    notes: tuple[str, ...]

    @property
    def paths(self) -> list[Path]:
        return [*self.levels.files, *self.files.paths, *([] if self.cord is None else [self.cord])]

    @property
    def fingerprint(self) -> str:
        """Hash of everything that the measures depend on."""
        content = {
            "Inputs": [(path.name, sha256_of(path)) for path in self.paths],
            "Roles": self.files.describe(),
            "Version": version(),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _find_inputs(job: Job, request: MeasureRequest) -> _Inputs:
    """Find the levels of a scan, and what of its session is measured.

    Raises
    ------
    DatasetError
        If there are no levels, or several files of one name.
    """
    from sct_rootlets.measure.level_folder import find_levels
    from sct_rootlets.measure.scan import MeasuredFiles

    paths = _session_files(job)
    found = {ending: _file_of(job, paths, ending) for ending in request.endings}
    images = tuple(path for ending in request.images if (path := found[ending]) is not None)
    return _Inputs(
        levels=find_levels(job.folder / f"{job.stem}{TABLE_ENDING}"),
        cord=job.inputs(read_record(job.record)).get("cord"),
        files=MeasuredFiles(
            images=images,
            image_cords=tuple(_cord_of(image, paths) for image in images),
            lesions=None if request.lesions is None else found[request.lesions],
            division=request.division,
        ),
        notes=tuple(
            f"{folder_name(job.scan)} has no file that ends in _{ending}"
            for ending, path in found.items()
            if path is None
        ),
    )


def _file_of(job: Job, paths: Sequence[Path], ending: str) -> Path | None:
    """Find the file of a session by the end of its name.

    Raises
    ------
    DatasetError
        If there are several.
    """
    found = _ending_in(job, paths, ending)
    plain = f"{folder_name(job.scan).replace('/', '_')}_{ending}"
    found = [path for path in found if stem(path.name) == plain] or found  # sub-01_MTR before sub-01_acq-x_MTR
    if len(found) > 1:
        names = ", ".join(str(path) for path in found[:3])
        raise DatasetError(
            f"{len(found)} files of {folder_name(job.scan)} end in _{ending}: {names}; give a longer ending "
            "(-measure-images, -measure-lesions)"
        )
    return found[0] if found else None


def _ending_in(job: Job, paths: Iterable[Path], ending: str) -> list[Path]:
    """Choose the files whose names end in some words; of the BIDS folder itself if it has any."""
    found = [path for path in paths if stem(path.name).endswith(f"_{ending}")]
    return [path for path in found if path.is_relative_to(job.scan.root / folder_name(job.scan))] or found


def _session_files(job: Job) -> list[Path]:
    """List the NIfTI files of a scan's session: of the BIDS folder, and of its derivatives but the results."""
    place, root = folder_name(job.scan), job.scan.root
    folders = [root, *sorted((root / "derivatives").glob("*"))]
    results = job.root.resolve()
    paths: list[Path] = []
    for folder in folders:
        if folder.resolve() != results and (folder / place).is_dir():
            paths += [path for path in files_below(folder / place) if stem(path.name) != path.name]
    prefix = f"{place.replace('/', '_')}_"
    return [path for path in paths if path.name.startswith(prefix)]


def _cord_of(image: Path, paths: Iterable[Path]) -> Path | None:
    """Find the cord mask of an image: its name begins with that of the image (``sub-01_MTR_label-SC_seg``).

    Raises
    ------
    DatasetError
        If there are several, none of which takes precedence.
    """
    names = [parse_name(path) for path in paths if stem(path.name).startswith(f"{stem(image.name)}_")]
    masks = [name for name in names if name is not None and name.kind == "cord"]
    best = [mask for mask in masks if mask.precedence == min(other.precedence for other in masks)]
    if len(best) > 1:
        raise DatasetError(
            f"{image.name} has {len(best)} cord masks: {', '.join(str(mask.path) for mask in best[:3])}; leave the "
            "right one there, and move the others"
        )
    return best[0].path if best else None
