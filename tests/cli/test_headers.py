"""What commands say and do about headers: two placements, no orientation, units, and sizes that cannot be true."""

import csv
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.cli import compute_spinal_levels, deepseg, evaluate, register
from sct_rootlets.nifti import load_volume

REPOSITORY = Path(__file__).parents[2]


def rewrite(path, target, change):
    """A copy of a file with another header."""
    image = nib.load(path)
    copy = nib.Nifti1Image(np.asanyarray(image.dataobj), None, image.header)
    change(copy.header)
    nib.save(copy, target)
    return target


def shift_qform(header):
    affine = header.get_best_affine().copy()
    affine[1, 3] += 15
    header.set_qform(affine, 1)
    header["sform_code"] = 2


def to_las(path, target):
    """A copy with the axes that programs take where the header does not tell them."""
    image = nib.load(path)
    wanted = nib.orientations.axcodes2ornt("LAS")
    nib.save(image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(image.affine), wanted)), target)
    return target


def clear_codes(header):
    header["sform_code"] = header["qform_code"] = 0


def in_unit(code, per_mm):
    def change(header):
        affine = np.diag([per_mm, per_mm, per_mm, 1]) @ header.get_best_affine()
        header.set_sform(affine, 1)
        header.set_qform(affine, 2)
        header["xyzt_units"] = code

    return change


def levels(folder, files, capsys, *more):
    arguments = [word for flag, path in files.items() for word in (flag, str(path))]
    status = compute_spinal_levels.main([*arguments, "-ofolder", str(folder), "-figure", "0", *more])
    return status, capsys.readouterr()


def table(folder):
    return list(csv.DictReader(next(folder.glob("*_levels.csv")).open()))


@pytest.fixture
def files(phantom_files):
    return {"-s": phantom_files["cord"], "-rootlets": phantom_files["rootlets"], "-ldisc": phantom_files["discs"]}


def changed(files, folder, change):
    folder.mkdir()
    return {flag: rewrite(path, folder / path.name, change) for flag, path in files.items()}


def header_fields(path):
    header = nib.load(path).header
    names = ["sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d"]
    names += ["qoffset_x", "qoffset_y", "qoffset_z", "xyzt_units"]
    return [header[name].tolist() for name in names] + header["pixdim"][:4].tolist()


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (shift_qform, ": sform and qform of its header are up to 15 mm apart: the sform is taken"),
        (in_unit(3, 1000), ": its header is in micrometres: converted to mm"),
        (in_unit(1, 0.001), ": its header is in metres: converted to mm"),
        (in_unit(5, 1), ": its header gives the unit of length by the unknown code 5: taken as mm"),
    ],
)
def test_levels_are_the_same_and_placements_are_kept(files, tmp_path, capsys, change, note):
    assert levels(tmp_path / "right", files, capsys)[0] == 0
    given = changed(files, tmp_path / "in", change)
    status, said = levels(tmp_path / "out", given, capsys)
    assert (status, said.err) == (0, "")
    names = ", ".join(path.name for path in given.values())
    assert f"note: {names}{note}" in said.out
    for row, right in zip(table(tmp_path / "out"), table(tmp_path / "right"), strict=True):
        assert (row["name"], row["remarks"]) == (right["name"], right["remarks"])
        for column in ("rostral_mm", "caudal_mm", "length_mm"):  # headers hold single precision
            assert float(row[column]) == pytest.approx(float(right[column]), abs=0.02)
    for path in (tmp_path / "out").glob("*_dseg.nii.gz"):
        assert header_fields(path) == header_fields(given["-s"])
        differs = load_volume(path).data != load_volume(tmp_path / "right" / path.name).data
        assert differs.mean() < 1e-4


def test_without_orientation_sides_are_left_out(files, tmp_path, capsys):
    las = {flag: to_las(path, tmp_path / path.name) for flag, path in files.items()}
    given = changed(las, tmp_path / "in", clear_codes)
    status, said = levels(tmp_path / "out", given, capsys)
    assert (status, said.err) == (0, "")
    assert "does not say how it is oriented (sform and qform codes are 0)" in said.out
    assert "left and right are not known" in said.out
    rows = table(tmp_path / "out")
    assert all(value == "" for row in rows for key, value in row.items() if key.startswith(("n_left", "n_right")))
    assert header_fields(next((tmp_path / "out").glob("*_dseg.nii.gz"))) == header_fields(given["-s"])


def test_without_orientation_nothing_is_registered_or_split(phantom_files, tmp_path, capsys):
    image = rewrite(phantom_files["image"], tmp_path / "t2.nii.gz", clear_codes)
    assert deepseg.main(["rootlets_roots", "-i", str(image), "-o", str(tmp_path / "roots.nii.gz")]) == 1
    assert "t2.nii.gz does not say how it is oriented" in capsys.readouterr().err
    assert register.main(["-i", str(image), "-ofolder", str(tmp_path / "reg")]) == 1
    assert "t2.nii.gz does not say how it is oriented" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["t2.nii.gz"]


def test_evaluate_notes_headers(files, tmp_path, capsys):
    mine = rewrite(files["-rootlets"], tmp_path / "mine.nii.gz", shift_qform)
    status = evaluate.main(
        ["-i", str(mine), "-ref", str(files["-rootlets"]), "-ofolder", str(tmp_path / "out"), "-figure", "0"]
    )
    assert status == 0
    assert "mine.nii.gz: sform and qform of its header are up to 15 mm apart" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("factor", "message"),
    [(0.005, "has voxels of 0.005×0.005×0.005 mm by its header"), (60, "has voxels of 60×60×60 mm by its header")],
)
def test_sizes_of_measured_volumes_are_bounded(files, tmp_path, capsys, factor, message):
    given = changed(files, tmp_path / "in", lambda header: header.set_sform(np.diag([factor] * 3 + [1]), 1))
    status, said = levels(tmp_path / "out", given, capsys)
    assert status == 1
    assert message in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("size_mm", "message"),
    [
        (0.05, "has voxels of 0.05×0.05×0.05 mm by its header, and an image to segment has 0.1 to 10 mm"),
        (12, "has voxels of 12×12×12 mm by its header, and an image to segment has 0.1 to 10 mm"),
        (9.9, "mm by its header, and at most 300 litres are segmented"),
    ],
)
def test_sizes_of_segmented_images_are_bounded(tmp_path, capsys, size_mm, message):
    nib.save(nib.Nifti1Image(np.ones((90, 90, 90), np.int16), np.diag([size_mm] * 3 + [1])), tmp_path / "t2.nii.gz")
    assert deepseg.main(["rootlets", "-i", str(tmp_path / "t2.nii.gz")]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "status", "message"),
    [
        ("-o", ".nii.gz", 1, ".nii.gz has no name before its ending"),
        ("-o", "folder/", 1, "folder/ is a folder; give the name of a file (-o)"),
        ("-o", "x" * 250 + ".nii.gz", 1, "would be a name of 257 bytes"),
        ("-o", "M\udcfcller.nii.gz", 1, "is not UTF-8 text"),
        ("-remove-small", "nanvox", 2, "must be a size such as 1mm3 or 5vox, not nanvox"),
        ("-remove-small", "infmm3", 2, "must be a size such as 1mm3 or 5vox, not infmm3"),
        ("-remove-small", "-1", 2, "-remove-small"),
        ("-threads", "99999999", 2, "must be 1 to 1024, not 99999999"),
    ],
)
def test_options_are_checked_before_anything_is_read(tmp_path, capsys, option, value, status, message):
    arguments = ["rootlets", "-i", str(tmp_path / "missing.nii.gz"), option, value]
    if status == 2:
        with pytest.raises(SystemExit) as stopped:
            deepseg.main(arguments)
        assert stopped.value.code == 2
    else:
        assert deepseg.main(arguments) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command",
    [
        ["sct_rootlets.cli.deepseg", "rootlets", "-i"],
        ["sct_rootlets.cli.compute_spinal_levels", "-i"],
        ["sct_rootlets.cli.main", "register", "-i"],
        ["sct_rootlets.cli.main", "evaluate", "-ref", "b.nii.gz", "-i"],
    ],
)
def test_processes_end_with_one_line(tmp_path, command):
    (tmp_path / "b.nii.gz").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    done = subprocess.run(
        [sys.executable, "-m", *command, "b.nii.gz"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "b.nii.gz is a git-LFS pointer, and its content is not on this machine" in done.stderr
    assert done.stderr.count("\n") == 1
