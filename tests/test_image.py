import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.errors import ImageError, LabelError
from sct_rootlets.image import (
    Volume,
    binary_mask,
    check_same_grid,
    check_volume,
    labelled_voxels,
    nonzero_voxels,
    slice_range,
    values_at,
    voxel_length,
)

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def reoriented(volume: Volume, axcodes: str) -> Volume:
    image = nib.Nifti1Image(volume.data, volume.affine)
    target = nib.orientations.axcodes2ornt(axcodes)
    image = image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(volume.affine), target))
    return Volume(np.asarray(image.dataobj), image.affine)


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


@pytest.mark.parametrize("off", [-1e-4, 0.0, 1e-4])
def test_neighbours_share_no_slice(off):
    """An end at the centre of a slice, but for rounding: the slice belongs to the part below it."""
    ends = np.array([[0, 0, 10.0], [0, 0, 6.0 + off], [0, 0, 2.0]])
    upper, lower = (slice_range(ends[part], AFFINE, (4, 5, 6)) for part in (slice(0, 2), slice(1, 3)))
    assert (upper, lower) == ((4, 5), (2, 3))


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
    with pytest.raises(LabelError, match=r"2\.5, which is not a label"):
        labelled_voxels(Volume(data, AFFINE))


def test_a_single_4d_volume_is_3d():
    assert check_volume(Volume(np.zeros((3, 4, 5, 1)), AFFINE)).data.shape == (3, 4, 5)


@pytest.mark.parametrize("dtype", [np.complex64, [("R", "u1"), ("G", "u1"), ("B", "u1")]])
def test_colours_and_complex_numbers_are_refused(dtype):
    with pytest.raises(ImageError, match="colours or complex numbers"):
        check_volume(Volume(np.zeros((4, 4, 4), dtype), AFFINE))


@pytest.mark.parametrize("shape", [(5, 5), (5, 5, 1), (1, 5, 5)])
def test_flat_volumes_are_refused(shape):
    with pytest.raises(ImageError, match="not a 3D volume"):
        check_volume(Volume(np.zeros(shape), AFFINE))


def test_series_are_refused():
    with pytest.raises(ImageError, match="holds 3 volumes"):
        check_volume(Volume(np.zeros((4, 4, 4, 3)), AFFINE))


@pytest.mark.parametrize("affine", [np.zeros((4, 4)), np.eye(3), np.full((4, 4), np.nan)])
def test_an_affine_that_maps_to_nowhere_is_refused(affine):
    with pytest.raises(ImageError, match="invalid affine"):
        check_volume(Volume(np.zeros((4, 4, 4)), affine))


def test_values_at_points_are_those_of_the_voxels_and_0_outside():
    data = np.arange(60.0).reshape(3, 4, 5)
    points = np.array([[1.0, 2.0, 6.0], [1.0, 2.0, 7.0], [9.0, 0.0, 0.0]])  # a centre, a face, outside
    np.testing.assert_allclose(values_at(data, AFFINE, points), [data[1, 2, 3], data[1, 2, 3:5].mean(), 0])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", [bool, np.uint8, np.float32])
def test_voxels_that_are_not_zero_come_in_the_order_of_numpy(order, kind):
    data = np.random.default_rng(5).integers(-3, 2, (7, 5, 6)).clip(0).astype(kind, order=order)
    assert np.array_equal(nonzero_voxels(data), np.argwhere(data))
    assert nonzero_voxels(np.zeros((3, 3, 3), dtype=kind)).shape == (0, 3)
