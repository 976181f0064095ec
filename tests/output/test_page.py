import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from sct_rootlets.errors import ImageError, SctRootletsError
from sct_rootlets.output import files as output_files
from sct_rootlets.output.page import GENERATOR_TAG, add_entry, build_page, has_entry
from sct_rootlets.report.page.entry import FORMAT_VERSION, About, Entry

WRITER = """
import sys
from pathlib import Path
from sct_rootlets.report.page.entry import About, Entry
from sct_rootlets.output.page import add_entry
for i in range(4):
    name = f"{sys.argv[2]}-{i}.nii.gz"
    add_entry(Path(sys.argv[1]), Entry(About(name, "", "").identifier, {"file": name}, {"a.webp": b"x" * 5000}))
"""


def entry(file="t2.nii.gz", folder="", **more):
    about = About(file, folder, "test")
    return Entry(
        about.identifier, {"format": FORMAT_VERSION, "file": file, "folder": folder, **more}, {"a.webp": b"picture"}
    )


def listed(folder):
    text = (folder / "rootlets" / "entries.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("sctRootletsEntries(").removesuffix(");\n"))


def files_of(folder):
    return {entry["file"] for entry in listed(folder)["entries"]}


def test_entries_accumulate_and_replace(tmp_path):
    page = add_entry(tmp_path / "qc", entry())
    assert page == tmp_path / "qc" / "index.html"
    add_entry(tmp_path / "qc", entry("a.nii.gz"))
    add_entry(tmp_path / "qc", entry(notes=["done again"]))
    found = listed(tmp_path / "qc")
    assert [one["file"] for one in found["entries"]] == ["a.nii.gz", "t2.nii.gz"]
    assert found["entries"][1]["notes"] == ["done again"]
    entries = tmp_path / "qc" / "rootlets" / "entries"
    assert sorted(path.name for path in entries.iterdir() if path.is_dir()) == sorted(
        one["files"] for one in found["entries"]
    )
    for one in found["entries"]:
        assert (entries / one["files"] / "a.webp").read_bytes() == b"picture"


def test_the_list_is_not_written_for_each_of_many(tmp_path):
    """What it names is there all the while; in the end it is complete."""
    add_entry(tmp_path, entry(), at_most_every_s=1000)
    add_entry(tmp_path, entry(notes=["done again"]), at_most_every_s=1000)
    page = add_entry(tmp_path, entry("a.nii.gz"), at_most_every_s=1000)
    assert page == tmp_path / "index.html"
    [first] = listed(tmp_path)["entries"]
    assert (tmp_path / "rootlets" / "entries" / first["files"] / "a.webp").is_file()
    assert has_entry(tmp_path, About("a.nii.gz", "", "test"))
    build_page(tmp_path)
    assert [one.get("notes") for one in listed(tmp_path)["entries"]] == [None, ["done again"]]
    assert not (tmp_path / "rootlets" / "entries" / first["files"]).exists()
    add_entry(tmp_path, entry("b.nii.gz"))
    assert files_of(tmp_path) == {"a.nii.gz", "b.nii.gz", "t2.nii.gz"}


def test_an_entry_that_is_damaged_or_has_lost_its_pictures_is_none(tmp_path):
    about = About("a.nii.gz", "", "test")
    entries = tmp_path / "rootlets" / "entries"
    add_entry(tmp_path, entry("a.nii.gz"))
    [facts] = entries.glob("*.json")
    kept = facts.read_text()
    facts.write_text("")
    assert not has_entry(tmp_path, about)
    facts.write_text(kept)
    assert has_entry(tmp_path, about)
    shutil.rmtree(entries / listed(tmp_path)["entries"][0]["files"])
    assert not has_entry(tmp_path, about)


def test_the_name_of_the_dataset_stays(tmp_path):
    build_page(tmp_path, dataset="Köln")
    add_entry(tmp_path, entry())
    assert listed(tmp_path)["dataset"] == "Köln"
    build_page(tmp_path, dataset="")
    assert listed(tmp_path)["dataset"] == ""


def test_scans_without_an_entry_are_named_until_it_is_said_otherwise(tmp_path):
    build_page(tmp_path, {"sub-02_T2w": "truncated", "sub-01_T2w": "größer"})
    add_entry(tmp_path, entry())
    build_page(tmp_path)
    assert listed(tmp_path)["missing"] == {"sub-01_T2w": "größer", "sub-02_T2w": "truncated"}
    build_page(tmp_path, {})
    assert listed(tmp_path)["missing"] == {}
    (tmp_path / "rootlets" / "missing.json").write_text("{")
    build_page(tmp_path)
    assert listed(tmp_path)["missing"] == {}


def test_two_scans_of_one_name_are_two_entries(tmp_path):
    add_entry(tmp_path, entry(folder="/site1"))
    add_entry(tmp_path, entry(folder="/site2"))
    assert [one["folder"] for one in listed(tmp_path)["entries"]] == ["/site1", "/site2"]


def test_concurrent_writers_lose_nothing(tmp_path):
    folder = tmp_path / "qc with ünïcode and spaces"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(folder), f"w{i}"]) for i in range(3)]
    assert [writer.wait() for writer in writers] == [0] * 3
    assert files_of(folder) == {f"w{i}-{j}.nii.gz" for i in range(3) for j in range(4)}


def test_the_order_of_writing_does_not_matter(tmp_path):
    for folder, names in (("a", "123"), ("b", "312")):
        for name in names:
            add_entry(tmp_path / folder, entry(f"{name}.nii.gz"))
    contents = []
    for folder in ("a", "b"):
        paths = sorted(path for path in (tmp_path / folder).rglob("*") if path.is_file())
        contents.append({str(path.relative_to(tmp_path / folder)): path.read_bytes() for path in paths})
    assert contents[0] == contents[1]


def test_half_written_leftovers(tmp_path):
    add_entry(tmp_path, entry("whole.nii.gz"))
    entries = tmp_path / "rootlets" / "entries"
    (entries / "killed-12345678.0123456789ab").mkdir()  # pictures that nothing names yet
    (entries / ".sct_rootlets-abc").mkdir()
    (tmp_path / "rootlets" / "page.json").write_text("")
    (tmp_path / "rootlets" / "entries.js").write_text("sctRootl")
    build_page(tmp_path)
    assert files_of(tmp_path) == {"whole.nii.gz"}
    assert len([path for path in entries.iterdir() if path.is_dir()]) == 1
    (entries / "broken.json").write_text('{"id": "bro')
    build_page(tmp_path)
    assert listed(tmp_path)["damaged"] == ["broken.json"]
    assert files_of(tmp_path) == {"whole.nii.gz"}


def test_killed_at_any_moment_entries_are_whole(tmp_path, monkeypatch):
    """Two writers of many entries, again and again the same ones, killed in the middle of it."""
    endless = WRITER.replace("for i in range(4):", "import itertools\nfor i in itertools.cycle(range(40)):")
    endless = endless.replace('b"x" * 5000', "str(next(count)).encode() * 5000")
    endless = endless.replace("import sys\n", "import itertools, sys\ncount = itertools.count()\n", 1)
    writers = [subprocess.Popen([sys.executable, "-c", endless, str(tmp_path), f"w{i}"]) for i in range(2)]
    entries = tmp_path / "rootlets" / "entries"
    limit = time.monotonic() + 60
    while len(list(entries.glob("*.json"))) < 8 and time.monotonic() < limit:
        time.sleep(0.01)
    for writer in writers:
        writer.kill()
        writer.wait()
    monkeypatch.setattr(output_files, "STALE_LOCK_S", 1.0)  # of a writer that was killed while it held the lock
    build_page(tmp_path)
    found = listed(tmp_path)
    assert found["damaged"] == []
    assert len(found["entries"]) >= 8
    for one in found["entries"]:
        content = (entries / one["files"] / "a.webp").read_bytes()
        assert len(content) % 5000 == 0
        assert len(content) > 0
    assert len([path for path in entries.iterdir() if path.is_dir()]) == len(found["entries"])


def test_entries_of_an_older_version_are_kept(tmp_path):
    add_entry(tmp_path, entry())
    own = tmp_path / "rootlets"
    (own / "entries" / "old.json").write_text(json.dumps({"id": "old", "file": "old.nii.gz"}))
    (own / "page.json").write_text('{"format": 0}')
    (own / "assets" / "page.js").write_text("an older script")
    (tmp_path / "t2_rootlets.png").write_bytes(b"a picture, as -qc wrote it before")
    add_entry(tmp_path, entry("new.nii.gz"))
    assert files_of(tmp_path) == {"t2.nii.gz", "old.nii.gz", "new.nii.gz"}
    assert "sctRootletsEntries" in (own / "assets" / "page.js").read_text(encoding="utf-8")
    assert (tmp_path / "t2_rootlets.png").exists()
    assert json.loads((own / "page.json").read_text())["format"] == FORMAT_VERSION


def test_a_folder_of_a_later_version_is_left_alone(tmp_path):
    add_entry(tmp_path, entry())
    (tmp_path / "rootlets" / "page.json").write_text(json.dumps({"format": FORMAT_VERSION + 1}))
    with pytest.raises(SctRootletsError, match="later version"):
        add_entry(tmp_path, entry("new.nii.gz"))
    assert files_of(tmp_path) == {"t2.nii.gz"}


def test_the_page_of_sct_is_not_replaced(tmp_path):
    """SCT's own reports, of the same script and into the same folder."""
    (tmp_path / "index.html").write_text("SCT's page")
    assert add_entry(tmp_path, entry()) == tmp_path / "rootlets.html"
    assert (tmp_path / "index.html").read_text() == "SCT's page"
    assert GENERATOR_TAG in (tmp_path / "rootlets.html").read_text(encoding="utf-8")
    other = tmp_path / "other"
    (other / "_json").mkdir(parents=True)
    assert add_entry(other, entry()) == other / "rootlets.html"


def test_a_file_where_the_folder_is_to_be(tmp_path):
    (tmp_path / "qc").write_text("a file")
    with pytest.raises(ImageError, match=r"cannot write to .*qc"):
        add_entry(tmp_path / "qc", entry())
    assert (tmp_path / "qc").read_text() == "a file"


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX user ids")
@pytest.mark.parametrize("place", [".", "rootlets"])
def test_read_only_folder(tmp_path, place):
    folder = tmp_path / "qc"
    add_entry(folder, entry())
    locked = folder / place
    root = os.geteuid() == 0  # root may write anywhere: become nobody for the moment
    locked.chmod(0o555)
    if root:
        tmp_path.chmod(0o755)
        os.seteuid(65534)
    try:
        with pytest.raises(ImageError, match="cannot write to"):
            add_entry(folder, entry("new.nii.gz"))
    finally:
        if root:
            os.seteuid(0)
        locked.chmod(0o755)
    assert files_of(folder) == {"t2.nii.gz"}
