"""``sct_rootlets unlink``: see `sct_rootlets.sct.link`."""

from __future__ import annotations

import argparse

from sct_rootlets.cli.common import run, say, toolbox_parser


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    return toolbox_parser(
        "unlink", "Take out of the Spinal Cord Toolbox what sct_rootlets link has added: before pip uninstall."
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run(get_parser(), argv, _command)


def _command(arguments: argparse.Namespace) -> None:
    from sct_rootlets.errors import LinkError
    from sct_rootlets.sct.installation import environment, find_toolbox
    from sct_rootlets.sct.link import unlink

    here = environment()
    try:
        toolbox = find_toolbox(arguments.sct_dir)
    except LinkError:  # it is gone: what is left of the link still can be removed
        if arguments.sct_dir is not None:
            raise
        toolbox = None
    lines = unlink(here, toolbox)
    if arguments.v:
        say(*lines)
