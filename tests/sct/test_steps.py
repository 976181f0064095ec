"""Steps of the Spinal Cord Toolbox, with stand-ins for its commands: what they get, and what becomes of failures."""

import shutil
import stat
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.cli.compute_spinal_levels import main
from sct_rootlets.errors import SctRootletsError
from sct_rootlets.sct.steps import run_steps, sct_command

STEM = "sub-phantom01_T2w"


def command(folder: Path, name: str, body: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def files(phantom_folder):
    labels = phantom_folder / "derivatives" / "labels" / "sub-phantom01" / "anat"
    found = {name: labels / f"{STEM}_label-{name}.nii.gz" for name in ("SC_seg", "discs_dlabel", "PMJ_dlabel")}
    return found | {"image": phantom_folder / "sub-phantom01" / "anat" / f"{STEM}.nii.gz"}


@pytest.fixture
def toolbox(tmp_path, monkeypatch, files):
    """An SCT_DIR whose commands note how they are called, and copy the phantom's labels to where SCT would put them."""
    bin_folder = tmp_path / "sct" / "bin"
    log = tmp_path / "calls.txt"
    note = f'echo "$(basename "$0") $*" >> {log}\n'
    command(bin_folder, "sct_deepseg", f"{note}cp {files['SC_seg']} result.nii.gz")
    command(bin_folder, "sct_label_vertebrae", f"{note}cp {files['discs_dlabel']} mask_labeled_discs.nii.gz")
    command(bin_folder, "sct_detect_pmj", f"{note}cp {files['PMJ_dlabel']} result.nii.gz")
    monkeypatch.setenv("SCT_DIR", str(tmp_path / "sct"))
    return log


def test_what_is_not_given_is_made_and_kept(toolbox, files, tmp_path, capsys):
    folder = tmp_path / "levels"
    rootlets = str(files["SC_seg"]).replace("SC_seg", "rootlets_dseg")
    options = ["-i", str(files["image"]), "-rootlets", rootlets, "-ofolder", str(folder), "-figure", "0"]
    assert main([*options, "-run-sct"]) == 0
    said = capsys.readouterr().out
    assert "from: PMJ" in said
    assert "made by the Spinal Cord Toolbox" in said
    calls = [line.split()[0] for line in toolbox.read_text().splitlines()]
    assert calls == ["sct_deepseg", "sct_label_vertebrae", "sct_detect_pmj"]
    made = folder / f"{STEM}_label-SC_seg.nii.gz"
    assert f"-s {made}" in toolbox.read_text().splitlines()[1]  # discs along the cord that was made
    for name in ("SC_seg", "discs_dlabel", "PMJ_dlabel"):
        assert (folder / f"{STEM}_label-{name}.nii.gz").read_bytes() == files[name].read_bytes()
    assert not list(folder.glob(".*"))

    toolbox.unlink()
    again = ["-s", str(made), "-ldisc", str(folder / f"{STEM}_label-discs_dlabel.nii.gz")]
    assert main([*options, *again, "-run-sct"]) == 0
    assert [line.split()[0] for line in toolbox.read_text().splitlines()] == ["sct_detect_pmj"]


def test_only_what_is_asked_for_is_made(toolbox, files, tmp_path):
    made = run_steps(["pmj"], files["image"], tmp_path / "out", STEM, "t1", files["SC_seg"])
    assert set(made) == {"pmj"}
    call = toolbox.read_text()
    assert call.startswith("sct_detect_pmj")
    assert "-c t1" in call


def test_a_step_that_fails_or_finds_nothing_says_so_and_leaves_nothing(toolbox, files, tmp_path, capsys):
    bin_folder = tmp_path / "sct" / "bin"
    folder = tmp_path / "levels"
    options = ["-i", str(files["image"]), "-s", str(files["SC_seg"]), "-ofolder", str(folder), "-run-sct", "pmj"]
    command(bin_folder, "sct_detect_pmj", "echo working; echo 'no junction here' >&2; exit 3")
    assert main([*options, "-ldisc", str(files["discs_dlabel"])]) == 1
    error = capsys.readouterr().err
    assert error.startswith("sct_compute_spinal_levels: error: sct_detect_pmj failed with: no junction here (status 3;")
    assert error.count("\n") == 1
    command(bin_folder, "sct_detect_pmj", "exit 0")
    assert main([*options, "-ldisc", str(files["discs_dlabel"])]) == 1
    assert "found no PMJ" in capsys.readouterr().err
    assert not list(folder.iterdir())


def test_discs_of_a_mask_that_is_not_compressed(files, tmp_path, toolbox):
    """SCT then writes <mask>_labeled_discs.nii; what is kept has the ending that it should."""
    mask = tmp_path / "seg.nii"
    nib.save(nib.load(files["SC_seg"]), mask)
    plain = tmp_path / "plain.nii"
    nib.save(nib.load(files["discs_dlabel"]), plain)
    command(tmp_path / "sct" / "bin", "sct_label_vertebrae", f"cp {plain} seg_labeled_discs.nii")
    made = run_steps(["discs"], files["image"], tmp_path / "levels", "sub", cord=mask)
    assert made["discs"].name == "sub_label-discs_dlabel.nii.gz"
    np.testing.assert_array_equal(
        np.asarray(nib.load(made["discs"]).dataobj), np.asarray(nib.load(files["discs_dlabel"]).dataobj)
    )


def test_a_scan_in_metres_is_handed_over_in_mm(files, tmp_path, toolbox):
    """SCT takes the numbers of a header as mm, whatever its unit."""
    given = {}
    for name in ("image", "SC_seg"):
        image = nib.load(files[name])
        affine = np.diag([0.001, 0.001, 0.001, 1]) @ image.affine
        copy = nib.Nifti1Image(np.asanyarray(image.dataobj), affine)
        copy.header.set_xyzt_units("meter")
        given[name] = tmp_path / f"{name}_m.nii.gz"
        nib.save(copy, given[name])
    body = f'cp "$2" {tmp_path}/scan.nii.gz; cp "$4" {tmp_path}/mask.nii.gz; cp {files["PMJ_dlabel"]} result.nii.gz'
    command(tmp_path / "sct" / "bin", "sct_detect_pmj", body)
    run_steps(["pmj"], given["image"], tmp_path / "out", STEM, cord=given["SC_seg"])
    for copied, name in (("scan", "image"), ("mask", "SC_seg")):
        handed, expected = nib.load(tmp_path / f"{copied}.nii.gz"), nib.load(files[name])
        assert handed.header.get_xyzt_units()[0] == "mm"
        np.testing.assert_allclose(handed.affine, expected.affine, atol=1e-3)
        np.testing.assert_array_equal(np.asarray(handed.dataobj), np.asarray(expected.dataobj))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{STEM}_label-PMJ_dlabel.json", f"{STEM}_label-PMJ_dlabel.nii.gz"
    ]  # fmt: skip


def test_what_cannot_be_run_or_written_is_one_line(files, tmp_path, toolbox, capsys):
    bin_folder = tmp_path / "sct" / "bin"
    options = ["-i", str(files["image"]), "-s", str(files["SC_seg"]), "-run-sct", "pmj", "-ofolder"]
    (bin_folder / "sct_detect_pmj").write_text("#!/nowhere/python\n")
    (bin_folder / "sct_detect_pmj").chmod(0o755)
    assert main([*options, str(tmp_path / "levels")]) == 1
    assert "sct_detect_pmj cannot be run (No such file or directory); install it again" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    command(bin_folder, "sct_detect_pmj", "exit 0")
    assert main([*options, str(tmp_path / "file")]) == 1
    assert f"cannot write to {tmp_path / 'file'}" in capsys.readouterr().err
    assert main([*options, str(tmp_path / "levels"), "-ldisc", "missing.nii.gz"]) == 1
    assert "missing.nii.gz does not exist" in capsys.readouterr().err


def test_without_the_toolbox_one_line_says_what_to_do(files, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("SCT_DIR", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["-i", str(files["image"]), "-run-sct", "discs", "-ofolder", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "sct_label_vertebrae of the Spinal Cord Toolbox was not found" in error
    assert error.count("\n") == 1


def test_usage(files, tmp_path, capsys):
    for options, message in (
        (["-s", str(files["SC_seg"]), "-ldisc", "d.nii.gz", "-run-sct"], "-run-sct works on the scan"),
        (["-i", "i.nii.gz", "-run-sct", "discs,bones"], "'bones' is none of cord, discs, pmj"),
        (["-i", "i.nii.gz", "-ldisc", "a.nii.gz", "-vertfile", "b.nii.gz"], "-ldisc or -vertfile, not both"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(options)
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err


def test_our_own_sct_deepseg_is_not_taken_for_theirs(tmp_path, monkeypatch):
    """It comes first on the PATH; theirs lies beside sct_label_vertebrae."""
    command(tmp_path / "ours", "sct_deepseg", "")
    for name in ("sct_deepseg", "sct_label_vertebrae"):
        command(tmp_path / "theirs", name, "")
    monkeypatch.delenv("SCT_DIR", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'ours'}:{tmp_path / 'theirs'}")
    assert sct_command("sct_deepseg") == tmp_path / "theirs" / "sct_deepseg"
    shutil.rmtree(tmp_path / "theirs")
    with pytest.raises(SctRootletsError, match="not found"):
        sct_command("sct_deepseg")
