"""Finding a template in a folder or in an SCT, and reading its files."""

import shutil

import pytest

from sct_rootlets.errors import ImageError
from sct_rootlets.registration.template_folder import find_template, read_template_folder


def test_a_folder_is_read_with_or_without_the_inner_one(template_folder):
    outer, inner = read_template_folder(template_folder), read_template_folder(template_folder / "template")
    assert outer.files == inner.files
    assert {name: path.name for name, path in outer.files.items()} == {
        "t2": "phantom_t2.nii.gz",
        "cord": "phantom_cord.nii.gz",
        "levels": "phantom_levels.nii.gz",
        "discs_in_cord": "phantom_label_disc.nii.gz",
        "spinal_levels": "phantom_spinal_levels.nii.gz",
        "rootlets": "phantom_rootlets.nii.gz",
        "rootlets_midpoint": "phantom_rootlets_midpoint.nii.gz",
    }
    assert outer.load("t1") is None


def test_names_come_from_the_list_of_files_where_there_is_one(template_folder, tmp_path):
    shutil.copy(template_folder / "template" / "phantom_cord.nii.gz", tmp_path / "odd-name.nii.gz")
    (tmp_path / "info_label.txt").write_text("# ID, name, file\n3, spinal cord mask (binary), odd-name.nii.gz\n")
    assert read_template_folder(tmp_path).files["cord"].name == "odd-name.nii.gz"


def test_all_missing_files_are_named(template_folder, tmp_path):
    shutil.copy(template_folder / "template" / "phantom_t2.nii.gz", tmp_path / "PAM50_t2.nii.gz")
    with pytest.raises(ImageError, match=r"incomplete: PAM50_cord.nii.gz, PAM50_rootlets.nii.gz are missing; give"):
        read_template_folder(tmp_path).require("cord", "rootlets", "t2")


def test_a_folder_without_a_template_is_an_error(tmp_path):
    with pytest.raises(ImageError, match="is not a folder"):
        find_template(tmp_path / "nowhere")
    with pytest.raises(ImageError, match="no NIfTI file"):
        find_template(tmp_path)


def test_the_template_of_sct_comes_first(template_folder, tmp_path, monkeypatch):
    shutil.copytree(template_folder, tmp_path / "data" / "PAM50")
    monkeypatch.setenv("SCT_DIR", str(tmp_path))
    assert find_template().folder == tmp_path / "data" / "PAM50" / "template"
