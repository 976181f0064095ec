"""Safe unpickling of nnU-Net's checkpoints with torch before 2.5, whose safe loader refuses numpy scalars.

From 2.5 on, ``torch.load(weights_only=True)`` takes a list of further names, and this module is not used. SCT's torch
is older, and nnU-Net's checkpoints hold numpy scalars. Only the names that such files need are looked up here.
"""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from types import SimpleNamespace
from typing import IO, Any

import numpy as np
import torch


def _bytes(text: str, encoding: str) -> bytes:
    """Return bytes for the text that the pickle protocol of 2003 writes for them."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes written as {encoding} are not allowed")
    return text.encode(encoding)


#: The objects that a checkpoint may name, by module and name.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("_codecs", "encode"): _bytes,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    ("numpy", "dtype"): np.dtype,
}


def load(file: str | os.PathLike[str] | IO[bytes], scalar: Any) -> Any:
    """Load a checkpoint.

    Parameters
    ----------
    file : path or binary file
    scalar : callable
        Constructor of numpy's scalars; see `sct_rootlets.models.checkpoint.numpy_scalar_constructor`.

    Raises
    ------
    Exception
        Any, if the file is damaged or names other objects.
    """
    if any(name.endswith("/constants.pkl") for name in zipfile.ZipFile(file).namelist()):
        raise pickle.UnpicklingError("a TorchScript archive holds code")

    if isinstance(file, io.IOBase):
        file.seek(0)

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) in _ALLOWED:
                return _ALLOWED[module, name]
            if name == "scalar" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
                return scalar
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")

    # torch uses these two attributes of its pickle module, and derives a class from the first to read tensors
    own = SimpleNamespace(__name__="weights_only", Unpickler=Unpickler, load=_refuse)
    return torch.load(file, map_location="cpu", pickle_module=own, weights_only=False)


def _refuse(*_arguments: Any, **_options: Any) -> Any:
    raise pickle.UnpicklingError("the file is of a format before torch 1.6")
