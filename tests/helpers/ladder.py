"""Tiny rootlet maps of known geometry: a level is two square pillars beside the cord, each above the next."""

from pathlib import Path

import numpy as np

from sct_rootlets.nifti import save_volume

SHAPE = (20, 16, 60)
VALUES = (2, 3, 4, 5, 6, 7)
LEVEL_SLICES, PITCH = 6, 8


def ladder(values=VALUES, shift=0, thick=3, rename=None) -> np.ndarray:
    """Level ``v`` lies ``PITCH`` slices below level ``v - 1``; ``shift`` moves all of them down by slices."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    for value in values:
        top = SHAPE[2] - 4 - (value - 2) * PITCH - shift
        for x in (3, 13):
            labels[x : x + thick, 6 : 6 + thick, top - LEVEL_SLICES : top] = (rename or {}).get(value, value)
    return labels


def cord() -> np.ndarray:
    """A straight cord between the pillars."""
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[7:12, 5:10] = 1
    return mask


def write(folder: Path, name: str, data: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """A file of the map, 1 mm voxels by default."""
    folder.mkdir(parents=True, exist_ok=True)
    save_volume(folder / name, data, np.eye(4) if affine is None else affine)
    return folder / name
