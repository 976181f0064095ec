"""A phantom with known truth: an anatomy drawn on a voxel grid, as an image with labels.

The anatomy (`sct_rootlets.synthesis.anatomy.Anatomy`) is written in the coordinates of the cord, so that the true
levels and discs are exact; drawing comes afterwards. Tests and the documentation use phantoms, and
``sct_rootlets demo`` uses one as a template.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from nibabel.affines import apply_affine
from nibabel.orientations import axcodes2ornt, inv_ornt_aff
from scipy import ndimage
from scipy.spatial.transform import Rotation

from sct_rootlets.image import Volume
from sct_rootlets.levels import PMJ_VALUE
from sct_rootlets.synthesis.anatomy import Anatomy, Filum


@dataclass(frozen=True)
class Phantom:
    """An anatomy drawn on a grid.

    Attributes
    ----------
    anatomy : Anatomy
    image : Volume
        T2w-like intensities.
    cord, rootlets, discs, pmj : Volume
        Labels: a voxel bears the label that its centre lies in.
    """

    anatomy: Anatomy
    image: Volume
    cord: Volume
    rootlets: Volume
    discs: Volume
    pmj: Volume


def phantom_grid(
    anatomy: Anatomy,
    voxel_mm: tuple[float, float, float],
    axcodes: str = "RAS",
    rotation_deg: tuple[float, float, float] = (0, 0, 0),
    margin_mm: float = 22.0,
    arc_range: tuple[float, float] | None = None,
) -> tuple[tuple[int, ...], np.ndarray]:
    """Compute a voxel grid around the cord.

    Parameters
    ----------
    anatomy : Anatomy
    voxel_mm : tuple of float
        Voxel size along right, anterior and superior.
    axcodes : str
        Order and direction of the axes, such as ``"PSR"``.
    rotation_deg : tuple of float
        Rotation of the grid about the x, y and z axes, for an oblique acquisition.
    margin_mm : float
        Margin on every side of the cord, and 6 mm more in front.
    arc_range : (float, float), optional
        Part of the cord in the field of view, in mm of arc length; by default the whole cord and the PMJ.

    Returns
    -------
    shape : tuple of int
    affine : numpy.ndarray, shape (4, 4)
    """
    spacing = np.asarray(voxel_mm, dtype=float)
    turn = Rotation.from_euler("xyz", rotation_deg, degrees=True).as_matrix()
    low_arc, high_arc = arc_range or (anatomy.pmj_mm, anatomy.centerline.cord_length)
    inside = (anatomy.centerline.arc >= low_arc) & (anatomy.centerline.arc <= high_arc)
    points = anatomy.centerline.points[inside] @ turn
    forward = np.array([0.0, 6.0, 0.0])
    margin = np.array([margin_mm, margin_mm, 6.0 if arc_range is None else 0.0])
    low, high = points.min(axis=0) - margin + forward, points.max(axis=0) + margin + forward
    shape = tuple(int(n) for n in np.ceil((high - low) / spacing))
    affine = np.eye(4)
    affine[:3, :3] = turn * spacing
    # An arbitrary fraction of a voxel keeps label boundaries off voxel centres, where rounding would decide.
    affine[:3, 3] = turn @ (low + spacing * 0.4142)
    orientation = axcodes2ornt(axcodes)
    to_axes = np.stack([np.argsort(orientation[:, 0]), orientation[np.argsort(orientation[:, 0]), 1]], axis=1)
    reordered = tuple(shape[int(axis)] for axis in orientation[:, 0])
    return reordered, affine @ inv_ornt_aff(to_axes, shape)


def draw_phantom(
    anatomy: Anatomy, shape: tuple[int, ...], affine: np.ndarray, noise: float = 0.02, seed: int = 0
) -> Phantom:
    """Draw an anatomy on a grid.

    Parameters
    ----------
    anatomy : Anatomy
    shape : tuple of int
    affine : numpy.ndarray, shape (4, 4)
    noise : float
        Standard deviation of the image noise as a share of the brightest tissue.
    seed : int
        Seed of the noise.

    Returns
    -------
    Phantom
    """
    voxels: np.ndarray = np.indices(shape).reshape(3, -1).T
    points = apply_affine(affine, voxels)
    projection = anatomy.centerline.project(points)
    near = projection.distance < 40
    voxels, points, arc = voxels[near], points[near], projection.arc[near]
    _, right, anterior = anatomy.centerline.frame(arc)
    offset = points - projection.foot[near]
    place = np.stack([arc, np.einsum("ij,ij->i", offset, right), np.einsum("ij,ij->i", offset, anterior)], axis=1)

    inside = (place[:, 1] / anatomy.half_width_mm) ** 2 + (place[:, 2] / anatomy.half_depth_mm) ** 2 <= 1
    cord = np.zeros(shape, dtype=np.uint8)
    cord[tuple(voxels[inside & (arc >= 0) & (arc <= anatomy.centerline.cord_length)].T)] = 1
    rootlets = np.zeros(shape, dtype=np.uint8)
    around = np.flatnonzero(~inside & (np.hypot(place[:, 1], place[:, 2]) < 20))
    around = around[np.argsort(place[around, 0], kind="stable")]
    for filum in anatomy.fila:
        reach = np.array([filum.path[:, 0].min() - filum.radius_mm, filum.path[:, 0].max() + filum.radius_mm])
        index = around[slice(*np.searchsorted(place[around, 0], reach))]
        rootlets[tuple(voxels[index[_in_tube(place[index], filum)]].T)] = filum.value

    return Phantom(
        anatomy,
        Volume(_intensities(anatomy, shape, affine, voxels, place, inside, rootlets, noise, seed), affine, "T2w"),
        Volume(cord, affine, "cord"),
        Volume(rootlets, affine, "rootlets"),
        _points(anatomy, {value: (arc, 9.5) for value, arc in anatomy.discs.items()}, shape, affine, "discs"),
        _points(anatomy, {PMJ_VALUE: (anatomy.pmj_mm, 0.0)}, shape, affine, "PMJ"),
    )


def _in_tube(place: np.ndarray, filum: Filum) -> np.ndarray:
    """Find the places, shape (N, 3), that lie within a filum; shape (N,)."""
    inside = np.zeros(len(place), dtype=bool)
    for start, end in pairwise(filum.path):
        axis = end - start
        along = np.clip((place - start) @ axis / (axis @ axis), 0, 1)
        inside |= np.linalg.norm(place - start - along[:, None] * axis, axis=1) <= filum.radius_mm
    return inside


def _points(
    anatomy: Anatomy, places: dict[int, tuple[float, float]], shape: tuple[int, ...], affine: np.ndarray, name: str
) -> Volume:
    """Draw single-voxel labels at (arc length, mm anterior of the centerline), where the grid has them."""
    data = np.zeros(shape, dtype=np.uint8)
    for value, (arc, ahead) in places.items():
        _, _, anterior = anatomy.centerline.frame(arc)
        point = anatomy.centerline.position(arc)[0] + ahead * anterior[0]
        index = np.rint(apply_affine(np.linalg.inv(affine), point)).astype(int)
        if (index >= 0).all() and (index < shape).all():
            data[tuple(index)] = value
    return Volume(data, affine, name)


def _intensities(
    anatomy: Anatomy,
    shape: tuple[int, ...],
    affine: np.ndarray,
    voxels: np.ndarray,
    place: np.ndarray,
    in_cord: np.ndarray,
    rootlets: np.ndarray,
    noise: float,
    seed: int,
) -> np.ndarray:
    """Make a T2w-like image: bright cerebrospinal fluid around a grey cord, dark bone, discs between, muscle around."""
    arc, right, anterior = place.T
    value = np.full(len(place), 60.0)
    body = (np.abs(right) < 10) & (anterior > 9.5) & (anterior < 26)
    value[body] = 75
    for disc in anatomy.discs.values():
        value[body & (np.abs(arc - disc) < 2.2)] = 110
    canal = (right / 11.0) ** 2 + (anterior / 8.0) ** 2 <= 1
    value[canal] = 200
    value[in_cord] = 105
    image = np.full(shape, 60.0)
    image[tuple(voxels.T)] = value
    image[rootlets > 0] = 120
    image = ndimage.gaussian_filter(image, 0.35 / np.linalg.norm(affine[:3, :3], axis=0))
    image += np.random.default_rng(seed).normal(0, 200 * noise, shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def activation(phantom: Phantom, level: str = "C6", sd_mm: float = 3.0) -> np.ndarray:
    """Draw a map of activity: a Gaussian with its peak, 1, in the right half of the cord at the middle of a level.

    Parameters
    ----------
    phantom : Phantom
    level : str
    sd_mm : float
        Standard deviation of the Gaussian.

    Returns
    -------
    numpy.ndarray of float32, shape (I, J, K)
        On the phantom's grid.
    """
    middle = np.mean(phantom.anatomy.spinal_extents(0.0)[level])
    centre = phantom.anatomy.centerline.position(np.array([middle]))[0] + [2.5, 0, 0]
    places = apply_affine(phantom.cord.affine, np.indices(phantom.cord.data.shape).reshape(3, -1).T)
    away = ((places - centre) ** 2).sum(axis=1) / (2 * sd_mm**2)
    return np.exp(-away).reshape(phantom.cord.data.shape).astype(np.float32)
