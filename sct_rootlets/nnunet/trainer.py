"""nnU-Net's trainer with what rootlets need. Importing this module imports ``nnunetv2``.

nnU-Net looks for trainers in its own package only; this one is not looked for but made (`make_trainer`), and its
checkpoints are renamed on release. It works with ``nnunetv2`` 2.5 to 2.8, whose trainers differ in their arguments.
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
from sct_rootlets.nnunet.splits import check_sides

#: How far a patch may be turned. nnU-Net turns flat ones by up to 180°: rostral would become caudal, and names wrong.
MAX_TURN = np.radians(30.0)
#: Share of patches that lie around a voxel of a level, each level of a scan as often as any other: thin ones are seen
#: as often as thick ones. nnU-Net's own is a third.
FOREGROUND = 0.75
#: Epochs between the checkpoints that an interrupted training goes on from; nnU-Net's own is 50.
SAVE_EVERY = 10
#: Learning rate to begin with where the weights are those of another model, which nnU-Net's own (0.01) would spoil.
RATE_OF_START = 1e-3


class RootletsTrainer(nnUNetTrainer):
    """No mirroring, no turning upside down, more patches with rootlets, and people on one side of the split."""

    # No constructor of its own: nnU-Net's reads the names of its arguments from the signature of this one.

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple[Any, ...]:  # noqa: N802
        """Limit what augmentation may do to where things lie; the name is nnU-Net's."""
        _, flat, _, _ = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        turn = (-MAX_TURN, MAX_TURN)
        patch = self.configuration_manager.patch_size
        initial = get_patch_size(patch, turn, turn, turn, (0.85, 1.25))
        if flat:
            initial[0] = patch[0]
        self.inference_allowed_mirroring_axes = None
        return turn, flat, initial, None

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Any]:
        """As in nnU-Net, whose own schedule does not work with torch since 2.7 before ``nnunetv2`` 2.6."""
        optimizer = torch.optim.SGD(
            self.network.parameters(), self.initial_lr, weight_decay=self.weight_decay, momentum=0.99, nesterov=True
        )
        return optimizer, _PolynomialRate(optimizer, self.initial_lr, self.num_epochs)

    def do_split(self) -> tuple[list[str], list[str]]:
        """Cases to train and to validate on: those of the file, never others, and never one person on both sides.

        (nnU-Net would make up a split by scans where the file is missing or has fewer folds.)
        """
        base = Path(self.preprocessed_dataset_folder_base)
        splits = json.loads((base / SPLITS).read_text(encoding="utf-8"))
        persons = json.loads((base / PERSONS).read_text(encoding="utf-8"))
        if not isinstance(self.fold, int) or not 0 <= self.fold < len(splits):
            raise DatasetError(f"fold {self.fold} is not in {base / SPLITS}, which has {len(splits)}")
        train, validation = splits[self.fold]["train"], splits[self.fold]["val"]
        test = set(persons) - {case for split in splits for side in ("train", "val") for case in split[side]}
        sides = {"training": train, "validation": validation, "test": test}
        check_sides(sides, persons, f"fold {self.fold}")
        self.print_to_log_file(f"{len(train)} scans to train on, {len(validation)} to validate on, by subject")
        return train, validation

    def on_train_epoch_end(self, train_outputs: list[dict[str, Any]]) -> None:
        """Stop where weights are no numbers any more: nnU-Net would go on to the end, and keep them."""
        if not all(torch.isfinite(values).all() for values in self.network.parameters()):
            raise DatasetError(
                f"the weights of fold {self.fold} are no numbers any more in epoch {self.current_epoch}; check the "
                "scans for NaN and huge values, and go on from the last checkpoint by the same command"
            )
        super().on_train_epoch_end(train_outputs)

    def save_checkpoint(self, filename: str) -> None:
        """Write a checkpoint so that a process that is killed leaves the old one, or the new one."""
        new = Path(f"{filename}.new")
        super().save_checkpoint(str(new))
        if new.exists():
            new.replace(filename)

    def load_checkpoint(self, filename_or_checkpoint: Any) -> None:
        """Load a checkpoint; nnU-Net before 2.6 cannot with torch since 2.6, which refuses numpy's numbers in it."""
        with _numbers_allowed():
            super().load_checkpoint(filename_or_checkpoint)


@dataclass(frozen=True)
class _PolynomialRate:
    """The learning rate falls to 0 over the epochs, nearly in a line (power 0.9)."""

    optimizer: torch.optim.Optimizer
    initial: float
    n_epochs: int

    def step(self, epoch: int) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.initial * (1 - epoch / self.n_epochs) ** 0.9


def _numbers_allowed() -> contextlib.AbstractContextManager[Any]:
    if not hasattr(torch.serialization, "safe_globals"):  # before torch 2.5, which loads whatever there is
        return contextlib.nullcontext()
    from sct_rootlets.models.checkpoint import allowed_globals

    return torch.serialization.safe_globals(allowed_globals())


def make_trainer(
    preprocessed: Path,
    fold: int,
    epochs: int,
    iterations: int | None = None,
    device: str = "cpu",
    from_model: bool = False,
) -> RootletsTrainer:
    """Make a trainer of a planned and preprocessed dataset.

    Parameters
    ----------
    preprocessed : Path
        nnU-Net's folder of the dataset in ``nnUNet_preprocessed``.
    fold : int
    epochs : int
    iterations : int, optional
        Of an epoch; a fifth as many for validation. nnU-Net's 250 and 50 by default.
    device : {"cpu", "cuda", "mps"}
    from_model : bool
        Whether it starts from the weights of another model.
    """
    plans = json.loads((preprocessed / "nnUNetPlans.json").read_text(encoding="utf-8"))
    dataset = json.loads((preprocessed / "dataset.json").read_text(encoding="utf-8"))
    plans["continue_training"] = False  # nnunetv2 2.8 takes this out of the plans; it says where its log goes
    trainer = RootletsTrainer(
        plans=plans, configuration="3d_fullres", fold=fold, dataset_json=dataset, device=torch.device(device)
    )
    plans.pop("continue_training", None)
    # nnU-Net gives the coarsest output no weight: of two resolutions none is left, and the loss is 0 / 0.
    trainer.enable_deep_supervision = len(trainer.configuration_manager.pool_op_kernel_sizes) > 2
    trainer.num_epochs = epochs
    trainer.save_every = SAVE_EVERY
    if iterations is not None:
        trainer.num_iterations_per_epoch = iterations
        trainer.num_val_iterations_per_epoch = max(1, iterations // 5)
    if from_model:
        trainer.initial_lr = RATE_OF_START
    # Older trainers round the share to whole patches of a batch: with two in it, both are around rootlets.
    trainer.oversample_foreground_percent = FOREGROUND
    trainer.probabilistic_oversampling = True
    return trainer
