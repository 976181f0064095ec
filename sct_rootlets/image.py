"""Volumes: NIfTI in and out, grids and orientations. Voxel indices live here; the rest works in RAS+ mm.

Nothing in this module knows what a level is. Output files appear whole or not at all (`staged_outputs`).
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Union

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from nibabel.orientations import aff2axcodes, inv_ornt_aff, io_orientation
from nibabel.spatialimages import HeaderDataError
from scipy import ndimage

from sct_rootlets.errors import ImageError, LabelError

#: Two grids are the same if no corner of the one lies further than this from the other's: it forgives the
#: rounding of header fields, and nothing that moves a voxel.
GRID_TOLERANCE_MM = 0.1

#: What functions that take a volume accept: a path, a nibabel image, ``(array, affine)``, or a `Volume`.
VolumeLike = Union[str, "os.PathLike[str]", "Volume", tuple[np.ndarray, np.ndarray], Any]


@dataclass(frozen=True)
class Volume:
    """A 3D array with its place in the world.

    Attributes
    ----------
    data : numpy.ndarray, shape (I, J, K)
        Voxel values, in the order of the file.
    affine : numpy.ndarray, shape (4, 4)
        Voxel indices to RAS+ mm.
    name : str
        What messages call it: the file's name, or ``"array"``.
    header : nibabel.Nifti1Header, optional
        The file's header; outputs on this grid inherit its spatial codes.
    path : pathlib.Path, optional
        The file.
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

    def describe(self) -> str:
        """Name, shape, voxel size and axes, for messages."""
        shape = "×".join(str(n) for n in self.data.shape)
        size = "×".join(f"{mm:.3g}" for mm in self.spacing)
        return f"{self.path or self.name} ({shape} voxels of {size} mm, axes {''.join(aff2axcodes(self.affine))})"


def load_volume(source: VolumeLike) -> Volume:
    """Read a 3D volume and check that it is one.

    Parameters
    ----------
    source : path, nibabel image, (array, affine) or Volume
        A 4D file that holds a single volume is taken as 3D.

    Raises
    ------
    ImageError
        If the file is missing, a folder, not NIfTI or truncated, not a single 3D volume, or has an affine that
        maps to nowhere.
    """
    if isinstance(source, Volume):
        return source
    if isinstance(source, tuple):
        data, affine = source
        return _checked(Volume(np.asarray(data), np.asarray(affine, dtype=float)))
    if isinstance(source, (str, os.PathLike)):
        return _read(Path(source))
    header = source.header if isinstance(source, nib.Nifti1Pair) else None
    return _checked(Volume(np.asanyarray(source.dataobj), source.affine, "image", header))


@dataclass(frozen=True)
class Series:
    """Volumes of one grid, such as those of fMRI, read one at a time.

    Attributes
    ----------
    shape : (int, int, int)
        Of each.
    affine : numpy.ndarray, shape (4, 4)
    name : str
    header : nibabel.Nifti1Header, optional
    path : pathlib.Path, optional
    length : int or None
        Number of volumes; None for a single one that has no fourth dimension.
    stored : object
        What is indexed like an array of four dimensions, or three.
    """

    shape: tuple[int, ...]
    affine: np.ndarray
    name: str
    header: Any
    path: Path | None
    length: int | None
    stored: Any

    def volumes(self) -> Iterator[np.ndarray]:
        """The volumes, in order.

        Raises
        ------
        ImageError
            If the file is truncated or damaged.
        """
        if self.length is None:
            yield load_volume(self.path or (np.asanyarray(self.stored), self.affine)).data
            return
        if self.path is not None and self.path.suffix.lower() == ".gz":
            with _readable(self.path):
                _check_gzip(self.path)
        behind = (0,) * (len(self.stored.shape) - 4)  # of length 1
        for index in range(self.length):
            with _readable(self.path or self.name):
                data = _as_stored(self.stored, (slice(None), slice(None), slice(None), index, *behind))
            data = data.reshape(self.shape)
            yield _checked(Volume(data, self.affine, self.name)).data


def load_series(source: VolumeLike) -> Series:
    """Look at a 3D or 4D image; its volumes are read when they are asked for.

    Parameters
    ----------
    source : path, nibabel image, (array, affine) or Volume

    Raises
    ------
    ImageError
        As `load_volume`; or if there are more than four dimensions.
    """
    path, header = None, None
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        image = _opened(path, keep=True)
        stored, affine, name, header = image.dataobj, image.affine, path.name, image.header
    elif isinstance(source, Volume):
        stored, affine, name, header, path = source.data, source.affine, source.name, source.header, source.path
    elif isinstance(source, tuple):
        stored, affine, name = np.asarray(source[0]), np.asarray(source[1], dtype=float), "array"
    else:
        stored, affine, name = source.dataobj, source.affine, "image"
        header = source.header if isinstance(source, nib.Nifti1Pair) else None
    shape = tuple(stored.shape)
    if len(shape) > 4 and np.prod(shape[4:]) > 1:
        raise ImageError(f"{name} has {len(shape)} dimensions (a warp, or vectors?); give 3D or 4D images")
    length = shape[3] if len(shape) > 3 and shape[3] > 1 else None
    empty = np.broadcast_to(np.zeros(1, dtype=stored.dtype), shape[:3])  # all but the values is checked
    affine = _checked(Volume(empty, np.asarray(affine), name)).affine
    return Series(shape[:3], affine, name, header, path, length, stored)


def _opened(path: Path, keep: bool = False) -> Any:
    """A NIfTI file, whose values are not read yet; kept open, parts of a compressed one are read in order."""
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder; give a NIfTI file (.nii or .nii.gz)")
        if not path.exists():
            raise ImageError(f"{path} does not exist; check the path")
        image: Any = nib.load(path)
        if keep and isinstance(image, nib.Nifti1Pair):
            image = type(image).from_filename(path, keep_file_open=True)
    except ImageError:
        raise
    except PermissionError as error:
        raise ImageError(f"{path} cannot be read: permission denied") from error
    except Exception as error:  # a damaged header can fail in any way
        raise ImageError(f"{path} is not a NIfTI file, or is damaged; expected .nii or .nii.gz") from error
    if not isinstance(image, nib.Nifti1Pair):  # the base of NIfTI 1 and 2, in one file or two
        raise ImageError(f"{path} is not a NIfTI file; convert it to .nii.gz first")
    return image


@contextlib.contextmanager
def _readable(path: Path | str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ImageError(f"{path} is truncated or damaged; copy or create it again") from error


def _as_stored(stored: Any, index: Any) -> np.ndarray:
    """A part of what is stored, as it is; scaled integers become single precision."""
    values = np.asanyarray(stored[index])
    scaled = (getattr(stored, "slope", 1), getattr(stored, "inter", 0)) != (1, 0)
    return values.astype(np.float32) if scaled else values


def _read(path: Path) -> Volume:
    image = _opened(path)
    with _readable(path):
        if path.suffix.lower() == ".gz":
            _check_gzip(path)
        stored: Any = image.dataobj
        scaled = (stored.slope, stored.inter) != (1, 0)
        # Never through eight bytes a voxel, as `_as_stored` may for a part.
        data = np.asanyarray(stored, dtype=np.float32) if scaled else np.asanyarray(stored)
    return _checked(Volume(data, image.affine, path.name, image.header, path))


def _check_gzip(path: Path) -> None:
    """Read a file to its end, where its checksum is: NIfTI readers stop before."""
    with gzip.open(path) as stream:
        while stream.read(1 << 20):
            pass


def _checked(volume: Volume) -> Volume:
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
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise ImageError(f"{name} has an invalid affine (no voxel size or orientation); repair its header")
    if data.dtype == np.float16:
        data = data.astype(np.float32)
    if not data.dtype.isnative:
        data = data.astype(data.dtype.newbyteorder("="))
    return replace(volume, data=data, affine=affine.astype(float))


def check_same_grid(reference: Volume, other: Volume) -> None:
    """Check that two volumes lie on the same voxels, in whatever axis order and direction.

    Raises
    ------
    ImageError
        If shapes or positions differ; the message names both volumes and says how.
    """
    ref_shape, ref_affine = _canonical_grid(reference)
    shape, affine = _canonical_grid(other)
    advice = f"resample {other.name} to the grid of {reference.name}"
    if ref_shape != shape:
        raise ImageError(f"{reference.describe()} and {other.describe()} have different shapes; {advice}")
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1).T
    shift = np.linalg.norm(apply_affine(ref_affine, corners) - apply_affine(affine, corners), axis=1).max()
    if shift > GRID_TOLERANCE_MM:
        raise ImageError(
            f"{reference.name} and {other.name} have the same shape but different affines: "
            f"their corners lie up to {shift:.3g} mm apart; {advice}, or repair the header that is wrong"
        )


def header_notes(volume: Volume | Series) -> list[str]:
    """Note that a header places its image twice, in two places; other programs may take the other one.

    Parameters
    ----------
    volume : Volume or Series
    """
    header = volume.header
    if header is None or not (header["sform_code"] and header["qform_code"]):
        return []
    shape = volume.data.shape if isinstance(volume, Volume) else volume.shape
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1).T
    try:
        ends = [apply_affine(affine, corners) for affine in (header.get_sform(), header.get_qform())]
    except (ValueError, HeaderDataError):
        return [f"{volume.name}: the qform of its header is no rotation: the sform is taken; other programs may fail"]
    apart = float(np.linalg.norm(np.subtract(*ends), axis=1).max())
    if apart <= GRID_TOLERANCE_MM:
        return []
    return [
        f"{volume.name}: sform and qform of its header are up to {apart:.3g} mm apart: the sform is taken; SCT refuses "
        "such images, and others may take the qform"
    ]


def _canonical_grid(volume: Volume) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape and affine that the volume would have after reordering its axes to RAS+."""
    orientation = io_orientation(volume.affine)
    order = np.argsort(orientation[:, 0])
    shape = tuple(volume.data.shape[axis] for axis in order)
    return shape, volume.affine @ inv_ornt_aff(orientation, volume.data.shape)


def superior_axis(affine: np.ndarray) -> tuple[int, int]:
    """The voxel axis that runs along the body, and its direction.

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


def slice_range(points: np.ndarray, affine: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int]:
    """The slices along the body whose centres lie between two points, as the Spinal Cord Toolbox counts them.

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
    axis, direction = superior_axis(affine)
    index = apply_affine(np.linalg.inv(affine), points)[:, axis]
    index = np.sort(index if direction > 0 else shape[axis] - 1 - index)
    # A point on the face between two slices belongs to the slice that it bounds, in spite of rounding.
    lowest, highest = int(np.ceil(index[0] - 1e-3)), int(np.floor(index[1] + 1e-3))
    if lowest > highest:  # both points within one slice
        lowest = highest = int(np.rint(index.mean()))
    limit = shape[axis] - 1
    return int(np.clip(lowest, 0, limit)), int(np.clip(highest, 0, limit))


def voxel_length(affine: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Length of a voxel in mm along unit vectors: the root sum of squares of its edges' components.

    It is the edge length along an edge, and the same in every direction for a cube.

    Parameters
    ----------
    affine : numpy.ndarray, shape (4, 4)
    directions : numpy.ndarray, shape (..., 3)
        Unit vectors in RAS+.

    Returns
    -------
    numpy.ndarray, shape (...)
    """
    return np.linalg.norm(np.asarray(directions) @ affine[:3, :3], axis=-1)


def labelled_voxels(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Indices and whole-number values of the non-zero voxels of a label map.

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
    ijk = np.argwhere(volume.data)
    if not len(ijk):
        raise LabelError(f"{volume.name} is empty: it has no voxel other than 0")
    values = volume.data[tuple(ijk.T)]
    rounded = np.rint(values)
    off = np.abs(values - rounded) > 1e-3
    if off.any():
        raise LabelError(
            f"{volume.name} holds {values[off][0]:g}, which is no label; labels are whole numbers "
            "(resample label maps with nearest-neighbour interpolation)"
        )
    return ijk, rounded.astype(int)


def binary_mask(volume: Volume) -> tuple[np.ndarray, list[str]]:
    """A mask as booleans, with a note of what was done to a volume that is not binary.

    Soft masks, with values between 0 and 1, are cut at 0.5; of label maps every non-zero voxel counts.

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
    """Values of a volume at points.

    Parameters
    ----------
    data : numpy.ndarray, shape (I, J, K)
    affine : numpy.ndarray, shape (4, 4)
        Voxel indices to RAS+ mm.
    points : numpy.ndarray, shape (..., 3)
        RAS+ mm.
    order : int
        0 for labels, 1 for intensities.

    Returns
    -------
    numpy.ndarray of float32, shape (...)
        0 beyond the volume.
    """
    index = np.moveaxis(apply_affine(np.linalg.inv(affine), points), -1, 0)
    data = data.astype(np.uint8) if data.dtype == bool else data
    return ndimage.map_coordinates(data, index, order=order, mode="constant", cval=0, output=np.float32)


#: What names of folders begin with in which outputs wait until all are there.
STAGE_PREFIX = ".sct_rootlets-"


def files_below(folder: str | os.PathLike[str]) -> list[Path]:
    """Files in a folder and its subfolders, sorted, also while another process writes there.

    Hidden folders are left out: outputs wait there (`staged_outputs`) until all are there. What vanishes meanwhile,
    or cannot be read, is left out too.

    Parameters
    ----------
    folder : path

    Returns
    -------
    list of Path
    """
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [path for path in (Path(parent, name) for name in names) if path.is_file()]
    return sorted(found)


@contextlib.contextmanager
def staged_outputs(folder: str | os.PathLike[str], keep: Iterable[Path] = ()) -> Iterator[Path]:
    """Write several files so that all of them appear, whole, or none does.

    Yields a temporary folder inside ``folder``. When the block ends well, every file in it is moved into
    ``folder``, over a file of the same name; when anything fails, nothing is left behind and what was there before
    is there again.

    Parameters
    ----------
    folder : path
    keep : iterable of Path
        Files that must not be replaced: the inputs.

    Raises
    ------
    ImageError
        If the folder cannot be made or written to, the disk is full, or a file would replace one of ``keep``.
    """
    folder = Path(folder)
    created = [path for path in (folder, *folder.parents) if not os.path.exists(path)]  # noqa: PTH110 (never raises)
    stage = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=STAGE_PREFIX, dir=folder))
        yield stage
        _move_in(sorted(stage.iterdir()), folder, stage, keep)
        shutil.rmtree(stage)
    except BaseException as error:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
        for path in created:
            with contextlib.suppress(OSError):
                path.rmdir()
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise ImageError(f"cannot write to {folder}: {reason}; nothing was changed there") from error
        raise


def _move_in(paths: list[Path], folder: Path, stage: Path, keep: Iterable[Path]) -> None:
    """Move files into a folder; if one cannot be moved, put back those that were replaced."""
    targets = [folder / path.name for path in paths]
    for target in targets:
        if target.is_dir():
            raise ImageError(f"{target} is a folder where a file is to be written; move it away")
        if target.exists() and any(path.exists() and target.samefile(path) for path in keep):
            raise ImageError(f"{target} is an input and would be replaced; choose another output folder")
    before = stage / "before"
    before.mkdir()
    old = [target for target in targets if target.exists()]
    for target in old:
        shutil.copy2(target, before / target.name)
    try:
        for path, target in zip(paths, targets, strict=True):
            path.replace(target)
    except BaseException:
        for target in targets:
            if target in old:
                (before / target.name).replace(target)
            else:
                target.unlink(missing_ok=True)
        raise


def save_labels(path: str | os.PathLike[str], labels: np.ndarray, like: Volume) -> None:
    """Write a label map of values 0 to 255 as ``.nii.gz``; same input, same bytes.

    Parameters
    ----------
    path : path
    labels : numpy.ndarray, shape (I, J, K)
    like : Volume
        Gives the affine and the header's spatial codes.
    """
    save_volume(path, np.asarray(labels, dtype=np.uint8), like.affine, like.header)


def save_volume(path: str | os.PathLike[str], data: np.ndarray, affine: np.ndarray, header: Any = None) -> None:
    """Write an array as ``.nii.gz`` in its own data type; same input, same bytes.

    Parameters
    ----------
    path : path
    data : numpy.ndarray, shape (I, J, K)
    affine : numpy.ndarray, shape (4, 4)
    header : nibabel.Nifti1Header, optional
        Its sform and qform codes and units are kept.
    """
    image = nib.Nifti1Image(data, affine, dtype=data.dtype)
    _like(image.header, affine, header)
    buffer = io.BytesIO()
    with _gzip(buffer, 6) as stream:
        stream.write(image.to_bytes())
    Path(path).write_bytes(buffer.getvalue())


def save_series(
    path: str | os.PathLike[str], volumes: Iterable[np.ndarray], length: int, affine: np.ndarray, header: Any, time: Any
) -> None:
    """Write volumes one after another as a 4D ``.nii.gz``; same input, same bytes.

    Parameters
    ----------
    path : path
    volumes : iterable of numpy.ndarray, shape (I, J, K) each
        Of one data type; no more than one is held at a time.
    length : int
        How many there are.
    affine : numpy.ndarray, shape (4, 4)
    header : nibabel.Nifti1Header or None
        Its sform and qform codes and units are kept.
    time : nibabel.Nifti1Header or None
        The time between volumes, its unit, and where it begins are kept.
    """
    with Path(path).open("wb") as file, _gzip(file, 1) as stream:
        for number, data in enumerate(volumes):
            if number == 0:
                empty = np.broadcast_to(np.zeros(1, dtype=data.dtype), (*data.shape, length))
                image = nib.Nifti1Image(empty, affine, dtype=data.dtype)
                _like(image.header, affine, header)
                if time is not None and len(time.get_zooms()) > 3:
                    image.header.set_zooms((*image.header.get_zooms()[:3], time.get_zooms()[3]))
                    image.header.set_xyzt_units(image.header.get_xyzt_units()[0], time.get_xyzt_units()[1])
                    image.header["toffset"] = time["toffset"]
                image.header["magic"], image.header["vox_offset"] = b"n+1", 352
                stream.write(image.header.binaryblock + bytes(4))  # no extensions
            for layer in range(data.shape[2]):
                stream.write(data[:, :, layer].tobytes(order="F"))


def _like(header: Any, affine: np.ndarray, model: Any) -> None:
    """Give a header the codes and units of another one, and no scale."""
    if model is not None and (model["sform_code"] or model["qform_code"]):
        header.set_sform(affine, int(model["sform_code"]))
        header.set_qform(affine, int(model["qform_code"]))
        header.set_xyzt_units(*model.get_xyzt_units())
    header["scl_slope"], header["scl_inter"] = 1, 0


def _gzip(file: Any, level: int) -> gzip.GzipFile:
    """No file name and no time in the gzip header: they would make every run's file differ."""
    return gzip.GzipFile(filename="", mode="wb", compresslevel=level, fileobj=file, mtime=0)
