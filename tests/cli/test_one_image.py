"""From one image: spinal and vertebral levels, discs, and what is said of their numbers."""

import csv
import json
import shutil

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("dynamic_network_architectures", reason="dynamic_network_architectures is not installed")

from sct_rootlets.centerline import fit_centerline
from sct_rootlets.cli import compute_spinal_levels, deepseg, register
from sct_rootlets.nifti import load_volume
from sct_rootlets.vertebral import label_points


@pytest.fixture
def image(phantom_files, tmp_path):
    return shutil.copy(phantom_files["image"], tmp_path / "t2.nii.gz")


def read_csv(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def off_mm(found, phantom_files):
    """By how much points with the values of discs are off along the cord, in mm."""
    cord = load_volume(phantom_files["cord"])
    line = fit_centerline(cord.data > 0, cord.affine)
    truth = label_points(load_volume(phantom_files["discs"]))
    common = sorted(set(found) & set(truth))
    assert len(common) >= 5
    return np.array([line.project(found[k]).arc[0] - line.project(truth[k]).arc[0] for k in common])


def test_one_image_gives_both_kinds_of_levels(image, tmp_path, capsys):
    folder = tmp_path / "levels"
    assert compute_spinal_levels.main(["-i", str(image), "-ofolder", str(folder), "-figure", "0"]) == 0
    said = capsys.readouterr().out
    assert "vertebral levels (discs):" in said
    assert "numbers of the vertebrae: probability" in said
    rows = read_csv(folder / "t2_levels.csv")
    assert {row["kind"] for row in rows} == {"spinal", "vertebral"}
    assert {row["source"] for row in rows if row["kind"] == "vertebral"} == {"image"}
    discs = read_csv(folder / "t2_discs.csv")
    assert {row["source"] for row in discs} == {"image"}
    assert all(0 < float(row["sd_mm"]) < 6 and 0 < float(row["numbering_probability"]) <= 1 for row in discs)
    labels = load_volume(folder / "t2_label-discs_dlabel.nii.gz").data
    assert sorted(labels[labels > 0].tolist()) == [int(row["disc"]) for row in discs]  # single voxels
    record = json.loads((folder / "t2_levels.json").read_text())
    assert record["VertebralNumbering"]["FixedByGivenDiscs"] is False
    assert {disc["Source"] for disc in record["Discs"]} == {"image"}
    assert (folder / "t2_correspondence.csv").exists()


def test_names_of_the_plain_phantom_are_right_or_unsure(image, tmp_path, phantom_files):
    """Its cord is as thick everywhere, unlike any person's."""
    folder = tmp_path / "levels"
    assert compute_spinal_levels.main(["-i", str(image), "-ofolder", str(folder), "-figure", "0", "-v", "0"]) == 0
    probability = float(read_csv(folder / "t2_discs.csv")[0]["numbering_probability"])
    off = off_mm(label_points(load_volume(folder / "t2_label-discs_dlabel.nii.gz")), phantom_files)
    assert probability < 0.5 or np.abs(off).max() < 5


def test_discs_can_be_left_out(image, tmp_path):
    folder = tmp_path / "levels"
    command = ["-i", str(image), "-ofolder", str(folder), "-discs", "none", "-figure", "0", "-v", "0"]
    assert compute_spinal_levels.main(command) == 0
    assert {row["kind"] for row in read_csv(folder / "t2_levels.csv")} == {"spinal"}
    assert not (folder / "t2_discs.csv").exists()


def test_one_disc_settles_the_numbers(image, tmp_path, phantom_files):
    discs = load_volume(phantom_files["discs"])
    one = tmp_path / "one.nii.gz"
    import nibabel as nib

    nib.save(nib.Nifti1Image(np.where(discs.data == 5, 5, 0).astype(np.uint8), discs.affine), one)
    folder = tmp_path / "levels"
    command = ["-i", str(image), "-ldisc", str(one), "-ofolder", str(folder), "-figure", "0", "-v", "0"]
    assert compute_spinal_levels.main(command) == 0
    rows = {int(row["disc"]): row for row in read_csv(folder / "t2_discs.csv")}
    assert rows[5]["source"] == "given"
    assert {row["source"] for value, row in rows.items() if value != 5} == {"image"}
    cord = load_volume(phantom_files["cord"])
    line = fit_centerline(cord.data > 0, cord.affine)
    truth = {value: float(line.project(point).arc[0]) for value, point in label_points(discs).items()}
    position = {value: float(row["position_mm"]) - float(rows[5]["position_mm"]) for value, row in rows.items()}
    off = np.array([position[value] - truth[value] + truth[5] for value in set(truth) & set(position)])
    assert np.median(np.abs(off)) < 1.5
    assert np.abs(off).max() < 4
    assert not (folder / "t2_label-discs_dlabel.nii.gz").exists()
    record = json.loads((folder / "t2_levels.json").read_text())
    assert record["VertebralNumbering"]["FixedByGivenDiscs"] is True
    assert any(note.startswith("discs filled from the image:") for note in record["Notes"])


def test_a_conus_is_no_disc_and_settles_no_number(image, tmp_path, phantom_files):
    import nibabel as nib

    discs = load_volume(phantom_files["discs"])
    conus = tmp_path / "conus.nii.gz"
    nib.save(nib.Nifti1Image(np.where(discs.data == discs.data.max(), 60, 0).astype(np.uint8), discs.affine), conus)
    folder = tmp_path / "levels"
    command = ["-i", str(image), "-ldisc", str(conus), "-ofolder", str(folder), "-figure", "0", "-v", "0"]
    assert compute_spinal_levels.main(command) == 0
    record = json.loads((folder / "t2_levels.json").read_text())
    assert record["VertebralNumbering"]["FixedByGivenDiscs"] is False
    assert any("the label of the conus (60) lies" in note for note in record["Notes"])
    assert {row["source"] for row in read_csv(folder / "t2_discs.csv")} == {"image"}


def test_discs_are_corrected_where_they_were_written(image, tmp_path, capsys):
    import nibabel as nib

    folder = tmp_path / "levels"
    command = ["-i", str(image), "-ofolder", str(folder), "-figure", "0"]
    assert compute_spinal_levels.main(command) == 0
    written = folder / "t2_label-discs_dlabel.nii.gz"
    found = nib.load(written)
    data = np.asarray(found.dataobj).copy()
    data[data > 0] += 1
    nib.save(nib.Nifti1Image(data, found.affine), written)
    corrected = written.read_bytes()
    capsys.readouterr()
    assert compute_spinal_levels.main(command) == 1
    assert "-ldisc" in capsys.readouterr().err
    assert compute_spinal_levels.main([*command, "-ldisc", str(written)]) == 0
    assert written.read_bytes() == corrected
    rows = read_csv(folder / "t2_levels.csv")
    assert "given" in {row["source"] for row in rows if row["kind"] == "vertebral"}


def test_the_tasks_of_discs_and_vertebrae(image, tmp_path):
    assert deepseg.main(["discs", "-i", str(image), "-v", "0"]) == 0
    assert deepseg.main(["vertebral_levels", "-i", str(image), "-v", "0"]) == 0
    discs = load_volume(tmp_path / "t2_discs.nii.gz").data
    values = sorted(discs[discs > 0].tolist())
    assert len(values) == len(set(values)) >= 5
    levels = load_volume(tmp_path / "t2_vertebral_levels.nii.gz").data
    assert set(np.unique(levels[levels > 0])) <= set(values)
    assert len(np.unique(levels)) - 1 == len(values) - 1


def test_improbable_names_can_be_left_out(image, tmp_path, capsys):
    assert deepseg.main(["rootlets_cord", "-i", str(image), "-uncertain-names", "omit"]) == 0
    levels = json.loads((tmp_path / "t2_rootlets.json").read_text())["Levels"]
    assert all(level["Confidence"] >= 0.5 for level in levels)
    present = np.unique(load_volume(tmp_path / "t2_rootlets.nii.gz").data)
    assert len(present) - 1 <= len(levels)
    if "improbable names" in capsys.readouterr().out:
        assert len(levels) < 8


def test_a_template_is_found_by_discs_of_the_image(image, tmp_path, template_folder, phantom_files):
    folder = tmp_path / "reg"
    command = ["-i", str(image), "-s", str(phantom_files["cord"]), "-landmarks", "discs", "-ofolder", str(folder)]
    assert register.main([*command, "-template", str(template_folder), "-figure", "0", "-v", "0"]) == 0
    assert (folder / "t2_label-discs_dlabel.nii.gz").exists()
