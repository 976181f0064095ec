import gzip
import os
import shutil

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.bids import files_below
from sct_rootlets.errors import ImageError, LabelError
from sct_rootlets.image import Volume, binary_mask, check_same_grid, labelled_voxels, slice_range, voxel_length
from sct_rootlets.nifti import load_volume, save_labels
from sct_rootlets.output.files import staged_outputs

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def reoriented(volume: Volume, axcodes: str) -> Volume:
    image = nib.Nifti1Image(volume.data, volume.affine)
    target = nib.orientations.axcodes2ornt(axcodes)
    image = image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(volume.affine), target))
    return load_volume(image)


def test_sources_are_equivalent(tmp_path):
    data = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    nib.save(nib.Nifti1Image(data, AFFINE), tmp_path / "a.nii.gz")
    for source in (tmp_path / "a.nii.gz", str(tmp_path / "a.nii.gz"), nib.load(tmp_path / "a.nii.gz"), (data, AFFINE)):
        volume = load_volume(source)
        np.testing.assert_array_equal(volume.data, data)
        np.testing.assert_allclose(volume.affine, AFFINE)


def test_a_single_4d_volume_is_3d():
    assert load_volume((np.zeros((3, 4, 5, 1)), AFFINE)).data.shape == (3, 4, 5)


def test_big_endian_files_load_in_native_order(tmp_path):
    header = nib.Nifti1Header(endianness=">")
    nib.save(nib.Nifti1Image(np.ones((3, 3, 3), ">i2"), AFFINE, header), tmp_path / "big.nii")
    assert load_volume(tmp_path / "big.nii").data.dtype.isnative


@pytest.mark.parametrize("axcodes", ["RAS", "LPI", "PSR", "ALS"])
def test_reoriented_grids_are_the_same(axcodes):
    volume = Volume(np.random.default_rng(0).random((4, 5, 6)), AFFINE, "a")
    other = reoriented(volume, axcodes)
    check_same_grid(volume, other)


def test_grids_that_differ_say_how():
    volume = Volume(np.zeros((4, 5, 6)), AFFINE, "a.nii.gz")
    with pytest.raises(ImageError, match=r"a\.nii\.gz \(4×5×6 .*b\.nii\.gz \(4×5×7 .*different shapes"):
        check_same_grid(volume, Volume(np.zeros((4, 5, 7)), AFFINE, "b.nii.gz"))
    moved = AFFINE.copy()
    moved[0, 3] = 0.05  # the rounding of a header
    check_same_grid(volume, Volume(np.zeros((4, 5, 6)), moved, "b.nii.gz"))
    for shift in (0.5, 3):
        moved[0, 3] = shift
        with pytest.raises(ImageError, match=f"up to {shift} mm apart"):
            check_same_grid(volume, Volume(np.zeros((4, 5, 6)), moved, "b.nii.gz"))


@pytest.mark.parametrize(("axcodes", "expected"), [("RAS", (1, 3)), ("LPI", (1, 3)), ("PSR", (1, 3)), ("IAL", (1, 3))])
def test_slices_are_counted_from_inferior(axcodes, expected):
    volume = reoriented(Volume(np.zeros((4, 5, 6)), AFFINE), axcodes)
    between = np.array([[0, 0, 1.0], [0, 0, 7.0]])  # faces of slices 1 and 3, whose centres lie at 2 and 6 mm
    assert slice_range(between, volume.affine, volume.data.shape) == expected


def test_voxel_length_is_the_edge_along_edges():
    np.testing.assert_allclose(voxel_length(AFFINE, np.eye(3)), [1, 1, 2])
    diagonal = np.array([1.0, 0, 1.0]) / np.sqrt(2)
    assert voxel_length(np.eye(4), diagonal) == pytest.approx(1)


def test_soft_masks_are_cut_at_half():
    data = np.zeros((4, 4, 4), np.float32)
    data[1:3, 1:3, 1:3], data[1, 1, 1] = 0.7, 0.4
    mask, notes = binary_mask(Volume(data, AFFINE, "soft"))
    assert mask.sum() == 7
    assert notes == ["soft is a soft mask: thresholded at 0.5"]


def test_a_labelled_cord_is_a_mask():
    data = np.zeros((4, 4, 4), np.uint8)
    data[1], data[2] = 3, 4
    mask, notes = binary_mask(Volume(data, AFFINE, "levels"))
    assert mask.sum() == 32
    assert "several labels" in notes[0]


@pytest.mark.parametrize(
    ("value", "message"), [(0, "is empty"), (-1, "negative"), (np.nan, "NaN"), (7.5, "fractions up to 7.5")]
)
def test_masks_that_make_no_sense(value, message):
    data = np.zeros((4, 4, 4), np.float32)
    data[1, 1, 1] = value
    with pytest.raises(LabelError, match=message):
        binary_mask(Volume(data, AFFINE, "mask"))


def test_labels_are_whole_numbers():
    data = np.zeros((4, 4, 4), np.float64)
    data[1, 2, 3] = 5.00001  # the rounding of a scaled file
    ijk, values = labelled_voxels(Volume(data, AFFINE))
    assert (ijk.tolist(), values.tolist()) == ([[1, 2, 3]], [5])
    data[0, 0, 0] = 2.5
    with pytest.raises(LabelError, match=r"2\.5, which is no label"):
        labelled_voxels(Volume(data, AFFINE))


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


def test_staged_outputs_appear_together(tmp_path):
    (tmp_path / "a").write_text("old")
    with staged_outputs(tmp_path) as stage:
        (stage / "a").write_text("new")
        (stage / "b").write_text("new")
        assert (tmp_path / "a").read_text() == "old"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "new", "b": "new"}


def _fail_half_way(folder, error):
    with staged_outputs(folder) as stage:
        (stage / "a").write_text("half")
        raise error


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), RuntimeError()])
def test_staged_outputs_leave_nothing_behind(tmp_path, error):
    folder = tmp_path / "new" / "folder"
    expected = ImageError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        _fail_half_way(folder, error)
    assert list(tmp_path.iterdir()) == []


def test_staged_outputs_are_taken_back_when_one_cannot_be_moved(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).write_text("old")
    (tmp_path / "c").mkdir()
    with pytest.raises(ImageError, match="c is a folder where a file is to be written"):
        _write(tmp_path, "abc")
    (tmp_path / "c").rmdir()
    replace = type(tmp_path).replace

    def fails_at_b(path, target):
        if path.name == "b" and path.read_text() == "new":
            raise OSError(5, "Input/output error")
        return replace(path, target)

    monkeypatch.setattr(type(tmp_path), "replace", fails_at_b)
    with pytest.raises(ImageError, match="nothing was changed there"):
        _write(tmp_path, "abc")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old", "b": "old"}


def test_inputs_are_not_replaced(tmp_path):
    (tmp_path / "a").write_text("input")
    with pytest.raises(ImageError, match="a is an input and would be replaced"):
        _write(tmp_path, "ab", keep=[tmp_path / "a"])
    assert [path.read_text() for path in tmp_path.iterdir()] == ["input"]


def _write(folder, names, keep=()):
    with staged_outputs(folder, keep) as stage:
        for name in names:
            (stage / name).write_text("new")


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX user ids")
def test_read_only_folder(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "a").write_text("old")
    folder.chmod(0o555)
    root = os.geteuid() == 0  # root may write anywhere: become nobody for the moment
    if root:
        tmp_path.chmod(0o755)
        os.seteuid(65534)
    try:
        with pytest.raises(ImageError, match=r"cannot write to .*locked"), staged_outputs(folder):
            pass
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
    assert (folder / "a").read_text() == "old"


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
        ("empty.nii.gz", "not a NIfTI file"),
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


def test_files_below_a_folder_in_which_others_write(tmp_path, monkeypatch):
    for name in ("b/c/2", "b/1", ".git/x", "a", "b/.sct_rootlets-1/staged", "gone/y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    walk = os.walk

    def while_others_write(folder):
        for step in walk(folder):
            shutil.rmtree(tmp_path / "gone", ignore_errors=True)  # after it was listed, before it is entered
            yield step

    monkeypatch.setattr(os, "walk", while_others_write)
    assert [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path)] == ["a", "b/1", "b/c/2"]


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


@pytest.mark.parametrize("dtype", [np.complex64, [("R", "u1"), ("G", "u1"), ("B", "u1")]])
def test_colours_and_complex_numbers_are_refused(dtype):
    with pytest.raises(ImageError, match="colours or complex numbers"):
        load_volume((np.zeros((4, 4, 4), dtype), AFFINE))


@pytest.mark.parametrize("shape", [(5, 5), (5, 5, 1), (1, 5, 5)])
def test_flat_volumes_are_refused(shape):
    with pytest.raises(ImageError, match="not a 3D volume"):
        load_volume((np.zeros(shape), AFFINE))


def test_series_are_refused():
    with pytest.raises(ImageError, match="holds 3 volumes"):
        load_volume((np.zeros((4, 4, 4, 3)), AFFINE))


def test_scaled_integers_are_read_in_single_precision(tmp_path):
    raw = np.arange(-500, 500, dtype=np.int16).reshape(10, 10, 10)
    image = nib.Nifti1Image(raw, np.eye(4))
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "scaled.nii.gz")
    stored = nib.load(tmp_path / "scaled.nii.gz")
    data = load_volume(tmp_path / "scaled.nii.gz").data
    assert data.dtype == np.float32
    np.testing.assert_allclose(data, stored.get_fdata(), rtol=1e-6)
