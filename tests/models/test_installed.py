import os
from pathlib import Path

import pytest

from sct_rootlets.errors import ModelError
from sct_rootlets.models.installed import FOLDERS_VARIABLE, find_installed, installed_names, model_folders


def test_folders_are_those_of_the_variable(monkeypatch, tmp_path):
    monkeypatch.setenv(FOLDERS_VARIABLE, os.pathsep.join(["~/models", "", str(tmp_path)]))
    assert model_folders() == [Path.home() / "models", tmp_path]
    monkeypatch.delenv(FOLDERS_VARIABLE)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (own,) = model_folders()
    assert own.parts[-2:] == ("sct_rootlets", "models")


def test_the_first_folder_takes_precedence(one_model, tmp_path, monkeypatch, install_by_hand):
    install_by_hand(tmp_path / "shared", "ours", "r0")
    install_by_hand(tmp_path / "shared", "theirs", "r0")
    folders = [one_model, tmp_path / "shared", tmp_path / "none"]
    monkeypatch.setenv(FOLDERS_VARIABLE, os.pathsep.join(map(str, folders)))
    assert (find_installed("ours").version, find_installed("theirs").version) == ("r1", "r0")
    assert installed_names() == ["ours", "theirs"]


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"folder": "../../elsewhere"}', '{"folder": "none"}', '{"folder": 1}']
)
def test_damaged_pointers(one_model, content):
    (one_model / "ours" / "current.json").write_text(content)
    with pytest.raises(ModelError, match=r"ours in .* (is damaged|cannot be read .*); install it again"):
        find_installed("ours")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"version": 1, "files": []}'])
def test_damaged_records(one_model, content):
    (one_model / "ours" / "f00" / "source.json").write_text(content)
    with pytest.raises(ModelError, match="is damaged; install it again"):
        find_installed("ours")
