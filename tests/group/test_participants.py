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


def test_quotes_are_text_and_move_no_cell(tmp_path):
    """A comment with a quote in one row, and another one in a later row."""
    path = tmp_path / "participants.tsv"
    path.write_text(
        'participant_id\tcomment\tage\tsex\nsub-01\t"moved\t31\tF\nsub-02\t\t32\tM\nsub-03\t12" coil\t33\tF\n'
        '"sub-04"\t"a ""good"" one"\t"34"\tM\r\nsub-05\t"a tab\there"\t35\tF\n'
    )
    assert {name: person.age for name, person in read_participants(path).items()} == {
        f"sub-0{number}": 30 + number for number in range(1, 6)
    }


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["participant_id\tage\tsex", "sub-01\t31\tF\tx"], "line 2 has 4 cells, and the header has 3"),
        (["participant_id\tnote\tage", 'sub-01\t"two', 'lines"\t31'], "line 2 has 2 cells, and the header has 3"),
        (["participant_id\tage", "sub-01\t-999"], "the age of sub-01 is -999; write years, or n/a"),
        (["participant_id\tage", "sub-01\t384"], "the age of sub-01 is 384; write years, or n/a"),
        (["participant_id\tage\tAge", "sub-01\t31\t32"], r"two columns age \(age, Age\); keep one"),
    ],
)
def test_tables_that_would_be_misread_are_refused(tmp_path, lines, message):
    path = tmp_path / "participants.tsv"
    path.write_text("\n".join(lines))
    with pytest.raises(DatasetError, match=message):
        read_participants(path)


def test_titles_with_units_and_words_for_sexes(tmp_path):
    path = tmp_path / "participants.tsv"
    path.write_text("Participant_ID\tAge (years)\tSex\tHeight [cm]\nsub-01\t31\tmale\t180\nsub-02\t32\tf\t165\n")
    assert read_participants(path) == {"sub-01": Participant(31, "M", 180), "sub-02": Participant(32, "F", 165)}
    path.write_text("participant_id\tage_y\theight_cm\theight (m)\tbirthday\nsub-01\t31\t180\t1.8\tn/a\n")
    assert read_participants(path) == {"sub-01": Participant(31, None, 180)}


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
