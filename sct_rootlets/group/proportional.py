"""Proportional spinal levels (Frostell 2016) in a subject, placed by the discs as registration to PAM50 would."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from sct_rootlets.cord_profile import PAM50_DISCS_MM
from sct_rootlets.group.level_table import LevelRow
from sct_rootlets.levels import FIRST_NAMED, level_name, level_value

#: Heights in PAM50 of the borders of the proportional levels C2 to T2, from the top of C2 down, in mm above its lowest
#: slice (the template's ``PAM50_spinal_levels``, after Frostell 2016, doi 10.3389/fneur.2016.00238).
BORDERS_MM = (484.75, 474.25, 457.75, 441.25, 424.75, 409.25, 393.75, 377.75, 360.75, 342.25)


def proportional_levels(levels: Mapping[tuple[str, str], LevelRow]) -> dict[str, LevelRow]:
    """Place the proportional levels of PAM50 along a subject's cord, linearly between its discs.

    Parameters
    ----------
    levels : mapping of (str, str) to LevelRow
        Levels of the subject by kind and name; discs are the ends of its complete vertebral levels.

    Returns
    -------
    dict of str to LevelRow
        Levels by name, as far as they lie between discs of the subject.

    References
    ----------
    Frostell 2016, doi 10.3389/fneur.2016.00238.
    """
    discs: dict[int, float] = {}
    for (kind, name), level in levels.items():
        if kind == "vertebral" and level.complete:
            value = level_value(name, "vertebral")
            discs |= {value: level.rostral_mm, value + 1: level.caudal_mm}
    known = [value for value in sorted(discs) if value <= len(PAM50_DISCS_MM)]
    if len(known) < 2:
        return {}
    template_mm = -np.array([PAM50_DISCS_MM[value - 1] for value in known])  # growing caudally
    subject_mm = np.array([discs[value] for value in known])
    borders = np.interp(-np.array(BORDERS_MM), template_mm, subject_mm, left=np.nan, right=np.nan)
    placed: dict[str, LevelRow] = {}
    for value, (rostral, caudal) in enumerate(pairwise(borders), start=FIRST_NAMED):
        if np.isfinite(caudal - rostral):
            name = level_name(value, "spinal")
            placed[name] = LevelRow(
                name=name,
                kind="spinal",
                rostral_mm=float(rostral),
                caudal_mm=float(caudal),
                midpoint_mm=float(rostral + caudal) / 2,
                length_mm=float(caudal - rostral),
                complete=True,
            )
    return placed
