from dataclasses import fields

import numpy as np
import pytest

from sct_rootlets.synthesis.random_anatomy import (
    HELD_OUT_RANGES,
    TRAINING_RANGES,
    AnatomyRanges,
    random_anatomy,
    random_course,
)


def attachment(anatomy):
    """Mean arc length at which the fila of each level attach."""
    return {
        value: np.mean([filum.path[0, 0] for filum in anatomy.fila if filum.value == value])
        for value in {filum.value for filum in anatomy.fila}
    }


def still(**changes):
    """Ranges without chance: every range at its lower end, unless changed."""
    quiet = {
        "scale": (1, 1),
        "drift_mm": (0, 0),
        "level_jitter_mm": (0, 0),
        "asymmetry_mm": (0, 0),
        "missing_root": (0, 0),
        "missing_filum": (0, 0),
        "fila_dorsal": (6, 6),
        "fila_ventral": (6, 6),
    }
    return AnatomyRanges(**quiet | changes)


def test_the_same_state_draws_the_same_anatomy():
    one, two = (random_anatomy(np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one.centerline.points, two.centerline.points)
    assert len(one.fila) == len(two.fila)
    np.testing.assert_array_equal(one.fila[-1].path, two.fila[-1].path)


def test_levels_have_the_published_bias_on_average():
    bias = []
    for seed in range(60):
        anatomy = random_anatomy(np.random.default_rng(seed), still())
        middle = attachment(anatomy)
        bias.append([(anatomy.discs[v] + anatomy.discs[v + 1]) / 2 - middle[v + 1] for v in range(2, 9)])
    np.testing.assert_allclose(np.mean(bias, axis=0), [0.0, 0.9, 3.6, 4.6, 4.8, 5.4, 8.15], atol=0.15)


def test_drift_moves_rootlets_against_vertebrae():
    for drift in (-5.0, 5.0):
        here, there = (random_anatomy(np.random.default_rng(1), still(drift_mm=(mm, mm))) for mm in (0.0, drift))
        assert here.discs == there.discs
        moved = [attachment(there)[value] - attachment(here)[value] for value in range(2, 10)]
        np.testing.assert_allclose(moved, drift, atol=1e-9)


def test_roots_can_be_missing():
    anatomy = random_anatomy(np.random.default_rng(0), still(missing_root=(0.5, 0.5)))
    assert 4 < len({(filum.value, filum.root) for filum in anatomy.fila}) < 28


def test_fila_begin_on_the_cord_and_end_at_the_dura():
    anatomy = random_anatomy(np.random.default_rng(5))
    half, canal = (anatomy.half_width_mm, anatomy.half_depth_mm), anatomy.canal_half_axes_mm
    for filum in anatomy.fila:
        begin, end = filum.path[0, 1:] / anatomy.relative_size(filum.path[0, 0]), filum.path[-1, 1:]
        assert np.hypot(begin[0] / half[0], begin[1] / half[1]) == pytest.approx(1, abs=0.2)
        assert np.hypot(end[0] / canal[0], end[1] / canal[1]) == pytest.approx(1, abs=0.25)
        assert (filum.path[:, 1] > 0).all() == filum.root.startswith("right")


def test_courses_keep_unit_speed():
    line = random_course(np.random.default_rng(0), 180, 10, 25, 3)
    np.testing.assert_allclose(np.diff(line.arc), 0.5, rtol=2e-3)


def test_the_held_out_population_is_another_one():
    for field in fields(AnatomyRanges):
        assert getattr(TRAINING_RANGES, field.name) != getattr(HELD_OUT_RANGES, field.name), field.name


def test_cords_are_as_thick_as_those_of_people():
    """Valošek 2024 (doi 10.1162/imag_a_00075): widest at C4/C5 to C5/C6, and 0.6 of its greatest area at T1 to T2."""
    anatomies = [random_anatomy(np.random.default_rng(seed)) for seed in range(60)]
    widths, areas = [], []
    for anatomy in anatomies:
        places = np.interp(np.arange(2, 10.1, 0.5), list(anatomy.discs), list(anatomy.discs.values()))
        wide, deep = anatomy.relative_size(places)
        widths.append(wide)
        areas.append(wide * deep)
    width, area = np.mean(widths, axis=0), np.mean(areas, axis=0)
    assert 5 <= np.arange(2, 10.1, 0.5)[width.argmax()] <= 6
    assert width.max() == pytest.approx(1.07, abs=0.03)
    assert area[-2] / area.max() == pytest.approx(0.6, abs=0.07)
