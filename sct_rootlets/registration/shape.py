"""The shape of the rootlets: where each root's voxels lie, compared between a template and a subject.

The middle between the outermost rootlets of a level rests on a few voxels; the mean of all of them is steadier. A mean
by volume would follow the thickness of what was segmented, one voxel here and three there: each place along the cord
counts by whether rootlets are there, and little by how much of them (`middle`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from sct_rootlets.registration.arcmap import ArcMap
from sct_rootlets.registration.landmarks import Landmark, Pair, arc_map
from sct_rootlets.registration.rootlets import RootletVoxels
from sct_rootlets.registration.warp import CordWarp

#: Voxels of a level further than this beyond its ends on the template, or from the centerline, are strays.
BEYOND_MM, AWAY_MM = 5.0, 16.0
#: Roots with fewer voxels are not compared.
FEW_VOXELS = 4
#: A landmark moves no further than this, whatever voxels there are.
FURTHEST_MM = 4.0
#: The positions are settled after so many rounds.
ROUNDS = 3
#: Rootlets of a root that are cut through at one place cover it, more or less, from this area on; places are told apart
#: to this distance (SD of a Gaussian): a voxel.
COVERED_MM2, BLUR_MM = 1.0, 1.0
STEP_MM = 0.1


def refine(
    pairs: Sequence[Pair], warp: CordWarp, template: RootletVoxels, subject: RootletVoxels
) -> tuple[list[Pair], ArcMap]:
    """Move the landmarks of levels such that the mean places of their roots agree.

    The subject's rootlets are brought into the template by the map as it is. What the middle of each root lies off
    the template's, averaged over the roots of a level by the volume that both have, is added to the landmark, and the
    map is made again.

    Parameters
    ----------
    pairs : sequence of Pair
    warp : CordWarp
    template, subject : RootletVoxels

    Returns
    -------
    pairs : list of Pair
    along : ArcMap
    """
    pairs = list(pairs)
    start = [pair.subject.arc_mm for pair in pairs]
    warp = replace(warp, along=_by_rootlets(pairs))
    for _ in range(ROUNDS):
        place = warp.template.coordinates(warp.to_template(subject.points))
        # A stretch of the cord that became longer has more voxels than it had: each counts for less.
        volume = subject.voxel_mm3 / warp.along.slope(place[:, 0])
        for index, pair in enumerate(pairs):
            if pair.subject.kind != "rootlets" or not pair.used:
                continue
            off = _off(template, subject.value, place, volume, pair.template)
            moved = pair.subject.arc_mm + off * float(warp.along.slope(pair.template.arc_mm))
            moved = float(np.clip(moved, start[index] - FURTHEST_MM, start[index] + FURTHEST_MM))
            pairs[index] = replace(pair, subject=replace(pair.subject, arc_mm=moved))
        warp = replace(warp, along=_by_rootlets(pairs))
    return pairs, arc_map(pairs)


def _by_rootlets(pairs: Sequence[Pair]) -> ArcMap:
    """The map by rootlets alone: discs, each a millimetre off, would stretch a level here and shrink it there."""
    return arc_map([pair for pair in pairs if pair.subject.kind == "rootlets"])


def _off(
    template: RootletVoxels, value: np.ndarray, place: np.ndarray, volume: np.ndarray, landmark: Landmark
) -> float:
    """How much further caudally a subject's roots of a level lie than the template's, mm; 0 if none can be compared.

    Parameters
    ----------
    template : RootletVoxels
    value, place, volume : numpy.ndarray, shape (N,), (N, 3), (N,)
        The subject's voxels, brought into the template.
    landmark : Landmark
        Of the template.
    """
    model, found = (_of_level(*voxels, landmark) for voxels in ((template.value, template.place), (value, place)))
    if not (model.any() and found.any()):
        return 0.0
    theirs, root = template.place[model], template.root[model]
    ours, volume = place[found], volume[found]
    # Dorsal and ventral roots lie apart, but an angle between them that suits all levels and cords there is not.
    alike = root[cKDTree(theirs[:, 1:]).query(ours[:, 1:])[1]]
    off, weight = 0.0, 0.0
    for one in np.unique(alike):
        there, here = theirs[root == one, 0], ours[alike == one, 0]
        if min(len(there), len(here)) >= FEW_VOXELS:
            whole = np.full(len(there), template.voxel_mm3)
            both = min(whole.sum(), volume[alike == one].sum())
            off += both * (middle(here, volume[alike == one]) - middle(there, whole))
            weight += both
    return off / weight if weight else 0.0


def middle(arc: np.ndarray, volume: np.ndarray) -> float:
    """Mean place along the cord that voxels of one root cover, mm.

    Parameters
    ----------
    arc : numpy.ndarray, shape (N,)
        Places of voxels, mm.
    volume : numpy.ndarray, shape (N,)
        mm³.
    """
    first = arc.min() - 4 * BLUR_MM
    bins = ((arc - first) / STEP_MM).astype(int)
    area = np.bincount(bins, volume, minlength=int(bins.max() + 4 * BLUR_MM / STEP_MM)) / STEP_MM
    area = ndimage.gaussian_filter1d(area, BLUR_MM / STEP_MM, mode="constant")
    return float(np.average(arc, weights=volume / (area[bins] + COVERED_MM2)))


def _of_level(value: np.ndarray, place: np.ndarray, landmark: Landmark) -> np.ndarray:
    """Mark the voxels of a level but for strays, by their places on the template, shape (N,)."""
    near = np.abs(place[:, 0] - landmark.arc_mm) <= landmark.half_length_mm + BEYOND_MM
    return near & (value == landmark.value) & (np.hypot(place[:, 1], place[:, 2]) <= AWAY_MM)
