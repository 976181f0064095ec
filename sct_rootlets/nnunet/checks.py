"""Whether a rootlet map can be trained on: its grid, its values, their order along the cord, voxels that went astray.

An error is what would spoil the training; a warning is what somebody should look at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from sct_rootlets.centerline import Centerline, fit_centerline
from sct_rootlets.errors import SctRootletsError
from sct_rootlets.image import Volume, binary_mask, check_same_grid, labelled_voxels
from sct_rootlets.levels import FIRST_ROOTLET, LAST_ROOTLET, level_name

#: Pieces of a level this far along the cord from the middle of its rootlets are not of it: twice the longest level
#: (about 15 mm; Kobayashi 2015, Eur Spine J 24:2828), to leave room for rootlets that descend.
FAR_ALONG_MM = 30.0
#: Rootlets further than this from the centerline are outside the canal, whose foramina are some 20 mm away.
FAR_ACROSS_MM = 30.0
#: Axes of a grid may deviate from a right angle by this cosine, which is what SimpleITK takes.
_SHEAR = 1e-4


@dataclass(frozen=True)
class Problem:
    """Something wrong with a scan.

    Attributes
    ----------
    scan : str
    severity : {"error", "warning"}
    text : str
        One line: what is wrong, and where.
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
        What problems call it.
    image, label : Volume
    cord : Volume, optional
        Mask of the spinal cord; positions are then taken along its centerline, else along the body.

    Returns
    -------
    list of Problem
        Empty if there is nothing to say.
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
        place = line.project(points)
        along = place.arc
        notes += _far_across(ijk, values, place.distance)
    problems += [Problem(scan, "error", text) for text in _order_errors(values, along)]
    notes += _gaps(values) + _stray(ijk, values, along)
    return problems + [Problem(scan, "warning", text) for text in notes]


def _image_errors(image: Volume) -> list[str]:
    axes = image.affine[:3, :3] / image.spacing
    if np.abs(axes.T @ axes - np.eye(3)).max() > _SHEAR:
        return [f"the voxel axes of {image.name} are not at right angles, which nnU-Net cannot read; resample it"]
    if not np.isfinite(image.data).all():
        return [f"{image.name} holds NaN or infinite values; replace them by 0"]
    if image.data.min() == image.data.max():
        return [f"{image.name} shows nothing: all its voxels are {image.data.flat[0]:g}"]
    return []


def _centerline(cord: Volume | None, label: Volume) -> tuple[Centerline | None, list[str]]:
    """Fit a centerline to a cord mask, which need not be on the label's grid; and say why there is none."""
    if cord is None:
        return None, []
    try:
        return fit_centerline(binary_mask(cord)[0], cord.affine), []
    except SctRootletsError as error:
        return None, [f"the cord mask was not used: {error}"]


def _order_errors(values: np.ndarray, along: np.ndarray) -> list[str]:
    """Levels that do not follow one another from head to feet, by the medians of their positions."""
    present = np.unique(values)
    middle = {int(value): float(np.median(along[values == value])) for value in present}
    errors = []
    for above, below in zip(present[:-1].tolist(), present[1:].tolist(), strict=True):
        if middle[below] <= middle[above]:
            off = middle[above] - middle[below]
            names = level_name(above, "spinal"), level_name(below, "spinal")
            errors.append(f"{names[1]} lies {off:.0f} mm above {names[0]}, not below it: are their values swapped?")
    return errors


def _gaps(values: np.ndarray) -> list[str]:
    present = set(np.unique(values).tolist())
    missing = [value for value in range(min(present), max(present)) if value not in present]
    return [f"{level_name(value, 'spinal')} is missing between levels that are there" for value in missing]


def _stray(ijk: np.ndarray, values: np.ndarray, along: np.ndarray) -> list[str]:
    """Pieces of a level that lie beyond the middle of a neighbour, or far from the level's own."""
    middle = {int(value): float(np.median(along[values == value])) for value in np.unique(values)}
    notes = []
    for value, own in middle.items():
        above = max((place for place in middle.values() if place < own), default=-np.inf)
        below = min((place for place in middle.values() if place > own), default=np.inf)
        low, high = max(above, own - FAR_ALONG_MM), min(below, own + FAR_ALONG_MM)
        mine = values == value
        voxels, places = ijk[mine], along[mine]
        pieces = _pieces(voxels)
        sizes = np.bincount(pieces)
        mean = np.bincount(pieces, weights=places) / np.maximum(sizes, 1)
        astray = ((mean < low) | (mean > high))[pieces]
        if astray.any():
            off = np.abs(places[astray] - own).max()
            where = ", ".join(map(str, voxels[astray][0]))
            notes.append(
                f"{astray.sum()} voxels of {level_name(value, 'spinal')} lie up to {off:.0f} mm from its others along "
                f"the cord (one is {where})"
            )
    return notes


def _pieces(voxels: np.ndarray) -> np.ndarray:
    """Number of the connected piece of each voxel, from 0."""
    low = voxels.min(axis=0)
    box = np.zeros(voxels.max(axis=0) - low + 1, dtype=bool)
    box[tuple((voxels - low).T)] = True
    return ndimage.label(box, np.ones((3, 3, 3)))[0][tuple((voxels - low).T)] - 1


def _far_across(ijk: np.ndarray, values: np.ndarray, distance: np.ndarray) -> list[str]:
    far = distance > FAR_ACROSS_MM
    return [
        f"{(far & (values == value)).sum()} voxels of {level_name(int(value), 'spinal')} lie up to "
        f"{distance[far & (values == value)].max():.0f} mm from the cord (one is "
        f"{', '.join(map(str, ijk[far & (values == value)][0]))})"
        for value in np.unique(values[far])
    ]
