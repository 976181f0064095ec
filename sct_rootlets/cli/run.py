"""Running a command: its output, its exit status, and its errors as one line."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

#: Exit status after SIGTERM, as shells have it.
EXIT_TERMINATED = 143


def say(*lines: str) -> None:
    """Print lines; a closed output, as after ``| head``, is no error."""
    try:
        print(*lines, sep="\n", flush=True)
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 (open until the process ends)


def check_paths(*paths: str | None) -> None:
    """Raise an `ImageError` for the first path at which there is nothing.

    Only the standard library is needed, so that a mistyped path is reported before anything large is imported. Patterns
    with ``*`` are left to those who search for files, and so are links that lead nowhere, which have a message of
    their own.
    """
    from sct_rootlets.errors import ImageError

    for path in paths:
        if path is not None and not any(sign in path for sign in "*?[") and not os.path.lexists(path):
            raise ImageError(f"{path} does not exist; check the path")


@contextlib.contextmanager
def _terminated_as_failed() -> Iterator[None]:
    """Let SIGTERM end the command as an error does, so that no unfinished files are left behind."""
    if threading.current_thread() is not threading.main_thread():  # Python handles signals in the main thread only
        yield
        return

    def terminate(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(EXIT_TERMINATED)

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
        Arguments of the command; by default those of the process.
    command : callable
        Function of the parsed arguments.
    interrupted : str
        State of the outputs after an interrupt, for the message.

    Returns
    -------
    int
        Exit status: 0, 1 after an error, 130 after an interrupt. After SIGTERM the process ends with 143.
    """
    for stream in (sys.stdout, sys.stderr):  # a letter that the terminal cannot show is replaced
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    arguments = parser.parse_args(argv)
    os.environ["MPLBACKEND"] = "Agg"  # figures go into files, whatever backend the user has chosen
    with _terminated_as_failed():
        if arguments.v == 2:
            command(arguments)
            return 0
        return _run_with_one_line_errors(parser.prog, arguments, command, interrupted)


def _run_with_one_line_errors(
    prog: str, arguments: argparse.Namespace, command: Callable[[argparse.Namespace], None], interrupted: str
) -> int:
    """Run a command, print each expected error as one line, and return the exit status."""
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
        if stop.code == EXIT_TERMINATED:
            print(f"{prog}: terminated; {interrupted}", file=sys.stderr)
        raise
    return 0
