"""Comparison of the spinal and vertebral levels of a cohort: tables of positions, pairs, agreement and lengths."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from sct_rootlets.correspondence import published_bias
from sct_rootlets.errors import DatasetError
from sct_rootlets.group.agreement import Row, agreement_rows, shapiro_wilk
from sct_rootlets.group.cervical_length import cervical_length_rows, correlation_rows
from sct_rootlets.group.collect import Cohort, abbreviate, collect
from sct_rootlets.group.overlap import overlap_rows, overlap_summary_rows
from sct_rootlets.group.pairs import LevelPair, PairStatus, pair_levels
from sct_rootlets.levels import Kind, level_value, paired_levels

if TYPE_CHECKING:
    import pandas as pd

#: Median distance of a subject's levels from the published places, beyond which the subject is pointed out: more than
#: half of the 12 to 17 mm from one level to the next, so that names one level off are found; the published limits of
#: agreement are narrower.
MAX_DEVIATION_MM = 8.0


@dataclass(frozen=True)
class GroupLevels:
    """The levels of a cohort, and their agreement.

    Attributes
    ----------
    cohort : Cohort
    height_cm : float or None
        Height that positions are scaled to, the median of the cohort; None if positions are as measured.
    keep_incomplete : bool
        Whether levels that may be longer than stated take part.
    n_resamples : int
        Number of bootstrap resamples.
    """

    cohort: Cohort
    height_cm: float | None = None
    keep_incomplete: bool = False
    n_resamples: int = 2000

    def scale(self, subject: str) -> float:
        """Return the factor of a subject's lengths: the cohort's median height over the subject's own, or 1."""
        height = self.cohort.participant(subject).height_cm
        return 1.0 if self.height_cm is None or height is None else self.height_cm / height

    @property
    def reference(self) -> str:
        """Point from which positions count."""
        return self.cohort.scans[0].reference

    @property
    def method(self) -> str:
        """Definition of the spinal levels; empty if there are none."""
        return next((scan.method for scan in self.cohort.scans if scan.method), "")

    @cached_property
    def positions(self) -> pd.DataFrame:
        """Ends and midpoints, one row per level of a subject, in mm from the reference, scaled."""
        import pandas as pd

        rows: list[Row] = []
        for scan in self.cohort.scans:
            participant, scale = self.cohort.participant(scan.subject), self.scale(scan.subject)
            for level in scan.levels.values():
                rows.append(
                    {
                        "subject": scan.subject,
                        "age": participant.age,
                        "sex": participant.sex,
                        "height_cm": participant.height_cm,
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

    @property
    def measured(self) -> pd.DataFrame:
        """Rows of `positions` of the levels that take part: complete ones, or all if those are kept."""
        table = self.positions
        return table if self.keep_incomplete else table[table["complete"]]

    @cached_property
    def level_pairs(self) -> list[LevelPair]:
        """Pairs of all subjects, including those that are not compared, of levels that some subject has."""
        present = {key for scan in self.cohort.scans for key in scan.levels}
        return [
            pair_levels(scan.subject, scan.levels, pair, self.scale(scan.subject), self.keep_incomplete)
            for pair in paired_levels()
            if {("vertebral", pair[1]), ("spinal", pair[2])} <= present
            for scan in self.cohort.scans
        ]

    @property
    def pairs(self) -> pd.DataFrame:
        """Midpoints and their differences, one row per pair of levels of a subject."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "subject": pair.subject,
                    "pairing": pair.pairing,
                    "vertebral_level": pair.vertebral,
                    "spinal_level": pair.spinal,
                    "vertebral_midpoint_mm": pair.vertebral_mm,
                    "spinal_midpoint_mm": pair.spinal_mm,
                    "mean_mm": pair.mean_mm,
                    "difference_mm": pair.difference_mm,
                    "status": pair.status.value,
                }
                for pair in self.level_pairs
            ]
        )

    @cached_property
    def agreement(self) -> pd.DataFrame:
        """Bias, limits, normality and regressions, one row per pair of levels and one for each pairing as a whole."""
        import pandas as pd

        return pd.DataFrame(agreement_rows(self.level_pairs, self.n_resamples))

    @cached_property
    def lengths(self) -> pd.DataFrame:
        """Lengths over the cohort, one row per level, in mm, scaled."""
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

    @cached_property
    def distributions(self) -> pd.DataFrame:
        """Midpoints over the cohort, one row per level, in mm from the reference, scaled; with the fitted normal curve.

        ``fit_sd_mm`` is that of the curve, by maximum likelihood as published (divided by n); ``sd_mm`` is divided by
        n - 1.
        """
        import pandas as pd

        rows: list[Row] = []
        for (kind, name), part in self.measured.groupby(["kind", "name"], sort=False):
            values = part["midpoint_mm"].to_numpy()
            w, p = shapiro_wilk(values)
            rows.append(
                {
                    "kind": kind,
                    "name": name,
                    "n": len(values),
                    "mean_mm": float(values.mean()),
                    "sd_mm": float(values.std(ddof=1)) if len(values) > 1 else math.nan,
                    "fit_sd_mm": float(values.std()) if len(values) > 1 else math.nan,
                    "median_mm": float(np.median(values)),
                    "percentile_25_mm": float(np.percentile(values, 25)),
                    "percentile_75_mm": float(np.percentile(values, 75)),
                    "shapiro_w": w,
                    "shapiro_p": p,
                    "remarks": "" if len(values) > 1 else "seen in one subject only",
                }
            )
        rows.sort(key=lambda row: (row["kind"] != "spinal", _value(row["name"], row["kind"])))
        return pd.DataFrame(rows)

    @cached_property
    def cervical_lengths(self) -> pd.DataFrame:
        """Length of the cord from spinal level C2 to C8, one row per subject, in mm, not scaled by height."""
        import pandas as pd

        return pd.DataFrame(cervical_length_rows(self.cohort, self.keep_incomplete))

    @cached_property
    def correlations(self) -> pd.DataFrame:
        """Spearman correlations of `cervical_lengths` with height and age, over all subjects and by sex."""
        import pandas as pd

        return pd.DataFrame(correlation_rows(cervical_length_rows(self.cohort, self.keep_incomplete)))

    @cached_property
    def overlaps(self) -> pd.DataFrame:
        """Overlap of spinal with vertebral and with proportional levels, one row per subject and pair, not scaled."""
        import pandas as pd

        return pd.DataFrame(overlap_rows(self.cohort.scans, self.level_pairs, self.keep_incomplete))

    @cached_property
    def overlap_summary(self) -> pd.DataFrame:
        """Overlaps over the cohort, one row per pair of levels."""
        import pandas as pd

        return pd.DataFrame(overlap_summary_rows(self.overlaps.to_dict("records")))

    @property
    def implausible(self) -> list[str]:
        """Subjects whose levels lie so far from published places that their names, or those of discs, may be wrong."""
        expected = published_bias()
        deviations: dict[str, list[float]] = {}
        for pair in self.level_pairs:
            if pair.pairing == "shifted" and pair.is_compared and pair.names in expected:
                deviations.setdefault(pair.subject, []).append(pair.difference_mm - expected[pair.names])
        return [subject for subject, values in deviations.items() if abs(np.median(values)) > MAX_DEVIATION_MM]

    @property
    def notes(self) -> list[str]:
        """Levels that were left out and reasons for caution, one line each."""
        notes = list(self.cohort.notes)
        n_incomplete = sum(pair.status is PairStatus.INCOMPLETE for pair in self.level_pairs)
        if n_incomplete:
            notes.append(f"{n_incomplete} differences are left out because a level may be longer than stated")
        if self.height_cm is not None and self.reference != "PMJ":
            notes.append(f"positions are from {self.reference}; the published normalisation is of those from the PMJ")
        implausible = self.implausible
        if implausible:
            notes.append(
                f"levels of {len(implausible)} of {len(self.cohort.scans)} subjects lie more than "
                f"{MAX_DEVIATION_MM:g} mm from where they usually do against the vertebrae: are they named rightly? "
                f"({abbreviate(implausible)})"
            )
        if not any(pair.is_compared for pair in self.level_pairs):
            notes.append("no subject has both levels of a pair: there is nothing to compare")
        lengths = self.cervical_lengths
        if self.method != "extent" and len(lengths) and lengths["c2_c8_midpoints_mm"].isna().all():
            notes.append(
                f"there is no length from C2 to C8: by method {self.method}, C2 has no rostral end; compute the levels "
                "with -method extent"
            )
        return notes

    def limits_table(self) -> pd.DataFrame:
        """Return bias and limits of agreement of each pair, without confidence intervals.

        Returns
        -------
        pandas.DataFrame
            ``pairing``, ``vertebra``, ``spinal``, ``n``, ``bias_mm`` (median), and the limits ``p2.5_mm`` and
            ``p97.5_mm`` (percentiles).
        """
        import pandas as pd

        names = {
            "pairing": "pairing",
            "vertebral_level": "vertebra",
            "spinal_level": "spinal",
            "n": "n",
            "median_mm": "bias_mm",
            "percentile_2.5_mm": "p2.5_mm",
            "percentile_97.5_mm": "p97.5_mm",
        }
        return pd.DataFrame(agreement_rows(self.level_pairs, 0), columns=list(names)).rename(columns=names)

    def _heading(self) -> str:
        height = "" if self.height_cm is None else f", scaled to {self.height_cm:g} cm of height"
        return (
            f"GroupLevels of {len(self.cohort.scans)} subjects; positions from {self.reference}{height}; method "
            f"{self.method or 'none'}; vertebral minus spinal midpoint:"
        )

    def __repr__(self) -> str:
        table = self.limits_table()
        rows = "no pairs" if table.empty else table.to_string(index=False, float_format="%.2f")
        return f"{self._heading()}\n{rows}"

    def _repr_html_(self) -> str:
        table = self.limits_table()
        rows = "<p>no pairs</p>" if table.empty else table.to_html(index=False, float_format="%.2f".__mod__)
        return f"<p>{escape(self._heading())}</p>{rows}"


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
    keep_uncertain: bool = False,
    keep_incomplete: bool = False,
    n_resamples: int = 2000,
) -> GroupLevels:
    """Collect the level tables in folders and compare spinal with vertebral levels over their subjects.

    Parameters
    ----------
    folders, participants, match, reference, keep_names_from_discs, keep_uncertain
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
    cohort = collect(folders, participants, match, reference, normalize_height, keep_names_from_discs, keep_uncertain)
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
        Compare levels that may be longer than stated, too.
    n_resamples : int
        Number of bootstrap resamples; 0 for no confidence intervals.

    Returns
    -------
    GroupLevels

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
