"""Signal per level on the grid of the levels, and on other grids, where the weights follow from geometry."""

import nibabel as nib
import numpy as np
import pytest
from tilted_cords import level_map, tilted_cord

from sct_rootlets.errors import ImageError, LabelError
from sct_rootlets.image import Volume, as_axial
from sct_rootlets.measure.cord_levels import read_cord_levels
from sct_rootlets.measure.scan import MeasuredFiles, measure_scan
from sct_rootlets.measure.signal import compare_cords, level_weights, restrict, summarize_signal, weighted_statistics
from sct_rootlets.nifti import save_field, save_volume

BORDERS_MM = (16.0, 4.0, -8.0)  # levels C3 and C4


@pytest.fixture(scope="module")
def cord():
    mask = tilted_cord(0, 1.0, is_soft=False)
    return read_cord_levels({"spinal": level_map(mask, 0, BORDERS_MM)}, mask)


def volume_of(cord, value):
    return float((cord.maps["spinal"].data == value).sum())


def test_on_the_grid_of_the_levels_weights_are_the_labels(cord):
    rng = np.random.default_rng(1)
    data = rng.normal(100, 10, cord.cord.data.shape)
    found = summarize_signal(data, level_weights(cord, data.shape, cord.cord.affine))
    for value, statistics in zip((3, 4), found, strict=True):
        inside = data[cord.maps["spinal"].data == value]
        assert statistics.mean == pytest.approx(inside.mean(), rel=1e-6)
        assert statistics.median == pytest.approx(np.median(inside), rel=1e-6)
        assert statistics.sd == pytest.approx(inside.std(), rel=1e-6)
        assert statistics.n_voxels == statistics.size_voxels == len(inside)
        assert statistics.covered == 1
        assert statistics.remarks == ()


def test_thick_slices_are_shared_by_volume(cord):
    """A slice from -2 to 14 mm holds 10 mm of C3 and 6 mm of C4, and the next one up 2 mm of C3."""
    affine = np.diag([0.8, 0.8, 16.0, 1.0])
    affine[:3, 3] = -12, -12, 6 - 16
    shape = (30, 30, 3)  # slices from -18, -2, 14 mm
    weights = level_weights(cord, shape, affine)
    data = np.zeros(shape)
    data[:, :, 0], data[:, :, 1], data[:, :, 2] = 10, 20, 30
    first, second = summarize_signal(data, weights)
    assert first.mean == pytest.approx((20 * 10 + 30 * 2) / 12, rel=0.03)
    assert second.mean == pytest.approx((20 * 6 + 10 * 6) / 12, rel=0.03)
    assert first.volume_mm3 == pytest.approx(volume_of(cord, 3), rel=0.02)
    assert second.volume_mm3 == pytest.approx(volume_of(cord, 4), rel=0.02)
    assert weights.weights.max() <= 1


def test_levels_out_of_view_have_no_values_and_a_remark(cord):
    affine = np.diag([1.0, 1.0, 4.0, 1.0])
    affine[:3, 3] = -12, -12, -6  # two slices, from -8 to 0 mm
    data = np.ones((24, 24, 2))
    first, second = summarize_signal(data, level_weights(cord, data.shape, affine))
    assert np.isnan(first.mean)
    assert (first.n_voxels, first.covered, first.remarks) == (0, 0, ("outside the image",))
    assert second.covered == pytest.approx(8 / 12, abs=0.05)
    assert "of the level is in view" in second.remarks[0]


def test_no_overlap_is_an_error(cord):
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = 200, 0, 0
    with pytest.raises(ImageError, match="do not overlap"):
        level_weights(cord, (20, 20, 20), affine)


@pytest.mark.parametrize(("division", "expected"), [
    ("side", {"left": 1.0, "right": 2.0}),
    ("half", {"dorsal": 10.0, "ventral": 20.0}),
    ("quarter", {"left dorsal": 11.0, "right dorsal": 12.0, "left ventral": 21.0, "right ventral": 22.0}),
])  # fmt: skip
def test_sides_and_halves_are_those_of_the_patient(cord, division, expected):
    shape, affine = cord.cord.data.shape, cord.cord.affine
    x, y, _ = np.moveaxis(nib.affines.apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1)), -1, 0)
    data = np.where(x > 0, 2.0, 1.0) * (division != "half")
    data = data + np.where(y > 0, 20.0, 10.0) * (division != "side")
    for statistics in summarize_signal(data, level_weights(cord, shape, affine, division)):
        assert statistics.mean == pytest.approx(expected[statistics.region.part], rel=0.02)


def test_masks_weight_voxels_and_values_that_are_not_finite_are_left_out(cord):
    shape, affine = cord.cord.data.shape, cord.cord.affine
    weights = level_weights(cord, shape, affine)
    mask, data = np.full(shape, 0.25), np.full(shape, 5.0)
    inside = np.argwhere(cord.maps["spinal"].data == 3)
    mask[tuple(inside[0])], data[tuple(inside[0])] = 1.0, 9.0
    data[tuple(inside[1])] = np.nan
    first, _ = summarize_signal(data, restrict(weights, mask))
    rest = 0.25 * (len(inside) - 2)
    assert first.mean == pytest.approx((9 + 5 * rest) / (1 + rest), rel=1e-5)
    assert first.size_voxels == pytest.approx(1 + rest, rel=1e-5)
    assert first.remarks == ("1 voxels without a finite value are left out",)


def test_weighted_statistics_are_those_of_repeated_values():
    values, counts = np.array([3.0, 1.0, 4.0, 1.5]), np.array([2, 5, 1, 3])
    repeated = np.repeat(values, counts)
    mean, median, sd = weighted_statistics(values, counts.astype(float))
    assert (mean, sd) == pytest.approx((repeated.mean(), repeated.std()))
    assert repeated.min() < median < np.sort(repeated)[7]
    assert weighted_statistics(np.arange(7.0), np.ones(7))[1] == 3
    assert all(np.isnan(weighted_statistics(np.array([]), np.array([]))))


def test_the_shift_between_cords_is_found_and_taken_back(cord):
    """The image's cord lies 2 mm to the left and 1 mm to posterior; outside of it there is fluid."""
    affine = np.diag([0.7, 0.7, 3.0, 1.0])
    affine[:3, 3] = -14, -14, -18
    points = np.moveaxis(np.indices((40, 40, 12)), 0, -1) * (0.7, 0.7, 3.0) + affine[:3, 3] - (-2.0, -1.0, 0.0)
    inside = (points[..., 0] / 6) ** 2 + (points[..., 1] / 3.8) ** 2 <= 1
    image = as_axial(Volume(np.where(inside, 30.0, 0.0), affine))
    mask = as_axial(Volume(inside.astype(np.float32), affine)).data
    whole = level_weights(cord, image.data.shape, image.affine)
    assert summarize_signal(image.data, whole)[0].mean < 25
    overlap = compare_cords(mask, image.affine, whole)
    assert (overlap.left_mm, overlap.anterior_mm) == pytest.approx((2, -1), abs=0.25)
    assert overlap.shift_mm == pytest.approx(np.hypot(2, 1), abs=0.25)
    np.testing.assert_allclose(overlap.vector_mm, (-2, -1, 0), atol=0.25)
    assert [flag.state for flag in overlap.flags("mtr")] == ["look", "ok"]
    back = level_weights(cord, image.data.shape, image.affine, shift_mm=overlap.vector_mm)
    assert summarize_signal(image.data, back)[0].mean > 27  # voxels at the edge hold fluid too
    assert summarize_signal(image.data, restrict(back, mask))[0].mean == pytest.approx(30)
    assert compare_cords(mask, image.affine, back).dice > 0.93


def save(path, data, affine):
    save_volume(path, data, affine)
    return path


def test_a_warp_places_the_image(cord, tmp_path):
    """The image is displaced by 30 mm against the levels; the warp leads from it to them."""
    affine = cord.cord.affine.copy()
    affine[:3, 3] += (30, 0, 0)
    data = np.where(cord.maps["spinal"].data == 3, 7.0, np.where(cord.maps["spinal"].data == 4, 9.0, 0)).astype("f4")
    image = save(tmp_path / "a.nii.gz", data, affine)
    save_field(tmp_path / "w.nii.gz", np.broadcast_to(np.float32([-30, 0, 0]), (*data.shape, 3)), affine)
    files = MeasuredFiles(images=(image,), warp=tmp_path / "w.nii.gz")
    files.check()
    (measured,) = measure_scan(cord, files).images
    assert [found.mean for found in measured.statistics["cord"]] == pytest.approx([7, 9], rel=1e-5)
    with pytest.raises(ImageError, match="do not overlap"):
        measure_scan(cord, MeasuredFiles(images=(image,)))
    with pytest.raises(ImageError, match="is not a displacement field"):
        MeasuredFiles(images=(image,), warp=image).check()


def test_a_series_is_measured_volume_by_volume(cord, tmp_path):
    labels = cord.maps["spinal"].data
    data = np.stack([np.where(labels == 3, t, 2 * t) for t in range(1, 6)], axis=-1).astype(np.int16)
    series = nib.Nifti1Image(data, cord.cord.affine)
    series.header["pixdim"][4] = 1.5
    series.header.set_xyzt_units("mm", "sec")
    nib.save(series, tmp_path / "fmri.nii.gz")
    mask = save(tmp_path / "gm.nii.gz", (labels > 0).astype("f4") * 0.5, cord.cord.affine)
    (measured,) = measure_scan(cord, MeasuredFiles(images=(tmp_path / "fmri.nii.gz",), masks=(mask,))).images
    assert measured.seconds == 1.5
    np.testing.assert_allclose(measured.series["gm"], [[t, 2 * t] for t in range(1, 6)], rtol=1e-5)
    assert measured.statistics == {}


def test_a_mask_on_the_grid_of_the_levels_restricts_an_image_on_another_grid(cord, tmp_path):
    """White matter is the patient's left half; the image, of thick slices, is brighter on the right."""
    half = cord.cord.affine[0, 0] * np.arange(cord.cord.data.shape[0]) + cord.cord.affine[0, 3] < 0
    mask = np.where(half[:, None, None], cord.cord.data, 0).astype("f4")
    affine = np.diag([0.5, 0.5, 6.0, 1.0])
    affine[:3, 3] = -11.75, -11.75, -15
    data = np.broadcast_to(np.where(np.arange(48) * 0.5 - 11.75 > 0, 50.0, 10.0)[:, None, None], (48, 48, 6))
    files = MeasuredFiles(
        images=(save(tmp_path / "a.nii.gz", data.astype("f4"), affine),),
        masks=(save(tmp_path / "wm.nii.gz", mask, cord.cord.affine),),
    )
    files.check()
    measures = measure_scan(cord, files)
    for found in measures.images[0].statistics["wm"]:
        assert found.mean == pytest.approx(10, abs=0.5)
        assert found.volume_mm3 == pytest.approx(
            mask[cord.maps["spinal"].data == found.region.level.value].sum(), rel=0.02
        )
    assert "100% of the levels are in view by the headers" in " ".join(measures.notes)


def test_a_mask_of_another_session_and_an_empty_one_are_errors(cord, tmp_path):
    image = save(tmp_path / "a.nii.gz", np.ones(cord.cord.data.shape, "f4"), cord.cord.affine)
    other = save(tmp_path / "gm.nii.gz", np.ones((9, 9, 9), np.uint8), np.eye(4))
    with pytest.raises(ImageError, match=r"resample gm\.nii\.gz to the grid of a\.nii\.gz"):
        measure_scan(cord, MeasuredFiles(images=(image,), masks=(other,)))
    beside = np.zeros(cord.cord.data.shape, np.uint8)
    beside[0, 0, 0] = 1
    beside = save(tmp_path / "beside.nii.gz", beside, cord.cord.affine)
    with pytest.raises(LabelError, match="nothing is left to measure"):
        measure_scan(cord, MeasuredFiles(images=(image,), masks=(beside,)))
    with pytest.raises(LabelError, match="no slice shows the cord of both"):
        measure_scan(cord, MeasuredFiles(images=(image,), image_cords=(beside,)))
