"""The command ``sct_rootlets demo``: the main job on a synthetic scan, from its image to levels, and to a template."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sct_rootlets.cli.parsers import OPTIONAL, add_misc, command_parser
from sct_rootlets.cli.run import open_in_browser, run, say

#: A command as it is typed, its function, and its options.
Step = tuple[str, Callable[[list[str]], int], Mapping[str, object]]


def get_parser() -> argparse.ArgumentParser:
    """Build the parser of the command."""
    parser = command_parser(
        "sct_rootlets demo",
        "Make a synthetic T2w scan of a neck, find its spinal and vertebral levels in the image alone, register it to\n"
        "a template (a phantom), and make the page that shows the result.",
        "  sct_rootlets demo\n  sct_rootlets demo -open\n  sct_rootlets demo -ofolder /tmp/demo",
    )
    optional = parser.add_argument_group(OPTIONAL)
    optional.add_argument(
        "-ofolder", metavar="<folder>", default="sct_rootlets_demo", help="output folder (default: sct_rootlets_demo)"
    )
    add_open(optional)
    add_misc(parser)
    return parser


def add_open(group: argparse._ArgumentGroup) -> None:
    """Add the option that shows the page of a demonstration."""
    group.add_argument("-open", action="store_true", help="open the page in the web browser at the end")


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run(get_parser(), argv, _command)


def _command(arguments: argparse.Namespace) -> None:
    from sct_rootlets.cli import compute_spinal_levels, register
    from sct_rootlets.output.ownership import Guard
    from sct_rootlets.output.phantoms import EXAMPLE, write_example, write_template

    folder = Path(arguments.ofolder)
    guard = Guard(may_overwrite=False)
    levels, registration, template, page = (folder / name for name in ("levels", "registration", "template", "qc"))
    if arguments.v:
        say("A synthetic scan is made; it takes a few seconds.")
    image = write_example(folder, guard)
    write_template(template, guard)
    to_levels = {"-i": image, "-ofolder": levels, "-qc": page}
    to_register = {
        "-i": image,
        "-s": levels / f"{EXAMPLE}_label-SC_seg.nii.gz",
        "-rootlets": levels / f"{EXAMPLE}_label-rootlets_dseg.nii.gz",
        "-template": template,
        "-ofolder": registration,
        "-qc": page,
    }
    steps = (
        ("sct_compute_spinal_levels", compute_spinal_levels.main, to_levels),
        ("sct_rootlets register", register.main, to_register),
    )
    run_steps(steps, arguments.v)
    pictures = [levels / f"{EXAMPLE}_levels.png", registration / "registration.png"]
    show(page / "index.html", pictures, arguments)


def run_steps(steps: Sequence[Step], verbosity: int) -> None:
    """Print and run commands, one after the other.

    Raises
    ------
    SctRootletsError
        If one of them fails.
    """
    from sct_rootlets.errors import SctRootletsError

    for name, run_step, options in steps:
        words = [str(word) for option in options.items() for word in option]
        if verbosity:
            say("", f"$ {name} {shlex.join(words)}")
        if run_step([*words, "-v", str(verbosity)]):
            raise SctRootletsError("the demo did not finish; see the message above")


def show(page: Path, pictures: Sequence[Path], arguments: argparse.Namespace) -> None:
    """Say what to look at, and open the page if that is wanted."""
    if arguments.v:
        say("", "look at", *(f"  {path}" for path in [*pictures, page]))
    if arguments.open and not open_in_browser(page) and arguments.v:
        say(f"note: no web browser could be started; open {page} yourself")
