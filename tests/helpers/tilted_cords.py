"""Cords of elliptic section that run obliquely through the slices of a volume, and levels along them."""

import itertools

import numpy as np

from sct_rootlets.image import Volume

HALF_WIDTH_MM, HALF_DEPTH_MM = 6.0, 3.8
AREA_MM2 = np.pi * HALF_WIDTH_MM * HALF_DEPTH_MM


def direction(tilt_deg, towards=(0.6, 0.8)):
    """Direction of a cord to superior, tilted to the patient's right and to anterior."""
    across = np.sin(np.radians(tilt_deg)) * np.array(towards) / np.hypot(*towards)
    return np.array([*across, np.cos(np.radians(tilt_deg))])


def tilted_cord(tilt_deg, voxel_mm, height_mm=46.0, is_soft=True, turn_deg=0.0, towards=(0.6, 0.8), sample=5):
    """A cord through the origin: volume in RAS+ order, whose voxels hold their share of cord if it is soft."""
    along = direction(tilt_deg, towards)
    right = np.array([1.0, 0.0, 0.0]) - along[0] * along
    right /= np.linalg.norm(right)
    anterior = np.cross(along, right)
    turn = np.radians(turn_deg)
    width, depth = np.cos(turn) * right + np.sin(turn) * anterior, -np.sin(turn) * right + np.cos(turn) * anterior
    voxel = np.broadcast_to(np.asarray(voxel_mm, dtype=float), 3)
    half = np.array([8 + height_mm / 2 * abs(along[0] / along[2]), 8 + height_mm / 2 * abs(along[1] / along[2]),
                     height_mm / 2])  # fmt: skip
    origin = -half + 0.37 * voxel  # surfaces and voxels do not coincide
    affine = np.diag([*voxel, 1.0])
    affine[:3, 3] = origin
    shape = np.ceil(2 * half / voxel).astype(int)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 3)

    def radius(voxels):
        points = voxels * voxel + origin
        return np.hypot(points @ width / HALF_WIDTH_MM, points @ depth / HALF_DEPTH_MM)

    middle = radius(index)
    share = (middle <= 1).astype(float)
    if is_soft:  # only voxels that the surface may cross are divided
        crossed = np.abs(middle - 1) < np.linalg.norm(voxel) / 2 / HALF_DEPTH_MM
        steps = list(itertools.product((np.arange(sample) + 0.5) / sample - 0.5, repeat=3))
        share[crossed] = np.mean([radius(index[crossed] + step) <= 1 for step in steps], axis=0)
    return Volume(share.reshape(shape).astype(np.float32), affine, "cord.nii.gz")


def level_map(cord, tilt_deg, borders_mm, first=3, towards=(0.6, 0.8)):
    """Label the cord between borders, in mm along it from the origin to superior, falling; values grow from `first`."""
    ijk = np.argwhere(cord.data > 0)
    along = (ijk * np.diag(cord.affine)[:3] + cord.affine[:3, 3]) @ direction(tilt_deg, towards)
    labels = np.zeros(cord.data.shape, dtype=np.uint8)
    for value, (rostral, caudal) in enumerate(itertools.pairwise(borders_mm), first):
        chosen = ijk[(along <= rostral) & (along > caudal)]
        labels[tuple(chosen.T)] = value
    return Volume(labels, cord.affine, "levels.nii.gz")
