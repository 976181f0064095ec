"""A mistyped path, or a file that cannot be an input, is reported before torch and the networks are loaded."""

import resource
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.cli.main import main as run_action

#: Commands with one path that is wrong, as the last word; {x} are files of the phantom.
COMMANDS = {
    "deepseg": "rootlets -i {bad}",
    "deepseg several": "rootlets_cord -i {image} {bad}",
    "deepseg discs": "rootlets -i {image} -ldisc {bad}",
    "compute_spinal_levels": "-i {bad}",
    "compute_spinal_levels discs": "-i {image} -ldisc {bad}",
    "compute_spinal_levels pmj": "-s {cord} -rootlets {rootlets} -pmj {bad}",
    "register": "-i {bad}",
    "register rootlets": "-i {image} -template {template} -rootlets {bad}",
    "register apply": "-i {image} -template {template} -apply {bad}",
    "evaluate": "-i {rootlets} -ref {bad}",
    "evaluate cords": "-i {rootlets} -ref {rootlets} -s {bad}",
}
FOLDERS = {
    "register template": "-i {image} -template {bad}",
    "train": "-ofolder {folder} -i {bad}",
    "train labels": "-ofolder {folder} -i {folder} -labels {bad}",
    "train splits": "-ofolder {folder} -i {folder} -splits {bad}",
}


def run(name, words, files):
    """Run a command where torch cannot be imported; returns the process and its processor time in s."""
    argv = [word.format(**files) for word in words.split()]
    code = (
        "import sys; sys.modules['torch'] = None;"
        f"from sct_rootlets.cli.{name.split()[0]} import main; sys.exit(main({argv!r}))"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.fixture
def files(phantom_files, template_folder, tmp_path):
    return {**phantom_files, "template": template_folder, "folder": tmp_path, "bad": tmp_path / "mistyped.nii.gz"}


@pytest.mark.parametrize("name", [*COMMANDS, *FOLDERS])
def test_a_mistyped_path_is_one_line_within_a_second(files, name):
    done, seconds = run(name, {**COMMANDS, **FOLDERS}[name], files)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1
    assert f"{files['bad']} does not exist" in done.stderr or f"{files['bad']} is no folder" in done.stderr
    assert seconds < 1
    assert list(files["folder"].iterdir()) == []


@pytest.mark.parametrize("name", [name for name in COMMANDS if "evaluate" not in name])
def test_a_file_that_is_no_image_is_one_line_before_the_networks(files, name):
    files["bad"].write_bytes(b"not an image")
    done, _ = run(name, COMMANDS[name], files)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1
    assert str(files["bad"]) in done.stderr


@pytest.mark.parametrize("name", ["deepseg discs", "compute_spinal_levels discs", "register rootlets"])
def test_another_grid_is_one_line_before_the_networks(files, name):
    nib.save(nib.Nifti1Image(np.ones((9, 9, 9), np.uint8), np.eye(4)), files["bad"])
    done, _ = run(name, COMMANDS[name], files)
    assert done.returncode == 1, done.stderr
    assert "have different shapes; resample" in done.stderr


def test_several_mistyped_images_are_all_named(files, capsys):
    from sct_rootlets.cli.deepseg import main

    for name in ("a.nii.gz", "b.nii.gz"):
        (files["folder"] / name).write_bytes(b"")
    argv = ["rootlets", "-i", str(files["folder"] / "a.nii.gz"), str(files["image"]), str(files["folder"] / "b.nii.gz")]
    assert main(argv) == 1
    error = capsys.readouterr().err
    assert "nothing was segmented, as 2 of 3 images fail: " in error
    assert "a.nii.gz" in error
    assert "b.nii.gz" in error


def test_a_mistyped_model_is_reported_before_torch(files):
    done, seconds = run("deepseg", f"rootlets -i {files['image']} -model mistyped", files)
    assert done.returncode == 1
    assert "mistyped is neither an installed model nor a folder" in done.stderr
    assert seconds < 1


def test_an_action_in_process(files, capsys):
    assert run_action(["register", "-i", str(files["bad"])]) == 1
    assert capsys.readouterr().err == f"sct_rootlets register: error: {files['bad']} does not exist; check the path\n"
