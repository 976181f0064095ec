"""``sct_rootlets phantom``: write the phantoms of ``testing_data/``, or a cohort of phantoms."""

from __future__ import annotations

import argparse

from sct_rootlets.cli.parsers import MANDATORY, OPTIONAL, add_misc, add_overwrite, command_parser
from sct_rootlets.cli.run import run, say


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    parser = command_parser(
        "sct_rootlets phantom",
        "Write cervical phantoms with known truth as a small BIDS dataset. Every run writes the same bytes.",
        "  sct_rootlets phantom -ofolder testing_data\n  sct_rootlets phantom -ofolder cohort -n 12",
    )
    parser.add_argument_group(MANDATORY).add_argument(
        "-ofolder", required=True, metavar="<folder>", help="output folder"
    )
    optional = parser.add_argument_group(OPTIONAL)
    optional.add_argument(
        "-n",
        type=subjects,
        metavar="<n>",
        help="write a cohort of this many subjects with random anatomies and a participants.tsv; spinal and vertebral "
        "levels lie as far apart as published (default: the two phantoms of testing_data/)",
    )
    optional.add_argument("-activity", type=int, choices=(0, 1), default=0, metavar="<0|1>",
                          help="with -n: also write a map of each subject, active in the right half of the cord at its "
                               "own C6, and a phantom of a template (default: 0)")  # fmt: skip
    optional.add_argument(
        "-seed", type=seed, default=0, metavar="<n>", help="seed of the random anatomies of -n (default: 0)"
    )
    add_overwrite(optional)
    add_misc(parser)
    return parser


def subjects(text: str) -> int:
    """Parse a number of subjects."""
    value = int(text)
    if not 1 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"must be from 1 to 1000, not {text}")
    return value


def seed(text: str) -> int:
    """Parse a seed."""
    if int(text) < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {text}")
    return int(text)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = get_parser()

    def command(arguments: argparse.Namespace) -> None:
        if arguments.activity and arguments.n is None:
            parser.error("-activity is for a cohort: say how many (-n)")
        _command(arguments)

    return run(parser, argv, command)


def _command(arguments: argparse.Namespace) -> None:
    from sct_rootlets.output.ownership import Guard
    from sct_rootlets.output.phantoms import write_cohort, write_phantoms

    guard = Guard(overwrite=bool(arguments.overwrite))
    if arguments.n is None:
        written = write_phantoms(arguments.ofolder, guard)
    else:
        written = write_cohort(arguments.ofolder, arguments.n, arguments.seed, bool(arguments.activity), guard)
    if arguments.v:
        say("written:", *(f"  {path}" for path in written))
