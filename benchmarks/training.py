"""``sct_rootlets train`` from a BIDS folder of phantoms to a model that is installed and run, on a CPU, in minutes.

    python benchmarks/training.py -ofolder training_demo
    python benchmarks/training.py -subjects 6 -epochs 20 -iterations 50

Needs the extra ``nnunet``. Draws phantoms in four contrasts (T2w, INV1, INV2, UNIT1), trains one fold by nnU-Net from
the bundled weights, stopping half-way once and going on, packs the model, installs it into a folder of its own, runs it
by ``sct_deepseg`` on the test scans, and prints their Dice: of all rootlets, and by level. In a few minutes a network
learns where rootlets are, but hardly their levels: the benchmark shows the workflow, not the quality.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from sct_rootlets.levels import level_name
from sct_rootlets.nifti import load_volume, save_volume
from sct_rootlets.phantom import draw_phantom, phantom_grid
from sct_rootlets.synthesis.cervical import cervical_anatomy

#: What becomes of the T2w phantom's intensities: muscle, bone, cord, disc, rootlets, fluid.
T2W = (0, 60, 75, 105, 110, 120, 200)
CONTRASTS = {
    "T2w": T2W,
    "inv-1_part-mag_MP2RAGE": (0, 120, 90, 170, 120, 150, 25),
    "inv-2_part-mag_MP2RAGE": (0, 90, 70, 110, 100, 120, 180),
    "UNIT1": (0, 110, 120, 190, 110, 160, 20),
}


def write_bids(folder: Path, n_subjects: int, arc_mm: tuple[float, float] = (8.0, 112.0)) -> None:
    """Write phantoms of `n_subjects`, in four contrasts; labels are named as spine-generic and BIDS do."""
    for number in range(n_subjects):
        subject = f"sub-{number + 1:02d}"
        anatomy = cervical_anatomy(bend_deg=10 + 3 * number, sway_mm=number % 3, scale=0.95 + 0.02 * number)
        grid = phantom_grid(anatomy, (1.0, 1.0, 1.0), ("RAS", "PSR", "LIA")[number % 3], margin_mm=14, arc_range=arc_mm)
        phantom = draw_phantom(anatomy, *grid, seed=number)
        anat, labels = (folder / part / subject / "anat" for part in ("", "derivatives/labels"))
        anat.mkdir(parents=True, exist_ok=True)
        labels.mkdir(parents=True, exist_ok=True)
        for name, values in CONTRASTS.items():
            data = np.interp(phantom.image.data, T2W, values).astype(np.uint8)
            save_volume(anat / f"{subject}_{name}.nii.gz", data, phantom.image.affine)
            label = name if name in ("T2w", "UNIT1") else name.removesuffix("_MP2RAGE")
            save_volume(
                labels / f"{subject}_{label}_label-rootlets_dseg.nii.gz", phantom.rootlets.data, phantom.rootlets.affine
            )


def main() -> None:
    """Run all steps and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-ofolder", default="training_demo")
    parser.add_argument("-subjects", type=int, default=5)
    parser.add_argument("-epochs", type=int, default=6)
    parser.add_argument("-iterations", type=int, default=20)
    parser.add_argument("-threads", type=int, default=1)
    arguments = parser.parse_args()
    folder = Path(arguments.ofolder)
    bids, out, models = folder / "bids", folder / "training", folder / "models"
    write_bids(bids, arguments.subjects)
    began = time.perf_counter()
    data = ["-i", bids, "-ofolder", out, "-n-folds", "4"]
    step("train", *data, "-check")
    run = [*data, "-device", "cpu", "-folds", "0", "-start", "bundled", "-iterations", arguments.iterations]
    run += ["-threads", arguments.threads]
    step("train", *run, "-epochs", arguments.epochs // 2)
    step("train", *run, "-epochs", arguments.epochs)
    archive = folder / "phantoms.zip"
    step("train", "-ofolder", out, "-export", archive, "-citation", "phantoms")
    environment = {"SCT_ROOTLETS_MODELS": str(models)}
    step("models", "install", "phantoms", "-custom-url", archive, **environment)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"\n{time.perf_counter() - began:.0f} s from the BIDS folder to the installed model, "
        f"{used.ru_utime + used.ru_stime:.0f} s of a CPU\n"
    )
    test = json.loads((out / "nnUNet_raw" / "Dataset501_rootlets" / "persons.json").read_text())
    test_scans = sorted((out / "nnUNet_raw" / "Dataset501_rootlets" / "imagesTs").glob("*_0000.nii.gz"))
    print(f"{len(test)} scans, {len(test_scans)} of them for the test:")
    for image in test_scans:
        result = folder / "test" / image.name
        result.parent.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "sct_rootlets.cli.deepseg", "rootlets", "-i", image, "-o", result]
        command += ["-model", "phantoms", "-threads", str(arguments.threads), "-v", "0"]
        subprocess.run(list(map(str, command)), check=False, env=os.environ | environment)
        if not result.exists():
            continue
        truth = image.parents[1] / "labelsTs" / image.name.replace("_0000", "")
        labels, found = load_volume(truth).data, load_volume(result).data
        named = ", ".join(f"{level_name(value, 'spinal')} {score:.2f}" for value, score in dice(labels, found).items())
        print(f"  {image.name}: rootlets {dice(labels > 0, found > 0)[1]:.2f}; {named}")


def step(*command: object, **environment: str) -> None:
    """Run an action of ``sct_rootlets`` and print what it says."""
    print(f"\n$ sct_rootlets {' '.join(map(str, command))}", flush=True)
    line = [sys.executable, "-m", "sct_rootlets.cli.main", *map(str, command)]
    subprocess.run(line, check=True, env=os.environ | environment)


def dice(truth: np.ndarray, found: np.ndarray) -> dict[int, float]:
    """Dice of each level of the truth."""
    values = [int(value) for value in np.unique(truth) if value]
    return {
        value: 2 * np.count_nonzero((truth == value) & (found == value))
        / (np.count_nonzero(truth == value) + np.count_nonzero(found == value))
        for value in values
    }  # fmt: skip


if __name__ == "__main__":
    main()
