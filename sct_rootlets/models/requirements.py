"""Requirements for segmenting rootlets: a model with the classes lvl1, lvl2, ..., and torch to run it."""

from __future__ import annotations

import gc
from typing import Any

from sct_rootlets.errors import ModelError


def check_classes(labels: dict[str, int], model: object) -> None:
    """Raise a `ModelError` if a model segments anything but the rootlets of levels.

    Parameters
    ----------
    labels : dict of str to int
        Value of each class by name, background left out.
    model : object
        What the message calls the model.
    """
    wrong = [name for name, value in labels.items() if name != f"lvl{value}"]
    if wrong or not labels:
        raise ModelError(
            f"{model} segments {', '.join(wrong) or 'nothing'}; a model of rootlets has the classes lvl1, lvl2, ..."
        )


def import_torch() -> Any:
    """Import torch, or raise a `ModelError` that says what to install."""
    collects = gc.isenabled()
    gc.disable()  # torch makes hundreds of thousands of objects that stay: looking for garbage among them takes time
    try:
        import dynamic_network_architectures  # noqa: F401
        import torch
    except ImportError as error:
        package = {"torch": "torch"}.get(error.name or "", "dynamic-network-architectures")
        raise ModelError(f"segmenting images needs {package}: python -m pip install {package}") from error
    finally:
        gc.freeze()
        if collects:
            gc.enable()
    return torch
