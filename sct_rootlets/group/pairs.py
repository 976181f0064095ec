"""Pairs of a vertebral and a spinal level of a subject, and whether they can be compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from sct_rootlets.group.level_table import LevelRow


class PairStatus(Enum):
    """Whether a pair of levels is compared, or the reason why it is not."""

    COMPARED = "compared"
    SPINAL_MISSING = "spinal missing"
    VERTEBRAL_MISSING = "vertebral missing"
    BOTH_MISSING = "both missing"
    INCOMPLETE = "incomplete"

    @property
    def column(self) -> str:
        """Name of a column that counts pairs of this status."""
        return f"n_{self.value.replace(' ', '_')}"


#: Statuses of pairs that lack a level.
MISSING_STATUSES = (PairStatus.SPINAL_MISSING, PairStatus.VERTEBRAL_MISSING, PairStatus.BOTH_MISSING)


@dataclass(frozen=True, kw_only=True)
class LevelPair:
    """A pair of levels of a subject.

    Attributes
    ----------
    subject : str
    pairing : {"same-name", "shifted"}
    vertebral, spinal : str
        Names of the levels.
    vertebral_mm, spinal_mm : float
        Midpoints, from the reference; NaN where a level is missing.
    status : PairStatus
    """

    subject: str
    pairing: str
    vertebral: str
    spinal: str
    vertebral_mm: float
    spinal_mm: float
    status: PairStatus

    @property
    def is_compared(self) -> bool:
        """Whether the pair takes part in the comparison."""
        return self.status is PairStatus.COMPARED

    @property
    def names(self) -> tuple[str, str]:
        """Names of the vertebral and the spinal level."""
        return self.vertebral, self.spinal

    @property
    def difference_mm(self) -> float:
        """Vertebral minus spinal midpoint."""
        return self.vertebral_mm - self.spinal_mm

    @property
    def mean_mm(self) -> float:
        """Mean of the two midpoints."""
        return (self.vertebral_mm + self.spinal_mm) / 2


def pair_levels(
    subject: str,
    levels: Mapping[tuple[str, str], LevelRow],
    pair: tuple[str, str, str],
    scale: float = 1.0,
    keep_incomplete: bool = False,
) -> LevelPair:
    """Pair two levels of a subject.

    Parameters
    ----------
    subject : str
    levels : mapping of (str, str) to LevelRow
        Levels of the subject by kind and name.
    pair : (str, str, str)
        Pairing, vertebral and spinal name, as `sct_rootlets.levels.paired_levels` lists them.
    scale : float
        Factor of positions.
    keep_incomplete : bool
        Compare levels that may be longer than stated, too.

    Returns
    -------
    LevelPair
    """
    pairing, vertebral_name, spinal_name = pair
    vertebral, spinal = levels.get(("vertebral", vertebral_name)), levels.get(("spinal", spinal_name))
    status = pair_status(vertebral, spinal, keep_incomplete)
    return LevelPair(
        subject=subject,
        pairing=pairing,
        vertebral=vertebral_name,
        spinal=spinal_name,
        vertebral_mm=math.nan if vertebral is None else vertebral.midpoint_mm * scale,
        spinal_mm=math.nan if spinal is None else spinal.midpoint_mm * scale,
        status=status,
    )


def pair_status(vertebral: LevelRow | None, spinal: LevelRow | None, keep_incomplete: bool = False) -> PairStatus:
    """Return whether two levels of a subject can be compared, or the reason why not.

    Parameters
    ----------
    vertebral, spinal : LevelRow, optional
    keep_incomplete : bool
        Compare levels that may be longer than stated, too.
    """
    if vertebral is None and spinal is None:
        return PairStatus.BOTH_MISSING
    if spinal is None:
        return PairStatus.SPINAL_MISSING
    if vertebral is None:
        return PairStatus.VERTEBRAL_MISSING
    if not (vertebral.complete and spinal.complete) and not keep_incomplete:
        return PairStatus.INCOMPLETE
    return PairStatus.COMPARED
