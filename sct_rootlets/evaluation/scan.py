"""Scores of a rootlet map against a reference of the same scan: status, overlap, volume and ends of each level."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine
from scipy.spatial import cKDTree

from sct_rootlets.centerline import Centerline, fit_centerline
from sct_rootlets.errors import LabelError
from sct_rootlets.evaluation.overlap import bounding_box, dice, hd95, slice_f1
from sct_rootlets.image import superior_axis, voxel_length
from sct_rootlets.levels import level_name
from sct_rootlets.spinal import spinal_levels

#: A level is found where predicted rootlets of one name lie within this distance of this share of its voxels or more.
#: A voxel's own size counts where it is larger than the distance. Rootlets are thinner than the distance: by overlap
#: alone, a level that is merely a little off would be missed. A missed level is not found by neighbours that reach up
#: to it, as each of them is near to a smaller share of its voxels.
MAX_FOUND_DISTANCE_MM = 2.0
MIN_FOUND_SHARE = 0.25
LEVEL_COLUMNS = (
    "level",
    "name",
    "status",
    "found_as",
    "dice",
    "slice_f1",
    "hd95_mm",
    "volume_mm3",
    "reference_volume_mm3",
    "volume_difference_mm3",
    "rostral_error_mm",
    "caudal_error_mm",
)

#: Rostral and caudal end of levels by their values, in mm, growing caudally.
LevelEnds = dict[int, tuple[float, float]]


class LevelStatus(Enum):
    """What has become of a level of the reference, or of a predicted level."""

    DETECTED = "detected"
    WRONGLY_NAMED = "wrongly named"
    MISSED = "missed"
    EXTRA = "extra"
    ABSENT = "absent"

    @property
    def column(self) -> str:
        """Name of a column that counts levels of this status."""
        return self.value.replace(" ", "_")


@dataclass(frozen=True)
class Cord:
    """A cord along which positions are measured.

    Attributes
    ----------
    centerline : Centerline
    points : numpy.ndarray, shape (M, 3)
        Voxel centres of the cord mask, RAS+ mm.
    """

    centerline: Centerline
    points: np.ndarray

    @classmethod
    def from_mask(cls, mask: np.ndarray, affine: np.ndarray) -> Cord:
        """Fit the centerline of a mask, shape (I, J, K); errors are those of `fit_centerline`."""
        return cls(fit_centerline(mask, affine), apply_affine(affine, np.argwhere(mask)))


@dataclass(frozen=True)
class ScanScores:
    """Scores of a rootlet map against its reference.

    Attributes
    ----------
    levels : pandas.DataFrame
        One row per level that either map holds or that was requested (columns `LEVEL_COLUMNS`). Errors of ends are
        prediction minus reference, positive where the prediction lies further caudally.
    scan : dict
        Scores of the whole scan: ``dice`` and ``hd95_mm`` (means over the levels), ``dice_any_name`` (all rootlets as
        one mask, whatever their names), volumes, and the number of levels of each status.
    notes : tuple of str
        Ends that could not be measured, one line each.
    """

    levels: pd.DataFrame
    scan: dict[str, object]
    notes: tuple[str, ...]


def level_ends(labels: np.ndarray, affine: np.ndarray, cord: Cord | None = None) -> LevelEnds:
    """Locate the rostral and the caudal end of each level of a rootlet map.

    Parameters
    ----------
    labels : numpy.ndarray of int, shape (I, J, K)
    affine : numpy.ndarray, shape (4, 4)
        Voxel indices to RAS+ mm.
    cord : Cord, optional
        With a cord, a level reaches from the first to the last place along the centerline where its rootlets lie within
        2.4 mm of the cord (method ``extent`` of `spinal_levels`; Valošek 2024). Without a cord, a level reaches from
        the uppermost to the lowest voxel of its rootlets along the superior axis, wherever they run.

    Returns
    -------
    dict of int to (float, float)
        Rostral and caudal end in mm by level; levels that cannot be placed are missing.

    Raises
    ------
    LabelError
        With a cord: if no rootlet lies near the cord, or the levels are in no order.
    """
    ijk = np.argwhere(labels)
    if not len(ijk):
        return {}
    values = labels[tuple(ijk.T)]
    if cord is not None:
        placed = spinal_levels(ijk, values, affine, labels.shape, cord.points, cord.centerline, "extent")
        return {level.value: (level.rostral_mm, level.caudal_mm) for level in placed.levels}
    down = -apply_affine(affine, ijk)[:, 2]
    half = float(voxel_length(affine, np.array([0.0, 0.0, 1.0]))) / 2
    return {
        int(value): (float(down[values == value].min()) - half, float(down[values == value].max()) + half)
        for value in np.unique(values)
    }


def evaluate_scan(
    prediction: np.ndarray,
    reference: np.ndarray,
    affine: np.ndarray,
    cord: Cord | None = None,
    values: Iterable[int] | None = None,
) -> ScanScores:
    """Score a rootlet map against a reference on the same grid.

    Parameters
    ----------
    prediction, reference : numpy.ndarray of int, shape (I, J, K)
        Rootlet maps, 2 for C2 and so on; either may be empty.
    affine : numpy.ndarray, shape (4, 4)
        Voxel indices to RAS+ mm.
    cord : Cord, optional
        Cord along whose centerline ends of levels are measured: see `level_ends`.
    values : iterable of int, optional
        Levels to score; voxels of other levels count as background. By default all levels that either map holds.

    Returns
    -------
    ScanScores
    """
    if values is not None:
        scored = sorted(set(values))
        prediction, reference = (np.where(np.isin(labels, scored), labels, 0) for labels in (prediction, reference))
    else:
        scored = sorted({int(value) for labels in (prediction, reference) for value in np.unique(labels)} - {0})
    notes: list[str] = []
    if not reference.any() and not prediction.any():
        notes.append("prediction and reference are both empty: nothing to score")
    ends, reference_ends = (
        _ends_or_note(labels, affine, cord, role, notes)
        for labels, role in ((prediction, "prediction"), (reference, "reference"))
    )
    prediction, reference, affine = _crop_to_labels(prediction, reference, affine)
    rows = [_level_row(value, prediction, reference, affine, ends, reference_ends) for value in scored]
    levels = pd.DataFrame(rows, columns=list(LEVEL_COLUMNS))
    return ScanScores(levels, _scan_row(levels, prediction, reference, affine), tuple(notes))


def _ends_or_note(labels: np.ndarray, affine: np.ndarray, cord: Cord | None, role: str, notes: list[str]) -> LevelEnds:
    """Locate the ends of levels; if they cannot be located, add a note."""
    try:
        return level_ends(labels, affine, cord)
    except LabelError as error:
        notes.append(f"no ends of levels in the {role}: {error}")
        return {}


def _crop_to_labels(
    prediction: np.ndarray, reference: np.ndarray, affine: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Crop both maps to the smallest box that holds their labels; return its affine, too."""
    either = (prediction > 0) | (reference > 0)
    if not either.any():
        return prediction, reference, affine
    low, box = bounding_box(either)
    cropped_affine = affine.copy()
    cropped_affine[:3, 3] = apply_affine(affine, low)
    return prediction[box], reference[box], cropped_affine


def _level_row(
    value: int,
    prediction: np.ndarray,
    reference: np.ndarray,
    affine: np.ndarray,
    ends: LevelEnds,
    reference_ends: LevelEnds,
) -> dict[str, object]:
    mask, reference_mask = prediction == value, reference == value
    status, found_as = _status(value, prediction, reference, affine)
    voxel_mm3 = abs(float(np.linalg.det(affine[:3, :3])))
    volume, reference_volume = (float(np.count_nonzero(part)) * voxel_mm3 for part in (mask, reference_mask))
    errors: np.ndarray = np.full(2, np.nan)
    if value in ends and value in reference_ends:
        errors = np.subtract(ends[value], reference_ends[value])
    return {
        "level": value,
        "name": level_name(value, "spinal"),
        "status": status.value,
        "found_as": level_name(found_as, "spinal") if found_as else "",
        "dice": dice(mask, reference_mask),
        "slice_f1": slice_f1(mask, reference_mask, superior_axis(affine)[0]),
        "hd95_mm": hd95(mask, reference_mask, affine),
        "volume_mm3": volume,
        "reference_volume_mm3": reference_volume,
        "volume_difference_mm3": volume - reference_volume,
        "rostral_error_mm": float(errors[0]),
        "caudal_error_mm": float(errors[1]),
    }


def _status(value: int, prediction: np.ndarray, reference: np.ndarray, affine: np.ndarray) -> tuple[LevelStatus, int]:
    """Find what has become of a level, and the name that most of it bears in the other map (0 for none)."""
    reference_mask, mask = reference == value, prediction == value
    if reference_mask.any():
        found_as = _name_near(reference_mask, prediction, value, affine)
        if not found_as:
            return LevelStatus.MISSED, 0
        return (LevelStatus.DETECTED if found_as == value else LevelStatus.WRONGLY_NAMED), found_as
    if mask.any():
        return LevelStatus.EXTRA, _name_near(mask, reference, value, affine)
    return LevelStatus.ABSENT, 0


def _name_near(mask: np.ndarray, labels: np.ndarray, own: int, affine: np.ndarray) -> int:
    """Find the label that lies nearest to most voxels of a mask, ``own`` among equals; 0 if none is near enough."""
    labelled = np.argwhere(labels)
    if not len(labelled):
        return 0
    reach = max(MAX_FOUND_DISTANCE_MM, float(np.linalg.norm(affine[:3, :3], axis=0).max())) + 1e-6
    tree = cKDTree(apply_affine(affine, labelled))
    distance, nearest = tree.query(apply_affine(affine, np.argwhere(mask)), distance_upper_bound=reach)
    names = labels[tuple(labelled[nearest[np.isfinite(distance)]].T)]
    counts = np.bincount(names, minlength=own + 1)
    if counts.max() < MIN_FOUND_SHARE * len(distance):
        return 0
    return own if counts[own] == counts.max() else int(counts.argmax())


def _scan_row(
    levels: pd.DataFrame, prediction: np.ndarray, reference: np.ndarray, affine: np.ndarray
) -> dict[str, object]:
    counts = {
        f"n_{status.column}": int((levels.status == status.value).sum())
        for status in LevelStatus
        if status is not LevelStatus.ABSENT
    }
    return {
        "dice": levels.dice.mean(),
        "hd95_mm": levels.hd95_mm.mean(),
        "dice_any_name": dice(prediction > 0, reference > 0),
        "hd95_any_name_mm": hd95(prediction > 0, reference > 0, affine),
        "volume_mm3": levels.volume_mm3.sum(),
        "reference_volume_mm3": levels.reference_volume_mm3.sum(),
        "n_levels": int((levels.reference_volume_mm3 > 0).sum()),
        **counts,
    }
