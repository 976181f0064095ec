"""Figures of a result in SVG and PNG files; the same result gives the same bytes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from matplotlib import rc_context
from matplotlib.figure import Figure

from sct_rootlets.report.style import standard_settings

_LOGGER = logging.getLogger(__name__)

Result = TypeVar("Result")


def save_figures(
    figures: Mapping[str, Callable[[Result], Figure | None]],
    result: Result,
    folder: Path,
    png_dpi: int,
    settings: Mapping[str, Any] | None = None,
    lay_out_once: bool = False,
) -> list[str]:
    """Draw the figures of a result that have something to show.

    Parameters
    ----------
    figures : mapping of str to callable
        Functions that draw a figure of the result, or return None where there is nothing to draw, by the names of the
        files.
    result : object
    folder : Path
        Existing folder.
    png_dpi : int
        Resolution of the PNG files.
    settings : mapping, optional
        Matplotlib settings beside its defaults.
    lay_out_once : bool
        Compute the layout of a figure once instead of for each file, which is faster for figures of many subjects.

    Returns
    -------
    list of str
        Names of the figures that were drawn, without ending.
    """
    names = []
    with standard_settings(), rc_context({"svg.hashsalt": "sct_rootlets", **(settings or {})}):
        for name, draw in figures.items():
            _LOGGER.info("drawing %s", name)
            figure = draw(result)
            if figure is None:
                continue
            if lay_out_once:
                figure.draw_without_rendering()
                figure.set_layout_engine("none")
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
            figure.savefig(folder / f"{name}.png", dpi=png_dpi, metadata={"Software": None})
            names.append(name)
    return names
