"""First labels for a contrast that nobody has labelled: predicted on the inverted image, for people to correct.

The RootletSeg paper did so for MP2RAGE (arXiv 2509.16255): bright and dark are exchanged in an image with dark fluid,
and a model of T2w, where fluid is bright, is applied to it. The sidecar of a predicted label says that nobody has
reviewed it; until somebody changes that, the label is refused for training.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sct_rootlets.bids import LABEL_ENDINGS
from sct_rootlets.bids_folder import LABELS_FOLDER, Scan, find_scans
from sct_rootlets.errors import DatasetError, SctRootletsError
from sct_rootlets.flags import Flag, read_flags, sidecar_flags
from sct_rootlets.image import Volume
from sct_rootlets.nifti import header_notes, load_volume, save_labels
from sct_rootlets.nnunet.scans import labels_for
from sct_rootlets.output.files import seal_sidecars, staged_outputs, write_json
from sct_rootlets.output.ownership import foreign_files
from sct_rootlets.sidecar import read_sidecar


class Prediction(NamedTuple):
    """Rootlets of a volume, and the flags of their levels.

    Attributes
    ----------
    rootlets : numpy.ndarray of int, shape (I, J, K)
        The rootlet map.
    flags : tuple of Flag
        Plausibility of the levels.
    """

    rootlets: np.ndarray
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True)
class FirstLabel:
    """A predicted label for review.

    Attributes
    ----------
    scan : Scan
    label : Path, optional
        The label map; None if it could not be predicted.
    note : str
        Why there is no label, or what is special about it; may be empty.
    flags : tuple of Flag
        Plausibility of the levels, unless the label was corrected since it was predicted.
    has_failed : bool
        Whether the scan cannot be read, or nothing could be predicted on it.
    """

    scan: Scan
    label: Path | None
    note: str = ""
    flags: tuple[Flag, ...] = ()
    has_failed: bool = False


def invert_contrast(data: np.ndarray) -> np.ndarray:
    """Exchange bright and dark, over the range of the values; NaN and infinite values become the darkest.

    Parameters
    ----------
    data : numpy.ndarray

    Returns
    -------
    numpy.ndarray of float32, shape of `data`

    Examples
    --------
    >>> invert_contrast(np.array([0.0, 1.0, 4.0]))
    array([4., 3., 0.], dtype=float32)
    """
    data = np.asarray(data, dtype=np.float32)
    finite = np.isfinite(data)
    low, high = (float(data[finite].min()), float(data[finite].max())) if finite.any() else (0.0, 0.0)
    return np.where(finite, high + low - data, low).astype(np.float32)


def predict_first_labels(
    roots: Sequence[str | os.PathLike[str]],
    folder: Path,
    predict: Callable[[Volume], Prediction],
    model: dict[str, Any],
    labels: Sequence[str | os.PathLike[str]] = (),
    contrasts: Collection[str] = (),
    invert: bool = True,
) -> list[FirstLabel]:
    """Predict rootlets on every scan that has no rootlet map, and write them for review.

    Labels go to ``derivatives/labels`` in `folder`, each with a sidecar and a picture beside it. Existing labels are
    left unchanged, because somebody may have corrected them.

    Parameters
    ----------
    roots : sequence of path
        BIDS folders.
    folder : Path
        The output folder.
    predict : callable
        Function that takes a volume and returns its `Prediction`.
    model : dict
        Description of the model for the sidecar.
    labels, contrasts
        See `sct_rootlets.bids_folder.find_scans`.
    invert : bool
        Exchange bright and dark before the prediction.

    Returns
    -------
    list of FirstLabel

    Raises
    ------
    DatasetError
        If all scans have rootlet maps.
    """
    scans: list[Scan] = []
    undecided: list[FirstLabel] = []
    for root in roots:
        found = find_scans(root, labels_for(root, roots, labels), contrasts)[0]
        scans += [scan for scan in found if "rootlets" not in scan.labels and "rootlets" not in scan.ambiguous]
        undecided += [
            FirstLabel(scan, None, scan.ambiguous["rootlets"]) for scan in found if "rootlets" in scan.ambiguous
        ]
    if not scans:
        raise DatasetError("every scan has a rootlet map; choose others with -contrasts")
    return [*(_predict(scan, folder, predict, model, invert) for scan in scans), *undecided]


def _predict(
    scan: Scan, folder: Path, predict: Callable[[Volume], Prediction], model: dict[str, Any], invert: bool
) -> FirstLabel:
    from sct_rootlets.report.labels import save_labels_figure

    image = scan.image
    label_folder = folder / LABELS_FOLDER / image.path.parent.relative_to(scan.root)
    stem = f"{image.stem}_{LABEL_ENDINGS['rootlets']}"
    label = label_folder / f"{stem}.nii.gz"
    if label.exists():
        flags = () if foreign_files([label]) else read_flags(read_sidecar(label).get("Flags"))
        return FirstLabel(scan, label, "there already, left as it is", flags)
    try:
        volume = load_volume(image.path)
        rootlets, flags = predict(replace(volume, data=invert_contrast(volume.data), path=None) if invert else volume)
    except SctRootletsError as error:
        return FirstLabel(scan, None, str(error), has_failed=True)
    sidecar = {
        "GeneratedBy": [{"Name": "sct_rootlets train -bootstrap"}],
        "Model": model,
        "Inverted": invert,
        "Sources": [image.path.name],
        "Notes": header_notes(volume),
        **({"Flags": sidecar_flags(flags)} if flags else {}),
        "Reviewed": False,
    }
    with staged_outputs(label_folder) as stage:
        save_labels(stage / f"{stem}.nii.gz", rootlets, volume)
        write_json(stage / f"{stem}.json", sidecar)
        predicted = Volume(rootlets, volume.affine, "rootlets")
        save_labels_figure(volume, predicted, f"{image.stem}, predicted", stage / stem)
        seal_sidecars(stage, label_folder)
    notes = [*header_notes(volume), *([] if rootlets.any() else ["no rootlets were found"])]
    return FirstLabel(scan, label, "; ".join(notes), flags)
