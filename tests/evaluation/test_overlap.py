"""Overlap and distance of masks against geometry and SimpleITK."""

import doctest

import numpy as np
import pytest

from sct_rootlets.evaluation import overlap
from sct_rootlets.evaluation.overlap import dice, hd95, slice_f1
from sct_rootlets.evaluation.scan import evaluate_scan

#: Voxels of 0.5 × 0.8 × 2 mm, turned about an axis.
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]) * [0.5, 0.8, 2.0]


def blobs(seed):
    """Two random, overlapping masks that touch the border of the volume."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((2, 6, 5, 4)) < 0.3
    return np.repeat(np.repeat(np.repeat(coarse, 3, 1), 3, 2), 3, 3) & (rng.random((2, 18, 15, 12)) < 0.9)


def line(*extra):
    """Twenty voxels in a row, and more."""
    mask = np.zeros((20, 20, 20), dtype=bool)
    mask[:, 0, 0] = True
    for index in extra:
        mask[index] = True
    return mask


def test_dice_by_hand():
    first, second = np.zeros((4, 4, 4), bool), np.zeros((4, 4, 4), bool)
    first[:2], second[1:3] = True, True
    assert dice(first, second) == 0.5
    assert dice(first, first) == 1
    assert dice(first, np.zeros_like(first)) == 0


def test_empty_against_empty_is_no_score():
    nothing = np.zeros((4, 4, 4), bool)
    assert np.isnan(dice(nothing, nothing))
    assert np.isnan(slice_f1(nothing, nothing, 2))
    assert np.isnan(hd95(nothing, nothing, np.eye(4)))
    assert np.isnan(hd95(nothing, ~nothing, np.eye(4)))


def test_slice_f1_by_hand():
    """Slices 2-5 against 4-7: two hits, two missed, two false; where in the slice does not matter."""
    first, second = np.zeros((5, 5, 10), bool), np.zeros((5, 5, 10), bool)
    first[0, 0, 2:6], second[4, 4, 4:8] = True, True
    assert slice_f1(first, second, 2) == 2 * 2 / (2 * 2 + 2 + 2)


@pytest.mark.parametrize("affine", [np.eye(4), OBLIQUE])
def test_hd95_of_parallel_plates_is_their_distance(affine):
    masks = np.zeros((2, 12, 12, 12), bool)
    masks[0, 2], masks[1, 7] = True, True
    assert hd95(*masks, affine) == pytest.approx(5 * np.linalg.norm(affine[:3, 0]))


def test_hd95_is_the_percentile_of_the_worse_direction():
    """A spur of 2 voxels on 20: the 95th percentile of 22 distances lies 0.95 of the way from 0 to the first of them.

    Pooled with the 20 zeros of the other direction, the spur would be out of sight.
    """
    spur = line((0, 9, 0), (0, 10, 0))
    assert hd95(line(), spur, np.eye(4)) == pytest.approx(0.95 * 9)
    assert hd95(spur, line(), np.eye(4)) == pytest.approx(0.95 * 9)
    assert np.percentile([*[0] * 40, 9, 10], 95) == 0
    assert hd95(line(), line((0, 9, 0)), np.eye(4)) == 0  # one of 21 voxels is beyond the 95th percentile


def test_hd95_is_of_surfaces():
    """A ball in a ball: the distance is that between their surfaces, though the inner one lies within the outer."""
    radius = np.linalg.norm(np.indices((41, 41, 41)) - 20, axis=0)
    assert hd95(radius <= 8, radius <= 16, np.eye(4)) == pytest.approx(8, abs=0.5)


@pytest.mark.parametrize("seed", [0, 2, 3])
def test_dice_volume_and_hd95_are_those_of_simpleitk(seed):
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    masks, spacing = blobs(seed), (0.5, 0.8, 2.0)
    images = [sitk.GetImageFromArray(mask.T.astype(np.uint8)) for mask in masks]
    for image in images:
        image.SetSpacing(spacing)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*images)
    assert dice(*masks) == pytest.approx(overlap.GetDiceCoefficient())
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(images[0])
    row = evaluate_scan(masks[0] * 2, masks[1] * 2, np.diag([*spacing, 1])).levels.iloc[0]
    assert row.volume_mm3 == pytest.approx(shape.GetPhysicalSize(1))
    padded = [
        sitk.ConstantPad(image, [1] * 3, [1] * 3, 0) for image in images
    ]  # outside the volume is outside the mask
    surfaces = [sitk.LabelContour(image, fullyConnected=False) for image in padded]
    percentiles = []
    for one, other in (surfaces, surfaces[::-1]):
        distance = sitk.Abs(sitk.SignedMaurerDistanceMap(other, squaredDistance=False, useImageSpacing=True))
        percentiles.append(np.percentile(sitk.GetArrayFromImage(distance)[sitk.GetArrayFromImage(one) > 0], 95))
    assert percentiles[0] != percentiles[1]  # or the larger of the two would prove nothing
    assert hd95(*masks, np.diag([*spacing, 1])) == pytest.approx(max(percentiles), rel=1e-5)


def test_docstring_examples():
    result = doctest.testmod(overlap)
    assert (result.attempted > 0, result.failed) == (True, 0)
