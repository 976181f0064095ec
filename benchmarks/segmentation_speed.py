"""Time and memory of ``sct_deepseg`` as a whole process, beside nnU-Net itself on the same model folder.

    python benchmarks/segmentation_speed.py
    python benchmarks/segmentation_speed.py -nnunet-python .venv-nnunet/bin/python

Draws a phantom on the grid of a 3T T2w scan (384×216×52 voxels of 1 mm). nnU-Net runs without mirroring, at the same
tile step and with the same number of threads, in the interpreter that is given: of an environment with ``nnunetv2``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

from spinal_levels import SHAPE, measure, write_scan

from sct_rootlets.models.manifest import BUNDLED_FOLDER
from sct_rootlets.segmentation.tiles import TILE_STEP

NNUNET = """
import os, sys
folder, image, output = sys.argv[1:]
for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
    os.environ[name] = os.path.dirname(output)
import torch
torch.set_num_threads(2)
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
predictor = nnUNetPredictor(tile_step_size=STEP, use_mirroring=False, device=torch.device("cpu"),
                            perform_everything_on_device=False, allow_tqdm=False)
predictor.initialize_from_trained_model_folder(folder, (0,))
predictor.predict_from_files_sequential([[image]], [output], save_probabilities=False, overwrite=True)
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-runs", type=int, default=3, help="timed runs of each command, after one that is not counted")
    parser.add_argument("-nnunet-python", help="interpreter of an environment with nnunetv2")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scan(folder)
        ours = [sys.executable, "-m", "sct_rootlets.cli.deepseg"]
        rows = [
            ("sct_deepseg -h", [*ours, "-h"]),
            ("sct_deepseg rootlets_cord",
             [*ours, "rootlets_cord", "-i", folder / "t2.nii.gz", "-o", folder / "out.nii.gz", "-threads", "2"]),
            ("sct_deepseg rootlets -qc",
             [*ours, "rootlets", "-i", folder / "t2.nii.gz", "-o", folder / "out2.nii.gz", "-threads", "2",
              "-qc", folder / "qc"]),
        ]  # fmt: skip
        if arguments.nnunet_python:
            (folder / "nnunet.py").write_text(NNUNET.replace("STEP", str(TILE_STEP)))
            model = next((BUNDLED_FOLDER / "rootlets").glob("nnUNetTrainer*"))
            rows.append(("nnU-Net, the same rootlets model",
                         [arguments.nnunet_python, folder / "nnunet.py", model, folder / "t2.nii.gz",
                          folder / "theirs.nii.gz"]))  # fmt: skip
        print(f"{os.cpu_count()} cores, {'×'.join(map(str, SHAPE))} voxels, {arguments.runs} runs\n")
        print("| command | median (s) | range (s) | peak memory (MB) |\n|---|---|---|---|")
        medians = {}
        for title, command in rows:
            seconds, megabytes = measure([str(part) for part in command], arguments.runs)
            medians[title] = statistics.median(seconds)
            spread = f"{min(seconds):.2f}-{max(seconds):.2f}"
            print(f"| {title} | {medians[title]:.2f} | {spread} | {megabytes:.0f} |", flush=True)
        if arguments.nnunet_python:
            whole, theirs = (medians[title] for title, _ in (rows[1], rows[-1]))
            print(f"\nnnU-Net takes {theirs / whole:.1f} times as long")


if __name__ == "__main__":
    main()
