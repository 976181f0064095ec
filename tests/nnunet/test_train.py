"""The steps before and around nnU-Net, which is a stand-in (conftest.py); nnU-Net itself: test_end_to_end.py."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sct_rootlets.errors import DatasetError, ModelError
from sct_rootlets.nnunet import preparation
from sct_rootlets.nnunet import train as module
from sct_rootlets.nnunet.train import find_trainer_folder, train


def test_everything_runs_once(settings, steps, tmp_path):
    lines = []
    train(settings, tmp_path / "out", lines.append)
    assert [step for step, _ in steps] == ["plan", "train", "train", "train"]
    assert [arguments.get("fold") for _, arguments in steps] == [None, 0, 1, 2]
    assert "fold 0: Dice on the scans validated on: C4 0.46" in lines
    steps.clear()
    train(settings, tmp_path / "out", lines.append)
    assert steps == []
    assert lines[-1] == "fold 2 is trained already"


def test_more_epochs_go_on(settings, steps, tmp_path):
    train(settings, tmp_path / "out", str)
    steps.clear()
    train(replace(settings, epochs=7, folds=(1,)), tmp_path / "out", str)
    assert [(step, arguments["fold"], arguments["epochs"]) for step, arguments in steps] == [("train", 1, 7)]


def test_a_run_that_failed_goes_on_where_it_was(settings, steps, tmp_path, monkeypatch):
    works = module.run_step

    def fails(folder, step, arguments, settings, suffix=""):
        if arguments.get("fold") == 1:
            raise ModelError("nnU-Net failed")
        works(folder, step, arguments, settings, suffix)

    monkeypatch.setattr(module, "run_step", fails)
    with pytest.raises(ModelError):
        train(settings, tmp_path / "out", str)
    monkeypatch.setattr(module, "run_step", works)
    steps.clear()
    train(settings, tmp_path / "out", str)
    assert [arguments["fold"] for _, arguments in steps] == [1, 2]


@pytest.mark.parametrize(
    ("change", "what"),
    [({"contrasts": ("UNIT1",)}, "scans or labels differ"), ({"seed": 3}, "the split of the subjects differs"),
     ({"exclude": ("sub-01",), "n_folds": 2}, "scans or labels differ"), ({"memory_gb": 4.0}, "the plan differs")],
)  # fmt: skip
def test_other_data_need_another_folder(settings, steps, tmp_path, change, what):
    train(settings, tmp_path / "out", str)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "nnUNet_raw").rglob("*")}
    with pytest.raises(DatasetError, match=f"was begun with other data: {what}; give another -ofolder"):
        train(replace(settings, **change), tmp_path / "out", str)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "nnUNet_raw").rglob("*")} == before


def test_a_folder_of_somebody_else_is_left_alone(settings, steps, tmp_path):
    theirs = tmp_path / "out" / "nnUNet_raw" / "Dataset001_theirs" / "dataset.json"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    with pytest.raises(DatasetError, match="is there already and was not made by this command"):
        train(settings, tmp_path / "out", str)
    assert theirs.exists()


def test_a_run_that_was_killed_while_writing_the_dataset_is_done_again(settings, steps, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(preparation, "write_dataset", killed)
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "out", str)
    monkeypatch.undo()
    assert not (tmp_path / "out" / "nnUNet_raw").exists()
    assert not list((tmp_path / "out").glob(".sct_rootlets-*"))


def test_the_split_of_one_training_serves_another(settings, steps, tmp_path):
    train(settings, tmp_path / "one", str)
    train(replace(settings, contrasts=(), splits=tmp_path / "one" / "splits.tsv"), tmp_path / "two", str)
    sides = [json.loads((tmp_path / name / "splits_final.json").read_text()) for name in ("one", "two")]
    named = [{case.split("_")[0] for fold in side for case in fold["train"] + fold["val"]} for side in sides]
    assert named[0] == named[1]
    assert len(named[0]) == 3


def test_a_leaking_split_stops_before_anything_is_written(settings, steps, tmp_path):
    (tmp_path / "s.tsv").write_text("case\tsplit\nsub-02_ses-a_T2w\ttrain\nsub-02_ses-b_T2w\ttest\nsub-01_T2w\tval\n")
    with pytest.raises(DatasetError, match="sub-02 is in training"):
        train(replace(settings, splits=tmp_path / "s.tsv"), tmp_path / "out", str)
    assert steps == []
    assert not (tmp_path / "out" / "nnUNet_raw").exists()


def test_a_fold_that_is_not_there(settings, steps, tmp_path):
    with pytest.raises(DatasetError, match="there is no fold 3; the split has 3"):
        train(replace(settings, folds=(3,)), tmp_path / "out", str)


def test_the_bundled_model_can_be_started_from():
    folder = find_trainer_folder("bundled")
    assert folder.parent.name == "rootlets"
    assert (folder / "plans.json").is_file()
    with pytest.raises(ModelError, match="neither an installed model nor a folder"):
        find_trainer_folder(str(Path("nowhere")))
