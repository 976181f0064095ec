import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from sct_rootlets.cli import train
from sct_rootlets.distribution import requirement
from sct_rootlets.image import superior_axis
from sct_rootlets.nifti import load_volume, save_volume
from sct_rootlets.nnunet import steps
from sct_rootlets.nnunet import train as module


@pytest.fixture
def bids(phantom_folder, tmp_path):
    """A copy of the phantoms of testing_data/."""
    return shutil.copytree(phantom_folder, tmp_path / "bids")


def run(capsys, *arguments):
    status = train.main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_check_writes_pictures_tables_and_the_split(bids, tmp_path, capsys):
    status, out, err = run(capsys, "-i", bids, "-ofolder", tmp_path / "out", "-check", "-test-share", 0, "-n-folds", 2)
    assert (status, err) == (0, "")
    assert "2 scans can be trained on" in out
    assert "fold 1: trained on 1 subjects (1 scans), validated on 1 subjects (1 scans)" in out
    names = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert names == {
        "checks.tsv", "splits.tsv", "splits_final.json",
        *(f"checks/sub-phantom0{number}_T2w.{kind}" for number in (1, 2) for kind in ("png", "svg")),
    }  # fmt: skip


def test_check_refuses_bad_labels_but_shows_them(bids, tmp_path, capsys):
    label = bids / "derivatives/labels/sub-phantom01/anat/sub-phantom01_T2w_label-rootlets_dseg.nii.gz"
    shutil.copy(bids / "derivatives/labels/sub-phantom01/anat/sub-phantom01_T2w_label-PMJ_dlabel.nii.gz", label)
    status, out, err = run(capsys, "-i", bids, "-ofolder", tmp_path / "out", "-check")
    assert status == 1
    assert "error: sub-phantom01_T2w: " in out
    assert err.startswith("sct_rootlets train: error: sub-phantom01_T2w: ")
    assert "holds 50; rootlets have the values 2 (C2) to 30; mend the labels, or leave scans out" in err
    assert len(err.splitlines()) == 1
    assert (tmp_path / "out/checks/sub-phantom01_T2w.png").exists()
    assert (tmp_path / "out/checks.tsv").read_text().splitlines()[1].startswith("sub-phantom01_T2w\terror\t")
    assert not (tmp_path / "out/splits.tsv").exists()


def test_too_few_subjects_are_one_line(bids, tmp_path, capsys):
    status, _, err = run(capsys, "-i", bids, "-ofolder", tmp_path / "out", "-check")
    assert status == 1
    assert "there are 2 subjects; 5 folds with a test set of 1 need 6 at least" in err


def test_training_without_nnunet_is_one_line(bids, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(steps, "find_spec", lambda name: None)
    status, _, err = run(capsys, "-i", bids, "-ofolder", tmp_path / "out", "-device", "cpu")
    assert status == 1
    assert err == (
        f"sct_rootlets train: error: training needs nnU-Net: python -m pip install {requirement('nnunet')}, but never "
        "into the environment of SCT\n"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "give the BIDS folder: -i"), (["-i", "x", "-n-folds", "0"], "-n-folds and -epochs are at least 1"),
     (["-i", "x", "-test-share", "1"], "-test-share is from 0 to below 1"),
     (["-i", "x", "-start", "a", "-like", "b"], "leave out -like"), (["-i", "x", "-model", "a"], "go with -bootstrap"),
     (["-i", "x", "-strict"], "-strict goes with -bootstrap"),
     (["-i", "x", "-check", "-export", "a.zip"], "not allowed with"), (["-i", "x", "-threads", "0"], "at least 1"),
     (["-i", "x", "-patience", "0"], "at least 1"),
     (["-i", "x", "-folds", "some"], "'some' is neither the number of a fold nor 'all'"),
     (["-i", "x", "-folds", "all", "-patience", "9"], "-patience needs scans to validate on"),
     (["-folds", "0", "all", "-export", "a.zip"], "pack it alone")],
)  # fmt: skip
def test_bad_usage(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        train.main(["-ofolder", str(tmp_path / "out"), *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_nothing_to_export_is_one_line(tmp_path, capsys):
    status, _, err = run(capsys, "-ofolder", tmp_path / "out", "-export", tmp_path / "a.zip")
    assert status == 1
    assert "is trained to the end" in err


def test_bootstrap_predicts_by_the_model_that_is_named(bids, tmp_path, capsys):
    pytest.importorskip("torch", reason="torch is not installed")
    for path in (bids / "derivatives/labels").rglob("*rootlets*"):
        path.unlink()
    shutil.rmtree(bids / "sub-phantom02")
    shutil.rmtree(bids / "derivatives/labels/sub-phantom02")
    status, out, err = run(capsys, "-i", bids, "-ofolder", tmp_path / "out", "-bootstrap", "-no-invert", "-threads", 1)
    assert (status, err) == (0, "")
    label = tmp_path / "out/derivatives/labels/sub-phantom01/anat/sub-phantom01_T2w_label-rootlets_dseg.nii.gz"
    assert label.exists()
    assert 'set "Reviewed" to true' in out


def test_bootstrap_judges_the_labels_that_it_writes(bids, tmp_path, capsys):
    """In 45 mm of cord, names are not known well: the label is written, and -strict makes it exit status 3."""
    pytest.importorskip("torch", reason="torch is not installed")
    for path in (bids / "derivatives/labels").rglob("*rootlets*"):
        path.unlink()
    shutil.rmtree(bids / "sub-phantom02")
    image = bids / "sub-phantom01/anat/sub-phantom01_T2w.nii.gz"
    volume = load_volume(image)
    axis, _ = superior_axis(volume.affine)
    middle, half = volume.data.shape[axis] // 2, round(22.5 / volume.spacing[axis])
    window = [slice(None)] * 3
    window[axis] = slice(middle - half, middle + half)
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, axis] * (middle - half)
    save_volume(image, volume.data[tuple(window)], affine)
    arguments = ("-i", bids, "-ofolder", tmp_path / "out", "-bootstrap", "-no-invert", "-threads", 1, "-strict")
    status, out, err = run(capsys, *arguments)
    assert (status, err) == (3, "")
    assert "note: sub-phantom01_T2w: cord (mm) implausible: 4" in out
    (label,) = (tmp_path / "out").rglob("*_label-rootlets_dseg.nii.gz")
    flags = json.loads(label.with_name(label.name[:-7] + ".json").read_text())["Flags"]
    assert flags["length"]["State"] == "bad"
    status, out, _ = run(capsys, *arguments)
    assert status == 3  # not predicted again, but no better
    assert "there already, left as it is" in out


def test_bootstrap_fails_where_a_scan_cannot_be_predicted(bids, tmp_path, capsys):
    pytest.importorskip("torch", reason="torch is not installed")
    for path in (bids / "derivatives/labels").rglob("*rootlets*"):
        path.unlink()
    (bids / "sub-phantom02/anat/sub-phantom02_T2w.nii.gz").write_bytes(b"")
    status, out, err = run(capsys, "-i", bids, "-ofolder", tmp_path / "out", "-bootstrap", "-no-invert", "-threads", 1)
    assert status == 1
    assert "1 of 2 scans could not be predicted" in err
    assert "sub-phantom02_T2w: " in err
    assert "sub-phantom02" not in out
    assert len(list((tmp_path / "out").rglob("*_label-rootlets_dseg.nii.gz"))) == 1


def test_an_interrupt_says_that_it_can_go_on(bids, tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "train", interrupted)
    status, _, err = run(capsys, "-i", bids, "-ofolder", tmp_path / "out")
    assert (status, err) == (130, "sct_rootlets train: interrupted; run the same command again to continue\n")


CHECK = ("-check", "-test-share", 0, "-n-folds", 2)


def several_raters(bids, subject="sub-phantom01", names=("rater1", "rater2")):
    """Put maps of raters in place of a subject's only map; each lacks another voxel."""
    folder = bids / "derivatives/labels" / subject / "anat"
    path = folder / f"{subject}_T2w_label-rootlets_dseg.nii.gz"
    rootlets = load_volume(path)
    for number, name in enumerate(names):
        data = rootlets.data.copy()
        data[tuple(np.argwhere(data)[number])] = 0
        save_volume(folder / f"{subject}_T2w_label-rootlets_desc-{name}_dseg.nii.gz", data, rootlets.affine)
    path.unlink()
    return [f"{subject}_T2w_label-rootlets_desc-{name}_dseg.nii.gz" for name in names]


def test_maps_of_raters_without_a_consensus_are_an_error_that_lists_them(bids, tmp_path, capsys):
    names = several_raters(bids)
    status, _, err = run(capsys, "-i", bids, "-ofolder", tmp_path / "out", *CHECK)
    assert status == 1
    assert len(err.splitlines()) == 1
    assert ", ".join(names) in err
    assert "or choose a rater with -desc" in err
    assert not (tmp_path / "out/splits.tsv").exists()
    status, out, err = run(capsys, "-i", bids, "-ofolder", tmp_path / "out", *CHECK, "-desc", "rater2")
    assert (status, err) == (0, "")
    assert "2 scans can be trained on" in out


def test_where_all_scans_are_undecided_the_error_says_so(bids, tmp_path, capsys):
    for subject in ("sub-phantom01", "sub-phantom02"):
        several_raters(bids, subject)
    status, _, err = run(capsys, "-i", bids, "-ofolder", tmp_path / "out", *CHECK)
    assert status == 1
    assert "desc-rater1" in err
    assert err.endswith(" (and 1 more)\n")


def test_the_consensus_is_trained_on(bids, tmp_path, capsys):
    names = several_raters(bids, names=("rater1", "rater2", "staple"))
    labels = bids / "derivatives/labels/sub-phantom01/anat"
    assert names[0] < names[-1]  # by alphabet, another would be used
    status, out, _ = run(capsys, "-i", bids, "-ofolder", tmp_path / "out", *CHECK)
    assert status == 0
    assert f"{labels / names[-1]} is used: it is the consensus; left out beside it: {names[0]}, {names[1]}" in out


def test_a_dorsal_map_among_others_is_named_by_the_command(bids, tmp_path):
    from sct_rootlets.centerline import fit_centerline

    labels = bids / "derivatives/labels/sub-phantom02/anat"
    path = labels / "sub-phantom02_T2w_label-rootlets_dseg.nii.gz"
    rootlets, cord = load_volume(path), load_volume(labels / "sub-phantom02_T2w_label-SC_seg.nii.gz")
    line = fit_centerline(cord.data > 0, cord.affine)
    index = np.argwhere(rootlets.data)
    points = index @ rootlets.affine[:3, :3].T + rootlets.affine[:3, 3]
    projection = line.project(points)
    anterior = line.frame(projection.arc)[2]
    data = rootlets.data.copy()
    data[tuple(index[np.einsum("ij,ij->i", points - projection.foot, anterior) > 1.6].T)] = 0
    save_volume(path, data, rootlets.affine)
    arguments = ["-i", bids, "-ofolder", tmp_path / "out", *CHECK]
    command = [sys.executable, "-m", "sct_rootlets.cli.main", "train", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    said = [line for line in done.stdout.splitlines() if line.startswith("warning: ")]
    assert said == [
        "warning: sub-phantom02_T2w: its rootlet map holds dorsal rootlets only, but 1 of 2 maps hold dorsal and "
        "ventral rootlets; complete the map, or leave it out"
    ]
