"""NIfTI files: how they are read as volumes, and written from arrays so that the same input gives the same bytes."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from sct_rootlets.errors import ImageError
from sct_rootlets.image import GRID_TOLERANCE_MM, Volume, VolumeLike, check_volume
from sct_rootlets.nifti_file import check_unpacked, open_nifti, quiet


def load_volume(source: VolumeLike) -> Volume:
    """Read a 3D volume and check that it is one.

    Parameters
    ----------
    source : path, nibabel image, (array, affine) or Volume
        A 4D file that holds a single volume is taken as 3D.

    Raises
    ------
    ImageError
        If the file is missing, no file, not NIfTI or truncated (`sct_rootlets.nifti_file`), not a single 3D volume, or
        has an invalid affine or absurd voxels (`sct_rootlets.image.check_volume`).
    """
    if isinstance(source, Volume):
        return source
    if isinstance(source, tuple):
        data, affine = source
        return check_volume(Volume(np.asarray(data), np.asarray(affine, dtype=float)))
    if isinstance(source, (str, os.PathLike)):
        return _load_file(Path(source))
    _check_has_affine(source)
    header = source.header if isinstance(source, nib.Nifti1Pair) else None
    affine = _to_millimetres(source.affine, header)
    return check_volume(Volume(np.asanyarray(source.dataobj), affine, "image", header))


def look_at_header(source: VolumeLike) -> Volume:
    """Read all of a 3D volume but its values, which are zeros in the result; for checks that take no time.

    Parameters and errors are those of `load_volume`, except that damaged values are not noticed.
    """
    if not isinstance(source, (str, os.PathLike)):
        return load_volume(source)
    image = open_nifti(Path(source))
    empty = np.broadcast_to(np.zeros(1, dtype=image.get_data_dtype()), image.shape)
    affine = _to_millimetres(image.affine, image.header)
    return check_volume(Volume(empty, affine, Path(source).name, image.header, Path(source)))


def _check_has_affine(source: object) -> None:
    """Raise an `ImageError` if what is given as an image is none, such as an array alone."""
    if not (hasattr(source, "affine") and hasattr(source, "dataobj")):
        raise ImageError(
            f"a volume was given as {type(source).__name__}, which has no affine; give (array, affine), a nibabel "
            "image or a path"
        )


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
    affine: NDArray[Any]
    name: str
    header: Any
    path: Path | None
    length: int | None
    stored: Any

    def volumes(self) -> Iterator[NDArray[Any]]:
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
                check_unpacked(self.path, open_nifti(self.path))
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
        image = open_nifti(path, keep_open=True)
        stored, name, header = image.dataobj, path.name, image.header
        affine = _to_millimetres(image.affine, header)
    elif isinstance(source, Volume):
        stored, affine, name, header, path = source.data, source.affine, source.name, source.header, source.path
    elif isinstance(source, tuple):
        stored, affine, name = np.asarray(source[0]), np.asarray(source[1], dtype=float), "array"
    else:
        _check_has_affine(source)
        stored, name = source.dataobj, "image"
        header = source.header if isinstance(source, nib.Nifti1Pair) else None
        affine = _to_millimetres(source.affine, header)
    shape = tuple(stored.shape)
    if len(shape) > 4 and np.prod(shape[4:]) > 1:
        raise ImageError(f"{name} has {len(shape)} dimensions (a warp, or vectors?); give 3D or 4D images")
    length = shape[3] if len(shape) > 3 and shape[3] > 1 else None
    empty = np.broadcast_to(np.zeros(1, dtype=stored.dtype), shape[:3])  # to check all but the values
    affine = check_volume(Volume(empty, np.asarray(affine), name)).affine
    return Series(shape=shape[:3], affine=affine, name=name, header=header, path=path, length=length, stored=stored)


@contextlib.contextmanager
def _named_damage(path: Path | str) -> Iterator[None]:
    """Turn whatever a damaged file raises while it is read into an `ImageError` that names it."""
    try:
        yield
    except MemoryError:
        raise
    except (OSError, EOFError, zlib.error, ValueError, OverflowError) as error:
        raise ImageError(f"{path} is truncated or damaged; copy or create it again") from error


def _read_part(stored: Any, index: Any) -> NDArray[Any]:
    """Read a part of the stored values in their own data type; scaled integers become single precision."""
    values: NDArray[Any] = np.asanyarray(stored[index])
    scaled = (getattr(stored, "slope", 1), getattr(stored, "inter", 0)) != (1, 0)
    return values.astype(np.float32) if scaled else values


def _load_file(path: Path) -> Volume:
    image = open_nifti(path)
    with _named_damage(path), quiet():
        if path.suffix.lower() == ".gz":
            check_unpacked(path, image)
        affine = _to_millimetres(image.affine, image.header)
        empty = np.broadcast_to(np.zeros(1, dtype=image.get_data_dtype()), image.shape)
        check_volume(Volume(empty, affine, path.name))  # before the values take time and memory
        stored: Any = image.dataobj
        scaled = (stored.slope, stored.inter) != (1, 0)
        # Scaled directly to single precision: double precision, as in `_read_part`, needs twice the memory.
        data = np.asanyarray(stored, dtype=np.float32) if scaled else np.asanyarray(stored)
    return check_volume(Volume(data, affine, path.name, image.header, path))


def save_labels(path: str | os.PathLike[str], labels: NDArray[Any], like: Volume) -> None:
    """Write a label map of values 0 to 255 as ``.nii.gz``; same input, same bytes.

    Parameters
    ----------
    path : path
    labels : numpy.ndarray, shape (I, J, K)
    like : Volume
        Source of the affine and of the header's spatial codes.
    """
    save_volume(path, np.asarray(labels, dtype=np.uint8), like.affine, like.header)


def save_volume(path: str | os.PathLike[str], data: NDArray[Any], affine: NDArray[Any], header: Any = None) -> None:
    """Write an array as ``.nii.gz`` in its own data type; same input, same bytes.

    Parameters
    ----------
    path : path
    data : numpy.ndarray, shape (I, J, K)
    affine : numpy.ndarray, shape (4, 4)
    header : nibabel.Nifti1Header, optional
        Source of the sform and qform codes and of the units.
    """
    # In the order of the file: nibabel brings slice after slice into it, which is slower.
    image = _placed_image(np.asfortranarray(data), affine, header)
    buffer = io.BytesIO()
    with _gzip_writer(buffer, 6) as stream:
        stream.write(image.to_bytes())
    Path(path).write_bytes(buffer.getvalue())


def save_series(
    path: str | os.PathLike[str],
    volumes: Iterable[NDArray[Any]],
    length: int,
    affine: NDArray[Any],
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
                image = _placed_image(empty, affine, header)
                if time_header is not None and len(time_header.get_zooms()) > 3:
                    image.header["pixdim"][4] = time_header.get_zooms()[3]
                    units = int(image.header["xyzt_units"]) & _LENGTH_BITS
                    image.header["xyzt_units"] = units | int(time_header["xyzt_units"]) & _TIME_BITS
                    image.header["toffset"] = time_header["toffset"]
                image.header["magic"], image.header["vox_offset"] = b"n+1", 352
                stream.write(image.header.binaryblock + bytes(4))  # no extensions
            for layer in range(data.shape[2]):
                stream.write(data[:, :, layer].tobytes(order="F"))


def _placed_image(data: NDArray[Any], affine: NDArray[Any], header: Any) -> Any:
    """Make an image of an array that lies where a header says; see `_copy_placement`."""
    image = nib.Nifti1Image(data, affine, dtype=data.dtype)
    placed = nib.Nifti1Image(data, None, image.header, dtype=data.dtype)  # without an affine, headers stay as they are
    _copy_placement(header, placed, affine)
    return placed


#: Fields of a header that place an image in the world.
_PLACEMENT_FIELDS = (
    "sform_code", "srow_x", "srow_y", "srow_z",
    "qform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z",
)  # fmt: skip


def _copy_placement(source: Any, image: Any, affine: NDArray[Any]) -> None:
    """Give a new image the sform, the qform, their codes and the units of a header as they are; it gets no scale.

    A header that places its image elsewhere than `affine` is of another grid: only its codes are taken.
    """
    target = image.header
    target["scl_slope"], target["scl_inter"] = 1, 0
    if source is None:
        return
    if not _places(source, affine):
        if source["sform_code"] or source["qform_code"]:
            target.set_sform(affine, int(source["sform_code"]))
            target.set_qform(affine, int(source["qform_code"]))
            target.set_xyzt_units("mm")
        return
    for name in _PLACEMENT_FIELDS:
        target[name] = source[name]
    target["pixdim"][:4] = source["pixdim"][:4]
    target["xyzt_units"] = int(source["xyzt_units"]) & _LENGTH_BITS | int(target["xyzt_units"]) & _TIME_BITS


def _places(header: Any, affine: NDArray[Any]) -> bool:
    """Whether a header places its image where an affine in mm does, to the precision of its fields."""
    try:
        with quiet():
            placed = _to_millimetres(header.get_best_affine(), header)
    except (ValueError, HeaderDataError):
        return False
    return np.allclose(placed, affine, rtol=1e-5, atol=1e-3)


def _gzip_writer(file: Any, level: int) -> gzip.GzipFile:
    """Compress into a file, without name and time in the gzip header, which would differ from run to run."""
    return gzip.GzipFile(filename="", mode="wb", compresslevel=level, fileobj=file, mtime=0)


def lacks_orientation(volume: Volume | Series) -> bool:
    """Whether a header does not tell the orientation (sform and qform codes are 0): left and right are guessed."""
    header = volume.header
    return header is not None and not (header["sform_code"] or header["qform_code"])


def check_sides(volumes: Iterable[Volume | Series], what: str) -> None:
    """Refuse what depends on left and right where a header does not tell them.

    Parameters
    ----------
    volumes : iterable of Volume or Series
    what : str
        What depends on left and right, for the message.

    Raises
    ------
    ImageError
    """
    for volume in volumes:
        if lacks_orientation(volume):
            raise ImageError(
                f"{volume.name} does not say how it is oriented (sform and qform codes are 0), and {what} by left and "
                "right; set the codes, if you know that its affine is right (nibabel: set_sform(affine, code=1)), or "
                "convert the scan again (dcm2niix)"
            )


def header_notes(*volumes: Volume | Series) -> list[str]:
    """Report what in the headers of volumes makes their positions doubtful: one line each kind of doubt.

    Parameters
    ----------
    *volumes : Volume or Series
        Volumes of one header, such as an image and a map made from it, are reported once.

    Returns
    -------
    list of str
        Empty if each header places its volume in one way, says how it is oriented, and is in mm.
    """
    headers = {id(volume.header): volume for volume in reversed(volumes) if volume.header is not None}
    names: dict[str, list[str]] = {}
    for volume in reversed(headers.values()):
        for note in _header_doubts(volume):
            names.setdefault(note, []).append(volume.name)
    return [f"{', '.join(dict.fromkeys(named))}{note}" for note, named in names.items()]


def _header_doubts(volume: Volume | Series) -> Iterator[str]:
    """Say what is doubtful about a header; each text follows the name of the volume."""
    header = volume.header
    if lacks_orientation(volume):
        yield (
            " does not say how it is oriented (sform and qform codes are 0): left, right and the rest are guessed; "
            "check that superior is up in the figure"
        )
    unit = int(header["xyzt_units"]) & _LENGTH_BITS
    if unit in _MM_PER_UNIT and unit in _UNIT_NAMES:
        yield f": its header is in {_UNIT_NAMES[unit]}: converted to mm; SCT and others take the numbers as mm"
    elif unit not in _MM_PER_UNIT:
        yield f": its header gives the unit of length by the unknown code {unit}: taken as mm"
    if not (header["sform_code"] and header["qform_code"]):
        return
    shape = volume.data.shape if isinstance(volume, Volume) else volume.shape
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1).T
    try:
        with quiet():
            placements = [_to_millimetres(affine, header) for affine in (header.get_sform(), header.get_qform())]
            ends = [apply_affine(affine, corners) for affine in placements]
            apart = float(np.linalg.norm(np.subtract(*ends), axis=1).max())
    except (ValueError, HeaderDataError, np.linalg.LinAlgError):
        apart = np.nan
    if not np.isfinite(apart):
        yield ": the qform of its header is not a rotation: the sform is taken; other programs may fail"
    elif apart > GRID_TOLERANCE_MM:
        yield (
            f": sform and qform of its header are up to {apart:.3g} mm apart: the sform is taken; SCT refuses such "
            "images, and others may take the qform (ITK-SNAP, ANTs)"
        )


#: The bits of ``xyzt_units`` that hold the unit of length, and the unit of time.
_LENGTH_BITS, _TIME_BITS = 0x07, 0x38
#: Millimetres in a unit of length, by its code; a header without a unit is in mm.
_MM_CODE = 2
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, _MM_CODE: 1.0, 3: 0.001}
_UNIT_NAMES = {1: "metres", 3: "micrometres"}


def _to_millimetres(affine: NDArray[Any], header: Any) -> NDArray[Any]:
    """Scale an affine from the unit of length of its header to mm; unknown units are taken as mm."""
    unit = 0 if header is None else int(header["xyzt_units"]) & _LENGTH_BITS
    scale = _MM_PER_UNIT.get(unit, 1.0)
    return affine if affine is None or scale == 1 else np.diag([scale, scale, scale, 1.0]) @ affine


def has_millimetres(header: Any) -> bool:
    """Whether the numbers of a header are in mm, as programs take them that ignore its unit of length, such as SCT."""
    unit = 0 if header is None else int(header["xyzt_units"]) & _LENGTH_BITS
    return _MM_PER_UNIT.get(unit, 1.0) == 1


def with_header_in_mm(volume: Volume) -> Volume:
    """Return a volume whose header is in mm, sform and qform both; the same one if it is."""
    if has_millimetres(volume.header):
        return volume
    header = volume.header.copy()
    scale = _MM_PER_UNIT[int(header["xyzt_units"]) & _LENGTH_BITS]
    for name in ("srow_x", "srow_y", "srow_z", "qoffset_x", "qoffset_y", "qoffset_z"):
        header[name] = header[name] * scale
    header["pixdim"][1:4] *= scale
    header["xyzt_units"] = _MM_CODE | int(header["xyzt_units"]) & _TIME_BITS
    return replace(volume, header=header)


def file_in_mm(path: Path, copy: Path) -> Path:
    """Return a file for a program that takes the numbers of its header as mm.

    Parameters
    ----------
    path : Path
    copy : Path
        Where a copy is written, ending in ``.nii.gz``, if the header of the file is in another unit.

    Returns
    -------
    Path
        The file itself, or the copy.

    Raises
    ------
    ImageError
        If the file is not a NIfTI file of one volume.
    """
    if has_millimetres(open_nifti(path).header):
        return path
    volume = with_header_in_mm(load_volume(path))
    save_volume(copy, volume.data, volume.affine, volume.header)
    return copy


def save_field(path: str | os.PathLike[str], field: NDArray[Any], affine: NDArray[Any]) -> None:
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


def load_field(path: str | os.PathLike[str]) -> tuple[NDArray[Any], NDArray[Any]]:
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
