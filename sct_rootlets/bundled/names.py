"""Examples of the spine straightened along the cord, synthetic or real, for the network of names and of vertebrae.

Synthetic scans are drawn upright and need no straightening.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage

from sct_rootlets.bundled.real import paths_of
from sct_rootlets.centerline import fit_centerline
from sct_rootlets.levels import BELOW_T1
from sct_rootlets.nifti import load_volume
from sct_rootlets.segmentation.evidence import evidence_from_discs
from sct_rootlets.segmentation.grid import downsample, orient
from sct_rootlets.segmentation.straight import (
    AHEAD_MM,
    BEHIND_MM,
    N_COLUMNS,
    N_ROWS,
    N_SLABS,
    PIXEL_MM,
    SLAB_MM,
    rank_normalize,
    straighten,
)
from sct_rootlets.synthesis.contrast import random_contrast
from sct_rootlets.synthesis.random_anatomy import TRAINING_RANGES, AnatomyRanges, random_anatomy
from sct_rootlets.synthesis.synthesis import segments_along, synthesize
from sct_rootlets.vertebral import label_points, place_discs

#: Column of the middle of the cord.
CORD_COLUMN = BEHIND_MM / PIXEL_MM - 0.5

#: Range of the thickness of slices in views that look as if acquired in thick axial slices.
THICK_SLICES_MM = (2.5, 7.5)

#: Beyond the first and the last known disc, so many vertebrae are still numbered.
VERTEBRAE_ABOVE, VERTEBRAE_BELOW = 1.2, 0.6


class Straight(NamedTuple):
    """A spine straightened along the cord.

    Attributes
    ----------
    slabs : numpy.ndarray of float32, shape (N_SLABS, N, N_COLUMNS)
        Brightness; NaN outside the scan.
    names : numpy.ndarray of int, shape (N,)
        Spinal level of each row: 1 above C2, 2 for C2 … 9 for T1, 10 below.
    vertebrae : numpy.ndarray of float32, shape (N,)
        Vertebral coordinate of each row (`vertebral_coordinate`); NaN where it is not known.
    """

    slabs: np.ndarray
    names: np.ndarray
    vertebrae: np.ndarray


def vertebral_coordinate(arc: np.ndarray, discs: dict[int, float]) -> np.ndarray:
    """Number places along the cord by vertebrae: disc n is n, the middle of vertebra n is n + 0.5.

    Parameters
    ----------
    arc : numpy.ndarray, shape (N,)
        mm.
    discs : dict of int to float
        Arc length of discs in mm, by value; at least two.

    Returns
    -------
    numpy.ndarray of float32, shape (N,)
        NaN more than `VERTEBRAE_ABOVE` above the first disc and `VERTEBRAE_BELOW` below the last one.
    """
    values = np.array(sorted(discs))
    at = np.array([discs[value] for value in values])
    first, last = np.diff(at)[[0, -1]] / np.diff(values)[[0, -1]]
    above, below = values[0] - VERTEBRAE_ABOVE, values[-1] + VERTEBRAE_BELOW
    values = np.array([above, *values, below])
    at = np.array([at[0] - VERTEBRAE_ABOVE * first, *at, at[-1] + VERTEBRAE_BELOW * last])
    return np.interp(arc, at, values, np.nan, np.nan).astype(np.float32)


def random_straight(rng: np.random.Generator, ranges: AnatomyRanges = TRAINING_RANGES) -> Straight:
    """Draw a straightened synthetic spine of `N_ROWS` rows."""
    upright = replace(ranges, lean_deg=(-4.0, 4.0), bend_deg=(0.0, 5.0), sway_mm=(0.0, 0.5))
    anatomy = random_anatomy(rng, upright)
    contrast = random_contrast(rng)
    at = anatomy.discs[1] - 10 + PIXEL_MM * N_ROWS / 2 + rng.uniform(-70, 60)
    centre = anatomy.centerline.position(at)[0] + [rng.normal(0, 1), (AHEAD_MM - BEHIND_MM) / 2 + rng.normal(0, 1.5), 0]
    shape = (3 * N_SLABS, N_COLUMNS, N_ROWS)
    scan = synthesize(anatomy, contrast, shape, (SLAB_MM / 3, PIXEL_MM, PIXEL_MM), tuple(centre), rng, fine_mm=1.0)
    image = scan.image.numpy().reshape(N_SLABS, 3, N_COLUMNS, N_ROWS).mean(axis=1).transpose(0, 2, 1)[:, ::-1]
    heights = centre[2] - PIXEL_MM * (np.arange(N_ROWS) - (N_ROWS - 1) / 2)
    line = anatomy.centerline
    arc = np.interp(heights, line.points[::-1, 2], line.arc[::-1])
    beyond = heights < line.points[-1, 2]
    arc[beyond] = line.arc[-1] + (line.points[-1, 2] - heights[beyond])
    return Straight(
        np.ascontiguousarray(image, dtype=np.float32),
        segments_along(anatomy, torch.from_numpy(arc)).numpy(),
        vertebral_coordinate(arc, anatomy.discs),
    )


def real_straight(folder: Path, subject: str) -> Straight:
    """Read a real spine and straighten it; discs name its rows, of any number."""
    image, cord, discs = (load_volume(path) for path in paths_of(folder, subject))
    line = fit_centerline(cord.data > 0, cord.affine)
    arc = np.arange(PIXEL_MM / 2, line.cord_length, PIXEL_MM)
    data, affine = downsample(orient(image), PIXEL_MM)
    placed, _ = place_discs(label_points(discs), line, discs.affine)
    at = {disc.value: disc.arc_mm for disc in placed}
    names = evidence_from_discs(arc, at).log_probability.argmax(axis=1)
    return Straight(straighten(data, affine, line, arc), names, vertebral_coordinate(arc, at))


def view(example: Straight, rng: np.random.Generator, n_rows: int = N_ROWS, thick_share: float = 0.0) -> Straight:
    """Cut a random part of an example, as a scan of another field of view, size and brightness would show it.

    Parameters
    ----------
    example : Straight
    rng : numpy.random.Generator
    n_rows : int
    thick_share : float
        How often the part looks as if acquired in thick axial slices (`in_thick_slices`), 0 to 1.

    Returns
    -------
    Straight
        Of ``n_rows`` rows; names are 0, and vertebrae NaN, where there is nothing.
    """
    slabs, names, vertebrae = example
    n = slabs.shape[1]
    length = int(rng.integers(22, min(n, n_rows) + 1)) if rng.random() < 0.6 else min(n, n_rows)
    # Mostly around a row that bears the name of a level: rows far below T1 teach little.
    named = np.flatnonzero(names < BELOW_T1)
    middle = rng.choice(named) if len(named) and rng.random() < 0.8 else rng.integers(n)
    start = int(np.clip(middle - rng.integers(length), 0, n - length))
    # Scaled along the cord, more here than there, and across it; shifted and blurred.
    pace = rng.uniform(0.9, 1.1) * np.exp(0.06 * ndimage.gaussian_filter1d(rng.standard_normal(length), 8) * 5)
    rows = start + np.cumsum(pace) - pace[0]
    rows = rows[rows <= n - 1]
    columns = (np.arange(N_COLUMNS) - CORD_COLUMN) * rng.uniform(0.85, 1.15) + CORD_COLUMN + rng.normal(0, 1.0)
    part = slabs[::-1] if rng.random() < 0.5 else slabs
    index = np.array(np.meshgrid(np.arange(N_SLABS), rows, columns, indexing="ij"))
    part = ndimage.map_coordinates(part, index, order=1, cval=np.nan)
    if rng.random() < thick_share:
        part = in_thick_slices(part, rng.uniform(*THICK_SLICES_MM), rng)
    behind, ahead = (int(rng.integers(0, 10)) if rng.random() < 0.3 else 0 for _ in range(2))
    part[:, :, :behind] = np.nan
    part[:, :, N_COLUMNS - ahead :] = np.nan
    low, high = np.nanmin(part), np.nanmax(part)
    part = (part - low) / max(high - low, 1e-6)
    if rng.random() < 0.25:  # another contrast: brightness goes up and down with what it was
        part = np.interp(part, np.linspace(0, 1, 6) ** 2, rng.uniform(0, 1, 6))
    waves = ndimage.zoom(rng.standard_normal((1, 4, 3)), (1, len(rows) / 4, N_COLUMNS / 3), order=1)
    part = part * np.exp(rng.uniform(0, 0.5) * waves)
    part = part + rng.uniform(0, 0.02) * rng.standard_normal(part.shape)
    image = np.zeros((N_SLABS, n_rows, N_COLUMNS), dtype=np.float32)
    image[:, : len(rows)] = rank_normalize(part)
    padded = np.zeros(n_rows, dtype=np.int64)
    padded[: len(rows)] = names[np.round(rows).astype(int)]
    numbered = np.full(n_rows, np.nan, dtype=np.float32)
    numbered[: len(rows)] = np.interp(rows, np.arange(n), vertebrae)
    return Straight(image, padded, numbered)


def in_thick_slices(slabs: np.ndarray, thickness_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Show a straightened spine as axial slices of another thickness and brightness would, interpolated between them.

    Parameters
    ----------
    slabs : numpy.ndarray, shape (N_SLABS, N, N_COLUMNS)
        Brightness; NaN outside the scan.
    thickness_mm : float
        Thickness of the slices, which follow each other without gaps.
    rng : numpy.random.Generator
        Draws where the first slice lies, and how bright each slice is.
    """
    n = slabs.shape[1]
    width = thickness_mm / PIXEL_MM
    middles = np.arange(rng.uniform(-width / 2, width / 2), n + width / 2, width)
    rows = np.arange(n)
    begin, end = middles[:, None] - width / 2, middles[:, None] + width / 2
    share = np.maximum(np.minimum(rows + 0.5, end) - np.maximum(rows - 0.5, begin), 0)
    filled = share.sum(axis=1) > 0
    share, middles = share[filled], middles[filled]
    between = np.stack([np.interp(rows, middles, one) for one in np.eye(len(middles))], axis=1)
    known = np.isfinite(slabs)
    mean, weight = (
        np.einsum("sr,krc->ksc", share, values) for values in (np.where(known, slabs, 0), known.astype(float))
    )
    bright = np.exp(0.05 * rng.standard_normal((len(middles), 1)))
    slices = between @ (bright * mean / np.maximum(weight, 1e-6))
    return np.where(known, slices, np.nan)
