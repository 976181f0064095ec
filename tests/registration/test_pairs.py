"""Pairs of landmarks: which are used, which are left out, and how far the map misses them."""

import pytest

from sct_rootlets.errors import LabelError
from sct_rootlets.registration.landmarks import Landmark, LandmarkKind
from sct_rootlets.registration.pairs import (
    find_contradictions,
    landmark_errors,
    map_through,
    missed_landmarks,
    pair_landmarks,
)

NAMES = {2: "C2", 3: "C3", 4: "C4", 5: "C5", 6: "C6", 9: "T1", 10: "T2"}


def levels(arcs: dict[int, float], cut: tuple[int, ...] = ()) -> list[Landmark]:
    return [
        Landmark(
            kind="rootlets",
            value=value,
            name=NAMES[value],
            arc_mm=arc,
            sd_mm=0.5,
            half_length_mm=5.0,
            cut=value in cut,
        )
        for value, arc in arcs.items()
    ]


def disc(arc: float) -> Landmark:
    return Landmark(kind="discs", value=4, name="C3/C4", arc_mm=arc, sd_mm=0.3)


def test_landmarks_that_the_template_lacks_are_left_out_with_a_note():
    pairs, notes = pair_landmarks(levels({4: 50.0, 5: 66.0}), levels({5: 60.0, 10: 140.0}), ["rootlets"])
    assert [pair.template.name for pair in pairs] == ["C5"]
    assert notes == ["the template has no T2 (rootlets): left out"]


def test_levels_that_the_field_of_view_cuts_are_not_used_unless_all_are_cut():
    pairs, notes = pair_landmarks(levels({4: 50.0, 5: 66.0}), levels({4: 40.0, 5: 60.0}, cut=(4,)), ["rootlets"])
    assert [pair.used for pair in pairs] == [False, True]
    assert notes == ["C4: the field of view may cut its rootlets: not used as a landmark"]
    pairs, notes = pair_landmarks(levels({4: 50.0}), levels({4: 40.0}, cut=(4,)), ["rootlets"])
    assert pairs[0].used
    assert "uncertain" in notes[0]


def test_nothing_in_common_is_an_error_that_names_both_sides():
    with pytest.raises(LabelError, match=r"no label of the rootlets .* subject \(T2\) and the template \(C4, C5\)"):
        pair_landmarks(levels({4: 50.0, 5: 66.0}), levels({10: 140.0}), ["rootlets"])
    with pytest.raises(LabelError, match="discs"):
        pair_landmarks(levels({4: 50.0}), [*levels({4: 40.0}), disc(10.0)], ["discs"])


def test_landmarks_of_other_kinds_only_get_an_error():
    pairs, notes = pair_landmarks([*levels({5: 50.0}), disc(30.0)], [*levels({5: 50.0}), disc(26.0)], ["rootlets"])
    assert notes == []
    assert [(pair.template.kind, pair.used) for pair in pairs] == [("discs", False), ("rootlets", True)]
    assert landmark_errors(pairs) == [(pytest.approx(4.0), pytest.approx(4.0)), (pytest.approx(0.0), None)]


def test_the_leave_one_out_error_is_that_of_the_other_landmarks():
    """Levels 20 mm apart on the template and 18 mm in the subject, but for one, 3 mm too low."""
    arcs = {2: 10.0, 3: 30.0, 4: 50.0, 5: 70.0, 6: 90.0}
    subject = {value: 5 + 0.9 * arc + 3.0 * (value == 4) for value, arc in arcs.items()}
    pairs, _ = pair_landmarks(levels(arcs), levels(subject), ["rootlets"])
    errors = dict(zip(arcs, landmark_errors(pairs), strict=True))
    assert all(abs(one.error_mm) < 1e-9 for one in errors.values())
    assert errors[4].leave_one_out_mm == pytest.approx(-3.0)
    assert errors[2].leave_one_out_mm == pytest.approx(
        -0.25, abs=0.1
    )  # at the scale of the others, 0.9, shrunk towards 1: not -2.0
    assert map_through(pairs)([50.0])[0] == pytest.approx(subject[4])


DISCS = {2: 4.0, 3: 20.0, 4: 37.0, 5: 54.0, 6: 71.0, 9: 88.0}


def both_kinds(shifts: dict[int, float]) -> list:
    """Levels and discs of a subject who is the template, but for levels that are moved."""

    def discs() -> list[Landmark]:
        return [Landmark(kind="discs", value=v, name=f"disc {v}", arc_mm=mm, sd_mm=0.3) for v, mm in DISCS.items()]

    arcs = {2: 12.0, 3: 28.0, 4: 45.0, 5: 62.0, 6: 79.0}
    moved = {value: arc + shifts.get(value, 0.0) for value, arc in arcs.items()}
    return pair_landmarks([*levels(arcs), *discs()], [*levels(moved), *discs()], ["rootlets", "discs"])[0]


@pytest.mark.parametrize("shifts", [{}, {4: 4.9}, dict.fromkeys(range(2, 7), -4.9)])
def test_landmarks_that_agree_are_not_noted(shifts):
    assert not any("contradict each other" in note for note in find_contradictions(both_kinds(shifts)))


def test_a_level_away_from_where_discs_place_it_is_named():
    first, *_ = find_contradictions(both_kinds({4: -7.0}))
    assert first.startswith("rootlets and discs contradict each other: ")
    assert "(C4 7.0 mm rostrally)" in first


def test_one_kind_alone_does_not_contradict_itself():
    arcs = {2: 10.0, 3: 30.0, 4: 50.0}
    assert find_contradictions(pair_landmarks(levels(arcs), levels({**arcs, 3: 40.0}), ["rootlets"])[0]) == []


def test_a_landmark_that_the_map_misses_is_named_with_its_error():
    """C5 above C4: the least slope of 0.4 puts them 8 mm apart, about the middle of 44 and 50 mm: 43 and 51."""
    pairs, _ = pair_landmarks(levels({4: 40.0, 5: 60.0}), levels({4: 50.0, 5: 44.0}), ["rootlets"])
    (note,) = find_contradictions(pairs)
    assert "(C4 by 7.0 mm rostrally, C5 by 7.0 mm caudally)" in note


def discs(arcs: dict[int, float]) -> list[Landmark]:
    return [Landmark(kind="discs", value=value, name=str(value), arc_mm=arc, sd_mm=0.3) for value, arc in arcs.items()]


def missed(template: list[Landmark], subject: list[Landmark], kind: LandmarkKind) -> dict[str, list[float]]:
    pairs, _ = pair_landmarks(template, subject, [kind])
    return {name: pytest.approx(errors) for name, errors in missed_landmarks(pairs).items()}


def test_landmarks_of_the_other_kind_are_missed_by_where_the_map_places_them():
    """The map is the identity."""
    template = [*levels({4: 50.0, 5: 66.0}), *discs({4: 58.0, 5: 76.0})]
    subject = [*levels({4: 50.0, 5: 66.0}), *discs({4: 56.0, 5: 91.0})]
    assert missed(template, subject, "rootlets") == {"discs": [2.0, -15.0]}
    subject = [*levels({4: 47.0, 5: 66.0}), *discs({4: 58.0, 5: 76.0})]
    assert missed(template, subject, "discs") == {"rootlets": [3.0, 0.0]}
    assert missed(levels({4: 50.0, 5: 66.0}), levels({4: 50.0, 5: 66.0}), "rootlets") == {}


def test_levels_that_the_field_of_view_cuts_are_not_missed():
    template = [*discs({4: 58.0, 5: 76.0}), *levels({3: 34.0, 4: 50.0})]
    subject = [*discs({4: 58.0, 5: 76.0}), *levels({3: 44.0, 4: 51.0}, cut=(3,))]
    assert missed(template, subject, "discs") == {"rootlets": [-1.0]}


def test_landmarks_beyond_reach_are_missed_only_if_all_are_beyond():
    """15 mm beyond the last landmark, the length of the levels is that of the template, and not known."""
    template = [*levels({4: 50.0, 5: 66.0}), *discs({5: 81.0, 9: 150.0, 10: 172.0})]
    subject = [*levels({4: 50.0, 5: 66.0}), *discs({5: 82.0, 9: 160.0, 10: 184.0})]
    assert missed(template, subject, "rootlets") == {"discs": [-1.0]}
    wrong = [*levels({4: 50.0, 5: 66.0}), *discs({9: 58.0, 10: 76.0})]
    assert missed(template, wrong, "rootlets") == {"discs": [92.0, 96.0]}
