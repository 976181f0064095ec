"""Measure how long the page of quality control takes to load with many scans, and how large it is.

    python benchmarks/page.py -scans 500

One phantom is drawn and listed under as many names, and the page is opened from disk in a headless Chromium (needs
``playwright`` and a Chromium on the PATH). The time is that from the call of the address until the table and the
pictures of the first scan are complete.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from browser import chromium

from sct_rootlets import compute_spinal_levels
from sct_rootlets.output.page import add_entry, build_page
from sct_rootlets.phantom import draw_phantom, phantom_grid
from sct_rootlets.report.page.entry import About, Entry, make_entry
from sct_rootlets.synthesis.cervical import cervical_anatomy

READY = (
    "document.querySelectorAll('#list tbody tr').length == {} && document.images.length > 0 && "
    "Array.from(document.images).every(image => image.complete && image.naturalWidth > 0)"
)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-scans", type=int, default=500)
    parser.add_argument("-runs", type=int, default=5, help="timed runs, after one that is not counted")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds_entry, megabytes = write_page(folder, arguments.scans)
        seconds = load_times((folder / "index.html").as_uri(), arguments.scans, arguments.runs)
        total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    print(
        f"| scans | draw and add one (s) | one scan (MB) | folder (MB) | load, median (s) | range (s) |\n{'|---' * 6}|"
    )
    load = f"{statistics.median(seconds):.2f} | {min(seconds):.2f}–{max(seconds):.2f}"
    print(f"| {arguments.scans} | {seconds_entry:.2f} | {megabytes:.2f} | {total:.0f} | {load} |")


def write_page(folder: Path, n_scans: int) -> tuple[float, float]:
    """Write the page; return the time that one scan took in seconds, and its size in MB."""
    anatomy = cervical_anatomy()
    phantom = draw_phantom(anatomy, *phantom_grid(anatomy, (1, 1, 1), "PSR", margin_mm=16))
    subject = compute_spinal_levels(
        phantom.rootlets, cord=phantom.cord, discs=phantom.discs, pmj=phantom.pmj, image=phantom.image
    )
    start = time.perf_counter()
    entry = make_entry(subject, About("sub-0000_T2w.nii.gz", "/data", "benchmark", "sub-0000"))
    add_entry(folder, entry)
    seconds = time.perf_counter() - start
    # The others by hand: adding them one by one would write the list each time.
    entries = folder / "rootlets" / "entries"
    for number in range(1, n_scans):
        about = About(f"sub-{number:04d}_T2w.nii.gz", "/data", "benchmark", f"sub-{number:04d}")
        other = Entry(about.identifier, {**entry.facts, "file": about.file, "subject": about.subject}, entry.files)
        pictures = entries / f"{other.identifier}.{other.fingerprint}"
        pictures.mkdir()
        for file, data in other.files.items():
            (pictures / file).write_bytes(data)
        facts = {**other.facts, "id": other.identifier, "fingerprint": other.fingerprint, "files": pictures.name}
        (entries / f"{other.identifier}.json").write_text(json.dumps(facts), encoding="utf-8")
    build_page(folder)
    return seconds, sum(map(len, entry.files.values())) / 1e6


def load_times(address: str, n_scans: int, runs: int) -> list[float]:
    """Measure the seconds until the page is ready, each time in a fresh window."""
    seconds = []
    with chromium() as browser:
        for _ in range(runs + 1):
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            start = time.perf_counter()
            page.goto(address)
            page.wait_for_function(READY.format(n_scans))
            seconds.append(time.perf_counter() - start)
            page.context.close()
    return seconds[1:]


if __name__ == "__main__":
    main()
