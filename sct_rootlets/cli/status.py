"""``sct_rootlets status``: see `sct_rootlets.sct.link`."""

from __future__ import annotations

import argparse

from sct_rootlets.cli.common import run, say, toolbox_parser


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    return toolbox_parser(
        "status", "Say what is linked, where, with which Spinal Cord Toolbox, and which weights there are."
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run(get_parser(), argv, _command)


def _command(arguments: argparse.Namespace) -> None:
    from sct_rootlets.sct.installation import environment, find_toolbox
    from sct_rootlets.sct.link import status

    lines = status(environment(), find_toolbox(arguments.sct_dir))
    if arguments.v:
        say(*lines)
