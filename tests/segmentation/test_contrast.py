"""Whether an image is like the T2w scans on which numbers of vertebrae were verified."""

import numpy as np
import pytest

from sct_rootlets.image import Volume
from sct_rootlets.nifti import load_volume
from sct_rootlets.segmentation.contrast import compare_fluid_with_cord, is_like_t2w
from sct_rootlets.segmentation.numbering import combine
from sct_rootlets.segmentation.segment import judge_numbering
from sct_rootlets.segmentation.vertebral_path import VertebralPath


def cylinder(fluid, cord=100.0, spacing=(0.5, 1.0, 2.0)):
    """A cord of 5 mm radius in fluid that reaches 6 mm further, in muscle of half the cord's brightness."""
    shape = [round(40 / mm) for mm in spacing]
    x, y, _ = np.meshgrid(*(np.arange(n) * mm - 20 for n, mm in zip(shape, spacing, strict=True)), indexing="ij")
    radius = np.hypot(x, y)
    data = np.select([radius <= 5, radius <= 11], [cord, fluid], cord / 2)
    return Volume(data, np.diag([*spacing, 1.0]), "cylinder"), radius <= 5


@pytest.mark.parametrize(("fluid", "like"), [(450.0, True), (180.0, False), (60.0, False)])
def test_fluid_is_compared_with_the_cord(fluid, like):
    image, cord = cylinder(fluid)
    assert compare_fluid_with_cord(image, cord) == pytest.approx(fluid / 100)
    assert is_like_t2w(image, cord) == like


def test_an_image_whose_cord_is_not_bright_is_not_like_t2w():
    image, cord = cylinder(50.0, cord=0.0)
    assert not is_like_t2w(image, cord)


@pytest.mark.parametrize(
    ("fluid", "given", "noted"), [(450.0, False, False), (180.0, False, True), (180.0, True, False)]
)
def test_sure_numbers_are_noted_where_they_were_not_verified(fluid, given, noted):
    coordinate = np.linspace(3, 8, 50)
    paths = [VertebralPath(shift, coordinate + shift, np.full(50, 0.1), 0.0) for shift in (-1, 0, 1)]
    numbering = combine(paths, {"vertebrae": np.array([-9.0, 0, -9]), "thickness": np.array([-9.0, 0, -9])})
    assert numbering.describe_doubt() is None
    assert numbering.agrees()
    cells = np.arange(50.0)
    summary, notes = judge_numbering(numbering, *cylinder(fluid), cells, numbering if given else None)
    assert summary.probability == pytest.approx(numbering.probability.max())
    assert len(notes) == noted
    assert summary.is_corroborated == (not noted)


@pytest.mark.parametrize(("fluid", "compared"), [(450.0, True), (180.0, False)])
def test_given_discs_are_compared_with_t2w_scans_only(fluid, compared):
    cells = np.arange(100.0)
    paths = [VertebralPath(shift, 3 + cells / 16 + shift, np.full(100, 0.1), 0.0) for shift in (-1, 0, 1)]
    by_image = combine(paths, {"vertebrae": np.array([-99.0, 0, -99]), "thickness": np.array([-99.0, 0, -99])})
    below = by_image.fixed_by(cells, {4: 16.0 + 6.4})
    summary, notes = judge_numbering(below, *cylinder(fluid), cells, by_image)
    assert summary.contradicted_by_image is None
    if not compared:
        assert (summary.disc_offset_mm, notes) == ({}, [])
    else:
        assert summary.misplaced_discs == pytest.approx({4: 6.4})
        assert notes == [
            "the given disc C3/C4 lies 6 mm below the place where the image shows it; check its place and its number"
        ]
    one_off = by_image.fixed_by(cells, {5: 16.0})
    summary, notes = judge_numbering(one_off, *cylinder(fluid), cells, by_image)
    assert notes == []
    assert summary.misplaced_discs == {}
    assert summary.contradicted_by_image == (pytest.approx(by_image.probability[1]) if compared else None)


@pytest.mark.parametrize(
    ("scan", "cord", "like"),
    [
        ("errsm/sub-errsm11/anat/sub-errsm11_T2w",
         "errsm/derivatives/labels/sub-errsm11/anat/sub-errsm11_T2w_label-SC_seg", True),
        ("other/gm-challenge/sub-10062Ses1/anat/sub-10062Ses1_run-1_T2starw",
         "other/gm-challenge/derivatives/labels/sub-10062Ses1/anat/sub-10062Ses1_run-1_T2starw_seg-manual", False),
        ("other/t1w/sub-errsm11_T1w", "other/t1w/sub-errsm11_T1w_label-SC_seg", False),
        ("other/7t-t1map/t1map", "other/7t-t1map/t1map_seg", False),
    ],
)  # fmt: skip
def test_real_scans(real_data, scan, cord, like):
    image, mask = (load_volume(real_data / f"{name}.nii.gz") for name in (scan, cord))
    assert is_like_t2w(image, mask.data > 0) == like
