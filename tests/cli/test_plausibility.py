"""A wrong result never looks right: what flags say in the terminal, in tables, in sidecars, and by -strict."""

import csv
import json
import re
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.cli import bids, compute_spinal_levels, deepseg

STEM = "sub-phantom01_T2w"


@pytest.fixture
def labels(phantom_folder):
    folder = phantom_folder / "derivatives" / "labels" / "sub-phantom01" / "anat"
    names = {"cord": "label-SC_seg", "rootlets": "label-rootlets_dseg", "discs": "label-discs_dlabel"}
    return {kind: folder / f"{STEM}_{name}.nii.gz" for kind, name in names.items()}


def changed(path, target, change):
    image = nib.load(path)
    data = change(np.asarray(image.dataobj).copy())
    nib.save(nib.Nifti1Image(data, image.affine, image.header), target)
    return target


def one_lower(data):
    return np.where(data > 0, data - 1, 0).astype(np.uint8)


def one_higher(data):
    return np.where(data > 0, data + 1, 0).astype(np.uint8)


def options(labels, folder, *more):
    given = ("-s", labels["cord"], "-rootlets", labels["rootlets"], "-ldisc", labels["discs"])
    return [*map(str, (*given, "-ofolder", folder, "-figure", "0", *more))]


def run(labels, folder, *more):
    return compute_spinal_levels.main(options(labels, folder, *more))


def flags_of(folder):
    (path,) = folder.glob("*_label-spinalLevels_dseg.json")
    return json.loads(path.read_text())["Flags"]


@pytest.mark.parametrize("method", ["segment", "extent", "midgap"])
def test_right_labels_raise_no_deviation(labels, tmp_path, capsys, method):
    """Judged by method extent whatever the method of the result is, so that all methods say the same."""
    assert run(labels, tmp_path, "-method", method, "-strict") == 0
    assert "deviation" not in capsys.readouterr().out
    flag = flags_of(tmp_path)["deviation"]
    assert flag["State"] == "ok"
    assert "published spread is not known" in flag["Meaning"]


@pytest.mark.parametrize(("kind", "change"), [("discs", one_higher), ("discs", one_lower), ("rootlets", one_higher)])
def test_labels_numbered_one_off_speak_everywhere(labels, tmp_path, capsys, kind, change):
    labels[kind] = changed(labels[kind], tmp_path / f"{kind}.nii.gz", change)
    assert run(labels, tmp_path / "out", "-strict") == 3
    said = capsys.readouterr().out
    assert "note: deviation (mm) implausible" in said
    assert "off by a level" in said
    flag = flags_of(tmp_path / "out")["deviation"]
    assert flag["State"] == "bad"
    assert abs(flag["Value"]) > 10
    (table,) = (tmp_path / "out").glob("*_levels.csv")
    with table.open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["kind"] == "spinal"]
    assert sum("deviation" in row["flags"] for row in rows) >= 5


def test_without_strict_the_status_is_0(labels, tmp_path):
    labels["discs"] = changed(labels["discs"], tmp_path / "discs.nii.gz", one_higher)
    assert run(labels, tmp_path / "out") == 0


def test_discs_crowded_on_neighbouring_slices_speak(labels, tmp_path, capsys):
    """Disc labels 2 mm apart by the vertical, behind an inclined and curved cord: 1.78 to 1.85 mm along it."""

    def crowd(data):
        new = np.zeros_like(data)
        first = np.argwhere(data == 3)[0]
        for number, value in enumerate(range(3, 9)):
            new[first[0], first[1] - 2 * number, first[2]] = value
        return new

    labels["discs"] = changed(labels["discs"], tmp_path / "discs.nii.gz", crowd)
    assert run(labels, tmp_path / "out", "-strict") == 3
    assert re.search(r"vertebral C3 1\.8", capsys.readouterr().out)
    assert flags_of(tmp_path / "out")["level_length"]["State"] == "bad"


def test_a_canal_in_place_of_the_cord_speaks(labels, tmp_path, capsys):
    from scipy import ndimage

    def canal(data):
        return ndimage.binary_dilation(data > 0, iterations=3).astype(np.uint8)

    labels["cord"] = changed(labels["cord"], tmp_path / "canal.nii.gz", canal)
    assert run(labels, tmp_path / "out", "-strict") == 3
    assert "spinal canal" in capsys.readouterr().out


def test_deepseg_judges_too(phantom_folder, labels, tmp_path, capsys):
    pytest.importorskip("torch", reason="torch is not installed")
    image = phantom_folder / "sub-phantom01" / "anat" / f"{STEM}.nii.gz"
    target = tmp_path / "rootlets.nii.gz"
    command = ["rootlets", "-i", str(image), "-o", str(target), "-strict"]
    assert deepseg.main(command) in (0, 3)
    flags = json.loads((tmp_path / "rootlets.json").read_text())["Flags"]
    assert {"order", "confidence", "contrast", "deviation"} <= set(flags)
    raised = [flag for flag in flags.values() if flag["State"] in ("look", "bad")]
    said = capsys.readouterr().out
    assert all(flag["Text"] in said for flag in raised)


def test_as_a_process(labels, tmp_path):
    labels["discs"] = changed(labels["discs"], tmp_path / "discs.nii.gz", one_higher)
    command = [
        sys.executable,
        "-m",
        "sct_rootlets.cli.compute_spinal_levels",
        *options(labels, tmp_path / "out", "-strict"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr == ""


def test_bids_counts_implausible_scans(phantom_folder, labels, tmp_path, capsys):
    """Rootlets and discs are given, so that no network runs; the discs of one scan are one off."""
    root = tmp_path / "bids"
    for number, change in (("01", None), ("02", one_higher)):
        anat = root / f"sub-{number}" / "anat"
        own = root / "derivatives" / "labels" / f"sub-{number}" / "anat"
        anat.mkdir(parents=True)
        own.mkdir(parents=True)
        image = phantom_folder / "sub-phantom01" / "anat" / f"{STEM}.nii.gz"
        (anat / f"sub-{number}_T2w.nii.gz").write_bytes(image.read_bytes())
        for path in labels.values():
            target = own / path.name.replace("sub-phantom01", f"sub-{number}")
            if change is not None and "discs" in path.name:
                changed(path, target, change)
            else:
                target.write_bytes(path.read_bytes())
    command = [str(root), str(tmp_path / "out"), "participant", "-jobs", "1"]
    assert bids.main([*command, "-strict"]) == 3
    said = capsys.readouterr().out
    assert "sub-02_T2w is implausible: deviation" in said
    assert "sub-01_T2w is implausible" not in said
    assert bids.main(command) == 0
