"""Ctrl-C, and what ends a command otherwise, in the middle of a scan."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.bids_folder import files_below

#: Processes of workers take about two seconds to start; a busy machine takes longer.
PATIENCE_S = 120
STATUS = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}


def command(bids, out):
    return [
        sys.executable,
        "-m",
        "sct_rootlets.cli.main",
        "bids",
        bids,
        out,
        "participant",
        "-discs",
        "none",
        "-jobs",
        "2",
        "-v",
        "0",
    ]


def state(out):
    files = (path for path in files_below(out) if "logs" not in path.parts)
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def begun(out):
    """Scans that a worker has begun, and not ended."""
    files = (out / "logs" / "attempts").glob("[!.]*.json")
    attempts = {path.stem: json.loads(path.read_text(encoding="utf-8")).values() for path in files}
    return [name for name, runs in attempts.items() if any(run["Status"] == "running" for run in runs)]


def left_over(group):
    """Processes of a group that still run."""
    left = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            left.append(path.parent.name)
    return left


@pytest.fixture
def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)
def test_interrupted_in_the_middle_of_a_scan(bids, out, tmp_path, environment, number):
    """Ctrl-C goes to all processes of the terminal, `kill` to the command alone: both end all of them."""
    process = subprocess.Popen(
        command(bids, out),
        env=environment,
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which jobs in the background ignore
    )
    deadline = time.monotonic() + PATIENCE_S
    while not begun(out):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "no scan was begun"
        time.sleep(0.01)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE_S)
    status, word = STATUS[number]
    assert process.returncode == status
    assert said == f"sct_rootlets bids: {word}; scans that are done are kept, jobs are ended; run it again to go on\n"
    if Path("/proc/self/stat").exists():
        deadline = time.monotonic() + 5
        while left_over(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left_over(process.pid)

    for path in files_below(out):
        if path.name.endswith(".nii.gz"):
            assert np.asarray(nib.load(path).dataobj).any()
    rows = (out / "status.tsv").read_text(encoding="utf-8").splitlines()[1:]
    assert len(rows) == 3
    assert not all("\tdone\t" in row for row in rows)

    assert subprocess.run(command(bids, out), env=environment, check=False).returncode == 0
    other = tmp_path / "undisturbed"
    assert subprocess.run(command(bids, other), env=environment, check=False).returncode == 0
    assert state(out) == state(other)
