"""``sct_rootlets measure``: shape, signal and lesions of the cord per spinal and vertebral level."""

from __future__ import annotations

import argparse
from pathlib import Path

from sct_rootlets.bids import MEASURE_RECORD_ENDING
from sct_rootlets.cli.parsers import (
    MANDATORY,
    OPTIONAL,
    add_misc,
    add_overwrite,
    add_strict,
    command_parser,
    strict_status,
)
from sct_rootlets.cli.run import check_paths, earlier_notes, look_at, run, say

DESCRIPTION = """\
Measure the cord per spinal and vertebral level, from the levels that sct_compute_spinal_levels wrote: its shape (area,
diameters, ...), the signal of images of the same session, and lesions.

Images may lie on other grids: their headers place them. Written to the output folder: tables (CSV) with the columns of
the Spinal Cord Toolbox, and a figure."""

EXAMPLES = """\
  sct_rootlets measure -levels levels -ofolder metrics
  sct_rootlets measure -levels levels -i mtr.nii.gz,fa.nii.gz -by side -ofolder metrics
  sct_rootlets measure -levels levels -i mtr.nii.gz -s-image mtr_seg.nii.gz -mask wm.nii.gz -ofolder metrics
  sct_rootlets measure -levels levels -lesion lesions.nii.gz -ofolder metrics"""


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command's arguments."""
    parser = command_parser("sct_rootlets measure", DESCRIPTION, EXAMPLES)
    mandatory = parser.add_argument_group(MANDATORY)
    mandatory.add_argument(
        "-levels",
        required=True,
        metavar="<path>",
        help="folder that sct_compute_spinal_levels wrote, or the level table (PREFIX_levels.csv) of one scan in it",
    )
    mandatory.add_argument("-ofolder", required=True, metavar="<folder>", help="output folder")
    optional = parser.add_argument_group(OPTIONAL)
    optional.add_argument(
        "-s",
        metavar="<file>",
        help="cord mask that the levels were computed from, binary or soft (default: the one in the folder of -levels; "
        "else the labelled part of the cord)",
    )
    optional.add_argument(
        "-i",
        nargs="+",
        metavar="<file,...>",
        help="images whose signal is measured, on any grid of the session; of 4D images, a time series per level",
    )
    optional.add_argument(
        "-s-image",
        nargs="+",
        metavar="<file,...>",
        help="cord mask of each image of -i, on its grid: the shift between it and the cord of the levels is reported "
        "and taken back, and only the cord of both is measured",
    )
    optional.add_argument(
        "-mask",
        nargs="+",
        metavar="<file,...>",
        help="measure the images within these masks, binary or soft, each by itself: gray matter, white matter, "
        "tracts; on the grid of the image, or of the levels",
    )
    optional.add_argument(
        "-by",
        choices=("level", "side", "half", "quarter"),
        default="level",
        help="measure the images in whole levels (default), left and right, dorsal and ventral halves, or quarters",
    )
    optional.add_argument(
        "-w",
        metavar="<file>",
        help="warp from the levels to the images, as sct_apply_transfo -i <levels> -d <image> -w takes it (default: "
        "the headers place the images)",
    )
    optional.add_argument("-lesion", metavar="<file>", help="mask of lesions, on any grid of the session")
    optional.add_argument(
        "-normalize-PAM50",
        type=int,
        choices=(0, 1),
        default=0,
        metavar="<0|1>",
        help="also write the shape in PAM50's dimensions: at the slices of the template, aligned by vertebrae "
        "(default: 0)",
    )
    optional.add_argument(
        "-points",
        type=int,
        choices=(0, 1),
        default=0,
        metavar="<0|1>",
        help="also write points of the levels: where each begins (as sct_process_segmentation -discfile takes them), "
        "its middle, and its centre of mass (default: 0)",
    )
    optional.add_argument(
        "-figure", type=int, choices=(0, 1), default=1, metavar="<0|1>", help="draw the figure (default: 1)"
    )
    add_overwrite(optional)
    add_strict(optional)
    add_misc(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = get_parser()

    def command(arguments: argparse.Namespace) -> int:
        if not arguments.i:
            for option in ("s_image", "mask", "w"):
                if getattr(arguments, option):
                    parser.error(f"-{option.replace('_', '-')} goes with -i: it says where images are measured")
            if arguments.by != "level":
                parser.error("-by goes with -i: it divides the levels within which images are measured")
        return _command(arguments)

    return run(parser, argv, command)


def _command(arguments: argparse.Namespace) -> int:
    lists = {name: _split(getattr(arguments, name)) for name in ("i", "s_image", "mask")}
    given = [*lists["i"], *lists["s_image"], *lists["mask"]]
    check_paths(arguments.levels, arguments.s, arguments.w, arguments.lesion, *map(str, given))
    from sct_rootlets.errors import DatasetError
    from sct_rootlets.measure.level_folder import find_levels, load_levels
    from sct_rootlets.measure.scan import MeasuredFiles, measure_scan
    from sct_rootlets.output.measures import measure_files, measure_guard, save_measures, summary
    from sct_rootlets.output.scan import Scan

    found = find_levels(arguments.levels)
    if arguments.normalize_PAM50 and "vertebral" not in found.maps:
        raise DatasetError(
            f"{found.table} comes without vertebral levels, by which -normalize-PAM50 aligns the cord; compute the "
            "levels with discs (-ldisc)"
        )
    files = MeasuredFiles(
        images=lists["i"],
        image_cords=lists["s_image"],
        masks=lists["mask"],
        lesions=None if arguments.lesion is None else Path(arguments.lesion),
        warp=None if arguments.w is None else Path(arguments.w),
        division=arguments.by,
    )
    files.check()
    inputs = [*found.files, *files.paths, *([] if arguments.s is None else [Path(arguments.s)])]
    folder, figure, overwrite = Path(arguments.ofolder), bool(arguments.figure), bool(arguments.overwrite)
    images = [path.name for path in files.images]
    points = tuple(found.maps) if arguments.points else ()
    names = measure_files(
        found.prefix, images, files.lesions is not None, figure, points, bool(arguments.normalize_PAM50)
    )
    scan = Scan.of_results(next(iter(found.maps.values())), folder)
    measure_guard(found.prefix, inputs, overwrite).for_scan(scan).check([folder / name for name in names])

    measures = measure_scan(load_levels(found, arguments.s), files)
    written = save_measures(
        measures,
        folder,
        found.prefix,
        figure=figure,
        points=bool(points),
        in_template=bool(arguments.normalize_PAM50),
        overwrite=overwrite,
        inputs=inputs,
        scan=scan,
    )
    if arguments.v:
        say(*summary(measures, written))
        say(*earlier_notes(folder, f"{found.prefix}_{MEASURE_RECORD_ENDING}", written))
        say(*look_at(*(path for path in written if path.suffix == ".png")))
    return strict_status(arguments, measures.flags)


def _split(values: list[str] | None) -> tuple[Path, ...]:
    """Split lists of files: separated by commas, as in SCT, or given one by one."""
    paths: list[Path] = []
    for value in values or ():
        whole = Path(value)
        paths += [whole] if whole.exists() else [Path(part) for part in value.split(",") if part]
    return tuple(paths)
