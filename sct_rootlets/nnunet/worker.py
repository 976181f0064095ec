"""The process in which a step of nnU-Net runs, with nnU-Net's folders in its environment.

nnU-Net reads its folders when it is imported, starts processes that import the main module again, and does not release
memory. A process of its own keeps all of this away from the user's: ``python -m sct_rootlets.nnunet.worker``, which
`sct_rootlets.nnunet.steps` starts.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path
from typing import IO, Any

from sct_rootlets.errors import DatasetError, SctRootletsError
from sct_rootlets.nnunet.dataset import ID, NAME, PERSONS, SPLITS
from sct_rootlets.output.files import write_json
from sct_rootlets.sidecar import read_object

#: File in the folder of a fold that is finished, with the number of its epochs.
FINISHED = "finished.json"
#: File in the folder of a fold that ended early: the epoch that it went back to, and the patience that it had.
ENDED_EARLY = "ended_early.json"
#: File in the folder of a fold with loss and Dice of each epoch.
CURVES = "curves.csv"
#: Parts of a configuration of the plans that are adopted from another model.
ADOPTED_KEYS = (
    "architecture",
    "patch_size",
    "spacing",
    "batch_size",
    "normalization_schemes",
    "use_mask_for_norm",
    "batch_dice",
)


def _dataset_folder(kind: str) -> Path:
    return Path(os.environ[f"nnUNet_{kind}"]) / NAME


def plan(settings: dict[str, Any]) -> None:
    """Extract the fingerprint of the dataset, plan, and preprocess.

    Parameters
    ----------
    settings : dict
        ``threads``; ``like``, the path of the plans of a model whose architecture, patch and spacing are used, or None;
        ``memory_gb``, memory of the GPU that nnU-Net plans for, or None.
    """
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprint_dataset,
        plan_experiment_dataset,
        preprocess_dataset,
    )

    threads = int(settings["threads"])
    raw, preprocessed = _dataset_folder("raw"), _dataset_folder("preprocessed")
    extract_fingerprint_dataset(ID, num_processes=threads, check_dataset_integrity=True)
    plan_experiment_dataset(ID, gpu_memory_target_in_gb=settings.get("memory_gb"))
    if settings.get("like"):
        path = preprocessed / "nnUNetPlans.json"
        own = json.loads(path.read_text(encoding="utf-8"))
        like = json.loads(Path(settings["like"]).read_text(encoding="utf-8"))
        write_json(path, adopt_plans(own, like), indent=4)
    preprocess_dataset(ID, configurations=("3d_fullres",), num_processes=(threads,))
    for name in (SPLITS, PERSONS):
        (preprocessed / name).write_bytes((raw / name).read_bytes())


def adopt_plans(own: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """Return plans for own data with the network, patch, spacing and axes of another model.

    Parameters
    ----------
    own, like : dict
        Contents of ``nnUNetPlans.json``, of the own data and of the other model.
    """
    configuration = like["configurations"]["3d_fullres"]
    adopted = {key: configuration[key] for key in ADOPTED_KEYS if key in configuration}
    axes = {key: like[key] for key in ("transpose_forward", "transpose_backward")}
    return own | axes | {"configurations": {"3d_fullres": own["configurations"]["3d_fullres"] | adopted}}


def train(settings: dict[str, Any]) -> None:
    """Train a fold, or continue its training, and validate it.

    Parameters
    ----------
    settings : dict
        ``fold``, ``epochs``, ``iterations``, ``patience``, ``device``, ``threads``; ``start``, a model folder to start
        from, or None.

    Raises
    ------
    DatasetError
        If another process is training the fold, such as one that outlives the command that started it.
    """
    fold, results = settings["fold"], _dataset_folder("results")
    results.mkdir(parents=True, exist_ok=True)
    with (results / f".fold_{fold}.lock").open("w") as lock:
        if not _lock(lock):
            raise DatasetError(f"fold {fold} is being trained by another process; wait until it has ended, or end it")
        _train(settings)


def _lock(file: IO[str]) -> bool:
    """Lock a file until it is closed, or this process ends; return False if another process holds the lock.

    ``filelock`` will not do: processes inherit its locks, and those that nnU-Net starts may outlive this one.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN)  # otherwise the file system has no locks
    return True


def _train(settings: dict[str, Any]) -> None:
    import torch

    from sct_rootlets.nnunet.trainer import make_trainer

    if settings["device"] == "cpu":
        torch.set_num_threads(int(settings["threads"]))
    trainer = make_trainer(
        _dataset_folder("preprocessed"),
        settings["fold"],
        epochs=settings["epochs"],
        iterations=settings["iterations"],
        patience=settings["patience"],
        device=settings["device"],
        from_model=bool(settings.get("start")),
    )
    trainer.initialize()
    folder = Path(trainer.output_folder)
    names = ("checkpoint_latest.pth", "checkpoint_final.pth", "checkpoint_best.pth")
    checkpoint = next((folder / name for name in names if (folder / name).exists()), None)
    if checkpoint is not None:
        trainer.load_checkpoint(str(checkpoint))
        print(f"going on from {checkpoint.name}, after {trainer.current_epoch} epochs")
    elif settings.get("start"):
        from sct_rootlets.models.model import load_model
        from sct_rootlets.nnunet.transfer import transfer_weights

        n_transferred = transfer_weights(trainer.network, load_model(settings["start"]).folds[0])
        print(f"{n_transferred} parameters are those of {settings['start']}")
    ended = folder / ENDED_EARLY
    if not is_patient_enough(ended, settings["patience"]):
        for path in (ended, folder / FINISHED):
            path.unlink(missing_ok=True)
        if checkpoint is None or trainer.current_epoch < trainer.num_epochs:
            trainer.run_training()
    if settings["fold"] != "all":  # there, all scans were trained on
        trainer.perform_actual_validation(False)
    write_json(folder / FINISHED, {"epochs": settings["epochs"]}, indent=None)


def is_patient_enough(ended: Path, patience: int | None) -> bool:
    """Whether a fold ended early with at least the patience that is asked for; otherwise, its training goes on."""
    had = read_object(ended).get("patience")
    return isinstance(had, int) and patience is not None and had >= patience


def main(argv: list[str]) -> int:
    """Run a step, given its name and a JSON file with its settings, and return the exit status."""
    step, path = argv
    settings = json.loads(Path(path).read_text(encoding="utf-8"))
    try:
        {"plan": plan, "train": train}[step](settings)
    except SctRootletsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
