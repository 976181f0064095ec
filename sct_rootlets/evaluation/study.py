"""The result of an evaluation: its tables, and what they are of."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

import pandas as pd

from sct_rootlets.evaluation.tables import ALL_CONTRASTS, ALL_LEVELS
from sct_rootlets.image import Volume

#: A study scores predictions against references, compares raters of the same scans, or repeated scans.
StudyKind = Literal["references", "raters", "repeats"]
#: Metrics of the short table of a study against references.
MAIN_METRICS = ("dice", "hd95_mm", "|rostral_error_mm|", "|caudal_error_mm|")


@dataclass(frozen=True, kw_only=True)
class Study:
    """Tables of an evaluation.

    Attributes
    ----------
    kind : {"references", "raters", "repeats"}
    tables : dict of str to pandas.DataFrame
        Tables by the names of the CSV files that they are saved to.
    notes : tuple of str
        What was left out, one line each.
    about : dict
        Facts for the summary: names of methods or raters, the reference of positions.
    consensus : dict of str to Volume
        Consensus maps by scan, of raters only.
    """

    kind: StudyKind
    tables: dict[str, pd.DataFrame]
    notes: tuple[str, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)
    consensus: dict[str, Volume] = field(default_factory=dict)

    def main_table(self) -> pd.DataFrame:
        """Return the few rows that sum the study up.

        Returns
        -------
        pandas.DataFrame
            Mean scores over all levels by method, of a study against references; mean agreement of each pair of
            raters; or the variation of each level over repeated scans.
        """
        if self.kind == "references" and "summary" in self.tables:
            table = self.tables["summary"]
            is_main = (table.scope == ALL_LEVELS) & (table.contrast == ALL_CONTRASTS) & table.metric.isin(MAIN_METRICS)
            columns = ["method", "metric", "n_scans", "n_subjects", "mean", "sd", "mean_ci_low", "mean_ci_high"]
            return table.loc[is_main, columns]
        if self.kind == "raters" and "pairwise" in self.tables:
            pairs = self.tables["pairwise"].groupby(["first", "second"], as_index=False, sort=False)
            return pairs[["dice", "slice_f1", "hd95_mm"]].mean()
        return self.tables.get("variability_by_level", pd.DataFrame())

    def _heading(self) -> str:
        sizes = ", ".join(f"{name} ({len(table)})" for name, table in self.tables.items())
        return f"Study of {self.kind}; tables (rows): {sizes or 'none'}; notes: {len(self.notes)}"

    def __repr__(self) -> str:
        table = self.main_table()
        return self._heading() + ("" if table.empty else f"\n{table.to_string(index=False, float_format='%.3g')}")

    def _repr_html_(self) -> str:
        table = self.main_table()
        rows = "" if table.empty else table.to_html(index=False, float_format="%.3g".__mod__)
        return f"<p>{escape(self._heading())}</p>{rows}"
