"""The command ``sct_rootlets methods-text``: the methods paragraph of a paper, from the sidecars of results."""

from __future__ import annotations

import argparse

from sct_rootlets.cli.parsers import MANDATORY, add_misc, command_parser
from sct_rootlets.cli.run import check_paths, run, say


def get_parser() -> argparse.ArgumentParser:
    """Build the parser of the command."""
    parser = command_parser(
        "sct_rootlets methods-text",
        "Print a methods paragraph for a paper: the version that ran, the model with its hash, the settings, how many\n"
        "scans, and the articles to cite. Everything is read from the sidecars of the results; read the paragraph\n"
        "before you use it.",
        "  sct_rootlets methods-text -ofolder levels\n  sct_rootlets methods-text -ofolder derivatives/sct_rootlets",
    )
    parser.add_argument_group(MANDATORY).add_argument(
        "-ofolder",
        metavar="<folder>",
        required=True,
        help="folder of results, as sct_compute_spinal_levels, bids or register wrote them; nothing is written",
    )
    add_misc(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run(get_parser(), argv, _command)


def _command(arguments: argparse.Namespace) -> None:
    check_paths(arguments.ofolder)
    from sct_rootlets.report.methods_text import methods_text

    text = methods_text(arguments.ofolder)
    if arguments.v:
        say(text, is_result=True)
