import pytest

from sct_rootlets.cells import MISSING_IN_HAND_MADE, escape_cell, read_number, unescape_cell


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1+2", "-1+2", "@SUM(A1)", "\tx", "\r=1", "-", "'=1", "\t5"])
def test_formulas_are_escaped_and_read_back(text):
    assert escape_cell(text) == "'" + text
    assert unescape_cell(escape_cell(text)) == text


@pytest.mark.parametrize("value", ["sub-01", "-1.5", "+2", "-1e-05", "-inf", "", "'quoted'", -1.5, None, True, 3])
def test_all_else_stays(value):
    assert escape_cell(value) is value
    if isinstance(value, str):
        assert unescape_cell(value) == value


@pytest.mark.parametrize("cell", [None, "", "  ", "n/a", "N/A"])
def test_missing_numbers(cell):
    assert read_number(cell) is None


@pytest.mark.parametrize("cell", ["NA", "na", "NaN", "-"])
def test_missing_numbers_of_tables_that_people_write(cell):
    assert read_number(cell, MISSING_IN_HAND_MADE) is None


@pytest.mark.parametrize("cell", ["1,5", "inf", "-inf", "1.5 mm", "none", "1 2", "NA", "nan", "-"])
def test_cells_that_hold_no_number(cell):
    with pytest.raises(ValueError, match=r"float|finite"):
        read_number(cell)


def test_numbers():
    assert [read_number(cell) for cell in ("1.5", " -2 ", "1e3", "0")] == [1.5, -2.0, 1000.0, 0.0]
