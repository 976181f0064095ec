"""Preparation of a training; the steps of nnU-Net are stand-ins (conftest.py)."""

from dataclasses import replace

import pytest

from sct_rootlets.errors import DatasetError
from sct_rootlets.nnunet import preparation
from sct_rootlets.nnunet.checks import Problem
from sct_rootlets.nnunet.preparation import check_scans, choose_split, refuse_errors, write_split
from sct_rootlets.nnunet.train import train


def test_another_split_does_not_replace_that_of_a_training(settings, steps, tmp_path):
    """Who would look up the test subjects there later must find those that were kept out."""
    train(settings, tmp_path / "out", str)
    table = (tmp_path / "out" / "splits.tsv").read_bytes()
    scans, _ = check_scans(settings, tmp_path / "out", pictures=False)
    write_split(tmp_path / "out", scans, choose_split(settings, scans)[0])
    with pytest.raises(DatasetError, match="the split of the subjects differs"):
        write_split(tmp_path / "out", scans, choose_split(replace(settings, seed=3), scans)[0])
    assert (tmp_path / "out" / "splits.tsv").read_bytes() == table


def test_errors_of_labels_stop_the_training(bids, settings, steps, tmp_path, monkeypatch):
    broken = [Problem("sub-01_T2w", "error", "it is empty"), Problem("b", "error", "x"), Problem("c", "warning", "y")]
    monkeypatch.setattr(preparation, "check_scans", lambda *_, **__: ([], broken))
    with pytest.raises(DatasetError, match=r"sub-01_T2w: it is empty \(and 1 more: see checks.tsv\); mend the labels"):
        train(settings, tmp_path / "out", str)
    refuse_errors(broken[2:])


def test_checks_are_a_table_and_a_picture_a_scan(settings, tmp_path):
    scans, problems = check_scans(settings, tmp_path / "out")
    assert problems == []
    expected = {f"{scan.case.name}.{kind}" for scan in scans for kind in ("png", "svg")}
    assert {path.name for path in (tmp_path / "out" / "checks").iterdir()} == expected
    assert (tmp_path / "out" / "checks.tsv").read_text() == "scan\tseverity\tproblem\n"
