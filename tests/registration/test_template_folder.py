"""Finding a template in a folder or in an SCT, and reading its files."""

import shutil

import numpy as np
import pytest

from sct_rootlets.errors import ImageError
from sct_rootlets.nifti import load_volume, save_volume
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


def with_levels(template_folder, folder, change):
    """A copy of the template whose map of vertebral levels is changed: `change` takes its data and its affine."""
    shutil.copytree(template_folder / "template", folder)
    levels = load_volume(folder / "phantom_levels.nii.gz")
    save_volume(folder / "phantom_levels.nii.gz", *change(levels.data, levels.affine.copy()))
    return folder


def shifted(affine, mm):
    affine[:3, 3] += mm
    return affine


@pytest.mark.parametrize(
    "change",
    [
        lambda data, affine: (data, shifted(affine, (0, 0, 40))),
        lambda data, affine: (data, shifted(affine, (2.2, 0, 0))),
        lambda data, affine: (data[:, :, : data.shape[2] // 2], affine),
        lambda data, affine: (data, affine @ np.diag([1, 1, 1.1, 1])),
    ],
)
def test_a_file_of_another_template_is_refused(template_folder, tmp_path, change):
    folder = with_levels(template_folder, tmp_path / "mixed", change)
    message = r"mixes files of different grids: \S+_levels.nii.gz \(.*\) shows x .* mm, and \S+_cord.nii.gz"
    with pytest.raises(ImageError, match=message) as caught:
        find_template(folder)
    assert "\n" not in str(caught.value)


def finer(data, affine):
    """The same world in voxels of half the size."""
    for axis in range(3):
        data = np.repeat(data, 2, axis)
    affine = affine @ np.diag([0.5, 0.5, 0.5, 1])
    affine[:3, 3] -= affine[:3, :3] @ (0.5, 0.5, 0.5)
    return data, affine


def test_other_voxels_of_the_same_world_serve(template_folder, drifted_registration, tmp_path):
    """PAM50's posterior discs lie a voxel aside; labels in finer voxels are brought to the subject as they are."""
    find_template(with_levels(template_folder, tmp_path / "aside", lambda data, affine: (data, shifted(affine, 0.5))))
    found = find_template(with_levels(template_folder, tmp_path / "finer", finer)).load("levels")
    coarse = drifted_registration.template.load("levels")
    assert found.data.shape == tuple(2 * n for n in coarse.data.shape)
    maps = [drifted_registration.resample_to_subject(volume, "nn") for volume in (found, coarse)]
    assert np.mean(maps[0] != maps[1]) < 1e-3
    assert set(np.unique(maps[0])) == set(np.unique(maps[1]))
