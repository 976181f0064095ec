"""Other models of rootlets: their labels beside those of nnU-Net and of the Spinal Cord Toolbox, time and memory.

    python benchmarks/other_models.py -nnunet-python .venv-nnunet/bin/python -sct-python .venv-sct/bin/python -large
    python benchmarks/other_models.py -models DIR -scans t2.nii.gz -nnunet-python .venv-nnunet/bin/python

Runs each model on each scan: around the cord, over the full field of view, the same in bfloat16 where the CPU has
instructions for it, by nnU-Net itself (of an environment with ``nnunetv2``), and by SCT's own path (of an environment
in which SCT can be imported). Prints how many voxels differ from the full field of view; the lowest Dice of a level
within 15 mm of the cord, between the first and the last rootlets; time from a cold start; and peak memory. By
default, the bundled rootlets network runs as such a model, on a phantom on the grid of a 3T T2w scan (384×216×52
voxels of 1 mm); -large adds a network of 31 million parameters with random weights.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from nibabel.affines import apply_affine
from spinal_levels import measure, write_scan

from sct_rootlets.bids import stem
from sct_rootlets.centerline import fit_centerline
from sct_rootlets.image import Volume
from sct_rootlets.models.manifest import BUNDLED_FOLDER
from sct_rootlets.models.model import trainer_folder
from sct_rootlets.nifti import load_volume
from sct_rootlets.segmentation.tiles import has_bfloat16

#: Distance from the middle of the cord within which labels around the cord are compared with those of all tiles.
NEAR_MM = 15.0
#: How far beyond the first and the last rootlets labels are compared: far below T1, tiles around the cord end.
BEYOND_MM = 10.0

NNUNET = """
import os, sys
folder, image, output = sys.argv[1:]
for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
    os.environ[name] = os.path.dirname(output)
import torch
torch.set_num_threads(2)
import nibabel, numpy
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
predictor = nnUNetPredictor(tile_step_size=0.5, use_mirroring=False, device=torch.device("cpu"),
                            perform_everything_on_device=False, allow_tqdm=False)
folds = sorted(name[5:] for name in os.listdir(folder) if name.startswith("fold_"))
folds = tuple(int(fold) if fold.isdigit() else fold for fold in folds)
predictor.initialize_from_trained_model_folder(folder, folds)
source = nibabel.load(image)
there = nibabel.orientations.io_orientation(source.affine)
volume = nibabel.as_closest_canonical(source)
spacing = [float(mm) for mm in volume.header.get_zooms()[:3]]
data = numpy.asarray(volume.dataobj).transpose(2, 1, 0)[None].astype(numpy.float32)
labels = predictor.predict_single_npy_array(data, {"spacing": spacing[::-1]}).transpose(2, 1, 0)
labels = nibabel.orientations.apply_orientation(
    labels, nibabel.orientations.ornt_transform(nibabel.orientations.axcodes2ornt("RAS"), there))
nibabel.save(nibabel.Nifti1Image(labels.astype(numpy.uint8), source.affine), output)
"""

SCT = """
import os, sys, shutil, tempfile
folder, image, output = sys.argv[1:]
from unittest.mock import MagicMock
others = ("ivadomed", "ivadomed.inference", "ivadomed.utils", "ivadomed.transforms", "totalspineseg",
          "totalspineseg.inference")
for name in others:  # for other kinds of models; the first ones do not run with recent versions of torch
    sys.modules[name] = MagicMock()
import torch
from spinalcordtoolbox.deepseg import inference
from spinalcordtoolbox.deepseg.nnunet import create_nnunet_from_plans
predictor = create_nnunet_from_plans(os.path.dirname(folder), torch.device("cpu"))
with tempfile.TemporaryDirectory() as temporary:
    (written,), _ = inference.segment_nnunet(image, temporary, predictor, torch.device("cpu"))
    shutil.copy(written, output)
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-models", nargs="+", type=Path, default=[BUNDLED_FOLDER / "rootlets"], metavar="DIR")
    parser.add_argument("-scans", nargs="+", type=Path, default=[], metavar="FILE")
    parser.add_argument("-large", action="store_true", help="add a network of 31 million parameters")
    parser.add_argument("-nnunet-python", help="interpreter of an environment with nnunetv2")
    parser.add_argument(
        "-sct-python", help="interpreter of an environment with SCT (its source on PYTHONPATH is enough)"
    )
    parser.add_argument(
        "-runs",
        type=int,
        default=1,
        help="timed runs of each command, after one that is not counted (0: that one counts)",
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scan(folder)
        models = [trainer_folder(model) for model in arguments.models]
        if arguments.large:
            models.append(write_large_network(folder / "large"))
        (folder / "nnunet.py").write_text(NNUNET)
        (folder / "sct.py").write_text(SCT)
        print(f"{os.cpu_count()} cores, {arguments.runs} runs\n")
        print("| model | scan | by | time (s) | memory (MB) | voxels that differ | lowest Dice near the cord |")
        print("|---|---|---|---|---|---|---|")
        for model in models:
            for scan in arguments.scans or [folder / "t2.nii.gz"]:
                compare(model, scan, folder, arguments)


def compare(model: Path, scan: Path, folder: Path, arguments: argparse.Namespace) -> None:
    """Print the rows of a model on a scan."""
    ours = [sys.executable, "-m", "sct_rootlets.cli.deepseg", "rootlets", "-i", scan, "-model", model, "-threads", "2",
            "-v", "0", "-overwrite", "1"]  # fmt: skip
    outputs = {
        by: folder / f"{number}.nii.gz"
        for number, by in enumerate(("full", "cord", "full, bfloat16", "nnU-Net", "SCT"))
    }
    rows: dict[str, list[object]] = {
        "full": [*ours, "-fov", "full", "-o", outputs["full"]],
        "cord": [*ours, "-o", outputs["cord"]],
    }
    if has_bfloat16(torch.device("cpu")):
        rows["full, bfloat16"] = [
            *ours, "-fov", "full", "-precision", "bfloat16", "-o", outputs["full, bfloat16"],
        ]  # fmt: skip
    if arguments.nnunet_python:
        rows["nnU-Net"] = [arguments.nnunet_python, folder / "nnunet.py", model, scan, outputs["nnU-Net"]]
    if arguments.sct_python:
        rows["SCT"] = [arguments.sct_python, folder / "sct.py", model, scan, outputs["SCT"]]
    cord = folder / "cord.nii.gz"
    measure([sys.executable, "-m", "sct_rootlets.cli.deepseg", "rootlets_cord", "-i", str(scan), "-o", str(cord), "-v",
             "0", "-overwrite", "1"], 0)  # fmt: skip
    mask = load_volume(cord.with_name("cord_seg.nii.gz"))
    full: np.ndarray | None = None
    for by, command in rows.items():
        seconds, megabytes = measure([str(part) for part in command], arguments.runs)
        found = load_volume(outputs[by])
        full = found.data if full is None else full
        differ = int(np.count_nonzero(found.data != full))
        lowest = lowest_dice(found, full, mask)
        time_text = f"{np.median(seconds):.1f}" if len(seconds) else "-"
        print(f"| {model.parent.name} | {stem(scan.name)} | {by} | {time_text} | {megabytes:.0f} | {differ} | "
              f"{lowest:.4f} |", flush=True)  # fmt: skip


def lowest_dice(found: Volume, full: np.ndarray, mask: Volume) -> float:
    """Lowest Dice of a class, over voxels near the middle of the cord."""
    line = fit_centerline(mask.data > 0, mask.affine)
    ends = line.project(apply_affine(found.affine, np.argwhere(found.data > 0))).arc
    first, last = np.percentile(ends, [1, 99]) + np.array([-BEYOND_MM, BEYOND_MM])
    ijk = np.argwhere((found.data > 0) | (full > 0))
    place = line.project(apply_affine(found.affine, ijk))
    near = tuple(ijk[(place.distance <= NEAR_MM) & (place.arc >= first) & (place.arc <= last)].T)
    ours, theirs = found.data[near], full[near]
    scores = [
        2 * np.sum((ours == value) & (theirs == value)) / (np.sum(ours == value) + np.sum(theirs == value))
        for value in np.unique(theirs[theirs > 0])
    ]
    return float(min(scores, default=np.nan))


def write_large_network(folder: Path) -> Path:
    """Write a model folder of a network as large as published ones, with random weights."""
    from sct_rootlets.bundled.export import write_model_folder
    from sct_rootlets.models.architecture import build_network, plain_unet

    torch.manual_seed(0)
    architecture = plain_unet((32, 64, 128, 256, 320, 320))
    architecture["arch_kwargs"]["n_conv_per_stage_decoder"] = [2] * 5
    labels = {f"lvl{value}": value for value in range(1, 10)}
    network = build_network(architecture, 1, len(labels) + 1)
    print(f"large: {sum(one.numel() for one in network.parameters()) / 1e6:.1f} million parameters\n")
    with torch.no_grad():
        head = network.decoder.seg_layers[-1]
        head.weight.normal_()
        head.weight -= head.weight.mean(dim=0)
        head.bias -= network(torch.randn(1, 1, 64, 64, 64)).mean(dim=(0, 2, 3, 4))
    return write_model_folder(folder, network, architecture, labels, (0.706,) * 3, (256, 128, 64))


if __name__ == "__main__":
    main()
