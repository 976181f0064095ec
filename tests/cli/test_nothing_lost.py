"""Files of the user survive every command; what a command wrote itself is replaced by the same command."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
from cohorts import write_cohort
from ladder import cord, ladder, write

from sct_rootlets.cli import compute_spinal_levels, deepseg, evaluate
from sct_rootlets.cli.main import main

STEM = "sub-phantom01_T2w"


@pytest.fixture
def scan(phantom_files, tmp_path):
    """Image and labels of a phantom in a folder of their own, under short names."""
    names = {"image": "t2", "cord": "t2_cord", "rootlets": "t2_roots", "discs": "t2_discs"}
    return {key: shutil.copy(phantom_files[key], tmp_path / f"{name}.nii.gz") for key, name in names.items()}


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(command, arguments, capsys, *fragments, status=1):
    """The command ends with one line that holds the fragments."""
    assert command([str(part) for part in arguments]) == status
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    for fragment in fragments:
        assert fragment in printed.err


@pytest.fixture
def no_networks(monkeypatch):
    def load(_):
        raise AssertionError("the networks were loaded")

    monkeypatch.setattr("sct_rootlets.deepseg.load_networks", load)


@pytest.mark.parametrize("name", ["t2_seg.nii.gz", "t2_rootlets.json", "t2_rootlets.tsv", "t2_seg.json"])
def test_deepseg_keeps_what_it_did_not_write(scan, tmp_path, capsys, no_networks, name):
    (tmp_path / name).write_text("{}")
    before = contents(tmp_path)
    ways = "replace it (-overwrite 1), write to another name (-o)" if name == "t2_seg.nii.gz" else "(-o)"
    refused(deepseg.main, ["rootlets_cord", "-i", scan["image"]], capsys, f"{tmp_path / name} was not written", ways)
    assert contents(tmp_path) == before


def test_deepseg_keeps_discs_that_were_labelled_by_hand(scan, tmp_path, capsys, no_networks):
    before = contents(tmp_path)
    refused(deepseg.main, ["discs", "-i", scan["image"]], capsys, f"{scan['discs']} was not written", "-ldisc")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("option", ["-ldisc", "-s"])
@pytest.mark.parametrize("overwrite", [0, 1])
def test_deepseg_keeps_its_inputs(scan, tmp_path, capsys, no_networks, option, overwrite):
    (tmp_path / "sub").mkdir()
    for target in (scan["discs"], tmp_path / "sub" / ".." / "t2_discs", scan["image"]):
        arguments = ["rootlets", "-i", scan["image"], option, scan["discs"], "-o", target, "-overwrite", overwrite]
        before = contents(tmp_path)
        refused(deepseg.main, arguments, capsys, "is an input and would be replaced")
        assert contents(tmp_path) == before


def test_deepseg_keeps_the_sidecar_of_the_scan(scan, tmp_path, capsys, no_networks):
    raw = (tmp_path / "raw.nii").resolve()
    nib.save(nib.load(scan["image"]), raw)
    (tmp_path / "raw.json").write_text('{"EchoTime": 0.1}')
    arguments = ["rootlets", "-i", raw, "-o", tmp_path / "raw.nii.gz", "-overwrite", "1"]
    refused(deepseg.main, arguments, capsys, "raw.json is the sidecar of an input")


def test_two_images_of_one_output_are_refused_at_once(scan, tmp_path, capsys, no_networks):
    (tmp_path / "t2.nii").write_bytes(b"")
    for images in ([tmp_path / "t2.nii", scan["image"]], [scan["image"], tmp_path / "." / "t2.nii.gz"]):
        refused(deepseg.main, ["rootlets", "-i", *images, "-overwrite", "1"], capsys, "would both write")
    (tmp_path / "t2_rootlets.nii.gz").write_bytes(b"")
    images = [scan["image"], tmp_path / "t2_rootlets.nii.gz"]
    refused(deepseg.main, ["rootlets", "-i", *images, "-overwrite", "1"], capsys, "is an input and would be replaced")
    refused(deepseg.main, ["rootlets", "-i", *images[:1]], capsys, "(-o)")


def test_deepseg_replaces_its_own_files_and_takes_a_given_cord(scan, tmp_path, capsys):
    """Run twice, with an edited mask, and with that mask as input; the mask is the cord of the result."""
    pytest.importorskip("torch")
    command = ["rootlets_cord", "-i", str(scan["image"])]
    assert deepseg.main(command) == 0
    first = contents(tmp_path)
    assert deepseg.main(command) == 0
    assert contents(tmp_path) == first
    seg = tmp_path / "t2_seg.nii.gz"
    image = nib.load(seg)
    mask = np.asarray(image.dataobj).copy()
    mask[:, np.flatnonzero(mask.any(axis=(0, 2)))[:12]] = 0  # the axis of the slices from bottom to top
    nib.save(nib.Nifti1Image(mask, image.affine), seg)
    edited = seg.read_bytes()
    capsys.readouterr()
    refused(deepseg.main, command, capsys, "t2_seg.nii.gz was not written", "or use it as input (-s)")
    assert deepseg.main([*command, "-s", str(seg), "-qc", str(tmp_path / "qc")]) == 0
    assert seg.read_bytes() == edited
    assert json.loads((tmp_path / "t2_rootlets.json").read_text())["Settings"]["CordMask"] == "t2_seg.nii.gz"
    lines = capsys.readouterr().out.split("written:\n")[1].splitlines()
    written = [line for line in lines if line.startswith("  ") and "fsleyes" not in line]
    assert any("t2_rootlets.nii.gz" in line for line in written)
    assert not any("t2_seg" in line for line in written)
    rootlets = np.asarray(nib.load(tmp_path / "t2_rootlets.nii.gz").dataobj)
    assert rootlets.any()
    assert not (rootlets[mask > 0]).any()
    assert deepseg.main([*command, "-overwrite", "1", "-v", "0"]) == 0
    assert {name: data for name, data in contents(tmp_path).items() if not name.startswith("qc")} == first


def levels(scan, folder, *more):
    options = ("-s", scan["cord"], "-rootlets", scan["rootlets"], "-ldisc", scan["discs"], "-ofolder", folder)
    return [str(part) for part in (*options, *more)]


def test_levels_keep_what_was_edited(scan, tmp_path, capsys):
    out = tmp_path / "out"
    assert compute_spinal_levels.main(levels(scan, out)) == 0
    first = contents(out)
    assert compute_spinal_levels.main(levels(scan, out)) == 0
    assert contents(out) == first
    for name in first:
        (out / name).write_bytes(first[name].replace(b': "S', b': "My S', 1) if name.endswith("json") else b"mine")
        before = contents(out)
        capsys.readouterr()
        refused(
            compute_spinal_levels.main, levels(scan, out, "-method", "extent"), capsys,
            f"{out / name} was not written by this command, or was edited since",
            "replace it (-overwrite 1) or write to another folder (-ofolder)",
        )  # fmt: skip
        assert contents(out) == before
        assert compute_spinal_levels.main(levels(scan, out, "-overwrite", "1", "-v", "0")) == 0
        assert contents(out) == first
    assert compute_spinal_levels.main(levels(scan, out, "-method", "extent", "-v", "0")) == 0
    assert contents(out) != first


def test_levels_stop_before_the_networks_and_name_the_input(scan, tmp_path, capsys, no_networks):
    for ending, option in (("label-rootlets_dseg", "-rootlets"), ("label-SC_seg", "-s")):
        path = shutil.copy(scan["rootlets"], tmp_path / f"t2_{ending}.nii.gz")
        arguments = ["-i", scan["image"], "-ldisc", scan["discs"], "-ofolder", tmp_path]
        refused(compute_spinal_levels.main, arguments, capsys, path.name, f"or use it as input ({option})")
        path.unlink()


def test_every_input_of_levels_is_kept(scan, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    for key, option in (("cord", "-s"), ("rootlets", "-rootlets"), ("discs", "-ldisc")):
        given = dict(scan) | {key: shutil.copy(scan[key], out / "t2_label-spinalLevels_dseg.nii.gz")}
        before = contents(tmp_path)
        arguments = [*levels(given, out, "-overwrite", "1")]
        if key == "cord":
            arguments += ["-i", str(scan["image"])]
        else:
            given["cord"] = shutil.copy(scan["cord"], tmp_path / "t2_seg.nii.gz")
            before = contents(tmp_path)
            arguments = levels(given, out, "-overwrite", "1")
        refused(compute_spinal_levels.main, arguments, capsys, "is an input and would be replaced")
        assert contents(tmp_path) == before, option


def test_register_keeps_what_it_did_not_write(scan, template_folder, tmp_path, capsys):
    out = tmp_path / "reg"
    command = ["register", "-i", scan["image"], "-s", scan["cord"], "-rootlets", scan["rootlets"], "-figure", "0"]
    command += ["-template", template_folder, "-ofolder", out, "-v", "0"]
    assert main([*map(str, command)]) == 0
    first = contents(out)
    assert main([*map(str, command)]) == 0
    assert contents(out) == first
    (out / "warp_anat2template.nii.gz").write_bytes(b"mine")
    refused(main, command, capsys, "warp_anat2template.nii.gz was not written", "(-overwrite 1)", "(-ofolder)")
    assert main([*map(str, command), "-overwrite", "1"]) == 0
    assert contents(out) == first
    given = shutil.copy(scan["cord"], out / "cord2anat.nii.gz")
    command[command.index("-s") + 1] = given
    refused(main, [*command, "-overwrite", "1"], capsys, "cord2anat.nii.gz is an input and would be replaced")


def test_group_keeps_what_it_did_not_write(tmp_path, capsys):
    write_cohort(tmp_path / "levels", 4)
    out = tmp_path / "group"
    command = ["group", "-i", tmp_path / "levels", "-ofolder", out, "-bootstrap", "0", "-v", "0"]
    assert main([*map(str, command)]) == 0
    first = contents(out)
    assert main([*map(str, command)]) == 0
    assert contents(out) == first
    for name in ("group_pairs.csv", "group_summary.md", "group_lengths.svg"):
        (out / name).write_text("mine")
        refused(main, command, capsys, f"{name} was not written", "(-overwrite 1)", "(-ofolder)")
        assert (out / name).read_text() == "mine"
        assert main([*map(str, command), "-overwrite", "1"]) == 0
        assert contents(out) == first


def test_evaluate_keeps_what_it_did_not_write(tmp_path, capsys):
    write(tmp_path / "labels", "sub-01_T2w_label-rootlets_dseg.nii.gz", ladder())
    write(tmp_path / "ours", "sub-01_T2w_rootlets.nii.gz", ladder(shift=1))
    out = tmp_path / "out"
    command = ["-i", tmp_path / "ours", "-ref", tmp_path / "labels", "-ofolder", out, "-v", "0"]
    assert evaluate.main([*map(str, command)]) == 0
    first = contents(out)
    assert evaluate.main([*map(str, command)]) == 0
    assert contents(out) == first
    for name in ("levels.csv", "scores.png", "evaluation.json"):
        edited = first[name].replace(b"Eval", b"My eval") if name.endswith("json") else b"mine"
        (out / name).write_bytes(edited)
        refused(evaluate.main, command, capsys, f"{name} was not written", "(-overwrite 1)", "(-ofolder)")
        assert (out / name).read_bytes() == edited
        assert evaluate.main([*map(str, command), "-overwrite", "1"]) == 0
        assert contents(out) == first


def test_a_consensus_that_is_an_input_is_kept(tmp_path, capsys):
    pytest.importorskip("SimpleITK")
    name = "sub-01_T2w_label-rootlets_desc-staple_dseg.nii.gz"
    write(tmp_path / "a", name, ladder())
    write(tmp_path / "b", "sub-01_T2w_label-rootlets_dseg.nii.gz", ladder(shift=1))
    write(tmp_path, "sub-01_T2w_label-SC_seg.nii.gz", cord())
    before = contents(tmp_path)
    command = ["-raters", tmp_path / "a" / name, tmp_path / "b", "-ofolder", tmp_path / "a", "-overwrite", "1"]
    refused(evaluate.main, command, capsys, f"{name} is an input and would be replaced")
    assert contents(tmp_path) == before


def test_phantoms_keep_other_files(tmp_path, capsys):
    command = ["phantom", "-ofolder", tmp_path / "p", "-v", "0"]
    assert main([*map(str, command)]) == 0
    first = contents(tmp_path)
    assert main([*map(str, command)]) == 0
    (tmp_path / "p" / "dataset_description.json").write_text("{}")
    before = contents(tmp_path)
    refused(main, command, capsys, "dataset_description.json was not written", "(-overwrite 1)", "(-ofolder)")
    assert contents(tmp_path) == before
    assert main([*map(str, command), "-overwrite", "1"]) == 0
    assert contents(tmp_path) == first


def test_results_of_a_cohort_never_become_labels(tmp_path, capsys):
    main(["phantom", "-ofolder", str(tmp_path / "B"), "-v", "0"])
    before = contents(tmp_path)
    other = tmp_path / "mine"
    other.mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "B" / "derivatives" / "labels")
    for out, more in (
        (tmp_path / "B" / "derivatives" / "labels", []),
        (tmp_path / "B" / "derivatives" / "labels" / "new", []),
        (tmp_path / "C" / "derivatives" / "labels", []),
        (tmp_path / "link", []),
        (other, ["-labels", other]),
    ):
        command = ["bids", tmp_path / "B", out, "participant", *more, "-dry-run"]
        refused(main, command, capsys, f"{out} is a folder of labels, and results would get the names of manual labels")
    assert contents(tmp_path) == before | {key: before[f"B/derivatives/labels/{key[5:]}"] for key in contents(tmp_path)
                                           if key.startswith("link/")}  # fmt: skip


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("deepseg", ["rootlets_cord", "-i", "t2.nii.gz"]),
        ("compute_spinal_levels", ["-i", "t2.nii.gz", "-s", "t2_cord.nii.gz"]),
        ("main", ["register", "-i", "t2.nii.gz"]),
        ("main", ["group", "-i", ".", "-ofolder", "."]),
        ("main", ["evaluate", "-i", "t2_roots.nii.gz", "-ref", "t2_roots.nii.gz"]),
        ("main", ["phantom", "-ofolder", "."]),
    ],
)
def test_as_a_process(scan, tmp_path, module, arguments):
    names = ("t2_seg.nii.gz", "t2_levels.csv", "registration.csv", "group_pairs.csv", "summary.md", "summary.csv")
    for name in (*names, "dataset_description.json"):
        (tmp_path / name).write_text("mine")
    before = contents(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; from sct_rootlets.cli.{module} import main; sys.exit(main())", *arguments],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1
    assert "was not written by this command" in done.stderr
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("stop", "status"), [(KeyboardInterrupt, 130), (signal.SIGTERM, 143)])
def test_an_interruption_before_the_page_names_what_was_written(scan, tmp_path, capsys, monkeypatch, stop, status):
    def interrupt(*_):
        if stop is KeyboardInterrupt:
            raise KeyboardInterrupt
        os.kill(os.getpid(), stop)

    monkeypatch.setattr("sct_rootlets.output.page.add_levels", interrupt)
    command = levels(scan, tmp_path / "out", "-figure", "0", "-qc", tmp_path / "qc")
    if stop is KeyboardInterrupt:
        assert compute_spinal_levels.main(command) == status
    else:
        with pytest.raises(SystemExit) as stopped:
            compute_spinal_levels.main(command)
        assert stopped.value.code == status
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "nothing was written" not in error
    written = sorted((tmp_path / "out").iterdir())
    assert f"written before that, and complete: {', '.join(map(str, written))}; run the command again" in error


def test_two_processes_in_one_folder_leave_the_set_of_one(scan, tmp_path):
    """Each may wait, replace the other's set, or stop with one line; tables, maps and records are of one method."""
    out = tmp_path / "out"
    labels = ("-s", scan["cord"], "-rootlets", scan["rootlets"], "-ldisc", scan["discs"])
    start = [sys.executable, "-m", "sct_rootlets.cli.compute_spinal_levels", *labels, "-figure", "0", "-ofolder", out]
    for _ in range(3):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        both = [subprocess.Popen([*map(str, start), "-method", method], **pipes) for method in ("extent", "midgap")]
        said = [process.communicate(timeout=120) for process in both]
        statuses = [process.returncode for process in both]
        assert 0 in statuses
        assert set(statuses) <= {0, 1}
        assert all(error.count("\n") == (status != 0) for status, (_, error) in zip(statuses, said, strict=True))
        record = json.loads((out / "t2_cord_levels.json").read_text())
        rows = (out / "t2_cord_levels.csv").read_text().splitlines()
        methods = {row.split(",")[3] for row in rows if ",spinal," in row}
        sidecar = json.loads((out / "t2_cord_label-spinalLevels_dseg.json").read_text())
        assert methods == {record["Method"]} == {sidecar["Method"]}
        hashes = {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in record["Written"]}
        assert hashes == record["Written"]
        assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]
