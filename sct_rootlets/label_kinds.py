"""What kind of map a volume is by its values and the sizes of its labels: points, regions, a scan, TotalSpineSeg's."""

from __future__ import annotations

import numpy as np

from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume, labelled_voxels
from sct_rootlets.levels import LAST_DISC, PMJ_VALUE

#: A label whose voxels lie further apart than this is a region: points are one voxel, or a ball around one, and a
#: vertebra is 12 mm and more in every direction.
MAX_POINT_MM = 7.0
#: A region has at least so many voxels; fewer that lie apart are points given twice.
MIN_REGION_VOXELS = 8
#: A label map has no more values than this; TotalSpineSeg has some 60.
MAX_LABEL_VALUES = 64
#: Where more of a volume than this lies between 2 % and 98 % of its maximum, it is no soft mask: only the rim is.
MAX_SOFT_SHARE = 0.2
#: More of a volume than this is not filled by a cord that is coloured by level: a cylinder fills 79 % of its box.
MAX_FILLED_SHARE = 0.85
#: Values of TotalSpineSeg that no map of the Spinal Cord Toolbox has (60 is its conus, or the end of the cord).
_TOTALSPINESEG_VALUES = range(61, 101)


def label_sizes(volume: Volume) -> dict[int, tuple[float, int]]:
    """Measure the labels of a map.

    Parameters
    ----------
    volume : Volume

    Returns
    -------
    dict of int to (float, int)
        By value, ascending: the longest edge of the box around the centres of its voxels in mm, and their number.

    Raises
    ------
    LabelError
        If the volume holds no label or fractions, or so many values that it is no label map.
    """
    ijk, values = labelled_voxels(volume)
    unique = np.unique(values)
    if len(unique) > MAX_LABEL_VALUES:
        raise LabelError(
            f"{volume.name} holds {len(unique)} different values, as a scan does and no label map; check which file "
            "it is"
        )
    sizes = {}
    for value in unique:
        voxels = ijk[values == value]
        sizes[int(value)] = (float((np.ptp(voxels, axis=0) * volume.spacing).max()), len(voxels))
    return sizes


def is_region(size_mm: float, n_voxels: int) -> bool:
    """Tell regions from points by what `label_sizes` measures."""
    return size_mm > MAX_POINT_MM and n_voxels >= MIN_REGION_VOXELS


def has_totalspineseg_values(values: set[int]) -> bool:
    """Tell the values of TotalSpineSeg from those of the Spinal Cord Toolbox.

    TotalSpineSeg numbers discs from 61 on and vertebrae 11 to 17 (neck), 21 to 32 (chest) and 41 to 45 (loins).

    Examples
    --------
    >>> has_totalspineseg_values({63, 64, 65}), has_totalspineseg_values({16, 17, 21, 22})
    (True, True)
    >>> has_totalspineseg_values({3, 4, 5, 49, 50, 60})
    False
    """
    n_discs = len(values & set(_TOTALSPINESEG_VALUES))
    return n_discs >= 2 or ({17, 21} <= values and values.isdisjoint({18, 19, 20}))


def check_disc_points(volume: Volume) -> None:
    """Check that a volume holds points with numbers of discs.

    Raises
    ------
    LabelError
        If it is a scan, a map of TotalSpineSeg, or holds regions or no number of a disc.
    """
    sizes = label_sizes(volume)
    _check_totalspineseg(volume, set(sizes), "no disc numbers", "its discs (…_totalspineseg_discs, or …_levels)")
    for value, size in sizes.items():
        if is_region(*size):
            raise LabelError(
                f"{volume.name} holds regions, not points (the value {value} is {size[0]:.0f} mm long): give one voxel "
                "at the posterior tip of each disc, or the map to -vertfile of sct_compute_spinal_levels if it is a "
                "cord coloured by vertebral level"
            )
    if min(sizes) > LAST_DISC:
        raise LabelError(
            f"{volume.name} holds no number of a disc, but {', '.join(map(str, sizes))}; discs are 1 (above C1), "
            f"3 (C2/C3) to {LAST_DISC}" + ("; give the PMJ with -pmj" if PMJ_VALUE in sizes else "")
        )


def check_vertebral_map(volume: Volume) -> None:
    """Check that a volume holds regions with numbers of vertebrae.

    Raises
    ------
    LabelError
        If it is a scan, a map of TotalSpineSeg, or holds points.
    """
    sizes = label_sizes(volume)
    advice = "its discs (…_totalspineseg_discs, or …_levels), with -ldisc"
    _check_totalspineseg(volume, set(sizes), "no numbers of vertebrae", advice)
    if not any(is_region(*size) for size in sizes.values()):
        raise LabelError(
            f"{volume.name} holds points (single voxels, not regions); if they are discs, give them with -ldisc instead"
        )


def check_rootlet_map(volume: Volume) -> None:
    """Check that a volume may be a map of rootlets.

    Raises
    ------
    LabelError
        If it is a scan, a map of TotalSpineSeg, or holds single points.
    """
    sizes = label_sizes(volume)
    _check_totalspineseg(volume, set(sizes), "no levels of rootlets", "the map of sct_deepseg rootlets instead of it")
    if all(n_voxels == 1 for _, n_voxels in sizes.values()):
        raise LabelError(
            f"{volume.name} holds points, not rootlets: one voxel of each value; give disc labels with -ldisc, and as "
            "rootlets the segmentation of sct_deepseg rootlets"
        )


def check_cord_mask(cord: Volume, image: Volume | None = None) -> None:
    """Check that a volume may be a mask of the cord, and is not a scan or a map of the whole spine.

    Parameters
    ----------
    cord : Volume
        Mask, soft mask, or cord coloured by level.
    image : Volume, optional
        The scan.

    Raises
    ------
    LabelError
        If the values are those of the scan, of another scan, or of TotalSpineSeg.
    """
    data = np.asarray(cord.data)
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        return  # reported where the mask is read
    if image is not None and data.shape == image.data.shape and np.array_equal(data, image.data):
        raise LabelError(f"{cord.name} is the scan itself ({image.name}), not a mask; give the mask of the cord")
    advice = "give the mask of the cord, 1 in the cord and 0 elsewhere"
    if data.dtype.kind == "b":
        return
    if data.dtype.kind == "f" and not np.array_equal(data, np.rint(data)):
        high = float(data.max())
        share = float(np.mean((data > 0.02 * high) & (data < 0.98 * high)))
        if high > 0 and share > MAX_SOFT_SHARE:
            raise LabelError(
                f"{cord.name} has values below its maximum in {share:.0%} of its voxels, as a scan has; {advice}"
            )
        return
    values = np.unique(data)
    values = values[values > 0]
    if len(values) > MAX_LABEL_VALUES or (len(values) > 2 and np.mean(data > 0) > MAX_FILLED_SHARE):
        raise LabelError(f"{cord.name} holds {len(values)} different values, as a scan does; {advice}")
    _check_totalspineseg(cord, {int(value) for value in values}, "no mask of the cord", "its cord (…_cord)")


def _check_totalspineseg(volume: Volume, values: set[int], what: str, advice: str) -> None:
    """Raise a `LabelError` if values are those of TotalSpineSeg; `advice` names the file to give."""
    if has_totalspineseg_values(values):
        raise LabelError(
            f"{volume.name} holds values of TotalSpineSeg ({min(values)} to {max(values)}), which are {what}: of "
            f"`sct_deepseg spine`, give {advice}"
        )
