import shutil
import subprocess
import sys

import pytest

from sct_rootlets.cli.bids import main


def test_help_without_what_runs_workers():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'submitit', 'numpy', 'filelock')));"
        "from sct_rootlets.cli.bids import main; main(['-h'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "participant|group" in done.stdout


@pytest.mark.parametrize(
    "more",
    [
        ["nobody"],
        [],
        ["participant", "-jobs", "0"],
        ["participant", "-slurm", "account"],
        ["participant", "-include", "("],
    ],
)
def test_bad_usage_exits_2(tmp_path, more):
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path), str(tmp_path / "out"), *more])
    assert stop.value.code == 2


def test_a_folder_that_is_none_of_bids_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path), str(tmp_path / "out"), "participant"]) == 1
    assert "is it a BIDS folder?" in capsys.readouterr().err
    assert main([str(tmp_path / "none"), str(tmp_path / "out"), "group"]) == 1
    assert "does not exist; check the path" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_dry_run_says_what_would_be_done_and_does_nothing(phantom_folder, tmp_path, capsys):
    assert (
        main([str(phantom_folder), str(tmp_path / "out"), "participant", "-dry-run", "-include-list", "sub-phantom01"])
        == 0
    )
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "sub-phantom01_T2w: to be done (with cord, discs, pmj, rootlets)",
        "1 scans, 1 to be done",
    ]
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_to_is_one_line(phantom_folder, tmp_path, capsys):
    pytest.importorskip("submitit", reason="submitit is not installed")
    (tmp_path / "out").write_text("a file")
    assert main([str(phantom_folder), str(tmp_path / "out"), "participant", "-v", "0"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("sct_rootlets bids: error: cannot write to")
    assert error.count("\n") == 1


def test_a_list_of_no_scans_is_not_taken_for_all(phantom_folder, tmp_path, capsys):
    (tmp_path / "passed.txt").write_text("\n")
    arguments = [
        str(phantom_folder),
        str(tmp_path / "out"),
        "participant",
        "-include-list",
        str(tmp_path / "passed.txt"),
    ]
    assert main([*arguments, "-dry-run"]) == 1
    assert "passed.txt lists no scans" in capsys.readouterr().err


def test_labels_under_older_names_and_what_is_left_out(phantom_folder, tmp_path):
    """As a process: labels of four datasets, of which none is called as today."""
    anat = phantom_folder / "sub-phantom01" / "anat" / "sub-phantom01_T2w.nii.gz"
    labels = phantom_folder / "derivatives" / "labels" / "sub-phantom01" / "anat"
    root = tmp_path / "bids"
    endings = {
        "01": ("seg-manual", "labels-disc-manual"),
        "02": ("seg", "seg_labeled_discs"),
        "03": ("label-SC_mask-manual", "label-disc-manual"),
        "04": ("lbl", "vertebrae"),
    }
    for subject, (cord, discs) in endings.items():
        stem = f"sub-{subject}/anat/sub-{subject}_T2w"
        for source, target in (
            (anat, root / f"{stem}.nii.gz"),
            (labels / "sub-phantom01_T2w_label-SC_seg.nii.gz", root / f"derivatives/labels/{stem}_{cord}.nii.gz"),
            (
                labels / "sub-phantom01_T2w_label-discs_dlabel.nii.gz",
                root / f"derivatives/labels/{stem}_{discs}.nii.gz",
            ),
        ):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    (root / "sub-05" / "anat").mkdir(parents=True)
    command = [sys.executable, "-m", "sct_rootlets.cli.bids", root, tmp_path / "out", "participant", "-dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-5:] == [
        *(f"sub-{number}_T2w: to be done (with cord, discs)" for number in ("01", "02", "03")),
        "sub-04_T2w: to be done",
        "4 scans, 4 to be done",
    ]
    repeated = [line for line in lines[:-5] if "sub-01_T2w.nii.gz, so it is one scan under two names" in line]
    assert len(repeated) == 3  # the images are copies of one
    notes = [line for line in lines[:-5] if line not in repeated]
    assert len(notes) == 3
    assert "sub-04_T2w_lbl.nii.gz is left out" in notes[0]
    assert "sub-04_T2w_vertebrae.nii.gz is left out" in notes[1]
    assert notes[2].endswith("sub-05 has no usable scan: none of T2w, UNIT1, INV1, INV2 is in anat, but no image")
