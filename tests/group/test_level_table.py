"""Level tables of scans, and what is said of damaged ones."""

import doctest

import pytest
from cohorts import level_rows, write_subject

from sct_rootlets.errors import DatasetError
from sct_rootlets.group import level_table
from sct_rootlets.group.level_table import read_level_table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "", "has no levels"),
        (lambda text: text.split("\n")[0] + "\n", "has no levels"),
        (lambda text: text.replace("midpoint_mm", "middle"), "no column midpoint_mm"),
        (lambda text: text + text.split("\n")[1] + "\n", "spinal level C3 twice"),
        (lambda text: text.replace("C4,spinal", "C9,spinal"), "level 'C9' of kind 'spinal'"),
        (lambda text: text.replace("C4,spinal", "C4,cord"), "level 'C4' of kind 'cord'"),
        (lambda text: text.replace("12.000", "12,0", 1), "no valid ends for spinal level C3"),
        (lambda text: text.replace("35.000", "nan", 1), "no valid ends for spinal level C3"),
        (lambda text: text.replace("12.000", "120.000", 1), "length or midpoint of spinal level C3 are not those of"),
        (lambda text: text.replace("12.000", "nan", 1), "length or midpoint of spinal level C3 are not those of"),
        (lambda text: text.replace("35.000", "36.000", 1), "length or midpoint of spinal level C3 are not those of"),
        (lambda text: text.replace("3,C3,spinal", "4,C3,spinal", 1), "spinal level C3 has the number 4, not 3"),
        (
            lambda text: text.replace("True", "yes", 1),
            "complete is 'yes', and not True or False",
        ),
        (lambda text: text.replace("PMJ", "cord top", 1), "mixes references"),
        (lambda text: "\0\0\n\0", "not a level table"),
    ],
)
def test_damaged_tables(tmp_path, change, message):
    path = write_subject(tmp_path, "sub-02", level_rows())
    path.write_text(change(path.read_text()))
    with pytest.raises(DatasetError) as caught:
        read_level_table(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "delete this file or move it away, and compute the levels again" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_that_a_spreadsheet_has_saved(tmp_path):
    path = write_subject(tmp_path, "sub-02", level_rows())
    before = read_level_table(path)
    path.write_text(path.read_text().replace("True", "TRUE").replace("False", "FALSE"))
    assert read_level_table(path).levels == before.levels


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "sub-02_T2w_levels.csv"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DatasetError, match="cannot be read as a table"):
        read_level_table(path)


def test_docstring_examples():
    result = doctest.testmod(level_table)
    assert (result.attempted > 0, result.failed) == (True, 0)
