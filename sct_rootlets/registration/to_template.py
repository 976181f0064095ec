"""One subject to the template, files in and files out: the front door of registration.

The science is in `align` and what it calls, or in the Spinal Cord Toolbox; this module reads, calls, and writes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from sct_rootlets.errors import ImageError, LabelError
from sct_rootlets.image import Volume, VolumeLike, check_same_grid
from sct_rootlets.nifti import header_notes, load_volume
from sct_rootlets.registration.align import Alignment, align
from sct_rootlets.registration.cord import LandmarkedCord, landmarked_cord
from sct_rootlets.registration.fields import displacement_field, resample, sample_field
from sct_rootlets.registration.landmarks import Kind, errors
from sct_rootlets.registration.pam50 import Template, find_template
from sct_rootlets.registration.quality import Quality, assess

Landmarks = Literal["rootlets", "discs", "both"]
LANDMARKS: tuple[str, ...] = get_args(Landmarks)
Contrast = Literal["t1", "t2", "t2s"]

#: Ways to interpolate, as SCT calls them, by the order of the spline.
INTERPOLATIONS = {"nn": 0, "linear": 1, "spline": 3}
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
    cord: VolumeLike,
    rootlets: VolumeLike | None = None,
    discs: VolumeLike | None = None,
    template: str | os.PathLike[str] | Template | None = None,
    landmarks: Landmarks = "rootlets",
    contrast: Contrast = "t2",
    by_shape: bool = True,
) -> Registration:
    """Register a subject to a template by rootlets, by discs, or by both.

    Volumes are paths, nibabel images or ``(array, affine)``, all on one grid, in any axis order.
    `sct_rootlets.deepseg.register_image` segments what is missing first.

    Parameters
    ----------
    image : volume, optional
        The scan. Without it, the cord mask takes its place.
    cord : volume
        Spinal cord mask.
    rootlets : volume, optional
        Rootlet map, needed for ``"rootlets"`` and ``"both"``.
    discs : volume, optional
        Disc labels, needed for ``"discs"`` and ``"both"``; otherwise they are only compared.
    template : path or Template, optional
        See `find_template`.
    landmarks : {"rootlets", "discs", "both"}
    contrast : {"t1", "t2", "t2s"}
        Of the template's image that is shown in the subject's space.
    by_shape : bool
        Refine the places of levels by the shape of their rootlets.

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
    given = {"image": image, "cord": cord, "rootlets": rootlets, "discs": discs}
    for kind in kinds:
        if given[kind] is None:
            raise ImageError(f"landmarks {landmarks!r} need {'disc labels' if kind == 'discs' else 'a rootlet map'}")
    volumes = {name: load_volume(source) for name, source in given.items() if source is not None}
    reference = volumes["image"] if image is not None else volumes["cord"]
    for volume in volumes.values():
        check_same_grid(reference, volume)
    found_template = template if isinstance(template, Template) else find_template(template)
    there = template_cord(found_template, kinds)
    own = landmarked_cord(volumes["cord"], volumes.get("rootlets"), volumes.get("discs"))
    settings: dict[str, object] = {"Engine": "sct_rootlets", "Landmarks": landmarks, "RefinedByShape": by_shape}
    return Registration(
        reference,
        found_template,
        there.mask,
        align(there, own, kinds, by_shape),
        contrast,
        volumes,
        settings=settings,
        header_notes=tuple(note for volume in volumes.values() for note in header_notes(volume)),
    )
