"""The command `sct_rootlets register`: its files, and its errors in one line."""

import csv
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from known_levels import level_middles, position
from nibabel.affines import apply_affine

from sct_rootlets.cli.register import main
from sct_rootlets.nifti import load_volume, save_volume
from sct_rootlets.synthesis.cervical import cervical_anatomy


def options(phantom_files, template_folder, folder, *more):
    return [
        *(
            "-i",
            str(phantom_files["image"]),
            "-s",
            str(phantom_files["cord"]),
            "-rootlets",
            str(phantom_files["rootlets"]),
        ),
        *("-template", str(template_folder), "-ofolder", str(folder), *map(str, more)),
    ]


def test_the_command_writes_everything(phantom_files, template_folder, tmp_path, capsys):
    fmri = tmp_path / "fmri_mean.nii.gz"
    image = load_volume(phantom_files["image"])
    every_other = image.affine @ np.diag([2, 2, 2, 1])
    save_volume(fmri, image.data[::2, ::2, ::2].astype(np.float32), every_other)
    folder = tmp_path / "reg"
    more = ["-ldisc", phantom_files["discs"], "-apply", fmri, "-qc", tmp_path / "qc"]
    assert main(options(phantom_files, template_folder, folder, *more)) == 0
    said = capsys.readouterr().out
    assert "C5" in said
    names = {"warp_anat2template", "warp_template2anat", "anat2template", "template2anat", "cord2anat", "levels2anat",
             "spinal_levels2anat", "rootlets2anat", "rootlets2template", "fmri_mean2template"}  # fmt: skip
    files = {f"{name}.nii.gz" for name in names} | {f"registration.{end}" for end in ("csv", "json", "png", "svg")}
    assert {path.name for path in folder.iterdir()} == files
    (entry,) = (tmp_path / "qc" / "rootlets" / "entries").glob("*.json")
    assert entry.name.startswith("sub-phantom01_T2w-")
    assert entry.name.endswith("-registration.json")
    assert said.endswith(f"look at the result: {tmp_path / 'qc' / 'index.html'} (in a web browser)\n")

    there = nib.load(template_folder / "template" / "phantom_cord.nii.gz")
    here = nib.load(phantom_files["image"])
    for name, grid in (("anat2template", there), ("fmri_mean2template", there), ("template2anat", here),
                       ("levels2anat", here)):  # fmt: skip
        moved = nib.load(folder / f"{name}.nii.gz")
        assert moved.shape == grid.shape
        np.testing.assert_allclose(moved.affine, grid.affine, atol=1e-5)
    # The spinal levels of the template lie on the subject's rootlets of the same name.
    levels = np.asarray(nib.load(folder / "spinal_levels2anat.nii.gz").dataobj)
    truth = cervical_anatomy()
    for value, arc in zip(range(2, 10), level_middles(truth).values(), strict=True):
        index = np.rint(apply_affine(np.linalg.inv(here.affine), position(truth, arc)[0])).astype(int)
        assert levels[tuple(index)] == value
    with (folder / "registration.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    used = [row for row in rows if row["used"] == "True"]
    assert [row["name"] for row in used] == ["C2", "C3", "C4", "C5", "C6", "C7", "C8", "T1"]
    assert all(abs(float(row["error_mm"])) < 1 and abs(float(row["left_out_error_mm"])) < 1 for row in used)
    sidecar = json.loads((folder / "registration.json").read_text())
    assert sidecar["Landmarks"] == "rootlets"
    assert sidecar["CordDice"] > 0.93
    assert sidecar["LeastJacobian"] > 0.3


def test_what_is_not_given_is_segmented_and_kept(phantom_files, template_folder, tmp_path, monkeypatch):
    from sct_rootlets import deepseg

    def stand_in(_segmenter, _inputs, missing, _settings):
        maps = {name: load_volume(phantom_files[name]) for name in missing}
        nameless = SimpleNamespace(notes=(), spinal=SimpleNamespace(levels=()))
        return nameless, maps, {name: {"Model": {"Name": "stand-in"}} for name in maps}

    monkeypatch.setattr(deepseg, "load_networks", lambda _settings: None)
    monkeypatch.setattr(deepseg, "_segment_missing", stand_in)
    folder = tmp_path / "reg"
    command = [
        "-i",
        str(phantom_files["image"]),
        "-template",
        str(template_folder),
        "-ofolder",
        str(folder),
        "-figure",
        "0",
        "-v",
        "0",
    ]
    assert main(command) == 0
    for name, key in (("label-SC_seg", "cord"), ("label-rootlets_dseg", "rootlets")):
        kept = load_volume(folder / f"sub-phantom01_T2w_{name}.nii.gz")
        np.testing.assert_array_equal(kept.data, load_volume(phantom_files[key]).data)
        sidecar = json.loads((folder / f"sub-phantom01_T2w_{name}.json").read_text())
        assert sidecar["Model"]["Name"] == "stand-in"


def test_the_same_input_gives_the_same_bytes(phantom_files, template_folder, tmp_path):
    for name in ("a", "b"):
        assert main(options(phantom_files, template_folder, tmp_path / name, "-v", 0)) == 0
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def one_line(capsys) -> str:
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "Traceback" not in error
    return error


def test_bad_input_is_one_line_and_leaves_nothing(phantom_files, template_folder, tmp_path, capsys):
    cord, rootlets = load_volume(phantom_files["cord"]), load_volume(phantom_files["rootlets"])
    other = tmp_path / "other_grid.nii.gz"
    save_volume(other, cord.data[:-3], cord.affine)
    strangers = tmp_path / "strangers.nii.gz"
    save_volume(strangers, np.where(rootlets.data > 0, rootlets.data + 10, 0).astype(np.uint8), rootlets.affine)
    partial = tmp_path / "partial"
    partial.mkdir()
    (partial / "PAM50_cord.nii.gz").write_bytes(phantom_files["cord"].read_bytes())
    away = tmp_path / "away.nii.gz"
    shifted = cord.affine.copy()
    shifted[:3, 3] += 500
    save_volume(away, cord.data, shifted)
    anat = tmp_path / "anat.nii.gz"
    anat.write_bytes(phantom_files["image"].read_bytes())
    folder = tmp_path / "reg"
    for more, said in (
        (["-apply", anat], "would become anat2template.nii.gz"),
        (["-s", other], "have different shapes"),
        (["-rootlets", strangers], "no label of the rootlets is common"),
        (["-template", partial], "PAM50_rootlets.nii.gz is missing"),
        (["-template", anat], "is not a folder"),
        (["-apply", away], "does not lie where the cord"),
        (["-apply", tmp_path / "nothing.nii.gz"], "does not exist"),
    ):
        assert main(options(phantom_files, template_folder, folder, *more)) == 1
        assert said in one_line(capsys)
        assert not folder.exists()


def test_a_header_that_places_its_image_twice_is_noted(phantom_files, template_folder, tmp_path):
    image = nib.load(phantom_files["image"])
    moved = image.affine.copy()
    moved[:3, 3] += [0, 3, 0]
    image.set_qform(moved, 1)
    nib.save(image, tmp_path / "twice.nii.gz")
    command = options(phantom_files, template_folder, tmp_path / "reg", "-figure", 0)
    command[1] = str(tmp_path / "twice.nii.gz")
    assert main(command) == 0
    notes = json.loads((tmp_path / "reg" / "registration.json").read_text())["Notes"]
    assert any("sform and qform of its header are up to 3 mm apart" in note for note in notes)


def test_bad_usage(phantom_files, template_folder, tmp_path, capsys):
    for more, said in ((["-landmarks", "both", "-ldisc", phantom_files["discs"], "-engine", "sct"], "not both"),):
        with pytest.raises(SystemExit) as stopped:
            main(options(phantom_files, template_folder, tmp_path, *more))
        assert stopped.value.code == 2
        assert said in capsys.readouterr().err


def test_a_damaged_or_strange_series_is_one_line_and_leaves_nothing(
    fmri, phantom_files, template_folder, tmp_path, capsys
):
    path, data, affine = fmri
    path.write_bytes(path.read_bytes()[:-4000])
    vectors, away = tmp_path / "vectors.nii.gz", tmp_path / "away.nii.gz"
    nib.save(nib.Nifti1Image(data[:, :, :, None, :3], affine), vectors)
    shifted = affine.copy()
    shifted[:3, 3] += 500
    warp = tmp_path / "warp_anat.nii.gz"
    nib.save(nib.Nifti1Image(data, affine), warp)
    checksum = tmp_path / "checksum.nii.gz"
    content = bytearray(warp.read_bytes())
    content[-5] ^= 1
    checksum.write_bytes(content)
    nib.save(nib.Nifti1Image(data, shifted), away)
    for name, said in (
        (path, "truncated or damaged"),
        (checksum, "truncated or damaged"),
        (warp, "as the warp does"),
        (vectors, "has 5 dimensions"),
        (away, "does not lie where"),
    ):
        assert main(options(phantom_files, template_folder, tmp_path / "reg", "-apply", name, "-figure", 0)) == 1
        assert said in one_line(capsys)
        assert not (tmp_path / "reg").exists()


def test_a_coloured_cord_in_place_of_rootlets_or_discs(phantom_folder, template_folder, tmp_path, capsys):
    stem = phantom_folder / "derivatives" / "labels" / "sub-phantom01" / "anat" / "sub-phantom01_T2w"
    cord = nib.load(f"{stem}_label-SC_seg.nii.gz")
    data = np.asanyarray(cord.dataobj).astype(np.uint8)
    lengths = np.cumsum(np.moveaxis(data, 1, 0).any(axis=(1, 2)))
    path = tmp_path / "levels.nii.gz"
    nib.save(nib.Nifti1Image(data * (2 + lengths // 20).astype(np.uint8)[None, :, None], cord.affine), path)
    scan = phantom_folder / "sub-phantom01" / "anat" / "sub-phantom01_T2w.nii.gz"
    argv = ["-i", str(scan), "-s", f"{stem}_label-SC_seg.nii.gz", "-ofolder", str(tmp_path / "out")]
    argv += ["-template", str(template_folder)]
    for more, expected in (
        (["-rootlets", str(path)], "levels.nii.gz lies inside the cord"),
        (["-rootlets", f"{stem}_label-rootlets_dseg.nii.gz", "-ldisc", str(path)], "levels.nii.gz holds regions"),
    ):
        assert main([*argv, *more]) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert expected in error


def wrong_by(files, tmp_path, change):
    """The rootlets of the phantom, changed: their data and its axis along the body, to data."""
    rootlets = load_volume(files["rootlets"])
    axis = int(np.abs(rootlets.affine[2, :3]).argmax())
    path = tmp_path / "changed_rootlets.nii.gz"
    changed = change(rootlets.data.astype(int), axis, rootlets.affine[2, axis])
    save_volume(path, changed.astype(np.uint8), rootlets.affine)
    return path


@pytest.mark.parametrize(
    ("change", "least_mm", "side"),
    [
        (lambda data, _axis, _mm: np.where((data > 0) & (data < 9), data + 1, 0), 10, "rostrally"),
        (lambda data, _axis, _mm: np.where(data > 2, data - 1, 0), 10, "caudally"),
        (lambda data, axis, mm: np.roll(data, round(-10 / mm), axis), 9, "caudally"),
        (lambda data, axis, mm: np.roll(data, round(10 / mm), axis), 9, "rostrally"),
    ],
)
def test_rootlets_and_discs_that_contradict_each_other_are_noted(
    phantom_files, template_folder, tmp_path, capsys, change, least_mm, side
):
    path = wrong_by(phantom_files, tmp_path, change)
    more = ["-ldisc", phantom_files["discs"], "-landmarks", "both", "-figure", 0]
    command = [*options(phantom_files, template_folder, tmp_path / "reg", *more), "-rootlets", str(path)]
    assert main([*command, "-strict"]) == 3
    (said,) = (line for line in capsys.readouterr().out.splitlines() if "contradict each other" in line)
    assert said.startswith("note: rootlets and discs contradict each other: ")
    named = re.findall(r"(C\d|T1) ([0-9.]+) mm (\w+)", said)
    assert {"C4", "C5", "C6", "C7"} <= {name for name, _, _ in named}
    assert all(least_mm <= float(mm) <= 18 and where == side for name, mm, where in named if name in ("C4", "C5", "C6"))
    record = json.loads((tmp_path / "reg" / "registration.json").read_text())
    assert said.removeprefix("note: ") in record["Notes"]
    assert record["Flags"]["leftout"]["State"] == "bad"


@pytest.mark.parametrize(
    ("change", "status", "key", "said"),
    [
        (
            lambda data: np.where((data > 0) & (data < 9), data + 1, 0),
            3,
            "missed",
            r"landmarks missed \(mm\) implausible: -1\d\.\d  median of \d discs: check the names of rootlets and discs",
        ),
        (
            lambda data: np.select([data == 4, data == 5], [5, 4], data),
            3,
            "order",
            r"order implausible: C5 above C4: ",
        ),
        (
            lambda data: np.where(data == 5, data, 0),
            0,
            "landmarks",
            r"landmarks used unusual: 1 \(C5\): a single landmark gives the position along the cord and not the scale",
        ),
    ],
)
def test_flags_of_landmarks_are_said_stored_on_the_page_and_strict(
    phantom_files, template_folder, tmp_path, capsys, change, status, key, said
):
    path = wrong_by(phantom_files, tmp_path, lambda data, _axis, _mm: change(data))
    more = ["-ldisc", phantom_files["discs"], "-figure", 0, "-strict", "-qc", tmp_path / "qc"]
    command = [*options(phantom_files, template_folder, tmp_path / "reg", *more), "-rootlets", str(path)]
    assert main(command) == status
    assert re.search(f"^note: {said}", capsys.readouterr().out, flags=re.MULTILINE)
    flag = json.loads((tmp_path / "reg" / "registration.json").read_text())["Flags"][key]
    assert flag["State"] == ("bad" if status else "look")
    on_page = "".join(path.read_text() for path in (tmp_path / "qc").rglob("*.js") if "niivue" not in path.name)
    assert flag["Text"] in on_page


def test_half_a_cord_mask_is_said_stored_on_the_page_and_strict(phantom_files, template_folder, tmp_path, capsys):
    cord = load_volume(phantom_files["cord"])
    sideways = int(np.argmax(np.abs(cord.affine[0, :3])))
    voxels = np.argwhere(cord.data)
    half = cord.data.copy()
    half[tuple(voxels[voxels[:, sideways] < np.median(voxels[:, sideways])].T)] = 0
    path = tmp_path / "half.nii.gz"
    save_volume(path, half, cord.affine, cord.header)
    command = options(phantom_files, template_folder, tmp_path / "reg", "-figure", 0, "-strict", "-qc", tmp_path / "qc")
    assert main([*command, "-s", str(path)]) == 3
    said = capsys.readouterr().out
    assert re.search(r"^note: cord mask implausible: .*is one half of the cord missing\?", said, flags=re.MULTILINE)
    flag = json.loads((tmp_path / "reg" / "registration.json").read_text())["Flags"]["mask"]
    assert flag["State"] == "bad"
    on_page = "".join(path.read_text() for path in (tmp_path / "qc").rglob("*.js") if "niivue" not in path.name)
    assert flag["Text"] in on_page


@pytest.mark.parametrize("name", ["levels", "spinal_levels", "rootlets", "label_disc", "t2"])
def test_files_of_two_templates_in_one_folder_are_an_error(phantom_files, template_folder, tmp_path, capsys, name):
    folder = tmp_path / "template"
    shutil.copytree(template_folder / "template", folder)
    other = load_volume(folder / f"phantom_{name}.nii.gz")
    other.affine[2, 3] += 100
    save_volume(folder / f"phantom_{name}.nii.gz", other.data, other.affine)
    assert main(options(phantom_files, folder, tmp_path / "reg")) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"the template mixes files of different grids: {folder}/phantom_{name}.nii.gz (" in said
    assert "phantom_cord.nii.gz (" in said
    assert not (tmp_path / "reg").exists()


def test_without_strict_contradictions_leave_the_status_at_0(phantom_files, template_folder, tmp_path):
    path = wrong_by(phantom_files, tmp_path, lambda data, _axis, _mm: np.where(data > 2, data - 1, 0))
    more = ["-ldisc", phantom_files["discs"], "-landmarks", "both", "-figure", 0]
    assert main([*options(phantom_files, template_folder, tmp_path / "reg", *more), "-rootlets", str(path)]) == 0


def test_rootlets_and_discs_that_agree_are_not_noted(phantom_files, template_folder, tmp_path):
    """As a process."""
    more = ["-ldisc", phantom_files["discs"], "-landmarks", "both", "-figure", 0]
    command = options(phantom_files, template_folder, tmp_path / "reg", *more, "-strict")
    run = [sys.executable, "-m", "sct_rootlets.cli.register", *command]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "note: " not in done.stdout


def test_a_map_that_folds_is_an_error_and_leaves_nothing(phantom_files, template_folder, tmp_path, capsys, monkeypatch):
    """Warps of another engine that turn back along the cord: the Jacobian is 1 - 1.5."""
    from sct_rootlets.sct import registration as by_sct

    def folded(registration):
        field = registration.warp_anat2template.copy()
        grid = registration.template_mask
        z = apply_affine(grid.affine, np.indices(grid.data.shape).reshape(3, -1).T)[:, 2].reshape(grid.data.shape)
        field[..., 2] -= 1.5 * (z - z.mean()) * (np.abs(z - z.mean()) < 10)
        return replace(registration, external_fields=(field, registration.warp_template2anat))

    monkeypatch.setattr(by_sct, "register_by_sct", folded)
    more = ["-engine", "sct", "-qc", tmp_path / "qc"]
    assert main(options(phantom_files, template_folder, tmp_path / "reg", *more)) == 1
    error = one_line(capsys)
    assert "the map folds space in the canal (least Jacobian -" in error
    assert "nothing is written; check the numbers" in error
    assert not (tmp_path / "reg").exists()
    assert not (tmp_path / "qc").exists()
