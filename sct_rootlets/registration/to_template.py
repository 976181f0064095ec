"""Registration of a subject with complete labels to a template: reading, checks and alignment."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Literal

from sct_rootlets.errors import ImageError, LabelError
from sct_rootlets.image import Volume, VolumeLike, check_same_grid
from sct_rootlets.nifti import check_sides, header_notes, load_volume
from sct_rootlets.registration.align import align
from sct_rootlets.registration.cord import LandmarkedCord, landmarked_cord
from sct_rootlets.registration.landmarks import LandmarkKind
from sct_rootlets.registration.result import Contrast, Registration
from sct_rootlets.registration.template_folder import TemplateFolder, find_template
from sct_rootlets.sidecar import read_name_confidence
from sct_rootlets.vertebral import disc_points, kind_of_points_notes, median_distance_mm

_LOGGER = logging.getLogger(__name__)

Landmarks = Literal["rootlets", "discs", "both"]


def landmark_kinds(landmarks: str) -> tuple[LandmarkKind, ...]:
    """Return the kinds of landmarks that take part in the map, by the name of the option."""
    kinds: dict[str, tuple[LandmarkKind, ...]] = {
        "rootlets": ("rootlets",),
        "discs": ("discs",),
        "both": ("rootlets", "discs"),
    }
    return kinds[landmarks]


def read_template_cord(template: TemplateFolder, kinds: Sequence[LandmarkKind]) -> LandmarkedCord:
    """Read the cord of a template with the landmarks that the alignment needs.

    Parameters
    ----------
    template : TemplateFolder
    kinds : sequence of {"rootlets", "discs"}
        Landmarks that take part in the map.

    Raises
    ------
    ImageError
        If files are missing; all missing files are named.
    LabelError
        If the labels make no sense.
    """
    discs = "discs" if "discs" in template.files else "discs_in_cord"
    needed = {"rootlets": "rootlets", "discs": discs}
    template.require("cord", *(needed[kind] for kind in ("rootlets", "discs") if kind in kinds))
    cord = template.load("cord")
    assert cord is not None  # `require` has checked it
    try:
        return landmarked_cord(cord, template.load("rootlets"), template.load(discs))
    except LabelError as error:
        raise LabelError(f"the template in {template.folder} cannot be used: {error}") from error


def register(
    image: VolumeLike | None = None,
    *,
    cord: VolumeLike,
    rootlets: VolumeLike | None = None,
    discs: VolumeLike | None = None,
    template: str | os.PathLike[str] | TemplateFolder | None = None,
    landmarks: Landmarks = "rootlets",
    contrast: Contrast = "t2",
    by_shape: bool = True,
) -> Registration:
    """Register a subject to a template by rootlets, by discs, or by both.

    Volumes are paths, nibabel images or ``(array, affine)``, all on one grid, in any axis order. Labels are complete:
    use `sct_rootlets.deepseg.register_image` to segment missing labels.

    Parameters
    ----------
    image : volume, optional
        The scan. Without it, the cord mask takes its place.
    cord : volume
        Spinal cord mask.
    rootlets : volume, optional
        Rootlet map, needed for ``"rootlets"`` and ``"both"``.
    discs : volume, optional
        Disc labels, needed for ``"discs"`` and ``"both"``; otherwise only their errors are computed.
    template : path or TemplateFolder, optional
        See `find_template`.
    landmarks : {"rootlets", "discs", "both"}
    contrast : {"t1", "t2", "t2s"}
        Contrast of the template's image that is brought to the subject.
    by_shape : bool
        Refine the positions of levels by the shape of their rootlets.

    Returns
    -------
    Registration

    Raises
    ------
    ImageError
        If a file is missing or on another grid, does not say how it is oriented, or the template is incomplete.
    LabelError
        If labels make no sense, or the subject and the template have no landmark in common.
    """
    kinds = landmark_kinds(landmarks)
    given = {"image": image, "cord": cord, "rootlets": rootlets, "discs": discs}
    for kind in kinds:
        if given[kind] is None:
            raise ImageError(f"landmarks {landmarks!r} need {'disc labels' if kind == 'discs' else 'a rootlet map'}")
    volumes = {name: load_volume(source) for name, source in given.items() if source is not None}
    reference = volumes["image"] if image is not None else volumes["cord"]
    for volume in volumes.values():
        check_same_grid(reference, volume)
    check_sides(volumes.values(), "a template has sides: the map would be guessed")
    _LOGGER.info("reading the template")
    folder = template if isinstance(template, TemplateFolder) else find_template(template)
    template_cord = read_template_cord(folder, kinds)
    subject_cord = landmarked_cord(volumes["cord"], volumes.get("rootlets"), volumes.get("discs"))
    _LOGGER.info("aligning the cord with that of the template")
    return Registration(
        image=reference,
        template=folder,
        alignment=align(template_cord, subject_cord, kinds, by_shape),
        contrast=contrast,
        sources=volumes,
        settings={"Engine": "sct_rootlets", "Landmarks": landmarks, "RefinedByShape": by_shape},
        header_notes=(*header_notes(*volumes.values()), *_kind_of_disc_notes(volumes.get("discs"), subject_cord)),
        name_confidence={} if "rootlets" not in volumes else read_name_confidence(volumes["rootlets"].path),
    )


def _kind_of_disc_notes(discs: Volume | None, cord: LandmarkedCord) -> list[str]:
    """Note that disc labels are those of vertebral bodies, or may be; with rootlets, the landmarks missed tell it."""
    if discs is None:
        return []
    displaced_mm = None if cord.rootlets is None else 0.0
    return kind_of_points_notes(median_distance_mm(disc_points(discs), cord.centerline), displaced_mm, 0.0)
