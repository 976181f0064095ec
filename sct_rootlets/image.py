"""Volumes in memory: their voxels, their grids and orientations.

Voxel indices are used here; all other modules work in RAS+ mm.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Union

import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from nibabel.orientations import (
    aff2axcodes,
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)
from scipy import ndimage

from sct_rootlets.errors import ImageError, LabelError

#: Largest distance between the corners of two grids that count as the same: it allows for the rounding of header
#: fields, and for nothing that moves a voxel.
GRID_TOLERANCE_MM = 0.1

#: Sizes of voxels in mm that can be true, of any volume and of an image that is segmented.
MIN_VOXEL_MM, MAX_VOXEL_MM = 0.01, 50.0
MIN_SEGMENTED_VOXEL_MM, MAX_SEGMENTED_VOXEL_MM = 0.1, 10.0
#: Longest field of view of any volume (a person with arms up), and of an image that is segmented (a whole spine).
MAX_VIEW_MM, MAX_SEGMENTED_VIEW_MM = 3000.0, 1200.0
#: Largest field of view that is segmented: networks see it on voxels of their own size, which take memory.
MAX_SEGMENTED_VIEW_MM3 = 3e8
#: Voxel axes of which the determinant is smaller (1 at right angles) lie nearly in one plane.
MIN_AXES_DETERMINANT = 0.05

#: Sources of a volume that functions accept: a path, a nibabel image, ``(array, affine)``, or a `Volume`.
VolumeLike = Union[str, "os.PathLike[str]", "Volume", tuple[np.ndarray, np.ndarray], Any]


@dataclass(frozen=True)
class Volume:
    """A 3D array and its affine.

    Attributes
    ----------
    data : numpy.ndarray, shape (I, J, K)
        Voxel values, in the order of the file.
    affine : numpy.ndarray, shape (4, 4)
        Voxel indices to RAS+ mm.
    name : str
        Name for messages: that of the file, or ``"array"``.
    header : nibabel.Nifti1Header, optional
        Header of the file; outputs on this grid inherit its spatial codes.
    path : pathlib.Path, optional
        The file, if the volume was read from one.
    """

    data: np.ndarray
    affine: np.ndarray
    name: str = "array"
    header: Any = None
    path: Path | None = None

    @property
    def spacing(self) -> np.ndarray:
        """Voxel size along each axis in mm, shape (3,)."""
        return voxel_sizes(self.affine)

    @cached_property
    def voxels_digest(self) -> str:
        """SHA-256 of the values, in hexadecimal digits, whatever the file and its compression are."""
        return hashlib.sha256(np.ascontiguousarray(self.data).data).hexdigest()

    def describe(self) -> str:
        """Name, shape, voxel size and axes, for messages."""
        shape = "×".join(str(n) for n in self.data.shape)
        size = "×".join(f"{mm:.3g}" for mm in self.spacing)
        return f"{self.path or self.name} ({shape} voxels of {size} mm, axes {''.join(aff2axcodes(self.affine))})"


def check_volume(volume: Volume) -> Volume:
    """Check that a volume is 3D and holds plain numbers, and bring it into the form that other functions expect.

    Trailing axes of length 1 are dropped, half precision becomes single precision, and bytes get the native order.

    Parameters
    ----------
    volume : Volume

    Returns
    -------
    Volume

    Raises
    ------
    ImageError
        If the array is not a single 3D volume, holds colours or complex numbers, its affine is invalid, or the size
        of its voxels or its field of view cannot be true.
    """
    data, affine, name = volume.data, volume.affine, volume.name
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]
    if data.ndim > 3:
        raise ImageError(
            f"{name} holds {int(np.prod(data.shape[3:]))} volumes; give a single 3D volume (split or average it first)"
        )
    if data.ndim < 3 or min(data.shape) < 2:
        shape = "×".join(str(n) for n in data.shape)
        raise ImageError(f"{name} is not a 3D volume (its shape is {shape}); give a 3D volume")
    if data.dtype.kind not in "biuf":
        raise ImageError(f"{name} holds colours or complex numbers; give a volume of plain numbers")
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or not has_three_axes(affine):
        raise ImageError(f"{name} has an invalid affine (no voxel size or orientation); repair its header")
    _check_size(name, data.shape, affine, (MIN_VOXEL_MM, MAX_VOXEL_MM), MAX_VIEW_MM, "an image of a person")
    if data.dtype == np.float16:
        data = data.astype(np.float32)
    if not data.dtype.isnative:
        data = data.astype(data.dtype.newbyteorder("="))
    return replace(volume, data=data, affine=affine.astype(float))


def has_three_axes(affine: np.ndarray) -> bool:
    """Whether the voxel axes of a finite affine, shape (4, 4), span space."""
    with np.errstate(all="ignore"):  # overflow and division by zero give what is compared as False
        axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
        return bool(np.isfinite(axes).all() and abs(np.linalg.det(axes)) > MIN_AXES_DETERMINANT)


def check_segmentable(volume: Volume) -> None:
    """Check that networks can segment an image: the size of its voxels, and its field of view.

    Parameters
    ----------
    volume : Volume

    Raises
    ------
    ImageError
    """
    shape, limits = volume.data.shape, (MIN_SEGMENTED_VOXEL_MM, MAX_SEGMENTED_VOXEL_MM)
    _check_size(volume.name, shape, volume.affine, limits, MAX_SEGMENTED_VIEW_MM, "an image to segment")
    if np.prod(shape * volume.spacing) > MAX_SEGMENTED_VIEW_MM3:
        view = "×".join(f"{mm:.0f}" for mm in shape * volume.spacing)
        raise ImageError(
            f"{volume.name} shows {view} mm by its header, and at most {MAX_SEGMENTED_VIEW_MM3 / 1e6:.0f} litres are "
            "segmented; crop it around the neck, or correct the voxel size in its header"
        )


def _check_size(
    name: str, shape: tuple[int, ...], affine: np.ndarray, limits_mm: tuple[float, float], view_mm: float, what: str
) -> None:
    """Check the size of voxels and the field of view against what an image can have."""
    spacing = voxel_sizes(affine)
    if spacing.min() < limits_mm[0] * (1 - 1e-3) or spacing.max() > limits_mm[1] * (1 + 1e-3):
        size = "×".join(f"{mm:.3g}" for mm in spacing)
        raise ImageError(
            f"{name} has voxels of {size} mm by its header, and {what} has {limits_mm[0]:g} to {limits_mm[1]:g} mm; "
            "correct the voxel size or its unit in the header, or resample it"
        )
    view = np.multiply(shape, spacing)
    if view.max() > view_mm * (1 + 1e-3):
        raise ImageError(
            f"{name} is {view.max():.0f} mm long by its header, and {what} has up to {view_mm:g} mm; crop it, or "
            "correct the voxel size or its unit in the header"
        )


def check_same_grid(reference: Volume, other: Volume) -> None:
    """Check that two volumes have the same voxels, whatever the order and direction of their axes.

    Parameters
    ----------
    reference, other : Volume

    Raises
    ------
    ImageError
        If shapes or positions differ; the message names both volumes and the difference.
    """
    ref_shape, ref_affine = _ras_grid(reference)
    shape, affine = _ras_grid(other)
    reference_name, other_name = _names_apart(reference, other)
    advice = f"resample {other_name} to the grid of {reference_name}"
    if ref_shape != shape:
        raise ImageError(f"{reference.describe()} and {other.describe()} have different shapes; {advice}")
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1).T
    shift = np.linalg.norm(apply_affine(ref_affine, corners) - apply_affine(affine, corners), axis=1).max()
    if shift > GRID_TOLERANCE_MM:
        raise ImageError(
            f"{reference_name} and {other_name} have the same shape but different affines: "
            f"their corners lie up to {shift:.3g} mm apart; {advice}, or repair the header that is wrong"
        )


def _names_apart(one: Volume, other: Volume) -> tuple[str, str]:
    """Names of two volumes, for messages: with as many of their folders as tell files of one name apart."""
    if one.name != other.name or one.path is None or other.path is None or one.path == other.path:
        return one.name, other.name
    parts, other_parts = one.path.absolute().parts, other.path.absolute().parts
    n = next((n for n in range(2, len(parts)) if parts[-n:] != other_parts[-n:]), max(len(parts), len(other_parts)))
    return str(Path(*parts[-n:])), str(Path(*other_parts[-n:]))


def _ras_grid(volume: Volume) -> tuple[tuple[int, ...], np.ndarray]:
    """Return the shape and affine that a volume has after its axes are reordered to RAS+."""
    orientation = io_orientation(volume.affine)
    order = np.argsort(orientation[:, 0])
    shape = tuple(volume.data.shape[axis] for axis in order)
    return shape, volume.affine @ inv_ornt_aff(orientation, volume.data.shape)


def superior_axis(affine: np.ndarray) -> tuple[int, int]:
    """Find the voxel axis that runs along the body, and its direction.

    Parameters
    ----------
    affine : numpy.ndarray, shape (4, 4)

    Returns
    -------
    axis : int
        0, 1 or 2.
    direction : int
        1 where indices grow towards superior, -1 where they grow towards inferior.
    """
    orientation = io_orientation(affine)
    axis = int(np.flatnonzero(orientation[:, 0] == 2)[0])
    return axis, int(orientation[axis, 1])


def as_axial(volume: Volume) -> Volume:
    """Reorder the axes of a volume so that the last one numbers slices along the body.

    Parameters
    ----------
    volume : Volume

    Returns
    -------
    Volume
        Axes run to the left, to anterior and to superior; slice 0 is the most inferior one. The voxels stay where they
        are in space.
    """
    turn = ornt_transform(io_orientation(volume.affine), axcodes2ornt(("L", "A", "S")))
    data = apply_orientation(volume.data, turn)
    return replace(volume, data=data, affine=volume.affine @ inv_ornt_aff(turn, volume.data.shape))


def slice_numbers(points: np.ndarray, affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Count the slices along the body below points, as the Spinal Cord Toolbox numbers them.

    Parameters
    ----------
    points : numpy.ndarray, shape (N, 3)
        RAS+ mm.
    affine : numpy.ndarray, shape (4, 4)
    shape : tuple of int
        Shape of the volume.

    Returns
    -------
    numpy.ndarray, shape (N,)
        Slice numbers with fractions; 0 is the middle of the most inferior slice.
    """
    axis, direction = superior_axis(affine)
    index = apply_affine(np.linalg.inv(affine), points)[:, axis]
    return index if direction > 0 else shape[axis] - 1 - index


def slice_range(points: np.ndarray, affine: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int]:
    """Find the slices along the body whose centres lie between two points, as the Spinal Cord Toolbox counts them.

    A slice whose centre is the lower point is not between them: it belongs to what begins there. If no centre lies
    between them, the slice nearest to their middle is taken.

    Parameters
    ----------
    points : numpy.ndarray, shape (2, 3)
        RAS+ mm.
    affine : numpy.ndarray, shape (4, 4)
    shape : tuple of int
        Shape of the volume.

    Returns
    -------
    lowest, highest : int
        Slice numbers; 0 is the most inferior slice, whatever the axis order and direction of the volume.
    """
    axis, _ = superior_axis(affine)
    index = np.sort(slice_numbers(points, affine, shape))
    lowest, highest = np.floor(index + 1e-3).astype(int) + np.array([1, 0])  # the tolerance allows for rounding
    if lowest > highest:  # no centre lies between them
        lowest = highest = int(np.rint(index.mean()))
    limit = shape[axis] - 1
    return int(np.clip(lowest, 0, limit)), int(np.clip(highest, 0, limit))


def voxel_length(affine: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Compute the length of a voxel in mm along unit vectors: the root sum of squares of its edges' components.

    Along an edge it equals the edge length; for a cube it is the same in every direction.

    Parameters
    ----------
    affine : numpy.ndarray, shape (4, 4)
    directions : numpy.ndarray, shape (..., 3)
        Unit vectors in RAS+.

    Returns
    -------
    numpy.ndarray, shape (...)
        In mm.
    """
    return np.linalg.norm(np.asarray(directions) @ affine[:3, :3], axis=-1)


def nonzero_voxels(data: np.ndarray) -> np.ndarray:
    """Return the indices of the voxels that are not zero, shape (N, 3): `numpy.argwhere`, faster for whole scans."""
    return np.stack(np.unravel_index(np.flatnonzero(data != 0), data.shape), axis=-1)


def labelled_voxels(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices and whole-number values of the non-zero voxels of a label map.

    Parameters
    ----------
    volume : Volume

    Returns
    -------
    ijk : numpy.ndarray of int, shape (N, 3)
    values : numpy.ndarray of int, shape (N,)

    Raises
    ------
    LabelError
        If the map holds NaN or infinite values, fractions, or nothing at all.
    """
    _check_finite(volume)
    ijk = nonzero_voxels(volume.data)
    if not len(ijk):
        raise LabelError(f"{volume.name} is empty: it has no voxel other than 0")
    values = volume.data[tuple(ijk.T)]
    rounded = np.rint(values)
    off = np.abs(values - rounded) > 1e-3
    if off.any():
        raise LabelError(
            f"{volume.name} holds {values[off][0]:g}, which is not a label; labels are whole numbers "
            "(resample label maps with nearest-neighbour interpolation)"
        )
    return ijk, rounded.astype(int)


def binary_mask(volume: Volume) -> tuple[np.ndarray, list[str]]:
    """Convert a mask to booleans, with a note if the volume is not binary.

    Soft masks, with values between 0 and 1, are thresholded at 0.5; in label maps, every non-zero voxel belongs to
    the mask.

    Parameters
    ----------
    volume : Volume

    Returns
    -------
    mask : numpy.ndarray of bool, shape (I, J, K)
    notes : list of str

    Raises
    ------
    LabelError
        If the mask is empty, or holds NaN, infinite or negative values.
    """
    _check_finite(volume)
    data, notes = volume.data, []
    low, high = float(data.min()), float(data.max())
    whole = data.dtype.kind != "f" or np.array_equal(data, np.rint(data))
    if low < (0 if whole else -0.5):
        raise LabelError(f"{volume.name} holds negative values (down to {low:g}); give a mask of 0 and 1")
    if whole:
        mask = data > 0
        if np.any(data[mask] != high):
            notes.append(f"{volume.name} holds several labels: every voxel above 0 is taken as the mask")
    elif high <= 1.5:  # interpolation may overshoot 0 and 1 a little
        mask = data >= 0.5
        notes.append(f"{volume.name} is a soft mask: thresholded at 0.5")
    else:
        raise LabelError(f"{volume.name} holds fractions up to {high:g}; a soft mask goes from 0 to 1")
    if not mask.any():
        raise LabelError(f"{volume.name} is empty: no voxel belongs to the mask")
    return mask, notes


def _check_finite(volume: Volume) -> None:
    if volume.data.dtype.kind == "f" and not np.isfinite(volume.data).all():
        raise LabelError(f"{volume.name} holds NaN or infinite values; replace them by 0 or create the file again")


def values_at(data: np.ndarray, affine: np.ndarray, points: np.ndarray, order: int = 1) -> np.ndarray:
    """Interpolate a volume at points.

    Parameters
    ----------
    data : numpy.ndarray, shape (I, J, K)
    affine : numpy.ndarray, shape (4, 4)
        Voxel indices to RAS+ mm.
    points : numpy.ndarray, shape (..., 3)
        RAS+ mm.
    order : int
        Order of the spline: 0 for labels, 1 for intensities.

    Returns
    -------
    numpy.ndarray of float32, shape (...)
        0 outside the volume.
    """
    index = np.moveaxis(apply_affine(np.linalg.inv(affine), points), -1, 0)
    data = data.astype(np.uint8) if data.dtype == bool else data
    return ndimage.map_coordinates(data, index, order=order, mode="constant", cval=0, output=np.float32)
