from itertools import combinations

import numpy as np
import pytest

from sct_rootlets.levels import disc_name, fits_ends, level_color, level_name, level_value, paired_levels


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
    assert shifted[6:] == [("T1", "T1")]  # further down the shift grows: no pairs belong together


def test_same_name_pairs_have_no_c8():
    same = [upper for pairing, upper, lower in paired_levels() if pairing == "same-name" and upper == lower]
    assert same[:7] == ["C2", "C3", "C4", "C5", "C6", "C7", "T1"]


#: Colours as seen without one kind of cones, by linear RGB: Machado 2009, IEEE TVCG 15:1291, severity 1.
WITHOUT = {
    "none": np.eye(3),
    "red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def seen(color, matrix):
    """A colour in CIE Lab (D65), as a reader without some cones sees it."""
    rgb = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.clip(matrix @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4), 0, 1)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = to_xyz @ linear / [0.95047, 1, 1.08883]
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("cones", WITHOUT)
def test_colors_of_levels_can_be_told_apart(cones):
    """C1 to T3, any two: what differs by 10 in CIE Lab (1976) is seen at a glance, 2.3 is just noticeable."""
    points = [seen(level_color(level_name(value, "spinal")), np.array(WITHOUT[cones])) for value in range(1, 12)]
    assert min(np.linalg.norm(one - other) for one, other in combinations(points, 2)) > 15


@pytest.mark.parametrize(
    ("midpoint_mm", "length_mm", "fits"),
    [(15.0, 10.0, True), (15.001, 9.999, True), (15.1, 10.0, False), (15.0, 9.9, False), (15.0, np.nan, False)],
)
def test_midpoint_and_length_fit_the_ends_but_for_rounding(midpoint_mm, length_mm, fits):
    assert fits_ends(10.0, 20.0, midpoint_mm, length_mm) is fits
