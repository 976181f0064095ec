"""``sct_rootlets status``: see `sct_rootlets.sct.link`."""

from __future__ import annotations

import argparse

from sct_rootlets.cli.common import add_misc, command_parser, run, say


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    parser = command_parser(
        "sct_rootlets status",
        "Say what is linked, where, with which Spinal Cord Toolbox, and which weights there are.",
        "  sct_rootlets status\n  sct_rootlets status -sct-dir ~/sct_7.4",
    )
    parser.add_argument_group("OPTIONAL").add_argument(
        "-sct-dir", metavar="<folder>", help="folder of the Spinal Cord Toolbox (default: the one of this environment)"
    )
    add_misc(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run(get_parser(), argv, _command)


def _command(arguments: argparse.Namespace) -> None:
    from sct_rootlets.sct.installation import environment, find_toolbox
    from sct_rootlets.sct.link import status

    lines = status(environment(), find_toolbox(arguments.sct_dir))
    if arguments.v:
        say(*lines)
