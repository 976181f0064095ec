import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from sct_rootlets.bundled.export import write_model_folder  # noqa: E402
from sct_rootlets.errors import ModelError  # noqa: E402
from sct_rootlets.models.architecture import build_network, plain_unet  # noqa: E402
from sct_rootlets.models.catalogue import Release  # noqa: E402
from sct_rootlets.models.install import install  # noqa: E402
from sct_rootlets.models.model import load_model  # noqa: E402
from sct_rootlets.nnunet.dataset import NAME, dataset_json  # noqa: E402
from sct_rootlets.nnunet.release import TRAINER, export  # noqa: E402
from sct_rootlets.nnunet.train import results_folder  # noqa: E402
from sct_rootlets.sidecar import sha256_of  # noqa: E402

SOURCES = "case\tside\tcontrast\tlevels\na\ttrain\tT2w\t3 4\nb\ttrain\tINV1\t4 5\nc\ttest\tUNIT1\t2 3\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """What a training leaves behind: two folds, with optimizers, logs, and the trainer's own name."""
    folder = tmp_path_factory.mktemp("training")
    labels = {name: value for name, value in dataset_json(2, 5)["labels"].items() if value}
    architecture = plain_unet((4, 8), convolutions=(1, 1))
    for fold in (0, 1):
        torch.manual_seed(fold)
        network = build_network(architecture, 1, len(labels) + 1)
        written = write_model_folder(folder / str(fold), network, architecture, labels, (1, 1, 1), (16, 16, 16))
        target = results_folder(folder)
        if fold == 0:
            shutil.copytree(written, target)
        checkpoint = torch.load(written / "fold_0" / "checkpoint_final.pth", weights_only=True)
        checkpoint |= {
            "trainer_name": "RootletsTrainer",
            "optimizer_state": {"momentum": torch.zeros(100_000)},
            "logging": {"mean_fg_dice": [np.float64(0.5)]},
            "init_args": {"configuration": "3d_fullres", "plans": {"secret": "/home/somebody"}, "fold": fold},
            "inference_allowed_mirroring_axes": None,
        }
        (target / f"fold_{fold}").mkdir(exist_ok=True)
        torch.save(checkpoint, target / f"fold_{fold}" / "checkpoint_final.pth")
    raw = folder / "nnUNet_raw" / NAME
    raw.mkdir(parents=True)
    (raw / "sources.tsv").write_text(SOURCES)
    return folder


def test_the_zip_is_installed_and_gives_the_same_weights(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("SCT_ROOTLETS_MODELS", str(tmp_path / "models"))
    export(finished, tmp_path / "ours.zip")
    weights, new = install("ours", [str(tmp_path / "ours.zip")])
    assert new
    model = load_model(weights.folder)
    assert model.labels == {f"lvl{n}": n for n in range(1, 6)}
    assert len(model.folds) == 2
    for number, fold in enumerate(model.folds):
        path = results_folder(finished) / f"fold_{number}" / "checkpoint_final.pth"
        trained = torch.load(path, weights_only=False)["network_weights"]
        assert fold.keys() == trained.keys()
        assert all(torch.equal(fold[key], trained[key]) for key in trained)


def test_the_zip_is_laid_out_as_sct_wants_it(finished, tmp_path):
    export(finished, tmp_path / "ours.zip")
    with zipfile.ZipFile(tmp_path / "ours.zip") as archive:
        assert sorted(archive.namelist()) == [
            f"ours/{TRAINER}/{name}"
            for name in ("dataset.json", "fold_0/checkpoint_final.pth", "fold_1/checkpoint_final.pth", "plans.json")
        ]
        archive.extractall(tmp_path / "x")
        assert archive.testzip() is None
    checkpoint = torch.load(tmp_path / "x/ours" / TRAINER / "fold_0/checkpoint_final.pth", weights_only=True)
    assert set(checkpoint) == {
        "network_weights", "init_args", "trainer_name", "inference_allowed_mirroring_axes",
    }  # fmt: skip
    assert checkpoint["trainer_name"] == "nnUNetTrainer"
    assert checkpoint["init_args"] == {"configuration": "3d_fullres"}


def test_the_entry_is_one_of_the_catalogue(finished, tmp_path):
    entry = export(finished, tmp_path / "ours.zip", "2.1", licence="MIT", citation="us", url="https://x.org/ours.zip")
    facts = json.loads(entry.read_text())["ours"]
    release = Release(name="ours", **facts)
    assert (release.version, release.licence, release.citation, release.mirrors) == (
        "2.1", "MIT", "us", ["https://x.org/ours.zip"],
    )  # fmt: skip
    assert (release.contrasts, release.levels) == (["INV1", "T2w"], "C3-C5")
    assert release.sha256 == sha256_of(tmp_path / "ours.zip")
    assert release.bytes == (tmp_path / "ours.zip").stat().st_size


def test_the_same_training_gives_the_same_file(finished, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        export(finished, tmp_path / name / "ours.zip")
    assert sha256_of(tmp_path / "a/ours.zip") == sha256_of(tmp_path / "b/ours.zip")


def test_one_fold_of_two(finished, tmp_path):
    export(finished, tmp_path / "one.zip", folds=[1])
    names = zipfile.ZipFile(tmp_path / "one.zip").namelist()
    assert [name for name in names if "fold_" in name] == [f"one/{TRAINER}/fold_1/checkpoint_final.pth"]


def test_the_fold_of_all_scans_is_packed_alone(finished, tmp_path):
    """It was trained on what the others are validated on."""
    both = Path(shutil.copytree(finished, tmp_path / "both"))
    results = results_folder(both)
    shutil.copytree(results / "fold_0", results / "fold_all")
    packed = {}
    for name, folds in (("default", []), ("all", ["all"])):
        export(both, tmp_path / f"{name}.zip", folds=folds)
        names = zipfile.ZipFile(tmp_path / f"{name}.zip").namelist()
        packed[name] = [path.split("/")[2] for path in names if "fold_" in path]
    assert packed == {"default": ["fold_0", "fold_1"], "all": ["fold_all"]}
    for fold in (0, 1):
        shutil.rmtree(results / f"fold_{fold}")
    export(both, tmp_path / "only.zip")
    assert any("/fold_all/" in path for path in zipfile.ZipFile(tmp_path / "only.zip").namelist())


@pytest.mark.parametrize(
    ("archive", "folds", "message"),
    [("ours.zip", [2], "fold 2 in .* trained to the end"), ("ours.tar", [], r"must be named \.zip"),
     ("-ours.zip", [], "cannot name a model")],
)  # fmt: skip
def test_what_cannot_be_packed(finished, tmp_path, archive, folds, message):
    with pytest.raises(ModelError, match=message):
        export(finished, tmp_path / archive, folds=folds)
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_has_not_finished(tmp_path):
    with pytest.raises(ModelError, match=r"no fold in .* is trained to the end"):
        export(tmp_path, tmp_path / "ours.zip")


def test_a_damaged_checkpoint_leaves_no_file(finished, tmp_path):
    broken = Path(shutil.copytree(finished, tmp_path / "broken"))
    (results_folder(broken) / "fold_1/checkpoint_final.pth").write_bytes(b"x")
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelError, match="is damaged"):
        export(broken, tmp_path / "out" / "ours.zip")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_release_that_was_edited_is_kept(finished, tmp_path, capsys):
    from sct_rootlets.cli.main import main

    command = ["train", "-ofolder", str(finished), "-export", str(tmp_path / "ours.zip"), "-v", "0"]
    assert main(command) == 0
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert main(command) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    assert main([*command, "-version", "2.0"]) == 0  # both files are as they were written
    assert json.loads((tmp_path / "ours.json").read_text())["ours"]["version"] == "2.0"
    edits = {"ours.json": first["ours.json"].replace(b"1.0", b"1.1"), "ours.zip": b"mine"}
    for name, content in edits.items():
        assert main([*command, "-overwrite", "1"]) == 0
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
        (tmp_path / name).write_bytes(content)
        assert main(command) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert f"{tmp_path / name}" in error
        assert "replace it (-overwrite 1) or write to another name (-export)" in error
        assert (tmp_path / name).read_bytes() == content
