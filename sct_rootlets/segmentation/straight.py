"""The spine straightened along the cord, coarsely, for naming its segments by what they look like.

Rows lead along the cord, columns from posterior to anterior; channels are slabs from left to right. Posture is gone so:
what is left to tell are the vertebrae, the cord, and what surrounds them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from nibabel.affines import apply_affine
from scipy import ndimage
from scipy.special import log_softmax

from sct_rootlets.centerline import Centerline
from sct_rootlets.models.model import Model
from sct_rootlets.segmentation.labelling import ABOVE, N_NAMES
from sct_rootlets.straighten import plane_points

PIXEL_MM = 2.0
#: Columns behind and in front of the cord's middle, in mm.
BEHIND_MM, AHEAD_MM = 46.0, 34.0
#: Slabs, each the mean of three sheets `PIXEL_MM` apart.
SLAB_MM, N_SLABS = 6.0, 5
N_COLUMNS = round((BEHIND_MM + AHEAD_MM) / PIXEL_MM)
#: Brightness is judged against that within about this distance.
SURROUNDINGS_MM = 16.0
#: Rows that the network sees at once; fewer are filled up.
N_ROWS = 112
#: What the spine looks like in windows of these numbers of rows: all count alike.
WINDOW_ROWS = (112, 64, 40)


def straighten(data: np.ndarray, affine: np.ndarray, line: Centerline, arc: np.ndarray) -> np.ndarray:
    """Sample a volume along the cord.

    Parameters
    ----------
    data : numpy.ndarray, shape (I, J, K)
    affine : numpy.ndarray, shape (4, 4)
    line : Centerline
    arc : numpy.ndarray, shape (N,)
        Rows, mm.

    Returns
    -------
    numpy.ndarray of float32, shape (N_SLABS, N, N_COLUMNS)
        NaN beyond the volume.
    """
    columns = -BEHIND_MM + PIXEL_MM * (np.arange(N_COLUMNS) + 0.5)
    sheets = PIXEL_MM * (np.arange(3 * N_SLABS) - (3 * N_SLABS - 1) / 2)
    points = plane_points(line, arc, columns, "sagittal", sheets)
    index = np.moveaxis(apply_affine(np.linalg.inv(affine), points), -1, 0)
    values = ndimage.map_coordinates(data, index, order=1, cval=np.nan, output=np.float32)
    slabs = values.reshape(N_SLABS, 3, len(arc), N_COLUMNS)
    known = np.isfinite(slabs)
    mean = np.where(known, slabs, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(known.any(axis=1), mean, np.nan).astype(np.float32)


def equalised(slabs: np.ndarray) -> np.ndarray:
    """Brightness by rank, against the brightness around: fluid and coils outshine bone and muscle no more.

    Parameters
    ----------
    slabs : numpy.ndarray, shape (N_SLABS, N, N_COLUMNS)
        NaN where nothing is known.

    Returns
    -------
    numpy.ndarray of float32, same shape
        Evenly distributed with mean 0 and standard deviation 1; 0 where nothing is known.
    """
    known = np.isfinite(slabs)
    if not known.any():
        return np.zeros(slabs.shape, dtype=np.float32)
    low, high = np.percentile(slabs[known], [1, 80])
    values = np.where(known, np.maximum(slabs - low, 0), 0)
    sigma = (0, SURROUNDINGS_MM / PIXEL_MM, SURROUNDINGS_MM / PIXEL_MM)
    around = ndimage.gaussian_filter(np.minimum(values, high - low), sigma)
    share = ndimage.gaussian_filter(known.astype(np.float32), sigma)
    around = around / np.maximum(share, 1e-3)
    values = values / np.maximum(around + 0.1 * around[known].mean(), 1e-6)
    levels = np.unique(np.quantile(values[known], np.linspace(0, 1, 257)))
    ranks = np.interp(values, levels, np.linspace(-np.sqrt(3), np.sqrt(3), len(levels)))
    return np.where(known, ranks, 0).astype(np.float32)


def names_of_rows(
    model: Model, data: np.ndarray, affine: np.ndarray, line: Centerline, device: str | torch.device = "cpu"
) -> tuple[np.ndarray, np.ndarray]:
    """Log-probability of each level along the cord, by what its surroundings look like.

    Parameters
    ----------
    model : Model
        Of names, on straightened images.
    data, affine
        A volume of about `PIXEL_MM`.
    line : Centerline
    device : str or torch.device

    Returns
    -------
    arc : numpy.ndarray, shape (N,)
    names : numpy.ndarray, shape (N, N_NAMES)
    """
    arc = np.arange(PIXEL_MM / 2, line.cord_length, PIXEL_MM)
    slabs = straighten(data, affine, line, arc)
    logs = np.zeros((len(arc), N_NAMES - ABOVE))
    for size in WINDOW_ROWS:
        windows = _windows(len(arc), size)
        total, times = np.zeros_like(logs), np.zeros((len(arc), 1))
        for part, seen in zip(windows, _look_at(model, [slabs[:, part] for part in windows], device), strict=True):
            total[part] += seen
            times[part] += 1
        logs += total / times
    names = np.full((len(arc), N_NAMES), -np.inf)
    names[:, ABOVE:] = log_softmax(logs / len(WINDOW_ROWS), axis=1)
    return arc, names


def _windows(n_rows: int, size: int) -> list[slice]:
    """Windows of a size that cover all rows, each beginning a quarter of it after the one before."""
    starts = sorted({*range(0, max(n_rows - size, 0), size // 4), max(n_rows - size, 0)})
    return [slice(start, min(start + size, n_rows)) for start in starts]


def _look_at(model: Model, parts: list[np.ndarray], device: str | torch.device, batch: int = 8) -> Iterator[np.ndarray]:
    """Log-probabilities (rows, names) of parts of the spine, each as it is and mirrored from left to right."""
    for first in range(0, len(parts), batch):
        some = parts[first : first + batch]
        # Filled up to as many rows as in training: the network's normalisation counts the empty ones.
        images = [np.pad(equalised(part), [(0, 0), (0, N_ROWS - part.shape[1]), (0, 0)]) for part in some]
        tensor = torch.from_numpy(np.stack(images)).to(device)
        with torch.no_grad():
            logs = [row_logits(model.network(one)).log_softmax(1).cpu().numpy() for one in (tensor, tensor.flip(1))]
        for part, log in zip(some, (logs[0] + logs[1]) / 2, strict=True):
            yield log.T[: part.shape[1]]


def row_logits(output: torch.Tensor) -> torch.Tensor:
    """Logits of the names of each row, shape (B, names, rows), from the network's output of every pixel."""
    return output[:, ABOVE:].float().mean(dim=3)
