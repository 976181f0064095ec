"""Loading the networks of a segmenter, with a clear error where torch is missing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sct_rootlets.errors import ModelError
from sct_rootlets.models.manifest import BUNDLED_FOLDER, NETWORKS
from sct_rootlets.models.requirements import check_classes, import_torch
from sct_rootlets.models.store import find_model
from sct_rootlets.models.weights import Weights

if TYPE_CHECKING:
    from sct_rootlets.segmentation.segment import Segmenter


def load_segmenter(
    model: str | os.PathLike[str] | Weights | None = None, device: str = "cpu", bundle: Path = BUNDLED_FOLDER
) -> Segmenter:
    """Load the networks.

    Parameters
    ----------
    model : str, path or Weights, optional
        Name of an installed model, or an nnU-Net v2 model folder with classes ``lvl1``, ``lvl2`` and so on, whose
        rootlets replace those of the bundled model; the bundled networks still find the cord.
    device : {"cpu", "cuda", "mps"}
    bundle : Path
        Folder with the bundled models.

    Raises
    ------
    ModelError
        If there is no such model, its files are not as they should be, or the device is not available.
    """
    torch = import_torch()
    from sct_rootlets.models.model import load_model
    from sct_rootlets.segmentation.segment import Segmenter

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device, False):
        raise ModelError(f"the device {device} is not available here; use -device cpu")
    rootlet_model = None
    chosen = find_model(model)
    if not chosen.is_bundled:
        rootlet_model = load_model(chosen.folder, device)
        check_classes(rootlet_model.labels, chosen.name)
    overview, names, rootlets = (load_model(bundle / name, device) for name in NETWORKS)
    return Segmenter(overview, names, rootlets, rootlet_model, device, chosen)
