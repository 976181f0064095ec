"""The commands of the tutorial and of the README, run word for word, one after the other."""

import csv
from pathlib import Path

import pytest
from shell_blocks import commands, fenced, run_in_turn

ROOT = Path(__file__).parents[1]


def lines_of(page: str, section: str = "") -> list[list[str]]:
    """Commands of a page, or of one of its sections."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if section:
        (text,) = (part for part in text.split("\n## ") if part.startswith(f"{section}\n"))
    return [words for block in fenced(text, "bash") for words in commands(block)]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in."""
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("dynamic_network_architectures", reason="dynamic_network_architectures is not installed")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_tutorial_runs_as_it_is_written(here, capsys):
    pytest.importorskip("submitit", reason="submitit is not installed")
    run_in_turn(lines_of("docs/tutorial.md"))
    here /= "sct_rootlets_tutorial"
    tables = {}
    for folder in ("levels", "corrected"):
        with (here / folder / "t2_levels.csv").open(encoding="utf-8") as file:
            tables[folder] = [
                (row["name"], row["caudal_mm"]) for row in csv.DictReader(file) if row["kind"] == "spinal"
            ]
    assert [name for name, _ in tables["levels"]] == ["C2", "C3", "C4", "C5", "C6", "C7", "C8", "T1"]
    assert [name for name, _ in tables["corrected"]] == [name for name, _ in tables["levels"]]
    assert (here / "qc" / "index.html").exists()
    assert (here / "results" / "group" / "T2w" / "group_levels_by_subject.png").exists()
    assert (here / "registration" / "warp_anat2template.nii.gz").exists()
    text = (here / "results" / "status.tsv").read_text(encoding="utf-8")
    assert text.count("sub-cohort0") >= 4
    printed = capsys.readouterr().out
    assert "in 4 scans (Valošek et al. 2024)" in printed
    assert "1 scan was registered to a template" in printed


@pytest.mark.real_data
def test_the_readme_runs_as_it_is_written_on_the_public_scan(here, real_data, monkeypatch):
    """The scan comes from a server here, and PAM50 from its folder, in place of the internet."""
    from published import Server

    from sct_rootlets import sample

    server = Server((real_data / "sct_testing_data" / "t2" / "t2.nii.gz").read_bytes())
    monkeypatch.setattr(sample, "URL", server.url)
    monkeypatch.setenv("SCT_ROOTLETS_TEMPLATE", str(real_data / "PAM50"))
    monkeypatch.delenv("SCT_DIR", raising=False)
    try:
        run_in_turn(lines_of("README.md", "Use it"))
    finally:
        server.close()
    folder = here / "sct_rootlets_sample"
    for name in ("levels/t2_levels.csv", "levels_by_disc/t2_levels.csv", "registration/registration.png"):
        assert (folder / name).exists(), name
    assert (folder / "t2_rootlets.nii.gz").exists()
    assert (folder / "qc" / "index.html").exists()
    (block,) = fenced((ROOT / "README.md").read_text(encoding="utf-8"), "python")
    exec(compile(block, "README.md", "exec"), {})
    assert (folder / "levels_from_python" / "t2_levels.csv").exists()
