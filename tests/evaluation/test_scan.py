"""Statuses, names and ends of levels against geometry."""

import numpy as np
import pytest
from ladder import LEVEL_SLICES, PITCH, cord, ladder

from sct_rootlets.evaluation.overlap import dice
from sct_rootlets.evaluation.scan import Cord, evaluate_scan, level_ends
from sct_rootlets.phantom import draw_phantom
from sct_rootlets.synthesis.cervical import cervical_anatomy


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
