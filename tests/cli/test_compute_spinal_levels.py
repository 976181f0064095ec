"""The command from its arguments to files and messages; above all what it does with bad input."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from sct_rootlets.cli.compute_spinal_levels import main

STEM = "sub-phantom01_T2w"


@pytest.fixture
def inputs(phantom_folder, tmp_path) -> dict[str, Path]:
    """The phantom's files, free to be spoilt."""
    files = {}
    labels = phantom_folder / "derivatives" / "labels" / "sub-phantom01" / "anat"
    for option, name in (
        ("-s", "label-SC_seg"),
        ("-rootlets", "label-rootlets_dseg"),
        ("-ldisc", "label-discs_dlabel"),
        ("-pmj", "label-PMJ_dlabel"),
    ):
        files[option] = tmp_path / f"{STEM}_{name}.nii.gz"
        shutil.copy(labels / files[option].name, files[option])
    return files


def arguments(inputs, folder, *more):
    return [str(part) for pair in inputs.items() for part in pair] + ["-ofolder", str(folder), *more]


def spoil(path: Path, change, dtype=None, affine=None):
    """Rewrite a file with its array passed through a function."""
    image = nib.load(path)
    data = np.array(np.asanyarray(image.dataobj), dtype=dtype)
    changed = change(data)
    data = data if changed is None else changed.astype(data.dtype)
    nib.save(nib.Nifti1Image(data, image.affine if affine is None else affine), path)


def set_voxel(value, *index):
    def change(data):
        data[index] = value

    return change


def fails(inputs, tmp_path, capsys, *fragments):
    """The command exits 1 with one line that holds the fragments, and writes nothing."""
    folder = tmp_path / "out"
    assert main(arguments(inputs, folder)) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("sct_compute_spinal_levels: error: ")
    for fragment in fragments:
        assert fragment in printed.err
    assert not folder.exists()


def test_the_last_line_says_what_to_look_at(inputs, tmp_path, capsys):
    folder = tmp_path / "levels"
    assert main(arguments(inputs, folder)) == 0
    assert capsys.readouterr().out.endswith(f"look at the result: {folder / f'{STEM}_levels.png'}\n")
    assert main(arguments(inputs, folder, "-figure", "0", "-qc", str(tmp_path / "qc"))) == 0
    page = tmp_path / "qc" / "index.html"
    assert capsys.readouterr().out.endswith(f"look at the result: {page} (in a web browser)\n")
    assert main(arguments(inputs, tmp_path / "tables", "-figure", "0")) == 0
    assert "look at" not in capsys.readouterr().out


def test_all_files_are_written_and_named(inputs, tmp_path, capsys):
    assert main(arguments(inputs, tmp_path / "levels", "-published-csv")) == 0
    names = sorted(path.name for path in (tmp_path / "levels").iterdir())
    assert names == [
        f"{STEM}_correspondence.csv",
        f"{STEM}_label-rootlets_dseg_pmj_distance.csv",
        *(f"{STEM}_label-spinalLevels_dseg.{ending}" for ending in ("json", "nii.gz", "tsv")),
        *(f"{STEM}_label-vertebralLevels_dseg.{ending}" for ending in ("json", "nii.gz", "tsv")),
        f"{STEM}_levels.csv",
        f"{STEM}_levels.json",
        f"{STEM}_levels.png",
        f"{STEM}_levels.svg",
        f"{STEM}_pmj_distance_vertebral_disc.csv",
    ]
    printed = capsys.readouterr().out
    assert "positions in mm along the cord, from: PMJ" in printed
    assert all(name in printed for name in names)


def test_installed_command_runs(inputs, tmp_path):
    command = [sys.executable, "-m", "sct_rootlets.cli.compute_spinal_levels"]
    done = subprocess.run(
        [*command, *arguments(inputs, tmp_path / "levels", "-v", "0", "-figure", "0")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(pd.read_csv(tmp_path / "levels" / f"{STEM}_levels.csv")) == 17
    del inputs["-s"]
    done = subprocess.run([*command, *arguments(inputs, tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_results_accumulate_on_the_page(inputs, tmp_path, capsys):
    """Of rootlets and discs, then of discs alone of another mask; a page that cannot be written is one line."""
    page = tmp_path / "qc" / "index.html"
    assert main(arguments(inputs, tmp_path / "out", "-qc", str(page.parent), "-qc-dataset", "phantoms")) == 0
    assert str(page) in capsys.readouterr().out
    other = shutil.copy(inputs["-s"], tmp_path / "other mask.nii.gz")
    argv = ["-s", other, "-ldisc", inputs["-ldisc"], "-ofolder", tmp_path / "out2", "-qc", page.parent]
    assert main([str(part) for part in argv]) == 0
    entries = [json.loads(path.read_text()) for path in sorted(page.parent.glob("rootlets/entries/*.json"))]
    assert [entry["file"] for entry in entries] == ["other mask.nii.gz", f"{STEM}_label-SC_seg.nii.gz"]
    assert [entry["subject"] for entry in entries] == ["", "sub-phantom01"]
    assert [entry["dataset"] for entry in entries] == ["", "phantoms"]
    assert {level["kind"] for level in entries[0]["levels"]} == {"vertebral"}
    assert {level["kind"] for level in entries[1]["levels"]} == {"spinal", "vertebral"}

    (tmp_path / "file").write_text("")
    capsys.readouterr()
    assert main(arguments(inputs, tmp_path / "out3", "-qc", str(tmp_path / "file"))) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert (tmp_path / "out3" / f"{STEM}_levels.csv").exists()


def test_either_input_alone(inputs, tmp_path):
    only_discs = {option: inputs[option] for option in ("-s", "-ldisc")}
    assert main(arguments(only_discs, tmp_path / "discs", "-figure", "0")) == 0
    assert set(pd.read_csv(tmp_path / "discs" / f"{STEM}_levels.csv").kind) == {"vertebral"}
    only_rootlets = {option: inputs[option] for option in ("-s", "-rootlets")}
    assert main(arguments(only_rootlets, tmp_path / "rootlets", "-figure", "0")) == 0
    assert set(pd.read_csv(tmp_path / "rootlets" / f"{STEM}_levels.csv").kind) == {"spinal"}
    assert not (tmp_path / "rootlets" / f"{STEM}_correspondence.csv").exists()


@pytest.fixture
def image(phantom_folder) -> Path:
    """The phantom's scan, where networks can be run on it."""
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("dynamic_network_architectures", reason="dynamic_network_architectures is not installed")
    return phantom_folder / "sub-phantom01" / "anat" / f"{STEM}.nii.gz"


def test_what_is_not_given_is_segmented(inputs, image, tmp_path, capsys):
    """Midpoints from the image alone are those from its true labels."""
    truth, ours = tmp_path / "truth", tmp_path / "ours"
    assert main(arguments(inputs, truth, "-v", "0")) == 0
    discs = ["-ldisc", str(inputs["-ldisc"]), "-pmj", str(inputs["-pmj"])]
    assert main(["-i", str(image), *discs, "-ofolder", str(ours)]) == 0
    assert (ours / f"{STEM}_label-rootlets_dseg.nii.gz").exists()
    assert (ours / f"{STEM}_label-SC_seg.nii.gz").exists()
    tables = [pd.read_csv(folder / f"{STEM}_correspondence.csv") for folder in (truth, ours)]
    both = tables[0].merge(tables[1], on=["pairing", "vertebral_level", "spinal_level"])
    assert len(both[both.pairing == "shifted"]) >= 5
    assert (both.difference_mm_x - both.difference_mm_y).abs().median() < 1.5
    sidecar = json.loads((ours / f"{STEM}_label-spinalLevels_dseg.json").read_text())
    assert sidecar["NamesFromDiscs"] == any("come from the discs" in note for note in sidecar["Notes"])
    assert sidecar["Model"]["Version"]
    for name in ("rootlets_dseg", "SC_seg"):
        of_map = json.loads((ours / f"{STEM}_label-{name}.json").read_text())
        assert of_map["Model"] == sidecar["Model"]
        assert [level["Name"] for level in of_map["Levels"]][1:3] == ["C3", "C4"]


def test_a_given_mask_is_used(inputs, image, tmp_path):
    folder = tmp_path / "out"
    assert main(["-i", str(image), "-s", str(inputs["-s"]), "-ofolder", str(folder), "-v", "0"]) == 0
    assert (folder / f"{STEM}_label-rootlets_dseg.nii.gz").exists()
    assert not (folder / f"{STEM}_label-SC_seg.nii.gz").exists()
    levels = nib.load(folder / f"{STEM}_label-spinalLevels_dseg.nii.gz").get_fdata()
    assert not levels[nib.load(inputs["-s"]).get_fdata() == 0].any()


def test_bad_usage_exits_2(inputs, tmp_path, capsys):
    for spoilt, more, message in (
        ({"-s": inputs["-s"]}, [], "give -rootlets, -ldisc, or both"),
        ({"-s": inputs["-s"], "-ldisc": inputs["-ldisc"]}, ["-published-csv"], "needs -pmj"),
        (inputs, ["-method", "other"], "invalid choice: 'other'"),
        (inputs, ["-distance", "-1"], "must be a positive number of mm"),
        (inputs, ["-distance", "far"], "invalid millimetres value: 'far'"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(arguments(spoilt, tmp_path / "out", *more))
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_verbose_shows_where_an_error_came_from(inputs, tmp_path):
    inputs["-s"] = tmp_path / "missing.nii.gz"
    with pytest.raises(Exception, match="does not exist"):
        main(arguments(inputs, tmp_path / "out", "-v", "2"))


@pytest.mark.parametrize("option", ["-s", "-rootlets", "-ldisc", "-pmj"])
def test_missing_file(inputs, tmp_path, capsys, option):
    inputs[option] = tmp_path / "missing.nii.gz"
    fails(inputs, tmp_path, capsys, "missing.nii.gz does not exist")


def test_folder(inputs, tmp_path, capsys):
    inputs["-ldisc"] = tmp_path
    fails(inputs, tmp_path, capsys, "is a folder; give a NIfTI file")


def test_not_nifti(inputs, tmp_path, capsys):
    inputs["-s"].write_text("subject,age\n")
    fails(inputs, tmp_path, capsys, "is not a NIfTI file")


def test_truncated(inputs, tmp_path, capsys):
    whole = inputs["-rootlets"].read_bytes()
    inputs["-rootlets"].write_bytes(whole[: len(whole) // 2])
    fails(inputs, tmp_path, capsys, "label-rootlets_dseg.nii.gz is truncated or damaged")


def test_2d_and_4d(inputs, tmp_path, capsys):
    original = inputs["-s"].read_bytes()
    spoil(inputs["-s"], lambda data: data[:, :, 20])
    fails(inputs, tmp_path, capsys, "is not a 3D volume")
    inputs["-s"].write_bytes(original)
    spoil(inputs["-s"], lambda data: np.stack([data, data], axis=3))
    fails(inputs, tmp_path, capsys, "holds 2 volumes; give a single 3D volume")


def test_4d_with_one_volume_is_fine(inputs, tmp_path):
    spoil(inputs["-s"], lambda data: data[..., None])
    assert main(arguments(inputs, tmp_path / "out", "-figure", "0")) == 0


@pytest.mark.parametrize("option", ["-s", "-rootlets", "-ldisc", "-pmj"])
def test_empty(inputs, tmp_path, capsys, option):
    spoil(inputs[option], np.zeros_like)
    fails(inputs, tmp_path, capsys, f"{inputs[option].name} is empty")


@pytest.mark.parametrize("option", ["-s", "-rootlets", "-ldisc"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinite(inputs, tmp_path, capsys, option, value):
    spoil(inputs[option], set_voxel(value, 0, 0, 0), dtype=np.float32)
    fails(inputs, tmp_path, capsys, f"{inputs[option].name} holds NaN or infinite values")


def test_soft_mask_is_cut_and_said(inputs, tmp_path, capsys):
    spoil(inputs["-s"], lambda data: data * 0.8, dtype=np.float32)
    assert main(arguments(inputs, tmp_path / "out", "-figure", "0")) == 0
    assert "note: sub-phantom01_T2w_label-SC_seg.nii.gz is a soft mask: thresholded at 0.5" in capsys.readouterr().out


def test_shapes_that_differ(inputs, tmp_path, capsys):
    spoil(inputs["-rootlets"], lambda data: data[:, :-1])
    fails(inputs, tmp_path, capsys, inputs["-s"].name, inputs["-rootlets"].name, "different shapes")


def test_affines_that_differ(inputs, tmp_path, capsys):
    affine = nib.load(inputs["-ldisc"]).affine
    affine[0, 3] += 2.5
    spoil(inputs["-ldisc"], lambda data: data, affine=affine)
    fails(inputs, tmp_path, capsys, inputs["-s"].name, inputs["-ldisc"].name, "up to 2.5 mm apart")


def test_reorientation_is_fine(inputs, tmp_path):
    assert main(arguments(inputs, tmp_path / "one", "-figure", "0")) == 0
    image = nib.load(inputs["-rootlets"])
    nib.save(nib.as_closest_canonical(image), inputs["-rootlets"])
    assert main(arguments(inputs, tmp_path / "two", "-figure", "0")) == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


@pytest.mark.parametrize("value", [0.5, 1, 60, 255])
def test_rootlet_values_that_are_no_levels(inputs, tmp_path, capsys, value):
    spoil(inputs["-rootlets"], lambda data: np.where(data == 4, value, data), dtype=np.float32)
    fails(inputs, tmp_path, capsys, f"{value:g}", "not a level" if value != 0.5 else "not a label")


def test_no_rootlet_near_the_cord(inputs, tmp_path, capsys):
    def far_away(data):
        moved = np.zeros_like(data)
        moved[2:4, 50:60, 2:4] = 3
        return moved

    spoil(inputs["-rootlets"], far_away)
    fails(inputs, tmp_path, capsys, "no rootlet lies within 2.4 mm of the cord mask")


def test_duplicate_discs(inputs, tmp_path, capsys):
    spoil(inputs["-ldisc"], set_voxel(4, 5, 5, 5))
    fails(inputs, tmp_path, capsys, "holds the value 4 in two places")


def test_discs_out_of_order(inputs, tmp_path, capsys):
    spoil(inputs["-ldisc"], lambda data: np.where((data == 4) | (data == 5), 9 - data, data))
    fails(inputs, tmp_path, capsys, "disc 5 (C4/C5) lies above disc 4 (C3/C4)")


@pytest.mark.parametrize(("option", "value", "name"), [("-ldisc", 11, "disc 11"), ("-pmj", 50, "the PMJ label")])
def test_labels_far_to_the_side(inputs, tmp_path, capsys, option, value, name):
    """The phantom is too narrow for that: widen every file, then label a corner."""
    for path in inputs.values():
        spoil(path, lambda data: np.pad(data, ((0, 60), (0, 0), (0, 0))))
    if option == "-pmj":
        spoil(inputs["-pmj"], np.zeros_like)
    spoil(inputs[option], set_voxel(value, -1, 100, 20))
    fails(inputs, tmp_path, capsys, f"{name}", "mm sideways from the cord")


def test_labels_beyond_the_mask_and_special_values_are_noted(inputs, tmp_path, capsys):
    spoil(inputs["-s"], lambda data: np.where(np.arange(data.shape[1])[None, :, None] < 40, 0, data))
    spoil(inputs["-ldisc"], set_voxel(70, 30, 60, 20))
    assert main(arguments(inputs, tmp_path / "out", "-figure", "0")) == 0
    printed = capsys.readouterr().out
    assert "note: label 70: no disc (discs end at 26): left out" in printed
    assert "T2/T3): beyond the ends of the cord mask: left out" in printed


def test_fewer_than_two_discs(inputs, tmp_path, capsys):
    spoil(inputs["-ldisc"], lambda data: np.where(data == 4, 4, 0))
    fails(inputs, tmp_path, capsys, "1 disc label beside the cord mask")


def test_two_pmj_voxels(inputs, tmp_path, capsys):
    spoil(inputs["-pmj"], set_voxel(50, 3, 3, 3))
    fails(inputs, tmp_path, capsys, "holds the value 50 in two places")


def test_output_folder_that_is_a_file(inputs, tmp_path, capsys):
    (tmp_path / "out").write_text("mine")
    assert main(arguments(inputs, tmp_path / "out")) == 1
    assert "cannot write to" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX user ids")
def test_output_folder_without_permission(inputs, capsys):
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        folder = Path(name)
        folder.chmod(0o755)
        for option, path in inputs.items():
            inputs[option] = Path(shutil.copy(path, folder))
        assert main(arguments(inputs, folder / "first", "-v", "0", "-figure", "0")) == 0
        (folder / "locked").mkdir()
        (folder / "locked").chmod(0o555)
        root = os.geteuid() == 0  # root may write anywhere: become nobody for the moment
        if root:
            os.seteuid(65534)
        try:
            assert main(arguments(inputs, folder / "locked", "-figure", "0")) == 1
        finally:
            if root:
                os.seteuid(0)
        assert "cannot write to" in capsys.readouterr().err
        assert list((folder / "locked").iterdir()) == []


def test_an_input_is_not_replaced(inputs, tmp_path, capsys):
    folder = tmp_path / "out"
    folder.mkdir()
    inputs["-rootlets"] = inputs["-rootlets"].rename(folder / f"{STEM}_label-spinalLevels_dseg.nii.gz")
    before = inputs["-rootlets"].read_bytes()
    assert main(arguments(inputs, folder)) == 1
    assert "is an input and would be replaced" in capsys.readouterr().err
    assert [path.read_bytes() for path in folder.iterdir()] == [before]


def test_image_in_place_of_the_mask(inputs, phantom_folder, tmp_path, capsys):
    inputs["-s"] = phantom_folder / "sub-phantom01" / "anat" / f"{STEM}.nii.gz"
    fails(inputs, tmp_path, capsys, f"{STEM}.nii.gz", "as a scan", "give the mask of the cord")


def test_swapped_levels_are_named(inputs, tmp_path, capsys):
    spoil(inputs["-rootlets"], lambda data: np.where((data == 4) | (data == 5), 9 - data, data))
    assert main(arguments(inputs, tmp_path / "out", "-figure", "0")) == 0
    table = pd.read_csv(tmp_path / "out" / f"{STEM}_levels.csv")
    spinal = table[table.kind == "spinal"].set_index("name")
    assert list(spinal.index) == ["C2", "C3", "C6", "C7", "C8", "T1"]
    assert not spinal.complete["C6"]
    assert "as one of the two bears the wrong name" in capsys.readouterr().out


def test_files_of_an_earlier_run_are_pointed_out(inputs, tmp_path, capsys):
    assert main(arguments(inputs, tmp_path / "out")) == 0
    capsys.readouterr()
    assert main(arguments({"-s": inputs["-s"], "-ldisc": inputs["-ldisc"]}, tmp_path / "out", "-figure", "0")) == 0
    printed = capsys.readouterr().out
    for name in ("levels.png", "correspondence.csv", "label-spinalLevels_dseg.nii.gz"):
        assert f"{STEM}_{name} is of an earlier run" in printed


def test_levels_without_a_partner_give_an_empty_table(inputs, tmp_path, capsys):
    spoil(inputs["-rootlets"], lambda data: np.where(data <= 3, data, 0))
    spoil(inputs["-ldisc"], lambda data: np.where(data >= 8, data, 0))
    assert main(arguments(inputs, tmp_path / "out", "-figure", "0")) == 0
    assert "the correspondence table is empty" in capsys.readouterr().out
    assert len(pd.read_csv(tmp_path / "out" / f"{STEM}_correspondence.csv")) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("reader", ["| head -n 0", ">/dev/full"])
def test_nobody_reads_what_is_printed(inputs, tmp_path, reader):
    if "full" in reader and not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    command = shlex.join([sys.executable, "-m", "sct_rootlets.cli.compute_spinal_levels"])
    line = f"{command} {shlex.join(arguments(inputs, tmp_path / 'out', '-figure', '0'))} {reader}"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / f"{STEM}_levels.csv").exists()


def test_a_terminal_without_these_letters(inputs, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "sct_rootlets.cli.compute_spinal_levels", *arguments(inputs, tmp_path / "out")],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "MPLBACKEND": "nonsense"},
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_terminated(inputs, tmp_path):
    """SIGTERM, as a cluster sends it, while files are being written."""
    code = (
        "import os, signal, sys\n"
        "import sct_rootlets.output.levels as levels\n"
        "from sct_rootlets.cli.compute_spinal_levels import main\n"
        "levels.write_table = lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments(inputs, tmp_path / "out")], capture_output=True, check=False
    )
    assert done.returncode == 143
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX resource limits")
def test_disk_full_half_way(inputs, tmp_path):
    """A limit on file size stands in for a full disk: small files still fit, the level map does not."""
    import resource

    folder = tmp_path / "out"
    assert main(arguments(inputs, folder, "-v", "0", "-figure", "0")) == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sct_rootlets.cli.compute_spinal_levels",
            *arguments(inputs, folder, "-method", "extent"),
        ],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500)),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "MPLCONFIGDIR": str(tmp_path)},
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1
    assert "cannot write to" in done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_interrupted(inputs, tmp_path, capsys, monkeypatch):
    import sct_rootlets.output.levels as levels

    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(levels, "write_table", interrupted)
    assert main(arguments(inputs, tmp_path / "out")) == 130
    assert "interrupted; nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def centerline_of(mask_path, target):
    """Write the voxels that are nearest to the middle of a mask, one a slice."""
    mask = nib.load(mask_path)
    line = np.zeros(mask.shape, np.uint8)
    axis = next(i for i, code in enumerate(nib.aff2axcodes(mask.affine)) if code in "SI")
    voxels = np.argwhere(np.asarray(mask.dataobj))
    for k in np.unique(voxels[:, axis]):
        line[tuple(np.rint(voxels[voxels[:, axis] == k].mean(axis=0)).astype(int))] = 1
    nib.save(nib.Nifti1Image(line, mask.affine), target)
    return target


def test_a_centerline_is_taken_and_named_in_the_sidecar(inputs, tmp_path, capsys):
    """Its voxels are those nearest to the middle of the mask: the levels stay where they are within a voxel."""
    plain, given = tmp_path / "plain", tmp_path / "given"
    assert main(arguments(inputs, plain, "-figure", "0")) == 0
    inputs["-centerline"] = centerline_of(inputs["-s"], tmp_path / "line.nii.gz")
    assert main(arguments(inputs, given, "-figure", "0")) == 0
    one, other = (pd.read_csv(folder / f"{STEM}_levels.csv") for folder in (plain, given))
    assert list(one["name"]) == list(other["name"])
    assert np.abs(one["midpoint_mm"] - other["midpoint_mm"]).max() < 1
    sidecar = json.loads((given / f"{STEM}_label-spinalLevels_dseg.json").read_text())
    assert "line.nii.gz" in sidecar["Inputs"]["centerline"]


def test_a_centerline_of_another_scan(inputs, tmp_path, capsys):
    inputs["-centerline"] = centerline_of(inputs["-s"], tmp_path / "line.nii.gz")
    spoil(inputs["-centerline"], lambda data: np.roll(data, 12, axis=2))
    fails(inputs, tmp_path, capsys, "the centerline lies up to", "beside the cord mask")


@pytest.mark.parametrize(
    ("option", "given", "said"),
    [
        ("-pmj", "-s", "holds a region, not a point"),
        ("-pmj", "-ldisc", "none of them 50; the PMJ is one voxel of the value 50"),
        ("-pmj", "-i", "different values, as a scan does"),
        ("-pmj", "-rootlets", "holds a region, not a point"),
        ("-centerline", "-s", "is a filled mask, not a line"),
        ("-centerline", "-ldisc", "holds points, not a line"),
        ("-centerline", "-i", "different values, as a scan does"),
        ("-centerline", "table", "is a table (it begins with 'level,name'), and no image"),
        ("-centerline", "line", "is a table of positions, as sct_get_centerline writes"),
    ],
)
def test_a_file_of_another_kind_is_named(phantom_folder, inputs, tmp_path, capsys, option, given, said):
    files = {**inputs, "table": tmp_path / "table.csv", "line": tmp_path / "line.csv"}
    files["-i"] = phantom_folder / "sub-phantom01" / "anat" / f"{STEM}.nii.gz"
    files["table"].write_text("level,name\n3,C3\n")
    files["line"].write_text("1.0e+01,2.0e+01,0.0\n1.0e+01,2.1e+01,1.0\n")
    inputs[option] = files[given]
    fails(inputs, tmp_path, capsys, files[given].name, said)


@pytest.mark.parametrize(
    ("year", "pattern", "column"),
    [
        ([], "*label-rootlet*_pmj_distance.csv", "distance_from_pmj_start"),
        (["2025"], "*label-rootlet*_pmj_distance.csv", "distance_from_pmj_start"),
        (["2026"], "*_pmj_distance_rootlets-only.csv", "distance_from_pmj_start_S-I"),
    ],
)
def test_published_scripts_find_their_tables(inputs, tmp_path, year, pattern, column):
    folder = tmp_path / "levels"
    argv = [*arguments(inputs, folder, "-figure", "0", "-method", "extent"), "-published-csv", *year]
    done = subprocess.run(
        [sys.executable, "-m", "sct_rootlets.cli.compute_spinal_levels", *argv], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    (path,) = folder.glob(pattern)
    table = pd.read_csv(path)
    assert column in table
    assert set(table.fname) == {f"{STEM}_label-rootlets_dseg.nii.gz"}
    assert len(list(folder.glob("*_pmj_distance*.csv"))) == 2


def test_published_scripts_of_another_year(inputs, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments(inputs, tmp_path / "levels", "-published-csv", "2024"))
    assert stopped.value.code == 2
    assert "2025" in capsys.readouterr().err


@pytest.fixture
def coloured(inputs, tmp_path) -> Path:
    """The cord coloured by vertebral level."""
    given = {option: inputs[option] for option in ("-s", "-ldisc")}
    assert main(arguments(given, tmp_path / "made", "-figure", "0", "-v", "0")) == 0
    return tmp_path / "made" / f"{STEM}_label-vertebralLevels_dseg.nii.gz"


def test_a_coloured_cord_in_place_of_disc_labels_and_the_reverse(inputs, coloured, tmp_path, capsys):
    points = inputs["-ldisc"]
    inputs["-ldisc"] = coloured
    fails(inputs, tmp_path, capsys, coloured.name, "regions, not points", "-vertfile of sct_compute_spinal_levels")
    del inputs["-ldisc"]
    fails(inputs | {"-vertfile": points}, tmp_path, capsys, points.name, "not regions", "-ldisc")
    fails(inputs | {"-rootlets": coloured}, tmp_path, capsys, coloured.name, "inside the cord", "coloured by level")
    assert main(arguments(inputs | {"-vertfile": coloured}, tmp_path / "out", "-figure", "0")) == 0


def test_discs_in_place_of_rootlets(inputs, tmp_path, capsys):
    inputs["-rootlets"] = inputs["-ldisc"]
    fails(inputs, tmp_path, capsys, inputs["-ldisc"].name, "points, not rootlets", "-ldisc")


def test_values_of_totalspineseg_are_one_line_of_a_process(inputs, tmp_path):
    spoil(inputs["-ldisc"], lambda data: np.where(data > 0, data + 60, 0))
    command = [sys.executable, "-m", "sct_rootlets.cli.compute_spinal_levels", *arguments(inputs, tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "values of TotalSpineSeg (61 to 70), which are no disc numbers" in done.stderr
    assert "`sct_deepseg spine`, give its discs (…_totalspineseg_discs, or …_levels)" in done.stderr


def test_a_sliver_of_the_next_vertebra_is_no_border(inputs, coloured, tmp_path, capsys):
    """As sct_label_vertebrae paints it in the last slice of the mask: T1 is then not known, rather than complete."""
    image = nib.load(coloured)
    data = np.asanyarray(image.dataobj).copy()
    axis = next(axis for axis, code in enumerate(nib.aff2axcodes(image.affine)) if code in "SI")
    slices = np.moveaxis(data, axis, 0)
    if nib.aff2axcodes(image.affine)[axis] == "S":
        slices = slices[::-1]
    first = [index for index, plane in enumerate(slices) if (plane == 8).any()]
    slices[first[-1] + 1 :] = 0
    slices[first[-1]][slices[first[-1]] > 0] = 9
    path = tmp_path / "labeled.nii.gz"
    nib.save(nib.Nifti1Image(data, image.affine), path)
    given = {"-s": inputs["-s"], "-vertfile": path}
    assert main(arguments(given, tmp_path / "out", "-figure", "0")) == 0
    assert "note: labeled.nii.gz: the value 9 fills one or two slices at the end of the map" in capsys.readouterr().out
    levels = pd.read_csv(tmp_path / "out" / f"{STEM}_levels.csv")
    assert levels.name.tolist()[-1] == "C7"
