"""Scans as a network sees them: drawn at random, resampled, standardised and cut into patches."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)

from sct_rootlets.levels import LAST_NAMED, ROOTS, mirrored_root
from sct_rootlets.synthesis.anatomy import Anatomy
from sct_rootlets.synthesis.contrast import random_contrast
from sct_rootlets.synthesis.random_anatomy import TRAINING_RANGES, AnatomyRanges, blanked, random_anatomy, with_thoracic
from sct_rootlets.synthesis.synthesis import FINE_VOXEL_MM, SyntheticScan, synthesize
from sct_rootlets.synthesis.template import TemplateAnatomy

#: Share of scans whose field of view lies beside the spine.
OFF_SPINE_RATE = 0.15
#: Share of scans without rootlets on a stretch or everywhere: the network must find nothing where nothing is visible.
BLANKED_RATE = 0.15
#: Label of voxels that may be rootlets or not, or that the network is not asked about.
UNKNOWN = 255


@dataclass(frozen=True)
class Example:
    """A scan as a network sees it: resampled and standardised, axes superior, anterior, right.

    Attributes
    ----------
    image : torch.Tensor
        Mean 0, standard deviation 1.
    levels : torch.Tensor of uint8
        The level of each rootlet voxel, 2 for C2 and so on, `UNKNOWN` below T1; or the cord by segments
        (`SyntheticScan.segments`).
    cord, roots : torch.Tensor of uint8
    """

    image: torch.Tensor
    levels: torch.Tensor
    cord: torch.Tensor
    roots: torch.Tensor

    def to(self, device: str | torch.device) -> Example:
        """Return the example on a device."""
        return Example(*(getattr(self, field.name).to(device) for field in fields(self)))


def random_example(
    rng: np.random.Generator,
    spacing_mm: float,
    device: str | torch.device = "cpu",
    ranges: AnatomyRanges = TRAINING_RANGES,
    contrast: str | None = None,
    length_mm: tuple[float, float] = (50.0, 75.0),
    template: TemplateAnatomy | None = None,
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
        Drawn by `random_contrast` by default.
    length_mm : (float, float)
        Range of the length of the field of view along the body.
    template : TemplateAnatomy, optional
        Source of cord and rootlets in place of the anatomy's own, half of the time.
    """
    anatomy = with_thoracic(random_anatomy(rng, ranges), rng)
    if rng.random() < BLANKED_RATE:
        anatomy = blanked(anatomy, rng)
    if rng.random() < 0.5:
        template = None
    contrast = contrast or random_contrast(rng)
    acquired = _acquired_mm(rng, (0.6, 1.2), (2, 3))
    if contrast == "T2starw" and rng.random() < 0.7:  # axial slices, thick and fine in plane
        acquired = np.array([0.0, 0.0, rng.uniform(2, 5)]) + np.array([1, 1, 0]) * rng.uniform(0.4, 0.8)
    size = np.array([rng.uniform(40, 54), rng.uniform(44, 62), rng.uniform(*length_mm)])
    centre = _random_centre(rng, anatomy, above_c1_mm=10)
    if rng.random() < OFF_SPINE_RATE:  # structures beside the spine are not cord
        centre += [rng.uniform(-30, 30), rng.uniform(-45, 30), 0]
    scan = _scan(anatomy, contrast, size, acquired, centre, rng, device, template)
    thoracic = scan.levels > LAST_NAMED
    levels, roots = (volume.masked_fill(thoracic, UNKNOWN) for volume in (scan.levels, scan.roots))
    return _example(replace(scan, roots=roots), levels, spacing_mm)


def random_overview(
    rng: np.random.Generator,
    spacing_mm: float,
    device: str | torch.device = "cpu",
    ranges: AnatomyRanges = TRAINING_RANGES,
    contrast: str | None = None,
) -> Example:
    """Make a scan of a large field of view, coarsely, with the cord by segments in place of rootlets.

    Rootlets are not visible at this resolution: a network learns the segments from vertebrae and cord.

    Parameters
    ----------
    rng : numpy.random.Generator
    spacing_mm : float
        Voxel size of the example.
    device : str or torch.device
    ranges : AnatomyRanges
    contrast : str, optional
    """
    anatomy = random_anatomy(rng, ranges)
    acquired = _acquired_mm(rng, (0.8, 1.1), (1.2, 2), spacing_mm)
    wide = rng.random() < 0.25
    deep = rng.uniform(50, 180) if rng.random() < 0.7 else rng.uniform(180, 380)
    size = np.array([rng.uniform(60, 130) if wide else rng.uniform(36, 64), deep, rng.uniform(45, 240)])
    centre = _random_centre(rng, anatomy, above_c1_mm=20)
    centre[1] += rng.uniform(-0.4, 0.4) * max(0, size[1] - 60)
    contrast = contrast or random_contrast(rng)
    scan = _scan(anatomy, contrast, size, acquired, centre, rng, device, None, fine_mm=1.0)
    return _example(scan, scan.segments, spacing_mm)


def _acquired_mm(
    rng: np.random.Generator,
    size: tuple[float, float],
    elongation: tuple[float, float],
    unit_mm: float = 1.0,
) -> np.ndarray:
    """Draw a voxel size in ``unit_mm``, isotropic, or for 30 % of scans elongated along one axis; shape (3,), in mm."""
    acquired = unit_mm * np.full(3, rng.uniform(*size))
    if rng.random() < 0.3:
        acquired[rng.integers(3)] *= rng.uniform(*elongation)
    return acquired


def _random_centre(rng: np.random.Generator, anatomy: Anatomy, above_c1_mm: float) -> np.ndarray:
    """Draw the middle of a field of view near the cord, from above C1 to 30 mm below T2; shape (3,), RAS+ in mm."""
    arc_mm = rng.uniform(anatomy.discs[1] - above_c1_mm, anatomy.discs[10] + 30)
    return anatomy.centerline.position(arc_mm)[0] + rng.normal(0, 4, 3)


def _scan(
    anatomy: Anatomy,
    contrast: str,
    size_mm: np.ndarray,
    acquired_mm: np.ndarray,
    centre_mm: np.ndarray,
    rng: np.random.Generator,
    device: str | torch.device,
    template: TemplateAnatomy | None,
    fine_mm: float = FINE_VOXEL_MM,
) -> SyntheticScan:
    shape = tuple(int(n) for n in np.maximum(8, np.round(size_mm / acquired_mm)))
    spacing = tuple(float(mm) for mm in acquired_mm)
    centre = tuple(float(mm) for mm in centre_mm)
    return synthesize(anatomy, contrast, shape, spacing, centre, rng, device, template, fine_mm)  # type: ignore[arg-type]


def _example(scan: SyntheticScan, levels: torch.Tensor, spacing_mm: float) -> Example:
    target = [max(8, round(n * mm / spacing_mm)) for n, mm in zip(scan.image.shape, scan.spacing_mm, strict=True)]

    def resized(volume: torch.Tensor, mode: str) -> torch.Tensor:
        extra = {"align_corners": False} if mode == "trilinear" else {}
        result = F.interpolate(volume[None, None].float(), size=target, mode=mode, **extra)[0, 0]
        return result.permute(2, 1, 0).contiguous()

    image = resized(scan.image, "trilinear")
    image = (image - image.mean()) / image.std().clamp(min=1e-6)
    labels = [resized(volume, "nearest-exact").to(torch.uint8) for volume in (levels, scan.cord, scan.roots)]
    return Example(image, *labels)


def random_patch(example: Example, patch: tuple[int, ...], rng: np.random.Generator) -> list[torch.Tensor]:
    """Cut a patch, mostly around a labelled voxel, and mirror it left to right half of the time.

    Returns
    -------
    list of torch.Tensor
        Image, levels, cord and roots, each of the shape of the patch; beyond the scan, zeros.
    """
    shape = np.array(example.image.shape)
    found = ((example.levels > 0) & (example.levels != UNKNOWN)).nonzero()
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
        swap = torch.arange(256, dtype=torch.uint8, device=cut[3].device)
        for index, root in enumerate(ROOTS, start=1):
            swap[index] = 1 + ROOTS.index(mirrored_root(root))
        cut[3] = swap[cut[3].long()]
    return cut
