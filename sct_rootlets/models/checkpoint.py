"""Reading checkpoints of nnU-Net v2 without running code from them."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sct_rootlets.errors import ModelError

# nnU-Net stores its log and its settings beside the weights. All of that are plain values except for numpy's scalars,
# which are pickled under the names of numpy before 2 and since, and their types.
_SCALAR_NAMES = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
_SCALAR_TYPES = [np.dtype, np.dtypes.Float64DType, np.dtypes.Float32DType, np.dtypes.Int64DType]


def read_checkpoint(path: Path, content: bytes | None = None) -> dict[str, Any]:
    """Read a checkpoint, and unpickle nothing but tensors, plain values and numpy scalars.

    Parameters
    ----------
    path : Path
    content : bytes, optional
        Content of the file, if it has been read before.

    Raises
    ------
    ModelError
        If the file is damaged, holds anything else, or is no checkpoint of nnU-Net v2.
    """
    try:
        checkpoint = _load_weights_only(io.BytesIO(path.read_bytes() if content is None else content))
    except Exception as error:
        raise ModelError(f"{path} is damaged, or holds more than weights; it was not loaded") from error
    missing = {"network_weights", "init_args"} - set(checkpoint if isinstance(checkpoint, dict) else ())
    if missing:
        raise ModelError(f"{path} lacks {', '.join(sorted(missing))}: it is not a checkpoint of nnU-Net v2")
    return checkpoint


def numpy_scalar_constructor() -> Any:
    """Return the function that unpickles numpy scalars; numpy 2 moved it to another module."""
    return np.float64(0).__reduce__()[0]


def allowed_globals() -> list[Any]:
    """List what a checkpoint may hold beside tensors and plain values, for `torch.serialization.safe_globals`."""
    return [*_SCALAR_TYPES, *((numpy_scalar_constructor(), name) for name in _SCALAR_NAMES)]


def _load_weights_only(file: io.BytesIO) -> Any:
    # Before torch 2.5, which SCT has, no further names can be allowed with weights_only=True.
    if not hasattr(torch.serialization, "safe_globals"):
        from sct_rootlets.models import unpickling

        return unpickling.load(file, numpy_scalar_constructor())
    with torch.serialization.safe_globals(allowed_globals()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of files that are refused right afterwards
        return torch.load(file, map_location="cpu", weights_only=True)
