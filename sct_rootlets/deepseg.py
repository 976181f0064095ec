"""From images to results: what is not given is segmented, then measured, registered, or written as a task."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sct_rootlets.errors import ImageError, NoCordError, SctRootletsError
from sct_rootlets.flags import Flag
from sct_rootlets.image import Volume, VolumeLike, binary_mask, check_same_grid, check_segmentable
from sct_rootlets.levels import LAST_DISC, Levels
from sct_rootlets.models.requirements import import_torch
from sct_rootlets.models.store import find_model
from sct_rootlets.models.weights import Weights
from sct_rootlets.nifti import check_sides, header_notes, look_at_header
from sct_rootlets.segmentation.tasks import CORD_SUFFIX, ROOTLETS_SUFFIX, TASKS, Output, Task
from sct_rootlets.spinal import DISTANCE_MM, Method, leave_out_c1
from sct_rootlets.subject import Inputs, SubjectLevels, levels_from_labels

if TYPE_CHECKING:
    from sct_rootlets.output.ownership import Guard
    from sct_rootlets.registration.result import Contrast, Registration
    from sct_rootlets.registration.template_folder import TemplateFolder
    from sct_rootlets.registration.to_template import Landmarks
    from sct_rootlets.segmentation.segment import Segmentation, Segmenter
    from sct_rootlets.segmentation.tiles import Precision
    from sct_rootlets.vertebral import Disc, VertebralNumbering

_LOGGER = logging.getLogger(__name__)

NamedBy = Literal["model", "chain"]
FieldOfView = Literal["cord", "full"]

#: Layers of the viewer that label maps are, by suffix; the others are rootlets, split or as points of discs.
_LAYERS = {CORD_SUFFIX: "cord", "_spinal_levels": "levels", "_vertebral_levels": "levels"}
#: Thicker slices do not show single rootlets.
MAX_SLICE_THICKNESS_MM = 3.0
#: Names of a lower probability are improbable: any other is as likely.
MIN_NAME_CONFIDENCE = 0.5


@dataclass(frozen=True, kw_only=True)
class SegmentationSettings:
    """How the networks run.

    Attributes
    ----------
    model : str, path or Weights, optional
        Name of an installed model, or a model folder, in place of the bundled model of rootlets.
    device : {"cpu", "cuda", "mps"}
    threads : int, optional
        Number of threads of the CPU; by default, torch chooses.
    mirror : bool
        Test-time augmentation: average with the prediction for the image mirrored from left to right.
    omit_uncertain : bool
        Leave out rootlets of levels whose names are improbable (`MIN_NAME_CONFIDENCE`).
    names : {"model", "chain"}
        Whether the classes of `model` are the labels, or its rootlets are named along the cord as those of the bundled
        model are, with its classes as one kind of evidence.
    field_of_view : {"cord", "full"}
        Whether `model` runs around the cord, or over the whole field of view as nnU-Net does.
    precision : {"float32", "bfloat16"}
        Number format of the rootlet networks on a CPU.
    """

    model: str | os.PathLike[str] | Weights | None = None
    device: str = "cpu"
    threads: int | None = None
    mirror: bool = False
    omit_uncertain: bool = False
    names: NamedBy = "model"
    field_of_view: FieldOfView = "cord"
    precision: Precision = "float32"


@dataclass(frozen=True, kw_only=True)
class CleanUp:
    """Which connected components of the labels are removed.

    Attributes
    ----------
    largest : bool
        Keep only the largest component of each label.
    remove_small : (float, {"mm3", "vox"}), optional
        Remove components smaller than this.
    """

    largest: bool = False
    remove_small: tuple[float, str] | None = None


@dataclass(frozen=True, kw_only=True)
class PageOptions:
    """Where a result goes on the page of quality control.

    Attributes
    ----------
    folder : Path
        Folder of the page.
    dataset, subject : str, optional
        Names that the page shows; the subject is read from the file's name by default.
    """

    folder: Path
    dataset: str | None = None
    subject: str | None = None


@dataclass(frozen=True)
class SegmentedImage:
    """An image that has been segmented, and its files.

    Attributes
    ----------
    image : Path
    outputs : list of Path
        Label maps, in the order of the task's outputs.
    text : str
        Report for the terminal: what was found, and where it was written.
    flags : tuple of Flag
        Plausibility of the levels.
    subject : SubjectLevels, optional
        The levels, where a page of quality control was asked for.
    viewer_command : str
        Command that shows the image and its label maps in FSLeyes; may be empty.
    """

    image: Path
    outputs: list[Path]
    text: str
    flags: tuple[Flag, ...] = ()
    subject: SubjectLevels | None = None
    viewer_command: str = ""


def segment_rootlets(
    image: VolumeLike,
    *,
    discs: VolumeLike | None = None,
    vertebrae: VolumeLike | None = None,
    cord: VolumeLike | None = None,
    settings: SegmentationSettings | None = None,
    clean_up: CleanUp | None = None,
    segmenter: Segmenter | None = None,
) -> Segmentation:
    """Segment cord and rootlets of an image, and name the levels.

    Parameters
    ----------
    image : path, nibabel image or (array, affine)
        T2w scan or MP2RAGE image of the neck, in any axis order.
    discs, vertebrae : volume, optional
        Disc labels, or the cord coloured by vertebral level: they take part in choosing the names of levels.
    cord : volume, optional
        Spinal cord mask in place of the segmented one; a soft mask is thresholded at 0.5.
    settings : SegmentationSettings, optional
    clean_up : CleanUp, optional
    segmenter : Segmenter, optional
        Networks that were loaded before, with the same settings; for many images.

    Returns
    -------
    sct_rootlets.segmentation.segment.Segmentation

    Raises
    ------
    ImageError
        If the image cannot be read, or shows no cord.
    ModelError
        If the networks cannot be loaded.
    """
    settings = settings or SegmentationSettings()
    inputs = Inputs.load(image=image, discs=discs, vertebrae=vertebrae, cord=cord)
    _check_image(inputs)
    return _segment(segmenter or load_networks(settings), inputs, settings, clean_up or CleanUp(), inputs.cord)


def compute_spinal_levels(
    rootlets: VolumeLike | None = None,
    *,
    cord: VolumeLike | None = None,
    image: VolumeLike | None = None,
    discs: VolumeLike | None = None,
    vertebrae: VolumeLike | None = None,
    pmj: VolumeLike | None = None,
    centerline: VolumeLike | None = None,
    method: Method = "segment",
    distance_mm: float = DISTANCE_MM,
    find_discs: bool = True,
    settings: SegmentationSettings | None = None,
    segmenter: Segmenter | None = None,
) -> SubjectLevels:
    """Compute spinal levels from rootlets, vertebral levels from discs, and how they compare, for one subject.

    Volumes are paths, nibabel images or ``(array, affine)``, all on one grid, in any axis order.

    Parameters
    ----------
    rootlets : volume, optional
        Rootlet map: 2 for C2 ... 8 for C8, 9 for T1 and so on.
    cord : volume, optional
        Spinal cord mask; a soft mask is thresholded at 0.5.
    image : volume, optional
        The scan. Rootlets, cord and discs that are not given are found in it; without it, the cord must be given,
        without rootlets only vertebral levels are computed, and without discs only spinal levels.
    discs : volume, optional
        Disc labels, single voxels at the posterior tips: 3 for C2/C3 and so on. With an image, one is enough: it fixes
        the numbers of those that are found.
    vertebrae : volume, optional
        The cord coloured by vertebral level, 3 for C3, in place of discs (`sct_rootlets.vertebral.border_points`).
    pmj : volume, optional
        Label of the pontomedullary junction: the centerline is continued to it and positions are counted from it.
    centerline : volume, optional
        A line of voxels along the cord, as `sct_get_centerline` writes, in place of the centerline of the cord mask;
        smoothed like it.
    method, distance_mm
        See `sct_rootlets.spinal.spinal_levels`.
    find_discs : bool
        Find discs that are not given in the image.
    settings : SegmentationSettings, optional
    segmenter : Segmenter, optional
        Networks that were loaded before, with the same settings; for many images.

    Returns
    -------
    SubjectLevels
        Maps that were segmented are in `SubjectLevels.segmented`.

    Raises
    ------
    ImageError
        If a file is missing, no single 3D NIfTI volume, or on another grid; if the image shows no cord; or if no
        rootlets are found and no discs are given.
    LabelError
        If labels make no sense: see `fit_centerline`, `along_cord`, `spinal_levels`, `place_discs`.
    ValueError
        If too little is given, or discs twice.
    """
    inputs = Inputs.load(
        image=image, cord=cord, rootlets=rootlets, discs=discs, vertebrae=vertebrae, pmj=pmj, centerline=centerline
    )
    missing = [name for name in ("cord", "rootlets") if getattr(inputs, name) is None]
    if inputs.image is None or not (missing or find_discs):
        return levels_from_labels(inputs, method, distance_mm)
    settings = settings or SegmentationSettings()
    if not missing:
        found_discs, numbering, notes = _find_discs(inputs, settings, segmenter)
        subject = levels_from_labels(inputs, method, distance_mm, found_discs, numbering)
        return replace(subject, notes=(*subject.notes, *notes))
    _check_image(inputs)
    segmenter = segmenter or load_networks(settings)
    segmentation, maps, sidecars = _segment_missing(segmenter, inputs, missing, settings)
    found_discs = segmentation.discs if find_discs else ()
    if "rootlets" in missing and "rootlets" not in maps and not inputs.has_discs and not found_discs:
        raise ImageError(f"no rootlets of C2 to T1 were found in {inputs.image.name}, and no discs were given")
    numbering = segmentation.numbering if find_discs else None
    subject = levels_from_labels(replace(inputs, **maps), method, distance_mm, found_discs, numbering)
    if subject.spinal is None and subject.vertebral is None:
        raise ImageError(f"neither rootlets of C2 to T1 nor two discs were found in {inputs.image.name}")
    named = "rootlets" in missing
    # What the segmentation says of its levels is said of those that are measured now.
    kept_notes = [note for note in segmentation.notes if note not in segmentation.spinal.notes]
    return replace(
        subject,
        segmented=maps,
        sidecars=sidecars,
        spinal=_with_confidence(subject.spinal, segmentation) if "rootlets" in maps else subject.spinal,
        settings={**subject.settings, "Model": _describe_model(segmenter)},
        name_sources=segmentation.name_sources if named else subject.name_sources,
        notes=tuple(dict.fromkeys((*kept_notes, *subject.notes))),
    )


def _find_discs(
    inputs: Inputs, settings: SegmentationSettings, segmenter: Segmenter | None
) -> tuple[tuple[Disc, ...], VertebralNumbering | None, list[str]]:
    """Find the discs of an image whose cord and rootlets are given; with notes. no discs where the networks cannot."""
    image, cord = inputs.image, inputs.cord
    assert image is not None
    assert cord is not None
    try:
        _check_image(inputs)
        segmenter = segmenter or load_networks(settings)
        return segmenter.find_discs(image, binary_mask(cord)[0], _disc_points(inputs), inputs.rootlets)
    except SctRootletsError as error:  # what is wrong with the labels is said where levels are computed
        return (), None, [f"no discs were found in {image.name}: {error}"]


def _disc_points(inputs: Inputs) -> dict[int, np.ndarray[Any, Any]]:
    """Return the discs that are given, by value, without the conus and other landmarks that their file may hold."""
    return {value: point for value, point in inputs.disc_points().items() if value <= LAST_DISC}


def _with_confidence(levels: Levels | None, segmentation: Segmentation) -> Levels | None:
    """Set the confidence of the names that a segmentation gave."""
    return None if levels is None else levels.with_confidence(_name_confidence(segmentation))


def _name_confidence(segmentation: Segmentation) -> dict[str, float]:
    """Return the probabilities of the names that a segmentation gave."""
    return {level.name: level.confidence for level in segmentation.spinal.levels if level.confidence is not None}


def _segment_missing(
    segmenter: Segmenter, inputs: Inputs, missing: Collection[str], settings: SegmentationSettings
) -> tuple[Segmentation, dict[str, Volume], dict[str, dict[str, Any]]]:
    """Segment the maps that were not given.

    Parameters
    ----------
    segmenter : Segmenter
    inputs : Inputs
        With the image.
    missing : collection of {"cord", "rootlets", "discs"}
    settings : SegmentationSettings

    Returns
    -------
    segmentation : Segmentation
    maps : dict of str to Volume
        The missing maps; rootlets are not among them if none were found.
    sidecars : dict of str to dict
        Sidecars of the maps.
    """
    from sct_rootlets.output.segmentation import label_map_sidecar

    image = inputs.image
    assert image is not None
    segmentation = _segment(segmenter, inputs, settings, CleanUp())
    outputs = dict(zip(("rootlets", "cord"), TASKS["rootlets_cord"].outputs, strict=True))
    outputs["discs"] = TASKS["discs"].outputs[0]
    made = {name: outputs[name].make(segmentation, image) for name in missing}
    if "rootlets" in made:
        named = leave_out_c1(made["rootlets"])
        if (named != made["rootlets"]).any():
            segmentation = replace(segmentation, notes=(*segmentation.notes, "rootlets of C1 are left out"))
        made["rootlets"] = named
    maps = {
        name: replace(image, data=values, name=f"{name} of {image.name}", path=None)
        for name, values in made.items()
        if values.any()
    }
    model, shown = _describe_model(segmenter), _shown_settings(settings, CleanUp())
    sidecars = {name: label_map_sidecar(outputs[name], image, segmentation, model, shown) for name in maps}
    return segmentation, maps, sidecars


def register_image(
    image: VolumeLike | None = None,
    *,
    cord: VolumeLike | None = None,
    rootlets: VolumeLike | None = None,
    discs: VolumeLike | None = None,
    template: str | os.PathLike[str] | TemplateFolder | None = None,
    landmarks: Landmarks = "rootlets",
    contrast: Contrast = "t2",
    by_shape: bool = True,
    settings: SegmentationSettings | None = None,
) -> Registration:
    """Register an image to a template by rootlets, by discs, or by both: what is needed and not given is segmented.

    Parameters
    ----------
    image : volume, optional
        The scan. Without it, cord and rootlets must be given.
    cord, rootlets : volume, optional
        Segmented from the image where they are not given and needed.
    discs, template, landmarks, contrast, by_shape
        See `sct_rootlets.registration.to_template.register`.
    settings : SegmentationSettings, optional

    Returns
    -------
    Registration
        Maps that were segmented are in `Registration.segmented`.

    Raises
    ------
    ImageError
        As for `register`; and if rootlets are needed and none are found.
    """
    from sct_rootlets.registration.template_folder import TemplateFolder, find_template
    from sct_rootlets.registration.to_template import landmark_kinds, read_template_cord, register

    kinds = landmark_kinds(landmarks)
    if image is None and (cord is None or ("rootlets" in kinds and rootlets is None)):
        raise ImageError("without an image, cord and rootlets cannot be segmented: give them, or the image")
    if "discs" in kinds and discs is None and image is None:
        raise ImageError(f"landmarks {landmarks!r} need disc labels, or the image")
    folder = template if isinstance(template, TemplateFolder) else None if template is None else find_template(template)
    inputs = Inputs.load(image=image, cord=cord, rootlets=rootlets, discs=discs)
    check_sides(inputs.volumes.values(), "a template has sides: the map would be guessed")
    folder = folder or find_template()
    read_template_cord(folder, kinds)  # a template that cannot be used is reported before minutes of segmentation
    missing = [name for name in ("cord", "rootlets") if getattr(inputs, name) is None]
    missing = [name for name in missing if name == "cord" or name in kinds]
    missing += ["discs"] if "discs" in kinds and inputs.discs is None else []
    maps: dict[str, Volume] = {}
    sidecars: dict[str, dict[str, Any]] = {}
    doubt: tuple[str, ...] = ()
    confidence: dict[str, float] = {}
    if missing:
        assert inputs.image is not None
        _check_image(inputs)
        settings = settings or SegmentationSettings()
        segmentation, maps, sidecars = _segment_missing(load_networks(settings), inputs, missing, settings)
        doubt = segmentation.notes if "discs" in missing else ()
        confidence = _name_confidence(segmentation) if "rootlets" in missing else {}
        if "discs" in missing and "discs" not in maps:
            raise ImageError(f"no discs were found in {inputs.image.name}; give them (-ldisc), or use rootlets")
        if "rootlets" in missing and "rootlets" not in maps:
            name = inputs.image.name
            raise ImageError(f"no rootlets of C2 to T1 were found in {name}; give them (-rootlets), or use discs")
    complete = replace(inputs, **maps)
    assert complete.cord is not None
    registration = register(
        inputs.image,
        cord=complete.cord,
        rootlets=complete.rootlets,
        discs=complete.discs,
        template=folder,
        landmarks=landmarks,
        contrast=contrast,
        by_shape=by_shape,
    )
    given = {name: volume for name, volume in registration.sources.items() if name not in maps}
    notes = tuple(dict.fromkeys((*header_notes(*given.values()), *inputs.image_notes, *doubt)))
    return replace(
        registration,
        sources=given,
        segmented=maps,
        sidecars=sidecars,
        header_notes=notes,
        name_confidence=confidence or registration.name_confidence,
    )


def segment_files(
    images: Sequence[Path],
    task: Task,
    settings: SegmentationSettings,
    *,
    clean_up: CleanUp | None = None,
    discs: Path | None = None,
    cord: Path | None = None,
    output: Path | None = None,
    page: PageOptions | None = None,
    overwrite: bool = False,
    verbosity: int = 1,
) -> Iterator[SegmentedImage]:
    """Segment images and write what a task writes; an image that fails does not keep the others from being done.

    Parameters
    ----------
    images : sequence of Path
    task : Task
    settings : SegmentationSettings
    clean_up : CleanUp, optional
    discs : Path, optional
        Disc labels of a single image.
    cord : Path, optional
        Cord mask of a single image, in place of the segmented one: the task then writes no cord.
    output : Path, optional
        Output of a single image; by default, suffixes are added to the name of the image.
    page : PageOptions, optional
        Page of quality control that the results are added to.
    overwrite : bool
        Replace files that this package did not write, or that were edited since.
    verbosity : int
        A progress bar is shown from 1 on.

    Yields
    ------
    SegmentedImage
        One for each image that could be segmented, once its files are there.

    Raises
    ------
    SctRootletsError
        Before anything is computed, if there is no such model or file, a file is no NIfTI image, two images would
        write one file, or a file that is kept would be replaced. After all images, if some failed; with a single
        image, its own error.
    """
    find_model(settings.model)
    from sct_rootlets.output.ownership import check_different
    from sct_rootlets.output.scan import Scan
    from sct_rootlets.output.segmentation import label_map_files, label_map_guard, output_paths

    if cord is not None and all(made.suffix == CORD_SUFFIX for made in task.outputs):
        raise SctRootletsError("the cord mask is given and the task writes nothing else")
    inputs = [*images, *(path for path in (discs, cord) if path is not None)]
    guard = label_map_guard(inputs, overwrite, len(images) > 1)
    written = [made for made in task.outputs if cord is None or made.suffix != CORD_SUFFIX]
    targets: dict[Path, list[Path]] = {}
    planned: list[tuple[Path, Path]] = []
    for path in images:
        named = zip(task.outputs, output_paths(path, task, output), strict=True)
        targets[path] = [target for made, target in named if made in written]
        planned += [(path, file) for file in label_map_files(targets[path])]
    check_different(planned)
    for path, files in targets.items():
        guard.for_scan(Scan.of_file(path, files[0].parent)).check(label_map_files(files))
    _check_images(images, discs)
    first: Inputs | None = None
    if len(images) == 1:  # what is wrong with the file is said before networks are loaded
        first = Inputs.load(image=images[0], discs=discs, cord=cord)
        _check_image(first, task)
    segmenter = load_networks(settings)
    failed: list[str] = []
    for path in _progress(images, verbosity):
        job = _Job(path, task, written, targets[path], guard, output)
        try:
            loaded = first or Inputs.load(image=path, discs=discs, cord=cord)
            yield _segment_file(segmenter, loaded, job, settings, clean_up or CleanUp(), page)
        except SctRootletsError as error:
            if len(images) == 1:
                raise
            failed.append(f"{path}: {error}")
    if failed:
        reasons = "\n  ".join(failed)
        raise SctRootletsError(f"{len(failed)} of {len(images)} images could not be segmented:\n  {reasons}")


def _check_images(images: Sequence[Path], discs: VolumeLike | None) -> None:
    """Raise an `ImageError` if a file cannot be opened, or disc labels lie on another grid than their image."""
    failed = []
    for path in images:
        try:
            grid = look_at_header(path)
            if discs is not None:
                check_same_grid(grid, look_at_header(discs))
        except SctRootletsError as error:
            if len(images) == 1:
                raise
            failed.append(str(error))
    if failed:
        raise ImageError(f"nothing was segmented, as {len(failed)} of {len(images)} images fail: {'; '.join(failed)}")


def _progress(images: Sequence[Path], verbosity: int) -> Any:
    if len(images) == 1 or not verbosity:
        return images
    from tqdm import tqdm

    return tqdm(images, unit="image")


@dataclass(frozen=True)
class _Job:
    """An image to be segmented, and what is written of it."""

    path: Path
    task: Task
    outputs: Sequence[Output]
    targets: list[Path]
    guard: Guard
    output: Path | None


def _segment_file(
    segmenter: Segmenter,
    inputs: Inputs,
    job: _Job,
    settings: SegmentationSettings,
    clean_up: CleanUp,
    page: PageOptions | None,
) -> SegmentedImage:
    from sct_rootlets.output.segmentation import describe, label_map_sidecar, save_label_maps
    from sct_rootlets.segmentation.subject import subject_of_segmentation

    image = inputs.image
    assert image is not None
    _check_image(inputs, job.task)
    segmentation = _segment(segmenter, inputs, settings, clean_up, inputs.cord, [made.suffix for made in job.outputs])
    maps = [output.make(segmentation, image) for output in job.outputs]
    if not any(values.any() for values in maps):
        line = segmentation.centerline
        cord_text = "nor was a cord" if line is None else f"although a cord of {line.cord_length:.0f} mm was"
        raise ImageError(f"no {job.task.what} were found in {image.name}, {cord_text}; nothing was written")
    subject = None
    if segmentation.centerline is not None:
        subject = subject_of_segmentation(image, segmentation, _disc_points(inputs))
    flags = () if subject is None else subject.flags
    model, shown = _describe_model(segmenter), _shown_settings(settings, clean_up)
    if inputs.cord is not None:
        shown["CordMask"] = inputs.cord.name
    sidecars = [label_map_sidecar(output, image, segmentation, model, shown, flags) for output in job.outputs]
    save_label_maps(job.targets, job.outputs, maps, image, sidecars, job.guard)
    flag_lines = [f"note: {flag.note}" for flag in flags if flag.is_raised]
    lines = [f"{image.name}:", *describe(segmentation), *flag_lines]
    lines += ["written:", *(f"  {target}" for target in job.targets)]
    viewing = _viewer_command(inputs, job)
    if page is not None and subject is not None:
        from sct_rootlets.output.page import add_levels  # draws pictures
        from sct_rootlets.report.page.entry import About

        about = About.of_file(image.path, image.name, "sct_deepseg", page.subject, page.dataset, viewing)
        lines.append(f"  {add_levels(page.folder, subject, about)}")
    if page is not None and subject is None:
        lines.append("note: not on the page: no cord was found")
    if job.output is not None and job.output.suffix == ".nii":
        lines.append(f"note: label maps are written compressed: {job.targets[0].name} and not {job.output.name}")
    return SegmentedImage(job.path, job.targets, "\n".join(lines), flags, subject, viewing)


def _viewer_command(inputs: Inputs, job: _Job) -> str:
    """Write the command that shows an image and the label maps of a task."""
    from sct_rootlets.output.viewing import fsleyes_command

    layers: dict[str, Path | None] = {"image": job.path, "cord": None if inputs.cord is None else inputs.cord.path}
    for output, target in zip(job.outputs, job.targets, strict=True):
        layers[_LAYERS.get(output.suffix, "rootlets")] = target
    return fsleyes_command(layers)


def _check_image(inputs: Inputs, task: Task | None = None) -> None:
    """Check before networks run that they can segment the image, and that a task can tell what it writes.

    Raises
    ------
    ImageError
        If voxels or the field of view are too small or too large, or the task tells left from right and the header
        does not.
    """
    assert inputs.image is not None
    check_segmentable(inputs.image)
    if task is not None and task.has_sides:
        check_sides([inputs.image], "this task splits rootlets")


def load_networks(settings: SegmentationSettings) -> Segmenter:
    """Load the networks, and limit the threads they run on.

    Raises
    ------
    ModelError
        If the model is not there, damaged, or cannot run on the device.
    """
    from sct_rootlets.segmentation.load import load_segmenter

    _LOGGER.info("loading the networks")
    model = find_model(settings.model)
    if settings.threads:  # loading takes threads too
        # torch breaks down if asked for millions
        import_torch().set_num_threads(min(settings.threads, os.cpu_count() or 1))
    return load_segmenter(
        model,
        settings.device,
        keeps_names=settings.names == "model",
        is_whole=settings.field_of_view == "full",
        precision=settings.precision,
    )


def _segment(
    segmenter: Segmenter,
    inputs: Inputs,
    settings: SegmentationSettings,
    clean_up: CleanUp,
    given_cord: Volume | None = None,
    wanted: Sequence[str] = (),
) -> Segmentation:
    """Segment an image, remove components as asked, and note what its voxels make doubtful.

    A cord mask that is given takes the place of the segmented one, voxel for voxel. Unless only rootlets are wanted
    (the suffixes of the outputs), an image without a cord is an error.
    """
    from sct_rootlets.segmentation.components import filter_components
    from sct_rootlets.segmentation.cord import no_cord

    image = inputs.image
    assert image is not None
    notes = [*inputs.header_notes, *inputs.image_notes, *(() if segmenter.weights is None else segmenter.weights.notes)]
    thickness = max(image.spacing)
    if thickness > MAX_SLICE_THICKNESS_MM:
        notes.append(f"voxels of {thickness:.3g} mm do not show single rootlets: levels are unreliable")
    mask = None
    if given_cord is not None:
        mask, mask_notes = binary_mask(given_cord)
        notes += mask_notes
    found = segmenter(image, _disc_points(inputs), settings.mirror, mask)
    if found.centerline is None and list(wanted) != [ROOTLETS_SUFFIX]:
        raise NoCordError(no_cord(image))
    rootlets = filter_components(found.rootlets, image.spacing, clean_up.largest, clean_up.remove_small)
    cord = found.cord
    if mask is None:
        cord = filter_components(cord.astype(np.uint8), image.spacing, clean_up.largest, clean_up.remove_small) > 0
    notes += found.notes
    improbable = [level for level in found.spinal.levels if (level.confidence or 0.0) < MIN_NAME_CONFIDENCE]
    if improbable:
        names = ", ".join(level.name for level in improbable)
        notes.append(
            f"improbable names (below {MIN_NAME_CONFIDENCE:g}): {names}: "
            + (
                "left out"
                if settings.omit_uncertain
                else "written all the same (-uncertain-names omit leaves them out)"
            )
        )
    if settings.omit_uncertain:
        rootlets = np.where(np.isin(rootlets, [level.value for level in improbable]), 0, rootlets).astype(np.uint8)
        kept = tuple(level for level in found.spinal.levels if level not in improbable)
        found = replace(found, spinal=replace(found.spinal, levels=kept))
    roots = np.where(rootlets > 0, found.roots, 0)
    return replace(found, rootlets=rootlets, roots=roots, cord=cord, notes=tuple(notes))


def _shown_settings(settings: SegmentationSettings, clean_up: CleanUp) -> dict[str, Any]:
    """Settings that change a label map, as sidecars give them."""
    small = clean_up.remove_small
    another = (
        {}
        if find_model(settings.model).is_bundled
        else {"Names": settings.names, "FieldOfView": settings.field_of_view}
    )
    return {
        "TestTimeAugmentation": settings.mirror,
        "Largest": clean_up.largest,
        **({"UncertainNames": "omit"} if settings.omit_uncertain else {}),
        **another,
        **({"Precision": settings.precision} if settings.precision != "float32" else {}),
        "RemoveSmall": None if small is None else "{:g}{}".format(*small),
    }


def _describe_model(segmenter: Segmenter) -> dict[str, Any]:
    """Name, version and hashes of the model that runs."""
    assert segmenter.weights is not None
    return segmenter.weights.describe()
