"""A trained nnU-Net v2 model, read from its folder without nnU-Net.

The folder holds ``plans.json``, ``dataset.json`` and ``fold_N/checkpoint_final.pth``, as nnU-Net v2 writes it (Isensee
2021, doi 10.1038/s41592-020-01008-z) and as SCT installs it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sct_rootlets.errors import ModelError
from sct_rootlets.models.architecture import build_network, last_layer, read_architecture
from sct_rootlets.models.checkpoint import read_checkpoint
from sct_rootlets.models.files import CROP_FILE, HEADS_FILE, checkpoints, read_paths
from sct_rootlets.models.plans import check_plans

#: Axis codes (nibabel's) that a model expects where its dataset.json has no ``image_orientation``: SCT's LPI.
DEFAULT_ORIENTATION = "RAS"
#: Greater margins than this are no margins.
MAX_MARGIN_MM = 1000.0
#: Sides of the body towards which ``crop_metadata.json`` gives a margin.
MARGINS = ("superior", "inferior", "left", "right", "anterior", "posterior")
_OPPOSITE = dict(zip("LRAPIS", "RLPASI", strict=True))


@dataclass(frozen=True, kw_only=True)
class Model:
    """A segmentation network, and the input that it expects.

    Array axes are those of nnU-Net: the image in `orientation`, its axes reversed (k, j, i), then permuted.

    Attributes
    ----------
    network : torch.nn.Module
        The network with the weights of the first fold.
    folds : list of dict
        Weights of each fold; their predictions are averaged.
    labels : dict of str to int
        Value of each class by name, background left out.
    orientation : str
        nibabel's axis codes of the input, such as ``"RAS"``.
    permutation : tuple of int
        Order of the reversed axes.
    spacing_mm : tuple of float
        Voxel size that images are resampled to, along the permuted axes.
    patch : tuple of int
        Size of a tile in voxels.
    mask_normalization : bool
        Whether intensities are standardised over the voxels that are not zero.
    mirror_axes : tuple of int
        Axes along which test-time augmentation may mirror.
    resampling : dict
        Settings of the interpolation of image and logits, as nnU-Net plans give them.
    heads : dict of str to slice
        Channels of the output: ``levels`` (background and `labels`), and those that this package adds by
        ``heads.json``, such as ``cord`` and ``roots``.
    files : dict of str to str
        SHA-256 of the bytes that were loaded, by the path in the folder that was named.
    margins_mm : dict of str to float, optional
        Margins around the cord of the images that it was trained on, by side (`MARGINS`); None for whole images.
    """

    network: nn.Module
    folds: list[dict[str, torch.Tensor]]
    labels: dict[str, int]
    orientation: str
    permutation: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    patch: tuple[int, ...]
    mask_normalization: bool
    mirror_axes: tuple[int, ...]
    resampling: dict[str, dict[str, Any]]
    heads: dict[str, slice]
    files: dict[str, str]
    margins_mm: dict[str, float] | None = None


class _Reader:
    """Reads the files of a model, and hashes what it reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hashes: dict[str, str] = {}

    def read(self, path: Path) -> bytes:
        """Return the content of a file."""
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise ModelError(f"{path} is missing; install the model again") from error
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}") from error
        self.hashes[path.relative_to(self.folder).as_posix()] = hashlib.sha256(content).hexdigest()
        return content


def load_model(
    folder: str | os.PathLike[str],
    device: str | torch.device = "cpu",
    expected: Mapping[str, str] | None = None,
    remedy: str = "install the model again",
) -> Model:
    """Load an nnU-Net v2 model folder.

    Parameters
    ----------
    folder : path
        The trainer's folder (``nnUNetTrainer__nnUNetPlans__3d_fullres``), or one that holds just one such folder.
    device : str or torch.device
    expected : mapping of str to str, optional
        SHA-256 that each file should have, by its path in the folder.
    remedy : str
        What to do if a file differs.

    Raises
    ------
    ModelError
        If files are missing, damaged or not the expected ones, the architecture is unknown, or the weights do not fit
        it.
    """
    reader = _Reader(Path(folder))
    folder = trainer_folder(Path(folder))
    weights = checkpoints(folder)
    if not weights:
        raise ModelError(f"{folder} holds no fold_*/checkpoint_final.pth; {remedy}")
    names = ["plans.json", "dataset.json"] + [HEADS_FILE] * (folder / HEADS_FILE).exists()
    contents = {path: reader.read(path) for path in (*(folder / name for name in names), *weights)}
    margins_mm = _read_margins(reader, folder)
    if expected is not None:
        _check_hashes(reader, expected, remedy)
    plans, dataset, *heads = (_parse_json(folder / name, contents[folder / name]) for name in names)
    folds = [read_checkpoint(path, contents.pop(path)) for path in weights]
    try:
        model = _build_model(folder, plans, dataset, heads[0] if heads else {}, folds, device, reader.hashes)
        return replace(model, margins_mm=margins_mm)
    except KeyError as error:
        raise ModelError(f"{folder} is not an nnU-Net v2 model that can be run: {error} is missing from it") from error
    except (ArithmeticError, AssertionError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise ModelError(f"plans.json or dataset.json in {folder} is not what nnU-Net v2 writes ({error})") from error
    except (RuntimeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"the weights in {folder} do not fit its plans ({reason})") from error


def _read_margins(reader: _Reader, trainer: Path) -> dict[str, float] | None:
    """Read the margins of a model that was trained on images cropped around the cord; None if it was not."""
    path = reader.folder / CROP_FILE
    if not path.exists():
        if trainer == reader.folder and (trainer.absolute().parent / CROP_FILE).exists():
            raise ModelError(f"{CROP_FILE} lies beside {trainer} and belongs to the model: give the folder above")
        return None
    content = _parse_json(path, reader.read(path))
    margins = {side: content.get(f"pad_{side}") for side in MARGINS}
    for side, value in margins.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MAX_MARGIN_MM:
            raise ModelError(f"{path} has no margin in mm called pad_{side}")
    return {side: float(value) for side, value in margins.items() if value is not None}


def _check_hashes(reader: _Reader, expected: Mapping[str, str], remedy: str) -> None:
    """Raise a `ModelError` if what was read is not what was expected, or not all of it."""
    for name in sorted({*reader.hashes, *read_paths(expected)}):
        if reader.hashes.get(name) != expected.get(name):
            change = "missing" if name not in reader.hashes else "damaged (its SHA-256 differs)"
            raise ModelError(f"{reader.folder / name} is {change}; {remedy}")


def _build_model(
    folder: Path,
    plans: dict[str, Any],
    dataset: dict[str, Any],
    heads: dict[str, Any],
    folds: list[dict[str, Any]],
    device: str | torch.device,
    hashes: dict[str, str],
) -> Model:
    """Build a model from what its files hold; entries that are missing or wrong raise as they are read."""
    configuration = _configuration(plans, folds[0]["init_args"]["configuration"])
    architecture = read_architecture(configuration)
    labels = {name: value for name, value in dataset["labels"].items() if name != "background"}
    region = next((name for name, value in labels.items() if isinstance(value, list)), None)
    if region is not None:
        raise ModelError(
            f"{folder} is a model of regions (dataset.json gives {region} the values {labels[region]}); only models "
            "with one value for each class can be run"
        )
    check_plans(plans["transpose_forward"], configuration, architecture, labels)
    if sorted(labels.values()) != list(range(1, len(labels) + 1)):
        raise ValueError(f"its labels have the values {', '.join(map(str, labels.values()))}, not 1, 2, ...")
    channels = {"levels": slice(0, len(labels) + 1)}
    for name, head in heads.items():
        channels[name] = slice(_end(channels), _end(channels) + len(head["bias"]))
    for fold in folds:
        _add_heads(fold["network_weights"], heads)
    # One fold is not copied, and nothing is drawn at random that it would replace.
    with torch.device("meta" if len(folds) == 1 else "cpu"):
        network = build_network(architecture, len(dataset["channel_names"]), _end(channels))
    for fold in reversed(folds):  # the network keeps the weights of the first fold
        network.load_state_dict(fold["network_weights"], assign=len(folds) == 1)
    schemes = set(configuration["normalization_schemes"])
    if schemes != {"ZScoreNormalization"}:
        raise ModelError(f"{folder} wants {', '.join(sorted(schemes))}; only z-score models are supported")
    for fold in folds:
        if not all(np.isfinite(value.float().numpy()).all() for value in fold["network_weights"].values()):
            raise ModelError(f"{folder} cannot be run: its weights hold NaN or infinite values; install it again")
    mirror_axes = folds[0].get("inference_allowed_mirroring_axes") or ()
    _check_geometry(plans["transpose_forward"], configuration, architecture, mirror_axes)
    return Model(
        network=network.float().eval().to(device),
        folds=[fold["network_weights"] for fold in folds],
        labels=labels,
        orientation=_orientation(dataset),
        permutation=tuple(plans["transpose_forward"]),
        spacing_mm=tuple(configuration["spacing"]),
        patch=tuple(configuration["patch_size"]),
        mask_normalization=bool(configuration["use_mask_for_norm"][0]),
        mirror_axes=tuple(mirror_axes),
        resampling={
            "image": configuration.get("resampling_fn_data_kwargs", {}),
            "logits": configuration.get("resampling_fn_probabilities_kwargs", {}),
        },
        heads=channels,
        files=hashes,
    )


def _check_geometry(
    permutation: Sequence[int], configuration: dict[str, Any], architecture: dict[str, Any], mirror_axes: Sequence[int]
) -> None:
    """Raise a `ValueError` if the network cannot run on the grid that the plans describe."""
    patch, spacing = configuration["patch_size"], configuration["spacing"]
    steps = np.prod(architecture["arch_kwargs"]["strides"], axis=0)
    if sorted(permutation) != [0, 1, 2]:
        raise ValueError(f"transpose_forward is {permutation}")
    if len(spacing) != len(patch) or not all(0 < length < float("inf") for length in spacing):
        raise ValueError(f"spacing is {spacing}")
    if len(patch) != len(steps) or any(size <= 0 or size % step for size, step in zip(patch, steps, strict=True)):
        raise ValueError(f"patch_size is {patch}, where the network needs multiples of {steps.tolist()}")
    if not all(isinstance(axis, int) and 0 <= axis < len(patch) for axis in mirror_axes):
        raise ValueError(f"inference_allowed_mirroring_axes is {mirror_axes}")


def check_input(model: Model) -> None:
    """Raise a `ModelError` unless a model takes one image of three dimensions."""
    if len(model.patch) != 3:
        raise ModelError(f"it is a model of {len(model.patch)} dimensions; only those of 3 can be run")
    n_channels = next(iter(model.network.parameters())).shape[1]
    if n_channels != 1:
        raise ModelError(f"it takes {n_channels} images at once; only models of one image can be run")


def check_runs(model: Model) -> None:
    """Run a model once, on a small block of zeros.

    Raises
    ------
    ModelError
        If the model does not take one image of three dimensions, or does not output one channel per class.
    """
    check_input(model)
    steps = np.prod(model.network.encoder.strides, axis=0).tolist()  # type: ignore[union-attr,arg-type]
    size = [min(size, 2 * step) for size, step in zip(model.patch, steps, strict=True)]
    try:
        with torch.inference_mode():
            shape = model.network(torch.zeros(1, 1, *size)).shape
    except RuntimeError as error:
        raise ModelError(f"it does not run ({str(error).splitlines()[0]})") from error
    if shape != (1, _end(model.heads), *size):
        raise ModelError(f"it gives {shape[1]} channels for {len(model.labels)} classes and background")


def _end(channels: dict[str, slice]) -> int:
    """Number of channels of all heads."""
    return max(int(part.stop) for part in channels.values())


def _add_heads(weights: dict[str, torch.Tensor], heads: dict[str, Any]) -> None:
    """Append the channels of further heads to the weights of the last layer, in place."""
    last = last_layer(weights)
    for key in [key for key in weights if ".seg_layers." in key]:
        layer, part = key.rsplit(".", 1)
        classes = weights[key]
        for head in heads.values():
            shape = (len(head["bias"]), *classes.shape[1:])
            added = torch.zeros(shape, dtype=classes.dtype)  # the outputs at coarser resolutions are not used
            if layer == last:
                added = torch.tensor(head[part], dtype=classes.dtype).reshape(shape)
            weights[key] = torch.cat([weights[key], added])


def trainer_folder(folder: Path) -> Path:
    """Return the trainer's folder: the given one, or the only one inside it.

    Raises
    ------
    ModelError
        If there is none, or more than one.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder} is not a folder; give a model folder with plans.json and dataset.json")
    if (folder / "plans.json").exists():
        return folder
    candidates = sorted(path.parent for path in folder.glob("*/plans.json"))
    if len(candidates) != 1:
        names = ", ".join(path.name for path in candidates)
        count = f"{len(candidates)} ({names})" if candidates else "none"
        raise ModelError(f"{folder} should hold one model folder with plans.json; found {count}")
    return candidates[0]


def _parse_json(path: Path, content: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(parsed, dict):
        raise ModelError(f"{path} is not what nnU-Net writes")
    return parsed


def _configuration(plans: dict[str, Any], name: str, heirs: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a configuration of the plans, with the entries that it inherits from another one."""
    configuration = plans["configurations"][name]
    parent = configuration.get("inherits_from")
    if parent and parent in (name, *heirs):
        raise ValueError(f"the configuration {name} inherits from itself")
    return (_configuration(plans, parent, (name, *heirs)) if parent else {}) | configuration


def _orientation(dataset: dict[str, Any]) -> str:
    """Return nibabel's axis codes for SCT's, which name the sides that axes come from and not those they lead to."""
    codes = dataset.get("image_orientation")
    if not codes:
        return DEFAULT_ORIENTATION
    if sorted(min(code, _OPPOSITE.get(code, "")) for code in codes) != ["A", "I", "L"]:
        raise ValueError(f"image_orientation is {codes}")
    return "".join(_OPPOSITE[code] for code in codes)
