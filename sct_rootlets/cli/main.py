"""The command ``sct_rootlets``, which hands over to one of its actions."""

from __future__ import annotations

import argparse
import importlib
import sys

from sct_rootlets.cli.parsers import MANDATORY, add_misc, command_parser

#: Actions in the order of the help: name, module with a function ``main(argv)``, description.
ACTIONS = (
    ("demo", "sct_rootlets.cli.demo", "find the levels of a synthetic scan, and show the results"),
    ("sample", "sct_rootlets.cli.sample", "download a public scan, and find its levels"),
    ("bids", "sct_rootlets.cli.bids", "find the levels of all scans of a BIDS folder"),
    ("register", "sct_rootlets.cli.register", "register a scan to the PAM50 template by its rootlets"),
    ("measure", "sct_rootlets.cli.measure", "measure shape, signal and lesions per spinal and vertebral level"),
    ("roots", "sct_rootlets.cli.roots", "divide a rootlet map into dorsal and ventral, left and right"),
    ("group", "sct_rootlets.cli.group", "compare spinal with vertebral levels over many subjects"),
    ("evaluate", "sct_rootlets.cli.evaluate", "score rootlet maps; compare methods, contrasts, raters, repeated scans"),
    ("train", "sct_rootlets.cli.train", "train a model on your own labelled scans with nnU-Net"),
    (
        "methods-text",
        "sct_rootlets.cli.methods_text",
        "print a methods paragraph for a paper from the sidecars",
    ),
    ("models", "sct_rootlets.cli.models", "list, install, verify and remove models"),
    ("phantom", "sct_rootlets.cli.phantom", "write phantoms with known truth (those in testing_data/)"),
    (
        "link",
        "sct_rootlets.cli.link",
        "add the tasks to an installed Spinal Cord Toolbox, and the commands to its PATH",
    ),
    ("unlink", "sct_rootlets.cli.unlink", "remove these tasks and commands again, before pip uninstall"),
    (
        "status",
        "sct_rootlets.cli.status",
        "show what is linked, where, with which SCT, and which weights are installed",
    ),
)


def get_parser() -> argparse.ArgumentParser:
    """Build the parser of the command without an action's arguments."""
    actions = "\n".join(f"  {name:<14}{text}" for name, _, text in ACTIONS)
    parser = command_parser(
        "sct_rootlets",
        f"Spinal levels from nerve rootlets on spinal cord MRI.\n\nactions:\n{actions}",
        "  sct_rootlets demo\n  sct_rootlets demo -h",
    )
    parser.add_argument_group(MANDATORY).add_argument(
        "action", choices=[name for name, _, _ in ACTIONS], metavar="<action>", help="one of the actions above"
    )
    add_misc(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run an action and return its exit status."""
    argv = sys.argv[1:] if argv is None else argv
    for name, module, _ in ACTIONS:
        if argv[:1] == [name]:
            return importlib.import_module(module).main(argv[1:])
    get_parser().parse_args(argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
