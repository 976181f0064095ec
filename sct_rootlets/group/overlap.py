"""Overlap of spinal levels, from rootlets, with vertebral levels and with proportional ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sct_rootlets.group.agreement import Row
from sct_rootlets.group.level_table import LevelRow, LevelTable
from sct_rootlets.group.pairs import LevelPair, PairStatus, pair_status
from sct_rootlets.group.proportional import proportional_levels
from sct_rootlets.levels import level_value

#: Comparison with the proportional levels; the others have the names of the pairings.
PROPORTIONAL = "proportional"
_KEYS = ("compared_with", "spinal_level", "other_level")
_MOMENTS = ("mean", "sd")


def overlap_rows(scans: Sequence[LevelTable], pairs: Sequence[LevelPair], keep_incomplete: bool = False) -> list[Row]:
    """Measure how much of each spinal level lies within the vertebral or proportional level of its pair.

    Parameters
    ----------
    scans : sequence of LevelTable
    pairs : sequence of LevelPair
        Pairs of vertebral and spinal levels of these scans.
    keep_incomplete : bool
        Also compare levels that may be longer than stated.

    Returns
    -------
    list of dict
        One row for each subject and pair, NaN where a level is missing. Lengths are in mm, not scaled by height.
        ``compared_with`` is ``"same-name"`` or ``"shifted"`` (vertebral levels), or ``"proportional"``.
    """
    by_subject = {scan.subject: scan.levels for scan in scans}
    rows = []
    for pair in pairs:
        levels = by_subject[pair.subject]
        spinal, vertebral = levels.get(("spinal", pair.spinal)), levels.get(("vertebral", pair.vertebral))
        rows.append(
            _overlap_row(pair.subject, (pair.pairing, pair.spinal, pair.vertebral), spinal, vertebral, pair.status)
        )
    placed = {scan.subject: proportional_levels(scan.levels) for scan in scans}
    present = {name for scan in scans for kind, name in scan.levels if kind == "spinal"}
    comparable = present & {name for levels in placed.values() for name in levels}
    for name in sorted(comparable, key=lambda name: level_value(name, "spinal")):
        for scan in scans:
            spinal, other = scan.levels.get(("spinal", name)), placed[scan.subject].get(name)
            status = pair_status(other, spinal, keep_incomplete)
            rows.append(_overlap_row(scan.subject, (PROPORTIONAL, name, name), spinal, other, status))
    return rows


def _overlap_row(
    subject: str, keys: tuple[str, str, str], spinal: LevelRow | None, other: LevelRow | None, status: PairStatus
) -> Row:
    shared = of_spinal = of_other = math.nan
    if status is PairStatus.COMPARED and spinal is not None and other is not None:
        shared = max(0.0, min(spinal.caudal_mm, other.caudal_mm) - max(spinal.rostral_mm, other.rostral_mm))
        of_spinal, of_other = (
            100 * shared / level.length_mm if level.length_mm > 0 else math.nan for level in (spinal, other)
        )
    return {
        "subject": subject,
        **dict(zip(_KEYS, keys, strict=True)),
        "spinal_length_mm": math.nan if spinal is None else spinal.length_mm,
        "other_length_mm": math.nan if other is None else other.length_mm,
        "shared_mm": shared,
        "percent_of_spinal": of_spinal,
        "percent_of_other": of_other,
        "status": status.value,
    }


def overlap_summary_rows(rows: Sequence[Row]) -> list[Row]:
    """Summarise overlaps over subjects, one row for each pair of levels.

    Parameters
    ----------
    rows : sequence of dict
        Rows of `overlap_rows`.
    """
    summary: list[Row] = []
    for keys in dict.fromkeys(tuple(row[key] for key in _KEYS) for row in rows):
        part = [row for row in rows if tuple(row[key] for key in _KEYS) == keys]
        of_spinal, of_other = (
            np.array([row[name] for row in part], dtype=float) for name in ("percent_of_spinal", "percent_of_other")
        )
        of_spinal, of_other = of_spinal[np.isfinite(of_spinal)], of_other[np.isfinite(of_other)]
        row: Row = dict(zip(_KEYS, keys, strict=True))
        row |= {"n": len(of_spinal), "n_missing": len(part) - len(of_spinal)}
        row |= {f"{name}_percent_of_spinal": value for name, value in _describe(of_spinal).items()}
        row |= {f"{name}_percent_of_other": value for name, value in _describe(of_other).items() if name in _MOMENTS}
        summary.append(row)
    return summary


def _describe(values: np.ndarray) -> dict[str, float]:
    """Return mean, SD (n - 1), median and quartiles; NaN where there are too few values."""
    if not len(values):
        return dict.fromkeys((*_MOMENTS, "median", "p25", "p75"), math.nan)
    p25, median, p75 = np.percentile(values, (25, 50, 75))
    sd = values.std(ddof=1) if len(values) > 1 else math.nan
    return {
        "mean": float(values.mean()),
        "sd": float(sd),
        "median": float(median),
        "p25": float(p25),
        "p75": float(p75),
    }
