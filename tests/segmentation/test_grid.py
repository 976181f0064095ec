from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy import ndimage

from sct_rootlets.image import Volume
from sct_rootlets.segmentation.grid import Resampling, downsample, mean_and_deviation, orient


def field(points):
    """Something linear in mm: right at any place, by any interpolation."""
    return points @ [0.7, -1.3, 2.1]


def volume_of(shape, spacing, axes="RAS"):
    affine = nib.affines.from_matvec(np.diag(spacing), [-20.0, 15.0, -40.0])
    data = field(apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1))).astype(np.float32)
    image = nib.Nifti1Image(data, affine)
    there = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(axes))
    image = image.as_reoriented(there)
    return Volume(np.asarray(image.dataobj), image.affine)


@pytest.mark.parametrize("axes", ["RAS", "PSR", "LPI", "SLA"])
def test_any_axis_order_is_seen_alike_and_brought_back(axes):
    volume = volume_of((10, 12, 14), (1.0, 0.9, 1.2), axes)
    seen = orient(volume)
    reference = orient(volume_of((10, 12, 14), (1.0, 0.9, 1.2)))
    np.testing.assert_array_equal(seen.data, reference.data)
    np.testing.assert_allclose(seen.affine, reference.affine)
    np.testing.assert_allclose(seen.spacing, (1.2, 0.9, 1.0))
    np.testing.assert_array_equal(seen.restore(seen.data), volume.data)


def test_permuted_axes_are_where_the_affine_says():
    volume = volume_of((10, 12, 14), (1.0, 0.9, 1.2))
    seen = orient(volume, "LAS", (2, 0, 1))
    points = apply_affine(seen.affine, np.moveaxis(np.indices(seen.data.shape), 0, -1))
    np.testing.assert_allclose(seen.data, field(points), rtol=1e-5)
    np.testing.assert_array_equal(seen.restore(seen.data), volume.data)


@pytest.mark.parametrize("spacing", [0.5, 0.8, 1.0, 1.7])
def test_a_box_is_cut_where_the_affine_says(spacing):
    seen = orient(volume_of((40, 44, 48), (1.0, 0.9, 1.2)))
    resampling = Resampling.to_spacing(seen, (spacing,) * 3)
    box = tuple(slice(n // 3, n // 3 + 6) for n in resampling.target)
    cut = resampling.crop(seen.data, box, order=3)
    index = np.moveaxis(np.mgrid[box], 0, -1)
    expected = field(apply_affine(resampling.affine(seen.affine), index))
    np.testing.assert_allclose(cut, expected, atol=1e-3 * np.ptp(seen.data))
    back, there = resampling.to_volume(cut, box)
    at = np.moveaxis(np.mgrid[there], 0, -1)
    within = (at + 0.5) / resampling.scale - 0.5 - [part.start for part in box]
    known = ((within >= 0) & (within <= 5)).all(axis=-1)
    assert known.sum() > 8
    np.testing.assert_allclose(back[known], seen.data[there][known], atol=2e-3 * np.ptp(seen.data))


@pytest.mark.parametrize("order", [0, 1, 3])
def test_interpolation_axis_by_axis_is_that_of_scipy(order):
    values = np.random.default_rng(order).standard_normal((40, 30, 24)).astype(np.float32)
    resampling = Resampling(values.shape, (25, 38, 30))
    box = (slice(0, 25), slice(3, 38), slice(5, 20))
    scale = resampling.scale
    offset = (np.array([part.start for part in box]) + 0.5) * scale - 0.5
    smooth = ndimage.gaussian_filter(values, [0.29 * np.sqrt(scale[0] ** 2 - 1), 0, 0])  # fine voxels are averaged
    expected = ndimage.affine_transform(
        smooth, np.diag(scale), offset, output_shape=(25, 35, 15), order=order, mode="nearest"
    )
    np.testing.assert_allclose(resampling.crop(values, box, order), expected, atol=1e-4)


def test_the_number_of_voxels_is_that_of_nnunet():
    seen = orient(volume_of((33, 41, 30), (1.0, 0.9, 1.2)))
    assert Resampling.to_spacing(seen, (0.8, 0.8, 0.8)).target == (45, round(41 * 1.125), round(33 * 1.25))


def test_fine_voxels_are_averaged_and_not_skipped():
    rng = np.random.default_rng(0)
    seen = orient(Volume(rng.standard_normal((60, 60, 60)).astype(np.float32), np.diag([0.25, 0.25, 0.25, 1])))
    resampling = Resampling.to_spacing(seen, (1.0, 1.0, 1.0))
    cut = resampling.crop(seen.data, tuple(slice(3, 12) for _ in range(3)), order=3)
    assert cut.std() < 0.3  # skipping would leave it at 1; the mean of 64 voxels has 0.125


@pytest.mark.parametrize("axes", ["PSR", "RAS", "LIP"])
@pytest.mark.parametrize("layout", "CF")
def test_the_reduced_volume_is_a_mean_in_the_right_place(axes, layout):
    volume = volume_of((41, 44, 48), (0.9, 0.6, 1.2), axes)
    volume = replace(volume, data=np.asarray(volume.data, order=layout))
    data, affine = downsample(orient(volume), 2.0)
    np.testing.assert_allclose(nib.affines.voxel_sizes(affine), 2, atol=0.12)
    inner = tuple(slice(2, n - 2) for n in data.shape)
    points = apply_affine(affine, np.moveaxis(np.indices(data.shape), 0, -1))
    np.testing.assert_allclose(data[inner], field(points)[inner], atol=0.05)


def test_mean_and_deviation_are_those_of_all_voxels():
    data = np.random.default_rng(0).integers(-500, 3000, (7, 8, 9)).astype(np.int16)
    mean, deviation = mean_and_deviation(data)
    assert mean == pytest.approx(data.mean())
    assert deviation == pytest.approx(data.std())
