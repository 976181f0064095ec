import os
import pickle

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from sct_rootlets.errors import ModelError  # noqa: E402
from sct_rootlets.models.checkpoint import read_checkpoint  # noqa: E402


class Evil:
    def __reduce__(self):
        return os.mkdir, (os.environ["EVIL_FOLDER"],)


def test_code_in_a_checkpoint_does_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("EVIL_FOLDER", str(tmp_path / "evil"))
    path = tmp_path / "checkpoint_final.pth"
    for in_zip in (True, False):
        if in_zip:
            torch.save({"network_weights": Evil()}, path)
        else:
            path.write_bytes(pickle.dumps(Evil()))
        with pytest.raises(ModelError, match="damaged, or holds more than weights"):
            read_checkpoint(path)
        assert not (tmp_path / "evil").exists()


def test_weights_alone_are_no_checkpoint_of_nnunet(tmp_path):
    torch.save({"network_weights": {}}, tmp_path / "c.pth")
    with pytest.raises(ModelError, match=r"c\.pth lacks init_args: it is not a checkpoint of nnU-Net v2"):
        read_checkpoint(tmp_path / "c.pth")
