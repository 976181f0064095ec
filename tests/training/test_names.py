import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("dynamic_network_architectures", reason="dynamic_network_architectures is not installed")

from sct_rootlets.segmentation.model import load_model  # noqa: E402
from sct_rootlets.segmentation.straight import N_COLUMNS, N_SLABS  # noqa: E402
from sct_rootlets.training.names import N_ROWS, main, random_straight, real_straight, view  # noqa: E402


def test_rows_are_named_from_head_to_foot():
    slabs, names = random_straight(np.random.default_rng(1))
    assert slabs.shape == (N_SLABS, N_ROWS, N_COLUMNS)
    assert np.isfinite(slabs).all()
    assert (np.diff(names) >= 0).all()
    lengths = np.unique(names, return_counts=True)[1] * 2.0
    assert len(lengths) >= 3
    assert ((lengths[1:-1] > 9) & (lengths[1:-1] < 22)).all()  # mm between neighbouring levels


def test_a_view_shows_a_part_and_its_names():
    names = np.repeat(np.arange(1, 9), 14)
    slabs = np.broadcast_to(names[None, :, None] * 10.0, (N_SLABS, N_ROWS, N_COLUMNS)).astype(np.float32)
    slabs = slabs + np.random.default_rng(0).normal(0, 0.1, slabs.shape).astype(np.float32)
    for seed in range(10):
        image, shown = view(slabs, names, np.random.default_rng(seed))
        there = shown > 0
        assert not image[:, ~there].any()
        brightness = np.median(image[:, there], axis=(0, 2))
        assert np.corrcoef(brightness, shown[there])[0, 1] > 0.8 or len(set(shown[there])) == 1


@pytest.mark.real_data
def test_real_rows_are_named_by_discs(real_data):
    slabs, names = real_straight(real_data / "errsm", "errsm11")
    assert slabs.shape[1] == len(names) > 80
    assert (np.diff(names) >= 0).all()
    assert set(range(2, 11)) <= set(names)


def test_the_command_writes_a_model_of_names(tmp_path, capsys):
    assert main(["-ofolder", str(tmp_path), "-minutes", "0.01", "-scans", str(tmp_path / "scans.npz")]) == 0
    model = load_model(tmp_path)
    assert next(iter(model.labels)) == "above_C2"
    assert model.network(torch.zeros((1, N_SLABS, 48, N_COLUMNS))).shape == (1, 11, 48, N_COLUMNS)
    again = ["-ofolder", str(tmp_path), "-minutes", "0.001", "-scans", str(tmp_path / "scans.npz")]
    assert main([*again, "-start", str(tmp_path / "checkpoint.pt")]) == 0
