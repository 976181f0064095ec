"""What speaks for the name of a root at each place along the cord, one function a kind of evidence."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from scipy import ndimage
from scipy.special import logsumexp

from sct_rootlets.centerline import Centerline
from sct_rootlets.correspondence import LEVEL_PITCH_MM, spinal_middles
from sct_rootlets.levels import ABOVE_C2, BELOW_T1, FIRST_NAMED, LAST_NAMED, N_NAMES, ROOTS
from sct_rootlets.segmentation.prediction import Prediction
from sct_rootlets.spinal import DISTANCE_MM

#: Length of a cell: evidence is summed within cells along the cord.
CELL_MM = 1.0
#: Rootlets of a lower probability are no evidence.
MIN_ROOTLET_PROBABILITY = 0.1
#: Usual distance between neighbouring discs, where only one disc is known.
DISC_PITCH_MM = 17.0
#: Standard deviation of the position of a spinal level that is expected from discs.
DISC_SD_MM = 4.0


@dataclass(frozen=True)
class NameEvidence:
    """Log-probabilities of names along the cord, from one source.

    Attributes
    ----------
    source : str
        Name of the source, such as ``"rootlets"`` or ``"discs"``.
    log_probability : numpy.ndarray, shape (N, N_NAMES)
        One row a cell of `CELL_MM`, one column a name: `ABOVE_C2` stands for any level above C2, 2 for C2 … 9 for T1,
        `BELOW_T1` for any level below T1. Lower columns are not used.
    """

    source: str
    log_probability: np.ndarray


@dataclass(frozen=True)
class NearCord:
    """Where a network predicts rootlets near enough to the cord to tell where they attach.

    Attributes
    ----------
    cell : numpy.ndarray of int, shape (N,)
        Cell along the cord of each voxel.
    index : tuple of numpy.ndarray of int, shape (N,) each
        Indices of the voxels in the prediction.
    n_cells : int
        Number of cells along the cord.
    """

    cell: np.ndarray
    index: tuple[np.ndarray, ...]
    n_cells: int


def rootlets_near_cord(prediction: Prediction, cord: np.ndarray, centerline: Centerline) -> NearCord:
    """Select the voxels that may be rootlets where they attach to the cord.

    Parameters
    ----------
    prediction : Prediction
    cord : numpy.ndarray of bool, shape (I, J, K)
        Cord mask on the voxels of the prediction.
    centerline : Centerline
        Centerline of the cord mask.
    """
    spacing = voxel_sizes(prediction.affine)
    distance = ndimage.distance_transform_edt(~cord, sampling=spacing) - spacing.mean() / 2
    near = (distance > 0) & (distance <= DISTANCE_MM) & (prediction.rootlet > MIN_ROOTLET_PROBABILITY)
    ijk = np.argwhere(near)
    arc = centerline.project(apply_affine(prediction.affine, ijk)).arc
    n_cells = int(np.ceil(centerline.cord_length / CELL_MM))
    cell = np.floor(arc / CELL_MM).astype(int)
    inside = (cell >= 0) & (cell < n_cells)
    return NearCord(cell[inside], tuple(ijk[inside].T), n_cells)


def root_presence(prediction: Prediction, near: NearCord) -> np.ndarray:
    """Share of the four roots that are detected in each cell, shape (n_cells,), 0 to 1."""
    presence = np.zeros((len(ROOTS), near.n_cells))
    for root in range(len(ROOTS)):
        np.maximum.at(presence[root], near.cell, prediction.roots[root][near.index])
    return np.asarray(presence.mean(axis=0))


def evidence_from_rootlets(prediction: Prediction, near: NearCord) -> NameEvidence:
    """Average what the network of rootlets says of the names of the rootlets in each cell."""
    weight = prediction.rootlet[near.index]
    total = np.bincount(near.cell, weight, near.n_cells)
    names = np.stack([name[near.index] for name in prediction.names])
    logs = np.log(names / np.maximum(names.sum(axis=0), 1e-9) + 1e-6)
    log_probability = np.zeros((near.n_cells, N_NAMES))
    for value in range(FIRST_NAMED, LAST_NAMED + 1):
        weighted = np.bincount(near.cell, weight * logs[value - 1], near.n_cells)
        log_probability[:, value] = weighted / np.maximum(total, 1.0)
    # The network has no classes beyond C2 and T1.
    log_probability[:, ABOVE_C2], log_probability[:, BELOW_T1] = log_probability[:, [FIRST_NAMED, LAST_NAMED]].T
    return NameEvidence("rootlets", log_probability)


def evidence_from_discs(arc_mm: np.ndarray, discs: dict[int, float]) -> NameEvidence:
    """Expect spinal levels where they usually lie relative to the discs.

    Parameters
    ----------
    arc_mm : numpy.ndarray, shape (N,)
        Positions along the cord in mm.
    discs : dict of int to float
        Arc length of each disc in mm, by value; at least two neighbours.
    """
    # Missing discs continue the row of known ones at their usual distance.
    known = sorted(discs)
    values = np.arange(1, LAST_NAMED + 2)
    distance = np.median([(discs[b] - discs[a]) / (b - a) for a, b in pairwise(known)] or [DISC_PITCH_MM])
    placed = np.interp(values, known, [discs[value] for value in known])
    placed += distance * (np.minimum(values - known[0], 0) + np.maximum(values - known[-1], 0))
    middles = spinal_middles(dict(zip(values.tolist(), placed.tolist(), strict=True)))
    expected = [middles[FIRST_NAMED] - LEVEL_PITCH_MM, *(middles[value] for value in range(FIRST_NAMED, BELOW_T1))]
    expected_mm = np.append(expected, expected[-1] + LEVEL_PITCH_MM)  # ABOVE_C2, C2 to T1, BELOW_T1
    log = -0.5 * ((arc_mm[:, None] - expected_mm) / DISC_SD_MM) ** 2
    log[arc_mm < expected_mm[0], 0] = 0
    log[arc_mm > expected_mm[-1], -1] = 0
    log_probability = np.full((len(arc_mm), N_NAMES), -np.inf)
    log_probability[:, ABOVE_C2:] = log - logsumexp(log, axis=1, keepdims=True)
    return NameEvidence("discs", log_probability)


def cell_centers(n_cells: int) -> np.ndarray:
    """Arc length of the middle of each cell in mm, shape (n_cells,)."""
    return (np.arange(n_cells) + 0.5) * CELL_MM
