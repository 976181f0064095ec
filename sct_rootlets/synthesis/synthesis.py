"""Synthetic scans: the image that a scanner would make of an anatomy, with labels, on CPU or GPU.

Structures are drawn on fine voxels (about 0.4 mm) and averaged to the acquired grid, which yields partial volume. Grids
are axis-aligned RAS; images of other orientations are reoriented before a network sees them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)

from sct_rootlets.correspondence import spinal_middles
from sct_rootlets.levels import ROOTS, level_value
from sct_rootlets.synthesis.anatomy import Anatomy
from sct_rootlets.synthesis.contrast import PROTOCOLS, Tissue
from sct_rootlets.synthesis.template import TemplateAnatomy, draw_template

#: Approximate size of the voxels on which structures are drawn.
FINE_VOXEL_MM = 0.4
#: Spacing, in fine voxels, of the grid on which coordinates of the cord are computed exactly.
COARSE_FACTOR = 4
#: Arc length of the anatomy (which begins some 12 mm above C1) at which the cord becomes the medulla.
FORAMEN_MAGNUM_MM = -4.0
#: Length of spinous processes behind the canal in mm, above C1 to T2 and below, and how steeply they point down,
#: relative to the usual: short and flat in the neck, long from C7 on (Gray's Anatomy, 41st ed., ch. 43).
SPINOUS_LENGTH_MM = (0.0, 3.0, 22.0, 15.0, 15.0, 17.0, 22.0, 30.0, 32.0, 32.0)
SPINOUS_SLOPE_RATIO = (1.0, 0.5, 0.8, 0.6, 0.6, 0.7, 0.9, 1.0, 1.5, 2.0)
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
    tissue = _tissues(anatomy, arc, right, anterior, rng)
    _marble_muscle(tissue, generator, rng)
    if arc.min() < FORAMEN_MAGNUM_MM:
        _draw_head(anatomy, (arc, right, anterior), tissue, generator, rng)
    levels, roots = torch.zeros_like(tissue), torch.zeros_like(tissue)
    if template is None:
        _draw_sleeves(anatomy, axes, tissue, rng)
        _draw_rootlets(anatomy, axes, tissue, levels, roots)
    else:
        filled = _smooth_noise(tissue.shape, rng.uniform(2, 5), generator) > rng.uniform(-3.0, 0.0)
        draw_template(template, anatomy, (arc, right, anterior), tissue, levels, roots, filled, rng)
    in_cord = ((tissue == Tissue.WHITE) | (tissue == Tissue.GREY)) & (arc > FORAMEN_MAGNUM_MM)

    protocol = PROTOCOLS[contrast]
    acquired = [_acquire(signals, tissue, factor, generator, rng) for signals in protocol.draw_signals(rng)]
    image = protocol.combine(*acquired)
    shares = _pooled((levels > 0).float(), factor)
    seen = shares >= MIN_ROOTLET_SHARE
    cord = _pooled(in_cord.float(), factor) >= 0.5
    return SyntheticScan(
        image=image,
        levels=(_largest(levels, factor) * (seen & ~cord)).to(torch.uint8),
        roots=(_largest(roots, factor) * (seen & ~cord)).to(torch.uint8),
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


def _tissues(
    anatomy: Anatomy, arc: torch.Tensor, right: torch.Tensor, anterior: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor:
    """Find the tissue of each voxel, without rootlets."""
    tissue = torch.full(arc.shape, int(Tissue.MUSCLE), dtype=torch.uint8, device=arc.device)

    def paint(where: torch.Tensor, what: Tissue) -> None:
        tissue[where] = int(what)

    aside = right.abs()
    canal_width, canal_depth = anatomy.canal_half_axes_mm
    front, back = canal_depth + rng.uniform(0.8, 2.0), canal_depth + rng.uniform(1.5, 4.0)
    depth, width = rng.uniform(13, 18), rng.uniform(8.5, 12)
    disc_half, plate = rng.uniform(1.6, 2.8), rng.uniform(0.5, 1.0)
    slope = rng.uniform(0.2, 0.7)

    # Skin behind, nearest in the middle of the neck; sometimes the airway in front.
    hollow = torch.clamp((arc - anatomy.discs[4]) / 60, -1.5, 1.5) ** 2
    paint(anterior < -rng.uniform(35, 70) - rng.uniform(0, 15) * hollow, Tissue.AIR)
    throat, chin = rng.uniform(55, 100), anatomy.discs[3] + rng.uniform(-15, 20)
    paint((anterior > throat) & ((arc > chin) | (anterior > throat + 60)), Tissue.AIR)
    if rng.random() < 0.5:
        airway = front + depth + rng.uniform(8, 15)
        paint((aside < 8) & (anterior > airway) & (anterior < airway + 14), Tissue.AIR)

    # Bony ring behind and beside the canal, one arch a vertebra, with a spinous process that points down.
    discs = sorted(anatomy.discs.items())
    while discs[-1][1] < float(arc.max()):  # the thoracic spine goes on
        discs.append((discs[-1][0] + 1, discs[-1][1] + 22.0))
    edge = torch.bucketize(arc.contiguous(), torch.tensor([at for _, at in discs], device=arc.device))
    bounds = torch.tensor([arc_mm for _, arc_mm in discs], device=arc.device)
    lower, upper = bounds[edge.clamp(max=len(discs) - 1)], bounds[(edge - 1).clamp(min=0)]
    pitch = (lower - upper).clamp(min=5.0)
    from_disc = torch.minimum((arc - upper).abs(), (lower - arc).abs())
    vertebra = edge  # 1 for C1 and so on; 0 above it
    behind = (-anterior - back).clamp(min=0)
    of_each = torch.arange(len(discs) + 1, device=arc.device)
    spine_mm, tilt = (
        torch.tensor([value * (1 + 0.1 * rng.standard_normal()) for value in values], device=arc.device)[
            of_each.clamp(max=len(values) - 1)
        ][vertebra]
        for values in (SPINOUS_LENGTH_MM, SPINOUS_SLOPE_RATIO)
    )
    sloped = arc - (upper + pitch * 0.6) - slope * tilt * behind
    lamina = (anterior < -back * 0.4) & (behind < 4.5) & (aside < canal_width + 5) & (sloped.abs() < pitch * 0.33)
    spinous = (behind > 0) & (behind < rng.uniform(0.8, 1.2) * spine_mm) & (aside < 2.2) & (sloped.abs() < pitch * 0.25)
    pillar = (aside > canal_width) & (aside < canal_width + 9) & (anterior.abs() < back + 3)
    paint(pillar & (vertebra > 0), Tissue.CORTEX)
    paint(pillar & (aside > canal_width + 1) & (from_disc > 2.5), Tissue.MARROW)
    foramen = pillar & (anterior > -2.5) & (anterior < 4.5) & (from_disc < 3.5) & (vertebra > 1)
    paint(foramen, Tissue.FAT)
    paint(lamina | spinous, Tissue.CORTEX)
    inner_lamina = lamina & (behind > 0.8) & (behind < 3.7) & (sloped.abs() < pitch * 0.33 - 0.8)
    paint(inner_lamina | (spinous & (aside < 1.4) & (sloped.abs() < pitch * 0.25 - 0.8)), Tissue.MARROW)

    # Bodies and discs in front, larger from neck to chest; C2 carries the dens, which reaches up behind C1's arch.
    growth = 1 + 0.02 * (vertebra - 4).clamp(-2, 6)
    body_depth, body_width = depth * growth, width * growth
    inside = (anterior > front) & (anterior < front + body_depth) & (aside < body_width) & (vertebra >= 2)
    paint(inside, Tissue.CORTEX)
    core = inside & (anterior > front + plate) & (anterior < front + body_depth - plate) & (aside < body_width - plate)
    paint(core & (from_disc > disc_half + plate), Tissue.MARROW)
    paint(core & (from_disc <= disc_half) & (arc > discs[2][1] - disc_half), Tissue.DISC)
    dens_top, dens_end = discs[0][1] - rng.uniform(0, 4), discs[1][1] + 3
    dens = (aside < 5) & (anterior > front + 1) & (anterior < front + 11) & (arc > dens_top) & (arc < dens_end)
    paint(dens, Tissue.CORTEX)
    paint((aside < 4) & (anterior > front + 2) & (anterior < front + 10) & dens & (arc > dens_top + 1), Tissue.MARROW)
    arch = (aside < 9) & (anterior > front + 12) & (anterior < front + 18) & (vertebra == 1)
    paint(arch & (from_disc > 2), Tissue.MARROW)
    paint((anterior > front - 1.0) & (anterior <= front) & (aside < canal_width), Tissue.LIGAMENT)

    # The canal: epidural fat, dura, fluid, cord. It is wider in front than behind; the cord need not be in its middle.
    bony = (right / (canal_width + 1.2)) ** 2 + (anterior / back) ** 2 <= 1
    paint(bony, Tissue.LIGAMENT)
    paint(bony & (anterior < -canal_depth * rng.uniform(0.5, 1.0)), Tissue.FAT)
    shift = rng.uniform(-0.5, 0.5) * (canal_depth - anatomy.half_depth_mm)
    forward = ((anterior - shift) / canal_depth).clamp(-1, 1)
    width_here = canal_width * (1 + rng.uniform(0, 0.3) * forward)
    radius = torch.sqrt((right / width_here) ** 2 + ((anterior - shift) / canal_depth) ** 2)
    paint(radius <= 1 + 0.5 / canal_depth, Tissue.LIGAMENT)
    paint(radius <= 1, Tissue.CSF)
    enlarged = 1 + anatomy.enlargement * torch.exp(-(((arc - anatomy.discs[6]) / 28) ** 2))
    enlarged = enlarged * (1 - rng.uniform(0, 0.15) * torch.sigmoid((arc - anatomy.discs[9]) / 12))  # thinner below T1
    u, v = aside / (anatomy.half_width_mm * enlarged), anterior / (anatomy.half_depth_mm * enlarged)
    cord = (u**2 + v**2 <= 1) & (arc > anatomy.pmj_mm)
    paint(cord, Tissue.WHITE)
    horn = ((u - 0.32 - 0.12 * v) / 0.13) ** 2 + (v / 0.62) ** 2 <= 1
    paint(cord & (horn | ((v.abs() < 0.12) & (u < 0.3))), Tissue.GREY)
    return tissue


def _marble_muscle(tissue: torch.Tensor, generator: torch.Generator, rng: np.random.Generator) -> None:
    """Put fat and sheets of fascia into the muscle, so that bright spots there are not taken for a spinal canal."""
    muscle = tissue == int(Tissue.MUSCLE)
    fat = _smooth_noise(tissue.shape, rng.uniform(6, 25), generator) > rng.uniform(0.6, 2.0)
    tissue[muscle & fat] = int(Tissue.FAT)
    fascia = _smooth_noise(tissue.shape, rng.uniform(15, 40), generator).abs() < rng.uniform(0.0, 0.08)
    tissue[muscle & fascia] = int(Tissue.LIGAMENT)


def _draw_head(
    anatomy: Anatomy,
    coordinates: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    tissue: torch.Tensor,
    generator: torch.Generator,
    rng: np.random.Generator,
) -> None:
    """Draw skull, cerebellum, brain and a widening brainstem above the foramen magnum."""
    arc, right, anterior = coordinates
    above = (FORAMEN_MAGNUM_MM - arc).clamp(min=0)
    canal_width, canal_depth = anatomy.canal_half_axes_mm
    fossa_deep, fossa_wide = rng.uniform(35, 55), rng.uniform(40, 60)
    # The posterior fossa lies behind the clivus, which leans forward; the brain fills the head above it.
    front = torch.where(above < 45, canal_depth + 0.4 * above, 70.0)
    opening = (above / 15).clamp(0, 1)
    half_wide = canal_width + (fossa_wide - canal_width) * opening
    back = -canal_depth - (fossa_deep - canal_depth) * opening
    middle, half_deep = (front + back) / 2, (front - back) / 2
    radius = torch.sqrt((right / half_wide) ** 2 + ((anterior - middle) / half_deep) ** 2)
    inside = above > 0
    tissue[inside & (radius < 1 + 5 / half_deep)] = int(Tissue.CORTEX)
    folds = _smooth_noise(tissue.shape, rng.uniform(3, 8), generator)
    brain = inside & (radius < 1)
    tissue[brain] = int(Tissue.GREY)
    tissue[brain & (folds > 0.3)] = int(Tissue.WHITE)
    tissue[brain & (folds < -1.2)] = int(Tissue.CSF)
    growth = 1 + (above / 25).clamp(max=1) * rng.uniform(0.5, 1.2)
    stem = torch.sqrt((right / anatomy.half_width_mm) ** 2 + (anterior / anatomy.half_depth_mm) ** 2) / growth
    low = inside & (above < 45)
    tissue[low & (stem < 1 + 3 / anatomy.half_depth_mm) & (radius < 1)] = int(Tissue.CSF)
    tissue[low & (stem < 1)] = int(Tissue.WHITE)


def _draw_sleeves(anatomy: Anatomy, axes: list[torch.Tensor], tissue: torch.Tensor, rng: np.random.Generator) -> None:
    """Draw fluid around the roots where they leave the canal, at some levels."""
    exits = {(filum.value, filum.root.split("_")[0]): filum.path[-1] for filum in anatomy.fila}
    for arc, right, anterior in exits.values():
        if rng.random() < 0.3:
            continue
        _, to_right, to_front = anatomy.centerline.frame(arc)
        centre = (anatomy.centerline.position(arc) + right * to_right + anterior * to_front)[0]
        radius = rng.uniform(1.2, 3.0)
        box = _around(axes, centre - radius, centre + radius)
        if box is None:
            continue
        parts = [axis[part] for axis, part in zip(axes, box, strict=True)]
        grid = torch.meshgrid(*parts, indexing="ij")
        ball = sum((part - float(mm)) ** 2 for part, mm in zip(grid, centre, strict=True)) <= radius**2
        tissue[box][ball & (tissue[box] < int(Tissue.CSF))] = int(Tissue.CSF)


def _around(axes: list[torch.Tensor], low: np.ndarray, high: np.ndarray) -> tuple[slice, ...] | None:
    """Voxels between two corners; None if there are none."""
    first = np.array([float(axis[0]) for axis in axes])
    step = np.array([float(axis[1] - axis[0]) for axis in axes])
    begin = np.floor((low - first) / step).astype(int).clip(0)
    end = np.minimum(np.ceil((high - first) / step).astype(int) + 1, [len(axis) for axis in axes])
    return None if (begin >= end).any() else tuple(slice(a, b) for a, b in zip(begin, end, strict=True))


def _draw_rootlets(
    anatomy: Anatomy, axes: list[torch.Tensor], tissue: torch.Tensor, levels: torch.Tensor, roots: torch.Tensor
) -> None:
    """Paint fila into a tissue map and label them, each within the box of voxels around it."""
    line = anatomy.centerline
    for filum in anatomy.fila:
        _, right, anterior = line.frame(filum.path[:, 0])
        points = line.position(filum.path[:, 0]) + filum.path[:, 1:2] * right + filum.path[:, 2:3] * anterior
        box = _around(axes, points.min(axis=0) - filum.radius_mm, points.max(axis=0) + filum.radius_mm)
        if box is None:
            continue
        parts = [axis[part] for axis, part in zip(axes, box, strict=True)]
        grid = torch.stack(torch.meshgrid(*parts, indexing="ij"), -1)
        inside = torch.zeros(grid.shape[:3], dtype=torch.bool, device=grid.device)
        for first, second in pairwise(torch.tensor(points, dtype=torch.float32, device=grid.device)):
            axis = second - first
            along = ((grid - first) @ axis / (axis @ axis)).clamp(0, 1)
            inside |= (grid - first - along[..., None] * axis).norm(dim=-1) <= filum.radius_mm
        inside &= tissue[box] == Tissue.CSF
        tissue[box][inside] = int(Tissue.ROOTLET)
        levels[box][inside] = filum.value
        roots[box][inside] = 1 + ROOTS.index(filum.root)


def _acquire(
    signal: np.ndarray,
    tissue: torch.Tensor,
    factor: tuple[int, ...],
    generator: torch.Generator,
    rng: np.random.Generator,
) -> torch.Tensor:
    """Acquire an image of a fine tissue map: texture, flow voids, coil sensitivity, partial volume, ringing, noise."""
    means = torch.tensor(signal, dtype=torch.float32, device=tissue.device)
    image = means[tissue.long()]
    texture = _smooth_noise(tissue.shape, rng.uniform(2, 6), generator)
    image = image * (1 + rng.uniform(0.02, 0.2) * texture * (tissue < int(Tissue.LIGAMENT)))
    flow = _smooth_noise(tissue.shape, rng.uniform(3, 10), generator)
    void = 1 - rng.uniform(0, 0.6) * (flow - rng.uniform(0.5, 1.5)).clamp(0, 1)
    image = torch.where(tissue == int(Tissue.CSF), image * void, image)
    image = _pooled(image, factor)
    field = _smooth_noise(image.shape, rng.uniform(25, 60), generator)
    # Surface coils behind the neck: brightest there, or with other coils anywhere.
    ramp = torch.linspace(-0.5, 0.5, image.shape[1], device=image.device)[None, :, None]
    image = image * torch.exp(rng.uniform(0, 0.35) * field - rng.uniform(-0.3, 1.5) * ramp)
    image = _ringing(image, rng)
    level = rng.uniform(0.01, 0.07) * float(np.abs(signal).max())
    return image + level * torch.randn(image.shape, generator=generator, device=image.device)


def _pooled(volume: torch.Tensor, factor: tuple[int, ...]) -> torch.Tensor:
    return F.avg_pool3d(volume[None, None], factor)[0, 0]


def _largest(labels: torch.Tensor, factor: tuple[int, ...]) -> torch.Tensor:
    return F.max_pool3d(labels[None, None].float(), factor)[0, 0]


def _smooth_noise(shape: torch.Size, voxels: float, generator: torch.Generator) -> torch.Tensor:
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
