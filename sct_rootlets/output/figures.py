"""Figures of a result in PNG and SVG files; the same result gives the same bytes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from matplotlib.figure import Figure

from sct_rootlets.report.style import save_figure, standard_settings

_LOGGER = logging.getLogger(__name__)

Result = TypeVar("Result")


def save_figures(
    figures: Mapping[str, Callable[[Result], Figure | None]],
    result: Result,
    folder: Path,
    prefix: str = "",
    lay_out_once: bool = False,
) -> list[str]:
    """Draw the figures of a result that have something to show.

    Parameters
    ----------
    figures : mapping of str to callable
        Functions that draw a figure of the result, or return None where there is nothing to draw, by the names of the
        files without ending.
    result : object
    folder : Path
        Existing folder.
    prefix : str
        What the names of the files begin with.
    lay_out_once : bool
        Compute the layout of a figure once instead of for each file, which is faster for figures of many subjects.

    Returns
    -------
    list of str
        Names of the figures that were drawn, with the prefix and without ending.
    """
    names = []
    for name, draw in figures.items():
        _LOGGER.info("drawing %s", name)
        figure = draw(result)
        if figure is None:
            continue
        if lay_out_once:
            with standard_settings():
                figure.draw_without_rendering()
            figure.set_layout_engine("none")
        save_figure(figure, folder / f"{prefix}{name}")
        names.append(f"{prefix}{name}")
    return names
