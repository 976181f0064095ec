"""Time and memory of ``sct_compute_spinal_levels`` as whole processes, from a cold interpreter.

    python benchmarks/spinal_levels.py

Draws a phantom on the grid of a 3T T2w scan (384×216×52 voxels of 1 mm), runs the installed commands on it, and
prints a table: median and range of the wall time, and peak memory. Where the Spinal Cord Toolbox is on the PATH,
the step of the published pipeline that this command replaces, ``sct_process_segmentation -pmj``, is timed beside it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from sct_rootlets.nifti import save_volume
from sct_rootlets.phantom import draw_phantom, phantom_grid
from sct_rootlets.synthesis.cervical import cervical_anatomy

SHAPE = (384, 216, 52)
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "2")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-runs", type=int, default=5, help="timed runs of each command, after one that is not counted")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scan(folder)
        labels = [*("-rootlets", folder / "t2_rootlets.nii.gz", "-s", folder / "t2_seg.nii.gz"),
                  *("-ldisc", folder / "t2_discs.nii.gz", "-pmj", folder / "t2_pmj.nii.gz"),
                  *("-i", folder / "t2.nii.gz", "-ofolder", folder / "levels")]  # fmt: skip
        command = [sys.executable, "-m", "sct_rootlets.cli.compute_spinal_levels"]
        rows = [
            ("sct_compute_spinal_levels -h", [*command, "-h"]),
            ("sct_compute_spinal_levels -discs none, no figure", [*command, *labels, "-discs", "none", "-figure", "0"]),
            ("sct_compute_spinal_levels -discs none, with figure", [*command, *labels, "-discs", "none"]),
            ("sct_compute_spinal_levels, with figure", [*command, *labels]),
        ]
        if shutil.which("sct_process_segmentation"):
            theirs = ["sct_process_segmentation", "-i", folder / "t2_seg.nii.gz", "-pmj", folder / "t2_pmj.nii.gz",
                      "-pmj-distance", "50", "-v", "2", "-o", folder / "csa.csv"]  # fmt: skip
            rows.append(("SCT: sct_process_segmentation -pmj -v 2", theirs))
        else:
            print("sct_process_segmentation is not on the PATH: not timed\n")
        print(f"{os.cpu_count()} cores, {'×'.join(map(str, SHAPE))} voxels, {runs} runs\n")
        print("| command | median (s) | range (s) | peak memory (MB) |\n|---|---|---|---|")
        for title, arguments in rows:
            seconds, megabytes = measure([str(part) for part in arguments], runs)
            spread = f"{min(seconds):.2f}-{max(seconds):.2f}"
            print(f"| {title} | {statistics.median(seconds):.2f} | {spread} | {megabytes:.0f} |", flush=True)


def write_scan(folder: Path) -> None:
    """Draw the phantom in the corner of a volume as large as a scan's, and write it as five files."""
    anatomy = cervical_anatomy()
    shape, affine = phantom_grid(anatomy, (1, 1, 1), "PSR")
    phantom = draw_phantom(anatomy, shape, affine)
    # Voxels in front of, below and beside the phantom: indices stay, so the affine does too.
    padding = [(0, full - part) for full, part in zip(SHAPE, shape, strict=True)]
    volumes = {"t2": phantom.image, "t2_seg": phantom.cord, "t2_rootlets": phantom.rootlets,
               "t2_discs": phantom.discs, "t2_pmj": phantom.pmj}  # fmt: skip
    for name, volume in volumes.items():
        data = np.pad(volume.data, padding)
        if name == "t2":
            data = data + np.random.default_rng(0).integers(0, 20, SHAPE).astype(np.int16)
        save_volume(folder / f"{name}.nii.gz", data, affine)


# A process of its own, small, so that the memory it reports is that of the command and not of this one.
MEASURE = """
import resource, subprocess, sys, time
start = time.perf_counter()
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


def measure(command: list[str], runs: int) -> tuple[list[float], float]:
    """Wall times of a command in seconds, and the largest resident memory of its runs in MB."""
    seconds, kilobytes = [], 0.0
    for run in range(runs + 1):
        done = subprocess.run([sys.executable, "-c", MEASURE, *command], stdout=subprocess.PIPE, text=True, check=True,
                              env=os.environ | THREADS)  # fmt: skip
        wall, peak = map(float, done.stdout.split())
        if run or not runs:  # the first fills the disk cache
            seconds.append(wall)
        kilobytes = max(kilobytes, peak / (1024 if sys.platform == "darwin" else 1))
    return seconds, kilobytes / 1024


if __name__ == "__main__":
    main()
