"""The voxel grid of a network: orientation, axis order and voxel size, and resampling between it and a volume."""

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

#: Volumes whose voxels are this many times finer than the target's are smoothed first.
MIN_SMOOTHED_RATIO = 1.5
#: Standard deviation of a box of width 1, ``1 / sqrt(12)``: a Gaussian of this width replaces a mean over a voxel.
_BOX_SD = 0.29
#: Voxels around a region that splines need to be exact within it.
SPLINE_MARGIN_VOXELS = 12


@dataclass(frozen=True)
class Oriented:
    """A volume with reoriented and reordered axes, without a copy.

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
        """Return an array on this grid in the orientation and axis order of the volume."""
        return np.ascontiguousarray(apply_orientation(data.transpose(np.argsort(self._order)), self._back))


def orient(volume: Volume, orientation: str = "RAS", permutation: tuple[int, ...] = (0, 1, 2)) -> Oriented:
    """Reorient a volume, reverse its axes as nnU-Net does, then permute them.

    Parameters
    ----------
    volume : Volume
    orientation : str
        nibabel's axis codes.
    permutation : tuple of int
        Order of the reversed axes.
    """
    forth = ornt_transform(io_orientation(volume.affine), axcodes2ornt(orientation))
    back = ornt_transform(axcodes2ornt(orientation), io_orientation(volume.affine))
    order = tuple(2 - axis for axis in permutation)
    affine = volume.affine @ inv_ornt_aff(forth, volume.data.shape)
    data = apply_orientation(volume.data, forth).transpose(order)
    return Oriented(data, affine[:, [*order, 3]], back, order)


@dataclass(frozen=True)
class Resampling:
    """Resampling between the voxels of an oriented volume and target voxels over the same field of view.

    Attributes
    ----------
    shape : tuple of int
        Number of the volume's voxels along each axis.
    target : tuple of int
        Number of the target voxels along each axis.
    """

    shape: tuple[int, ...]
    target: tuple[int, ...]

    @classmethod
    def to_spacing(cls, volume: Oriented, spacing_mm: tuple[float, ...]) -> Resampling:
        """Choose target voxels of about a size: their number is rounded, as in nnU-Net."""
        shape = volume.data.shape
        target = [max(1, round(n * mm / to)) for n, mm, to in zip(shape, volume.spacing, spacing_mm, strict=True)]
        return cls(shape, tuple(target))

    @property
    def scale(self) -> np.ndarray:
        """Size of the target voxels in voxels of the volume, shape (3,)."""
        return np.array(self.shape) / np.array(self.target)

    def affine(self, affine: np.ndarray) -> np.ndarray:
        """Return the affine of the target voxels, given that of the volume."""
        matrix = np.diag([*self.scale, 1.0])
        matrix[:3, 3] = (self.scale - 1) / 2
        return affine @ matrix

    def crop(self, data: np.ndarray, box: Box, order: int) -> np.ndarray:
        """Resample a box of the volume.

        Parameters
        ----------
        data : numpy.ndarray, shape ``shape``
            Values at the volume's voxels.
        box : tuple of slice
            The box in target voxels.
        order : int
            Order of the spline, 0 to 3.

        Returns
        -------
        numpy.ndarray of float32
            Values at the target voxels in the box.
        """
        scale = self.scale
        first = np.array([part.start for part in box])
        size = tuple(part.stop - part.start for part in box)
        low = (first + 0.5) * scale - 0.5
        high = (first + np.array(size) - 0.5) * scale - 0.5
        begin = np.maximum(np.floor(low).astype(int) - SPLINE_MARGIN_VOXELS, 0)
        end = np.minimum(np.ceil(high).astype(int) + SPLINE_MARGIN_VOXELS + 1, self.shape)
        part = np.asarray(data[tuple(slice(a, b) for a, b in zip(begin, end, strict=True))], dtype=np.float32)
        # The Gaussian approximates a mean over the larger voxel.
        sd = [_BOX_SD * np.sqrt(ratio**2 - 1) if ratio > MIN_SMOOTHED_RATIO else 0.0 for ratio in scale]
        if any(sd):
            part = ndimage.gaussian_filter(part, sd)
        if np.allclose(scale, 1):
            inner = tuple(slice(int(a - b), int(a - b) + n) for a, b, n in zip(first, begin, size, strict=True))
            return part[inner]
        return _resample(part, scale, low - begin, size, order)

    def to_volume(self, values: np.ndarray, box: Box) -> tuple[np.ndarray, Box]:
        """Resample a box of target voxels to the volume's voxels, linearly.

        Parameters
        ----------
        values : numpy.ndarray
            Values at the target voxels in the box.
        box : tuple of slice
            The box in target voxels.

        Returns
        -------
        values : numpy.ndarray of float32
            Values at the volume's voxels.
        box : tuple of slice
            The box in voxels of the volume.
        """
        scale = self.scale
        first = np.array([part.start for part in box])
        stop = np.array([part.stop for part in box])
        begin = np.maximum(np.floor((first + 0.5) * scale - 0.5).astype(int), 0)
        end = np.minimum(np.ceil((stop - 0.5) * scale - 0.5).astype(int) + 1, self.shape)
        offset = (begin + 0.5) / scale - 0.5 - first
        volume_box = tuple(slice(int(a), int(b)) for a, b in zip(begin, end, strict=True))
        if np.allclose(scale, 1):
            return values, volume_box
        return _resample(values, 1 / scale, offset, tuple(end - begin), order=1), volume_box


def _resample(
    values: np.ndarray, scale: np.ndarray, offset: np.ndarray, shape: tuple[int, ...], order: int
) -> np.ndarray:
    """Interpolate at ``scale * index + offset``: along one axis after the other, as splines are separable."""
    result = values.astype(np.float32)
    for axis in np.argsort(np.array(shape) / values.shape):  # those that become shorter first
        weights = _spline_weights(values.shape[axis], float(scale[axis]), float(offset[axis]), shape[axis], order)
        result = np.moveaxis(np.tensordot(weights, result, (1, axis)), 0, axis)
    return np.ascontiguousarray(result)


def _spline_weights(n: int, scale: float, offset: float, n_target: int, order: int) -> np.ndarray:
    """Return the weights of ``n`` values in those interpolated at ``scale * index + offset``, shape (n_target, n)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # scipy warns that it once treated a diagonal otherwise
        columns = [
            ndimage.affine_transform(one, [scale], offset, output_shape=(n_target,), order=order, mode="nearest")
            for one in np.eye(n)
        ]
    return np.stack(columns, axis=1).astype(np.float32)


def mean_and_deviation(data: np.ndarray) -> tuple[float, float]:
    """Compute mean and standard deviation slice by slice, without a copy of the volume."""
    sums = np.zeros(2)
    for plane in data:
        values = plane.astype(np.float64)
        sums += values.sum(), (values**2).sum()
    mean = sums[0] / data.size
    return float(mean), float(np.sqrt(max(sums[1] / data.size - mean**2, 0)))


def downsample(volume: Oriented, spacing_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Resample the whole volume to coarse isotropic voxels, each the mean of what lies in it.

    The coarse voxels lie at multiples of their size in scanner space, so that a smaller or larger field of view shows
    the same voxels. Along an axis whose voxels are longer than the coarse ones, values are interpolated.

    Parameters
    ----------
    volume : Oriented
    spacing_mm : float
        Size of the coarse voxels.

    Returns
    -------
    data : numpy.ndarray of float32
    affine : numpy.ndarray, shape (4, 4)
    """
    weights, firsts = [], []
    for axis in range(3):
        direction = volume.affine[:3, axis] / volume.spacing[axis]
        origin_mm = float(volume.affine[:3, 3] @ direction)
        first, weight = _coarse_weights(volume.data.shape[axis], origin_mm, volume.spacing[axis], spacing_mm)
        weights.append(weight)
        firsts.append((first - origin_mm) / volume.spacing[axis])
    # In the order of the voxels in memory, and one coarse sheet after the other: the volume is never held in single
    # precision.
    order = np.argsort(np.abs(volume.data.strides))[::-1]  # the strides of turned axes are negative
    fine = volume.data.transpose(order)
    slowest, middle, fastest = (weights[axis] for axis in order)
    data = np.empty(tuple(len(weight) for weight in (slowest, middle, fastest)), dtype=np.float32)
    for row, target in zip(slowest, data, strict=True):
        used = np.flatnonzero(row)
        sheet = sum(row[index] * fine[index].astype(np.float32) for index in used)
        target[:] = middle @ sheet @ fastest.T
    data = np.ascontiguousarray(data.transpose(np.argsort(order)))
    scaling = np.diag([*(spacing_mm / volume.spacing), 1.0])
    scaling[:3, 3] = firsts
    return data, volume.affine @ scaling


def _coarse_weights(n: int, origin_mm: float, from_mm: float, to_mm: float) -> tuple[float, np.ndarray]:
    """Return the position of the first coarse voxel along an axis in mm, and weights of shape (coarse voxels, n)."""
    rim_mm = 1e-3  # a voxel that lies beyond a border by rounding alone
    low, high = origin_mm - from_mm / 2, origin_mm + (n - 0.5) * from_mm
    begin = int(np.floor((low + rim_mm) / to_mm))
    end = max(int(np.ceil((high - rim_mm) / to_mm)), begin + 1)
    borders = to_mm * np.arange(begin, end + 1)
    position = (np.clip(borders, low, high) - origin_mm) / from_mm  # in voxels
    # Voxels are interpolated linearly, then averaged; the first and the last are repeated beyond their middles.
    weight = np.diff(_hat_integral(position[:, None] - np.arange(-1, n + 1)), axis=0)
    weight[:, 1] += weight[:, 0]
    weight[:, -2] += weight[:, -1]
    weight = weight[:, 1:-1]
    return float(borders[0] + to_mm / 2), (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)


def _hat_integral(x: np.ndarray) -> np.ndarray:
    """Integrate ``max(0, 1 - |x|)`` from minus infinity to ``x``."""
    x = np.clip(x, -1, 1)
    return 0.5 + x - np.sign(x) * x**2 / 2
