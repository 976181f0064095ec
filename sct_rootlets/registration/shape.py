"""The shape of the rootlets: where each root's voxels lie, compared between a template and a subject.

The middle between the outermost rootlets of a level rests on a few voxels; the mean of all of them is steadier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sct_rootlets.registration.arcmap import ArcMap
from sct_rootlets.registration.landmarks import Landmark, Pair, arc_map
from sct_rootlets.registration.rootlets import RootletVoxels, roots_of
from sct_rootlets.registration.warp import CordWarp

#: Voxels of a level further than this beyond its ends on the template, or from the centerline, are strays.
BEYOND_MM, AWAY_MM = 5.0, 16.0
#: Roots with fewer voxels are not compared.
FEW_VOXELS = 4
#: A landmark moves no further than this, whatever voxels there are.
FURTHEST_MM = 4.0
#: The positions are settled after so many rounds.
ROUNDS = 3


def refine(
    pairs: Sequence[Pair], warp: CordWarp, template: RootletVoxels, subject: RootletVoxels
) -> tuple[list[Pair], ArcMap]:
    """Move the landmarks of levels such that the mean places of their roots agree.

    The subject's rootlets are brought into the template by the map as it is. What the mean place of each root lies off
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
    for _ in range(ROUNDS):
        place = warp.template.coordinates(warp.to_template(subject.points))
        slope = warp.along.slope(place[:, 0])
        for index, pair in enumerate(pairs):
            if pair.subject.kind != "rootlets" or not pair.used:
                continue
            ours = np.where(_of_level(subject.value, place, pair.template), roots_of(place), -1)
            theirs = np.where(_of_level(template.value, template.place, pair.template), template.root, -1)
            off, weight = 0.0, 0.0
            for root in range(4):
                model, found = theirs == root, ours == root
                if min(np.count_nonzero(model), np.count_nonzero(found)) >= FEW_VOXELS:
                    volume = min(
                        np.count_nonzero(model) * template.voxel_mm3, np.count_nonzero(found) * subject.voxel_mm3
                    )
                    # A stretch of the cord that became longer has more voxels than it had: each counts for less.
                    mean = np.average(place[found, 0], weights=1 / slope[found])
                    off += volume * (mean - template.place[model, 0].mean())
                    weight += volume
            if weight:
                moved = pair.subject.arc_mm + off / weight * float(warp.along.slope(pair.template.arc_mm))
                moved = float(np.clip(moved, start[index] - FURTHEST_MM, start[index] + FURTHEST_MM))
                pairs[index] = replace(pair, subject=replace(pair.subject, arc_mm=moved))
        warp = replace(warp, along=arc_map(pairs))
    return pairs, warp.along


def _of_level(value: np.ndarray, place: np.ndarray, landmark: Landmark) -> np.ndarray:
    """Mark the voxels of a level but for strays, by their places on the template, shape (N,)."""
    near = np.abs(place[:, 0] - landmark.arc_mm) <= landmark.half_length_mm + BEYOND_MM
    return near & (value == landmark.value) & (np.hypot(place[:, 1], place[:, 2]) <= AWAY_MM)
