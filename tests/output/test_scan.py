"""Results of one scan are not replaced by those of another scan with the same file name."""

import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets import compute_spinal_levels, save_levels
from sct_rootlets.cli import compute_spinal_levels as levels_command
from sct_rootlets.cli import measure, roots
from sct_rootlets.errors import ImageError
from sct_rootlets.image import Volume
from sct_rootlets.output.files import write_json
from sct_rootlets.output.scan import Scan


def volume(value=1.0, shape=(4, 5, 6), origin=0.0, path=None):
    affine = np.eye(4)
    affine[0, 3] = origin
    return Volume(np.full(shape, value, dtype=np.float32), affine, "t2", path=path)


@pytest.mark.parametrize(
    ("one", "other", "is_image", "same"),
    [
        ({}, {}, True, True),
        ({}, {"value": 2.0}, True, False),
        ({}, {"value": 2.0}, False, True),  # a corrected mask
        ({}, {"origin": 1.0}, False, False),
        ({}, {"shape": (4, 5, 7)}, False, False),
        ({}, {"origin": 0.001}, False, True),  # another rounding of the header
        ({}, {"origin": 30.0}, True, True),  # the same voxels, moved in the world
    ],
)
def test_a_scan_is_known_by_its_voxels_and_labels_by_their_grid(tmp_path, one, other, is_image, same):
    recorded = Scan.of_volume(volume(**one), tmp_path, is_image).record
    assert Scan.of_volume(volume(**other), tmp_path, is_image).is_that_of(recorded) == same


def test_a_file_that_was_changed_in_place_is_the_same_scan(tmp_path):
    recorded = Scan.of_volume(volume(path=tmp_path / "t2.nii.gz"), tmp_path / "out").record
    again = Scan.of_volume(volume(3.0, path=tmp_path / "t2.nii.gz"), tmp_path / "out")
    assert again.is_that_of(recorded)
    assert str(tmp_path) not in json.dumps(recorded)
    moved = Scan.of_volume(volume(3.0, path=tmp_path / "moved" / "t2.nii.gz"), tmp_path / "moved" / "out")
    assert moved.is_that_of(recorded)  # with its results
    other = Scan.of_volume(volume(3.0, path=tmp_path / "b" / "t2.nii.gz"), tmp_path / "out")
    assert not other.is_that_of(recorded)


@pytest.mark.parametrize("difference", [{"shape": (4, 5, 7)}, {"origin": 12.0}])
def test_a_file_of_the_same_path_on_another_grid_is_another_scan(tmp_path, difference):
    path = tmp_path / "tmp" / "t2.nii.gz"  # to which a loop copies one subject after the other
    recorded = Scan.of_volume(volume(path=path), tmp_path / "out").record
    assert not Scan.of_volume(volume(3.0, path=path, **difference), tmp_path / "out").is_that_of(recorded)


@pytest.fixture
def two_subjects(phantom_files, tmp_path):
    """The labels of a phantom, and the same 3 mm further left, in two folders under the same names."""
    for folder, shift in (("a", 0.0), ("b", 3.0)):
        (tmp_path / folder).mkdir()
        for kind, name in (("cord", "t2_seg"), ("rootlets", "t2_rootlets"), ("discs", "t2_discs")):
            image = nib.load(phantom_files[kind])
            affine = image.affine.copy()
            affine[0, 3] -= shift
            nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine), tmp_path / folder / f"{name}.nii.gz")
    return tmp_path


def arguments(folder, output, *more):
    files = {"-s": "t2_seg", "-rootlets": "t2_rootlets", "-ldisc": "t2_discs"}
    given = [part for option, name in files.items() for part in (option, str(folder / f"{name}.nii.gz"))]
    return [*given, "-ofolder", str(output), "-figure", "0", "-v", "0", *more]


def test_levels_of_another_scan_are_kept(two_subjects, capsys):
    a, b, out = two_subjects / "a", two_subjects / "b", two_subjects / "levels"
    assert levels_command.main(arguments(a, out)) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert levels_command.main(arguments(b, out)) == 1
    error = capsys.readouterr().err
    assert "is a result of another scan with the same file name, and would be replaced" in error
    assert "replace it (-overwrite 1) or write to another folder (-ofolder)" in error
    assert error.count("\n") == 1
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert levels_command.main(arguments(a, out)) == 0  # the same scan again
    shutil.copytree(a, two_subjects / "copy")
    assert levels_command.main(arguments(two_subjects / "copy", out)) == 0
    assert levels_command.main(arguments(b, out, "-overwrite", "1")) == 0
    assert {path.name for path in out.iterdir()} == set(before)


def test_measures_of_another_scan_are_kept(two_subjects, capsys):
    def measured(folder, *more):
        levels = two_subjects / folder / "levels"
        assert levels_command.main(arguments(two_subjects / folder, levels, "-overwrite", "1")) == 0
        return measure.main(["-levels", str(levels), "-ofolder", str(two_subjects / "metrics"), "-v", "0", *more])

    assert measured("a") == 0
    before = {path.name: path.read_bytes() for path in (two_subjects / "metrics").iterdir()}
    assert measured("b") == 1
    error = capsys.readouterr().err
    assert "is a result of another scan with the same file name, and would be replaced" in error
    assert error.count("\n") == 1
    assert {path.name: path.read_bytes() for path in (two_subjects / "metrics").iterdir()} == before
    assert measured("a") == 0  # the same scan, its levels computed again
    assert measured("b", "-overwrite", "1") == 0


def test_results_are_of_the_scan_that_their_levels_are_of(tmp_path):
    path, folder = tmp_path / "t2_label-spinalLevels_dseg.nii.gz", tmp_path / "metrics"
    other = tmp_path / "b" / path.name
    other.parent.mkdir()
    for file, digest in ((path, "1"), (other, "2")):
        write_json(file.with_name("t2_label-spinalLevels_dseg.json"), {"Scan": {"Grid": "same", "Voxels": digest}})
    recorded = Scan.of_results(path, folder).record
    assert (recorded["Grid"], recorded["Voxels"]) == ("same", "1")
    assert Scan.of_results(path, folder).is_that_of(recorded)
    assert not Scan.of_results(other, folder).is_that_of(recorded)


def test_a_corrected_mask_of_the_same_scan_is_no_other_scan(two_subjects):
    a, out = two_subjects / "a", two_subjects / "levels"
    assert levels_command.main(arguments(a, out)) == 0
    corrected = two_subjects / "corrected"
    shutil.copytree(a, corrected)
    image = nib.load(a / "t2_seg.nii.gz")
    mask = np.asarray(image.dataobj).copy()
    mask[tuple(np.argwhere(mask)[0])] = 0
    nib.save(nib.Nifti1Image(mask, image.affine), corrected / "t2_seg.nii.gz")
    assert levels_command.main(arguments(corrected, out)) == 0


def test_roots_of_another_scan_are_kept(two_subjects, capsys):
    def command(folder):
        files = [str(two_subjects / folder / name) for name in ("t2_rootlets.nii.gz", "t2_seg.nii.gz")]
        return roots.main(["-rootlets", files[0], "-s", files[1], "-ofolder", str(two_subjects / "roots"), "-v", "0"])

    assert command("a") == 0
    assert command("a") == 0
    assert command("b") == 1
    assert "is a result of another scan" in capsys.readouterr().err


def test_arrays_of_another_subject_are_kept(phantom, tmp_path):
    def subject(shift):
        affine = phantom.cord.affine.copy()
        affine[0, 3] += shift
        return compute_spinal_levels((phantom.rootlets.data, affine), cord=(phantom.cord.data, affine))

    save_levels(subject(0), tmp_path, figure=False)
    save_levels(subject(0), tmp_path, figure=False)
    with pytest.raises(ImageError, match="is a result of another scan"):
        save_levels(subject(5), tmp_path, figure=False)
    save_levels(subject(5), tmp_path, prefix="other", figure=False)
