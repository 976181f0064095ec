"""Probabilities of cord, rootlets, roots and names along the cord, from the networks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from nibabel.affines import apply_affine
from scipy import ndimage

from sct_rootlets.centerline import Centerline
from sct_rootlets.image import Volume
from sct_rootlets.levels import LAST_NAMED, ROOTS, mirrored_root
from sct_rootlets.models.model import Model
from sct_rootlets.segmentation.cord import largest_piece
from sct_rootlets.segmentation.crop import MAX_BEYOND_MM, crop_along_cord
from sct_rootlets.segmentation.grid import Box, Oriented, Resampling
from sct_rootlets.segmentation.tiles import REACH_MM, Precision

#: Voxels of a higher probability belong to the cord: its area is then that of manual masks (docs/model-card.md). A
#: threshold of 0.5 yields that of synthetic cords, which end where the fluid begins; people draw them smaller.
CORD_THRESHOLD = 0.65

#: Channels of roots in an image that was mirrored from left to right: background, then `ROOTS`.
_MIRRORED_ROOTS = [0, *(1 + ROOTS.index(mirrored_root(root)) for root in ROOTS)]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Probabilities on the voxels of the network of rootlets, along the cord.

    Attributes
    ----------
    cord, rootlet : numpy.ndarray, shape (I, J, K)
        Probability of the cord, and of any rootlet.
    roots : numpy.ndarray, shape (4, I, J, K)
        Probability of each of `ROOTS`.
    names : numpy.ndarray, shape (LAST_NAMED, I, J, K)
        Probability of rootlets of each level, from value 1 on.
    affine : numpy.ndarray, shape (4, 4)
        Voxel indices to RAS+ mm.
    box : tuple of slice
        Where these voxels lie on the network's voxels over the whole scan.
    oriented : Oriented
        The whole scan, its axes in the network's order.
    resampling : Resampling
        From the voxels of the scan to the voxels of the network.
    """

    cord: np.ndarray
    rootlet: np.ndarray
    roots: np.ndarray
    names: np.ndarray
    affine: np.ndarray
    box: Box
    oriented: Oriented
    resampling: Resampling


def predict_rootlets(
    volume: Volume,
    model: Model,
    centerline: Centerline,
    mirror: bool = False,
    device: str | torch.device = "cpu",
    precision: Precision = "float32",
) -> Prediction:
    """Run the network of rootlets, cord and roots on tiles along the cord.

    Parameters
    ----------
    volume : Volume
    model : Model
        Model with heads ``levels``, ``cord`` and ``roots``.
    centerline : Centerline
        The cord, as it was found coarsely.
    mirror : bool
        Average with the prediction for the image mirrored from left to right.
    device : str or torch.device
    precision : {"float32", "bfloat16"}
    """
    crop = crop_along_cord(volume, model, centerline)
    channels = _probabilities(model, crop.logits(model, device, precision=precision))
    if mirror:
        mirrored = _probabilities(model, crop.logits_mirrored(model, device, precision))
        mirrored["roots"] = mirrored["roots"][_MIRRORED_ROOTS]
        channels = {name: (values + mirrored[name]) / 2 for name, values in channels.items()}
    return Prediction(
        cord=channels["cord"][0],
        rootlet=(2 - channels["levels"][0] - channels["roots"][0]) / 2,
        roots=channels["roots"][1:],
        names=channels["levels"][1:],
        affine=crop.affine,
        box=crop.box,
        oriented=crop.oriented,
        resampling=crop.resampling,
    )


def replace_rootlets(
    prediction: Prediction,
    volume: Volume,
    model: Model,
    centerline: Centerline,
    mirror: bool = False,
    device: str | torch.device = "cpu",
    precision: Precision = "float32",
) -> Prediction:
    """Take rootlets and names from another model, resampled to the voxels of a prediction.

    Parameters
    ----------
    prediction : Prediction
        Prediction of the bundled model, whose cord and roots are kept.
    volume, centerline, mirror, device, precision
        As for `predict_rootlets`.
    model : Model
        Model with the classes ``lvl1``, ``lvl2`` and so on.
    """
    crop = crop_along_cord(volume, model, centerline)
    levels = _probabilities(model, crop.logits(model, device, mirror, precision))["levels"]
    to_crop = np.linalg.inv(crop.affine) @ prediction.affine
    resampled = np.stack(
        [
            ndimage.affine_transform(
                probability,
                to_crop[:3, :3],
                to_crop[:3, 3],
                output_shape=prediction.cord.shape,
                order=1,
                cval=float(value == 0),
            )
            for value, probability in enumerate(levels)
        ]
    )
    missing = max(LAST_NAMED + 1 - len(resampled), 0)  # a model may end at C8
    names = np.pad(resampled[1:], ((0, missing), *[(0, 0)] * 3))
    return replace(prediction, rootlet=1 - resampled[0], names=names)


def _probabilities(model: Model, logits: np.ndarray) -> dict[str, np.ndarray]:
    """Turn logits into probabilities by head; where no tile lies, they are 0, and 1 for the background."""
    known = np.isfinite(logits[0])
    result = {}
    for name, part in model.heads.items():
        values = torch.from_numpy(np.ascontiguousarray(logits[part]))
        result[name] = (values.sigmoid() if name == "cord" else values.softmax(0)).numpy()
        result[name][:, ~known] = 0
        if name != "cord":
            result[name][0, ~known] = 1
    return result


def clean_cord(prediction: Prediction, centerline: Centerline) -> np.ndarray:
    """Reduce the predicted cord to one piece without holes, near the cord that was found coarsely.

    Returns
    -------
    numpy.ndarray of bool, shape (I, J, K)
        On the voxels of the prediction.
    """
    mask = prediction.cord > CORD_THRESHOLD
    ijk = np.argwhere(mask)
    if not len(ijk):
        return mask
    place = centerline.project(apply_affine(prediction.affine, ijk))
    beyond = (place.arc < -MAX_BEYOND_MM) | (place.arc > centerline.cord_length + MAX_BEYOND_MM)
    mask[tuple(ijk[(place.distance > REACH_MM) | beyond].T)] = False
    return ndimage.binary_fill_holes(largest_piece(mask))
