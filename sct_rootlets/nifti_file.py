"""Files that should be NIfTI: opening them, and one sentence with a remedy for each way in which they are not."""

from __future__ import annotations

import contextlib
import errno
import gzip
import logging
import math
import os
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from sct_rootlets.bids import MAX_NAME_BYTES, is_utf8, printable
from sct_rootlets.errors import ImageError

#: Deflate compresses no further than this: more values than so many times its size a compressed file cannot hold.
MAX_COMPRESSION_RATIO = 1032
#: Letters of the first line of a table that a message shows.
MAX_SHOWN_LETTERS = 40
#: Endings of files of text.
_TEXT_ENDINGS = (".csv", ".tsv", ".json", ".txt", ".md")
#: Number of bytes at the beginning of a file that are looked at.
_HEAD_BYTES = 1024
_GZIP_MAGIC = b"\x1f\x8b"
#: Size of the header of NIfTI 1 and 2, by which a file begins.
_HEADER_SIZES = {np.array(size, f"{order}i4").tobytes() for size in (348, 540) for order in "<>"}
#: Signs of other kinds of files: place in the file, bytes, what the file is and what to do.
_SIGNATURES = (
    (128, b"DICM", "is a DICOM file; convert the series with dcm2niix"),
    (0, b"PK\x03\x04", "is a zip archive; unpack it, and give the NIfTI file in it"),
    (0, b"BZh", "is compressed with bzip2; unpack it (bunzip2)"),
    (0, b"\x28\xb5\x2f\xfd", "is compressed with zstd; unpack it (unzstd)"),
    (0, b"\xfd7zXZ", "is compressed with xz; unpack it (unxz)"),
    (0, b"\x89HDF", "is an HDF5 file (MINC, MATLAB?); convert it to .nii.gz"),
    (0, b"\x89PNG", "is a picture; give a NIfTI file (.nii or .nii.gz)"),
)


def open_nifti(path: Path, keep_open: bool = False) -> Any:
    """Open a NIfTI file without reading its values.

    Parameters
    ----------
    path : Path
    keep_open : bool
        Keep the file open, so that successive parts of a compressed file are read without starting from its
        beginning.

    Returns
    -------
    nibabel.Nifti1Pair
        Its values are read later. The file is large enough for the values that its header claims, as far as can be
        told without unpacking it (see `check_unpacked`).

    Raises
    ------
    ImageError
        If the file is missing, a folder, a pipe or a device, cannot be read, or is not NIfTI. The message says what
        it is instead, and what to do.
    """
    check_readable(path)
    if path.suffix.lower() == ".img":
        check_readable(path.with_suffix(".hdr" if path.suffix.islower() else ".HDR"))
    try:
        with quiet():
            image: Any = nib.load(path)
            if keep_open and isinstance(image, nib.Nifti1Pair):
                image = type(image).from_filename(path, keep_file_open=True)
    except OSError as error:
        raise ImageError(_system_error(path, error)) from error
    except Exception as error:  # a damaged header can fail in any way
        raise ImageError(
            f"{path} is not a NIfTI file, or its header is damaged; give .nii or .nii.gz, or create it again"
        ) from error
    if not isinstance(image, nib.Nifti1Pair):  # the base of NIfTI 1 and 2, in one file or two
        raise ImageError(f"{path} is not a NIfTI file; convert it to .nii.gz first")
    data_file = Path(str(image.file_map["image"].filename))
    if data_file != path:
        check_readable(data_file)
    _check_claim(path, data_file, image)
    return image


def check_readable(path: Path) -> None:
    """Check that a path is a file with something in it that can be NIfTI.

    Raises
    ------
    ImageError
    """
    if not is_utf8(str(path)):
        raise ImageError(f"the name of {printable(path)} is not UTF-8 text; rename the file or its folder (convmv)")
    try:
        mode = path.stat()
        if stat.S_ISDIR(mode.st_mode):
            raise ImageError(f"{path} is a folder; give a NIfTI file (.nii or .nii.gz)")
        if not stat.S_ISREG(mode.st_mode):
            raise ImageError(f"{path} is a pipe or a device, not a file; save what comes from it to a file first")
        if not mode.st_size:
            raise ImageError(f"{path} is empty (0 bytes); copy, download or create it again")
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise ImageError(_system_error(path, error)) from error
    except ValueError as error:  # a null byte
        raise ImageError(f"{str(path)!r} is not a valid file name; check the path") from error
    reason = _foreign(path, head)
    if reason:
        raise ImageError(f"{path} {reason}")


def _system_error(path: Path, error: OSError) -> str:
    """Say why the system does not open a file, and what to do."""
    if error.errno == errno.ENAMETOOLONG:
        return f"the name {path.name[:40]}… is longer than {MAX_NAME_BYTES} bytes; give a shorter name"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{path} cannot be opened: too many files are open; close programs, or raise the limit (ulimit -n)"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{path} cannot be read: permission denied; ask its owner, or change its mode (chmod u+r)"
    if error.errno == errno.ELOOP:
        return f"{path} is a link that leads to itself; replace it by the file"
    if error.errno in (None, errno.ENOENT, errno.ENOTDIR):
        with contextlib.suppress(OSError):
            target = str(path.readlink())
            if "annex/objects" in target.replace("\\", "/"):
                return f"{path} {_annex(path)}"
            return f"{path} is a link to {target}, which does not exist; copy the file there, or mend the link"
        if path.exists():
            return f"{path} is one file of a pair, and the other one does not exist (.hdr and .img); copy both"
        return f"{path} does not exist; check the path"
    return f"{path} cannot be read: {error.strerror}"


def _annex(path: Path) -> str:
    return f"is a git-annex pointer, and its content is not on this machine; run: git annex get {path}"


def _foreign(path: Path, head: bytes) -> str:
    """Tell by the first bytes what a file is, if it is not what its name says; empty otherwise."""
    name, text = path.name.lower(), head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith((b"/annex/objects/", b"../")) and b"annex/objects/" in text:
        return _annex(path)
    if text.startswith(b"version https://git-lfs.github.com/"):
        return f"is a git-LFS pointer, and its content is not on this machine; run: git lfs pull --include {path}"
    if text[:15].lower().startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return "is a web page, and no image; download the image itself (log in first?)"
    for place, sign, reason in _SIGNATURES:
        if head[place : place + len(sign)] == sign:
            return reason
    if name.endswith(_TEXT_ENDINGS) and b"\0" not in head:
        return _text(path, head.decode("utf-8", "replace"))
    compressed = head.startswith(_GZIP_MAGIC)
    if name.endswith(".gz") and not compressed:
        if head[:4] in _HEADER_SIZES:
            return "is not compressed, although its name ends in .gz; rename it to .nii, or compress it (gzip)"
        return "is not a NIfTI file, nor compressed, although its name ends in .gz; create or download it again"
    if compressed and not name.endswith(".gz"):
        return "is compressed, although its name does not end in .gz; rename it to .nii.gz"
    return ""


def _text(path: Path, head: str) -> str:
    """Say what a file of text is, and which file to give instead."""
    if not path.name.lower().endswith((".csv", ".tsv")):
        return "is text, and no image; give a NIfTI file (.nii or .nii.gz)"
    first = head.strip().splitlines()[0] if head.strip() else ""
    try:
        is_centerline = len([float(cell) for cell in first.split(",")]) == 3
    except ValueError:
        is_centerline = False
    if is_centerline:
        return (
            "is a table of positions, as sct_get_centerline writes beside the image of the centerline; give that image "
            f"({path.stem}.nii.gz)"
        )
    shown = first if len(first) <= MAX_SHOWN_LETTERS else f"{first[:MAX_SHOWN_LETTERS]}…"
    return f"is a table (it begins with {shown!r}), and no image; give a NIfTI file (.nii or .nii.gz)"


def _check_claim(path: Path, data_file: Path, image: Any) -> None:
    """Check that a file can hold the values that its header claims, before memory is taken for them."""
    shape = image.header["dim"][1 : 1 + int(image.header["dim"][0])].tolist()
    if min(shape, default=0) < 1:
        stated = "×".join(map(str, shape)) or "none"
        raise ImageError(f"{path} has a negative or empty dimension in its header ({stated}); create it again")
    needed = claimed_bytes(image)
    size = data_file.stat().st_size
    compressed = data_file.suffix.lower() == ".gz"
    if needed > size * (MAX_COMPRESSION_RATIO if compressed else 1):
        raise ImageError(too_small(path, image, f"{size} bytes{', compressed' if compressed else ''}"))
    with contextlib.suppress(AttributeError, ValueError, OSError):  # not every system tells
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        single = needed / math.prod(shape[3:])  # volumes are read one at a time
        if single > memory:
            raise ImageError(
                f"{path} holds {single / 1e9:.1f} GB, more than this machine's memory ({memory / 1e9:.1f} GB); crop it"
            )


def check_unpacked(path: Path, image: Any) -> None:
    """Read a compressed file to its end, where its checksum is (NIfTI readers stop before it), and count its bytes.

    Parameters
    ----------
    path : Path
    image : nibabel.Nifti1Pair
        The image that was opened from it.

    Raises
    ------
    ImageError
        If it holds fewer values than its header claims.
    OSError, EOFError, zlib.error
        If it is damaged.
    """
    n_bytes = 0
    with gzip.open(image.file_map["image"].filename) as stream:
        while part := stream.read(1 << 20):
            n_bytes += len(part)
    if n_bytes < claimed_bytes(image):
        raise ImageError(too_small(path, image, f"{n_bytes} bytes, unpacked"))


def claimed_bytes(image: Any) -> int:
    """Return the size that the file of an image's values must have (unpacked), by its header."""
    shape = [int(n) for n in image.shape]
    values = math.prod(shape) * image.header.get_data_dtype().itemsize
    return values + max(0, int(image.dataobj.offset))


def too_small(path: Path, image: Any, holds: str) -> str:
    """Say that a file is smaller than its header claims."""
    shape = "×".join(str(n) for n in image.shape)
    return (
        f"{path} is truncated or damaged: its header claims {shape} values of type {image.header.get_data_dtype()}, "
        f"and the file holds {holds}; copy or create it again"
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep nibabel's log lines and numpy's warnings about damaged headers off standard error."""
    logger = logging.getLogger("nibabel.global")
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before
