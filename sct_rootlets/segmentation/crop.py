"""The part of an image along the cord as a network sees it, and the tiles that cover it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from nibabel.affines import apply_affine

from sct_rootlets.centerline import Centerline
from sct_rootlets.image import Volume
from sct_rootlets.models.model import Model
from sct_rootlets.segmentation.grid import Box, Oriented, Resampling, mean_and_deviation, orient
from sct_rootlets.segmentation.predictor import blended_logits

#: How far from the middle of the cord tiles reach on either side.
REACH_MM = 15.0
#: The cord may continue this far beyond the part that was found coarsely.
MAX_BEYOND_MM = 15.0
#: Distance between tiles along the body, as a share of their size.
TILE_STEP = 0.625


@dataclass(frozen=True, kw_only=True)
class CordCrop:
    """An image along the cord on the voxels of a network.

    Attributes
    ----------
    image : numpy.ndarray of float32, shape (I, J, K)
        Standardised intensities, padded at the ends so that every tile lies within.
    tiles : numpy.ndarray of int, shape (N, 3)
        First voxel of each tile.
    lateral_axis : int
        Axis from left to right.
    shape : tuple of int
        Shape without the padding.
    affine : numpy.ndarray, shape (4, 4)
        Voxel indices of the crop to RAS+ mm.
    box : tuple of slice
        Where the crop lies on the network's voxels over the whole scan.
    oriented : Oriented
        The whole scan, its axes in the network's order.
    resampling : Resampling
        From the voxels of the scan to the voxels of the network.
    """

    image: np.ndarray
    tiles: np.ndarray
    lateral_axis: int
    shape: tuple[int, ...]
    affine: np.ndarray
    box: Box
    oriented: Oriented
    resampling: Resampling

    def logits(self, model: Model, device: str | torch.device, mirror_axes: bool = False) -> np.ndarray:
        """Run the network on all tiles; shape (channels, I, J, K), NaN where no tile lies."""
        return self._run(model, self.image, self.tiles, device, mirror_axes)[self._unpadded]

    def logits_mirrored(self, model: Model, device: str | torch.device) -> np.ndarray:
        """Run the network on the crop mirrored from left to right, and mirror its output back."""
        axis = self.lateral_axis
        tiles = self.tiles.copy()
        tiles[:, axis] = self.image.shape[axis] - model.patch[axis] - tiles[:, axis]
        logits = self._run(model, np.flip(self.image, axis).copy(), tiles, device, False)
        return np.flip(logits, axis + 1)[self._unpadded]

    @property
    def _unpadded(self) -> tuple[slice, ...]:
        return (slice(None), *(slice(0, n) for n in self.shape))

    @staticmethod
    def _run(
        model: Model, image: np.ndarray, tiles: np.ndarray, device: str | torch.device, mirror_axes: bool
    ) -> np.ndarray:
        total, weights = blended_logits(
            model, torch.from_numpy(image), model.patch, tiles.tolist(), mirror_axes, device
        )
        return np.asarray((total / weights).numpy())


def crop_along_cord(volume: Volume, model: Model, centerline: Centerline) -> CordCrop:
    """Resample the surroundings of the cord to the voxels of a network, and lay tiles along it.

    Parameters
    ----------
    volume : Volume
        The scan, in any axis order.
    model : Model
    centerline : Centerline
        The cord, as it was found coarsely.
    """
    oriented = orient(volume, model.orientation, model.permutation)
    resampling = Resampling.to_spacing(oriented, model.spacing_mm)
    affine = resampling.affine(oriented.affine)
    arc = np.arange(-MAX_BEYOND_MM, centerline.cord_length + MAX_BEYOND_MM + 1)
    points = apply_affine(np.linalg.inv(affine), centerline.position(arc))
    starts = np.array(tile_starts(points, resampling.target, model.patch, REACH_MM / np.array(model.spacing_mm)))
    low, high = starts.min(axis=0), starts.max(axis=0) + model.patch
    box = tuple(slice(int(a), int(min(b, n))) for a, b, n in zip(low, high, resampling.target, strict=True))
    mean, deviation = mean_and_deviation(oriented.data)
    image = (resampling.crop(oriented.data, box, order=3) - mean) / max(deviation, 1e-8)
    affine[:3, 3] = apply_affine(affine, low)
    return CordCrop(
        image=np.pad(image, [(0, int(b) - part.stop) for b, part in zip(high, box, strict=True)]),
        tiles=starts - low,
        lateral_axis=int(np.abs(oriented.affine[0, :3]).argmax()),
        shape=image.shape,
        affine=affine,
        box=box,
        oriented=oriented,
        resampling=resampling,
    )


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


def _cover(low: float, high: float, size: int, limit: int, step: float) -> list[int]:
    """First voxels of tiles along one axis that cover an interval, centred on it, within the image."""
    n = max(1, int(np.ceil((high - low - size) / (size * step))) + 1)
    middle = (low + high) / 2
    span = max(0.0, high - low - size)
    begins = middle - size / 2 + (np.arange(n) / max(n - 1, 1) - (0.5 if n > 1 else 0)) * span
    inside = np.clip(np.round(begins), 0, max(0, limit - size)).astype(int)
    return sorted(set(inside.tolist()))
