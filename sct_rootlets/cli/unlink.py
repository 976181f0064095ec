"""The command ``sct_rootlets unlink``: take our tasks and commands out of the Spinal Cord Toolbox."""

from __future__ import annotations

import argparse

from sct_rootlets.cli.parsers import toolbox_parser
from sct_rootlets.cli.run import check_paths, run, say


def get_parser() -> argparse.ArgumentParser:
    """Build the parser of the command."""
    return toolbox_parser(
        "unlink", "Remove from the Spinal Cord Toolbox what sct_rootlets link has added. Run this before pip uninstall."
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run(get_parser(), argv, _command)


def _command(arguments: argparse.Namespace) -> None:
    from sct_rootlets.errors import LinkError
    from sct_rootlets.sct.installation import find_environment, find_toolbox
    from sct_rootlets.sct.link import unlink

    check_paths(arguments.sct_dir)
    environment = find_environment()
    try:
        toolbox = find_toolbox(arguments.sct_dir)
    except LinkError:  # SCT is gone, but the rest of the link can still be removed
        if arguments.sct_dir is not None:
            raise
        toolbox = None
    lines = unlink(environment, toolbox)
    if arguments.v:
        say(*lines)
