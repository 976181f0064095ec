"""Style that all figures share: colours, sizes at print size, Matplotlib settings, and how figures are saved.

A figure is as wide as it is printed (`PAGE_INCH` at most), so that its text has the size that it says.
"""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from matplotlib import MatplotlibDeprecationWarning, colormaps, rc_context, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

from sct_rootlets.bids import FIGURE_TYPES

Draw = TypeVar("Draw", bound=Callable[..., Any])

#: Colours of text and outlines, of grid lines, and of what stands behind the results. Colours of levels are those of
#: `sct_rootlets.levels.level_color`, here and on the page.
INK, GRID, BEHIND, BEHIND_LIGHT = "#222222", "#BBBBBB", "#777777", "#E4E4E4"
#: Sizes of text in points: titles, axes and their labels, and the smallest text.
TITLE_PT, TEXT_PT, SMALL_PT = 9.0, 8.0, 7.0
#: Width of a page in print, 180 mm.
PAGE_INCH = 7.1
#: Resolution of figures in files, and in notebooks.
PNG_DPI, SCREEN_DPI = 300, 110
#: Quartiles are drawn of so many values at least: a box of two would look like a distribution.
MIN_BOX_VALUES = 5
#: Frames that make text, or lines in light colours, seen on any ground.
LIGHT_FRAME = [Stroke(linewidth=2, foreground="white"), Normal()]
DARK_FRAME = [Stroke(linewidth=1.5, foreground=INK), Normal()]

SETTINGS: dict[str, Any] = {
    "font.size": TEXT_PT,
    "axes.titlesize": TITLE_PT,
    "axes.labelsize": TEXT_PT,
    "xtick.labelsize": SMALL_PT,
    "ytick.labelsize": SMALL_PT,
    "legend.fontsize": SMALL_PT,
    "legend.frameon": False,
    "figure.titlesize": TITLE_PT,
    "figure.facecolor": "white",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.6,
    "svg.fonttype": "none",  # text as text
    "svg.hashsalt": "sct_rootlets",  # the same figure gives the same bytes
    "image.composite_image": False,
}


@contextlib.contextmanager
def standard_settings() -> Iterator[None]:
    """Use Matplotlib's own defaults and `SETTINGS`, so that figures do not depend on the user's settings."""
    ours = {key: value for key, value in rcParamsDefault.items() if not key.startswith(("backend", "interactive"))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatplotlibDeprecationWarning)
        with rc_context({**ours, **SETTINGS}):
            yield


def in_style(draw: Draw) -> Draw:
    """Decorate a function that draws a figure, so that it draws with `standard_settings`."""

    @functools.wraps(draw)
    def styled(*arguments: Any, **options: Any) -> Any:
        with standard_settings():
            return draw(*arguments, **options)

    return styled  # type: ignore[return-value]


class InlineFigure(Figure):
    """A figure that a notebook shows where the figure is the last line of a cell, whatever the Matplotlib backend."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=SCREEN_DPI)
        return buffer.getvalue()


def save_figure(figure: Figure, path: Path) -> list[Path]:
    """Write a figure in each of `FIGURE_TYPES`; the same figure gives the same bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : Path
        Without an ending, which is added.

    Returns
    -------
    list of Path
        The files.
    """
    metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
    paths = figure_files(path)
    with standard_settings():
        for target, kind in zip(paths, FIGURE_TYPES, strict=True):
            figure.savefig(target, format=kind, dpi=PNG_DPI, metadata=metadata[kind])
    return paths


def figure_files(path: Path) -> list[Path]:
    """Return the files of a figure, by a path without an ending."""
    return [path.with_name(f"{path.name}.{kind}") for kind in FIGURE_TYPES]


def y_grid(axes: Axes) -> None:
    """Draw lines at the ticks of the vertical axis, behind everything else."""
    axes.yaxis.grid(True)


def group_colors(n: int) -> list[str]:
    """Choose n colours of growing lightness, which differ in grey as well and for colour-blind readers."""
    return [to_hex(colormaps["viridis"](0.25 + 0.7 * at / max(n - 1, 1))) for at in range(n)]
