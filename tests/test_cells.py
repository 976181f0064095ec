import pytest

from sct_rootlets.cells import escape_cell, unescape_cell


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1+2", "-1+2", "@SUM(A1)", "\tx", "\r=1", "-", "'=1", "\t5"])
def test_formulas_are_escaped_and_read_back(text):
    assert escape_cell(text) == "'" + text
    assert unescape_cell(escape_cell(text)) == text


@pytest.mark.parametrize("value", ["sub-01", "-1.5", "+2", "-1e-05", "-inf", "", "'quoted'", -1.5, None, True, 3])
def test_all_else_stays(value):
    assert escape_cell(value) is value
    if isinstance(value, str):
        assert unescape_cell(value) == value
