"""Files of a registration: warps, images and labels in the other space, the table of landmarks, and a picture."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sct_rootlets.bids import FIGURE_TYPES, LABEL_ENDINGS, check_output_names, output_prefix, stem
from sct_rootlets.errors import ImageError
from sct_rootlets.flags import sidecar_flags
from sct_rootlets.image import VolumeLike
from sct_rootlets.measure.registration_quality import registration_flags
from sct_rootlets.nifti import (
    Series,
    check_sides,
    header_notes,
    load_series,
    save_field,
    save_labels,
    save_series,
    save_volume,
)
from sct_rootlets.output.files import seal_sidecars, staged_outputs, write_json, write_table
from sct_rootlets.output.levels import save_segmented
from sct_rootlets.output.ownership import Guard
from sct_rootlets.output.scan import Scan
from sct_rootlets.registration.quality import refuse_folds
from sct_rootlets.registration.resample import SPLINE_ORDERS, resample_series
from sct_rootlets.registration.result import LANDMARK_COLUMNS, Registration
from sct_rootlets.sidecar import generated_by

_LOGGER = logging.getLogger(__name__)

#: Labels of the template that are resampled to the subject: name of the output, and contents of the template's file.
TEMPLATE_LABELS = {
    "cord2anat": "cord",
    "rootlets2anat": "rootlets",
    "levels2anat": "levels",
    "spinal_levels2anat": "spinal_levels",
}
#: File names of the scan and its rootlets on the template's grid, and of the warps.
WARPED_SCAN = "anat2template.nii.gz"
ROOTLETS2TEMPLATE = "rootlets2template.nii.gz"
ANAT2TEMPLATE, TEMPLATE2ANAT = "warp_anat2template.nii.gz", "warp_template2anat.nii.gz"


#: The sidecar of a registration, which lists all files of the set.
RECORD = "registration.json"
#: Key of the record under which the files of its own run are.
OUTPUTS = "Outputs"
#: Files of the figures (`sct_rootlets.report.registration.FIGURES`), known without loading Matplotlib.
FIGURE_FILES = tuple(f"registration.{kind}" for kind in FIGURE_TYPES)


def registration_files(
    prefix: str, applied: Iterable[str] = (), segmented: Collection[str] = (), figure: bool = True
) -> list[str]:
    """Names of the files that `save_registration` may write.

    Parameters
    ----------
    prefix : str
        Beginning of the names of segmented maps.
    applied : iterable of str
        Names of the images that are resampled to the template, as `load_images_to_warp` returns them.
    segmented : collection of {"cord", "rootlets", "discs"}
    figure : bool
    """
    names = [ANAT2TEMPLATE, TEMPLATE2ANAT, WARPED_SCAN, ROOTLETS2TEMPLATE, "template2anat.nii.gz", *applied]
    names += [f"{name}.nii.gz" for name in TEMPLATE_LABELS]
    names += [f"{prefix}_{LABEL_ENDINGS[name]}.{ending}" for name in segmented for ending in ("nii.gz", "json")]
    return [*names, "registration.csv", RECORD, *(FIGURE_FILES if figure else [])]


def registration_guard(inputs: Iterable[Path], overwrite: bool = False) -> Guard:
    """Return what the files of a registration must not replace."""
    names = {"cord": "-s", "rootlets": "-rootlets", "discs": "-ldisc"}
    options = {f"{LABEL_ENDINGS[kind]}.nii.gz": option for kind, option in names.items()}
    return Guard(inputs=tuple(inputs), overwrite=overwrite, record=RECORD, as_input=options)


def save_registration(
    registration: Registration,
    folder: str | os.PathLike[str],
    apply: Sequence[VolumeLike | Series] = (),
    interpolation: str = "linear",
    figure: bool = True,
    overwrite: bool = False,
) -> list[Path]:
    """Write warps, images, labels, the table, a sidecar and a picture into a folder: all files, or none.

    Parameters
    ----------
    registration : Registration
    folder : path
    apply : sequence of volumes, or of Series
        Other images of the subject, 3D or 4D, in the world of the scan, which are resampled to the template.
    interpolation : {"linear", "nn", "spline"}
        Interpolation of these images.
    figure : bool
        Draw the picture.
    overwrite : bool
        Replace files that this package did not write, or that were edited since.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ImageError
        If the folder cannot be written to, an image lies elsewhere, or a file that is kept would be replaced.
    LabelError
        If the map folds space in the canal.
    """
    to_warp = load_images_to_warp(apply)
    _LOGGER.info("computing the warps")
    refuse_folds(registration.quality)
    paths = [volume.path for volume in registration.sources.values()] + [series.path for series in to_warp.values()]
    inputs = [path for path in paths if path is not None]
    scan = Scan.of_volume(registration.image, folder)
    with staged_outputs(folder, guard=registration_guard(inputs, overwrite).for_scan(scan)) as stage:
        _LOGGER.info("writing warps and warped images")
        notes = list(registration.notes) + _save_images(stage, registration)
        for name, series in to_warp.items():
            notes += header_notes(series)
            _save_warped(stage / name, registration, series, SPLINE_ORDERS[interpolation])
        save_segmented(stage, output_prefix(registration.image.name), registration.segmented, registration.sidecars)
        write_table(stage / "registration.csv", LANDMARK_COLUMNS, registration.rows)
        if figure:
            from sct_rootlets.output.figures import save_figures
            from sct_rootlets.report.registration import FIGURES

            save_figures(FIGURES, registration, stage)
        # Written also lists files of earlier runs that are there still.
        outputs = sorted(path.name for path in stage.iterdir())
        write_json(stage / RECORD, {**_sidecar(registration, notes), OUTPUTS: outputs})
        seal_sidecars(stage, Path(folder), RECORD, scan)
        names = sorted(path.name for path in stage.iterdir())
    return [Path(folder) / name for name in names]


def _save_warped(path: Path, registration: Registration, series: Series, order: int) -> None:
    """Resample an image to the template, 3D or 4D, one volume at a time, and write it."""
    grid, field = registration.template_mask, registration.warp_anat2template
    any_signal = False

    def warped() -> Iterator[NDArray[Any]]:
        nonlocal any_signal
        volumes = series.volumes()
        resampled = resample_series(volumes, series.shape, series.affine, field, grid.affine, order)
        for number, volume in enumerate(resampled, start=1):
            _LOGGER.info("warped %s: volume %d of %d", series.name, number, series.length or 1)
            any_signal = any_signal or bool((np.isfinite(volume) & (volume != 0)).any())
            yield volume

    if series.length is None:
        save_volume(path, next(warped()), grid.affine, grid.header)
    else:
        save_series(path, warped(), series.length, grid.affine, grid.header, series.header)
    if not any_signal:
        raise ImageError(
            f"{series.name} does not lie where the cord of {registration.image.name} is, or shows nothing there; "
            "both must share one world space"
        )


def _save_images(stage: Path, registration: Registration) -> list[str]:
    """Write the warps, and images and labels in the other space; return notes of what the template lacks."""
    image, template, grid = registration.image, registration.template, registration.template_mask
    save_field(stage / ANAT2TEMPLATE, registration.warp_anat2template, grid.affine)
    save_field(stage / TEMPLATE2ANAT, registration.warp_template2anat, image.affine)
    save_volume(stage / WARPED_SCAN, registration.resample_to_template(image), grid.affine, grid.header)
    rootlets = registration.sources.get("rootlets") or registration.segmented.get("rootlets")
    if rootlets is not None:
        save_labels(stage / ROOTLETS2TEMPLATE, registration.resample_to_template(rootlets, "nn"), grid)
    notes = []
    template_image = template.load(registration.contrast)
    if template_image is None:
        missing = template.expected[registration.contrast].name
        notes.append(f"the template has no image of contrast {registration.contrast} ({missing}): no template2anat")
    else:
        warped = registration.resample_to_subject(template_image)
        save_volume(stage / "template2anat.nii.gz", warped, image.affine, image.header)
    for name, contents in TEMPLATE_LABELS.items():
        labels = template.load(contents)
        if labels is None:
            notes.append(f"the template has no {template.expected[contents].name}: no {name}")
        else:
            save_labels(stage / f"{name}.nii.gz", registration.resample_to_subject(labels, "nn"), image)
    return notes


def _sidecar(registration: Registration, notes: list[str]) -> dict[str, object]:
    """Describe the registration: inputs, settings, quality and notes."""
    return {
        "Description": "Registration of a spinal cord to a template: warps are ITK displacement fields (LPS, mm)",
        "GeneratedBy": generated_by(),
        "Sources": [volume.name for volume in registration.sources.values()],
        "Inputs": {kind: volume.name for kind, volume in registration.sources.items()},
        "Template": {name: path.name for name, path in registration.template.files.items()},
        **registration.settings,
        "CordDice": round(registration.quality.cord_dice, 4),
        "LeastJacobian": round(registration.quality.least_jacobian, 4),
        "Flags": sidecar_flags(registration_flags(registration)),
        "Notes": notes,
    }


def load_images_to_warp(sources: Sequence[VolumeLike | Series]) -> dict[str, Series]:
    """Open the images that are resampled to the template; voxels are read later.

    Parameters
    ----------
    sources : sequence of volumes, or of Series

    Returns
    -------
    dict of str to Series
        By the names of the files that will be written.

    Raises
    ------
    ImageError
        If a file is missing or not an image, or two outputs would have the same name.
    """
    images = [source if isinstance(source, Series) else load_series(source) for source in sources]
    check_sides(images, "its place in the world of the scan would be guessed")
    by_output = {_applied_name(image): image for image in images}
    check_output_names(by_output)
    if len(by_output) < len(images):
        raise ImageError("two of the images to apply the warp to have the same name; rename one of them")
    for taken, what in (
        (WARPED_SCAN, "the scan itself"),
        (ROOTLETS2TEMPLATE, "the map of rootlets"),
        (ANAT2TEMPLATE, "the warp"),
    ):
        if taken in by_output:
            raise ImageError(f"{by_output[taken].name} would become {taken}, as {what} does; rename it")
    return by_output


def _applied_name(series: Series) -> str:
    return f"{stem(series.name)}2template.nii.gz"
