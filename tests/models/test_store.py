import shutil
from pathlib import Path

import pytest

from sct_rootlets.errors import ModelError
from sct_rootlets.models.manifest import BUNDLED
from sct_rootlets.models.store import find_by_name, find_model, model_table, verify_models
from sct_rootlets.models.weights import bundled_weights


def test_the_bundled_model_is_the_default(models):
    assert find_model(None) == find_model(BUNDLED) == find_by_name(BUNDLED) == bundled_weights()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("rootletseg-r20250318", "is not installed; install it with: sct_rootlets models install rootletseg-r20250318"),
        ("rootletseg", "rootletseg is neither an installed model nor a folder; see: sct_rootlets models list"),
        ("a.zip", "a.zip is a file; install it: sct_rootlets models install <name> -custom-url a.zip"),
    ],
)
def test_models_that_are_not_there(one_model, tmp_path, monkeypatch, model, message):
    monkeypatch.chdir(tmp_path)
    Path("a.zip").touch()
    with pytest.raises(ModelError, match=message):
        find_model(model)


def test_a_name_takes_precedence_over_a_folder(one_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(one_model / "ours" / "f00", tmp_path / "ours")
    assert find_model("ours").folder == one_model / "ours" / "f00"
    assert find_model("./ours").folder == Path("ours")


def test_a_changed_model_is_not_used(one_model):
    (one_model / "ours" / "f00" / "nnUNetTrainer__x" / "fold_0" / "debug.json").unlink()
    with pytest.raises(ModelError, match=r"ours is not as it was installed: .*debug\.json is missing; run: "):
        find_model("ours")


def test_verifying_names_every_model_that_has_changed(one_model, install_by_hand):
    install_by_hand(one_model, "theirs", "r0")
    assert [weights.name for weights in verify_models()] == [bundled_weights().name, "ours", "theirs"]
    for name in ("ours", "theirs"):
        for path in (one_model / name / "f00").rglob("*.json"):
            if path.name != "source.json":
                path.write_text("other")
    with pytest.raises(ModelError, match=r"^ours in .* has changed \(and 1 more\); .*; theirs in .* again$"):
        verify_models()
    with pytest.raises(ModelError, match=r"^theirs in .*; install it again$"):
        verify_models("theirs")


def test_the_table_gives_the_state_of_each_model(one_model, install_by_hand):
    install_by_hand(one_model, "theirs", "r0")
    (one_model / "theirs" / "current.json").write_text("{")
    rows = {line.split()[0]: line.split() for line in model_table() if line}
    assert rows["bundled"][1:3] == [bundled_weights().version, "yes"]
    assert rows["rootletseg-r20250318"][1:3] == ["r20250318", "no"]
    assert rows["ours"][1:] == ["r1", "yes"]
    assert rows["theirs"][1:] == ["damaged"]
