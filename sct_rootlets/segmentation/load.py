"""Loading the networks of a segmenter, with a clear error where torch is missing."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sct_rootlets.errors import ModelError
from sct_rootlets.models.files import read_paths
from sct_rootlets.models.manifest import BUNDLED_FOLDER, NETWORKS, reinstall_remedy
from sct_rootlets.models.requirements import check_classes, import_torch
from sct_rootlets.models.store import find_model
from sct_rootlets.models.weights import Weights, bundled_weights

if TYPE_CHECKING:
    from sct_rootlets.segmentation.segment import Segmenter
    from sct_rootlets.segmentation.tiles import Precision


def load_segmenter(
    model: str | os.PathLike[str] | Weights | None = None,
    device: str = "cpu",
    bundle: Path | None = None,
    *,
    keeps_names: bool = True,
    is_whole: bool = False,
    precision: Precision = "float32",
) -> Segmenter:
    """Load the networks.

    Parameters
    ----------
    model : str, path or Weights, optional
        Name of an installed model, or an nnU-Net v2 model folder with classes ``lvl1``, ``lvl2`` and so on, whose
        rootlets replace those of the bundled model; the bundled networks still find the cord.
    device : {"cpu", "cuda", "mps"}
    bundle : Path, optional
        Folder with the networks that find the cord and the roots, in place of those of the package, whose files must
        have the content that its manifest lists.
    keeps_names, is_whole : bool
        See `sct_rootlets.segmentation.own_labels.RootletModel`; without another model, they say nothing.
    precision : {"float32", "bfloat16"}
        Number format of the rootlet networks on a CPU.

    Raises
    ------
    ModelError
        If there is no such model, its files are not as they should be, or the device is not available or has no such
        format.
    """
    chosen = find_model(model)
    torch = import_torch()
    from sct_rootlets.models.model import check_input, load_model
    from sct_rootlets.segmentation.own_labels import RootletModel
    from sct_rootlets.segmentation.segment import Segmenter
    from sct_rootlets.segmentation.tiles import has_bfloat16

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device, False):
        raise ModelError(f"the device {device} is not available here; use -device cpu")
    if device == "cpu" and precision == "bfloat16" and not has_bfloat16(torch.device(device)):
        raise ModelError("this CPU has no instructions for bfloat16, which would be many times slower: leave it out")
    rootlet_model = None
    if not chosen.is_bundled:
        expected = {name: chosen.files[name] for name in read_paths(chosen.files)}
        rootlet_model = load_model(chosen.folder, device, expected)
        check_classes(rootlet_model.labels, chosen.name)
        try:
            check_input(rootlet_model)
        except ModelError as error:
            raise ModelError(f"{chosen.folder} is not a model of rootlets: {error}") from error
    bundled = bundled_weights()
    networks = []
    loaded: dict[str, str] = {}
    for name in NETWORKS:
        packed = {
            path.removeprefix(f"{name}/"): digest
            for path, digest in bundled.files.items()
            if path.startswith(f"{name}/")
        }
        network = load_model((bundle or BUNDLED_FOLDER) / name, device, None if bundle else packed, reinstall_remedy())
        networks.append(network)
        loaded |= {f"{name}/{path}": digest for path, digest in network.files.items()}
    weights = replace(bundled, files=loaded)
    if rootlet_model is not None:
        weights = replace(chosen, files=rootlet_model.files, cord_and_roots=weights)
    overview, names, rootlets = networks
    other = None
    if rootlet_model is not None:
        other = RootletModel(network=rootlet_model, keeps_names=keeps_names, is_whole=is_whole)
    return Segmenter(overview, (names,), rootlets, other, device, weights, precision)
