import numpy as np
import pytest

from sct_rootlets.correspondence import spinal_middles
from sct_rootlets.levels import ABOVE_C2, BELOW_T1
from sct_rootlets.segmentation.numbering import (
    all_discs,
    combine,
    discs_on_path,
    evidence_of_names,
    expected_names,
    find_discs,
)
from sct_rootlets.segmentation.vertebral_path import VertebralPath
from sct_rootlets.vertebral import Disc

ARC = np.arange(100) + 0.5
#: Disc 3 lies at 10 mm, each further one 16 mm below.
COORDINATE = 3 + (ARC - 10) / 16


def path(shift=0, coordinate=COORDINATE):
    return VertebralPath(shift, coordinate + shift, np.full(len(coordinate), 0.1), 0.0)


PATHS = [path(shift) for shift in (-1, 0, 1)]


def evidence(**kinds):
    return {kind: np.array(values, dtype=float) for kind, values in kinds.items()}


def test_kinds_of_evidence_add_up():
    numbering = combine(PATHS, evidence(vertebrae=[-3, 0, -1], thickness=[-9, 0, -5]))
    assert numbering.best == 1
    assert numbering.probability.sum() == pytest.approx(1)
    assert numbering.alternatives[0] == numbering.probability.max()
    alone = combine(PATHS, evidence(vertebrae=[-3, 0, -1]))
    assert alone.probability[1] < numbering.probability[1]


def test_no_kind_alone_makes_a_number_sure():
    """However great a difference, another kind that says otherwise leaves doubt."""
    numbering = combine(PATHS, evidence(vertebrae=[-500, 0, -500], thickness=[-500, -500, 0]))
    assert numbering.probability.max() < 0.95


def test_kinds_agree_only_if_each_favours_the_same_number():
    assert combine(PATHS, evidence(vertebrae=[-3, 0, -2], thickness=[-9, 0, -5])).agrees()
    assert not combine(PATHS, evidence(vertebrae=[-3, 0, -2], thickness=[0, -1.2, -5])).agrees()
    assert not combine(PATHS, evidence(vertebrae=[-3, 0, -2])).agrees()
    # Two kinds that one network sees count as one.
    assert not combine(PATHS, evidence(vertebrae=[-3, 0, -2], segments=[-9, 0, -5])).agrees()
    assert combine(PATHS, evidence(vertebrae=[-3, 0, -2], segments=[-9, 0, -5], rootlets=[-2, 0, -2])).agrees()
    # One that favours none does not count.
    assert not combine(PATHS, evidence(vertebrae=[-3, 0, -2], thickness=[-0.5, 0, -0.5])).agrees()


def test_doubt_is_put_into_words():
    doubtful = combine(PATHS, evidence(vertebrae=[-30, 0, -0.1]))
    assert "one more" in doubtful.describe_doubt()
    assert combine(PATHS, evidence(vertebrae=[-30, 0, -30], thickness=[-30, 0, -30])).describe_doubt() is None


def test_discs_lie_where_the_path_passes_whole_numbers():
    assert discs_on_path(ARC, COORDINATE) == pytest.approx({3: 10, 4: 26, 5: 42, 6: 58, 7: 74, 8: 90})
    everything = all_discs(ARC, COORDINATE)
    assert list(everything) == list(range(1, 11))
    assert everything[5] == pytest.approx(42)
    assert 10 < everything[3] - everything[2] < 20
    assert 15 < everything[10] - everything[9] < 25


def test_levels_are_expected_at_their_usual_places():
    discs = {value: 16.0 * value for value in range(1, 11)}
    arc = np.arange(0, 180.0)
    names = expected_names(arc, discs)
    assert (np.diff(names) >= 0).all()
    assert names[0] == ABOVE_C2
    assert names[-1] == BELOW_T1
    for value, middle in spinal_middles(discs).items():
        assert names[int(middle)] == value


def test_names_along_the_cord_tell_the_number():
    truth = expected_names(ARC, all_discs(ARC, COORDINATE))
    log = np.full((len(ARC), BELOW_T1 + 1), np.log(0.02))
    log[np.arange(len(ARC)), truth] = np.log(0.8)
    values = evidence_of_names(ARC, log, np.ones(len(ARC)), PATHS)
    assert values.argmax() == 1
    assert (values[1] - values[[0, 2]] > 10).all()


@pytest.mark.parametrize("given", [{5: 42.0}, {5: 43.0, 8: 92.0}])
def test_given_discs_fix_number_and_place(given):
    wrong = combine(PATHS, evidence(vertebrae=[0, -6, -9], thickness=[0, -6, -9]))
    assert wrong.best == 0
    fixed = wrong.fixed_by(ARC, given)
    assert fixed.best == 1
    assert fixed.probability[1] == 1
    on_path = discs_on_path(ARC, fixed.paths[1].coordinate)
    for value, at in given.items():
        assert on_path[value] == pytest.approx(at, abs=0.1)
    found = find_discs(ARC, fixed.paths[1], {value: Disc(value, at, 0.3) for value, at in given.items()})
    assert [disc.value for disc in found] == [3, 4, 5, 6, 7, 8]
    assert {disc.value for disc in found if disc.source == "given"} == set(given)
    assert all(disc.sd_mm >= 1 for disc in found if disc.source == "image")


def test_a_given_disc_moves_only_what_is_near_it():
    numbering = combine(PATHS, evidence(vertebrae=[-9, 0, -9])).fixed_by(ARC, {5: 45.0})
    on_path = discs_on_path(ARC, numbering.paths[numbering.best].coordinate)
    assert on_path[5] == pytest.approx(45, abs=0.1)
    assert on_path[8] == pytest.approx(90, abs=0.1)
    assert on_path[3] == pytest.approx(10, abs=0.1)


def test_a_given_disc_may_be_numbered_further_off_than_any_path():
    numbering = combine(PATHS, evidence(vertebrae=[-9, 0, -9])).fixed_by(ARC, {12: 42.0})
    on_path = discs_on_path(ARC, numbering.paths[numbering.best].coordinate)
    assert on_path == pytest.approx({10: 10, 11: 26, 12: 42, 13: 58, 14: 74, 15: 90}, abs=0.1)


@pytest.mark.parametrize(
    ("at", "off", "limit"),  # 16 mm a vertebra; the image has disc 5 at 42 mm
    [(42.0, 0.0, 1.0), (44.0, 0.125, 1.0), (48.4, 0.4, 0.924), (49.9, 0.494, 0.54), (35.6, -0.4, 0.924)],
)
def test_a_disc_half_a_vertebra_from_its_place_may_have_either_number(at, off, limit):
    fixed = combine(PATHS, evidence(vertebrae=[-9, 0, -9])).fixed_by(ARC, {5: at})
    assert fixed.given_shift == 0
    assert fixed.given_off == {5: pytest.approx(off, abs=0.01)}
    assert fixed.offset_mm(ARC) == {5: pytest.approx(at - 42, abs=0.1)}
    assert fixed.name_limit() == pytest.approx(limit, abs=0.01)


@pytest.mark.parametrize(("value", "shift"), [(5, 0), (6, 1), (4, -1), (10, 5)])
def test_given_discs_tell_by_how_much_they_differ_from_the_image(value, shift):
    by_image = combine(PATHS, evidence(vertebrae=[-9, 0, -9]))
    fixed = by_image.fixed_by(ARC, {value: 42.5})
    assert fixed.given_shift == shift
    assert fixed.contradicts(by_image) == (shift != 0)
    assert fixed.offset_mm(ARC) == {value: pytest.approx(0.5, abs=0.1)}


def test_discs_that_contradict_the_image_are_noted():
    pytest.importorskip("torch", reason="torch is not installed")
    from sct_rootlets.segmentation.segment import disagreement_of_discs, numbering_notes

    by_image = combine(PATHS, evidence(vertebrae=[-9, 0, -9], thickness=[-9, 0, -9]))
    (note,) = numbering_notes(by_image.fixed_by(ARC, {6: 42.0}), by_image)
    assert note.startswith("the names of levels come from the discs")
    assert disagreement_of_discs(by_image).startswith("the given discs number the vertebrae differently from the image")
    assert numbering_notes(by_image.fixed_by(ARC, {5: 42.0}), by_image) == []
