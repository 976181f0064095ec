"""The length of the cord from spinal level C2 to C8 in each subject, and how it goes with height and age."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sct_rootlets.group.agreement import Row
from sct_rootlets.group.bootstrap import MIN_SUBJECTS_FOR_INTERVALS
from sct_rootlets.group.collect import Cohort
from sct_rootlets.group.correlation import rank_correlation
from sct_rootlets.group.level_table import LevelRow

#: The outermost levels.
FIRST, LAST = "C2", "C8"
#: Lengths that are measured, and what they are correlated with.
LENGTHS = {
    "c2_c8_midpoints_mm": "from the midpoint of C2 to that of C8",
    "c2_c8_ends_mm": "from the rostral end of C2 to the caudal end of C8",
}
TRAITS = {"height_cm": "height", "age": "age"}
#: Sex of rows over all subjects.
ALL_SEXES = "all"
_SEXES = {"f": "F", "female": "F", "m": "M", "male": "M"}


def sex_name(text: str | None) -> str | None:
    """Return F or M for the usual ways to write them, and any other text as it is.

    Examples
    --------
    >>> sex_name("male"), sex_name("F"), sex_name("other"), sex_name(None)
    ('M', 'F', 'other', None)
    """
    return None if text is None else _SEXES.get(text.lower(), text)


def cervical_length_rows(cohort: Cohort, keep_incomplete: bool = False) -> list[Row]:
    """Measure the length of the cord from C2 to C8 in each subject, in mm, not scaled by height.

    Parameters
    ----------
    cohort : Cohort
    keep_incomplete : bool
        Also measure to levels that may be longer than stated.

    Returns
    -------
    list of dict
        One row a subject, NaN where a level is missing, with the reason in ``remarks``.
    """
    rows: list[Row] = []
    for scan in cohort.scans:
        person = cohort.participant(scan.subject)
        found = {name: scan.levels.get(("spinal", name)) for name in (FIRST, LAST)}
        remarks = [_why_unused(name, level, keep_incomplete) for name, level in found.items()]
        remarks = [remark for remark in remarks if remark]
        first, last = found[FIRST], found[LAST]
        between_midpoints = between_ends = math.nan
        if first is not None and last is not None and not remarks:
            between_midpoints = last.midpoint_mm - first.midpoint_mm
            between_ends = last.caudal_mm - first.rostral_mm
        rows.append(
            {
                "subject": scan.subject,
                "age": person.age,
                "sex": sex_name(person.sex),
                "height_cm": person.height_cm,
                "c2_midpoint_mm": math.nan if first is None else first.midpoint_mm,
                "c8_midpoint_mm": math.nan if last is None else last.midpoint_mm,
                "c2_c8_midpoints_mm": between_midpoints,
                "c2_c8_ends_mm": between_ends,
                "remarks": "; ".join(remarks),
            }
        )
    return rows


def _why_unused(name: str, level: LevelRow | None, keep_incomplete: bool) -> str:
    if level is None:
        return f"{name} missing"
    return "" if level.complete or keep_incomplete else f"{name} may be longer than stated"


def correlation_rows(lengths: Sequence[Row]) -> list[Row]:
    """Correlate the lengths with height and age, over all subjects and by sex.

    Parameters
    ----------
    lengths : sequence of dict
        Rows of `cervical_length_rows`.

    Returns
    -------
    list of dict
        One row for each length, trait and sex. Subjects of unknown sex are in the rows of all sexes only.
    """
    sexes = sorted({str(row["sex"]) for row in lengths if row["sex"] is not None})
    rows: list[Row] = []
    for length in LENGTHS:
        for trait in TRAITS:
            for sex in (ALL_SEXES, *sexes):
                part = [row for row in lengths if sex in (ALL_SEXES, row["sex"])]
                result = rank_correlation(_column(part, trait), _column(part, length))
                rows.append(
                    {
                        "length": length,
                        "trait": trait,
                        "sex": sex,
                        "n": result.n,
                        "n_missing": len(part) - result.n,
                        "spearman_rho": result.rho,
                        "rho_low": result.interval[0],
                        "rho_high": result.interval[1],
                        "p": result.p,
                        "remarks": _remark(result.n, result.rho),
                    }
                )
    return rows


def _column(rows: Sequence[Row], name: str) -> np.ndarray:
    return np.array([math.nan if row[name] is None else row[name] for row in rows], dtype=float)


def _remark(n: int, rho: float) -> str:
    if n < 3:
        return "fewer than 3 subjects with both values"
    if math.isnan(rho):
        return "all values are the same"
    return f"fewer than {MIN_SUBJECTS_FOR_INTERVALS} subjects: no interval" if n < MIN_SUBJECTS_FOR_INTERVALS else ""
