import pytest

from sct_rootlets.levels import disc_name, level_color, level_name, level_value, paired_levels


@pytest.mark.parametrize(
    ("value", "spinal", "vertebral"), [(1, "C1", "C1"), (7, "C7", "C7"), (8, "C8", "T1"), (9, "T1", "T2")]
)
def test_names_follow_sct(value, spinal, vertebral):
    assert level_name(value, "spinal") == spinal
    assert level_name(value, "vertebral") == vertebral
    assert level_value(spinal, "spinal") == level_value(vertebral, "vertebral") == value


def test_the_ends_of_the_spine():
    assert level_name(20, "spinal") == level_name(19, "vertebral") == "T12"
    assert level_name(30, "spinal") == "S5"
    for value in (0, 31):
        with pytest.raises(ValueError, match=r"no spinal level has the value"):
            level_name(value, "spinal")


def test_disc_lies_above_its_vertebra():
    assert [disc_name(value) for value in (1, 2, 3, 8, 9)] == ["top of C1", "C1/C2", "C2/C3", "C7/T1", "T1/T2"]


def test_shifted_pairs_are_those_of_the_paper():
    shifted = [(upper, lower) for pairing, upper, lower in paired_levels() if pairing == "shifted"]
    assert shifted[:6] == [("C2", "C3"), ("C3", "C4"), ("C4", "C5"), ("C5", "C6"), ("C6", "C7"), ("C7", "C8")]
    assert shifted[6:8] == [("T1", "T1"), ("T2", "T2")]


def test_same_name_pairs_have_no_c8():
    same = [upper for pairing, upper, lower in paired_levels() if pairing == "same-name" and upper == lower]
    assert same[:7] == ["C2", "C3", "C4", "C5", "C6", "C7", "T1"]


def test_colors_tell_c2_to_t1_apart():
    names = [level_name(value, "spinal") for value in range(2, 10)]
    assert len({level_color(name) for name in names}) == 8
