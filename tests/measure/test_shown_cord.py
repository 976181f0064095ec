"""Which part of a cord an image shows, on slabs of known place."""

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage
from tilted_cords import level_map, tilted_cord

from sct_rootlets.errors import ImageError
from sct_rootlets.measure.cord_levels import read_cord_levels
from sct_rootlets.measure.scan import MeasuredFiles, measure_scan
from sct_rootlets.measure.shown_cord import find_shown_cord, note_shown_cord
from sct_rootlets.measure.signal import leave_out, level_weights, summarize_signal
from sct_rootlets.nifti import save_volume

BORDERS_MM = (16.0, 4.0, -8.0)  # levels C3 and C4 of a cord from -23 to 23 mm
EDGE_MM = -2.0  # images are 0 below, so that half of C4 is shown, and 25 mm of the cord


@pytest.fixture(scope="module")
def cord():
    mask = tilted_cord(0, 1.0, is_soft=False)
    return read_cord_levels({"spinal": level_map(mask, 0, BORDERS_MM)}, mask)


@pytest.fixture(scope="module")
def weights(cord):
    return level_weights(cord, cord.cord.data.shape, cord.cord.affine)


def points_of(cord):
    """RAS+ mm of the voxels, shape (I, J, K, 3)."""
    return nib.affines.apply_affine(cord.cord.affine, np.moveaxis(np.indices(cord.cord.data.shape), 0, -1))


def noise(cord, mean=30.0, sd=3.0):
    return np.random.default_rng(2).normal(mean, sd, cord.cord.data.shape)


def slab(cord, data, tilt_deg=0.0):
    """Set to 0 what lies below a plane, which is tilted about the axis from left to right."""
    _, y, z = np.moveaxis(points_of(cord), -1, 0)
    return np.where(z - np.tan(np.radians(tilt_deg)) * y > EDGE_MM, data, 0)


def masked(cord, data, thinner):
    inside = cord.cord.data > 0
    if thinner:
        inside = ndimage.binary_erosion(inside, np.ones((3, 3, 1)))
    return np.where(inside, data, 0)


SLABS = {
    "scan": lambda cord: slab(cord, noise(cord)),
    "whole numbers": lambda cord: slab(cord, np.rint(noise(cord))),
    "fractions": lambda cord: slab(cord, noise(cord, 0.6, 0.1)),
    "negative": lambda cord: slab(cord, noise(cord, 0, 3)),
    "masked": lambda cord: slab(cord, masked(cord, noise(cord), thinner=False)),
    "masked, whole numbers": lambda cord: slab(cord, masked(cord, np.rint(noise(cord)), thinner=False)),
    "few values": lambda cord: slab(cord, np.where(cord.cord.data > 0, 30, 5)),
    "NaN beyond": lambda cord: np.where(slab(cord, np.ones(cord.cord.data.shape)) > 0, noise(cord), np.nan),
}


@pytest.mark.parametrize("kind", SLABS)
def test_the_cord_beyond_a_slab_lies_outside(kind, cord, weights):
    data = SLABS[kind](cord)
    shown = find_shown_cord(data, weights, 1.0)
    assert shown.outside_mm == pytest.approx(21, abs=1)  # from -23 to -2 mm
    z = points_of(cord)[..., 2]
    beyond = (cord.cord.data > 0) & (z < EDGE_MM)
    np.testing.assert_array_equal(shown.outside, beyond)
    first, second = summarize_signal(data, leave_out(weights, shown.outside))
    assert first.covered == pytest.approx(1, abs=0.001)
    assert second.covered == pytest.approx(0.5, abs=0.1)
    assert second.mean == pytest.approx(data[(cord.maps["spinal"].data == 4) & (z > EDGE_MM)].mean(), rel=1e-5)
    assert second.remarks == (f"{second.covered:.0%} of the level is in view",)


def test_a_slab_that_was_masked_by_a_thinner_cord_is_no_label_map(cord, weights):
    """Zeros of its rim lie outside near the end of the slab, and are noted elsewhere."""
    shown = find_shown_cord(slab(cord, masked(cord, noise(cord), thinner=True)), weights, 1.0)
    assert shown.outside_mm == pytest.approx(21, abs=1)
    assert shown.outside[(cord.cord.data > 0) & (points_of(cord)[..., 2] < EDGE_MM)].all()
    (_, note) = note_shown_cord("fa.nii.gz", [shown], is_series=False)
    assert note.startswith(f"fa.nii.gz is exactly 0 in {shown.zero_share:.0%} of the cord")


@pytest.mark.parametrize("tilt_deg", [10, 20, -20])
def test_zeros_at_the_tilted_edge_of_a_slab_are_no_values(tilt_deg, cord, weights):
    data = slab(cord, noise(cord), tilt_deg)
    shown = find_shown_cord(data, weights, 1.0)
    assert shown.zero_share == 0
    _, second = summarize_signal(data, leave_out(weights, shown.outside))
    assert second.mean == pytest.approx(30, abs=0.5)
    assert second.covered == pytest.approx(0.5, abs=0.1)


def test_the_border_slice_of_a_slab_that_was_interpolated_is_shown(cord, weights):
    """Linear interpolation halves the values there."""
    data = slab(cord, noise(cord))
    (edge, *_) = np.flatnonzero(data.any(axis=(0, 1)))
    data[:, :, edge] *= 0.5
    shown = find_shown_cord(data, weights, 1.0)
    assert shown.outside_mm == pytest.approx(21, abs=1)
    assert not shown.outside[:, :, edge:].any()


def filled_lesion(cord):
    z = points_of(cord)[..., 2]
    return (cord.cord.data > 0) & (abs(z) < 5)


MAPS = {
    "binary": lambda cord: filled_lesion(cord).astype(np.uint8),
    "two labels": lambda cord: filled_lesion(cord) * np.where(points_of(cord)[..., 0] > 0, 1, 2),
    "levels": lambda cord: cord.maps["spinal"].data,
    "soft": lambda cord: ndimage.gaussian_filter(filled_lesion(cord).astype(float), 0.4),
    "part of the section": lambda cord: np.where(
        filled_lesion(cord) & (abs(points_of(cord)[..., :2]) < 2).all(-1), noise(cord, 0.5, 0.1), 0
    ),
}


@pytest.mark.parametrize("kind", MAPS)
def test_zeros_of_masks_and_label_maps_are_values(kind, cord, weights):
    data = MAPS[kind](cord)
    shown = find_shown_cord(data, weights, 1.0)
    assert not shown.outside.any()
    zeros = (data[cord.cord.data > 0] == 0).mean()
    assert shown.zero_share == pytest.approx(zeros)
    (note,) = note_shown_cord("map.nii.gz", [shown], is_series=False)
    assert note.startswith(f"map.nii.gz is exactly 0 in {zeros:.0%} of the cord, and these zeros count as values")


def test_an_image_that_is_partly_0_in_the_sections_is_measured_as_it_is(cord, weights):
    data = noise(cord)
    data[np.random.default_rng(3).random(data.shape) < 0.2] = 0
    shown = find_shown_cord(data, weights, 1.0)
    assert (shown.outside_mm, shown.outside.any()) == (0, False)
    assert shown.zero_share == pytest.approx(0.2, abs=0.02)
    whole = find_shown_cord(noise(cord), weights, 1.0)
    assert whole.zero_share == 0
    assert note_shown_cord("mtr.nii.gz", [whole], is_series=False) == []


def save(path, data, affine):
    save_volume(path, data.astype(np.float32), affine)
    return path


def test_one_note_says_how_much_is_not_shown_and_masks_are_measured_within_the_rest(cord, tmp_path):
    data = slab(cord, noise(cord))
    left = np.where(points_of(cord)[..., 0] < 0, cord.cord.data, 0)
    files = MeasuredFiles(
        images=(save(tmp_path / "mtr.nii.gz", data, cord.cord.affine),),
        masks=(save(tmp_path / "left.nii.gz", left, cord.cord.affine),),
    )
    measures = measure_scan(cord, files)
    assert [note for note in measures.notes if "mtr" in note] == [
        "mtr.nii.gz: 21 mm of the cord lie outside of what the image shows (whole sections are 0 or NaN): these voxels "
        "are not measured"
    ]
    _, second = measures.images[0].statistics["left"]
    chosen = (cord.maps["spinal"].data == 4) & (points_of(cord)[..., 2] > EDGE_MM) & (left > 0)
    assert second.n_voxels == chosen.sum()
    assert second.mean == pytest.approx(data[chosen].mean(), rel=1e-5)


def test_an_image_of_0_is_an_error_and_a_constant_one_is_noted(cord, tmp_path):
    shape, affine = cord.cord.data.shape, cord.cord.affine
    zero = save(tmp_path / "zero.nii.gz", np.zeros(shape), affine)
    beside = save(tmp_path / "beside.nii.gz", np.where(cord.cord.data > 0, 0, noise(cord)), affine)
    short = save(tmp_path / "short.nii.gz", np.where(points_of(cord)[..., 2] > 18, noise(cord), 0), affine)
    series = save(tmp_path / "series.nii.gz", np.zeros((*shape, 3)), affine)
    for image in (zero, beside, short, series):
        with pytest.raises(ImageError, match=f"{image.name} holds no values in the levels other than 0, NaN or infin"):
            measure_scan(cord, MeasuredFiles(images=(image,)))
    same = save(tmp_path / "same.nii.gz", np.full(shape, 7), affine)
    (note,) = [note for note in measure_scan(cord, MeasuredFiles(images=(same,))).notes if "same.nii.gz" in note]
    assert "has the same value in all voxels of the cord that it shows (7); check" in note


def test_each_volume_of_a_series_shows_its_own_part(cord, tmp_path):
    """The second volume of three moved out of view, and the third is a slab."""
    whole = noise(cord)
    data = np.stack([whole, 0 * whole, slab(cord, whole)], axis=-1)
    image = save(tmp_path / "fmri.nii.gz", data, cord.cord.affine)
    measures = measure_scan(cord, MeasuredFiles(images=(image,)))
    means = measures.images[0].series["cord"]
    labels, z = cord.maps["spinal"].data, points_of(cord)[..., 2]
    expected = [whole[labels == 3].mean(), whole[labels == 4].mean()]
    np.testing.assert_allclose(means[0], expected, rtol=1e-5)
    assert np.isnan(means[1]).all()
    np.testing.assert_allclose(means[2], [expected[0], whole[(labels == 4) & (z > EDGE_MM)].mean()], rtol=1e-5)
    (note,) = [note for note in measures.notes if "fmri.nii.gz" in note]
    assert note.startswith("fmri.nii.gz: up to 46 mm of the cord lie outside of what the image shows in 2 of 3 volumes")
