"""NIfTI files, read as volumes and written from arrays; same input, same bytes."""

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
        If the file is missing, a folder, not NIfTI or truncated, not a single 3D volume, or has an affine that
        maps to nowhere.
    """
    if isinstance(source, Volume):
        return source
    if isinstance(source, tuple):
        data, affine = source
        return check_volume(Volume(np.asarray(data), np.asarray(affine, dtype=float)))
    if isinstance(source, (str, os.PathLike)):
        return _read(Path(source))
    header = source.header if isinstance(source, nib.Nifti1Pair) else None
    return check_volume(Volume(np.asanyarray(source.dataobj), source.affine, "image", header))


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
            yield check_volume(Volume(data, self.affine, self.name)).data


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
    affine = check_volume(Volume(empty, np.asarray(affine), name)).affine
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
    return check_volume(Volume(data, image.affine, path.name, image.header, path))


def _check_gzip(path: Path) -> None:
    """Read a file to its end, where its checksum is: NIfTI readers stop before."""
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


def save_field(path: str | os.PathLike[str], field: np.ndarray, affine: np.ndarray) -> None:
    """Write a displacement field as ITK reads it: five dimensions, intent vector, LPS mm; same input, same bytes.

    Parameters
    ----------
    path : path
        Ending in ``.nii.gz``.
    field : numpy.ndarray, shape (I, J, K, 3)
        RAS+ mm.
    affine : numpy.ndarray, shape (4, 4)
        Of its grid.
    """
    data = field[:, :, :, None, :] * np.array([-1, -1, 1], dtype=np.float32)
    image = nib.Nifti1Image(data, affine)
    image.header.set_intent("vector")
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    with (
        Path(path).open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=file, mtime=0) as stream,
    ):
        image.to_stream(stream)


def load_field(path: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    """Read what `save_field` writes, or ANTs and SCT do.

    Returns
    -------
    field : numpy.ndarray of float32, shape (I, J, K, 3)
        RAS+ mm.
    affine : numpy.ndarray, shape (4, 4)
    """
    image: Any = nib.load(path)
    data = np.asarray(image.dataobj, dtype=np.float32)[:, :, :, 0, :]
    return data * np.array([-1, -1, 1], dtype=np.float32), image.affine
