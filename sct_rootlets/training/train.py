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
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from torch import nn

from sct_rootlets.errors import LabelError, ModelError
from sct_rootlets.levels import ROOTS, level_value
from sct_rootlets.segmentation.model import build_network, plain_unet
from sct_rootlets.training.anatomy import TRAINING, AnatomyRanges, random_anatomy
from sct_rootlets.training.contrast import Contrast
from sct_rootlets.training.export import write_model_folder
from sct_rootlets.training.synthesis import synthesize
from sct_rootlets.training.template import Template, load_template

#: The weights that are exported are averaged over about the last 1 / (1 - this) steps.
AVERAGING = 0.998
#: How often a scan is of each contrast: half by physics, half at random.
MIXTURE = {"T2w": 0.2, "INV1": 0.1, "INV2": 0.1, "UNIT1": 0.1, "random": 0.5}
#: How often the field of view lies beside the spine.
ELSEWHERE = 0.15
#: Output channels: levels (background and values 1 to 9), then cord, then roots (background and `ROOTS`).
N_LEVELS, N_CORD, N_ROOTS = 1 + level_value("T1", "spinal"), 1, 1 + len(ROOTS)


@dataclass(frozen=True)
class TrainingSettings:
    """What training depends on; a checkpoint resumes only under the settings that it was made with.

    Attributes
    ----------
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
    seed : int
    """

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
    seed: int = 0


@dataclass(frozen=True)
class Example:
    """A scan as the network sees it: resampled and standardised, axes superior, anterior, right."""

    image: torch.Tensor
    levels: torch.Tensor
    cord: torch.Tensor
    roots: torch.Tensor


def random_example(
    rng: np.random.Generator,
    spacing_mm: float,
    device: str | torch.device = "cpu",
    ranges: AnatomyRanges = TRAINING,
    contrast: Contrast | None = None,
    length_mm: tuple[float, float] = (50.0, 75.0),
    template: Template | None = None,
) -> Example:
    """Draw an anatomy, a protocol and a field of view, and make the scan.

    Parameters
    ----------
    rng : numpy.random.Generator
    spacing_mm : float
        Voxel size of the example.
    device : str or torch.device
    ranges : AnatomyRanges
    contrast : str, optional
        By default the random one half of the time, and one of the others else.
    length_mm : (float, float)
        Of the field of view along the body.
    template : Template, optional
        Source of cord and rootlets in place of the anatomy's own, half of the time.
    """
    anatomy = random_anatomy(rng, ranges)
    if contrast is None:
        contrast = str(rng.choice(list(MIXTURE), p=list(MIXTURE.values())))  # type: ignore[assignment]
    if rng.random() < 0.5:
        template = None
    acquired = np.full(3, rng.uniform(0.6, 1.2))
    if rng.random() < 0.3:
        acquired[rng.integers(3)] *= rng.uniform(2, 3)
    size = np.array([rng.uniform(40, 54), rng.uniform(44, 62), rng.uniform(*length_mm)])
    at = rng.uniform(anatomy.discs[1] - 10, anatomy.discs[10] + 10)
    centre = anatomy.centerline.position(at)[0] + rng.normal(0, 4, 3)
    if rng.random() < ELSEWHERE:  # what lies beside the spine is none of it
        centre += [rng.uniform(-30, 30), rng.uniform(-45, 30), 0]
    shape = tuple(int(n) for n in np.maximum(8, np.round(size / acquired)))
    spacing = tuple(float(mm) for mm in acquired)
    scan = synthesize(anatomy, contrast, shape, spacing, tuple(centre), rng, device, template)  # type: ignore[arg-type]
    target = [max(8, round(n * mm / spacing_mm)) for n, mm in zip(shape, spacing, strict=True)]

    def resized(volume: torch.Tensor, mode: str) -> torch.Tensor:
        extra = {"align_corners": False} if mode == "trilinear" else {}
        result = F.interpolate(volume[None, None].float(), size=target, mode=mode, **extra)[0, 0]
        return result.permute(2, 1, 0).contiguous()

    image = resized(scan.image, "trilinear")
    image = (image - image.mean()) / image.std().clamp(min=1e-6)
    return Example(
        image,
        resized(scan.levels, "nearest-exact").to(torch.uint8),
        resized(scan.cord, "nearest-exact").to(torch.uint8),
        resized(scan.roots, "nearest-exact").to(torch.uint8),
    )


def random_patch(example: Example, patch: tuple[int, int, int], rng: np.random.Generator) -> list[torch.Tensor]:
    """Cut a patch, mostly around a rootlet voxel, and mirror it left to right half of the time.

    Returns
    -------
    list of torch.Tensor
        Image, levels, cord and roots, each of the shape of the patch; beyond the scan, zeros.
    """
    shape = np.array(example.image.shape)
    found = example.levels.nonzero()
    if len(found) and rng.random() < 0.75:
        middle = found[int(rng.integers(len(found)))].cpu().numpy() + rng.integers(-8, 9, 3)
    else:
        middle = rng.integers(0, shape)
    start = np.where(shape > patch, np.clip(middle - np.array(patch) // 2, 0, np.maximum(shape - patch, 0)), 0)
    box = tuple(slice(int(first), int(first) + size) for first, size in zip(start, patch, strict=True))
    cut = [volume[box] for volume in (example.image, example.levels, example.cord, example.roots)]
    short = [width for n, size in zip(cut[0].shape[::-1], patch[::-1], strict=True) for width in (0, size - n)]
    cut = [F.pad(volume, short) for volume in cut]
    if rng.random() < 0.5:
        cut = [volume.flip(2) for volume in cut]
        swap = [0] + [1 + ROOTS.index(_other_side(root)) for root in ROOTS]
        cut[3] = torch.tensor(swap, dtype=torch.uint8, device=cut[3].device)[cut[3].long()]
    return cut


def _other_side(root: str) -> str:
    side, kind = root.split("_")
    return f"{'right' if side == 'left' else 'left'}_{kind}"


def loss_of(output: torch.Tensor, levels: torch.Tensor, cord: torch.Tensor, roots: torch.Tensor) -> torch.Tensor:
    """Cross-entropy and Dice of rootlets, cord and roots, and cross-entropy of the level of rootlet voxels.

    That a voxel is rootlet and which level it is are learned apart: a doubtful name does not make the rootlet doubtful.

    Parameters
    ----------
    output : torch.Tensor, shape (B, N_LEVELS + N_CORD + N_ROOTS, I, J, K)
    levels, cord, roots : torch.Tensor, shape (B, I, J, K)
    """
    by_level, by_cord, by_root = output.split([N_LEVELS, N_CORD, N_ROOTS], dim=1)
    is_rootlet = levels > 0
    rootlet = by_level[:, 1:].logsumexp(1) - by_level[:, 0]
    loss = (
        F.binary_cross_entropy_with_logits(rootlet, is_rootlet.float())
        + _dice_loss(rootlet.sigmoid()[:, None], is_rootlet[:, None])
        + 0.5 * F.binary_cross_entropy_with_logits(by_cord[:, 0], cord.float())
        + 0.5 * _dice_loss(by_cord.sigmoid(), cord[:, None])
        + 0.5 * F.cross_entropy(by_root, roots.long())
        + 0.5 * _dice_loss(by_root.softmax(1)[:, 1:], F.one_hot(roots.long(), N_ROOTS).movedim(-1, 1)[:, 1:])
    )
    if is_rootlet.any():
        named = by_level[:, 1:].movedim(1, -1)[is_rootlet]
        loss = loss + 0.3 * F.cross_entropy(named, levels[is_rootlet].long() - 1)
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
        workers: int,
    ) -> None:
        self.arguments = (settings.seed, settings.spacing_mm, device, ranges, template_folder)
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
    seed: int,
    spacing_mm: float,
    device: torch.device,
    ranges: AnatomyRanges,
    template_folder: Path | None,
) -> Example:
    template = None if template_folder is None else _template(template_folder, device)
    rng = np.random.default_rng((seed, 1, number))
    return random_example(rng, spacing_mm, device, ranges, template=template)


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
    workers : int
        Processes that make scans; 0 makes them between steps.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        device: str | torch.device = "cpu",
        ranges: AnatomyRanges = TRAINING,
        template_folder: Path | None = None,
        workers: int = 0,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.device = settings, torch.device(device)
        if settings.template and template_folder is None:
            raise LabelError("the labels of PAM50 are part of this training; give their folder")
        folder = template_folder if settings.template else None
        self.examples = _Examples(settings, self.device, ranges, folder, workers)
        self.architecture = plain_unet(settings.features, settings.convolutions)
        n_channels = N_LEVELS + N_CORD + N_ROOTS
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

    def export(self, folder: Path) -> Path:
        """Write the part of the network that names rootlets as an nnU-Net v2 model folder, in half precision.

        Parameters
        ----------
        folder : Path
            The trainer's folder is made in it.

        Returns
        -------
        Path
            The trainer's folder, with classes ``lvl1`` to ``lvl9``: value 2 is C2, 9 is T1, and 1 never occurs.
        """
        names_only = build_network(self.architecture, 1, N_LEVELS)
        weights = {key: value[:N_LEVELS] if ".seg_layers." in key else value for key, value in self.average.items()}
        names_only.load_state_dict(weights)
        spacing = (self.settings.spacing_mm,) * 3
        labels = {f"lvl{value}": value for value in range(1, N_LEVELS)}
        return write_model_folder(
            folder, names_only, self.architecture, labels, spacing, self.settings.patch, half=True
        )
