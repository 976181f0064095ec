"""Finding the spinal cord in a whole image, coarsely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from sct_rootlets.centerline import Centerline, fit_centerline
from sct_rootlets.errors import ImageError, LabelError, NoCordError
from sct_rootlets.image import Volume
from sct_rootlets.models.model import Model
from sct_rootlets.segmentation.grid import downsample, orient
from sct_rootlets.segmentation.tiles import tiled_logits

#: Shorter pieces are not taken for a cord.
MIN_CORD_LENGTH_MM = 20.0
#: Coarse volumes of up to so many voxels are segmented in one tile.
MAX_SINGLE_TILE_VOXELS = 3_000_000
#: The size of a tile must be a multiple of this, so that the network can halve it at each of its resolutions.
TILE_SIZE_FACTOR = 16
#: Distance between tiles, as a share of their size.
TILE_STEP = 0.75


@dataclass(frozen=True)
class CoarseCord:
    """The cord as it was found in the coarse image.

    Attributes
    ----------
    centerline : Centerline
    data : numpy.ndarray of float32, shape (I, J, K)
        The coarse image.
    affine : numpy.ndarray, shape (4, 4)
        Its voxel indices to RAS+ mm.
    """

    centerline: Centerline
    data: np.ndarray
    affine: np.ndarray


def find_cord(
    model: Model, volume: Volume, device: str | torch.device = "cpu", given: Centerline | None = None
) -> CoarseCord:
    """Find the cord.

    Parameters
    ----------
    model : Model
        The network of the cord, for coarse isotropic voxels.
    volume : Volume
    device : str or torch.device
    given : Centerline, optional
        Centerline of a cord mask that is given, in place of the one that the network finds.

    Raises
    ------
    ImageError
        If there is no cord in the image.
    """
    data, affine = downsample(orient(volume, model.orientation, model.permutation), model.spacing_mm[0])
    mean, deviation = float(data.mean(dtype=np.float64)), float(data.std(dtype=np.float64))
    if not np.isfinite(deviation):
        raise ImageError(f"{volume.name} holds NaN or infinite values; replace them by 0")
    if deviation < 1e-6 * max(1.0, abs(mean)):
        raise ImageError(f"{volume.name} shows nothing: all its voxels are about {mean:g}")
    if given is not None:
        return CoarseCord(given, data, affine)
    image = torch.from_numpy(((data - mean) / deviation).astype(np.float32, copy=False))
    patch = model.patch
    if image.numel() <= MAX_SINGLE_TILE_VOXELS:
        patch = tuple(int(np.ceil(n / TILE_SIZE_FACTOR) * TILE_SIZE_FACTOR) for n in image.shape)
    logits = tiled_logits(model, image, patch, step=TILE_STEP, device=device)
    background = logits.softmax(0)[0].numpy()
    mask = largest_piece(1 - background > 0.5, np.ones((3, 3, 3)))
    try:
        if not mask.any():
            raise LabelError("nothing found")
        centerline = fit_centerline(mask, affine)
    except LabelError as error:
        raise NoCordError(no_cord(volume)) from error
    if centerline.cord_length < MIN_CORD_LENGTH_MM:
        raise NoCordError(no_cord(volume))
    return CoarseCord(centerline, data, affine)


def no_cord(volume: Volume) -> str:
    """Return the error message for an image without a cord."""
    return f"no spinal cord was found in {volume.name}; is it a T2w or MP2RAGE scan of the neck, and oriented rightly?"


def largest_piece(mask: np.ndarray, structure: np.ndarray | None = None) -> np.ndarray:
    """Return the largest connected piece of a mask.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (I, J, K)
    structure : numpy.ndarray, shape (3, 3, 3), optional
        Neighbours that count as connected; by default those that share a face.
    """
    pieces, n_pieces = ndimage.label(mask, structure)
    if n_pieces < 2:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return pieces == sizes.argmax()
