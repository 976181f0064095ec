"""The commands of docs/reproduce-the-paper.md, run by a shell on a folder of empty files: are they well-formed?"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sct_rootlets.cli import compute_spinal_levels, deepseg, group, phantom

PAGE = Path(__file__).parents[1] / "docs" / "reproduce-the-paper.md"
RECORD = "import json, sys; print(json.dumps(sys.argv[1:]))"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_commands_of_the_page_are_understood(tmp_path):
    blocks = re.findall(r"<!-- run -->\n```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 4
    for number in (1, 2):
        anat = tmp_path / "cohort" / f"sub-cohort{number:02d}" / "anat"
        anat.mkdir(parents=True)
        (anat / f"sub-cohort{number:02d}_T2w.nii.gz").touch()
    functions = [
        f"{name}() {{ '{sys.executable}' -c '{RECORD}' {name} \"$@\"; }}"
        for name in ("sct_rootlets", "sct_deepseg", "sct_compute_spinal_levels")
    ]
    script = "\n".join(["set -eu", *functions, *blocks])
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    calls = [json.loads(line) for line in done.stdout.splitlines()]
    assert [call[0] for call in calls] == [
        "sct_rootlets",
        "sct_deepseg",
        "sct_compute_spinal_levels",
        "sct_compute_spinal_levels",
        "sct_rootlets",
    ]
    assert phantom.get_parser().parse_args(calls[0][2:]).n == 12
    images = deepseg.get_task_parser(calls[1][1]).parse_args(calls[1][2:]).i
    assert [Path(image).name for image in images] == ["sub-cohort01_T2w.nii.gz", "sub-cohort02_T2w.nii.gz"]
    levels = compute_spinal_levels.get_parser().parse_args(calls[3][1:])
    labels = "cohort/derivatives/labels/sub-cohort02/anat/sub-cohort02_T2w_label"
    assert levels.i == "cohort/sub-cohort02/anat/sub-cohort02_T2w.nii.gz"
    assert (levels.rootlets, levels.s) == (f"{labels}-rootlets_dseg.nii.gz", f"{labels}-SC_seg.nii.gz")
    assert (levels.ldisc, levels.pmj) == (f"{labels}-discs_dlabel.nii.gz", f"{labels}-PMJ_dlabel.nii.gz")
    assert (levels.method, levels.ofolder) == ("extent", "cohort/derivatives/levels/sub-cohort02/anat")
    last = group.get_parser().parse_args(calls[4][2:])
    assert (last.i, last.normalize_height) == (["cohort/derivatives/levels"], True)
