import numpy as np
import pytest

from sct_rootlets.segmentation.vertebral_path import SHIFTS, USUAL_LENGTH_MM, find_paths

BINS = (np.arange(52) + 0.5) / 4


def true_path(arc, first, scale=1.0):
    """Coordinate along usual vertebrae of a person's scale, from a first coordinate on."""
    borders = scale * np.concatenate([[0], np.cumsum(USUAL_LENGTH_MM)])
    start = np.interp(first, np.arange(len(borders)), borders)
    return np.interp(arc + start, borders, np.arange(len(borders)))


def seen(coordinate, rng=None, twin=None):
    """Log-probabilities as of a network; a twin is another numbering with that much less log-probability."""
    log = -0.5 * ((coordinate[:, None] - BINS) / 0.2) ** 2
    if twin is not None:
        shift, less = twin
        log = np.logaddexp(log, -0.5 * ((coordinate[:, None] + shift - BINS) / 0.2) ** 2 - less)
    log = np.logaddexp(log, np.log(1e-3))
    if rng is not None:
        log = log + 0.3 * rng.standard_normal(log.shape)
    return log - np.logaddexp.reduce(log, axis=1, keepdims=True)


def best(paths):
    return max(paths, key=lambda path: path.log_evidence)


@pytest.mark.parametrize(("first", "length", "scale"), [(1.0, 200, 1.0), (3.4, 130, 0.85), (5.2, 90, 1.15)])
def test_discs_are_found_where_they_are(first, length, scale):
    arc = np.arange(1.0, length, 2.0)
    truth = true_path(arc, first, scale)
    path = best(find_paths(arc, seen(truth, np.random.default_rng(0)), BINS))
    assert path.shift == 0
    assert np.abs(path.coordinate - truth).max() < 0.12  # 2 mm of a vertebra
    assert (np.diff(path.coordinate) > 0).all()
    assert path.sd.max() < 0.2


def test_numbers_that_look_alike_have_like_evidence():
    arc = np.arange(1.0, 90.0, 2.0)
    truth = true_path(arc, 4.0)
    paths = {path.shift: path for path in find_paths(arc, seen(truth, twin=(1.0, 0.0)), BINS)}
    equal = sorted((path.log_evidence for path in paths.values()), reverse=True)
    assert equal[0] - equal[1] < 1.5
    assert equal[1] - equal[2] > 4


def test_every_numbering_within_the_states_has_its_path():
    arc = np.arange(1.0, 60.0, 2.0)
    paths = find_paths(arc, seen(true_path(arc, 5.0)), BINS)
    assert [path.shift for path in paths] == list(SHIFTS)
    middle = {path.shift: path.coordinate[15] for path in paths}
    for shift in SHIFTS:
        assert middle[shift] - middle[0] == pytest.approx(shift, abs=0.5)


def test_a_path_goes_on_beyond_its_ends_as_it_ended():
    arc = np.arange(1.0, 100.0, 2.0)
    path = best(find_paths(arc, seen(true_path(arc, 3.0)), BINS))
    longer = path.at(arc, np.array([-9.0, 50.0, 109.0]))
    slope = (path.coordinate[10] - path.coordinate[0]) / 20
    assert longer.coordinate[0] == pytest.approx(path.coordinate[0] - 10 * slope)
    assert longer.coordinate[1] == pytest.approx(np.interp(50, arc, path.coordinate))
    assert longer.coordinate[2] > path.coordinate[-1]
