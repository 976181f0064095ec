"""``sct_rootlets group``: spinal against vertebral levels over many subjects."""

from __future__ import annotations

import argparse
from pathlib import Path

from sct_rootlets.cli.parsers import MANDATORY, OPTIONAL, add_misc, add_overwrite, command_parser
from sct_rootlets.cli.run import check_paths, look_at, run, say

DESCRIPTION = """\
Collect the level tables of many subjects (as sct_compute_spinal_levels writes them), and compare their spinal with
their vertebral levels: bias and limits of agreement for each pair of levels and for all, with confidence intervals.

Scans whose spinal levels were named by the discs that they would be compared with are left out, with a note.
Written to the output folder: tables (CSV), a summary (Markdown), figures (SVG and PNG)."""

EXAMPLES = """\
  sct_rootlets group -i derivatives/levels -ofolder group
  sct_rootlets group -i derivatives/levels -ofolder group -participants participants.tsv -normalize-height
  sct_rootlets group -i site1/levels site2/levels -ofolder group -match _T2w -reference PMJ"""

#: Values of -reference, and the names of these references in level tables.
REFERENCES = {"PMJ": "PMJ", "disc": "disc C2/C3", "top": "cord top"}


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command's arguments."""
    parser = command_parser("sct_rootlets group", DESCRIPTION, EXAMPLES)
    mandatory = parser.add_argument_group(MANDATORY)
    mandatory.add_argument(
        "-i", nargs="+", required=True, metavar="<folder>", help="folders that hold *_levels.csv, at any depth"
    )
    mandatory.add_argument("-ofolder", required=True, metavar="<folder>", help="output folder")
    optional = parser.add_argument_group(OPTIONAL)
    optional.add_argument(
        "-participants",
        metavar="<file>",
        help="BIDS participants.tsv: participant_id, height (cm), age, sex (default: those in the folders of -i)",
    )
    optional.add_argument(
        "-normalize-height",
        action="store_true",
        help="divide positions by the subject's height and multiply them by the median height of the cohort",
    )
    optional.add_argument(
        "-match", metavar="<text>", default="", help="only tables whose file name contains this text: _T2w, ses-01, ..."
    )
    optional.add_argument(
        "-reference",
        choices=tuple(REFERENCES),
        help="only tables with positions from the PMJ, from disc C2/C3, or from the top of the cord mask "
        "(default: all, which must be the same)",
    )
    optional.add_argument(
        "-keep-disc-names", action="store_true", help="do not leave out scans whose levels were named by discs"
    )
    optional.add_argument(
        "-keep-uncertain",
        action="store_true",
        help="do not leave out scans whose vertebrae were numbered by the image with a probability below 0.8",
    )
    optional.add_argument(
        "-keep-incomplete", action="store_true", help="do not leave out levels that may be longer than stated"
    )
    optional.add_argument(
        "-bootstrap", type=resamples, default=2000, metavar="<n>", help="resamples; 0: no intervals (default: 2000)"
    )
    optional.add_argument(
        "-figure", type=int, choices=(0, 1), default=1, metavar="<0|1>", help="draw the figures (default: 1)"
    )
    add_overwrite(optional)
    add_misc(parser)
    return parser


def resamples(text: str) -> int:
    """Parse a number of resamples."""
    value = int(text)
    if value != 0 and not 200 <= value <= 100_000:
        raise argparse.ArgumentTypeError(f"must be 0, or from 200 to 100000, not {text}")
    return value


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run(get_parser(), argv, _command)


def _command(arguments: argparse.Namespace) -> None:
    check_paths(*arguments.i, arguments.participants)
    from sct_rootlets.group.compare import group_levels
    from sct_rootlets.output.group import group_files, group_guard, save_group
    from sct_rootlets.report.group_summary import text_summary

    given = [*arguments.i, *([] if arguments.participants is None else [arguments.participants])]
    guard = group_guard(map(Path, given), bool(arguments.overwrite))
    guard.check([Path(arguments.ofolder) / name for name in group_files(bool(arguments.figure))])

    group = group_levels(
        arguments.i,
        arguments.participants,
        normalize_height=arguments.normalize_height,
        match=arguments.match,
        reference=REFERENCES.get(arguments.reference),
        keep_names_from_discs=arguments.keep_disc_names,
        keep_uncertain=arguments.keep_uncertain,
        keep_incomplete=arguments.keep_incomplete,
        n_resamples=arguments.bootstrap,
    )
    written = save_group(group, arguments.ofolder, bool(arguments.figure), bool(arguments.overwrite))
    if arguments.v:
        say(text_summary(group), "written:", *(f"  {path}" for path in written))
        say(*look_at(*(Path(arguments.ofolder) / name for name in ("group_levels_by_subject.png", "group_summary.md"))))
