"""``sct_compute_spinal_levels``: spinal levels from rootlets, compared with vertebral levels from discs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sct_rootlets.cli.parsers import MODEL_HELP, add_misc, add_qc, command_parser
from sct_rootlets.cli.run import check_paths, run, say

if TYPE_CHECKING:
    from sct_rootlets.subject import SubjectLevels

DESCRIPTION = """\
Find the spinal levels of a cord from its segmented nerve rootlets, and its vertebral levels from disc labels,
in mm along the cord's centerline, and compare the two. From an image (-i), cord and rootlets that are not given are
segmented; without one, give -s with -rootlets, -ldisc, or both.

Written to the output folder: the cord coloured by level (with sidecar and colour table), the level table, the
correspondence table, and a figure."""

EXAMPLES = """\
  sct_compute_spinal_levels -i t2.nii.gz -ldisc t2_discs.nii.gz -ofolder levels
  sct_compute_spinal_levels -rootlets t2_rootlets.nii.gz -s t2_seg.nii.gz -ldisc t2_discs.nii.gz -ofolder levels
  sct_compute_spinal_levels -rootlets t2_rootlets.nii.gz -s t2_seg.nii.gz -pmj t2_pmj.nii.gz -method extent
  sct_compute_spinal_levels -s t2_seg.nii.gz -ldisc t2_seg_labeled_discs.nii.gz
  sct_compute_spinal_levels -i t2.nii.gz -s t2_seg.nii.gz -vertfile t2_seg_labeled.nii.gz
  sct_compute_spinal_levels -i t2.nii.gz -ldisc t2_discs.nii.gz -ofolder levels -qc qc
  sct_compute_spinal_levels -i t2.nii.gz -run-sct discs,pmj -s t2_seg.nii.gz"""


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    parser = command_parser("sct_compute_spinal_levels", DESCRIPTION, EXAMPLES)
    mandatory = parser.add_argument_group("MANDATORY (an image, or labels, or some of both)")
    mandatory.add_argument("-i", metavar="<file>", help="the scan: rootlets and cord that are not given are segmented")
    mandatory.add_argument("-s", metavar="<file>", help="spinal cord mask; a soft mask is cut at 0.5")
    mandatory.add_argument(
        "-rootlets", metavar="<file>", help="rootlet map: 2 for C2 ... 8 for C8, 9 for T1, ... (this, -ldisc, or both)"
    )
    mandatory.add_argument(
        "-ldisc", metavar="<file>", help="disc labels at the posterior tips: 3 for C2/C3, 4 for C3/C4, ..."
    )
    mandatory.add_argument(
        "-vertfile",
        metavar="<file>",
        help="in place of -ldisc: the cord coloured by vertebral level, 3 for C3 (<seg>_labeled.nii.gz of "
        "sct_label_vertebrae); discs lie where one region meets the next",
    )
    optional = parser.add_argument_group("OPTIONAL")
    optional.add_argument(
        "-pmj",
        metavar="<file>",
        help="label of the pontomedullary junction (50); positions are counted from it. "
        "Otherwise from disc C2/C3, or else from the top of the cord mask",
    )
    optional.add_argument(
        "-centerline",
        metavar="<file>",
        help="a centerline, as sct_get_centerline writes, in place of that of the cord mask",
    )
    optional.add_argument("-ofolder", metavar="<folder>", default=".", help="output folder (default: this one)")
    optional.add_argument(
        "-method",
        choices=("segment", "extent", "midgap"),
        default="segment",
        help="segment: from the caudal end of the level above to the caudal end of this one, no gaps. "
        "extent: where the level's rootlets touch the dilated cord (Valošek 2024). "
        "midgap: boundaries halfway between neighbours (default: segment)",
    )
    optional.add_argument(
        "-distance",
        type=millimetres,
        default=2.4,
        metavar="<mm>",
        help="rootlets count up to this distance from the cord, in mm (default: 2.4)",
    )
    optional.add_argument(
        "-run-sct",
        nargs="?",
        const=("cord", "discs", "pmj"),
        type=steps,
        metavar="<step,...>",
        help="let the Spinal Cord Toolbox make what is not given, from the scan (-i): cord, discs, pmj, or some of "
        "them (default: all). They are written to the output folder",
    )
    optional.add_argument(
        "-c", choices=("t1", "t2"), default="t2", help="contrast of the scan for -run-sct (default: t2)"
    )
    optional.add_argument("-model", metavar="<name>", help=MODEL_HELP)
    optional.add_argument("-device", choices=("cpu", "cuda", "mps"), default="cpu",
                          help="what the networks run on (default: cpu)")  # fmt: skip
    optional.add_argument(
        "-figure", type=int, choices=(0, 1), default=1, metavar="<0|1>", help="draw the figure (default: 1)"
    )
    add_qc(optional)
    optional.add_argument(
        "-published-csv",
        action="store_true",
        help="also write the tables of the published RootletSeg scripts (spinal_level, slice_start, "
        "distance_from_pmj_start, ...); needs -pmj. Their levels are those of -method extent",
    )
    add_misc(parser)
    return parser


def millimetres(text: str) -> float:
    """Parse a positive length."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number of mm, not {text}")
    return value


def steps(text: str) -> tuple[str, ...]:
    """Parse steps of the Spinal Cord Toolbox between commas."""
    from sct_rootlets.sct.steps import STEPS

    wanted = tuple(text.split(","))
    for step in wanted:
        if step not in STEPS:
            raise argparse.ArgumentTypeError(f"{step!r} is none of {', '.join(STEPS)}")
    return wanted


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = get_parser()

    def command(arguments: argparse.Namespace) -> None:
        if arguments.i is None and arguments.s is None:
            parser.error("give an image (-i), or the cord mask (-s) with -rootlets, -ldisc or both")
        if arguments.ldisc is not None and arguments.vertfile is not None:
            parser.error("give -ldisc or -vertfile, not both")
        if arguments.i is None and arguments.rootlets is None and not (arguments.ldisc or arguments.vertfile):
            parser.error("give -rootlets, -ldisc, or both")
        given = (arguments.i, arguments.s, arguments.rootlets, arguments.ldisc, arguments.vertfile, arguments.pmj)
        if arguments.run_sct and arguments.i is None:
            parser.error("-run-sct works on the scan: give it with -i")
        check_paths(*given, arguments.centerline)
        if arguments.run_sct:
            _run_sct(arguments)
        if arguments.published_csv and arguments.pmj is None:
            parser.error("-published-csv needs -pmj: its columns are distances from the PMJ")
        subject = _subject(arguments)
        from sct_rootlets.output.levels import save_levels

        written = save_levels(
            subject, arguments.ofolder, figure=bool(arguments.figure), published=arguments.published_csv
        )
        shown = [] if arguments.qc is None else [_add_to_page(arguments, subject)]
        if arguments.v:
            say(summary(subject), "written:", *(f"  {path}" for path in [*written, *shown]))
            from sct_rootlets.output.levels import stale_outputs

            for path in stale_outputs(arguments.ofolder, subject.prefix, written):
                say(f"note: {path} is of an earlier run, and was not written anew")

    return run(parser, argv, command)


def _run_sct(arguments: argparse.Namespace) -> None:
    """Let the Spinal Cord Toolbox make what is wanted and not given."""
    from sct_rootlets.bids import output_prefix
    from sct_rootlets.nifti import load_volume
    from sct_rootlets.sct.steps import run_steps

    given = {"cord": arguments.s, "discs": arguments.ldisc or arguments.vertfile, "pmj": arguments.pmj}
    wanted = [step for step in arguments.run_sct if given[step] is None]
    image = Path(arguments.i)
    prefix = output_prefix(load_volume(image).name)
    for path in (*given.values(), arguments.rootlets, arguments.centerline):
        if path is not None:
            load_volume(path)  # better said now than after minutes of SCT's
    cord = None if arguments.s is None else Path(arguments.s)
    made = run_steps(wanted, image, Path(arguments.ofolder), prefix, arguments.c, cord)
    arguments.s = made.get("cord", arguments.s)
    arguments.ldisc = made.get("discs", arguments.ldisc)
    arguments.pmj = made.get("pmj", arguments.pmj)
    if arguments.v:
        say(*(f"made by the Spinal Cord Toolbox: {path}" for path in made.values()))


def _subject(arguments: argparse.Namespace) -> SubjectLevels:
    from sct_rootlets.deepseg import SegmentationSettings, compute_spinal_levels

    return compute_spinal_levels(
        arguments.rootlets,
        cord=arguments.s,
        image=arguments.i,
        discs=arguments.ldisc,
        vertebrae=arguments.vertfile,
        pmj=arguments.pmj,
        centerline=arguments.centerline,
        method=arguments.method,
        distance_mm=arguments.distance,
        settings=SegmentationSettings(model=arguments.model, device=arguments.device),
    )


def _add_to_page(arguments: argparse.Namespace, subject: SubjectLevels) -> Path:
    from sct_rootlets.output.page import add_levels
    from sct_rootlets.report.page.entry import About

    shown = subject.image or subject.cord
    about = About.of_file(
        shown.path, shown.name, "sct_compute_spinal_levels", arguments.qc_subject, arguments.qc_dataset
    )
    return add_levels(Path(arguments.qc), subject, about)


def summary(subject: SubjectLevels) -> str:
    """What the command prints: levels, pairs and notes."""
    reference = subject.reference
    lines = [f"positions in mm along the cord, from: {reference.name}"]
    for levels in subject.kinds:
        lines.append(f"{levels.kind} levels ({levels.method}):")
        for level in levels.levels:
            remark = f"  incomplete: {'; '.join(level.incomplete)}" if level.incomplete else ""
            lines.append(
                f"  {level.name:<4}{level.rostral_mm - reference.arc_mm:7.1f} ± {level.rostral_sd_mm:.1f}  to"
                f"{level.caudal_mm - reference.arc_mm:7.1f} ± {level.caudal_sd_mm:.1f}{remark}"
            )
    shifted = subject.shifted_pairs
    if shifted:
        extent = subject.spinal is not None and subject.spinal.method == "extent"
        published = "" if extent else "; for comparison with published figures use -method extent"
        lines.append(f"vertebral minus spinal midpoint, in mm (shifted pairs{published}):")
        lines += [f"  {pair.name:<6}{pair.difference_mm:+6.1f} ± {pair.difference_sd_mm:.1f}" for pair in shifted]
    lines += [f"note: {note}" for note in subject.notes]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
