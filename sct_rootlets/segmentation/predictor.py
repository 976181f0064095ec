"""Running a model on a volume, as nnU-Net v2 does: standardize, resample, tile, blend and resample back.

Over the whole field of view, labels are those of nnU-Net v2 on a CPU, with its roundings to half precision.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from nibabel.affines import apply_affine
from scipy import ndimage
from skimage.transform import resize

from sct_rootlets.image import Volume
from sct_rootlets.models.model import Model
from sct_rootlets.segmentation.grid import Box, orient
from sct_rootlets.segmentation.tiles import (
    REACH_MM,
    Precision,
    even_starts,
    grid_tiles_near,
    nnunet_logits,
    tile_starts,
)

#: Length along the cord from which on tiles are placed around it.
LARGE_TILE_MM = 100.0
#: A line that is longer than such a tile by at most this share is cut at both ends: rootlets end before it does.
MAX_TRIMMED_SHARE = 0.1
#: Distance from the middle of the cord within which tiles of the whole grid are taken: most rootlets lie there.
NEAR_MM = 12.5
#: Voxels longer than this many times their width are resampled slice by slice, as in nnU-Net.
MAX_ISOTROPIC_RATIO = 3.0


def predict(
    model: Model,
    volume: Volume,
    line: np.ndarray | None = None,
    step: float = 0.5,
    mirror: bool = False,
    device: str | torch.device = "cpu",
    precision: Precision = "float32",
) -> np.ndarray:
    """Segment a volume: its whole field of view, or the surroundings of a line.

    Parameters
    ----------
    model : Model
    volume : Volume
        The image, in any axis order.
    line : numpy.ndarray, shape (N, 3), optional
        Dense points of a line in RAS+ mm; only tiles around it are run. What they show is normalized and resampled as
        over the whole field of view.
    step : float
        Distance between tiles, as a share of their size.
    mirror : bool
        Average over mirrored copies of the input, along the axes that the model allows (test-time augmentation).
    device : str or torch.device
    precision : {"float32", "bfloat16"}
        Number format of the network on a CPU.

    Returns
    -------
    numpy.ndarray of uint8, shape (I, J, K)
        Class values on the grid of the volume; 0 away from the line.
    """
    oriented = orient(volume, model.orientation, model.permutation)
    image = oriented.data.astype(np.float32)
    labels = np.zeros(image.shape, dtype=np.uint8)
    if image.any():
        box = ndimage.find_objects(ndimage.binary_fill_holes(image != 0).astype(np.uint8))[0]
        points = None
        if line is not None:
            points = apply_affine(np.linalg.inv(oriented.affine), line) - [part.start for part in box]
        run = partial(nnunet_logits, mirror=mirror, device=device, precision=precision)
        labels[box] = _predict_box(model, image[box], oriented.spacing, points, step, run)
    return oriented.restore(labels)


def _predict_box(
    model: Model,
    image: np.ndarray,
    spacing: np.ndarray,
    points: np.ndarray | None,
    step: float,
    run: Callable[..., torch.Tensor],
) -> np.ndarray:
    """Segment the part of an image that shows something; ``points`` are voxels of this part."""
    image = _standardize(image, model.mask_normalization)
    target = np.array(model.spacing_mm)
    shape = tuple(round(n * mm / to) for n, mm, to in zip(image.shape, spacing, target, strict=True))
    before = np.array([max(0, size - n) // 2 for n, size in zip(shape, model.patch, strict=True)])
    padded = np.maximum(shape, model.patch)
    if points is None:
        tiles = np.array(
            list(product(*(even_starts(n, size, step) for n, size in zip(padded, model.patch, strict=True))))
        )
    else:
        on_grid = (points + 0.5) * (np.array(shape) / image.shape) - 0.5 + before
        tiles = _tiles_near(on_grid, tuple(padded), model.patch, target, step)
    low, high = tiles.min(axis=0), tiles.max(axis=0) + model.patch
    begin, end = np.maximum(low - before, 0), np.minimum(high - before, shape)
    box = tuple(slice(int(a), int(b)) for a, b in zip(begin, end, strict=True))
    seen = _resample_as_nnunet(image, shape, spacing, target, model.resampling["image"], box).astype(np.float32)
    widths = np.stack([begin + before - low, high - (end + before)], axis=1)
    inner = tuple(slice(int(a), int(a) + n) for (a, _), n in zip(widths, seen.shape, strict=True))
    seen = np.pad(seen, widths) if widths.any() else seen
    n_classes = len(model.labels) + 1
    logits = run(model, torch.from_numpy(seen), model.patch, (tiles - low).tolist(), n_channels=n_classes)
    logits = logits[(slice(None), *inner)]
    return _decide(logits.numpy(), box, shape, image.shape, target, spacing, model.resampling["logits"])


def _tiles_near(
    points: np.ndarray, shape: tuple[int, ...], patch: tuple[int, ...], spacing: np.ndarray, step: float
) -> np.ndarray:
    """Choose tiles that show the surroundings of a line as those over the whole field of view do.

    A large tile around the line shows each place with at least as much around it as the best one of the whole grid.
    Labels of small tiles depend on where exactly they lie: those of the whole grid are taken.
    """
    axis = int(np.argmax(np.abs(points[-1] - points[0])))
    if patch[axis] * spacing[axis] >= LARGE_TILE_MM:
        low, high = max(points[:, axis].min(), 0), min(points[:, axis].max(), shape[axis] - 1)
        excess = high - low + 1 - patch[axis]
        if 0 < excess <= MAX_TRIMMED_SHARE * patch[axis]:
            cut = excess / 2 + 0.5
            points = points[(points[:, axis] >= low + cut) & (points[:, axis] <= high - cut)]
        return np.array(tile_starts(points, shape, patch, REACH_MM / spacing))
    return grid_tiles_near(points, shape, patch, NEAR_MM / spacing, step)


def _decide(
    logits: np.ndarray,
    box: Box,
    shape: tuple[int, ...],
    image_shape: tuple[int, ...],
    target: np.ndarray,
    spacing: np.ndarray,
    settings: dict[str, Any],
) -> np.ndarray:
    """Resample the logits of a box of the network's voxels to those of the image, and choose the greatest."""
    labels = np.zeros(image_shape, dtype=np.uint8)
    if shape == image_shape:
        labels[box] = logits.argmax(axis=0)
        return labels
    scale = np.array(shape) / image_shape
    first, last = (np.array([getattr(part, name) for part in box]) for name in ("start", "stop"))
    # Voxels of the image whose neighbours lie in the box; where the box ends with the image, all to its end.
    begin = np.where(first == 0, 0, np.ceil((first + 0.5) / scale - 0.5)).astype(int)
    end = np.where(last == shape, image_shape, np.floor((last - 0.5) / scale - 0.5) + 1).astype(int)
    inside = tuple(slice(int(a), int(b)) for a, b in zip(begin, end, strict=True))
    # Resampled class by class: memory then holds two volumes on the image's grid, and not one for each class.
    best, chosen = None, np.zeros(tuple(end - begin), dtype=np.uint8)
    for value, channel in enumerate(logits):
        score = _resample_as_nnunet(
            channel, image_shape, target, spacing, settings, inside, order=1, source=(box, shape)
        ).astype(logits.dtype)
        if best is None:
            best = score
            continue
        better = score > best
        chosen[better] = value
        np.maximum(best, score, out=best)
    labels[inside] = chosen
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
    box: Box,
    order: int = 3,
    source: tuple[Box, tuple[int, ...]] | None = None,
) -> np.ndarray:
    """Resample to a box of a shape by splines: in 3D, or, if voxels are long, slice by slice and to the nearest slice.

    Parameters
    ----------
    data : numpy.ndarray
    shape : tuple of int
        Shape that the whole of the data has after resampling.
    spacing, target : numpy.ndarray, shape (3,)
        Voxel sizes before and after.
    settings : dict
        Of the plans.
    box : tuple of slice
        Part of `shape` that is wanted.
    order : int
        Order of the spline where the settings have none.
    source : (tuple of slice, tuple of int), optional
        Where the data lie, if they are a part of a larger array, and the shape of that array.
    """
    order, order_z = settings.get("order", order), settings.get("order_z", 0)
    axis = _separate_axis(spacing, target, settings.get("force_separate_z"))
    whole = tuple(slice(0, n) for n in shape)
    begin, full = ((0,) * data.ndim, data.shape) if source is None else ([part.start for part in source[0]], source[1])
    if data.shape == tuple(full) and box == whole:
        return _resample_whole(data, shape, axis, order, order_z)
    low, high = (data.min(), data.max()) if order > 1 else (-np.inf, np.inf)
    for along in range(data.ndim):
        part = box[along]
        if full[along] == shape[along]:
            data = data.take(range(part.start - begin[along], part.stop - begin[along]), axis=along)
            continue
        weights = _axis_weights(full[along], shape[along], part, order_z if along == axis else order)
        weights = weights[:, begin[along] : begin[along] + data.shape[along]].astype(np.float32)
        data = np.moveaxis(np.tensordot(weights, data, (1, along)), 0, along)
    return np.clip(data, low, high)


def _resample_whole(data: np.ndarray, shape: tuple[int, ...], axis: int | None, order: int, order_z: int) -> np.ndarray:
    """Resample all of an array; slice by slice where an axis is given."""
    if data.shape == tuple(shape):
        return data
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


def _axis_weights(before: int, after: int, part: slice, order: int) -> np.ndarray:
    """Return the weight of each voxel of an axis for each of a part of its new voxels, shape (part, before)."""
    scale = before / after
    return ndimage.affine_transform(
        np.eye(before),
        np.diag([scale, 1.0]),
        [(part.start + 0.5) * scale - 0.5, 0.0],
        output_shape=(part.stop - part.start, before),
        order=order,
        mode="nearest",
    )


def _separate_axis(spacing: np.ndarray, target: np.ndarray, forced: bool | None) -> int | None:
    """Return the axis along which to resample separately, if there is one."""
    if forced is False:
        return None
    for candidate in (spacing, target):
        if forced or candidate.max() / candidate.min() > MAX_ISOTROPIC_RATIO:
            longest = np.flatnonzero(candidate == candidate.max())
            return int(longest[0]) if len(longest) == 1 else None
    return None
