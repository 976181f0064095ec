"""Requirements for segmenting rootlets: a model with the classes lvl1, lvl2, ..., and torch to run it."""

from __future__ import annotations

import gc
import os
import re
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
        values = ", ".join(f"{name} {labels[name]}" for name in wrong if re.fullmatch(r"lvl[1-9][0-9]*", name))
        raise ModelError(
            f"{model} segments {', '.join(wrong) or 'nothing'}; a model of rootlets has the classes lvl1, lvl2, ..."
            + (f" with the values 1, 2, ..., and this one has wrong values: {values}" if values else "")
        )


def import_torch() -> Any:
    """Import torch, or raise a `ModelError` that says what to install.

    On Linux, torch then asks for huge pages (its option ``THP_MEM_ALLOC_ENABLE``): it makes and drops gigabytes of
    features, and faults of pages of 4 kB took 8 of 28 seconds of the CPU for a tile of a network of 31 million
    parameters, and take 4 so.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
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
