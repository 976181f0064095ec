"""First labels for a contrast that nobody has labelled: predicted on the inverted image, for people to correct.

As the RootletSeg paper did for MP2RAGE (arXiv 2509.16255): a model of T2w, where fluid is bright, is shown an image
whose fluid is dark with bright and dark exchanged. The sidecar of what is predicted says that nobody has reviewed it;
until that is changed it is refused for training.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sct_rootlets.bids import LABELS, Scan, find_scans
from sct_rootlets.errors import DatasetError, SctRootletsError
from sct_rootlets.image import Volume
from sct_rootlets.nifti import load_volume, save_labels
from sct_rootlets.nnunet.dataset import labels_for
from sct_rootlets.output.files import staged_outputs, write_json


@dataclass(frozen=True)
class Predicted:
    """A label for review, or why there is none.

    Attributes
    ----------
    scan : Scan
    label : Path, optional
    trouble : str
    """

    scan: Scan
    label: Path | None
    trouble: str = ""


def inverted(data: np.ndarray) -> np.ndarray:
    """Exchange bright and dark, over the range of the values; infinite and missing ones become the darkest.

    Examples
    --------
    >>> inverted(np.array([0.0, 1.0, 4.0]))
    array([4., 3., 0.], dtype=float32)
    """
    data = np.asarray(data, dtype=np.float32)
    finite = np.isfinite(data)
    low, high = (float(data[finite].min()), float(data[finite].max())) if finite.any() else (0.0, 0.0)
    return np.where(finite, high + low - data, low).astype(np.float32)


def bootstrap(
    roots: Sequence[str | os.PathLike[str]],
    folder: Path,
    predict: Callable[[Volume], np.ndarray],
    model: dict[str, Any],
    labels: Sequence[str | os.PathLike[str]] = (),
    contrasts: Collection[str] = (),
    invert: bool = True,
) -> list[Predicted]:
    """Predict rootlets on every scan that has no rootlet map, and write them for review.

    Labels go to ``derivatives/labels`` in `folder`, each with a sidecar and a picture beside it. What is there already
    is left as it is: somebody may have corrected it.

    Parameters
    ----------
    roots : sequence of path
        BIDS folders.
    folder : Path
        The output folder.
    predict : callable
        Takes a volume, and returns the rootlet map.
    model : dict
        What the sidecar says of the model.
    labels, contrasts
        See `sct_rootlets.bids.find_scans`.
    invert : bool

    Returns
    -------
    list of Predicted

    Raises
    ------
    DatasetError
        If all scans have rootlet maps.
    """
    scans = []
    for root in roots:
        scans += [
            scan
            for scan in find_scans(root, labels_for(root, roots, labels), contrasts)[0]
            if "rootlets" not in scan.labels
        ]
    if not scans:
        raise DatasetError("every scan has a rootlet map; choose others with -contrasts")
    return [_predicted(scan, folder, predict, model, invert) for scan in scans]


def _predicted(
    scan: Scan, folder: Path, predict: Callable[[Volume], np.ndarray], model: dict[str, Any], invert: bool
) -> Predicted:
    from sct_rootlets.report.labels import save_labels_figure

    image = scan.image
    place = folder / LABELS / image.path.parent.relative_to(scan.root)
    stem = f"{image.stem}_label-rootlets_dseg"
    label = place / f"{stem}.nii.gz"
    if label.exists():
        return Predicted(scan, label, "there already, left as it is")
    try:
        volume = load_volume(image.path)
        seen = Volume(inverted(volume.data), volume.affine, volume.name, volume.header) if invert else volume
        rootlets = predict(seen)
    except SctRootletsError as error:
        return Predicted(scan, None, str(error))
    sidecar = {
        "GeneratedBy": [{"Name": "sct_rootlets train -bootstrap"}],
        "Model": model,
        "Inverted": invert,
        "Sources": [image.path.name],
        "Reviewed": False,
    }
    with staged_outputs(place) as stage:
        save_labels(stage / f"{stem}.nii.gz", rootlets, volume)
        write_json(stage / f"{stem}.json", sidecar)
        found = Volume(rootlets, volume.affine, "rootlets")
        save_labels_figure(volume, found, f"{image.stem}, predicted", stage / f"{stem}.png")
    return Predicted(scan, label, "" if rootlets.any() else "no rootlets were found")
