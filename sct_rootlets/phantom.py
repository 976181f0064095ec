"""A cervical phantom with known truth: a curved cord, rootlets as tubes, discs and the PMJ, on any grid.

The anatomy is written in the cord's own coordinates (arc length, right, anterior, all in mm), so that the truth
about levels and discs is exact, and is drawn on a voxel grid afterwards. Tests, documentation and
``sct_rootlets demo`` use it; ``sct_rootlets phantom`` writes the files in ``testing_data/``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from nibabel.affines import apply_affine
from nibabel.orientations import axcodes2ornt, inv_ornt_aff
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from sct_rootlets.centerline import Centerline
from sct_rootlets.correspondence import spinal_middles
from sct_rootlets.image import Volume
from sct_rootlets.levels import PMJ_VALUE, level_name
from sct_rootlets.nifti import save_volume
from sct_rootlets.output.files import staged_outputs
from sct_rootlets.output.ownership import Guard

# Length of the attachment of each level's rootlets, C2 to T1: within the 10-12 mm of Kim 2012 (J Korean Neurosurg
# Soc 52:384) from C3 to C8; and how steeply they descend from the perpendicular to the cord: C1-C2 run upwards, C3
# level, C4-T2 more and more caudally (Clin Anat 1993;6:167).
_ATTACHMENT_MM = (8.0, 10.5, 11.0, 11.0, 10.5, 10.5, 10.0, 9.0)
_DESCENT_DEG = (-10.0, 0.0, 8.0, 12.0, 16.0, 20.0, 25.0, 30.0)
# Heights of vertebrae C2 to T2 with the disc below, and of C1 above them.
_VERTEBRA_MM = (14.0, 15.5, 17.0, 17.0, 16.0, 16.0, 17.0, 20.0, 21.0)

# Where rootlets leave the cross-section and where they go, in degrees ventral of the widest line.
_DORSAL_START_DEG, _DORSAL_COURSE_DEG = -15.0, 20.0
_VENTRAL_START_DEG, _VENTRAL_COURSE_DEG = 50.0, 10.0


@dataclass(frozen=True)
class Filum:
    """A rootlet as a tube along a polyline, in the cord's coordinates.

    Attributes
    ----------
    value : int
        Its spinal level, 2 for C2.
    root : str
        One of `sct_rootlets.levels.ROOTS`.
    path : numpy.ndarray, shape (K, 3)
        (arc length, right, anterior) in mm, from where it attaches to the cord outwards.
    radius_mm : float
    """

    value: int
    root: str
    path: np.ndarray
    radius_mm: float


@dataclass(frozen=True)
class Anatomy:
    """A cervical cord with rootlets and discs, in the cord's coordinates.

    Attributes
    ----------
    centerline : Centerline
        Of the cord, from its top; extended above it to the PMJ.
    half_width_mm, half_depth_mm : float
        Half axes of the cord's elliptic cross-section.
    fila : tuple of Filum
    discs : dict of int to float
        Arc length of each disc in mm, by value.
    pmj_mm : float
        Arc length of the PMJ, negative.
    enlargement : float
        How much larger the cross-section of the cord is at the cervical enlargement (C5/C6), as a share.
    canal_half_axes_mm : (float, float)
        Half axes of the dural sac, which holds the cerebrospinal fluid.
    """

    centerline: Centerline
    half_width_mm: float
    half_depth_mm: float
    fila: tuple[Filum, ...]
    discs: dict[int, float]
    pmj_mm: float
    enlargement: float = 0.0
    canal_half_axes_mm: tuple[float, float] = (11.0, 8.0)

    def spinal_extents(self, distance_mm: float) -> dict[str, tuple[float, float]]:
        """True ends of each level: where its rootlets lie within a distance of the cord's surface.

        Parameters
        ----------
        distance_mm : float

        Returns
        -------
        dict of str to (float, float)
            Rostral and caudal end by level name, mm of arc length.
        """
        angle = np.linspace(0, 2 * np.pi, 720)
        surface = cKDTree(np.stack([self.half_width_mm * np.cos(angle), self.half_depth_mm * np.sin(angle)], axis=1))
        ends: dict[str, tuple[float, float]] = {}
        for filum in self.fila:
            path = _densely(filum.path, 400)
            near = surface.query(path[:, 1:])[0] <= distance_mm
            near[0] = True  # where it attaches
            drop, *across = filum.path[1] - filum.path[0]
            half = filum.radius_mm * np.hypot(1, drop / np.hypot(*across))  # of the tube along the cord
            name = level_name(filum.value, "spinal")
            rostral, caudal = ends.get(name, (np.inf, -np.inf))
            ends[name] = min(rostral, path[near, 0].min() - half), max(caudal, path[near, 0].max() + half)
        return ends


def _densely(path: np.ndarray, n: int) -> np.ndarray:
    """``n`` points along a polyline, shape (n, 3)."""
    along = np.linspace(0, len(path) - 1, n)
    return np.stack([np.interp(along, np.arange(len(path)), coordinate) for coordinate in path.T], axis=1)


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


def cervical_anatomy(
    bend_deg: float = 22.0,
    sway_mm: float = 1.5,
    scale: float = 1.0,
    drift_mm: float | Sequence[float] = 0.0,
    filum_radius_mm: float = 0.7,
    fila_per_root: int = 5,
) -> Anatomy:
    """Build a cervical anatomy from C2 to T2.

    Parameters
    ----------
    bend_deg : float
        How far the cord leans forward and back along its course.
    sway_mm : float
        How far it strays to the sides.
    scale : float
        Stretches everything along the cord.
    drift_mm : float or sequence of float
        Moves all rootlets caudally against the vertebrae, or those of each level from C2 to T1.
    filum_radius_mm : float
        Radius of a rootlet.
    fila_per_root : int
        Rootlets in each dorsal and ventral root on each side.

    Returns
    -------
    Anatomy
    """
    heights = np.array(_VERTEBRA_MM) * scale
    disc_arc = 10 * scale + np.concatenate([[0], np.cumsum(heights)])
    discs = {value: float(arc) for value, arc in enumerate(disc_arc, start=1)}
    centerline = _course(disc_arc[-1] + 6 * scale, bend_deg, sway_mm)

    middle = spinal_middles(discs, scale)

    half_width, half_depth = 6.5, 4.2
    fila = []
    drifts = np.broadcast_to(drift_mm, len(middle))
    for value, length, descent, drift in zip(middle, _ATTACHMENT_MM, _DESCENT_DEG, drifts, strict=True):
        reach = length * scale / 2 - filum_radius_mm / np.cos(np.radians(descent))
        for arc in np.linspace(-reach, reach, fila_per_root) + middle[value] + drift:
            for root, start_deg, course_deg, run_mm in (
                ("dorsal", _DORSAL_START_DEG, _DORSAL_COURSE_DEG, 6.5),
                ("ventral", _VENTRAL_START_DEG, _VENTRAL_COURSE_DEG, 6.0),
            ):
                start = np.array(
                    [half_width * np.cos(np.radians(start_deg)), half_depth * np.sin(np.radians(start_deg))]
                )
                course = run_mm * np.array([np.cos(np.radians(course_deg)), np.sin(np.radians(course_deg))])
                drop = run_mm * np.tan(np.radians(descent))
                end = start + course
                for side, sign in (("left", -1), ("right", 1)):
                    path = np.array([[arc, sign * start[0], start[1]], [arc + drop, sign * end[0], end[1]]])
                    fila.append(Filum(value, f"{side}_{root}", path, filum_radius_mm))
    pmj_mm = -20.0 * scale
    top = centerline.position(np.array([pmj_mm]))[0]
    return Anatomy(centerline.extended_to(top), half_width, half_depth, tuple(fila), discs, pmj_mm)


def _course(length_mm: float, bend_deg: float, sway_mm: float) -> Centerline:
    """A cord with a cervical lordosis: it leans forward above and below, back in the middle."""
    arc = np.arange(0, length_mm + 0.25, 0.25)
    lean = np.radians(bend_deg) * np.cos(2 * np.pi * arc / (1.3 * length_mm))
    lateral = sway_mm * np.sin(2 * np.pi * arc / length_mm)
    sideways = np.gradient(lateral, arc)
    down = np.sqrt(1 - sideways**2)  # keeps unit speed, so that arc length is exact
    direction = np.stack([sideways, down * np.sin(lean), -down * np.cos(lean)], axis=1)
    points = np.concatenate([[[0, 0, 0]], np.cumsum((direction[1:] + direction[:-1]) / 2 * 0.25, axis=0)])
    return Centerline.from_points(points - points.mean(axis=0))


def phantom_grid(
    anatomy: Anatomy,
    voxel_mm: tuple[float, float, float],
    axcodes: str = "RAS",
    rotation_deg: tuple[float, float, float] = (0, 0, 0),
    margin_mm: float = 22.0,
    arc_range: tuple[float, float] | None = None,
) -> tuple[tuple[int, ...], np.ndarray]:
    """A voxel grid around the cord.

    Parameters
    ----------
    anatomy : Anatomy
    voxel_mm : tuple of float
        Voxel size along right, anterior and superior.
    axcodes : str
        Order and direction of the axes, such as ``"PSR"``.
    rotation_deg : tuple of float
        Tilts the grid about the x, y and z axes (an oblique acquisition).
    margin_mm : float
        Space to every side of the cord, and 6 mm more in front.
    arc_range : (float, float), optional
        The part of the cord that the field of view is cut to, in mm of arc length; by default all of it and the PMJ.

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
        Of the noise.

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
    inside = np.zeros(len(place), dtype=bool)
    for start, end in pairwise(filum.path):
        axis = end - start
        along = np.clip((place - start) @ axis / (axis @ axis), 0, 1)
        inside |= np.linalg.norm(place - start - along[:, None] * axis, axis=1) <= filum.radius_mm
    return inside


def _points(
    anatomy: Anatomy, places: dict[int, tuple[float, float]], shape: tuple[int, ...], affine: np.ndarray, name: str
) -> Volume:
    """Single-voxel labels at (arc length, mm anterior of the centerline), where the grid has them."""
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
    """T2w-like image: bright cerebrospinal fluid around a grey cord, dark bone, discs between, muscle around."""
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


def write_phantoms(folder: str | os.PathLike[str], guard: Guard | None = None) -> list[Path]:
    """Write the phantoms of ``testing_data/``; the same bytes every time.

    ``sub-phantom01`` is a sagittal scan of 1 mm voxels like many T2w scans, with the PMJ in view;
    ``sub-phantom02`` an oblique one of anisotropic voxels in another axis order, cropped between C3 and C7, whose
    rootlets lie 3 mm further caudally against the vertebrae.

    Parameters
    ----------
    folder : path
    guard : Guard, optional
        By default, files of the same names and other content are kept.

    Returns
    -------
    list of Path

    Raises
    ------
    ImageError
        If the folder cannot be written to, or holds files of the same names and other content.
    """
    return _all_or_none(Path(folder), guard, _write_phantoms)


def _all_or_none(folder: Path, guard: Guard | None, write: Callable[[Path], list[Path]]) -> list[Path]:
    """Write a whole dataset, unless a file of the user would be replaced."""
    with staged_outputs(folder, guard=guard or Guard()) as stage:
        names = [path.relative_to(stage) for path in write(stage)]
    return sorted(folder / name for name in names)


def _write_phantoms(folder: Path) -> list[Path]:
    first = cervical_anatomy()
    second = cervical_anatomy(bend_deg=12, sway_mm=3, scale=0.95, drift_mm=3)
    grids = {
        "sub-phantom01": (first, phantom_grid(first, (1, 1, 1), "PSR", margin_mm=16)),
        "sub-phantom02": (second, phantom_grid(second, (0.8, 0.8, 1.6), "LIA", (8, 5, -4), 16, (38, 105))),
    }
    paths = []
    for subject, (anatomy, grid) in grids.items():
        paths += _write_subject(folder, subject, draw_phantom(anatomy, *grid))
    return paths + _write_descriptions(folder)


#: Standard deviations over a cohort: of the size of the spine, of where rootlets lie against the vertebrae, all
#: together and each level by itself (mm), and of heights against what the size of the spine lets expect (cm).
COHORT_SCALE_SD, COHORT_DRIFT_SD_MM, COHORT_LEVEL_SD_MM, COHORT_HEIGHT_SD_CM = 0.05, 1.5, 0.7, 3.0
#: Rootlets count up to this distance from the cord where the bias of a cohort is planted (`sct_rootlets.spinal`).
COHORT_DISTANCE_MM = 2.4


def cohort_anatomy(rng: np.random.Generator) -> tuple[Anatomy, float]:
    """Draw an anatomy of a cohort whose levels lie, on average, as far from the vertebrae as published.

    The middles of the stretches where rootlets lie within 2.4 mm of the cord (method ``extent``) lie `BIAS_MM` above
    those of the vertebrae, at scale 1, give or take what is drawn.

    Parameters
    ----------
    rng : numpy.random.Generator

    Returns
    -------
    anatomy : Anatomy
    height_cm : float
    """
    scale = float(np.clip(rng.normal(1, COHORT_SCALE_SD), 0.88, 1.12))
    bend, sway = float(rng.uniform(5, 28)), float(rng.uniform(0, 3))
    plain = cervical_anatomy(bend, sway, scale)
    planted = spinal_middles(plain.discs, scale)
    extents = plain.spinal_extents(COHORT_DISTANCE_MM).values()
    drift = rng.normal(0, COHORT_DRIFT_SD_MM) + rng.normal(0, COHORT_LEVEL_SD_MM, len(planted))
    drift += [middle - float(np.mean(ends)) for middle, ends in zip(planted.values(), extents, strict=True)]
    height = round(float(172 * scale + rng.normal(0, COHORT_HEIGHT_SD_CM)), 1)
    return cervical_anatomy(bend, sway, scale, drift.tolist()), height


def activation(phantom: Phantom, level: str = "C6", sd_mm: float = 3.0) -> np.ndarray:
    """Draw a map of activity that is 1 in the right half of the cord at the middle of a level, and falls off around.

    Parameters
    ----------
    phantom : Phantom
    level : str
    sd_mm : float
        Of the Gaussian.

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


def write_cohort(
    folder: str | os.PathLike[str], n_subjects: int, seed: int = 0, activity: bool = False, guard: Guard | None = None
) -> list[Path]:
    """Write a cohort of phantoms as a BIDS dataset with a ``participants.tsv``; the same bytes every time.

    Scans are sagittal, of 1 mm voxels, with the PMJ in view (`cohort_anatomy`).

    Parameters
    ----------
    folder : path
    n_subjects : int
    seed : int
    activity : bool
        Write a map of `activation` of each as well, and a template.
    guard : Guard, optional
        By default, files of the same names and other content are kept.

    Returns
    -------
    list of Path

    Raises
    ------
    ImageError
        If the folder cannot be written to, or holds files of the same names and other content.
    """
    return _all_or_none(Path(folder), guard, lambda stage: _write_cohort(stage, n_subjects, seed, activity))


def _write_cohort(folder: Path, n_subjects: int, seed: int, activity: bool) -> list[Path]:
    rng = np.random.default_rng(seed)
    rows, paths = [], []
    digits = max(2, len(str(n_subjects)))
    for number in range(1, n_subjects + 1):
        subject = f"sub-cohort{number:0{digits}d}"
        anatomy, height = cohort_anatomy(rng)
        grid = phantom_grid(anatomy, (1, 1, 1), "PSR", margin_mm=16)
        phantom = draw_phantom(anatomy, *grid, seed=seed + number)
        paths += _write_subject(folder, subject, phantom)
        if activity:
            with staged_outputs(folder / subject / "func") as stage:
                save_volume(stage / f"{subject}_task-hand_zstat.nii.gz", activation(phantom), phantom.cord.affine)
                paths += [stage.parent / path.name for path in stage.iterdir()]
        rows.append(f"{subject}\t{rng.integers(20, 46)}\t{'FM'[int(rng.integers(2))]}\t{height}\n")
    if activity:
        paths += _write_template(folder / "derivatives" / "template")
    with staged_outputs(folder) as stage:
        (stage / "participants.tsv").write_text("participant_id\tage\tsex\theight\n" + "".join(rows), encoding="utf-8")
    return [*paths, folder / "participants.tsv", *_write_descriptions(folder)]


def _write_subject(folder: Path, subject: str, phantom: Phantom) -> list[Path]:
    """Image, labels and truth of a phantom, in their places in a BIDS dataset."""
    affine = phantom.image.affine
    with staged_outputs(folder / subject / "anat") as stage:
        save_volume(stage / f"{subject}_T2w.nii.gz", phantom.image.data, affine)
        paths = [stage.parent / path.name for path in stage.iterdir()]
    with staged_outputs(folder / "derivatives" / "labels" / subject / "anat") as stage:
        for name, volume in (
            ("label-SC_seg", phantom.cord),
            ("label-rootlets_dseg", phantom.rootlets),
            ("label-discs_dlabel", phantom.discs),
            ("label-PMJ_dlabel", phantom.pmj),
        ):
            if volume.data.any():
                save_volume(stage / f"{subject}_T2w_{name}.nii.gz", volume.data, affine)
        (stage / f"{subject}_T2w_truth.json").write_text(json.dumps(_truth(phantom.anatomy), indent=2) + "\n")
        paths += [stage.parent / path.name for path in stage.iterdir()]
    return paths


def _write_descriptions(folder: Path) -> list[Path]:
    description = {"Name": "Cervical phantoms", "BIDSVersion": "1.9.0", "DatasetType": "raw"}
    derived = description | {
        "Name": "Labels of the cervical phantoms",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "sct_rootlets phantom"}],
    }
    paths = []
    for where, content in ((folder, description), (folder / "derivatives" / "labels", derived)):
        with staged_outputs(where) as stage:
            (stage / "dataset_description.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        paths.append(where / "dataset_description.json")
    return paths


#: Numbers that SCT gives to the files of a template, in ``info_label.txt``.
TEMPLATE_IDS = {"t2": 1, "cord": 3, "levels": 7, "label_disc": 10, "spinal_levels": 15, "rootlets": 16,
                "rootlets_midpoint": 17}  # fmt: skip


def write_template(folder: str | os.PathLike[str], guard: Guard | None = None) -> list[Path]:
    """Write a phantom that stands for a template: straight, in the layout and with the names of PAM50.

    For trying out and testing registration where PAM50 is not at hand; nothing is to be learned about people from it.

    Parameters
    ----------
    folder : path
        Gets a folder ``template``.
    guard : Guard, optional
        By default, files of the same names and other content are kept.

    Returns
    -------
    list of Path

    Raises
    ------
    ImageError
        If the folder cannot be written to, or holds files of the same names and other content.
    """
    return _all_or_none(Path(folder), guard, _write_template)


def _write_template(folder: Path) -> list[Path]:
    anatomy = cervical_anatomy(bend_deg=0, sway_mm=0)
    shape, affine = phantom_grid(anatomy, (1, 1, 1), "LAS", margin_mm=16)
    phantom = draw_phantom(anatomy, shape, affine, noise=0)
    arc = anatomy.centerline.project(apply_affine(affine, np.argwhere(phantom.cord.data))).arc
    discs = np.array(list(anatomy.discs.values()))
    caudal = np.array([end for _, end in anatomy.spinal_extents(0.0).values()])
    first = min(rostral for rostral, _ in anatomy.spinal_extents(0.0).values())
    spinal = np.where((arc >= first) & (arc < caudal[-1]), np.searchsorted(caudal, arc, side="right") + 2, 0)
    vertebral = np.where(arc < discs[-1], np.searchsorted(discs, arc, side="right"), 0)
    volumes = {"t2": phantom.image.data, "cord": phantom.cord.data, "rootlets": phantom.rootlets.data,
               "label_disc": phantom.discs.data}  # fmt: skip
    for name, labels in (("spinal_levels", spinal), ("levels", vertebral)):
        volumes[name] = np.zeros(shape, dtype=np.uint8)
        volumes[name][phantom.cord.data > 0] = labels
    volumes["rootlets_midpoint"] = np.zeros(shape, dtype=np.uint8)
    for value, ends in enumerate(anatomy.spinal_extents(0.0).values(), start=2):
        middle = anatomy.centerline.position(np.array([np.mean(ends)]))[0]
        volumes["rootlets_midpoint"][tuple(np.rint(apply_affine(np.linalg.inv(affine), middle)).astype(int))] = value
    listed = [
        f"{TEMPLATE_IDS[name]}, {name}, phantom_{name}.nii.gz" for name in sorted(volumes, key=TEMPLATE_IDS.__getitem__)
    ]
    with staged_outputs(folder / "template") as stage:
        for name, data in volumes.items():
            save_volume(stage / f"phantom_{name}.nii.gz", data, affine)
        (stage / "info_label.txt").write_text(
            "\n".join(["# Keyword=IndivLabels", "# ID, name, file", *listed]) + "\n", encoding="utf-8"
        )
    return [folder / "template" / f"phantom_{name}.nii.gz" for name in volumes]


def _truth(anatomy: Anatomy) -> dict[str, object]:
    """What a phantom's labels should yield, in mm of arc length from the top of the whole cord."""
    return {
        "unit": "mm of arc length, growing caudally; 0 is the top of the cord",
        "pmj": anatomy.pmj_mm,
        "discs": {str(value): round(arc, 3) for value, arc in anatomy.discs.items()},
        "attachment": {
            name: [round(float(end), 3) for end in ends] for name, ends in anatomy.spinal_extents(0.0).items()
        },
        "extent_2.4mm": {
            name: [round(float(end), 3) for end in ends] for name, ends in anatomy.spinal_extents(2.4).items()
        },
    }
