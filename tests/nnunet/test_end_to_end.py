"""From a BIDS folder to an installed model by nnU-Net itself, where it is installed; a tiny plan, hardly trained."""

import json
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("nnunetv2", reason="nnunetv2 is not installed")
import torch

from sct_rootlets.bundled.export import write_model_folder
from sct_rootlets.errors import DatasetError, ModelError
from sct_rootlets.models.architecture import build_network, plain_unet
from sct_rootlets.models.install import install
from sct_rootlets.models.model import load_model
from sct_rootlets.nnunet.dataset import NAME, dataset_json
from sct_rootlets.nnunet.release import export
from sct_rootlets.nnunet.settings import TrainingSettings
from sct_rootlets.nnunet.steps import require_nnunet
from sct_rootlets.nnunet.train import train

PATCH = (32, 16, 16)


@pytest.fixture(scope="module")
def trained(bids, tmp_path_factory):
    """Two epochs; the second by another run of the same command, from the checkpoint of the first."""
    try:
        require_nnunet("cpu")
    except ModelError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("end_to_end")
    labels = {name: value for name, value in dataset_json(0, 9)["labels"].items() if value}
    architecture = plain_unet((4, 8), convolutions=(1, 1))
    tiny = write_model_folder(
        folder / "tiny", build_network(architecture, 1, 10), architecture, labels, (2, 2, 2), PATCH
    )
    settings = TrainingSettings(
        bids=(bids,), n_folds=3, folds=(1,), epochs=1, iterations=2, device="cpu", threads=1, start=str(tiny)
    )
    lines = []
    train(settings, folder / "out", lines.append)
    train(replace(settings, epochs=2), folder / "out", lines.append)
    return settings, folder / "out", lines


def checkpoint_of(folder):
    (path,) = folder.glob("nnUNet_results/*/*/fold_1/checkpoint_final.pth")
    return torch.load(path, map_location="cpu", weights_only=False)


def test_nnunet_saw_the_scans_that_it_should_and_no_others(trained):
    _, folder, _ = trained
    split = json.loads((folder / "splits_final.json").read_text())[1]
    preprocessed = folder / "nnUNet_preprocessed" / NAME / "nnUNetPlans_3d_fullres"
    assert {path.name.split(".")[0].removesuffix("_seg") for path in preprocessed.iterdir()} == {
        *split["train"], *split["val"],
    }  # fmt: skip
    (fold,) = folder.glob("nnUNet_results/*/*/fold_1")
    assert {path.name[: -len(".nii.gz")] for path in (fold / "validation").glob("*.nii.gz")} == set(split["val"])


def test_the_second_run_went_on_from_the_first(trained):
    _, folder, lines = trained
    log = (folder / "logs" / "train-1.log").read_text()
    assert "going on from checkpoint_final.pth, after 1 epochs" in log
    assert len(re.findall(r"Epoch time", log)) == 2
    assert checkpoint_of(folder)["current_epoch"] == 2
    assert lines.count("planning and preprocessing, by nnU-Net") == 1
    assert "parameters are those of" in log
    losses = [float(text) for text in re.findall(r"(?:train|val)_loss (\S+)", log)]
    assert len(losses) == 4
    assert np.isfinite(losses).all(), "nnU-Net's own loss of a network with two resolutions is 0 / 0"


def test_the_plan_is_that_of_the_model_started_from(trained):
    _, folder, _ = trained
    plans = json.loads((folder / "nnUNet_preprocessed" / NAME / "nnUNetPlans.json").read_text())
    configuration = plans["configurations"]["3d_fullres"]
    assert tuple(configuration["patch_size"]) == PATCH
    assert configuration["spacing"] == [2, 2, 2]
    assert checkpoint_of(folder)["inference_allowed_mirroring_axes"] is None
    assert "continue_training" not in plans


def test_a_split_that_was_made_to_leak_is_refused_by_the_trainer(trained, tmp_path):
    """Somebody edits nnU-Net's own file, behind our back."""
    settings, folder, _ = trained
    copy = shutil.copytree(folder, tmp_path / "copy")
    path = copy / "nnUNet_preprocessed" / NAME / "splits_final.json"
    splits = json.loads(path.read_text())
    persons = json.loads((path.parent / "persons.json").read_text())
    scan = next(case for case in splits[1]["train"] if list(persons.values()).count(persons[case]) > 1)
    splits[1]["train"].remove(scan)
    splits[1]["val"].append(scan)
    path.write_text(json.dumps(splits))
    with pytest.raises(ModelError, match=f"fold 1 leaks: {persons[scan]} is in training"):
        train(replace(settings, epochs=3), copy, str)


@pytest.fixture
def trainer(trained, tmp_path, monkeypatch):
    """A trainer in this process."""
    from importlib import import_module

    from sct_rootlets.nnunet.trainer import make_trainer

    _, folder, _ = trained
    theirs = import_module("nnunetv2.training.nnUNetTrainer.nnUNetTrainer")
    for name, path in (("nnUNet_preprocessed", folder / "nnUNet_preprocessed"), ("nnUNet_results", tmp_path)):
        monkeypatch.setenv(name, str(path))
        if not hasattr(getattr(theirs, name), "is_set"):  # nnunetv2 before 2.8 reads them when it is imported
            monkeypatch.setattr(theirs, name, str(path))
    return make_trainer(folder / "nnUNet_preprocessed" / NAME, fold=1, epochs=9, iterations=1, patience=2)


def test_the_trainer_keeps_up_and_down_left_and_right(trainer):
    """Of a flat patch, which nnU-Net would turn by 180°; and no fold is made up."""
    patch = [8, 64, 64]
    trainer.configuration_manager.configuration["patch_size"] = patch
    turn, flat, initial, mirror = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
    assert (flat, mirror, trainer.inference_allowed_mirroring_axes) == (True, None, None)
    np.testing.assert_allclose(np.degrees(turn), (-30, 30))
    assert initial[0] == 8
    transforms = trainer.get_training_transforms(patch, turn, [[1, 1, 1]], mirror, flat, foreground_labels=[1])
    assert "Mirror" not in " ".join(type(one).__name__ for one in transforms.transforms)
    assert trainer.oversample_foreground_percent == 0.75
    trainer.network = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(trainer.network.bias, float("nan"))
    with pytest.raises(DatasetError, match=r"the weights of fold 1 are not numbers any more in epoch 0; check"):
        trainer.on_train_epoch_end([])
    trainer.fold = 3
    with pytest.raises(DatasetError, match=r"fold 3 is not in .*, which has 3"):
        trainer.do_split()


def test_a_fold_of_all_scans_is_trained_and_packed(trained, tmp_path, monkeypatch):
    settings, folder, _ = trained
    copy = shutil.copytree(folder, tmp_path / "copy")
    lines = []
    train(replace(settings, folds=("all",)), copy, lines.append)
    (fold,) = copy.glob("nnUNet_results/*/*/fold_all")
    split = json.loads((folder / "splits_final.json").read_text())[1]
    assert (
        f"{len(split['train']) + len(split['val'])} scans to train on, none to validate on"
        in (copy / "logs" / "train-all.log").read_text()
    )
    assert not (fold / "validation").exists()
    assert not [line for line in lines if "Dice" in line]
    assert (copy / "curves.png").stat().st_size > 0
    export(copy, tmp_path / "tiny.zip", folds=["all"])
    monkeypatch.setenv("SCT_ROOTLETS_MODELS", str(tmp_path / "models"))
    weights, _ = install("tiny", [str(tmp_path / "tiny.zip")])
    assert [path.name for path in weights.folder.rglob("fold_*")] == ["fold_all"]
    assert len(load_model(weights.folder).folds) == 1


def test_a_fold_without_a_better_dice_goes_back_to_its_best_weights(trainer, monkeypatch):
    """Dice rises once: with a patience of two epochs, the second one is kept, and two more are trained."""
    dice = iter([0.5, 0.6, 0.3, 0.2, 0.9])
    validated = type(trainer).on_validation_epoch_end

    def validate(self, outputs):
        log = self.logger.log
        with monkeypatch.context() as patch:
            value = next(dice)
            patch.setattr(
                self.logger, "log", lambda key, it, epoch: log(key, value if key == "mean_fg_dice" else it, epoch)
            )
            validated(self, outputs)

    monkeypatch.setattr(type(trainer), "on_validation_epoch_end", validate)
    trainer.initialize()
    trainer.run_training()
    folder = Path(trainer.output_folder)
    curves = pd.read_csv(folder / "curves.csv")
    assert curves.epoch.tolist() == [1, 2, 3, 4]
    assert curves.dice.tolist() == [0.5, 0.6, 0.3, 0.2]
    assert curves.mean_dice.round(3).tolist() == [0.5, 0.51, 0.489, 0.46]
    assert json.loads((folder / "ended_early.json").read_text()) == {"epoch": 2, "patience": 2}
    paths = [folder / f"checkpoint_{name}.pth" for name in ("final", "best")]
    final, best = (torch.load(path, map_location="cpu", weights_only=False) for path in paths)
    assert final["current_epoch"] == 2
    weights = final["network_weights"]
    assert all(torch.equal(value, weights[key]) for key, value in best["network_weights"].items())


def test_a_fold_that_ended_early_goes_on_with_more_patience_only(trained, tmp_path):
    settings, folder, _ = trained
    copy = shutil.copytree(folder, tmp_path / "copy")
    (fold,) = copy.glob("nnUNet_results/*/*/fold_1")
    (fold / "finished.json").write_text('{"epochs": 3}')
    (fold / "ended_early.json").write_text('{"epoch": 2, "patience": 5}')
    lines = []
    train(replace(settings, epochs=3, patience=5), copy, lines.append)
    assert lines[-1] == "fold 1 is trained already; it ended early, with the weights of epoch 2"
    train(replace(settings, epochs=3, patience=6), copy, lines.append)
    assert checkpoint_of(copy)["current_epoch"] == 3
    assert not (fold / "ended_early.json").exists()
    assert (copy / "curves.png").stat().st_size > 0
    train(replace(settings, epochs=3), copy, lines.append)
    assert lines[-1] == "fold 1 is trained already"


def test_sct_and_nnunet_can_load_the_release(trained, tmp_path, monkeypatch):
    _, folder, _ = trained
    monkeypatch.setenv("SCT_ROOTLETS_MODELS", str(tmp_path / "models"))
    export(folder, tmp_path / "tiny.zip")
    weights, _ = install("tiny", [str(tmp_path / "tiny.zip")])
    model = load_model(weights.folder)
    assert (model.orientation, model.spacing_mm, model.mirror_axes) == ("RAS", (2, 2, 2), ())
    with zipfile.ZipFile(tmp_path / "tiny.zip") as archive:
        archive.extractall(tmp_path / "x")
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), perform_everything_on_device=False)
    (trainer,) = (tmp_path / "x" / "tiny").iterdir()
    predictor.initialize_from_trained_model_folder(str(trainer), (1,))
    image = np.random.default_rng(0).normal(size=(1, 1, *PATCH)).astype(np.float32)
    predictor.network.load_state_dict(predictor.list_of_parameters[0])
    with torch.no_grad():
        theirs = predictor.network.eval()(torch.from_numpy(image))
        np.testing.assert_allclose(model.network(torch.from_numpy(image)), theirs, atol=1e-5)
