"""``sct_compute_spinal_levels``: spinal levels from rootlets, compared with vertebral levels from discs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sct_rootlets.bids import LABEL_NAMES, check_output_names, output_prefix
from sct_rootlets.cli.parsers import (
    OPTIONAL,
    add_misc,
    add_model,
    add_overwrite,
    add_qc,
    add_strict,
    add_uncertain_names,
    command_parser,
    model_settings,
    strict_status,
)
from sct_rootlets.cli.run import check_models, check_paths, look_at, run, say

if TYPE_CHECKING:
    from sct_rootlets.subject import SubjectLevels

DESCRIPTION = """\
Find the spinal levels of a cord from its segmented nerve rootlets, and its vertebral levels from disc labels,
in mm along the cord's centerline, and compare the two. Cord, rootlets and discs that you do not provide are found in
the image (-i). Without an image, provide -s with -rootlets, -ldisc, or both.

Written to the output folder: the cord coloured by level (with sidecar and colour table), the level table, the
correspondence table, and a figure."""

EXAMPLES = """\
  sct_compute_spinal_levels -i t2.nii.gz -ofolder levels
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
    mandatory = parser.add_argument_group("MANDATORY ARGUMENTS (an image, or labels, or some of both)")
    mandatory.add_argument(
        "-i", metavar="<file>", help="the scan; cord, rootlets and discs that you do not provide are found in it"
    )
    mandatory.add_argument("-s", metavar="<file>", help="spinal cord mask; a soft mask is thresholded at 0.5")
    mandatory.add_argument(
        "-rootlets", metavar="<file>", help="rootlet map: 2 for C2 ... 8 for C8, 9 for T1, ... (this, -ldisc, or both)"
    )
    mandatory.add_argument(
        "-ldisc",
        metavar="<file>",
        help="disc labels at the posterior tips: 3 for C2/C3, 4 for C3/C4, ...; 60 for the tip of the conus",
    )
    mandatory.add_argument(
        "-vertfile",
        metavar="<file>",
        help="in place of -ldisc: the cord coloured by vertebral level, 3 for C3 (<seg>_labeled.nii.gz of "
        "sct_label_vertebrae); discs lie where one region meets the next",
    )
    optional = parser.add_argument_group(OPTIONAL)
    optional.add_argument(
        "-discs",
        choices=("image", "none"),
        default="image",
        help="discs that you do not provide: find them in the image (default), or leave them out. Discs that you "
        "provide fix the numbers; one is enough",
    )
    optional.add_argument(
        "-pmj",
        metavar="<file>",
        help="label of the pontomedullary junction (value 50), from which positions are counted. Without it, they are "
        "counted from disc C2/C3, or else from the conus, disc T12/L1, or the top of the cord mask",
    )
    optional.add_argument(
        "-centerline",
        metavar="<file>",
        help="centerline, as sct_get_centerline writes it, in place of the centerline of the cord mask",
    )
    optional.add_argument("-ofolder", metavar="<folder>", default=".", help="output folder (default: current folder)")
    add_overwrite(optional)
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
        help="let the Spinal Cord Toolbox make the labels that you do not provide, from the scan (-i): cord, discs, "
        "pmj, or some of them (default: all). The labels are written to the output folder",
    )
    optional.add_argument(
        "-c", choices=("t1", "t2"), default="t2", help="contrast of the scan for -run-sct (default: t2)"
    )
    add_uncertain_names(optional)
    add_model(optional)
    optional.add_argument("-device", choices=("cpu", "cuda", "mps"), default="cpu",
                          help="device of the networks (default: cpu)")  # fmt: skip
    optional.add_argument(
        "-figure", type=int, choices=(0, 1), default=1, metavar="<0|1>", help="draw the figure (default: 1)"
    )
    add_qc(optional)
    add_strict(optional)
    optional.add_argument(
        "-published-csv",
        nargs="?",
        const="2025",
        choices=("2025", "2026"),
        metavar="2025|2026",
        help="also write the tables of the published RootletSeg scripts, with the names and columns of that year "
        "(default: 2025); needs -pmj. Their levels are those of -method extent",
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

    def command(arguments: argparse.Namespace) -> int:
        if arguments.i is None and arguments.s is None:
            parser.error("give an image (-i), or the cord mask (-s) with -rootlets, -ldisc or both")
        if arguments.ldisc is not None and arguments.vertfile is not None:
            parser.error("give -ldisc or -vertfile, not both")
        if arguments.i is None and arguments.rootlets is None and not (arguments.ldisc or arguments.vertfile):
            parser.error("give -rootlets, -ldisc, or both")
        if arguments.run_sct and arguments.i is None:
            parser.error("-run-sct works on the scan: give it with -i")
        if arguments.published_csv is not None and arguments.pmj is None and "pmj" not in (arguments.run_sct or ()):
            parser.error("-published-csv needs -pmj: its columns are distances from the PMJ")
        inputs = _given_files(arguments)
        check_paths(*map(str, inputs))
        check_models(arguments.model)
        arguments.how = model_settings(parser, arguments)
        prefix = output_prefix(Path(arguments.i or arguments.s).name)
        check_output_names([f"{prefix}_label-{name}_dseg.nii.gz" for name in LABEL_NAMES.values()])
        _check_outputs(arguments, inputs)
        if arguments.run_sct:
            _run_sct(arguments)
        subject = _subject(arguments)
        from sct_rootlets.output.levels import save_levels
        from sct_rootlets.output.viewing import fsleyes_command, level_layers

        written = save_levels(
            subject,
            arguments.ofolder,
            figure=bool(arguments.figure),
            published=arguments.published_csv or False,
            overwrite=bool(arguments.overwrite),
            inputs=inputs,
        )
        viewing = fsleyes_command(level_layers(subject, written))
        shown = [] if arguments.qc is None else [_add_to_page(arguments, subject, viewing)]
        if arguments.v:
            say(summary(subject), "written:", *(f"  {path}" for path in [*written, *shown]))
            if viewing:
                say("to view:", f"  {viewing}")
            from sct_rootlets.output.levels import stale_outputs

            for path in stale_outputs(arguments.ofolder, subject.prefix, written):
                say(f"note: {path} is of an earlier run, and was not written anew")
            figure = next((path for path in written if path.name.endswith("_levels.png")), None)
            say(*look_at(*shown, figure))
        return strict_status(arguments, subject.flags)

    return run(parser, argv, command)


def _given_files(arguments: argparse.Namespace) -> list[Path]:
    given = (arguments.i, arguments.s, arguments.rootlets, arguments.ldisc, arguments.vertfile, arguments.pmj)
    return [Path(path) for path in (*given, arguments.centerline) if path is not None]


def _check_outputs(arguments: argparse.Namespace, inputs: list[Path]) -> None:
    """Raise an error, before anything is computed, if a file of the user would be replaced."""
    from sct_rootlets.bids import LABEL_ENDINGS, output_prefix
    from sct_rootlets.output.levels import level_files, level_guard
    from sct_rootlets.output.scan import Scan

    wanted = {step for step in arguments.run_sct or () if _sct_input(arguments, step) is None}
    prefix = output_prefix(Path(arguments.i or arguments.s).name)
    found_discs = arguments.i is not None and arguments.discs == "image"
    given_discs = bool(arguments.ldisc or arguments.vertfile or "discs" in wanted)
    discs = given_discs or found_discs
    kinds = [*(["spinal"] if arguments.rootlets or arguments.i else []), *(["vertebral"] if discs else [])]
    segmented = []
    if arguments.i is not None:
        segmented += ["cord"] if arguments.s is None and "cord" not in wanted else []
        segmented += ["rootlets"] if arguments.rootlets is None else []
    names = level_files(prefix, kinds, segmented, False, arguments.published_csv or False, found_discs, given_discs)
    if arguments.figure and _has_others(Path(arguments.ofolder), prefix, names):
        # Only now, as the names of figures take the second in which Matplotlib loads.
        names = level_files(prefix, kinds, segmented, True, arguments.published_csv or False)
    names += [f"{prefix}_{LABEL_ENDINGS[step]}.{ending}" for step in sorted(wanted) for ending in ("nii.gz", "json")]
    scan = Scan.of_file(Path(arguments.i or arguments.s), arguments.ofolder, is_image=arguments.i is not None)
    guard = level_guard(prefix, inputs, bool(arguments.overwrite)).for_scan(scan)
    guard.check([Path(arguments.ofolder) / name for name in names])


def _has_others(folder: Path, prefix: str, names: list[str]) -> bool:
    """Whether a folder has other files that begin with a prefix."""
    try:
        return any(path.name.startswith(f"{prefix}_") and path.name not in names for path in folder.iterdir())
    except OSError:
        return False


def _sct_input(arguments: argparse.Namespace, step: str) -> str | None:
    """Return the file that is given in place of a step of the Spinal Cord Toolbox."""
    given = {"cord": arguments.s, "discs": arguments.ldisc or arguments.vertfile, "pmj": arguments.pmj}
    return given[step]


def _run_sct(arguments: argparse.Namespace) -> None:
    """Let the Spinal Cord Toolbox make what is wanted and not given."""
    from sct_rootlets.nifti import load_volume
    from sct_rootlets.sct.steps import run_steps

    wanted = [step for step in arguments.run_sct if _sct_input(arguments, step) is None]
    image = Path(arguments.i)
    prefix = output_prefix(load_volume(image).name)
    for path in _given_files(arguments):
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
        find_discs=arguments.discs == "image",
        settings=SegmentationSettings(
            model=arguments.model,
            device=arguments.device,
            omit_uncertain=arguments.uncertain_names == "omit",
            **arguments.how,
        ),
    )


def _add_to_page(arguments: argparse.Namespace, subject: SubjectLevels, viewing: str) -> Path:
    from sct_rootlets.output.page import add_levels
    from sct_rootlets.report.page.entry import About

    shown = subject.image or subject.cord
    about = About.of_file(
        shown.path, shown.name, "sct_compute_spinal_levels", arguments.qc_subject, arguments.qc_dataset, viewing
    )
    return add_levels(Path(arguments.qc), subject, about)


def summary(subject: SubjectLevels) -> str:
    """What the command prints: levels, pairs and notes."""
    reference = subject.reference
    lines = [f"positions in mm along the cord, from: {reference.name}"]
    for levels in subject.kinds:
        lines.append(f"{levels.kind} levels ({levels.method}):")
        for level in levels.levels:
            remark = "  from the image" if "image" in level.source else ""
            remark += f"  incomplete: {'; '.join(level.incomplete)}" if level.incomplete else ""
            lines.append(
                f"  {level.name:<4}{level.rostral_mm - reference.arc_mm:7.1f} ± {level.rostral_sd_mm:.1f}  to"
                f"{level.caudal_mm - reference.arc_mm:7.1f} ± {level.caudal_sd_mm:.1f}{remark}"
            )
    if subject.numbering is not None and subject.vertebral is not None:
        lines.append(f"numbers of the vertebrae: probability {subject.numbering.probability:.2f}")
    shifted = subject.shifted_pairs
    if shifted:
        extent = subject.spinal is not None and subject.spinal.method == "extent"
        published = "" if extent else "; for comparison with published figures use -method extent"
        lines.append(f"vertebral minus spinal midpoint, in mm (shifted pairs{published}):")
        lines += [f"  {pair.name:<6}{pair.difference_mm:+6.1f} ± {pair.difference_sd_mm:.1f}" for pair in shifted]
    lines += [f"note: {note}" for note in subject.notes]
    lines += [f"note: {flag.note}" for flag in subject.flags if flag.is_raised]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
