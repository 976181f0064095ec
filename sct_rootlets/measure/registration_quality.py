"""Flags of a registration: how well its landmarks and cords agree, whether space folds, and how far to trust labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sct_rootlets.flags import Flag, grade
from sct_rootlets.plausibility import DEVIATION_LIMITS_MM, confidence_flag
from sct_rootlets.registration.pairs import missed_landmarks

if TYPE_CHECKING:
    from sct_rootlets.registration.result import Registration

# Limits of a value, for `sct_rootlets.flags.grade`.
#: Distance of a landmark from where the others predict it: beyond the second limit it is nearer to the place of a
#: neighbour.
LEFT_OUT_LIMITS_MM = (3.0, DEVIATION_LIMITS_MM[0])
#: Median distance of discs from where a registration by rootlets places them: 0.3 to 3.8 mm in six healthy adults, and
#: 11.5 to 19.1 mm with the names of all rootlets one off (docs/registration.md).
MISSED_LIMITS_MM = DEVIATION_LIMITS_MM
#: Dice coefficient of the cords.
DICE_LIMITS = (0.9, 0.8)
#: Least change of volume; at 0, space folds.
JACOBIAN_LIMITS = (0.1, 0.0)
#: Flags of the levels (`sct_rootlets.plausibility.level_flags`) that judge the labels of a registration, too; and those
#: of them that need rootlets.
LABEL_FLAGS, ROOTLET_FLAGS = ("order", "level_length", "mask"), ("order", "level_length")


def registration_flags(registration: Registration) -> tuple[Flag, ...]:
    """Compute the flags of a registration, in the order of the table's columns.

    Parameters
    ----------
    registration : Registration

    Returns
    -------
    tuple of Flag
        Greatest error of a landmark that is left out, overlap of the cords, least change of volume, number of
        landmarks, landmarks of the kind that is not used; of the labels, as for levels: order and length of the levels,
        and the cord mask; and where the names of the rootlets have probabilities, the lowest one.
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
        _landmarks_flag(registration),
        _missed_flag(registration),
        *_label_flags(registration),
        *([confidence_flag(registration.name_confidence)] if registration.name_confidence else []),
    )


def _landmarks_flag(registration: Registration) -> Flag:
    """Count the landmarks that the map along the cord runs through."""
    names = [str(row["name"]) for row in registration.rows if row["used"]]
    named = names[0] if len(names) == 1 else f"{names[0]}–{names[-1]}"
    return Flag(
        key="landmarks",
        title="landmarks used",
        value=float(len(names)),
        text=f"{len(names)} ({named})",
        state="ok" if len(names) > 1 else "look",
        why="landmarks along the cord; a single one says where the cord lies, and not how long its levels are",
        advice=(
            "a single landmark gives the position along the cord and not the scale, so lengths are those of the "
            "template: label a second level or disc, or use rootlets and discs together (-landmarks both)"
        ),
    )


def _label_flags(registration: Registration) -> list[Flag]:
    """Judge cord mask and rootlets by the flags of the levels that they give."""
    levels = registration.levels
    flags = {flag.key: flag for flag in levels.flags}
    return [flags[key] for key in LABEL_FLAGS if levels.spinal is not None or key not in ROOTLET_FLAGS]


def _missed_flag(registration: Registration) -> Flag:
    """Judge how far the map misses landmarks of the kind that it is not made of: discs, or rootlets."""
    key, title = "missed", "landmarks missed (mm)"
    why = (
        "median distance by which the registration misses the landmarks of the kind that it is not made of (discs, or "
        "rootlets), where both are given; positive where it places them further caudally"
    )
    missed = missed_landmarks(registration.alignment.pairs)
    if not missed:
        return Flag(key=key, title=title, why=why)
    ((kind, errors),) = missed.items()  # one of the two kinds makes the map
    median = float(np.median(errors))
    return Flag(
        key=key,
        title=title,
        value=round(median, 2),
        unit="mm",
        text=f"{median:+.1f}  median of {len(errors)} {kind if len(errors) > 1 else kind[:-1]}",
        state=grade(abs(median), *MISSED_LIMITS_MM),
        why=why,
        advice="check the names of rootlets and discs, one of which is probably off by a level",
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
