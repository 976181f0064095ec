"""Landmarks: what is paired, what is left out, and how far the map misses."""

import numpy as np
import pytest

from sct_rootlets.errors import LabelError
from sct_rootlets.registration.landmarks import (
    Landmark,
    arc_map,
    disc_landmarks,
    errors,
    pair_landmarks,
    rootlet_landmarks,
)
from sct_rootlets.vertebral import label_points

NAMES = {2: "C2", 3: "C3", 4: "C4", 5: "C5", 6: "C6", 9: "T1", 10: "T2"}


def levels(arcs: dict[int, float], cut: tuple[int, ...] = ()) -> list[Landmark]:
    return [Landmark("rootlets", value, NAMES[value], arc, 0.5, 5.0, value in cut) for value, arc in arcs.items()]


def test_rootlets_and_discs_of_the_phantom_lie_where_they_were_drawn(phantom):
    anatomy = phantom.anatomy
    line = anatomy.centerline
    found, _ = rootlet_landmarks(phantom.rootlets, phantom.cord, line)
    truth = {name: (low + high) / 2 for name, (low, high) in anatomy.spinal_extents(2.4).items()}
    assert [one.name for one in found] == list(truth)
    np.testing.assert_allclose([one.arc_mm for one in found], list(truth.values()), atol=1.0)
    discs, _ = disc_landmarks(label_points(phantom.discs), phantom.discs.affine, line)
    np.testing.assert_allclose([one.arc_mm for one in discs], list(anatomy.discs.values()), atol=1.0)


def test_what_the_template_lacks_is_left_out_with_a_note():
    pairs, notes = pair_landmarks(levels({4: 50.0, 5: 66.0}), levels({5: 60.0, 10: 140.0}), ["rootlets"])
    assert [pair.template.name for pair in pairs] == ["C5"]
    assert notes == ["the template has no T2 (rootlets): left out"]


def test_levels_that_the_field_of_view_cuts_do_not_count_unless_they_are_all():
    pairs, notes = pair_landmarks(levels({4: 50.0, 5: 66.0}), levels({4: 40.0, 5: 60.0}, cut=(4,)), ["rootlets"])
    assert [pair.used for pair in pairs] == [False, True]
    assert notes == ["C4: the field of view may cut its rootlets: not used as a landmark"]
    pairs, notes = pair_landmarks(levels({4: 50.0}), levels({4: 40.0}, cut=(4,)), ["rootlets"])
    assert pairs[0].used
    assert "uncertain" in notes[0]


def test_nothing_in_common_is_one_line_that_names_both_sides():
    with pytest.raises(LabelError, match=r"no label of the rootlets .* subject \(T2\) and the template \(C4, C5\)"):
        pair_landmarks(levels({4: 50.0, 5: 66.0}), levels({10: 140.0}), ["rootlets"])
    discs = [Landmark("discs", 4, "C3/C4", 10.0, 0.3)]
    with pytest.raises(LabelError, match="discs"):
        pair_landmarks(levels({4: 50.0}), [*levels({4: 40.0}), *discs], ["discs"])


def test_of_other_kinds_only_the_error_is_told():
    disc = Landmark("discs", 4, "C3/C4", 30.0, 0.3), Landmark("discs", 4, "C3/C4", 26.0, 0.3)
    pairs, notes = pair_landmarks([*levels({5: 50.0}), disc[0]], [*levels({5: 50.0}), disc[1]], ["rootlets"])
    assert notes == []
    assert [(pair.template.kind, pair.used) for pair in pairs] == [("discs", False), ("rootlets", True)]
    assert errors(pairs) == [(pytest.approx(4.0), pytest.approx(4.0)), (pytest.approx(0.0), None)]


def test_leaving_one_out_tells_what_the_others_predict():
    """Levels 20 mm apart on the template and 18 mm in the subject, but for one, 3 mm too low."""
    arcs = {2: 10.0, 3: 30.0, 4: 50.0, 5: 70.0, 6: 90.0}
    subject = {value: 5 + 0.9 * arc + 3.0 * (value == 4) for value, arc in arcs.items()}
    pairs, _ = pair_landmarks(levels(arcs), levels(subject), ["rootlets"])
    miss = dict(zip(arcs, errors(pairs), strict=True))
    assert all(abs(one) < 1e-9 for one, _ in miss.values())
    assert miss[4][1] == pytest.approx(-3.0)
    assert miss[2][1] == pytest.approx(-0.25, abs=0.1)  # at the scale of the others, 0.9, shrunk towards 1: not -2.0
    assert arc_map(pairs)([50.0])[0] == pytest.approx(subject[4])
