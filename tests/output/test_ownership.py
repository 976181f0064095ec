import json
import os
import threading
import time

import pytest

from sct_rootlets.errors import ImageError
from sct_rootlets.output import files
from sct_rootlets.output.files import seal_sidecars, staged_outputs, write_json
from sct_rootlets.output.ownership import Guard, check_different, foreign_files
from sct_rootlets.sidecar import is_intact, seal, sha256_of

RECORD = "t2_levels.json"
NAMES = ("t2_levels.csv", "t2_levels.json", "t2_map.json", "t2_map.nii.gz")


def save(folder, text, extra=(), **guard):
    """Write a set: a table with the record, a map with its sidecar, and more files that only the record lists."""
    with staged_outputs(folder, guard=Guard(record=RECORD, **guard)) as stage:
        for name in ("t2_levels.csv", "t2_map.nii.gz", *extra):
            (stage / name).write_text(text)
        for name in ("t2_levels", "t2_map"):
            write_json(stage / f"{name}.json", {"Description": text, "Number": 0.1})
        seal_sidecars(stage, folder, RECORD)


def test_a_seal_is_broken_by_an_edit_and_not_by_the_layout():
    sealed = seal({"b": 1.5, "a": ["é", None]}, {"x.csv": "12"})
    assert sealed["Written"] == {"x.csv": "12"}
    assert is_intact(json.loads(json.dumps(dict(reversed(sealed.items())), indent=8)))
    assert not is_intact({**sealed, "b": 2})
    assert not is_intact({"b": 1.5})
    assert seal(sealed, {"x.csv": "12"}) == sealed


def test_sidecars_list_their_own_files_and_the_record_lists_all(tmp_path):
    save(tmp_path, "one", ["t2_levels.png"])
    record, sidecar = (json.loads((tmp_path / name).read_text()) for name in (RECORD, "t2_map.json"))
    assert sorted(record["Written"]) == ["t2_levels.csv", "t2_levels.png", "t2_map.nii.gz"]
    assert sidecar["Written"] == {"t2_map.nii.gz": sha256_of(tmp_path / "t2_map.nii.gz")}


def test_untouched_files_are_replaced_and_others_are_kept(tmp_path):
    save(tmp_path, "one")
    save(tmp_path, "two")
    assert (tmp_path / "t2_map.nii.gz").read_text() == "two"
    for name in NAMES:
        save(tmp_path, "two")
        path = tmp_path / name
        content = path.read_text() + " " if path.suffix != ".json" else path.read_text().replace("two", "2")
        path.write_text(content)
        with pytest.raises(ImageError, match=rf"{name} was not written by this command, or was edited since"):
            save(tmp_path, "three")
        assert path.read_text() == content
        assert sum("three" in other.read_text() for other in tmp_path.iterdir()) == 0
        save(tmp_path, "two", overwrite=True)
        assert path.read_text() != content


def test_files_that_a_later_run_does_not_write_stay_known(tmp_path):
    save(tmp_path, "one", ["t2_levels.png"])
    save(tmp_path, "two")
    save(tmp_path, "three", ["t2_levels.png"])
    assert (tmp_path / "t2_levels.png").read_text() == "three"
    save(tmp_path, "four")
    (tmp_path / "t2_levels.png").write_text("mine")
    save(tmp_path, "five")
    with pytest.raises(ImageError, match=r"t2_levels\.png was not written"):
        save(tmp_path, "six", ["t2_levels.png"])


def test_an_unchanged_rerun_gives_the_same_bytes(tmp_path):
    save(tmp_path, "one", ["t2_levels.png"])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    save(tmp_path, "one", ["t2_levels.png"])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("content", ["", "[]", "{", "null", '{"ContentSHA256": 1, "Written": []}', "[" * 100_000])
def test_files_of_others_are_kept_whatever_they_hold(tmp_path, content):
    (tmp_path / "t2_map.json").write_text(content)
    (tmp_path / "t2_map.nii.gz").write_text("hand-made")
    assert foreign_files([tmp_path / "t2_map.json", tmp_path / "t2_map.nii.gz"]) == sorted(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="links")
def test_links_are_followed_to_inputs_and_kept_otherwise(tmp_path):
    (tmp_path / "data").mkdir()
    scan = tmp_path / "data" / "t2.nii.gz"
    scan.write_text("scan")
    (tmp_path / "data" / "t2.json").write_text("{}")
    (tmp_path / "link.nii.gz").symlink_to(scan)
    (tmp_path / "hard.nii.gz").hardlink_to(scan)
    (tmp_path / "broken.nii.gz").symlink_to(tmp_path / "annex" / "object")
    for target in (tmp_path / "link.nii.gz", tmp_path / "hard.nii.gz", tmp_path / "data" / ".." / "data" / "t2.nii.gz"):
        with pytest.raises(ImageError, match="is an input and would be replaced"):
            Guard(inputs=(scan,), overwrite=True).check([target])
    with pytest.raises(ImageError, match=r"t2\.json is the sidecar of an input"):
        Guard(inputs=(tmp_path / "data" / "t2.nii.gz",), overwrite=True).check([tmp_path / "data" / "t2.json"])
    with pytest.raises(ImageError, match=r"broken\.nii\.gz was not written by this command"):
        Guard().check([tmp_path / "broken.nii.gz"])


def test_the_ways_out_are_those_of_the_command(tmp_path):
    seg, other = tmp_path / "t2_seg.nii.gz", tmp_path / "t2_rootlets.nii.gz"
    for path in (seg, other):
        path.write_text("mine")
    guard = Guard(elsewhere="write to another name (-o)", as_input={"_seg.nii.gz": "-s"})
    with pytest.raises(ImageError) as one:
        guard.check([seg, other])
    assert str(one.value) == (
        f"{seg} (and 1 more) was not written by this command, or was edited since, and would be replaced; "
        "replace it (-overwrite 1), write to another name (-o) or use it as input (-s)"
    )
    with pytest.raises(ImageError, match=r"replace it \(-overwrite 1\) or write to another name \(-o\)$"):
        guard.check([other])
    with pytest.raises(ImageError, match=r"would be replaced; move it away and run again$"):
        Guard(may_overwrite=False, elsewhere=None).check([other])


def test_two_images_of_one_output(tmp_path):
    one, two = tmp_path / "t2.nii", tmp_path / "t2.nii.gz"
    there = tmp_path / ".." / tmp_path.name / "t2_seg.nii.gz"
    with pytest.raises(ImageError, match=r"t2\.nii and .*t2\.nii\.gz would both write .*t2_seg\.nii\.gz"):
        check_different([(one, tmp_path / "t2_seg.nii.gz"), (two, there)])
    check_different([(one, tmp_path / "a"), (two, tmp_path / "b")])


def test_sets_of_two_writers_are_never_mixed(tmp_path):
    names = [f"t2_{number}.csv" for number in range(10)]
    failures = []

    def write(text):
        for _ in range(15):
            try:
                save(tmp_path, text, names)
            except ImageError as error:
                failures.append(error)

    writers = [threading.Thread(target=write, args=(text,)) for text in ("one", "two", "three")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failures
    texts = {(tmp_path / name).read_text() for name in (*names, "t2_levels.csv", "t2_map.nii.gz")}
    assert len(texts) == 1
    assert json.loads((tmp_path / RECORD).read_text())["Description"] in texts
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, *NAMES])


def test_the_lock_of_a_killed_process_is_removed(tmp_path, monkeypatch, caplog):
    lock = tmp_path / ".sct_rootlets-lock"
    lock.mkdir()
    monkeypatch.setattr(files, "STALE_LOCK_S", 1.5)
    begin = time.monotonic()
    with caplog.at_level("INFO"):
        save(tmp_path, "one")
    assert 1 < time.monotonic() - begin < 20
    assert "waiting for another command" in caplog.text
    assert sorted(path.name for path in tmp_path.iterdir()) == list(NAMES)
