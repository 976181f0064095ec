"""How spinal and vertebral levels agree over a cohort: pairs by name, bias and limits of each pair and of all.

From a `Cohort` to tables; files are read by `collect` and written by `output`.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from sct_rootlets.correspondence import published_bias
from sct_rootlets.errors import DatasetError
from sct_rootlets.group.bootstrap import FEWEST_SUBJECTS, STATISTICS, limits_of_agreement
from sct_rootlets.group.collect import Cohort, LevelRow, collect, some
from sct_rootlets.group.regression import fit_line
from sct_rootlets.levels import Kind, level_value, paired_levels

if TYPE_CHECKING:
    import pandas as pd

    Row = dict[str, object]

#: What the pooled row of a pairing has in place of the names of levels.
POOLED = "all"
#: A subject whose levels lie this far from the published places is pointed out: more than half of the 12 to 17 mm from
#: one level to the next, so that names one level off are found; the published limits of agreement are narrower.
IMPLAUSIBLE_MM = 8.0
#: Shapiro and Wilk's test is for 3 to 5000 values (Royston 1995, doi 10.2307/2986146).
SHAPIRO_RANGE = (3, 5000)
#: Names of the columns of each statistic and of the ends of its interval, in mm.
COLUMN = {
    "median": "median",
    "p2.5": "percentile_2.5",
    "p97.5": "percentile_97.5",
    "mean": "mean",
    "lower": "mean_minus_1.96sd",
    "upper": "mean_plus_1.96sd",
}


@dataclass(frozen=True)
class PairRow:
    """A pair of levels of a subject.

    Attributes
    ----------
    subject, pairing, vertebral, spinal : str
    vertebral_mm, spinal_mm : float
        Midpoints, from the reference; NaN where a level is missing.
    status : str
        ``"compared"``, or why not: ``"spinal missing"``, ``"vertebral missing"``, ``"both missing"``,
        ``"incomplete"``.
    """

    subject: str
    pairing: str
    vertebral: str
    spinal: str
    vertebral_mm: float
    spinal_mm: float
    status: str

    @property
    def difference_mm(self) -> float:
        """Vertebral minus spinal midpoint."""
        return self.vertebral_mm - self.spinal_mm

    @property
    def mean_mm(self) -> float:
        """Of the two midpoints."""
        return (self.vertebral_mm + self.spinal_mm) / 2


@dataclass(frozen=True)
class GroupLevels:
    """The levels of a cohort and how they agree.

    Attributes
    ----------
    cohort : Cohort
    height_cm : float or None
        Height that positions are scaled to: the cohort's median; None if they are as measured.
    keep_incomplete : bool
        Whether levels that may be longer than stated take part.
    n_resamples : int
        Of the bootstrap.
    """

    cohort: Cohort
    height_cm: float | None = None
    keep_incomplete: bool = False
    n_resamples: int = 2000

    def scale(self, subject: str) -> float:
        """What lengths of a subject are multiplied by: the cohort's median height over the subject's own."""
        height = self.cohort.participant(subject).height_cm
        return 1.0 if self.height_cm is None or height is None else self.height_cm / height

    @property
    def reference(self) -> str:
        """What positions are counted from."""
        return self.cohort.scans[0].reference

    @property
    def method(self) -> str:
        """How spinal levels were defined."""
        return next((scan.method for scan in self.cohort.scans if scan.method), "")

    @cached_property
    def positions(self) -> pd.DataFrame:
        """One row a level of a subject, in mm from the reference, scaled."""
        import pandas as pd

        rows: list[Row] = []
        for scan in self.cohort.scans:
            who, scale = self.cohort.participant(scan.subject), self.scale(scan.subject)
            for level in scan.levels.values():
                rows.append(
                    {
                        "subject": scan.subject,
                        "age": who.age,
                        "sex": who.sex,
                        "height_cm": who.height_cm,
                        "kind": level.kind,
                        "name": level.name,
                        "rostral_mm": level.rostral_mm * scale,
                        "caudal_mm": level.caudal_mm * scale,
                        "midpoint_mm": level.midpoint_mm * scale,
                        "length_mm": level.length_mm * scale,
                        "scale": scale,
                        "complete": level.complete,
                    }
                )
        return pd.DataFrame(rows)

    @cached_property
    def pair_rows(self) -> list[PairRow]:
        """Pairs of all subjects, those that cannot be compared too, of levels that someone has."""
        seen = {key for scan in self.cohort.scans for key in scan.levels}
        return [
            self._pair_row(scan.subject, scan.levels, pairing, vertebral, spinal)
            for pairing, vertebral, spinal in paired_levels()
            if ("vertebral", vertebral) in seen and ("spinal", spinal) in seen
            for scan in self.cohort.scans
        ]

    def _pair_row(
        self, subject: str, levels: dict[tuple[str, str], LevelRow], pairing: str, vertebral: str, spinal: str
    ) -> PairRow:
        bone, cord = levels.get(("vertebral", vertebral)), levels.get(("spinal", spinal))
        if bone is None or cord is None:
            status = "both missing" if bone is cord else "spinal missing" if cord is None else "vertebral missing"
        elif not (bone.complete and cord.complete) and not self.keep_incomplete:
            status = "incomplete"
        else:
            status = "compared"
        scale = self.scale(subject)
        upper, lower = (math.nan if level is None else level.midpoint_mm * scale for level in (bone, cord))
        return PairRow(subject, pairing, vertebral, spinal, upper, lower, status)

    @property
    def pairs(self) -> pd.DataFrame:
        """One row a pair of levels of a subject."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "subject": row.subject,
                    "pairing": row.pairing,
                    "vertebral_level": row.vertebral,
                    "spinal_level": row.spinal,
                    "vertebral_midpoint_mm": row.vertebral_mm,
                    "spinal_midpoint_mm": row.spinal_mm,
                    "mean_mm": row.mean_mm,
                    "difference_mm": row.difference_mm,
                    "status": row.status,
                }
                for row in self.pair_rows
            ]
        )

    @cached_property
    def agreement(self) -> pd.DataFrame:
        """One row a pair of levels and one for each pairing as a whole: bias, limits, normality, regression."""
        import pandas as pd

        rows: list[Row] = []
        for pairing in dict.fromkeys(row.pairing for row in self.pair_rows):
            of_pairing = [row for row in self.pair_rows if row.pairing == pairing]
            for pair in dict.fromkeys((row.vertebral, row.spinal) for row in of_pairing):
                rows.append(self._agreement_row([row for row in of_pairing if (row.vertebral, row.spinal) == pair]))
            rows.append(self._agreement_row(of_pairing, pooled=True))
        return pd.DataFrame(rows)

    def _agreement_row(self, rows: list[PairRow], pooled: bool = False) -> Row:
        """Bias and limits of the rows of one pair, or of a pairing."""
        compared = [row for row in rows if row.status == "compared"]
        count = Counter(row.status for row in rows)
        limits = limits_of_agreement(_table(rows), self.n_resamples)
        difference = np.array([row.difference_mm for row in compared])
        result: Row = {
            "pairing": rows[0].pairing,
            "vertebral_level": POOLED if pooled else rows[0].vertebral,
            "spinal_level": POOLED if pooled else rows[0].spinal,
            "n": limits.n,
            "n_subjects": len({row.subject for row in compared}),
            "n_spinal_missing": count["spinal missing"],
            "n_vertebral_missing": count["vertebral missing"],
            "n_both_missing": count["both missing"],
            "n_incomplete": count["incomplete"],
        }
        for name in STATISTICS:
            low, high = limits.intervals.get(name, (math.nan, math.nan))
            result[f"{COLUMN[name]}_mm"] = limits.values[name]
            result |= {f"{COLUMN[name]}_low": low, f"{COLUMN[name]}_high": high}
        result["sd_mm"] = limits.sd
        w, p = _shapiro(difference)
        result |= {"shapiro_w": w, "shapiro_p": p}
        result |= _regressions(compared, pooled)
        result["remarks"] = "; ".join(_remarks(limits.n, len({row.subject for row in compared}), p, pooled))
        return result

    @cached_property
    def lengths(self) -> pd.DataFrame:
        """One row a level: how long it is over the cohort, in mm, scaled."""
        import pandas as pd

        table = self.measured
        rows: list[Row] = []
        for (kind, name), part in table.groupby(["kind", "name"], sort=False):
            values = part["length_mm"].to_numpy()
            rows.append(
                {
                    "kind": kind,
                    "name": name,
                    "n": len(values),
                    "median_mm": float(np.median(values)),
                    "percentile_25_mm": float(np.percentile(values, 25)),
                    "percentile_75_mm": float(np.percentile(values, 75)),
                    "mean_mm": float(values.mean()),
                    "sd_mm": float(values.std(ddof=1)) if len(values) > 1 else math.nan,
                    "min_mm": float(values.min()),
                    "max_mm": float(values.max()),
                    "remarks": "" if len(values) > 1 else "seen in one subject only",
                }
            )
        rows.sort(key=lambda row: (row["kind"] != "spinal", _value(row["name"], row["kind"])))
        return pd.DataFrame(rows)

    @property
    def implausible(self) -> list[str]:
        """Subjects whose levels lie so far from where published that their names, or those of discs, may be wrong."""
        expected = published_bias()
        away: dict[str, list[float]] = {}
        for row in self.pair_rows:
            if row.pairing == "shifted" and row.status == "compared" and (row.vertebral, row.spinal) in expected:
                error = row.difference_mm - expected[row.vertebral, row.spinal]
                away.setdefault(row.subject, []).append(error)
        return [subject for subject, errors in away.items() if abs(np.median(errors)) > IMPLAUSIBLE_MM]

    @property
    def measured(self) -> pd.DataFrame:
        """`positions` of the levels that take part: complete ones, or all if those are kept."""
        table = self.positions
        return table if self.keep_incomplete else table[table["complete"]]

    @property
    def notes(self) -> list[str]:
        """What was left out and what is to be kept in mind, one line each."""
        notes = list(self.cohort.notes)
        incomplete = sum(row.status == "incomplete" for row in self.pair_rows)
        if incomplete:
            notes.append(f"{incomplete} differences are left out because a level may be longer than stated")
        if self.height_cm is not None and self.reference != "PMJ":
            notes.append(f"positions are from {self.reference}; the published normalisation is of those from the PMJ")
        strange = self.implausible
        if strange:
            notes.append(
                f"levels of {len(strange)} of {len(self.cohort.scans)} subjects lie more than {IMPLAUSIBLE_MM:g} mm "
                f"from where they usually do against the vertebrae: are they named rightly? ({some(strange)})"
            )
        if not any(row.status == "compared" for row in self.pair_rows):
            notes.append("no subject has both levels of a pair: there is nothing to compare")
        return notes


def _value(name: object, kind: object) -> int:
    typed: Kind = "spinal" if kind == "spinal" else "vertebral"
    return level_value(str(name), typed)


def group_levels(
    folders: Sequence[str | os.PathLike[str]],
    participants: str | os.PathLike[str] | None = None,
    *,
    normalize_height: bool = False,
    match: str = "",
    reference: str | None = None,
    keep_names_from_discs: bool = False,
    keep_incomplete: bool = False,
    n_resamples: int = 2000,
) -> GroupLevels:
    """Collect the level tables in folders and compare spinal with vertebral levels over their subjects.

    Parameters
    ----------
    folders, participants, match, reference, keep_names_from_discs
        See `sct_rootlets.group.collect.collect`.
    normalize_height, keep_incomplete, n_resamples
        See `compare`.

    Returns
    -------
    GroupLevels

    Raises
    ------
    DatasetError
        If tables or participants are missing, damaged, or do not belong together.
    """
    cohort = collect(folders, participants, match, reference, normalize_height, keep_names_from_discs)
    return compare(cohort, normalize_height, keep_incomplete, n_resamples)


def compare(
    cohort: Cohort, normalize_height: bool = False, keep_incomplete: bool = False, n_resamples: int = 2000
) -> GroupLevels:
    """Compare the spinal and vertebral levels of a cohort.

    Parameters
    ----------
    cohort : Cohort
    normalize_height : bool
        Divide positions by the subject's height and multiply them by the median height of the cohort, as in the
        RootletSeg paper (doi 10.1038/s41598-026-49164-0).
    keep_incomplete : bool
        Let levels take part that may be longer than stated.
    n_resamples : int
        Of the bootstrap; 0 for no confidence intervals.

    Raises
    ------
    DatasetError
        If heights are wanted and a subject has none.
    """
    if not normalize_height:
        return GroupLevels(cohort, None, keep_incomplete, n_resamples)
    heights: list[float] = []
    for scan in cohort.scans:
        height = cohort.participant(scan.subject).height_cm
        if height is None:
            raise DatasetError(f"{scan.subject} has no height; add it to participants.tsv, or leave the subject out")
        heights.append(height)
    return GroupLevels(cohort, float(np.median(heights)), keep_incomplete, n_resamples)


def _table(rows: list[PairRow]) -> np.ndarray:
    """Differences as a matrix of subjects × pairs, NaN where they are not compared."""
    subjects = {name: i for i, name in enumerate(dict.fromkeys(row.subject for row in rows))}
    pairs = {name: i for i, name in enumerate(dict.fromkeys((row.vertebral, row.spinal) for row in rows))}
    table = np.full((len(subjects), len(pairs)), np.nan)
    for row in rows:
        if row.status == "compared":
            table[subjects[row.subject], pairs[row.vertebral, row.spinal]] = row.difference_mm
    return table


def _shapiro(values: np.ndarray) -> tuple[float, float]:
    low, high = SHAPIRO_RANGE
    if not low <= len(values) <= high or np.ptp(values) < 1e-9:
        return math.nan, math.nan
    found = stats.shapiro(values)
    return float(found.statistic), float(found.pvalue)


def _regressions(compared: list[PairRow], pooled: bool) -> Row:
    """Difference on mean (does the bias grow along the cord?), and vertebral on spinal position as published."""
    subjects = np.array([row.subject for row in compared]) if pooled else None
    result: Row = {}
    for name, x, y in (
        ("difference_on_mean", [row.mean_mm for row in compared], [row.difference_mm for row in compared]),
        ("vertebral_on_spinal", [row.spinal_mm for row in compared], [row.vertebral_mm for row in compared]),
    ):
        line = fit_line(np.array(x), np.array(y), subjects)
        nothing = math.nan
        low, high = line.slope_interval if line else (nothing, nothing)
        result |= {
            f"{name}_slope": line.slope if line else nothing,
            f"{name}_slope_low": low,
            f"{name}_slope_high": high,
            f"{name}_slope_p": line.p if line else nothing,
            f"{name}_intercept_mm": line.intercept if line else nothing,
            f"{name}_r2": line.r_squared if line else nothing,
        }
    return result


def _remarks(n: int, n_subjects: int, shapiro_p: float, pooled: bool) -> list[str]:
    remarks = []
    if not n:
        remarks.append("no subject has both levels")
    elif n_subjects == 1:
        remarks.append("seen in one subject only")
    elif n_subjects < FEWEST_SUBJECTS:
        remarks.append(f"fewer than {FEWEST_SUBJECTS} subjects: no confidence intervals")
    if shapiro_p < 0.05 and not pooled:
        remarks.append(
            "differences are not normal: look at the subjects that lie apart and check the names of their levels and "
            "discs; report the median with its interval (intervals of the outer percentiles cover too little)"
        )
    return remarks
