"""What the commands share: the shape of their help, how they print, and how they fail."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sct_rootlets.deepseg import PageOptions

#: Exit status after SIGTERM, as shells have it.
TERMINATED = 143

MODEL_HELP = (
    "name of an installed model of rootlets (sct_rootlets models list), or an nnU-Net model folder with classes lvl1, "
    "lvl2, ..., in place of the bundled model"
)


def command_parser(prog: str, description: str, examples: str) -> argparse.ArgumentParser:
    """Build a parser in the manner of the Spinal Cord Toolbox, without arguments yet.

    Parameters
    ----------
    prog : str
        Name of the command.
    description : str
    examples : str
        Shown as they are at the end of the help.
    """
    return argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=f"examples:\n{examples}",
        add_help=False,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def toolbox_parser(action: str, description: str) -> argparse.ArgumentParser:
    """Build the parser of an action on an installed Spinal Cord Toolbox, complete."""
    prog = f"sct_rootlets {action}"
    parser = command_parser(prog, description, f"  {prog}\n  {prog} -sct-dir ~/sct_7.4")
    parser.add_argument_group("OPTIONAL").add_argument(
        "-sct-dir", metavar="<folder>", help="folder of the Spinal Cord Toolbox (default: the one of this environment)"
    )
    add_misc(parser)
    return parser


def add_misc(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the group of arguments that every command has, ``-v`` and ``-h``, and return it."""
    misc = parser.add_argument_group("MISC")
    misc.add_argument(
        "-v",
        type=int,
        choices=(0, 1, 2),
        default=1,
        metavar="<0|1|2>",
        help="what is printed: 0 errors, 1 results and notes, 2 also where an error came from (default: 1)",
    )
    misc.add_argument("-h", "--help", action="help", help="show this help and exit")
    return misc


def add_qc(group: argparse._ArgumentGroup) -> None:
    """Add the arguments of the page of quality control, as SCT's commands have them."""
    group.add_argument(
        "-qc",
        metavar="<folder>",
        help="add the result to the page in this folder: open its index.html. Results of several runs accumulate there",
    )
    group.add_argument("-qc-dataset", metavar="<name>", help="what the page calls the dataset")
    group.add_argument(
        "-qc-subject", metavar="<name>", help="what the page calls the subject (default: sub-... of the file's name)"
    )


def page_options(arguments: argparse.Namespace) -> PageOptions | None:
    """Read where the result goes on the page of quality control, from the arguments of `add_qc`; None without -qc."""
    from sct_rootlets.deepseg import PageOptions

    if arguments.qc is None:
        return None
    return PageOptions(folder=Path(arguments.qc), dataset=arguments.qc_dataset, subject=arguments.qc_subject)


def positive(text: str) -> int:
    """Parse a whole number from 1 up."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text}")
    return int(text)


def say(*lines: str) -> None:
    """Print lines; that nobody reads them any more (``| head``) is no error."""
    try:
        print(*lines, sep="\n", flush=True)
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 (open until the process ends)


@contextlib.contextmanager
def _terminated_as_failed() -> Iterator[None]:
    """Let SIGTERM end the command as an error does, so that nothing half-written is left behind."""
    if threading.current_thread() is not threading.main_thread():  # only there may signals be handled
        yield
        return

    def terminate(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run(
    parser: argparse.ArgumentParser,
    argv: list[str] | None,
    command: Callable[[argparse.Namespace], None],
    interrupted: str = "nothing was written",
) -> int:
    """Parse arguments and run a command; errors become one line.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Bad usage exits 2.
    argv : list of str, optional
        By default those of the process.
    command : callable
        Takes the parsed arguments.
    interrupted : str
        How things stand after an interrupt.

    Returns
    -------
    int
        Exit status: 0, 1 after an error, 130 after an interrupt. After SIGTERM the process ends with 143.
    """
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a letter shows another one
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    arguments = parser.parse_args(argv)
    os.environ["MPLBACKEND"] = "Agg"  # figures go into files, whatever the user's set-up
    with _terminated_as_failed():
        if arguments.v == 2:
            command(arguments)
            return 0
        return _one_line_errors(parser.prog, arguments, command, interrupted)


def _one_line_errors(
    prog: str, arguments: argparse.Namespace, command: Callable[[argparse.Namespace], None], interrupted: str
) -> int:
    from sct_rootlets.errors import SctRootletsError

    try:
        command(arguments)
    except SctRootletsError as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return 1
    except MemoryError:
        print(f"{prog}: error: out of memory; close other programs or crop the images", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{prog}: interrupted; {interrupted}", file=sys.stderr)
        return 130
    except SystemExit as stop:
        if stop.code == TERMINATED:
            print(f"{prog}: terminated; {interrupted}", file=sys.stderr)
        raise
    return 0
