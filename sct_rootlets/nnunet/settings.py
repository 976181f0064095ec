"""Settings of a training."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

#: A fold of the split, or that of all scans outside the test.
Fold = int | Literal["all"]
#: Largest number of processes that read and augment, unless the user gives a number.
MAX_DEFAULT_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Data and options of a training.

    Attributes
    ----------
    bids, labels : tuple of Path
        BIDS folders, and folders of labels in place of theirs.
    contrasts, exclude : tuple of str
        See `sct_rootlets.nnunet.scans.find_labelled`.
    desc : str, optional
        Rootlet maps to train on where a scan has those of several raters, by the value of ``desc-``.
    splits : Path, optional
        A split of the user's.
    person_clean : bool
        Move persons who are on two sides of that split to one side, instead of refusing it.
    n_folds : int
    test_share : float
        Share of the subjects kept for the test.
    seed : int
        Seed of the split.
    folds : tuple of int or "all"
        Folds to train; all by default. ``"all"`` is one more: every scan outside the test is trained on.
    epochs : int
    iterations : int, optional
        Iterations of an epoch; nnU-Net's own number by default.
    patience : int, optional
        Epochs without a better Dice in validation after which a fold ends early, with its best weights; by default
        all epochs are trained.
    device : {"cpu", "cuda", "mps"}
    threads : int, optional
        Processes that read and augment, and on a CPU threads of the network. nnU-Net's own number by default.
    start : str, optional
        Model to start from: its plan and its weights.
    like : str, optional
        Model whose plan is used, without its weights.
    memory_gb : float, optional
        Memory of the GPU that nnU-Net plans for.
    """

    bids: tuple[Path, ...]
    labels: tuple[Path, ...] = ()
    contrasts: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    desc: str | None = None
    splits: Path | None = None
    person_clean: bool = False
    n_folds: int = 5
    test_share: float = 0.2
    seed: int = 0
    folds: tuple[Fold, ...] = ()
    epochs: int = 1000
    iterations: int | None = None
    patience: int | None = None
    device: str = "cuda"
    threads: int | None = None
    start: str | None = None
    like: str | None = None
    memory_gb: float | None = None

    @property
    def n_threads(self) -> int:
        """The number of threads, also if the user gave none."""
        return self.threads or min(MAX_DEFAULT_THREADS, os.cpu_count() or 1)
