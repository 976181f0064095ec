"""The correspondence of one subject's spinal and vertebral levels: reference, pairs, and rows of tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sct_rootlets.flags import Flag
from sct_rootlets.levels import DISC_C2_C3, DISC_T12_L1, ROOTS, Level, Levels, disc_name, level_value, paired_levels
from sct_rootlets.vertebral import Disc

#: Vertebral minus spinal midpoint of the shifted pairs C2-C3 ... C7-C8, T1-T1: the published ends (arXiv
#: 2509.16255) and values of a template between them.
BIAS_MM = (0.0, 0.9, 3.6, 4.6, 4.8, 5.4, 8.15)
#: Distance between the middles of spinal levels C2 and C3; no published pair has spinal level C2.
PITCH_C2_C3_MM = 15.5
#: Usual distance between the middles of neighbouring spinal levels, between the 12-17 mm of PAM50.
LEVEL_PITCH_MM = 14.5


@dataclass(frozen=True)
class Reference:
    """Where positions in the tables are counted from.

    Attributes
    ----------
    name : str
        ``"PMJ"``, ``"disc C2/C3"``, ``"conus"``, ``"disc T12/L1"`` or ``"cord top"``.
    arc_mm : float
        Arc length of the reference in mm; positions above it are negative.
    """

    name: str
    arc_mm: float


def choose_reference(
    pmj_arc_mm: float | None, discs: Sequence[Disc] = (), conus_arc_mm: float | None = None
) -> Reference:
    """Choose the PMJ if it is known, else disc C2/C3, the conus, disc T12/L1, or the rostral end of the cord mask.

    Parameters
    ----------
    pmj_arc_mm : float, optional
        Arc length of the PMJ in mm.
    discs : sequence of Disc
    conus_arc_mm : float, optional
        Arc length of the tip of the conus medullaris in mm.
    """
    if pmj_arc_mm is not None:
        return Reference("PMJ", pmj_arc_mm)
    places = {disc.value: disc.arc_mm for disc in discs}
    if DISC_C2_C3 in places:
        return Reference(f"disc {disc_name(DISC_C2_C3)}", places[DISC_C2_C3])
    if conus_arc_mm is not None:
        return Reference("conus", conus_arc_mm)
    if DISC_T12_L1 in places:
        return Reference(f"disc {disc_name(DISC_T12_L1)}", places[DISC_T12_L1])
    return Reference("cord top", 0.0)


@dataclass(frozen=True)
class Pair:
    """A vertebral and a spinal level that are compared.

    Attributes
    ----------
    pairing : {"same-name", "shifted"}
    vertebral, spinal : Level
    """

    pairing: str
    vertebral: Level
    spinal: Level

    @property
    def name(self) -> str:
        """Vertebral and spinal level, such as ``"C4-C5"``."""
        return f"{self.vertebral.name}-{self.spinal.name}"

    @property
    def difference_mm(self) -> float:
        """Vertebral minus spinal midpoint in mm: positive where the vertebra is more caudal."""
        return self.vertebral.midpoint_mm - self.spinal.midpoint_mm

    @property
    def difference_sd_mm(self) -> float:
        """Standard deviation of the difference from the uncertainty of the four ends, in mm."""
        ends = [sd for level in (self.vertebral, self.spinal) for sd in (level.rostral_sd_mm, level.caudal_sd_mm)]
        return float(np.linalg.norm(ends) / 2)


def correspond(spinal: Levels, vertebral: Levels) -> list[Pair]:
    """Pair the levels by name; pairs of which one is missing are missing.

    Same-name pairs are C2 with C2 and so on. Shifted pairs are vertebra C2 with spinal level C3 and so on down to
    C7 with C8, and T1 with T1, as in the RootletSeg paper (arXiv 2509.16255).
    """
    spinal_by_name = {level.name: level for level in spinal.levels}
    vertebral_by_name = {level.name: level for level in vertebral.levels}
    return [
        Pair(pairing, vertebral_by_name[upper], spinal_by_name[lower])
        for pairing, upper, lower in paired_levels()
        if upper in vertebral_by_name and lower in spinal_by_name
    ]


def published_bias() -> dict[tuple[str, str], float]:
    """Return `BIAS_MM` by the names of the vertebra and the spinal level that are compared."""
    shifted = [(vertebra, spinal) for pairing, vertebra, spinal in paired_levels() if pairing == "shifted"]
    return dict(zip(shifted, BIAS_MM, strict=False))


def spinal_middles(discs: dict[int, float], scale: float = 1.0) -> dict[int, float]:
    """Predict the middle of each spinal level from C2 to T1, as far from the vertebrae as published (`BIAS_MM`).

    Parameters
    ----------
    discs : dict of int to float
        Arc length of each disc in mm, by value.
    scale : float
        Size of the spine relative to that of the published adults.

    Returns
    -------
    dict of int to float
        Arc length in mm by value, ascending.
    """
    middles = {}
    for (vertebra, spinal), bias in published_bias().items():
        above = level_value(vertebra, "vertebral")
        middles[level_value(spinal, "spinal")] = (discs[above] + discs[above + 1]) / 2 - bias * scale
    middles[level_value("C2", "spinal")] = middles[level_value("C3", "spinal")] - PITCH_C2_C3_MM * scale
    return dict(sorted(middles.items()))


def level_rows(
    levels: Levels,
    reference: Reference,
    slices: Callable[[Level], tuple[int, int]],
    n_voxels: Callable[[Level], int],
    flags: Sequence[Flag] = (),
) -> list[dict[str, object]]:
    """Make the rows of the level table, one a level.

    Parameters
    ----------
    levels : Levels
    reference : Reference
        Positions in the rows are relative to it.
    slices : callable
        First and last slice of a level, counted from inferior.
    n_voxels : callable
        Number of cord voxels that a level labels.
    flags : sequence of Flag
        Plausibility of the levels: what is remarkable of a level goes into its row.
    """
    rows: list[dict[str, object]] = []
    for level in levels.levels:
        first, last = slices(level)
        rows.append(
            {
                "level": level.value,
                "name": level.name,
                "kind": level.kind,
                "method": levels.method,
                "rostral_mm": level.rostral_mm - reference.arc_mm,
                "caudal_mm": level.caudal_mm - reference.arc_mm,
                "midpoint_mm": level.midpoint_mm - reference.arc_mm,
                "length_mm": level.length_mm,
                "reference": reference.name,
                "slice_start": first,
                "slice_end": last,
                "n_voxels": n_voxels(level),
                "complete": not level.incomplete,
                "rostral_sd_mm": level.rostral_sd_mm,
                "caudal_sd_mm": level.caudal_sd_mm,
                **{f"n_{root}": level.roots.get(root) for root in ROOTS},
                "remarks": "; ".join(level.incomplete),
                "flags": "; ".join(
                    flag.levels[level.kind, level.name] for flag in flags if (level.kind, level.name) in flag.levels
                ),
                "source": level.source,
                "confidence": level.confidence,
            }
        )
    return rows


#: Columns of the correspondence table.
PAIR_COLUMNS = (
    "pairing",
    "vertebral_level",
    "spinal_level",
    "vertebral_midpoint_mm",
    "spinal_midpoint_mm",
    "difference_mm",
    "difference_sd_mm",
    "reference",
    "method",
    "complete",
)


def pair_rows(pairs: Sequence[Pair], reference: Reference, method: str) -> list[dict[str, object]]:
    """Make the rows of the correspondence table, one a pair; positions are relative to the reference.

    Parameters
    ----------
    pairs : sequence of Pair
    reference : Reference
    method : str
        Definition of the spinal levels.
    """
    rows: list[dict[str, object]] = []
    for pair in pairs:
        values = (
            pair.pairing,
            pair.vertebral.name,
            pair.spinal.name,
            pair.vertebral.midpoint_mm - reference.arc_mm,
            pair.spinal.midpoint_mm - reference.arc_mm,
            pair.difference_mm,
            pair.difference_sd_mm,
            reference.name,
            method,
            not (pair.vertebral.incomplete or pair.spinal.incomplete),
        )
        rows.append(dict(zip(PAIR_COLUMNS, values, strict=True)))
    return rows


#: Columns of the published scripts (ivadomed/model-spinal-rootlets) of 2025; ``fname`` holds the label file.
PUBLISHED_COLUMNS = (
    "spinal_level",
    "fname",
    "slice_start",
    "slice_end",
    "distance_from_pmj_start",
    "distance_from_pmj_end",
    "height",
)


def published_rows(rows: Sequence[dict[str, object]], source: str) -> list[dict[str, object]]:
    """Convert rows of the level table to the columns of the published scripts.

    There, ``start`` is the caudal end (the lower slice number) and ``end`` the rostral one, so that heights are
    positive; ``spinal_level`` holds the vertebra's number in a table of vertebral levels.

    Parameters
    ----------
    rows : sequence of dict
        Rows of `level_rows`, with the PMJ as the reference.
    source : str
        Label file that the levels come from; the scripts infer the kind of level from its name.
    """
    return [
        dict(
            zip(
                PUBLISHED_COLUMNS,
                (
                    row["level"],
                    source,
                    row["slice_start"],
                    row["slice_end"],
                    row["caudal_mm"],
                    row["rostral_mm"],
                    row["length_mm"],
                ),
                strict=True,
            )
        )
        for row in rows
    ]


#: Columns of the published script of 2026, for spinal levels.
PUBLISHED_COLUMNS_2026 = (
    "spinal_level",
    "fname",
    "slice_start_I-S",
    "slice_end_I-S",
    "distance_from_pmj_start_S-I",
    "distance_from_pmj_end_S-I",
    "distance_from_pmj_midpoint",
    "height",
)


def published_rows_2026(
    rows: Sequence[dict[str, object]], source: str, slice_mm: Callable[[int], float]
) -> list[dict[str, object]]:
    """Convert rows of the level table to the columns of the published script of 2026.

    There, slices go from inferior to superior and distances from superior to inferior: ``start`` is the lowest slice,
    and the distance to the highest one. Distances are those of the slices, not of the ends of the level, so that a
    height is one slice shorter than the level.

    Parameters
    ----------
    rows : sequence of dict
        Rows of `level_rows`, with the PMJ as the reference.
    source : str
        Rootlet file that the levels come from.
    slice_mm : callable
        Distance in mm from the PMJ along the centerline to the middle of a slice, by the number of the slice counted
        from inferior.

    Returns
    -------
    list of dict
        One row a level; distances and heights in mm.
    """
    result: list[dict[str, object]] = []
    for row in rows:
        lowest, highest = row["slice_start"], row["slice_end"]
        assert isinstance(lowest, int)
        assert isinstance(highest, int)
        start, end = slice_mm(highest), slice_mm(lowest)
        values = (row["level"], source, lowest, highest, start, end, (start + end) / 2, end - start)
        result.append(dict(zip(PUBLISHED_COLUMNS_2026, values, strict=True)))
    return result
