"""The forms in which nnU-Net models are published, made of tiny networks that nobody trained."""

import json
import shutil
from pathlib import Path

from published import write_model

TO_T1 = {f"lvl{value}": value for value in range(1, 10)}
TO_C8 = {f"lvl{value}": value for value in range(1, 9)}
MARGINS = {f"pad_{side}": 15 for side in ("superior", "inferior", "left", "right", "anterior", "posterior")}
LAYOUTS = ("r20250318", "r20240730", "fold_all", "five folds", "best only", "plans before 2024", "cropped", "residual")


def write_layout(folder, layout):
    """Write a model; returns the folder of the release, which holds the trainer's folder."""
    folder = Path(folder)
    trainer = write_model(folder, labels=TO_C8 if layout == "r20240730" else TO_T1)
    first = trainer / "fold_0"
    if layout in ("fold_all", "cropped"):  # as the models on cropped images are published
        first = first.rename(trainer / "fold_all")
    if layout in ("best only", "cropped"):
        (first / "checkpoint_final.pth").rename(first / "checkpoint_best.pth")
    if layout == "five folds":
        for number in range(1, 5):
            other = write_model(folder / f"other{number}", seed=number, labels=TO_T1)
            shutil.move(other / "fold_0", trainer / f"fold_{number}")
            shutil.rmtree(folder / f"other{number}")
    if layout == "cropped":
        (folder / "crop_metadata.json").write_text(json.dumps(MARGINS))
    if layout == "plans before 2024":
        with_old_plans(trainer)
    if layout == "residual":
        with_residual_encoder(trainer)
    return folder


def with_old_plans(trainer):
    """Describe the network as nnU-Net did up to 2.2: by numbers of stages and features."""
    path = trainer / "plans.json"
    plans = json.loads(path.read_text())
    configuration = plans["configurations"]["3d_fullres"]
    arguments = configuration.pop("architecture")["arch_kwargs"]
    features = arguments["features_per_stage"]
    configuration |= {
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": features[0],
        "unet_max_num_features": features[-1],
        "n_conv_per_stage_encoder": arguments["n_conv_per_stage"],
        "n_conv_per_stage_decoder": arguments["n_conv_per_stage_decoder"],
        "num_pool_per_axis": [len(features) - 1] * 3,
        "pool_op_kernel_sizes": arguments["strides"],
        "conv_kernel_sizes": arguments["kernel_sizes"],
    }
    path.write_text(json.dumps(plans))


def with_residual_encoder(trainer):
    """Replace the network by one with a residual encoder."""
    import torch

    from sct_rootlets.bundled.export import write_model_folder
    from sct_rootlets.models.architecture import build_network, plain_unet

    torch.manual_seed(0)
    architecture = plain_unet((2, 4), convolutions=(1, 1))
    architecture["network_class_name"] = architecture["network_class_name"].replace("PlainConv", "ResidualEncoder")
    arguments = architecture["arch_kwargs"]
    arguments["n_blocks_per_stage"] = arguments.pop("n_conv_per_stage")
    network = build_network(architecture, 1, len(TO_T1) + 1)
    shutil.rmtree(trainer)
    write_model_folder(trainer.parent, network, architecture, TO_T1, (1.0, 1.0, 1.0), (16, 16, 16))
