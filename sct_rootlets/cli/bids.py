"""``sct_rootlets bids``: a whole BIDS folder, scan by scan, and the page to look at in the morning."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sct_rootlets.cli.common import MODEL_HELP, add_misc, command_parser, positive, run, say

if TYPE_CHECKING:
    from sct_rootlets.cohort.engine import Engine, State
    from sct_rootlets.cohort.plan import CohortSettings, Filter, Plan

DESCRIPTION = """\
Segment rootlets and cord in all scans of a BIDS folder, and compute spinal and vertebral levels.

participant: each scan that is not done yet; what was made of the same scan and labels by the same model is skipped.
Labels in derivatives/labels (rootlets, cord, discs, PMJ) are used where they are; a file that was corrected by hand in
the output folder counts before all. Run the command again after an interruption, or a correction.

group: the agreement of spinal and vertebral levels over the scans that are done, and the page of quality control."""

EXAMPLES = """\
  sct_rootlets bids bids derivatives/sct_rootlets participant -jobs 4
  sct_rootlets bids bids derivatives/sct_rootlets participant -dry-run
  sct_rootlets bids bids derivatives/sct_rootlets participant -engine slurm -partition short -time 60 -jobs 50
  sct_rootlets bids bids derivatives/sct_rootlets group"""


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    parser = command_parser("sct_rootlets bids", DESCRIPTION, EXAMPLES)
    mandatory = parser.add_argument_group("MANDATORY")
    mandatory.add_argument("bids", metavar="BIDS_DIR", help="the BIDS folder")
    mandatory.add_argument("out", metavar="OUT_DIR", help="folder of the results, a BIDS derivative dataset")
    mandatory.add_argument("level", choices=("participant", "group"), metavar="participant|group", help="see above")
    which = parser.add_argument_group("WHICH SCANS")
    which.add_argument("-contrasts", nargs="+", metavar="<name>", help="default: T2w UNIT1 INV1 INV2")
    which.add_argument("-labels", nargs="+", default=[], metavar="<folder>",
                       help="folders with labels, in place of derivatives/labels")  # fmt: skip
    which.add_argument("-include", type=_pattern, metavar="<regex>", help="only subjects and sessions such as "
                       "sub-01/ses-02 in which this is found; before -exclude")  # fmt: skip
    which.add_argument("-include-list", nargs="+", metavar="<name>", help="only these: sub-01, ses-02, sub-01/ses-02, "
                       "names of images, or files that list them (as the page exports them)")  # fmt: skip
    which.add_argument("-exclude", type=_pattern, metavar="<regex>", help="not those in which this is found")
    which.add_argument("-exclude-list", nargs="+", metavar="<name>", help="not these, as for -include-list")
    optional = parser.add_argument_group("OPTIONAL")
    optional.add_argument("-dry-run", action="store_true", help="say what would be done, and do nothing")
    optional.add_argument("-method", choices=("segment", "extent", "midgap"), default="segment",
                          help="of spinal levels: see sct_compute_spinal_levels -h (default: segment)")  # fmt: skip
    optional.add_argument("-model", metavar="<name>", help=MODEL_HELP)
    optional.add_argument("-device", choices=("cpu", "cuda", "mps"), default="cpu",
                          help="what the networks run on (default: cpu)")  # fmt: skip
    optional.add_argument("-participants", metavar="<file>",
                          help="group: participants.tsv (default: that of the BIDS folder)")  # fmt: skip
    engine = parser.add_argument_group("ON WHAT")
    engine.add_argument("-engine", choices=("local", "slurm"), default="local", help="default: local")
    engine.add_argument("-jobs", type=positive, metavar="<n>", help="scans at once (default: one for each core)")
    engine.add_argument("-threads", type=positive, default=1, metavar="<n>", help="for each of them (default: 1)")
    engine.add_argument("-time", type=positive, default=24 * 60, metavar="<min>",
                        help="after which a job ends and is queued again, to go on (default: a day)")  # fmt: skip
    engine.add_argument("-memory", type=positive, metavar="<GB>", help="of each job (slurm)")
    engine.add_argument("-partition", metavar="<name>", help="(slurm)")
    engine.add_argument("-slurm", nargs="+", default=[], metavar="<key=value>",
                        help="further options of sbatch, such as account=def-lab")  # fmt: skip
    add_misc(parser)
    return parser


def _pattern(text: str) -> str:
    """Check a regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from error
    return text


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status: 1 if a scan failed."""
    parser = get_parser()

    def command(arguments: argparse.Namespace) -> None:
        if any("=" not in option for option in arguments.slurm):
            parser.error("-slurm takes key=value, such as account=def-lab")
        (_group if arguments.level == "group" else _participant)(arguments)

    return run(parser, argv, command, "scans that are done are kept, jobs are ended; run it again to go on")


def _participant(arguments: argparse.Namespace) -> None:
    from sct_rootlets.cohort.plan import CohortSettings, make_plan
    from sct_rootlets.cohort.run import run_cohort
    from sct_rootlets.errors import SctRootletsError

    bids, out = Path(arguments.bids), Path(arguments.out)
    plan = make_plan(bids, out, [Path(folder) for folder in arguments.labels], _filter(arguments))
    settings = CohortSettings(arguments.model, arguments.device, arguments.method)
    if arguments.v:
        say(*(f"note: {note}" for note in plan.notes))
    if arguments.dry_run:
        say(*_what_would_be_done(plan, settings))
        return
    with _Progress(bool(arguments.v)) as progress:
        result = run_cohort(bids, out, plan, settings, _engine(arguments), progress)
    if arguments.v:
        say(f"{result.n_done} scans done, {result.n_skipped} had been done before", f"  {result.status}",
            f"  {out / 'qc' / 'index.html'}")  # fmt: skip
    if result.failed:
        reasons = "".join(f"\n  {stem}: {reason}" for stem, reason in sorted(result.failed.items()))
        raise SctRootletsError(f"{len(result.failed)} of {len(plan.jobs)} scans failed (see {result.status}):{reasons}")


def _filter(arguments: argparse.Namespace) -> Filter:
    from sct_rootlets.cohort.plan import CONTRASTS, Filter, read_lists
    from sct_rootlets.errors import DatasetError

    included = read_lists(arguments.include_list or ())
    if arguments.include_list and not included:
        raise DatasetError(f"{' '.join(arguments.include_list)} lists no scans; leave -include-list out to take all")
    return Filter(
        tuple(arguments.contrasts or CONTRASTS),
        arguments.include,
        arguments.exclude,
        included,
        read_lists(arguments.exclude_list or ()),
    )


def _engine(arguments: argparse.Namespace) -> Engine:
    from sct_rootlets.cohort.engine import Engine

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Engine(
        arguments.engine,
        arguments.jobs or max(1, cores // arguments.threads),
        arguments.threads,
        arguments.time,
        arguments.memory,
        arguments.partition,
        dict(option.split("=", 1) for option in arguments.slurm),
    )


def _what_would_be_done(plan: Plan, settings: CohortSettings) -> list[str]:
    from sct_rootlets.cohort.run import sort_out

    to_do, unreadable = sort_out(plan, settings)
    waiting = {job.stem for job in to_do}
    lines = []
    for job in plan.jobs:
        state = unreadable.get(job.stem) or ("to be done" if job.stem in waiting else "done")
        given = ", ".join(sorted(job.scan.labels))
        lines.append(f"{job.stem}: {state}" + (f" (with {given})" if given and job.stem in waiting else ""))
    return [*lines, f"{len(plan.jobs)} scans, {len(to_do)} to be done"]


class _Progress:
    """A bar with scans done, running and failed, and the time left."""

    def __init__(self, shown: bool) -> None:
        self.shown = shown
        self.where = ""
        self.bar: Any = None

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def __call__(self, state: State) -> None:
        if not self.shown:
            return
        if self.bar is None:
            from tqdm import tqdm

            self.bar = tqdm(
                total=len(state.reasons), unit="scan", mininterval=0.5 if sys.stderr.isatty() else 30
            )  # a log is no screen
        if state.where != self.where:  # such as why SLURM lets jobs wait
            self.where = state.where
            self.bar.set_description(state.where)
        self.bar.set_postfix(running=state.running, failed=state.failed, refresh=False)
        self.bar.update(state.done + state.failed - self.bar.n)


def _group(arguments: argparse.Namespace) -> None:
    from sct_rootlets.cohort.plan import make_plan
    from sct_rootlets.cohort.run import run_group
    from sct_rootlets.report.group_summary import text_summary

    bids, out = Path(arguments.bids), Path(arguments.out)
    plan = make_plan(bids, out, [Path(folder) for folder in arguments.labels], _filter(arguments))
    participants = None if arguments.participants is None else Path(arguments.participants)
    groups, page = run_group(bids, out, plan, participants)
    if arguments.v:
        for contrast, group in groups.items():
            say(f"{contrast}:", text_summary(group), f"  {out / 'group' / contrast}")
        say(f"  {page}")


if __name__ == "__main__":
    sys.exit(main())
