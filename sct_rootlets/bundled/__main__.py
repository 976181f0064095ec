"""Train the networks on synthetic scans: ``python -m sct_rootlets.bundled -h``."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from sct_rootlets.cli.parsers import MANDATORY, OPTIONAL, add_misc, command_parser
from sct_rootlets.cli.run import run, say

DESCRIPTION = """\
Train on synthetic scans, and write the network as an nnU-Net v2 model folder. Run it again to go on from where it
stopped: a checkpoint is written every five minutes and at the end."""

EXAMPLES = """\
  python -m sct_rootlets.bundled -ofolder training -device cuda -minutes 9
  python -m sct_rootlets.bundled -ofolder names -task names -threads 1
  python -m sct_rootlets.bundled -ofolder training -steps 5000 -template PAM50 -workers 1 -threads 1"""

#: Ranges in `sct_rootlets.synthesis.random_anatomy` of the populations.
POPULATIONS = {"training": "TRAINING_RANGES", "held-out": "HELD_OUT_RANGES", "realistic": "REALISTIC_RANGES"}


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    parser = command_parser("python -m sct_rootlets.bundled", DESCRIPTION, EXAMPLES)
    parser.add_argument_group(MANDATORY).add_argument(
        "-ofolder", required=True, metavar="<folder>", help="checkpoint.pt and the model folder are written here"
    )
    optional = parser.add_argument_group(OPTIONAL)
    optional.add_argument("-task", choices=("rootlets", "overview", "names"), default="rootlets",
                          help="rootlets (default); the cord on coarse voxels; or names of its segments")  # fmt: skip
    optional.add_argument("-device", default="cpu", metavar="<cpu|cuda|mps>", help="default: cpu")
    optional.add_argument("-minutes", type=float, default=float("inf"), metavar="<min>", help="stop after this time")
    optional.add_argument("-steps", type=int, metavar="<n>",
                          help="whole training (default: 20000 for rootlets, 6000 overview, 8000 names)")  # fmt: skip
    optional.add_argument("-batch", type=int, metavar="<n>", help="patches a step (default: 2, 1, 8)")
    optional.add_argument("-features", type=whole_numbers, metavar="<n,n,...>", help="channels at each resolution")
    optional.add_argument("-spacing", type=float, metavar="<mm>", help="voxel size (default: 0.8, 2, 2)")
    optional.add_argument("-patch", type=whole_numbers, metavar="<n,n,n>", help="voxels from superior, anterior, right")
    optional.add_argument("-convolutions", type=whole_numbers, metavar="<n,n,...>",
                          help="at each resolution on the way down")  # fmt: skip
    optional.add_argument("-template", metavar="<folder>", help="labels of PAM50: half of the scans are made of them")
    optional.add_argument(
        "-real", metavar="<folder>", help="BIDS folder with real scans and their cord masks and discs"
    )
    optional.add_argument("-subjects", type=names, metavar="<name,...>", help="those of its subjects to use")
    optional.add_argument("-start", metavar="<path>", help="checkpoint of another training, or model, to start from")
    optional.add_argument(
        "-population",
        choices=tuple(POPULATIONS),
        default="training",
        help="to learn from (default: training); the others are for tests, and show what a network could reach there",
    )
    optional.add_argument("-contrasts", type=names, metavar="<name,...>", help="rootlets: those of synthetic scans")
    optional.add_argument(
        "-average", metavar="<file>", help="checkpoint whose weights and the trained ones are averaged for the model"
    )
    optional.add_argument(
        "-real-share", type=float, metavar="<x>", help="how often a scan is a real one (default: 0.4, 0.4, 0.35)"
    )
    optional.add_argument(
        "-thick-share", type=float, metavar="<x>", help="names: how often a scan has thick axial slices (default: 0)"
    )
    optional.add_argument("-rate", type=float, metavar="<x>", help="learning rate (default: 0.002)")
    optional.add_argument("-workers", type=int, default=0, metavar="<n>",
                          help="processes that make scans while the network learns (default: 0)")  # fmt: skip
    optional.add_argument("-threads", type=int, metavar="<n>", help="of the CPU, for the network (default: all)")
    optional.add_argument("-seed", type=int, metavar="<n>", help="default: 0")
    add_misc(parser)
    return parser


def whole_numbers(text: str) -> tuple[int, ...]:
    """Parse whole numbers between commas."""
    return tuple(int(number) for number in text.split(","))


def names(text: str) -> tuple[str, ...]:
    """Parse names between commas."""
    return tuple(text.split(","))


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run(get_parser(), argv, _command)


def _command(arguments: argparse.Namespace) -> None:
    import torch

    from sct_rootlets.bundled.networks import DEFAULTS
    from sct_rootlets.bundled.train import Training
    from sct_rootlets.synthesis import random_anatomy

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    folder = Path(arguments.ofolder)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    given = {
        "features": arguments.features,
        "convolutions": arguments.convolutions,
        "spacing_mm": arguments.spacing,
        "patch": arguments.patch,
        "batch": arguments.batch,
        "steps": arguments.steps,
        "learning_rate": arguments.rate,
        "real": arguments.subjects,
        "real_share": arguments.real_share,
        "thick_share": arguments.thick_share,
        "contrasts": arguments.contrasts,
        "seed": arguments.seed,
    }
    settings = replace(
        DEFAULTS[arguments.task],
        template=arguments.template is not None,
        **{name: value for name, value in given.items() if value is not None},
    )
    template = None if arguments.template is None else Path(arguments.template)
    real = None if arguments.real is None else Path(arguments.real)
    ranges = getattr(random_anatomy, POPULATIONS[arguments.population])
    training = Training(settings, arguments.device, ranges, template, real, arguments.workers)
    if checkpoint.exists():
        training.resume(checkpoint)
    elif arguments.start:
        training.start_from(Path(arguments.start))
    recent: list[float] = []

    def report(step: int, loss: float) -> None:
        recent.append(loss)
        if arguments.v and len(recent) == 50:
            say(f"step {step} of {settings.steps}: loss {sum(recent) / len(recent):.3f}")
            recent.clear()

    training.run(seconds=60 * arguments.minutes, checkpoint=checkpoint, report=report)
    if arguments.average:
        training.average_with(Path(arguments.average))
    model = training.export(folder)
    if arguments.v:
        say(f"{training.step} of {settings.steps} steps done", "written:", f"  {checkpoint}", f"  {model}")


if __name__ == "__main__":
    sys.exit(main())
