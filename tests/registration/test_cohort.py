"""A cohort in a template: ends of levels, coverage, and mean images."""

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.registration.cohort import (
    Extent,
    MeanImage,
    coverage_rows,
    coverage_summary_rows,
    level_extents,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("codes", ["RAS", "LPI", "SAR"])
def test_ends_of_levels_are_those_of_their_outermost_slices(codes):
    labels = np.zeros((6, 6, 20), np.uint8)
    labels[2, 3, 4:9] = 5
    labels[3, 2, 11] = 4
    image = nib.Nifti1Image(labels, np.diag([1, 1, 0.5, 1]))
    turn = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(codes))
    turned = image.as_reoriented(turn)
    extents = level_extents(np.asarray(turned.dataobj), turned.affine)
    assert extents[5] == Extent(top_mm=4.25, bottom_mm=1.75)
    assert extents[4] == Extent(top_mm=5.75, bottom_mm=5.25)


def test_coverage_is_averaged_over_those_who_have_the_level():
    template = {5: Extent(20.0, 10.0), 6: Extent(8.0, 0.0)}
    subjects = {
        "sub-1": {5: Extent(20.0, 15.0), 6: Extent(8.0, 0.0)},
        "sub-2": {5: Extent(25.0, 12.0)},
    }
    rows = coverage_rows(subjects, template)
    c5 = [row for row in rows if row["name"] == "C5"]
    assert [row["percent_of_template"] for row in c5] == [50, 80]
    assert [row["percent_of_level"] for row in c5] == pytest.approx([100, 100 * 8 / 13])
    first, second = coverage_summary_rows(rows, template)
    assert (first["n"], first["n_missing"], second["n"], second["n_missing"]) == (2, 0, 1, 1)
    assert (first["percent_mean_of_template"], first["percent_sd_of_template"]) == pytest.approx((65, np.sqrt(450)))
    assert (first["top_mean_mm"], first["top_sd_mm"]) == pytest.approx((22.5, np.sqrt(12.5)))
    assert np.isnan(second["top_sd_mm"])


def test_mean_and_sd_are_those_of_the_subjects_who_cover_a_voxel():
    images = RNG.normal(1000, 1, (5, 3, 4, 2))
    covered = RNG.random(images.shape) > 0.3
    covered[:, 0, 0, 0] = False
    running = MeanImage(images.shape[1:])
    for image, mask in zip(images, covered, strict=True):
        running.add(image, mask)
    masked = np.where(covered, images, np.nan)
    n = covered.sum(axis=0)
    assert (running.n == n).all()
    np.testing.assert_allclose(running.mean[n > 0], np.nanmean(masked[:, n > 0], axis=0), rtol=1e-6)
    np.testing.assert_allclose(running.sd[n > 1], np.nanstd(masked[:, n > 1], axis=0, ddof=1), rtol=1e-5)
    assert running.mean[0, 0, 0] == running.sd[0, 0, 0] == 0
