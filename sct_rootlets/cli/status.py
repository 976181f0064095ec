"""The command ``sct_rootlets status``: report what is linked with the Spinal Cord Toolbox."""

from __future__ import annotations

import argparse

from sct_rootlets.cli.parsers import toolbox_parser
from sct_rootlets.cli.run import check_paths, run, say


def get_parser() -> argparse.ArgumentParser:
    """Build the parser of the command."""
    return toolbox_parser(
        "status", "Show what is linked, where, with which Spinal Cord Toolbox, and which weights are installed."
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run(get_parser(), argv, _command)


def _command(arguments: argparse.Namespace) -> None:
    from sct_rootlets.errors import LinkError
    from sct_rootlets.sct.installation import find_environment, find_toolbox
    from sct_rootlets.sct.status import status, status_without_toolbox

    check_paths(arguments.sct_dir)
    try:
        lines = status(find_environment(), find_toolbox(arguments.sct_dir))
    except LinkError as error:
        if arguments.sct_dir is not None:
            raise
        lines = status_without_toolbox(str(error))
    if arguments.v:
        say(*lines, is_result=True)
