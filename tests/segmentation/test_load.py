"""Which weights run: those that the manifest lists, and the hashes of what was loaded."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("dynamic_network_architectures", reason="dynamic_network_architectures is not installed")

from published import write_model

from sct_rootlets import distribution
from sct_rootlets.cli.deepseg import main
from sct_rootlets.distribution import requirement
from sct_rootlets.models.manifest import BUNDLED_FOLDER
from sct_rootlets.segmentation import load
from sct_rootlets.sidecar import sha256_of

PACKAGE = Path(load.__file__).parents[1]
REMEDY = "install sct_rootlets again: python -m pip install --force-reinstall --no-deps "
TRAINER = "nnUNetTrainer__nnUNetPlans__3d_fullres"


def flip_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """A copy of the bundled model, which is loaded in its place."""
    folder = shutil.copytree(BUNDLED_FOLDER, tmp_path / "bundle")
    monkeypatch.setattr(load, "BUNDLED_FOLDER", folder)
    return folder


@pytest.mark.parametrize("network", ["overview", "names", "rootlets"])
@pytest.mark.parametrize("name", ["plans.json", "dataset.json", "fold_0/checkpoint_final.pth"])
def test_a_flipped_bit_is_an_error(bundle, phantom_files, tmp_path, capsys, network, name):
    path = bundle / network / TRAINER / name
    flip_bit(path)
    output = tmp_path / "out.nii.gz"
    assert main(["rootlets", "-i", str(phantom_files["image"]), "-o", str(output)]) == 1
    assert capsys.readouterr().err == (
        f"sct_deepseg rootlets: error: {path} is damaged (its SHA-256 differs); {REMEDY}{requirement()}\n"
    )
    assert not output.exists()


def test_a_file_that_is_missing_or_was_added_is_an_error(bundle, phantom_files, capsys):
    heads = bundle / "rootlets" / TRAINER / "heads.json"
    content = heads.read_bytes()
    heads.unlink()
    assert main(["rootlets", "-i", str(phantom_files["image"])]) == 1
    assert f"{heads} is missing; {REMEDY}" in capsys.readouterr().err
    heads.write_bytes(content)
    shutil.copytree(heads.parent / "fold_0", heads.parent / "fold_1")
    assert main(["rootlets", "-i", str(phantom_files["image"])]) == 1
    assert f"fold_1/checkpoint_final.pth is damaged (its SHA-256 differs); {REMEDY}" in capsys.readouterr().err


def test_a_flipped_bit_as_a_process(phantom_files, tmp_path, monkeypatch):
    monkeypatch.setattr(distribution, "_FOLDER", tmp_path)
    package = shutil.copytree(PACKAGE, tmp_path / "sct_rootlets", ignore=shutil.ignore_patterns("__pycache__"))
    path = package / "data" / "models" / "names" / TRAINER / "fold_0" / "checkpoint_final.pth"
    flip_bit(path)
    command = [sys.executable, "-m", "sct_rootlets.cli.deepseg", "rootlets", "-i", str(phantom_files["image"])]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == f"sct_deepseg rootlets: error: {path} is damaged (its SHA-256 differs); {REMEDY}{requirement()}\n"
    )


def test_the_sidecar_has_the_hashes_of_what_was_loaded(phantom_files, tmp_path):
    assert main(["rootlets", "-i", str(phantom_files["image"]), "-o", str(tmp_path / "a.nii.gz"), "-v", "0"]) == 0
    hashes = json.loads((tmp_path / "a.json").read_text())["Model"]["SHA256"]
    assert len(hashes) == 11
    assert hashes == {name: sha256_of(BUNDLED_FOLDER / name) for name in hashes}


def test_the_hashes_are_of_the_bytes_that_were_read_and_not_of_a_record(tmp_path, monkeypatch):
    """A folder of the user's that changes after it was found: what ran is described."""
    trainer = write_model(tmp_path, seed=1)
    find_model = load.find_model

    def find_and_replace(model):
        found = find_model(model)
        write_model(tmp_path, seed=2)
        return found

    before = sha256_of(trainer / "fold_0" / "checkpoint_final.pth")
    monkeypatch.setattr(load, "find_model", find_and_replace)
    with pytest.raises(load.ModelError, match=r"checkpoint_final\.pth is damaged \(its SHA-256 differs\); install the"):
        load.load_segmenter(trainer)
    monkeypatch.undo()
    described = load.load_segmenter(trainer).weights.describe()
    after = sha256_of(trainer / "fold_0" / "checkpoint_final.pth")
    assert before != after == described["SHA256"]["fold_0/checkpoint_final.pth"]
    assert len(described["CordAndRoots"]["SHA256"]) == 11


def test_a_model_of_best_checkpoints_is_noted(phantom_files, tmp_path, capsys):
    trainer = write_model(tmp_path)
    (trainer / "fold_0" / "checkpoint_final.pth").rename(trainer / "fold_0" / "checkpoint_best.pth")
    image, output = str(phantom_files["image"]), tmp_path / "a.nii.gz"
    assert main(["rootlets_cord", "-i", image, "-model", str(trainer), "-o", str(output)]) == 0
    note = f"the model {trainer.name} has no checkpoint_final.pth: its checkpoint_best.pth is used"
    assert f"note: {note}" in capsys.readouterr().out
    assert any(text.startswith(note) for text in json.loads((tmp_path / "a_seg.json").read_text())["Notes"])
