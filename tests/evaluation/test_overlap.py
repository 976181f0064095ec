"""Overlap, distance, names and ends against geometry and SimpleITK."""

import numpy as np
import pytest
from ladder import LEVEL_SLICES, PITCH, cord, ladder

from sct_rootlets.evaluation.overlap import Cord, dice, evaluate_scan, hd95, level_ends, slice_f1
from sct_rootlets.phantom import draw_phantom
from sct_rootlets.synthesis.cervical import cervical_anatomy

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


def statuses(prediction, reference, values=None):
    rows = evaluate_scan(prediction, reference, np.eye(4), values=values).levels
    return {row.name: (row.status, row.found_as) for row in rows.itertuples(index=False)}


def test_names_of_levels():
    truth = ladder()
    assert set(statuses(truth, truth).values()) == {("detected", name) for name in ("C2", "C3", "C4", "C5", "C6", "C7")}
    lost = statuses(ladder(values=(2, 3, 5, 6, 7)), truth)
    assert lost["C4"] == ("missed", "")
    assert lost["C3"] == ("detected", "C3")
    assert statuses(truth, ladder(values=(2, 3)))["C4"] == ("extra", "")
    assert statuses(truth, truth, values=(3, 20))["T12"] == ("absent", "")


def test_every_name_off_by_one():
    found = statuses(
        ladder(values=range(2, 7), rename={value: value + 1 for value in range(2, 7)}), ladder(range(2, 7))
    )
    assert [found[name] for name in ("C2", "C3", "C4", "C5", "C6")] == [
        ("wrongly named", name) for name in ("C3", "C4", "C5", "C6", "C7")
    ]
    assert found["C7"] == ("extra", "C6")
    scan = evaluate_scan(ladder(values=range(2, 7), rename={v: v + 1 for v in range(2, 7)}), ladder(range(2, 7)),
                         np.eye(4)).scan  # fmt: skip
    assert [scan[f"n_{status}"] for status in ("levels", "detected", "wrongly_named", "missed", "extra")] == [
        5,
        0,
        5,
        0,
        1,
    ]
    assert scan["dice"] == 0
    assert scan["dice_any_name"] == 1


def test_a_stray_voxel_is_no_finding_and_a_near_miss_is_one():
    truth, stray, thin = ladder(values=(4,)), ladder(values=()), np.zeros_like(ladder())
    stray[tuple(np.argwhere(truth)[0])] = 4
    assert statuses(stray, truth)["C4"] == ("missed", "")
    thin[9, 6:9] = (truth == 4)[13, 6:9] * 4  # 4 mm from one pillar, and from the other
    assert statuses(thin, truth)["C4"] == ("missed", "")
    beside = np.roll(truth, 3, axis=0)  # as thick as it is off: no voxel overlaps
    assert dice(beside > 0, truth > 0) == 0
    assert statuses(beside, truth)["C4"] == ("detected", "C4")


def test_ends_along_the_superior_axis_by_geometry():
    affine = np.diag([1, 1, 1.5, 1])
    ends = level_ends(ladder(), affine)
    for value in range(2, 8):
        top = ladder().shape[2] - 4 - (value - 2) * PITCH
        assert ends[value] == pytest.approx((-(top - 0.5) * 1.5, -(top - LEVEL_SLICES - 0.5) * 1.5))
    rows = evaluate_scan(ladder(shift=2), ladder(), affine).levels
    np.testing.assert_allclose(rows[["rostral_error_mm", "caudal_error_mm"]], 3.0)
    flipped = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1.5, 90], [0, 0, 0, 1]])
    rows = evaluate_scan(ladder(shift=2)[:, :, ::-1], ladder()[:, :, ::-1], flipped).levels
    np.testing.assert_allclose(rows[["rostral_error_mm", "caudal_error_mm"]], 3.0)


def test_ends_along_a_curved_cord_by_geometry(phantom):
    """All rootlets moved 3 mm down the cord: every end is 3 mm off, within a voxel; Dice and name say less."""
    moved = draw_phantom(cervical_anatomy(drift_mm=3), phantom.rootlets.data.shape, phantom.rootlets.affine)
    affine = phantom.rootlets.affine
    measured = Cord.from_mask(phantom.cord.data > 0, affine)
    scores = evaluate_scan(moved.rootlets.data, phantom.rootlets.data, affine, measured)
    assert scores.notes == ()
    assert (scores.levels.status == "detected").all()
    errors = scores.levels[["rostral_error_mm", "caudal_error_mm"]]
    np.testing.assert_allclose(errors, 3.0, atol=1.0)
    assert errors.to_numpy().mean() == pytest.approx(3.0, abs=0.25)
    back = evaluate_scan(phantom.rootlets.data, moved.rootlets.data, affine, measured).levels
    np.testing.assert_allclose(back[["rostral_error_mm", "caudal_error_mm"]], -errors)


def test_what_cannot_be_placed_is_a_note_and_no_error():
    measured = Cord.from_mask(cord() > 0, np.eye(4))
    upside_down = ladder(rename=dict(zip(range(2, 8), range(7, 1, -1), strict=True)))
    scores = evaluate_scan(upside_down, ladder(), np.eye(4), measured)
    assert len(scores.notes) == 1
    assert scores.notes[0].startswith("no ends of levels in the prediction: the rootlet levels do not follow")
    assert scores.levels.rostral_error_mm.isna().all()
    assert scores.scan["n_wrongly_named"] == 6


def test_an_empty_prediction_misses_all_and_two_empty_maps_score_nothing():
    nothing = np.zeros_like(ladder())
    scores = evaluate_scan(nothing, ladder(), np.eye(4), Cord.from_mask(cord() > 0, np.eye(4)))
    assert (scores.levels.status == "missed").all()
    assert scores.scan["dice"] == 0
    assert np.isnan(scores.scan["hd95_mm"])
    neither = evaluate_scan(nothing, nothing, np.eye(4))
    assert len(neither.levels) == 0
    assert np.isnan(neither.scan["dice"])
    assert neither.notes == ("prediction and reference are both empty: nothing to score",)


def test_levels_that_are_not_asked_for_do_not_count():
    scores = evaluate_scan(ladder(values=range(2, 8)), ladder(values=range(2, 6)), np.eye(4), values=range(2, 6))
    assert scores.levels.name.tolist() == ["C2", "C3", "C4", "C5"]
    assert scores.scan["dice_any_name"] == 1
    assert scores.scan["n_extra"] == 0
