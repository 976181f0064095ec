import gzip

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.errors import ImageError
from sct_rootlets.image import Volume
from sct_rootlets.nifti import load_series, load_volume, look_at_header, save_labels

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def test_sources_are_equivalent(tmp_path):
    data = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    nib.save(nib.Nifti1Image(data, AFFINE), tmp_path / "a.nii.gz")
    for source in (tmp_path / "a.nii.gz", str(tmp_path / "a.nii.gz"), nib.load(tmp_path / "a.nii.gz"), (data, AFFINE)):
        volume = load_volume(source)
        np.testing.assert_array_equal(volume.data, data)
        np.testing.assert_allclose(volume.affine, AFFINE)


@pytest.mark.parametrize("read", [load_volume, load_series, look_at_header])
@pytest.mark.parametrize("source", [np.zeros((2, 3, 4)), [[1, 2], [3, 4]]])
def test_an_array_without_its_affine_is_refused(read, source):
    with pytest.raises(ImageError, match=f"given as {type(source).__name__}, which has no affine; give "):
        read(source)


def test_big_endian_files_load_in_native_order(tmp_path):
    header = nib.Nifti1Header(endianness=">")
    nib.save(nib.Nifti1Image(np.ones((3, 3, 3), ">i2"), AFFINE, header), tmp_path / "big.nii")
    assert load_volume(tmp_path / "big.nii").data.dtype.isnative


def test_saved_labels_keep_spatial_codes_and_repeat_byte_for_byte(tmp_path):
    header = nib.Nifti1Header()
    header.set_sform(AFFINE, 4)
    header.set_qform(AFFINE, 2)
    header["cal_max"], header["scl_slope"] = 900, 3
    like = Volume(np.zeros((3, 4, 5)), AFFINE, "a", header)
    labels = np.arange(60).reshape(3, 4, 5)
    for name in ("one.nii.gz", "two.nii.gz"):
        save_labels(tmp_path / name, labels, like)
    assert (tmp_path / "one.nii.gz").read_bytes() == (tmp_path / "two.nii.gz").read_bytes()
    saved = nib.load(tmp_path / "one.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(saved.dataobj), labels)
    assert saved.get_data_dtype() == np.uint8
    assert (int(saved.header["sform_code"]), int(saved.header["qform_code"]), float(saved.header["cal_max"])) == (
        4,
        2,
        0,
    )


def test_damaged_files_are_named(tmp_path):
    nib.save(nib.Nifti1Image(np.random.default_rng(0).random((20, 20, 20)), AFFINE), tmp_path / "whole.nii.gz")
    whole = (tmp_path / "whole.nii.gz").read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut.nii").write_bytes(gzip.decompress(whole)[:5000])
    (tmp_path / "text.nii.gz").write_text("no image")
    (tmp_path / "empty.nii.gz").write_bytes(b"")
    for name, message in (
        ("cut.nii.gz", "truncated or damaged"),
        ("cut.nii", "truncated or damaged"),
        ("text.nii.gz", "not a NIfTI file"),
        ("empty.nii.gz", "is empty"),
        ("missing.nii.gz", "does not exist"),
        ("", "is a folder"),
    ):
        with pytest.raises(ImageError, match=message):
            load_volume(tmp_path / name)


def test_a_flipped_bit_is_found(tmp_path):
    data = np.random.default_rng(0).integers(0, 255, (20, 20, 20), np.uint8)
    nib.save(nib.Nifti1Image(data, AFFINE), tmp_path / "a.nii.gz")
    content = bytearray((tmp_path / "a.nii.gz").read_bytes())
    content[-5] ^= 1  # the checksum, behind all the data
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(ImageError, match="truncated or damaged"):
        load_volume(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(("start", "value"), [(70, 999), (40, 9), (108, 17)])
def test_headers_that_make_no_sense(tmp_path, start, value):
    """Data type, number of dimensions, offset of the data."""
    nib.save(nib.Nifti1Image(np.zeros((5, 5, 5), np.uint8), AFFINE), tmp_path / "a.nii")
    content = bytearray((tmp_path / "a.nii").read_bytes())
    kind = np.float32 if start == 108 else np.int16
    content[start : start + np.dtype(kind).itemsize] = kind(value).tobytes()
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.nii is"):
        load_volume(tmp_path / "a.nii")


def test_two_file_and_version_2_nifti_load(tmp_path):
    data = np.arange(27, dtype=np.int16).reshape(3, 3, 3)
    nib.save(nib.Nifti1Pair(data, AFFINE), tmp_path / "a.img")
    nib.save(nib.Nifti2Image(data, AFFINE), tmp_path / "b.nii.gz")
    for name in ("a.img", "b.nii.gz"):
        np.testing.assert_array_equal(load_volume(tmp_path / name).data, data)


def test_scaled_integers_are_read_in_single_precision(tmp_path):
    raw = np.arange(-500, 500, dtype=np.int16).reshape(10, 10, 10)
    image = nib.Nifti1Image(raw, np.eye(4))
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "scaled.nii.gz")
    stored = nib.load(tmp_path / "scaled.nii.gz")
    data = load_volume(tmp_path / "scaled.nii.gz").data
    assert data.dtype == np.float32
    np.testing.assert_allclose(data, stored.get_fdata(), rtol=1e-6)


def test_volumes_of_a_series_are_read_one_at_a_time(tmp_path):
    data = np.arange(240, dtype=np.int16).reshape(3, 4, 5, 4)
    nib.save(nib.Nifti1Image(data, AFFINE), tmp_path / "a.nii.gz")
    series = load_series(tmp_path / "a.nii.gz")
    assert (series.shape, series.length, series.name) == ((3, 4, 5), 4, "a.nii.gz")
    for index, volume in enumerate(series.volumes()):
        np.testing.assert_array_equal(volume, data[..., index])
    single = load_series((data[..., 0], AFFINE))
    assert single.length is None
    np.testing.assert_array_equal(next(single.volumes()), data[..., 0])
    with pytest.raises(ImageError, match="has 5 dimensions"):
        load_series((np.zeros((3, 4, 5, 1, 3)), AFFINE))
