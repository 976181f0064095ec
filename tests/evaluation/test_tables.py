"""Long tables, summaries and counts against numbers by hand."""

import numpy as np
import pandas as pd
import pytest
from scores import score_table

from sct_rootlets.evaluation.tables import count_statuses, make_long_table, summarize


def test_long_table_averages_over_the_levels_of_a_scan():
    identity = {"method": "a", "scan": "s", "subject": "s", "contrast": "T2w"}
    columns = (
        "dice",
        "slice_f1",
        "hd95_mm",
        "volume_mm3",
        "volume_difference_mm3",
        "rostral_error_mm",
        "caudal_error_mm",
    )
    rows = [
        [1.0, 1, 2, 10, 4, -1, 3],
        [0.0, 0, np.nan, 0, -8, np.nan, np.nan],
        [np.nan, np.nan, np.nan, 0, 0, np.nan, np.nan],
    ]
    levels = pd.DataFrame(
        [
            identity | {"name": name, "status": status} | dict(zip(columns, row, strict=True))
            for name, status, row in zip(("C2", "C3", "C4"), ("detected", "missed", "absent"), rows, strict=True)
        ]
    )
    scans = pd.DataFrame([identity | {"dice_any_name": 0.8, "hd95_any_name_mm": 3.0}])
    values = make_long_table(levels, scans).set_index(["scope", "metric"]).value
    assert values["all levels", "dice"] == 0.5
    assert values["all levels", "hd95_mm"] == 2
    assert (values["all levels", "volume_difference_mm3"], values["all levels", "|volume_difference_mm3|"]) == (-2, 6)
    assert (values["C2", "rostral_error_mm"], values["C2", "|rostral_error_mm|"]) == (-1, 1)
    assert values["names ignored", "dice"] == 0.8
    assert ("C3", "hd95_mm") not in values.index
    assert ("C4", "volume_difference_mm3") not in values.index  # absent on both sides: no perfect volume


def test_summary_by_hand():
    values = score_table([0.5, 0.6, 0.7, 1.0])
    row = summarize(values).iloc[0]
    assert (row["n_scans"], row["n_subjects"], row["contrast"]) == (4, 4, "all")
    assert (row["mean"], row["median"], row["p25"], row["p75"]) == pytest.approx((0.7, 0.65, 0.575, 0.775))
    assert row["sd"] == pytest.approx(np.sqrt((0.04 + 0.01 + 0 + 0.09) / 3))


def test_scans_of_one_subject_are_no_subjects():
    """Every scan ten times over: the interval stays what it was."""
    once = score_table(np.random.default_rng(5).random(12))
    often = pd.concat([once.assign(scan=once.scan + f"_run-{run}") for run in range(10)])
    rows = [summarize(values).iloc[0] for values in (once, often)]
    assert rows[1]["n_scans"] == 120
    for end in ("mean_ci_low", "mean_ci_high"):
        assert rows[0][end] == pytest.approx(rows[1][end], abs=0.01)


def test_statuses_are_counted_by_contrast_and_level():
    """Of C3, one is missed in T2w; what only the prediction has, and what neither has, is not in the reference."""
    rows = [
        ("T1w", 3, "C3", "detected"),
        ("T1w", 4, "C4", "extra"),
        ("T2w", 3, "C3", "missed"),
        ("T2w", 4, "C4", "absent"),
        ("T2w", 5, "C5", "wrongly named"),
    ]
    levels = pd.DataFrame(rows, columns=["contrast", "level", "name", "status"]).assign(method="a")
    counts = count_statuses(levels).set_index(["contrast", "scope"]).drop(columns="method")
    assert counts.columns.tolist() == ["in_reference", "detected", "wrongly_named", "missed", "extra"]
    assert counts.loc[("all", "all levels")].tolist() == [3, 1, 1, 1, 1]
    assert counts.loc[("all", "C4")].tolist() == [0, 0, 0, 0, 1]
    assert counts.loc[("T2w", "C3")].tolist() == [1, 0, 0, 1, 0]
