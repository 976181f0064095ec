"""Synthetic scans: the image that a scanner would make of an anatomy, with labels, on CPU or GPU.

Structures are drawn on fine voxels (about 0.4 mm) and averaged to the acquired grid, which yields partial volume. Grids
are axis-aligned RAS; images of other orientations are reoriented before a network sees them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)

from sct_rootlets.correspondence import spinal_middles
from sct_rootlets.levels import level_value
from sct_rootlets.synthesis.acquisition import acquire, average_pooled, max_pooled, smooth_noise
from sct_rootlets.synthesis.anatomy import Anatomy
from sct_rootlets.synthesis.contrast import PROTOCOLS, Tissue
from sct_rootlets.synthesis.template import TemplateAnatomy, draw_template
from sct_rootlets.synthesis.tissues import (
    FORAMEN_MAGNUM_MM,
    draw_head,
    draw_rootlets,
    draw_sleeves,
    draw_tissues,
    marble_muscle,
)

#: Approximate size of the voxels on which structures are drawn.
FINE_VOXEL_MM = 0.4
#: Spacing, in fine voxels, of the grid on which coordinates of the cord are computed exactly.
COARSE_FACTOR = 4
#: Least share of the volume of a voxel that a rootlet must fill to be labelled; less would not be visible.
MIN_ROOTLET_SHARE = 0.2


@dataclass(frozen=True)
class SyntheticScan:
    """A synthetic scan.

    Attributes
    ----------
    image : torch.Tensor, shape (I, J, K)
        Intensities, float32.
    levels : torch.Tensor, shape (I, J, K)
        Rootlets: 2 for C2 and so on, uint8.
    roots : torch.Tensor, shape (I, J, K)
        Rootlets: 1 + the index into `sct_rootlets.levels.ROOTS`, uint8.
    cord : torch.Tensor, shape (I, J, K)
        Spinal cord, uint8.
    segments : torch.Tensor, shape (I, J, K)
        Spinal cord by the level whose rootlets' middle is nearest: 2 for C2 to 9 for T1, 1 above and 10 below, uint8.
    spacing_mm : tuple of float
        Voxel size along right, anterior and superior.
    """

    image: torch.Tensor
    levels: torch.Tensor
    roots: torch.Tensor
    cord: torch.Tensor
    segments: torch.Tensor
    spacing_mm: tuple[float, float, float]


def synthesize(
    anatomy: Anatomy,
    contrast: str,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    centre_mm: tuple[float, float, float],
    rng: np.random.Generator,
    device: str | torch.device = "cpu",
    template: TemplateAnatomy | None = None,
    fine_mm: float = FINE_VOXEL_MM,
) -> SyntheticScan:
    """Make a scan of an anatomy.

    Parameters
    ----------
    anatomy : Anatomy
    contrast : str
        One of `sct_rootlets.synthesis.contrast.PROTOCOLS`.
    shape : (int, int, int)
        Voxels along right, anterior and superior.
    spacing_mm : (float, float, float)
    centre_mm : (float, float, float)
        Middle of the field of view, RAS+ in the world of the anatomy.
    rng : numpy.random.Generator
        The same state gives the same scan on the same device.
    device : str or torch.device
    template : TemplateAnatomy, optional
        Template on the same device, whose deformed cord, fluid and rootlets replace those of the anatomy.
    fine_mm : float
        Approximate size of the voxels on which structures are drawn; beyond 0.5 mm, rootlets are lost.

    Returns
    -------
    SyntheticScan
    """
    if template is not None:  # the bones stand around the template's dural sac
        sac = template.canal_half_axes_mm
        width, depth = template.half_axes_mm
        canal = sac[0] * anatomy.half_width_mm / width, sac[1] * anatomy.half_depth_mm / depth
        anatomy = replace(anatomy, canal_half_axes_mm=canal)
    factor = tuple(max(1, round(mm / fine_mm)) for mm in spacing_mm)
    axes = [
        torch.linspace(-0.5, 0.5, 2 * n * f + 1, device=device)[1::2] * n * mm + centre
        for n, f, mm, centre in zip(shape, factor, spacing_mm, centre_mm, strict=True)
    ]
    generator = torch.Generator(device).manual_seed(int(rng.integers(2**31)))
    arc, right, anterior = _cord_coordinates(anatomy, axes)
    tissue = draw_tissues(anatomy, arc, right, anterior, rng)
    marble_muscle(tissue, generator, rng)
    if arc.min() < FORAMEN_MAGNUM_MM:
        draw_head(anatomy, (arc, right, anterior), tissue, generator, rng)
    levels, roots = torch.zeros_like(tissue), torch.zeros_like(tissue)
    if template is None:
        draw_sleeves(anatomy, axes, tissue, rng)
        draw_rootlets(anatomy, axes, tissue, levels, roots)
    else:
        filled = smooth_noise(tissue.shape, rng.uniform(2, 5), generator) > rng.uniform(-3.0, 0.0)
        draw_template(template, anatomy, (arc, right, anterior), tissue, levels, roots, filled, rng)
    in_cord = ((tissue == Tissue.WHITE) | (tissue == Tissue.GREY)) & (arc > FORAMEN_MAGNUM_MM)

    protocol = PROTOCOLS[contrast]
    acquired = [acquire(signals, tissue, factor, generator, rng) for signals in protocol.draw_signals(rng)]
    image = protocol.combine(*acquired)
    shares = average_pooled((levels > 0).float(), factor)
    seen = shares >= MIN_ROOTLET_SHARE
    cord = average_pooled(in_cord.float(), factor) >= 0.5
    return SyntheticScan(
        image=image,
        levels=(max_pooled(levels, factor) * (seen & ~cord)).to(torch.uint8),
        roots=(max_pooled(roots, factor) * (seen & ~cord)).to(torch.uint8),
        cord=cord.to(torch.uint8),
        segments=(segments_along(anatomy, arc[tuple(slice(f // 2, None, f) for f in factor)]) * cord).to(torch.uint8),
        spacing_mm=spacing_mm,
    )


def segments_along(anatomy: Anatomy, arc: torch.Tensor) -> torch.Tensor:
    """Find the level whose middle is nearest; 1 and 10 from half a segment beyond the first and the last."""
    values = range(level_value("C2", "spinal"), level_value("T1", "spinal") + 1)
    starts = {value: [f.path[0, 0] for f in anatomy.fila if f.value == value] for value in values}
    usual = spinal_middles(anatomy.discs)
    known = [value for value in values if starts[value]]
    # Levels without rootlets lie where they are usually, moved as their neighbours are.
    moved = [np.mean(starts[value]) - usual[value] for value in known] or [0.0]
    middles = np.array([usual[value] for value in values]) + np.interp(values, known or [0], moved)
    bounds = [middles[0] - 7.5, *(middles[1:] + middles[:-1]) / 2, middles[-1] + 7.5]
    return 1 + torch.bucketize(arc.contiguous(), torch.tensor(bounds, dtype=arc.dtype, device=arc.device))


def _cord_coordinates(anatomy: Anatomy, axes: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute arc length, and mm to the right and to anterior of the centerline, of each voxel of a grid.

    They vary smoothly: they are computed on about every fourth voxel (`COARSE_FACTOR`) and interpolated between.
    """
    coarse = [
        torch.linspace(float(axis[0]), float(axis[-1]), len(axis) // COARSE_FACTOR + 2, device=axis.device)
        for axis in axes
    ]
    size = [len(axis) for axis in axes]
    arc, right, anterior = (
        F.interpolate(values[None, None], size=size, mode="trilinear", align_corners=True)[0, 0]
        for values in _exact_coordinates(anatomy, coarse)
    )
    return arc, right, anterior


def _exact_coordinates(anatomy: Anatomy, axes: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute the same voxel by voxel, from the foot of the perpendicular from each voxel to the curve."""
    line, device = anatomy.centerline, axes[0].device
    beyond = 150.0  # the curve goes on straight where the field of view reaches beyond it
    table_arc = np.arange(line.arc[0] - beyond, line.arc[-1] + beyond, 0.5)
    table = torch.tensor(
        np.concatenate([line.position(table_arc), *line.frame(table_arc)], axis=1), dtype=torch.float32, device=device
    )
    x, y, z = torch.meshgrid(*axes, indexing="ij")
    heights = np.interp(axes[2].cpu().numpy(), line.position(table_arc)[::-1, 2], table_arc[::-1])
    arc = torch.tensor(heights, dtype=torch.float32, device=device).expand_as(x).clone()
    course = table[:, :6].contiguous()  # position and direction are enough to find the way
    for _ in range(3):  # Newton's steps towards the foot of the perpendicular
        row = _rows(course, arc, table_arc)
        arc = arc + sum((p - row[..., i]) * row[..., 3 + i] for i, p in enumerate((x, y, z)))
    row = _rows(table, arc, table_arc)
    offset = [p - row[..., i] for i, p in enumerate((x, y, z))]
    right = sum(component * row[..., 6 + i] for i, component in enumerate(offset))
    anterior = sum(component * row[..., 9 + i] for i, component in enumerate(offset))
    return arc, torch.as_tensor(right), torch.as_tensor(anterior)


def _rows(table: torch.Tensor, arc: torch.Tensor, table_arc: np.ndarray) -> torch.Tensor:
    """Interpolate the rows of the table linearly at arc lengths."""
    place = ((arc - float(table_arc[0])) / 0.5).clamp(0, len(table) - 1.001)
    index = place.long()
    share = (place - index)[..., None]
    return table[index] * (1 - share) + table[index + 1] * share
