"""Style that the figures of a group share."""

from __future__ import annotations

from typing import Any

from sct_rootlets.group.compare import GroupLevels
from sct_rootlets.report.style import INK

#: Points have an edge: some of the colours of levels are light.
POINTS: dict[str, Any] = {"s": 16, "alpha": 0.8, "edgecolor": INK, "linewidths": 0.3}


def reference_name(group: GroupLevels) -> str:
    """Name the reference of positions in words."""
    names = {"PMJ": "the PMJ", "cord top": "the top of the cord mask", "conus": "the tip of the conus"}
    scaled = "" if group.height_cm is None else f", at {group.height_cm:g} cm of height"
    return names.get(group.reference, group.reference) + scaled
