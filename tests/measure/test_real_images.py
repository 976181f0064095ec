"""Images of the session of a scan, on other grids, by the vertebral levels of the scan."""

import numpy as np
import pytest

from sct_rootlets.image import Volume
from sct_rootlets.measure.cord_levels import read_cord_levels
from sct_rootlets.measure.scan import MeasuredFiles, measure_scan
from sct_rootlets.nifti import load_volume
from sct_rootlets.subject import Inputs, levels_from_labels

pytestmark = pytest.mark.real_data


def measured(folder, subject, image, image_cord=None):
    stem = folder / "errsm" / "derivatives" / "labels" / f"sub-{subject}" / "anat" / f"sub-{subject}_T2w_label"
    cord = f"{stem}-SC_seg.nii.gz"
    levels = levels_from_labels(Inputs.load(cord=cord, discs=f"{stem}-discs_dlabel.nii.gz"))
    labels = Volume(levels.level_map("vertebral"), levels.cord.affine, "levels", levels.cord.header)
    images = folder / "other" / "same-session"
    cords = () if image_cord is None else (images / image_cord,)
    files = MeasuredFiles(images=(images / image,), image_cords=cords)
    files.check()
    return measure_scan(read_cord_levels({"vertebral": labels}, load_volume(cord)), files)


def test_mtr_by_levels_of_the_t2w(real_data):
    """30.8 % is the median of its own cord mask; levels below its five slices are not in view."""
    measures = measured(real_data, "errsm23", "sub-errsm23_MTRmap.nii.gz", "sub-errsm23_mt-on_MTR_label-SC_seg.nii.gz")
    (image,) = measures.images
    found = {statistics.region.name: statistics for statistics in image.statistics["cord"]}
    assert {name for name, statistics in found.items() if statistics.n_voxels} == {"C3", "C4", "C5", "C6"}
    for name in ("C3", "C4", "C5"):
        assert 27 < found[name].mean < 36
        assert found[name].covered > 0.95
    assert 27 < found["C6"].mean < 36
    assert found["C6"].remarks[0].endswith("of the level is in view")
    for name in ("C7", "T1", "T2"):
        assert np.isnan(found[name].mean)
        assert found[name].remarks[0] == "outside the image"
    # Five slices of 16.5 mm, and vertebrae of 16 to 18 mm: two levels share most slices, by volume.
    assert sum(statistics.size_voxels for statistics in found.values()) < 5 * 120
    assert image.overlap.shift_mm == pytest.approx(2.8, abs=0.3)
    assert "the cords overlap with a Dice coefficient of 0.5" in " ".join(measures.notes)
    assert [flag.state for flag in measures.flags] == ["look", "look"]


def test_by_the_headers_alone_the_mtr_is_that_of_fluid_too_and_a_note_asks_for_the_mask(real_data):
    measures = measured(real_data, "errsm23", "sub-errsm23_MTRmap.nii.gz")
    found = {statistics.region.name: statistics for statistics in measures.images[0].statistics["cord"]}
    assert found["C4"].mean < 27
    assert "is not known without its cord mask (-s-image)" in " ".join(measures.notes)


def test_t2star_of_the_session(real_data):
    measures = measured(real_data, "errsm18", "sub-errsm18_T2starw.nii.gz", "sub-errsm18_T2starw_label-SC_seg.nii.gz")
    (image,) = measures.images
    assert image.overlap.dice > 0.8
    found = {statistics.region.name: statistics for statistics in image.statistics["cord"]}
    cord = load_volume(real_data / "other" / "same-session" / "sub-errsm18_T2starw_label-SC_seg.nii.gz").data > 0
    values = load_volume(real_data / "other" / "same-session" / "sub-errsm18_T2starw.nii.gz").data[cord]
    for name in ("C3", "C4", "C5", "C6"):
        assert found[name].mean == pytest.approx(np.median(values), rel=0.15)
        assert found[name].covered > 0.98
