import json
import os
import shutil
from pathlib import Path

import pytest

from sct_rootlets.errors import ModelError
from sct_rootlets.models import weights
from sct_rootlets.models.files import sha256_of
from sct_rootlets.models.installed import installed_names, model_folders
from sct_rootlets.models.manifest import BUNDLED, FOLDER
from sct_rootlets.models.store import find_model
from sct_rootlets.models.weights import bundled, catalogue, changed_files


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A folder with one model, installed by hand; nothing but text, as nothing is run."""
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path / "models"))
    install_by_hand(tmp_path / "models", "ours", "r1")
    return tmp_path / "models"


def install_by_hand(folder, name, version):
    inner = folder / name / "f00"
    fold = inner / "nnUNetTrainer__x" / "fold_0"
    fold.mkdir(parents=True)
    for path in (fold / "checkpoint_final.pth", fold.parent / "plans.json", fold / "debug.json"):
        path.write_text(f"{version} {path.name}")
    files = {path.relative_to(inner).as_posix(): sha256_of(path) for path in inner.rglob("*") if path.is_file()}
    record = {"version": version, "files": files, "model_urls": "https://example.org/x.zip", "sha256": "5" * 64}
    (inner / "source.json").write_text(json.dumps(record))
    (folder / name / "current.json").write_text(json.dumps({"folder": "f00"}))


def test_the_catalogue_says_what_there_is():
    releases = catalogue()
    assert list(releases) == [BUNDLED, "rootletseg-r20250318", "rootletseg-r20240730"]
    assert releases[BUNDLED].version == bundled().version
    for release in list(releases.values())[1:]:
        assert release.version in release.name
        assert all(url.startswith("https://") and f"/{release.version}/" in url for url in release.mirrors)
    assert all(one.licence and one.citation and one.contrasts and one.levels for one in releases.values())


def test_the_bundled_model_is_as_it_was_packed():
    assert bundled().folder == FOLDER
    assert len(bundled().files) >= 9
    assert changed_files(bundled()) == []
    assert find_model(None) == find_model(BUNDLED) == bundled()


def test_folders_are_those_of_the_variable(monkeypatch, tmp_path):
    monkeypatch.setenv(weights.VARIABLE, os.pathsep.join(["~/models", "", str(tmp_path)]))
    assert model_folders() == [Path.home() / "models", tmp_path]
    monkeypatch.delenv(weights.VARIABLE)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (own,) = model_folders()
    assert own.parts[-2:] == ("sct_rootlets", "models")


def test_the_first_folder_goes_first(models, tmp_path, monkeypatch):
    install_by_hand(tmp_path / "shared", "ours", "r0")
    install_by_hand(tmp_path / "shared", "theirs", "r0")
    monkeypatch.setenv(weights.VARIABLE, os.pathsep.join(map(str, [models, tmp_path / "shared", tmp_path / "none"])))
    assert (find_model("ours").version, find_model("theirs").version) == ("r1", "r0")
    assert installed_names() == ["ours", "theirs"]


def test_what_a_sidecar_says_of_an_installed_model(models):
    described = find_model("ours").describe()
    folder = models / "ours" / "f00"
    read = ["nnUNetTrainer__x/fold_0/checkpoint_final.pth", "nnUNetTrainer__x/plans.json"]
    assert (described["Name"], described["Version"], described["ArchiveSHA256"]) == ("ours", "r1", "5" * 64)
    assert described["SHA256"] == {name: sha256_of(folder / name) for name in read}
    assert described["Source"] == "https://example.org/x.zip"
    assert described["CordAndRoots"] == bundled().describe()
    assert "CordAndRoots" not in bundled().describe()


def test_where_a_file_lay_is_not_told(models):
    record = models / "ours" / "f00" / "source.json"
    record.write_text(record.read_text().replace("https://example.org", "/home/somebody"))
    assert find_model("ours").describe()["Source"] == "x.zip"


@pytest.mark.parametrize("above", [True, False])
def test_what_a_sidecar_says_of_a_folder(models, above):
    folder = models / "ours" / "f00"
    folder = folder if above else folder / "nnUNetTrainer__x"
    described = find_model(folder).describe()
    prefix = "nnUNetTrainer__x/" if above else ""
    assert (described["Name"], described["Version"]) == (folder.name, None)
    assert set(described["SHA256"]) == {f"{prefix}fold_0/checkpoint_final.pth", f"{prefix}plans.json"}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("rootletseg-r20250318", "is not installed; install it with: sct_rootlets models install rootletseg-r20250318"),
        ("rootletseg", "rootletseg is neither an installed model nor a folder; see: sct_rootlets models list"),
        ("a.zip", "a.zip is a file; install it: sct_rootlets models install <name> -custom-url a.zip"),
    ],
)
def test_models_that_are_not_there(models, tmp_path, monkeypatch, model, message):
    monkeypatch.chdir(tmp_path)
    Path("a.zip").touch()
    with pytest.raises(ModelError, match=message):
        find_model(model)


def test_a_name_goes_before_a_folder(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(models / "ours" / "f00", tmp_path / "ours")
    assert find_model("ours").folder == models / "ours" / "f00"
    assert find_model("./ours").folder == Path("ours")


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"folder": "../../elsewhere"}', '{"folder": "none"}', '{"folder": 1}']
)
def test_damaged_pointers(models, content):
    (models / "ours" / "current.json").write_text(content)
    with pytest.raises(ModelError, match=r"ours in .* (is damaged|cannot be read .*); install it again"):
        find_model("ours")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"version": 1, "files": []}'])
def test_damaged_records(models, content):
    (models / "ours" / "f00" / "source.json").write_text(content)
    with pytest.raises(ModelError, match="is damaged; install it again"):
        find_model("ours")


def test_changes_are_seen(models):
    folder = models / "ours" / "f00" / "nnUNetTrainer__x"
    (folder / "plans.json").write_text("other")
    (folder / "fold_0" / "debug.json").unlink()
    (folder / "heads.json").touch()
    (folder / "notes.txt").touch()  # nothing reads it
    with pytest.raises(ModelError, match=r"ours is not as it was installed: .*debug\.json is missing; run: "):
        find_model("ours")
    found = weights.find_installed("ours")
    assert [change.split("/")[-1] for change in changed_files(found)] == [
        "debug.json is missing",
        "plans.json has changed",
        "heads.json was added",
    ]
