"""NIfTI files: how they are read as volumes, and written from arrays so that the same input gives the same bytes."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine
from nibabel.spatialimages import HeaderDataError

from sct_rootlets.errors import ImageError
from sct_rootlets.image import GRID_TOLERANCE_MM, Volume, VolumeLike, check_volume


def load_volume(source: VolumeLike) -> Volume:
    """Read a 3D volume and check that it is one.

    Parameters
    ----------
    source : path, nibabel image, (array, affine) or Volume
        A 4D file that holds a single volume is taken as 3D.

    Raises
    ------
    ImageError
        If the file is missing, a folder, not NIfTI or truncated, not a single 3D volume, or has an invalid affine.
    """
    if isinstance(source, Volume):
        return source
    if isinstance(source, tuple):
        data, affine = source
        return check_volume(Volume(np.asarray(data), np.asarray(affine, dtype=float)))
    if isinstance(source, (str, os.PathLike)):
        return _load_file(Path(source))
    header = source.header if isinstance(source, nib.Nifti1Pair) else None
    return check_volume(Volume(np.asanyarray(source.dataobj), source.affine, "image", header))


def look_at_header(source: VolumeLike) -> Volume:
    """Read all of a 3D volume but its values, which are zeros in the result; for checks that take no time.

    Parameters and errors are those of `load_volume`, except that damaged values are not noticed.
    """
    if not isinstance(source, (str, os.PathLike)):
        return load_volume(source)
    image = _open(Path(source))
    empty = np.broadcast_to(np.zeros(1, dtype=image.get_data_dtype()), image.shape)
    return check_volume(Volume(empty, image.affine, Path(source).name, image.header, Path(source)))


@dataclass(frozen=True, kw_only=True)
class Series:
    """Volumes on one grid, such as those of fMRI, read one at a time.

    Attributes
    ----------
    shape : (int, int, int)
        Shape of each volume.
    affine : numpy.ndarray, shape (4, 4)
    name : str
    header : nibabel.Nifti1Header, optional
    path : pathlib.Path, optional
    length : int or None
        Number of volumes; None for a single volume without a fourth dimension.
    stored : array-like
        Values, in three or four dimensions or more of length 1; read when they are indexed.
    """

    shape: tuple[int, ...]
    affine: np.ndarray
    name: str
    header: Any
    path: Path | None
    length: int | None
    stored: Any

    def volumes(self) -> Iterator[np.ndarray]:
        """Read the volumes, in order.

        Yields
        ------
        numpy.ndarray, shape (I, J, K)

        Raises
        ------
        ImageError
            If the file is truncated or damaged.
        """
        if self.length is None:
            yield load_volume(self.path or (np.asanyarray(self.stored), self.affine)).data
            return
        if self.path is not None and self.path.suffix.lower() == ".gz":
            with _named_damage(self.path):
                _check_gzip(self.path)
        trailing = (0,) * (len(self.stored.shape) - 4)  # axes of length 1
        for index in range(self.length):
            with _named_damage(self.path or self.name):
                data = _read_part(self.stored, (slice(None), slice(None), slice(None), index, *trailing))
            data = data.reshape(self.shape)
            yield check_volume(Volume(data, self.affine, self.name)).data


def load_series(source: VolumeLike) -> Series:
    """Open a 3D or 4D image, whose volumes are read later, one at a time.

    Parameters
    ----------
    source : path, nibabel image, (array, affine) or Volume

    Raises
    ------
    ImageError
        As `load_volume`; or if the image has more than four dimensions.
    """
    path, header = None, None
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        image = _open(path, keep_open=True)
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
    empty = np.broadcast_to(np.zeros(1, dtype=stored.dtype), shape[:3])  # to check all but the values
    affine = check_volume(Volume(empty, np.asarray(affine), name)).affine
    return Series(shape=shape[:3], affine=affine, name=name, header=header, path=path, length=length, stored=stored)


def _open(path: Path, keep_open: bool = False) -> Any:
    """Open a NIfTI file without reading its values.

    If the file is kept open, successive parts of a compressed file are read without starting from its beginning.
    """
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder; give a NIfTI file (.nii or .nii.gz)")
        if not path.exists():
            raise ImageError(f"{path} does not exist; check the path")
        image: Any = nib.load(path)
        if keep_open and isinstance(image, nib.Nifti1Pair):
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
def _named_damage(path: Path | str) -> Iterator[None]:
    """Turn whatever a damaged file raises while it is read into an `ImageError` that names it."""
    try:
        yield
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ImageError(f"{path} is truncated or damaged; copy or create it again") from error


def _read_part(stored: Any, index: Any) -> np.ndarray:
    """Read a part of the stored values in their own data type; scaled integers become single precision."""
    values = np.asanyarray(stored[index])
    scaled = (getattr(stored, "slope", 1), getattr(stored, "inter", 0)) != (1, 0)
    return values.astype(np.float32) if scaled else values


def _load_file(path: Path) -> Volume:
    image = _open(path)
    with _named_damage(path):
        if path.suffix.lower() == ".gz":
            _check_gzip(path)
        stored: Any = image.dataobj
        scaled = (stored.slope, stored.inter) != (1, 0)
        # Scaled directly to single precision: double precision, as in `_read_part`, needs twice the memory.
        data = np.asanyarray(stored, dtype=np.float32) if scaled else np.asanyarray(stored)
    return check_volume(Volume(data, image.affine, path.name, image.header, path))


def _check_gzip(path: Path) -> None:
    """Read a compressed file to its end, where its checksum is: NIfTI readers stop before it."""
    with gzip.open(path) as stream:
        while stream.read(1 << 20):
            pass


def save_labels(path: str | os.PathLike[str], labels: np.ndarray, like: Volume) -> None:
    """Write a label map of values 0 to 255 as ``.nii.gz``; same input, same bytes.

    Parameters
    ----------
    path : path
    labels : numpy.ndarray, shape (I, J, K)
    like : Volume
        Source of the affine and of the header's spatial codes.
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
        Source of the sform and qform codes and of the units.
    """
    image = nib.Nifti1Image(data, affine, dtype=data.dtype)
    _copy_spatial_codes(header, image.header, affine)
    buffer = io.BytesIO()
    with _gzip_writer(buffer, 6) as stream:
        stream.write(image.to_bytes())
    Path(path).write_bytes(buffer.getvalue())


def save_series(
    path: str | os.PathLike[str],
    volumes: Iterable[np.ndarray],
    length: int,
    affine: np.ndarray,
    header: Any,
    time_header: Any,
) -> None:
    """Write volumes one after another as a 4D ``.nii.gz``; same input, same bytes.

    Parameters
    ----------
    path : path
    volumes : iterable of numpy.ndarray, shape (I, J, K) each
        All of one data type; no more than one is held in memory at a time.
    length : int
        Number of volumes.
    affine : numpy.ndarray, shape (4, 4)
    header : nibabel.Nifti1Header or None
        Source of the sform and qform codes and of the unit of length.
    time_header : nibabel.Nifti1Header or None
        Source of the time between volumes, its unit, and its offset.
    """
    with Path(path).open("wb") as file, _gzip_writer(file, 1) as stream:
        for number, data in enumerate(volumes):
            if number == 0:
                empty = np.broadcast_to(np.zeros(1, dtype=data.dtype), (*data.shape, length))
                image = nib.Nifti1Image(empty, affine, dtype=data.dtype)
                _copy_spatial_codes(header, image.header, affine)
                if time_header is not None and len(time_header.get_zooms()) > 3:
                    image.header.set_zooms((*image.header.get_zooms()[:3], time_header.get_zooms()[3]))
                    image.header.set_xyzt_units(image.header.get_xyzt_units()[0], time_header.get_xyzt_units()[1])
                    image.header["toffset"] = time_header["toffset"]
                image.header["magic"], image.header["vox_offset"] = b"n+1", 352
                stream.write(image.header.binaryblock + bytes(4))  # no extensions
            for layer in range(data.shape[2]):
                stream.write(data[:, :, layer].tobytes(order="F"))


def _copy_spatial_codes(source: Any, target: Any, affine: np.ndarray) -> None:
    """Copy the sform and qform codes and the units of a header to another one, which gets no scale."""
    if source is not None and (source["sform_code"] or source["qform_code"]):
        target.set_sform(affine, int(source["sform_code"]))
        target.set_qform(affine, int(source["qform_code"]))
        target.set_xyzt_units(*source.get_xyzt_units())
    target["scl_slope"], target["scl_inter"] = 1, 0


def _gzip_writer(file: Any, level: int) -> gzip.GzipFile:
    """Compress into a file, without name and time in the gzip header, which would differ from run to run."""
    return gzip.GzipFile(filename="", mode="wb", compresslevel=level, fileobj=file, mtime=0)


def header_notes(volume: Volume | Series) -> list[str]:
    """Report whether sform and qform of a header place its image differently: other programs may use the other one.

    Parameters
    ----------
    volume : Volume or Series

    Returns
    -------
    list of str
        Empty if the two agree, or the header has only one of them.
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


def save_field(path: str | os.PathLike[str], field: np.ndarray, affine: np.ndarray) -> None:
    """Write a displacement field as ITK reads it: five dimensions, intent vector, LPS mm; same input, same bytes.

    Parameters
    ----------
    path : path
        Ending in ``.nii.gz``.
    field : numpy.ndarray, shape (I, J, K, 3)
        RAS+ mm.
    affine : numpy.ndarray, shape (4, 4)
        Affine of the grid of the field.
    """
    data = field[:, :, :, None, :] * np.array([-1, -1, 1], dtype=np.float32)
    image = nib.Nifti1Image(data, affine)
    image.header.set_intent("vector")
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    with Path(path).open("wb") as file, _gzip_writer(file, 1) as stream:
        image.to_stream(stream)


def load_field(path: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    """Read a displacement field as `save_field`, ANTs and SCT write it.

    Parameters
    ----------
    path : path

    Returns
    -------
    field : numpy.ndarray of float32, shape (I, J, K, 3)
        RAS+ mm.
    affine : numpy.ndarray, shape (4, 4)
    """
    image: Any = nib.load(path)
    data = np.asarray(image.dataobj, dtype=np.float32)[:, :, :, 0, :]
    return data * np.array([-1, -1, 1], dtype=np.float32), image.affine
