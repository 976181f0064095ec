"""Another model of rootlets that keeps its own labels, and what vertebrae and cord say of its numbering."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from nibabel.affines import apply_affine

from sct_rootlets.centerline import Centerline
from sct_rootlets.correspondence import spinal_middles
from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume, labelled_voxels, nonzero_voxels
from sct_rootlets.levels import FIRST_ROOTLET, Levels, level_name
from sct_rootlets.models.model import Model
from sct_rootlets.roots import split_roots
from sct_rootlets.segmentation.crop import MAX_BEYOND_MM
from sct_rootlets.segmentation.numbering import MIN_PROBABILITY, Numbering, all_discs, count_text
from sct_rootlets.segmentation.predictor import predict
from sct_rootlets.segmentation.tiles import Precision
from sct_rootlets.spinal import leave_out_c1, spinal_levels

#: Vertebral coordinates between which rootlets of C1 to T2 attach: from the top of C1 to the disc below T2.
FIRST_COORDINATE, LAST_COORDINATE = 1.0, 10.0


@dataclass(frozen=True, kw_only=True)
class RootletModel:
    """Another model of rootlets, and how it runs.

    Attributes
    ----------
    network : Model
        With classes ``lvl1``, ``lvl2`` and so on.
    keeps_names : bool
        Whether its classes are the labels; else its rootlets are named along the cord as those of the bundled model.
    is_whole : bool
        Whether it runs over the whole field of view, as nnU-Net does, and not around the cord alone.
    """

    network: Model
    keeps_names: bool = True
    is_whole: bool = False

    def predict(
        self,
        volume: Volume,
        cord: np.ndarray | None,
        line: np.ndarray | None,
        mirror: bool = False,
        device: str | torch.device = "cpu",
        precision: Precision = "float32",
    ) -> np.ndarray:
        """Run the model.

        Parameters
        ----------
        volume : Volume
            The image as it is on disk.
        cord : numpy.ndarray of bool, shape (I, J, K), optional
            The cord, around which images are cropped where the model wants it.
        line : numpy.ndarray, shape (N, 3), optional
            Points along the cord in RAS+ mm, around which the model looks unless it runs over the whole field of view.
        mirror, device, precision
            See `sct_rootlets.segmentation.predictor.predict`.

        Returns
        -------
        numpy.ndarray of uint8, shape (I, J, K)
            Its classes.
        """
        around = None if self.is_whole else line
        margins_mm = self.network.margins_mm
        if margins_mm is None or cord is None or not cord.any():
            return predict(self.network, volume, around, mirror=mirror, device=device, precision=precision)
        box = box_around(cord, volume.affine, margins_mm)
        affine = volume.affine.copy()
        affine[:3, 3] = apply_affine(affine, [part.start for part in box])
        part = replace(volume, data=volume.data[box], affine=affine, path=None)
        labels = np.zeros(volume.data.shape, dtype=np.uint8)
        labels[box] = predict(self.network, part, around, mirror=mirror, device=device, precision=precision)
        return labels


def box_around(mask: np.ndarray, affine: np.ndarray, margins_mm: Mapping[str, float]) -> tuple[slice, ...]:
    """Find the box around a mask with margins towards each side of the body.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (I, J, K)
    affine : numpy.ndarray, shape (4, 4)
    margins_mm : mapping of str to float
        By side: ``superior``, ``inferior``, ``left``, ``right``, ``anterior``, ``posterior``.
    """
    sides = (("left", "right"), ("posterior", "anterior"), ("inferior", "superior"))  # towards lower, higher RAS+ mm
    inside = nonzero_voxels(mask)
    low, high = inside.min(axis=0), inside.max(axis=0) + 1
    box = []
    for axis, direction in enumerate(affine[:3, :3].T):
        along = int(np.abs(direction).argmax())
        before, after = sides[along] if direction[along] > 0 else sides[along][::-1]
        mm = float(np.linalg.norm(direction))
        first = int(low[axis] - np.ceil(margins_mm[before] / mm))
        last = int(high[axis] + np.ceil(margins_mm[after] / mm))
        box.append(slice(max(first, 0), min(last, mask.shape[axis])))
    return tuple(box)


def line_of_rootlets(centerline: Centerline, cells: np.ndarray, numbering: Numbering) -> np.ndarray:
    """Sample the cord where rootlets of C1 to T2 may attach, by any numbering that is not improbable.

    Parameters
    ----------
    centerline : Centerline
    cells : numpy.ndarray, shape (N,)
        Places of the paths of the numbering along the cord.
    numbering : Numbering

    Returns
    -------
    numpy.ndarray, shape (M, 3)
        RAS+ mm, 1 mm apart; where the cord may go on beyond its mask, some mm more.
    """
    there = np.zeros(len(cells), dtype=bool)
    for path, probability in zip(numbering.paths, numbering.probability, strict=True):
        if probability >= MIN_PROBABILITY:
            there |= (path.coordinate >= FIRST_COORDINATE) & (path.coordinate <= LAST_COORDINATE)
    if not there.any():
        there[:] = True
    first, last = cells[there][[0, -1]]
    begin = -MAX_BEYOND_MM if there[0] else first
    end = centerline.cord_length + MAX_BEYOND_MM if there[-1] else last
    return centerline.position(np.arange(begin, end + 1))


def levels_of_labels(
    labels: np.ndarray, cord: np.ndarray, volume: Volume, centerline: Centerline
) -> tuple[Levels, list[str]]:
    """Compute the levels of a rootlet map, where its rootlets are close to the cord (method ``extent``).

    Parameters
    ----------
    labels : numpy.ndarray of int, shape (I, J, K)
    cord : numpy.ndarray of bool, shape (I, J, K)
    volume : Volume
        Their grid.
    centerline : Centerline

    Returns
    -------
    levels : Levels
    notes : list of str
    """
    try:
        ijk, values = labelled_voxels(replace(volume, data=leave_out_c1(labels)))
        cord_mm = apply_affine(volume.affine, nonzero_voxels(cord))
        levels = spinal_levels(ijk, values, volume.affine, labels.shape, cord_mm, centerline, method="extent")
    except LabelError as error:
        return Levels("spinal", "extent", ()), [f"no spinal levels: {error}"]
    return levels, list(levels.notes)


def roots_of_labels(labels: np.ndarray, cord: np.ndarray, affine: np.ndarray, centerline: Centerline) -> np.ndarray:
    """Tell left from right and dorsal from ventral rootlets.

    Returns
    -------
    numpy.ndarray of uint8, shape (I, J, K)
        1 + the index into `sct_rootlets.levels.ROOTS`; see `sct_rootlets.roots.split_roots`.
    """
    roots = np.zeros(labels.shape, dtype=np.uint8)
    ijk = nonzero_voxels(labels)
    if len(ijk):
        cord_mm = apply_affine(affine, nonzero_voxels(cord))
        roots[tuple(ijk.T)] = 1 + split_roots(ijk, labels[tuple(ijk.T)], affine, cord_mm, centerline).root
    return roots


def judge_names(
    levels: Levels, cells: np.ndarray, numbering: Numbering, by_discs: bool = False
) -> tuple[Levels, list[str]]:
    """Compare the names of levels with those that the numbers of the vertebrae suggest.

    Parameters
    ----------
    levels : Levels
        As another model named them.
    cells : numpy.ndarray, shape (N,)
        Places of the paths of the numbering along the cord.
    numbering : Numbering
        In which this other model has no part.
    by_discs : bool
        Whether discs that were given fix the numbering.

    Returns
    -------
    levels : Levels
        With the probability of each name.
    notes : list of str
        That the numbering looks off.
    """
    if not levels.levels:
        return levels, []
    at = np.array([level.midpoint_mm for level in levels.levels])
    values = np.array([level.value for level in levels.levels])
    right = np.zeros(len(at))
    shifts: dict[int, float] = {}
    for path, probability in zip(numbering.paths, numbering.probability, strict=True):
        if probability < MIN_PROBABILITY:
            continue
        off = _expected_value(at, cells, path.coordinate) - values
        shift = int(np.round(np.median(off)))
        shifts[shift] = shifts.get(shift, 0.0) + float(probability)
        if shift == 0:
            right += probability * (np.abs(off - np.median(off)) < 0.5)
    judged = tuple(
        replace(level, confidence=float(min(one, 1.0))) for level, one in zip(levels.levels, right, strict=True)
    )
    shift, probability = max(shifts.items(), key=lambda item: item[1])
    notes = []
    if shift and probability >= 0.5:
        middle = levels.levels[len(levels.levels) // 2]
        other = level_name(middle.value + shift, "spinal") if middle.value + shift >= FIRST_ROOTLET else "above C2"
        source = "the given discs" if by_discs else "vertebrae and cord"
        settle = "" if by_discs else "; one disc label settles it (-ldisc)"
        notes.append(
            f"the numbering of these rootlets looks {count_text(abs(shift))} off: by {source}, {middle.name} would be "
            f"{other} (probability {probability:.2f}); the labels are as the model has them (-names chain renames "
            f"them){settle}"
        )
    return replace(levels, levels=judged), notes


def _expected_value(at: np.ndarray, cells: np.ndarray, coordinate: np.ndarray) -> np.ndarray:
    """Value of the spinal level that usually lies at places along the cord, as a fraction between two levels."""
    middles = spinal_middles(all_discs(cells, coordinate))
    values = np.array(sorted(middles), dtype=float)
    middle = np.array([middles[int(value)] for value in values])
    first, last = middle[1] - middle[0], middle[-1] - middle[-2]
    inside = np.interp(at, middle, values)
    return inside + np.minimum(at - middle[0], 0) / first + np.maximum(at - middle[-1], 0) / last
