"""Running a command: its output, its exit status, and its errors as one line."""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from sct_rootlets.cli.progress import clear_steps, shown_steps

#: Exit status after SIGTERM, as shells have it.
EXIT_TERMINATED = 143
#: Number of files that the message after an interruption names.
MAX_NAMED_FILES = 20


def say(*lines: str, is_result: bool = False) -> None:
    """Print lines, if there are any; a closed output, as after ``| head``, is no error.

    Parameters
    ----------
    lines : str
    is_result : bool
        Whether they are all that the command makes, so that a full disk that loses them is an error.

    Raises
    ------
    OSError
    """
    if not lines:
        return
    clear_steps()
    try:
        print(*lines, sep="\n", flush=True)
    except OSError as error:
        if is_result and error.errno != errno.EPIPE:
            raise OSError(error.errno, f"the output could not be printed: {error.strerror}") from error
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 (open until the process ends)


def look_at(*candidates: Path | None) -> list[str]:
    """Return the closing line of a command, which names the first of the files that exists; none if there is none.

    Parameters
    ----------
    candidates : Path or None
        What shows the result, the best first.
    """
    shown = next((path for path in candidates if path is not None and path.exists()), None)
    if shown is None:
        return []
    return [f"look at the result: {shown}{' (in a web browser)' if shown.suffix == '.html' else ''}"]


def earlier_notes(folder: str | Path, record: str, written: Sequence[Path]) -> list[str]:
    """Return a note for each file of a set that an earlier run wrote and the last one did not.

    Parameters
    ----------
    folder : path
    record : str
        Name of the record of the set.
    written : sequence of Path
        What the last run wrote.
    """
    from sct_rootlets.output.ownership import earlier_files

    return [
        f"note: {path} is of an earlier run, and was not written anew"
        for path in earlier_files(Path(folder), record, written)
    ]


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


def check_models(*models: str | None) -> None:
    """Raise a `ModelError` for the first name or folder that is no model, before anything large is imported.

    The files of models are read and hashed when they are loaded, and not here.
    """
    from sct_rootlets.models.installed import find_installed
    from sct_rootlets.models.store import find_model

    for model in models:
        if model is not None and not Path(model).is_dir() and find_installed(model) is None:
            find_model(model)


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
    command: Callable[[argparse.Namespace], int | None],
    interrupted: str | None = None,
) -> int:
    """Parse arguments and run a command; errors become one line.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Bad usage exits 2.
    argv : list of str, optional
        Arguments of the command; by default those of the process.
    command : callable
        Function of the parsed arguments; may return an exit status.
    interrupted : str
        State of the outputs after an interrupt, for the message; by default, the message lists the files that were
        put in place before.

    Returns
    -------
    int
        Exit status: 0 or what the command returns, 1 after an error, 130 after an interrupt. After SIGTERM the process
        ends with 143.
    """
    for stream in (sys.stdout, sys.stderr):  # a letter that the terminal cannot show is replaced
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    arguments = parser.parse_args(argv)
    for library in ("nibabel.global", "matplotlib"):
        logging.getLogger(library).disabled = True  # users get notes and errors instead
    os.environ["MPLBACKEND"] = "Agg"  # figures go into files, whatever backend the user has chosen
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # matrices are small: its threads wait, and keep cores busy
    with _terminated_as_failed():
        if arguments.v == 2:
            with shown_steps(arguments.v):
                return command(arguments) or 0
        return _run_with_one_line_errors(parser.prog, arguments, command, interrupted)


def _check_output_options(arguments: argparse.Namespace) -> None:
    """Check that file systems take the names of output files and folders, before anything is computed."""
    from sct_rootlets.bids import check_output_names

    for option in ("o", "ofolder", "qc"):
        value = getattr(arguments, option, None)
        if isinstance(value, str):
            check_output_names(Path(value).parts)


def _run_with_one_line_errors(
    prog: str,
    arguments: argparse.Namespace,
    command: Callable[[argparse.Namespace], int | None],
    interrupted: str | None,
) -> int:
    """Run a command, print each expected error as one line, and return the exit status."""
    from sct_rootlets.errors import SctRootletsError
    from sct_rootlets.output.files import placed_files

    placed_files.clear()
    try:
        _check_output_options(arguments)
        with warnings.catch_warnings(), shown_steps(arguments.v):
            warnings.simplefilter("ignore", RuntimeWarning)
            return command(arguments) or 0
    except SctRootletsError as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        from sct_rootlets.bids import printable

        where = "" if error.filename is None else f"{printable(error.filename)}: "
        more = "; close programs, or raise the limit (ulimit -n)" if error.errno in (errno.EMFILE, errno.ENFILE) else ""
        print(f"{prog}: error: {where}{error.strerror or error}{more}", file=sys.stderr)
        return 1
    except MemoryError:
        print(f"{prog}: error: out of memory; close other programs or crop the images", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{prog}: interrupted; {interrupted or _describe(placed_files)}", file=sys.stderr)
        return 130
    except SystemExit as stop:
        if stop.code == EXIT_TERMINATED:
            print(f"{prog}: terminated; {interrupted or _describe(placed_files)}", file=sys.stderr)
        raise


def _describe(written: list[Path]) -> str:
    """Say in one line which files are in place."""
    if not written:
        return "nothing was written"
    shown = [str(path) for path in written[:MAX_NAMED_FILES]]
    more = [f"{len(written) - MAX_NAMED_FILES} more files"] if len(written) > MAX_NAMED_FILES else []
    return f"written before that, and complete: {', '.join(shown + more)}; run the command again for the rest"


def open_in_browser(page: Path) -> bool:
    """Show a page that lies on disk in the user's web browser; False if there is none."""
    import webbrowser

    return webbrowser.open(page.resolve().as_uri())
