"""Roots of a rootlet map: which voxels are dorsal or ventral, left or right, and where that is ambiguous."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nibabel.affines import apply_affine
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from sct_rootlets.centerline import Centerline
from sct_rootlets.flags import Flag, grade
from sct_rootlets.levels import ROOTS, level_name
from sct_rootlets.spinal import DISTANCE_MM, VENTRAL_DEG, classify_roots, measure_half_axes, turn_to_rootlets

#: Rootlets that attach within this angle of the border between dorsal and ventral, or this near to the midplane, as a
#: share of half of the cord's width, are ambiguous.
AMBIGUOUS_DEG, AMBIGUOUS_SHARE = 8.0, 0.1
#: Neighbours of a voxel touch it, also at a corner: their middles are at most this far apart, in voxels.
NEIGHBOUR_VOXELS = 1.8
#: Limits of the share of voxels whose root is ambiguous, for `sct_rootlets.flags.grade`.
AMBIGUITY_LIMITS = (0.15, 0.4)


@dataclass(frozen=True, kw_only=True)
class SplitRoots:
    """Roots of the voxels of a rootlet map.

    Attributes
    ----------
    values : numpy.ndarray of int, shape (N,)
        Level of each voxel.
    root : numpy.ndarray of int, shape (N,)
        Index into `sct_rootlets.levels.ROOTS`.
    is_ambiguous : numpy.ndarray of bool, shape (N,)
        Whether it may as well be another root.
    """

    values: np.ndarray
    root: np.ndarray
    is_ambiguous: np.ndarray

    @property
    def flag(self) -> Flag:
        """How many voxels are ambiguous, and in which level most of them are."""
        share = float(np.mean(self.is_ambiguous))
        levels = {
            int(value): float(np.mean(self.is_ambiguous[self.values == value])) for value in np.unique(self.values)
        }
        worst = max(levels, key=lambda value: levels[value])
        name = level_name(worst, "spinal")
        return Flag(
            key="ambiguous",
            title="ambiguous roots",
            value=round(share, 3),
            text=f"{share:.0%}  {name} {levels[worst]:.0%}",
            state=grade(share, *AMBIGUITY_LIMITS),
            why="share of rootlet voxels that may as well belong to another root",
            advice="look at the roots, and at the cord mask beside them",
        )


def split_roots(
    ijk: np.ndarray, values: np.ndarray, affine: np.ndarray, cord_mm: np.ndarray, centerline: Centerline
) -> SplitRoots:
    """Divide rootlets into dorsal and ventral ones, left and right.

    Where a rootlet attaches tells which root it belongs to (`sct_rootlets.spinal.classify_roots`). Further out, dorsal
    and ventral rootlets run side by side, and the angle around the cord tells nothing: a voxel belongs to the root of
    the attachment that is nearest along the voxels of its level.

    Parameters
    ----------
    ijk : numpy.ndarray of int, shape (N, 3)
        Voxels of the rootlets.
    values : numpy.ndarray of int, shape (N,)
        Their levels.
    affine : numpy.ndarray, shape (4, 4)
    cord_mm : numpy.ndarray, shape (M, 3)
        Centres of the voxels of the cord mask, RAS+ mm.
    centerline : Centerline

    Returns
    -------
    SplitRoots
    """
    points = apply_affine(affine, ijk)
    centerline = turn_to_rootlets(centerline, points, values)
    _, to_right, to_anterior = centerline.across(points)
    half_width, half_depth = measure_half_axes(cord_mm, centerline)
    root = classify_roots(to_right, to_anterior, half_width, half_depth)
    angle = np.degrees(np.arctan2(to_anterior / half_depth, np.abs(to_right) / half_width))
    is_ambiguous = np.abs(angle - VENTRAL_DEG) < AMBIGUOUS_DEG
    is_ambiguous |= np.abs(to_right) < AMBIGUOUS_SHARE * half_width
    near = cKDTree(cord_mm).query(points, distance_upper_bound=DISTANCE_MM + 1e-3)[0] <= DISTANCE_MM
    for value in np.unique(values):
        own = np.flatnonzero(values == value)
        attached = near[own]
        if not attached.any():
            is_ambiguous[own] = True
            continue
        source, reached = _nearest_attachment(ijk[own], points[own], attached)
        is_ambiguous[own] = is_ambiguous[own[source]] | ~reached
        root[own] = root[own[source]]
    return SplitRoots(values=values, root=root, is_ambiguous=is_ambiguous)


def _nearest_attachment(ijk: np.ndarray, points: np.ndarray, attached: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the attached voxel that is nearest along neighbouring voxels; says too which voxels are reached so.

    Voxels that no chain of neighbours connects take the attached voxel that is nearest through space.
    """
    pairs = cKDTree(ijk).query_pairs(NEIGHBOUR_VOXELS, output_type="ndarray")
    length = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    graph = sparse.coo_matrix((length, (pairs[:, 0], pairs[:, 1])), shape=(len(ijk), len(ijk))).tocsr()
    starts = np.flatnonzero(attached)
    distance, _, source = csgraph.dijkstra(
        graph, directed=False, indices=starts, return_predecessors=True, min_only=True
    )
    reached = np.isfinite(distance)
    source = np.where(reached, source, starts[cKDTree(points[starts]).query(points)[1]])
    return source, reached


def root_counts(split: SplitRoots) -> list[dict[str, object]]:
    """Count the voxels of each root of each level.

    Returns
    -------
    list of dict
        ``level``, ``name``, ``root``, ``n_voxels`` and ``ambiguous``, the share of doubtful voxels.
    """
    rows: list[dict[str, object]] = []
    for value in np.unique(split.values):
        for index, name in enumerate(ROOTS):
            own = (split.values == value) & (split.root == index)
            rows.append(
                {
                    "level": int(value),
                    "name": level_name(int(value), "spinal"),
                    "root": name,
                    "n_voxels": int(np.count_nonzero(own)),
                    "ambiguous": float(np.mean(split.is_ambiguous[own])) if own.any() else None,
                }
            )
    return rows
