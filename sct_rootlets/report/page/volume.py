"""The region around the cord as small volumes, for the interactive viewer of the page."""

from __future__ import annotations

import gzip
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine

from sct_rootlets.image import Volume, values_at
from sct_rootlets.report.page.scan import Scan
from sct_rootlets.report.page.views import shown_arc, window

#: What is kept around the cord's centerline: to the left and right, behind, in front, above and below.
MARGIN_MM = ((-22.0, 22.0), (-26.0, 34.0), (-4.0, 4.0))
#: Voxels are as large as the image's smallest side, and larger where it needs be to have no more than this many: an
#: image of so many bytes, which noise keeps from being compressed, stays below 1.4 MB as text.
MOST_VOXELS = 1.0e6


@dataclass(frozen=True)
class Grid:
    """A grid of isotropic voxels along the axes of the world."""

    shape: tuple[int, int, int]
    affine: np.ndarray

    def points(self) -> np.ndarray:
        """Centres of the voxels, shape (I, J, K, 3), RAS+ mm."""
        return apply_affine(self.affine, np.moveaxis(np.indices(self.shape), 0, -1))


def cord_grid(scan: Scan) -> Grid:
    """A grid around the part of the cord that is shown."""
    first, last = shown_arc(scan)
    points = scan.centerline.position(np.linspace(first, last, 50))
    margin = np.array(MARGIN_MM).T
    low, high = points.min(axis=0) + margin[0], points.max(axis=0) + margin[1]
    spacing = (scan.image or scan.cord).spacing.min()
    spacing = max(float(spacing), float((np.prod(high - low) / MOST_VOXELS) ** (1 / 3)))
    shape = np.maximum(np.floor((high - low) / spacing), 1).astype(int)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = low + spacing / 2
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def viewer_volumes(scan: Scan) -> dict[str, bytes]:
    """Image, rootlets, and the cord coloured by spinal (or vertebral) level, as compressed NIfTI files.

    Returns
    -------
    dict of str to bytes
        ``image``, ``rootlets``, ``levels``, as far as they are known; the same bytes for the same scan.
    """
    grid = cord_grid(scan)
    points = grid.points()
    volumes: dict[str, np.ndarray] = {}
    if scan.image is not None:
        volumes["image"] = window(np.nan_to_num(values_at(scan.image.data, scan.image.affine, points)), (0.5, 99.8))
    cord = values_at(scan.cord.data, scan.cord.affine, points) >= 0.5
    if scan.image is None:
        volumes["image"] = np.where(cord, 120, 0).astype(np.uint8)
    if scan.rootlets is not None and scan.rootlets.data.any():
        volumes["rootlets"] = _labels(scan.rootlets, points)
    if scan.kinds:
        arc = scan.centerline.project(points[cord]).arc
        levels = np.zeros(grid.shape, dtype=np.uint8)
        levels[cord] = scan.kinds[0].label(arc)
        volumes["levels"] = levels
    return {name: _file(data, grid.affine) for name, data in volumes.items()}


def _labels(volume: Volume, points: np.ndarray) -> np.ndarray:
    return np.rint(values_at(volume.data, volume.affine, points, order=0)).astype(np.uint8)


def _file(data: np.ndarray, affine: np.ndarray) -> bytes:
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), 9, mtime=0)
