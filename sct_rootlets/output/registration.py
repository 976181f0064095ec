"""Files of a registration: warps, images and labels in the other's space, the table of landmarks, a picture."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sct_rootlets.bids import output_prefix, stem
from sct_rootlets.errors import ImageError
from sct_rootlets.image import VolumeLike
from sct_rootlets.nifti import Series, header_notes, load_series, save_field, save_labels, save_series, save_volume
from sct_rootlets.output.files import staged_outputs, write_json, write_table
from sct_rootlets.output.levels import save_segmented
from sct_rootlets.registration.fields import resample_series
from sct_rootlets.registration.to_template import COLUMNS, INTERPOLATIONS, Registration
from sct_rootlets.sidecar import generated_by

#: Labels of the template that are brought to the subject: name of the output, and of the template's file.
LABELS = {
    "cord2anat": "cord",
    "rootlets2anat": "rootlets",
    "levels2anat": "levels",
    "spinal_levels2anat": "spinal_levels",
}


#: What the scan becomes.
MOVED_SCAN = "anat2template.nii.gz"


def save_registration(
    registration: Registration,
    folder: str | os.PathLike[str],
    apply: Sequence[VolumeLike | Series] = (),
    interpolation: str = "linear",
    figure: bool = True,
) -> list[Path]:
    """Write warps, images, labels, the table, a sidecar and a picture into a folder; all of them or none.

    Parameters
    ----------
    registration : Registration
    folder : path
    apply : sequence of volumes, or of Series
        Other images of the subject, 3D or 4D, in the world of the scan, to be brought to the template.
    interpolation : {"linear", "nn", "spline"}
        For these.
    figure : bool
        Draw the picture.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ImageError
        If the folder cannot be written to, or an image lies elsewhere.
    """
    others = load_images_to_warp(apply)
    paths = [volume.path for volume in registration.sources.values()] + [series.path for series in others.values()]
    inputs = [path for path in paths if path is not None]
    with staged_outputs(folder, keep=inputs) as stage:
        notes = list(registration.notes) + _save_images(stage, registration)
        for name, series in others.items():
            notes += header_notes(series)
            _save_warped(stage / name, registration, series, INTERPOLATIONS[interpolation])
        save_segmented(stage, output_prefix(registration.image.name), registration.segmented, registration.sidecars)
        write_table(stage / "registration.csv", COLUMNS, registration.rows)
        write_json(stage / "registration.json", _sidecar(registration, notes))
        if figure:
            from sct_rootlets.report.registration import save_registration_figure

            save_registration_figure(registration, stage / "registration.png")
        names = sorted(path.name for path in stage.iterdir())
    return [Path(folder) / name for name in names]


def _save_warped(path: Path, registration: Registration, series: Series, order: int) -> None:
    """Bring an image to the template, 3D or 4D, one volume at a time."""
    grid, field = registration.template_cord, registration.to_subject
    shows = False

    def warped() -> Iterator[np.ndarray]:
        nonlocal shows
        volumes = series.volumes()
        for volume in resample_series(volumes, series.shape, series.affine, field, grid.affine, order):
            shows = shows or bool((np.isfinite(volume) & (volume != 0)).any())
            yield volume

    if series.length is None:
        save_volume(path, next(warped()), grid.affine, grid.header)
    else:
        save_series(path, warped(), series.length, grid.affine, grid.header, series.header)
    if not shows:
        raise ImageError(
            f"{series.name} does not lie where the cord of {registration.image.name} is, or shows nothing there; "
            "both must share one world space"
        )


def _save_images(stage: Path, registration: Registration) -> list[str]:
    """Write warps, and each of the two images in the other's space; return notes of what is missing."""
    image, template, grid = registration.image, registration.template, registration.template_cord
    save_field(stage / "warp_anat2template.nii.gz", registration.to_subject, grid.affine)
    save_field(stage / "warp_template2anat.nii.gz", registration.to_template, image.affine)
    save_volume(stage / MOVED_SCAN, registration.into_template(image), grid.affine, grid.header)
    notes = []
    picture = template.volume(registration.contrast)
    if picture is None:
        missing = template.expected[registration.contrast].name
        notes.append(f"the template has no image of contrast {registration.contrast} ({missing}): no template2anat")
    else:
        save_volume(stage / "template2anat.nii.gz", registration.into_subject(picture), image.affine, image.header)
    for name, source in LABELS.items():
        labels = template.volume(source)
        if labels is None:
            notes.append(f"the template has no {template.expected[source].name}: no {name}")
        else:
            save_labels(stage / f"{name}.nii.gz", registration.into_subject(labels, "nn"), image)
    return notes


def _sidecar(registration: Registration, notes: list[str]) -> dict[str, object]:
    return {
        "Description": "Registration of a spinal cord to a template: warps are ITK displacement fields (LPS, mm)",
        "GeneratedBy": generated_by(),
        "Sources": [volume.name for volume in registration.sources.values()],
        "Inputs": {kind: volume.name for kind, volume in registration.sources.items()},
        "Template": {name: path.name for name, path in registration.template.files.items()},
        **registration.settings,
        "CordDice": round(registration.quality.cord_dice, 4),
        "LeastJacobian": round(registration.quality.least_jacobian, 4),
        "Notes": notes,
    }


def load_images_to_warp(sources: Sequence[VolumeLike | Series]) -> dict[str, Series]:
    """Look at images that are to be brought along, by the names of what they become.

    Raises
    ------
    ImageError
        If one is missing or no image, or two would have the same name.
    """
    found = [one if isinstance(one, Series) else load_series(one) for one in sources]
    named = {_applied_name(one): one for one in found}
    if len(named) < len(found):
        raise ImageError("two of the images to apply the warp to have the same name; rename one of them")
    for own, what in ((MOVED_SCAN, "the scan itself"), ("warp_anat2template.nii.gz", "the warp")):
        if own in named:
            raise ImageError(f"{named[own].name} would become {own}, as {what} does; rename it")
    return named


def _applied_name(series: Series) -> str:
    return f"{stem(series.name)}2template.nii.gz"
