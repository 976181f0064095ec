"""Rootlet voxels in the cord's coordinates, and the roots that they belong to."""

import numpy as np
import pytest
from cylinders import LINE, SPACE, cylinder
from nibabel.affines import apply_affine

from sct_rootlets.image import Volume
from sct_rootlets.levels import ROOTS
from sct_rootlets.registration.cord import landmarked_cord
from sct_rootlets.registration.rootlets import RootletVoxels
from sct_rootlets.spinal import measure_half_axes


def rootlets_at(angles_deg: dict[int, float], cord: Volume) -> Volume:
    """Right rootlets 7 mm from the middle of the cord: angles ventral of its widest line by level, 10 mm a level."""
    data = np.zeros(cord.data.shape, np.uint8)
    for number, (value, angle_deg) in enumerate(angles_deg.items(), start=1):
        across = 7 * np.array([np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))])
        points = [[*across, -12 * number - along] for along in np.arange(0, 10, 0.25)]
        index = np.rint(apply_affine(np.linalg.inv(cord.affine), points)).astype(int)
        data[tuple(index.T)] = value
    return Volume(data, cord.affine, "rootlets")


def test_coordinates_are_arc_length_right_and_anterior():
    cord = cylinder(6.5, 4.0, voxel=0.25)
    voxels = RootletVoxels.from_volume(rootlets_at({5: 0.0}, cord), SPACE, (6.5, 4.0))
    assert voxels.voxel_mm3 == pytest.approx(0.25**3)
    np.testing.assert_allclose(voxels.coordinates[:, 1:].mean(axis=0), [7, 0], atol=0.15)
    np.testing.assert_allclose(voxels.coordinates[:, 0], -voxels.points[:, 2], atol=1e-6)


def test_ventral_begins_at_20_degrees_of_the_section_stretched_to_a_circle():
    """On a cord of 6.5 by 4 mm, these are atan(tan 20° · 4 / 6.5) = 12.6° in mm."""
    cord = cylinder(6.5, 4.0, voxel=0.25)
    found = landmarked_cord(cord, rootlets_at({5: 11.0, 6: 14.5}, cord)).rootlets
    roots = {value: {ROOTS[root] for root in found.root[found.value == value]} for value in (5, 6)}
    assert roots == {5: {"right_dorsal"}, 6: {"right_ventral"}}


def test_the_half_axes_are_those_of_the_mask():
    cord = cylinder(6.5, 4.0, voxel=0.25)
    cord_mm = apply_affine(cord.affine, np.argwhere(cord.data))
    assert measure_half_axes(cord_mm, LINE) == pytest.approx((6.5, 4.0), abs=0.1)
