"""Absurd intensities: single voxels that are so bright or dark that everything else would look the same beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sct_rootlets.image import Volume

#: Voxels are absurd if they lie further from the median than so many times the distance within which `USUAL_SHARE` of
#: the others lie. In T1w, T2w, T2*w and MTR scans of the neck, and in T1 maps, the brightest lies at 1 to 2.4 times.
ABSURD_RATIO = 10.0
USUAL_SHARE = 0.999


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
    if data.dtype == bool or not np.isfinite(data).all():  # what is not finite is an error of its own
        return volume, []
    values = data[data != 0].astype(np.float64)  # zeros may be padding
    if not len(values):
        return volume, []
    with np.errstate(over="ignore"):
        middle = float(np.median(values))
        usual = float(np.quantile(np.abs(values - middle), USUAL_SHARE, method="lower"))
        extremes = np.array([data.max(), data.min()], dtype=np.float64)
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
