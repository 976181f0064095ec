"""One rootlet map against a reference of the same scan: overlap, distance, volume, names, and ends along the cord.

Arrays in, tables out. What is empty on both sides has no overlap and no distance: it is NaN and stays out of every
mean, and is never a perfect score. What is empty on one side has a Dice of 0 and no distance (NaN).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine
from scipy import ndimage
from scipy.spatial import cKDTree

from sct_rootlets.centerline import Centerline, fit_centerline
from sct_rootlets.errors import LabelError
from sct_rootlets.image import superior_axis, voxel_length
from sct_rootlets.levels import level_name
from sct_rootlets.spinal import spinal_levels

#: A level is found where predicted rootlets of one name lie within this distance (or that of one voxel, if it is
#: larger) of this share of its voxels. Rootlets are thinner than the distance, so overlap alone would call a level
#: missed that is merely a little off; neighbours that reach up to a missed level are each near a smaller share of it.
NEAR_MM, FOUND_SHARE = 2.0, 0.25
#: What may have become of a level.
STATUSES = ("detected", "wrongly named", "missed", "extra", "absent")
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


@dataclass(frozen=True)
class Cord:
    """A cord mask as positions along it are measured: its centerline, and its voxel centres in RAS+ mm, (M, 3)."""

    centerline: Centerline
    points: np.ndarray

    @classmethod
    def from_mask(cls, mask: np.ndarray, affine: np.ndarray) -> Cord:
        """Fit the centerline of a mask, shape (I, J, K); errors are those of `fit_centerline`."""
        return cls(fit_centerline(mask, affine), apply_affine(affine, np.argwhere(mask)))


@dataclass(frozen=True)
class ScanScores:
    """How a rootlet map fits its reference.

    Attributes
    ----------
    levels : pandas.DataFrame
        One row a level that either map holds, or that was asked for (columns `LEVEL_COLUMNS`). Errors of ends are
        prediction minus reference, positive where the prediction lies further caudally.
    scan : dict
        The scan as a whole: ``dice`` and ``hd95_mm`` (means over the levels), ``dice_any_name`` (all rootlets as
        one mask, whatever their names), volumes, and the number of levels of each status.
    notes : tuple of str
        What could not be measured, one line each.
    """

    levels: pd.DataFrame
    scan: dict[str, object]
    notes: tuple[str, ...]


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Dice coefficient of two masks (Dice 1945, doi 10.2307/1932409).

    Parameters
    ----------
    first, second : numpy.ndarray of bool, of one shape

    Returns
    -------
    float
        0 to 1; 0 if one of them is empty; NaN if both are: there is nothing to agree on.

    Examples
    --------
    >>> import numpy as np
    >>> dice(np.array([1, 1, 0], bool), np.array([0, 1, 0], bool))
    0.6666666666666666
    """
    total = int(np.count_nonzero(first)) + int(np.count_nonzero(second))
    return 2 * int(np.count_nonzero(first & second)) / total if total else float("nan")


def slice_f1(first: np.ndarray, second: np.ndarray, axis: int) -> float:
    """F1 score of the slices in which two masks show: that both do is a hit, wherever in the slice.

    Valošek 2024 (doi 10.1162/imag_a_00218) compares raters with it. (The published script leaves out the last slice.)

    Parameters
    ----------
    first, second : numpy.ndarray of bool, shape (I, J, K)
    axis : int
        The voxel axis across which slices are counted.

    Returns
    -------
    float
        0 to 1; NaN if both masks are empty.
    """
    across = tuple(other for other in range(first.ndim) if other != axis)
    return dice(np.asarray(first.any(axis=across)), np.asarray(second.any(axis=across)))


def hd95(first: np.ndarray, second: np.ndarray, affine: np.ndarray) -> float:
    """95th percentile of the Hausdorff distance between the surfaces of two masks, in mm.

    The surface of a mask is its voxels with a face towards the outside (the border of the volume is outside). From
    each surface voxel of one mask the distance to the closest surface voxel of the other is taken, between centres.
    The result is the **larger of the two directions' 95th percentiles**, interpolated linearly, as in Metrics Reloaded
    (Maier-Hein 2024, doi 10.1038/s41592-023-02151-z). Other tools pool both directions before they take the
    percentile: a piece that one mask lacks then drowns among twice as many distances.

    Parameters
    ----------
    first, second : numpy.ndarray of bool, shape (I, J, K)
    affine : numpy.ndarray, shape (4, 4)
        Voxel indices to RAS+ mm.

    Returns
    -------
    float
        NaN if a mask is empty: there is no distance to nothing.
    """
    if not (first.any() and second.any()):
        return float("nan")
    points = [apply_affine(affine, _surface(mask)) for mask in (first, second)]
    there = cKDTree(points[1]).query(points[0])[0]
    back = cKDTree(points[0]).query(points[1])[0]
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def _surface(mask: np.ndarray) -> np.ndarray:
    """Indices of the voxels of a mask that have a face towards the outside, shape (N, 3)."""
    low, high = _bounds(mask)
    box = mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return np.argwhere(box & ~ndimage.binary_erosion(box)) + low


def _bounds(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.zeros(3, dtype=int), np.array(mask.shape)
    for axis in range(3):
        inside = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        low[axis], high[axis] = inside[0], inside[-1] + 1
    return low, high


def level_ends(labels: np.ndarray, affine: np.ndarray, cord: Cord | None = None) -> dict[int, tuple[float, float]]:
    """Where each level of a rootlet map begins and ends, in mm, growing caudally.

    Parameters
    ----------
    labels : numpy.ndarray of int, shape (I, J, K)
    affine : numpy.ndarray, shape (4, 4)
    cord : Cord, optional
        With it, a level reaches from the first to the last place along the centerline where its rootlets lie within
        2.4 mm of the cord (method ``extent`` of `spinal_levels`; Valošek 2024). Without it, from the uppermost to the
        lowest voxel of its rootlets along the superior axis, wherever they run.

    Returns
    -------
    dict of int to (float, float)
        Rostral and caudal end by level; levels that cannot be placed are missing.

    Raises
    ------
    LabelError
        With a cord: if no rootlet lies near it or the levels are in no order.
    """
    ijk = np.argwhere(labels)
    if not len(ijk):
        return {}
    values = labels[tuple(ijk.T)]
    if cord is not None:
        found = spinal_levels(ijk, values, affine, labels.shape, cord.points, cord.centerline, "extent")
        return {level.value: (level.rostral_mm, level.caudal_mm) for level in found.levels}
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
        Ends of levels are then measured along its centerline: see `level_ends`.
    values : iterable of int, optional
        The levels to score; voxels of other levels count as background. By default all that either map holds.

    Returns
    -------
    ScanScores
    """
    if values is not None:
        wanted = sorted(set(values))
        prediction, reference = (np.where(np.isin(one, wanted), one, 0) for one in (prediction, reference))
    else:
        wanted = sorted({int(value) for one in (prediction, reference) for value in np.unique(one)} - {0})
    notes: list[str] = []
    if not reference.any() and not prediction.any():
        notes.append("prediction and reference are both empty: nothing to score")
    ends = [_ends_or_note(one, affine, cord, what, notes) for one, what in
            ((prediction, "prediction"), (reference, "reference"))]  # fmt: skip
    prediction, reference, affine = _cropped(prediction, reference, affine)
    rows = [_level_row(value, prediction, reference, affine, *ends) for value in wanted]
    levels = pd.DataFrame(rows, columns=list(LEVEL_COLUMNS))
    return ScanScores(levels, _scan_row(levels, prediction, reference, affine), tuple(notes))


def _ends_or_note(
    labels: np.ndarray, affine: np.ndarray, cord: Cord | None, what: str, notes: list[str]
) -> dict[int, tuple[float, float]]:
    try:
        return level_ends(labels, affine, cord)
    except LabelError as error:
        notes.append(f"no ends of levels in the {what}: {error}")
        return {}


def _cropped(
    prediction: np.ndarray, reference: np.ndarray, affine: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both maps in the smallest box that holds their labels, and its affine."""
    either = (prediction > 0) | (reference > 0)
    if not either.any():
        return prediction, reference, affine
    low, high = _bounds(either)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    moved = affine.copy()
    moved[:3, 3] = apply_affine(affine, low)
    return prediction[box], reference[box], moved


def _level_row(
    value: int,
    prediction: np.ndarray,
    reference: np.ndarray,
    affine: np.ndarray,
    ends: dict[int, tuple[float, float]],
    reference_ends: dict[int, tuple[float, float]],
) -> dict[str, object]:
    mine, truth = prediction == value, reference == value
    status, found_as = _status(value, prediction, reference, affine)
    voxel = abs(float(np.linalg.det(affine[:3, :3])))
    volumes = [float(np.count_nonzero(mask)) * voxel for mask in (mine, truth)]
    errors: np.ndarray = np.full(2, np.nan)
    if value in ends and value in reference_ends:
        errors = np.subtract(ends[value], reference_ends[value])
    return {
        "level": value,
        "name": level_name(value, "spinal"),
        "status": status,
        "found_as": level_name(found_as, "spinal") if found_as else "",
        "dice": dice(mine, truth),
        "slice_f1": slice_f1(mine, truth, superior_axis(affine)[0]),
        "hd95_mm": hd95(mine, truth, affine),
        "volume_mm3": volumes[0],
        "reference_volume_mm3": volumes[1],
        "volume_difference_mm3": volumes[0] - volumes[1],
        "rostral_error_mm": float(errors[0]),
        "caudal_error_mm": float(errors[1]),
    }


def _status(value: int, prediction: np.ndarray, reference: np.ndarray, affine: np.ndarray) -> tuple[str, int]:
    """What has become of a level, and the name that most of it bears on the other side (0 for none)."""
    truth, mine = reference == value, prediction == value
    if truth.any():
        found_as = _name_near(truth, prediction, value, affine)
        if not found_as:
            return "missed", 0
        return ("detected" if found_as == value else "wrongly named"), found_as
    return ("extra", _name_near(mine, reference, value, affine)) if mine.any() else ("absent", 0)


def _name_near(mask: np.ndarray, labels: np.ndarray, own: int, affine: np.ndarray) -> int:
    """The label that lies nearest to most voxels of a mask, ``own`` among equals; 0 if none is near enough."""
    there = np.argwhere(labels)
    if not len(there):
        return 0
    reach = max(NEAR_MM, float(np.linalg.norm(affine[:3, :3], axis=0).max())) + 1e-6
    tree = cKDTree(apply_affine(affine, there))
    distance, nearest = tree.query(apply_affine(affine, np.argwhere(mask)), distance_upper_bound=reach)
    names = labels[tuple(there[nearest[np.isfinite(distance)]].T)]
    counts = np.bincount(names, minlength=own + 1)
    if counts.max() < FOUND_SHARE * len(distance):
        return 0
    return own if counts[own] == counts.max() else int(counts.argmax())


def _scan_row(
    levels: pd.DataFrame, prediction: np.ndarray, reference: np.ndarray, affine: np.ndarray
) -> dict[str, object]:
    counts = {f"n_{status.replace(' ', '_')}": int((levels.status == status).sum()) for status in STATUSES[:-1]}
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
