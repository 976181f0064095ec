import csv
import json
import os
import re

import pytest

from sct_rootlets.errors import ImageError
from sct_rootlets.output.files import staged_outputs, write_atomic, write_json, write_table


def test_staged_outputs_appear_together(tmp_path):
    (tmp_path / "a").write_text("old")
    with staged_outputs(tmp_path) as stage:
        (stage / "a").write_text("new")
        (stage / "b").write_text("new")
        assert (tmp_path / "a").read_text() == "old"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "new", "b": "new"}


def _fail_half_way(folder, error):
    with staged_outputs(folder) as stage:
        (stage / "a").write_text("half")
        raise error


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), RuntimeError()])
def test_staged_outputs_leave_nothing_behind(tmp_path, error):
    folder = tmp_path / "new" / "folder"
    expected = ImageError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        _fail_half_way(folder, error)
    assert list(tmp_path.iterdir()) == []


def test_staged_outputs_are_taken_back_when_one_cannot_be_moved(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).write_text("old")
    (tmp_path / "c").mkdir()
    with pytest.raises(ImageError, match="c is a folder where a file is to be written"):
        _write(tmp_path, "abc")
    (tmp_path / "c").rmdir()
    replace = type(tmp_path).replace

    def fails_at_b(path, target):
        if path.name == "b" and path.read_text() == "new":
            raise OSError(5, "Input/output error")
        return replace(path, target)

    monkeypatch.setattr(type(tmp_path), "replace", fails_at_b)
    with pytest.raises(ImageError, match="nothing was changed there"):
        _write(tmp_path, "abc")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old", "b": "old"}


def test_inputs_are_not_replaced(tmp_path):
    (tmp_path / "a").write_text("input")
    with pytest.raises(ImageError, match="a is an input and would be replaced"):
        _write(tmp_path, "ab", keep=[tmp_path / "a"])
    assert [path.read_text() for path in tmp_path.iterdir()] == ["input"]


def _write(folder, names, keep=()):
    with staged_outputs(folder, keep) as stage:
        for name in names:
            (stage / name).write_text("new")


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX user ids")
def test_read_only_folder(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "a").write_text("old")
    folder.chmod(0o555)
    root = os.geteuid() == 0  # root may write anywhere: become nobody for the moment
    if root:
        tmp_path.chmod(0o755)
        os.seteuid(65534)
    try:
        with pytest.raises(ImageError, match=r"cannot write to .*locked"), staged_outputs(folder):
            pass
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
    assert (folder / "a").read_text() == "old"


@pytest.mark.parametrize("below", ["", "sub-01"])
@pytest.mark.parametrize("kind", ["a file", "a link to nothing"])
def test_a_file_in_place_of_the_folder_is_named(tmp_path, kind, below):
    place = tmp_path / "place"
    if kind == "a file":
        place.write_text("mine")
    else:
        place.symlink_to("gone")
    said = f"{place} is {kind}, not a folder; move it away, or choose another folder"
    with pytest.raises(ImageError, match=re.escape(said)), staged_outputs(place / below):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["place"]
    assert kind != "a file" or place.read_text() == "mine"


def test_a_small_file_is_written_whole_into_a_folder_that_is_made(tmp_path):
    path = tmp_path / "logs" / "a.json"
    for text in ("old", "new é\n"):
        write_atomic(path, text)
    assert path.read_text(encoding="utf-8") == "new é\n"
    assert [other.name for other in path.parent.iterdir()] == ["a.json"]


def test_json_is_read_back(tmp_path):
    content = {"Name": "é", "Values": [1, 2]}
    for indent, n_lines in ((2, 7), (None, 1)):
        write_json(tmp_path / "a.json", content, indent)
        assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == content
        assert len((tmp_path / "a.json").read_text(encoding="utf-8").splitlines()) == n_lines


def test_a_table_has_micrometres_and_empty_cells(tmp_path):
    rows = [{"name": "C2, C3", "mm": 1.23456, "n": 3}, {"name": None, "mm": 2.0, "n": None}]
    write_table(tmp_path / "a.csv", ("n", "name", "mm"), rows)
    assert (tmp_path / "a.csv").read_bytes() == b'n,name,mm\n3,"C2, C3",1.235\n,,2.000\n'
    write_table(tmp_path / "a.tsv", ("n", "name", "mm"), rows, separator="\t")
    with (tmp_path / "a.tsv").open(newline="") as stream:
        assert next(csv.DictReader(stream, delimiter="\t")) == {"n": "3", "name": "C2, C3", "mm": "1.235"}


def test_names_that_are_formulas_are_text_in_tables(tmp_path):
    """As OWASP advises: an apostrophe before = + - @ and tab; numbers stay."""
    rows = [{"name": "=HYPERLINK(1)", "mm": -1.5, "n": "-12.5"}, {"name": "@x,y", "mm": None, "n": -2}]
    write_table(tmp_path / "t.csv", ("name", "mm", "n"), rows)
    assert (tmp_path / "t.csv").read_text() == "name,mm,n\n'=HYPERLINK(1),-1.500,-12.5\n\"'@x,y\",,-2\n"
