"""Small volumes of the region around the cord, which the interactive viewer of the page shows."""

from __future__ import annotations

import gzip
import itertools
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.image import Volume, values_at
from sct_rootlets.report.page.picture import window
from sct_rootlets.report.page.views import shown_arc
from sct_rootlets.subject import SubjectLevels

#: Margins around the cord's centerline: to the left and right, behind and in front, below and above.
MARGINS_MM = ((-22.0, 22.0), (-26.0, 34.0), (-4.0, 4.0))
#: Voxels are as large as the smallest side of the image's own, or larger so that there are no more than this many: an
#: image of so many bytes, even if noise makes it incompressible, stays below 1.4 MB as text.
MAX_VOXELS = 1.0e6
#: Percentiles of brightness that are shown as black and as white.
WINDOW_PERCENTILES = (0.5, 99.8)
#: Brightness of the cord where there is no image.
CORD_GRAY = 120


@dataclass(frozen=True)
class Grid:
    """A grid of isotropic voxels along the axes of the world.

    Attributes
    ----------
    shape : (int, int, int)
    affine : numpy.ndarray, shape (4, 4)
        Voxel indices to RAS+ mm.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    def points(self) -> np.ndarray:
        """Return the centres of the voxels, shape (I, J, K, 3), RAS+ mm."""
        return apply_affine(self.affine, np.moveaxis(np.indices(self.shape), 0, -1))


def cord_grid(subject: SubjectLevels) -> Grid:
    """Lay a grid around the part of the cord that is shown, within the field of view of the image."""
    first, last = shown_arc(subject)
    points = subject.centerline.position(np.linspace(first, last, 50))
    margin = np.array(MARGINS_MM).T
    low, high = points.min(axis=0) + margin[0], points.max(axis=0) + margin[1]
    if subject.image is not None:  # beyond it, all is black
        sides = [(-0.5, size - 0.5) for size in subject.image.data.shape[:3]]
        corners = apply_affine(subject.image.affine, list(itertools.product(*sides)))
        low, high = np.maximum(low, corners.min(axis=0)), np.minimum(high, corners.max(axis=0))
    spacing = (subject.image or subject.cord).spacing.min()
    spacing = max(float(spacing), float((np.prod(high - low) / MAX_VOXELS) ** (1 / 3)))
    shape = np.maximum(np.floor((high - low) / spacing), 1).astype(int)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = low + spacing / 2
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def viewer_volumes(subject: SubjectLevels) -> dict[str, bytes]:
    """Resample image, rootlets, and the cord coloured by spinal (or vertebral) level into compressed NIfTI files.

    Returns
    -------
    dict of str to bytes
        ``image``, ``rootlets``, ``levels``, as far as they are known; the same bytes for the same subject.
    """
    grid = cord_grid(subject)
    points = grid.points()
    volumes: dict[str, np.ndarray] = {}
    if subject.image is not None:
        image = values_at(subject.image.data, subject.image.affine, points)
        volumes["image"] = window(image, WINDOW_PERCENTILES)
    cord = values_at(subject.cord.data, subject.cord.affine, points) >= 0.5
    if subject.image is None:
        volumes["image"] = np.where(cord, CORD_GRAY, 0).astype(np.uint8)
    if subject.rootlets is not None and subject.rootlets.data.any():
        volumes["rootlets"] = _labels(subject.rootlets, points)
    if subject.kinds:
        arc = subject.centerline.project(points[cord]).arc
        levels = np.zeros(grid.shape, dtype=np.uint8)
        levels[cord] = subject.kinds[0].label(arc)
        volumes["levels"] = levels
    return {name: _file(data, grid.affine) for name, data in volumes.items()}


def _labels(volume: Volume, points: np.ndarray) -> np.ndarray:
    """Return the nearest label at each point."""
    return np.rint(values_at(volume.data, volume.affine, points, order=0)).astype(np.uint8)


def _file(data: np.ndarray, affine: np.ndarray) -> bytes:
    """Write a compressed NIfTI file into memory, without the time of day."""
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), 9, mtime=0)
