"""What an image shows of the cord: a resampled image is 0 outside of its own field of view, and shows nothing there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from sct_rootlets.label_kinds import MAX_FILLED_SHARE
from sct_rootlets.measure.cord_levels import MAX_WEIGHT
from sct_rootlets.measure.signal import SignalWeights

#: An image has values in more than this share of the section of the cord in most slices that it shows, even if it was
#: masked by a cord that is one voxel thinner all around (56 % of a cord of 13 mm × 8 mm, in voxels of 1 mm). Gray
#: matter, tracts and most lesions fill less, and are 0 elsewhere.
MIN_FILLED_SHARE = 0.5
#: In a soft mask most voxels above 0 have about the value 1; FA, MTR and other fractions are lower in the cord.
MIN_SOFT_MEDIAN = 0.9
#: A section of the cord has no more values than this in a label map (two levels, or a few lesions); noise gives an
#: image as many as there are voxels.
MAX_SECTION_LABELS = 4
#: Zeros so near to a section without values lie outside of the image too: the edge of a slab may be tilted to the
#: slices. A cord of 13 mm is cut over 5 mm if the slab is tilted by 20 degrees.
MAX_EDGE_MM = 5.0
#: Zeros in more of the cord than this are noted if they count as values; within a cord, images have none.
MAX_ZERO_SHARE = 0.05


@dataclass(frozen=True, kw_only=True)
class ShownCord:
    """What an image, or one volume of a series, shows of the cord.

    Attributes
    ----------
    outside : numpy.ndarray of bool, shape (I, J, K)
        Voxels of the cord outside of what the image shows: where a whole section of the cord is 0 or not finite, and
        zeros at the edge of such a part.
    outside_mm : float
        Thickness of the slices that show nothing of the cord.
    zero_share : float
        Share of the rest of the cord whose value is exactly 0; these zeros count as values.
    constant : float
        Value of the rest of the cord if it is the same everywhere, else NaN.
    """

    outside: np.ndarray
    outside_mm: float
    zero_share: float
    constant: float


def find_shown_cord(data: np.ndarray, weights: SignalWeights, slice_mm: float) -> ShownCord:
    """Find which part of the cord an image shows.

    Parameters
    ----------
    data : numpy.ndarray, shape (I, J, K)
        Axes to the left, to anterior and to superior.
    weights : SignalWeights
        On the grid of the image, before `sct_rootlets.measure.signal.restrict`.
    slice_mm : float
        Distance between slices.

    Returns
    -------
    ShownCord
        In masks and label maps, zeros are values, and only voxels that are not finite lie outside.
    """
    values = np.asarray(data[tuple(weights.voxels.T)], dtype=float)
    slices = weights.voxels[:, 2]
    finite = np.isfinite(values)
    is_value = finite & ((values != 0) | _is_label_map(data, values, weights))
    in_slice, with_value = (
        np.bincount(slices, weights.cord * chosen, data.shape[2]) for chosen in (np.ones(len(values)), is_value)
    )
    is_blank = (in_slice > 0) & (with_value == 0)
    reach = int(MAX_EDGE_MM / slice_mm)
    near_blank = ndimage.maximum_filter1d(is_blank.astype(np.uint8), 2 * reach + 1).astype(bool)
    is_outside = near_blank[slices] & ~is_value
    outside = np.zeros(data.shape, dtype=bool)
    outside[tuple(weights.voxels[is_outside].T)] = True
    rest = finite & ~is_outside
    held, share = values[rest], weights.cord[rest]
    return ShownCord(
        outside=outside,
        outside_mm=float(np.count_nonzero(is_blank)) * slice_mm,
        zero_share=float(share[held == 0].sum() / share.sum()) if len(held) else 0.0,
        constant=float(held[0]) if len(held) and (held == held[0]).all() else np.nan,
    )


def _is_label_map(data: np.ndarray, values: np.ndarray, weights: SignalWeights) -> bool:
    """Whether an image is a mask, or a map of labels or of parts of the cord, in which 0 is a value."""
    slices = weights.voxels[:, 2]
    chosen = np.isfinite(values) & (values != 0)
    held = values[chosen]
    if not len(held):
        return False
    in_slice, filled = (np.bincount(slices, weights.cord * part, data.shape[2]) for part in (1, chosen))
    shown = filled > 0
    if np.median(filled[shown] / in_slice[shown]) < MIN_FILLED_SHARE:
        return True
    if held.min() >= 0 and held.max() <= MAX_WEIGHT and np.median(held) >= MIN_SOFT_MEDIAN:
        return True
    if held.min() < 0 or not np.array_equal(held, np.rint(held)):
        return False
    slice_of_label, _ = np.unique(np.stack([slices[chosen], held]), axis=1)
    n_labels = np.bincount(slice_of_label.astype(int), minlength=data.shape[2])
    # Around the cord, an image has values too, and a label map has not.
    is_on_zero = np.mean(data[:, :, shown] != 0) < MAX_FILLED_SHARE
    return bool(is_on_zero and np.median(n_labels[shown]) <= MAX_SECTION_LABELS)


def note_shown_cord(name: str, volumes: Sequence[ShownCord], is_series: bool) -> list[str]:
    """Report what is not measured of an image, and what is measured and may be no signal.

    Parameters
    ----------
    name : str
        What messages call the image.
    volumes : sequence of ShownCord
        One, or those of a series.
    is_series : bool

    Returns
    -------
    list of str
    """
    notes = []
    beyond = [volume.outside_mm for volume in volumes if volume.outside_mm > 0]
    if beyond:
        where = f" in {len(beyond)} of {len(volumes)} volumes" if is_series else ""
        notes.append(
            f"{name}: {'up to ' if is_series else ''}{max(beyond):.0f} mm of the cord lie outside of what the image "
            f"shows{where} (whole sections are 0 or NaN): these voxels are not measured"
        )
    zero_share = max((volume.zero_share for volume in volumes), default=0.0)
    if volumes and all(np.isfinite(volume.constant) for volume in volumes):
        value = "" if is_series else f" ({volumes[0].constant:g})"
        notes.append(
            f"{name} has the same value in all voxels of the cord that it shows{value}; check that it is the right file"
        )
    elif zero_share > MAX_ZERO_SHARE:
        share = f"{'up to ' if is_series else ''}{zero_share:.0%}"
        notes.append(
            f"{name} is exactly 0 in {share} of the cord, and these zeros count as values, as those of a mask or label "
            "map do; if they are no values, replace them by NaN"
        )
    return notes
