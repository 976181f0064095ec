"""``sct_rootlets bids``: spinal levels of all scans of a BIDS folder, and their comparison."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sct_rootlets.bids import SEGMENTED_CONTRASTS, stem
from sct_rootlets.cli.parsers import (
    EXIT_IMPLAUSIBLE,
    MANDATORY,
    OPTIONAL,
    add_misc,
    add_model,
    add_strict,
    add_uncertain_names,
    command_parser,
    model_settings,
    positive,
    thread_count,
)
from sct_rootlets.cli.run import check_models, check_paths, look_at, run, say

if TYPE_CHECKING:
    from sct_rootlets.cohort.engine import Engine, Progress
    from sct_rootlets.cohort.measures import MeasureRequest
    from sct_rootlets.cohort.plan import Plan

DESCRIPTION = """\
Segment rootlets and cord in all scans of a BIDS folder, and compute spinal and vertebral levels.

participant: process each scan. Scans whose results were made from the same image and labels, by the same model, are
skipped. Labels in derivatives/labels (rootlets, cord, discs, PMJ) are used where they exist. Files that you have
corrected by hand in the output folder take precedence. Run the command again after an interruption or a correction.

group: compare spinal with vertebral levels over the scans that are done, average their measures per level (of
participant -measure 1), and write the page of quality control."""

EXAMPLES = """\
  sct_rootlets bids bids derivatives/sct_rootlets participant -jobs 4
  sct_rootlets bids bids derivatives/sct_rootlets participant -dry-run
  sct_rootlets bids bids derivatives/sct_rootlets participant -engine slurm -partition short -time 60 -jobs 50
  sct_rootlets bids bids derivatives/sct_rootlets participant -measure 1 -measure-images MTR
  sct_rootlets bids bids derivatives/sct_rootlets group"""


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    parser = command_parser("sct_rootlets bids", DESCRIPTION, EXAMPLES)
    mandatory = parser.add_argument_group(MANDATORY)
    mandatory.add_argument("bids", metavar="BIDS_DIR", help="the BIDS folder")
    mandatory.add_argument("out", metavar="OUT_DIR", help="folder of the results, a BIDS derivative dataset")
    mandatory.add_argument("level", choices=("participant", "group"), metavar="participant|group",
                           help="process the scans, or compare the group: see above")  # fmt: skip
    which = parser.add_argument_group("OPTIONAL ARGUMENTS: WHICH SCANS")
    which.add_argument(
        "-contrasts",
        nargs="+",
        metavar="<name>",
        help=f"contrasts to process (default: {' '.join(SEGMENTED_CONTRASTS)})",
    )
    which.add_argument("-labels", nargs="+", default=[], metavar="<folder>",
                       help="folders with labels, in place of derivatives/labels")  # fmt: skip
    which.add_argument("-include", type=_pattern, metavar="<regex>", help="only subjects and sessions whose name, "
                       "such as sub-01/ses-02, matches; applied before -exclude")  # fmt: skip
    which.add_argument("-include-list", nargs="+", metavar="<name>", help="only these: sub-01, ses-02, sub-01/ses-02, "
                       "names of images, or files that list them, as the page exports them")  # fmt: skip
    which.add_argument("-exclude", type=_pattern, metavar="<regex>", help="leave out those whose name matches")
    which.add_argument("-exclude-list", nargs="+", metavar="<name>", help="leave these out; as for -include-list")
    optional = parser.add_argument_group(OPTIONAL)
    optional.add_argument("-dry-run", action="store_true", help="print what would be done, and do nothing")
    optional.add_argument(
        "-method",
        choices=("segment", "extent", "midgap"),
        default="segment",
        help="method of the spinal levels: see sct_compute_spinal_levels -h (default: segment)",
    )
    optional.add_argument(
        "-discs",
        choices=("image", "none"),
        default="image",
        help="discs that are not labelled: find them in the image (default), or leave them out",
    )
    add_uncertain_names(optional)
    add_model(optional)
    optional.add_argument("-device", choices=("cpu", "cuda", "mps"), default="cpu",
                          help="device of the networks (default: cpu)")  # fmt: skip
    optional.add_argument("-participants", metavar="<file>",
                          help="participants.tsv for group (default: the one of the BIDS folder)")  # fmt: skip
    add_strict(optional)
    measures = parser.add_argument_group("OPTIONAL ARGUMENTS: MEASURES")
    measures.add_argument("-measure", type=int, choices=(0, 1), default=0, metavar="<0|1>",
                          help="participant: also measure the shape of the cord per level, beside the levels; group "
                          "averages what was measured (default: 0)")  # fmt: skip
    measures.add_argument("-measure-images", nargs="+", default=[], type=_name_ending, metavar="<ending>",
                          help="and the signal of the images of the session whose names end so: MTR finds "
                          "sub-01_MTR.nii.gz, in the session's folder or in derivatives. A cord mask that is called "
                          "like the image (sub-01_MTR_label-SC_seg) is used")  # fmt: skip
    measures.add_argument("-measure-lesions", type=_name_ending, metavar="<ending>",
                          help="and the lesions in the mask whose name ends so, such as label-lesion_seg")  # fmt: skip
    measures.add_argument("-measure-by", choices=("level", "side", "half", "quarter"), default="level",
                          help="measure images in these parts of levels: see sct_rootlets measure -h "
                          "(default: level)")  # fmt: skip
    engine = parser.add_argument_group("OPTIONAL ARGUMENTS: WHERE IT RUNS")
    engine.add_argument("-engine", choices=("local", "slurm"), default="local",
                        help="on this computer, or in jobs of SLURM (default: local)")  # fmt: skip
    engine.add_argument("-jobs", type=thread_count, metavar="<n>",
                        help="number of scans at once (default: one for each core)")  # fmt: skip
    engine.add_argument("-threads", type=thread_count, default=1, metavar="<n>",
                        help="CPU threads for each scan (default: 1)")  # fmt: skip
    engine.add_argument(
        "-time",
        type=positive,
        default=24 * 60,
        metavar="<min>",
        help="time limit of a job, which is then queued again to continue (default: a day)",
    )
    engine.add_argument("-memory", type=positive, metavar="<GB>", help="memory of each job (slurm)")
    engine.add_argument("-partition", metavar="<name>", help="partition of the jobs (slurm)")
    engine.add_argument("-slurm", nargs="+", default=[], metavar="<key=value>",
                        help="further options of sbatch, such as account=def-lab")  # fmt: skip
    add_misc(parser)
    return parser


def _name_ending(text: str) -> str:
    """Parse the end of the name of an image, with or without what stands around it."""
    ending = stem(text).strip("_")
    if not ending or "/" in ending:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not the end of the name of an image; give MTR, label-lesion_seg, ..."
        )
    return ending


def _pattern(text: str) -> str:
    """Check a regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a regular expression: {error}") from error
    return text


def main(argv: list[str] | None = None) -> int:
    """Run the command, and return its exit status: 1 if a scan failed."""
    parser = get_parser()

    def command(arguments: argparse.Namespace) -> int:
        if any("=" not in option for option in arguments.slurm):
            parser.error("-slurm takes key=value, such as account=def-lab")
        if not arguments.measure and (arguments.measure_images or arguments.measure_lesions):
            parser.error("-measure-images and -measure-lesions go with -measure 1")
        if arguments.measure_by != "level" and not arguments.measure_images:
            parser.error("-measure-by goes with -measure-images: it divides the levels within which they are measured")
        arguments.how = model_settings(parser, arguments)
        _check_inputs(arguments)
        if arguments.level == "group":
            _group(arguments)
            return 0
        return _participant(arguments)

    return run(parser, argv, command, "scans that are done are kept, jobs are ended; run it again to go on")


def _check_inputs(arguments: argparse.Namespace) -> None:
    """Raise an error, before anything large is imported, if a path or the model is mistyped."""
    from sct_rootlets.cohort.selection import is_list_file

    names = [*(arguments.include_list or ()), *(arguments.exclude_list or ())]
    check_paths(arguments.bids, *arguments.labels, arguments.participants, *filter(is_list_file, names))
    if arguments.level == "group":
        check_paths(arguments.out)
    check_models(arguments.model)


def _participant(arguments: argparse.Namespace) -> int:
    from sct_rootlets.cohort.job import CohortSettings
    from sct_rootlets.cohort.plan import describe_pending
    from sct_rootlets.cohort.run import implausible_scans, run_cohort
    from sct_rootlets.errors import SctRootletsError

    bids, out = Path(arguments.bids), Path(arguments.out)
    plan = _plan(arguments)
    settings = CohortSettings(
        arguments.model,
        arguments.device,
        arguments.method,
        find_discs=arguments.discs == "image",
        omit_uncertain=arguments.uncertain_names == "omit",
        measures=_measure_request(arguments, plan),
        **arguments.how,
    )
    if arguments.v:
        say(*(f"note: {note}" for note in plan.notes))
    if arguments.dry_run:
        say(*describe_pending(plan, settings), is_result=True)
        return 0
    with _ProgressBar(bool(arguments.v)) as progress_bar:
        result = run_cohort(bids, out, plan, settings, _engine(arguments), progress_bar)
    if arguments.v:
        say(f"{result.n_done} scans done, {result.n_skipped} had been done before", f"  {result.status}")
    flagged = implausible_scans(plan)
    if arguments.v:
        say(*(f"note: {stem} is implausible: {'; '.join(texts)}" for stem, texts in sorted(flagged.items())))
        say(*look_at(out / "qc" / "index.html"))
    if result.failed:
        reasons = "".join(f"\n  {stem}: {reason}" for stem, reason in sorted(result.failed.items()))
        raise SctRootletsError(f"{len(result.failed)} of {len(plan.jobs)} scans failed (see {result.status}):{reasons}")
    return EXIT_IMPLAUSIBLE if arguments.strict and flagged else 0


def _measure_request(arguments: argparse.Namespace, plan: Plan) -> MeasureRequest | None:
    from sct_rootlets.cohort.measures import MeasureRequest, check_endings

    if not arguments.measure:
        return None
    request = MeasureRequest(
        images=tuple(dict.fromkeys(arguments.measure_images)),
        lesions=arguments.measure_lesions,
        division=arguments.measure_by,
    )
    check_endings(plan.jobs, request)
    return request


def _group(arguments: argparse.Namespace) -> None:
    from sct_rootlets.cohort.run import run_group
    from sct_rootlets.output.group_measures import summary
    from sct_rootlets.report.group_summary import text_summary

    bids, out = Path(arguments.bids), Path(arguments.out)
    participants = None if arguments.participants is None else Path(arguments.participants)
    groups, page = run_group(bids, out, _plan(arguments), participants)
    if arguments.v:
        for contrast, group in groups.items():
            say(f"{contrast}:")
            say(*([] if group.levels is None else [text_summary(group.levels)]))
            say(*([] if group.measures is None else summary(group.measures)))
            say(*(f"note: {note}" for note in group.notes))
            if group.levels is not None or group.measures is not None:
                say(f"  {out / 'group' / contrast}")
        say(*look_at(page))


def _plan(arguments: argparse.Namespace) -> Plan:
    from sct_rootlets.cohort.plan import make_plan
    from sct_rootlets.cohort.selection import read_filter

    wanted = read_filter(
        contrasts=arguments.contrasts,
        include=arguments.include,
        exclude=arguments.exclude,
        include_list=arguments.include_list,
        exclude_list=arguments.exclude_list,
    )
    return make_plan(Path(arguments.bids), Path(arguments.out), [Path(folder) for folder in arguments.labels], wanted)


def _engine(arguments: argparse.Namespace) -> Engine:
    from sct_rootlets.cohort.engine import Engine, default_workers

    return Engine(
        name=arguments.engine,
        workers=arguments.jobs or default_workers(arguments.threads),
        threads=arguments.threads,
        minutes=arguments.time,
        memory_gb=arguments.memory,
        partition=arguments.partition,
        sbatch_options=dict(option.split("=", 1) for option in arguments.slurm),
    )


class _ProgressBar:
    """A bar with the numbers of scans that are done, running and failed, and the remaining time."""

    def __init__(self, shown: bool) -> None:
        self.shown = shown
        self.queue = ""
        self.bar: Any = None

    def __enter__(self) -> _ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def __call__(self, progress: Progress) -> None:
        from sct_rootlets.cohort.attempt import Status

        if not self.shown:
            return
        if self.bar is None:
            from tqdm import tqdm

            interval_s = 0.5 if sys.stderr.isatty() else 30  # few lines where the output is a log
            self.bar = tqdm(total=len(progress.attempts), unit="scan", mininterval=interval_s)
        if progress.queue != self.queue:  # such as why jobs of SLURM are waiting
            self.queue = progress.queue
            self.bar.set_description(progress.queue)
        n_running, n_failed = progress.count(Status.RUNNING), progress.count(Status.FAILED)
        self.bar.set_postfix(running=n_running, failed=n_failed, refresh=False)
        self.bar.update(progress.count(Status.DONE) + n_failed - self.bar.n)


if __name__ == "__main__":
    sys.exit(main())
