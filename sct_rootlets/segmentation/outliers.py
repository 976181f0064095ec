"""Absurd intensities: single voxels that are so bright or dark that everything else would look the same beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sct_rootlets.image import Volume

#: Voxels are absurd if they lie further from the median than so many times the distance within which `USUAL_SHARE` of
#: the others lie. In T1w, T2w, T2*w and MTR scans of the neck, and in T1 maps, the brightest lies at 1 to 2.4 times.
ABSURD_RATIO = 10.0
USUAL_SHARE = 0.999
#: Every how many voxels a sample of a large image is taken from, and the least size of the sample.
_SAMPLE_STEP, _MIN_SAMPLE = 16, 50_000


def without_absurd_voxels(volume: Volume) -> tuple[Volume, list[str]]:
    """Bring voxels of absurd intensity to that of the brightest, or darkest, usual ones.

    Parameters
    ----------
    volume : Volume

    Returns
    -------
    volume : Volume
        The same object if no voxel is absurd.
    notes : list of str
        One line if any is.
    """
    data = volume.data
    if data.dtype == bool or (data.dtype.kind == "f" and not np.isfinite(data).all()):
        return volume, []  # what is not finite is an error of its own
    extremes = np.array([data.max(), data.min()], dtype=np.float64)
    if _is_plainly_usual(data, extremes):
        return volume, []
    values = data[data != 0].astype(np.float64)  # zeros may be padding
    if not len(values):
        return volume, []
    with np.errstate(over="ignore"):
        middle = float(np.median(values))
        usual = float(np.quantile(np.abs(values - middle), USUAL_SHARE, method="lower"))
        if usual == 0 or (np.abs(extremes - middle) <= ABSURD_RATIO * usual).all():
            return volume, []
        distance = data.astype(np.float64) - middle
        absurd = (np.abs(distance) > ABSURD_RATIO * usual) & (data != 0)
    n_absurd = int(absurd.sum())
    if not n_absurd:
        return volume, []
    mended = data.copy()
    mended[absurd] = middle + np.sign(distance[absurd]) * usual
    voxels = "1 voxel" if n_absurd == 1 else f"{n_absurd} voxels"
    note = f"{voxels} of absurd intensity (up to {extremes[np.abs(extremes).argmax()]:g}) in {volume.name} toned down"
    return replace(volume, data=mended), [note]


def _is_plainly_usual(data: np.ndarray, extremes: np.ndarray) -> bool:
    """Whether a sample of a large image shows that no voxel is absurd, with room to spare: twice the voxels needed."""
    sample = data.ravel(order="K")[::_SAMPLE_STEP]
    sample = sample[sample != 0].astype(np.float64)
    if len(sample) < _MIN_SAMPLE:
        return False
    with np.errstate(over="ignore"):
        middle = float(np.median(sample))
        far = float(np.abs(extremes - middle).max()) / ABSURD_RATIO
        return float(np.mean(np.abs(sample - middle) >= far)) > 2 * (1 - USUAL_SHARE)
