"""Fixtures: a folder of installed models, and one model in it that was installed by hand."""

import json

import pytest

from sct_rootlets.models.installed import FOLDERS_VARIABLE
from sct_rootlets.sidecar import sha256_of


def _install_by_hand(folder, name, version):
    inner = folder / name / "f00"
    fold = inner / "nnUNetTrainer__x" / "fold_0"
    fold.mkdir(parents=True)
    for path in (fold / "checkpoint_final.pth", fold.parent / "plans.json", fold / "debug.json"):
        path.write_text(f"{version} {path.name}")
    files = {path.relative_to(inner).as_posix(): sha256_of(path) for path in inner.rglob("*") if path.is_file()}
    record = {"version": version, "files": files, "model_urls": "https://example.org/x.zip", "sha256": "5" * 64}
    (inner / "source.json").write_text(json.dumps(record))
    (folder / name / "current.json").write_text(json.dumps({"folder": "f00"}))


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The folder of installed models, which does not exist yet."""
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def install_by_hand():
    """Writes the files of an installed model that holds nothing but text, as it is not run."""
    return _install_by_hand


@pytest.fixture
def one_model(models, install_by_hand):
    """The folder of installed models with the model ``ours``."""
    install_by_hand(models, "ours", "r1")
    return models
