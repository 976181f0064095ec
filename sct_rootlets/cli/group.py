"""``sct_rootlets group``: spinal against vertebral levels over many subjects."""

from __future__ import annotations

import argparse
from pathlib import Path

from sct_rootlets.cli.parsers import OPTIONAL, add_misc, add_overwrite, command_parser
from sct_rootlets.cli.run import check_paths, earlier_notes, look_at, run, say

DESCRIPTION = """\
Collect the level tables of many subjects (as sct_compute_spinal_levels writes them), and compare their spinal with
their vertebral levels: bias and limits of agreement for each pair of levels and for all, with confidence intervals.

Scans whose spinal levels were named by the discs that they would be compared with are left out, with a note.
With -measures, what sct_rootlets measure wrote of many scans is averaged per level instead.

Written to the output folder: tables (CSV), a summary (Markdown), figures (SVG and PNG)."""

EXAMPLES = """\
  sct_rootlets group -i derivatives/levels -ofolder group
  sct_rootlets group -i derivatives/levels -ofolder group -participants participants.tsv -normalize-height
  sct_rootlets group -i site1/levels site2/levels -ofolder group -match _T2w -reference PMJ
  sct_rootlets group -measures -i metrics -ofolder group
  sct_rootlets group -registered derivatives/registration -template PAM50 -ofolder template"""

#: Values of -reference, and the names of these references in level tables.
REFERENCES = {
    "PMJ": "PMJ",
    "disc": "disc C2/C3",
    "top": "cord top",
    "C2": "top of spinal level C2",
    "conus": "conus",
    "disc-T12-L1": "disc T12/L1",
}

#: What options go with: levels (-i alone), measures, or registrations.
OPTIONS_OF = {
    "measures": ("-i", "-measures"),
    "participants": ("-i", "-measures"),
    "match": ("-i", "-measures"),
    "keep_uncertain": ("-i", "-measures"),
    "keep_incomplete": ("-i", "-measures"),
    "normalize_height": ("-i",),
    "reference": ("-i",),
    "keep_disc_names": ("-i",),
    "template": ("-registered",),
    "images": ("-registered",),
}


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command's arguments."""
    parser = command_parser("sct_rootlets group", DESCRIPTION, EXAMPLES)
    mandatory = parser.add_argument_group("MANDATORY ARGUMENTS (-i or -registered, and -ofolder)")
    mandatory.add_argument(
        "-i",
        nargs="+",
        metavar="<folder>",
        help="folders that hold *_levels.csv at any depth, or the "
        "tables of the published scripts (*_pmj_distance*.csv, *_c2_distance*.csv)",
    )
    mandatory.add_argument(
        "-registered", nargs="+", metavar="<folder>", help="in place of -i: folders that hold the output folders of "
        "sct_rootlets register, for coverage of levels and mean images in the template",
    )  # fmt: skip
    mandatory.add_argument("-ofolder", required=True, metavar="<folder>", help="output folder")
    optional = parser.add_argument_group(OPTIONAL)
    optional.add_argument(
        "-measures",
        action="store_true",
        help="read measures per level (*_shape.csv and the tables beside it) in place of levels; several sessions of "
        "a person are averaged",
    )
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
        help="only tables with positions from the PMJ, from disc C2/C3, from the top of the cord mask, from the top of "
        "spinal level C2 (published scripts), from the tip of the conus, or from disc T12/L1 (default: all, which must "
        "be the same)",
    )
    optional.add_argument(
        "-keep-disc-names", action="store_true", help="do not leave out scans whose levels were named by discs"
    )
    optional.add_argument(
        "-keep-uncertain",
        action="store_true",
        help="do not leave out scans whose vertebrae were numbered by the image with a probability below 0.8 (with "
        "-measures: nor those whose levels are implausible)",
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
    optional.add_argument(
        "-template", metavar="<folder>", help="with -registered: the template (default: as sct_rootlets register)"
    )
    optional.add_argument(
        "-images", metavar="<ending>", help="with -registered: end of the names of the images to average, such as "
        "zstat2template (default: the scans, each divided by its median within the cord)",
    )  # fmt: skip
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
    parser = get_parser()

    def command(arguments: argparse.Namespace) -> None:
        if (arguments.i is None) == (arguments.registered is None):
            parser.error("give one of -i and -registered")
        mode = "-registered" if arguments.registered else "-measures" if arguments.measures else "-i"
        for option in OPTIONS_OF:
            if getattr(arguments, option) and mode not in OPTIONS_OF[option]:
                modes = " and ".join(OPTIONS_OF[option])
                parser.error(f"-{option.replace('_', '-')} goes with {modes}, not with {mode}")
        {"-i": _compare_levels, "-measures": _average_measures, "-registered": _average_coverage}[mode](arguments)

    return run(parser, argv, command)


def _average_coverage(arguments: argparse.Namespace) -> None:
    check_paths(*arguments.registered, arguments.template)
    from sct_rootlets.output.template_cohort import (
        RECORD,
        read_template_cohort,
        save_template_cohort,
        template_cohort_files,
        template_cohort_guard,
    )

    guard = template_cohort_guard((), bool(arguments.overwrite))
    guard.check([Path(arguments.ofolder) / name for name in template_cohort_files()])
    cohort = read_template_cohort(arguments.registered, arguments.template, arguments.images)
    written = save_template_cohort(cohort, arguments.ofolder, bool(arguments.overwrite))
    if arguments.v:
        say(f"{len(cohort.subjects)} subjects; share of the template's level that is covered, mean ± SD:")
        for row in cohort.summary:
            mean, sd = (row[f"percent_{what}_of_template"] for what in ("mean", "sd"))
            say(f"  {row['name']:<4}" + (f"{mean:5.0f} ± {sd:.0f} %  n = {row['n']}" if row["n"] else "  n/a"))
        say("written:", *(f"  {path}" for path in written), *earlier_notes(arguments.ofolder, RECORD, written))


def _average_measures(arguments: argparse.Namespace) -> None:
    check_paths(*arguments.i, arguments.participants)
    from sct_rootlets.measure.group import group_measures
    from sct_rootlets.output.group_measures import (
        RECORD,
        group_measure_files,
        group_measure_guard,
        save_group_measures,
        summary,
    )

    given = [*arguments.i, *([] if arguments.participants is None else [arguments.participants])]
    guard = group_measure_guard(map(Path, given), bool(arguments.overwrite))
    guard.check([Path(arguments.ofolder) / name for name in group_measure_files(bool(arguments.figure))])

    group = group_measures(
        arguments.i,
        arguments.participants,
        match=arguments.match,
        keep_uncertain=arguments.keep_uncertain,
        keep_incomplete=arguments.keep_incomplete,
    )
    written = save_group_measures(group, arguments.ofolder, bool(arguments.figure), bool(arguments.overwrite))
    if arguments.v:
        say(*summary(group), "written:", *(f"  {path}" for path in written))
        say(*earlier_notes(arguments.ofolder, RECORD, written))


def _compare_levels(arguments: argparse.Namespace) -> None:
    check_paths(*arguments.i, arguments.participants)
    from sct_rootlets.group.compare import group_levels
    from sct_rootlets.output.group import RECORD, group_files, group_guard, save_group
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
        say(*earlier_notes(arguments.ofolder, RECORD, written))
        say(*look_at(*(Path(arguments.ofolder) / name for name in ("group_levels_by_subject.png", "group_summary.md"))))
