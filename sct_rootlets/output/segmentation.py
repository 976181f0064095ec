"""Files of a segmented image: the label maps of a task, each with its sidecar and colour table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sct_rootlets.bids import check_output_file, check_output_names, stem
from sct_rootlets.flags import Flag, sidecar_flags
from sct_rootlets.image import Volume
from sct_rootlets.levels import level_name
from sct_rootlets.nifti import save_labels
from sct_rootlets.output.files import seal_sidecars, staged_outputs, write_json, write_table
from sct_rootlets.output.ownership import Guard
from sct_rootlets.output.scan import Scan
from sct_rootlets.segmentation.tasks import Output, Task
from sct_rootlets.sidecar import generated_by

if TYPE_CHECKING:
    from sct_rootlets.segmentation.segment import Segmentation  # needs torch


def output_paths(image: Path, task: Task, output: Path | None) -> list[Path]:
    """Paths of the label maps of a task, in the order of its outputs.

    Parameters
    ----------
    image : Path
    task : Task
    output : Path, optional
        Name that the user gave, with or without ending; by default, suffixes are added to the name of the image.

    Raises
    ------
    ImageError
        If the output is a folder, or has no name that can be written.
    """
    if output is None:
        check_output_names(f"{stem(image.name)}{made.suffix}.nii.gz" for made in task.outputs)
        return [image.with_name(f"{stem(image.name)}{made.suffix}.nii.gz") for made in task.outputs]
    suffixes = [made.suffix for made in task.outputs] if len(task.outputs) > 1 else [""]
    check_output_file(output, suffixes)
    return [output.with_name(f"{stem(output.name)}{suffix}.nii.gz") for suffix in suffixes]


def label_map_files(targets: Sequence[Path]) -> list[Path]:
    """Return all files of label maps: the maps, their sidecars and their colour tables."""
    return [target.with_name(f"{stem(target.name)}{end}") for target in targets for end in (".nii.gz", ".json", ".tsv")]


def label_map_guard(inputs: Sequence[Path], overwrite: bool = False, several: bool = False) -> Guard:
    """Return what the label maps of a task must not replace.

    Parameters
    ----------
    inputs : sequence of Path
    overwrite : bool
    several : bool
        Whether the command has several images, whose outputs cannot be named.
    """
    return Guard(
        inputs=tuple(inputs),
        overwrite=overwrite,
        elsewhere=None if several else "write to another name (-o)",
        as_input={"_seg.nii.gz": "-s", "_discs.nii.gz": "-ldisc"},
    )


def save_label_maps(
    targets: Sequence[Path],
    outputs: Sequence[Output],
    maps: Sequence[np.ndarray],
    image: Volume,
    sidecars: Sequence[Mapping[str, Any]],
    guard: Guard | None = None,
) -> None:
    """Write label maps with sidecars and colour tables; all of them or none.

    Parameters
    ----------
    targets : sequence of Path
        Files in one folder.
    outputs : sequence of Output
        What each map is.
    maps : sequence of numpy.ndarray of uint8, shape (I, J, K) each
        Values on the grid of the image.
    image : Volume
        The image that was segmented.
    sidecars : sequence of dict
        Sidecar of each map.
    guard : Guard, optional
        By default, the image and files of the user are kept.

    Raises
    ------
    ImageError
        If the folder cannot be written to, or a file that is kept would be replaced.
    """
    guard = guard or label_map_guard([] if image.path is None else [image.path])
    scan = Scan.of_volume(image, targets[0].parent)
    with staged_outputs(targets[0].parent, guard=guard.for_scan(scan)) as stage:
        for target, output, values, content in zip(targets, outputs, maps, sidecars, strict=True):
            save_labels(stage / target.name, values, image)
            name = stem(target.name)
            names = output.names()
            present = [int(value) for value in np.unique(values[values > 0])]
            write_table(
                stage / f"{name}.tsv",
                ("index", "name", "color"),
                [{"index": value, "name": names[value][0], "color": names[value][1]} for value in present],
                separator="\t",
            )
            write_json(stage / f"{name}.json", content)
        seal_sidecars(stage, targets[0].parent, scan=scan)


def label_map_sidecar(
    output: Output,
    image: Volume,
    segmentation: Segmentation,
    model: Mapping[str, Any],
    settings: Mapping[str, Any],
    flags: Sequence[Flag] = (),
) -> dict[str, Any]:
    """Sidecar of a label map: what it is, how it came about, and how sure its names are.

    Parameters
    ----------
    output : Output
    image : Volume
        The image that was segmented.
    segmentation : Segmentation
    model : dict
        Name, version and hashes of the model that ran.
    settings : dict
        Settings that change the map, as the sidecar gives them.
    flags : sequence of Flag
        Plausibility of the levels.
    """
    return {
        "Description": output.description,
        "SpatialReference": image.name,
        "GeneratedBy": generated_by(),
        "Model": dict(model),
        "Settings": dict(settings),
        "NamesFromDiscs": "discs" in segmentation.name_sources,
        "Levels": [
            {
                "Name": level.name,
                "Confidence": None if level.confidence is None else round(level.confidence, 3),
                "RostralEndSD": round(level.rostral_sd_mm, 2),
                "CaudalEndSD": round(level.caudal_sd_mm, 2),
            }
            for level in segmentation.spinal.levels
        ],
        **({"Flags": sidecar_flags(flags)} if flags else {}),
        "Notes": list(segmentation.notes),
    }


def describe(segmentation: Segmentation) -> list[str]:
    """Lines for the terminal: levels with their confidence, and notes."""
    counts = np.bincount(segmentation.rootlets[segmentation.rootlets > 0], minlength=256)
    lines = [
        f"  {level_name(level.value, 'spinal'):<4}{counts[level.value]:5d} voxels, confidence {level.confidence:.2f}"
        for level in segmentation.spinal.levels
    ]
    return lines + [f"note: {note}" for note in segmentation.notes]
