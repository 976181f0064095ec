"""What is wrong with a cord mask along its centerline, such as where it is missing; and the hash of its voxels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from itertools import groupby, permutations
from typing import Literal

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from sct_rootlets.centerline import Centerline
from sct_rootlets.image import Volume, as_axial, binary_mask, superior_axis

#: A slice whose section is less than this share of the sections around it is too thin to be the whole cord.
MIN_SECTION_SHARE = 0.5
#: Length of cord over which the usual section is taken, on either side of a slice.
NEIGHBOURHOOD_MM = 25.0
#: Defects that end closer to an end of the mask than this are the taper of the mask.
TAPER_MM = 3.0
#: Defects that are shorter than this move no border by more than its uncertainty.
MIN_DEFECT_MM = 2.0
#: Mean section and ratio of the width to the depth of the cord between vertebrae C2 and T1 in 203 healthy adults
#: (Valošek 2024, doi 10.1162/imag_a_00075): 34-99 mm² and 1.25-2.27. Masks of 1 mm voxels are up to a fifth larger;
#: what lies beyond these wider limits is no whole cord.
SECTION_LIMITS_MM2 = (30.0, 130.0)
WIDTH_TO_DEPTH_LIMITS = (1.0, 2.6)
#: Share of the slices that must show two parts side by side for a mask to be doubled.
MIN_DOUBLED_SHARE = 0.2

#: Label maps of at most this many values are searched for one region around another; and the share of the inner region
#: that must lie within the outer one.
MAX_NESTED_VALUES = 4
MIN_NESTED_SHARE = 0.9

DefectKind = Literal["missing", "too thin"]


@dataclass(frozen=True)
class MaskDefect:
    """A part of the cord along which the mask does not show the whole cord.

    Attributes
    ----------
    kind : {"missing", "too thin"}
    rostral_mm, caudal_mm : float
        Ends in mm of arc length.
    radius_mm : float
        Radius that the cord is expected to have there, of a circle of the usual section.
    """

    kind: DefectKind
    rostral_mm: float
    caudal_mm: float
    radius_mm: float

    @property
    def length_mm(self) -> float:
        """Length along the cord in mm."""
        return self.caudal_mm - self.rostral_mm


@dataclass(frozen=True)
class Sections:
    """Sections of a cord mask, slice by slice, from rostral to caudal.

    Attributes
    ----------
    arc_mm : numpy.ndarray, shape (N,)
        Arc length of the middle of each slice, in mm.
    area_mm2 : numpy.ndarray, shape (N,)
        Area perpendicular to the cord; 0 where the mask is missing.
    step_mm : float
        Distance between the slices.
    """

    arc_mm: np.ndarray
    area_mm2: np.ndarray
    step_mm: float


def mask_digest(mask: Volume) -> str:
    """Compute the SHA-256 of the voxels of a mask, whatever its name, its data type and the order of its axes.

    Parameters
    ----------
    mask : Volume
        Binary, or soft, which is thresholded.

    Returns
    -------
    str
        Hexadecimal digits.

    Raises
    ------
    LabelError
        If the volume is no mask (`sct_rootlets.image.binary_mask`).
    """
    inside, _ = binary_mask(mask)
    voxels = as_axial(replace(mask, data=inside)).data
    digest = hashlib.sha256(str(voxels.shape).encode())
    digest.update(np.packbits(voxels).tobytes())
    return digest.hexdigest()


def measure_sections(mask: np.ndarray, affine: np.ndarray, centerline: Centerline) -> Sections:
    """Measure the section of a cord mask in each slice across the body.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (I, J, K)
    affine : numpy.ndarray, shape (4, 4)
        Voxel indices to RAS+ mm.
    centerline : Centerline
        Centerline of the mask.
    """
    axis, _ = superior_axis(affine)
    step_mm = float(np.linalg.norm(affine[:3, axis]))
    inside = centerline.arc >= 0
    arc, points = centerline.arc[inside], centerline.points[inside]
    index = apply_affine(np.linalg.inv(affine), points)[:, axis]
    if index[0] > index[-1]:
        index, arc = index[::-1], arc[::-1]
    counts = mask.sum(axis=tuple(k for k in range(3) if k != axis))
    slices = np.arange(max(0, int(np.ceil(index[0]))), min(len(counts) - 1, int(np.floor(index[-1]))) + 1)
    arc_mm = np.interp(slices, index, arc)
    caudal, _, _ = centerline.frame(arc_mm)
    obliquity = np.abs(caudal @ (affine[:3, axis] / step_mm))
    area = counts[slices] * abs(np.linalg.det(affine[:3, :3])) / step_mm * obliquity
    order = np.argsort(arc_mm)
    return Sections(arc_mm[order], area[order], step_mm)


def find_mask_defects(sections: Sections) -> list[MaskDefect]:
    """Find where a cord mask is missing, or far thinner than around, between its ends.

    Parameters
    ----------
    sections : Sections

    Returns
    -------
    list of MaskDefect
        From rostral to caudal.
    """
    arc, area = sections.arc_mm, sections.area_mm2
    if not (area > 0).any():
        return []
    usual = np.array([_usual_section(arc, area, place) for place in arc])
    kinds = np.where(area == 0, "missing", np.where(area < MIN_SECTION_SHARE * usual, "too thin", ""))
    half = sections.step_mm / 2
    defects = []
    for kind, group in groupby(range(len(arc)), key=lambda slice_: bool(kinds[slice_])):
        run = list(group)
        if not kind:
            continue
        rostral, caudal = float(arc[run[0]]) - half, float(arc[run[-1]]) + half
        tapers = rostral < arc[0] + TAPER_MM or caudal > arc[-1] - TAPER_MM
        if tapers or caudal - rostral < MIN_DEFECT_MM:
            continue
        missing = np.count_nonzero(kinds[run] == "missing") * 2 >= len(run)
        radius = float(np.sqrt(np.median(usual[run]) / np.pi))
        defects.append(MaskDefect("missing" if missing else "too thin", rostral, caudal, radius))
    return defects


def _usual_section(arc: np.ndarray, area: np.ndarray, place: float) -> float:
    """Median section of the slices around a place that show any cord, mm²."""
    near = (np.abs(arc - place) <= NEIGHBOURHOOD_MM) & (area > 0)
    return float(np.median(area[near] if near.any() else area[area > 0]))


def implausible_sections(mask: np.ndarray, affine: np.ndarray, centerline: Centerline, sections: Sections) -> list[str]:
    """Describe sections that are not those of one whole cord, one line each.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (I, J, K)
    affine : numpy.ndarray, shape (4, 4)
    centerline : Centerline
    sections : Sections
    """
    area = float(np.median(sections.area_mm2[sections.area_mm2 > 0]))
    doubled_mm = _doubled_mm(mask, affine)
    length = len(sections.arc_mm) * sections.step_mm
    if doubled_mm > MIN_DOUBLED_SHARE * length:
        return [f"the cord mask shows two parts side by side over {doubled_mm:.0f} mm: give a mask of the cord alone"]
    low, high = SECTION_LIMITS_MM2
    if area > high:
        return [
            f"the section of the cord mask is {area:.0f} mm², and that of a cord at most 100 mm²: "
            "does the mask show the spinal canal, or the cord with the fluid around it?"
        ]
    ratio = _width_to_depth(mask, affine, centerline)
    narrow, wide = WIDTH_TO_DEPTH_LIMITS
    problems = []
    if ratio < narrow:
        problems.append(
            f"the cord mask is {1 / ratio:.1f} times deeper than wide, and a cord is 1.3 to 2.2 times wider than deep: "
            "is one half of the cord missing?"
        )
    elif ratio > wide:
        problems.append(
            f"the cord mask is {ratio:.1f} times wider than deep, and a cord 1.3 to 2.2 times: "
            "does it show more than the cord, or only its front or back?"
        )
    if area < low:
        problems.append(
            f"the section of the cord mask is {area:.0f} mm², and that of a cord at least 35 mm²: is a part missing?"
        )
    return problems


def nested_labels(volume: Volume) -> tuple[int, int] | None:
    """Find one region of a label map that lies around another, such as a canal around a cord.

    Parameters
    ----------
    volume : Volume
        Label map in place of a cord mask.

    Returns
    -------
    (int, int) or None
        Values of the inner and the outer region; None if there are none.
    """
    values = [int(value) for value in np.unique(volume.data) if value > 0]
    if not 2 <= len(values) <= MAX_NESTED_VALUES or (
        volume.data.dtype.kind == "f" and not np.all(np.mod(values, 1) == 0)
    ):
        return None
    axis, _ = superior_axis(volume.affine)
    slices = np.moveaxis(volume.data, axis, 0)
    slices = slices[np.any(slices > 0, axis=(1, 2))]
    slices = slices[:: max(1, len(slices) // 20)]
    for inner, outer in permutations(values, 2):
        filled = np.array([ndimage.binary_fill_holes(section == outer) for section in slices])
        within = slices == inner
        if within.any() and filled[within].mean() > MIN_NESTED_SHARE:
            return int(inner), int(outer)
    return None


def _doubled_mm(mask: np.ndarray, affine: np.ndarray) -> float:
    """Length along which slices show two parts, neither of which is less than a third of the other, in mm."""
    axis, _ = superior_axis(affine)
    slices = np.moveaxis(mask, axis, 0)
    n_doubled = 0
    for section in slices[slices.any(axis=(1, 2))]:
        components, n_components = ndimage.label(section, np.ones((3, 3)))
        if n_components > 1:
            sizes = np.sort(np.bincount(components.ravel())[1:])
            n_doubled += bool(sizes[-2] * 3 >= sizes[-1])
    return float(n_doubled * np.linalg.norm(affine[:3, axis]))


def _width_to_depth(mask: np.ndarray, affine: np.ndarray, centerline: Centerline) -> float:
    """Ratio of the width to the depth of the mask's sections: standard deviations to the right and to anterior."""
    points = apply_affine(affine, np.argwhere(mask))
    points = points[:: max(1, len(points) // 5000)]
    place = centerline.project(points)
    _, right, anterior = centerline.frame(place.arc)
    offset = points - place.foot
    width, depth = (float(np.std(np.einsum("ij,ij->i", offset, axes))) for axes in (right, anterior))
    return width / max(depth, 1e-6)
