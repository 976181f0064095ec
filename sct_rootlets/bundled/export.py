"""The nnU-Net v2 model folder of a trained network, which nnU-Net, SCT and this package can run."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sct_rootlets.levels import ABOVE_C2, BELOW_T1, FIRST_NAMED, LAST_NAMED, level_name
from sct_rootlets.models.files import HEADS_FILE

FOLDER_NAME = "nnUNetTrainer__nnUNetPlans__3d_fullres"
_RESAMPLING = "resample_data_or_seg_to_shape"


def write_model_folder(
    folder: str | os.PathLike[str],
    network: nn.Module,
    architecture: dict[str, Any],
    labels: dict[str, int],
    spacing_mm: tuple[float, ...],
    patch: tuple[int, ...],
    name: str = "Dataset001_rootlets",
    half: bool = False,
    heads: dict[str, dict[str, list[float]]] | None = None,
    channels: Sequence[str] = ("MRI",),
) -> Path:
    """Write a network with everything needed to run it.

    Parameters
    ----------
    folder : path
        The trainer's folder, ``nnUNetTrainer__nnUNetPlans__3d_fullres``, is made in it.
    network : torch.nn.Module
        Made by `sct_rootlets.models.architecture.build_network`; takes RAS images with reversed axes (S, A, R).
    architecture : dict
        Such as `sct_rootlets.models.architecture.plain_unet` describes.
    labels : dict of str to int
        Classes by name, background left out: ``lvl1``, ``lvl2``, … make SCT write one multi-level file.
    spacing_mm, patch : tuple
        Voxel size and tile size, along the reversed axes.
    name : str
        nnU-Net's name of the dataset.
    half : bool
        Store weights in half precision: half the size; they are converted back when loaded.
    heads : dict, optional
        Weights and biases of further channels of the last layer, flat, by name; nnU-Net does not see them.
    channels : sequence of str
        Names of the input channels.

    Returns
    -------
    Path
        The trainer's folder.
    """
    folder = Path(folder) / FOLDER_NAME
    (folder / "fold_0").mkdir(parents=True, exist_ok=True)
    weights = {key: value.detach().cpu() for key, value in network.state_dict().items()}
    if half:
        weights = _halved(weights)
    plans = _plans(architecture, spacing_mm, patch, name, len(channels))
    (folder / "plans.json").write_text(json.dumps(plans, indent=2) + "\n")
    (folder / "dataset.json").write_text(json.dumps(_dataset(labels, channels), indent=2) + "\n")
    if heads:
        (folder / HEADS_FILE).write_text(json.dumps(heads) + "\n")
    checkpoint = {
        "network_weights": weights,
        "init_args": {"configuration": "3d_fullres"},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": None,
    }
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")
    return folder


def segment_labels() -> dict[str, int]:
    """Return the classes of a network that names the cord's segments: above C2, C2 to T1, below T1."""
    levels = {level_name(value, "spinal"): value for value in range(FIRST_NAMED, LAST_NAMED + 1)}
    return {"above_C2": ABOVE_C2, **levels, "below_T1": BELOW_T1}


def _halved(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Convert weights to half precision; a weight with several names is still stored once."""
    once: dict[int, torch.Tensor] = {}
    for value in weights.values():
        if value.is_floating_point():
            once.setdefault(value.data_ptr(), value.half())
    return {key: once.get(value.data_ptr(), value) for key, value in weights.items()}


def _dataset(labels: dict[str, int], channels: Sequence[str]) -> dict[str, Any]:
    return {
        "channel_names": {str(index): name for index, name in enumerate(channels)},
        "labels": {"background": 0} | labels,
        "numTraining": 0,
        "file_ending": ".nii.gz",
        "image_orientation": "LPI",  # SCT's name for axes that lead to right, anterior and superior
    }


def _plans(
    architecture: dict[str, Any], spacing_mm: tuple[float, ...], patch: tuple[int, ...], name: str, n_channels: int
) -> dict[str, Any]:
    resampling: dict[str, Any] = {}
    for what, order, order_z in (("data", 3, 0), ("seg", 1, 0), ("probabilities", 1, 0)):
        resampling[f"resampling_fn_{what}"] = _RESAMPLING
        resampling[f"resampling_fn_{what}_kwargs"] = {
            "is_seg": what == "seg",
            "order": order,
            "order_z": order_z,
            "force_separate_z": None,
        }
    return {
        "dataset_name": name,
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": list(spacing_mm),
        "original_median_shape_after_transp": list(patch),
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": {}},  # z-scores do not use them
        "configurations": {
            "3d_fullres": {
                "data_identifier": "nnUNetPlans_3d_fullres",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 2,
                "patch_size": list(patch),
                "median_image_size_in_voxels": [float(n) for n in patch],
                "spacing": list(spacing_mm),
                "normalization_schemes": ["ZScoreNormalization"] * n_channels,
                "use_mask_for_norm": [False] * n_channels,
                **resampling,
                "architecture": architecture,
                "batch_dice": False,
            }
        },
    }
