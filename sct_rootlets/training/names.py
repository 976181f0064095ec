"""Train the network that names segments of the straightened spine: ``python -m sct_rootlets.training.names -h``.

Its images are small, so that a training takes minutes on a CPU. Scans are drawn upright, which spares straightening.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from torch import nn

from sct_rootlets.centerline import fit_centerline
from sct_rootlets.cli.common import add_misc, command_parser, run, say
from sct_rootlets.image import load_volume
from sct_rootlets.segmentation.grid import orient, reduced
from sct_rootlets.segmentation.labelling import ABOVE, N_NAMES, expected_names
from sct_rootlets.segmentation.model import build_network, plain_unet
from sct_rootlets.segmentation.straight import (
    AHEAD_MM,
    BEHIND_MM,
    N_COLUMNS,
    N_SLABS,
    PIXEL_MM,
    SLAB_MM,
    STRIDE,
    row_logits,
    standardised,
    straighten,
)
from sct_rootlets.training.anatomy import TRAINING, AnatomyRanges, random_anatomy
from sct_rootlets.training.examples import MIXTURE
from sct_rootlets.training.export import segment_labels, write_model_folder
from sct_rootlets.training.real import paths_of
from sct_rootlets.training.synthesis import segments_along, synthesize
from sct_rootlets.vertebral import label_points, place_discs

FEATURES, STRIDES = (24, 32, 48, 64, 64), ([1, 1], [2, 2], [2, 2], [2, 2], [2, 1])
#: Rows of an example: 224 mm.
N_ROWS = 112
#: Scans held at most and at least, examples a step, and how slowly the weights are averaged.
BANK, FEWEST, BATCH, AVERAGING = 2400, 64, 8, 0.998
#: How often an example is a real one, where there are any.
REAL_SHARE = 0.35


def random_straight(rng: np.random.Generator, ranges: AnatomyRanges = TRAINING) -> tuple[np.ndarray, np.ndarray]:
    """A straightened synthetic spine and the names of its rows.

    Returns
    -------
    slabs : numpy.ndarray of float32, shape (N_SLABS, N_ROWS, N_COLUMNS)
    names : numpy.ndarray of int, shape (N_ROWS,)
        1 above C2, 2 for C2 … 9 for T1, 10 below.
    """
    upright = replace(ranges, lean_deg=(-4.0, 4.0), bend_deg=(0.0, 5.0), sway_mm=(0.0, 0.5))
    anatomy = random_anatomy(rng, upright)
    contrast = str(rng.choice(list(MIXTURE), p=list(MIXTURE.values())))
    at = anatomy.discs[1] - 10 + PIXEL_MM * N_ROWS / 2 + rng.uniform(-70, 60)
    centre = anatomy.centerline.position(at)[0] + [rng.normal(0, 1), (AHEAD_MM - BEHIND_MM) / 2 + rng.normal(0, 1.5), 0]
    shape = (3 * N_SLABS, N_COLUMNS, N_ROWS)
    scan = synthesize(anatomy, contrast, shape, (SLAB_MM / 3, PIXEL_MM, PIXEL_MM), tuple(centre), rng, fine_mm=1.0)  # type: ignore[arg-type]
    image = scan.image.numpy().reshape(N_SLABS, 3, N_COLUMNS, N_ROWS).mean(axis=1).transpose(0, 2, 1)[:, ::-1]
    heights = centre[2] - PIXEL_MM * (np.arange(N_ROWS) - (N_ROWS - 1) / 2)
    line = anatomy.centerline
    arc = np.interp(heights, line.points[::-1, 2], line.arc[::-1])
    beyond = heights < line.points[-1, 2]
    arc[beyond] = line.arc[-1] + (line.points[-1, 2] - heights[beyond])
    return np.ascontiguousarray(image, dtype=np.float32), segments_along(anatomy, torch.from_numpy(arc)).numpy()


def real_straight(folder: Path, subject: str) -> tuple[np.ndarray, np.ndarray]:
    """A straightened real spine, its rows named by its discs (shapes as `random_straight`, any number of rows)."""
    image, cord, discs = (load_volume(path) for path in paths_of(folder, subject))
    line = fit_centerline(cord.data > 0, cord.affine)
    arc = np.arange(PIXEL_MM / 2, line.cord_length, PIXEL_MM)
    data, affine = reduced(orient(image), PIXEL_MM)
    placed, _ = place_discs(label_points(discs), line, discs.affine)
    names = expected_names(arc, {disc.value: disc.arc_mm for disc in placed}).argmax(axis=1)
    return straighten(data, affine, line, arc), names


def view(slabs: np.ndarray, names: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random part of an example, as a scan of another field of view, size and brightness would show it.

    Returns
    -------
    image : numpy.ndarray of float32, shape (N_SLABS, N_ROWS, N_COLUMNS)
    names : numpy.ndarray of int, shape (N_ROWS,)
        0 where there is nothing.
    """
    n = slabs.shape[1]
    length = int(rng.integers(22, min(n, N_ROWS) + 1)) if rng.random() < 0.6 else min(n, N_ROWS)
    start = int(rng.integers(0, n - length + 1))
    # Scaled along the cord, and shifted across it.
    rows = start + (np.arange(length) * rng.uniform(0.92, 1.08)).round().astype(int)
    rows = rows[rows < n]
    part = slabs[:, rows]
    if rng.random() < 0.5:
        part = part[::-1]
    part = np.roll(part, int(rng.integers(-1, 2)), axis=2)
    behind, ahead = (int(rng.integers(0, 10)) if rng.random() < 0.3 else 0 for _ in range(2))
    part = part.copy()
    part[:, :, :behind] = np.nan
    part[:, :, N_COLUMNS - ahead :] = np.nan
    low, high = np.nanmin(part), np.nanmax(part)
    part = ((part - low) / max(high - low, 1e-6)) ** rng.uniform(0.6, 1.6)
    part = part + rng.uniform(0, 0.03) * rng.standard_normal(part.shape)
    image = np.zeros((N_SLABS, N_ROWS, N_COLUMNS), dtype=np.float32)
    image[:, : len(rows)] = standardised(part)
    padded = np.zeros(N_ROWS, dtype=np.int64)
    padded[: len(rows)] = names[rows]
    return image, padded


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    parser = command_parser(
        "python -m sct_rootlets.training.names",
        "Train the network that names the cord's segments on straightened scans, and write its model folder.",
        "  python -m sct_rootlets.training.names -ofolder training/names -minutes 20",
    )
    parser.add_argument_group("MANDATORY").add_argument(
        "-ofolder", required=True, metavar="<folder>", help="checkpoint.pt and the model folder are written here"
    )
    optional = parser.add_argument_group("OPTIONAL")
    optional.add_argument("-minutes", type=float, default=20, metavar="<min>", help="how long (default: 20)")
    optional.add_argument("-real", metavar="<folder>", help="BIDS folder with real scans, their cord masks and discs")
    optional.add_argument("-subjects", default="", metavar="<name,...>", help="those of them to use")
    optional.add_argument("-start", metavar="<file>", help="checkpoint of another training to start from")
    optional.add_argument("-rate", type=float, default=2e-3, metavar="<x>", help="learning rate (default: 0.002)")
    optional.add_argument(
        "-scans", metavar="<file>", help="synthetic scans of an earlier run (.npz), kept and added to"
    )
    optional.add_argument("-seed", type=int, default=0, metavar="<n>", help="default: 0")
    add_misc(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run(get_parser(), argv, _command)


def _command(arguments: argparse.Namespace) -> None:
    folder = Path(arguments.ofolder)
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)
    architecture = plain_unet(FEATURES, strides=STRIDES, dimensions=2)
    network: nn.Module = build_network(architecture, N_SLABS, N_NAMES)
    if arguments.start:
        network.load_state_dict(torch.load(arguments.start, weights_only=True))
    average = {key: value.clone() for key, value in network.state_dict().items()}
    optimizer = torch.optim.AdamW(network.parameters(), lr=arguments.rate, weight_decay=1e-3)
    subjects = [one for one in arguments.subjects.split(",") if one]
    real = [real_straight(Path(arguments.real), subject) for subject in subjects]
    bank: list[tuple[np.ndarray, np.ndarray]] = []
    if arguments.scans and Path(arguments.scans).exists():
        with np.load(arguments.scans) as stored:
            bank = list(zip(stored["slabs"].astype(np.float32), stored["names"], strict=True))
    begin, step, losses = time.monotonic(), 0, []
    while (share := (time.monotonic() - begin) / (60 * arguments.minutes)) < 1:
        if len(bank) < FEWEST or (step % 4 == 0 and len(bank) < BANK):
            bank.append(random_straight(rng))
        elif step % 4 == 0:
            bank[int(rng.integers(len(bank)))] = random_straight(rng)
        sources = [real if real and rng.random() < REAL_SHARE else bank for _ in range(BATCH)]
        chosen = [source[int(rng.integers(len(source)))] for source in sources]
        images, values = zip(*(view(slabs, names, rng) for slabs, names in chosen), strict=True)
        logits = row_logits(network(torch.from_numpy(np.stack(images))))
        target = torch.from_numpy(np.stack(values)) - ABOVE  # -1 where there is nothing
        loss = F.cross_entropy(logits, target, ignore_index=-ABOVE, label_smoothing=0.02)
        for group in optimizer.param_groups:
            group["lr"] = arguments.rate * (1 - share) ** 0.9
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        step += 1
        decay = min(AVERAGING, step / (step + 10))
        for key, value in network.state_dict().items():
            average[key].lerp_(value, 1 - decay)
        losses.append(float(loss.detach()))
        if arguments.v and step % 100 == 0:
            say(f"step {step}, {len(bank)} scans, {100 * share:.0f} %: loss {np.mean(losses[-100:]):.3f}")
    network.load_state_dict(average)
    torch.save(average, folder / "checkpoint.pt")
    if arguments.scans:
        slabs, names = (np.stack(part) for part in zip(*bank, strict=True))
        np.savez(arguments.scans, slabs=slabs.astype(np.float16), names=names)
    write_model_folder(
        folder,
        network,
        architecture,
        segment_labels(),
        (PIXEL_MM, PIXEL_MM),
        (N_ROWS // STRIDE * STRIDE, N_COLUMNS),
        half=True,
        channels=[f"slab {index}" for index in range(N_SLABS)],
    )


if __name__ == "__main__":
    sys.exit(main())
