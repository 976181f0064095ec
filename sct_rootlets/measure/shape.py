"""Shape of the cord: area, diameters and form of its cross-sections, slice by slice and level by level.

Each slice through the cord is projected along the cord onto the plane perpendicular to it. Names of measures are those
of the Spinal Cord Toolbox; definitions are in ``docs/measures.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from sct_rootlets.centerline import fit_centerline
from sct_rootlets.image import Volume
from sct_rootlets.measure.axial import axial_mean, axial_sd, wrap_axial
from sct_rootlets.measure.cord_levels import CordLevels, MeasuredLevel

#: Measures of a slice that are averaged over a level, in the order of the columns.
MEASURES = (
    "area",
    "angle_AP",
    "angle_RL",
    "diameter_AP",
    "diameter_AP_ellipse",
    "diameter_RL",
    "eccentricity",
    "orientation",
    "solidity",
)
#: Measures that are directions of an axis, the same after half a turn (`sct_rootlets.measure.axial`).
AXIAL = ("orientation",)
#: Measures whose uncertainty from the ends of levels is given, and that have published norms.
SIZES = ("area", "diameter_AP", "diameter_AP_ellipse", "diameter_RL")
NORMED = ("area", "diameter_AP_ellipse", "diameter_RL")
#: Smoothing of the centerline whose direction corrects for the angle (`fit_centerline`): a direction is a derivative,
#: in which jitter of the mask counts more than in positions.
DIRECTION_SMOOTHING_MM = 60.0
#: Distance between the points at which a section is sampled.
SAMPLE_MM = 0.1
#: The AP diameter is the mean depth over so much of the width, around the middle of the section.
CENTRAL_WIDTH_MM = 3.0
#: Cords that are tilted further against their slices are not measured in them.
MAX_TILT_DEG = 70.0


@dataclass(frozen=True, kw_only=True)
class SliceShapes:
    """Shape of the cord in the slices of its mask, from inferior to superior.

    Attributes
    ----------
    slices : numpy.ndarray of int, shape (N,)
        Slice numbers; 0 is the most inferior slice of the volume.
    values : dict of str to numpy.ndarray, shape (N,)
        `MEASURES`: area in mm², diameters in mm, angles and orientation in degrees; NaN where a slice cannot be
        measured.
    length_mm : numpy.ndarray, shape (N,)
        Length of cord in each slice.
    notes : tuple of str
    """

    slices: np.ndarray
    values: dict[str, np.ndarray]
    length_mm: np.ndarray
    notes: tuple[str, ...] = ()


def measure_slices(cord: Volume) -> SliceShapes:
    """Measure the cross-sections of a cord, corrected for the angle between slice and cord.

    Parameters
    ----------
    cord : Volume
        Share of each voxel that is cord, 0 to 1; axes to the left, to anterior and to superior
        (`sct_rootlets.image.as_axial`).

    Returns
    -------
    SliceShapes

    Raises
    ------
    LabelError
        If the mask is too short, or too thick for a cord (`sct_rootlets.centerline.fit_centerline`).
    """
    data, affine = np.asarray(cord.data, dtype=np.float32), cord.affine
    slices = np.flatnonzero((data >= 0.5).any(axis=(0, 1)))
    sections = [_largest_part(data[:, :, k]) for k in slices]
    n_divided = sum(divided for _, divided in sections)
    middles = np.array(
        [[*ndimage.center_of_mass(section), k] for (section, _), k in zip(sections, slices, strict=True)]
    )
    line = fit_centerline(data >= 0.5, affine, DIRECTION_SMOOTHING_MM)
    superior = -line.frame(line.project(apply_affine(affine, middles)).arc)[0]
    order = 3 if ((data > 0) & (data < 1)).any() else 1  # a spline makes up for the blur of large soft voxels
    rows = [
        _measure_section(section, middle[:2], affine, direction, order)
        for (section, _), middle, direction in zip(sections, middles, superior, strict=True)
    ]
    normal, step_mm = _slice_normal(affine)
    notes = []
    if n_divided:
        notes.append(f"{n_divided} slices of the cord mask show several parts: the largest part is measured")
    tilted = [row for row in rows if not np.isfinite(row["area"])]
    if tilted:
        notes.append(f"{len(tilted)} slices cut the cord along its length, or hardly show it: not measured")
    return SliceShapes(
        slices=slices,
        values={name: np.array([row[name] for row in rows]) for name in MEASURES},
        length_mm=step_mm / np.maximum(superior @ normal, np.cos(np.radians(MAX_TILT_DEG))),
        notes=tuple(notes),
    )


def _largest_part(section: np.ndarray) -> tuple[np.ndarray, bool]:
    """Keep the largest connected part of a section; says whether there were others."""
    parts, n_parts = ndimage.label(section > 0, np.ones((3, 3)))
    if n_parts < 2:
        return section, False
    largest = 1 + int(np.argmax(ndimage.sum_labels(section, parts, range(1, n_parts + 1))))
    return np.where(parts == largest, section, 0), True


def _slice_normal(affine: np.ndarray) -> tuple[np.ndarray, float]:
    """Unit vector perpendicular to the slices, to superior, and the distance between slices in mm."""
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    normal /= np.linalg.norm(normal)
    step = float(normal @ affine[:3, 2])
    return (normal, step) if step > 0 else (-normal, -step)


def _measure_section(
    section: np.ndarray, middle: np.ndarray, affine: np.ndarray, superior: np.ndarray, order: int
) -> dict[str, float]:
    """Measure one slice; ``superior`` is the direction of the cord, ``middle`` its place in voxels of the slice."""
    normal, _ = _slice_normal(affine)
    left_axis, anterior_axis = (affine[:3, k] / np.linalg.norm(affine[:3, k]) for k in (0, 1))
    missing = dict.fromkeys(MEASURES, np.nan)
    if superior @ normal < np.cos(np.radians(MAX_TILT_DEG)):
        return missing
    left = left_axis - (left_axis @ superior) * superior
    left /= np.linalg.norm(left)
    anterior = anterior_axis - (anterior_axis @ superior) * superior - (anterior_axis @ left) * left
    anterior /= np.linalg.norm(anterior)
    # Voxel indices of the slice to mm to the left and to anterior, in the plane perpendicular to the cord.
    to_mm = np.stack([left, anterior]) @ affine[:3, :2]
    area = float(section.sum()) * abs(float(np.linalg.det(to_mm)))
    form = _form(section, middle, to_mm, area, order)
    if form is None:
        return missing
    return {
        "area": area,
        "angle_AP": float(np.degrees(np.arctan2(superior @ left_axis, superior @ normal))),
        "angle_RL": float(np.degrees(np.arctan2(superior @ anterior_axis, superior @ normal))),
        **form,
    }


def _form(
    section: np.ndarray, middle: np.ndarray, to_mm: np.ndarray, area_mm2: float, order: int
) -> dict[str, float] | None:
    """Fit an ellipse to a section, and measure its depth and convexity; None where nothing is above 0.5."""
    from skimage.measure import regionprops

    to_index = np.linalg.inv(to_mm)
    i, j = np.nonzero(section)
    around = to_mm @ (np.stack([i, j]) - middle[:, None])
    margin = np.abs(to_mm).sum() + SAMPLE_MM
    left, anterior = (np.arange(a.min() - margin, a.max() + margin, SAMPLE_MM) for a in around)
    box = (slice(max(i.min() - 2, 0), i.max() + 3), slice(max(j.min() - 2, 0), j.max() + 3))
    crop, first = np.pad(section[box], 2), np.array([box[0].start, box[1].start]) - 2

    def sample(left_mm: np.ndarray, anterior_mm: np.ndarray) -> np.ndarray:
        index = np.tensordot(to_index, np.stack([left_mm, anterior_mm]), axes=1) + (middle - first)[:, None, None]
        return ndimage.map_coordinates(crop, index, order=order)

    shape = (sample(*np.meshgrid(left, anterior, indexing="ij")) > 0.5).astype(np.uint8)
    if not shape.any():
        return None
    region = regionprops(shape)[0]
    # The longer axis, which lies to the right and left in most cords; a cord that is deeper than wide stays upright.
    upright = abs(region.orientation) > np.pi / 4
    # The outline at 0.5 encloses less than the section where voxels are large; the ellipse gets its area.
    scale = SAMPLE_MM * float(np.sqrt(area_mm2 / (region.area * SAMPLE_MM**2)))
    major, minor = region.axis_major_length * scale, region.axis_minor_length * scale
    turn = region.orientation - (np.sign(region.orientation) * np.pi / 2 if upright else 0.0)
    half = CENTRAL_WIDTH_MM / 2
    across = np.arange(-half + SAMPLE_MM / 2, half, SAMPLE_MM)
    reach = major / 2 + margin
    along, depth = np.meshgrid(across, np.arange(-reach, reach, SAMPLE_MM), indexing="ij")
    centre = np.array([axis[0] for axis in (left, anterior)]) + np.array(region.centroid) * SAMPLE_MM
    # regionprops counts angles from the first axis (left) towards the second one (anterior).
    values = sample(
        centre[0] + np.cos(turn) * along - np.sin(turn) * depth,
        centre[1] + np.sin(turn) * along + np.cos(turn) * depth,
    )
    return {
        "diameter_AP": float(values.sum(axis=1).mean() * SAMPLE_MM),
        "diameter_AP_ellipse": major if upright else minor,
        "diameter_RL": minor if upright else major,
        "eccentricity": float(region.eccentricity),
        "orientation": float(wrap_axial(np.degrees(region.orientation))),
        "solidity": float(region.solidity),
    }


@dataclass(frozen=True, kw_only=True)
class LevelShape:
    """Shape of the cord in one level: means over its slices.

    Attributes
    ----------
    level : MeasuredLevel
    slices : numpy.ndarray of int, shape (N,)
        Slices of the level; empty if no slice is measured.
    mean, sd : dict of str to float
        `MEASURES`, each slice counting the same; the standard deviation is that between slices. Those of `AXIAL`
        are of axes.
    ends_sd : dict of str to float
        `SIZES` and ``length``: the part of their uncertainty that comes from the ends of the level; NaN where the
        uncertainty of the ends is not known.
    length_mm : float
        Sum of the lengths of its slices along the cord.
    norm_mean, norm_sd : dict of str to float
        `NORMED`: mean and standard deviation of the published healthy adults; empty where no vertebrae are known.
    remarks : tuple of str
    """

    level: MeasuredLevel
    slices: np.ndarray
    mean: dict[str, float]
    sd: dict[str, float]
    ends_sd: dict[str, float]
    length_mm: float
    norm_mean: dict[str, float]
    norm_sd: dict[str, float]
    remarks: tuple[str, ...] = ()

    def deviation(self, name: str) -> float:
        """How many standard deviations a measure lies above the published mean; NaN where it is not known."""
        sd = self.norm_sd.get(name, np.nan)
        return (self.mean.get(name, np.nan) - self.norm_mean.get(name, np.nan)) / sd


def slice_levels(level_map: np.ndarray) -> np.ndarray:
    """Find the level of each slice: the one that most of its labelled voxels bear, the upper one of two alike.

    Parameters
    ----------
    level_map : numpy.ndarray of int, shape (I, J, K)
        Axes to the left, to anterior and to superior.

    Returns
    -------
    numpy.ndarray of int, shape (K,)
        0 where a slice has no label.
    """
    found = np.zeros(level_map.shape[2], dtype=int)
    for k in np.flatnonzero(level_map.any(axis=(0, 1))):
        section = level_map[:, :, k]
        found[k] = np.argmax(np.bincount(section[section > 0].ravel()))
    return found


def shape_by_level(shapes: SliceShapes, cord: CordLevels) -> list[LevelShape]:
    """Average the shape of slices over spinal and vertebral levels.

    Parameters
    ----------
    shapes : SliceShapes
        Of the cord of `cord`.
    cord : CordLevels

    Returns
    -------
    list of LevelShape
        Spinal levels first, from rostral to caudal.
    """
    coordinate = cord.vertebral_coordinate(cord.slice_arc_mm)
    result = []
    for kind, levels in cord.levels.items():
        of_slice = slice_levels(cord.maps[kind].data)[shapes.slices]
        for level in levels:
            inside = (of_slice == level.value) & np.isfinite(shapes.values["area"])
            norm = cord.norm(coordinate[shapes.slices][inside])
            result.append(_average(shapes, level, inside, norm))
    return result


def _average(
    shapes: SliceShapes, level: MeasuredLevel, inside: np.ndarray, norm: tuple[dict[str, float], dict[str, float]]
) -> LevelShape:
    slices = shapes.slices[inside]
    remarks = [] if level.has_known_ends else ["the level may be longer than stated"]
    if level.is_cut:
        remarks.append(f"the level map and the cord mask show {level.shown_text} of the level")
    if not len(slices):
        missing = dict.fromkeys(MEASURES, np.nan)
        return LevelShape(
            level=level,
            slices=slices,
            mean=missing,
            sd=missing,
            ends_sd={},
            length_mm=np.nan,
            norm_mean={},
            norm_sd={},
            remarks=(*remarks, "no slice of the cord mask lies in this level"),
        )
    values = {name: shapes.values[name][inside] for name in MEASURES}
    return LevelShape(
        level=level,
        slices=slices,
        mean={name: axial_mean(part) if name in AXIAL else float(np.mean(part)) for name, part in values.items()},
        sd={name: axial_sd(part) if name in AXIAL else float(np.std(part)) for name, part in values.items()},
        ends_sd={} if level.is_cut else _ends_sd(values, level),
        length_mm=float(shapes.length_mm[inside].sum()),
        norm_mean=norm[0],
        norm_sd=norm[1],
        remarks=tuple(remarks),
    )


def _ends_sd(values: Mapping[str, np.ndarray], level: MeasuredLevel) -> dict[str, float]:
    """Propagate the uncertainty of the ends of a level to its means, to first order.

    The mean over a level from r to c is M = ∫ f / (c - r), so that dM/dr = (M - f(r)) / (c - r) and dM/dc =
    (f(c) - M) / (c - r).
    """
    length = level.caudal_mm - level.rostral_mm
    result = {}
    for name in SIZES:
        part, mean = values[name], float(np.mean(values[name]))  # from inferior to superior
        slopes = np.array([mean - part[-1], part[0] - mean]) / length
        result[name] = float(np.hypot(slopes[0] * level.rostral_sd_mm, slopes[1] * level.caudal_sd_mm))
    result["length"] = float(np.hypot(level.rostral_sd_mm, level.caudal_sd_mm))
    return result
