"""Lesions of the cord: each lesion, and what each level has of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume, as_axial
from sct_rootlets.measure.cord_levels import CordLevels, MeasuredLevel, voxel_along_cord

#: Lesions of which less lies in the cord of the levels are noted.
MIN_SHARE_IN_CORD = 0.5
#: Points of a lesion further from the middle of the cord are not lesions of the cord: twice its half width.
MAX_BESIDE_CORD_MM = 15.0
#: A mask that takes more of the cord than this is one of the cord. A lesion of 60 % of each section takes at most 60 %,
#: however long it is; cords of two methods overlap more (Dice coefficients of 0.85 and above).
MAX_SHARE_OF_CORD = 0.75
#: Labelled levels and lesions that agree in more of both volumes than this are the same map: lesions do not end where
#: levels do.
MAX_SHARE_OF_LEVELS = 0.9
#: A longer lesion that fills more of the cord in most sections than this is noted: long lesions leave a rim, and taper.
FILLED_SECTION, FILLED_LENGTH_MM = 0.9, 40.0
#: Voxels are divided into parts of at most this size to share lesions out over borders.
PART_MM = 0.25
#: Layers that a voxel of the cord mask is divided into across the slices of the lesions.
LAYERS_OF_A_VOXEL = 20


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """One lesion: voxels that touch one another, also at their corners.

    Attributes
    ----------
    number : int
        From 1, from rostral to caudal.
    volume_mm3 : float
    rostral_mm, caudal_mm : float
        Ends in mm of arc length.
    middle_mm : float
        Arc length of the centre of mass.
    axial_share : float
        Greatest share of the cord's cross-section that the lesion takes in a slice; NaN outside of the cord mask.
    median_share : float
        Median of this share over the slices of the lesion.
    in_cord : float
        Share of the lesion's volume that lies in the cord mask.
    volumes_mm3 : dict of MeasuredLevel to float
        Volume of the lesion in each level that it reaches.
    """

    number: int
    volume_mm3: float
    rostral_mm: float
    caudal_mm: float
    middle_mm: float
    axial_share: float
    median_share: float
    in_cord: float
    volumes_mm3: dict[MeasuredLevel, float]

    @property
    def length_mm(self) -> float:
        """Length along the cord."""
        return self.caudal_mm - self.rostral_mm


@dataclass(frozen=True, kw_only=True)
class LevelLesions:
    """Lesions of one level.

    Attributes
    ----------
    level : MeasuredLevel
    number : int
        Number of lesions that reach into the level.
    volume_mm3 : float
    level_volume_mm3 : float
        Volume of the cord in the level.
    length_mm : float
        Length of the level, along the cord, that shows any lesion.
    axial_share : float
        Greatest share of the cross-section that lesions take in a slice of the level; 0 without lesions.
    """

    level: MeasuredLevel
    number: int
    volume_mm3: float
    level_volume_mm3: float
    length_mm: float
    axial_share: float

    @property
    def volume_share(self) -> float:
        """Share of the level's volume; NaN if the level is empty."""
        return self.volume_mm3 / self.level_volume_mm3 if self.level_volume_mm3 else np.nan


def measure_lesions(
    mask: np.ndarray, affine: np.ndarray, cord: CordLevels, name: str = "the mask of lesions"
) -> tuple[list[Lesion], list[LevelLesions]]:
    """Measure lesions along the cord, and share them out between levels by volume.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (I, J, K)
        Lesions, on any grid in the space of the levels.
    affine : numpy.ndarray, shape (4, 4)
    cord : CordLevels
    name : str
        What messages call the mask.

    Returns
    -------
    lesions : list of Lesion
        From rostral to caudal.
    levels : list of LevelLesions
        All levels, spinal ones first.

    Raises
    ------
    LabelError
        If no part of the lesions lies in the cord, or they are the cord, or its labelled levels.
    """
    axial = as_axial(Volume(mask, affine))
    parts, n_parts = ndimage.label(axial.data, np.ones((3, 3, 3)))
    ijk = np.argwhere(parts)
    owner = parts[tuple(ijk.T)]
    points, voxel_mm3 = _points(ijk, axial.affine)
    place = cord.centerline.project(points.reshape(-1, 3))
    arc, distance = (values.reshape(points.shape[:2]) for values in (place.arc, place.distance))
    weight = _cord_at(cord, points)
    if not (weight > 0).any() or distance.min() > MAX_BESIDE_CORD_MM:
        raise LabelError(
            f"the lesions lie outside the cord, at least {distance.min():.0f} mm from its middle; check that they "
            "belong to the scan of the levels"
        )
    areas = _cord_areas(axial, cord)
    shares = _axial_shares(axial, parts, areas)
    found = []
    for part in range(1, n_parts + 1):
        own = owner == part
        reach = voxel_along_cord(axial.affine, cord.centerline, float(arc[own].mean()))
        found.append(
            {
                "volume_mm3": float(np.count_nonzero(own)) * voxel_mm3,
                "rostral_mm": float(arc[own].mean(axis=1).min()) - reach / 2,
                "caudal_mm": float(arc[own].mean(axis=1).max()) + reach / 2,
                "middle_mm": float(arc[own].mean()),
                "axial_share": shares[part][0],
                "median_share": shares[part][1],
                "in_cord": float(np.mean(weight[own] >= 0.5)),
                "volumes_mm3": _volumes(arc[own], cord, voxel_mm3),
            }
        )
    found.sort(key=lambda entry: entry["middle_mm"])  # type: ignore[arg-type, return-value]
    lesions = [Lesion(number=number, **entry) for number, entry in enumerate(found, 1)]  # type: ignore[arg-type]
    by_level = _by_level(lesions, axial, cord, arc, areas)
    _check_no_cord(lesions, by_level, cord, name)
    return lesions, by_level


def note_filled_sections(lesions: list[Lesion]) -> list[str]:
    """Report lesions that fill the whole section of the cord over a long stretch, as a mask of the cord does."""
    return [
        f"lesion {lesion.number} fills {lesion.median_share:.0%} of the section of the cord over "
        f"{lesion.length_mm:.0f} mm; check that the file is the mask of the lesions, not of the cord"
        for lesion in lesions
        if lesion.median_share >= FILLED_SECTION and lesion.length_mm >= FILLED_LENGTH_MM
    ]


def _check_no_cord(lesions: list[Lesion], by_level: list[LevelLesions], cord: CordLevels, name: str) -> None:
    """Check that a mask of lesions is not one of the cord, or of its levels."""
    voxel_mm3 = abs(float(np.linalg.det(cord.cord.affine[:3, :3])))
    cord_mm3 = float(cord.cord.data.sum(dtype=float)) * voxel_mm3
    lesions_mm3 = sum(lesion.volume_mm3 for lesion in lesions)
    in_cord_mm3 = sum(lesion.volume_mm3 * lesion.in_cord for lesion in lesions)
    length_mm = _union_length([(lesion.rostral_mm, lesion.caudal_mm) for lesion in lesions])
    advice = "give the mask of the lesions (-lesion)"
    if in_cord_mm3 > MAX_SHARE_OF_CORD * cord_mm3:
        raise LabelError(
            f"{name} fills {min(1, in_cord_mm3 / cord_mm3):.0%} of the cord over {length_mm:.0f} mm, as a mask of the "
            f"cord does, not one of lesions; {advice}"
        )
    for kind in cord.levels:
        of_kind = [found for found in by_level if found.level.kind == kind]
        in_levels_mm3 = sum(found.volume_mm3 for found in of_kind)
        levels_mm3 = sum(found.level_volume_mm3 for found in of_kind)
        if in_levels_mm3 > MAX_SHARE_OF_LEVELS * max(levels_mm3, lesions_mm3):
            raise LabelError(
                f"{name} fills {min(1, in_levels_mm3 / levels_mm3):.0%} of the labelled {kind} levels over "
                f"{length_mm:.0f} mm and ends where they end, as a map of levels does; {advice}"
            )


def _points(ijk: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, float]:
    """Points of each voxel, shape (V, M, 3), RAS+ mm, and the volume of a voxel."""
    n_parts = 2 * np.ceil(np.linalg.norm(affine[:3, :3], axis=0) / (2 * PART_MM)).astype(int)
    steps = [(np.arange(n) + 0.5) / n - 0.5 for n in n_parts]
    offsets = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    return apply_affine(affine, ijk[:, None] + offsets), abs(float(np.linalg.det(affine[:3, :3])))


def _cord_at(cord: CordLevels, points: np.ndarray) -> np.ndarray:
    """Share of cord at points, 0 outside of the mask's grid."""
    index = np.rint(apply_affine(np.linalg.inv(cord.cord.affine), points)).astype(int)
    inside = ((index >= 0) & (index < cord.cord.data.shape)).all(axis=-1)
    index[~inside] = 0
    return np.where(inside, cord.cord.data[tuple(np.moveaxis(index, -1, 0))], 0.0)


def _volumes(arc: np.ndarray, cord: CordLevels, voxel_mm3: float) -> dict[MeasuredLevel, float]:
    """Volume within each level, by the arc length of points, shape (V, M)."""
    volumes = {}
    for level in cord.all_levels:
        share = float(np.mean((arc >= level.rostral_mm) & (arc < level.caudal_mm), axis=1).sum())
        if share:
            volumes[level] = share * voxel_mm3
    return volumes


def _axial_shares(axial: Volume, parts: np.ndarray, areas: np.ndarray) -> dict[int, tuple[float, float]]:
    """Greatest and median share of the cord's section that each lesion takes in the slices of its grid."""
    section = np.prod(axial.spacing[:2])
    shares = {}
    for part in range(1, parts.max() + 1):
        lesion = (parts == part).sum(axis=(0, 1)) * section
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where((lesion > 0) & (areas > 0), np.minimum(lesion / areas, 1), np.nan)
        known = share[np.isfinite(share)]
        shares[part] = (float(known.max()), float(np.median(known))) if len(known) else (np.nan, np.nan)
    return shares


def _cord_areas(axial: Volume, cord: CordLevels) -> np.ndarray:
    """Area of the cord in each slice of a grid, in the plane of the slice; 0 where the mask does not reach."""
    normal = np.cross(axial.affine[:3, 0], axial.affine[:3, 1])
    normal /= np.linalg.norm(normal)
    ijk = np.argwhere(cord.cord.data > 0)
    weights = cord.cord.data[tuple(ijk.T)] * abs(float(np.linalg.det(cord.cord.affine[:3, :3])))
    slices = apply_affine(np.linalg.inv(axial.affine) @ cord.cord.affine, ijk)[:, 2]
    step = abs(float(normal @ axial.affine[:3, 2]))
    # Voxels of the cord are layers, as thick as they are across the slices, which slices cut anywhere.
    thickness = float(np.abs(normal @ cord.cord.affine[:3, :3]).max()) / step
    layers = ((np.arange(LAYERS_OF_A_VOXEL) + 0.5) / LAYERS_OF_A_VOXEL - 0.5) * thickness
    numbers = np.rint(slices[:, None] + layers).astype(int)
    seen = (numbers >= 0) & (numbers < axial.data.shape[2])
    parts = np.broadcast_to(weights[:, None] / LAYERS_OF_A_VOXEL, numbers.shape)
    return np.bincount(numbers[seen], parts[seen], axial.data.shape[2]) / step


def _by_level(
    lesions: list[Lesion], axial: Volume, cord: CordLevels, arc: np.ndarray, areas: np.ndarray
) -> list[LevelLesions]:
    ijk = np.argwhere(axial.data)
    section = float(np.prod(axial.spacing[:2]))
    result = []
    for level in cord.all_levels:
        inside = (arc >= level.rostral_mm) & (arc < level.caudal_mm)
        per_slice = np.bincount(ijk[:, 2], inside.mean(axis=1), axial.data.shape[2]) * section
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where((per_slice > 0) & (areas > 0), np.minimum(per_slice / areas, 1), 0)
        spans = [
            (max(lesion.rostral_mm, level.rostral_mm), min(lesion.caudal_mm, level.caudal_mm))
            for lesion in lesions
            if level in lesion.volumes_mm3
        ]
        result.append(
            LevelLesions(
                level=level,
                number=len(spans),
                volume_mm3=sum(lesion.volumes_mm3.get(level, 0.0) for lesion in lesions),
                level_volume_mm3=cord.volume_mm3(level),
                length_mm=_union_length(spans),
                axial_share=float(share.max()),
            )
        )
    return result


def _union_length(spans: list[tuple[float, float]]) -> float:
    """Length of the union of spans."""
    length, end = 0.0, -np.inf
    for first, last in sorted(spans):
        length += max(0.0, last - max(first, end))
        end = max(end, last)
    return length
