"""Find the spinal cord in a whole image, coarsely: where it runs, and which levels its surroundings look like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from sct_rootlets.centerline import Centerline, fit_centerline
from sct_rootlets.errors import ImageError, LabelError
from sct_rootlets.image import Volume
from sct_rootlets.models.model import Model
from sct_rootlets.segmentation.grid import orient, reduced
from sct_rootlets.segmentation.predictor import tiled_logits
from sct_rootlets.segmentation.straight import names_of_rows

#: Less of a cord than this is no cord.
SHORTEST_MM = 20.0
#: Coarse volumes up to so many voxels are looked at in one piece.
ONE_PIECE = 3_000_000
#: Sizes that the network can halve at each of its resolutions are multiples of this.
STRIDE = 16


@dataclass(frozen=True)
class CordSight:
    """The cord as it was found.

    Attributes
    ----------
    centerline : Centerline
    arc : numpy.ndarray, shape (N,)
        Positions along it in mm.
    names : numpy.ndarray, shape (N, N_NAMES)
        Log-probability of each level at these positions, by what vertebrae and cord look like.
    """

    centerline: Centerline
    arc: np.ndarray
    names: np.ndarray


def find_cord(model: Model, names_model: Model, volume: Volume, device: str | torch.device = "cpu") -> CordSight:
    """Find the cord.

    Parameters
    ----------
    model : Model
        Of the cord, on coarse isotropic voxels.
    names_model : Model
        Of names, on the straightened spine.
    volume : Volume
    device : str or torch.device

    Raises
    ------
    ImageError
        If there is no cord in the image.
    """
    data, affine = reduced(orient(volume, model.orientation, model.permutation), model.spacing_mm[0])
    deviation = float(data.std())
    if not np.isfinite(deviation):
        raise ImageError(f"{volume.name} holds NaN or infinite values; replace them by 0")
    if deviation < 1e-6 * max(1.0, abs(float(data.mean()))):
        raise ImageError(f"{volume.name} shows nothing: all its voxels are about {data.mean():g}")
    image = torch.from_numpy((data - data.mean()) / deviation)
    patch = model.patch
    if image.numel() <= ONE_PIECE:
        patch = tuple(int(np.ceil(n / STRIDE) * STRIDE) for n in image.shape)
    logits = tiled_logits(model, image, patch, step=0.75, device=device)
    probability = logits.softmax(0).numpy()
    there = 1 - probability[0]
    mask = largest_piece(there > 0.5, np.ones((3, 3, 3)))
    try:
        if not mask.any():
            raise LabelError("nothing found")
        centerline = fit_centerline(mask, affine)
    except LabelError as error:
        raise ImageError(no_cord(volume)) from error
    if centerline.cord_length < SHORTEST_MM:
        raise ImageError(no_cord(volume))
    return CordSight(centerline, *names_of_rows(names_model, data, affine, centerline, device))


def no_cord(volume: Volume) -> str:
    """What to say where there is no cord."""
    return f"no spinal cord was found in {volume.name}; is it a T2w or MP2RAGE scan of the neck, and oriented rightly?"


def largest_piece(mask: np.ndarray, structure: np.ndarray | None = None) -> np.ndarray:
    """The largest connected piece of a mask; voxels touch by their faces unless a structure says otherwise."""
    pieces, n_pieces = ndimage.label(mask, structure)
    if n_pieces < 2:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return pieces == sizes.argmax()
