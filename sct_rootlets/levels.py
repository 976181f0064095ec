"""Numbers, names and colours of levels, and the value that describes a level along the cord.

Values follow the Spinal Cord Toolbox: rootlets and spinal levels 2-8 are C2-C8 and 9 is T1 (10 is T2 and so
on); vertebrae 1-7 are C1-C7 and 8 is T1; disc ``n`` lies above vertebra ``n`` (3 is C2/C3); the
pontomedullary junction is 50.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

Kind = Literal["spinal", "vertebral"]

#: Value of the pontomedullary junction (PMJ) in label files.
PMJ_VALUE = 50
#: Value of the disc between vertebrae C2 and C3, the reference where no PMJ is given.
DISC_C2_C3 = 3
#: Value of the tip of the conus medullaris in disc labels, as SCT has it; a reference in scans without C2/C3.
CONUS_VALUE = 60
#: The lowest disc that lies above the end of every cord.
DISC_T10_T11 = 18
#: The disc between vertebrae T12 and L1, the reference of scans of the lower cord without a label of the conus.
DISC_T12_L1 = 20
#: Values that label files of discs may hold beside discs (49 and 50 at the brainstem, 60 the conus in PAM50, ...)
#: start above this one; 26 is the disc below S1.
LAST_DISC = 26
#: Lowest and highest value of a rootlet map: C2 (C1 has often no dorsal root; Tubbs 2007) to S5.
FIRST_ROOTLET, LAST_ROOTLET = 2, 30
#: First and last level that the networks name, C2 and T1; roots above and below are recognised, and left unnamed.
FIRST_NAMED, LAST_NAMED = 2, 9
ABOVE_C2, BELOW_T1 = FIRST_NAMED - 1, LAST_NAMED + 1
N_NAMES = BELOW_T1 + 1

#: The four roots of a level; keys of `Level.roots`.
ROOTS = ("left_dorsal", "right_dorsal", "left_ventral", "right_ventral")


def mirrored_root(root: str) -> str:
    """Return the root on the other side.

    Examples
    --------
    >>> mirrored_root("left_dorsal")
    'right_dorsal'
    """
    side, kind = root.split("_")
    return f"{'right' if side == 'left' else 'left'}_{kind}"


_SPINAL = [
    *(f"C{i}" for i in range(1, 9)),
    *(f"T{i}" for i in range(1, 13)),
    *(f"L{i}" for i in range(1, 6)),
    *(f"S{i}" for i in range(1, 6)),
]
_VERTEBRAL = [name for name in _SPINAL if name != "C8"]
_NAMES: dict[str, list[str]] = {"spinal": _SPINAL, "vertebral": _VERTEBRAL}

# Okabe & Ito's colours, which readers with colour vision deficiency can tell apart, with wine instead of black, for
# C2 to T1: jfly.uni-koeln.de/color, and Wong 2011, Nat Methods 8:441, doi 10.1038/nmeth.1618. Lime, indigo and brown,
# for C1, T2 and T3, are as far from them and from one another (tests/test_levels.py).
_COLORS = (
    *("#B2DF8A", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"),
    *("#882255", "#332288", "#663300"),
)


def level_name(value: int, kind: Kind) -> str:
    """Return the name of a level.

    Parameters
    ----------
    value : int
        Value in a label map, 1 or more.
    kind : {"spinal", "vertebral"}
        Spinal value 8 is C8, vertebral value 8 is T1.

    Raises
    ------
    ValueError
        If no level has that value.

    Examples
    --------
    >>> level_name(8, "spinal"), level_name(8, "vertebral")
    ('C8', 'T1')
    """
    names = _NAMES[kind]
    if not 1 <= value <= len(names):
        raise ValueError(f"no {kind} level has the value {value}; values are 1 to {len(names)}")
    return names[value - 1]


def level_value(name: str, kind: Kind) -> int:
    """Return the value of a level in label maps, the inverse of `level_name`.

    Examples
    --------
    >>> level_value("T1", "spinal"), level_value("T1", "vertebral")
    (9, 8)
    """
    return _NAMES[kind].index(name) + 1


def disc_name(value: int) -> str:
    """Return the name of the disc above vertebra ``value``.

    Examples
    --------
    >>> disc_name(3)
    'C2/C3'
    """
    if value == 1:
        return "top of C1"
    return f"{level_name(value - 1, 'vertebral')}/{level_name(value, 'vertebral')}"


def level_color(name: str) -> str:
    """Return the colour of a level as ``#RRGGBB``; a name has the same colour in every figure and table.

    Eleven colours are repeated along the spine, so that C1-T3 and any eleven neighbours differ.
    """
    return _COLORS[_SPINAL.index(name) % len(_COLORS)]


def paired_levels() -> list[tuple[str, str, str]]:
    """List the pairs of vertebral and spinal levels to compare: ``(pairing, vertebral name, spinal name)``.

    ``same-name`` pairs the levels that share a name. ``shifted`` follows the anatomical shift of the cervical
    cord: vertebra C2 with spinal level C3 and so on to C7 with C8, and T1 with T1, as in the RootletSeg paper (arXiv
    2509.16255). Further down the shift grows level by level, and no such pairs would belong together.
    """
    same = [("same-name", name, name) for name in _VERTEBRAL[1:]]
    shifted = [
        ("shifted", level_name(value, "vertebral"), level_name(value + 1, "spinal")) for value in range(2, LAST_NAMED)
    ]
    return same + shifted


#: How far the rounded numbers of a level may disagree, in mm; tables round each to 0.001 mm.
_ROUNDING_MM = 0.01


def fits_ends(rostral_mm: float, caudal_mm: float, midpoint_mm: float, length_mm: float) -> bool:
    """Whether midpoint and length of a level are those of its ends, but for the rounding of tables."""
    off_mm = abs(midpoint_mm - (rostral_mm + caudal_mm) / 2), abs(length_mm - (caudal_mm - rostral_mm))
    return all(distance_mm <= _ROUNDING_MM for distance_mm in off_mm)  # False for NaN


@dataclass(frozen=True)
class Level:
    """A spinal or vertebral level along the cord.

    Attributes
    ----------
    value : int
        Value in label maps; 2 is C2.
    kind : {"spinal", "vertebral"}
    rostral_mm, caudal_mm : float
        Ends in mm of arc length (0 at the rostral end of the cord mask, growing caudally).
    rostral_sd_mm, caudal_sd_mm : float
        Uncertainty of the ends, a standard deviation in mm.
    roots : dict of str to int
        Number of rootlet voxels near the cord on each side, dorsally and ventrally (keys `ROOTS`); empty for
        vertebrae.
    incomplete : tuple of str
        Why the level may be longer than stated; empty if it is complete.
    confidence : float, optional
        Probability of the name, 0 to 1, where this package named the rootlets or numbered the vertebrae.
    source : str
        Where the ends of a vertebra come from: ``"given"``, ``"image"`` or ``"given, image"``; empty for spinal levels.
    """

    value: int
    kind: Kind
    rostral_mm: float
    caudal_mm: float
    rostral_sd_mm: float
    caudal_sd_mm: float
    roots: dict[str, int] = field(default_factory=dict)
    incomplete: tuple[str, ...] = ()
    confidence: float | None = None
    source: str = ""

    @property
    def name(self) -> str:
        """Name such as ``"C5"``."""
        return level_name(self.value, self.kind)

    @property
    def midpoint_mm(self) -> float:
        """Middle between the two ends in mm."""
        return (self.rostral_mm + self.caudal_mm) / 2

    @property
    def length_mm(self) -> float:
        """Length along the cord in mm."""
        return self.caudal_mm - self.rostral_mm


@dataclass(frozen=True)
class Levels:
    """The levels of one kind, from rostral to caudal.

    Attributes
    ----------
    kind : {"spinal", "vertebral"}
    method : str
        ``"segment"``, ``"extent"`` or ``"midgap"`` (`sct_rootlets.spinal.spinal_levels`); ``"attachment"`` for the
        segments along which a segmentation found rootlets to attach; ``"discs"`` for vertebrae.
    levels : tuple of Level
    notes : tuple of str
        What was left out or corrected, one line each.
    """

    kind: Kind
    method: str
    levels: tuple[Level, ...]
    notes: tuple[str, ...] = ()

    def with_confidence(self, confidence: Mapping[str, float | None]) -> Levels:
        """Return the same levels with the probabilities of their names, which are None where they are not known."""
        levels = tuple(replace(level, confidence=confidence.get(level.name)) for level in self.levels)
        return replace(self, levels=levels)

    def label(self, arc: np.ndarray) -> np.ndarray:
        """Return the value of the level at each arc length, 0 where there is none.

        Parameters
        ----------
        arc : numpy.ndarray, shape (N,)
            mm.

        Returns
        -------
        numpy.ndarray of uint8, shape (N,)
        """
        labels = np.zeros(len(arc), dtype=np.uint8)
        for level in self.levels:
            labels[(arc >= level.rostral_mm) & (arc < level.caudal_mm)] = level.value
        return labels
