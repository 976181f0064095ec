import pytest

from sct_rootlets.models.manifest import BUNDLED_FOLDER
from sct_rootlets.models.store import find_model
from sct_rootlets.models.weights import bundled_weights, weights_in_folder
from sct_rootlets.sidecar import sha256_of


def test_the_bundled_model_is_as_it_was_packed():
    assert bundled_weights().folder == BUNDLED_FOLDER
    assert bundled_weights().is_bundled
    assert len(bundled_weights().files) >= 9
    assert bundled_weights().changed_files() == []


def test_what_a_sidecar_says_of_an_installed_model(one_model):
    described = find_model("ours").describe()
    folder = one_model / "ours" / "f00"
    read = ["nnUNetTrainer__x/fold_0/checkpoint_final.pth", "nnUNetTrainer__x/plans.json"]
    assert (described["Name"], described["Version"], described["ArchiveSHA256"]) == ("ours", "r1", "5" * 64)
    assert described["SHA256"] == {name: sha256_of(folder / name) for name in read}
    assert described["Source"] == "https://example.org/x.zip"
    assert described["CordAndRoots"] == bundled_weights().describe()
    assert "CordAndRoots" not in bundled_weights().describe()


def test_the_folder_of_a_local_file_is_not_told(one_model):
    record = one_model / "ours" / "f00" / "source.json"
    record.write_text(record.read_text().replace("https://example.org", "/home/somebody"))
    assert find_model("ours").describe()["Source"] == "x.zip"


@pytest.mark.parametrize("above", [True, False])
def test_what_a_sidecar_says_of_a_folder(one_model, above):
    folder = one_model / "ours" / "f00"
    folder = folder if above else folder / "nnUNetTrainer__x"
    described = weights_in_folder(folder).describe()
    prefix = "nnUNetTrainer__x/" if above else ""
    assert (described["Name"], described["Version"]) == (folder.name, None)
    assert set(described["SHA256"]) == {f"{prefix}fold_0/checkpoint_final.pth", f"{prefix}plans.json"}
