"""Variation of the positions of levels over repeated scans or raters of the same subjects."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sct_rootlets.errors import DatasetError
from sct_rootlets.evaluation.intraclass import icc, why_undefined

#: Reference from which a distance has a natural zero, which a coefficient of variation needs.
NATURAL_ZERO = "PMJ"
#: Columns of the rows of `position_rows`, beside ``group`` and ``repeat``.
POSITION_COLUMNS = ("level", "name", "method", "rostral_mm", "caudal_mm", "midpoint_mm", "length_mm", "reference")


def position_rows(levels: pd.DataFrame, group: str, repeat: str, notes: list[str]) -> list[dict[str, object]]:
    """Select the spinal levels of a level table whose positions can be compared.

    A level that the field of view may have cut has no such midpoint: it is left out, and named in a note.

    Parameters
    ----------
    levels : pandas.DataFrame
        Level table of ``sct_compute_spinal_levels``.
    group, repeat : str
        The subject, and the rater, site, session or other repeat, that the table belongs to.
    notes : list of str
        List to which notes are added.

    Returns
    -------
    list of dict
        Rows of the table that `position_tables` takes.
    """
    spinal = levels[levels.kind == "spinal"]
    if "complete" in spinal:
        is_complete = spinal.complete.astype(str).str.lower().isin(("true", "1"))
        if not is_complete.all():
            cut = ", ".join(spinal["name"][~is_complete])
            notes.append(f"{repeat}, {group}: {cut} left out, because it may be longer than stated")
        spinal = spinal[is_complete]
    return [{"group": group, "repeat": repeat} | row for row in spinal[list(POSITION_COLUMNS)].to_dict("records")]


def position_tables(positions: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Make the tables of a study of positions.

    Parameters
    ----------
    positions : pandas.DataFrame
        Rows of `position_rows`.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``positions``, ``variability``, ``variability_by_level`` and, with several subjects, ``icc``.

    Raises
    ------
    DatasetError
        If there are no positions, or they cannot be compared: see `variability`.
    """
    if positions.empty:
        raise DatasetError("no level could be placed along the cord in any map; check that the cord masks fit them")
    table = variability(positions)
    tables = {"positions": positions, "variability": table, "variability_by_level": variability_by_level(table)}
    correlations = icc_by_level(positions)
    return tables if correlations.empty else tables | {"icc": correlations}


def variability(positions: pd.DataFrame) -> pd.DataFrame:
    """Compute how much the position of each level varies over raters, sites, sessions or resolutions of a subject.

    The coefficient of variation is that of Valošek 2024 (doi 10.1162/imag_a_00218): standard deviation over mean of
    the midpoint's distance from the pontomedullary junction (PMJ). A distance from any other reference has no natural
    zero, and a ratio to it means nothing: the coefficient is then NaN, and the standard deviation in mm stands alone.

    Parameters
    ----------
    positions : pandas.DataFrame
        One row per level and repeat: ``group`` (the subject), ``repeat`` (the rater, site, ...), ``level``, ``name``,
        ``midpoint_mm``, ``length_mm``, ``reference``.

    Returns
    -------
    pandas.DataFrame
        One row per group and level seen in at least two repeats: ``n_repeats``, ``mean_mm``, ``sd_mm`` (n - 1),
        ``cov_percent``, ``range_mm``, ``length_sd_mm``; rows of levels seen once have NaN and the ``note``.

    Raises
    ------
    DatasetError
        If positions count from different references, a repeat has a level twice, or no group has two repeats.
    """
    references = sorted(positions.reference.unique())
    if len(references) > 1:
        examples = [positions[positions.reference == reference].iloc[0] for reference in references]
        named = " but ".join(f"{row.group} {row['repeat']} from {row.reference}" for row in examples)
        raise DatasetError(f"positions count from different references ({named}); use the same labels for all of them")
    twice = positions[positions.duplicated(["group", "repeat", "level"])]
    if len(twice):
        row = twice.iloc[0]
        raise DatasetError(f"{row.group} {row['repeat']} has level {row['name']} twice; keep one row of it")
    if positions.groupby("group")["repeat"].nunique().max() < 2:
        raise DatasetError("nothing repeats: every subject has one table only; a variation needs at least 2")
    has_natural_zero = references == [NATURAL_ZERO]
    rows = []
    for (group, level, name), part in positions.groupby(["group", "level", "name"], sort=True):
        midpoint = part.midpoint_mm
        sd = float(midpoint.std(ddof=1)) if len(part) > 1 else np.nan
        rows.append(
            {
                "group": group,
                "level": level,
                "name": name,
                "n_repeats": len(part),
                "mean_mm": midpoint.mean(),
                "sd_mm": sd,
                "cov_percent": 100 * sd / midpoint.mean() if has_natural_zero else np.nan,
                "range_mm": midpoint.max() - midpoint.min() if len(part) > 1 else np.nan,
                "length_sd_mm": part.length_mm.std(ddof=1) if len(part) > 1 else np.nan,
                "note": "" if len(part) > 1 else f"seen once ({part['repeat'].iloc[0]})",
            }
        )
    return pd.DataFrame(rows)


def variability_by_level(table: pd.DataFrame) -> pd.DataFrame:
    """Average the coefficient of variation of each level over subjects, as published, and pool its standard deviation.

    Parameters
    ----------
    table : pandas.DataFrame
        Result of `variability`.

    Returns
    -------
    pandas.DataFrame
        Columns ``n_groups``, ``cov_percent`` (mean), ``cov_percent_max``, ``sd_mm`` (root of the variance pooled by
        degrees of freedom), ``range_mm_max``.
    """
    rows = []
    for (level, name), part in table[table.n_repeats > 1].groupby(["level", "name"], sort=True):
        freedom = part.n_repeats - 1
        rows.append(
            {
                "level": level,
                "name": name,
                "n_groups": len(part),
                "cov_percent": part.cov_percent.mean(),
                "cov_percent_max": part.cov_percent.max(),
                "sd_mm": float(np.sqrt((part.sd_mm**2 * freedom).sum() / freedom.sum())),
                "range_mm_max": part.range_mm.max(),
            }
        )
    return pd.DataFrame(rows)


def icc_by_level(positions: pd.DataFrame) -> pd.DataFrame:
    """Compute the intraclass correlation of the midpoint and the length of each level over subjects and repeats.

    Levels are never pooled: they lie centimetres apart along a cord, and any rater who can count would agree.

    Parameters
    ----------
    positions : pandas.DataFrame
        Table as for `variability`.

    Returns
    -------
    pandas.DataFrame
        One row per level and quantity; subjects that lack a repeat are left out and counted in ``n_left_out``. Where a
        correlation is not defined, there is NaN, and the ``note`` says why. Empty if there is one subject only.
    """
    if positions.group.nunique() < 2:
        return pd.DataFrame()
    repeats = sorted(positions["repeat"].unique())
    rows: list[dict[str, object]] = []
    for (level, name), part in positions.groupby(["level", "name"], sort=True):
        for quantity in ("midpoint_mm", "length_mm"):
            wide = part.pivot_table(index="group", columns="repeat", values=quantity)
            wide = wide.reindex(columns=repeats)
            complete = wide.dropna()
            is_enough = len(complete) >= 2 and wide.shape[1] >= 2
            found = icc(complete.to_numpy()) if is_enough else {}
            rows.append(
                {
                    "level": level,
                    "name": name,
                    "quantity": quantity,
                    "n_subjects": len(complete),
                    "n_repeats": wide.shape[1],
                    "n_left_out": positions.group.nunique() - len(complete),
                    **found,
                    "note": why_undefined(found) if is_enough else "fewer than 2 subjects with all repeats",
                }
            )
    return pd.DataFrame(rows)
