"""The worked example of docs/registration.md, as it is written but for the number of phantoms."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sct_rootlets.cli.phantom import main

PAGE = Path(__file__).parents[2] / "docs" / "registration.md"


@pytest.mark.skipif(os.name == "nt", reason="a bash script")
def test_the_group_example_runs_as_written(tmp_path):
    found = re.findall(r"<!-- group example -->\n```(bash|python)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    script, program = (text for _, text in found)
    assert [language for language, _ in found] == ["bash", "python"]
    changes = ((" -n 10", " -n 1"), ("in rootlets discs", "in rootlets"), ('("rootlets", "discs")', '("rootlets",)'))
    for old, new in changes:
        assert old in script + program
        script, program = script.replace(old, new), program.replace(old, new)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for command in (["bash", "-e", "-c", script], [sys.executable, "-c", program]):
        done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    peak, shares = re.fullmatch(r"rootlets: peak (0\.\d+), in C5 0%, C6 (\d+)%, C7 \d+%\n", done.stdout).groups()
    assert float(peak) > 0.85
    assert int(shares) > 90
    assert (tmp_path / "study" / "qc" / "rootlets" / "index.html").exists()


def test_maps_of_activity_are_of_a_cohort(capsys, tmp_path):
    with pytest.raises(SystemExit) as stopped:
        main(["-ofolder", str(tmp_path), "-activity", "1"])
    assert stopped.value.code == 2
    assert "say how many (-n)" in capsys.readouterr().err
