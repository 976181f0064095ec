"""``sct_rootlets register``: a subject to the PAM50 template by its rootlets."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sct_rootlets.bids import LABEL_ENDINGS, SEGMENTED_KINDS, check_output_names, output_prefix
from sct_rootlets.cli.parsers import (
    MANDATORY,
    OPTIONAL,
    add_misc,
    add_model,
    add_overwrite,
    add_qc,
    add_strict,
    command_parser,
    model_settings,
    strict_status,
)
from sct_rootlets.cli.run import check_models, check_paths, earlier_notes, look_at, run, say

if TYPE_CHECKING:
    from sct_rootlets.registration.result import Registration

DESCRIPTION = """\
Register a subject's spinal cord to the PAM50 template by its nerve rootlets, so that the spinal levels of all subjects
lie at the same place. Cord and rootlets that you do not provide are segmented in the image (-i).

Written to the output folder: warp_anat2template and warp_template2anat (ITK displacement fields: for ANTs,
sct_apply_transfo, nitransforms), anat2template, rootlets2template, template2anat, the template's labels on the
subject's grid (cord2anat, levels2anat, spinal_levels2anat, rootlets2anat), a table of landmarks with errors, a sidecar,
a picture."""

EXAMPLES = """\
  sct_rootlets register -i t2.nii.gz -ofolder reg
  sct_rootlets register -i t2.nii.gz -s t2_seg.nii.gz -rootlets t2_rootlets.nii.gz -template PAM50 -ofolder reg
  sct_rootlets register -i t2.nii.gz -s t2_seg.nii.gz -rootlets t2_rootlets.nii.gz -apply fmri_mean.nii.gz -ofolder reg
  sct_rootlets register -i t2.nii.gz -s t2_seg.nii.gz -ldisc t2_discs.nii.gz -landmarks discs -ofolder reg_discs"""


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    parser = command_parser("sct_rootlets register", DESCRIPTION, EXAMPLES)
    mandatory = parser.add_argument_group(MANDATORY)
    mandatory.add_argument("-i", metavar="<file>", required=True, help="the scan")
    optional = parser.add_argument_group(OPTIONAL)
    optional.add_argument("-s", metavar="<file>", help="spinal cord mask; segmented if you do not provide it")
    optional.add_argument(
        "-rootlets", metavar="<file>", help="rootlet map: 2 for C2 ... 9 for T1; segmented if you do not provide it"
    )
    optional.add_argument(
        "-ldisc",
        metavar="<file>",
        help="disc labels, 3 for C2/C3, ...: for -landmarks, or to report how far off they end up",
    )
    optional.add_argument(
        "-template",
        metavar="<folder>",
        help="template in SCT's layout (default: $SCT_DIR/data/PAM50; else PAM50's labels are downloaded)",
    )
    optional.add_argument(
        "-landmarks",
        choices=("rootlets", "discs", "both"),
        default="rootlets",
        help="landmarks that are aligned along the cord (default: rootlets)",
    )
    optional.add_argument(
        "-refine", type=int, choices=(0, 1), default=1, metavar="<0|1>",
        help="place levels by the shape of all their rootlets, not by the outermost ones alone (default: 1)",
    )  # fmt: skip
    optional.add_argument(
        "-apply", type=parse_files, default=(), metavar="<file,...>",
        help="other images to warp to the template, 3D or 4D, in the world space of the scan",
    )  # fmt: skip
    optional.add_argument(
        "-x", choices=("linear", "nn", "spline"), default="linear",
        help="interpolation of the images of -apply; use nn for labels (default: linear)",
    )  # fmt: skip
    optional.add_argument("-c", choices=("t1", "t2", "t2s"), default="t2",
                          help="contrast of the template's image for template2anat (default: t2)")  # fmt: skip
    optional.add_argument(
        "-engine",
        choices=("own", "sct"),
        default="own",
        help="own: the method of docs/registration.md. sct: run sct_register_to_template of an installed Spinal Cord "
        "Toolbox, and use its warps (default: own)",
    )
    optional.add_argument("-ofolder", metavar="<folder>", default=".", help="output folder (default: current folder)")
    add_overwrite(optional)
    add_strict(optional)
    add_qc(optional)
    optional.add_argument("-figure", type=int, choices=(0, 1), default=1, metavar="<0|1>",
                          help="draw the picture (default: 1)")  # fmt: skip
    add_model(optional)
    optional.add_argument("-device", choices=("cpu", "cuda", "mps"), default="cpu",
                          help="device of the networks (default: cpu)")  # fmt: skip
    add_misc(parser)
    return parser


def parse_files(text: str) -> tuple[str, ...]:
    """Parse file names between commas."""
    return tuple(name for name in text.split(",") if name)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = get_parser()

    def command(arguments: argparse.Namespace) -> int:
        if arguments.engine == "sct" and arguments.landmarks == "both":
            parser.error("-engine sct takes rootlets or discs, not both")
        given = (arguments.i, arguments.s, arguments.rootlets, arguments.ldisc)
        check_paths(*given, *arguments.apply, arguments.template)
        check_models(arguments.model)
        prefix = output_prefix(Path(arguments.i).name)
        check_output_names([f"{prefix}_{LABEL_ENDINGS[kind]}.nii.gz" for kind in SEGMENTED_KINDS])
        how = model_settings(parser, arguments)
        from sct_rootlets.deepseg import SegmentationSettings, register_image
        from sct_rootlets.measure.registration_quality import registration_flags
        from sct_rootlets.output.registration import RECORD, load_images_to_warp, save_registration
        from sct_rootlets.output.viewing import fsleyes_command, registration_layers

        applied = load_images_to_warp(arguments.apply)  # before anything takes time
        to_warp = list(applied.values())
        _check_outputs(arguments, list(applied))
        registration = register_image(
            arguments.i,
            cord=arguments.s,
            rootlets=arguments.rootlets,
            discs=arguments.ldisc,
            template=arguments.template,
            landmarks=arguments.landmarks,
            contrast=arguments.c,
            by_shape=bool(arguments.refine),
            settings=SegmentationSettings(model=arguments.model, device=arguments.device, **how),
        )
        if arguments.engine == "sct":
            from sct_rootlets.sct.registration import register_by_sct

            registration = register_by_sct(registration)
        written = save_registration(
            registration,
            arguments.ofolder,
            to_warp,
            arguments.x,
            figure=bool(arguments.figure),
            overwrite=bool(arguments.overwrite),
        )
        viewing = fsleyes_command(registration_layers(registration, written))
        page = None if arguments.qc is None else _add_to_page(arguments, registration, viewing)
        if arguments.v:
            everything = [*written, *([] if page is None else [page])]
            say(*summary(registration), "written:", *(f"  {path}" for path in everything))
            say(*earlier_notes(arguments.ofolder, RECORD, written))
            if viewing:
                say("to view:", f"  {viewing}")
            say(*look_at(page, *(path for path in written if path.suffix == ".png")))
        return strict_status(arguments, registration_flags(registration))

    return run(parser, argv, command)


def _check_outputs(arguments: argparse.Namespace, applied: list[str]) -> None:
    """Raise an error, before anything is computed, if an input or a file of the user would be replaced."""
    from sct_rootlets.bids import output_prefix
    from sct_rootlets.output.registration import registration_files, registration_guard
    from sct_rootlets.output.scan import Scan

    given = (arguments.i, arguments.s, arguments.rootlets, arguments.ldisc, *arguments.apply)
    inputs = [Path(path) for path in given if path is not None]
    segmented = ["cord"] if arguments.s is None else []
    segmented += ["rootlets"] if arguments.rootlets is None and arguments.landmarks != "discs" else []
    segmented += ["discs"] if arguments.ldisc is None and arguments.landmarks != "rootlets" else []
    prefix = output_prefix(Path(arguments.i).name)
    names = registration_files(prefix, applied, segmented, bool(arguments.figure))
    scan = Scan.of_file(Path(arguments.i), arguments.ofolder)
    guard = registration_guard(inputs, bool(arguments.overwrite)).for_scan(scan)
    guard.check([Path(arguments.ofolder) / name for name in names])


def _add_to_page(arguments: argparse.Namespace, registration: Registration, viewing: str) -> Path:
    """Add the registration to the page of quality control; returns the page."""
    from sct_rootlets.output.page import add_registration
    from sct_rootlets.report.page.entry import About

    shown = registration.image
    about = About.of_file(
        shown.path, shown.name, "sct_rootlets register", arguments.qc_subject, arguments.qc_dataset, viewing
    )
    return add_registration(Path(arguments.qc), registration, about)


def summary(registration: Registration) -> list[str]:
    """List the lines that the command prints: landmarks with errors, quality, notes and raised flags."""
    from sct_rootlets.measure.registration_quality import registration_flags

    lines = ["landmarks: mm along the subject's cord, and how far the map misses it without this landmark:"]
    for row in registration.rows:
        leave_one_out_mm = row["left_out_error_mm"]
        error = "" if leave_one_out_mm is None else f"{leave_one_out_mm:+7.1f}"
        lines.append(f"  {row['name']:<6}{row['subject_mm']:7.1f}{error}{'' if row['used'] else '  (not used)'}")
    quality = registration.quality
    lines.append(f"cord Dice in the template {quality.cord_dice:.3f}, least Jacobian {quality.least_jacobian:.2f}")
    lines += [f"note: {note}" for note in registration.notes]
    return lines + [f"note: {flag.note}" for flag in registration_flags(registration) if flag.is_raised]


if __name__ == "__main__":
    sys.exit(main())
