"""Images to label maps: the files around `sct_rootlets.segmentation`."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from sct_rootlets.errors import ImageError, SctRootletsError
from sct_rootlets.image import Volume, VolumeLike, check_same_grid
from sct_rootlets.levels import level_name
from sct_rootlets.models.weights import Weights, find_model
from sct_rootlets.nifti import header_notes, load_volume, save_labels
from sct_rootlets.output.files import staged_outputs, write_json, write_table
from sct_rootlets.registration.result import Contrast, Registration
from sct_rootlets.registration.template_folder import TemplateFolder, find_template
from sct_rootlets.registration.to_template import Landmarks, landmark_kinds, read_template_cord, register
from sct_rootlets.segmentation.tasks import TASKS, Output, Task
from sct_rootlets.sidecar import generated_by
from sct_rootlets.spinal import DISTANCE_MM, Method
from sct_rootlets.subject import SubjectLevels, compute_spinal_levels
from sct_rootlets.vertebral import border_points, label_points

if TYPE_CHECKING:
    from sct_rootlets.segmentation.segment import Segmentation, Segmenter

#: Slices thicker than this do not show single rootlets.
THICK_MM = 3.0


@dataclass(frozen=True)
class Settings:
    """How images are segmented.

    Attributes
    ----------
    discs : volume, optional
        Disc labels, which take part in choosing the names of levels.
    vertebrae : volume, optional
        In place of them: the cord coloured by vertebral level.
    model : str, path or Weights, optional
        Name of an installed model, or a model folder, in place of the bundled model of rootlets.
    device : {"cpu", "cuda", "mps"}
    threads : int, optional
        Of the CPU.
    mirror : bool
        Test-time augmentation.
    largest : bool
        Keep only the largest piece of each label.
    remove_small : (float, {"mm3", "vox"}), optional
        Remove smaller pieces.
    qc : Path, optional
        Folder of the page of quality control.
    qc_dataset, qc_subject : str, optional
        What the page calls the dataset and the subject.
    """

    discs: VolumeLike | None = None
    vertebrae: VolumeLike | None = None
    model: str | os.PathLike[str] | Weights | None = None
    device: str = "cpu"
    threads: int | None = None
    mirror: bool = False
    largest: bool = False
    remove_small: tuple[float, str] | None = None
    qc: Path | None = None
    qc_dataset: str | None = None
    qc_subject: str | None = None


@dataclass(frozen=True)
class Written:
    """An image that has been segmented.

    Attributes
    ----------
    image : Path
    outputs : list of Path
        Label maps, in the order of the task's outputs.
    text : str
        What was found, and where it was written.
    """

    image: Path
    outputs: list[Path]
    text: str


def segment_rootlets(image: VolumeLike, settings: Settings | None = None) -> Segmentation:
    """Segment cord and rootlets of an image, and name the levels.

    Parameters
    ----------
    image : path, nibabel image or (array, affine)
        T2w scan or MP2RAGE image of the neck, in any axis order.
    settings : Settings, optional

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
    settings = settings or Settings()
    volume = load_volume(image)
    return _segmented(_segmenter(settings), volume, settings)


def levels_of_image(
    image: VolumeLike,
    *,
    rootlets: VolumeLike | None = None,
    cord: VolumeLike | None = None,
    discs: VolumeLike | None = None,
    vertebrae: VolumeLike | None = None,
    pmj: VolumeLike | None = None,
    centerline: VolumeLike | None = None,
    method: Method = "segment",
    distance_mm: float = DISTANCE_MM,
    settings: Settings | None = None,
    segmenter: Segmenter | None = None,
) -> SubjectLevels:
    """Spinal levels, and vertebral levels if discs are given, of an image: what is not given is segmented.

    Parameters
    ----------
    image : volume
    rootlets, cord : volume, optional
        Used where they are given, on the grid of the image.
    discs, vertebrae, pmj, centerline, method, distance_mm
        See `sct_rootlets.subject.compute_spinal_levels`.
    settings : Settings, optional
    segmenter : sct_rootlets.segmentation.segment.Segmenter, optional
        Loaded before, with the same model and device as in `settings`, for many images.

    Returns
    -------
    sct_rootlets.subject.SubjectLevels
        With what was segmented in `SubjectLevels.segmented`.

    Raises
    ------
    ImageError
        As for `segment_rootlets`; and if neither rootlets are found nor discs given.
    """
    volume = load_volume(image)
    # Read once, used twice.
    discs, vertebrae = (None if given is None else load_volume(given) for given in (discs, vertebrae))
    segmented: dict[str, Volume] = {}
    notes: tuple[str, ...] = ()
    facts: dict[str, object] = {}
    sidecars: dict[str, dict[str, object]] = {}
    confidence: dict[int, float] = {}
    wanted = [name for name, given in (("cord", cord), ("rootlets", rootlets)) if given is None]
    if wanted:
        settings = replace(settings or Settings(), discs=discs, vertebrae=vertebrae)
        settings = replace(settings, model=find_model(settings.model))  # found once: what is described is what ran
        found, segmented, sidecars = segment_missing(volume, wanted, settings, segmenter)
        notes, facts = found.notes, {"Model": model_description(settings)}
        if rootlets is None:
            facts["NamesFromDiscs"] = found.names_from_discs
        if "rootlets" in segmented:
            confidence = {one.value: one.confidence for one in found.stretches}
        if rootlets is None and "rootlets" not in segmented and discs is None and vertebrae is None:
            raise ImageError(f"no rootlets of C2 to T1 were found in {volume.name}, and no discs were given")
    subject = compute_spinal_levels(
        segmented.get("rootlets", rootlets),
        cord=segmented.get("cord", cord),
        discs=discs,
        vertebrae=vertebrae,
        pmj=pmj,
        centerline=centerline,
        image=volume,
        method=method,
        distance_mm=distance_mm,
    )
    return replace(
        subject,
        segmented=segmented,
        sidecars=sidecars,
        confidence=confidence,
        settings={**subject.settings, **facts},
        notes=(*notes, *subject.notes),
    )


def segment_missing(
    volume: Volume, wanted: Collection[str], settings: Settings, segmenter: Segmenter | None = None
) -> tuple[Segmentation, dict[str, Volume], dict[str, dict[str, Any]]]:
    """Segment what was not given.

    Parameters
    ----------
    volume : Volume
        The image.
    wanted : collection of {"cord", "rootlets"}
    settings : Settings
    segmenter : sct_rootlets.segmentation.segment.Segmenter, optional
        Loaded before.

    Returns
    -------
    found : sct_rootlets.segmentation.segment.Segmentation
    maps : dict of str to Volume
        Those wanted; rootlets are missing where none were found.
    sidecars : dict of str to dict
        Of the maps.
    """
    settings = replace(settings, model=find_model(settings.model))
    found = _segmented(segmenter or _segmenter(settings), volume, settings)
    outputs = dict(zip(("rootlets", "cord"), TASKS["rootlets_cord"].outputs, strict=True))
    made = {name: outputs[name].make(found, volume) for name in wanted}
    maps = {
        name: replace(volume, data=values, name=f"{name} of {volume.name}", path=None)
        for name, values in made.items()
        if values.any()
    }
    return found, maps, {name: sidecar(outputs[name], volume, found, settings) for name in maps}


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
    model: str | os.PathLike[str] | None = None,
    device: str = "cpu",
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
    model, device
        Of the segmentation.

    Returns
    -------
    Registration
        With the maps that were segmented in `Registration.segmented`.

    Raises
    ------
    ImageError
        As for `register`; and if rootlets are needed and none are found.
    """
    kinds = landmark_kinds(landmarks)
    if image is None and (cord is None or ("rootlets" in kinds and rootlets is None)):
        raise ImageError("without an image, cord and rootlets cannot be segmented: give them, or the image")
    if "discs" in kinds and discs is None:
        raise ImageError(f"landmarks {landmarks!r} need disc labels")
    given = {"image": image, "cord": cord, "rootlets": rootlets, "discs": discs}
    volumes = {name: load_volume(source) for name, source in given.items() if source is not None}
    reference = volumes["image"] if image is not None else volumes["cord"]
    for volume in volumes.values():
        check_same_grid(reference, volume)
    folder = template if isinstance(template, TemplateFolder) else find_template(template)
    read_template_cord(folder, kinds)  # a template that cannot be used is reported before minutes of segmentation
    wanted = [name for name in ("cord", "rootlets") if name not in volumes and (name == "cord" or name in kinds)]
    maps: dict[str, Volume] = {}
    sidecars: dict[str, dict[str, Any]] = {}
    if wanted:
        settings = Settings(discs=volumes.get("discs"), model=model, device=device)
        _, maps, sidecars = segment_missing(volumes["image"], wanted, settings)
        if "rootlets" in wanted and "rootlets" not in maps:
            name = volumes["image"].name
            raise ImageError(f"no rootlets of C2 to T1 were found in {name}; give them (-rootlets), or use discs")
    labels = {name: volumes.get(name, maps.get(name)) for name in ("cord", "rootlets", "discs")}
    registration = register(
        volumes.get("image"),
        **labels,
        template=folder,
        landmarks=landmarks,
        contrast=contrast,
        by_shape=by_shape,
    )
    notes = tuple(note for volume in volumes.values() for note in header_notes(volume))
    return replace(registration, sources=volumes, segmented=maps, sidecars=sidecars, header_notes=notes)


def segment_files(
    images: Sequence[Path], task: Task, settings: Settings, output: Path | None = None, verbosity: int = 1
) -> Iterator[Written]:
    """Segment images and write what a task writes; an image that fails does not keep the others from being done.

    Parameters
    ----------
    images : sequence of Path
    task : Task
    settings : Settings
    output : Path, optional
        Of a single image; by default, suffixes are added to the name of the image.
    verbosity : int
        A progress bar is shown from 1 on.

    Yields
    ------
    Written
        Of each image that could be segmented, once its files are there.

    Raises
    ------
    SctRootletsError
        After all images, if some failed; with a single image, its own error.
    """
    settings = replace(settings, model=find_model(settings.model))  # found once: what is described is what ran
    segmenter = _segmenter(settings)
    failed: list[str] = []
    for path in _progress(images, verbosity):
        try:
            yield _segment_file(segmenter, path, task, settings, output)
        except SctRootletsError as error:
            if len(images) == 1:
                raise
            failed.append(f"{path}: {error}")
    if failed:
        reasons = "\n  ".join(failed)
        raise SctRootletsError(f"{len(failed)} of {len(images)} images could not be segmented:\n  {reasons}")


def _progress(images: Sequence[Path], verbosity: int) -> Any:
    if len(images) == 1 or not verbosity:
        return images
    from tqdm import tqdm

    return tqdm(images, unit="image")


def _segmenter(settings: Settings) -> Segmenter:
    from sct_rootlets.segmentation.segment import load_segmenter

    segmenter = load_segmenter(settings.model, settings.device)
    if settings.threads:
        import torch

        torch.set_num_threads(settings.threads)
    return segmenter


def _segment_file(segmenter: Segmenter, path: Path, task: Task, settings: Settings, output: Path | None) -> Written:
    volume = load_volume(path)
    segmentation = _segmented(segmenter, volume, settings)
    targets = output_paths(path, task, output)
    maps = [made.make(segmentation, volume) for made in task.outputs]
    if not any(values.any() for values in maps):
        raise ImageError(
            f"no rootlets of C2 to T1 were found in {volume.name}, although a cord of "
            f"{segmentation.centerline.cord_length:.0f} mm was; nothing was written"
        )
    with staged_outputs(targets[0].parent, keep=[path]) as stage:
        for made, values, target in zip(task.outputs, maps, targets, strict=True):
            _save(stage / target.name, made, values, volume, segmentation, settings)
    lines = [f"{volume.name}:", *describe(segmentation), "written:", *(f"  {target}" for target in targets)]
    if settings.qc is not None:
        lines.append(f"  {_add_to_page(volume, segmentation, settings)}")
    return Written(path, targets, "\n".join(lines))


def _add_to_page(volume: Volume, segmentation: Segmentation, settings: Settings) -> Path:
    from sct_rootlets.output.page import add_scan
    from sct_rootlets.report.page.entry import About
    from sct_rootlets.report.page.scan import scan_of_segmentation

    assert settings.qc is not None
    about = About.of_file(volume.path, volume.name, "sct_deepseg", settings.qc_subject, settings.qc_dataset)
    return add_scan(settings.qc, scan_of_segmentation(volume, segmentation, _disc_points(volume, settings)), about)


def output_paths(image: Path, task: Task, output: Path | None) -> list[Path]:
    """Where the outputs of a task go.

    Parameters
    ----------
    image : Path
    task : Task
    output : Path, optional
        As the user gave it, with or without ending.
    """
    if output is None:
        return [image.with_name(f"{_stem(image)}{made.suffix}.nii.gz") for made in task.outputs]
    if output.is_dir():
        raise ImageError(f"{output} is a folder; give a file name (-o)")
    suffixes = [made.suffix for made in task.outputs] if len(task.outputs) > 1 else [""]
    return [output.with_name(f"{_stem(output)}{suffix}.nii.gz") for suffix in suffixes]


def _stem(path: Path) -> str:
    name = path.name
    for ending in (".nii.gz", ".nii"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _segmented(segmenter: Segmenter, volume: Volume, settings: Settings) -> Segmentation:
    """Segment a volume, tidy up as asked, and note what its voxels make doubtful."""
    discs = _disc_points(volume, settings)
    notes: list[str] = []
    if max(volume.spacing) > THICK_MM:
        notes.append(f"voxels of {max(volume.spacing):.3g} mm do not show single rootlets: levels are unreliable")
    found = segmenter(volume, discs, settings.mirror)
    tidied = tidy(found.rootlets, volume.spacing, settings.largest, settings.remove_small)
    return replace(
        found,
        rootlets=tidied,
        roots=np.where(tidied > 0, found.roots, 0),
        cord=tidy(found.cord.astype(np.uint8), volume.spacing, settings.largest, settings.remove_small) > 0,
        notes=(*notes, *found.notes),
    )


def _disc_points(volume: Volume, settings: Settings) -> dict[int, np.ndarray] | None:
    """Discs that were given, as labels or as the borders of a vertebral map: RAS+ mm by value."""
    discs = None
    for given, points in ((settings.discs, label_points), (settings.vertebrae, border_points)):
        if given is not None:
            labels = load_volume(given)
            check_same_grid(volume, labels)
            discs = points(labels)
    return discs


def tidy(
    labels: np.ndarray, spacing_mm: np.ndarray, largest: bool, remove_small: tuple[float, str] | None
) -> np.ndarray:
    """Remove pieces of labels: all but the largest of each, or small ones.

    Parameters
    ----------
    labels : numpy.ndarray of uint8, shape (I, J, K)
    spacing_mm : numpy.ndarray, shape (3,)
    largest : bool
    remove_small : (float, {"mm3", "vox"}), optional
    """
    if not largest and remove_small is None:
        return labels
    result = labels.copy()
    for value in np.unique(labels[labels > 0]):
        pieces, n_pieces = ndimage.label(labels == value, np.ones((3, 3, 3)))
        sizes = np.bincount(pieces.ravel(), minlength=n_pieces + 1)
        sizes[0] = 0
        drop = np.zeros(n_pieces + 1, dtype=bool)
        if remove_small is not None:
            size, unit = remove_small
            drop |= sizes * (float(np.prod(spacing_mm)) if unit == "mm3" else 1.0) < size
        if largest:
            drop |= np.arange(n_pieces + 1) != sizes.argmax()
        drop[0] = False
        result[drop[pieces]] = 0
    return result


def describe(segmentation: Segmentation) -> list[str]:
    """Levels with their confidence, and notes, one line each."""
    counts = np.bincount(segmentation.rootlets[segmentation.rootlets > 0], minlength=256)
    lines = [
        f"  {level_name(one.value, 'spinal'):<4}{counts[one.value]:5d} voxels, confidence {one.confidence:.2f}"
        for one in segmentation.stretches
    ]
    return lines + [f"note: {note}" for note in segmentation.notes]


def _save(
    path: Path, made: Output, values: np.ndarray, volume: Volume, segmentation: Segmentation, settings: Settings
) -> None:
    save_labels(path, values, volume)
    stem = str(path.with_name(_stem(path)))
    names = made.names()
    present = [int(value) for value in np.unique(values[values > 0])]
    write_table(
        Path(f"{stem}.tsv"),
        ("index", "name", "color"),
        [{"index": value, "name": names[value][0], "color": names[value][1]} for value in present],
        separator="\t",
    )
    write_json(Path(f"{stem}.json"), sidecar(made, volume, segmentation, settings))


def sidecar(made: Output, volume: Volume, segmentation: Segmentation, settings: Settings) -> dict[str, Any]:
    """What a user, or a pipeline, should be able to learn of a label map later."""
    return {
        "Description": made.description,
        "SpatialReference": volume.name,
        "GeneratedBy": generated_by(),
        "Model": model_description(settings),
        "Settings": {
            "TestTimeAugmentation": settings.mirror,
            "Largest": settings.largest,
            "RemoveSmall": None if settings.remove_small is None else "{:g}{}".format(*settings.remove_small),
        },
        "NamesFromDiscs": segmentation.names_from_discs,
        "Levels": [
            {
                "Name": level_name(one.value, "spinal"),
                "Confidence": round(one.confidence, 3),
                "RostralEndSD": round(one.rostral_sd_mm, 2),
                "CaudalEndSD": round(one.caudal_sd_mm, 2),
            }
            for one in segmentation.stretches
        ],
        "Notes": list(segmentation.notes),
    }


def model_description(settings: Settings) -> dict[str, Any]:
    """Name, version and hashes of the model of rootlets."""
    return find_model(settings.model).describe()
