"""The commands of docs/reproduce-the-paper.md, run by a shell: they parse, and they do what the page says."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sct_rootlets.cli import compute_spinal_levels, deepseg, evaluate, group, models, phantom, train

PAGE = Path(__file__).parents[1] / "docs" / "reproduce-the-paper.md"
RECORD = "import json, sys; print(json.dumps(sys.argv[1:]))"
#: A stand-in for the network, which takes ten seconds a scan: it copies the true labels to the outputs of the command.
SEGMENT = """sct_deepseg() { shift 2; for image in "$@"; do
    stem=${image%.nii.gz}
    labels=cohort/derivatives/labels/${stem#cohort/}_label
    cp "$labels-rootlets_dseg.nii.gz" "${stem}_rootlets.nii.gz"; cp "$labels-SC_seg.nii.gz" "${stem}_seg.nii.gz"
done; }"""

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


def blocks(*marks: str) -> list[str]:
    found = re.findall(r"<!-- (\w+) -->\n```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [block for mark, block in found if mark in marks]


def bash(folder: Path, *script: str) -> str:
    done = subprocess.run(
        ["bash", "-c", "\n".join(["set -eu", *script])], capture_output=True, text=True, cwd=folder, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_commands_of_the_page_are_understood(tmp_path):
    """The parsers of the commands accept every line; scans are empty files."""
    for number in (1, 2):
        anat = tmp_path / "cohort" / f"sub-cohort{number:02d}" / "anat"
        anat.mkdir(parents=True)
        (anat / f"sub-cohort{number:02d}_T2w.nii.gz").touch()
    functions = [
        f"{name}() {{ '{sys.executable}' -c '{RECORD}' {name} \"$@\"; }}"
        for name in ("sct_rootlets", "sct_deepseg", "sct_compute_spinal_levels")
    ]
    calls = [json.loads(line) for line in bash(tmp_path, *functions, *blocks("run", "train")).splitlines()]
    assert [" ".join(call[: 2 if call[0] == "sct_rootlets" else 1]) for call in calls] == [
        "sct_rootlets phantom",
        *["sct_rootlets train"] * 3,
        "sct_rootlets models",
        "sct_deepseg",
        "sct_rootlets evaluate",
        *["sct_compute_spinal_levels"] * 2,
        "sct_rootlets group",
    ]
    assert phantom.get_parser().parse_args(calls[0][2:]).n == 12
    check, fold, export = (train.get_parser().parse_args(call[2:]) for call in calls[1:4])
    assert (check.check, fold.device, fold.folds, fold.start, export.export) == (
        True, "cpu", [0], "bundled", "our-model.zip",
    )  # fmt: skip
    assert models.get_parser().parse_args(calls[4][2:]).name == "our-model"
    images = deepseg.get_task_parser(calls[5][1]).parse_args(calls[5][2:]).i
    assert [Path(image).name for image in images] == ["sub-cohort01_T2w.nii.gz", "sub-cohort02_T2w.nii.gz"]
    assert evaluate.get_parser().parse_args(calls[6][2:]).ofolder == "evaluation"
    levels = compute_spinal_levels.get_parser().parse_args(calls[8][1:])
    labels = "cohort/derivatives/labels/sub-cohort02/anat/sub-cohort02_T2w_label"
    assert levels.i == "cohort/sub-cohort02/anat/sub-cohort02_T2w.nii.gz"
    assert (levels.rootlets, levels.s) == (f"{labels}-rootlets_dseg.nii.gz", f"{labels}-SC_seg.nii.gz")
    assert (levels.ldisc, levels.pmj) == (f"{labels}-discs_dlabel.nii.gz", f"{labels}-PMJ_dlabel.nii.gz")
    assert (levels.method, levels.ofolder) == ("extent", "cohort/derivatives/levels/sub-cohort02/anat")
    last = group.get_parser().parse_args(calls[9][2:])
    assert (last.i, last.normalize_height) == (["cohort/derivatives/levels"], True)


def test_commands_of_the_page_run(tmp_path):
    """All commands but network and training, on two phantoms in place of twelve; labels are still found afterwards."""
    script = "\n".join(blocks("run"))
    assert script.count("-n 12") == 1
    functions = [
        f"{name}() {{ '{sys.executable}' -m sct_rootlets.cli.{module} \"$@\" -v 0; }}"
        for name, module in (("sct_rootlets", "main"), ("sct_compute_spinal_levels", "compute_spinal_levels"))
    ]
    check_again = "sct_rootlets train -i cohort -ofolder training -check -n-folds 2 -test-share 0"
    bash(tmp_path, *functions, SEGMENT, script.replace("-n 12", "-n 2"), check_again)
    with (tmp_path / "evaluation" / "scans.csv").open() as file:
        assert [float(row["dice"]) for row in csv.DictReader(file)] == [1, 1]
    with (tmp_path / "group" / "group_agreement.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["pairing"] == "shifted"]
    assert [int(row["n"]) for row in rows] == [*[2] * 7, 14]
    first, last = float(rows[0]["median_mm"]), float(rows[6]["median_mm"])
    assert (first, last) == pytest.approx((0, 8.15), abs=3 * 1.7)  # as planted, ± 1.7 mm in each subject
    assert (tmp_path / "group" / "group_bland-altman_shifted.svg").exists()
    assert {path.name for path in (tmp_path / "training" / "checks").iterdir()} == {
        f"sub-cohort0{number}_T2w.{kind}" for number in (1, 2) for kind in ("png", "svg")
    }
