"""A smooth map and a smooth image that are known everywhere, on two grids with different axes."""

import numpy as np
from nibabel.affines import apply_affine
from scipy.spatial.transform import Rotation

#: A grid with a negative determinant and one with a positive one, tilted, of unlike voxels.
FLIPPED = np.array([[-1.0, 0, 0, 14], [0, 0, 1.0, -12], [0, 1.5, 0, -15], [0, 0, 0, 1]])
TILTED = np.eye(4)
TILTED[:3, :3] = Rotation.from_euler("xyz", (8, -5, 12), degrees=True).as_matrix() * (1.2, 0.9, 1.0)
TILTED[:3, 3] = -16, -13, -14
SHAPE = (28, 22, 26)


def bend(points):
    """A smooth map that treats no axis or side like another."""
    x, y, z = points.T
    return points + np.stack([2 + 1.5 * np.sin(y / 9), -3 + 0.1 * z, 1.5 + np.cos(x / 8)], axis=1)


def blobs(points):
    """A smooth image."""
    x, y, z = points.T
    return 100 + 40 * np.sin(x / 4) * np.cos(y / 5 + 1) + 30 * np.sin(z / 4 + 2)


def grid(affine):
    """Points of all voxels, shape (N, 3)."""
    return apply_affine(affine, np.indices(SHAPE).reshape(3, -1).T)
