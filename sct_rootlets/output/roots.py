"""Files of the roots of a rootlet map: map of roots, dorsal and ventral maps under the published names, table."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from sct_rootlets.flags import sidecar_flags
from sct_rootlets.image import Volume, labelled_voxels
from sct_rootlets.nifti import save_labels, save_volume
from sct_rootlets.output.files import seal_sidecars, staged_outputs, write_json, write_table
from sct_rootlets.output.ownership import Guard
from sct_rootlets.output.scan import Scan
from sct_rootlets.roots import SplitRoots, root_counts
from sct_rootlets.segmentation.tasks import root_map
from sct_rootlets.sidecar import generated_by

#: Endings of the maps: of all roots, and of dorsal and ventral ones under the published names.
ROOTS_ENDING = "rootlets_roots.nii.gz"
HALF_ENDINGS = {half: f"desc-{half}_label-rootlets_dseg.nii.gz" for half in ("dorsal", "ventral")}
TABLE_ENDING, RECORD_ENDING = "roots.csv", "roots.json"


def root_files(prefix: str) -> list[str]:
    """Names of the files that `save_roots` writes."""
    return [f"{prefix}_{ending}" for ending in (ROOTS_ENDING, *HALF_ENDINGS.values(), TABLE_ENDING, RECORD_ENDING)]


def root_guard(prefix: str, inputs: Iterable[Path], overwrite: bool = False) -> Guard:
    """Return what the files of roots must not replace."""
    return Guard(inputs=tuple(inputs), overwrite=overwrite, record=f"{prefix}_{RECORD_ENDING}")


def save_roots(
    split: SplitRoots,
    rootlets: Volume,
    folder: str | os.PathLike[str],
    prefix: str,
    overwrite: bool = False,
    inputs: Sequence[Path] = (),
) -> list[Path]:
    """Write the roots of a rootlet map into a folder: all files, or none.

    Parameters
    ----------
    split : SplitRoots
        Of the voxels of `rootlets`, in the order of `sct_rootlets.image.labelled_voxels`.
    rootlets : Volume
    folder : path
        Made if it is missing; files of an earlier run are replaced.
    prefix : str
        Beginning of the names of files.
    overwrite : bool
        Replace files that this package did not write, or that were edited since.
    inputs : sequence of Path
        Files that are never replaced.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ImageError
        If the folder cannot be written to, or a file that is kept would be replaced.
    """
    ijk, values = labelled_voxels(rootlets)
    place = tuple(ijk.T)
    levels, roots = (np.zeros(rootlets.data.shape, dtype=np.uint8) for _ in range(2))
    levels[place], roots[place] = values, 1 + split.root
    record = f"{prefix}_{RECORD_ENDING}"
    scan = Scan.of_volume(rootlets, folder, is_image=False)
    with staged_outputs(folder, guard=root_guard(prefix, inputs, overwrite).for_scan(scan)) as stage:
        save_volume(stage / f"{prefix}_{ROOTS_ENDING}", root_map(levels, roots), rootlets.affine, rootlets.header)
        for index, ending in enumerate(HALF_ENDINGS.values()):
            half = np.zeros(rootlets.data.shape, dtype=np.uint8)
            half[place] = np.where(split.root // 2 == index, values, 0)
            save_labels(stage / f"{prefix}_{ending}", half, rootlets)
        rows = root_counts(split)
        write_table(stage / f"{prefix}_{TABLE_ENDING}", tuple(rows[0]), rows)
        content = {
            "Description": "Nerve rootlets by spinal level, side, and dorsal or ventral: ten times the level, plus 1 "
            "for left dorsal, 2 right dorsal, 3 left ventral, 4 right ventral",
            "GeneratedBy": generated_by(),
            "Sources": [rootlets.name],
            "Flags": sidecar_flags([split.flag]),
        }
        write_json(stage / record, content)
        seal_sidecars(stage, Path(folder), record, scan)
        names = sorted(path.name for path in stage.iterdir())
    return [Path(folder) / name for name in names]
