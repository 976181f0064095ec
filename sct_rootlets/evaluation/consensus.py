"""Consensus of several raters of a scan, and the agreement of each pair of raters.

The consensus needs SimpleITK (extra ``evaluate``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from sct_rootlets.errors import DatasetError
from sct_rootlets.evaluation.overlap import dice, hd95, slice_f1
from sct_rootlets.image import superior_axis
from sct_rootlets.levels import level_name

#: Probability above which STAPLE puts a voxel into the consensus, as in the published scripts.
STAPLE_THRESHOLD = 0.95
#: Maps of raters who agree converge within a hundred iterations; where they share no voxel, STAPLE drifts without
#: end, and its probabilities depend on where it is stopped.
MAX_ITERATIONS = 500


def staple(raters: Sequence[np.ndarray]) -> tuple[np.ndarray, pd.DataFrame]:
    """Find the consensus of rootlet maps, level by level (STAPLE; Warfield 2004, doi 10.1109/TMI.2004.828354).

    As in Valošek 2024, STAPLE runs on the whole volume for one level at a time, and its probability is thresholded at
    0.95. Four things differ from the published script: a level counts whichever rater drew it, a voxel that two levels
    claim goes to the likelier one (the script adds the labels up), and a level that fewer than half of the raters drew,
    or for which STAPLE does not converge, is not in the consensus.

    Parameters
    ----------
    raters : sequence of numpy.ndarray of int, shape (I, J, K) each
        Rootlet maps on the same grid.

    Returns
    -------
    consensus : numpy.ndarray of uint8, shape (I, J, K)
    performance : pandas.DataFrame
        Columns ``level``, ``name``, ``rater`` (number, from 0), ``drawn``, ``sensitivity`` and ``specificity``; NaN
        for a level without consensus.

    Raises
    ------
    DatasetError
        If there are fewer than two maps, all are empty, or SimpleITK is not installed.
    """
    if len(raters) < 2:
        raise DatasetError("a consensus needs at least 2 raters; only one is given")
    values = sorted({int(value) for rater in raters for value in np.unique(rater)} - {0})
    if not values:
        raise DatasetError("no rater drew anything: there is no consensus to find")
    highest = np.full(raters[0].shape, STAPLE_THRESHOLD)
    consensus = np.zeros(raters[0].shape, dtype=np.uint8)
    rows = []
    for value in values:
        masks = [rater == value for rater in raters]
        drawn = [bool(mask.any()) for mask in masks]
        sensitivity, specificity = [np.nan] * len(masks), [np.nan] * len(masks)
        estimate = _staple(masks) if 2 * sum(drawn) >= len(masks) else None
        if estimate is not None:
            probability, sensitivity, specificity = estimate
            is_likelier = probability > highest
            consensus[is_likelier], highest[is_likelier] = value, probability[is_likelier]
        for rater, performance in enumerate(zip(drawn, sensitivity, specificity, strict=True)):
            rows.append((value, level_name(value, "spinal"), rater, *performance))
    columns = ["level", "name", "rater", "drawn", "sensitivity", "specificity"]
    return consensus, pd.DataFrame(rows, columns=columns)


def _staple(masks: Sequence[np.ndarray]) -> tuple[np.ndarray, list[float], list[float]] | None:
    """Estimate the probability of each voxel, shape (I, J, K), and sensitivity and specificity of each rater.

    None if the estimate does not converge.
    """
    try:
        import SimpleITK
    except ImportError as error:
        raise DatasetError("the consensus of raters needs SimpleITK: python -m pip install SimpleITK") from error
    if all(np.array_equal(masks[0], mask) for mask in masks):  # nothing to estimate
        return masks[0].astype(float), [1.0] * len(masks), [1.0] * len(masks)
    staple_filter = SimpleITK.STAPLEImageFilter()
    staple_filter.SetForegroundValue(1)
    staple_filter.SetMaximumIterations(MAX_ITERATIONS)
    result = staple_filter.Execute([SimpleITK.GetImageFromArray(mask.astype(np.uint8)) for mask in masks])
    if staple_filter.GetElapsedIterations() >= MAX_ITERATIONS:
        return None
    return (
        SimpleITK.GetArrayFromImage(result),
        list(staple_filter.GetSensitivity()),
        list(staple_filter.GetSpecificity()),
    )


def pairwise_agreement(raters: Mapping[str, np.ndarray], affine: np.ndarray) -> pd.DataFrame:
    """Compute Dice, slice-wise F1 and HD95 of every pair of raters by level.

    Parameters
    ----------
    raters : mapping of str to numpy.ndarray of int, shape (I, J, K) each
        Rootlet maps by rater.
    affine : numpy.ndarray, shape (4, 4)
        Voxel indices to RAS+ mm.

    Returns
    -------
    pandas.DataFrame
        Columns ``first``, ``second``, ``level``, ``name``, ``dice``, ``slice_f1``, ``hd95_mm``. A pair has no row for a
        level that neither drew.
    """
    axis, _ = superior_axis(affine)
    rows = []
    for first, second in combinations(raters, 2):
        pair = raters[first], raters[second]
        for value in sorted({int(value) for labels in pair for value in np.unique(labels)} - {0}):
            masks = pair[0] == value, pair[1] == value
            scores = dice(*masks), slice_f1(*masks, axis), hd95(*masks, affine)
            rows.append((first, second, value, level_name(value, "spinal"), *scores))
    columns = ["first", "second", "level", "name", "dice", "slice_f1", "hd95_mm"]
    return pd.DataFrame(rows, columns=columns)
