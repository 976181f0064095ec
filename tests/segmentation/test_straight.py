from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from sct_rootlets.centerline import Centerline  # noqa: E402
from sct_rootlets.levels import N_NAMES  # noqa: E402
from sct_rootlets.segmentation.straight import (  # noqa: E402
    BEHIND_MM,
    N_COLUMNS,
    N_ROWS,
    N_SLABS,
    PIXEL_MM,
    SLAB_MM,
    VERTEBRA_BINS,
    predict_spine,
    rank_normalize,
    straighten,
)


@pytest.fixture(scope="module")
def line():
    """A cord that leans forward by 30 degrees, head first."""
    along = np.arange(0, 121, 1.0)
    return Centerline.from_points(np.stack([0 * along, along * 0.5, -along * np.sqrt(0.75)], axis=1))


def test_rows_follow_the_cord_and_columns_lead_to_the_front(line):
    """Of a volume that holds mm to anterior of the cord, columns show just that; of mm to the right, slabs do."""
    shape, affine = (40, 90, 90), np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-40, -60, -140]
    points = np.moveaxis(np.indices(shape), 0, -1) * 2.0 + affine[:3, 3]
    place = line.project(points.reshape(-1, 3))
    _, right, anterior = line.frame(place.arc)
    offset = points.reshape(-1, 3) - place.foot
    arc = np.arange(20.0, 100.0, PIXEL_MM)
    ahead = straighten(((offset * anterior).sum(axis=1)).reshape(shape), affine, line, arc)
    assert ahead.shape == (N_SLABS, len(arc), N_COLUMNS)
    expected = -BEHIND_MM + PIXEL_MM * (np.arange(N_COLUMNS) + 0.5)
    known = np.isfinite(ahead)
    assert known.mean() > 0.9
    np.testing.assert_allclose(ahead[known], np.broadcast_to(expected, ahead.shape)[known], atol=0.05)
    aside = straighten(((offset * right).sum(axis=1)).reshape(shape), affine, line, arc)
    np.testing.assert_allclose(aside[:, 20, 20], SLAB_MM * (np.arange(N_SLABS) - 2), atol=0.05)


def test_beyond_the_volume_nothing_is_known(line):
    slabs = straighten(np.ones((10, 10, 10)), np.diag([2.0, 2.0, 2.0, 1.0]), line, np.arange(0.0, 100.0, PIXEL_MM))
    assert np.isnan(slabs).any()
    assert np.nanmax(slabs) == np.nanmin(slabs) == 1
    image = rank_normalize(slabs)
    assert np.isfinite(image).all()
    assert not image[np.isnan(slabs)].any()


def test_brightness_is_evenly_distributed_whatever_the_coil_and_the_fluid():
    """A spine whose fluid is 10 times as bright as all else, under a coil that is e times as sensitive at one end."""
    rng = np.random.default_rng(0)
    tissue = rng.uniform(0, 120, (N_SLABS, 60, N_COLUMNS))
    tissue[:, :, 20:26] = 1000
    image = rank_normalize(tissue)
    image_of_coil = rank_normalize(tissue * np.exp(np.linspace(0, 1, 60))[None, :, None])
    fluid = np.zeros(tissue.shape, dtype=bool)
    fluid[:, :, 20:26] = True
    for one in (image, image_of_coil):
        assert one.mean() == pytest.approx(0, abs=0.1)
        assert one.std() == pytest.approx(1, abs=0.1)
        assert one[fluid].min() > one[~fluid].max() - 0.01
    assert np.corrcoef(image[~fluid], image_of_coil[~fluid])[0, 1] > 0.95
    np.testing.assert_array_equal(rank_normalize(5 * tissue + 300), image)  # brightness as such does not matter


def test_what_is_not_known_stays_out():
    slabs = np.random.default_rng(0).normal(300, 40, (N_SLABS, 40, N_COLUMNS)).astype(np.float32)
    slabs[:, 30:] = np.nan
    image = rank_normalize(slabs)
    assert not image[:, 30:].any()
    assert image[:, :30].std() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("length", [40.0, 120.0, 400.0])
def test_the_network_is_given_as_many_rows_as_in_training(length):
    """Whatever the field of view: its normalisation counts rows, and rows get names in their own order."""
    shapes = []

    def network(tensor):  # a row is the further down, the more of its columns are bright
        shapes.append(tuple(tensor.shape[1:]))
        logits = torch.zeros((len(tensor), N_NAMES + len(VERTEBRA_BINS), *tensor.shape[2:]))
        logits[:, 4] = 9.0 * (tensor[:, :, :, 0].mean(dim=1) > 0)[:, :, None]
        logits[:, N_NAMES + 20] = logits[:, 4]
        return logits

    along = np.arange(0, length + 1, 1.0)
    line = Centerline.from_points(np.stack([0 * along, 0 * along, -along], axis=1))
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-40, -60, -length - 20]
    data = np.random.default_rng(0).uniform(0, 100, (40, 60, int(length / 2) + 20)).astype(np.float32)
    heights = affine[2, 3] + 2.0 * np.arange(data.shape[2])
    marked = (heights // 10) % 2 == 0  # of every other 10 mm, what lies furthest behind is bright
    data[:, :10, marked], data[:, :10, ~marked] = 200, 0
    model = SimpleNamespace(network=network, heads={"vertebrae": slice(N_NAMES, None)})
    spine = predict_spine([model, model], data, affine, line)
    arc, names = spine.arc, spine.names
    assert set(shapes) == {(N_SLABS, N_ROWS, N_COLUMNS)}
    inner = np.abs((-arc) % 10 - 5) < 4  # rows between two borders
    assert ((names.argmax(axis=1) == 4) == ((-arc) // 10 % 2 == 0))[inner].mean() > 0.95
    np.testing.assert_array_equal(spine.vertebrae.argmax(axis=1) == 20, names.argmax(axis=1) == 4)
    np.testing.assert_allclose(np.exp(names).sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(spine.vertebrae).sum(axis=1), 1)
