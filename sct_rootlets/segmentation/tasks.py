"""The tasks of ``sct_deepseg``: what each writes. A new task is a new entry of `TASKS`.

Importing this module imports nothing heavy, because ``-h`` reads the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from sct_rootlets.image import Volume
    from sct_rootlets.segmentation.segment import Segmentation

Names = dict[int, tuple[str, str]]

#: Suffix of the cord mask, which is not written where the cord is given.
CORD_SUFFIX = "_seg"
#: Suffix of the rootlet map.
ROOTLETS_SUFFIX = "_rootlets"


@dataclass(frozen=True)
class Output:
    """A label map that a task writes.

    Attributes
    ----------
    suffix : str
        Text that is added to the name of the image, without ending.
    description : str
        Description in the sidecar.
    make : callable
        Function of the segmentation and the image that returns values on the image's grid.
    names : callable
        Function that returns name and colour of each value that may occur.
    """

    suffix: str
    description: str
    make: Callable[[Segmentation, Volume], np.ndarray]
    names: Callable[[], Names]


@dataclass(frozen=True)
class Task:
    """A task of ``sct_deepseg``.

    Attributes
    ----------
    description : str
        One line for the list of tasks.
    details : str
        Text for ``-task-details`` and the help of the task.
    outputs : tuple of Output
        Label maps that the task writes. The suffixes of several are part of their names even if the user gave a name.
    has_sides : bool
        Whether values tell left from right, so that the image must say how it is oriented.
    what : str
        What it looks for, for the message that there is none.
    """

    description: str
    details: str
    outputs: tuple[Output, ...]
    has_sides: bool = False
    what: str = "rootlets of C2 to T1"


def root_map(levels: np.ndarray, roots: np.ndarray) -> np.ndarray:
    """Compute the map of roots, of the values of `root_value`.

    Parameters
    ----------
    levels : numpy.ndarray of int
        Level of each voxel; 0 for none.
    roots : numpy.ndarray of int, same shape
        1 + the index into `ROOTS` of its root.

    Returns
    -------
    numpy.ndarray of uint8, or uint16 where levels need it
    """
    import numpy as np

    values = np.where(levels > 0, 10 * levels.astype(np.uint16) + roots, 0)
    return values.astype(np.uint8 if values.max(initial=0) < 256 else np.uint16)


def root_value(level: int, root: str) -> int:
    """Return the value of a root in the map of roots: ten times the level's value, plus 1 + the index into `ROOTS`.

    Examples
    --------
    >>> root_value(2, "left_dorsal"), root_value(9, "right_ventral")
    (21, 94)
    """
    from sct_rootlets.levels import ROOTS

    return 10 * level + 1 + ROOTS.index(root)


def _rootlets(segmentation: Segmentation, _image: Volume) -> np.ndarray:
    return segmentation.rootlets


def _roots(segmentation: Segmentation, _image: Volume) -> np.ndarray:
    return root_map(segmentation.rootlets, segmentation.roots)


def _cord(segmentation: Segmentation, _image: Volume) -> np.ndarray:
    return segmentation.cord.astype("uint8")


def _spinal_levels(segmentation: Segmentation, image: Volume) -> np.ndarray:
    from sct_rootlets.spinal import leave_out_c1
    from sct_rootlets.subject import Inputs, levels_from_labels

    named = leave_out_c1(segmentation.rootlets)
    if not named.any():
        return named
    rootlets, cord = (named, image.affine), (segmentation.cord, image.affine)
    return levels_from_labels(Inputs.load(rootlets=rootlets, cord=cord)).level_map("spinal")


def _discs(segmentation: Segmentation, image: Volume) -> np.ndarray:
    from sct_rootlets.vertebral import disc_labels

    return disc_labels(segmentation.discs, image)


def _vertebral_levels(segmentation: Segmentation, image: Volume) -> np.ndarray:
    import numpy as np
    from nibabel.affines import apply_affine

    from sct_rootlets.errors import LabelError
    from sct_rootlets.image import nonzero_voxels
    from sct_rootlets.vertebral import vertebral_levels

    labels = np.zeros(image.data.shape, dtype=np.uint8)
    if segmentation.centerline is None:
        return labels
    try:
        levels = vertebral_levels(segmentation.discs, segmentation.centerline.cord_length)
    except LabelError:
        return labels
    points = apply_affine(image.affine, nonzero_voxels(segmentation.cord))
    labels[segmentation.cord] = levels.label(segmentation.centerline.project(points).arc)
    return labels


def _disc_names() -> Names:
    from sct_rootlets.levels import LAST_DISC, disc_name, level_color, level_name

    return {value: (disc_name(value), level_color(level_name(value, "vertebral"))) for value in range(1, LAST_DISC)}


def _vertebra_names() -> Names:
    from sct_rootlets.levels import LAST_DISC, level_color, level_name

    names = {value: level_name(value, "vertebral") for value in range(1, LAST_DISC - 1)}
    return {value: (name, level_color(name)) for value, name in names.items()}


def _level_names() -> Names:
    from sct_rootlets.levels import LAST_ROOTLET, level_color, level_name

    # Other models may have classes for C1, and below T1.
    names = {value: level_name(value, "spinal") for value in range(1, LAST_ROOTLET + 1)}
    return {value: (name, level_color(name)) for value, name in names.items()}


def _root_names() -> Names:
    from sct_rootlets.levels import ROOTS

    return {
        root_value(value, root): (f"{name} {root.replace('_', ' ')}", color)
        for value, (name, color) in _level_names().items()
        for root in ROOTS
    }


def _cord_names() -> Names:
    return {1: ("spinal cord", "#808080")}


_ROOTLETS_OUTPUT = Output(ROOTLETS_SUFFIX, "Dorsal and ventral nerve rootlets by spinal level", _rootlets, _level_names)

TASKS = {
    "rootlets": Task(
        "Dorsal and ventral nerve rootlets by spinal level, C2 to T1",
        "Values are those of the Spinal Cord Toolbox: 2 is C2, 8 is C8, 9 is T1. For T2w scans at 3T and MP2RAGE "
        "(INV1, INV2, UNIT1) at 7T.",
        (_ROOTLETS_OUTPUT,),
    ),
    "rootlets_roots": Task(
        "The same rootlets, split by left and right, dorsal and ventral",
        "Values are ten times the level (2 is C2 … 9 is T1) plus 1 for left dorsal, 2 right dorsal, 3 left ventral, "
        "4 right ventral: C5 right dorsal is 52. A table beside the file (.tsv) names them.",
        (
            Output(
                "_rootlets_roots", "Nerve rootlets by spinal level, side, and dorsal or ventral", _roots, _root_names
            ),
        ),
        has_sides=True,
    ),
    "rootlets_cord": Task(
        "Rootlets and the spinal cord mask, in one pass",
        "Writes _rootlets (values 2 to 9) and _seg (the cord, 1).",
        (_ROOTLETS_OUTPUT, Output(CORD_SUFFIX, "Spinal cord", _cord, _cord_names)),
    ),
    "spinal_levels": Task(
        "The spinal cord coloured by spinal level, without gaps, from its rootlets",
        "From the caudal end of the level above to the caudal end of each level; 2 is C2 … 9 is T1. "
        "sct_compute_spinal_levels -i does the same, with tables and the comparison with vertebrae.",
        (Output("_spinal_levels", "Spinal cord by spinal level, from its rootlets", _spinal_levels, _level_names),),
    ),
    "discs": Task(
        "Labels of the discs in view, C1/C2 to T3/T4",
        "Single voxels at the posterior tips, with the values of the Spinal Cord Toolbox: 3 is C2/C3, 8 is C7/T1. "
        "One disc that is given (-ldisc) fixes the numbers.",
        (Output("_discs", "Posterior tips of discs", _discs, _disc_names),),
        what="discs",
    ),
    "vertebral_levels": Task(
        "The spinal cord coloured by vertebral level, from the discs in view",
        "From disc to disc: 3 is C3, 8 is T1. One disc that is given (-ldisc) fixes the numbers.",
        (Output("_vertebral_levels", "Spinal cord by vertebral level", _vertebral_levels, _vertebra_names),),
        what="discs",
    ),
}
