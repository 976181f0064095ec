"""Straight cords of elliptic section, whose radii are known."""

import numpy as np

from sct_rootlets.centerline import Centerline
from sct_rootlets.image import Volume
from sct_rootlets.registration.cordspace import CordSpace

LENGTH_MM = 60.0
#: A line along z, from 0 down to -60 mm.
LINE = Centerline.from_points(np.array([[0, 0, -z] for z in np.arange(0, LENGTH_MM + 0.5, 0.5)]))
SPACE = CordSpace.along(LINE)
ARC = np.arange(0, LENGTH_MM + 1)


def cylinder(half_width, half_depth, rotation_deg=0.0, voxel=0.5, half=15.0):
    """A cord around `LINE`, with half axes to the right and to anterior in mm."""
    across = np.arange(-half + 0.37 * voxel, half, voxel)  # surfaces and voxels do not coincide
    z = np.arange(-LENGTH_MM + voxel / 2, 0, voxel)
    x, y = np.meshgrid(across, across, indexing="ij")
    rotation = np.radians(rotation_deg)
    u, v = np.cos(rotation) * x + np.sin(rotation) * y, -np.sin(rotation) * x + np.cos(rotation) * y
    section = (u / half_width) ** 2 + (v / half_depth) ** 2 <= 1
    affine = np.diag([voxel, voxel, voxel, 1])
    affine[:3, 3] = across[0], across[0], z[0]
    return Volume(np.repeat(section[:, :, None], len(z), axis=2), affine, "cord")


def ellipse(half_width, half_depth, angle):
    """Radius of an ellipse at an angle from the right towards anterior, in radians."""
    return 1 / np.sqrt((np.cos(angle) / half_width) ** 2 + (np.sin(angle) / half_depth) ** 2)
