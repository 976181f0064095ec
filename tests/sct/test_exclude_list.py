"""What the page of quality control exports is read by `sct_run_batch` itself, where it can be imported."""

import json

import pytest

batch = pytest.importorskip(
    "spinalcordtoolbox.scripts.sct_run_batch", reason="the Spinal Cord Toolbox is not importable"
)


def test_exclude_yml(tmp_path):
    """As `tests/report/page/test_in_browser.py` finds it exported."""
    path = tmp_path / "exclude.yml"
    path.write_text('- "sub-02_T2w <b>größer</b> & schöner.nii.gz"\n- "sub-03_T2w.nii.gz"\n', encoding="utf-8")
    found = batch.parse_yml(path)
    assert set(found["files"]) == {"sub-02_T2w <b>größer</b> & schöner.nii.gz", "sub-03_T2w.nii.gz"}
    assert found["subjects"] == []
    path.write_text("[]\n")
    assert batch.parse_yml(path) == {"files": [], "subjects": []}


def test_exclude_list_of_verdicts_json(tmp_path):
    """It leaves out whole subjects, and single sessions."""
    path = tmp_path / "verdicts.json"
    path.write_text(json.dumps({"exclude_list": ["sub-02", "sub-03/ses-01"], "verdicts": [{"id": "x"}]}))
    excluded = json.loads(path.read_text())["exclude_list"]
    folders = ["sub-01", "sub-02/ses-01", "sub-02/ses-02", "sub-03/ses-01", "sub-03/ses-02"]
    assert batch._filter_directories(folders, exclude_list=excluded) == ["sub-01", "sub-03/ses-02"]
