"""Running our tasks when SCT's ``sct_deepseg`` is called with one: with SCT's options, and its quality control.

Only one function of SCT is wrapped, ``main(argv)`` of its command. SCT's own tasks run unchanged: its inference is not
even imported for ours.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import shlex
import sys
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sct_rootlets.bids import check_output_file
from sct_rootlets.cli.deepseg import (
    IGNORED,
    add_own_options,
    ignored_notes,
    modern_spelling,
    name_note,
    piece_size,
)
from sct_rootlets.cli.parsers import add_version, model_settings, page_options, refuse_shortened
from sct_rootlets.cli.run import say
from sct_rootlets.errors import LinkError, SctRootletsError
from sct_rootlets.plugin import register
from sct_rootlets.segmentation.tasks import TASKS

if TYPE_CHECKING:
    from sct_rootlets.deepseg import CleanUp, SegmentationSettings, SegmentedImage


#: Options of SCT that are bad usage with our tasks.
REFUSED_OF_SCT = frozenset({"-thr", "-fill-holes", "-custom-url"})


def divert(script: ModuleType) -> None:
    """Wrap the ``main`` of SCT's script, so that it runs our tasks, and understands ``-task NAME``.

    Parameters
    ----------
    script : module
        ``spinalcordtoolbox.scripts.sct_deepseg``, imported or being run.

    Raises
    ------
    LinkError
        If SCT is older than version 7, in which tasks have no parsers of their own.
    """
    if not inspect.signature(script.get_parser).parameters:
        raise LinkError("this Spinal Cord Toolbox is too old; 7.0 or later is needed")
    theirs: Callable[[Sequence[str]], Any] = script.main

    @functools.wraps(theirs)
    def main(argv: Sequence[str]) -> Any:
        arguments = modern_spelling(argv)
        if arguments != list(argv):
            note = name_note(argv) or "this is the spelling before SCT 7.0"
            print(f"note: {note}; the same now: sct_deepseg {shlex.join(arguments[:2])} ...", file=sys.stderr)
        task = arguments[0] if arguments else None
        if task not in register.added_tasks():
            return theirs(arguments)
        if "-install" in arguments:
            return install(arguments[0], arguments)
        return segment(script, arguments)

    script.main = main  # type: ignore[attr-defined]


def divert_main(models: ModuleType, warn: Callable[[Exception], None]) -> None:
    """Wrap ``main`` if this process is SCT's ``sct_deepseg``, whose script has just imported the list of models.

    The script is still being executed then, and has no ``main`` yet; it calls ``init_sct`` right before ``main``.

    Parameters
    ----------
    models : module
        ``spinalcordtoolbox.deepseg.models``.
    warn : callable
        Function that prints that our tasks are missing, and why.
    """
    script = sys.modules["__main__"]
    expected = Path(str(models.__file__)).parents[1] / "scripts" / "sct_deepseg.py"
    running = getattr(script, "__file__", None)
    if running is None or os.path.realpath(running) != os.path.realpath(expected):
        return
    start: Callable[[], Any] = script.init_sct

    def init_sct() -> Any:
        try:
            divert(script)
        except Exception as error:
            register.remove_tasks()
            warn(error)
        return start()

    script.init_sct = init_sct  # type: ignore[attr-defined]


def install(task: str, argv: Sequence[str]) -> None:
    """Answer ``-install`` instead of SCT, which would first delete the model folder of our package."""
    if "-custom-url" in argv:
        sys.exit(
            f"sct_deepseg {task}: error: the model of this task comes with sct_rootlets and is not replaced; "
            "leave out -custom-url, and give another model where an image is segmented: "
            "sct_deepseg rootlets_roots -i <file> -model <folder>"
        )
    say(f"{task}: the model comes with sct_rootlets, nothing to install")


def task_parser(script: ModuleType, task: str) -> ArgumentParser:
    """Return SCT's own parser of a task, with our options added; those of SCT that have no use here are hidden."""
    parser: ArgumentParser = script.get_parser(task)
    for action in parser._actions:
        options = set(action.option_strings)
        if options & IGNORED.keys():
            action.default = None  # so that it is known whether it was given
        if options & (IGNORED.keys() | REFUSED_OF_SCT):
            action.help = SUPPRESS
    parser.prog = f"sct_deepseg {task}"  # SCT puts the examples of the help into it
    ours = parser.add_argument_group("\nSCT_ROOTLETS")
    add_own_options(ours)
    add_version(ours)
    parser._get_option_tuples = functools.partial(refuse_shortened, parser)  # type: ignore[method-assign]
    return parser


def segment(script: ModuleType, argv: Sequence[str]) -> None:
    """Run one of our tasks as ``sct_deepseg`` runs SCT's.

    Parameters
    ----------
    script : module
        Script of SCT, for its parser and its reports.
    argv : sequence of str
        Name of the task, and its arguments.

    Raises
    ------
    SystemExit
        1 if an image cannot be segmented, 2 for bad usage.
    """
    task = argv[0]
    parser = task_parser(script, task)
    arguments = parser.parse_args(argv[1:])
    settings, clean_up = checked_settings(script, parser, task, arguments)
    for note in ignored_notes(arguments) if arguments.v else ():
        say(note)
    try:
        _segment(script, task, arguments, settings, clean_up, argv)
    except SctRootletsError as error:
        if arguments.v == 2:
            raise
        sys.exit(f"sct_deepseg {task}: error: {error}")


def checked_settings(
    script: ModuleType, parser: ArgumentParser, task: str, arguments: Namespace
) -> tuple[SegmentationSettings, CleanUp]:
    """Return the settings that SCT's options and ours give; options that label maps cannot follow are bad usage."""
    from sct_rootlets.deepseg import CleanUp, SegmentationSettings

    if not arguments.i:
        parser.error("give an image: -i <file>")
    several = len(arguments.i) > 1
    if several and any(value is not None for value in (arguments.o, arguments.ldisc, arguments.s)):
        parser.error("-o, -ldisc and -s belong to one image; run the images one by one")
    if arguments.custom_url:
        parser.error(f"-custom-url is not for {task}, whose model comes with sct_rootlets; give another with -model")
    if arguments.binarize_prediction is not None or arguments.fill_holes:
        parser.error(f"-thr and -fill-holes are not for {task}, which writes labels")
    if arguments.remove_small is not None and len(arguments.remove_small) > 1:
        parser.error("-remove-small takes one size for all labels, such as 1mm3")
    try:
        small = None if arguments.remove_small is None else piece_size(arguments.remove_small[0])
    except ArgumentTypeError:
        parser.error(f"-remove-small takes a size such as 1mm3 or 5vox, not {arguments.remove_small[0]}")
    wants_gpu = "SCT_USE_GPU" in os.environ and script.cuda.is_available()  # SCT decides so too
    settings = SegmentationSettings(
        model=arguments.model,
        device="cuda" if wants_gpu else arguments.device,
        threads=arguments.threads,
        mirror=arguments.test_time_aug,
        omit_uncertain=arguments.uncertain_names == "omit",
        **model_settings(parser, arguments),
    )
    return settings, CleanUp(largest=bool(arguments.keep_largest), remove_small=small)


def _segment(
    script: ModuleType,
    task: str,
    arguments: Namespace,
    settings: SegmentationSettings,
    clean_up: CleanUp,
    argv: Sequence[str],
) -> None:
    from sct_rootlets.deepseg import segment_files

    images = [Path(path) for path in arguments.i]
    output = None if arguments.o is None else Path(arguments.o)
    if arguments.o is not None:
        outputs = TASKS[task].outputs
        check_output_file(arguments.o, [made.suffix for made in outputs if len(outputs) > 1] or [""])
    page = page_options(arguments)
    shown: list[Path] = []
    if page is not None:
        # SCT's own reports lie in this folder. Where it exists, index.html is SCT's page, and ours is rootlets.html.
        with contextlib.suppress(OSError):
            (page.folder / "_json").mkdir(parents=True, exist_ok=True)
    for segmented in segment_files(
        images,
        TASKS[task],
        settings,
        clean_up=clean_up,
        discs=None if arguments.ldisc is None else Path(arguments.ldisc),
        cord=None if arguments.s is None else Path(arguments.s),
        output=output,
        page=page,
        overwrite=bool(arguments.overwrite),
        verbosity=arguments.v,
    ):
        if arguments.v:
            say(segmented.text)
        if page is not None:
            report(script, arguments, segmented, argv)
        shown = shown or [segmented.image, *segmented.outputs]
    kinds = ["anat", *["seg-labeled"] * (len(shown) - 1)]
    opacities = ["", *["0.7"] * (len(shown) - 1)]
    script.display_viewer_syntax(
        [str(path) for path in shown], im_types=kinds, opacities=opacities, verbose=arguments.v
    )


def report(script: ModuleType, arguments: Namespace, segmented: SegmentedImage, argv: Sequence[str]) -> None:
    """Add an image to SCT's quality control, with our picture: levels in their colours."""
    from sct_rootlets.plugin.picture import write_pictures

    if segmented.subject is None:
        say("note: not in the report: no cord was found")
        return
    entry = script.qc2.create_qc_entry(
        path_input=segmented.image.absolute(),
        path_qc=Path(arguments.qc).absolute(),
        command="sct_deepseg",
        cmdline=shlex.join(["sct_deepseg", *argv]),
        plane="Axial",
        dataset=arguments.qc_dataset,
        subject=arguments.qc_subject,
    )
    with entry as paths:
        write_pictures(segmented.subject, paths["path_background_img"], paths["path_overlay_img"])
