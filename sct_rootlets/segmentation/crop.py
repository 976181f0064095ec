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
from sct_rootlets.segmentation.tiles import REACH_MM, Precision, blended_logits, tile_starts

#: The cord may continue this far beyond the part that was found coarsely.
MAX_BEYOND_MM = 15.0


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

    def logits(
        self,
        model: Model,
        device: str | torch.device,
        mirror_axes: bool = False,
        precision: Precision = "float32",
    ) -> np.ndarray:
        """Run the network on all tiles; shape (channels, I, J, K), NaN where no tile lies."""
        return self._run(model, self.image, self.tiles, device, mirror_axes, precision)[self._unpadded]

    def logits_mirrored(self, model: Model, device: str | torch.device, precision: Precision = "float32") -> np.ndarray:
        """Run the network on the crop mirrored from left to right, and mirror its output back."""
        axis = self.lateral_axis
        tiles = self.tiles.copy()
        tiles[:, axis] = self.image.shape[axis] - model.patch[axis] - tiles[:, axis]
        logits = self._run(model, np.flip(self.image, axis).copy(), tiles, device, False, precision)
        return np.flip(logits, axis + 1)[self._unpadded]

    @property
    def _unpadded(self) -> tuple[slice, ...]:
        return (slice(None), *(slice(0, n) for n in self.shape))

    @staticmethod
    def _run(
        model: Model,
        image: np.ndarray,
        tiles: np.ndarray,
        device: str | torch.device,
        mirror_axes: bool,
        precision: Precision,
    ) -> np.ndarray:
        total, weights = blended_logits(
            model, torch.from_numpy(image), model.patch, tiles.tolist(), mirror_axes, device, precision
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
