"""Train a network on synthetic scans, on CPU or GPU; stop and resume at any time.

One process makes scans and learns from them by turns: a small bank of scans is held, patches are cut from it, and every
few steps its oldest scan gives way to a new one. On a GPU all of this happens there.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from torch import nn

from sct_rootlets.errors import ModelError
from sct_rootlets.levels import ROOTS, level_value
from sct_rootlets.segmentation.model import build_network, plain_unet
from sct_rootlets.training.anatomy import TRAINING, AnatomyRanges, random_anatomy
from sct_rootlets.training.contrast import CONTRASTS, Contrast
from sct_rootlets.training.export import write_model_folder
from sct_rootlets.training.synthesis import synthesize

#: Output channels: levels (background and values 1 to 9), then cord, then roots (background and `ROOTS`).
N_LEVELS, N_CORD, N_ROOTS = 1 + level_value("T1", "spinal"), 1, 1 + len(ROOTS)


@dataclass(frozen=True)
class TrainingSettings:
    """What training depends on; a checkpoint resumes only under the settings that it was made with.

    Attributes
    ----------
    features : tuple of int
        Channels of the U-Net at each resolution.
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
    seed : int
    """

    features: tuple[int, ...] = (16, 32, 64, 96)
    spacing_mm: float = 0.8
    patch: tuple[int, int, int] = (96, 48, 48)
    batch: int = 2
    learning_rate: float = 2e-3
    steps: int = 20_000
    bank: int = 16
    renewal: int = 8
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
    length_mm: tuple[float, float] = (60.0, 120.0),
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
    """
    anatomy = random_anatomy(rng, ranges)
    if contrast is None:
        contrast = "random" if rng.random() < 0.5 else str(rng.choice(CONTRASTS[:-1]))  # type: ignore[assignment]
    acquired = np.full(3, rng.uniform(0.6, 1.2))
    if rng.random() < 0.3:
        acquired[rng.integers(3)] *= rng.uniform(2, 3)
    size = np.array([rng.uniform(44, 60), rng.uniform(52, 70), rng.uniform(*length_mm)])
    at = rng.uniform(anatomy.discs[1] - 10, anatomy.discs[9] + 10)
    centre = anatomy.centerline.position(at)[0] + rng.normal(0, 3, 3)
    shape = tuple(int(n) for n in np.maximum(8, np.round(size / acquired)))
    spacing = tuple(float(mm) for mm in acquired)
    scan = synthesize(anatomy, contrast, shape, spacing, tuple(centre), rng, device)  # type: ignore[arg-type]
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
    """Cross-entropy and Dice of levels, cord and roots.

    Parameters
    ----------
    output : torch.Tensor, shape (B, N_LEVELS + N_CORD + N_ROOTS, I, J, K)
    levels, cord, roots : torch.Tensor, shape (B, I, J, K)
    """
    by_level, by_cord, by_root = output.split([N_LEVELS, N_CORD, N_ROOTS], dim=1)
    return (
        F.cross_entropy(by_level, levels.long())
        + _dice_loss(by_level.softmax(1)[:, 1:], F.one_hot(levels.long(), N_LEVELS).movedim(-1, 1)[:, 1:])
        + 0.5 * F.binary_cross_entropy_with_logits(by_cord[:, 0], cord.float())
        + 0.5 * _dice_loss(by_cord.sigmoid(), cord[:, None])
        + 0.5 * F.cross_entropy(by_root, roots.long())
        + 0.5 * _dice_loss(by_root.softmax(1)[:, 1:], F.one_hot(roots.long(), N_ROOTS).movedim(-1, 1)[:, 1:])
    )


def _dice_loss(probability: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """1 - Dice, over the batch and over the classes that are there."""
    axes = (0, 2, 3, 4)
    truth = truth.float()
    overlap, total = (probability * truth).sum(axes), (probability + truth).sum(axes)
    there = truth.sum(axes) > 0
    dice = (2 * overlap + 1) / (total + 1)
    return 1 - dice[there].mean() if there.any() else 1 - dice.mean()


class Training:
    """A training that can be stopped and resumed.

    Parameters
    ----------
    settings : TrainingSettings
    device : str or torch.device
    ranges : AnatomyRanges
        The population to learn from.
    """

    def __init__(
        self, settings: TrainingSettings, device: str | torch.device = "cpu", ranges: AnatomyRanges = TRAINING
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.device, self.ranges = settings, torch.device(device), ranges
        self.architecture = plain_unet(settings.features)
        n_channels = N_LEVELS + N_CORD + N_ROOTS
        self.network: nn.Module = build_network(self.architecture, 1, n_channels).to(self.device)
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
            self.bank.append(random_example(rng, self.settings.spacing_mm, self.device, self.ranges))
        chosen = [self.bank[int(rng.integers(len(self.bank)))] for _ in range(self.settings.batch)]
        patches = [random_patch(example, self.settings.patch, rng) for example in chosen]
        image, levels, cord, roots = (torch.stack(volumes) for volumes in zip(*patches, strict=True))
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * (1 - self.step / self.settings.steps) ** 0.9
        self.network.train()
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"):
            output = self.network(image[:, None])
        loss = loss_of(output.float(), levels, cord, roots)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 12.0)
        self.optimizer.step()
        self.step += 1
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Write a checkpoint; an earlier one is replaced only by a whole one."""
        state = {
            "settings": asdict(self.settings),
            "step": self.step,
            "network": self.network.state_dict(),
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
        weights = {
            key: value[:N_LEVELS] if ".seg_layers." in key else value
            for key, value in self.network.state_dict().items()
        }
        names_only.load_state_dict(weights)
        spacing = (self.settings.spacing_mm,) * 3
        labels = {f"lvl{value}": value for value in range(1, N_LEVELS)}
        return write_model_folder(
            folder, names_only, self.architecture, labels, spacing, self.settings.patch, half=True
        )
