"""The models that come with the package."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sct_rootlets.errors import ModelError

if TYPE_CHECKING:
    from sct_rootlets.segmentation.segment import Segmenter

FOLDER = Path(__file__).parents[1] / "data" / "models"
#: The networks: where the cord is, what its segments are called, and its rootlets.
NAMES = ("overview", "names", "rootlets")


def manifest() -> dict[str, Any]:
    """What the bundled models are: name, version, licence, and SHA-256 of each file."""
    return dict(json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8")))


def load_segmenter(
    model: str | os.PathLike[str] | None = None, device: str = "cpu", bundle: Path = FOLDER
) -> Segmenter:
    """Load the networks.

    Parameters
    ----------
    model : path, optional
        An nnU-Net v2 model folder with classes ``lvl1``, ``lvl2`` and so on, whose rootlets are taken in place of those
        of the bundled model; the bundled ones still find the cord.
    device : {"cpu", "cuda", "mps"}
    bundle : Path
        Folder with the models of `NAMES`.

    Raises
    ------
    ModelError
        If the folder is no such model, or the device is not there.
    """
    torch = _torch()
    from sct_rootlets.segmentation.model import load_model
    from sct_rootlets.segmentation.segment import Segmenter

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device, False):
        raise ModelError(f"the device {device} is not available here; use -device cpu")
    other = None
    if model is not None:
        other = load_model(model, device)
        wrong = [name for name, value in other.labels.items() if name != f"lvl{value}"]
        if wrong:
            raise ModelError(
                f"{model} segments {', '.join(wrong)}; a model of rootlets has the classes lvl1, lvl2, ..."
            )
    overview, names, rootlets = (load_model(bundle / name, device) for name in NAMES)
    return Segmenter(overview, names, rootlets, other, device)


def _torch() -> Any:
    try:
        import dynamic_network_architectures  # noqa: F401
        import torch
    except ImportError as error:
        package = {"torch": "torch"}.get(error.name or "", "dynamic-network-architectures")
        raise ModelError(f"segmenting images needs {package}: python -m pip install {package}") from error
    return torch
