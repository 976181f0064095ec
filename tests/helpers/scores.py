"""Scores of known size: long tables, and a study of two methods."""

import pandas as pd
from ladder import ladder, write

from sct_rootlets.evaluation.references import evaluate_files
from sct_rootlets.evaluation.tables import ALL_LEVELS


def score_table(values, method="a", metric="dice", scope=ALL_LEVELS, contrast="T2w"):
    """Values of a metric, one scan a subject."""
    return pd.DataFrame(
        {
            "method": method,
            "contrast": contrast,
            "subject": [f"sub-{i:02}" for i in range(len(values))],
            "scan": [f"sub-{i:02}_{contrast}" for i in range(len(values))],
            "scope": scope,
            "metric": metric,
            "value": values,
        }
    )


def two_methods(folder):
    """Two methods on four subjects: off by one slice, and by two; the first lacks three levels."""
    for subject in range(4):
        name = f"sub-0{subject}_T2w_rootlets.nii.gz"
        write(folder / "labels", name, ladder())
        write(folder / "ours", name, ladder(shift=1, values=(2, 3, 4)))
        write(folder / "theirs", name, ladder(shift=2))
    return evaluate_files({"ours": [folder / "ours"], "theirs": [folder / "theirs"]}, [folder / "labels"])
