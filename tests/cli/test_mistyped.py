"""A mistyped path, or a file that cannot be an input, is reported before torch and the networks are loaded."""

import importlib
import resource
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.cli.compute_spinal_levels import get_parser
from sct_rootlets.cli.deepseg import get_task_parser
from sct_rootlets.cli.main import ACTIONS
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
#: As above, of options that do not take an image, or not only one.
OTHERS = {
    "compute_spinal_levels vertebrae": "-i {image} -vertfile {bad}",
    "compute_spinal_levels cord": "-i {image} -s {bad}",
    "compute_spinal_levels rootlets": "-i {image} -rootlets {bad}",
    "compute_spinal_levels centerline": "-s {cord} -rootlets {rootlets} -centerline {bad}",
    "compute_spinal_levels model": "-i {image} -ofolder {folder} -model {bad}",
    "deepseg cord": "rootlets -i {image} -s {bad}",
    "deepseg model": "rootlets -i {image} -model {bad}",
    "deepseg installed": "rootlets -install -custom-url {bad}",
    "register cord": "-i {image} -template {template} -s {bad}",
    "register discs": "-i {image} -template {template} -ldisc {bad}",
    "register template": "-i {image} -template {bad}",
    "register model": "-i {image} -template {template} -ofolder {folder} -model {bad}",
    "bids": "{bad} {folder}/out participant",
    "bids to compare": "{bad} {folder}/out group",
    "bids results": "{bids} {bad} group",
    "bids labels": "{bids} {folder}/out participant -labels {bad}",
    "bids participants": "{bids} {folder}/out group -participants {bad}",
    "bids included": "{bids} {folder}/out participant -include-list sub-phantom01 {bad}.yml",
    "bids excluded": "{bids} {folder}/out participant -exclude-list {bad}.tsv",
    "bids model": "{bids} {folder}/out participant -model {bad}",
    "group": "-ofolder {folder}/out -i {folder} {bad}",
    "group registered": "-ofolder {folder}/out -registered {bad}",
    "group template": "-ofolder {folder}/out -registered {folder} -template {bad}",
    "group participants": "-ofolder {folder}/out -i {folder} -participants {bad}",
    "measure": "-ofolder {folder}/out -levels {bad}",
    "measure cord": "-ofolder {folder}/out -levels {bids} -s {bad}",
    "measure image": "-ofolder {folder}/out -levels {bids} -i {image} {bad}",
    "measure image cord": "-ofolder {folder}/out -levels {bids} -i {image} -s-image {bad}",
    "measure mask": "-ofolder {folder}/out -levels {bids} -i {image} -mask {bad}",
    "measure warp": "-ofolder {folder}/out -levels {bids} -i {image} -w {bad}",
    "measure lesions": "-ofolder {folder}/out -levels {bids} -lesion {bad}",
    "roots": "-ofolder {folder}/out -s {cord} -rootlets {bad}",
    "roots cord": "-ofolder {folder}/out -rootlets {rootlets} -s {bad}",
    "evaluate scored": "-ref {rootlets} -i {bad}",
    "evaluate second": "-i {rootlets} -ref {rootlets} -i2 {bad}",
    "evaluate raters": "-raters {rootlets} {bad}",
    "evaluate pmj": "-raters {rootlets} {rootlets} -s {cord} -pmj {bad}",
    "evaluate contrasts": "-i {rootlets} -ref {rootlets} -contrasts {bad}",
    "evaluate tables": "-over ses -tables {bad}",
    "evaluate participants": "-over ses -by site -tables {folder} -participants {bad}",
    "train": "-ofolder {folder} -i {bad}",
    "train labels": "-ofolder {folder} -i {folder} -labels {bad}",
    "train splits": "-ofolder {folder} -i {folder} -splits {bad}",
    "train start": "-ofolder {folder} -i {bids} -start {bad}",
    "train like": "-ofolder {folder} -i {bids} -like {bad}",
    "train model": "-ofolder {folder} -i {bids} -bootstrap -model {bad}",
    "models": "install mine -custom-url {bad}",
    "link": "-sct-dir {bad}",
    "unlink": "-sct-dir {bad}",
    "status": "-sct-dir {bad}",
}
ALL = {**COMMANDS, **OTHERS}
#: What `-h` calls the value of an option that names a file or folder; and other options that may.
PATHS = ("<file>", "<folder>", "<path>", "<file,...>", "<model>", "<url>", "BIDS_DIR")
MAY_BE_PATHS = ("-model", "-include-list", "-exclude-list")
OUTPUTS = ("-o", "-ofolder", "-qc")


def parsers():
    """Parsers of all commands, by name."""
    actions = {name: importlib.import_module(module).get_parser() for name, module, _ in ACTIONS}
    return {"deepseg": get_task_parser("rootlets"), "compute_spinal_levels": get_parser(), **actions}


def tried_options(command):
    """Options of a command that are followed by a path that is wrong in one of the lines above."""
    tried = set()
    for name, words in ALL.items():
        option = "positional"
        for word in words.split() if name.split()[0] == command else ():
            option = word if word.startswith("-") else option
            if "{bad}" in word:
                tried.add(option)
    return tried


@pytest.mark.parametrize("command", sorted(parsers()))
def test_every_option_that_names_a_file_is_tried(command):
    options = {
        action.option_strings[0] if action.option_strings else "positional"
        for action in parsers()[command]._actions
        if action.metavar in PATHS or set(action.option_strings) & set(MAY_BE_PATHS)
    }
    assert tried_options(command) == options - set(OUTPUTS)


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
def files(phantom_files, phantom_folder, template_folder, tmp_path):
    folders = {"template": template_folder, "bids": phantom_folder, "folder": tmp_path}
    return {**phantom_files, **folders, "bad": tmp_path / "mistyped.nii.gz"}


@pytest.mark.parametrize("name", ALL)
def test_a_mistyped_path_is_one_line_within_a_second(files, name):
    done, seconds = run(name, ALL[name], files)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1
    said = ("does not exist", "is not a folder", "is neither an installed model nor a folder")
    bad = [str(files["bad"]), *(f"{files['bad']}{ending}" for ending in (".yml", ".tsv"))]
    assert any(f"{path} {text}" in done.stderr for path in bad for text in said)
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
