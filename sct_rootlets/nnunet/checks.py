"""Checks whether a rootlet map can be trained on: its grid, its values, their order along the cord, stray voxels.

An error would spoil the training; a warning asks somebody to look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage
from scipy.spatial import cKDTree

from sct_rootlets.centerline import Centerline, fit_centerline
from sct_rootlets.errors import SctRootletsError
from sct_rootlets.image import Volume, binary_mask, check_same_grid, labelled_voxels
from sct_rootlets.levels import FIRST_ROOTLET, LAST_ROOTLET, ROOTS, level_name
from sct_rootlets.spinal import DISTANCE_MM, classify_roots, measure_half_axes, turn_to_rootlets

#: Largest distance along the cord between a piece of a level and the middle of its rootlets: twice the longest level
#: (about 15 mm; Kobayashi 2015, Eur Spine J 24:2828), to leave room for rootlets that descend.
MAX_ALONG_MM = 30.0
#: Largest distance of rootlets from the centerline; the canal's foramina are some 20 mm away.
MAX_ACROSS_MM = 30.0
#: Largest cosine of the angle between two axes of a grid, as SimpleITK accepts it.
_MAX_AXES_COSINE = 1e-4

#: Least share of voxels near the cord that each of the dorsal and the ventral roots has in a map of both. It is 0.20 in
#: PAM50, 0.44 in a real scan named by RootletSeg, 0.45 to 0.60 in phantoms, and 0 in their dorsal roots alone.
MIN_ROOT_SHARE = 0.1
#: Least spread of each side's voxels from front to back, in a map of dorsal and ventral roots: standard deviation about
#: a line along the level. It is 1.5 mm in that real scan, 1.6 in PAM50 and 1.9 to 2.0 in phantoms of 0.5 to 1.5 mm, and
#: 0.7 to 0.8 in the dorsal roots alone.
MIN_SPREAD_MM = 1.15
#: Fewer voxels than this do not tell which roots a map holds.
_MIN_ROOT_VOXELS = 20

Roots = Literal["dorsal", "ventral", "one", "both"]
_ROOT_NAMES = {
    "dorsal": "dorsal rootlets only",
    "ventral": "ventral rootlets only",
    "one": "rootlets of one root only (dorsal or ventral)",
    "both": "dorsal and ventral rootlets",
}


@dataclass(frozen=True)
class Problem:
    """A problem of a scan.

    Attributes
    ----------
    scan : str
    severity : {"error", "warning"}
    text : str
        One line that tells the problem and its place.
    """

    scan: str
    severity: Literal["error", "warning"]
    text: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.scan}: {self.text}"


def check_scan(scan: str, image: Volume, label: Volume, cord: Volume | None = None) -> list[Problem]:
    """Check a rootlet map and its image.

    Parameters
    ----------
    scan : str
        Name of the scan in the problems.
    image, label : Volume
    cord : Volume, optional
        Mask of the spinal cord, to measure positions along its centerline; without it, along the body.

    Returns
    -------
    list of Problem
    """
    problems = [Problem(scan, "error", text) for text in _image_errors(image)]
    try:
        check_same_grid(image, label)
        ijk, values = labelled_voxels(label)
    except SctRootletsError as error:
        return [*problems, Problem(scan, "error", str(error))]
    wrong = [int(value) for value in np.unique(values) if not FIRST_ROOTLET <= value <= LAST_ROOTLET]
    if wrong:
        known = f"{FIRST_ROOTLET} ({level_name(FIRST_ROOTLET, 'spinal')}) to {LAST_ROOTLET}"
        text = f"{label.name} holds {', '.join(map(str, wrong))}; rootlets have the values {known}"
        return [*problems, Problem(scan, "error", text)]
    points = apply_affine(label.affine, ijk)
    line, notes = _centerline(cord, label)
    if line is None:
        along = -points[:, 2]
    else:
        projection = line.project(points)
        along = projection.arc
        notes += _far_across(ijk, values, projection.distance)
    problems += [Problem(scan, "error", text) for text in _order_errors(values, along)]
    notes += _gaps(values) + _stray(ijk, values, along)
    return problems + [Problem(scan, "warning", text) for text in notes]


def _image_errors(image: Volume) -> list[str]:
    axes = image.affine[:3, :3] / image.spacing
    if np.abs(axes.T @ axes - np.eye(3)).max() > _MAX_AXES_COSINE:
        return [f"the voxel axes of {image.name} are not at right angles, which nnU-Net cannot read; resample it"]
    if not np.isfinite(image.data).all():
        return [f"{image.name} holds NaN or infinite values; replace them by 0"]
    if image.data.min() == image.data.max():
        return [f"{image.name} shows nothing: all its voxels are {image.data.flat[0]:g}"]
    return []


def _centerline(cord: Volume | None, label: Volume) -> tuple[Centerline | None, list[str]]:
    """Fit a centerline to a cord mask, on whatever grid; without a centerline, also return the reason."""
    if cord is None:
        return None, []
    try:
        return fit_centerline(binary_mask(cord)[0], cord.affine), []
    except SctRootletsError as error:
        return None, [f"the cord mask was not used: {error}"]


def _order_errors(values: np.ndarray, along: np.ndarray) -> list[str]:
    """Report levels that do not follow one another from head to feet, by the medians of their positions."""
    present = np.unique(values)
    medians = {int(value): float(np.median(along[values == value])) for value in present}
    errors = []
    for above, below in zip(present[:-1].tolist(), present[1:].tolist(), strict=True):
        if medians[below] <= medians[above]:
            distance_mm = medians[above] - medians[below]
            upper, lower = level_name(above, "spinal"), level_name(below, "spinal")
            errors.append(f"{lower} lies {distance_mm:.0f} mm above {upper}, not below it: are their values swapped?")
    return errors


def _gaps(values: np.ndarray) -> list[str]:
    """Report levels that are missing between others."""
    present = set(np.unique(values).tolist())
    missing = [value for value in range(min(present), max(present)) if value not in present]
    return [f"{level_name(value, 'spinal')} is missing between levels that are there" for value in missing]


def _stray(ijk: np.ndarray, values: np.ndarray, along: np.ndarray) -> list[str]:
    """Report pieces of a level that lie beyond the middle of a neighbouring level, or far from their own level."""
    medians = {int(value): float(np.median(along[values == value])) for value in np.unique(values)}
    notes = []
    for value, own in medians.items():
        above = max((median for median in medians.values() if median < own), default=-np.inf)
        below = min((median for median in medians.values() if median > own), default=np.inf)
        low, high = max(above, own - MAX_ALONG_MM), min(below, own + MAX_ALONG_MM)
        of_level = values == value
        voxels, positions = ijk[of_level], along[of_level]
        pieces = _number_pieces(voxels)
        sizes = np.bincount(pieces)
        means = np.bincount(pieces, weights=positions) / np.maximum(sizes, 1)
        stray = ((means < low) | (means > high))[pieces]
        if stray.any():
            distance_mm = np.abs(positions[stray] - own).max()
            notes.append(
                f"{stray.sum()} voxels of {level_name(value, 'spinal')} lie up to {distance_mm:.0f} mm from its others "
                f"along the cord (one is {_first(voxels[stray])})"
            )
    return notes


def _number_pieces(voxels: np.ndarray) -> np.ndarray:
    """Return the number of the connected piece of each voxel, counted from 0."""
    low = voxels.min(axis=0)
    box = np.zeros(voxels.max(axis=0) - low + 1, dtype=bool)
    box[tuple((voxels - low).T)] = True
    return ndimage.label(box, np.ones((3, 3, 3)))[0][tuple((voxels - low).T)] - 1


def _far_across(ijk: np.ndarray, values: np.ndarray, distance_mm: np.ndarray) -> list[str]:
    """Report voxels that are far from the cord."""
    far = distance_mm > MAX_ACROSS_MM
    notes = []
    for value in np.unique(values[far]):
        of_level = far & (values == value)
        notes.append(
            f"{of_level.sum()} voxels of {level_name(int(value), 'spinal')} lie up to "
            f"{distance_mm[of_level].max():.0f} mm from the cord (one is {_first(ijk[of_level])})"
        )
    return notes


def _first(voxels: np.ndarray) -> str:
    return ", ".join(map(str, voxels[0]))


def find_roots(label: Volume, cord: Volume | None = None) -> Roots | None:
    """Tell whether a rootlet map holds dorsal rootlets, ventral ones, or both.

    With a cord mask, voxels near the cord count, and `sct_rootlets.spinal.classify_roots` tells their root. Without
    one, the voxels of one side of a level are spread from front to back if both roots are there (`MIN_SPREAD_MM`).

    Parameters
    ----------
    label : Volume
        A map that `check_scan` found no error in.
    cord : Volume, optional
        Mask of the spinal cord, on any grid.

    Returns
    -------
    {"dorsal", "ventral", "one", "both"} or None
        ``"one"`` if there is one root and no cord mask to tell which; None if there are too few voxels.
    """
    ijk, values = labelled_voxels(label)
    points = apply_affine(label.affine, ijk)
    line = _centerline(cord, label)[0]
    if cord is not None and line is not None:
        cord_mm = apply_affine(cord.affine, np.argwhere(binary_mask(cord)[0]))
        reach_mm = DISTANCE_MM + float(np.linalg.norm(cord.spacing)) / 2
        near = points[cKDTree(cord_mm).query(points, distance_upper_bound=reach_mm)[0] <= reach_mm]
        if len(near) >= _MIN_ROOT_VOXELS:
            line = turn_to_rootlets(line, points, values)
            _, to_right, to_anterior = line.across(near)
            roots = classify_roots(to_right, to_anterior, *measure_half_axes(cord_mm, line))
            ventral = np.mean([ROOTS[root].endswith("ventral") for root in roots])
            return "dorsal" if ventral < MIN_ROOT_SHARE else "ventral" if ventral > 1 - MIN_ROOT_SHARE else "both"
    spreads = [spread for value in np.unique(values) for spread in _spreads(points[values == value])]
    if not spreads or len(points) < _MIN_ROOT_VOXELS:
        return None
    return "both" if np.mean(spreads) >= MIN_SPREAD_MM else "one"


def _spreads(points: np.ndarray) -> list[float]:
    """Spread of the left and the right voxels of a level from front to back, about a line along the body; mm."""
    spreads = []
    left = points[:, 0] < np.median(points[:, 0])
    for side in (points[left], points[~left]):
        if len(side) > _MIN_ROOT_VOXELS // 4:
            along = np.column_stack([np.ones(len(side)), side[:, 2]])
            fit = np.linalg.lstsq(along, side[:, 1], rcond=None)[0]
            spreads.append(float(np.std(side[:, 1] - along @ fit)))
    return spreads


def compare_roots(roots: Mapping[str, Roots | None]) -> list[Problem]:
    """Name the scans whose maps hold other roots than most: the model would learn that these roots are background.

    Parameters
    ----------
    roots : mapping of str to {"dorsal", "ventral", "one", "both"} or None
        By the name of the scan (`find_roots`).

    Returns
    -------
    list of Problem
        One for each scan of a rarer kind; of kinds that are as frequent, maps of both roots are the usual ones.
    """
    known = {name: kind for name, kind in roots.items() if kind is not None}
    # Without a cord mask, maps of one root count as dorsal, which is what people draw if they draw one root alone.
    groups: dict[str, str] = {name: "dorsal" if kind == "one" else kind for name, kind in known.items()}
    counts = {kind: list(groups.values()).count(kind) for kind in ("both", "dorsal", "ventral")}
    usual = max(counts, key=lambda kind: counts[kind])  # the first of those that are as frequent
    return [
        Problem(
            name,
            "warning",
            f"its rootlet map holds {_ROOT_NAMES[known[name]]}, but {counts[usual]} of {len(known)} maps hold "
            f"{_ROOT_NAMES[usual]}; complete the map, or leave it out",
        )
        for name, kind in groups.items()
        if kind != usual
    ]
