"""The U-Nets that nnU-Net v2 plans describe: reading, writing and building them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from sct_rootlets.errors import ModelError
from sct_rootlets.models.plans import MAX_STAGES, shown

_SUPPORTED_NETWORKS = ("PlainConvUNet", "ResidualEncoderUNet")


def build_network(architecture: dict[str, Any], n_channels: int, n_classes: int) -> nn.Module:
    """Build the network that nnU-Net plans describe.

    Parameters
    ----------
    architecture : dict
        Entry ``architecture`` of a configuration in ``plans.json``.
    n_channels : int
        Number of channels of the input.
    n_classes : int
        Number of channels of the output, background included.

    Raises
    ------
    ModelError
        If it is not one of nnU-Net's U-Nets.
    """
    from dynamic_network_architectures.architectures import unet

    name = architecture["network_class_name"].rsplit(".", 1)[-1]
    if name not in _SUPPORTED_NETWORKS:
        raise ModelError(f"the model is a {name}; supported are {' and '.join(_SUPPORTED_NETWORKS)}")
    arguments = dict(architecture["arch_kwargs"])
    for key in architecture["_kw_requires_import"]:
        if isinstance(arguments[key], str):  # such as torch.nn.modules.conv.Conv3d; only torch.nn is searched
            arguments[key] = getattr(nn, arguments[key].rsplit(".", 1)[-1])
    return getattr(unet, name)(input_channels=n_channels, num_classes=n_classes, deep_supervision=False, **arguments)


def run_network(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Run a U-Net of `build_network` as calling it would: the same operations in the same order, in less memory.

    nnU-Net's networks hold the features of every resolution, and the input of a block of convolutions, to the end; here
    they are let go as soon as they have been used.

    Parameters
    ----------
    network : torch.nn.Module
    images : torch.Tensor, shape (N, channels, I, J, K)

    Returns
    -------
    torch.Tensor, shape (N, classes, I, J, K)
    """
    decoder: Any = network.decoder
    features: list[torch.Tensor] = network.encoder(images)  # type: ignore[operator]
    for enlarge, stage in zip(decoder.transpconvs, decoder.stages, strict=True):
        features.append(torch.cat((enlarge(features.pop()), features.pop()), 1))
        for layer in (layer for block in stage.convs for layer in block.all_modules):
            features.append(layer(features.pop()))
    return torch.as_tensor(decoder.seg_layers[-1](features.pop()))


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
        Number of channels at each resolution.
    convolutions : sequence of int, optional
        Number of convolutions at each resolution on the way down (2 by default); there is one on the way up.
    strides : sequence of sequence of int, optional
        Strides from each resolution to the next; by default each resolution is half as fine as the one before.
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
            "strides": [list(stride) for stride in strides or [[1] * dimensions] + [[2] * dimensions] * (n - 1)],
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


def read_architecture(configuration: dict[str, Any]) -> dict[str, Any]:
    """Read the architecture from a configuration in ``plans.json``.

    Plans by nnU-Net up to 2.2 hold the numbers of stages and features of its one family of U-Nets instead.
    """
    if configuration.get("architecture"):
        return configuration["architecture"]
    strides, kernels = configuration["pool_op_kernel_sizes"], configuration["conv_kernel_sizes"]
    min_features, max_features = configuration["UNet_base_num_features"], configuration["unet_max_num_features"]
    if not isinstance(strides, list) or not 0 < len(strides) <= MAX_STAGES:
        raise ValueError(f"pool_op_kernel_sizes is {shown(strides)}; expected a list of 1 to {MAX_STAGES} strides")
    features = [min(min_features * 2**n, max_features) for n in range(len(strides))]
    plain = configuration["UNet_class_name"] == "PlainConvUNet"
    architecture = plain_unet(features, None, strides, len(strides[0]))
    arguments = architecture["arch_kwargs"]
    del arguments["n_conv_per_stage"]
    arguments |= {
        "kernel_sizes": kernels,
        "n_conv_per_stage" if plain else "n_blocks_per_stage": configuration["n_conv_per_stage_encoder"],
        "n_conv_per_stage_decoder": configuration["n_conv_per_stage_decoder"],
    }
    return architecture | {"network_class_name": configuration["UNet_class_name"]}


def last_layer(weights: dict[str, torch.Tensor]) -> str:
    """Return the name of the layer that makes the output at full resolution, in the weights of a U-Net."""
    numbers = [int(key.split(".")[2]) for key in weights if key.startswith("decoder.seg_layers.")]
    return f"decoder.seg_layers.{max(numbers)}"
