"""``sct_deepseg``: segment rootlets, cord and spinal levels in images."""

from __future__ import annotations

import argparse
import importlib
import math
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sct_rootlets.bids import check_output_file
from sct_rootlets.cli.parsers import (
    MANDATORY,
    OPTIONAL,
    add_misc,
    add_model,
    add_overwrite,
    add_qc,
    add_strict,
    add_uncertain_names,
    command_parser,
    model_settings,
    page_options,
    strict_status,
    thread_count,
)
from sct_rootlets.cli.run import check_models, check_paths, run, say
from sct_rootlets.segmentation.tasks import TASKS, Task

if TYPE_CHECKING:
    from sct_rootlets.flags import Flag

EXAMPLES = """\
  sct_deepseg rootlets -i sub-01_T2w.nii.gz
  sct_deepseg rootlets -i sub-01_T2w.nii.gz -o sub-01_T2w_label-rootlets_dseg.nii.gz -qc qc
  sct_deepseg rootlets_cord -i sub-01_T2w.nii.gz sub-02_T2w.nii.gz
  sct_deepseg -task-details"""


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the command without a task."""
    width = max(map(len, TASKS))
    tasks = "\n".join(f"  {name:<{width}}  {task.description}" for name, task in TASKS.items())
    parser = command_parser(
        "sct_deepseg",
        f"Segment nerve rootlets on spinal cord MRI: sct_deepseg TASK -i <file>\n\ntasks:\n{tasks}\n\n"
        "sct_deepseg TASK -h shows the options of a task.",
        EXAMPLES,
    )
    parser.add_argument_group(MANDATORY).add_argument(
        "task", nargs="?", choices=list(TASKS), metavar="TASK", help="one of the tasks above"
    )
    optional = parser.add_argument_group(OPTIONAL)
    optional.add_argument("-task-details", action="store_true", help="describe the tasks in detail and exit")
    add_misc(parser)
    return parser


class _Refuse(argparse.Action):
    """Say why an option of SCT is not taken."""

    def __init__(self, *arguments: Any, reason: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.reason = reason

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        task = parser.prog.rsplit(" ", 1)[-1]
        parser.error(f"{self.option_strings[0]} of SCT does not go with {task}: {self.reason}")


def get_task_parser(name: str) -> argparse.ArgumentParser:
    """Arguments of a task."""
    task = TASKS[name]
    parser = command_parser(
        f"sct_deepseg {name}",
        f"{task.description}.\n\n{task.details}",
        f"  sct_deepseg {name} -i sub-01_T2w.nii.gz\n  sct_deepseg {name} -i sub-*/anat/*_T2w.nii.gz -qc qc",
    )
    mandatory = parser.add_argument_group(MANDATORY)
    mandatory.add_argument(
        "-i", nargs="+", metavar="<file>", help="one image, or several: the networks are loaded once"
    )
    optional = parser.add_argument_group(OPTIONAL)
    written = ", ".join(f"<image>{output.suffix}.nii.gz" for output in task.outputs)
    several = len(task.outputs) > 1
    optional.add_argument(
        "-o",
        metavar="<file>",
        help=f"output file{' (suffixes are added to it)' if several else ''}; default: {written} beside the image",
    )
    add_own_options(optional)
    optional.add_argument("-test-time-aug", action="store_true",
                          help="average with the prediction for the mirrored image; takes twice as long")  # fmt: skip
    optional.add_argument("-largest", type=int, choices=(0, 1), default=0,
                          help="keep only the largest connected component of each label (default: 0)")  # fmt: skip
    optional.add_argument("-remove-small", metavar="<size>", type=piece_size,
                          help="remove connected components smaller than this, such as 1mm3 or 5vox")  # fmt: skip
    add_qc(optional)
    add_strict(optional)
    optional.add_argument("-install", action="store_true",
                          help="install the model that -model names (see: sct_rootlets models list); the bundled one "
                          "comes with the package")  # fmt: skip
    optional.add_argument("-custom-url", nargs="+", metavar="<url>",
                          help="with -install: an address (http, https, file), a zip file or a folder to install the "
                          "model from; if one of several fails, the next is tried")  # fmt: skip
    for option in IGNORED:
        optional.add_argument(option, metavar="<value>", help=argparse.SUPPRESS)
    for option, reason in REFUSED.items():
        optional.add_argument(option, nargs="*", action=_Refuse, reason=reason, help=argparse.SUPPRESS)
    optional.add_argument("-r", type=int, choices=(0, 1), default=1, help=argparse.SUPPRESS)
    add_misc(parser)
    return parser


def add_own_options(group: argparse._ArgumentGroup) -> None:
    """Add the options that SCT's own tasks do not have."""
    group.add_argument("-ldisc", metavar="<file>",
                       help="disc labels (3 for C2/C3, ...): they help to choose the names of levels, and never move a "
                       "level")  # fmt: skip
    group.add_argument("-s", metavar="<file>",
                       help="your own spinal cord mask: no cord is segmented or written, and rootlets and levels are "
                       "found along this one; a soft mask is thresholded at 0.5")  # fmt: skip
    add_uncertain_names(group)
    add_overwrite(group)
    add_model(group)
    group.add_argument("-device", choices=("cpu", "cuda", "mps"), default="cpu",
                       help="device of the networks (default: cpu)")  # fmt: skip
    group.add_argument(
        "-threads", type=thread_count, metavar="<n>", help="number of CPU threads (default: torch chooses)"
    )


#: Names that tasks had before SCT 7.0, or in its release candidates, by what the same models are called today. Names of
#: models that are gone (seg_sc_t2star) or were replaced later (canal_t2w) are left to SCT, which refuses them.
OLD_NAMES = {
    "seg_spinal_rootlets_t2w": "rootlets",
    "rootlets_t2": "rootlets",
    # of SCT alone
    "seg_sc_contrast_agnostic": "spinalcord",
    "seg_sc_lesion_t2w_sci": "lesion_sci_t2",
    "seg_sc_ms_lesion_axial_t2w": "lesion_ms_axial_t2",
    "seg_sc_epi": "sc_epi",
    "seg_ms_lesion": "lesion_ms",
    "seg_ms_lesion_mp2rage": "lesion_ms_mp2rage",
    "seg_lumbar_sc_t2w": "sc_lumbar_t2",
    "seg_gm_sc_7t_t2star": "gm_sc_7t_t2star",
    "seg_exvivo_gm-wm_t2": "gm_wm_exvivo_t2",
    "seg_tumor_t2": "tumor_t2",
    "seg_tumor-edema-cavity_t1-t2": "tumor_edema_cavity_t1_t2",
    "seg_mice_sc": "sc_mouse_t1",
    "seg_mice_gm": "gm_mouse_t1",
    "seg_mouse_gm_wm_t1w": "gm_wm_mouse_t1",
}
#: Options of SCT's sct_deepseg that make no sense for maps of labels, or for these networks; each with the reason.
REFUSED = {
    "-thr": "the outputs are labels, not probabilities: there is nothing to threshold",
    "-fill-holes": "it is for one binary mask",
    "-single-fold": "choose a model of one fold with -model",
    "-ofolder": "name the output with -o <folder>/<name>.nii.gz",
}
#: Options of SCT that change nothing here; each with the reason.
IGNORED = {
    "-c": "the networks take any contrast",
    "-qc-plane": "the page of -qc shows the cord in several planes",
    "-qc-seg": "the page of -qc shows the whole image",
}


def ignored_notes(arguments: argparse.Namespace) -> list[str]:
    """Say which of the options that were given change nothing; they are None if they were not given."""
    given = [option for option in IGNORED if getattr(arguments, option[1:].replace("-", "_"), None) is not None]
    return [f"note: {option} of SCT is ignored: {IGNORED[option]}" for option in given]


def piece_size(text: str) -> tuple[float, str]:
    """Parse a size with its unit: ``1mm3``, ``5vox``; without a unit, voxels."""
    unit = "mm3" if text.endswith("mm3") else "vox"
    try:
        size = float(text.removesuffix(unit))
    except ValueError:
        size = math.nan
    if not 0 <= size < math.inf:
        raise argparse.ArgumentTypeError(f"must be a size such as 1mm3 or 5vox, not {text}")
    return size, unit


def modern_spelling(argv: Sequence[str]) -> list[str]:
    """Write arguments as since SCT 7.0: the task first, by the name that it has today.

    ``-task NAME -i ...`` becomes ``NAME -i ...``; ``-install-task NAME``, and ``-install NAME`` without a task before
    it, become ``NAME -install``.
    """
    arguments: list[str] = []
    for word in argv:
        arguments += word.split("=", 1) if word.startswith(("-task=", "-install-task=")) else [word]
    at = arguments.index("-install") if "-install" in arguments[:-1] else None
    if at is not None and arguments[0].startswith("-") and not arguments[at + 1].startswith("-"):
        arguments[at] = "-install-task"
    for option, more in (("-task", []), ("-install-task", ["-install"])):
        if option in arguments[:-1]:
            at = arguments.index(option)
            arguments = [arguments[at + 1], *more, *arguments[:at], *arguments[at + 2 :]]
    if arguments:
        arguments[0] = OLD_NAMES.get(arguments[0], arguments[0])
    return arguments


def name_note(argv: Sequence[str]) -> str | None:
    """Say what an old name of a task is today; None if the arguments hold none."""
    old = next((name for word in argv if (name := word.rsplit("=", 1)[-1]) in OLD_NAMES), None)
    if old is None or modern_spelling(argv)[:1] != [OLD_NAMES[old]]:
        return None
    return f"the task {old} is called {OLD_NAMES[old]} since SCT 7.0"


def console() -> int:
    """Run the installed command, which lies where SCT's own did if both are in one environment: SCT's is then run."""
    from importlib.util import find_spec

    if find_spec("spinalcordtoolbox") is None:
        return main()
    if not Path(sysconfig.get_path("purelib"), "sct_rootlets_link.pth").exists():
        print(
            "note: sct_rootlets is installed beside this Spinal Cord Toolbox, whose sct_deepseg has no tasks of ours "
            "until it is linked: sct_rootlets link",
            file=sys.stderr,
        )
    launcher = importlib.import_module("spinalcordtoolbox.compat.launcher")
    return launcher.main()


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    given = sys.argv[1:] if argv is None else argv
    argv, note = modern_spelling(given), name_note(given)
    if note is not None and argv[0] in TASKS:
        print(f"note: {note}; here it is segmented by the bundled model of sct_rootlets", file=sys.stderr)
    if argv and argv[0] in TASKS:
        parser = get_task_parser(argv[0])
        task = TASKS[argv[0]]
        return run(parser, argv[1:], lambda arguments: _segment(parser, task, arguments))
    parser = get_parser()
    return run(parser, argv, lambda arguments: _without_task(parser, arguments))


def _without_task(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if not arguments.task_details:
        parser.error("give a task, such as: sct_deepseg rootlets -i t2.nii.gz (sct_deepseg -h lists them)")
    for name, task in TASKS.items():
        say(f"{name}: {task.description}", f"  {task.details}", "", is_result=True)


def _segment(parser: argparse.ArgumentParser, task: Task, arguments: argparse.Namespace) -> int:
    if arguments.custom_url and not arguments.install:
        parser.error("-custom-url goes with -install")
    for note in ignored_notes(arguments) if arguments.v else ():
        say(note)
    if arguments.install:
        from sct_rootlets.cli.models import install

        arguments.model = install(arguments.model, arguments.custom_url or (), progress=bool(arguments.v))
        if not arguments.i:
            return 0
    if not arguments.i:
        parser.error("give an image: -i <file>")
    if arguments.o is not None and len(arguments.i) > 1:
        parser.error("-o names the output of one image; leave it out, and each output lies beside its image")
    if arguments.ldisc is not None and len(arguments.i) > 1:
        parser.error("-ldisc holds the discs of one image; run the images one by one")
    if arguments.o is not None:
        check_output_file(arguments.o, [output.suffix for output in task.outputs if len(task.outputs) > 1] or [""])
    if arguments.s is not None and len(arguments.i) > 1:
        parser.error("-s holds the cord of one image; run the images one by one")
    check_paths(*arguments.i, arguments.ldisc, arguments.s)
    check_models(arguments.model)
    how = model_settings(parser, arguments)
    from sct_rootlets.deepseg import CleanUp, SegmentationSettings, segment_files

    settings = SegmentationSettings(
        model=arguments.model,
        device=arguments.device,
        threads=arguments.threads,
        mirror=arguments.test_time_aug,
        omit_uncertain=arguments.uncertain_names == "omit",
        **how,
    )
    flags: list[Flag] = []
    for result in segment_files(
        [Path(path) for path in arguments.i],
        task,
        settings,
        clean_up=CleanUp(largest=bool(arguments.largest), remove_small=arguments.remove_small),
        discs=None if arguments.ldisc is None else Path(arguments.ldisc),
        cord=None if arguments.s is None else Path(arguments.s),
        output=None if arguments.o is None else Path(arguments.o),
        page=page_options(arguments),
        overwrite=bool(arguments.overwrite),
        verbosity=arguments.v,
    ):
        if arguments.v:
            say(result.text)
            if result.viewer_command:
                say("to view:", f"  {result.viewer_command}")
        flags += result.flags
    return strict_status(arguments, flags)


if __name__ == "__main__":
    sys.exit(main())
