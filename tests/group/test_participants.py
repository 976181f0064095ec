"""Participants of a group from their tables."""

import doctest

import pytest

from sct_rootlets.errors import DatasetError
from sct_rootlets.group import participants
from sct_rootlets.group.participants import Participant, height_limits, read_participants

#: Heights of the WHO from -3 SD of girls to +3 SD of boys, in cm, by age in years.
WHO_HEIGHTS_CM = {0: (43.6, 55.6), 1: (68.0, 83.6), 2: (76.7, 96.3), 3: (84.1, 105.7), 15: (149.9, 192.5)}


def test_participants(tmp_path):
    path = tmp_path / "participants.tsv"
    path.write_text(
        "participant_id\tage\tsex\theight\tsite\nsub-01\t31\tF\t168.5\tx\n02\tn/a\t-\t\tx\n\t\t\t\t\n\t\t\t\t\n",
        encoding="utf-8-sig",
    )
    assert read_participants(path) == {
        "sub-01": Participant(31, "F", 168.5),
        "sub-02": Participant(None, None, None),
    }
    for content, message in (
        ("subject\theight\nsub-01\t170\n", "no column participant_id"),
        ("participant_id\theight\nsub-01\t170\n01\t171\n", "sub-01 twice"),
        ("participant_id\theight\nsub-01\ttall\n", "the height of sub-01 is 'tall'"),
        ("participant_id,height\nsub-01,170\n", "no column participant_id"),
    ):
        path.write_text(content)
        with pytest.raises(DatasetError, match=message):
            read_participants(path)
    with pytest.raises(DatasetError, match=r"missing\.tsv does not exist"):
        read_participants(tmp_path / "missing.tsv")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_participants(tmp_path)


@pytest.mark.parametrize(("age", "heights"), WHO_HEIGHTS_CM.items())
def test_heights_of_the_who_are_possible_in_cm_alone(age, heights):
    lowest, highest = height_limits(age)
    assert lowest < heights[0]
    assert heights[1] < highest
    assert heights[1] / 2.54 < lowest


def test_heights_of_adults_and_of_unknown_age():
    assert height_limits(18) == height_limits(93) == height_limits(None) == (130, 220)
    assert height_limits(17.9)[0] == pytest.approx(129.5)


def test_docstring_examples():
    result = doctest.testmod(participants)
    assert (result.attempted > 0, result.failed) == (True, 0)
