"""A training from BIDS folders to trained folds, step by step; a step that is done is not repeated.

Preparation (`sct_rootlets.nnunet.preparation`) is followed by nnU-Net's own steps, in processes of their own
(`sct_rootlets.nnunet.steps`): planning and preprocessing, then the training of each fold.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

from sct_rootlets.nnunet.dataset import NAME
from sct_rootlets.nnunet.preparation import prepare
from sct_rootlets.nnunet.settings import Fold, TrainingSettings
from sct_rootlets.nnunet.steps import require_nnunet, run_step
from sct_rootlets.nnunet.worker import CURVES, ENDED_EARLY, FINISHED, is_patient_enough
from sct_rootlets.output.files import staged_outputs, write_json
from sct_rootlets.sidecar import read_object

#: nnU-Net's name of the folder with results.
RESULTS = "RootletsTrainer__nnUNetPlans__3d_fullres"


def train(settings: TrainingSettings, folder: Path, say: Callable[[str], None] = print) -> Path:
    """Check, split, plan, preprocess and train; what an earlier run has done is not repeated.

    Parameters
    ----------
    settings : TrainingSettings
    folder : Path
        The output folder.
    say : callable
        Function that shows a line to the user.

    Returns
    -------
    Path
        nnU-Net's folder with the results.

    Raises
    ------
    DatasetError
        If labels, splits or folders are not as they should be, or differ from those of the run that began here.
    ModelError
        If nnU-Net cannot be run, or fails.
    """
    import filelock

    require_nnunet(settings.device)
    model = settings.start or settings.like
    plans = None if model is None else find_trainer_folder(model) / "plans.json"
    with staged_outputs(folder):  # fails early if the folder cannot be written to
        pass
    with filelock.FileLock(folder / ".lock"):  # several commands may train folds at the same time
        n_folds = prepare(settings, folder, say)
        _plan(settings, folder, plans, say)
    for fold in settings.folds or range(n_folds):
        _train_fold(settings, folder, fold, say)
        write_curves(folder)
    return results_folder(folder)


def write_curves(folder: Path) -> list[Path]:
    """Draw the curves of all folds, as far as they are trained, in the output folder of a training.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    list of Path
        The files, ``curves.png`` and ``curves.svg``; none if no fold has been trained for an epoch.
    """
    import pandas as pd

    from sct_rootlets.report.style import save_figure
    from sct_rootlets.report.training import curves_figure

    paths = sorted(results_folder(folder).glob(f"fold_*/{CURVES}"))
    curves = {}
    for path in paths:
        with contextlib.suppress(OSError, ValueError):  # of a training that stopped while it was written
            curves[path.parent.name.removeprefix("fold_")] = pd.read_csv(path)
    if not curves:
        return []
    with staged_outputs(folder) as stage:
        names = [path.name for path in save_figure(curves_figure(curves), stage / "curves")]
    return [folder / name for name in names]


def results_folder(folder: Path) -> Path:
    """Return nnU-Net's folder with the results, in the output folder of a training."""
    return folder / "nnUNet_results" / NAME / RESULTS


def find_trainer_folder(model: str) -> Path:
    """Find the trainer's folder of a model by its name or path; ``bundled`` is the bundled network of rootlets.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    from sct_rootlets.models.model import trainer_folder
    from sct_rootlets.models.store import find_model

    weights = find_model(model)
    return trainer_folder(weights.folder / "rootlets" if weights.is_bundled else weights.folder)


def _plan(settings: TrainingSettings, folder: Path, plans: Path | None, say: Callable[[str], None]) -> None:
    done = folder / "nnUNet_preprocessed" / NAME / "planned.json"
    if done.exists():
        return
    say("planning and preprocessing, by nnU-Net")
    like = None if plans is None else str(plans.absolute())
    arguments = {"like": like, "memory_gb": settings.memory_gb, "threads": settings.n_threads}
    run_step(folder, "plan", arguments, settings)
    write_json(done, {"like": like}, indent=None)


def _train_fold(settings: TrainingSettings, folder: Path, fold: Fold, say: Callable[[str], None]) -> None:
    finished = results_folder(folder) / f"fold_{fold}" / FINISHED
    ended = finished.with_name(ENDED_EARLY)
    if finished.exists() and json.loads(finished.read_text(encoding="utf-8"))["epochs"] >= settings.epochs:
        if not ended.exists():
            say(f"fold {fold} is trained already")
            return
        if is_patient_enough(ended, settings.patience):
            epoch = read_object(ended).get("epoch")
            say(f"fold {fold} is trained already; it ended early, with the weights of epoch {epoch}")
            return
    say(f"fold {fold}: training on {settings.device}; the log is {folder / 'logs' / f'train-{fold}.log'}")
    arguments = {
        "fold": fold,
        "epochs": settings.epochs,
        "iterations": settings.iterations,
        "patience": settings.patience,
        "device": settings.device,
        "threads": settings.n_threads,
        "start": None if settings.start is None else str(find_trainer_folder(settings.start).absolute()),
    }
    run_step(folder, "train", arguments, settings, suffix=f"-{fold}")
    for line in _describe_validation(finished.parent / "validation" / "summary.json"):
        say(f"fold {fold}: {line}")


def _describe_validation(path: Path) -> list[str]:
    """Describe Dice by level in nnU-Net's own validation, as one line; none if it cannot be read."""
    from sct_rootlets.levels import level_name

    try:
        means = json.loads(path.read_text(encoding="utf-8"))["mean"]
    except (OSError, ValueError, KeyError):
        return []
    parts = [
        f"{level_name(int(value), 'spinal')} {scores['Dice']:.2f}"
        for value, scores in means.items()
        if scores.get("Dice") is not None and scores["Dice"] == scores["Dice"]  # NaN if no scan has the level
    ]
    return [f"Dice on the scans validated on: {', '.join(parts)}"] if parts else []
