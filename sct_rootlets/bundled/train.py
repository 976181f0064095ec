"""Train a network on synthetic scans, on CPU or GPU; training can be stopped and resumed at any time.

Patches are cut from a small bank of scans, whose oldest scan is replaced every few steps. A GPU makes scans and trains
in turns; on a CPU, other processes can make the scans in advance. Scans and patches of a step depend only on the seed
and on the number of the step.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sct_rootlets.bundled.examples import Example
from sct_rootlets.bundled.export import write_model_folder
from sct_rootlets.bundled.networks import NETWORK_KINDS, TrainingSettings
from sct_rootlets.errors import ImageError, LabelError, ModelError
from sct_rootlets.models.architecture import build_network, last_layer
from sct_rootlets.models.model import load_model
from sct_rootlets.segmentation.tiles import has_bfloat16
from sct_rootlets.synthesis.random_anatomy import TRAINING_RANGES, AnatomyRanges
from sct_rootlets.synthesis.template import TemplateAnatomy, load_template

#: Decay per step of the average of the exported weights, which covers about the last 1 / (1 - decay) steps.
AVERAGING_DECAY = 0.998


class _Examples:
    """Scans by number, made ahead of their use by worker processes where there are any."""

    def __init__(
        self,
        settings: TrainingSettings,
        device: torch.device,
        ranges: AnatomyRanges,
        template_folder: Path | None,
        real_folder: Path | None,
        workers: int,
    ) -> None:
        self.arguments = (settings, device, ranges, template_folder, real_folder)
        self.pool = None
        if workers:
            self.pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _one_thread)
        self.ahead = 2 * workers
        self.coming: dict[int, Future[Any]] = {}

    def __getitem__(self, number: int) -> Any:
        if self.pool is None:
            return _numbered_example(number, *self.arguments)
        for later in range(number, number + 1 + self.ahead):
            if later not in self.coming:
                self.coming[later] = self.pool.submit(_numbered_example, later, *self.arguments)
        return self.coming.pop(number).result()


def _one_thread() -> None:
    torch.set_num_threads(1)


def _numbered_example(
    number: int,
    settings: TrainingSettings,
    device: torch.device,
    ranges: AnatomyRanges,
    template_folder: Path | None,
    real_folder: Path | None,
) -> Any:
    rng = np.random.default_rng((settings.seed, 1, number))
    kind = NETWORK_KINDS[settings.task]
    if real_folder is not None and settings.real and rng.random() < settings.real_share:
        example = kind.vary(_real(real_folder, str(rng.choice(settings.real)), settings), rng)
        return example.to(device) if isinstance(example, Example) else example
    template = None if template_folder is None else _template(template_folder, device)
    return kind.synthetic(rng, settings, device, ranges, template)


@lru_cache(maxsize=8)
def _real(folder: Path, subject: str, settings: TrainingSettings) -> Any:
    return NETWORK_KINDS[settings.task].real(folder, subject, settings)


@lru_cache(maxsize=1)
def _template(folder: Path, device: torch.device) -> TemplateAnatomy:
    return load_template(folder).to(device)


class Training:
    """A training that can be stopped and resumed.

    Parameters
    ----------
    settings : TrainingSettings
    device : str or torch.device
    ranges : AnatomyRanges
        Population to learn from.
    template_folder : Path, optional
        Folder with the labels of PAM50; needed if the settings ask for them.
    real_folder : Path, optional
        BIDS folder with the settings' real subjects.
    workers : int
        Number of processes that make scans; 0 makes scans between steps.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        device: str | torch.device = "cpu",
        ranges: AnatomyRanges = TRAINING_RANGES,
        template_folder: Path | None = None,
        real_folder: Path | None = None,
        workers: int = 0,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.device, self.ranges = settings, torch.device(device), ranges
        if settings.template and template_folder is None:
            raise LabelError("the labels of PAM50 are part of this training; give their folder")
        if settings.real and real_folder is None:
            raise ImageError("real scans are part of this training; give their folder")
        folder = template_folder if settings.template else None
        self.examples = _Examples(settings, self.device, ranges, folder, real_folder, workers)
        self.kind = NETWORK_KINDS[settings.task]
        self.architecture = self.kind.architecture(settings)
        network = build_network(self.architecture, len(self.kind.channels), self.kind.n_outputs)
        self.network: nn.Module = network.to(self.device)
        self.average = {key: value.clone() for key, value in self.network.state_dict().items()}
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=settings.learning_rate, weight_decay=1e-4)
        self.step = 0
        self.bank: deque[Any] = deque(maxlen=settings.bank)

    def run(
        self,
        seconds: float = float("inf"),
        checkpoint: Path | None = None,
        every_seconds: float = 300.0,
        report: Callable[[int, float], None] | None = None,
    ) -> None:
        """Train to the end of the settings' steps, or for a time.

        Parameters
        ----------
        seconds : float
            Time after which training stops.
        checkpoint : Path, optional
            File written every five minutes and at the end.
        every_seconds : float
            Time between checkpoints.
        report : callable, optional
            Function called with the step and its loss.
        """
        begin = saved = time.monotonic()
        while self.step < self.settings.steps and time.monotonic() - begin < seconds:
            loss = self.train_step()
            if report is not None:
                report(self.step, loss)
            if checkpoint is not None and time.monotonic() - saved > every_seconds:
                self.save(checkpoint)
                saved = time.monotonic()
        if checkpoint is not None:
            self.save(checkpoint)

    def train_step(self) -> float:
        """Learn from one batch; returns its loss."""
        rng = np.random.default_rng((self.settings.seed, self.step))  # the same after a resume
        newest = self.step // self.settings.renewal + self.settings.fewest - 1
        if not self.bank:
            self.bank.extend(self.examples[number] for number in range(newest + 1 - self.settings.fewest, newest + 1))
        elif self.step % self.settings.renewal == 0:
            self.bank.append(self.examples[newest])
        chosen = [self.bank[int(rng.integers(len(self.bank)))] for _ in range(self.settings.batch)]
        cut = [self.kind.cut(example, self.settings, rng) for example in chosen]
        image, *labels = (torch.stack(volumes).to(self.device) for volumes in zip(*cut, strict=True))
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * (1 - self.step / self.settings.steps) ** 0.9
        self.network.train()
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=has_bfloat16(self.device)):
            output = self.network(image)
        loss = self.kind.loss(output.float(), *labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 12.0)
        self.optimizer.step()
        self.step += 1
        decay = min(AVERAGING_DECAY, self.step / (self.step + 10))
        for key, value in self.network.state_dict().items():
            self.average[key].lerp_(value, 1 - decay)
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Write a checkpoint; an earlier one is replaced only by a whole one."""
        state = {
            "settings": asdict(self.settings),
            "ranges": asdict(self.ranges),
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises
        ------
        ModelError
            If it was made under other settings, or on another population.
        """
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["settings"] != asdict(self.settings) or state.get("ranges") != asdict(self.ranges):
            raise ModelError(
                f"{path} was made under other settings, or on another population; train with those, or start anew"
            )
        self.network.load_state_dict(state["network"])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def start_from(self, path: Path) -> None:
        """Begin with the averaged weights of another training's checkpoint, or with those of a model folder."""
        if path.is_dir():
            weights = load_model(path, self.device).network.state_dict()
        else:
            weights = torch.load(path, map_location=self.device, weights_only=True)["average"]
        self.network.load_state_dict(weights)
        self.average = {key: value.clone() for key, value in self.network.state_dict().items()}

    def average_with(self, path: Path) -> None:
        """Export the mean of the averaged weights and those of another training's checkpoint.

        A network that was trained on for a little, on scans of one kind, keeps more of what it could do before
        (Wortsman 2022, CVPR, doi 10.1109/CVPR52688.2022.00780).
        """
        other = torch.load(path, map_location=self.device, weights_only=True)["average"]
        self.average = {key: (value + other[key]) / 2 for key, value in self.average.items()}

    def export(self, folder: Path) -> Path:
        """Write the network as an nnU-Net v2 model folder, in half precision, with its weights averaged over steps.

        Parameters
        ----------
        folder : Path
            The trainer's folder is made in it.

        Returns
        -------
        Path
            The trainer's folder. Heads of the network are in its ``heads.json``.
        """
        weights, heads = dict(self.average), {}
        n_classes = 1 + len(self.kind.labels)
        layer = last_layer(weights)
        for name, part in self.kind.heads.items():
            heads[name] = {end: weights[f"{layer}.{end}"][part].flatten().tolist() for end in ("weight", "bias")}
        weights = {key: value[:n_classes] if ".seg_layers." in key else value for key, value in weights.items()}
        network = build_network(self.architecture, len(self.kind.channels), n_classes)
        network.load_state_dict(weights)
        return write_model_folder(
            folder,
            network,
            self.architecture,
            self.kind.labels,
            self.kind.spacing(self.settings),
            self.settings.patch,
            half=True,
            heads=heads,
            channels=self.kind.channels,
        )
