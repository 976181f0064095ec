import numpy as np
import pytest

from sct_rootlets.centerline import fit_centerline
from sct_rootlets.cord_profile import Moments, compare_numberings, load_profile, measure_moments

GRID, MEAN, COVARIANCE = load_profile()


def test_moments_are_those_of_an_ellipse():
    spacing, half_right, half_anterior = 0.25, 6.0, 4.0
    x, y, _ = np.meshgrid(np.arange(-10, 10.1, spacing), np.arange(-8, 8.1, spacing), np.arange(0, 40, spacing),
                          indexing="ij")  # fmt: skip
    mask = (x / half_right) ** 2 + (y / half_anterior) ** 2 < 1
    affine = np.diag([spacing] * 3 + [1.0])
    affine[:3, 3] = [-10, -8, 0]
    line = fit_centerline(mask, affine)
    moments = measure_moments(mask, affine, line, 39)
    inner = slice(5, -5)
    assert moments.volume[inner] == pytest.approx(np.pi * half_right * half_anterior, rel=0.02)  # of cells of 1 mm
    assert np.sqrt(moments.right / moments.volume)[inner] == pytest.approx(half_right / 2, rel=0.02)
    assert np.sqrt(moments.anterior / moments.volume)[inner] == pytest.approx(half_anterior / 2, rel=0.02)


def cord_of(coordinate, log_area, log_ratio):
    """Moments of a cord with given logarithms of area and of RL over AP diameter at vertebral coordinates."""
    area, ratio = np.exp(log_area), np.exp(log_ratio)
    return Moments(area, area * ratio, area / ratio)


def person(rng, coordinate, whole=0.0):
    deviation = np.linalg.cholesky(COVARIANCE + 1e-6 * np.eye(len(COVARIANCE))) @ rng.standard_normal(len(COVARIANCE))
    area, ratio = MEAN + deviation.reshape(MEAN.shape)
    return cord_of(coordinate, np.interp(coordinate, GRID, area + whole), np.interp(coordinate, GRID, ratio))


@pytest.mark.parametrize(("first", "last"), [(2.0, 10.0), (4.0, 10.0), (2.0, 8.5)])
def test_the_thickness_of_a_cord_tells_its_number(first, last):
    coordinate = np.arange(first, last, 1 / 17)
    rng = np.random.default_rng(0)
    right = 0
    for _ in range(20):
        cord = person(rng, coordinate, whole=0.1)  # a mask that is 10 % too large as a whole does not matter
        right += int(compare_numberings(cord, [coordinate + shift for shift in (-2, -1, 0, 1, 2)]).argmax() == 2)
    assert right >= 18


def test_nothing_measured_says_nothing():
    empty = Moments(np.zeros(30), np.zeros(30), np.zeros(30))
    assert compare_numberings(empty, [np.linspace(3, 5, 30)]) == 0
    assert compare_numberings(Moments(np.ones(5), np.ones(5), np.ones(5)), [np.linspace(3, 3.3, 5)]) == 0


def test_a_cord_unlike_those_of_healthy_adults_says_less():
    """One that swells and thins as no person's cord does, wherever it lies."""
    coordinate = np.arange(2.0, 10.0, 1 / 17)
    shifts = [coordinate + shift for shift in (-1, 0, 1)]
    usual = person(np.random.default_rng(1), coordinate)
    waves = np.exp(0.4 * np.sin(5 * coordinate))
    strange = Moments(usual.volume * waves, usual.right * waves, usual.anterior)
    one, other = (compare_numberings(cord, shifts) for cord in (usual, strange))
    assert np.ptp(other) < 0.7 * np.ptp(one)


def test_adults_widen_to_c6_and_thin_to_t2():
    area = np.exp(MEAN[0])
    assert 4 < GRID[area[GRID > 3].argmax() + np.count_nonzero(GRID <= 3)] < 6
    assert area[GRID == 9][0] == pytest.approx(44, abs=2)  # mm², T1/T2: Valošek 2024
    assert area[GRID == 5][0] == pytest.approx(77, abs=2)
