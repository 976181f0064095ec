"""Cross-sections of cords that are straight elliptic cylinders, whose radii are known."""

import numpy as np
import pytest
from cylinders import ARC, SPACE, cylinder, ellipse

from sct_rootlets.image import Volume
from sct_rootlets.registration.sections import N_ANGLES, angles, measure_sections


def test_radii_are_those_of_the_ellipse_and_areas_are_kept():
    found = measure_sections(cylinder(6.5, 4.0), SPACE, ARC).radius[10:50]
    expected = np.broadcast_to(ellipse(6.5, 4.0, angles()), found.shape)
    np.testing.assert_allclose(found, expected, atol=0.3)  # half a voxel, across it
    area = (found**2).mean(axis=1) * np.pi
    np.testing.assert_allclose(area, np.pi * 6.5 * 4.0, rtol=0.02)


def test_the_ends_and_gaps_of_a_mask_are_unknown():
    mask = cylinder(6.0, 4.5)
    mask.data[:, :, 40:60] = False  # 10 mm, by a lesion
    known = np.isfinite(measure_sections(mask, SPACE, ARC).radius).all(axis=1)
    assert not known[:3].any()
    assert not known[-3:].any()
    assert not known[31:40].any()
    assert known[5:28].all()
    assert known[43:55].all()


def test_where_the_cord_leaves_the_field_of_view_its_radius_is_unknown():
    mask = cylinder(6.0, 4.5)
    cut = Volume(mask.data[20:], mask.affine.copy(), "cut")
    cut.affine[0, 3] += 20 * 0.5  # the field of view ends 5 mm to the left of the middle
    found = measure_sections(cut, SPACE, ARC).radius[30]
    assert np.isnan(found[N_ANGLES // 2])  # to the left
    assert found[0] == pytest.approx(6.0, abs=0.2)
