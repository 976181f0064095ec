"""Refinement of the positions of levels by the shape of their rootlets: all voxels of each root are compared.

The middle between the outermost rootlets of a level rests on a few voxels; the mean of all voxels is steadier. A mean
by volume would follow the thickness of the segmented rootlets, which varies by voxels. Therefore each place along the
cord counts by whether rootlets cover it, and little by how many voxels they have there (`coverage_centroid`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from sct_rootlets.registration.arcmap import ArcMap
from sct_rootlets.registration.landmarks import Landmark
from sct_rootlets.registration.pairs import Pair, map_through
from sct_rootlets.registration.rootlets import RootletVoxels
from sct_rootlets.registration.warp import CordWarp

#: Stray voxels of a level, which do not count, lie further than this beyond its ends on the template, or from the
#: centerline.
MAX_BEYOND_LEVEL_MM, MAX_FROM_CENTERLINE_MM = 5.0, 16.0
#: Roots with fewer voxels are not compared.
MIN_COMPARED_VOXELS = 4
#: Greatest distance by which a landmark is moved.
MAX_REFINEMENT_MM = 4.0
#: Number of rounds, after which positions no longer change.
N_ROUNDS = 3
#: Cross-sectional area of a root's rootlets at which a place along the cord counts half; places are told apart to a
#: voxel (standard deviation of a Gaussian); and the width of the bins in which the area is computed.
HALF_COVERED_MM2, COVERAGE_SD_MM, BIN_WIDTH_MM = 1.0, 1.0, 0.1


def refine_by_shape(
    pairs: Sequence[Pair], warp: CordWarp, template: RootletVoxels, subject: RootletVoxels
) -> tuple[list[Pair], ArcMap]:
    """Move the landmarks of levels such that the centroids of their roots agree.

    The current map brings the subject's rootlets to the template. The offset between the centroids of each root,
    averaged over the roots of a level by the volume that both have, is added to the landmark, and the map is fitted
    again.

    Parameters
    ----------
    pairs : sequence of Pair
    warp : CordWarp
    template, subject : RootletVoxels

    Returns
    -------
    pairs : list of Pair
    arc_map : ArcMap
    """
    pairs = list(pairs)
    start = [pair.subject.arc_mm for pair in pairs]
    warp = replace(warp, arc_map=_map_through_rootlets(pairs))
    for _ in range(N_ROUNDS):
        mapped = warp.template_space.coordinates(warp.to_template(subject.points))
        # Where the subject's cord is stretched, it has more voxels for the same length: each counts for less.
        volume = subject.voxel_mm3 / warp.arc_map.slope(mapped[:, 0])
        for index, pair in enumerate(pairs):
            if pair.subject.kind != "rootlets" or not pair.used:
                continue
            offset = _root_offset_mm(template, subject.value, mapped, volume, pair.template)
            arc = pair.subject.arc_mm + offset * float(warp.arc_map.slope(pair.template.arc_mm))
            arc = float(np.clip(arc, start[index] - MAX_REFINEMENT_MM, start[index] + MAX_REFINEMENT_MM))
            pairs[index] = replace(pair, subject=replace(pair.subject, arc_mm=arc))
        warp = replace(warp, arc_map=_map_through_rootlets(pairs))
    return pairs, map_through(pairs)


def _map_through_rootlets(pairs: Sequence[Pair]) -> ArcMap:
    """Fit the map through rootlets alone: discs, each a millimetre off, would stretch one level and shrink the next."""
    return map_through([pair for pair in pairs if pair.subject.kind == "rootlets"])


def _root_offset_mm(
    template: RootletVoxels, value: np.ndarray, coordinates: np.ndarray, volume: np.ndarray, landmark: Landmark
) -> float:
    """Compute how much further caudally a subject's roots of a level lie than the template's; 0 if none are compared.

    Parameters
    ----------
    template : RootletVoxels
    value, coordinates, volume : numpy.ndarray, shape (N,), (N, 3), (N,)
        The subject's voxels, mapped to the template.
    landmark : Landmark
        The level on the template.
    """
    of_template = _of_level(template.value, template.coordinates, landmark)
    of_subject = _of_level(value, coordinates, landmark)
    if not (of_template.any() and of_subject.any()):
        return 0.0
    template_coordinates, template_root = template.coordinates[of_template], template.root[of_template]
    subject_coordinates, volume = coordinates[of_subject], volume[of_subject]
    # Each voxel takes the root of the template's nearest voxel, because no angle separates dorsal from ventral roots at
    # this distance from the cord at all levels.
    nearest = cKDTree(template_coordinates[:, 1:]).query(subject_coordinates[:, 1:])[1]
    subject_root = template_root[nearest]
    offset, weight = 0.0, 0.0
    for root in np.unique(subject_root):
        template_arc = template_coordinates[template_root == root, 0]
        subject_arc, subject_volume = subject_coordinates[subject_root == root, 0], volume[subject_root == root]
        if min(len(template_arc), len(subject_arc)) >= MIN_COMPARED_VOXELS:
            template_volume = np.full(len(template_arc), template.voxel_mm3)
            shared = min(template_volume.sum(), subject_volume.sum())
            offset += shared * (
                coverage_centroid(subject_arc, subject_volume) - coverage_centroid(template_arc, template_volume)
            )
            weight += shared
    return offset / weight if weight else 0.0


def coverage_centroid(arc: np.ndarray, volume: np.ndarray) -> float:
    """Compute the mean position along the cord that the voxels of a root cover, mm.

    Parameters
    ----------
    arc : numpy.ndarray, shape (N,)
        Arc lengths of the voxels, mm.
    volume : numpy.ndarray, shape (N,)
        mm³.
    """
    first = arc.min() - 4 * COVERAGE_SD_MM
    bins = ((arc - first) / BIN_WIDTH_MM).astype(int)
    area = np.bincount(bins, volume, minlength=int(bins.max() + 4 * COVERAGE_SD_MM / BIN_WIDTH_MM)) / BIN_WIDTH_MM
    area = ndimage.gaussian_filter1d(area, COVERAGE_SD_MM / BIN_WIDTH_MM, mode="constant")
    return float(np.average(arc, weights=volume / (area[bins] + HALF_COVERED_MM2)))


def _of_level(value: np.ndarray, coordinates: np.ndarray, landmark: Landmark) -> np.ndarray:
    """Mark the voxels of a level except strays, by their coordinates on the template, shape (N,)."""
    along = np.abs(coordinates[:, 0] - landmark.arc_mm) <= landmark.half_length_mm + MAX_BEYOND_LEVEL_MM
    across = np.hypot(coordinates[:, 1], coordinates[:, 2]) <= MAX_FROM_CENTERLINE_MM
    return along & (value == landmark.value) & across
