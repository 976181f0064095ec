"""From a fine map of tissues to the image that a scanner acquires of it."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)

from sct_rootlets.synthesis.contrast import Tissue


def acquire(
    signal: np.ndarray,
    tissue: torch.Tensor,
    factor: tuple[int, ...],
    generator: torch.Generator,
    rng: np.random.Generator,
) -> torch.Tensor:
    """Acquire an image of a fine tissue map: texture, flow voids, coil sensitivity, partial volume, ringing, noise."""
    means = torch.tensor(signal, dtype=torch.float32, device=tissue.device)
    image = means[tissue.long()]
    texture = smooth_noise(tissue.shape, rng.uniform(2, 6), generator)
    image = image * (1 + rng.uniform(0.02, 0.2) * texture * (tissue < int(Tissue.LIGAMENT)))
    flow = smooth_noise(tissue.shape, rng.uniform(3, 10), generator)
    void = 1 - rng.uniform(0, 0.6) * (flow - rng.uniform(0.5, 1.5)).clamp(0, 1)
    image = torch.where(tissue == int(Tissue.CSF), image * void, image)
    image = average_pooled(image, factor)
    field = smooth_noise(image.shape, rng.uniform(25, 60), generator)
    # Surface coils behind the neck: brightest there, or with other coils anywhere.
    ramp = torch.linspace(-0.5, 0.5, image.shape[1], device=image.device)[None, :, None]
    image = image * torch.exp(rng.uniform(0, 0.35) * field - rng.uniform(-0.3, 1.5) * ramp)
    image = _ringing(image, rng)
    level = rng.uniform(0.01, 0.07) * float(np.abs(signal).max())
    return image + level * torch.randn(image.shape, generator=generator, device=image.device)


def average_pooled(volume: torch.Tensor, factor: tuple[int, ...]) -> torch.Tensor:
    """Average a fine volume over the blocks of ``factor`` voxels that make one acquired voxel."""
    return F.avg_pool3d(volume[None, None], factor)[0, 0]


def max_pooled(labels: torch.Tensor, factor: tuple[int, ...]) -> torch.Tensor:
    """Take the greatest label in each block of ``factor`` fine voxels."""
    return F.max_pool3d(labels[None, None].float(), factor)[0, 0]


def smooth_noise(shape: torch.Size, voxels: float, generator: torch.Generator) -> torch.Tensor:
    """Draw noise of about unit variance that varies over a number of voxels."""
    coarse = [max(2, round(n / voxels)) for n in shape]
    noise = torch.randn((1, 1, *coarse), generator=generator, device=generator.device)
    smooth = F.interpolate(noise, size=tuple(shape), mode="trilinear", align_corners=False)[0, 0]
    return smooth / smooth.std().clamp(min=1e-6)


def _ringing(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Leave out the outer part of k-space along one axis, as zero-filling does."""
    if rng.random() < 0.5:
        return image
    axis = int(rng.integers(3))
    spectrum = torch.fft.rfft(image, dim=axis)
    kept = int(np.ceil(spectrum.shape[axis] * rng.uniform(0.65, 1.0)))
    spectrum.narrow(axis, kept, spectrum.shape[axis] - kept).zero_()
    return torch.fft.irfft(spectrum, n=image.shape[axis], dim=axis)
