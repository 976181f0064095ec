"""Tiles: where they lie, and the network's outputs on them, blended as nnU-Net v2 does."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, combinations, product
from typing import Literal

import numpy as np
import torch
from scipy import ndimage

from sct_rootlets.errors import ModelError
from sct_rootlets.models.architecture import run_network
from sct_rootlets.models.model import Model

_LOGGER = logging.getLogger(__name__)

Precision = Literal["float32", "bfloat16"]

#: How far from the middle of the cord tiles reach on either side.
REACH_MM = 15.0
#: Tiles with a smaller share of the weights make no difference.
MIN_SHARE = 0.15
#: Distance between tiles along the body, as a share of their size.
TILE_STEP = 0.625


def tiled_logits(
    model: Model,
    image: torch.Tensor,
    patch: tuple[int, ...],
    step: float = 0.5,
    mirror: bool = False,
    device: str | torch.device = "cpu",
) -> torch.Tensor:
    """Compute the logits of all voxels of an image from evenly spaced tiles.

    Parameters
    ----------
    model : Model
    image : torch.Tensor, shape (I, J, K)
        Standardized image on the model's voxels; if it is smaller than a tile, it is padded with zeros.
    patch : tuple of int
        Size of a tile in voxels.
    step : float
        Distance between tiles, as a share of their size.
    mirror : bool
        Average over mirrored copies.
    device : str or torch.device

    Returns
    -------
    torch.Tensor, shape (channels, I, J, K)
    """
    missing = [max(0, size - n) for size, n in zip(patch, image.shape, strict=True)]
    before = [n // 2 for n in missing]
    widths = [width for n, first in zip(missing[::-1], before[::-1], strict=True) for width in (first, n - first)]
    padded = torch.nn.functional.pad(image, widths)
    starts = list(product(*(even_starts(n, size, step) for n, size in zip(padded.shape, patch, strict=True))))
    total, weights = blended_logits(model, padded, patch, starts, mirror, device)
    total /= weights
    return total[_all_channels(_box(before, image.shape))]


def blended_logits(
    model: Model,
    image: torch.Tensor,
    patch: tuple[int, ...],
    starts: Sequence[Sequence[int]],
    mirror: bool = False,
    device: str | torch.device = "cpu",
    precision: Precision = "float32",
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run the network on tiles; sum their logits, weighted by a Gaussian, and average folds.

    Parameters
    ----------
    model : Model
    image : torch.Tensor, shape (I, J, K)
    patch : tuple of int
        Size of a tile in voxels.
    starts : sequence of (int, int, int)
        First voxel of each tile.
    mirror : bool
    device : str or torch.device
    precision : {"float32", "bfloat16"}
        Number format of the network on a CPU. On a GPU of Nvidia it computes in half precision, as in nnU-Net.

    Returns
    -------
    total : torch.Tensor, shape (channels, I, J, K)
    weights : torch.Tensor, shape (I, J, K)
        Sum of the weights; 0 outside all tiles.
    """
    runs = chain.from_iterable(
        _each_tile(model, image, patch, starts, mirror, device, precision) for _ in _each_fold(model)
    )
    weight = _gaussian(tuple(patch)) if len(starts) > 1 else torch.ones(())
    return _sum_tiles(runs, image.shape, weight)


def nnunet_logits(
    model: Model,
    image: torch.Tensor,
    patch: tuple[int, ...],
    starts: Sequence[Sequence[int]],
    mirror: bool = False,
    device: str | torch.device = "cpu",
    precision: Precision = "float32",
    n_channels: int | None = None,
) -> torch.Tensor:
    """Run the network on tiles, and blend its logits in half precision, with the roundings of nnU-Net v2 on a CPU.

    nnU-Net rounds so from 2.2.1 to 2.8 at least. Other parameters are those of `blended_logits`.

    Parameters
    ----------
    n_channels : int, optional
        Number of channels that are needed, from the first on; by default, all.

    Returns
    -------
    torch.Tensor of torch.float16, shape (channels, I, J, K)
        Outside all tiles 1 in the first channel, and 0 in all others.

    Raises
    ------
    ModelError
        If logits are not finite in half precision.
    """
    weight = _half_gaussian(tuple(patch))
    mean: torch.Tensor | None = None
    for _ in _each_fold(model):
        runs = _each_tile(model, image, patch, starts, mirror, device, precision, n_channels)
        total, weights = _sum_tiles(runs, image.shape, weight)
        torch.div(total, weights, out=total)
        total[:, weights == 0] = 0.0
        total[0, weights == 0] = 1.0
        if not torch.isfinite(total).all():
            raise ModelError(
                "the output of the model is too large for half precision, or not a number; nnU-Net stops too"
            )
        mean = total if mean is None else mean.add_(total)
        del total, weights  # the next fold needs the memory
    if mean is None:
        raise ValueError("the model has no fold")
    return mean if len(model.folds) == 1 else mean.div_(len(model.folds))


def _sum_tiles(
    runs: Iterable[tuple[tuple[slice, ...], torch.Tensor]], shape: Sequence[int], weight: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum the weighted logits of tiles, and the weights, in the number format of the weight of a tile."""
    total: torch.Tensor | None = None
    weights = torch.zeros(tuple(shape), dtype=weight.dtype)
    for tile, logits in runs:
        if total is None:
            total = torch.zeros((len(logits), *shape), dtype=weight.dtype)
        total[_all_channels(tile)] += logits.mul_(weight)
        weights[tile] += weight
        del logits
    if total is None:
        raise ValueError("no tiles to run the network on")
    return total, weights


def _each_fold(model: Model) -> Iterator[None]:
    """Load the weights of one fold after the other into the network."""
    for weights in model.folds:
        if len(model.folds) > 1:
            model.network.load_state_dict(weights)
        yield


def _each_tile(
    model: Model,
    image: torch.Tensor,
    patch: tuple[int, ...],
    starts: Sequence[Sequence[int]],
    mirror: bool,
    device: str | torch.device,
    precision: Precision,
    n_channels: int | None = None,
) -> Iterator[tuple[tuple[slice, ...], torch.Tensor]]:
    """Run the network on one tile after the other; yields the tile and its logits, which may be changed."""
    flips = _flips(model.mirror_axes) if mirror else [()]
    for number, start in enumerate(starts, start=1):
        if len(starts) > 1:
            _LOGGER.info("running the network on part %d of %d", number, len(starts))
        tile = _box(start, patch)
        part = image[tile][None, None].to(device)
        # No name is kept for the logits: they are let go before the next tile needs memory.
        yield tile, _mean_logits(model, part, flips, precision, n_channels).cpu()


def _mean_logits(
    model: Model, part: torch.Tensor, flips: Sequence[tuple[int, ...]], precision: Precision, n_channels: int | None
) -> torch.Tensor:
    """Average the logits of the first channels over mirrored copies of a part of an image."""
    total: torch.Tensor | None = None
    with torch.no_grad(), _autocast(part.device, precision):
        for axes in flips:
            logits = run_network(model.network, torch.flip(part, axes) if axes else part)[0, :n_channels]
            logits = (torch.flip(logits, [axis - 1 for axis in axes]) if axes else logits).float()
            total = logits if total is None else total.add_(logits)
            del logits
    if total is None:
        raise ValueError("no copy to run the network on")
    return total.div_(len(flips))


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16; a CPU without instructions for it is ten times slower so, and more."""
    if device.type == "cpu":
        return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device.type == "cuda"


def _autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Compute in half precision on a GPU of Nvidia, as nnU-Net does, and as asked on a CPU."""
    if device.type == "cuda":
        return torch.autocast("cuda", dtype=torch.float16)
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=device.type == "cpu" and precision == "bfloat16")


def _box(start: Sequence[int], size: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(first, first + n) for first, n in zip(start, size, strict=True))


def _all_channels(box: tuple[slice, ...]) -> tuple[slice, ...]:
    """Return the index of a box in all channels."""
    return (slice(None), *box)


def _flips(axes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """List all combinations of mirrored axes, as axes of a batch, in the order in which nnU-Net sums them."""
    mirrored = [axis + 2 for axis in axes]
    return [chosen for n in range(len(axes) + 1) for chosen in combinations(mirrored, n)]


def even_starts(length: int, size: int, step: float) -> list[int]:
    """Return the first voxels of evenly spaced tiles that cover a length, at most ``step`` of their size apart."""
    n = int(np.ceil((length - size) / (size * step))) + 1
    return [round((length - size) / max(n - 1, 1) * i) for i in range(n)]


@lru_cache(maxsize=2)
def _gaussian(size: tuple[int, ...]) -> torch.Tensor:
    """Return the weight of each voxel of a tile: a Gaussian whose standard deviation is an eighth of the size."""
    weight = _bell(size)
    weight /= weight.max()
    return torch.from_numpy(np.maximum(weight, weight[weight > 0].min()).astype(np.float32))


@lru_cache(maxsize=2)
def _half_gaussian(size: tuple[int, ...]) -> torch.Tensor:
    """Return the weights of nnU-Net: ten times `_gaussian` in half precision; those that are 0 there are the least."""
    bell = torch.from_numpy(_bell(size))
    weight = (bell / (bell.max() / 10)).to(torch.float16)
    weight[weight == 0] = weight[weight != 0].min()
    return weight


def _bell(size: tuple[int, ...]) -> np.ndarray:
    point = np.zeros(size)
    point[tuple(n // 2 for n in size)] = 1
    return np.asarray(ndimage.gaussian_filter(point, [n / 8 for n in size], mode="constant"))


def tile_starts(
    points: np.ndarray, shape: tuple[int, ...], patch: tuple[int, ...], reach: np.ndarray
) -> list[tuple[int, ...]]:
    """First voxels of tiles that cover a curve and its surroundings.

    Parameters
    ----------
    points : numpy.ndarray, shape (N, 3)
        Dense points of the curve, in voxels.
    shape : tuple of int
        Shape of the image.
    patch : tuple of int
        Shape of a tile.
    reach : numpy.ndarray, shape (3,)
        How far the tiles must reach on either side of the curve, in voxels.
    """
    axis = int(np.argmax(np.abs(points[-1] - points[0])))
    low = np.clip(points.min(axis=0)[axis], 0, shape[axis])
    high = np.clip(points.max(axis=0)[axis] + 1, 0, shape[axis])
    starts: list[tuple[int, ...]] = []
    for begin in _cover(low, high, patch[axis], shape[axis], TILE_STEP):
        within = points[(points[:, axis] >= begin - 1) & (points[:, axis] <= begin + patch[axis])]
        if not len(within):
            continue
        begins: list[list[int]] = []
        for other in range(3):
            if other == axis:
                begins.append([begin])
                continue
            interval = within.min(axis=0)[other] - reach[other], within.max(axis=0)[other] + reach[other]
            begins.append(_cover(*interval, patch[other], shape[other], 1.0))
        starts += [(i, j, k) for i in begins[0] for j in begins[1] for k in begins[2]]
    return starts


def grid_tiles_near(
    points: np.ndarray, shape: tuple[int, ...], patch: tuple[int, ...], reach: np.ndarray, step: float = 0.5
) -> np.ndarray:
    """First voxels of those tiles of the whole grid that matter near a curve.

    A tile matters where its weight is at least `MIN_SHARE` of the weights of all tiles.

    Parameters
    ----------
    points : numpy.ndarray, shape (N, 3)
        Dense points of the curve, in voxels.
    shape, patch : tuple of int
        Shapes of the image and of a tile.
    reach : numpy.ndarray, shape (3,)
        How far from the curve tiles matter, in voxels.
    step : float
        Distance between the tiles of the grid, as a share of their size.

    Returns
    -------
    numpy.ndarray of int, shape (M, 3)
    """
    around = reach * np.array(list(product((-1, 0, 1), repeat=3)))
    places = (points[:: max(1, round(float(reach.min()) / 4)), None] + around).reshape(-1, 3)
    places = places[((places >= 0) & (places <= np.array(shape) - 1)).all(axis=1)]
    shares = []  # of each tile along each axis, at each place
    starts = [even_starts(n, size, step) for n, size in zip(shape, patch, strict=True)]
    for axis, size in enumerate(patch):
        begin, at = np.array(starts[axis]), places[:, axis, None]
        weight = np.exp(-0.5 * ((at - begin - size // 2) / (size / 8)) ** 2)
        weight[(at < begin) | (at >= begin + size)] = 0
        shares.append(weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-30))
    share = np.einsum("pi,pj,pk->pijk", *shares).max(axis=0, initial=0)
    chosen = np.argwhere(share >= min(MIN_SHARE, share.max()))
    return np.stack([np.array(starts[axis])[chosen[:, axis]] for axis in range(3)], axis=1)


def _cover(low: float, high: float, size: int, limit: int, step: float) -> list[int]:
    """First voxels of tiles along one axis that cover an interval, centred on it, within the image."""
    n = max(1, int(np.ceil((high - low - size) / (size * step))) + 1)
    middle = (low + high) / 2
    span = max(0.0, high - low - size)
    begins = middle - size / 2 + (np.arange(n) / max(n - 1, 1) - (0.5 if n > 1 else 0)) * span
    inside = np.clip(np.round(begins), 0, max(0, limit - size)).astype(int)
    return sorted(set(inside.tolist()))
