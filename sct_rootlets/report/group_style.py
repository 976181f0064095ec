"""Style that the figures of a group share."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from sct_rootlets.group.compare import GroupLevels
from sct_rootlets.report.style import GRID, INK

#: Points have an edge: some of the colours of levels are light.
POINTS: dict[str, Any] = {"s": 16, "alpha": 0.8, "edgecolor": INK, "linewidths": 0.3}


def reference_name(group: GroupLevels) -> str:
    """Name the reference of positions in words."""
    names = {"PMJ": "the PMJ", "cord top": "the top of the cord mask"}
    scaled = "" if group.height_cm is None else f", at {group.height_cm:g} cm of height"
    return names.get(group.reference, group.reference) + scaled


def clear_frame(axes: Axes) -> None:
    """Leave grid lines and the left and lower side of the frame."""
    axes.tick_params(colors=INK, labelsize=8)
    axes.yaxis.grid(True, color=GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
