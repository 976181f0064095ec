import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.cli.deepseg import console, get_task_parser, main, piece_size
from sct_rootlets.segmentation.tasks import TASKS, root_value


@pytest.fixture(scope="module")
def torch():
    pytest.importorskip("dynamic_network_architectures", reason="dynamic_network_architectures is not installed")
    return pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture
def image(torch, phantom_folder, tmp_path):
    """A copy of the phantom's scan in a folder of its own."""
    source = phantom_folder / "sub-phantom01" / "anat" / "sub-phantom01_T2w.nii.gz"
    return shutil.copy(source, tmp_path / "t2.nii.gz")


def values_of(path):
    return np.asarray(nib.load(path).dataobj)


@pytest.mark.parametrize("argv", [["-h"], ["rootlets", "-h"], ["-task", "rootlets", "-h"], ["-task=rootlets", "-h"]])
def test_help_without_torch(argv):
    code = f"import sys; sys.modules['torch'] = None; from sct_rootlets.cli.deepseg import main; main({argv})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "rootlets" in done.stdout


def test_task_details_and_the_list_name_every_task(capsys):
    assert main(["-task-details"]) == 0
    out = capsys.readouterr().out
    assert all(name in out and task.details in out for name, task in TASKS.items())


def test_installed_without_sct_the_command_is_ours(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["sct_deepseg", "-task-details"])
    assert console() == 0
    assert "rootlets_roots" in capsys.readouterr().out


def test_every_task_has_its_parser():
    for name in TASKS:
        assert get_task_parser(name).parse_args(["-i", "a.nii.gz", "-largest", "1"]).largest == 1


@pytest.mark.parametrize(
    "argv",
    [[], ["rootlets"], ["rootlet", "-i", "a.nii.gz"], ["rootlets", "-i", "a.nii.gz", "b.nii.gz", "-o", "c.nii.gz"],
     ["rootlets", "-i", "a.nii.gz", "b.nii.gz", "-ldisc", "d.nii.gz"],
     ["rootlets", "-i", "a.nii.gz", "-device", "tpu"], ["rootlets", "-i", "a.nii.gz", "-remove-small", "1litre"]],
)  # fmt: skip
def test_bad_usage_exits_2(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert stopped.value.code == 2
    assert "error" in capsys.readouterr().err


def test_sizes_have_units():
    assert piece_size("1.5mm3") == (1.5, "mm3")
    assert piece_size("5vox") == piece_size("5") == (5.0, "vox")


def test_rootlets_and_cord_beside_the_image(image, capsys, tmp_path):
    before = sorted(path.name for path in tmp_path.iterdir())
    assert main(["rootlets_cord", "-i", str(image), "-qc", str(tmp_path / "qc"), "-qc-subject", "sub-9"]) == 0
    written = sorted(path.name for path in tmp_path.iterdir() if path.name not in before)
    endings = [f"t2{name}{end}" for name in ("_rootlets", "_seg") for end in (".json", ".nii.gz", ".tsv")]
    assert written == ["qc", *sorted(endings)]
    assert set(np.unique(values_of(tmp_path / "t2_rootlets.nii.gz"))) <= {0, *range(2, 10)}
    assert set(np.unique(values_of(tmp_path / "t2_seg.nii.gz"))) == {0, 1}
    [entry] = [json.loads(path.read_text()) for path in (tmp_path / "qc" / "rootlets" / "entries").glob("*.json")]
    assert (entry["file"], entry["folder"], entry["subject"]) == ("t2.nii.gz", str(tmp_path), "sub-9")
    sidecar = json.loads((tmp_path / "t2_rootlets.json").read_text())
    assert sidecar["Model"]["Version"]
    assert not sidecar["NamesFromDiscs"]
    names = [level["Name"] for level in sidecar["Levels"]]
    assert all(0 <= level["Confidence"] <= 1 for level in sidecar["Levels"])
    spinal = [level for level in entry["levels"] if level["kind"] == "spinal"]
    assert [level["name"] for level in spinal] == names
    assert [level["confidence"] for level in spinal] == [one["Confidence"] for one in sidecar["Levels"]]
    assert {level["kind"] for level in entry["levels"]} == {"spinal", "vertebral"}  # from one image
    out = capsys.readouterr().out
    assert all(name in out for name in names)
    assert str(tmp_path / "qc" / "index.html") in out
    viewing = out.partition("to view:\n  ")[2].splitlines()[0]
    assert viewing == entry["viewer_command"]
    shown = [word for word in shlex.split(viewing) if word.endswith(".nii.gz")]
    assert shown == [str(image), str(tmp_path / "t2_seg.nii.gz"), str(tmp_path / "t2_rootlets.nii.gz")]
    table = (tmp_path / "t2_rootlets.tsv").read_text().splitlines()
    assert table[0] == "index\tname\tcolor"
    assert [row.split("\t")[1] for row in table[1:]] == names


def test_the_old_spelling_and_a_name_of_its_own(image, tmp_path):
    target = tmp_path / "new" / "t2_label-rootlets_dseg.nii.gz"
    assert main(["-task", "rootlets", "-i", str(image), "-o", str(target), "-v", "0"]) == 0
    assert main(["rootlets", "-i", str(image), "-v", "0"]) == 0
    assert target.read_bytes() == (tmp_path / "t2_rootlets.nii.gz").read_bytes()


def test_a_user_sees_no_warnings(image, tmp_path):
    """On voxels that have to be resampled, in a process of its own: nothing but results is printed."""
    scan = nib.load(image)
    finer = nib.Nifti1Image(np.asarray(scan.dataobj), scan.affine @ np.diag([0.95, 0.95, 0.95, 1]))
    nib.save(finer, tmp_path / "finer.nii.gz")
    command = [sys.executable, "-m", "sct_rootlets.cli.deepseg", "rootlets_cord", "-i", str(tmp_path / "finer.nii.gz")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_roots_are_the_levels_by_side(image, tmp_path):
    assert main(["rootlets_roots", "-i", str(image), "-v", "0"]) == 0
    roots = values_of(tmp_path / "t2_rootlets_roots.nii.gz")
    assert {int(v) // 10 for v in np.unique(roots) if v} <= set(range(2, 10))
    assert {int(v) % 10 for v in np.unique(roots) if v} == {1, 2, 3, 4}
    rows = (tmp_path / "t2_rootlets_roots.tsv").read_text()
    assert f"{root_value(5, 'right_dorsal')}\tC5 right dorsal\t" in rows


def test_spinal_levels_have_no_gaps(image, tmp_path):
    assert main(["spinal_levels", "-i", str(image), "-v", "0"]) == 0
    values = [int(v) for v in np.unique(values_of(tmp_path / "t2_spinal_levels.nii.gz")) if v]
    assert values == list(range(values[0], values[-1] + 1))


def test_one_bad_image_does_not_stop_the_others(image, tmp_path, capsys):
    nib.save(nib.Nifti1Image(np.zeros((30, 30, 30), np.int16), np.eye(4)), tmp_path / "empty.nii.gz")
    (tmp_path / "cut.nii.gz").write_bytes(Path(image).read_bytes()[:-20])  # its header can be read
    argv = ["rootlets", "-i", str(tmp_path / "cut.nii.gz"), str(tmp_path / "empty.nii.gz"), str(image)]
    assert main(argv) == 1
    streams = capsys.readouterr()
    assert "2 of 3 images could not be segmented" in streams.err
    assert "shows nothing" in streams.err
    assert "Traceback" not in streams.err
    assert (tmp_path / "t2_rootlets.nii.gz").exists()
    assert not (tmp_path / "empty_rootlets.nii.gz").exists()


def test_an_output_that_is_the_input_is_refused(image, tmp_path, capsys):
    content = (tmp_path / "t2.nii.gz").read_bytes()
    assert main(["rootlets", "-i", str(image), "-o", str(image)]) == 1
    assert "is an input" in capsys.readouterr().err
    assert (tmp_path / "t2.nii.gz").read_bytes() == content


def test_thick_slices_are_warned_of(image, tmp_path, capsys):
    scan = nib.load(image)  # P S R
    thick = nib.Nifti1Image(np.asarray(scan.dataobj)[:, ::5], scan.affine @ np.diag([1, 5, 1, 1]))
    nib.save(thick, tmp_path / "thick.nii.gz")
    status = main(["rootlets_cord", "-i", str(tmp_path / "thick.nii.gz")])
    streams = capsys.readouterr()
    assert status == 1 or "levels are unreliable" in streams.out


def test_a_model_folder_of_another_task_is_refused(image, tmp_path, capsys, torch):
    from sct_rootlets.bundled.export import write_model_folder
    from sct_rootlets.models.architecture import build_network, plain_unet

    architecture = plain_unet((4, 8))
    network = build_network(architecture, 1, 3)
    write_model_folder(tmp_path / "model", network, architecture, {"sc": 1, "gm": 2}, (1, 1, 1), (16, 16, 16))
    assert main(["rootlets", "-i", str(image), "-model", str(tmp_path / "model")]) == 1
    assert "segments sc, gm; a model of rootlets has the classes lvl1" in capsys.readouterr().err


def test_pieces_are_removed_by_size():
    from sct_rootlets.segmentation.components import filter_components

    labels = np.zeros((10, 10, 10), dtype=np.uint8)
    labels[0, 0, :2], labels[5, 5, :6], labels[8, 8, :3] = 2, 2, 3
    spacing = np.array([0.5, 1.0, 1.0])
    assert np.unique(filter_components(labels, spacing, True, None), return_counts=True)[1].tolist() == [991, 6, 3]
    assert (filter_components(labels, spacing, False, (3, "vox")) == 2).sum() == 6
    assert (filter_components(labels, spacing, False, (2, "mm3")) == 3).sum() == 0
    np.testing.assert_array_equal(filter_components(labels, spacing, False, None), labels)


def test_regions_in_place_of_disc_labels(image, tmp_path, capsys):
    """Slabs of two values, each 20 mm long and more."""
    scan = nib.load(image)
    labels = np.full(scan.shape, 3, dtype=np.uint8)
    labels[:, :, : scan.shape[2] // 2] = 4
    nib.save(nib.Nifti1Image(labels, scan.affine), tmp_path / "regions.nii.gz")
    argv = ["rootlets", "-i", str(image), "-ldisc", str(tmp_path / "regions.nii.gz"), "-o", str(tmp_path / "o.nii.gz")]
    assert main(argv) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "regions.nii.gz holds regions, not points" in error
    assert not (tmp_path / "o.nii.gz").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [(["-thr", "0.5"], "-thr of SCT does not go with rootlets: the outputs are labels, not probabilities"),
     (["-fill-holes", "1"], "-fill-holes of SCT does not go with rootlets"),
     (["-ofolder", "x"], "-ofolder of SCT does not go with rootlets: name the output with -o <folder>/<name>.nii.gz")],
)  # fmt: skip
def test_options_of_sct_that_make_no_sense_exit_2(options, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["rootlets", "-i", "t2.nii.gz", *options])
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_the_names_and_options_that_lab_scripts_hold(image, tmp_path, capsys):
    """One run with all of them writes what the task of today writes, and says what has become of each."""
    output = tmp_path / "out.nii"
    old = ["-task", "seg_spinal_rootlets_t2w", "-i", str(image), "-c", "t2", "-qc-plane", "Axial", "-o", str(output)]
    assert main(old) == 0
    streams = capsys.readouterr()
    assert "note: the task seg_spinal_rootlets_t2w is called rootlets since SCT 7.0" in streams.err
    assert "note: -c of SCT is ignored: the networks take any contrast" in streams.out
    assert "note: -qc-plane of SCT is ignored" in streams.out
    assert "note: label maps are written compressed: out.nii.gz and not out.nii" in streams.out
    assert main(["rootlets", "-i", str(image), "-v", "0"]) == 0
    assert (tmp_path / "out.nii.gz").read_bytes() == (tmp_path / "t2_rootlets.nii.gz").read_bytes()


@pytest.mark.parametrize("spelling", [["rootlets_t2"], ["-task", "rootlets_t2"], ["-task=seg_spinal_rootlets_t2w"]])
def test_old_names_of_the_task(spelling, capsys, tmp_path):
    assert main([*spelling, "-i", str(tmp_path / "missing.nii.gz")]) == 1
    error = capsys.readouterr().err
    assert "is called rootlets since SCT 7.0" in error
    assert "sct_deepseg rootlets: error:" in error


@pytest.mark.parametrize("task", ["rootlets", "seg_spinal_rootlets_t2w", "spinal_levels"])
def test_install_task_of_before_7_has_nothing_to_do(task):
    command = [sys.executable, "-m", "sct_rootlets.cli.deepseg", "-install-task", task]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the bundled model comes with the package: nothing to install" in done.stdout
