"""One subject to the template, files in and files out: the front door of registration.

The science is in `align` and what it calls, or in the Spinal Cord Toolbox; this module reads, calls, and writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from sct_rootlets.errors import ImageError, LabelError
from sct_rootlets.image import (
    Series,
    Volume,
    VolumeLike,
    check_same_grid,
    header_notes,
    load_series,
    load_volume,
    save_labels,
    save_series,
    save_volume,
    staged_outputs,
)
from sct_rootlets.registration.align import Alignment, align
from sct_rootlets.registration.cord import LandmarkedCord, landmarked_cord
from sct_rootlets.registration.fields import displacement_field, resample, resample_series, sample_field, save_field
from sct_rootlets.registration.landmarks import Kind, errors
from sct_rootlets.registration.pam50 import Template, find_template
from sct_rootlets.registration.quality import Quality, assess
from sct_rootlets.subject import output_prefix, save_segmented, version, write_json, write_table

Landmarks = Literal["rootlets", "discs", "both"]
LANDMARKS: tuple[str, ...] = get_args(Landmarks)
Contrast = Literal["t1", "t2", "t2s"]

#: Ways to interpolate, as SCT calls them, by the order of the spline.
INTERPOLATIONS = {"nn": 0, "linear": 1, "spline": 3}
#: Labels of the template that are brought to the subject: name of the output, and of the template's file.
LABELS = {
    "cord2anat": "cord",
    "rootlets2anat": "rootlets",
    "levels2anat": "levels",
    "spinal_levels2anat": "spinal_levels",
}
#: What the scan becomes.
MOVED_SCAN = "anat2template.nii.gz"
#: Columns of the table of landmarks.
COLUMNS = ("kind", "level", "name", "used", "template_mm", "subject_mm", "error_mm", "left_out_error_mm")


@dataclass(frozen=True)
class Registration:
    """A subject registered to a template.

    Attributes
    ----------
    image : Volume
        The scan, or the cord mask where there is none: its grid is the subject's.
    template : Template
    template_cord : Volume
        Its grid is the template's.
    alignment : Alignment
    contrast : {"t1", "t2", "t2s"}
        Of the template's image that is brought to the subject.
    sources : dict of str to Volume
    segmented : dict of str to Volume
        ``cord`` and ``rootlets`` as far as they were not given.
    sidecars : dict of str to dict
        Of what was segmented.
    settings : dict
        For the sidecar.
    header_notes : tuple of str
        What is odd about the files.
    given_fields : (numpy.ndarray, numpy.ndarray), optional
        Fields from elsewhere (SCT), to be used in place of the alignment's own.
    """

    image: Volume
    template: Template
    template_cord: Volume
    alignment: Alignment
    contrast: Contrast
    sources: dict[str, Volume]
    segmented: dict[str, Volume] = field(default_factory=dict)
    sidecars: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    header_notes: tuple[str, ...] = ()
    given_fields: tuple[np.ndarray, np.ndarray] | None = None

    @cached_property
    def to_subject(self) -> np.ndarray:
        """Displacements on the template's grid (``warp_anat2template``), shape (I, J, K, 3), RAS+ mm."""
        if self.given_fields is not None:
            return self.given_fields[0]
        return displacement_field(
            self.alignment.warp.to_subject, self.template_cord.data.shape, self.template_cord.affine
        )

    @cached_property
    def to_template(self) -> np.ndarray:
        """Displacements on the subject's grid (``warp_template2anat``), shape (I, J, K, 3), RAS+ mm."""
        if self.given_fields is not None:
            return self.given_fields[1]
        return displacement_field(self.alignment.warp.to_template, self.image.data.shape, self.image.affine)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know, one line each."""
        found = self.alignment
        template = (f"template: {note}" for note in found.template.notes)
        return (*self.header_notes, *template, *found.subject.notes, *found.notes)

    @cached_property
    def rows(self) -> list[dict[str, object]]:
        """The table of landmarks, one row each (`COLUMNS`)."""
        pairs = self.alignment.pairs
        rows: list[dict[str, object]] = []
        for pair, (miss, without) in zip(pairs, errors(pairs), strict=True):
            one, own = pair.template, pair.subject
            values = (one.kind, one.value, one.name, pair.used, one.arc_mm, own.arc_mm, miss, without)
            rows.append(dict(zip(COLUMNS, values, strict=True)))
        return rows

    @cached_property
    def quality(self) -> Quality:
        """How well the cords overlap in template space, and whether it folds."""
        return assess(self.alignment, self.to_subject)

    def in_subject(self, points: np.ndarray) -> np.ndarray:
        """Where points of the template lie in the subject, shape (N, 3), RAS+ mm."""
        if self.given_fields is not None:
            return points + sample_field(self.to_subject, self.template_cord.affine, points)
        return self.alignment.warp.to_subject(points)

    def into_template(self, volume: Volume, interpolation: str = "linear") -> np.ndarray:
        """Bring an image of the subject's world to the template's grid, shape (I, J, K)."""
        return resample(volume, self.to_subject, self.template_cord.affine, INTERPOLATIONS[interpolation])

    def into_subject(self, volume: Volume, interpolation: str = "linear") -> np.ndarray:
        """Bring an image of the template's world to the subject's grid, shape (I, J, K)."""
        return resample(volume, self.to_template, self.image.affine, INTERPOLATIONS[interpolation])

    def save(
        self,
        folder: str | os.PathLike[str],
        apply: Sequence[VolumeLike | Series] = (),
        interpolation: str = "linear",
        figure: bool = True,
    ) -> list[Path]:
        """Write warps, images, labels, the table, a sidecar and a picture into a folder; all of them or none.

        Parameters
        ----------
        folder : path
        apply : sequence of volumes, or of Series
            Other images of the subject, 3D or 4D, in the world of the scan, to be brought to the template.
        interpolation : {"linear", "nn", "spline"}
            For these.
        figure : bool

        Returns
        -------
        list of Path
            The files written.

        Raises
        ------
        ImageError
            If the folder cannot be written to, or an image lies elsewhere.
        """
        others = to_apply(apply)
        paths = [volume.path for volume in self.sources.values()] + [series.path for series in others.values()]
        inputs = [path for path in paths if path is not None]
        with staged_outputs(folder, keep=inputs) as stage:
            notes = list(self.notes) + self._save_images(stage)
            for name, series in others.items():
                notes += header_notes(series)
                self._save_moved(stage / name, series, INTERPOLATIONS[interpolation])
            save_segmented(stage, output_prefix(self.image), self.segmented, self.sidecars)
            write_table(stage / "registration.csv", COLUMNS, self.rows)
            write_json(stage / "registration.json", self._sidecar(notes))
            if figure:
                from sct_rootlets.report.registered import save_registration_figure

                save_registration_figure(self, stage / "registration.png")
            names = sorted(path.name for path in stage.iterdir())
        return [Path(folder) / name for name in names]

    def _save_moved(self, path: Path, series: Series, order: int) -> None:
        """Bring an image to the template, 3D or 4D, one volume at a time."""
        grid = self.template_cord
        shows = False

        def moved() -> Iterator[np.ndarray]:
            nonlocal shows
            volumes = series.volumes()
            for one in resample_series(volumes, series.shape, series.affine, self.to_subject, grid.affine, order):
                shows = shows or bool((np.isfinite(one) & (one != 0)).any())
                yield one

        if series.length is None:
            save_volume(path, next(moved()), grid.affine, grid.header)
        else:
            save_series(path, moved(), series.length, grid.affine, grid.header, series.header)
        if not shows:
            raise ImageError(
                f"{series.name} does not lie where the cord of {self.image.name} is, or shows nothing there; "
                "both must share one world space"
            )

    def _save_images(self, stage: Path) -> list[str]:
        """Write warps, and what each of the two looks like in the other's space; notes of what there is not."""
        save_field(stage / "warp_anat2template.nii.gz", self.to_subject, self.template_cord.affine)
        save_field(stage / "warp_template2anat.nii.gz", self.to_template, self.image.affine)
        moved = self.into_template(self.image)
        save_volume(stage / MOVED_SCAN, moved, self.template_cord.affine, self.template_cord.header)
        notes = []
        picture = self.template.volume(self.contrast)
        if picture is None:
            missing = self.template.expected[self.contrast].name
            notes.append(f"the template has no image of contrast {self.contrast} ({missing}): no template2anat")
        else:
            moved = self.into_subject(picture)
            save_volume(stage / "template2anat.nii.gz", moved, self.image.affine, self.image.header)
        for name, source in LABELS.items():
            labels = self.template.volume(source)
            if labels is None:
                notes.append(f"the template has no {self.template.expected[source].name}: no {name}")
            else:
                save_labels(stage / f"{name}.nii.gz", self.into_subject(labels, "nn"), self.image)
        return notes

    def _sidecar(self, notes: list[str]) -> dict[str, object]:
        return {
            "Description": "Registration of a spinal cord to a template: warps are ITK displacement fields (LPS, mm)",
            "GeneratedBy": [{"Name": "sct_rootlets", "Version": version()}],
            "Sources": [volume.name for volume in self.sources.values()],
            "Inputs": {kind: volume.name for kind, volume in self.sources.items()},
            "Template": {name: path.name for name, path in self.template.files.items()},
            **self.settings,
            "CordDice": round(self.quality.cord_dice, 4),
            "LeastJacobian": round(self.quality.least_jacobian, 4),
            "Notes": notes,
        }


def to_apply(sources: Sequence[VolumeLike | Series]) -> dict[str, Series]:
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
    stem = series.name
    for ending in (".nii.gz", ".nii"):
        stem = stem[: -len(ending)] if stem.lower().endswith(ending) else stem
    return f"{stem}2template.nii.gz"


def kinds_of(landmarks: str) -> tuple[Kind, ...]:
    """What takes part in the map, by the name of the option."""
    choices: dict[str, tuple[Kind, ...]] = {
        "rootlets": ("rootlets",),
        "discs": ("discs",),
        "both": ("rootlets", "discs"),
    }
    return choices[landmarks]


def template_cord(template: Template, kinds: Sequence[Kind]) -> LandmarkedCord:
    """Read the cord of a template with what it is aligned by.

    Raises
    ------
    ImageError
        If files are missing; all are named.
    """
    discs = "discs" if "discs" in template.files else "discs_in_cord"
    template.need("cord", *(("rootlets",) if "rootlets" in kinds else ()), *((discs,) if "discs" in kinds else ()))
    cord = template.volume("cord")
    assert cord is not None  # `need` has checked it
    try:
        return landmarked_cord(cord, template.volume("rootlets"), template.volume(discs))
    except LabelError as error:
        raise LabelError(f"the template in {template.folder} cannot be used: {error}") from error


def register(
    image: VolumeLike | None = None,
    *,
    cord: VolumeLike | None = None,
    rootlets: VolumeLike | None = None,
    discs: VolumeLike | None = None,
    template: str | os.PathLike[str] | Template | None = None,
    landmarks: Landmarks = "rootlets",
    contrast: Contrast = "t2",
    by_shape: bool = True,
    model: str | os.PathLike[str] | None = None,
    device: str = "cpu",
) -> Registration:
    """Register a subject to a template by rootlets, by discs, or by both.

    Volumes are paths, nibabel images or ``(array, affine)``, all on one grid, in any axis order.

    Parameters
    ----------
    image : volume, optional
        The scan. Without it, the cord mask takes its place.
    cord, rootlets : volume, optional
        Segmented from the image where they are not given and needed.
    discs : volume, optional
        Disc labels, needed for ``"discs"`` and ``"both"``; otherwise they are only compared.
    template : path or Template, optional
        See `find_template`.
    landmarks : {"rootlets", "discs", "both"}
    contrast : {"t1", "t2", "t2s"}
        Of the template's image that is shown in the subject's space.
    by_shape : bool
        Refine the places of levels by the shape of their rootlets.
    model, device
        Of the segmentation.

    Returns
    -------
    Registration

    Raises
    ------
    ImageError
        If a file is missing or on another grid, or the template is incomplete.
    LabelError
        If labels make no sense, or nothing is common to both.
    """
    kinds = kinds_of(landmarks)
    if image is None and (cord is None or ("rootlets" in kinds and rootlets is None)):
        raise ImageError("without an image, cord and rootlets cannot be segmented: give them, or the image")
    if "discs" in kinds and discs is None:
        raise ImageError(f"landmarks {landmarks!r} need disc labels")
    given = {"image": image, "cord": cord, "rootlets": rootlets, "discs": discs}
    volumes = {name: load_volume(source) for name, source in given.items() if source is not None}
    reference = volumes["image"] if image is not None else volumes["cord"]
    for volume in volumes.values():
        check_same_grid(reference, volume)
    found_template = template if isinstance(template, Template) else find_template(template)
    there = template_cord(found_template, kinds)
    segmented, sidecars = _segmented(volumes, kinds, model, device)
    everything = {**volumes, **segmented}
    own = landmarked_cord(everything["cord"], everything.get("rootlets"), everything.get("discs"))
    settings: dict[str, object] = {"Engine": "sct_rootlets", "Landmarks": landmarks, "RefinedByShape": by_shape}
    return Registration(
        reference,
        found_template,
        there.mask,
        align(there, own, kinds, by_shape),
        contrast,
        volumes,
        segmented,
        sidecars,
        settings,
        tuple(note for volume in volumes.values() for note in header_notes(volume)),
    )


def _segmented(
    volumes: dict[str, Volume], kinds: Sequence[Kind], model: str | os.PathLike[str] | None, device: str
) -> tuple[dict[str, Volume], dict[str, dict[str, Any]]]:
    """Segment what is needed and not given; with sidecars."""
    wanted = [name for name in ("cord", "rootlets") if name not in volumes and (name == "cord" or name in kinds)]
    if not wanted:
        return {}, {}
    from sct_rootlets.deepseg import Settings, segment_missing

    image = volumes["image"]
    settings = Settings(discs=volumes.get("discs"), model=model, device=device)
    _, maps, sidecars = segment_missing(image, wanted, settings)
    if "rootlets" in wanted and "rootlets" not in maps:
        raise ImageError(f"no rootlets of C2 to T1 were found in {image.name}; give them (-rootlets), or use discs")
    return maps, sidecars
