"""Style that the figures of a group share."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from sct_rootlets.group.compare import GroupLevels
from sct_rootlets.levels import level_color
from sct_rootlets.report.style import INK, MIN_BOX_VALUES

#: Points have an edge: some of the colours of levels are light.
POINTS: dict[str, Any] = {"s": 16, "alpha": 0.8, "edgecolor": INK, "linewidths": 0.3}


def reference_name(group: GroupLevels) -> str:
    """Name the reference of positions in words."""
    names = {"PMJ": "the PMJ", "cord top": "the top of the cord mask", "conus": "the tip of the conus"}
    scaled = "" if group.height_cm is None else f", at {group.height_cm:g} cm of height"
    return names.get(group.reference, group.reference) + scaled


def draw_strip(axes: Axes, x: float, values: np.ndarray, name: str, shift: np.random.Generator) -> None:
    """Draw the values of a level over the subjects as points, with median, and quartiles if there are enough.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    x : float
    values : numpy.ndarray, shape (N,)
    name : str
        Name of the level, which has the colour of the points.
    shift : numpy.random.Generator
        Moves points sideways, so that they do not hide each other.
    """
    axes.scatter(x + shift.uniform(-0.22, 0.22, len(values)), values, **POINTS, facecolor=level_color(name))
    low, median, high = np.percentile(values, (25, 50, 75))
    if len(values) >= MIN_BOX_VALUES:
        axes.add_patch(Rectangle((x - 0.3, low), 0.6, high - low, facecolor="none", edgecolor=INK, linewidth=0.9))
    axes.plot([x - 0.3, x + 0.3], [median] * 2, color=INK, linewidth=2)
