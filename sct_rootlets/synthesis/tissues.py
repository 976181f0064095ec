"""The tissue of each voxel of a neck: bones, muscle, head, canal, cord, and rootlets drawn into them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from sct_rootlets.levels import ROOTS
from sct_rootlets.synthesis.acquisition import smooth_noise
from sct_rootlets.synthesis.anatomy import Anatomy
from sct_rootlets.synthesis.contrast import Tissue

#: Arc length of the anatomy (which begins some 12 mm above C1) at which the cord becomes the medulla.
FORAMEN_MAGNUM_MM = -4.0
#: Length of spinous processes behind the canal in mm, above C1 to T2 and below, and how steeply they point down,
#: relative to the usual: short and flat in the neck, long from C7 on (Gray's Anatomy, 41st ed., ch. 43).
SPINOUS_LENGTH_MM = (0.0, 3.0, 22.0, 15.0, 15.0, 17.0, 22.0, 30.0, 32.0, 32.0)
SPINOUS_SLOPE_RATIO = (1.0, 0.5, 0.8, 0.6, 0.6, 0.7, 0.9, 1.0, 1.5, 2.0)


def draw_tissues(
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
    thinning = rng.uniform(0, 0.15)  # below T1
    if anatomy.size is None:
        enlarged = enlarged * (1 - thinning * torch.sigmoid((arc - anatomy.discs[9]) / 12))
    wide, deep = (
        torch.from_numpy(size).to(arc) for size in anatomy.relative_size(arc.cpu().numpy().astype(np.float64))
    )
    u = aside / (anatomy.half_width_mm * enlarged * wide)
    v = anterior / (anatomy.half_depth_mm * enlarged * deep)
    cord = (u**2 + v**2 <= 1) & (arc > anatomy.pmj_mm)
    paint(cord, Tissue.WHITE)
    horn = ((u - 0.32 - 0.12 * v) / 0.13) ** 2 + (v / 0.62) ** 2 <= 1
    paint(cord & (horn | ((v.abs() < 0.12) & (u < 0.3))), Tissue.GREY)
    return tissue


def marble_muscle(tissue: torch.Tensor, generator: torch.Generator, rng: np.random.Generator) -> None:
    """Put fat and sheets of fascia into the muscle, so that bright spots there are not taken for a spinal canal."""
    muscle = tissue == int(Tissue.MUSCLE)
    fat = smooth_noise(tissue.shape, rng.uniform(6, 25), generator) > rng.uniform(0.6, 2.0)
    tissue[muscle & fat] = int(Tissue.FAT)
    fascia = smooth_noise(tissue.shape, rng.uniform(15, 40), generator).abs() < rng.uniform(0.0, 0.08)
    tissue[muscle & fascia] = int(Tissue.LIGAMENT)


def draw_head(
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
    folds = smooth_noise(tissue.shape, rng.uniform(3, 8), generator)
    brain = inside & (radius < 1)
    tissue[brain] = int(Tissue.GREY)
    tissue[brain & (folds > 0.3)] = int(Tissue.WHITE)
    tissue[brain & (folds < -1.2)] = int(Tissue.CSF)
    growth = 1 + (above / 25).clamp(max=1) * rng.uniform(0.5, 1.2)
    stem = torch.sqrt((right / anatomy.half_width_mm) ** 2 + (anterior / anatomy.half_depth_mm) ** 2) / growth
    low = inside & (above < 45)
    tissue[low & (stem < 1 + 3 / anatomy.half_depth_mm) & (radius < 1)] = int(Tissue.CSF)
    tissue[low & (stem < 1)] = int(Tissue.WHITE)


def draw_sleeves(anatomy: Anatomy, axes: list[torch.Tensor], tissue: torch.Tensor, rng: np.random.Generator) -> None:
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


def draw_rootlets(
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
