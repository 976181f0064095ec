"""Real scans in training: cord masks teach the cord, discs teach what the cord's segments look like.

Near the cord, rootlets of real scans are `UNKNOWN` and add nothing to the loss; elsewhere there are no rootlets.
Rootlets that an earlier network found and a person checked are learned as well (self-training).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from nibabel.affines import apply_affine
from scipy import ndimage

from sct_rootlets.bundled.examples import UNKNOWN, Example
from sct_rootlets.centerline import fit_centerline
from sct_rootlets.errors import ImageError
from sct_rootlets.nifti import load_volume
from sct_rootlets.segmentation.evidence import evidence_from_discs
from sct_rootlets.segmentation.grid import Resampling, downsample, orient
from sct_rootlets.vertebral import label_points, place_discs

#: Greatest distance of rootlets from the cord.
MAX_ROOTLET_DISTANCE_MM = 15.0
#: Least distance from rootlets that were found, beyond which absence of further rootlets is assumed.
MIN_ABSENT_DISTANCE_MM = 3.0


def paths_of(
    folder: str | os.PathLike[str], subject: str, labels: Sequence[str] = ("SC_seg", "discs_dlabel")
) -> list[Path]:
    """Return the paths of the image and of labels of a subject; raise an error if one is missing."""
    paths = [Path(folder) / f"sub-{subject}" / "anat" / f"sub-{subject}_T2w.nii.gz"]
    paths += [_labels_path(folder, subject, name) for name in labels]
    for path in paths:
        if not path.exists():
            raise ImageError(f"{path} is missing; check the folder and the name of the subject")
    return paths


def _labels_path(folder: str | os.PathLike[str], subject: str, name: str) -> Path:
    anat = Path(folder) / "derivatives" / "labels" / f"sub-{subject}" / "anat"
    return anat / f"sub-{subject}_T2w_label-{name}.nii.gz"


def load_real(folder: str | os.PathLike[str], subject: str, task: str, spacing_mm: float) -> Example:
    """Read a scan of a BIDS folder with its cord mask, and its discs for the overview.

    Parameters
    ----------
    folder : path
        With ``sub-*/anat/*_T2w.nii.gz`` and, in ``derivatives/labels``, ``*_label-SC_seg.nii.gz``; for the overview,
        ``*_label-discs_dlabel.nii.gz``; and, where there are any, ``*_label-roots_dseg.nii.gz``, as the task
        ``rootlets_roots`` writes it.
    subject : str
        Without ``sub-``.
    task : {"rootlets", "overview"}
    spacing_mm : float

    Returns
    -------
    Example
        The whole scan, or the part around the cord.
    """
    labels = ("SC_seg", "discs_dlabel") if task == "overview" else ("SC_seg",)
    image, cord, *discs = (load_volume(path) for path in paths_of(folder, subject, labels))
    if task == "overview":
        values, affine = downsample(orient(image), spacing_mm)
        share, _ = downsample(orient(cord), spacing_mm)
        mask = share >= 0.5
        line = fit_centerline(mask, affine)
        placed, _ = place_discs(label_points(discs[0]), line, affine)
        arc = line.project(apply_affine(affine, np.argwhere(mask))).arc
        levels = np.zeros(mask.shape, dtype=np.uint8)
        levels[mask] = evidence_from_discs(arc, {disc.value: disc.arc_mm for disc in placed}).log_probability.argmax(
            axis=1
        )
        roots = np.zeros_like(levels)
    else:
        oriented, mask_there = orient(image), orient(cord)
        resampling = Resampling.to_spacing(oriented, (spacing_mm,) * 3)
        inside = np.argwhere(mask_there.data)
        reach = np.array([0, 30, 25]) / oriented.spacing
        low = np.maximum((inside.min(axis=0) - reach) / resampling.scale, 0).astype(int)
        high = np.minimum((inside.max(axis=0) + reach) / resampling.scale, resampling.target).astype(int)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        values = resampling.crop(oriented.data, box, order=3)
        mask = resampling.crop(mask_there.data.astype(np.float32), box, order=1) >= 0.5
        distance = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
        levels = np.where((distance > 0) & (distance < MAX_ROOTLET_DISTANCE_MM), UNKNOWN, 0).astype(np.uint8)
        roots = levels.copy()
        earlier = _labels_path(folder, subject, "roots_dseg")
        if earlier.exists():
            found = resampling.crop(orient(load_volume(earlier)).data, box, order=0).astype(np.uint8)
            there = (found > 0) & ~mask
            # Close to them, further rootlets are uncertain; further away, they are assumed to be absent.
            from_them = ndimage.distance_transform_edt(~there, sampling=spacing_mm)
            absent = (distance > 0) & (from_them > MIN_ABSENT_DISTANCE_MM)
            levels[absent], roots[absent] = 0, 0
            levels[there], roots[there] = found[there] // 10, found[there] % 10
    standard = (values - values.mean()) / values.std()
    volumes = (standard.astype(np.float32), levels, mask.astype(np.uint8), roots)
    return Example(*(torch.from_numpy(volume) for volume in volumes))


def vary(example: Example, rng: np.random.Generator, shortest: Sequence[int]) -> Example:
    """Cut a random part of a scan, tilted, scaled and of another brightness.

    Parameters
    ----------
    example : Example
    rng : numpy.random.Generator
    shortest : sequence of int
        Least number of voxels that are kept along each axis.
    """
    angle, scale = np.radians(rng.uniform(-12, 12)), rng.uniform(0.88, 1.12)
    shape = np.array(example.image.shape)
    # Tilting happens in the sagittal plane, in voxels: the axes of a normalised grid are of different lengths.
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    ratio = shape[1] / shape[0]
    theta = torch.tensor(
        [[1 / scale, 0, 0, 0], [0, cosine, -sine / ratio, 0], [0, sine * ratio, cosine, 0]], dtype=torch.float32
    )
    grid = F.affine_grid(theta[None], [1, 1, *shape.tolist()], align_corners=False)
    size = [int(rng.integers(min(least, n), n + 1)) for least, n in zip(shortest, shape.tolist(), strict=True)]
    size[2] = int(shape[2])
    start = [int(rng.integers(0, n - m + 1)) for n, m in zip(shape.tolist(), size, strict=True)]
    part = tuple(slice(a, a + m) for a, m in zip(start, size, strict=True))

    def moved(volume: torch.Tensor, mode: str) -> torch.Tensor:
        values = F.grid_sample(volume[None, None].float(), grid, mode=mode, padding_mode="border", align_corners=False)
        return values[0, 0][part].contiguous()

    image = moved(example.image, "bilinear")
    image = (image - image.min()) / (image.max() - image.min()).clamp(min=1e-6)
    image = image ** float(rng.uniform(0.6, 1.5))
    image = image + rng.uniform(0, 0.03) * torch.from_numpy(rng.standard_normal(image.shape).astype(np.float32))
    image = (image - image.mean()) / image.std().clamp(min=1e-6)
    labels = [moved(volume, "nearest").to(torch.uint8) for volume in (example.levels, example.cord, example.roots)]
    return Example(image, *labels)
