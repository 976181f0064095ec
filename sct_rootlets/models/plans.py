"""What the plans of a model may hold: numbers of the right kind, and networks that can be built and run.

The limits are wide: all published models of rootlets, and nnU-Net's largest presets (Isensee 2024, arXiv 2404.09556),
are well within. Beyond them, building or running the network would end in a traceback, or fill the memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

#: Voxel sizes that images are resampled to, in mm: at 0.1 mm, a scan of the neck has 10^10 voxels.
MIN_SPACING_MM, MAX_SPACING_MM = 0.2, 10.0
#: Largest size of a tile along an axis, and in all, in voxels.
MAX_PATCH, MAX_PATCH_VOXELS = 512, 2**25
MAX_STAGES, MAX_CONVOLUTIONS, MAX_FEATURES, MAX_KERNEL, MAX_STRIDE = 10, 32, 2048, 15, 8
#: Largest number of weights, which take 4 GB.
MAX_WEIGHTS = 10**9
#: Largest number of classes.
MAX_CLASSES = 255
_BLOCKS = ("n_conv_per_stage", "n_blocks_per_stage")


def check_plans(
    permutation: Any, configuration: dict[str, Any], architecture: dict[str, Any], labels: dict[str, Any]
) -> None:
    """Check numbers before anything is built from them.

    Parameters
    ----------
    permutation : list of int
        Entry ``transpose_forward`` of the plans.
    configuration : dict
        Configuration of the plans, with what it inherits.
    architecture : dict
        Its architecture; see `sct_rootlets.models.architecture.read_architecture`.
    labels : dict of str to int
        Classes by name, background left out.

    Raises
    ------
    ValueError
        If a value cannot be; the message is the name of the entry, and the value.
    KeyError
        If an entry is missing.
    """
    _whole("labels", list(labels.values()), 1, MAX_CLASSES)
    _whole("transpose_forward", permutation, 0, 2)
    patch, spacing = configuration["patch_size"], configuration["spacing"]
    _whole("patch_size", patch, 1, MAX_PATCH)
    if math.prod(patch) > MAX_PATCH_VOXELS:
        raise ValueError(f"patch_size is {patch}: more than {MAX_PATCH_VOXELS} voxels")
    sizes = spacing if isinstance(spacing, list) else [spacing]
    if len(sizes) != len(patch):
        raise ValueError(f"spacing is {shown(spacing)}, where patch_size has {len(patch)} axes")
    if not all(_is_number(size) and MIN_SPACING_MM <= size <= MAX_SPACING_MM for size in sizes):
        raise ValueError(f"spacing is {shown(spacing)}; expected {MIN_SPACING_MM:g} to {MAX_SPACING_MM:g} mm")
    _check_network(architecture["arch_kwargs"], len(patch))
    for key in ("resampling_fn_data_kwargs", "resampling_fn_probabilities_kwargs"):
        settings = configuration.get(key, {})
        for order in ("order", "order_z"):
            _whole(f"{key} {order}", [settings.get(order, 0)], 0, 5)


def _check_network(arguments: dict[str, Any], dimensions: int) -> None:
    _whole("n_stages", [arguments["n_stages"]], 1, MAX_STAGES)
    stages = arguments["n_stages"]
    features = _per_stage("features_per_stage", arguments["features_per_stage"], stages, MAX_FEATURES)
    blocks = {key: arguments[key] for key in _BLOCKS if key in arguments}
    if not blocks:
        raise KeyError(_BLOCKS[0])
    n_blocks = next(_per_stage(key, value, stages, MAX_CONVOLUTIONS) for key, value in blocks.items())
    _per_stage("n_conv_per_stage_decoder", arguments["n_conv_per_stage_decoder"], stages - 1, MAX_CONVOLUTIONS)
    kernels = _per_axis("kernel_sizes", arguments["kernel_sizes"], stages, dimensions, MAX_KERNEL)
    _per_axis("strides", arguments["strides"], stages, dimensions, MAX_STRIDE)
    weights = sum(
        math.prod(kernel) * n * width**2 for kernel, n, width in zip(kernels, n_blocks, features, strict=True)
    )
    if weights > MAX_WEIGHTS:
        raise ValueError(f"features_per_stage is {features}: the network would have more than {MAX_WEIGHTS} weights")
    epsilon = (arguments.get("norm_op_kwargs") or {}).get("eps", 1e-5)
    if not _is_number(epsilon) or not 0 < epsilon < 1:
        raise ValueError(f"norm_op_kwargs eps is {shown(epsilon)}; expected a number between 0 and 1")


def _per_stage(name: str, value: Any, stages: int, most: int) -> list[int]:
    """Check whole numbers, one for each stage or one for all; returns one for each."""
    values = value if isinstance(value, list) else [value] * stages
    _whole(name, values, 1, most)
    if len(values) != stages:
        raise ValueError(f"{name} has {len(values)} entries, not {stages}")
    return values


def _per_axis(name: str, value: Any, stages: int, dimensions: int, most: int) -> list[list[int]]:
    """Check whole numbers for each stage and axis; returns them for each stage."""
    values = value if isinstance(value, list) else [value] * stages
    if len(values) != stages:
        raise ValueError(f"{name} has {len(values)} entries, not {stages}")
    axes = [each if isinstance(each, list) else [each] * dimensions for each in values]
    for each in axes:
        _whole(name, each, 1, most)
        if len(each) != dimensions:
            raise ValueError(f"{name} has {shown(each)}, where patch_size has {dimensions} axes")
    return axes


def _whole(name: str, values: Any, least: int, most: int) -> None:
    """Raise a `ValueError` unless all values are whole numbers within limits."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise ValueError(f"{name} is {shown(values)}; expected a list of whole numbers")
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"{name} is {shown(value)}; expected whole numbers from {least} to {most}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def shown(value: Any) -> str:
    """Return a value for a message, not longer than a line can hold."""
    text = " ".join(str(value)[:200].split())
    return text if len(text) <= 80 else f"{text[:77]}..."
