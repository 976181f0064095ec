"""``sct_rootlets phantom``: write the phantoms of ``testing_data/``."""

from __future__ import annotations

import argparse

from sct_rootlets.cli.common import add_misc, command_parser, run, say


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    parser = command_parser(
        "sct_rootlets phantom",
        "Write cervical phantoms with known truth as a small BIDS dataset; the same bytes every time.",
        "  sct_rootlets phantom -ofolder testing_data",
    )
    parser.add_argument_group("MANDATORY").add_argument(
        "-ofolder", required=True, metavar="<folder>", help="output folder; files of the same names are replaced"
    )
    add_misc(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run(get_parser(), argv, _command)


def _command(arguments: argparse.Namespace) -> None:
    from sct_rootlets.phantom import write_phantoms

    written = write_phantoms(arguments.ofolder)
    if arguments.v:
        say("written:", *(f"  {path}" for path in written))
