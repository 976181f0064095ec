"""Train a network on synthetic scans, on CPU or GPU; stop and resume at any time.

A small bank of scans is held, patches are cut from it, and every few steps its oldest scan gives way to a new one. On a
GPU all of this happens there, by turns; on a CPU, other processes make the scans ahead of their use. Scans and patches
of a step depend on the seed and the step alone.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from torch import nn

from sct_rootlets.errors import ImageError, LabelError, ModelError
from sct_rootlets.levels import ROOTS, level_value
from sct_rootlets.segmentation.labelling import N_NAMES
from sct_rootlets.segmentation.model import build_network, last_layer, plain_unet
from sct_rootlets.training.anatomy import TRAINING, AnatomyRanges
from sct_rootlets.training.examples import Example, random_example, random_overview, random_patch
from sct_rootlets.training.export import segment_labels, write_model_folder
from sct_rootlets.training.real import UNKNOWN, load_real, vary
from sct_rootlets.training.template import Template, load_template

#: The weights that are exported are averaged over about the last 1 / (1 - this) steps.
AVERAGING = 0.998
#: How often a scan is a real one, where there are any; voxels that are left of it at least along each axis.
REAL_SHARE = 0.4
SHORTEST = {"overview": (24, 30, 12), "rootlets": (64, 48, 48)}
#: Output channels of a network for rootlets: levels (background and values 1 to 9), then cord, then roots (background
#: and `ROOTS`).
N_LEVELS, N_CORD, N_ROOTS = 1 + level_value("T1", "spinal"), 1, 1 + len(ROOTS)
#: Output channels of a network for the overview: background and `sct_rootlets.training.synthesis.Scan.segments`.
N_SEGMENTS = N_NAMES
#: Shares of the segments in the cord, counted in 60 random overviews.
SEGMENT_SHARES = (0.027, 0.035, 0.045, 0.056, 0.068, 0.084, 0.091, 0.083, 0.070, 0.440)


@dataclass(frozen=True)
class TrainingSettings:
    """What training depends on; a checkpoint resumes only under the settings that it was made with.

    Attributes
    ----------
    task : {"rootlets", "overview"}
        What is learned: rootlets with their levels, roots and the cord; or the cord by segments, coarsely.
    features : tuple of int
        Channels of the U-Net at each resolution.
    convolutions : tuple of int
        At each resolution on the way down; there is one on the way up.
    spacing_mm : float
        Voxel size that the network sees.
    patch : (int, int, int)
        Voxels of a patch, from superior, anterior and right.
    batch : int
        Patches a step.
    learning_rate : float
    steps : int
        Length of the whole training: the learning rate falls to 0 over it.
    bank : int
        Scans held at a time.
    renewal : int
        Steps after which the oldest scan is replaced.
    template : bool
        Whether half of the scans are made of the labels of PAM50.
    real : tuple of str
        Subjects whose real scans take part.
    seed : int
    """

    task: str = "rootlets"
    features: tuple[int, ...] = (16, 32, 64, 96, 128)
    convolutions: tuple[int, ...] = (1, 2, 2, 2, 2)
    spacing_mm: float = 0.8
    patch: tuple[int, int, int] = (64, 48, 48)
    batch: int = 2
    learning_rate: float = 2e-3
    steps: int = 20_000
    bank: int = 32
    renewal: int = 6
    template: bool = False
    real: tuple[str, ...] = ()
    seed: int = 0


def loss_of(output: torch.Tensor, levels: torch.Tensor, cord: torch.Tensor, roots: torch.Tensor) -> torch.Tensor:
    """Loss of rootlets and their levels, of the cord and of roots.

    Parameters
    ----------
    output : torch.Tensor, shape (B, N_LEVELS + N_CORD + N_ROOTS, I, J, K)
    levels, cord, roots : torch.Tensor, shape (B, I, J, K)
    """
    by_level, by_cord, by_root = output.split([N_LEVELS, N_CORD, N_ROOTS], dim=1)
    known = (levels != UNKNOWN)[:, None]
    # Where rootlets are unknown, background is taken as said and as true: no loss, no gradient.
    certain = torch.zeros_like(by_level)
    certain[:, 0] = 20.0
    by_level = torch.where(known, by_level, certain)
    by_root = torch.where(known, by_root, certain[:, :N_ROOTS])
    levels, roots = levels * known[:, 0], roots * known[:, 0]
    return (
        presence_and_name_loss(by_level, levels)
        + 0.5 * F.binary_cross_entropy_with_logits(by_cord[:, 0], cord.float())
        + 0.5 * _dice_loss(by_cord.sigmoid(), cord[:, None])
        + 0.5 * F.cross_entropy(by_root, roots.long())
        + 0.5 * _dice_loss(by_root.softmax(1)[:, 1:], F.one_hot(roots.long(), N_ROOTS).movedim(-1, 1)[:, 1:])
    )


def presence_and_name_loss(
    logits: torch.Tensor, values: torch.Tensor, shares: tuple[float, ...] | None = None
) -> torch.Tensor:
    """Loss of whether there is something, and of its name where there is: a doubtful name does not make it doubtful.

    Parameters
    ----------
    logits : torch.Tensor, shape (B, 1 + names, I, J, K)
        Background first.
    values : torch.Tensor, shape (B, I, J, K)
    shares : tuple of float, optional
        How often each name occurs: rare ones are given more weight, so that the network does not guess frequent ones.
    """
    there = values > 0
    presence = logits[:, 1:].logsumexp(1) - logits[:, 0]
    loss = F.binary_cross_entropy_with_logits(presence, there.float())
    loss = loss + _dice_loss(presence.sigmoid()[:, None], there[:, None])
    if there.any():
        weight = None if shares is None else 1 / (len(shares) * torch.tensor(shares, device=logits.device))
        named = logits[:, 1:].movedim(1, -1)[there], values[there].long() - 1
        loss = loss + 0.3 * F.cross_entropy(*named, weight=weight)
    return loss


def _dice_loss(probability: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """1 - Dice, over the batch and over the classes that are there."""
    axes = (0, 2, 3, 4)
    truth = truth.float()
    overlap, total = (probability * truth).sum(axes), (probability + truth).sum(axes)
    there = truth.sum(axes) > 0
    dice = (2 * overlap + 1) / (total + 1)
    return 1 - dice[there].mean() if there.any() else 1 - dice.mean()


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
        self.coming: dict[int, Future[Example]] = {}

    def __getitem__(self, number: int) -> Example:
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
) -> Example:
    rng = np.random.default_rng((settings.seed, 1, number))
    if real_folder is not None and settings.real and rng.random() < REAL_SHARE:
        subject = str(rng.choice(settings.real))
        scan = _real(real_folder, subject, settings.task, settings.spacing_mm)
        example = vary(scan, rng, SHORTEST[settings.task])
        return Example(*(getattr(example, field.name).to(device) for field in fields(Example)))
    if settings.task == "overview":
        return random_overview(rng, settings.spacing_mm, device, ranges)
    template = None if template_folder is None else _template(template_folder, device)
    return random_example(rng, settings.spacing_mm, device, ranges, template=template)


@lru_cache(maxsize=8)
def _real(folder: Path, subject: str, task: str, spacing_mm: float) -> Example:
    return load_real(folder, subject, task, spacing_mm)


@lru_cache(maxsize=1)
def _template(folder: Path, device: torch.device) -> Template:
    return load_template(folder).to(device)


class Training:
    """A training that can be stopped and resumed.

    Parameters
    ----------
    settings : TrainingSettings
    device : str or torch.device
    ranges : AnatomyRanges
        The population to learn from.
    template_folder : Path, optional
        With the labels of PAM50; needed if the settings ask for them.
    real_folder : Path, optional
        BIDS folder with the settings' real subjects.
    workers : int
        Processes that make scans; 0 makes them between steps.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        device: str | torch.device = "cpu",
        ranges: AnatomyRanges = TRAINING,
        template_folder: Path | None = None,
        real_folder: Path | None = None,
        workers: int = 0,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.device = settings, torch.device(device)
        if settings.template and template_folder is None:
            raise LabelError("the labels of PAM50 are part of this training; give their folder")
        if settings.real and real_folder is None:
            raise ImageError("real scans are part of this training; give their folder")
        folder = template_folder if settings.template else None
        self.examples = _Examples(settings, self.device, ranges, folder, real_folder, workers)
        self.architecture = plain_unet(settings.features, settings.convolutions)
        n_channels = N_SEGMENTS if settings.task == "overview" else N_LEVELS + N_CORD + N_ROOTS
        self.network: nn.Module = build_network(self.architecture, 1, n_channels).to(self.device)
        self.average = {key: value.clone() for key, value in self.network.state_dict().items()}
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=settings.learning_rate, weight_decay=1e-4)
        self.step = 0
        self.bank: deque[Example] = deque(maxlen=settings.bank)

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
            Stop after this time.
        checkpoint : Path, optional
            Written every five minutes and at the end.
        every_seconds : float
            Time between checkpoints.
        report : callable, optional
            Called with the step and its loss.
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
        if not self.bank or self.step % self.settings.renewal == 0:
            self.bank.append(self.examples[self.step // self.settings.renewal])
        chosen = [self.bank[int(rng.integers(len(self.bank)))] for _ in range(self.settings.batch)]
        patches = [random_patch(example, self.settings.patch, rng) for example in chosen]
        image, levels, cord, roots = (torch.stack(volumes) for volumes in zip(*patches, strict=True))
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * (1 - self.step / self.settings.steps) ** 0.9
        self.network.train()
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type != "mps"):
            output = self.network(image[:, None])
        if self.settings.task == "overview":
            loss = presence_and_name_loss(output.float(), levels, SEGMENT_SHARES)
        else:
            loss = loss_of(output.float(), levels, cord, roots)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 12.0)
        self.optimizer.step()
        self.step += 1
        decay = min(AVERAGING, self.step / (self.step + 10))
        for key, value in self.network.state_dict().items():
            self.average[key].lerp_(value, 1 - decay)
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Write a checkpoint; an earlier one is replaced only by a whole one."""
        state = {
            "settings": asdict(self.settings),
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
            If it was made under other settings.
        """
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["settings"] != asdict(self.settings):
            raise ModelError(f"{path} was made under other settings; train with those, or start anew")
        self.network.load_state_dict(state["network"])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def start_from(self, path: Path) -> None:
        """Begin with the averaged weights of another training's checkpoint."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["average"])
        self.average = {key: value.clone() for key, value in self.network.state_dict().items()}

    def export(self, folder: Path) -> Path:
        """Write the network as an nnU-Net v2 model folder, in half precision, with its weights averaged over steps.

        Parameters
        ----------
        folder : Path
            The trainer's folder is made in it.

        Returns
        -------
        Path
            The trainer's folder. Of rootlets, classes are ``lvl1`` to ``lvl9``: value 2 is C2, 9 is T1, and 1 never
            occurs; cord and roots are in ``heads.json``. Of the overview, classes are the segments of the cord.
        """
        weights, heads = dict(self.average), {}
        if self.settings.task == "overview":
            n_classes = N_SEGMENTS
            labels = segment_labels()
        else:
            n_classes = N_LEVELS
            labels = {f"lvl{value}": value for value in range(1, N_LEVELS)}
            layer = last_layer(weights)
            for name, part in (("cord", slice(N_LEVELS, N_LEVELS + N_CORD)), ("roots", slice(-N_ROOTS, None))):
                heads[name] = {end: weights[f"{layer}.{end}"][part].flatten().tolist() for end in ("weight", "bias")}
            weights = {key: value[:N_LEVELS] if ".seg_layers." in key else value for key, value in weights.items()}
        network = build_network(self.architecture, 1, n_classes)
        network.load_state_dict(weights)
        spacing = (self.settings.spacing_mm,) * 3
        return write_model_folder(
            folder, network, self.architecture, labels, spacing, self.settings.patch, half=True, heads=heads
        )
