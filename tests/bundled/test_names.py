from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("dynamic_network_architectures", reason="dynamic_network_architectures is not installed")

from sct_rootlets.bundled.names import (  # noqa: E402
    Straight,
    in_thick_slices,
    random_straight,
    real_straight,
    vertebral_coordinate,
    view,
)
from sct_rootlets.models.model import load_model  # noqa: E402
from sct_rootlets.segmentation.straight import (  # noqa: E402
    N_COLUMNS,
    N_ROWS,
    N_SLABS,
)


def test_rows_are_named_from_head_to_foot():
    slabs, names, vertebrae = random_straight(np.random.default_rng(1))
    assert slabs.shape == (N_SLABS, N_ROWS, N_COLUMNS)
    assert np.isfinite(slabs).all()
    assert (np.diff(names) >= 0).all()
    known = vertebrae[np.isfinite(vertebrae)]
    assert (np.diff(known) > 0).all()
    assert 2 / np.diff(known) == pytest.approx(17, abs=8)  # mm a vertebra
    lengths = np.unique(names, return_counts=True)[1] * 2.0
    assert len(lengths) >= 3
    assert ((lengths[1:-1] > 9) & (lengths[1:-1] < 22)).all()  # mm between neighbouring levels


def test_a_view_shows_a_part_and_its_names():
    """A bright stripe lies the further in front the further down a row is: it and the numbers stay together."""
    names = np.repeat(np.arange(1, 9), 14)
    slabs = np.random.default_rng(0).uniform(0, 1, (N_SLABS, N_ROWS, N_COLUMNS)).astype(np.float32)
    for value in range(1, 9):
        slabs[:, names == value, 4 * value - 1 : 4 * value + 2] = 10
    together = 0
    for seed in range(20):
        example = Straight(slabs, names, np.linspace(1, 9, len(names), dtype=np.float32))
        image, shown, vertebrae = view(example, np.random.default_rng(seed))
        there = shown > 0
        np.testing.assert_array_equal(np.isfinite(vertebrae), there)
        assert np.abs(vertebrae[there] - 0.5 - shown[there]).max() < 0.6
        assert not image[:, ~there].any()
        assert 20 <= there.sum() <= N_ROWS
        stripe = image[:, there].mean(axis=0).argmax(axis=1)
        together += len(set(shown[there])) == 1 or np.corrcoef(stripe, shown[there])[0, 1] > 0.9
    assert together >= 13  # a quarter are of another contrast, in which the stripe need not be bright


@pytest.mark.real_data
def test_real_rows_are_named_by_discs(real_data):
    slabs, names, vertebrae = real_straight(real_data / "errsm", "errsm11")
    assert slabs.shape[1] == len(names) > 80
    assert (np.diff(names) >= 0).all()
    assert set(range(2, 11)) <= set(names)
    assert np.nanmin(vertebrae) < 2
    assert np.nanmax(vertebrae) == pytest.approx(10.5, abs=0.1)  # discs are known down to T2/T3


def test_vertebrae_are_numbered_by_discs():
    discs = {3: 0.0, 4: 16.0, 6: 46.0}
    arc = np.array([-20.0, -19.2, -8.0, 0.0, 8.0, 16.0, 31.0, 46.0, 55.0, 56.0])
    expected = [np.nan, 1.8, 2.5, 3, 3.5, 4, 5, 6, 6.6, np.nan]
    np.testing.assert_allclose(vertebral_coordinate(arc, discs), expected, atol=1e-5)


def test_names_are_learned_and_exported(tmp_path):
    from sct_rootlets.bundled.networks import DEFAULTS
    from sct_rootlets.bundled.train import Training

    settings = replace(DEFAULTS["names"], features=(4, 4, 4, 4, 4), convolutions=(1, 1, 1, 1, 1), fewest=2, batch=4,
                       learning_rate=1e-2)  # fmt: skip
    training = Training(settings)
    losses = [training.train_step() for _ in range(40)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.1
    model = load_model(training.export(tmp_path))
    assert next(iter(model.labels)) == "above_C2"
    assert model.network(torch.zeros((1, N_SLABS, 48, N_COLUMNS))).shape == (1, 11 + 52, 48, N_COLUMNS)


def test_thick_slices_average_rows_and_keep_places():
    rng = np.random.default_rng(0)
    rows = np.arange(60.0)
    slabs = np.broadcast_to(100 + rows[None, :, None], (2, 60, 3)).copy()
    slabs[1, :, 2] = np.nan
    thick = in_thick_slices(slabs, 6.0, rng)
    # A slope stays where it is, up to how much brighter or darker slices are (5 %); what is unknown stays unknown.
    np.testing.assert_allclose(thick[0, 2:-2, 0], slabs[0, 2:-2, 0], rtol=0.2)
    assert abs(np.mean(thick[0, 2:-2, 0] / slabs[0, 2:-2, 0]) - 1) < 0.05
    np.testing.assert_array_equal(np.isnan(thick), np.isnan(slabs))
    stripes = np.broadcast_to(100 + 50 * (-1.0) ** rows[None, :, None], (1, 60, 1))  # 4 mm from bright to bright
    assert np.ptp(in_thick_slices(stripes, 2.0, np.random.default_rng(1))) > 90
    assert np.ptp(in_thick_slices(stripes, 8.0, np.random.default_rng(1))) < 60


def test_a_share_of_views_is_in_thick_slices():
    """From row to row, noise changes less where slices are thick."""
    noise = np.random.default_rng(3).standard_normal((N_SLABS, N_ROWS, N_COLUMNS)).astype(np.float32)
    example = Straight(noise, np.full(N_ROWS, 5), np.linspace(3, 9, N_ROWS).astype(np.float32))
    changes = [
        np.abs(np.diff(view(example, np.random.default_rng(2), thick_share=share).slabs[:, :20], axis=1)).mean()
        for share in (0.0, 1.0)
    ]
    assert changes[1] < 0.8 * changes[0]
