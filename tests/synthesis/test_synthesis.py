from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from sct_rootlets.levels import ROOTS  # noqa: E402
from sct_rootlets.synthesis.random_anatomy import random_anatomy  # noqa: E402
from sct_rootlets.synthesis.synthesis import _cord_coordinates, synthesize  # noqa: E402

SHAPE, SPACING = (40, 40, 40), (1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def anatomy():
    return random_anatomy(np.random.default_rng(3))


def scan_of(anatomy, contrast="T2w", value=5, seed=0):
    arc = np.mean([filum.path[0, 0] for filum in anatomy.fila if filum.value == value])
    centre = tuple(anatomy.centerline.position(arc)[0])
    return synthesize(anatomy, contrast, SHAPE, SPACING, centre, np.random.default_rng(seed)), np.array(centre)


def world(index, centre):
    return (np.asarray(index) - (np.array(SHAPE) - 1) / 2) * SPACING + centre


def test_coordinates_of_the_cord_are_its_projection(anatomy):
    middle = anatomy.centerline.position(80.0)[0]
    axes = [torch.linspace(-12, 12, 9) + float(centre) for centre in middle]
    arc, right, anterior = _cord_coordinates(anatomy, axes)
    points = np.stack(np.meshgrid(*(axis.numpy() for axis in axes), indexing="ij"), axis=-1).reshape(-1, 3)
    expected = anatomy.centerline.project(points)
    np.testing.assert_allclose(arc.numpy().ravel(), expected.arc, atol=0.1)
    across = np.hypot(right.numpy(), anterior.numpy()).ravel()
    np.testing.assert_allclose(across, expected.distance, atol=0.1)


def test_labels_lie_where_the_anatomy_has_them(anatomy):
    scan, centre = scan_of(anatomy)
    found = np.argwhere(scan.levels.numpy() > 0)
    assert len(found) > 30
    samples = {}
    for filum in anatomy.fila:
        _, right, anterior = anatomy.centerline.frame(filum.path[:, 0])
        points = anatomy.centerline.position(filum.path[:, 0])
        points = points + filum.path[:, 1:2] * right + filum.path[:, 2:3] * anterior
        dense = np.concatenate([np.linspace(a, b, 40) for a, b in pairwise(points)])
        samples.setdefault((filum.value, 1 + ROOTS.index(filum.root)), []).append(dense)
    for index in found:
        key = int(scan.levels[tuple(index)]), int(scan.roots[tuple(index)])
        distance = np.linalg.norm(np.concatenate(samples[key]) - world(index, centre), axis=1).min()
        assert distance < 1.3  # half a voxel's diagonal and the radius of a filum


def test_cord_has_the_size_of_the_anatomy(anatomy):
    scan, _ = scan_of(anatomy)
    area = scan.cord.sum(dim=(0, 1)).float()
    ellipse = np.pi * anatomy.half_width_mm * anatomy.half_depth_mm
    assert (area > 0.9 * ellipse).all()
    assert (area < 1.8 * ellipse).all()  # the enlargement, and an oblique cut
    assert not ((scan.cord > 0) & (scan.levels > 0)).any()


@pytest.mark.parametrize("contrast", ["T2w", "INV1", "INV2", "UNIT1", "random"])
def test_every_contrast_is_finite_and_repeatable(anatomy, contrast):
    one, two = (scan_of(anatomy, contrast)[0] for _ in range(2))
    assert torch.isfinite(one.image).all()
    assert torch.equal(one.image, two.image)
    assert not torch.equal(one.image, scan_of(anatomy, contrast, seed=1)[0].image)


def test_fluid_is_brighter_than_the_cord_in_t2w(anatomy):
    scan, _ = scan_of(anatomy)
    cord = scan.image[scan.cord > 0].median()
    around = torch.nn.functional.max_pool3d(scan.cord[None, None].float(), 5, 1, 2)[0, 0] > 0
    ring = scan.image[around & (scan.cord == 0) & (scan.levels == 0)]
    assert ring.quantile(0.9) > 1.3 * cord
