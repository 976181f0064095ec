"""Progress of a command: the steps that the package logs, as one line of the terminal."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

#: The package logs each step that may take seconds here, at level INFO.
LOGGER = logging.getLogger("sct_rootlets")


class StepLine(logging.Handler):
    """Shows the step that is running: on a terminal, the next step takes its place; in a log, each has its line."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__(logging.INFO)
        self.is_terminal = is_terminal
        self._line: Any = None

    def emit(self, record: logging.LogRecord) -> None:
        """Show a step."""
        text = f"{record.getMessage()} ..."
        if not self.is_terminal:
            with suppress(OSError, ValueError):  # a closed output, as after ``| head``, is no error
                print(text, file=sys.stderr, flush=True)
            return
        if self._line is None:
            from tqdm import tqdm

            self._line = tqdm(bar_format="{desc}", leave=False, file=sys.stderr, dynamic_ncols=True)
        width = shutil.get_terminal_size().columns  # a longer line would wrap, and could not be taken away
        self._line.set_description_str(text[: max(width - 1, 1)])

    def clear(self) -> None:
        """Take the line away, before something else is printed."""
        if self._line is not None:
            self._line.close()
            self._line = None


@contextmanager
def shown_steps(verbosity: int) -> Iterator[None]:
    """Show steps on the terminal, and with ``-v 2`` also in a log; a command within a command changes nothing.

    Parameters
    ----------
    verbosity : {0, 1, 2}
        0 shows nothing.
    """
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    if not verbosity or (verbosity < 2 and not is_terminal) or _handler() is not None:
        yield
        return
    handler, before = StepLine(is_terminal), LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        handler.clear()
        LOGGER.setLevel(before)
        LOGGER.removeHandler(handler)


def clear_steps() -> None:
    """Take the line of the running step away."""
    handler = _handler()
    if handler is not None:
        handler.clear()


def _handler() -> StepLine | None:
    return next((handler for handler in LOGGER.handlers if isinstance(handler, StepLine)), None)
