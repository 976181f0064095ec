import errno
import gzip
import os
import struct
import time
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.errors import ImageError
from sct_rootlets.nifti import load_series, load_volume

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])
IMAGE = nib.Nifti1Image(np.arange(1000, dtype=np.int16).reshape(10, 10, 10), AFFINE).to_bytes()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.nii.gz", IMAGE, "is not compressed, although its name ends in .gz; rename it to .nii"),
        (
            "a.nii",
            gzip.compress(IMAGE, mtime=0),
            "is compressed, although its name does not end in .gz; rename it to .nii.gz",
        ),
        ("a.nii.gz", b"/annex/objects/SHA256E-s39--0a.nii.gz\n", "is a git-annex pointer.*git annex get .*a.nii.gz"),
        ("a.nii", b"/annex/objects/SHA256E-s39--0a.nii\n", "is a git-annex pointer"),
        ("a.nii.gz", b"../.git/annex/objects/x/y.nii.gz", "is a git-annex pointer"),
        ("a.nii.gz", b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\n", "is a git-LFS pointer.*lfs pull"),
        ("a.nii.gz", b"", r"is empty \(0 bytes\)"),
        ("a.nii.gz", b"\n<!DOCTYPE html><html>log in</html>", "is a web page"),
        ("a.nii", b"<HTML><body>404</body></HTML>", "is a web page"),
        ("a.nii.gz", b"PK\x03\x04" + bytes(400), "is a zip archive"),
        ("a.nii", bytes(128) + b"DICM" + bytes(400), "is a DICOM file; convert the series with dcm2niix"),
        ("a.nii.gz", b"no image", "is not a NIfTI file, nor compressed"),
        ("a.csv", b"level,name,kind\n3,C3,spinal\n", r"is a table \(it begins with 'level,name,kind'\), and no image"),
        ("a.csv", b"1.0e+01,2.0e+01,3.0e+01\n1,2,4\n", "as sct_get_centerline writes beside the image"),
        ("a.json", b"{}", "is text, and no image"),
        ("a.nii.gz", gzip.compress(b"no image", mtime=0), "is not a NIfTI file, or its header is damaged"),
        ("a.nii", IMAGE[:200], "is not a NIfTI file, or its header is damaged"),
        ("a.nii", IMAGE[:-1], "is truncated or damaged: its header claims 10×10×10 values of type int16"),
        ("a.nii.gz", gzip.compress(IMAGE[:-1], mtime=0), "is truncated or damaged: .* 2351 bytes, unpacked"),
        ("a.nii.gz", gzip.compress(IMAGE, mtime=0)[:-9], "is truncated or damaged"),
    ],
)  # fmt: skip
def test_each_kind_of_wrong_file_has_its_own_sentence(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    for read in (load_volume, lambda path: list(load_series(path).volumes())):
        with pytest.raises(ImageError, match=message) as raised:
            read(tmp_path / name)
        assert "\n" not in str(raised.value)
        assert name in str(raised.value)


def test_links_folders_pipes_and_devices(tmp_path):
    (tmp_path / "annex.nii.gz").symlink_to("../.git/annex/objects/x/y.nii.gz")
    (tmp_path / "dangling.nii.gz").symlink_to("elsewhere.nii.gz")
    (tmp_path / "circle.nii.gz").symlink_to("circle.nii.gz")
    os.mkfifo(tmp_path / "pipe.nii.gz")
    (tmp_path / "device.nii.gz").symlink_to("/dev/zero")
    (tmp_path / "a.img").write_bytes(IMAGE[352:])
    for name, message in (
        ("annex.nii.gz", "is a git-annex pointer"),
        ("dangling.nii.gz", "is a link to elsewhere.nii.gz, which does not exist"),
        ("circle.nii.gz", "is a link that leads to itself"),
        ("pipe.nii.gz", "is a pipe or a device"),
        ("device.nii.gz", "is a pipe or a device"),
        ("missing.nii.gz", "does not exist; check the path"),
        ("a.img", "a.hdr does not exist"),
        ("", "is a folder"),
        ("x" * 300 + ".nii.gz", "is longer than 255 bytes"),
        ("M\udcfcller.nii.gz", "the name of .*M�ller.nii.gz is not UTF-8"),
        ("a\0.nii.gz", "is not a valid file name"),
    ):
        with pytest.raises(ImageError, match=message):
            load_volume(tmp_path / name)


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.EACCES, "permission denied; ask its owner"), (errno.EMFILE, r"too many files are open.*ulimit -n")],
)
def test_files_that_the_system_does_not_open(tmp_path, monkeypatch, number, message):
    (tmp_path / "a.nii").write_bytes(IMAGE)

    def refuse(self, *_arguments, **_settings):
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ImageError, match=message):
        load_volume(tmp_path / "a.nii")


def with_dims(kind, *shape):
    """A file of 0 voxels that claims a shape."""
    header = bytearray(kind.to_bytes()[: 544 if kind.header["sizeof_hdr"] == 540 else 352])
    if kind.header["sizeof_hdr"] == 540:
        struct.pack_into("<8q", header, 16, len(shape), *shape, *[1] * (7 - len(shape)))
    else:
        struct.pack_into("<8h", header, 40, len(shape), *shape, *[1] * (7 - len(shape)))
    return bytes(header)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize(
    ("version", "shape", "message"),
    [
        (1, (10, -3, 10), "negative or empty dimension"),
        (1, (10, 0, 10), "negative or empty dimension"),
        (1, (10, 10, 10, -5), "negative or empty dimension"),
        (1, (30000, 30000, 30000), "truncated or damaged"),
        (1, (1700, 1700, 900), "truncated or damaged"),
        (2, (2**40, 2**40, 2**40), "truncated or damaged"),
        (2, (10, 10, -(2**62)), "negative or empty dimension"),
    ],
)
def test_claims_of_a_header_take_no_memory(tmp_path, name, version, shape, message):
    kind = nib.Nifti2Image if version == 2 else nib.Nifti1Image
    content = with_dims(kind(np.zeros((2, 2, 2), np.int16), AFFINE), *shape) + bytes(50_000)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    tracemalloc.start()
    began = time.monotonic()
    with pytest.raises(ImageError, match=message):
        load_volume(tmp_path / name)
    assert time.monotonic() - began < 1
    assert tracemalloc.get_traced_memory()[1] < 5e7
    tracemalloc.stop()


def test_claims_that_a_ratio_cannot_refute(tmp_path):
    """Values are counted before memory is taken for them."""
    content = with_dims(nib.Nifti1Image(np.zeros((2, 2, 2), np.int16), AFFINE), 200, 200, 100)
    content += bytes(3_000_000) + np.random.default_rng(0).bytes(1_000_000)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content))
    with pytest.raises(ImageError, match="claims 200×200×100 values of type int16, and the file holds 4000352 bytes"):
        load_volume(tmp_path / "a.nii.gz")


def test_damaged_headers_are_quiet(tmp_path, capfd, recwarn):
    """Fields that nibabel logs and corrects, and numbers that overflow."""
    content = bytearray(IMAGE)
    struct.pack_into("<3f", content, 80, -1, 1e38, np.nan)  # pixdim
    struct.pack_into("<2h", content, 252, 77, -5)  # codes that do not exist
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.nii has an invalid affine"):
        load_volume(tmp_path / "a.nii")
    assert capfd.readouterr().err == ""
    assert not recwarn.list
