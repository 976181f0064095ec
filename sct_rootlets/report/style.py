"""Style that all figures share: colours, Matplotlib settings, and the bytes of a PNG file."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Iterator

from matplotlib import MatplotlibDeprecationWarning, rc_context, rcParamsDefault
from matplotlib.figure import Figure

#: Colours of text and outlines, and of grid lines.
INK, GRID = "#222222", "#BBBBBB"
#: Quartiles are drawn of so many values at least: a box of two would look like a distribution.
MIN_BOX_VALUES = 5
#: Resolution of PNG files for the screen.
SCREEN_DPI = 110


@contextlib.contextmanager
def standard_settings() -> Iterator[None]:
    """Use Matplotlib's own defaults, so that figures do not depend on the user's settings."""
    ours = {key: value for key, value in rcParamsDefault.items() if not key.startswith(("backend", "interactive"))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatplotlibDeprecationWarning)
        with rc_context(ours):
            yield


class InlineFigure(Figure):
    """A figure that a notebook shows where the figure is the last line of a cell, whatever the Matplotlib backend."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=SCREEN_DPI)
        return buffer.getvalue()


def save_png(draw: Callable[[], Figure], path: str | os.PathLike[str]) -> None:
    """Draw a figure into a PNG file with the standard settings; the same figure gives the same bytes."""
    with standard_settings():
        draw().savefig(path, dpi=SCREEN_DPI, metadata={"Software": None})
