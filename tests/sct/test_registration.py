"""SCT's own registration in place of ours, with a stand-in for its command: its inputs, and its warps as results."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from sct_rootlets.cli.register import main
from sct_rootlets.nifti import load_volume, save_volume
from sct_rootlets.output.phantoms import write_template

STEM = "sub-phantom01_T2w"

#: Notes its arguments, keeps the labels that it was given, and makes warps that shift by (1, 2, 3) mm (RAS+).
STAND_IN = """
import shutil, sys
import nibabel as nib, numpy as np
from pathlib import Path
from sct_rootlets.nifti import save_field
log, template = Path(sys.argv[1]), Path(sys.argv[2])
arguments = dict(zip(sys.argv[3::2], sys.argv[4::2]))
log.with_name("labels.nii.gz").write_bytes(Path(arguments.get("-lrootlet", arguments.get("-ldisc"))).read_bytes())
log.write_text(" ".join(sys.argv[3:]))
out = Path(arguments["-ofolder"])
out.mkdir()
for name, grid, sign in (("anat2template", template / "template" / "phantom_cord.nii.gz", 1),
                         ("template2anat", Path(arguments["-i"]), -1)):
    image = nib.load(grid)
    field = np.broadcast_to(np.array([1, 2, 3], dtype=np.float32) * sign, (*image.shape, 3))
    save_field(out / f"warp_{name}.nii.gz", field, image.affine)
"""


@pytest.fixture
def template(tmp_path):
    write_template(tmp_path / "template_folder")
    return tmp_path / "template_folder"


@pytest.fixture
def toolbox(tmp_path, template, monkeypatch):
    """An SCT_DIR with a stand-in for sct_register_to_template; returns where its arguments are noted."""
    script, log = tmp_path / "stand_in.py", tmp_path / "calls.txt"
    script.write_text(STAND_IN)
    command = tmp_path / "sct" / "bin" / "sct_register_to_template"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "{log}" "{template}" "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("SCT_DIR", str(tmp_path / "sct"))
    return log


@pytest.fixture
def options(phantom_folder, template, tmp_path):
    labels = phantom_folder / "derivatives" / "labels" / "sub-phantom01" / "anat"
    return [
        *("-i", str(phantom_folder / "sub-phantom01" / "anat" / f"{STEM}.nii.gz")),
        *("-s", str(labels / f"{STEM}_label-SC_seg.nii.gz")),
        *("-rootlets", str(labels / f"{STEM}_label-rootlets_dseg.nii.gz")),
        *("-ldisc", str(labels / f"{STEM}_label-discs_dlabel.nii.gz")),
        *("-template", str(template), "-ofolder", str(tmp_path / "reg"), "-figure", "0", "-engine", "sct"),
    ]


def test_its_warps_take_the_place_of_ours(toolbox, options, template, tmp_path):
    assert main(options) == 0
    call = toolbox.read_text()
    assert "-lrootlet labels.nii.gz" in call
    assert f"-t {template}" in call
    warp = np.asarray(nib.load(tmp_path / "reg" / "warp_anat2template.nii.gz").dataobj)
    np.testing.assert_allclose(warp[5, 5, 5, 0], [-1, -2, 3])  # LPS
    assert '"Engine": "sct_register_to_template"' in (tmp_path / "reg" / "registration.json").read_text()
    assert (tmp_path / "reg" / "levels2anat.nii.gz").exists()


def test_labels_that_the_template_lacks_are_kept_from_it(toolbox, options, tmp_path):
    rootlets = load_volume(options[5])
    changed = tmp_path / "with_t2.nii.gz"
    data = np.where(rootlets.data == 9, 10, rootlets.data).astype(np.uint8)
    save_volume(changed, data, rootlets.affine)
    options[5] = str(changed)
    assert main(options) == 0
    given = np.asarray(nib.load(tmp_path / "labels.nii.gz").dataobj)
    assert set(np.unique(given)) == {0, 2, 3, 4, 5, 6, 7, 8}


def test_the_cord_is_handed_over_whatever_the_order_of_its_axes(toolbox, options, tmp_path):
    """The mask may be stored otherwise than the scan; as it is written for SCT, both must agree in the world."""
    cord = nib.load(options[3])
    turned = tmp_path / "turned.nii.gz"
    nib.save(cord.as_reoriented([[2, 1], [0, -1], [1, 1]]), turned)
    options[3] = str(turned)
    (tmp_path / "stand_in.py").write_text(
        STAND_IN + 'log.with_name("cord.nii.gz").write_bytes(Path(arguments["-s"]).read_bytes())\n'
    )
    assert main(options) == 0
    given = nib.as_closest_canonical(nib.load(tmp_path / "cord.nii.gz"))
    truth = nib.as_closest_canonical(cord)
    np.testing.assert_array_equal(np.asarray(given.dataobj) > 0, np.asarray(truth.dataobj) > 0)
    np.testing.assert_allclose(given.affine, truth.affine, atol=1e-4)


def in_unit(path, target, unit):
    """Write a file whose header says the same places in another unit."""
    image = nib.load(path)
    per_mm = {"meter": 0.001, "micron": 1000.0}[unit]
    affine = np.diag([per_mm, per_mm, per_mm, 1]) @ image.affine
    copy = nib.Nifti1Image(np.asanyarray(image.dataobj), affine, dtype=image.get_data_dtype())
    copy.set_sform(affine, 1)
    copy.set_qform(affine, 1)
    copy.header.set_xyzt_units(unit)
    nib.save(copy, target)
    return str(target)


@pytest.mark.parametrize("unit", ["meter", "micron"])
def test_all_files_are_handed_over_in_mm(toolbox, options, tmp_path, unit):
    (tmp_path / "stand_in.py").write_text(
        STAND_IN + 'for option, name in (("-i", "scan"), ("-s", "cord")):\n'
        '    log.with_name(f"{name}.nii.gz").write_bytes(Path(arguments[option]).read_bytes())\n'
    )
    right = {name: nib.load(options[options.index(option) + 1])
             for name, option in (("scan", "-i"), ("cord", "-s"), ("labels", "-rootlets"))}  # fmt: skip
    for option in ("-i", "-s", "-rootlets", "-ldisc"):
        at = options.index(option) + 1
        options[at] = in_unit(options[at], tmp_path / Path(options[at]).name, unit)
    assert main(options) == 0
    for name, expected in right.items():
        given = nib.load(tmp_path / f"{name}.nii.gz")
        assert given.header.get_xyzt_units()[0] == "mm"
        for placed in (given.header.get_sform(), given.header.get_qform()):
            np.testing.assert_allclose(placed, expected.affine, atol=1e-3)
        np.testing.assert_array_equal(np.asarray(given.dataobj), np.asarray(expected.dataobj))


def test_a_template_in_metres_is_refused(toolbox, options, template, capsys):
    cord = template / "template" / "phantom_cord.nii.gz"
    in_unit(cord, cord, "meter")
    assert main(options) == 1
    error = capsys.readouterr().err
    assert f"the header of {cord} is not in mm, and sct_register_to_template takes its numbers as mm" in error
    assert error.count("\n") == 1
    assert not toolbox.exists()


def test_a_disc_of_several_voxels_is_handed_over_as_one(toolbox, options, tmp_path):
    """SCT takes two voxels of one value for a mistake."""
    discs = load_volume(options[7])
    grown = ndimage.grey_dilation(discs.data, footprint=ndimage.generate_binary_structure(3, 1))
    save_volume(tmp_path / "grown.nii.gz", grown, discs.affine)
    options[7] = str(tmp_path / "grown.nii.gz")
    assert main([*options, "-landmarks", "discs"]) == 0
    given = np.asarray(nib.load(tmp_path / "labels.nii.gz").dataobj)
    np.testing.assert_array_equal(given, discs.data)


def test_a_template_that_lacks_what_sct_needs_is_told_before(toolbox, options, template, capsys):
    (template / "template" / "phantom_t2.nii.gz").unlink()
    (template / "template" / "info_label.txt").unlink()
    assert main(options) == 1
    error = capsys.readouterr().err
    assert "sct_register_to_template needs PAM50_t2.nii.gz, info_label.txt in" in error
    assert not toolbox.exists()


@pytest.mark.parametrize("landmarks", ["rootlets", "discs"])
def test_sct_itself_understands_the_command_line_and_takes_the_labels(
    toolbox, options, template, tmp_path, monkeypatch, landmarks
):
    """Their parser, their check of labels, and their rule that the template must have every label."""
    theirs = pytest.importorskip(
        "spinalcordtoolbox.scripts.sct_register_to_template",
        reason="the Spinal Cord Toolbox is not importable",
        exc_type=ImportError,
    )
    from spinalcordtoolbox.image import Image
    from spinalcordtoolbox.labels import cubic_to_point
    from spinalcordtoolbox.metadata import get_file_label

    discs = load_volume(options[7])
    data = np.where(discs.data == discs.data.max(), 40, discs.data)  # one that the template lacks
    save_volume(tmp_path / "more.nii.gz", data, discs.affine)
    options[7] = str(tmp_path / "more.nii.gz")
    assert main([*options, "-landmarks", landmarks]) == 0
    monkeypatch.chdir(tmp_path)  # their parser makes the output folder
    arguments = theirs.get_parser().parse_args(toolbox.read_text().split())
    option, number, kind = {"rootlets": ("lrootlet", 17, "rootlet"), "discs": ("ldisc", 10, "disc")}[landmarks]
    assert getattr(arguments, option) == "labels.nii.gz"
    assert [arguments.l, arguments.lspinal, arguments.ref, arguments.c] == [None, None, "template", "t2"]
    labels = Image(str(tmp_path / "labels.nii.gz"))
    if landmarks == "rootlets":
        labels = cubic_to_point(labels)
    labels.save(str(tmp_path / "points.nii.gz"))
    found = {int(one.value) for one in theirs.check_labels(str(tmp_path / "points.nii.gz"), label_type=kind)}
    inside = template / "template"
    there = np.asarray(nib.load(inside / get_file_label(str(inside), id_label=number)).dataobj)
    assert len(found) > 3
    assert found <= set(np.unique(there).tolist())
    for needed in (1, 3):
        assert (inside / get_file_label(str(inside), id_label=needed)).exists()


def test_discs_are_handed_over_as_discs(toolbox, options):
    assert main([*options, "-landmarks", "discs"]) == 0
    assert "-ldisc labels.nii.gz" in toolbox.read_text()


def test_failures_are_one_line(toolbox, options, tmp_path, capsys, monkeypatch):
    (tmp_path / "stand_in.py").write_text("import sys; print('ANTs broke', file=sys.stderr); sys.exit(2)")
    assert main(options) == 1
    error = capsys.readouterr().err
    assert "sct_register_to_template failed with: ANTs broke" in error
    assert error.count("\n") == 1
    (tmp_path / "stand_in.py").write_text("")
    assert main(options) == 1
    assert "made no warp_anat2template.nii.gz and no warp_template2anat.nii.gz" in capsys.readouterr().err
    monkeypatch.delenv("SCT_DIR")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(options) == 1
    error = capsys.readouterr().err
    assert "was not found: set SCT_DIR, or use -engine own" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "reg").exists()


@pytest.fixture
def programs():
    """Commands of an installation with its compiled programs."""
    bin_folder = Path(os.environ.get("SCT_DIR", "nowhere")) / "bin"
    if not (bin_folder / "isct_antsRegistration").exists():
        pytest.skip("SCT_DIR is not the folder of an installed Spinal Cord Toolbox")
    return bin_folder


@pytest.mark.parametrize("landmarks", ["rootlets", "discs"])
def test_by_sct_itself_levels_lie_where_they_do_by_ours(programs, options, template, tmp_path, landmarks):
    """Both engines bring the same places of the cord to the same ones."""
    folder = options.index("-ofolder") + 1
    options = [*options, "-landmarks", landmarks]
    fields = {}
    for engine in ("sct", "own"):
        options[options.index("-engine") + 1], options[folder] = engine, str(tmp_path / engine)
        assert main(options) == 0
        fields[engine] = np.squeeze(nib.load(tmp_path / engine / "warp_anat2template.nii.gz").dataobj)
    levels = load_volume(template / "template" / "phantom_spinal_levels.nii.gz").data
    inside = (levels >= 4) & (levels <= 7)
    apart = np.linalg.norm(fields["sct"][inside] - fields["own"][inside], axis=1)
    assert np.median(apart) < 1.0
    assert np.percentile(apart, 95) < 2.5


@pytest.mark.parametrize("direction", ["anat2template", "template2anat"])
def test_sct_applies_our_warps_as_we_do(programs, options, template, tmp_path, direction):
    assert main([*options, "-engine", "own"]) == 0
    scan, reg, inside = options[1], tmp_path / "reg", template / "template"
    moving, still = {"anat2template": (scan, inside / "phantom_t2.nii.gz"),
                     "template2anat": (inside / "phantom_t2.nii.gz", scan)}[direction]  # fmt: skip
    command = [programs / "sct_apply_transfo", "-i", moving, "-d", still, "-w", reg / f"warp_{direction}.nii.gz"]
    subprocess.run([*map(str, command), "-o", str(tmp_path / "theirs.nii.gz"), "-x", "linear"], check=True)
    theirs = np.asarray(nib.load(tmp_path / "theirs.nii.gz").dataobj, dtype=float)
    ours = np.asarray(nib.load(reg / f"{direction}.nii.gz").dataobj, dtype=float)
    assert np.abs(theirs - ours).max() < 0.001 * ours.max()
