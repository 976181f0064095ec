"""Landmarks of a phantom, whose levels and discs are known."""

import numpy as np

from sct_rootlets.registration.landmarks import disc_landmarks, rootlet_landmarks
from sct_rootlets.vertebral import label_points


def test_rootlets_and_discs_of_the_phantom_lie_where_they_were_drawn(phantom):
    anatomy = phantom.anatomy
    line = anatomy.centerline
    found, _ = rootlet_landmarks(phantom.rootlets, phantom.cord, line)
    truth = {name: (low + high) / 2 for name, (low, high) in anatomy.spinal_extents(2.4).items()}
    assert [landmark.name for landmark in found] == list(truth)
    np.testing.assert_allclose([landmark.arc_mm for landmark in found], list(truth.values()), atol=1.0)
    discs, _ = disc_landmarks(label_points(phantom.discs), phantom.discs.affine, line)
    np.testing.assert_allclose([landmark.arc_mm for landmark in discs], list(anatomy.discs.values()), atol=1.0)
