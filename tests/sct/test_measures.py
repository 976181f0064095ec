"""Shape and signal per level against ``sct_process_segmentation`` and ``sct_extract_metric``."""

import re

import numpy as np
import pandas as pd
import pytest

from sct_rootlets.image import Volume
from sct_rootlets.measure.cord_levels import read_cord_levels
from sct_rootlets.measure.points import border_points, draw_points
from sct_rootlets.measure.scan import MeasuredFiles, measure_scan
from sct_rootlets.measure.shape import measure_slices, shape_by_level
from sct_rootlets.nifti import load_volume, save_labels, save_volume
from sct_rootlets.output.measures import slice_text
from sct_rootlets.subject import Inputs, levels_from_labels

pytest.importorskip("spinalcordtoolbox", reason="the Spinal Cord Toolbox is not importable")

#: Vertebral levels of the four scans whose cord masks were drawn by hand.
SUBJECTS = ("errsm11", "errsm18", "errsm21", "errsm23")


def vertebral_map(folder, subject):
    """Cord mask, and the cord coloured by vertebral level."""
    stem = folder / "errsm" / "derivatives" / "labels" / f"sub-{subject}" / "anat" / f"sub-{subject}_T2w_label"
    cord = f"{stem}-SC_seg.nii.gz"
    levels = levels_from_labels(Inputs.load(cord=cord, discs=f"{stem}-discs_dlabel.nii.gz"))
    return cord, Volume(levels.level_map("vertebral"), levels.cord.affine, "levels", levels.cord.header)


@pytest.mark.real_data
@pytest.mark.parametrize("subject", SUBJECTS)
def test_shape_is_that_of_sct_process_segmentation(real_data, tmp_path, monkeypatch, subject):
    """The same slices; areas within 1 %, diameters within 2 %."""
    from spinalcordtoolbox.scripts import sct_process_segmentation

    monkeypatch.setattr(sct_process_segmentation, "sleep", lambda _: None)  # 3 s to read that -vertfile is old
    cord, levels = vertebral_map(real_data, subject)
    save_labels(tmp_path / "levels.nii.gz", levels.data, levels)
    arguments = ["-i", cord, "-vertfile", str(tmp_path / "levels.nii.gz"), "-vert", "3:9", "-perlevel", "1"]
    sct_process_segmentation.main([*arguments, "-o", str(tmp_path / "sct.csv"), "-v", "0"])
    expected = pd.read_csv(tmp_path / "sct.csv").set_index("VertLevel")

    measured = read_cord_levels({"vertebral": levels}, load_volume(cord))
    found = {shape.level.value: shape for shape in shape_by_level(measure_slices(measured.cord), measured)}
    assert len(expected) >= 6
    for value, row in expected.iterrows():
        shape = found[value]
        assert slice_text(shape.slices) == row["Slice (I->S)"]
        assert shape.mean["area"] == pytest.approx(row["MEAN(area)"], rel=0.01)
        for name in ("diameter_AP", "diameter_AP_ellipse", "diameter_RL"):
            assert shape.mean[name] == pytest.approx(row[f"MEAN({name})"], rel=0.02)
        assert shape.mean["eccentricity"] == pytest.approx(row["MEAN(eccentricity)"], abs=0.02)
        assert shape.mean["solidity"] == pytest.approx(row["MEAN(solidity)"], abs=0.02)
        assert shape.mean["orientation"] == pytest.approx(row["MEAN(orientation)"], abs=3)
        assert shape.length_mm == pytest.approx(row["SUM(length)"], rel=0.01)


@pytest.mark.parametrize("is_soft", [False, True], ids=["binary", "soft"])
def test_signal_is_that_of_sct_extract_metric(phantom_folder, tmp_path, is_soft):
    """Weighted averages of the level maps within 0.5 %, medians and standard deviations too."""
    from spinalcordtoolbox.scripts import sct_extract_metric

    folder, stem = phantom_folder / "derivatives" / "labels" / "sub-phantom01" / "anat", "sub-phantom01_T2w"
    cord_file = folder / f"{stem}_label-SC_seg.nii.gz"
    subject = levels_from_labels(Inputs.load(cord=cord_file, rootlets=folder / f"{stem}_label-rootlets_dseg.nii.gz"))
    levels = Volume(subject.level_map("spinal"), subject.cord.affine, "levels", subject.cord.header)
    image = phantom_folder / "sub-phantom01" / "anat" / f"{stem}.nii.gz"
    cord = load_volume(cord_file)
    rng = np.random.default_rng(0)
    share = np.where(cord.data > 0, rng.uniform(0.3, 1, cord.data.shape) if is_soft else 1, 0).astype(np.float32)
    save_volume(tmp_path / "mask.nii.gz", share, cord.affine, cord.header)
    files = MeasuredFiles(images=(image,), masks=(tmp_path / "mask.nii.gz",))
    files.check()
    (measured,) = measure_scan(read_cord_levels({"spinal": levels}, cord), files).images
    for statistics in measured.statistics["mask"]:
        value = statistics.region.level.value
        label = tmp_path / f"level{value}.nii.gz"
        save_volume(label, np.where(levels.data == value, share, 0).astype(np.float32), cord.affine, cord.header)
        for method, ours in (("wa", statistics.mean), ("median", statistics.median)):
            table = tmp_path / f"{method}{value}.csv"
            arguments = ["-i", str(image), "-f", str(label), "-method", method, "-perslice", "0"]
            sct_extract_metric.main([*arguments, "-z", f"0:{cord.data.shape[1] - 1}", "-o", str(table), "-v", "0"])
            row = pd.read_csv(table).iloc[0]
            (column,) = [name for name in row.index if re.fullmatch(r"(WA|MEDIAN)\(\)", name)]
            assert ours == pytest.approx(float(row[column]), rel=0.005)
            assert statistics.size_voxels == pytest.approx(float(row["Size [vox]"]), rel=1e-3)
            assert statistics.sd == pytest.approx(float(row["STD()"]), rel=0.005)


def test_borders_are_what_sct_takes_as_discs(phantom_folder, tmp_path):
    """Areas of spinal levels that SCT measures between our points are those of the level map, within 2 %."""
    from spinalcordtoolbox.scripts import sct_process_segmentation

    folder = phantom_folder / "derivatives" / "labels" / "sub-phantom01" / "anat"
    cord = folder / "sub-phantom01_T2w_label-SC_seg.nii.gz"
    subject = levels_from_labels(
        Inputs.load(cord=cord, rootlets=folder / "sub-phantom01_T2w_label-rootlets_dseg.nii.gz")
    )
    levels = Volume(subject.level_map("spinal"), subject.cord.affine, "levels", subject.cord.header)
    measured = read_cord_levels({"spinal": levels}, load_volume(cord))
    points = draw_points(border_points(measured, "spinal"), measured.grid)
    save_labels(tmp_path / "borders.nii.gz", points, measured.grid)
    arguments = ["-i", str(cord), "-discfile", str(tmp_path / "borders.nii.gz"), "-vert", "3:8", "-perlevel", "1"]
    sct_process_segmentation.main([*arguments, "-o", str(tmp_path / "sct.csv"), "-v", "0"])
    expected = pd.read_csv(tmp_path / "sct.csv").set_index("VertLevel")
    found = {shape.level.value: shape for shape in shape_by_level(measure_slices(measured.cord), measured)}
    assert sorted(expected.index) == [3, 4, 5, 6, 7, 8]
    for value, row in expected.iterrows():
        assert found[value].mean["area"] == pytest.approx(row["MEAN(area)"], rel=0.02)
        assert len(found[value].slices) == pytest.approx(row["SUM(length)"], abs=3)
