"""What can be trained: on what examples, towards what, and how the result is called."""

# ruff: noqa: D102, RUF012 (what is overridden is documented in `Task`; nothing changes its dictionaries)

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sct_rootlets.bundled.examples import Example, random_example, random_overview, random_patch
from sct_rootlets.bundled.export import segment_labels
from sct_rootlets.bundled.losses import (
    N_CORD,
    N_LEVELS,
    N_ROOTS,
    N_SEGMENTS,
    names_loss,
    overview_loss,
    rootlets_loss,
)
from sct_rootlets.bundled.names import Straight, random_straight, real_straight, view
from sct_rootlets.bundled.real import load_real, vary
from sct_rootlets.models.architecture import plain_unet
from sct_rootlets.segmentation.straight import N_COLUMNS, N_ROWS, N_SLABS, PIXEL_MM
from sct_rootlets.synthesis.random_anatomy import AnatomyRanges
from sct_rootlets.synthesis.template import Template

#: Steps from each resolution to the next: rows are more than columns.
NAMES_STRIDES = ([1, 1], [2, 2], [2, 2], [2, 2], [2, 1])


@dataclass(frozen=True)
class TrainingSettings:
    """What training depends on; a checkpoint resumes only under the settings that it was made with.

    Attributes
    ----------
    task : {"rootlets", "overview", "names"}
        What is learned: rootlets with their levels, roots and the cord; the cord, coarsely; or the names of the cord's
        segments on the straightened spine.
    features : tuple of int
        Channels of the U-Net at each resolution.
    convolutions : tuple of int
        At each resolution on the way down; there is one on the way up.
    spacing_mm : float
        Voxel size that the network sees.
    patch : tuple of int
        Voxels of a patch, from superior, anterior and right; rows and columns for names.
    batch : int
        Patches a step.
    learning_rate : float
    steps : int
        Length of the whole training: the learning rate falls to 0 over it.
    bank : int
        Scans held at most.
    fewest : int
        Scans held from the start.
    renewal : int
        Steps after which a new scan comes, and the oldest goes once there are too many.
    template : bool
        Whether half of the scans are made of the labels of PAM50.
    real : tuple of str
        Subjects whose real scans take part.
    real_share : float
        How often a scan is a real one, where there are any.
    seed : int
    """

    task: str = "rootlets"
    features: tuple[int, ...] = (16, 32, 64, 96, 128)
    convolutions: tuple[int, ...] = (1, 2, 2, 2, 2)
    spacing_mm: float = 0.8
    patch: tuple[int, ...] = (64, 48, 48)
    batch: int = 2
    learning_rate: float = 2e-3
    steps: int = 20_000
    bank: int = 32
    fewest: int = 1
    renewal: int = 6
    template: bool = False
    real: tuple[str, ...] = ()
    real_share: float = 0.4
    seed: int = 0


#: What a training is like unless it is said.
DEFAULTS = {
    "rootlets": TrainingSettings(),
    "overview": TrainingSettings(
        task="overview",
        features=(16, 32, 48, 64, 96),
        convolutions=(1, 1, 2, 2, 2),
        spacing_mm=2.0,
        patch=(96, 80, 32),
        batch=1,
        steps=6000,
    ),
    "names": TrainingSettings(
        task="names",
        features=(24, 32, 48, 64, 64),
        convolutions=(2, 2, 2, 2, 2),
        spacing_mm=PIXEL_MM,
        patch=(N_ROWS, N_COLUMNS),
        batch=8,
        steps=8000,
        bank=2400,
        fewest=256,
        renewal=12,
        real_share=0.35,
    ),
}


class Task:
    """Something that can be trained; here, on volumes of one channel.

    Attributes
    ----------
    n_outputs : int
        Channels of the network's output.
    shortest : tuple of int
        Voxels that are left of a real scan at least along each axis.
    labels : dict of str to int
        Classes of the network by name, background left out.
    heads : dict of str to slice
        Channels beyond those of the classes, by name.
    channels : tuple of str
        Of the input.
    """

    n_outputs: int
    shortest: tuple[int, int, int]
    labels: dict[str, int]
    heads: dict[str, slice] = {}
    channels: tuple[str, ...] = ("MRI",)

    def architecture(self, settings: TrainingSettings) -> dict[str, Any]:
        """nnU-Net's description of the network."""
        return plain_unet(settings.features, settings.convolutions)

    def synthetic(
        self,
        rng: np.random.Generator,
        settings: TrainingSettings,
        device: torch.device,
        ranges: AnatomyRanges,
        template: Template | None,
    ) -> Any:
        """Draw an example."""
        raise NotImplementedError

    def real(self, folder: Path, subject: str, settings: TrainingSettings) -> Any:
        """Read a real example."""
        return load_real(folder, subject, settings.task, settings.spacing_mm)

    def vary(self, example: Any, rng: np.random.Generator) -> Any:
        """A real example as another scan would have it."""
        return vary(example, rng, self.shortest)

    def cut(self, example: Any, settings: TrainingSettings, rng: np.random.Generator) -> list[torch.Tensor]:
        """Image, channels first, and what is to be learned of it, for `loss`."""
        image, *labels = random_patch(example, settings.patch, rng)
        return [image[None], *labels]

    def loss(self, output: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
        """How far an output is from what is to be learned."""
        raise NotImplementedError

    def spacing(self, settings: TrainingSettings) -> tuple[float, ...]:
        """Voxel size for the model folder."""
        return (settings.spacing_mm,) * len(settings.patch)


class Rootlets(Task):
    """Rootlets with their levels and roots, and the cord.

    Of the exported classes, ``lvl2`` is C2, ``lvl9`` is T1, and ``lvl1`` never occurs.
    """

    n_outputs = N_LEVELS + N_CORD + N_ROOTS
    shortest = (64, 48, 48)
    labels = {f"lvl{value}": value for value in range(1, N_LEVELS)}
    heads = {"cord": slice(N_LEVELS, N_LEVELS + N_CORD), "roots": slice(N_LEVELS + N_CORD, None)}

    def synthetic(self, rng, settings, device, ranges, template) -> Example:  # type: ignore[no-untyped-def]
        return random_example(rng, settings.spacing_mm, device, ranges, template=template)

    def loss(self, output: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
        return rootlets_loss(output, *labels)


class Overview(Task):
    """The cord, coarsely, by segments."""

    n_outputs = N_SEGMENTS
    shortest = (24, 30, 12)
    labels = segment_labels()

    def synthetic(self, rng, settings, device, ranges, template) -> Example:  # type: ignore[no-untyped-def]
        return random_overview(rng, settings.spacing_mm, device, ranges)

    def loss(self, output: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
        return overview_loss(output, labels[0])


class Names(Task):
    """Names of the cord's segments on the straightened spine: images are small, and a CPU trains in minutes."""

    n_outputs = N_SEGMENTS
    labels = segment_labels()
    channels = tuple(f"slab {index}" for index in range(N_SLABS))

    def architecture(self, settings: TrainingSettings) -> dict[str, Any]:
        return plain_unet(settings.features, settings.convolutions, strides=NAMES_STRIDES, dimensions=2)

    def synthetic(self, rng, settings, device, ranges, template) -> Straight:  # type: ignore[no-untyped-def]
        return random_straight(rng, ranges)

    def real(self, folder: Path, subject: str, settings: TrainingSettings) -> Straight:
        return real_straight(folder, subject)

    def vary(self, example: Straight, rng: np.random.Generator) -> Straight:
        return example  # `cut` varies all examples

    def cut(self, example: Straight, settings: TrainingSettings, rng: np.random.Generator) -> list[torch.Tensor]:
        image, names = view(*example, rng, settings.patch[0])
        return [torch.from_numpy(image), torch.from_numpy(names)]

    def loss(self, output: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
        return names_loss(output, labels[0])


TASKS: dict[str, Task] = {"rootlets": Rootlets(), "overview": Overview(), "names": Names()}
