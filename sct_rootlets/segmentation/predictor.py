"""Running a model on a volume, as nnU-Net v2 does: standardize, resample, tile, blend and resample back.

Labels differ from those of nnU-Net v2 only where it sums in half precision and rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from skimage.transform import resize

from sct_rootlets.image import Volume
from sct_rootlets.models.model import Model
from sct_rootlets.segmentation.grid import orient

#: Voxels longer than this many times their width are resampled slice by slice, as in nnU-Net.
MAX_ISOTROPIC_RATIO = 3.0


def predict(
    model: Model, volume: Volume, step: float = 0.5, mirror: bool = False, device: str | torch.device = "cpu"
) -> np.ndarray:
    """Segment a volume over its whole field of view.

    Parameters
    ----------
    model : Model
    volume : Volume
        The image, in any axis order.
    step : float
        Distance between tiles, as a share of their size.
    mirror : bool
        Average over mirrored copies of the input, along the axes that the model allows (test-time augmentation).
    device : str or torch.device

    Returns
    -------
    numpy.ndarray of uint8, shape (I, J, K)
        Class values on the grid of the volume.
    """
    oriented = orient(volume, model.orientation, model.permutation)
    image = oriented.data.astype(np.float32)
    labels = np.zeros(image.shape, dtype=np.uint8)
    if image.any():
        box = ndimage.find_objects(ndimage.binary_fill_holes(image != 0).astype(np.uint8))[0]
        labels[box] = _predict_box(model, image[box], oriented.spacing, step, mirror, device)
    return oriented.restore(labels)


def _predict_box(
    model: Model, image: np.ndarray, spacing: np.ndarray, step: float, mirror: bool, device: str | torch.device
) -> np.ndarray:
    image = _standardize(image, model.mask_normalization)
    target = np.array(model.spacing_mm)
    shape = tuple(round(n * mm / to) for n, mm, to in zip(image.shape, spacing, target, strict=True))
    resampled = _resample_as_nnunet(image, shape, spacing, target, model.resampling["image"])
    tensor = torch.from_numpy(resampled.astype(np.float32))
    logits = tiled_logits(model, tensor, model.patch, step, mirror, device)[: len(model.labels) + 1].numpy()
    if logits.shape[1:] == image.shape:
        return logits.argmax(axis=0).astype(np.uint8)
    # Resampled class by class: memory then holds two volumes on the image's grid, and not one for each class.
    best, labels = None, np.zeros(image.shape, dtype=np.uint8)
    for value, channel in enumerate(logits):
        score = _resample_as_nnunet(channel, image.shape, target, spacing, model.resampling["logits"], order=1)
        if best is None:
            best = score
            continue
        better = score > best
        labels[better] = value
        np.maximum(best, score, out=best)
    return labels


def _standardize(image: np.ndarray, masked: bool) -> np.ndarray:
    """Standardize to mean 0 and standard deviation 1, over the body or over all voxels."""
    if masked:
        inside = ndimage.binary_fill_holes(image != 0)
        values = image[inside]
        image = image.copy()
        image[inside] = (values - values.mean()) / max(values.std(), 1e-8)
        return image
    return (image - image.mean()) / max(image.std(), 1e-8)


def _resample_as_nnunet(
    data: np.ndarray,
    shape: tuple[int, ...],
    spacing: np.ndarray,
    target: np.ndarray,
    settings: dict[str, Any],
    order: int = 3,
) -> np.ndarray:
    """Resample to a shape by splines: in 3D, or, if voxels are long, slice by slice and to the nearest slice."""
    if data.shape == tuple(shape):
        return data
    order, order_z = settings.get("order", order), settings.get("order_z", 0)
    axis = _separate_axis(spacing, target, settings.get("force_separate_z"))
    if axis is None:
        return resize(data.astype(float), shape, order, mode="edge", anti_aliasing=False)
    data = np.moveaxis(data, axis, 0)
    plane = tuple(np.delete(shape, axis))
    slices = np.stack([resize(each.astype(float), plane, order, mode="edge", anti_aliasing=False) for each in data])
    if len(slices) != shape[axis]:
        position = (np.arange(shape[axis]) + 0.5) * len(slices) / shape[axis] - 0.5
        grid = np.meshgrid(position, *(np.arange(n) for n in plane), indexing="ij")
        slices = ndimage.map_coordinates(slices, grid, order=order_z, mode="nearest")
    return np.moveaxis(slices, 0, axis)


def _separate_axis(spacing: np.ndarray, target: np.ndarray, forced: bool | None) -> int | None:
    """Return the axis along which to resample separately, if there is one."""
    if forced is False:
        return None
    for candidate in (spacing, target):
        if forced or candidate.max() / candidate.min() > MAX_ISOTROPIC_RATIO:
            longest = np.flatnonzero(candidate == candidate.max())
            return int(longest[0]) if len(longest) == 1 else None
    return None


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
    starts = [_starts(n, size, step) for n, size in zip(padded.shape, patch, strict=True)]
    total, weights = blended_logits(model, padded, patch, list(product(*starts)), mirror, device)
    total /= weights
    return total[_all_channels(_box(before, image.shape))]


def blended_logits(
    model: Model,
    image: torch.Tensor,
    patch: tuple[int, ...],
    starts: Sequence[Sequence[int]],
    mirror: bool = False,
    device: str | torch.device = "cpu",
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

    Returns
    -------
    total : torch.Tensor, shape (channels, I, J, K)
    weights : torch.Tensor, shape (I, J, K)
        Sum of the weights; 0 outside all tiles.
    """
    weight = _gaussian(tuple(patch))
    total: torch.Tensor | None = None
    weights = torch.zeros(image.shape)
    flips = _flips(model.mirror_axes) if mirror else [()]
    with torch.no_grad():
        for weights_of_fold in model.folds:
            if len(model.folds) > 1:
                model.network.load_state_dict(weights_of_fold)
            for start in starts:
                tile = _box(start, patch)
                part = image[tile][None, None].to(device)
                weights[tile] += weight
                for axes in flips:
                    logits = torch.flip(model.network(torch.flip(part, axes)), axes)[0].float().cpu()
                    if total is None:
                        total = torch.zeros((len(logits), *image.shape))
                    total[_all_channels(tile)] += logits * (weight / len(flips))
    if total is None:
        raise ValueError("no tiles to run the network on")
    return total, weights


def _box(start: Sequence[int], size: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(first, first + n) for first, n in zip(start, size, strict=True))


def _all_channels(box: tuple[slice, ...]) -> tuple[slice, ...]:
    """Return the index of a box in all channels."""
    return (slice(None), *box)


def _flips(axes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """List all combinations of mirrored axes, as axes of a batch."""
    chosen = product((False, True), repeat=len(axes))
    return [tuple(axis + 2 for axis, flip in zip(axes, flags, strict=True) if flip) for flags in chosen]


def _starts(length: int, size: int, step: float) -> list[int]:
    """Return the first voxels of evenly spaced tiles that cover a length, at most ``step`` of their size apart."""
    n = int(np.ceil((length - size) / (size * step))) + 1
    return [round((length - size) / max(n - 1, 1) * i) for i in range(n)]


@lru_cache(maxsize=2)
def _gaussian(size: tuple[int, ...]) -> torch.Tensor:
    """Return the weight of each voxel of a tile: a Gaussian whose standard deviation is an eighth of the size."""
    point = np.zeros(size)
    point[tuple(n // 2 for n in size)] = 1
    weight = ndimage.gaussian_filter(point, [n / 8 for n in size], mode="constant")
    weight /= weight.max()
    return torch.from_numpy(np.maximum(weight, weight[weight > 0].min()).astype(np.float32))
