"""Whether an image looks like the scans on which the numbers of vertebrae were verified."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from sct_rootlets.image import Volume

#: Least ratio of fluid to cord in a T2w scan. It is 3.1 to 5.7 in T2w scans of seven people, and at most 2.9 in T2*w
#: scans of six people, in T1w scans and in a T1 map (`python benchmarks/segmentation.py cords`).
MIN_T2W_RATIO = 3.0
#: Where fluid is looked for, outside the cord, and how far inside the cord is looked at.
FLUID_MM, INSIDE_MM = (1.0, 4.0), 1.5
#: Percentile of the brightness outside the cord that is taken for that of fluid.
FLUID_PERCENTILE = 90


def compare_fluid_with_cord(image: Volume, cord: np.ndarray) -> float:
    """Divide the brightness of the fluid around the cord by that of the cord.

    Parameters
    ----------
    image : Volume
    cord : numpy.ndarray of bool, shape (I, J, K)
        On the voxels of the image, not empty.

    Returns
    -------
    float
        NaN if the cord is not bright.
    """
    reach = np.ceil(FLUID_MM[1] / image.spacing).astype(int) + 1
    (found,) = ndimage.find_objects(cord.astype(np.uint8))
    box = tuple(slice(max(0, part.start - n), part.stop + n) for part, n in zip(found, reach, strict=True))
    inside, values = cord[box], image.data[box]
    outwards = ndimage.distance_transform_edt(~inside, sampling=image.spacing)
    inwards = ndimage.distance_transform_edt(inside, sampling=image.spacing)
    core = values[inwards > INSIDE_MM]
    middle = float(np.median(core if len(core) else values[inside]))
    fluid = values[(outwards > FLUID_MM[0]) & (outwards < FLUID_MM[1])]
    if not len(fluid) or middle <= 0:
        return float("nan")
    return float(np.percentile(fluid, FLUID_PERCENTILE)) / middle


def is_like_t2w(image: Volume, cord: np.ndarray) -> bool:
    """Whether fluid is as much brighter than the cord as in T2w scans of people; see `compare_fluid_with_cord`."""
    return compare_fluid_with_cord(image, cord) >= MIN_T2W_RATIO
