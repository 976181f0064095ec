"""Flags of a registration: how well its landmarks and cords agree, and whether space folds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sct_rootlets.flags import Flag, grade
from sct_rootlets.plausibility import DEVIATION_LIMITS_MM, confidence_flag

if TYPE_CHECKING:
    from sct_rootlets.registration.result import Registration

# Limits of a value, for `sct_rootlets.flags.grade`.
#: Distance of a landmark from where the others predict it: beyond the second limit it is nearer to the place of a
#: neighbour.
LEFT_OUT_LIMITS_MM = (3.0, DEVIATION_LIMITS_MM[0])
#: Dice coefficient of the cords.
DICE_LIMITS = (0.9, 0.8)
#: Least change of volume; at 0, space folds.
JACOBIAN_LIMITS = (0.1, 0.0)


def registration_flags(registration: Registration) -> tuple[Flag, ...]:
    """Compute the flags of a registration, in the order of the table's columns.

    Parameters
    ----------
    registration : Registration

    Returns
    -------
    tuple of Flag
        Greatest error of a landmark that is left out, overlap of the cords, least change of volume, and where the
        names of the rootlets have probabilities, the lowest one.
    """
    quality = registration.quality
    jacobian = quality.least_jacobian
    return (
        _left_out_flag(registration),
        Flag(
            key="dice",
            title="cord Dice",
            value=round(quality.cord_dice, 3),
            text=f"{quality.cord_dice:.3f}",
            state=grade(quality.cord_dice, *DICE_LIMITS),
            why="overlap with the template's cord, where both have one",
        ),
        Flag(
            key="jacobian",
            title="least Jacobian",
            value=round(jacobian, 3) if np.isfinite(jacobian) else None,
            text=f"{jacobian:.2f}",
            state="bad" if jacobian <= 0 else grade(jacobian, *JACOBIAN_LIMITS),
            why="least change of volume in the canal; at or below 0, space folds",
        ),
        *([confidence_flag(registration.name_confidence)] if registration.name_confidence else []),
    )


def _left_out_flag(registration: Registration) -> Flag:
    """Take the landmark whose place the other landmarks predict worst."""
    key, title = "leftout", "left out (mm)"
    why = "greatest distance of a landmark from where the others predict it; positive where they say further caudally"
    used = [row for row in registration.rows if row["used"] and row["left_out_error_mm"] is not None]
    if not used:
        return Flag(key=key, title=title, why=f"{why}; not known with a single landmark")
    worst = max(used, key=lambda row: abs(row["left_out_error_mm"]))  # type: ignore[arg-type]
    error = float(worst["left_out_error_mm"])  # type: ignore[arg-type]
    return Flag(
        key=key,
        title=title,
        value=round(error, 2),
        unit="mm",
        level=("spinal", str(worst["name"])) if worst["kind"] == "rootlets" else None,
        text=f"{error:+.1f}  {worst['name']}",
        state=grade(abs(error), *LEFT_OUT_LIMITS_MM),
        why=why,
    )
