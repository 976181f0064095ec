"""The scan of demonstrations: one synthetic person whom no network was trained on, the same every time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sct_rootlets.image import Volume
from sct_rootlets.synthesis.anatomy import Anatomy
from sct_rootlets.synthesis.random_anatomy import HELD_OUT_RANGES, random_anatomy

#: Seed of the person and of the scan.
SEED = 285
VOXEL_MM = 0.9
#: Size of the field of view from left to right, and how much more it holds than the cord from back to front.
WIDTH_MM = 46.8
MORE_DEPTH_MM = 80.0
#: How far the field of view reaches beyond the PMJ and beyond disc T2/T3.
ABOVE_MM, BELOW_MM = 12.0, 8.0
#: Intensity of the brightest voxel.
MAX_INTENSITY = 1000


def example_scan() -> tuple[Anatomy, Volume]:
    """Make a T2w scan of the neck, from the PMJ to T2, in a few seconds.

    The anatomy comes from the population that networks are tested on (`HELD_OUT_RANGES`); the cord is as thick along
    the vertebrae as those of healthy adults.

    Returns
    -------
    anatomy : Anatomy
        The true levels and discs, in the world of the image.
    image : Volume
        Intensities, uint16; axes right, anterior, superior.
    """
    from sct_rootlets.synthesis.synthesis import synthesize

    rng = np.random.default_rng(SEED)
    anatomy = random_anatomy(rng, replace(HELD_OUT_RANGES, enlargement=None))
    arc_mm = np.arange(anatomy.pmj_mm - ABOVE_MM, anatomy.discs[10] + BELOW_MM)
    points = anatomy.centerline.position(arc_mm)
    low, high = points.min(axis=0), points.max(axis=0)
    size_mm = np.array([WIDTH_MM, high[1] - low[1] + MORE_DEPTH_MM, high[2] - low[2]])
    middle = anatomy.centerline.position((anatomy.discs[1] + anatomy.discs[10]) / 2)[0]
    centre = np.array([middle[0], *(low + high)[1:] / 2])
    i, j, k = (int(n) for n in np.round(size_mm / VOXEL_MM))
    spacing = VOXEL_MM, VOXEL_MM, VOXEL_MM
    place = float(centre[0]), float(centre[1]), float(centre[2])
    scan = synthesize(anatomy, "T2w_3D", (i, j, k), spacing, place, rng)
    intensities = scan.image.numpy()
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = centre - VOXEL_MM * (np.array([i, j, k]) - 1) / 2
    data = np.rint(np.clip(intensities / intensities.max(), 0, 1) * MAX_INTENSITY).astype(np.uint16)
    return anatomy, Volume(data, affine, "T2w")
