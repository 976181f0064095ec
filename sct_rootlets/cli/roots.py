"""``sct_rootlets roots``: rootlets of a map divided into dorsal and ventral, left and right."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from sct_rootlets.cli.parsers import (
    MANDATORY,
    OPTIONAL,
    add_misc,
    add_overwrite,
    add_strict,
    command_parser,
    strict_status,
)
from sct_rootlets.cli.run import check_paths, run, say

DESCRIPTION = """\
Divide the rootlets of any map of spinal levels into dorsal and ventral ones, left and right, by where they attach to
the cord.

Written to the output folder: the map of roots, dorsal and ventral maps under the published names
(desc-dorsal_label-rootlets_dseg, desc-ventral_...), and a table."""

EXAMPLES = """\
  sct_rootlets roots -rootlets t2_rootlets.nii.gz -s t2_seg.nii.gz
  sct_rootlets roots -rootlets sub-01_T2w_label-rootlets_dseg.nii.gz -s sub-01_T2w_label-SC_seg.nii.gz -ofolder roots"""


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command's arguments."""
    parser = command_parser("sct_rootlets roots", DESCRIPTION, EXAMPLES)
    mandatory = parser.add_argument_group(MANDATORY)
    mandatory.add_argument(
        "-rootlets", required=True, metavar="<file>", help="rootlet map: 2 for C2 ... 8 for C8, 9 for T1, and so on"
    )
    mandatory.add_argument("-s", required=True, metavar="<file>", help="spinal cord mask, on the grid of the rootlets")
    optional = parser.add_argument_group(OPTIONAL)
    optional.add_argument("-ofolder", default=".", metavar="<folder>", help="output folder (default: current folder)")
    add_overwrite(optional)
    add_strict(optional)
    add_misc(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run(get_parser(), argv, _command)


def _command(arguments: argparse.Namespace) -> int:
    check_paths(arguments.rootlets, arguments.s)
    import numpy as np
    from nibabel.affines import apply_affine

    from sct_rootlets.bids import output_prefix
    from sct_rootlets.centerline import fit_centerline
    from sct_rootlets.image import binary_mask, labelled_voxels
    from sct_rootlets.nifti import check_sides
    from sct_rootlets.output.roots import root_files, root_guard, save_roots
    from sct_rootlets.output.scan import Scan
    from sct_rootlets.roots import split_roots
    from sct_rootlets.spinal import check_beside_cord_mask, check_level_values
    from sct_rootlets.subject import Inputs

    given = [Path(arguments.rootlets), Path(arguments.s)]
    prefix, folder = output_prefix(given[0].name).removesuffix("_rootlets"), Path(arguments.ofolder)
    overwrite = bool(arguments.overwrite)
    scan = Scan.of_file(given[0], folder, is_image=False)
    root_guard(prefix, given, overwrite).for_scan(scan).check([folder / name for name in root_files(prefix)])
    inputs = Inputs.load(rootlets=arguments.rootlets, cord=arguments.s)
    rootlets, cord = inputs.rootlets, inputs.cord
    assert rootlets is not None
    assert cord is not None
    check_sides([rootlets, cord], "roots are divided")
    mask, notes = binary_mask(cord)
    centerline = fit_centerline(mask, cord.affine)
    cord_mm = apply_affine(cord.affine, np.argwhere(mask))
    check_beside_cord_mask(rootlets, replace(cord, data=mask), cord_mm, centerline)
    ijk, values = labelled_voxels(rootlets)
    check_level_values(values)
    split = split_roots(ijk, values, rootlets.affine, cord_mm, centerline)
    written = save_roots(split, rootlets, folder, prefix, overwrite, given)
    if arguments.v:
        notes = [*inputs.header_notes, *notes, *centerline.notes, *([split.flag.note] if split.flag.is_raised else [])]
        say(*(f"note: {note}" for note in notes), "written:", *(f"  {path}" for path in written))
    return strict_status(arguments, [split.flag])
