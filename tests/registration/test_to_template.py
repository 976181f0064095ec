"""Registration of phantoms whose levels are known, and what bad input does."""

import csv
import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine

from sct_rootlets.cli.register import main
from sct_rootlets.errors import LabelError
from sct_rootlets.image import Volume
from sct_rootlets.nifti import load_volume, save_volume
from sct_rootlets.phantom import draw_phantom, phantom_grid
from sct_rootlets.registration.fields import jacobian
from sct_rootlets.registration.to_template import Registration, register
from sct_rootlets.synthesis.cervical import cervical_anatomy

TEMPLATE = cervical_anatomy(bend_deg=0, sway_mm=0)


def middles(anatomy) -> dict[str, float]:
    """True middle of each level's attachment, mm of arc length."""
    return {name: sum(ends) / 2 for name, ends in anatomy.spinal_extents(0.0).items()}


def at(anatomy, arc: float) -> np.ndarray:
    return anatomy.centerline.position(np.array([arc]))


@pytest.fixture(scope="module")
def drifted():
    """A phantom that is bent another way, 8 % longer, and whose levels lie 5 mm lower against the vertebrae."""
    anatomy = cervical_anatomy(bend_deg=14, sway_mm=4, scale=1.08, drift_mm=5)
    return draw_phantom(anatomy, *phantom_grid(anatomy, (1, 1, 1), "PSR", margin_mm=16))


@pytest.fixture(scope="module")
def registered(drifted, template_folder) -> Registration:
    return register(
        drifted.image, cord=drifted.cord, rootlets=drifted.rootlets, discs=drifted.discs, template=template_folder
    )


def test_levels_go_to_their_levels(drifted, registered):
    warp = registered.alignment.warp
    for name, arc in middles(drifted.anatomy).items():
        moved = warp.to_template(at(drifted.anatomy, arc))
        assert np.linalg.norm(moved - at(TEMPLATE, middles(TEMPLATE)[name])) < 0.6
        assert np.linalg.norm(warp.to_subject(moved) - at(drifted.anatomy, arc)) < 1e-6


def test_discs_go_to_their_discs_if_they_are_the_landmarks(drifted, template_folder):
    found = register(
        drifted.image, cord=drifted.cord, rootlets=drifted.rootlets, discs=drifted.discs, template=template_folder,
        landmarks="discs",
    )  # fmt: skip
    warp = found.alignment.warp
    for value in range(2, 10):
        moved = warp.to_template(at(drifted.anatomy, drifted.anatomy.discs[value]))
        assert np.linalg.norm(moved - at(TEMPLATE, TEMPLATE.discs[value])) < 1.0
    arc = middles(drifted.anatomy)["C5"]  # which lies 5 mm lower than discs say, in the template's shorter millimetres
    off = warp.to_template(at(drifted.anatomy, arc)) - at(TEMPLATE, middles(TEMPLATE)["C5"])
    assert off[0, 2] == pytest.approx(-5 / 1.08, abs=0.8)


def test_levels_go_to_their_levels_if_discs_are_landmarks_too(template_folder):
    """A phantom whose levels lie against its discs as the template's do: both kinds agree to a millimetre."""
    anatomy = cervical_anatomy(bend_deg=14, sway_mm=4, scale=1.05)
    drawn = draw_phantom(anatomy, *phantom_grid(anatomy, (1, 1, 1), "PSR", margin_mm=16))
    found = register(
        cord=drawn.cord, rootlets=drawn.rootlets, discs=drawn.discs, template=template_folder, landmarks="both"
    )
    for name, arc in middles(anatomy).items():
        moved = found.alignment.warp.to_template(at(anatomy, arc))
        assert np.linalg.norm(moved - at(TEMPLATE, middles(TEMPLATE)[name])) < 0.5
    assert found.quality.least_jacobian > 0.6


def test_a_single_disc_is_enough_too(drifted, template_folder):
    single = replace(drifted.discs, data=np.where(drifted.discs.data == 5, 5, 0))
    found = register(cord=drifted.cord, discs=single, template=template_folder, landmarks="discs")
    moved = found.alignment.warp.to_template(at(drifted.anatomy, drifted.anatomy.discs[5]))
    assert np.linalg.norm(moved - at(TEMPLATE, TEMPLATE.discs[5])) < 1.0


def test_the_cord_goes_to_the_cord_and_nothing_folds(registered):
    cord = registered.template_cord.data
    mask = replace(registered.alignment.subject.mask, data=registered.alignment.subject.mask.data.astype(np.float32))
    moved = registered.into_template(mask) >= 0.5
    z = np.flatnonzero((moved & cord).any(axis=(0, 1)))[4:-4]
    both = (moved & cord)[:, :, z].sum()
    assert 2 * both / (moved[:, :, z].sum() + cord[:, :, z].sum()) > 0.93  # of 1 mm voxels
    assert jacobian(registered.to_subject, registered.template_cord.affine)[8:-8, 8:-8, 8:-8].min() > 0.3


def test_the_fields_are_inverse_to_each_other(registered):
    points = apply_affine(registered.template_cord.affine, np.argwhere(registered.template_cord.data)[::50])
    warp = registered.alignment.warp
    np.testing.assert_allclose(warp.to_template(warp.to_subject(points)), points, atol=1e-6)


def mirrored(volume: Volume) -> Volume:
    """The same voxels in the same world, stored from the other side: the sign of the determinant changes."""
    affine = volume.affine.copy()
    affine[:3, 3] = apply_affine(affine, [volume.data.shape[0] - 1, 0, 0])
    affine[:3, 0] *= -1
    return Volume(volume.data[::-1].copy(), affine, volume.name)


def test_the_sign_of_the_determinant_does_not_matter(drifted, registered, template_folder):
    cord, rootlets = mirrored(drifted.cord), mirrored(drifted.rootlets)
    assert np.linalg.det(cord.affine) * np.linalg.det(drifted.cord.affine) < 0
    found = register(cord=cord, rootlets=rootlets, template=template_folder)
    points = np.array([at(drifted.anatomy, arc)[0] + [4, 3, 0] for arc in (20.0, 60.0, 110.0)])
    np.testing.assert_allclose(
        found.alignment.warp.to_template(points), registered.alignment.warp.to_template(points), atol=0.01
    )


@pytest.mark.parametrize("level", [4, 7])
def test_one_level_is_enough(drifted, template_folder, level):
    rootlets = replace(drifted.rootlets, data=np.where(drifted.rootlets.data == level, level, 0))
    found = register(cord=drifted.cord, rootlets=rootlets, template=template_folder)
    name = f"C{level}"
    moved = found.alignment.warp.to_template(at(drifted.anatomy, middles(drifted.anatomy)[name]))
    assert np.linalg.norm(moved - at(TEMPLATE, middles(TEMPLATE)[name])) < 0.8
    assert found.rows[0]["left_out_error_mm"] is None


def test_a_level_the_template_lacks_is_left_out(drifted, template_folder):
    data = np.where(drifted.rootlets.data == 9, 10, drifted.rootlets.data)
    found = register(cord=drifted.cord, rootlets=replace(drifted.rootlets, data=data), template=template_folder)
    assert "the template has no T2 (rootlets): left out" in found.notes
    assert [row["name"] for row in found.rows] == ["C2", "C3", "C4", "C5", "C6", "C7", "C8"]


def test_a_gap_in_the_mask_is_bridged_with_a_warning(drifted, registered, template_folder):
    """A lesion takes 8 mm of the cord away between C5 and C6."""
    cut = drifted.cord.data.copy()
    line = drifted.anatomy.centerline
    arc = line.project(apply_affine(drifted.cord.affine, np.argwhere(cut))).arc
    cut[tuple(np.argwhere(cut)[(arc > 78) & (arc < 86)].T)] = 0
    found = register(cord=replace(drifted.cord, data=cut), rootlets=drifted.rootlets, template=template_folder)
    assert any("gaps" in note and "bridged" in note for note in found.notes)
    points = np.array([at(drifted.anatomy, arc)[0] + [3, 2, 0] for arc in (60.0, 82.0, 100.0)])
    np.testing.assert_allclose(
        found.alignment.warp.to_template(points), registered.alignment.warp.to_template(points), atol=0.5
    )


def test_a_mask_that_lacks_one_side_of_the_cord_is_told_and_levels_stay(drifted, registered, template_folder):
    """A lesion takes the right half of 8 mm of the cord: its middle seems to be elsewhere, levels are not."""
    cut = drifted.cord.data.copy()
    index = np.argwhere(cut)
    points = apply_affine(drifted.cord.affine, index)
    line = drifted.anatomy.centerline.project(points)
    cut[tuple(index[(line.arc > 78) & (line.arc < 86) & (points[:, 0] > line.foot[:, 0])].T)] = 0
    found = register(cord=replace(drifted.cord, data=cut), rootlets=drifted.rootlets, template=template_folder)
    assert any("the mask lacks the section" in note for note in found.notes)
    assert not any("lacks the section" in note for note in registered.notes)
    for name, arc in middles(drifted.anatomy).items():
        moved = found.alignment.warp.to_template(at(drifted.anatomy, arc))[0, 2]
        assert moved == pytest.approx(at(TEMPLATE, middles(TEMPLATE)[name])[0, 2], abs=0.6)


def test_a_cord_that_leaves_the_field_of_view_at_its_side_is_registered_with_a_warning(drifted, template_folder):
    affine = drifted.cord.affine
    x = apply_affine(affine, np.argwhere(drifted.cord.data))[:, 0]
    axis = int(np.abs(affine[0, :3]).argmax())
    inside = apply_affine(affine, np.indices(drifted.cord.data.shape).reshape(3, -1).T)[:, 0] <= x.max() - 2
    keep = np.flatnonzero(inside.reshape(drifted.cord.data.shape).any(axis=tuple({0, 1, 2} - {axis})))
    part = [slice(None)] * 3
    part[axis] = slice(keep[0], keep[-1] + 1)
    moved = affine.copy()
    moved[:3, 3] = apply_affine(affine, np.eye(3)[axis] * keep[0])
    cord, rootlets = (Volume(v.data[tuple(part)], moved, v.name) for v in (drifted.cord, drifted.rootlets))
    found = register(cord=cord, rootlets=rootlets, template=template_folder)
    assert any("side of the field of view" in note for note in found.notes)
    moved_to = found.alignment.warp.to_template(at(drifted.anatomy, middles(drifted.anatomy)["C5"]))
    assert np.linalg.norm(moved_to - at(TEMPLATE, middles(TEMPLATE)["C5"])) < 1.5


# ---- the command


def options(subject, template_folder, folder, *more):
    return [
        *("-i", str(subject["image"]), "-s", str(subject["cord"]), "-rootlets", str(subject["rootlets"])),
        *("-template", str(template_folder), "-ofolder", str(folder), *map(str, more)),
    ]


def test_the_command_writes_everything(subject, template_folder, tmp_path, capsys):
    fmri = tmp_path / "fmri_mean.nii.gz"
    image = load_volume(subject["image"])
    every_other = image.affine @ np.diag([2, 2, 2, 1])
    save_volume(fmri, image.data[::2, ::2, ::2].astype(np.float32), every_other)
    folder = tmp_path / "reg"
    more = ["-ldisc", subject["discs"], "-apply", fmri, "-qc", tmp_path / "qc"]
    assert main(options(subject, template_folder, folder, *more)) == 0
    said = capsys.readouterr().out
    assert "C5" in said
    names = {"warp_anat2template", "warp_template2anat", "anat2template", "template2anat", "cord2anat", "levels2anat",
             "spinal_levels2anat", "rootlets2anat", "fmri_mean2template"}  # fmt: skip
    files = {f"{name}.nii.gz" for name in names} | {"registration.csv", "registration.json", "registration.png"}
    assert {path.name for path in folder.iterdir()} == files
    (entry,) = (tmp_path / "qc" / "rootlets" / "entries").glob("*.json")
    assert entry.name.startswith("sub-phantom01_T2w-")
    assert entry.name.endswith("-registration.json")
    assert str(tmp_path / "qc" / "index.html") in said

    there = nib.load(template_folder / "template" / "phantom_cord.nii.gz")
    here = nib.load(subject["image"])
    for name, grid in (("anat2template", there), ("fmri_mean2template", there), ("template2anat", here),
                       ("levels2anat", here)):  # fmt: skip
        moved = nib.load(folder / f"{name}.nii.gz")
        assert moved.shape == grid.shape
        np.testing.assert_allclose(moved.affine, grid.affine, atol=1e-5)
    # The spinal levels of the template lie on the subject's rootlets of the same name.
    levels = np.asarray(nib.load(folder / "spinal_levels2anat.nii.gz").dataobj)
    truth = cervical_anatomy()
    for value, arc in zip(range(2, 10), middles(truth).values(), strict=True):
        index = np.rint(apply_affine(np.linalg.inv(here.affine), at(truth, arc)[0])).astype(int)
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


def test_what_is_not_given_is_segmented_and_kept(subject, template_folder, tmp_path, monkeypatch):
    from sct_rootlets import deepseg

    def stand_in(_segmenter, _inputs, missing, _settings):
        maps = {name: load_volume(subject[name]) for name in missing}
        return None, maps, {name: {"Model": {"Name": "stand-in"}} for name in maps}

    monkeypatch.setattr(deepseg, "load_networks", lambda _settings: None)
    monkeypatch.setattr(deepseg, "_segment_missing", stand_in)
    folder = tmp_path / "reg"
    command = [
        "-i",
        str(subject["image"]),
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
        np.testing.assert_array_equal(kept.data, load_volume(subject[key]).data)
        sidecar = json.loads((folder / f"sub-phantom01_T2w_{name}.json").read_text())
        assert sidecar["Model"]["Name"] == "stand-in"


def test_the_same_input_gives_the_same_bytes(subject, template_folder, tmp_path):
    for name in ("a", "b"):
        assert main(options(subject, template_folder, tmp_path / name, "-v", 0)) == 0
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def one_line(capsys) -> str:
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "Traceback" not in error
    return error


def test_bad_input_is_one_line_and_leaves_nothing(subject, template_folder, tmp_path, capsys):
    cord, rootlets = load_volume(subject["cord"]), load_volume(subject["rootlets"])
    other = tmp_path / "other_grid.nii.gz"
    save_volume(other, cord.data[:-3], cord.affine)
    strangers = tmp_path / "strangers.nii.gz"
    save_volume(strangers, np.where(rootlets.data > 0, rootlets.data + 10, 0).astype(np.uint8), rootlets.affine)
    partial = tmp_path / "partial"
    partial.mkdir()
    (partial / "PAM50_cord.nii.gz").write_bytes(subject["cord"].read_bytes())
    away = tmp_path / "away.nii.gz"
    shifted = cord.affine.copy()
    shifted[:3, 3] += 500
    save_volume(away, cord.data, shifted)
    anat = tmp_path / "anat.nii.gz"
    anat.write_bytes(subject["image"].read_bytes())
    folder = tmp_path / "reg"
    for more, said in (
        (["-apply", anat], "would become anat2template.nii.gz"),
        (["-s", other], "have different shapes"),
        (["-rootlets", strangers], "no label of the rootlets is common"),
        (["-template", partial], "PAM50_rootlets.nii.gz is missing"),
        (["-template", tmp_path / "nowhere"], "is no folder"),
        (["-apply", away], "does not lie where the cord"),
        (["-apply", tmp_path / "nothing.nii.gz"], "does not exist"),
    ):
        assert main(options(subject, template_folder, folder, *more)) == 1
        assert said in one_line(capsys)
        assert not folder.exists()


def test_a_header_that_places_its_image_twice_is_noted(subject, template_folder, tmp_path):
    image = nib.load(subject["image"])
    moved = image.affine.copy()
    moved[:3, 3] += [0, 3, 0]
    image.set_qform(moved, 1)
    nib.save(image, tmp_path / "twice.nii.gz")
    command = options(subject, template_folder, tmp_path / "reg", "-figure", 0)
    command[1] = str(tmp_path / "twice.nii.gz")
    assert main(command) == 0
    notes = json.loads((tmp_path / "reg" / "registration.json").read_text())["Notes"]
    assert any("sform and qform of its header are up to 3 mm apart" in note for note in notes)


def test_bad_usage(subject, template_folder, tmp_path, capsys):
    for more, said in (
        (["-landmarks", "discs"], "needs disc labels"),
        (["-landmarks", "both", "-ldisc", subject["discs"], "-engine", "sct"], "not both"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(options(subject, template_folder, tmp_path, *more))
        assert stopped.value.code == 2
        assert said in capsys.readouterr().err


def test_from_python_too(drifted, template_folder):
    cord = replace(drifted.cord, data=-drifted.cord.data.astype(np.int16))
    with pytest.raises(LabelError, match="negative values"):
        register(cord=cord, rootlets=drifted.rootlets, template=template_folder)


# ---- images in four dimensions


@pytest.fixture
def series(registered, drifted, tmp_path):
    """Five volumes of whole numbers on thick slices, 2.5 s apart, and the phantom's registration."""
    affine = drifted.cord.affine @ np.diag([4, 2, 2, 1])
    shape = tuple(n // step for n, step in zip(drifted.cord.data.shape, (4, 2, 2), strict=True))
    data = np.random.default_rng(1).integers(-300, 3000, (*shape, 5)).astype(np.int16)
    image = nib.Nifti1Image(data, affine)
    image.header.set_zooms((*image.header.get_zooms()[:3], 2.5))
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, tmp_path / "fmri.nii.gz")
    return registered, tmp_path / "fmri.nii.gz", data, affine


@pytest.mark.parametrize(("interpolation", "dtype"), [("linear", np.float32), ("nn", np.int16)])
def test_every_volume_of_a_series_moves_as_it_would_alone(series, tmp_path, interpolation, dtype):
    found, path, data, affine = series
    found.save(tmp_path / "reg", [path], interpolation, figure=False)
    moved = nib.load(tmp_path / "reg" / "fmri2template.nii.gz")
    assert moved.shape == (*found.template_cord.data.shape, 5)
    assert moved.get_data_dtype() == dtype
    assert moved.header.get_zooms()[3] == pytest.approx(2.5)
    assert moved.header.get_xyzt_units()[1] == "sec"
    np.testing.assert_allclose(moved.affine, found.template_cord.affine, atol=1e-5)
    values = np.asanyarray(moved.dataobj)
    for number in range(5):
        alone = found.into_template(Volume(data[..., number], affine), interpolation)
        np.testing.assert_allclose(values[..., number], alone, atol=0.01)  # single precision
    first = (tmp_path / "reg" / "fmri2template.nii.gz").read_bytes()
    found.save(tmp_path / "again", [path], interpolation, figure=False)
    assert (tmp_path / "again" / "fmri2template.nii.gz").read_bytes() == first


def test_a_series_with_a_further_dimension_of_one(series, tmp_path):
    found, path, data, affine = series
    nib.save(nib.Nifti1Image(data[..., None], affine), tmp_path / "five.nii.gz")
    found.save(tmp_path / "reg", [path, tmp_path / "five.nii.gz"], "nn", figure=False)
    four, five = (nib.load(tmp_path / "reg" / f"{name}2template.nii.gz") for name in ("fmri", "five"))
    np.testing.assert_array_equal(np.asarray(four.dataobj), np.asarray(five.dataobj))


def test_a_qform_that_is_no_rotation_is_noted(drifted, registered, tmp_path):
    image = nib.Nifti1Image(np.ones(drifted.cord.data.shape, np.float32), drifted.cord.affine)
    image.set_sform(drifted.cord.affine, 1)
    image.header["qform_code"] = 1
    image.header["quatern_b"], image.header["quatern_c"] = 0.9, 0.9
    nib.save(image, tmp_path / "odd.nii.gz")
    registered.save(tmp_path / "reg", [tmp_path / "odd.nii.gz"], figure=False)
    notes = json.loads((tmp_path / "reg" / "registration.json").read_text())["Notes"]
    assert any("odd.nii.gz: the qform of its header is no rotation" in note for note in notes)


def test_a_damaged_or_strange_series_is_one_line_and_leaves_nothing(series, subject, template_folder, tmp_path, capsys):
    _, path, data, affine = series
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
        assert main(options(subject, template_folder, tmp_path / "reg", "-apply", name, "-figure", 0)) == 1
        assert said in one_line(capsys)
        assert not (tmp_path / "reg").exists()
