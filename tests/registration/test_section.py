"""Cross-sections of cords that are straight elliptic cylinders, whose radii are known."""

import numpy as np
import pytest

from sct_rootlets.centerline import Centerline
from sct_rootlets.image import Volume
from sct_rootlets.registration.arcmap import ArcMap
from sct_rootlets.registration.cordspace import CordSpace
from sct_rootlets.registration.section import (
    FADE_MM,
    N_ANGLES,
    SectionMap,
    angles,
    fit_section_map,
    measure_sections,
)

LENGTH = 60.0
SPACE = CordSpace.along(Centerline.from_points(np.array([[0, 0, -z] for z in np.arange(0, LENGTH + 0.5, 0.5)])))
ARC = np.arange(0, LENGTH + 1)
SAME = ArcMap(np.array([0.0]), np.array([0.0]))


def cylinder(half_width: float, half_depth: float, turn_deg: float = 0.0, voxel: float = 0.5, half: float = 15.0):
    """A straight cord along z, from 0 down to -60 mm."""
    across = np.arange(-half + 0.37 * voxel, half, voxel)  # surfaces and voxels do not coincide
    z = np.arange(-LENGTH + voxel / 2, 0, voxel)
    x, y = np.meshgrid(across, across, indexing="ij")
    turn = np.radians(turn_deg)
    u, v = np.cos(turn) * x + np.sin(turn) * y, -np.sin(turn) * x + np.cos(turn) * y
    section = (u / half_width) ** 2 + (v / half_depth) ** 2 <= 1
    affine = np.diag([voxel, voxel, voxel, 1])
    affine[:3, 3] = across[0], across[0], z[0]
    return Volume(np.repeat(section[:, :, None], len(z), axis=2), affine, "cord")


def ellipse(half_width: float, half_depth: float, angle: np.ndarray) -> np.ndarray:
    return 1 / np.sqrt((np.cos(angle) / half_width) ** 2 + (np.sin(angle) / half_depth) ** 2)


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


def fitted(template: Volume, subject: Volume, roots=None) -> SectionMap:
    return fit_section_map(measure_sections(template, SPACE, ARC), subject, SPACE, SAME, roots)[0]


def test_the_surface_goes_to_the_surface():
    across = fitted(cylinder(5.5, 4.0), cylinder(7.0, 4.4))
    angle = np.linspace(0, 2 * np.pi, 50)
    for share in (0.5, 1.0):
        radius = share * ellipse(5.5, 4.0, angle)
        place = np.column_stack([np.full(50, 30.0), radius * np.cos(angle), radius * np.sin(angle)])
        moved = across.to_subject(place)
        np.testing.assert_allclose(np.hypot(*moved.T), share * ellipse(7.0, 4.4, angle), atol=0.2)


def test_a_gap_is_bridged():
    subject = cylinder(7.0, 4.4)
    whole = fitted(cylinder(5.5, 4.0), subject).ratio
    subject.data[:, :, 40:60] = False
    np.testing.assert_allclose(fitted(cylinder(5.5, 4.0), subject).ratio[20:45], whole[20:45], atol=0.02)


def test_the_inverse_is_exact_and_rays_never_fold():
    across = fitted(cylinder(5.5, 4.5), cylinder(7.5, 3.0, turn_deg=12))
    rng = np.random.default_rng(3)
    place = np.column_stack([rng.uniform(-20, 90, 4000), rng.uniform(-30, 30, (4000, 2))])
    back = across.to_template(place[:, 0], across.to_subject(place))
    np.testing.assert_allclose(back, place[:, 1:], atol=1e-6)
    ray = np.linspace(0.01, 40, 2000)
    for angle in np.linspace(0, 2 * np.pi, 24):
        moved = across.to_subject(np.column_stack([0 * ray + 30, ray * np.cos(angle), ray * np.sin(angle)]))
        assert np.diff(np.hypot(*moved.T)).min() > 0.2 * ray[0]
    far = np.array([[30.0, 5.5 + FADE_MM + 1, 0.0]])
    assert np.hypot(*across.to_subject(far)[0]) == pytest.approx(far[0, 1])  # the bones stay as they are


def test_a_turn_that_roots_and_section_agree_on_is_found():
    roots = np.array([10.0, 20.0, 30.0, 40.0, 50.0]), np.radians(np.full(5, 6.0))
    turn = np.degrees(fitted(cylinder(6.5, 4.0), cylinder(6.5, 4.0, turn_deg=6), roots).turn)
    np.testing.assert_allclose(turn[15:45], 6.0, atol=1.2)
    alone = np.degrees(fitted(cylinder(6.5, 4.0), cylinder(6.5, 4.0, turn_deg=6)).turn)[30]
    assert 0.5 < alone < 3.5  # the section alone is believed a little


def test_no_cord_in_common_leaves_the_section_as_it_is():
    away = ArcMap(np.array([0.0]), np.array([500.0]))
    across, used = fit_section_map(measure_sections(cylinder(6, 4), SPACE, ARC), cylinder(7, 5), SPACE, away)
    assert not used.any()
    place = np.array([[30.0, 3.0, -2.0]])
    np.testing.assert_allclose(across.to_subject(place), place[:, 1:], atol=1e-9)
