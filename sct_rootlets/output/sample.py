"""The label of one disc beside the public scan of `sct_rootlets.sample`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sct_rootlets.nifti import load_volume, save_labels
from sct_rootlets.output.files import staged_outputs
from sct_rootlets.output.ownership import Guard
from sct_rootlets.sample import DISC_VALUE, DISC_VOXEL, NAME


def write_disc(image: Path) -> Path:
    """Write the label of one disc of the public scan, as a user would click it.

    Parameters
    ----------
    image : Path
        The scan. The label is written beside it.

    Returns
    -------
    Path
        The label.

    Raises
    ------
    ImageError
        If there is another file of that name, or the folder cannot be written to.
    """
    volume = load_volume(image)
    labels = np.zeros(volume.data.shape, dtype=np.uint8)
    labels[DISC_VOXEL] = DISC_VALUE
    name = f"{NAME}_one_disc.nii.gz"
    with staged_outputs(image.parent, guard=Guard(may_overwrite=False)) as stage:
        save_labels(stage / name, labels, volume)
    return image.parent / name
