"""The way of older versions of torch, taken with this one: the same weights come out, and code does not run."""

import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from sct_rootlets.errors import ModelError  # noqa: E402
from sct_rootlets.models.model import load_model  # noqa: E402


@pytest.fixture
def older_torch(monkeypatch):
    if hasattr(torch.serialization, "safe_globals"):
        monkeypatch.delattr(torch.serialization, "safe_globals")


def like_nnunet(weights):
    """What nnU-Net's checkpoints hold beside weights, as far as its kind matters."""
    return {
        "network_weights": OrderedDict(weights),
        "optimizer_state": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.01}]},
        "logging": {"ema_fg_dice": [np.float64(0.5)], "train_losses": [np.float32(-0.25)], "n": np.int64(3)},
        "init_args": {"configuration": "3d_fullres", "device": torch.device("cpu")},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1, 2),
    }


def test_the_same_weights(model_folder, tmp_path, monkeypatch, older_torch):
    path = model_folder / "fold_0" / "checkpoint_final.pth"
    before = torch.load(path, weights_only=True)["network_weights"]
    torch.save(like_nnunet(before), tmp_path / "checkpoint_final.pth")
    for name in ("plans.json", "dataset.json"):
        (tmp_path / name).write_bytes((model_folder / name).read_bytes())
    (tmp_path / "fold_all").mkdir()
    (tmp_path / "checkpoint_final.pth").rename(tmp_path / "fold_all" / "checkpoint_final.pth")
    model = load_model(tmp_path)
    assert model.mirror_axes == (0, 1, 2)
    for name, value in before.items():
        torch.testing.assert_close(model.folds[0][name], value, rtol=0, atol=0)


def test_numbers_of_numpy(tmp_path):
    from sct_rootlets.models import unpickling
    from sct_rootlets.models.checkpoint import numpy_scalar_constructor

    torch.save(like_nnunet({}), tmp_path / "c.pth")
    log = unpickling.load(tmp_path / "c.pth", numpy_scalar_constructor())["logging"]
    assert log == {"ema_fg_dice": [0.5], "train_losses": [-0.25], "n": 3}


class Evil:
    def __init__(self, call, *arguments):
        self.reduced = call, arguments

    def __reduce__(self):
        return self.reduced


def test_code_does_not_run(model_folder, tmp_path, older_torch):
    import codecs
    import shutil

    folder = shutil.copytree(model_folder, tmp_path / "m")
    path = folder / "fold_0" / "checkpoint_final.pth"
    made = tmp_path / "evil"
    ways = [
        lambda: torch.save({"network_weights": Evil(os.mkdir, str(made))}, path),
        lambda: torch.save({"network_weights": Evil(eval, f"__import__('os').mkdir({str(made)!r})")}, path),
        lambda: torch.save({"network_weights": Evil(codecs.encode, "x", "rot13")}, path),
        lambda: torch.save({"network_weights": Evil(os.mkdir, str(made))}, path, _use_new_zipfile_serialization=False),
        lambda: path.write_bytes(pickle.dumps(Evil(os.mkdir, str(made)))),
        lambda: torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), path),
    ]
    for spoil in ways:
        spoil()
        with pytest.raises(ModelError, match="damaged, or holds more than weights"):
            load_model(folder)
        assert not made.exists()
