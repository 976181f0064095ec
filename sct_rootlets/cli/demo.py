"""The command ``sct_rootlets demo``: the main job on a phantom, from its image to levels, and to a template."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from sct_rootlets.cli.parsers import add_misc, command_parser
from sct_rootlets.cli.run import run, say


def get_parser() -> argparse.ArgumentParser:
    """Build the parser of the command."""
    parser = command_parser(
        "sct_rootlets demo",
        "Write a phantom, segment its image, compare its spinal with its vertebral levels, register it to a\n"
        "template (a phantom too), and say what to look at.",
        "  sct_rootlets demo\n  sct_rootlets demo -ofolder /tmp/demo",
    )
    parser.add_argument_group("OPTIONAL").add_argument(
        "-ofolder", metavar="<folder>", default="sct_rootlets_demo", help="output folder (default: sct_rootlets_demo)"
    )
    add_misc(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run(get_parser(), argv, _command)


def _command(arguments: argparse.Namespace) -> None:
    from sct_rootlets.cli import compute_spinal_levels, register
    from sct_rootlets.errors import SctRootletsError
    from sct_rootlets.output.ownership import Guard
    from sct_rootlets.output.phantoms import write_phantoms, write_template

    folder = Path(arguments.ofolder)
    guard = Guard(may_overwrite=False)
    write_phantoms(folder, guard)
    scan = "sub-phantom01_T2w"
    labels = folder / "derivatives" / "labels" / "sub-phantom01" / "anat"
    levels = folder / "levels"
    image = folder / "sub-phantom01" / "anat" / f"{scan}.nii.gz"
    to_levels = {
        "-i": image,
        "-ldisc": labels / f"{scan}_label-discs_dlabel.nii.gz",
        "-pmj": labels / f"{scan}_label-PMJ_dlabel.nii.gz",
        "-ofolder": levels,
    }
    template, registration = folder / "template", folder / "registration"
    write_template(template, guard)
    to_register = {
        "-i": image,
        "-s": levels / f"{scan}_label-SC_seg.nii.gz",
        "-rootlets": levels / f"{scan}_label-rootlets_dseg.nii.gz",
        "-template": template,
        "-ofolder": registration,
    }
    steps = (
        ("sct_compute_spinal_levels", compute_spinal_levels.main, to_levels),
        ("sct_rootlets register", register.main, to_register),
    )
    for name, run_step, options in steps:
        words = [str(word) for option in options.items() for word in option]
        if arguments.v:
            say(f"{name} {shlex.join(words)}", "")
        if run_step([*words, "-v", str(arguments.v)]):
            raise SctRootletsError("the demo did not finish; see the message above")
        if arguments.v:
            say("")
    if arguments.v:
        say(f"look at {levels / f'{scan}_levels.png'}", f"and at {registration / 'registration.png'}")
