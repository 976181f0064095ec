"""The command ``sct_rootlets link``: add our tasks and commands to an installed Spinal Cord Toolbox."""

from __future__ import annotations

import argparse

from sct_rootlets.cli.parsers import toolbox_parser
from sct_rootlets.cli.run import check_paths, run, say


def get_parser() -> argparse.ArgumentParser:
    """Build the parser of the command."""
    return toolbox_parser(
        "link",
        "Add the tasks of sct_rootlets to sct_deepseg of the Spinal Cord Toolbox, and its commands to the PATH of SCT.",
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run(get_parser(), argv, _command)


def _command(arguments: argparse.Namespace) -> None:
    from sct_rootlets.sct.installation import find_environment, find_toolbox
    from sct_rootlets.sct.link import link

    check_paths(arguments.sct_dir)
    lines = link(find_environment(), find_toolbox(arguments.sct_dir))
    if arguments.v:
        say(*lines)
