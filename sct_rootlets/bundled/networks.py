"""The networks that can be trained: the examples, the loss and the classes of each."""

# ruff: noqa: D102, RUF012 (what is overridden is documented in `Network`; nothing changes its dictionaries)

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
from sct_rootlets.segmentation.straight import N_COLUMNS, N_ROWS, N_SLABS, PIXEL_MM, VERTEBRA_BINS
from sct_rootlets.synthesis.random_anatomy import AnatomyRanges
from sct_rootlets.synthesis.template import TemplateAnatomy

#: Strides from each resolution to the next; the image has more rows than columns.
NAMES_STRIDES = ([1, 1], [2, 2], [2, 2], [2, 2], [2, 1])


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of a training; a checkpoint resumes only under the settings that it was made with.

    Attributes
    ----------
    task : {"rootlets", "overview", "names"}
        Network that is trained: for rootlets with their levels, roots and the cord; for the cord by segments, on coarse
        voxels; or for the names of the cord's segments, and vertebrae, on the straightened spine.
    features : tuple of int
        Channels of the U-Net at each resolution.
    convolutions : tuple of int
        Number of convolutions at each resolution on the way down; there is one on the way up.
    spacing_mm : float
        Voxel size that the network sees.
    patch : tuple of int
        Voxels of a patch, from superior, anterior and right; rows and columns for names.
    batch : int
        Patches in each step.
    learning_rate : float
    steps : int
        Length of the whole training, over which the learning rate falls to 0.
    bank : int
        Greatest number of scans that are held.
    fewest : int
        Number of scans that are held from the start.
    renewal : int
        Number of steps after which a new scan is added; the oldest goes once ``bank`` are held.
    template : bool
        Whether half of the scans are made of the labels of PAM50.
    real : tuple of str
        Subjects whose real scans take part.
    real_share : float
        Share of real scans among all scans, if there are real subjects.
    thick_share : float
        For names: share of views that look as if acquired in thick axial slices.
    contrasts : tuple of str
        For rootlets: contrasts of the synthetic scans, each as often; by default all, as often as protocols say.
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
    thick_share: float = 0.0
    contrasts: tuple[str, ...] = ()
    seed: int = 0


#: Default settings of each network.
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
        renewal=4,
        real_share=0.35,
    ),
}


class Network:
    """A network that can be trained; by default, on volumes of one channel.

    Attributes
    ----------
    n_outputs : int
        Channels of the network's output.
    shortest : tuple of int
        Least number of voxels along each axis of a part of a real scan.
    labels : dict of str to int
        Classes of the network by name, background left out.
    heads : dict of str to slice
        Output channels beyond those of the classes, by name.
    channels : tuple of str
        Names of the input channels.
    """

    n_outputs: int
    shortest: tuple[int, int, int]
    labels: dict[str, int]
    heads: dict[str, slice] = {}
    channels: tuple[str, ...] = ("MRI",)

    def architecture(self, settings: TrainingSettings) -> dict[str, Any]:
        """Describe the network for nnU-Net."""
        return plain_unet(settings.features, settings.convolutions)

    def synthetic(
        self,
        rng: np.random.Generator,
        settings: TrainingSettings,
        device: torch.device,
        ranges: AnatomyRanges,
        template: TemplateAnatomy | None,
    ) -> Any:
        """Draw an example."""
        raise NotImplementedError

    def real(self, folder: Path, subject: str, settings: TrainingSettings) -> Any:
        """Read a real example."""
        return load_real(folder, subject, settings.task, settings.spacing_mm)

    def vary(self, example: Any, rng: np.random.Generator) -> Any:
        """Change a real example as another scan would show it."""
        return vary(example, rng, self.shortest)

    def cut(self, example: Any, settings: TrainingSettings, rng: np.random.Generator) -> list[torch.Tensor]:
        """Cut a patch: the image, channels first, and the labels that `loss` takes."""
        image, *labels = random_patch(example, settings.patch, rng)
        return [image[None], *labels]

    def loss(self, output: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
        """Compute the loss of an output against its labels."""
        raise NotImplementedError

    def spacing(self, settings: TrainingSettings) -> tuple[float, ...]:
        """Return the voxel size for the model folder."""
        return (settings.spacing_mm,) * len(settings.patch)


class RootletsNetwork(Network):
    """Rootlets with their levels and roots, and the cord.

    Of the exported classes, ``lvl2`` is C2, ``lvl9`` is T1, and ``lvl1`` never occurs.
    """

    n_outputs = N_LEVELS + N_CORD + N_ROOTS
    shortest = (64, 48, 48)
    labels = {f"lvl{value}": value for value in range(1, N_LEVELS)}
    heads = {"cord": slice(N_LEVELS, N_LEVELS + N_CORD), "roots": slice(N_LEVELS + N_CORD, None)}

    def synthetic(self, rng, settings, device, ranges, template) -> Example:  # type: ignore[no-untyped-def]
        contrast = str(rng.choice(settings.contrasts)) if settings.contrasts else None
        return random_example(rng, settings.spacing_mm, device, ranges, contrast, template=template)

    def loss(self, output: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
        return rootlets_loss(output, *labels)


class OverviewNetwork(Network):
    """The cord by segments, on coarse voxels."""

    n_outputs = N_SEGMENTS
    shortest = (24, 30, 12)
    labels = segment_labels()

    def synthetic(self, rng, settings, device, ranges, template) -> Example:  # type: ignore[no-untyped-def]
        return random_overview(rng, settings.spacing_mm, device, ranges)

    def loss(self, output: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
        return overview_loss(output, labels[0])


class NamesNetwork(Network):
    """Names of the cord's segments, and vertebrae, on the straightened spine; a CPU trains this network in minutes."""

    n_outputs = N_SEGMENTS + len(VERTEBRA_BINS)
    labels = segment_labels()
    heads = {"vertebrae": slice(N_SEGMENTS, None)}
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
        return [torch.from_numpy(part) for part in view(example, rng, settings.patch[0], settings.thick_share)]

    def loss(self, output: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
        return names_loss(output, *labels)


NETWORK_KINDS: dict[str, Network] = {
    "rootlets": RootletsNetwork(),
    "overview": OverviewNetwork(),
    "names": NamesNetwork(),
}
