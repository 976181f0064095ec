"""Images along displacement fields, between two grids with different axes."""

import numpy as np
import pytest
from nibabel.affines import apply_affine
from smooth_maps import FLIPPED, SHAPE, TILTED, bend, blobs, grid

from sct_rootlets.image import Volume
from sct_rootlets.registration.fields import displacement_field
from sct_rootlets.registration.resample import resample

SHIFT = np.array([0.7, -0.4, 0.9])


def test_an_image_is_sampled_where_the_field_points():
    moving = Volume(blobs(grid(TILTED)).reshape(SHAPE).astype(np.float32), TILTED)
    field = displacement_field(lambda points: points + SHIFT, SHAPE, FLIPPED)
    moved = resample(moving, field, FLIPPED, order=3)
    place = grid(FLIPPED) + SHIFT
    index = apply_affine(np.linalg.inv(TILTED), place)
    well_inside = ((index > 3) & (index < np.array(SHAPE) - 4)).all(axis=1)
    outside = ((index < -0.51) | (index > np.array(SHAPE) - 0.49)).any(axis=1)
    assert well_inside.sum() > 1000
    np.testing.assert_allclose(moved.ravel()[well_inside], blobs(place)[well_inside], atol=0.5)
    assert (moved.ravel()[outside] == 0).all()


@pytest.mark.parametrize("order", [1, 3])
def test_nan_does_not_spread(order):
    """Statistical maps are NaN outside of their mask; a spline filter alone would spread NaN over the whole image."""
    data = np.random.default_rng(3).random(SHAPE).astype(np.float32)
    data[:, :, :6] = np.nan
    affine = np.eye(4)
    field = displacement_field(lambda points: points, SHAPE, affine)
    moved = resample(Volume(data, affine), field, affine, order)
    np.testing.assert_array_equal(np.isnan(moved), np.isnan(data))
    np.testing.assert_allclose(moved[:, :, 6:], data[:, :, 6:], atol=1e-5)


def test_labels_stay_labels():
    labels = Volume((np.indices(SHAPE)[0] // 7 + 1).astype(np.uint8), TILTED)
    moved = resample(labels, displacement_field(bend, SHAPE, FLIPPED), FLIPPED, order=0)
    assert moved.dtype == np.uint8
    assert set(np.unique(moved)) <= {0, 1, 2, 3, 4}
