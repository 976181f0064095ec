"""In the Spinal Cord Toolbox itself, where it can be imported (its source tree on PYTHONPATH is enough).

Its command is run as its launcher runs it: the script, in a new Python. What ``sct_rootlets link`` does by a ``.pth``
file in an installation, a ``sitecustomize`` on PYTHONPATH does here.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.cli import deepseg
from sct_rootlets.plugin import register

toolbox = pytest.importorskip("spinalcordtoolbox", reason="the Spinal Cord Toolbox is not importable")
SCRIPT = Path(toolbox.__file__).parent / "scripts" / "sct_deepseg.py"
REPOSITORY = Path(__file__).parents[2]
HOOK = "from sct_rootlets.plugin import hook\nhook.install()\n"
#: Takes out what a linked environment has put in before.
UNLINKED = (
    "import sys\n"
    "sys.meta_path[:] = [f for f in sys.meta_path if getattr(f, '__module__', '') != 'sct_rootlets.plugin.hook']\n"
)
OURS = ("rootlets_cord", "rootlets_roots", "spinal_levels", "discs", "vertebral_levels")
LISTS = "import json, spinalcordtoolbox.deepseg.models as m; print(json.dumps([m.MODELS, m.TASKS]))"


@pytest.fixture
def python(tmp_path):
    """Run a Python that is linked, or, with another start, one that is not."""

    def run(*arguments, start=HOOK):
        site = tmp_path / "site"
        site.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text(start)
        path = os.pathsep.join([str(site), str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)

    return run


@pytest.fixture
def image(phantom_folder, tmp_path):
    """A copy of the phantom's scan in a folder of its own."""
    source = phantom_folder / "sub-phantom01" / "anat" / "sub-phantom01_T2w.nii.gz"
    return Path(shutil.copy(source, tmp_path / "t2.nii.gz"))


def test_our_tasks_are_listed_beside_those_of_sct(python):
    shown = python(SCRIPT, "-h")
    assert shown.returncode == 0, shown.stderr
    assert "SCT ROOTLETS" in shown.stdout
    assert all(name in shown.stdout for name in (*OURS, "lesion_ms"))
    details = python(SCRIPT, "-task-details")
    assert all(name in details.stdout for name in OURS)


def test_what_sct_has_is_untouched_and_in_its_order(python):
    without = json.loads(python("-c", LISTS, start=UNLINKED).stdout.splitlines()[-1])
    linked = json.loads(python("-c", LISTS).stdout.splitlines()[-1])
    for theirs, both in zip(without, linked, strict=True):
        assert list(both)[: len(theirs)] == list(theirs)
        assert {name: both[name] for name in theirs} == theirs
    assert sorted(linked[1].keys() - without[1].keys()) == sorted(OURS)


def test_help_of_a_task_has_the_options_of_sct_and_ours(python):
    shown = python(SCRIPT, "rootlets_roots", "-h")
    assert shown.returncode == 0, shown.stderr
    assert all(option in shown.stdout for option in ("-qc-subject", "-test-time-aug", "-ldisc", "-model"))
    described = {line.split()[0] for line in shown.stdout.splitlines() if line.strip()}
    assert not described & {"-qc-plane", "-qc-seg", "-thr", "-fill-holes", "-custom-url"}


def test_a_task_writes_what_our_own_command_writes_and_the_report_of_sct(python, image, tmp_path):
    done = python(SCRIPT, "rootlets_cord", "-i", image, "-o", tmp_path / "sct" / "out.nii.gz", "-qc", tmp_path / "qc",
                  "-qc-plane", "Sagittal")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "note: -qc-plane of SCT is ignored" in done.stdout
    assert deepseg.main(["rootlets_cord", "-i", str(image), "-o", str(tmp_path / "own" / "out.nii.gz"), "-v", "0"]) == 0
    names = sorted(path.name for path in (tmp_path / "own").iterdir())
    assert names == sorted(
        f"out{suffix}{end}" for suffix in ("_rootlets", "_seg") for end in (".nii.gz", ".json", ".tsv")
    )
    for name in names:
        assert (tmp_path / "sct" / name).read_bytes() == (tmp_path / "own" / name).read_bytes()
    [record] = [json.loads(path.read_text()) for path in (tmp_path / "qc" / "_json").iterdir()]
    assert record["command"] == "sct_deepseg"
    assert "rootlets_cord" in record["cmdline"]
    assert len(list((tmp_path / "qc").rglob("overlay_img.png"))) == 1
    assert "sct_rootlets" in (tmp_path / "qc" / "rootlets.html").read_text(encoding="utf-8")
    assert 'content="sct_rootlets"' not in (tmp_path / "qc" / "index.html").read_text(encoding="utf-8")
    assert len(list((tmp_path / "qc" / "rootlets" / "entries").glob("t2-*.json"))) == 1


def test_task_before_version_7_is_carried_out(python, tmp_path):
    done = python(SCRIPT, "-task", "spinal_levels", "-i", tmp_path / "missing.nii.gz")
    assert done.returncode == 1
    assert "missing.nii.gz does not exist" in done.stderr
    done = python(SCRIPT, "-task", "rootlets", "-i", tmp_path / "missing.nii.gz")
    assert done.returncode == 2
    assert "This file does not exist" in done.stderr
    done = python(SCRIPT, "-task", "seg_spinal_rootlets_t2w", "-i", tmp_path / "missing.nii.gz")
    assert (done.returncode, "is called rootlets since SCT 7.0" in done.stderr) == (2, True)
    assert (
        python(SCRIPT, "-task", "rootlets", "-i", tmp_path / "missing.nii.gz", start=UNLINKED).returncode == 0
    )  # SCT alone


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "give an image"), (["-i", "a", "b", "-o", "c"], "-o, -ldisc and -s belong to one image"),
     (["-i", "a", "-thr", "0.5"], "-thr and -fill-holes are not for rootlets_roots"),
     (["-i", "a", "-remove-small", "1", "2vox"], "-remove-small takes one size"),
     (["-i", "a", "-remove-small", "much"], "-remove-small takes a size such as 1mm3 or 5vox, not much")],
)  # fmt: skip
def test_bad_usage_exits_2_as_in_sct(python, arguments, message):
    done = python(SCRIPT, "rootlets_roots", *arguments)
    assert done.returncode == 2
    assert f"sct_deepseg rootlets_roots: error: {message}" in done.stderr


def test_an_image_that_cannot_be_segmented_is_one_line(python, tmp_path):
    nib.save(nib.Nifti1Image(np.ones((20, 20, 20), np.float32), np.eye(4)), tmp_path / "flat.nii.gz")
    done = python(SCRIPT, "rootlets_roots", "-i", tmp_path / "flat.nii.gz")
    assert done.returncode == 1
    assert done.stderr.startswith("sct_deepseg rootlets_roots: error:")
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("flat_*"))


def test_old_names_of_tasks_lead_to_tasks_of_sct():
    from spinalcordtoolbox.deepseg.models import TASKS

    assert set(deepseg.OLD_NAMES.values()) <= TASKS.keys()
    assert not deepseg.OLD_NAMES.keys() & TASKS.keys()


def test_install_leaves_the_package_data_where_it_is(python):
    for task in OURS:
        done = python(SCRIPT, task, "-install")
        assert (done.returncode, "nothing to install" in done.stdout) == (0, True)
    assert (register.BUNDLED_FOLDER / "manifest.json").is_file()


def test_when_ours_fails_sct_goes_on_with_one_warning(python):
    broken = f"{HOOK}from sct_rootlets.plugin import register\nregister.read_manifest = None\n"
    done = python(SCRIPT, "-h", start=broken)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert "lesion_ms" in done.stdout
    assert not [name for name in OURS if re.search(rf"^\s*{name}\b", done.stdout, re.MULTILINE)]
    assert done.stderr.count("sct_rootlets: warning") == 1
