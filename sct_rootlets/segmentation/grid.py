"""A volume as a network sees it: axes in the network's order, voxels of its size, read only where they are needed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.orientations import (
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)
from scipy import ndimage

from sct_rootlets.image import Volume

Box = tuple[slice, ...]

#: Voxels this much finer than wanted are smoothed before they are skipped over.
SMOOTHED_FROM = 1.5
#: What splines need around a region to be right within it, in voxels.
MARGIN = 12


@dataclass(frozen=True)
class Oriented:
    """A volume with its axes turned and reordered, without a copy.

    Attributes
    ----------
    data : numpy.ndarray, shape (I, J, K)
        A view of the volume's voxels.
    affine : numpy.ndarray, shape (4, 4)
        Indices of `data` to RAS+ mm.
    """

    data: np.ndarray
    affine: np.ndarray
    _back: np.ndarray
    _order: tuple[int, ...]

    @property
    def spacing(self) -> np.ndarray:
        """Voxel size along each axis in mm."""
        return voxel_sizes(self.affine)

    def restore(self, data: np.ndarray) -> np.ndarray:
        """An array on this grid, in the axis order of the volume."""
        return np.ascontiguousarray(apply_orientation(data.transpose(np.argsort(self._order)), self._back))


def orient(volume: Volume, orientation: str = "RAS", permutation: tuple[int, ...] = (0, 1, 2)) -> Oriented:
    """Turn a volume to an orientation, reverse its axes as nnU-Net does, then permute them.

    Parameters
    ----------
    volume : Volume
    orientation : str
        nibabel's axis codes.
    permutation : tuple of int
        Of the reversed axes.
    """
    there = ornt_transform(io_orientation(volume.affine), axcodes2ornt(orientation))
    back = ornt_transform(axcodes2ornt(orientation), io_orientation(volume.affine))
    order = tuple(2 - axis for axis in permutation)
    affine = volume.affine @ inv_ornt_aff(there, volume.data.shape)
    data = apply_orientation(volume.data, there).transpose(order)
    return Oriented(data, affine[:, [*order, 3]], back, order)


@dataclass(frozen=True)
class Resampling:
    """From the voxels of an oriented volume to voxels of another size over the same field of view.

    Attributes
    ----------
    shape : tuple of int
        Of the volume.
    target : tuple of int
        Number of the other voxels along each axis.
    """

    shape: tuple[int, ...]
    target: tuple[int, ...]

    @classmethod
    def to_spacing(cls, volume: Oriented, spacing_mm: tuple[float, ...]) -> Resampling:
        """To voxels of about this size: their number is rounded, as in nnU-Net."""
        shape = volume.data.shape
        target = [max(1, round(n * mm / to)) for n, mm, to in zip(shape, volume.spacing, spacing_mm, strict=True)]
        return cls(shape, tuple(target))

    @property
    def scale(self) -> np.ndarray:
        """Voxels of the volume for each of the others, shape (3,)."""
        return np.array(self.shape) / np.array(self.target)

    def affine(self, affine: np.ndarray) -> np.ndarray:
        """Affine of the other voxels, from that of the volume."""
        matrix = np.diag([*self.scale, 1.0])
        matrix[:3, 3] = (self.scale - 1) / 2
        return affine @ matrix

    def cut(self, data: np.ndarray, box: Box, order: int) -> np.ndarray:
        """Values of the volume at the other voxels within a box, float32.

        Parameters
        ----------
        data : numpy.ndarray, shape ``shape``
        box : tuple of slice
            Of the other voxels.
        order : int
            Of the spline, 0 to 3.
        """
        scale = self.scale
        first = np.array([part.start for part in box])
        size = tuple(part.stop - part.start for part in box)
        low = (first + 0.5) * scale - 0.5
        high = (first + np.array(size) - 0.5) * scale - 0.5
        begin = np.maximum(np.floor(low).astype(int) - MARGIN, 0)
        end = np.minimum(np.ceil(high).astype(int) + MARGIN + 1, self.shape)
        part = np.asarray(data[tuple(slice(a, b) for a, b in zip(begin, end, strict=True))], dtype=np.float32)
        # Like a mean over the larger voxel; 0.29 is the standard deviation of a box of width 1.
        width = [0.29 * np.sqrt(one**2 - 1) if one > SMOOTHED_FROM else 0.0 for one in scale]
        if any(width):
            part = ndimage.gaussian_filter(part, width)
        if np.allclose(scale, 1):
            inner = tuple(slice(int(a - b), int(a - b) + n) for a, b, n in zip(first, begin, size, strict=True))
            return part[inner]
        return _scaled(part, scale, low - begin, size, order)

    def back(self, values: np.ndarray, box: Box) -> tuple[np.ndarray, Box]:
        """Values known within a box of the other voxels, at the volume's voxels: linear, and the box there."""
        scale = self.scale
        first = np.array([part.start for part in box])
        stop = np.array([part.stop for part in box])
        begin = np.maximum(np.floor((first + 0.5) * scale - 0.5).astype(int), 0)
        end = np.minimum(np.ceil((stop - 0.5) * scale - 0.5).astype(int) + 1, self.shape)
        offset = (begin + 0.5) / scale - 0.5 - first
        there = tuple(slice(int(a), int(b)) for a, b in zip(begin, end, strict=True))
        if np.allclose(scale, 1):
            return values, there
        return _scaled(values, 1 / scale, offset, tuple(end - begin), order=1), there


def _scaled(
    values: np.ndarray, scale: np.ndarray, offset: np.ndarray, shape: tuple[int, ...], order: int
) -> np.ndarray:
    """Values at ``scale * index + offset``, each axis by itself: scipy is fast at it, and warns of what it once did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return ndimage.affine_transform(
            values, scale, offset, output_shape=shape, output=np.float32, order=order, mode="nearest"
        )


def mean_and_deviation(data: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation, slice by slice: no copy of the volume is made."""
    sums = np.zeros(2)
    for one in data:
        values = one.astype(np.float64)
        sums += values.sum(), (values**2).sum()
    mean = sums[0] / data.size
    return float(mean), float(np.sqrt(max(sums[1] / data.size - mean**2, 0)))


def reduced(volume: Oriented, spacing_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """The whole volume on coarse isotropic voxels, each the mean of those in it.

    Parameters
    ----------
    volume : Oriented
    spacing_mm : float

    Returns
    -------
    data : numpy.ndarray of float32
    affine : numpy.ndarray, shape (4, 4)
    """
    factor = np.maximum(1, np.floor(spacing_mm / volume.spacing + 0.01).astype(int))
    factor = np.minimum(factor, volume.data.shape)
    size = np.array(volume.data.shape) // factor
    kept = volume.data[tuple(slice(0, int(n * f)) for n, f in zip(size, factor, strict=True))]
    means = np.empty(size, dtype=np.float32)
    for index in range(size[0]):
        slab = kept[index * factor[0] : (index + 1) * factor[0]].astype(np.float32).mean(axis=0)
        means[index] = slab.reshape(size[1], factor[1], size[2], factor[2]).mean(axis=(1, 3))
    grouping = np.diag([*factor.astype(float), 1.0])
    grouping[:3, 3] = (factor - 1) / 2
    affine = volume.affine @ grouping
    blocks = Oriented(means, affine, volume._back, volume._order)
    resampling = Resampling.to_spacing(blocks, (spacing_mm,) * 3)
    whole = tuple(slice(0, n) for n in resampling.target)
    return resampling.cut(means, whole, order=1), resampling.affine(affine)
