"""Read a trained nnU-Net v2 folder, without nnU-Net.

The folder holds ``plans.json``, ``dataset.json`` and ``fold_N/checkpoint_final.pth``, as nnU-Net v2 writes it (Isensee
2021, doi 10.1038/s41592-020-01008-z) and as SCT installs it. Tensors are loaded without running code from the file.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sct_rootlets.errors import ModelError

#: Axis codes (nibabel's) that a model expects where its dataset.json has no ``image_orientation``: SCT's LPI.
DEFAULT_ORIENTATION = "RAS"
#: Weights of the channels that follow those of the classes, beside plans.json: nnU-Net does not look at it.
HEADS = "heads.json"
_OPPOSITE = dict(zip("LRAPIS", "RLPASI", strict=True))
_ARCHITECTURES = ("PlainConvUNet", "ResidualEncoderUNet")
# nnU-Net stores its log and its settings beside the weights; of what they hold, only these are no plain values: numpy's
# scalars, under the names of numpy before 2 and since, and their types.
_SCALAR = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
_ALLOWED = [np.dtype, np.dtypes.Float64DType, np.dtypes.Float32DType, np.dtypes.Int64DType]


@dataclass(frozen=True)
class Model:
    """A segmentation network and how it wants its input.

    Array axes are those of nnU-Net: the image in `orientation`, its axes reversed (k, j, i), then permuted.

    Attributes
    ----------
    network : torch.nn.Module
        With the weights of the first fold.
    folds : list of dict
        Weights of each fold; their predictions are averaged.
    labels : dict of str to int
        Value of each class by name, background left out.
    orientation : str
        nibabel's axis codes of the input, such as ``"RAS"``.
    permutation : tuple of int
        Of the reversed axes.
    spacing_mm : tuple of float
        Voxel size that images are resampled to, along the permuted axes.
    patch : tuple of int
        Size of a tile in voxels.
    mask_normalization : bool
        Whether intensities are standardised over the voxels that are not zero.
    mirror_axes : tuple of int
        Axes along which test-time augmentation may mirror.
    resampling : dict
        Orders of the interpolation of image and logits.
    heads : dict of str to slice
        Channels of the output: ``levels`` (background and `labels`), and what this package adds in ``heads.json``,
        such as ``cord`` and ``roots``.
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


def load_model(folder: str | os.PathLike[str], device: str | torch.device = "cpu") -> Model:
    """Load an nnU-Net v2 model folder.

    Parameters
    ----------
    folder : path
        That of the trainer (``nnUNetTrainer__nnUNetPlans__3d_fullres``), or a folder that holds just one such folder.
    device : str or torch.device

    Raises
    ------
    ModelError
        If files are missing or damaged, the architecture is unknown, or the weights do not fit it.
    """
    folder = trainer_folder(Path(folder))
    plans, dataset = _read_json(folder / "plans.json"), _read_json(folder / "dataset.json")
    checkpoints = sorted(folder.glob("fold_*/checkpoint_final.pth"))
    if not checkpoints:
        raise ModelError(f"{folder} holds no fold_*/checkpoint_final.pth; install the model again")
    folds = [read_checkpoint(path) for path in checkpoints]
    try:
        configuration = _configuration(plans, folds[0]["init_args"]["configuration"])
        architecture = configuration.get("architecture") or _architecture_before_2024(configuration)
        labels = {name: value for name, value in dataset["labels"].items() if name != "background"}
        if sorted(labels.values()) != list(range(1, len(labels) + 1)):
            raise ValueError(f"its labels have the values {', '.join(map(str, labels.values()))}, not 1, 2, ...")
        heads = _read_json(folder / HEADS) if (folder / HEADS).exists() else {}
        channels = {"levels": slice(0, len(labels) + 1)}
        for name, head in heads.items():
            channels[name] = slice(_end(channels), _end(channels) + len(head["bias"]))
        for fold in folds:
            _add_heads(fold["network_weights"], heads)
        network = build_network(architecture, len(dataset["channel_names"]), _end(channels))
        for fold in reversed(folds):  # those of the first stay
            network.load_state_dict(fold["network_weights"])
        schemes = set(configuration["normalization_schemes"])
        if schemes != {"ZScoreNormalization"}:
            raise ModelError(f"{folder} wants {', '.join(sorted(schemes))}; only z-score models are supported")
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
        )
    except KeyError as error:
        raise ModelError(f"{folder} is no nnU-Net v2 model that can be run: {error} is missing from it") from error
    except (ArithmeticError, AssertionError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise ModelError(f"plans.json or dataset.json in {folder} is not what nnU-Net v2 writes ({error})") from error
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"the weights in {folder} do not fit its plans ({reason})") from error


def _check_geometry(
    permutation: Sequence[int], configuration: dict[str, Any], architecture: dict[str, Any], mirror_axes: Sequence[int]
) -> None:
    """Raise a `ValueError` if plans describe no grid that the network could run on."""
    patch, spacing = configuration["patch_size"], configuration["spacing"]
    steps = np.prod(architecture["arch_kwargs"]["strides"], axis=0)
    if sorted(permutation) != [0, 1, 2]:
        raise ValueError(f"transpose_forward is {permutation}")
    if len(spacing) != len(patch) or not all(0 < length < float("inf") for length in spacing):
        raise ValueError(f"spacing is {spacing}")
    if len(patch) != len(steps) or any(size <= 0 or size % step for size, step in zip(patch, steps, strict=True)):
        raise ValueError(f"patch_size is {patch}, where the network needs multiples of {steps.tolist()}")
    if not set(mirror_axes) <= set(range(len(patch))):
        raise ValueError(f"inference_allowed_mirroring_axes is {mirror_axes}")


def check_runs(model: Model) -> None:
    """Run a model once, on a small block of zeros.

    Raises
    ------
    ModelError
        If it is not of three dimensions, holds weights that are no numbers, or does not give a channel a class.
    """
    if len(model.patch) != 3:
        raise ModelError(f"it is a model of {len(model.patch)} dimensions; only those of 3 can be run")
    if not all(torch.isfinite(value).all() for fold in model.folds for value in fold.values()):
        raise ModelError("its weights hold NaN or infinite values")
    steps = np.prod(model.network.encoder.strides, axis=0).tolist()  # type: ignore[union-attr,arg-type]
    size = [min(size, 2 * step) for size, step in zip(model.patch, steps, strict=True)]
    n_channels = next(iter(model.network.parameters())).shape[1]
    try:
        with torch.inference_mode():
            shape = model.network(torch.zeros(1, n_channels, *size)).shape
    except RuntimeError as error:
        raise ModelError(f"it does not run ({str(error).splitlines()[0]})") from error
    if shape != (1, _end(model.heads), *size):
        raise ModelError(f"it gives {shape[1]} channels for {len(model.labels)} classes and background")


def _end(channels: dict[str, slice]) -> int:
    return max(int(part.stop) for part in channels.values())


def _add_heads(weights: dict[str, torch.Tensor], heads: dict[str, Any]) -> None:
    """Append the channels of further heads to the last layer's weights."""
    last = last_layer(weights)
    for key in [key for key in weights if ".seg_layers." in key]:
        layer, part = key.rsplit(".", 1)
        known = weights[key]
        for head in heads.values():
            n_more = len(head["bias"])
            more = torch.zeros((n_more, *known.shape[1:]), dtype=known.dtype)  # coarser outputs are not used
            if layer == last:
                more = torch.tensor(head[part], dtype=known.dtype).reshape(more.shape)
            weights[key] = torch.cat([weights[key], more])


def last_layer(weights: dict[str, torch.Tensor]) -> str:
    """Name of the layer that makes the output at full resolution, in the weights of a U-Net."""
    numbers = [int(key.split(".")[2]) for key in weights if key.startswith("decoder.seg_layers.")]
    return f"decoder.seg_layers.{max(numbers)}"


def trainer_folder(folder: Path) -> Path:
    """The folder itself if it is a trainer's, or the one in it that is; raises a `ModelError` if there is none."""
    if not folder.is_dir():
        raise ModelError(f"{folder} is no folder; give a model folder with plans.json and dataset.json")
    if (folder / "plans.json").exists():
        return folder
    candidates = sorted(path.parent for path in folder.glob("*/plans.json"))
    if len(candidates) != 1:
        found = "none" if not candidates else f"{len(candidates)} ({', '.join(path.name for path in candidates)})"
        raise ModelError(f"{folder} should hold one model folder with plans.json; found {found}")
    return candidates[0]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing; install the model again") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} is not what nnU-Net writes")
    return content


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without unpickling anything but tensors, plain values and numpy scalars."""
    try:
        checkpoint = _load_weights_only(path)
    except Exception as error:
        raise ModelError(f"{path} is damaged, or holds more than weights; it was not loaded") from error
    missing = {"network_weights", "init_args"} - set(checkpoint if isinstance(checkpoint, dict) else ())
    if missing:
        raise ModelError(f"{path} lacks {', '.join(sorted(missing))}: it is no checkpoint of nnU-Net v2")
    return checkpoint


def _numpy_scalar() -> Any:
    """What numpy makes scalars by; its home moved in numpy 2."""
    return np.float64(0).__reduce__()[0]


def allowed_globals() -> list[Any]:
    """What may be in a checkpoint beside tensors and plain values, for `torch.serialization.safe_globals`."""
    return [*_ALLOWED, *((_numpy_scalar(), name) for name in _SCALAR)]


def _load_weights_only(path: Path) -> Any:
    scalar = _numpy_scalar()
    if not hasattr(torch.serialization, "safe_globals"):  # before torch 2.5, as in SCT: weights_only knows no numpy
        from sct_rootlets.models import unpickling

        return unpickling.load(path, scalar)
    with torch.serialization.safe_globals(allowed_globals()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of files that are refused in the next moment
        return torch.load(path, map_location="cpu", weights_only=True)


def _configuration(plans: dict[str, Any], name: str) -> dict[str, Any]:
    """A configuration of the plans, with what it inherits."""
    configuration = plans["configurations"][name]
    parent = configuration.get("inherits_from")
    return (_configuration(plans, parent) if parent else {}) | configuration


def _architecture_before_2024(configuration: dict[str, Any]) -> dict[str, Any]:
    """Architecture of plans by nnU-Net up to 2.2, which name the numbers that its one family of U-Nets is made of."""
    strides, kernels = configuration["pool_op_kernel_sizes"], configuration["conv_kernel_sizes"]
    first, most = configuration["UNet_base_num_features"], configuration["unet_max_num_features"]
    plain = configuration["UNet_class_name"] == "PlainConvUNet"
    architecture = plain_unet([min(first * 2**n, most) for n in range(len(strides))], None, strides, len(strides[0]))
    arguments = architecture["arch_kwargs"]
    del arguments["n_conv_per_stage"]
    arguments |= {
        "kernel_sizes": kernels,
        "n_conv_per_stage" if plain else "n_blocks_per_stage": configuration["n_conv_per_stage_encoder"],
        "n_conv_per_stage_decoder": configuration["n_conv_per_stage_decoder"],
    }
    return architecture | {"network_class_name": configuration["UNet_class_name"]}


def build_network(architecture: dict[str, Any], n_channels: int, n_classes: int) -> nn.Module:
    """Build the network that nnU-Net plans describe.

    Parameters
    ----------
    architecture : dict
        The ``architecture`` of a configuration in ``plans.json``.
    n_channels, n_classes : int
        Of the input, and of the output with background.

    Raises
    ------
    ModelError
        If it is not one of nnU-Net's U-Nets.
    """
    from dynamic_network_architectures.architectures import unet

    name = architecture["network_class_name"].rsplit(".", 1)[-1]
    if name not in _ARCHITECTURES:
        raise ModelError(f"the model is a {name}; supported are {' and '.join(_ARCHITECTURES)}")
    arguments = dict(architecture["arch_kwargs"])
    for key in architecture["_kw_requires_import"]:
        if isinstance(arguments[key], str):  # such as torch.nn.modules.conv.Conv3d; only torch.nn is looked in
            arguments[key] = getattr(nn, arguments[key].rsplit(".", 1)[-1])
    return getattr(unet, name)(input_channels=n_channels, num_classes=n_classes, deep_supervision=False, **arguments)


def plain_unet(
    features: Sequence[int],
    convolutions: Sequence[int] | None = None,
    strides: Sequence[Sequence[int]] | None = None,
    dimensions: int = 3,
) -> dict[str, Any]:
    """Describe a plain U-Net as nnU-Net plans do.

    Parameters
    ----------
    features : sequence of int
        Channels at each resolution.
    convolutions : sequence of int, optional
        At each resolution on the way down (2 by default); there is one on the way up.
    strides : sequence of sequence of int, optional
        From each resolution to the next; by default each is half as fine as the one before.
    dimensions : int
        2 or 3.
    """
    n = len(features)
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": n,
            "features_per_stage": list(features),
            "conv_op": f"torch.nn.modules.conv.Conv{dimensions}d",
            "kernel_sizes": [[3] * dimensions] * n,
            "strides": [list(one) for one in strides or [[1] * dimensions] + [[2] * dimensions] * (n - 1)],
            "n_conv_per_stage": list(convolutions or [2] * n),
            "n_conv_per_stage_decoder": [1] * (n - 1),
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dimensions}d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def _orientation(dataset: dict[str, Any]) -> str:
    """Nibabel's axis codes; SCT's name the sides that axes come from, nibabel's those that they lead to."""
    theirs = dataset.get("image_orientation")
    if not theirs:
        return DEFAULT_ORIENTATION
    if sorted(min(code, _OPPOSITE.get(code, "")) for code in theirs) != ["A", "I", "L"]:
        raise ValueError(f"image_orientation is {theirs}")
    return "".join(_OPPOSITE[code] for code in theirs)
