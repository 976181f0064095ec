"""The command ``sct_rootlets sample``: the main job on a public scan, which is downloaded once."""

from __future__ import annotations

import argparse
from pathlib import Path

from sct_rootlets.cli.demo import add_open, run_steps, show
from sct_rootlets.cli.parsers import OPTIONAL, add_misc, command_parser
from sct_rootlets.cli.run import run, say


def get_parser() -> argparse.ArgumentParser:
    """Build the parser of the command."""
    parser = command_parser(
        "sct_rootlets sample",
        "Download a public T2w scan (a crop of 55 mm, 0.2 MB, from the testing data of the Spinal Cord Toolbox, MIT\n"
        "licence), and find its spinal and vertebral levels: first from the image alone, then with the label of one\n"
        "disc. In so short a piece of cord, this label makes the names certain. The page shows the second result.\n"
        "If the scan is in the output folder already, nothing is downloaded.",
        "  sct_rootlets sample\n  sct_rootlets sample -open\n  sct_rootlets sample -ofolder /tmp/sample",
    )
    optional = parser.add_argument_group(OPTIONAL)
    optional.add_argument(
        "-ofolder",
        metavar="<folder>",
        default="sct_rootlets_sample",
        help="output folder (default: sct_rootlets_sample)",
    )
    add_open(optional)
    add_misc(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run(get_parser(), argv, _command)


def _command(arguments: argparse.Namespace) -> None:
    from sct_rootlets import sample
    from sct_rootlets.cli import compute_spinal_levels
    from sct_rootlets.output.sample import write_disc

    folder = Path(arguments.ofolder)
    page = folder / "qc"
    by_image, by_disc = folder / "levels_from_image", folder / "levels_with_one_disc"
    image = sample.download_sample(folder, sample.URL, sample.SHA256, progress=bool(arguments.v))
    if arguments.v:
        say(f"{image}: from {sample.URL}")
    disc = write_disc(image)
    first = {"-i": image, "-ofolder": by_image}
    second = {"-i": image, "-ldisc": disc, "-ofolder": by_disc, "-qc": page}
    run_steps([("sct_compute_spinal_levels", compute_spinal_levels.main, options) for options in (first, second)],
              arguments.v)  # fmt: skip
    show(page / "index.html", [by / f"{sample.NAME}_levels.png" for by in (by_image, by_disc)], arguments)
