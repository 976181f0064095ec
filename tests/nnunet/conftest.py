"""A small BIDS folder of labelled phantoms: four subjects, T2w (spine-generic names) and UNIT1, two sessions of one."""

import json

import numpy as np
import pytest

from sct_rootlets.nifti import save_volume
from sct_rootlets.nnunet import preparation
from sct_rootlets.nnunet import train as module
from sct_rootlets.nnunet.dataset import NAME
from sct_rootlets.nnunet.settings import TrainingSettings
from sct_rootlets.nnunet.train import results_folder
from sct_rootlets.nnunet.worker import FINISHED
from sct_rootlets.phantom import draw_phantom, phantom_grid
from sct_rootlets.synthesis.cervical import cervical_anatomy

AXES = {"01": "RAS", "02": "PSR", "03": "LIA", "04": "RPI"}


@pytest.fixture(scope="session")
def bids(tmp_path_factory):
    root = tmp_path_factory.mktemp("bids")
    for number, (subject, axes) in enumerate(AXES.items()):
        anatomy = cervical_anatomy(bend_deg=8 + number, fila_per_root=3)
        grid = phantom_grid(anatomy, (1.5, 1.5, 1.5), axes, margin_mm=12, arc_range=(28, 78))
        phantom = draw_phantom(anatomy, *grid, seed=number)
        for session in ("a", "b") if subject == "02" else (None,):
            folders = [f"sub-{subject}", *([f"ses-{session}"] if session else []), "anat"]
            stem = "_".join(folders[:-1])
            anat, labels = root.joinpath(*folders), root.joinpath("derivatives", "labels", *folders)
            anat.mkdir(parents=True)
            labels.mkdir(parents=True)
            for contrast in ("T2w", "UNIT1"):
                data = phantom.image.data if contrast == "T2w" else 200 - np.minimum(phantom.image.data, 200)
                data = data + (session == "b")  # another image, not a copy
                save_volume(anat / f"{stem}_{contrast}.nii.gz", data.astype(np.uint8), phantom.image.affine)
                label = f"{stem}_{contrast}_label-rootlets_dseg.nii.gz"
                save_volume(labels / label, phantom.rootlets.data, phantom.rootlets.affine)
    return root


@pytest.fixture
def steps(monkeypatch):
    """Steps that were run, with their arguments; each leaves behind the files of the real one."""
    run = []

    def stand_in(folder, step, arguments, settings, suffix=""):
        run.append((step, arguments))
        fold = results_folder(folder) / f"fold_{arguments.get('fold')}"
        target = folder / "nnUNet_preprocessed" / NAME if step == "plan" else fold
        target.mkdir(parents=True, exist_ok=True)
        if step == "train":
            (fold / FINISHED).write_text(json.dumps({"epochs": arguments["epochs"]}))
            (fold / "validation").mkdir(exist_ok=True)
            mean = {"4": {"Dice": 0.456}, "5": {"Dice": float("nan")}}
            (fold / "validation" / "summary.json").write_text(json.dumps({"mean": mean}))

    check = preparation.check_scans
    monkeypatch.setattr(module, "run_step", stand_in)
    monkeypatch.setattr(module, "require_nnunet", lambda device: None)
    monkeypatch.setattr(preparation, "check_scans", lambda settings, folder, pictures: check(settings, folder, False))
    return run


@pytest.fixture
def settings(bids):
    return TrainingSettings(bids=(bids,), n_folds=3, epochs=5, device="cpu", threads=1, contrasts=("T2w",))
