import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from sct_rootlets import compute_spinal_levels, save_levels
from sct_rootlets.errors import ImageError, LabelError, SctRootletsError
from sct_rootlets.image import Volume
from sct_rootlets.levels import level_name, level_value
from sct_rootlets.nifti import load_volume, save_volume
from sct_rootlets.registration.to_template import register
from sct_rootlets.sidecar import seal, sha256_of
from sct_rootlets.subject import Inputs, levels_from_labels


@pytest.fixture
def subject(phantom_levels):
    return phantom_levels


def test_positions_are_those_of_the_anatomy(subject, phantom):
    """Levels within 1 mm, discs within a voxel's rounding, counted from the PMJ."""
    anatomy = phantom.anatomy
    assert subject.reference.name == "PMJ"
    table = subject.levels.set_index(["kind", "name"])
    for name, ends in anatomy.spinal_extents(2.4).items():
        row = table.loc["spinal", name]
        np.testing.assert_allclose([row.rostral_mm, row.caudal_mm], np.subtract(ends, anatomy.pmj_mm), atol=1.0)
    for value in range(1, 10):
        row = table.loc["vertebral", level_name(value, "vertebral")]
        ends = np.array([anatomy.discs[value], anatomy.discs[value + 1]]) - anatomy.pmj_mm
        np.testing.assert_allclose([row.rostral_mm, row.caudal_mm], ends, atol=0.9)


def test_shifted_pairs_show_the_anatomy_s_bias(subject, phantom):
    anatomy = phantom.anatomy
    truth = {name: np.mean(ends) for name, ends in anatomy.spinal_extents(2.4).items()}
    table = subject.correspondence
    shifted = table[table.pairing == "shifted"]
    assert [*shifted.vertebral_level + "-" + shifted.spinal_level][:7] == [
        "C2-C3",
        "C3-C4",
        "C4-C5",
        "C5-C6",
        "C6-C7",
        "C7-C8",
        "T1-T1",
    ]
    for row in shifted.itertuples():
        value = level_value(row.vertebral_level, "vertebral")
        expected = (anatomy.discs[value] + anatomy.discs[value + 1]) / 2 - truth[row.spinal_level]
        assert row.difference_mm == pytest.approx(expected, abs=0.8)


def test_map_and_table_agree(subject):
    for kind in ("spinal", "vertebral"):
        labels = subject.level_map(kind)
        assert not labels[~subject.cord.data].any()
        rows = subject.levels[subject.levels.kind == kind]
        values, counts = np.unique(labels[labels > 0], return_counts=True)
        assert dict(zip(rows.level, rows.n_voxels, strict=True)) == dict(zip(values, counts, strict=True))


def test_slices_are_where_the_map_has_the_level(subject):
    """PSR axes: the second axis grows towards superior, as the Spinal Cord Toolbox counts."""
    labels = subject.level_map("spinal")
    line = np.rint(nib.affines.apply_affine(np.linalg.inv(subject.cord.affine), subject.centerline.points)).astype(int)
    line = line[((line >= 0) & (line < labels.shape)).all(axis=1)]
    for row in subject.levels[subject.levels.kind == "spinal"].itertuples():
        on_line = line[labels[tuple(line.T)] == row.level][:, 1]
        assert abs(on_line.min() - row.slice_start) <= 1
        assert abs(on_line.max() - row.slice_end) <= 1


def reoriented(volume, axcodes):
    image = nib.Nifti1Image(volume.data, volume.affine)
    target = nib.orientations.axcodes2ornt(axcodes)
    return image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(volume.affine), target))


@pytest.mark.parametrize("axcodes", ["RAS", "LPI", "SAL"])
def test_axis_order_changes_nothing(subject, phantom, axcodes):
    def turned(volume):
        return reoriented(volume, axcodes)

    labels = {"discs": turned(phantom.discs), "pmj": turned(phantom.pmj)}
    other = compute_spinal_levels(turned(phantom.rootlets), cord=phantom.cord, method="extent", **labels)
    pd.testing.assert_frame_equal(other.levels, subject.levels)
    all_turned = compute_spinal_levels(
        turned(phantom.rootlets), cord=turned(phantom.cord), discs=phantom.discs, pmj=phantom.pmj, method="extent"
    )
    pd.testing.assert_frame_equal(all_turned.levels, subject.levels, atol=1e-6)
    turned_map = turned(Volume(subject.level_map("spinal"), phantom.cord.affine))
    np.testing.assert_array_equal(all_turned.level_map("spinal"), np.asanyarray(turned_map.dataobj))


def test_segments_cover_the_cord_without_gap(phantom):
    subject = compute_spinal_levels(phantom.rootlets, cord=phantom.cord)
    rows = subject.levels
    np.testing.assert_allclose(rows.rostral_mm[1:], rows.caudal_mm[:-1])
    arc = subject.centerline.project(nib.affines.apply_affine(phantom.cord.affine, np.argwhere(phantom.cord.data))).arc
    inside = (arc >= rows.rostral_mm.iloc[0]) & (arc < rows.caudal_mm.iloc[-1])
    assert (subject.level_map("spinal")[phantom.cord.data > 0][inside] > 0).all()


def test_either_input_may_be_absent(phantom):
    spinal = compute_spinal_levels(phantom.rootlets, cord=phantom.cord)
    assert (spinal.reference.name, set(spinal.levels.kind), spinal.pairs) == ("cord top", {"spinal"}, [])
    vertebral = compute_spinal_levels(cord=phantom.cord, discs=phantom.discs)
    assert (vertebral.reference.name, set(vertebral.levels.kind)) == ("disc C2/C3", {"vertebral"})
    above = vertebral.levels[vertebral.levels.name == "C2"]
    assert (above.rostral_mm < 0).all()
    assert above.caudal_mm.iloc[0] == pytest.approx(0)
    with pytest.raises(ValueError, match="rootlets, discs or both"):
        compute_spinal_levels(cord=phantom.cord)
    with pytest.raises(ValueError, match="no vertebral levels: discs were not given"):
        spinal.level_map("vertebral")


def test_arrays_do_as_well_as_files(subject, phantom, phantom_folder):
    labels = phantom_folder / "derivatives" / "labels" / "sub-phantom01" / "anat"
    from_files = compute_spinal_levels(
        labels / "sub-phantom01_T2w_label-rootlets_dseg.nii.gz",
        cord=labels / "sub-phantom01_T2w_label-SC_seg.nii.gz",
        discs=labels / "sub-phantom01_T2w_label-discs_dlabel.nii.gz",
        pmj=labels / "sub-phantom01_T2w_label-PMJ_dlabel.nii.gz",
        method="extent",
    )
    pd.testing.assert_frame_equal(from_files.levels, subject.levels)
    affine = phantom.cord.affine
    from_arrays = compute_spinal_levels(
        (phantom.rootlets.data, affine), cord=(phantom.cord.data, affine), method="extent"
    )
    kept = ["name", "length_mm", "n_voxels"]
    expected = subject.levels[subject.levels.kind == "spinal"][kept].reset_index(drop=True)
    pd.testing.assert_frame_equal(from_arrays.levels[kept], expected)


def test_files_hold_what_the_tables_hold(subject, tmp_path):
    names = {path.name for path in save_levels(subject, tmp_path, prefix="sub-01_T2w", published=True)}
    assert names == {path.name for path in tmp_path.iterdir()}
    assert names == {
        "sub-01_T2w_levels.csv",
        "sub-01_T2w_levels.json",
        "sub-01_T2w_correspondence.csv",
        "sub-01_T2w_levels.png",
        "sub-01_T2w_levels.svg",
        "sub-01_T2w_label-rootlets_dseg_pmj_distance.csv",
        "sub-01_T2w_pmj_distance_vertebral_disc.csv",
        *(f"sub-01_T2w_label-{kind}Levels_dseg.{ending}" for kind in ("spinal", "vertebral")
          for ending in ("nii.gz", "json", "tsv")),
    }  # fmt: skip
    levels = pd.read_csv(tmp_path / "sub-01_T2w_levels.csv")
    np.testing.assert_allclose(levels.midpoint_mm, subject.levels.midpoint_mm, atol=6e-4)
    assert list(levels.columns) == list(subject.levels.columns)
    pairs = pd.read_csv(tmp_path / "sub-01_T2w_correspondence.csv")
    np.testing.assert_allclose(pairs.difference_mm, subject.correspondence.difference_mm, atol=6e-4)
    colors = pd.read_csv(tmp_path / "sub-01_T2w_label-vertebralLevels_dseg.tsv", sep="\t")
    assert list(colors.columns) == ["index", "name", "color"]
    assert dict(zip(colors["index"], colors["name"], strict=True))[8] == "T1"
    sidecar = json.loads((tmp_path / "sub-01_T2w_label-spinalLevels_dseg.json").read_text(encoding="utf-8"))
    assert (sidecar["Method"], sidecar["DistanceMillimeters"], sidecar["Reference"]) == ("extent", 2.4, "PMJ")
    assert sidecar["Sources"] == list(sidecar["Inputs"].values())  # BIDS wants a list
    saved = nib.load(tmp_path / "sub-01_T2w_label-spinalLevels_dseg.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(saved.dataobj), subject.level_map("spinal"))


def test_published_tables_have_their_columns_and_sense(subject, tmp_path):
    save_levels(subject, tmp_path, prefix="t2", figure=False, published=True)
    table = pd.read_csv(tmp_path / "t2_label-rootlets_dseg_pmj_distance.csv")
    assert list(table.columns) == [
        "spinal_level",
        "fname",
        "slice_start",
        "slice_end",
        "distance_from_pmj_start",
        "distance_from_pmj_end",
        "height",
    ]
    assert (table.distance_from_pmj_start > table.distance_from_pmj_end).all()
    assert (table.slice_start < table.slice_end).all()
    np.testing.assert_allclose(table.height, table.distance_from_pmj_start - table.distance_from_pmj_end, atol=2e-3)


def test_the_published_table_of_2026_has_its_columns_and_distances_of_slices(subject, phantom, tmp_path):
    """Where the true centerline crosses the middle of the highest and the lowest slice of a level, from the PMJ."""
    save_levels(subject, tmp_path, prefix="t2", figure=False, published="2026")
    table = pd.read_csv(tmp_path / "t2_label-rootlets_dseg_pmj_distance_rootlets-only.csv")
    assert list(table.columns) == [
        "spinal_level",
        "fname",
        "slice_start_I-S",
        "slice_end_I-S",
        "distance_from_pmj_start_S-I",
        "distance_from_pmj_end_S-I",
        "distance_from_pmj_midpoint",
        "height",
    ]
    assert table.spinal_level.tolist() == [2, 3, 4, 5, 6, 7, 8, 9]
    anatomy, affine = phantom.anatomy, phantom.cord.affine
    lowest_mm = nib.affines.apply_affine(
        affine, np.array(np.meshgrid(*[(0, n - 1) for n in phantom.cord.data.shape])).reshape(3, -1).T
    )[:, 2].min()
    line = anatomy.centerline
    for column, slices in (
        ("distance_from_pmj_start_S-I", table["slice_end_I-S"]),
        ("distance_from_pmj_end_S-I", table["slice_start_I-S"]),
    ):
        arc = np.interp(-(lowest_mm + slices), -line.points[:, 2], line.arc)
        np.testing.assert_allclose(table[column], arc - anatomy.pmj_mm, atol=0.5)
    # The slices are the whole ones of the level, 1 mm each.
    levels = subject.levels[subject.levels.kind == "spinal"]
    for column, ends in (
        ("distance_from_pmj_start_S-I", levels.rostral_mm),
        ("distance_from_pmj_end_S-I", levels.caudal_mm),
    ):
        inward = (table[column] - ends.to_numpy()) * (1 if "start" in column else -1)
        assert inward.between(-0.05, 1.1).all()
    start, end = table["distance_from_pmj_start_S-I"], table["distance_from_pmj_end_S-I"]
    np.testing.assert_allclose(table.height, end - start, atol=2e-3)
    np.testing.assert_allclose(table.distance_from_pmj_midpoint, (start + end) / 2, atol=2e-3)
    assert list(pd.read_csv(tmp_path / "t2_pmj_distance_vertebral_disc.csv").columns)[2] == "slice_start"


@pytest.mark.parametrize("axcodes", ["LAS", "RPI"])
def test_the_published_table_of_2026_is_the_same_in_any_axis_order(subject, phantom, tmp_path, axcodes):
    tables = []
    for name, given in (("a", subject), ("b", compute_spinal_levels(
        reoriented(phantom.rootlets, axcodes), cord=reoriented(phantom.cord, axcodes),
        pmj=reoriented(phantom.pmj, axcodes), method="extent",
    ))):  # fmt: skip
        save_levels(given, tmp_path, prefix=name, figure=False, published="2026")
        table = pd.read_csv(tmp_path / f"{name}_label-rootlets_dseg_pmj_distance_rootlets-only.csv")
        tables.append(table.drop(columns="fname"))
    pd.testing.assert_frame_equal(*tables, atol=2e-3)


def test_an_unknown_year_of_the_published_tables(subject, tmp_path):
    with pytest.raises(ValueError, match="2025 or 2026"):
        save_levels(subject, tmp_path / "out", published="2024")


def test_published_tables_need_the_pmj(phantom, tmp_path):
    with pytest.raises(SctRootletsError, match="distances from the PMJ"):
        save_levels(compute_spinal_levels(phantom.rootlets, cord=phantom.cord), tmp_path / "out", published=True)
    assert not (tmp_path / "out").exists()


def test_same_input_same_bytes(subject, tmp_path):
    for name in ("one", "two"):
        save_levels(subject, tmp_path / name, prefix="t2")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_pmj_below_the_levels_is_refused(phantom):
    data = np.zeros_like(phantom.pmj.data)
    data[tuple(np.argwhere(phantom.discs.data == 6)[0])] = 50
    with pytest.raises(LabelError, match="the PMJ label lies below spinal level C2"):
        compute_spinal_levels(phantom.rootlets, cord=phantom.cord, pmj=Volume(data, phantom.pmj.affine))


def test_other_grids_are_refused(phantom):
    affine = phantom.discs.affine.copy()
    affine[:3, 3] += 5
    with pytest.raises(ImageError, match="different affines"):
        compute_spinal_levels(cord=phantom.cord, discs=(phantom.discs.data, affine))


def test_oblique_anisotropic_crop(phantom_folder):
    """The second phantom: oblique, anisotropic, cropped: names and lengths as in its truth."""
    labels = phantom_folder / "derivatives" / "labels" / "sub-phantom02" / "anat"
    truth = json.loads((labels / "sub-phantom02_T2w_truth.json").read_text())
    subject = compute_spinal_levels(
        labels / "sub-phantom02_T2w_label-rootlets_dseg.nii.gz",
        cord=labels / "sub-phantom02_T2w_label-SC_seg.nii.gz",
        discs=labels / "sub-phantom02_T2w_label-discs_dlabel.nii.gz",
        method="extent",
    )
    whole = {level.name: level for level in subject.spinal.levels if not level.incomplete}
    assert set(whole) == {"C4", "C5", "C6", "C7"}
    discs = {disc.value: disc.arc_mm for disc in subject.discs}
    offset = np.mean([truth["discs"][str(value)] - arc for value, arc in discs.items()])
    for name, level in whole.items():
        ends = np.array([level.rostral_mm, level.caudal_mm]) + offset
        np.testing.assert_allclose(ends, truth["extent_2.4mm"][name], atol=1.6)


def test_whether_names_come_from_discs_is_handed_on(phantom_folder, tmp_path):
    """From the sidecar of the rootlets, as `sct_deepseg` writes it, to that of the levels."""
    labels = phantom_folder / "derivatives" / "labels" / "sub-phantom01" / "anat"
    rootlets = tmp_path / "t2_rootlets.nii.gz"
    rootlets.write_bytes((labels / "sub-phantom01_T2w_label-rootlets_dseg.nii.gz").read_bytes())
    (tmp_path / "t2_rootlets.json").write_text('{"NamesFromDiscs": true}')
    subject = compute_spinal_levels(rootlets, cord=labels / "sub-phantom01_T2w_label-SC_seg.nii.gz")
    save_levels(subject, tmp_path / "levels", prefix="t2", figure=False)
    sidecar = json.loads((tmp_path / "levels" / "t2_label-spinalLevels_dseg.json").read_text())
    assert sidecar["NamesFromDiscs"] is True
    assert any("come from the discs" in note for note in sidecar["Notes"])


def test_the_confidence_of_names_survives_a_second_command(phantom_folder, template_folder, tmp_path):
    """In levels, table and registration, as long as the map is the one that was written."""
    labels = phantom_folder / "derivatives" / "labels" / "sub-phantom01" / "anat"
    cord, rootlets = labels / "sub-phantom01_T2w_label-SC_seg.nii.gz", tmp_path / "t2_rootlets.nii.gz"
    rootlets.write_bytes((labels / "sub-phantom01_T2w_label-rootlets_dseg.nii.gz").read_bytes())
    known = {"Levels": [{"Name": "C5", "Confidence": 0.61}, {"Name": "C6", "Confidence": 0.98}]}
    (tmp_path / "t2_rootlets.json").write_text(json.dumps(seal(known, {rootlets.name: sha256_of(rootlets)})))
    subject = compute_spinal_levels(rootlets, cord=cord)
    assert {level.name: level.confidence for level in subject.spinal.levels if level.confidence} == {
        "C5": 0.61, "C6": 0.98,
    }  # fmt: skip
    table = subject.levels.set_index("name")
    assert table.confidence["C5"] == 0.61
    flag = next(flag for flag in subject.flags if flag.key == "confidence")
    assert (flag.value, flag.level, flag.state) == (0.61, ("spinal", "C5"), "look")
    registration = register(cord=cord, rootlets=rootlets, template=template_folder)
    assert {row["name"]: row["confidence"] for row in registration.rows}["C5"] == 0.61
    edited = load_volume(rootlets)
    save_volume(rootlets, np.where(edited.data == 6, 7, edited.data), edited.affine)
    assert not any(level.confidence for level in compute_spinal_levels(rootlets, cord=cord).spinal.levels)


def test_it_shows_itself_as_small_tables(subject):
    """Positions as in the tables, and nothing of the arrays."""
    text = repr(subject)
    lines = text.splitlines()
    assert lines[0].endswith("in mm along the cord from: PMJ; spinal levels by method: extent")
    assert lines[1].split() == ["kind", "level", "rostral", "caudal", "midpoint", "complete"]
    table = subject.levels
    assert len(lines) == 3 + len(table) + len(subject.shifted_pairs)
    for row, line in zip(table.itertuples(), lines[2:], strict=False):
        numbers = [f"{value:.1f}" for value in (row.rostral_mm, row.caudal_mm, row.midpoint_mm)]
        assert line.split() == [row.kind, row.name, *numbers, "yes" if row.complete else "no"]
    shifted = subject.correspondence[subject.correspondence.pairing == "shifted"]
    for row, line in zip(shifted.itertuples(), lines[-len(shifted) :], strict=True):
        assert line.split() == [row.vertebral_level, row.spinal_level, f"{row.difference_mm:+.1f}"]
    assert "array" not in text


def test_it_shows_itself_in_notebooks(subject):
    shown = subject._repr_html_()
    assert shown.count("<table") == 2
    assert "spinal levels by method: extent" in shown
    named = replace(subject, image=replace(subject.image, name="<b>t2.nii.gz"))
    assert "&lt;b&gt;t2.nii.gz" in named._repr_html_()


def test_one_kind_of_levels_is_shown_alone(subject):
    alone = replace(subject, spinal=None)
    assert "method" not in repr(alone)
    assert "difference" not in repr(alone)
    assert alone._repr_html_().count("<table") == 1


def test_arc_length_of_rootlets_is_within_their_level(subject):
    for level in subject.spinal.levels:
        arc = subject.rootlet_arcs[level.value]
        assert level.rostral_mm <= np.median(arc) <= level.caudal_mm + 5  # beyond 2.4 mm they run on caudally
    assert replace(subject, rootlets=None).rootlet_arcs == {}


def test_labels_that_were_made_from_another_image_are_said(phantom, tmp_path):
    """By their sidecars: a correction stays in use when its image is replaced."""
    paths = {name: tmp_path / f"{name}.nii.gz" for name in ("image", "cord", "rootlets")}
    for name, path in paths.items():
        volume = getattr(phantom, name)
        nib.save(nib.Nifti1Image(volume.data.astype(np.float32), volume.affine), path)
    image = load_volume(paths["image"])
    for name in ("cord", "rootlets"):
        scan = {"Scan": {"Path": None, "Grid": "0", "Voxels": image.voxels_digest}}
        paths[name].with_suffix("").with_suffix(".json").write_text(json.dumps(scan))
    assert Inputs.load(**paths).image_notes == []
    moved = nib.Nifti1Image(np.roll(image.data, 5, axis=0), image.affine)
    nib.save(moved, paths["image"])
    note = (
        "cord.nii.gz and rootlets.nii.gz were made from other voxels than those of image.nii.gz: the image was changed "
        "since, or is another one; check that they still lie where the image shows them"
    )
    assert Inputs.load(**paths).image_notes == [note]
    assert note in levels_from_labels(Inputs.load(**paths), "extent", 2.4).notes
    (tmp_path / "cord.json").unlink()
    assert Inputs.load(**paths).image_notes[0].startswith("rootlets.nii.gz was made from other voxels")
    assert Inputs.load(cord=paths["cord"], rootlets=paths["rootlets"]).image_notes == []
