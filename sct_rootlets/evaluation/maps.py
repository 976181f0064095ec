"""Rootlet maps read from files as whole numbers, with the axes of all volumes of a scan in one order and direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from nibabel.orientations import apply_orientation, io_orientation, ornt_transform

from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume, check_same_grid, labelled_voxels
from sct_rootlets.levels import FIRST_ROOTLET, LAST_ROOTLET
from sct_rootlets.nifti import load_volume


def load_same_grid(paths: Sequence[Path]) -> list[Volume]:
    """Load volumes of a scan.

    Parameters
    ----------
    paths : sequence of Path

    Returns
    -------
    list of Volume

    Raises
    ------
    SctRootletsError
        If a file is unreadable, or not on the grid of the first.
    """
    volumes = [load_volume(path) for path in paths]
    for volume in volumes[1:]:
        check_same_grid(volumes[0], volume)
    return volumes


def align_axes(volume: Volume, affine: np.ndarray) -> np.ndarray:
    """Return the data of a volume with its axes in the order and direction of another affine of the same grid."""
    return apply_orientation(volume.data, ornt_transform(io_orientation(volume.affine), io_orientation(affine)))


def level_map(volume: Volume) -> Volume:
    """Convert a rootlet map to whole numbers; the map may be empty.

    Parameters
    ----------
    volume : Volume

    Returns
    -------
    Volume
        Data of type uint8.

    Raises
    ------
    LabelError
        If the map holds fractions, NaN, or values that are no level.
    """
    if not volume.data.any():
        return replace(volume, data=np.zeros(volume.data.shape, dtype=np.uint8))
    ijk, values = labelled_voxels(volume)
    wrong = sorted(set(np.unique(values).tolist()) - set(range(FIRST_ROOTLET, LAST_ROOTLET + 1)))
    if wrong:
        raise LabelError(
            f"{volume.path or volume.name} holds the value {wrong[0]}, which is not a level; rootlet maps hold "
            f"{FIRST_ROOTLET} (C2) to {LAST_ROOTLET} (S5), with 9 for T1"
        )
    labels = np.zeros(volume.data.shape, dtype=np.uint8)
    labels[tuple(ijk.T)] = values
    return replace(volume, data=labels)
