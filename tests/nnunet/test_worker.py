import subprocess
import sys

import pytest

from sct_rootlets.errors import DatasetError
from sct_rootlets.nnunet import worker
from sct_rootlets.nnunet.dataset import NAME
from sct_rootlets.nnunet.worker import adopt_plans


def test_a_fold_is_trained_by_one_process_at_a_time(tmp_path, monkeypatch):
    """A worker outlives a command that was killed: the same command again does not write into the same files."""
    pytest.importorskip("fcntl", reason="there are no such locks here")
    monkeypatch.setenv("nnUNet_results", str(tmp_path))
    trained = []
    monkeypatch.setattr(worker, "_train", lambda settings: trained.append(settings["fold"]))
    worker.train({"fold": 1})
    path = tmp_path / NAME / ".fold_1.lock"
    hold = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print('held'); input()"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", hold, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DatasetError, match="fold 1 is being trained by another process"):
            worker.train({"fold": 1})
        worker.train({"fold": 0})
        other.communicate("\n")
    worker.train({"fold": 1})
    assert trained == [1, 0, 1]


def test_plans_of_another_model_are_taken_over():
    own = {"dataset_name": "mine", "transpose_forward": [1, 0, 2], "transpose_backward": [1, 0, 2],
           "configurations": {"2d": {}, "3d_fullres": {"patch_size": [9], "spacing": [3], "data_identifier": "x"}},
    }  # fmt: skip
    like = {"dataset_name": "theirs", "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2],
            "configurations": {"3d_fullres": {"patch_size": [64], "spacing": [0.8], "architecture": {}}}}  # fmt: skip
    assert adopt_plans(own, like) == {
        "dataset_name": "mine",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {
            "3d_fullres": {"patch_size": [64], "spacing": [0.8], "architecture": {}, "data_identifier": "x"}
        },
    }
