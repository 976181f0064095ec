"""What runs in a process of its own, with nnU-Net's folders in its environment.

nnU-Net reads its folders when it is imported, starts processes that import the main module again, and holds on to
memory: none of it is for the process of a user, who does not call this: ``python -m sct_rootlets.nnunet.worker``.
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

#: What a fold that is finished has in its folder, with the number of its epochs.
FINISHED = "finished.json"


def _folder(what: str) -> Path:
    return Path(os.environ[f"nnUNet_{what}"]) / NAME


def plan(settings: dict[str, Any]) -> None:
    """Look at the data, plan, and preprocess.

    Parameters
    ----------
    settings : dict
        ``threads``; ``like``, the plans of a model whose architecture, patch and spacing are taken, or None;
        ``memory_gb`` of the GPU that nnU-Net plans for, or None.
    """
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprint_dataset,
        plan_experiment_dataset,
        preprocess_dataset,
    )

    threads = int(settings["threads"])
    raw, preprocessed = _folder("raw"), _folder("preprocessed")
    extract_fingerprint_dataset(ID, num_processes=threads, check_dataset_integrity=True)
    plan_experiment_dataset(ID, gpu_memory_target_in_gb=settings.get("memory_gb"))
    if settings.get("like"):
        path = preprocessed / "nnUNetPlans.json"
        own = json.loads(path.read_text(encoding="utf-8"))
        like = json.loads(Path(settings["like"]).read_text(encoding="utf-8"))
        path.write_text(json.dumps(adopted(own, like), indent=4) + "\n", encoding="utf-8")
    preprocess_dataset(ID, configurations=("3d_fullres",), num_processes=(threads,))
    for name in (SPLITS, PERSONS):
        (preprocessed / name).write_bytes((raw / name).read_bytes())


def adopted(own: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """Plans for own data with the network, patch, spacing and axes of another model."""
    there = like["configurations"]["3d_fullres"]
    here = own["configurations"]["3d_fullres"]
    keys = (
        "architecture",
        "patch_size",
        "spacing",
        "batch_size",
        "normalization_schemes",
        "use_mask_for_norm",
        "batch_dice",
    )
    here = here | {key: there[key] for key in keys if key in there}
    axes = {key: like[key] for key in ("transpose_forward", "transpose_backward")}
    return own | axes | {"configurations": {"3d_fullres": here}}


def train(settings: dict[str, Any]) -> None:
    """Train a fold, or go on training it, and validate it.

    Parameters
    ----------
    settings : dict
        ``fold``, ``epochs``, ``iterations``, ``device``, ``threads``; ``start``, a model folder to start from, or None.

    Raises
    ------
    DatasetError
        If another process is at it: this one outlives the command that started it, where that was killed.
    """
    fold, results = settings["fold"], _folder("results")
    results.mkdir(parents=True, exist_ok=True)
    with (results / f".fold_{fold}.lock").open("w") as lock:
        if not _locked(lock):
            raise DatasetError(f"fold {fold} is being trained by another process; wait until it has ended, or end it")
        _train(settings)


def _locked(file: IO[str]) -> bool:
    """Lock a file until it is closed, or this process ends; False if another one has.

    Not by ``filelock``, whose locks processes inherit: those that nnU-Net starts may outlive this one.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN)  # else the file system has no locks
    return True


def _train(settings: dict[str, Any]) -> None:
    import torch

    from sct_rootlets.nnunet.trainer import make_trainer

    if settings["device"] == "cpu":
        torch.set_num_threads(int(settings["threads"]))
    preprocessed = _folder("preprocessed")
    trainer = make_trainer(
        preprocessed,
        settings["fold"],
        settings["epochs"],
        settings["iterations"],
        settings["device"],
        bool(settings.get("start")),
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
        from sct_rootlets.nnunet.start import transfer

        taken = transfer(trainer.network, load_model(settings["start"]).folds[0])
        print(f"{taken} parameters are those of {settings['start']}")
    if checkpoint is None or trainer.current_epoch < trainer.num_epochs:
        trainer.run_training()
    trainer.perform_actual_validation(False)
    (folder / FINISHED).write_text(json.dumps({"epochs": settings["epochs"]}) + "\n", encoding="utf-8")


def main(argv: list[str]) -> int:
    """Run a step: its name, and a JSON file with its settings."""
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
