"""What kind of map a volume is by its values and the sizes of its labels: points, regions, a scan, TotalSpineSeg's."""

from __future__ import annotations

import numpy as np

from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume, labelled_voxels, superior_axis
from sct_rootlets.levels import CONUS_VALUE, FIRST_ROOTLET, LAST_DISC, LAST_ROOTLET, PMJ_VALUE, ROOTS

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
#: A line along the cord is one voxel wide, or a thin stroke: up to this number of voxels in the middle slice, or up to
#: this area. Cords have 30 mm² and more.
MAX_LINE_VOXELS, MAX_LINE_MM2 = 9, 10.0
#: A line has voxels in at least this share of the slices between its ends; points leave most of them empty.
MIN_LINE_COVERAGE = 0.5
#: Last digits of the values of a map of roots (`sct_rootlets.segmentation.tasks.root_value`).
ROOT_DIGITS = range(1, 1 + len(ROOTS))
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
    try:
        ijk, values = labelled_voxels(volume)
    except LabelError as error:
        reason = _reason_for_scan(volume.data)
        if reason:
            raise LabelError(f"{volume.name} {reason}; check which file it is") from error
        raise
    unique = np.unique(values)
    if len(unique) > MAX_LABEL_VALUES:
        raise LabelError(
            f"{volume.name} holds {len(unique)} different values, as a scan does, and not a label map; check which "
            "file it is"
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
    if min(sizes) > LAST_DISC and CONUS_VALUE not in sizes:
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
        If it is a scan, a map of TotalSpineSeg or of roots, or holds single points.
    """
    sizes = label_sizes(volume)
    are_roots = all(value % 10 in ROOT_DIGITS and FIRST_ROOTLET <= value // 10 <= LAST_ROOTLET for value in sizes)
    if are_roots and max(sizes) > LAST_ROOTLET:
        raise LabelError(
            f"{volume.name} is a map of roots ({min(sizes)} to {max(sizes)}: ten times the level, and the root); give "
            "the map of levels (sct_deepseg rootlets), or divide its values by ten"
        )
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
    check_no_scan(cord, advice)
    values = set() if _has_fractions(data) else {int(value) for value in np.unique(data) if value > 0}
    _check_totalspineseg(cord, values, "no mask of the cord", "its cord (…_cord)")


def check_no_scan(mask: Volume, advice: str) -> None:
    """Check that a volume has the values of a mask, or of labels, and not those of a scan.

    Parameters
    ----------
    mask : Volume
    advice : str
        What the message says to give.

    Raises
    ------
    LabelError
    """
    reason = _reason_for_scan(np.asarray(mask.data))
    if reason:
        raise LabelError(f"{mask.name} {reason}; {advice}")


def check_pmj_label(volume: Volume) -> None:
    """Check that a volume may be a label of the pontomedullary junction: one point, beside which may be others.

    Raises
    ------
    LabelError
        If it is a scan, holds several labels and none of the PMJ's value, or a region in place of the point.
    """
    sizes = label_sizes(volume)
    regions = {value: size for value, size in sizes.items() if is_region(*size)}
    advice = f"the PMJ is one voxel of the value {PMJ_VALUE}, as sct_detect_pmj writes"
    value = PMJ_VALUE if PMJ_VALUE in sizes else next(iter(regions), None)
    if value in regions:
        raise LabelError(
            f"{volume.name} holds a region, not a point (the value {value} is {sizes[value][0]:.0f} mm long), as a "
            f"mask does; {advice}"
        )
    if len(sizes) > 1 and PMJ_VALUE not in sizes:
        given = ", ".join(map(str, sizes))
        raise LabelError(f"{volume.name} holds {len(sizes)} labels ({given}), none of them {PMJ_VALUE}; {advice}")


def check_centerline(volume: Volume) -> None:
    """Check that a volume may be a line of voxels along the cord.

    Raises
    ------
    LabelError
        If it is a scan, a filled mask, or holds single points.
    """
    data = np.asarray(volume.data)
    advice = "give the line that sct_get_centerline writes, or leave out -centerline: that of the cord mask is taken"
    reason = _reason_for_scan(data)
    if reason:
        raise LabelError(f"{volume.name} {reason}; {advice}")
    axis, _ = superior_axis(volume.affine)
    ijk = np.argwhere(data >= 0.5) if data.dtype.kind == "f" else np.argwhere(data)
    if not len(ijk):
        return  # reported where the line is read
    n_voxels = np.bincount(ijk[:, axis] - ijk[:, axis].min())
    filled = n_voxels[n_voxels > 0]
    if len(n_voxels) > 1 and len(filled) < MIN_LINE_COVERAGE * len(n_voxels):
        raise LabelError(
            f"{volume.name} holds points, not a line: {len(ijk)} voxels in {len(filled)} of {len(n_voxels)} slices; "
            f"{advice}"
        )
    width = float(np.median(filled))
    area_mm2 = width * abs(np.linalg.det(volume.affine[:3, :3])) / volume.spacing[axis]
    if width > MAX_LINE_VOXELS and area_mm2 > MAX_LINE_MM2:
        raise LabelError(
            f"{volume.name} is a filled mask, not a line: {width:.0f} voxels ({area_mm2:.0f} mm²) in the middle one of "
            f"its slices; {advice}"
        )


def _has_fractions(data: np.ndarray) -> bool:
    return data.dtype.kind == "f" and not np.array_equal(data, np.rint(data))


def _reason_for_scan(data: np.ndarray) -> str:
    """Say by which of its values a volume is a scan, and no mask or line; empty if it may be one of these."""
    data = np.asarray(data)
    if data.dtype.kind == "b" or (data.dtype.kind == "f" and not np.isfinite(data).all()):
        return ""
    if _has_fractions(data):
        high = float(data.max())
        share = float(np.mean((data > 0.02 * high) & (data < 0.98 * high)))
        has_values = high > 0 and share > MAX_SOFT_SHARE
        return f"has values below its maximum in {share:.0%} of its voxels, as a scan has" if has_values else ""
    values = np.unique(data)
    values = values[values > 0]
    if len(values) > MAX_LABEL_VALUES or (len(values) > 2 and np.mean(data > 0) > MAX_FILLED_SHARE):
        return f"holds {len(values)} different values, as a scan does"
    return ""


def _check_totalspineseg(volume: Volume, values: set[int], what: str, advice: str) -> None:
    """Raise a `LabelError` if values are those of TotalSpineSeg; `advice` names the file to give."""
    if has_totalspineseg_values(values):
        raise LabelError(
            f"{volume.name} holds values of TotalSpineSeg ({min(values)} to {max(values)}), which are {what}: of "
            f"`sct_deepseg spine`, give {advice}"
        )
