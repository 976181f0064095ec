"""From an image to cord, rootlets and named levels: the whole way, around the cord only."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from nibabel.affines import apply_affine, voxel_sizes
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.special import softmax

from sct_rootlets.centerline import Centerline, fit_centerline
from sct_rootlets.errors import ImageError, LabelError, ModelError
from sct_rootlets.image import Volume
from sct_rootlets.levels import ROOTS, mirrored_root
from sct_rootlets.models.manifest import BUNDLED_FOLDER, NETWORKS
from sct_rootlets.models.model import Model
from sct_rootlets.models.requirements import check_classes, import_torch
from sct_rootlets.models.store import find_model
from sct_rootlets.models.weights import Weights
from sct_rootlets.segmentation.cord import CoarseCord, find_cord, largest_piece, no_cord
from sct_rootlets.segmentation.grid import Box, Resampling, mean_and_deviation, orient
from sct_rootlets.segmentation.labelling import (
    ABOVE,
    BELOW,
    FIRST,
    LAST,
    N_NAMES,
    STEP_MM,
    Stretch,
    divide,
    expected_names,
)
from sct_rootlets.segmentation.predictor import blended_logits
from sct_rootlets.spinal import DISTANCE_MM
from sct_rootlets.vertebral import place_discs

#: What is looked at on either side of the cord's middle.
REACH_MM = 15.0
#: Distance between tiles along the body, as a share of their size.
STEP = 0.625
#: The cord may go on this far beyond where it was seen coarsely.
BEYOND_MM = 15.0
#: Rootlets between two stretches belong to one that is this near.
STRAY_MM = 2.5
#: Pieces of rootlets that do not touch the cord belong to a root that is this near.
APART_MM = 4.0
THRESHOLD = 0.5
#: Rootlets are taken from this probability on: chosen on synthetic scans of the training population.
ROOTLET_THRESHOLD = 0.5


@dataclass(frozen=True)
class Segmentation:
    """Cord and rootlets of an image, on its grid.

    Attributes
    ----------
    rootlets : numpy.ndarray of uint8, shape (I, J, K)
        2 for C2 … 9 for T1.
    roots : numpy.ndarray of uint8, shape (I, J, K)
        Where there are rootlets: 1 + the index into `sct_rootlets.levels.ROOTS`.
    cord : numpy.ndarray of bool, shape (I, J, K)
    centerline : Centerline
        Of the cord.
    stretches : tuple of Stretch
        The levels that were found, with confidence and uncertainty; mm of arc length along the centerline.
    names_from_discs : bool
        Whether levels would have other names if discs had not been given.
    notes : tuple of str
        What a user should know, one line each.
    """

    rootlets: np.ndarray
    roots: np.ndarray
    cord: np.ndarray
    centerline: Centerline
    stretches: tuple[Stretch, ...]
    names_from_discs: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Region:
    """What the networks say around the cord, on their voxels; channels first."""

    affine: np.ndarray
    box: Box
    resampling: Resampling
    cord: np.ndarray
    rootlet: np.ndarray
    roots: np.ndarray
    names: np.ndarray


class Segmenter:
    """Networks that are loaded once and run on any number of images.

    Parameters
    ----------
    overview : Model
        Of the cord, on coarse isotropic voxels.
    names : Model
        Of the names of its segments, on the straightened spine.
    rootlets : Model
        Of rootlets, with heads ``cord`` and ``roots``.
    other : Model, optional
        Rootlets and their names are its, where it is given: a model with classes ``lvl1``, ``lvl2`` and so on.
    device : str or torch.device
    """

    def __init__(
        self,
        overview: Model,
        names: Model,
        rootlets: Model,
        other: Model | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.overview, self.names, self.rootlets, self.other, self.device = overview, names, rootlets, other, device

    def __call__(
        self, volume: Volume, discs: dict[int, np.ndarray] | None = None, mirror: bool = False
    ) -> Segmentation:
        """Segment cord and rootlets of an image, and name the levels.

        Parameters
        ----------
        volume : Volume
            In any axis order.
        discs : dict of int to numpy.ndarray, optional
            RAS+ mm of each disc, by value: they take part in choosing names, and say nothing about positions.
        mirror : bool
            Average with what is seen in the image mirrored from left to right (test-time augmentation).

        Returns
        -------
        Segmentation

        Raises
        ------
        ImageError
            If there is no cord in the image.
        """
        sight = find_cord(self.overview, self.names, volume, self.device)
        region = _look(volume, self.rootlets, sight.centerline, mirror, self.device)
        if self.other is not None:
            region = _seen_by(self.other, region, volume, sight.centerline, mirror, self.device)
        cord = _cord(region, sight.centerline)
        try:
            centerline = fit_centerline(cord, region.affine)
        except (LabelError, ValueError) as error:
            raise ImageError(no_cord(volume)) from error
        stretches, by_discs = _stretches(region, cord, centerline, sight, discs)
        found = _on_the_image(volume, self.rootlets, region, cord, centerline, tuple(stretches))
        notes = list(found.notes)
        if by_discs:
            notes.append("the names of levels come from the discs; by the image alone they would be others")
        return replace(found, names_from_discs=by_discs, notes=tuple(notes))


def _look(volume: Volume, model: Model, centerline: Centerline, mirror: bool, device: str | torch.device) -> _Region:
    """Run the network of rootlets, cord and roots on tiles along the cord."""
    sample = _sample_along(volume, model, centerline)
    channels = _probabilities(model, sample.logits(model, device))
    if mirror:
        other = _probabilities(model, sample.logits_mirrored(model, device))
        other["roots"] = other["roots"][_SWAPPED]
        channels = {name: (values + other[name]) / 2 for name, values in channels.items()}
    rootlet = (2 - channels["levels"][0] - channels["roots"][0]) / 2
    cord, roots, names = channels["cord"][0], channels["roots"][1:], channels["levels"][1:]
    return _Region(sample.affine, sample.box, sample.resampling, cord, rootlet, roots, names)


#: Channels of roots in an image that was mirrored from left to right: background, then ROOTS.
_SWAPPED = [0, *(1 + ROOTS.index(mirrored_root(root)) for root in ROOTS)]


def _probabilities(model: Model, logits: np.ndarray) -> dict[str, np.ndarray]:
    """Of each channel by head; 0 where no tile was, and background 1."""
    seen = np.isfinite(logits[0])
    result = {}
    for name, part in model.heads.items():
        if name == "cord":
            with np.errstate(over="ignore"):
                result[name] = np.where(seen, 1 / (1 + np.exp(-logits[part])), 0)
        else:
            values = softmax(np.where(seen, logits[part], 0), axis=0)
            values[:, ~seen] = 0
            values[0, ~seen] = 1
            result[name] = values
    return result


def _seen_by(
    model: Model, region: _Region, volume: Volume, centerline: Centerline, mirror: bool, device: str | torch.device
) -> _Region:
    """The region with rootlets and names by another model, brought to the region's voxels."""
    sample = _sample_along(volume, model, centerline)
    levels = _probabilities(model, sample.logits(model, device, mirror))["levels"]
    to_other = np.linalg.inv(sample.affine) @ region.affine
    there = np.stack(
        [
            ndimage.affine_transform(
                one, to_other[:3, :3], to_other[:3, 3], output_shape=region.cord.shape, order=1, cval=float(value == 0)
            )
            for value, one in enumerate(levels)
        ]
    )
    missing = max(LAST + 1 - len(there), 0)  # a model may end at C8
    return replace(region, rootlet=1 - there[0], names=np.pad(there[1:], ((0, missing), *[(0, 0)] * 3)))


@dataclass(frozen=True)
class _Sample:
    """An image along the cord as a network sees it.

    Attributes
    ----------
    image : numpy.ndarray of float32, shape (I, J, K)
        Standardised; padded at the ends so that every tile lies in it.
    tiles : numpy.ndarray of int, shape (N, 3)
        First voxels of tiles.
    across : int
        Axis from left to right.
    shape : tuple of int
        Without the padding.
    affine : numpy.ndarray, shape (4, 4)
        Of the image's voxels.
    box : tuple of slice
        Where it lies on the network's voxels over the whole scan.
    resampling : Resampling
        From the scan's voxels to the network's.
    """

    image: np.ndarray
    tiles: np.ndarray
    across: int
    shape: tuple[int, ...]
    affine: np.ndarray
    box: Box
    resampling: Resampling

    def logits(self, model: Model, device: str | torch.device, mirror_axes: bool = False) -> np.ndarray:
        """Output of the network, shape (channels, I, J, K); NaN where no tile was."""
        return self._run(model, self.image, self.tiles, device, mirror_axes)[self._inner]

    def logits_mirrored(self, model: Model, device: str | torch.device) -> np.ndarray:
        """Output for the image mirrored from left to right, mirrored back."""
        tiles = self.tiles.copy()
        tiles[:, self.across] = self.image.shape[self.across] - model.patch[self.across] - tiles[:, self.across]
        flipped = self._run(model, np.flip(self.image, self.across).copy(), tiles, device, False)
        return np.flip(flipped, self.across + 1)[self._inner]

    @property
    def _inner(self) -> tuple[slice, ...]:
        return (slice(None), *(slice(0, n) for n in self.shape))

    @staticmethod
    def _run(
        model: Model, image: np.ndarray, tiles: np.ndarray, device: str | torch.device, mirror_axes: bool
    ) -> np.ndarray:
        total, weights = blended_logits(
            model, torch.from_numpy(image), model.patch, tiles.tolist(), mirror_axes, device
        )
        return np.asarray((total / weights).numpy())


def _sample_along(volume: Volume, model: Model, centerline: Centerline) -> _Sample:
    """Resample what lies around the cord, and lay tiles along it."""
    oriented = orient(volume, model.orientation, model.permutation)
    resampling = Resampling.to_spacing(oriented, model.spacing_mm)
    affine = resampling.affine(oriented.affine)
    points = apply_affine(np.linalg.inv(affine), centerline.position(_beyond(centerline)))
    starts = np.array(tile_starts(points, resampling.target, model.patch, REACH_MM / np.array(model.spacing_mm)))
    low, high = starts.min(axis=0), starts.max(axis=0) + model.patch
    box = tuple(slice(int(a), int(min(b, n))) for a, b, n in zip(low, high, resampling.target, strict=True))
    mean, deviation = mean_and_deviation(oriented.data)
    image = (resampling.crop(oriented.data, box, order=3) - mean) / max(deviation, 1e-8)
    padded = np.pad(image, [(0, int(b) - part.stop) for b, part in zip(high, box, strict=True)])
    across = int(np.abs(oriented.affine[0, :3]).argmax())
    affine[:3, 3] = apply_affine(affine, low)
    return _Sample(padded, starts - low, across, image.shape, affine, box, resampling)


def _beyond(centerline: Centerline) -> np.ndarray:
    return np.arange(-BEYOND_MM, centerline.cord_length + BEYOND_MM + 1)


def tile_starts(
    points: np.ndarray, shape: tuple[int, ...], patch: tuple[int, ...], reach: np.ndarray
) -> list[tuple[int, ...]]:
    """First voxels of tiles that cover a curve and what is around it.

    Parameters
    ----------
    points : numpy.ndarray, shape (N, 3)
        The curve, in voxels, dense.
    shape : tuple of int
        Of the image.
    patch : tuple of int
        Of a tile.
    reach : numpy.ndarray, shape (3,)
        What is to be covered on either side of the curve, in voxels.
    """
    axis = int(np.argmax(np.abs(points[-1] - points[0])))
    low = np.clip(points.min(axis=0)[axis], 0, shape[axis])
    high = np.clip(points.max(axis=0)[axis] + 1, 0, shape[axis])
    starts: list[tuple[int, ...]] = []
    for begin in _cover(low, high, patch[axis], shape[axis], STEP):
        here = points[(points[:, axis] >= begin - 1) & (points[:, axis] <= begin + patch[axis])]
        if not len(here):
            continue
        along: list[list[int]] = []
        for other in range(3):
            if other == axis:
                along.append([begin])
                continue
            near = here.min(axis=0)[other] - reach[other], here.max(axis=0)[other] + reach[other]
            along.append(_cover(*near, patch[other], shape[other], 1.0))
        starts += [(i, j, k) for i in along[0] for j in along[1] for k in along[2]]
    return starts


def _cover(low: float, high: float, size: int, limit: int, step: float) -> list[int]:
    """First voxels of tiles that cover an interval, centred on it, within the image."""
    n = max(1, int(np.ceil((high - low - size) / (size * step))) + 1)
    middle = (low + high) / 2
    span = max(0.0, high - low - size)
    begins = middle - size / 2 + (np.arange(n) / max(n - 1, 1) - (0.5 if n > 1 else 0)) * span
    inside = np.clip(np.round(begins), 0, max(0, limit - size)).astype(int)
    return sorted(set(inside.tolist()))


def _cord(region: _Region, centerline: Centerline) -> np.ndarray:
    """The cord: one piece, holes filled, about where it was seen before."""
    mask = region.cord > THRESHOLD
    ijk = np.argwhere(mask)
    if not len(ijk):
        return mask
    place = centerline.project(apply_affine(region.affine, ijk))
    off = (place.distance > REACH_MM) | (place.arc < -BEYOND_MM) | (place.arc > centerline.cord_length + BEYOND_MM)
    mask[tuple(ijk[off].T)] = False
    return ndimage.binary_fill_holes(largest_piece(mask))


def _stretches(
    region: _Region,
    cord: np.ndarray,
    centerline: Centerline,
    sight: CoarseCord,
    discs: dict[int, np.ndarray] | None,
) -> tuple[list[Stretch], bool]:
    """Name the rootlets along the cord from what the networks saw near it; and whether discs changed a name."""
    spacing = voxel_sizes(region.affine)
    distance = ndimage.distance_transform_edt(~cord, sampling=spacing) - spacing.mean() / 2
    near = (distance > 0) & (distance <= DISTANCE_MM) & (region.rootlet > 0.1)
    ijk = np.argwhere(near)
    arc = centerline.project(apply_affine(region.affine, ijk)).arc
    n_cells = int(np.ceil(centerline.cord_length / STEP_MM))
    cell = np.floor(arc / STEP_MM).astype(int)
    inside = (cell >= 0) & (cell < n_cells)
    cell, at = cell[inside], tuple(ijk[inside].T)

    presence = np.zeros((len(ROOTS), n_cells))
    for index in range(len(ROOTS)):
        np.maximum.at(presence[index], cell, region.roots[index][at])
    weight = region.rootlet[at]
    total = np.bincount(cell, weight, n_cells)
    here = region.names[(slice(None), *at)]
    logs = np.log(here / np.maximum(here.sum(axis=0), 1e-9) + 1e-6)
    seen = np.zeros((n_cells, N_NAMES))
    for value in range(FIRST, LAST + 1):
        seen[:, value] = np.bincount(cell, weight * logs[value - 1], n_cells) / np.maximum(total, 1.0)
    seen[:, ABOVE], seen[:, BELOW] = seen[:, FIRST], seen[:, LAST]  # the network knows no others

    middles = (np.arange(n_cells) + 0.5) * STEP_MM
    along = sight.centerline.project(centerline.position(middles)).arc
    coarse = np.full((n_cells, N_NAMES), -np.inf)
    for value in range(ABOVE, N_NAMES):
        coarse[:, value] = np.interp(along, sight.arc, sight.names[:, value])
    sources = [seen, coarse]
    presence_of_all = presence.mean(axis=0)
    stretches = divide(presence_of_all, sources)
    if not discs:
        return stretches, False
    placed, _ = place_discs(discs, centerline, region.affine)
    expected = expected_names(middles, {disc.value: disc.arc_mm for disc in placed})
    with_discs = divide(presence_of_all, [*sources, expected])
    return with_discs, [one.value for one in with_discs] != [one.value for one in stretches]


def _on_the_image(
    volume: Volume,
    model: Model,
    region: _Region,
    cord: np.ndarray,
    centerline: Centerline,
    stretches: tuple[Stretch, ...],
) -> Segmentation:
    """Bring cord and rootlets back to the voxels of the image, and give each rootlet voxel its level."""
    oriented = orient(volume, model.orientation, model.permutation)
    # The mask of the region says which piece is the cord; the probability, where its border runs.
    keep = ndimage.binary_dilation(cord, np.ones((3, 3, 3)))
    probability, box = region.resampling.to_volume(region.cord * keep, region.box)
    cord_there = np.zeros(oriented.data.shape, dtype=bool)
    cord_there[box] = probability > THRESHOLD
    probability, _ = region.resampling.to_volume(region.rootlet, region.box)
    found = (probability > ROOTLET_THRESHOLD) & ~cord_there[box]
    labels = np.zeros(oriented.data.shape, dtype=np.uint8)
    sides = np.zeros(oriented.data.shape, dtype=np.uint8)
    ijk = np.argwhere(found)
    notes = []
    if len(ijk) and stretches:
        first = np.array([part.start for part in box])
        points = apply_affine(oriented.affine, ijk + first)
        there = apply_affine(np.linalg.inv(region.affine), points).T
        roots = np.stack([ndimage.map_coordinates(one, there, order=1, mode="nearest") for one in region.roots])
        spacing = oriented.spacing
        distance = ndimage.distance_transform_edt(~cord_there[box], sampling=spacing)[tuple(ijk.T)] - spacing.mean() / 2
        pieces = ndimage.label(found, np.ones((3, 3, 3)))[0][tuple(ijk.T)]
        values = level_of_rootlets(points, distance, pieces, centerline, stretches)
        at = tuple((ijk + first).T)
        labels[at] = values
        sides[at] = np.where(values > 0, 1 + roots.argmax(axis=0), 0)
    if not labels.any():
        stretches = ()
        notes.append(f"no rootlets were found in {volume.name}")
    return Segmentation(
        oriented.restore(labels),
        oriented.restore(sides),
        oriented.restore(cord_there),
        centerline,
        stretches,
        False,
        tuple(notes),
    )


def level_of_rootlets(
    points: np.ndarray,
    distance_mm: np.ndarray,
    pieces: np.ndarray,
    centerline: Centerline,
    stretches: tuple[Stretch, ...],
) -> np.ndarray:
    """Level of each rootlet voxel: where its root attaches to the cord decides, not where the voxel itself lies.

    Parameters
    ----------
    points : numpy.ndarray, shape (N, 3)
        RAS+ mm.
    distance_mm : numpy.ndarray, shape (N,)
        From the surface of the cord.
    pieces : numpy.ndarray of int, shape (N,)
        Connected voxels share a number.
    centerline : Centerline
    stretches : tuple of Stretch
        From rostral to caudal.

    Returns
    -------
    numpy.ndarray of uint8, shape (N,)
        0 for voxels that belong to no level.
    """
    arc = centerline.project(points).arc
    ends = np.array([(one.rostral_mm, one.caudal_mm) for one in stretches])
    outside = np.maximum(np.maximum(ends[:, 0] - arc[:, None], arc[:, None] - ends[:, 1]), 0)
    nearest = outside.argmin(axis=1)
    values = np.array([one.value for one in stretches], dtype=np.uint8)[nearest]
    near = distance_mm <= DISTANCE_MM
    anchored = near & (outside.min(axis=1) <= STRAY_MM)
    result = np.where(anchored, values, 0).astype(np.uint8)
    waiting = np.flatnonzero(~near)
    if not len(waiting) or not anchored.any():
        return result
    offset = 1000.0 * pieces[:, None]  # voxels of one piece find each other first
    tree = cKDTree(np.hstack([points, offset])[anchored])
    far, index = tree.query(np.hstack([points, offset])[waiting])
    lone = far > 500
    if lone.any():
        tree = cKDTree(points[anchored])
        gap, other = tree.query(points[waiting][lone])
        index[lone] = other
        far[lone] = np.where(gap <= APART_MM, 0, np.inf)
    known = np.isfinite(far)
    result[waiting[known]] = result[anchored][index[known]]
    return result


def load_segmenter(
    model: str | os.PathLike[str] | Weights | None = None, device: str = "cpu", bundle: Path = BUNDLED_FOLDER
) -> Segmenter:
    """Load the networks.

    Parameters
    ----------
    model : str, path or Weights, optional
        Name of an installed model, or an nnU-Net v2 model folder with classes ``lvl1``, ``lvl2`` and so on, whose
        rootlets are taken in place of those of the bundled model; the bundled ones still find the cord.
    device : {"cpu", "cuda", "mps"}
    bundle : Path
        Folder with the models of `NETWORKS`.

    Raises
    ------
    ModelError
        If there is no such model, its files are not as they should be, or the device is not there.
    """
    torch = import_torch()
    from sct_rootlets.models.model import load_model

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device, False):
        raise ModelError(f"the device {device} is not available here; use -device cpu")
    other = None
    chosen = find_model(model)
    if not chosen.is_bundled:
        other = load_model(chosen.folder, device)
        check_classes(other.labels, chosen.name)
    overview, names, rootlets = (load_model(bundle / name, device) for name in NETWORKS)
    return Segmenter(overview, names, rootlets, other, device)
