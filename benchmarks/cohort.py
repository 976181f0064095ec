"""Results of a cohort that is killed and resumed against an undisturbed run, and the speed of two workers against one.

    python benchmarks/cohort.py resume -data DIR      # 20 phantoms, four real scans, one broken; killed three times
    python benchmarks/cohort.py speed -n 8            # one worker of one thread against two

DIR holds the real scans (``errsm``; by default the folder that SCT_ROOTLETS_DATA names); without it there are phantoms
only. Every scan is segmented: no labels are given.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = [sys.executable, "-m", "sct_rootlets.cli.main"]


def make_cohort(folder: Path, n: int, data: Path | None) -> list[str]:
    """Write a BIDS folder of phantoms and real scans, without labels, and return arguments for the command."""
    bids = folder / "bids"
    subprocess.run([*COMMAND, "phantom", "-ofolder", bids, "-n", str(n), "-v", "0"], check=True)
    shutil.rmtree(bids / "derivatives")
    for image in sorted((data or folder).glob("errsm/sub-*/anat/*_T2w.nii.gz")):
        target = bids / image.parent.parent.name / "anat" / image.name
        target.parent.mkdir(parents=True)
        shutil.copy(image, target)
    return ["bids", str(bids)]


def read_results(out: Path) -> dict[str, bytes]:
    """Read every result; logs and locks are left out."""
    files = (path for path in sorted(out.rglob("*")) if path.is_file() and "logs" not in path.parts)
    return {str(path.relative_to(out)): path.read_bytes() for path in files if path.name != ".lock"}


def run(arguments: list[str], out: Path, workers: int) -> float:
    """Run the command to its end, and return its time in seconds."""
    begin = time.monotonic()
    subprocess.run([*COMMAND, *arguments, str(out), "participant", "-jobs", str(workers), "-v", "0"], check=False)
    return time.monotonic() - begin


def resume(folder: Path, n: int, data: Path | None, seed: int) -> None:
    """Compare an undisturbed run with one that is killed three times, at random moments, and resumed."""
    arguments = make_cohort(folder, n, data)
    broken = folder / "bids" / "sub-cohort01" / "anat" / "sub-cohort01_T2w.nii.gz"
    broken.write_bytes(broken.read_bytes()[:10_000])
    seconds = run(arguments, folder / "undisturbed", 2)
    print(f"undisturbed: {seconds:.0f} s")
    rng, out = random.Random(seed), folder / "killed"
    for _ in range(3):
        pause = rng.uniform(0.1, 0.4) * seconds
        command = [*COMMAND, *arguments, str(out), "participant", "-jobs", "2", "-v", "0"]
        process = subprocess.Popen(command, start_new_session=True)
        time.sleep(pause)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        print(f"killed after {pause:.0f} s: {len(list(out.rglob('*_provenance.json')))} scans begun or done")
    run(arguments, out, 2)
    undisturbed, resumed = read_results(folder / "undisturbed"), read_results(out)
    names = undisturbed.keys() | resumed.keys()
    different = sorted(name for name in names if undisturbed.get(name) != resumed.get(name))
    print(f"{len(undisturbed)} files, {len(different)} of them different {different[:5]}")
    print((out / "status.tsv").read_text().splitlines()[1])


def speed(folder: Path, n: int) -> None:
    """Compare the times of one worker and of two, of one thread each."""
    arguments = make_cohort(folder, n, None)
    seconds = [run(arguments, folder / f"workers{workers}", workers) for workers in (1, 2)]
    print(f"{n} phantoms: one worker {seconds[0]:.0f} s, two {seconds[1]:.0f} s: {seconds[0] / seconds[1]:.2f} times")


def main() -> None:
    """Run a benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("resume", "speed"))
    parser.add_argument("-n", type=int, default=20, help="phantoms")
    parser.add_argument("-seed", type=int, default=0, help="of the moments at which it is killed")
    parser.add_argument("-data", type=Path, default=os.environ.get("SCT_ROOTLETS_DATA"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.what == "resume":
            resume(Path(folder), arguments.n, arguments.data and Path(arguments.data), arguments.seed)
        else:
            speed(Path(folder), arguments.n)


if __name__ == "__main__":
    main()
