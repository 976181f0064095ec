import subprocess
import sys

import pytest

from sct_rootlets.cli import compute_spinal_levels, main


def test_demo_ends_with_a_picture(tmp_path, capsys):
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("dynamic_network_architectures", reason="dynamic_network_architectures is not installed")
    assert main.main(["demo", "-ofolder", str(tmp_path / "demo")]) == 0
    printed = capsys.readouterr().out
    levels = tmp_path / "demo" / "levels"
    assert (levels / "sub-phantom01_T2w_levels.png").read_bytes().startswith(b"\x89PNG")
    assert (levels / "sub-phantom01_T2w_label-rootlets_dseg.nii.gz").exists()
    assert "C7-C8" in printed
    assert "sct_compute_spinal_levels -i" in printed
    assert (tmp_path / "demo" / "registration" / "registration.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "demo" / "registration" / "warp_anat2template.nii.gz").exists()


def test_phantom_writes_a_bids_dataset(tmp_path):
    assert main.main(["phantom", "-ofolder", str(tmp_path), "-v", "0"]) == 0
    assert (tmp_path / "dataset_description.json").exists()
    assert (tmp_path / "sub-phantom01" / "anat" / "sub-phantom01_T2w.nii.gz").exists()


def test_phantom_writes_a_cohort(tmp_path, capsys):
    for folder in ("once", "twice"):
        assert main.main(["phantom", "-ofolder", str(tmp_path / folder), "-n", "1", "-seed", "3", "-v", "0"]) == 0
    names = {path.relative_to(tmp_path / "once") for path in (tmp_path / "once").rglob("*.*")}
    assert names == {path.relative_to(tmp_path / "twice") for path in (tmp_path / "twice").rglob("*.*")}
    for name in names:
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "twice" / name).read_bytes()
    participants = (tmp_path / "once" / "participants.tsv").read_text().splitlines()
    assert participants[0].split("\t") == ["participant_id", "age", "sex", "height"]
    assert [line.split("\t")[0] for line in participants[1:]] == ["sub-cohort01"]
    with pytest.raises(SystemExit, match="2"):
        main.main(["phantom", "-ofolder", str(tmp_path), "-n", "0"])
    assert "must be from 1 to 1000" in capsys.readouterr().err


def test_version(capsys):
    assert main.main(["-version"]) == 0
    assert capsys.readouterr().out.count(".") == 2


@pytest.mark.parametrize("argv", [[], ["nothing"], ["demo", "-nothing"], ["phantom"]])
def test_bad_usage_exits_2(argv, capsys):
    with pytest.raises(SystemExit, match="2"):
        main.main(argv)
    assert "usage: sct_rootlets" in capsys.readouterr().err


@pytest.mark.parametrize(
    "module",
    ["main", "bids", "compute_spinal_levels", "deepseg", "demo", "evaluate", "group", "models", "phantom", "register",
     "link", "status", "train", "unlink"],
)  # fmt: skip
def test_help_needs_only_the_standard_library(module):
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('numpy', 'torch', 'nibabel', 'scipy', 'pandas', 'matplotlib')));"
        f"from sct_rootlets.cli.{module} import main; main(['-h'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "MISC" in done.stdout


def test_help_offers_the_methods_there_are():
    from sct_rootlets.spinal import DISTANCE_MM, METHODS

    arguments = {action.dest: action for action in compute_spinal_levels.get_parser()._actions}
    assert set(arguments["method"].choices) == set(METHODS)
    assert arguments["distance"].default == DISTANCE_MM
