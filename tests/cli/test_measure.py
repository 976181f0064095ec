"""``sct_rootlets measure`` on a phantom: tables, files of the user, and one line for bad input."""

import json
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from sct_rootlets import compute_spinal_levels, save_levels
from sct_rootlets.cli.main import main
from sct_rootlets.measure.level_folder import find_levels, load_levels
from sct_rootlets.measure.signal import DIVISIONS
from sct_rootlets.nifti import save_field, save_volume

PREFIX = "sub-phantom01_T2w"


@pytest.fixture(scope="module")
def levels(phantom_folder, tmp_path_factory):
    """Folder of the levels of a phantom, without its cord mask."""
    folder = tmp_path_factory.mktemp("levels")
    labels = phantom_folder / "derivatives" / "labels" / "sub-phantom01" / "anat"
    names = {"cord": "SC_seg", "rootlets": "rootlets_dseg", "discs": "discs_dlabel", "pmj": "PMJ_dlabel"}
    files = {key: labels / f"{PREFIX}_label-{name}.nii.gz" for key, name in names.items()}
    subject = compute_spinal_levels(files.pop("rootlets"), **files)
    save_levels(subject, folder, prefix=PREFIX, figure=False)
    return folder


def measure(*arguments):
    return main(["measure", *map(str, arguments)])


def refused(capsys, arguments, *fragments):
    assert measure(*arguments) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1), printed.err
    for fragment in fragments:
        assert fragment in printed.err


def test_shape_per_level_and_per_slice(levels, phantom_files, tmp_path, capsys):
    assert measure("-levels", levels, "-s", phantom_files["cord"], "-ofolder", tmp_path) == 0
    endings = ("measures.json", "shape.csv", "shape.png", "shape.svg", "shape_perslice.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{PREFIX}_{ending}" for ending in endings]
    table, slices = (pd.read_csv(tmp_path / f"{PREFIX}_{name}.csv") for name in ("shape", "shape_perslice"))
    assert set(table["SpinalLevel"].dropna()) >= {3, 4, 5, 6, 7, 8}
    assert set(table["VertLevel"].dropna()) >= {3, 4, 5, 6, 7}
    cord = nib.load(phantom_files["cord"])
    volume = np.asarray(cord.dataobj).sum() * np.prod(cord.header.get_zooms())
    # Area times length is volume, whatever the tilt.
    assert (slices["MEAN(area)"] * slices["SUM(length)"]).sum() == pytest.approx(volume, rel=0.02)
    for _, row in table[table["SpinalLevel"].notna()].iterrows():
        own = slices[slices["SpinalLevel"] == row["SpinalLevel"]]
        assert row["MEAN(area)"] == pytest.approx(own["MEAN(area)"].mean(), abs=0.002)
        assert row["STD(area)"] == pytest.approx(own["MEAN(area)"].std(ddof=0), abs=0.002)
        assert row["DistancePMJ"] == pytest.approx(own["DistancePMJ"].mean(), abs=0.002)
    expected = pd.read_csv(levels / f"{PREFIX}_levels.csv").set_index(["kind", "name"])
    found = table.set_index(["kind", "name"])
    for key in found.index:
        assert found.loc[key, "DistancePMJ"] == pytest.approx(expected.loc[key, "midpoint_mm"], abs=1.5)
        assert found.loc[key, "SUM(length)"] == pytest.approx(expected.loc[key, "length_mm"], abs=2.0)  # whole slices
    assert table["NORM_Z(area)"].notna().sum() >= 10
    assert "spinal levels: area" in capsys.readouterr().out


def test_without_the_mask_the_labelled_part_is_measured_with_a_note(levels, phantom_files, tmp_path, capsys):
    assert measure("-levels", levels / f"{PREFIX}_levels.csv", "-ofolder", tmp_path, "-figure", 0) == 0
    assert "note: the cord mask was not found" in capsys.readouterr().out
    first = pd.read_csv(tmp_path / f"{PREFIX}_shape.csv")
    assert measure("-levels", levels, "-s", phantom_files["cord"], "-ofolder", tmp_path, "-figure", 0) == 0
    second = pd.read_csv(tmp_path / f"{PREFIX}_shape.csv")
    inner = first["SpinalLevel"].between(4, 7)
    np.testing.assert_allclose(first["MEAN(area)"][inner], second["MEAN(area)"][inner], rtol=0.01)


def test_a_mask_of_an_early_model_is_not_compared_with_healthy_adults(levels, phantom_files, tmp_path, capsys):
    """It is larger than masks of people (model card), and would make a healthy cord look thick."""
    mask = shutil.copy(phantom_files["cord"], tmp_path / "t2_seg.nii.gz")
    sidecar = {"GeneratedBy": [{"Name": "sct_rootlets"}], "Model": {"Name": "sct_rootlets synthetic", "Version": "2.1"}}
    (tmp_path / "t2_seg.json").write_text(json.dumps(sidecar))
    arguments = ["-levels", levels, "-s", mask, "-ofolder", tmp_path / "out", "-normalize-PAM50", 1]
    assert measure(*arguments) == 0
    printed = capsys.readouterr().out
    assert "note: the cord mask was segmented by an earlier version" in printed
    assert "SD from healthy adults" not in printed
    for ending in ("shape", "shape_PAM50"):
        table = pd.read_csv(tmp_path / "out" / f"{PREFIX}_{ending}.csv")
        norms = [column for column in table.columns if column.startswith("NORM_")]
        assert len(norms) >= 6
        assert table[norms].isna().all(axis=None)
        assert table["MEAN(area)"].notna().all()


def test_signal_of_several_images_and_masks(levels, phantom_files, tmp_path, capsys):
    cord = nib.load(phantom_files["cord"])
    save_volume(tmp_path / "wm.nii.gz", np.asarray(cord.dataobj, dtype=np.float32) * 0.5, cord.affine, cord.header)
    save_volume(tmp_path / "gm.nii.gz", np.asarray(cord.dataobj, dtype=np.uint8), cord.affine, cord.header)
    copy = shutil.copy(phantom_files["image"], tmp_path / "fa.nii.gz")
    images, masks = f"{phantom_files['image']},{copy}", f"{tmp_path / 'wm.nii.gz'},{tmp_path / 'gm.nii.gz'}"
    out = tmp_path / "out"
    arguments = ["-levels", levels, "-s", phantom_files["cord"], "-i", images, "-mask", masks, "-by", "side"]
    assert measure(*arguments, "-ofolder", out, "-v", 0, "-strict") == 0
    assert capsys.readouterr().out == ""
    table = pd.read_csv(out / f"{PREFIX}_signal.csv")
    assert set(table["Label"]) == {"wm", "gm"}
    assert set(table["part"]) == {"left", "right"}
    assert set(table["Filename"]) == {phantom_files["image"].name, "fa.nii.gz"}
    soft, hard = (table[table["Label"] == label] for label in ("wm", "gm"))
    np.testing.assert_allclose(soft["WA()"], hard["WA()"], rtol=1e-4)
    np.testing.assert_allclose(2 * soft["Size [vox]"], hard["Size [vox]"], atol=0.01)


def test_a_series_becomes_a_table_of_volumes(levels, phantom_files, tmp_path):
    image = nib.load(phantom_files["image"])
    data = np.stack([np.full(image.shape, t, dtype=np.int16) for t in (3, 5, 8)], axis=-1)
    nib.save(nib.Nifti1Image(data, image.affine), tmp_path / "fmri.nii.gz")
    out = tmp_path / "out"
    arguments = ["-levels", levels, "-s", phantom_files["cord"], "-i", tmp_path / "fmri.nii.gz", "-figure", 0]
    assert measure(*arguments, "-ofolder", out) == 0
    table = pd.read_csv(out / f"{PREFIX}_fmri_series.csv")
    assert list(table["volume"]) == [0, 1, 2]
    assert list(table["spinal C5"]) == [3, 5, 8]
    assert not (out / f"{PREFIX}_signal.csv").exists()


def test_lesions(levels, phantom_files, tmp_path):
    cord = nib.load(phantom_files["cord"])
    mask = np.asarray(cord.dataobj) > 0
    axis = int(np.flatnonzero([code in "SI" for code in nib.aff2axcodes(cord.affine)])[0])
    middle = mask.shape[axis] // 2
    lesion = mask & (np.abs(np.arange(mask.shape[axis]) - middle) <= 2).reshape(
        [-1 if k == axis else 1 for k in range(3)]
    )
    save_volume(tmp_path / "lesion.nii.gz", lesion.astype(np.uint8), cord.affine, cord.header)
    out = tmp_path / "out"
    arguments = ["-levels", levels, "-s", phantom_files["cord"], "-lesion", tmp_path / "lesion.nii.gz", "-figure", 0]
    assert measure(*arguments, "-ofolder", out) == 0
    (row,) = pd.read_csv(out / f"{PREFIX}_lesions.csv").to_dict("records")
    assert row["volume_mm3"] == pytest.approx(lesion.sum() * np.prod(cord.header.get_zooms()), rel=1e-3)
    assert row["greatest_axial_share"] == pytest.approx(1, abs=0.05)
    table = pd.read_csv(out / f"{PREFIX}_lesions_perlevel.csv")
    spinal = table[table["kind"] == "spinal"]
    assert spinal["volume_mm3"].sum() == pytest.approx(row["volume_mm3"], rel=1e-3)


def test_points_are_on_the_borders_of_the_map(levels, phantom_files, tmp_path):
    arguments = ["-levels", levels, "-s", phantom_files["cord"], "-points", 1, "-figure", 0, "-ofolder", tmp_path]
    assert measure(*arguments) == 0
    table = pd.read_csv(levels / f"{PREFIX}_levels.csv")
    for kind in ("spinal", "vertebral"):
        own = table[table["kind"] == kind].set_index("level")
        borders = nib.load(tmp_path / f"{PREFIX}_label-{kind}Borders_dlabel.nii.gz")
        middles = nib.load(tmp_path / f"{PREFIX}_label-{kind}Levels_dlabel.nii.gz")
        labels = nib.load(levels / f"{PREFIX}_label-{kind}Levels_dseg.nii.gz")
        assert borders.shape == middles.shape == labels.shape
        np.testing.assert_allclose(borders.affine, labels.affine)
        values = np.asarray(borders.dataobj)
        assert sorted(values[values > 0]) == [*own.index, own.index[-1] + 1]
        for value in own.index:
            ((place,),) = [np.argwhere(np.asarray(middles.dataobj) == value)]
            assert np.asarray(labels.dataobj)[tuple(place)] == value
        height = {
            value: nib.affines.apply_affine(borders.affine, np.argwhere(values == value)[0])[2]
            for value in [*own.index, own.index[-1] + 1]
        }
        for value in own.index:  # heights fall by the length of a level, which is as long at least
            assert 0.8 * own.loc[value, "length_mm"] - 1.1 < height[value] - height[value + 1]
            assert height[value] - height[value + 1] < own.loc[value, "length_mm"] + 1.1
    points = pd.read_csv(tmp_path / f"{PREFIX}_points.csv")
    assert np.isfinite(points[["centre_x_mm", "centre_y_mm", "centre_z_mm"]]).all(axis=None)
    np.testing.assert_allclose(points["centre_z_mm"], points["middle_z_mm"], atol=1.5)


def test_shape_in_the_dimensions_of_pam50(levels, phantom_files, tmp_path, capsys):
    usual = ["-s", phantom_files["cord"], "-normalize-PAM50", 1, "-figure", 0]
    assert measure("-levels", levels, *usual, "-ofolder", tmp_path / "out") == 0
    table = pd.read_csv(tmp_path / "out" / f"{PREFIX}_shape_PAM50.csv")
    assert set(table["VertLevel"]) >= {3, 4, 5, 6, 7}
    assert (np.diff(table["Slice (I->S)"]) >= 1).all()
    by_level = pd.read_csv(tmp_path / "out" / f"{PREFIX}_shape.csv").set_index("VertLevel")
    for value in range(3, 8):
        own = table[table["VertLevel"] == value]
        assert own["MEAN(area)"].mean() == pytest.approx(by_level.loc[value, "MEAN(area)"], rel=0.02)
    only = shutil.copytree(levels, tmp_path / "spinal")
    for path in only.glob("*vertebralLevels*"):
        path.unlink()
    capsys.readouterr()
    refused(capsys, ["-levels", only, *usual, "-ofolder", tmp_path / "no"], "comes without vertebral levels")


def test_files_of_the_user_are_kept_and_own_ones_replaced(levels, phantom_files, tmp_path, capsys):
    arguments = ["-levels", levels, "-s", phantom_files["cord"], "-ofolder", tmp_path, "-figure", 0]
    assert measure(*arguments) == 0
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert measure(*arguments) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    written = json.loads((tmp_path / f"{PREFIX}_measures.json").read_text())["Written"]
    assert set(written) == {name for name in first if not name.endswith(".json")}
    edited = tmp_path / f"{PREFIX}_shape.csv"
    edited.write_text("mine")
    capsys.readouterr()
    refused(capsys, arguments, f"{edited} was not written by this command", "-overwrite 1")
    assert edited.read_text() == "mine"
    assert measure(*arguments, "-overwrite", 1) == 0


def test_bad_input_is_one_line(levels, phantom_files, tmp_path, capsys):
    usual = ["-ofolder", tmp_path / "out", "-s", phantom_files["cord"]]
    refused(capsys, ["-levels", tmp_path, *usual], "holds no level table")
    refused(capsys, ["-levels", phantom_files["cord"], *usual], "is neither a folder nor a level table")
    several = shutil.copytree(levels, tmp_path / "several")
    shutil.copy(levels / f"{PREFIX}_levels.csv", several / "other_levels.csv")
    refused(
        capsys, ["-levels", several, *usual], "holds the levels of 2 scans", f"-levels {several / 'other_levels.csv'}"
    )
    refused(capsys, ["-levels", several / "other_levels.csv", *usual], "has no level map beside it")
    image = phantom_files["image"]
    refused(capsys, ["-levels", levels, *usual, "-i", image, image], "two images are called")
    refused(capsys, ["-levels", levels, *usual, "-i", image, "-mask", image, image], "two masks are called")
    masks = ["-s-image", phantom_files["cord"], phantom_files["cord"]]
    refused(capsys, ["-levels", levels, *usual, "-i", image, *masks], "1 images and 2 cord masks")
    refused(capsys, ["-levels", levels, *usual, "-i", image, "-w", image], "is not a displacement field")
    save_volume(tmp_path / "beside.nii.gz", np.ones((9, 9, 9), np.uint8), np.diag([1, 1, 1, 1]) + np.eye(4, k=3) * 400)
    refused(capsys, ["-levels", levels, *usual, "-i", tmp_path / "beside.nii.gz"], "do not overlap")
    refused(
        capsys, ["-levels", levels, *usual, "-lesion", tmp_path / "beside.nii.gz"], "the lesions lie outside the cord"
    )
    refused(capsys, ["-levels", levels, "-ofolder", tmp_path / "out", "-s", image], "give the mask of the cord")
    refused(capsys, ["-levels", levels, *usual, "-i", image, "-s-image", image], "give the mask of the cord")
    grid = nib.load(phantom_files["cord"])
    for name, value in (("negative", -1), ("nan", np.nan)):
        data = np.where(np.asarray(grid.dataobj) > 0, value, 0).astype(np.float32)
        save_volume(tmp_path / f"{name}.nii.gz", data, grid.affine, grid.header)
    refused(capsys, ["-levels", levels, *usual, "-lesion", tmp_path / "negative.nii.gz"], "holds negative values")
    refused(capsys, ["-levels", levels, *usual, "-lesion", tmp_path / "nan.nii.gz"], "holds NaN or infinite values")
    refused(capsys, ["-levels", levels, *usual, "-lesion", image], "as a scan", "give a mask of the lesions")
    refused(
        capsys,
        ["-levels", levels, *usual, "-i", tmp_path / "nan.nii.gz"],
        "holds no values in the levels other than 0, NaN",
    )
    field = np.zeros((*grid.shape, 3), dtype=np.float32)
    save_field(tmp_path / "warp.nii.gz", field, grid.affine)
    damaged = tmp_path / "damaged.nii.gz"
    damaged.write_bytes((tmp_path / "warp.nii.gz").read_bytes()[:-4000])
    refused(capsys, ["-levels", levels, *usual, "-i", image, "-w", damaged], "is truncated or damaged")
    edited = pd.read_csv(levels / f"{PREFIX}_levels.csv")
    edited.loc[0, ["rostral_mm", "midpoint_mm", "caudal_mm"]] -= 30
    (several / "other_levels.csv").unlink()
    edited.to_csv(several / f"{PREFIX}_levels.csv", index=False)
    refused(capsys, ["-levels", several, *usual], "they are not of the same run")
    assert not (tmp_path / "out").exists()


def test_a_table_that_was_edited_is_said_or_refused(levels, phantom_files, tmp_path, capsys):
    """Its hash tells of any change; 4 mm are more than maps can be apart from their table."""
    folder = shutil.copytree(levels, tmp_path / "levels")
    path = folder / f"{PREFIX}_levels.csv"
    usual = ["-levels", folder, "-s", phantom_files["cord"], "-figure", 0, "-ofolder", tmp_path / "out"]
    assert measure(*usual) == 0
    assert "changed since" not in capsys.readouterr().out
    table = pd.read_csv(path)
    for shift_mm, is_refused in ((0.3, False), (4.0, True)):
        moved = table.copy()
        is_moved = (moved["name"] == "C5") & (moved["kind"] == "spinal")
        moved.loc[is_moved, ["rostral_mm", "midpoint_mm", "caudal_mm"]] += shift_mm
        moved.to_csv(path, index=False)
        if is_refused:
            refused(capsys, usual, "the level table and the level maps are up to", "they are not of the same run")
        else:
            assert measure(*usual) == 0
            note = f"note: {path.name} was changed since the levels were computed (SHA-256 in {PREFIX}_levels.json)"
            assert note in capsys.readouterr().out
    table["rostral_sd_mm"] = table["rostral_sd_mm"].map(lambda value: f"{value:.3f}".replace(".", ","))
    table.to_csv(path, index=False)
    refused(capsys, usual, f"{path}: rostral_sd_mm of spinal level C", "which is no number")


def test_cropped_maps_beside_the_table_of_the_whole_scan(levels, phantom_files, tmp_path, capsys):
    """The outer levels that are left are cut, which `group -measures` must know."""
    folder = shutil.copytree(levels, tmp_path / "levels")
    axis = nib.aff2axcodes(nib.load(phantom_files["cord"]).affine)
    rows = [slice(66, 142) if code in "SI" else slice(None) for code in axis]
    for path in folder.glob("*_dseg.nii.gz"):
        image = nib.load(path)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), image.affine).slicer[tuple(rows)], path)
    nib.save(nib.load(phantom_files["cord"]).slicer[tuple(rows)], tmp_path / "cord.nii.gz")
    usual = ["-levels", folder, "-s", tmp_path / "cord.nii.gz", "-figure", 0, "-ofolder", tmp_path / "cropped"]
    assert measure(*usual) == 0
    printed = capsys.readouterr().out
    assert "note: the level map and the cord mask show less of some levels than the level table says (spinal" in printed
    assert "were changed since the levels were computed" in printed
    whole = ["-levels", levels, "-s", phantom_files["cord"], "-figure", 0, "-ofolder", tmp_path / "whole"]
    assert measure(*whole) == 0
    first, second = (
        pd.read_csv(tmp_path / name / f"{PREFIX}_shape.csv").set_index(["kind", "name"])
        for name in ("whole", "cropped")
    )
    lost = first["SUM(length)"].reindex(second.index) - second["SUM(length)"]
    was_complete = first["complete"].reindex(second.index)
    assert (lost[was_complete] > 3).sum() >= 2
    assert not second["complete"][lost > 1.5].any()
    assert second["complete"][was_complete & (lost < 0.5)].all()
    is_cut = was_complete & ~second["complete"]
    assert second["remarks"][is_cut].str.startswith("the level map and the cord mask show ").all()
    inner = second.index[was_complete & ~is_cut]
    np.testing.assert_allclose(second["DistancePMJ"][inner], first["DistancePMJ"][inner], atol=0.1)


@pytest.mark.parametrize("option", ["-s-image", "-mask", "-w"])
def test_options_of_images_need_an_image(option, levels, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        measure("-levels", levels, "-ofolder", tmp_path, option, "x.nii.gz")
    assert f"{option} goes with -i" in capsys.readouterr().err


def test_an_empty_mask_of_lesions_is_no_error(levels, phantom_files, tmp_path, capsys):
    cord = nib.load(phantom_files["cord"])
    save_volume(tmp_path / "none.nii.gz", np.zeros(cord.shape, np.uint8), cord.affine, cord.header)
    arguments = ["-levels", levels, "-s", phantom_files["cord"], "-lesion", tmp_path / "none.nii.gz", "-figure", 0]
    assert measure(*arguments, "-ofolder", tmp_path / "out") == 0
    assert "note: none.nii.gz is empty: there are no lesions" in capsys.readouterr().out
    assert (pd.read_csv(tmp_path / "out" / f"{PREFIX}_lesions_perlevel.csv")["n_lesions"] == 0).all()


def test_a_soft_map_of_lesions_below_the_threshold_is_not_called_empty(levels, phantom_files, tmp_path, capsys):
    cord = nib.load(phantom_files["cord"])
    soft = np.where(np.asarray(cord.dataobj) > 0, 0.4, 0).astype(np.float32)
    save_volume(tmp_path / "soft.nii.gz", soft, cord.affine, cord.header)
    usual = ["-levels", levels, "-s", phantom_files["cord"], "-ofolder", tmp_path / "out", "-figure", 0]
    assert measure(*usual, "-lesion", tmp_path / "soft.nii.gz") == 0
    (note,) = [line for line in capsys.readouterr().out.splitlines() if "soft.nii.gz" in line]
    assert note.startswith("note: soft.nii.gz is not empty: its highest value is 0.4, and soft masks are thresholded")
    image = ["-i", phantom_files["image"], "-mask", tmp_path / "soft.nii.gz"]
    refused(capsys, [*usual, *image], "soft.nii.gz marks no voxel: its highest value is 0.4")


def test_a_mask_of_the_cord_or_of_its_levels_is_not_taken_for_lesions(levels, phantom_files, tmp_path, capsys):
    usual = ["-levels", levels, "-s", phantom_files["cord"], "-ofolder", tmp_path / "out", "-figure", 0]
    cord = phantom_files["cord"]
    refused(
        capsys, [*usual, "-lesion", cord], f"{cord.name} fills 100% of the cord over", "give the mask of the lesions"
    )
    labels = levels / f"{PREFIX}_label-vertebralLevels_dseg.nii.gz"
    refused(capsys, [*usual, "-lesion", labels], "give the mask of the lesions")
    assert not (tmp_path / "out").exists()


def test_beyond_a_slab_the_cord_is_not_measured(levels, phantom_files, tmp_path, capsys):
    """The image is 0 below the middle of its grid, as after resampling to that of the levels."""
    cord = nib.load(phantom_files["cord"])
    data = np.random.default_rng(1).normal(30, 3, cord.shape).astype(np.float32)
    (axis,) = np.flatnonzero([code in "SI" for code in nib.aff2axcodes(cord.affine)])
    height = np.arange(cord.shape[axis]) * (1 if nib.aff2axcodes(cord.affine)[axis] == "S" else -1)
    is_below = np.argsort(height).argsort() < cord.shape[axis] // 2
    data[np.broadcast_to(np.expand_dims(is_below, [k for k in range(3) if k != axis]), cord.shape)] = 0
    save_volume(tmp_path / "mtr.nii.gz", data, cord.affine, cord.header)
    arguments = ["-levels", levels, "-s", phantom_files["cord"], "-i", tmp_path / "mtr.nii.gz", "-figure", 0]
    assert measure(*arguments, "-ofolder", tmp_path / "out") == 0
    (note,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: mtr.nii.gz")]
    inside = (np.asarray(cord.dataobj) > 0).any(axis=tuple(k for k in range(3) if k != axis))
    expected_mm = np.count_nonzero(inside & is_below) * cord.header.get_zooms()[axis]
    assert f"{expected_mm:.0f} mm of the cord lie outside of what the image shows" in note
    table = pd.read_csv(tmp_path / "out" / f"{PREFIX}_signal.csv")
    shown = table[table["covered"] > 0]
    assert (shown["WA()"].astype(float) - 30).abs().max() < 1
    assert table["WA()"].isna().sum() == (table["covered"] == 0).sum() > 0
    assert table["covered"].between(0.01, 0.98).any()
    save_volume(tmp_path / "mtr.nii.gz", data * 0, cord.affine, cord.header)
    refused(capsys, [*arguments, "-ofolder", tmp_path / "no"], "mtr.nii.gz holds no values in the levels other than 0")


def test_quarters_follow_a_neck_that_is_turned(phantom_files, tmp_path, capsys):
    """The header turns the same voxels about the long axis of the body; quarters hold the same voxels."""
    labels = {name: nib.load(phantom_files[name]) for name in ("rootlets", "cord", "discs")}
    turn = nib.affines.from_matvec(Rotation.from_euler("z", 25, degrees=True).as_matrix())
    tables, pattern = {}, None
    for name, header in (("straight", np.eye(4)), ("turned", turn)):
        folder = tmp_path / name
        files = {key: (np.asarray(image.dataobj), header @ image.affine) for key, image in labels.items()}
        save_levels(compute_spinal_levels(files.pop("rootlets"), **files), folder, prefix=PREFIX, figure=False)
        mask, affine = files["cord"]
        save_volume(folder / "cord.nii.gz", mask, affine)
        read = load_levels(find_levels(folder), folder / "cord.nii.gz")
        assert read.centerline.turn_deg == (0 if name == "straight" else pytest.approx(25, abs=2))
        if pattern is None:
            points = nib.affines.apply_affine(affine, np.argwhere(np.ones(mask.shape)))
            _, right_mm, anterior_mm = read.centerline.across(points)
            pattern = (1 + (right_mm > 0) + 2 * (anterior_mm > 0)).reshape(mask.shape).astype(np.float32)
        save_volume(folder / "image.nii.gz", pattern, affine)
        capsys.readouterr()
        usual = ["-levels", folder, "-s", folder / "cord.nii.gz", "-figure", 0, "-ofolder", folder]
        assert measure(*usual, "-i", folder / "image.nii.gz", "-by", "quarter") == 0
        is_noted = "sides, halves and quarters follow the cord (-by)" in capsys.readouterr().out
        assert is_noted == (name == "turned")
        tables[name] = pd.read_csv(folder / f"{PREFIX}_signal.csv")
    assert list(tables["straight"]["part"].unique()) == ["left dorsal", "right dorsal", "left ventral", "right ventral"]
    parts = tables["straight"]["part"].map({part: 1 + n for n, part in enumerate(DIVISIONS["quarter"])})
    np.testing.assert_allclose(tables["straight"]["WA()"], parts, atol=0.2)  # voxels of the midplanes are divided
    np.testing.assert_allclose(tables["turned"]["WA()"], tables["straight"]["WA()"], atol=0.1)
    np.testing.assert_allclose(tables["turned"]["Size [vox]"], tables["straight"]["Size [vox]"], rtol=0.1)


def with_old_mask(levels, folder, phantom_files, half):
    """The levels, with a mask of an earlier run beside them: half of the cord."""
    shutil.copytree(levels, folder)
    cord = nib.load(phantom_files["cord"])
    data = np.asarray(cord.dataobj, dtype=np.uint8)
    if half:
        data = np.where(np.arange(data.shape[2]) < data.shape[2] / 2, data, 0).astype(np.uint8)
    mask = folder / f"{PREFIX}_label-SC_seg.nii.gz"
    save_volume(mask, data, cord.affine, cord.header)
    return mask


def test_a_mask_of_an_earlier_run_is_not_measured(levels, phantom_files, tmp_path, capsys):
    folder = tmp_path / "levels"
    mask = with_old_mask(levels, folder, phantom_files, half=True)
    sidecar = folder / f"{PREFIX}_label-spinalLevels_dseg.json"
    for path in (sidecar, folder / f"{PREFIX}_label-vertebralLevels_dseg.json"):
        content = json.loads(path.read_text())
        del content["CordMaskSHA256"]  # as earlier versions wrote it
        path.write_text(json.dumps({**content, "Inputs": {**content["Inputs"], "cord": "mine.nii.gz"}}))
    arguments = ("-levels", folder, "-ofolder", tmp_path / "out", "-figure", 0)
    refused(capsys, arguments, "computed from the cord mask mine.nii.gz", str(mask), "(-s)")
    assert measure(*arguments, "-s", phantom_files["cord"]) == 0
    assert "from another cord mask (mine.nii.gz)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("recorded", "change", "name", "is_noted"),
    [
        (True, "none", "same", False),
        (True, "none", "other", False),
        (True, "turned", "same", False),
        (True, "dilated", "same", True),
        (True, "shifted", "same", True),
        (False, "none", "same", False),
        (False, "none", "other", True),
        (False, "shifted", "same", True),
    ],
)
def test_masks_are_told_apart_by_their_voxels(recorded, change, name, is_noted, levels, phantom_files, tmp_path):
    """Every subject's mask may have the same name; folders of earlier versions hold no hash of the voxels."""
    folder, cord = tmp_path / "levels", nib.load(phantom_files["cord"])
    shutil.copytree(levels, folder)
    for path in () if recorded else folder.glob("*_dseg.json"):
        content = json.loads(path.read_text())
        del content["CordMaskSHA256"]
        path.write_text(json.dumps(content))
    if change == "turned":
        cord = nib.as_closest_canonical(cord)
    data = np.asarray(cord.dataobj) > 0
    if change == "dilated":
        data = ndimage.binary_dilation(data)
    if change == "shifted":
        data = np.roll(data, 3, axis=nib.aff2axcodes(cord.affine).index("R"))
    mask = tmp_path / (phantom_files["cord"].name if name == "same" else "other.nii.gz")
    save_volume(mask, data.astype(np.float32 if change == "turned" else np.uint8), cord.affine)
    read = load_levels(find_levels(folder), mask)
    note = f"the levels were computed from another cord mask ({phantom_files['cord'].name})"
    assert (note in read.notes) == is_noted


def test_a_map_of_an_earlier_run_is_left_out(levels, phantom_files, tmp_path, capsys):
    folder = tmp_path / "levels"
    shutil.copytree(levels, folder)
    table = folder / f"{PREFIX}_levels.csv"
    table.write_text("".join(line for line in table.open() if "vertebral" not in line))
    arguments = ("-levels", folder, "-s", phantom_files["cord"], "-ofolder", tmp_path / "out", "-figure", 0)
    assert measure(*arguments) == 0
    assert "vertebralLevels_dseg.nii.gz is of an earlier run" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "out" / f"{PREFIX}_shape.csv")["VertLevel"].isna().all()
    refused(capsys, [*arguments, "-normalize-PAM50", 1], "comes without vertebral levels")


def test_lesions_that_are_gone_leave_no_rows(levels, phantom_files, tmp_path, capsys):
    cord = nib.load(phantom_files["cord"])
    inside = np.argwhere(np.asarray(cord.dataobj) > 0)
    lesion = np.zeros(cord.shape, dtype=np.float32)
    lesion[tuple(inside[len(inside) // 2])] = 1
    arguments = ("-levels", levels, "-s", phantom_files["cord"], "-lesion", tmp_path / "lesion.nii.gz", "-ofolder",
                 tmp_path / "out", "-figure", 0)  # fmt: skip
    for data, n in ((lesion, 1), (lesion * 0.2, 0)):  # the second is a soft mask below its threshold
        save_volume(tmp_path / "lesion.nii.gz", data, cord.affine, cord.header)
        assert measure(*arguments) == 0
        assert len(pd.read_csv(tmp_path / "out" / f"{PREFIX}_lesions.csv")) == n
    record = json.loads((tmp_path / "out" / f"{PREFIX}_measures.json").read_text())
    assert record["Inputs"] == {"Lesions": "lesion.nii.gz"}
    assert measure("-levels", levels, "-s", phantom_files["cord"], "-ofolder", tmp_path / "out", "-figure", 0) == 0
    assert f"{PREFIX}_lesions.csv is of an earlier run" in capsys.readouterr().out


def test_a_mask_off_the_levels_is_named(levels, phantom_files, tmp_path, capsys):
    cord = nib.load(phantom_files["cord"])
    corner = np.zeros(cord.shape, dtype=np.uint8)
    corner[:3, :3, :3] = 1
    save_volume(tmp_path / "corner.nii.gz", corner, cord.affine, cord.header)
    save_volume(tmp_path / "small.nii.gz", np.ones((20, 20, 20), np.float32), cord.affine @ np.diag([2, 2, 2, 1]))
    refused(
        capsys,
        ("-levels", levels, "-s", phantom_files["cord"], "-i", phantom_files["image"], "-mask",
         tmp_path / "corner.nii.gz", "-ofolder", tmp_path),
        "corner", "nothing is left to measure",
    )  # fmt: skip


def test_divisions_need_an_image(levels, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        measure("-levels", levels, "-by", "side", "-ofolder", tmp_path)
    assert stopped.value.code == 2
    assert "-by goes with -i" in capsys.readouterr().err
