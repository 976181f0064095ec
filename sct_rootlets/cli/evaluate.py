"""``sct_rootlets evaluate``: predictions against references, methods, contrasts, raters, repeated scans."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sct_rootlets.cli.parsers import OPTIONAL, add_misc, add_overwrite, command_parser
from sct_rootlets.cli.run import check_paths, look_at, run, say

if TYPE_CHECKING:
    from sct_rootlets.evaluation.study import Study

DESCRIPTION = """\
Score rootlet maps. Provide one of
  predictions (-i) and references (-ref): Dice, HD95, volume, detected, missed and wrongly named levels, and errors of
    the ends of levels; with a second method (-i2) a paired test, with several contrasts the Kruskal-Wallis test;
  raters of the same scans (-raters): STAPLE consensus, agreement of pairs, variation of the levels' positions;
  level tables of repeated scans (-tables, -over): variation over sites, sessions or resolutions.

Each is a file, a folder (searched with all below it) or a quoted pattern with *. Files of a scan are found by their
BIDS names: sub-01_T2w_label-rootlets_dseg.nii.gz belongs to sub-01_T2w. Scans without a partner are reported.

Written to the output folder: tables (CSV), summary.md, and figures (SVG and PNG)."""

EXAMPLES = """\
  sct_rootlets evaluate -i t2_rootlets.nii.gz -ref t2_rootlets_manual.nii.gz -s t2_seg.nii.gz
  sct_rootlets evaluate -i predictions -ref bids/derivatives/labels -s bids/derivatives/labels -ofolder evaluation
  sct_rootlets evaluate -i ours -i2 theirs -names RootletSeg,nnUNet -ref bids/derivatives/labels -ofolder evaluation
  sct_rootlets evaluate -raters "labels/**/*_rater1.nii.gz" "labels/**/*_rater2.nii.gz" -s labels -pmj labels
  sct_rootlets evaluate -tables levels -over ses -ofolder sessions
  sct_rootlets evaluate -tables levels -over sub -participants participants.tsv -by manufacturer -ofolder sites"""


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command's arguments."""
    parser = command_parser("sct_rootlets evaluate", DESCRIPTION, EXAMPLES)
    mandatory = parser.add_argument_group("MANDATORY ARGUMENTS (-i with -ref, or -raters, or -tables with -over)")
    mandatory.add_argument("-i", nargs="+", metavar="<path>", help="rootlet maps to score")
    mandatory.add_argument("-ref", nargs="+", metavar="<path>", help="reference rootlet maps")
    mandatory.add_argument("-raters", nargs="+", metavar="<path>", help="rootlet maps of each rater, one path a rater")
    mandatory.add_argument(
        "-tables", nargs="+", metavar="<path>", help="level tables (*_levels.csv of sct_compute_spinal_levels)"
    )
    mandatory.add_argument(
        "-over",
        metavar="<entity>",
        help="what tells the repeated scans of a subject apart: a BIDS entity such as ses, acq, res, or contrast; "
        "sub where one person was scanned under many names",
    )
    optional = parser.add_argument_group(OPTIONAL)
    optional.add_argument("-i2", nargs="+", metavar="<path>", help="rootlet maps of a second method")
    optional.add_argument(
        "-names", type=names, metavar="<a,b,...>", help="names of the methods or raters (default: first,second "
        "or rater1,rater2,...)",
    )  # fmt: skip
    optional.add_argument(
        "-s", nargs="+", metavar="<path>", help="spinal cord masks: the ends of levels are then measured along the "
        "cord (default: along the superior axis; with -raters, no positions)",
    )  # fmt: skip
    optional.add_argument(
        "-pmj", nargs="+", metavar="<path>", help="with -raters: labels of the pontomedullary junction, from which "
        "positions are counted; needed for a coefficient of variation",
    )  # fmt: skip
    optional.add_argument(
        "-levels", metavar="<C2:T1>", help="levels to score, a range or a list such as C3,C5: those that the "
        "references were drawn for (default: all that a prediction or its reference holds)",
    )  # fmt: skip
    optional.add_argument(
        "-contrasts", metavar="<file>", help="tab-separated table with the columns contrast and scan (sub-01_T2w) or "
        "participant_id (default: contrasts from the names of the files)",
    )  # fmt: skip
    optional.add_argument(
        "-participants", metavar="<file>", help="with -tables: table of groups of scans: tab-separated, with "
        "participant_id or scan, and the column of -by",
    )  # fmt: skip
    optional.add_argument(
        "-by", metavar="<column>", help="with -tables and -participants: variation also within each group of this "
        "column, such as manufacturer or site",
    )  # fmt: skip
    optional.add_argument("-ofolder", metavar="<folder>", default=".", help="output folder (default: current folder)")
    optional.add_argument(
        "-figure", type=int, choices=(0, 1), default=1, metavar="<0|1>", help="draw the figures (default: 1)"
    )
    add_overwrite(optional)
    add_misc(parser)
    return parser


def names(text: str) -> list[str]:
    """Parse names between commas, which must differ."""
    parts = [part.strip() for part in text.split(",")]
    if not all(parts) or len(set(parts)) < len(parts):
        raise argparse.ArgumentTypeError(f"must be different names between commas, not {text!r}")
    return parts


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = get_parser()

    def command(arguments: argparse.Namespace) -> None:
        _check_usage(parser, arguments)
        lists = (getattr(arguments, name) or () for name in ("i", "i2", "ref", "raters", "tables", "s", "pmj"))
        check_paths(*(path for paths in lists for path in paths), arguments.contrasts, arguments.participants)
        from sct_rootlets.output.evaluation import evaluation_files, evaluation_guard, save_evaluation

        inputs = _input_files(arguments)
        kind = "references" if arguments.i is not None else "raters" if arguments.raters is not None else "repeats"
        guard = evaluation_guard(inputs, bool(arguments.overwrite))
        guard.check([Path(arguments.ofolder) / name for name in evaluation_files(kind)])
        study = _evaluate(arguments)
        written = save_evaluation(study, arguments.ofolder, bool(arguments.figure), bool(arguments.overwrite), inputs)
        if arguments.v:
            say(*(f"note: {note}" for note in study.notes), "written:", *(f"  {path}" for path in written))
            say(*look_at(Path(arguments.ofolder) / "summary.md"))

    return run(parser, argv, command)


def _input_files(arguments: argparse.Namespace) -> list[Path]:
    """All files of the inputs, which folders and patterns may hold."""
    from sct_rootlets.evaluation.files import FileKind, list_files

    sources: list[tuple[str, FileKind]] = [
        *(
            (path, "rootlet maps")
            for option in ("i", "i2", "ref", "raters")
            for path in getattr(arguments, option) or ()
        ),
        *((path, "cord masks") for path in arguments.s or ()),
        *((path, "PMJ labels") for path in arguments.pmj or ()),
        *((path, "level tables") for path in arguments.tables or ()),
    ]
    found = [file for path, kind in sources for file in list_files(str(path), kind)]
    return found + [Path(path) for path in (arguments.contrasts, arguments.participants) if path is not None]


def _check_usage(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    given = [option for option in ("i", "raters", "tables") if getattr(arguments, option) is not None]
    if len(given) != 1:
        parser.error("give one of -i (with -ref), -raters, and -tables (with -over)")
    fitting = {"i": ("ref", "i2", "levels", "contrasts", "s", "names"), "raters": ("s", "pmj", "names"),
               "tables": ("over", "participants", "by")}  # fmt: skip
    for option in ("ref", "i2", "levels", "contrasts", "s", "pmj", "over", "names", "participants", "by"):
        if getattr(arguments, option) is not None and option not in fitting[given[0]]:
            parser.error(f"-{option} does not go with -{given[0]}")
    if given == ["i"] and arguments.ref is None:
        parser.error("give references (-ref) for the predictions")
    if given == ["tables"] and arguments.over is None:
        parser.error("say what tells repeated scans apart (-over), such as ses")
    if (arguments.participants is None) != (arguments.by is None):
        parser.error("-by names a column of -participants: give both")
    count = {"i": 1 + (arguments.i2 is not None), "raters": len(arguments.raters or ()), "tables": 0}[given[0]]
    if arguments.names is not None and len(arguments.names) != count:
        parser.error(f"-names gives {len(arguments.names)} names for {count}")


def _evaluate(arguments: argparse.Namespace) -> Study:
    from sct_rootlets.evaluation.raters import evaluate_raters
    from sct_rootlets.evaluation.references import evaluate_files, parse_levels
    from sct_rootlets.evaluation.repeats import evaluate_repeats

    if arguments.tables is not None:
        return evaluate_repeats(arguments.tables, arguments.over, arguments.participants, arguments.by)
    if arguments.raters is not None:
        rater_names = arguments.names or [f"rater{number}" for number, _ in enumerate(arguments.raters, start=1)]
        raters = {name: [path] for name, path in zip(rater_names, arguments.raters, strict=True)}
        return evaluate_raters(raters, arguments.s, arguments.pmj)
    sources = [arguments.i] if arguments.i2 is None else [arguments.i, arguments.i2]
    method_names = arguments.names or ["first", "second"][: len(sources)]
    methods = dict(zip(method_names, sources, strict=True))
    values = None if arguments.levels is None else parse_levels(arguments.levels)
    return evaluate_files(methods, arguments.ref, arguments.s, arguments.contrasts, values)
