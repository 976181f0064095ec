"""The map between cross-sections of cords that are straight elliptic cylinders, whose radii are known."""

import numpy as np
import pytest
from cylinders import ARC, SPACE, cylinder, ellipse

from sct_rootlets.image import Volume
from sct_rootlets.registration.arcmap import ArcMap
from sct_rootlets.registration.section_map import FADE_DISTANCE_MM, SectionMap, fit_section_map
from sct_rootlets.registration.sections import measure_sections

SAME = ArcMap(np.array([0.0]), np.array([0.0]))


def fitted(template: Volume, subject: Volume, roots=None) -> SectionMap:
    return fit_section_map(measure_sections(template, SPACE, ARC), subject, SPACE, SAME, roots)[0]


def test_the_surface_goes_to_the_surface():
    section_map = fitted(cylinder(5.5, 4.0), cylinder(7.0, 4.4))
    angle = np.linspace(0, 2 * np.pi, 50)
    for share in (0.5, 1.0):
        radius = share * ellipse(5.5, 4.0, angle)
        place = np.column_stack([np.full(50, 30.0), radius * np.cos(angle), radius * np.sin(angle)])
        moved = section_map.to_subject(place)
        np.testing.assert_allclose(np.hypot(*moved.T), share * ellipse(7.0, 4.4, angle), atol=0.2)


def test_a_gap_is_bridged():
    subject = cylinder(7.0, 4.4)
    whole = fitted(cylinder(5.5, 4.0), subject).ratio
    subject.data[:, :, 40:60] = False
    np.testing.assert_allclose(fitted(cylinder(5.5, 4.0), subject).ratio[20:45], whole[20:45], atol=0.02)


def test_the_inverse_is_exact_and_rays_never_fold():
    section_map = fitted(cylinder(5.5, 4.5), cylinder(7.5, 3.0, rotation_deg=12))
    rng = np.random.default_rng(3)
    place = np.column_stack([rng.uniform(-20, 90, 4000), rng.uniform(-30, 30, (4000, 2))])
    back = section_map.to_template(place[:, 0], section_map.to_subject(place))
    np.testing.assert_allclose(back, place[:, 1:], atol=1e-6)
    ray = np.linspace(0.01, 40, 2000)
    for angle in np.linspace(0, 2 * np.pi, 24):
        moved = section_map.to_subject(np.column_stack([0 * ray + 30, ray * np.cos(angle), ray * np.sin(angle)]))
        assert np.diff(np.hypot(*moved.T)).min() > 0.2 * ray[0]
    far = np.array([[30.0, 5.5 + FADE_DISTANCE_MM + 1, 0.0]])
    assert np.hypot(*section_map.to_subject(far)[0]) == pytest.approx(far[0, 1])  # the bones stay as they are


def test_a_rotation_that_roots_and_section_agree_on_is_found():
    roots = np.array([10.0, 20.0, 30.0, 40.0, 50.0]), np.radians(np.full(5, 6.0))
    rotation = np.degrees(fitted(cylinder(6.5, 4.0), cylinder(6.5, 4.0, rotation_deg=6), roots).axial_rotation)
    np.testing.assert_allclose(rotation[15:45], 6.0, atol=1.2)
    alone = np.degrees(fitted(cylinder(6.5, 4.0), cylinder(6.5, 4.0, rotation_deg=6)).axial_rotation)[30]
    assert 0.5 < alone < 3.5  # the section alone counts a little


def test_no_cord_in_common_leaves_the_section_as_it_is():
    away = ArcMap(np.array([0.0]), np.array([500.0]))
    section_map, measured = fit_section_map(measure_sections(cylinder(6, 4), SPACE, ARC), cylinder(7, 5), SPACE, away)
    assert not measured.any()
    place = np.array([[30.0, 3.0, -2.0]])
    np.testing.assert_allclose(section_map.to_subject(place), place[:, 1:], atol=1e-9)
