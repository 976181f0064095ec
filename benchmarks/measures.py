"""Time and memory of measures: every figure of speed that docs/measures.md states.

    python benchmarks/measures.py series

``series``: a time series per level of a synthetic, compressed 4D image (300 volumes of 128×128×20 voxels, int16, six
levels), by the command itself: seconds and peak memory.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from sct_rootlets import compute_spinal_levels, save_levels
from sct_rootlets.phantom import draw_phantom, phantom_grid
from sct_rootlets.synthesis.cervical import cervical_anatomy

SHAPE, N_VOLUMES, VOXEL_MM, N_LEVELS = (128, 128, 20), 300, (1.0, 1.0, 5.0), 6


def write_inputs(folder: Path) -> list[str]:
    """Write levels of a phantom and a 4D image over them; returns the arguments of the command."""
    anatomy = cervical_anatomy()
    phantom = draw_phantom(anatomy, *phantom_grid(anatomy, (1, 1, 1), "PSR", margin_mm=16))
    rootlets = np.where(phantom.rootlets.data < 2 + N_LEVELS, phantom.rootlets.data, 0).astype(np.uint8)
    cord = nib.Nifti1Image(phantom.cord.data.astype(np.uint8), phantom.cord.affine)
    nib.save(cord, folder / "t2_seg.nii.gz")
    nib.save(nib.Nifti1Image(rootlets, phantom.cord.affine), folder / "t2_rootlets.nii.gz")
    subject = compute_spinal_levels(folder / "t2_rootlets.nii.gz", cord=folder / "t2_seg.nii.gz")
    save_levels(subject, folder / "levels", figure=False)
    middle = subject.centerline.position(subject.centerline.cord_length / 2)[0]
    affine = np.diag([*VOXEL_MM, 1.0])
    affine[:3, 3] = middle - (np.array(SHAPE) - 1) / 2 * VOXEL_MM
    rng = np.random.default_rng(0)
    data = rng.integers(0, 1000, (*SHAPE, N_VOLUMES), dtype=np.int16)
    nib.save(nib.Nifti1Image(data, affine), folder / "fmri.nii.gz")
    return ["-levels", str(folder / "levels"), "-s", str(folder / "t2_seg.nii.gz"), "-i", str(folder / "fmri.nii.gz")]


def measure_series() -> None:
    """Run the command in a process of its own; print its time and peak memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arguments = write_inputs(folder)
        command = [
            sys.executable,
            "-m",
            "sct_rootlets.cli.main",
            "measure",
            *arguments,
            "-ofolder",
            str(folder / "out"),
        ]
        start = time.perf_counter()
        subprocess.run([*command, "-figure", "0", "-v", "0"], check=True)
        seconds = time.perf_counter() - start
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        header = (folder / "out" / "t2_fmri_series.csv").read_text().splitlines()[0]
        size = (folder / "fmri.nii.gz").stat().st_size / 1e6
        shape = "×".join(map(str, SHAPE))
        print(f"{N_VOLUMES} volumes of {shape} ({size:.0f} MB compressed), {header.count('spinal ')} levels: "
              f"{seconds:.1f} s ({usage.ru_utime + usage.ru_stime:.1f} s of processor time), "
              f"{usage.ru_maxrss / 1024:.0f} MB")  # fmt: skip


def main() -> None:
    """Run the benchmark that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", choices=("series",))
    parser.parse_args()
    measure_series()


if __name__ == "__main__":
    main()
