"""All measures of one scan: its levels and the images, masks and lesions that belong to them, read and measured."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import nibabel as nib
import numpy as np

from sct_rootlets.bids import stem
from sct_rootlets.cord_mask import implausible_sections, measure_sections
from sct_rootlets.errors import DatasetError, ImageError, LabelError
from sct_rootlets.flags import Flag
from sct_rootlets.image import Volume, as_axial, binary_mask, check_same_grid
from sct_rootlets.label_kinds import check_no_scan
from sct_rootlets.measure.cord_levels import (
    MIN_MASK_VALUE,
    CordLevels,
    is_soft,
    read_cord,
    read_weights,
    threshold_reason,
)
from sct_rootlets.measure.lesions import Lesion, LevelLesions, measure_lesions, note_filled_sections
from sct_rootlets.measure.shape import LevelShape, SliceShapes, measure_slices, shape_by_level
from sct_rootlets.measure.shown_cord import ShownCord, find_shown_cord, note_shown_cord
from sct_rootlets.measure.signal import (
    CordOverlap,
    Division,
    Region,
    SignalStatistics,
    SignalWeights,
    compare_cords,
    leave_out,
    level_weights,
    mean_of_volume,
    restrict,
    summarize_signal,
)
from sct_rootlets.nifti import Series, check_sides, header_notes, load_field, load_series, load_volume, look_at_header
from sct_rootlets.nifti_file import open_nifti

_LOGGER = logging.getLogger(__name__)

#: Label of what is measured without a mask.
CORD_LABEL = "cord"
#: Computes weights on the grid of an image.
Weigh = Callable[[CordLevels], SignalWeights]
#: Seconds in a unit of time, by its code in a header.
_SECONDS_PER_UNIT = {8: 1.0, 16: 1e-3, 24: 1e-6}


@dataclass(frozen=True, kw_only=True)
class MeasuredImage:
    """Signal of one image, or time series.

    Attributes
    ----------
    name : str
        Name of the file.
    statistics : dict of str to list of SignalStatistics
        By the label of the mask; empty for a time series.
    regions : dict of str to tuple of Region
        Columns of the series, by the label of the mask.
    series : dict of str to numpy.ndarray, shape (volumes, regions)
        Mean of each region in each volume, by the label of the mask; empty for a single volume.
    seconds : float
        Time between volumes; NaN where the header does not tell.
    overlap : CordOverlap or None
        How the cord of the image lies to that of the levels, if its mask was given.
    is_placed_by_header : bool
        Whether headers alone say how an image on another grid lies to the levels.
    """

    name: str
    statistics: dict[str, list[SignalStatistics]]
    regions: dict[str, tuple[Region, ...]] = field(default_factory=dict)
    series: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: float = np.nan
    overlap: CordOverlap | None = None
    is_placed_by_header: bool = False


@dataclass(frozen=True)
class MaskedWeights:
    """Weights of regions on the grid of an image, and a mask.

    Attributes
    ----------
    base : SignalWeights
        Before the mask.
    mask : numpy.ndarray, shape (I, J, K)
        Share of each voxel that counts, 0 to 1.
    """

    base: SignalWeights
    mask: np.ndarray

    @cached_property
    def restricted(self) -> SignalWeights:
        """Weights within the mask."""
        return restrict(self.base, self.mask)

    def without(self, outside: np.ndarray) -> SignalWeights:
        """Leave out voxels that the image does not show, shape (I, J, K); returns weights within the mask."""
        return restrict(leave_out(self.base, outside), self.mask) if outside.any() else self.restricted


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What was measured of one scan.

    Attributes
    ----------
    cord : CordLevels
    slices : SliceShapes
    shapes : list of LevelShape
    images : list of MeasuredImage
    lesions : list of Lesion or None
        None if no lesions were given.
    level_lesions : list of LevelLesions
    sources : dict
        Names of the inputs, by what they are (`MeasuredFiles.describe`).
    notes : tuple of str
    """

    cord: CordLevels
    slices: SliceShapes
    shapes: list[LevelShape]
    images: list[MeasuredImage] = field(default_factory=list)
    lesions: list[Lesion] | None = None
    level_lesions: list[LevelLesions] = field(default_factory=list)
    sources: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def flags(self) -> list[Flag]:
        """How the cords of images lie to the cord of the levels."""
        return [flag for image in self.images if image.overlap is not None for flag in image.overlap.flags(image.name)]


@dataclass(frozen=True, kw_only=True)
class MeasuredFiles:
    """Files beside the levels.

    Attributes
    ----------
    images : tuple of Path
        3D or 4D.
    image_cords : tuple of (Path or None)
        Cord mask of each image, None where it is not known; or empty.
    masks : tuple of Path
        Masks within which the images are measured, each by itself.
    lesions : Path, optional
    warp : Path, optional
        Displacement field from the levels to the images (ITK).
    division : {"level", "side", "half", "quarter"}
    """

    images: tuple[Path, ...] = ()
    image_cords: tuple[Path | None, ...] = ()
    masks: tuple[Path, ...] = ()
    lesions: Path | None = None
    warp: Path | None = None
    division: Division = "level"

    @property
    def paths(self) -> list[Path]:
        """All files."""
        others = [path for path in (*self.image_cords, self.lesions, self.warp) if path is not None]
        return [*self.images, *self.masks, *others]

    def describe(self) -> dict[str, object]:
        """Names of the files by what they are, for the record; what was not given is left out."""
        lists = {"Images": self.images, "ImageCords": self.image_cords, "Masks": self.masks}
        facts: dict[str, object] = {
            what: [None if path is None else path.name for path in paths] for what, paths in lists.items() if paths
        }
        single = {"Lesions": self.lesions, "Warp": self.warp}
        facts |= {what: path.name for what, path in single.items() if path is not None}
        return facts | ({"Division": self.division} if self.images else {})

    def check(self) -> None:
        """Look at the headers of all files before anything is computed.

        Raises
        ------
        ImageError, DatasetError
            If a file is no image, masks and images do not belong together, or two images share a name.
        """
        names = [stem(path.name) for path in self.images]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise DatasetError(f"two images are called {twice}, and so would be their rows; rename one of them")
        labels = [stem(path.name) for path in self.masks]
        twice = next((name for name in labels if labels.count(name) > 1), None)
        if twice is not None:
            raise DatasetError(f"two masks are called {twice}, and so would be their rows; rename one of them")
        if self.image_cords and len(self.image_cords) != len(self.images):
            raise DatasetError(
                f"{len(self.images)} images and {len(self.image_cords)} cord masks of images were given; give one mask "
                "for each image, in the same order (-s-image)"
            )
        for path in self.images:
            load_series(path)
        for mask in (*self.image_cords, *self.masks, self.lesions):
            if mask is not None:
                look_at_header(mask)
        if self.warp is not None:
            load_warp_header(self.warp)


def load_warp_header(path: Path) -> None:
    """Check that a file is a displacement field as ITK writes it, from its header.

    Raises
    ------
    ImageError
    """
    shape = open_nifti(path).shape
    if len(shape) != 5 or shape[3:] != (1, 3):
        raise ImageError(
            f"{path} is not a displacement field: its shape is {'×'.join(map(str, shape))}, and that of a field "
            "X×Y×Z×1×3; give a warp as sct_register_multimodal or ANTs writes it"
        )


def load_warp(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a displacement field, RAS+ mm, and its affine.

    Raises
    ------
    ImageError
        If the file is damaged.
    """
    try:
        return load_field(path)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ImageError(f"{path} is truncated or damaged; copy or create it again") from error


def measure_scan(cord: CordLevels, files: MeasuredFiles | None = None) -> Measures:
    """Measure shape, signal and lesions of one scan.

    Parameters
    ----------
    cord : CordLevels
    files : MeasuredFiles, optional
        Without files, the shape alone is measured.

    Returns
    -------
    Measures

    Raises
    ------
    ImageError, LabelError
        If a file cannot be read, is not what it should be, or does not show the cord of the levels.
    """
    files = files or MeasuredFiles()
    notes = list(cord.notes)
    if files.division in ("side", "quarter"):
        check_sides([cord.cord], "levels are divided")
    _LOGGER.info("measuring the cord")
    slices = measure_slices(cord.cord)
    notes += slices.notes
    inside = cord.cord.data >= 0.5
    sections = measure_sections(inside, cord.cord.affine, cord.centerline)
    notes += implausible_sections(inside, cord.cord.affine, cord.centerline, sections)
    warp = None if files.warp is None else load_warp(files.warp)
    images = []
    for number, path in enumerate(files.images):
        _LOGGER.info("measuring %s: image %d of %d", path.name, number + 1, len(files.images))
        mask = files.image_cords[number] if files.image_cords else None
        own_cord = None if mask is None else load_volume(mask)
        image, image_notes = _measure_image(cord, path, own_cord, files, warp)
        images.append(image)
        notes += image_notes
    lesions: list[Lesion] | None = None
    level_lesions: list[LevelLesions] = []
    if files.lesions is not None:
        lesions, level_lesions, lesion_notes = _measure_lesions(cord, files.lesions)
        notes += lesion_notes
    return Measures(
        cord=cord,
        slices=slices,
        shapes=shape_by_level(slices, cord),
        images=images,
        lesions=lesions,
        level_lesions=level_lesions,
        sources=files.describe(),
        notes=tuple(dict.fromkeys(notes)),
    )


def _measure_image(
    cord: CordLevels,
    path: Path,
    own_cord: Volume | None,
    files: MeasuredFiles,
    warp: tuple[np.ndarray, np.ndarray] | None,
) -> tuple[MeasuredImage, list[str]]:
    series = load_series(path)
    notes = header_notes(series)
    grid = Volume(np.broadcast_to(np.zeros(1, np.uint8), series.shape), series.affine, series.name, series.header, path)
    axial = as_axial(grid)

    shift_mm = None

    def weights_of(levels: CordLevels) -> SignalWeights:
        return level_weights(levels, axial.data.shape, axial.affine, files.division, warp, shift_mm, series.name)

    whole = weights_of(cord)
    overlap = None
    is_placed_by_header = own_cord is None and warp is None and not _is_same_grid(cord.cord, grid)
    within: np.ndarray | float = 1.0
    if own_cord is not None:
        check_same_grid(grid, own_cord)
        own_weights, mask_notes = read_cord(own_cord)
        within = own_weights.data
        notes += mask_notes
        overlap = compare_cords(within, axial.affine, whole)
        if overlap is None or overlap.dice == 0:
            raise LabelError(
                f"{own_cord.name} and the levels do not overlap: no slice shows the cord of both; check that they are "
                "of one session, or give a warp (-w)"
            )
        shift_mm = overlap.vector_mm
        whole = weights_of(cord)
        notes.append(
            f"{own_cord.name}: the cords overlap with a Dice coefficient of {overlap.dice:.2f}; that of the image lies "
            f"{abs(overlap.left_mm):.1f} mm to the {'left' if overlap.left_mm >= 0 else 'right'} and "
            f"{abs(overlap.anterior_mm):.1f} mm to {'anterior' if overlap.anterior_mm >= 0 else 'posterior'} "
            "of that of the levels; this shift is taken back"
        )
    elif is_placed_by_header:
        seen = float(np.mean(whole.covered > 0))
        notes.append(
            f"{series.name}: {seen:.0%} of the levels are in view by the headers; whether the person moved between the "
            "scans is not known without its cord mask (-s-image)"
        )
    masks = {CORD_LABEL: MaskedWeights(whole, np.broadcast_to(within, axial.data.shape))}
    if files.masks:
        masks = {}
        for mask in files.masks:
            masks[stem(mask.name)], mask_notes = _masked(cord, mask, grid, whole, within, weights_of)
            notes += mask_notes
    for label, weights in masks.items():
        if not weights.restricted.weights.any():
            raise LabelError(
                f"{label} and the levels do not overlap in {series.name}: nothing is left to measure; check that the "
                "mask shows the cord"
            )
    measured, shown = _signal(series, masks, whole)
    if not _has_values(measured):
        raise ImageError(
            f"{series.name} holds no values in the levels other than 0, NaN or infinity: nothing is left to measure; "
            "check that the image shows this part of the cord"
        )
    notes += note_shown_cord(series.name, shown, series.length is not None)
    return replace(measured, overlap=overlap, is_placed_by_header=is_placed_by_header), notes


def _masked(
    cord: CordLevels, path: Path, grid: Volume, whole: SignalWeights, within: np.ndarray | float, weights_of: Weigh
) -> tuple[MaskedWeights, list[str]]:
    """Restrict weights to a mask on the grid of the image, or on that of the levels."""
    mask = load_volume(path)
    weights, notes = read_weights(mask)
    if _is_same_grid(grid, mask):
        return MaskedWeights(whole, weights.data * within), notes
    if not _is_same_grid(cord.cord, mask):
        check_same_grid(grid, mask)  # raises the error that says how they differ
    product = replace(cord.cord, data=cord.cord.data * weights.data)
    if not any(product.data[volume.data > 0].any() for volume in cord.maps.values()):
        raise LabelError(
            f"{path.name} and the levels do not overlap: nothing is left to measure; check that the mask shows the cord"
        )
    inside = weights_of(replace(cord, cord=product))
    return MaskedWeights(inside, np.broadcast_to(within, as_axial(grid).data.shape)), notes


def _is_same_grid(reference: Volume, other: Volume) -> bool:
    try:
        check_same_grid(reference, other)
    except ImageError:
        return False
    return True


def _signal(
    series: Series, masks: dict[str, MaskedWeights], whole: SignalWeights
) -> tuple[MeasuredImage, list[ShownCord]]:
    """Read the volumes of an image, one at a time, and measure what each shows of the cord."""
    statistics: dict[str, list[SignalStatistics]] = {}
    rows: dict[str, list[np.ndarray]] = {label: [] for label in masks}
    shown = []
    for data in series.volumes():
        volume = as_axial(Volume(data, series.affine))
        found = find_shown_cord(volume.data, whole, float(volume.spacing[2]))
        values = np.where(found.outside, np.nan, volume.data) if found.outside.any() else volume.data
        for label, weights in masks.items():
            if series.length is None:
                statistics[label] = summarize_signal(values, weights.without(found.outside))
            else:
                rows[label].append(mean_of_volume(values, weights.restricted))
        # Only one volume is in memory at a time.
        shown.append(found if series.length is None else replace(found, outside=np.zeros(0, dtype=bool)))
    measured = MeasuredImage(
        name=series.name,
        statistics=statistics,
        regions={label: weights.base.regions for label, weights in masks.items()},
        series={} if series.length is None else {label: np.array(values) for label, values in rows.items()},
        seconds=_seconds_between(series),
    )
    return measured, shown


def _has_values(image: MeasuredImage) -> bool:
    """Whether any region of an image has a value."""
    has_mean = any(found.n_voxels for regions in image.statistics.values() for found in regions)
    return has_mean or any(np.isfinite(values).any() for values in image.series.values())


def _seconds_between(series: Series) -> float:
    """Time between volumes by the header; NaN where it does not tell."""
    header = series.header
    if series.length is None or not isinstance(header, nib.Nifti1Header) or len(header.get_zooms()) < 4:
        return np.nan
    seconds = float(header.get_zooms()[3]) * _SECONDS_PER_UNIT.get(int(header["xyzt_units"]) & 0x38, np.nan)
    return seconds if np.isfinite(seconds) and seconds > 0 else np.nan


def _measure_lesions(cord: CordLevels, path: Path) -> tuple[list[Lesion], list[LevelLesions], list[str]]:
    volume = load_volume(path)
    if not is_soft(volume):
        check_no_scan(volume, "give a mask of the lesions, 1 in lesions and 0 elsewhere")
    if np.all(np.abs(volume.data) < MIN_MASK_VALUE):
        highest = float(volume.data.max())
        note = f"{volume.name} is empty: there are no lesions"
        if highest > 0:
            note = (
                f"{volume.name} is not empty: {threshold_reason(highest)}; no lesions are measured: threshold it "
                "yourself if lower values are lesions"
            )
        return [], measure_no_lesions(cord), [note]
    mask, notes = binary_mask(volume)
    lesions, by_level = measure_lesions(mask, volume.affine, cord, volume.name)
    notes += note_filled_sections(lesions)
    outside = [str(lesion.number) for lesion in lesions if lesion.in_cord < 0.5]
    if outside:
        notes.append(f"more than half of lesion {', '.join(outside)} lies outside the cord mask")
    unnamed = [str(lesion.number) for lesion in lesions if not lesion.volumes_mm3]
    if unnamed:
        notes.append(f"lesion {', '.join(unnamed)} lies in no level")
    return lesions, by_level, notes


def measure_no_lesions(cord: CordLevels) -> list[LevelLesions]:
    """Return the lesions of each level of a cord that has none."""
    return [
        LevelLesions(
            level=level,
            number=0,
            volume_mm3=0.0,
            level_volume_mm3=cord.volume_mm3(level),
            length_mm=0.0,
            axial_share=0.0,
        )
        for level in cord.all_levels
    ]
