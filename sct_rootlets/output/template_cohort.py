"""A cohort in a template, from the folders of its registrations to tables and mean images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sct_rootlets.bids_folder import files_below
from sct_rootlets.errors import DatasetError
from sct_rootlets.group.level_table import subject_of
from sct_rootlets.image import Volume
from sct_rootlets.nifti import load_volume, save_volume
from sct_rootlets.output.files import seal_sidecars, staged_outputs, write_json, write_table
from sct_rootlets.output.ownership import Guard
from sct_rootlets.output.registration import OUTPUTS, ROOTLETS2TEMPLATE, WARPED_SCAN
from sct_rootlets.output.registration import RECORD as REGISTRATION_RECORD
from sct_rootlets.registration.cohort import MeanImage, Row, coverage_rows, coverage_summary_rows, level_extents
from sct_rootlets.registration.template_folder import find_template
from sct_rootlets.sidecar import generated_by, read_object

#: The record that lists all files of the set, its tables and its images.
RECORD = "template.json"
TABLES = ("template_coverage.csv", "template_coverage_summary.csv")
IMAGES = ("mean", "sd", "n")


@dataclass(frozen=True, kw_only=True)
class TemplateCohort:
    """A cohort in a template.

    Attributes
    ----------
    subjects : tuple of str
    coverage, summary : list of dict
        See `sct_rootlets.registration.cohort`.
    images : MeanImage
    name : str
        Name of the images that were averaged.
    grid : Volume
        The template's cord mask.
    sources : tuple of Path
        Files that were read.
    notes : tuple of str
    """

    subjects: tuple[str, ...]
    coverage: list[Row]
    summary: list[Row]
    images: MeanImage
    name: str
    grid: Volume
    sources: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def read_template_cohort(
    folders: Sequence[str | os.PathLike[str]],
    template: str | os.PathLike[str] | None = None,
    images: str | None = None,
) -> TemplateCohort:
    """Read the registrations of several subjects, and average their levels and images in the template.

    Parameters
    ----------
    folders : sequence of path
        Folders that hold the output folders of `sct_rootlets register`, at any depth.
    template : path, optional
        The template that they were registered to; see `sct_rootlets.registration.template_folder.find_template`.
    images : str, optional
        End of the names of the images that are averaged, such as ``zstat2template``. By default the scans, each divided
        by its median within the template's cord, because signals of different scans have different units.

    Returns
    -------
    TemplateCohort

    Raises
    ------
    DatasetError
        If there are fewer than two registrations, two of a subject, files are missing, or grids differ.
    """
    found = find_template(template)
    found.require("cord", "rootlets")
    cord, rootlets = found.load("cord"), found.load("rootlets")
    assert cord is not None
    assert rootlets is not None
    subjects = _find_subjects(folders)
    reference = level_extents(np.rint(rootlets.data).astype(int), rootlets.affine)
    mean, extents = MeanImage(cord.data.shape), {}
    sources: list[Path] = []
    in_cord = cord.data > 0.5
    for subject, folder in subjects.items():
        paths = {"scan": folder / WARPED_SCAN, "levels": folder / ROOTLETS2TEMPLATE}
        if images is not None:
            paths["image"] = _find_image(folder, images)
        own = read_object(folder / REGISTRATION_RECORD).get(OUTPUTS)
        volumes = {
            kind: _load_on(cord, path, is_own=not isinstance(own, list) or path.name in own)
            for kind, path in paths.items()
        }
        extents[subject] = level_extents(np.rint(volumes["levels"].data).astype(int), volumes["levels"].affine)
        covered = np.isfinite(volumes["scan"].data) & (volumes["scan"].data != 0)  # within the field of view
        image = volumes["image" if images is not None else "scan"].data.astype(np.float64)
        if images is None:
            median = np.median(image[in_cord & covered]) if (in_cord & covered).any() else 0.0
            if not median > 0:
                raise DatasetError(f"{paths['scan']} shows nothing within the template's cord; register it again")
            image = image / median
        else:  # it may cover less than the scan; register writes 0 beyond it
            covered &= image != 0
        mean.add(np.nan_to_num(image), covered & np.isfinite(image))
        sources += paths.values()
    rows = coverage_rows(extents, reference)
    return TemplateCohort(
        subjects=tuple(subjects),
        coverage=rows,
        summary=coverage_summary_rows(rows, reference),
        images=mean,
        name=images or "anat2template",
        grid=cord,
        sources=tuple(sources),
    )


def _find_subjects(folders: Iterable[str | os.PathLike[str]]) -> dict[str, Path]:
    """Find the folders of registrations, by subject."""
    subjects: dict[str, Path] = {}
    for given in map(Path, folders):
        if not given.is_dir():
            raise DatasetError(f"{given} is not a folder; give the folder of several registrations")
        for path in sorted(files_below(given)):
            if path.name != REGISTRATION_RECORD:
                continue
            folder = path.parent
            subject = subject_of(folder / f"{folder.name}_levels.csv")
            if subjects.setdefault(subject, folder) != folder:
                raise DatasetError(
                    f"{subjects[subject]} and {folder} are both registrations of {subject}; give the folder of one kind"
                )
    if len(subjects) < 2:
        raise DatasetError(
            f"{len(subjects)} registrations (registration.json) are in {', '.join(map(str, folders))}: a cohort needs "
            "two or more; sct_rootlets register writes them"
        )
    return subjects


def _find_image(folder: Path, ending: str) -> Path:
    paths = sorted(folder.glob(f"*{ending.removesuffix('.nii.gz')}.nii.gz"))
    exact = folder / f"{ending.removesuffix('.nii.gz')}.nii.gz"
    if exact in paths:  # anat2template, beside warp_anat2template
        return exact
    if len(paths) != 1:
        raise DatasetError(
            f"{folder} has {len(paths)} images whose names end in {ending}; give another ending (-images)"
        )
    return paths[0]


def _load_on(cord: Volume, path: Path, is_own: bool) -> Volume:
    if not path.exists() or not is_own:  # what an earlier registration left there is of another warp
        raise DatasetError(f"{path} is missing; register the subject again with sct_rootlets register, by its rootlets")
    volume = load_volume(path)
    if volume.data.shape != cord.data.shape or not np.allclose(volume.affine, cord.affine, atol=1e-3):
        raise DatasetError(
            f"{path} is not on the grid of the template; give the template of the registration (-template)"
        )
    return volume


def template_cohort_files() -> list[str]:
    """Names of the files that `save_template_cohort` writes."""
    return [*TABLES, *(f"template_{name}.nii.gz" for name in IMAGES), RECORD]


def template_cohort_guard(inputs: Iterable[Path], overwrite: bool = False) -> Guard:
    """Return what the files of a cohort in a template must not replace."""
    return Guard(inputs=tuple(inputs), overwrite=overwrite, record=RECORD)


def save_template_cohort(cohort: TemplateCohort, folder: str | os.PathLike[str], overwrite: bool = False) -> list[Path]:
    """Write tables and mean images into a folder; all of them or none.

    Parameters
    ----------
    cohort : TemplateCohort
    folder : path
        Made if it is missing.
    overwrite : bool
        Replace files that this package did not write, or that were edited since.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ImageError
        If the folder cannot be written to, or a file that is kept would be replaced.
    """
    with staged_outputs(folder, guard=template_cohort_guard(cohort.sources, overwrite)) as stage:
        for name, rows in zip(TABLES, (cohort.coverage, cohort.summary), strict=True):
            write_table(stage / name, tuple(rows[0]), [_without_nan(row) for row in rows])
        for name in IMAGES:
            data = getattr(cohort.images, name)
            save_volume(stage / f"template_{name}.nii.gz", data, cohort.grid.affine, cohort.grid.header)
        content = {
            "Description": "Levels and mean image of a cohort in the space of a template",
            "GeneratedBy": generated_by(),
            "Subjects": list(cohort.subjects),
            "Images": cohort.name,
        }
        write_json(stage / RECORD, content)
        seal_sidecars(stage, Path(folder), RECORD)
        names = sorted(path.name for path in stage.iterdir())
    return [Path(folder) / name for name in names]


def _without_nan(row: Row) -> Row:
    return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()}
