"""Cord, fluid and rootlets of the PAM50 template as a second source of anatomy, beside the procedural one.

The template is straight, so that a voxel of a random anatomy, given by its coordinates along and across the cord, is
looked up in it directly: its cord, fluid and rootlets are bent, scaled and shifted as the anatomy says, each side and
level by itself. PAM50: De Leener 2018 (NeuroImage 165:170); its rootlets: Bédard 2025 (doi 10.1162/IMAG.a.123).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from scipy import ndimage

from sct_rootlets.errors import LabelError
from sct_rootlets.levels import FIRST_NAMED, LAST_NAMED, ROOTS
from sct_rootlets.synthesis.anatomy import Anatomy
from sct_rootlets.synthesis.contrast import Tissue

TEMPLATE_FILES = {name: f"PAM50_{name}.nii.gz" for name in ("cord", "csf", "gm", "rootlets", "label_disc")}
#: Half the size of the part of the template that is kept around the middle of the cord.
HALF_WIDTH_MM, HALF_DEPTH_MM = 17.0, 13.0
#: Range of the threshold of the template's soft rootlet mask, above which rootlets are drawn; varied between scans.
ROOTLET_SHARE_RANGE = (0.25, 0.6)


@dataclass(frozen=True)
class TemplateAnatomy:
    """Labels of a straight template around its cord, voxels along right, anterior and superior.

    Attributes
    ----------
    tissue : torch.Tensor of uint8
        Values of `Tissue`; 255 where the template says nothing.
    share : torch.Tensor of uint8
        How much of a voxel rootlets fill, smoothed; 255 is all.
    levels, roots : torch.Tensor of uint8
        Of the nearest rootlet, near rootlets.
    spacing_mm, low_mm : numpy.ndarray, shape (3,)
        Voxel size, and position of the first voxel from the middle of the cord (right, anterior) and in z.
    discs : dict of int to float
        z of each disc, mm.
    middles : dict of int to float
        z of the middle of each level's rootlets, mm.
    half_axes_mm : (float, float)
        Of the cord at C3.
    canal_half_axes_mm : (float, float)
        Of the dural sac at C3.
    """

    tissue: torch.Tensor
    share: torch.Tensor
    levels: torch.Tensor
    roots: torch.Tensor
    spacing_mm: np.ndarray
    low_mm: np.ndarray
    discs: dict[int, float]
    middles: dict[int, float]
    half_axes_mm: tuple[float, float]
    canal_half_axes_mm: tuple[float, float]

    def to(self, device: str | torch.device) -> TemplateAnatomy:
        """Return the template on another device."""
        volumes = {name: getattr(self, name).to(device) for name in ("tissue", "share", "levels", "roots")}
        return TemplateAnatomy(**{**self.__dict__, **volumes})


def load_template(folder: str | os.PathLike[str]) -> TemplateAnatomy:
    """Read the label volumes of PAM50.

    Parameters
    ----------
    folder : path
        With ``PAM50_cord.nii.gz`` and the others of `TEMPLATE_FILES`, such as ``$SCT_DIR/data/PAM50/template``.

    Raises
    ------
    LabelError
        If one of them is missing.
    """
    volumes = {}
    for name, file in TEMPLATE_FILES.items():
        path = Path(folder) / file
        if not path.exists():
            raise LabelError(f"{path} is missing; give a folder with the labels of PAM50")
        image = nib.as_closest_canonical(nib.load(path))
        volumes[name] = np.asarray(image.dataobj)
    spacing = np.array(image.header.get_zooms()[:3], dtype=float)
    discs = {int(v): float(np.argwhere(volumes["label_disc"] == v)[:, 2].mean() * spacing[2]) for v in range(1, 12)}
    bottom = int((discs[11] - 5) / spacing[2])
    centre = np.argwhere(volumes["cord"][:, :, bottom:]).mean(axis=0)[:2]
    half = np.round(np.array([HALF_WIDTH_MM, HALF_DEPTH_MM]) / spacing[:2]).astype(int)
    first = np.round(centre).astype(int) - half
    box = (*(slice(a, a + 2 * n + 1) for a, n in zip(first, half, strict=True)), slice(bottom, None))
    cord, fluid, grey, rootlets = (volumes[name][box] for name in ("cord", "csf", "gm", "rootlets"))

    tissue = np.full(cord.shape, 255, dtype=np.uint8)
    sac = ndimage.binary_closing(np.pad((fluid > 0) | (cord > 0), ((0, 0), (0, 0), (3, 3)), mode="edge"), iterations=2)
    sac = sac[:, :, 3:-3]
    sac |= rootlets > 0
    tissue[sac] = int(Tissue.CSF)
    tissue[cord > 0] = int(Tissue.WHITE)
    tissue[(cord > 0) & (grey > 0.5)] = int(Tissue.GREY)
    nearest = ndimage.distance_transform_edt(rootlets == 0, return_distances=False, return_indices=True)
    levels = rootlets[tuple(nearest)].astype(np.uint8)
    roots = _roots(rootlets, centre[0] - first[0])[tuple(nearest)]
    share = ndimage.gaussian_filter((rootlets > 0).astype(np.float32), 0.7)
    share[cord > 0] = 0
    at_c3 = int(discs[3] / spacing[2]) - bottom
    low = np.array([*((first - centre) * spacing[:2]), bottom * spacing[2]])
    top = np.array(
        [np.flatnonzero((rootlets == v).any(axis=(0, 1))).mean() for v in range(FIRST_NAMED, LAST_NAMED + 1)]
    )
    return TemplateAnatomy(
        tissue=torch.from_numpy(tissue),
        share=torch.from_numpy(np.round(share * 255).astype(np.uint8)),
        levels=torch.from_numpy(levels),
        roots=torch.from_numpy(roots),
        spacing_mm=spacing,
        low_mm=low,
        discs=discs,
        middles={
            value: float((z + bottom) * spacing[2])
            for value, z in zip(range(FIRST_NAMED, LAST_NAMED + 1), top, strict=True)
        },
        half_axes_mm=_half_axes(cord[:, :, at_c3] > 0, spacing),
        canal_half_axes_mm=_half_axes(sac[:, :, at_c3], spacing),
    )


def _half_axes(mask: np.ndarray, spacing: np.ndarray) -> tuple[float, float]:
    width, depth = (float(np.count_nonzero(mask.any(axis=1 - axis)) * spacing[axis] / 2) for axis in (0, 1))
    return width, depth


def _roots(rootlets: np.ndarray, middle: float) -> np.ndarray:
    """Find 1 + the index into ROOTS of each rootlet voxel; of the two pieces of a side, the front one is ventral."""
    roots = np.zeros(rootlets.shape, dtype=np.uint8)
    depth = np.indices(rootlets.shape)[1]
    right_half = np.arange(rootlets.shape[0])[:, None, None] > middle
    for value in range(FIRST_NAMED, LAST_NAMED + 1):
        for side, half in (("right", right_half), ("left", ~right_half)):
            pieces, _ = ndimage.label((rootlets == value) & half, np.ones((3, 3, 3)))
            sizes = np.bincount(pieces.ravel())
            sizes[0] = 0
            two = np.argsort(sizes)[-2:]
            dorsal = two[np.argmin(ndimage.mean(depth, pieces, two))]
            # Stray pieces go with the ventral root: they are near it.
            roots[pieces > 0] = 1 + ROOTS.index(f"{side}_ventral")
            roots[pieces == dorsal] = 1 + ROOTS.index(f"{side}_dorsal")
    return roots


def draw_template(
    template: TemplateAnatomy,
    anatomy: Anatomy,
    coordinates: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    tissue: torch.Tensor,
    levels: torch.Tensor,
    roots: torch.Tensor,
    filled: torch.Tensor,
    rng: np.random.Generator,
) -> None:
    """Paint the template's sac, cord and rootlets over a tissue map, and label the rootlets.

    Parameters
    ----------
    template : TemplateAnatomy
        On the device of the maps.
    anatomy : Anatomy
        Its discs, cord size, and the middle of each level's fila on either side say how the template is deformed; a
        root that has no fila in it is left out.
    coordinates : (torch.Tensor, torch.Tensor, torch.Tensor), each of shape (I, J, K)
        Arc length, and mm to the right and to anterior of the centerline.
    tissue, levels, roots : torch.Tensor of uint8, shape (I, J, K)
        Painted in place.
    filled : torch.Tensor of bool, shape (I, J, K)
        Where a bundle of rootlets holds rootlet rather than the fluid between rootlets.
    rng : numpy.random.Generator
    """
    arc, right, anterior = coordinates
    width, depth = anatomy.half_width_mm, anatomy.half_depth_mm
    across = right * (template.half_axes_mm[0] / width), anterior * (template.half_axes_mm[1] / depth)
    near = (across[0].abs() < HALF_WIDTH_MM) & (across[1].abs() < HALF_DEPTH_MM)
    arc, x, y = arc[near], across[0][near], across[1][near]
    common = sorted(set(anatomy.discs) & set(template.discs))
    by_disc = [anatomy.discs[value] for value in common], [template.discs[value] for value in common]

    found = _look_up(template, template.tissue, x, y, _through(arc, *by_disc), beyond=255)
    painted = found != 255
    values = tissue[near]
    values[painted] = found[painted]

    present = {(filum.value, filum.root) for filum in anatomy.fila}
    label, root, share = (torch.zeros_like(found) for _ in range(3))
    for side, half in (("left", x < 0), ("right", x >= 0)):
        middles: dict[int, list[float]] = {}
        for filum in anatomy.fila:
            if filum.root.startswith(side) and filum.value in template.middles:
                middles.setdefault(filum.value, []).append(float(filum.path[0, 0]))
        known = sorted(middles)
        if len(known) < 2:
            continue
        height = _through(arc[half], [float(np.mean(middles[v])) for v in known], [template.middles[v] for v in known])
        place = x[half], y[half], height
        label[half] = _look_up(template, template.levels, *place)
        root[half] = _look_up(template, template.roots, *place)
        share[half] = _look_up(template, template.share, *place)
    there = share > 255 * rng.uniform(*ROOTLET_SHARE_RANGE)
    for value in range(FIRST_NAMED, LAST_NAMED + 1):
        for index, name in enumerate(ROOTS, start=1):
            if (value, name) not in present:
                there &= ~((label == value) & (root == index))
    there &= (values != int(Tissue.WHITE)) & (values != int(Tissue.GREY))
    values[there & filled[near]] = int(Tissue.ROOTLET)
    values[there & ~filled[near]] = int(Tissue.CSF)
    tissue[near] = values
    levels[near] = label * there
    roots[near] = root * there


def _through(arc: torch.Tensor, knots: list[float], heights: list[float]) -> torch.Tensor:
    """Interpolate the height in the template of each arc length, linearly between knots, with slope -1 beyond them."""
    at = np.concatenate([[knots[0] - 200], knots, [knots[-1] + 200]])
    to = np.concatenate([[heights[0] + 200], heights, [heights[-1] - 200]])
    fine = np.arange(at[0], at[-1], 0.25)
    table = torch.tensor(np.interp(fine, at, to), dtype=torch.float32, device=arc.device)
    index = ((arc - float(fine[0])) / 0.25).round().long().clamp(0, len(table) - 1)
    return table[index]


def _look_up(
    template: TemplateAnatomy, volume: torch.Tensor, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor, beyond: int = 0
) -> torch.Tensor:
    """Look up the nearest voxel of the template; ``beyond`` above and below the template."""
    index = [
        ((position - float(low)) / float(mm)).round().long()
        for position, low, mm in zip((x, y, z), template.low_mm, template.spacing_mm, strict=True)
    ]
    inside = torch.ones_like(x, dtype=torch.bool)
    for place, n in zip(index, volume.shape, strict=True):
        inside &= (place >= 0) & (place < n)
    i, j, k = (place.clamp(0, n - 1) for place, n in zip(index, volume.shape, strict=True))
    return torch.where(inside, volume[i, j, k], torch.full_like(volume[i, j, k], beyond))
