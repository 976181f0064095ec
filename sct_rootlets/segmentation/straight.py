"""The level names that vertebrae and cord suggest, on a coarse image straightened along the cord.

Rows of the image follow the cord, columns lead from posterior to anterior, and channels are slabs from left to right.
Straightening removes the posture; vertebrae, cord and their surroundings remain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from nibabel.affines import apply_affine
from scipy import ndimage
from scipy.special import log_softmax

from sct_rootlets.centerline import Centerline
from sct_rootlets.levels import ABOVE_C2, N_NAMES
from sct_rootlets.models.model import Model
from sct_rootlets.straighten import plane_points

#: Distance between rows and between columns.
PIXEL_MM = 2.0
#: Extent of the image behind and in front of the middle of the cord.
BEHIND_MM, AHEAD_MM = 46.0, 34.0
#: Thickness and number of the slabs, each the mean of three sheets `PIXEL_MM` apart.
SLAB_MM, N_SLABS = 6.0, 5
N_COLUMNS = round((BEHIND_MM + AHEAD_MM) / PIXEL_MM)
#: Standard deviation of the neighbourhood whose mean brightness a pixel is compared with.
NEIGHBOURHOOD_SD_MM = 16.0
#: Length of cord in the images that the network was trained on; shorter ones are padded.
TRAINED_LENGTH_MM = 224.0
N_ROWS = round(TRAINED_LENGTH_MM / PIXEL_MM)
#: Lengths of the windows in which the network sees the spine; their predictions have the same weight.
WINDOWS_MM = (TRAINED_LENGTH_MM, 128.0, 80.0)
#: Vertebral coordinates that the network tells apart, a quarter of a vertebra each: disc n is n, the middle of vertebra
#: n is n + 0.5.
VERTEBRA_BINS = (np.arange(52) + 0.5).astype(np.float32) / 4
#: Windows that the network predicts at once.
_BATCH_SIZE = 8


def straighten(data: np.ndarray, affine: np.ndarray, line: Centerline, arc: np.ndarray) -> np.ndarray:
    """Sample a volume along the cord.

    Parameters
    ----------
    data : numpy.ndarray, shape (I, J, K)
    affine : numpy.ndarray, shape (4, 4)
    line : Centerline
    arc : numpy.ndarray, shape (N,)
        Position of each row along the cord in mm.

    Returns
    -------
    numpy.ndarray of float32, shape (N_SLABS, N, N_COLUMNS)
        Brightness; NaN outside the volume.
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


def rank_normalize(slabs: np.ndarray) -> np.ndarray:
    """Normalize brightness by that of the neighbourhood, then replace it by its rank.

    Bone and muscle so keep their contrast beside bright fluid, and far from the coil.

    Parameters
    ----------
    slabs : numpy.ndarray, shape (N_SLABS, N, N_COLUMNS)
        Brightness; NaN outside the volume.

    Returns
    -------
    numpy.ndarray of float32, same shape
        Uniformly distributed with mean 0 and standard deviation 1; 0 outside the volume.
    """
    known = np.isfinite(slabs)
    if not known.any():
        return np.zeros(slabs.shape, dtype=np.float32)
    low, high = np.percentile(slabs[known], [1, 80])
    values = np.where(known, np.maximum(slabs - low, 0), 0)
    sigma = (0, NEIGHBOURHOOD_SD_MM / PIXEL_MM, NEIGHBOURHOOD_SD_MM / PIXEL_MM)
    around = ndimage.gaussian_filter(np.minimum(values, high - low), sigma)
    share = ndimage.gaussian_filter(known.astype(np.float32), sigma)
    around = around / np.maximum(share, 1e-3)
    values = values / np.maximum(around + 0.1 * around[known].mean(), 1e-6)
    quantiles = np.unique(np.quantile(values[known], np.linspace(0, 1, 257)))
    ranks = np.interp(values, quantiles, np.linspace(-np.sqrt(3), np.sqrt(3), len(quantiles)))
    return np.where(known, ranks, 0).astype(np.float32)


@dataclass(frozen=True)
class Spine:
    """What the look of vertebrae and cord says of places along the cord.

    Attributes
    ----------
    arc : numpy.ndarray, shape (N,)
        Positions along the cord in mm, `PIXEL_MM` apart.
    names : numpy.ndarray, shape (N, N_NAMES)
        Log-probability of each spinal level at these positions.
    vertebrae : numpy.ndarray, shape (N, len(VERTEBRA_BINS))
        Log-probability of each vertebral coordinate.
    """

    arc: np.ndarray
    names: np.ndarray
    vertebrae: np.ndarray


def predict_spine(
    models: Sequence[Model], data: np.ndarray, affine: np.ndarray, line: Centerline, device: str | torch.device = "cpu"
) -> Spine:
    """Predict spinal levels and vertebrae along the cord from the look of vertebrae and cord.

    Parameters
    ----------
    models : sequence of Model
        Networks for straightened images, with a head ``vertebrae``; their predictions are averaged.
    data : numpy.ndarray, shape (I, J, K)
        A volume with voxels of about `PIXEL_MM`.
    affine : numpy.ndarray, shape (4, 4)
    line : Centerline
    device : str or torch.device
    """
    arc = np.arange(PIXEL_MM / 2, line.cord_length, PIXEL_MM)
    slabs = straighten(data, affine, line, arc)
    n_names = N_NAMES - ABOVE_C2
    logs = np.zeros((len(arc), n_names + len(VERTEBRA_BINS)))
    for length_mm in WINDOWS_MM:
        windows = _windows(len(arc), round(length_mm / PIXEL_MM))
        total, times = np.zeros_like(logs), np.zeros((len(arc), 1))
        for model in models:
            predictions = _predict_windows(model, [slabs[:, window] for window in windows], device)
            for window, predicted in zip(windows, predictions, strict=True):
                total[window] += predicted
                times[window] += 1
        logs += total / times
    logs /= len(WINDOWS_MM)
    names = np.full((len(arc), N_NAMES), -np.inf)
    names[:, ABOVE_C2:] = log_softmax(logs[:, :n_names], axis=1)
    return Spine(arc, names, log_softmax(logs[:, n_names:], axis=1))


def _windows(n_rows: int, size: int) -> list[slice]:
    """Return windows of a size in rows that cover all rows, each a quarter of the size after the one before."""
    starts = sorted({*range(0, max(n_rows - size, 0), size // 4), max(n_rows - size, 0)})
    return [slice(start, min(start + size, n_rows)) for start in starts]


def _predict_windows(model: Model, windows: list[np.ndarray], device: str | torch.device) -> Iterator[np.ndarray]:
    """Predict log-probabilities of windows, averaged over each image and its left-right mirror image.

    Yields
    ------
    numpy.ndarray, shape (rows, names and vertebrae)
    """
    for first in range(0, len(windows), _BATCH_SIZE):
        batch = windows[first : first + _BATCH_SIZE]
        # Padded to as many rows as in training: the network's normalisation includes the empty rows.
        padded = [np.pad(rank_normalize(window), [(0, 0), (0, N_ROWS - window.shape[1]), (0, 0)]) for window in batch]
        images = torch.from_numpy(np.stack(padded)).to(device)
        with torch.no_grad():
            logs = [_row_logs(model, each).cpu().numpy() for each in (images, images.flip(1))]
        for window, log in zip(batch, (logs[0] + logs[1]) / 2, strict=True):
            yield log.T[: window.shape[1]]


def _row_logs(model: Model, images: torch.Tensor) -> torch.Tensor:
    """Run the network; log-probabilities of the names of rows, then of their vertebrae, shape (B, channels, rows)."""
    logits = row_logits(model.network(images))
    parts = logits[:, ABOVE_C2:N_NAMES], logits[:, model.heads["vertebrae"]]
    return torch.cat([part.log_softmax(1) for part in parts], dim=1)


def row_logits(output: torch.Tensor) -> torch.Tensor:
    """Average the network's output over the pixels of each row; shape (B, channels, rows)."""
    return output.float().mean(dim=3)
