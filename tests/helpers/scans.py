"""Synthetic scans with known truth for tests of the bundled model."""

from dataclasses import replace

import numpy as np

from sct_rootlets.image import Volume
from sct_rootlets.levels import level_value
from sct_rootlets.spinal import DISTANCE_MM


def anatomy_of(seed=4, drift_mm=0.0):
    """A healthy neck; ``drift_mm`` moves all rootlets caudally and leaves everything else as it is."""
    from sct_rootlets.synthesis.random_anatomy import AnatomyRanges, random_anatomy

    usual = AnatomyRanges(scale=(1.0, 1.0), lean_deg=(0.0, 5.0), bend_deg=(5.0, 15.0), half_width_mm=(6.0, 6.5),
                          half_depth_mm=(3.7, 4.0), canal_gap_mm=(2.5, 3.5), drift_mm=(0.0, 0.0),
                          level_jitter_mm=(0.0, 0.0), asymmetry_mm=(0.0, 0.0), filum_radius_mm=(0.45, 0.5),
                          missing_root=(0.0, 0.0), missing_filum=(0.0, 0.0))  # fmt: skip
    anatomy = random_anatomy(np.random.default_rng(seed), usual)
    shifted = [replace(filum, path=np.add(filum.path, [drift_mm, 0, 0])) for filum in anatomy.fila]
    return replace(anatomy, fila=tuple(shifted))


def scan_of(anatomy, contrast="T2w", seed=1, spacing=1.0):
    """Image and rootlets from C1 to T3, axes to the right, anterior and superior."""
    from sct_rootlets.synthesis.synthesis import synthesize

    course = anatomy.centerline.position(np.arange(anatomy.discs[1], anatomy.discs[10], 2.0))
    low, high = np.subtract(course.min(axis=0), [22, 26, 0]), np.add(course.max(axis=0), [22, 34, 0])
    shape = tuple(int(n) for n in np.round((high - low) / spacing))
    centre = tuple(float(mm) for mm in (low + high) / 2)
    scan = synthesize(anatomy, contrast, shape, (spacing,) * 3, centre, np.random.default_rng(seed))
    affine = np.diag([spacing] * 3 + [1.0])
    affine[:3, 3] = np.array(centre) - spacing * (np.array(shape) - 1) / 2
    return tuple(Volume(one.numpy(), affine, "synthetic") for one in (scan.image, scan.levels))


def middles_of(anatomy):
    """Arc length of the middle of each level, where its rootlets lie near the cord."""
    ends = anatomy.spinal_extents(DISTANCE_MM)
    return {level_value(name, "spinal"): (rostral + caudal) / 2 for name, (rostral, caudal) in ends.items()}
