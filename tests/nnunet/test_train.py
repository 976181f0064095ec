"""The steps before nnU-Net, with a stand-in for the process that runs it; nnU-Net itself: test_end_to_end.py."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sct_rootlets.errors import DatasetError, ModelError
from sct_rootlets.nnunet import train as module
from sct_rootlets.nnunet import worker
from sct_rootlets.nnunet.checks import Problem
from sct_rootlets.nnunet.dataset import NAME
from sct_rootlets.nnunet.train import (
    RESULTS,
    Settings,
    check,
    refuse_errors,
    require_nnunet,
    split_of,
    train,
    write_split,
)
from sct_rootlets.nnunet.worker import FINISHED, adopted


@pytest.fixture
def steps(monkeypatch):
    """Which steps are run, and with what; each leaves behind what the real one does."""
    run = []

    def stand_in(folder, step, arguments, settings, suffix=""):
        run.append((step, arguments))
        fold = folder / "nnUNet_results" / NAME / RESULTS / f"fold_{arguments.get('fold')}"
        target = folder / "nnUNet_preprocessed" / NAME if step == "plan" else fold
        target.mkdir(parents=True, exist_ok=True)
        if step == "train":
            (fold / FINISHED).write_text(json.dumps({"epochs": arguments["epochs"]}))
            (fold / "validation").mkdir(exist_ok=True)
            mean = {"4": {"Dice": 0.456}, "5": {"Dice": float("nan")}}
            (fold / "validation" / "summary.json").write_text(json.dumps({"mean": mean}))

    check = module.check
    monkeypatch.setattr(module, "_run", stand_in)
    monkeypatch.setattr(module, "require_nnunet", lambda device: None)
    monkeypatch.setattr(module, "check", lambda settings, folder, pictures: check(settings, folder, pictures=False))
    return run


@pytest.fixture
def settings(bids):
    return Settings(bids=(bids,), n_folds=3, epochs=5, device="cpu", threads=1, contrasts=("T2w",))


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


def test_a_run_that_failed_goes_on_where_it_was(settings, steps, tmp_path, monkeypatch):
    works = module._run

    def fails(folder, step, arguments, settings, suffix=""):
        if arguments.get("fold") == 1:
            raise ModelError("nnU-Net failed")
        works(folder, step, arguments, settings, suffix)

    monkeypatch.setattr(module, "_run", fails)
    with pytest.raises(ModelError):
        train(settings, tmp_path / "out", str)
    monkeypatch.setattr(module, "_run", works)
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


def test_another_split_does_not_replace_that_of_a_training(settings, steps, tmp_path):
    """Who would look up the test subjects there later must find those that were kept out."""
    train(settings, tmp_path / "out", str)
    table = (tmp_path / "out" / "splits.tsv").read_bytes()
    scans, _ = check(settings, tmp_path / "out", pictures=False)
    write_split(tmp_path / "out", scans, split_of(settings, scans)[0])
    with pytest.raises(DatasetError, match="the split of the subjects differs"):
        write_split(tmp_path / "out", scans, split_of(replace(settings, seed=3), scans)[0])
    assert (tmp_path / "out" / "splits.tsv").read_bytes() == table


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

    monkeypatch.setattr(module, "write_dataset", killed)
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


def test_errors_of_labels_stop_the_training(bids, settings, steps, tmp_path, monkeypatch):
    broken = [Problem("sub-01_T2w", "error", "it is empty"), Problem("b", "error", "x"), Problem("c", "warning", "y")]
    monkeypatch.setattr(module, "check", lambda *_, **__: ([], broken))
    with pytest.raises(DatasetError, match=r"sub-01_T2w: it is empty \(and 1 more: see checks.tsv\); mend the labels"):
        train(settings, tmp_path / "out", str)
    refuse_errors(broken[2:])


def test_checks_are_a_table_and_a_picture_a_scan(settings, tmp_path):
    scans, problems = check(settings, tmp_path / "out")
    assert problems == []
    assert sorted(path.stem for path in (tmp_path / "out" / "checks").iterdir()) == sorted(s.case.name for s in scans)
    assert (tmp_path / "out" / "checks.tsv").read_text() == "scan\tseverity\tproblem\n"


def test_without_nnunet_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r'pip install "sct_rootlets\[nnunet\]"'):
        require_nnunet()


def test_an_nnunet_over_that_of_sct_is_refused(monkeypatch, tmp_path):
    for name in ("nnunetv2", "nnunetv2_neuropoly"):
        info = tmp_path / f"{name}-2.6.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 2.6.2\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(ModelError, match="nnunetv2 was installed over nnunetv2-neuropoly"):
        require_nnunet()


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("epoch 1\nfold 1 is being trained by another process\n", "fold 1 is being trained by another process"),
        ('Traceback (most recent call last):\n  File "x"\nRuntimeError: no dataset 501.\nPlease look.\n\nOr there.\n',
         "RuntimeError: no dataset 501."),
        ('Traceback (most recent call last):\n  File "x"\nKeyError: 1\n\nDuring handling of the above:\n\n'
         'Traceback (most recent call last):\n  File "y"\n    f()\nValueError: two\n', "ValueError: two"),
        ("", "it says nothing"),
    ],
)  # fmt: skip
def test_the_line_that_says_what_went_wrong(output, line):
    assert module._error_of(output) == line


def test_a_step_that_fails_says_its_last_line(settings, tmp_path, monkeypatch):
    """The real process, which finds no nnU-Net, or no dataset."""
    with pytest.raises(ModelError, match=r"nnU-Net failed \(plan\): .*Error: .*the whole of it is in .*plan\.log"):
        module._run(tmp_path, "plan", {"threads": 1}, settings)
    assert "Traceback" in (tmp_path / "logs" / "plan.log").read_text()


def test_plans_of_another_model_are_taken_over():
    own = {"dataset_name": "mine", "transpose_forward": [1, 0, 2], "transpose_backward": [1, 0, 2],
           "configurations": {"2d": {}, "3d_fullres": {"patch_size": [9], "spacing": [3], "data_identifier": "x"}},
    }  # fmt: skip
    like = {"dataset_name": "theirs", "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2],
            "configurations": {"3d_fullres": {"patch_size": [64], "spacing": [0.8], "architecture": {}}}}  # fmt: skip
    assert adopted(own, like) == {
        "dataset_name": "mine",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {
            "3d_fullres": {"patch_size": [64], "spacing": [0.8], "architecture": {}, "data_identifier": "x"}
        },
    }


def test_the_bundled_model_can_be_started_from():
    folder = module.model_folder("bundled")
    assert folder.parent.name == "rootlets"
    assert (folder / "plans.json").is_file()
    with pytest.raises(ModelError, match="neither an installed model nor a folder"):
        module.model_folder(str(Path("nowhere")))
