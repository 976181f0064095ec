"""nnU-Net's trainer, adapted to rootlets; importing this module imports ``nnunetv2``.

nnU-Net finds trainers in its own package only. This trainer is therefore made by `make_trainer`, and its checkpoints
get the name of nnU-Net's trainer on release. It works with ``nnunetv2`` 2.5 to 2.8, whose trainers differ in their
arguments.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from sct_rootlets.errors import DatasetError
from sct_rootlets.nnunet.dataset import PERSONS, SPLITS
from sct_rootlets.nnunet.settings import Fold
from sct_rootlets.nnunet.splits import check_sides
from sct_rootlets.nnunet.worker import CURVES, ENDED_EARLY
from sct_rootlets.output.files import format_table, write_atomic, write_json

#: Largest rotation of a patch in radians. nnU-Net rotates flat patches by up to 180°, which exchanges rostral and
#: caudal and makes names wrong.
MAX_ROTATION_RAD = np.radians(30.0)
#: Share of patches around a voxel of a level. Each level of a scan is chosen equally often, so that the network sees
#: thin levels as often as thick ones. nnU-Net's own share is a third.
FOREGROUND_RATE = 0.75
#: Number of epochs between the checkpoints from which an interrupted training continues; nnU-Net's own is 50.
CHECKPOINT_EPOCHS = 10
#: Columns of the curves of a fold, and what nnU-Net's log calls them.
CURVE_COLUMNS = {
    "train_loss": "train_losses",
    "validation_loss": "val_losses",
    "dice": "mean_fg_dice",
    "mean_dice": "ema_fg_dice",
}
#: Initial learning rate for the weights of another model, which nnU-Net's own rate (0.01) would spoil.
TRANSFER_LEARNING_RATE = 1e-3


class RootletsTrainer(nnUNetTrainer):
    """A trainer without mirroring and large rotations, with more patches around rootlets and a split by person."""

    # It has no constructor: that of nnU-Net reads the names of its arguments from the signature of the subclass.
    patience: int | None = None

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple[Any, ...]:  # noqa: N802
        """Limit the spatial augmentation; the name of the method is nnU-Net's."""
        _, flat, _, _ = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        rotation = (-MAX_ROTATION_RAD, MAX_ROTATION_RAD)
        patch = self.configuration_manager.patch_size
        initial = get_patch_size(patch, rotation, rotation, rotation, (0.85, 1.25))
        if flat:
            initial[0] = patch[0]
        self.inference_allowed_mirroring_axes = None
        return rotation, flat, initial, None

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Any]:
        """Return nnU-Net's optimizer and schedule; before ``nnunetv2`` 2.6, its own schedule fails with torch 2.7."""
        optimizer = torch.optim.SGD(
            self.network.parameters(), self.initial_lr, weight_decay=self.weight_decay, momentum=0.99, nesterov=True
        )
        return optimizer, _PolynomialRate(optimizer, self.initial_lr, self.num_epochs)

    def do_split(self) -> tuple[list[str], list[str]]:
        """Return the cases to train on and to validate on, which are those of the file; no person is on both sides.

        nnU-Net would make a split by scans if the file is missing or has fewer folds. In the fold ``"all"`` both are
        the cases of all folds, as in nnU-Net.
        """
        base = Path(self.preprocessed_dataset_folder_base)
        splits = json.loads((base / SPLITS).read_text(encoding="utf-8"))
        persons = json.loads((base / PERSONS).read_text(encoding="utf-8"))
        if self.fold == "all":
            cases = sorted({case for split in splits for side in ("train", "val") for case in split[side]})
            check_sides({"training": cases, "test": set(persons) - set(cases)}, persons, "fold all")
            self.print_to_log_file(f"{len(cases)} scans to train on, none to validate on")
            return cases, cases
        if not isinstance(self.fold, int) or not 0 <= self.fold < len(splits):
            raise DatasetError(f"fold {self.fold} is not in {base / SPLITS}, which has {len(splits)}")
        train, validation = splits[self.fold]["train"], splits[self.fold]["val"]
        test = set(persons) - {case for split in splits for side in ("train", "val") for case in split[side]}
        sides = {"training": train, "validation": validation, "test": test}
        check_sides(sides, persons, f"fold {self.fold}")
        self.print_to_log_file(f"{len(train)} scans to train on, {len(validation)} to validate on, by subject")
        return train, validation

    def on_train_epoch_end(self, train_outputs: list[dict[str, Any]]) -> None:
        """Stop if weights are not finite: nnU-Net would continue to the end, and keep them."""
        if not all(torch.isfinite(values).all() for values in self.network.parameters()):
            raise DatasetError(
                f"the weights of fold {self.fold} are not numbers any more in epoch {self.current_epoch}; check the "
                "scans for NaN and huge values, and go on from the last checkpoint by the same command"
            )
        super().on_train_epoch_end(train_outputs)

    def on_epoch_end(self) -> None:
        """Write the curves, and end the training if there was no better Dice for `patience` epochs."""
        super().on_epoch_end()
        log = self.logger.get_checkpoint()
        write_atomic(Path(self.output_folder, CURVES), format_table(["epoch", *CURVE_COLUMNS], _curve_rows(log)))
        means = log["ema_fg_dice"]
        if self.patience is not None and len(means) - 1 - int(np.argmax(means)) >= self.patience:
            raise _EndedEarlyError

    def run_training(self) -> None:
        """Train; a training that ends early goes back to its best weights."""
        try:
            super().run_training()
        except _EndedEarlyError:
            self.load_checkpoint(str(Path(self.output_folder, "checkpoint_best.pth")))
            self.print_to_log_file(f"no better Dice for {self.patience} epochs: back to epoch {self.current_epoch}")
            self.on_train_end()
            ended = {"epoch": self.current_epoch, "patience": self.patience}
            write_json(Path(self.output_folder, ENDED_EARLY), ended, indent=None)

    def save_checkpoint(self, filename: str) -> None:
        """Write a checkpoint so that a process that is killed leaves either the old or the new one."""
        new = Path(f"{filename}.new")
        super().save_checkpoint(str(new))
        if new.exists():
            new.replace(filename)

    def load_checkpoint(self, filename_or_checkpoint: Any) -> None:
        """Load a checkpoint with numbers of numpy, which torch since 2.6 refuses to nnU-Net before 2.6."""
        with _numpy_numbers_allowed():
            super().load_checkpoint(filename_or_checkpoint)


class _EndedEarlyError(Exception):
    """Ends the loop over epochs."""


def _curve_rows(log: dict[str, list[float]]) -> list[dict[str, str]]:
    """Return the rows of the table of curves, one for each epoch that nnU-Net's log has whole."""
    epochs = zip(*(log[name] for name in CURVE_COLUMNS.values()), strict=False)
    return [
        {"epoch": str(epoch), **{name: f"{value:.6g}" for name, value in zip(CURVE_COLUMNS, values, strict=True)}}
        for epoch, values in enumerate(epochs, start=1)
    ]


@dataclass(frozen=True)
class _PolynomialRate:
    """A learning rate that falls to 0 over the epochs, with a power of 0.9."""

    optimizer: torch.optim.Optimizer
    initial: float
    n_epochs: int

    def step(self, epoch: int) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.initial * (1 - epoch / self.n_epochs) ** 0.9


def _numpy_numbers_allowed() -> contextlib.AbstractContextManager[Any]:
    if not hasattr(torch.serialization, "safe_globals"):  # torch before 2.5 loads everything
        return contextlib.nullcontext()
    from sct_rootlets.models.checkpoint import allowed_globals

    return torch.serialization.safe_globals(allowed_globals())


def make_trainer(
    preprocessed: Path,
    fold: Fold,
    epochs: int,
    iterations: int | None = None,
    patience: int | None = None,
    device: str = "cpu",
    from_model: bool = False,
) -> RootletsTrainer:
    """Make a trainer of a planned and preprocessed dataset.

    Parameters
    ----------
    preprocessed : Path
        nnU-Net's folder of the dataset in ``nnUNet_preprocessed``.
    fold : int or "all"
    epochs : int
    iterations : int, optional
        Iterations of an epoch, with a fifth as many for validation; nnU-Net's 250 and 50 by default.
    patience : int, optional
        Epochs without a better Dice after which the training ends.
    device : {"cpu", "cuda", "mps"}
    from_model : bool
        Whether the training starts from the weights of another model.
    """
    plans = json.loads((preprocessed / "nnUNetPlans.json").read_text(encoding="utf-8"))
    dataset = json.loads((preprocessed / "dataset.json").read_text(encoding="utf-8"))
    plans["continue_training"] = False  # decides where the log of nnunetv2 2.8 goes, which removes it
    trainer = RootletsTrainer(
        plans=plans, configuration="3d_fullres", fold=fold, dataset_json=dataset, device=torch.device(device)
    )
    plans.pop("continue_training", None)
    # nnU-Net gives the coarsest output no weight: with two resolutions, no weight is left, and the loss is 0 / 0.
    trainer.enable_deep_supervision = len(trainer.configuration_manager.pool_op_kernel_sizes) > 2
    trainer.num_epochs, trainer.patience = epochs, patience
    trainer.save_every = CHECKPOINT_EPOCHS
    if iterations is not None:
        trainer.num_iterations_per_epoch = iterations
        trainer.num_val_iterations_per_epoch = max(1, iterations // 5)
    if from_model:
        trainer.initial_lr = TRANSFER_LEARNING_RATE
    # Older trainers round the share to whole patches of a batch: in a batch of two, both patches are around rootlets.
    trainer.oversample_foreground_percent = FOREGROUND_RATE
    trainer.probabilistic_oversampling = True
    return trainer
