import os
import stat
import zipfile
from pathlib import Path

import pytest

from sct_rootlets.errors import ModelError
from sct_rootlets.models import archive
from sct_rootlets.models.archive import check_checkpoint, copy_folder, unpack

TRAINER = "nnUNetTrainer__nnUNetPlans__3d_fullres"
FILES = {
    f"{TRAINER}/plans.json": b"{}",
    f"{TRAINER}/dataset.json": b"{}",
    f"{TRAINER}/fold_0/checkpoint_final.pth": b"weights",
}


def write_zip(path, files, **more):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in {**files, **more}.items():
            opened.writestr(name, content)
    return path


def files_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def target(tmp_path):
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def refused(path, target, message):
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(ModelError, match=message) as caught:
        unpack(path, target, "m.zip")
    assert "\n" not in str(caught.value)
    assert sorted(path.parent.rglob("*")) == before, "something was written"


@pytest.mark.parametrize("top", ["", "model-r20250318/", "./", "a/b/"])
def test_the_trainers_folder_and_nothing_else(tmp_path, target, top):
    inside = {f"{top}{name}": content for name, content in FILES.items()}
    beside = {"README.md": b"read", "__MACOSX/x/nnUNetTrainer__a/._plans.json": b"", f"{top}{TRAINER}/.DS_Store": b""}
    path = write_zip(tmp_path / "m.zip", inside | beside)
    assert unpack(path, target, "m.zip") == target / TRAINER
    assert files_in(target) == FILES


def test_modes_in_an_archive_are_not_taken_over(tmp_path, target):
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in FILES.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFREG | 0o4777) << 16
            opened.writestr(info, content)
    before = os.umask(0o022)
    try:
        unpack(path, target, "m.zip")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in target.rglob("*.*")} == {0o644}


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        f"{TRAINER}/../../evil",
        "/evil",
        "//evil",
        "C:/evil",
        "C:evil",
        "a\\..\\evil",
        f"{TRAINER}/..",
    ],
)
def test_paths_that_lead_out(tmp_path, target, name):
    path = write_zip(tmp_path / "m.zip", FILES, **{name: b"evil"})
    refused(path, target, "would lie outside the model's folder")


@pytest.mark.parametrize("name", ["a\nb", f"{TRAINER}/{'x' * 300}"])
def test_names_that_no_file_has(tmp_path, target, name):
    write_zip(tmp_path / "m.zip", {name: b"evil"})
    with pytest.raises(ModelError, match=r"m\.zip was refused: '.*' in it is not a valid file name"):
        unpack(tmp_path / "m.zip", target, "m.zip")
    assert not list(target.iterdir())


def test_a_file_that_is_a_folder_too(tmp_path, target):
    write_zip(tmp_path / "m.zip", {**FILES, f"{TRAINER}/plans.json/more": b"x"})
    with pytest.raises(ModelError, match="twice"):
        unpack(tmp_path / "m.zip", target, "m.zip")


def test_litter_of_a_mac_does_no_harm(tmp_path, target):
    write_zip(tmp_path / "m.zip", {**FILES, f"{TRAINER}/Icon\r": b"x", f"{TRAINER}/._plans.json": b"x"})
    trainer = unpack(tmp_path / "m.zip", target, "m.zip")
    assert sorted(path.name for path in trainer.iterdir()) == ["dataset.json", "fold_0", "plans.json"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_special_files(tmp_path, target, kind):
    path = write_zip(tmp_path / "m.zip", FILES)
    with zipfile.ZipFile(path, "a") as opened:
        info = zipfile.ZipInfo(f"{TRAINER}/debug.json")
        info.create_system, info.external_attr = 3, (kind | 0o777) << 16
        opened.writestr(info, "/etc/passwd")
    refused(path, target, "debug.json' in it is a link" if kind == stat.S_IFLNK else "is no plain file")


def test_a_bomb_of_ten_gigabytes_by_its_headers(tmp_path, target):
    """Zip64 headers of a file of 10 GB; nobody has to write them to see what is refused."""
    path = write_zip(tmp_path / "m.zip", FILES)
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr(f"{TRAINER}/fold_1/checkpoint_final.pth", bytes(100_000), zipfile.ZIP_DEFLATED)
        info = opened.infolist()[-1]
        info.file_size = 10 * 2**30  # what is written into the directory at the end
    assert path.stat().st_size < 2000
    refused(path, target, r"unpacks to 10\.0 GiB")


def test_a_bomb_whose_headers_lie(tmp_path, target, monkeypatch):
    """It says that it holds one byte and holds ten million: nothing beyond what it says is unpacked."""
    path = write_zip(tmp_path / "m.zip", FILES, **{f"{TRAINER}/big.txt": bytes(10**7)})
    with zipfile.ZipFile(path, "a") as opened:
        opened.infolist()[-1].file_size = 1
        opened.comment = b"rewrite the directory"
    with pytest.raises(ModelError, match="Bad CRC-32"):
        unpack(path, target, "m.zip")
    assert sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) < 100


def test_what_compresses_like_no_weights(tmp_path, target):
    path = write_zip(tmp_path / "m.zip", FILES, **{f"{TRAINER}/fold_1/checkpoint_final.pth": bytes(10**7)})
    refused(path, target, "times its size, as no weights do")


def test_too_many_files(tmp_path, target, monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILES", 5)
    path = write_zip(tmp_path / "m.zip", FILES, **{f"{TRAINER}/{n}": b"" for n in range(3)})
    refused(path, target, "holds more than 5 files")


def test_names_that_are_one_on_some_systems(tmp_path, target):
    path = write_zip(tmp_path / "m.zip", FILES, **{f"{TRAINER}/Plans.json": b"{}"})
    refused(path, target, r"holds .*Plans\.json' twice")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({Path(name).name: b"" for name in FILES}, "no folder nnUNetTrainer... around its plans.json"),
        ({"model.onnx": b""}, "no folder nnUNetTrainer...: it is not an nnU-Net model"),
        ({}, "no folder nnUNetTrainer...: it is not an nnU-Net model"),
        (
            FILES | {name.replace(TRAINER, "x/nnUNetTrainer_2000epochs"): b"" for name in FILES},
            r"holds 2 models \(nnUNetTrainer__nnUNetPlans__3d_fullres, x/nnUNetTrainer_2000epochs\); give one",
        ),
    ],
    ids=["flat", "of another kind", "empty", "two"],
)  # fmt: skip
def test_layouts_that_are_not_one_model(tmp_path, target, files, message):
    refused(write_zip(tmp_path / "m.zip", files), target, message)


@pytest.mark.parametrize("missing", list(FILES))
def test_missing_files(tmp_path, target, missing):
    rest = {name: content for name, content in FILES.items() if name != missing}
    more = {f"{TRAINER}/fold_0/checkpoint_latest.pth": b"", f"{TRAINER}/old/{missing}": b""}
    name = Path(missing).name
    refused(write_zip(tmp_path / "m.zip", rest | more), target, rf"is incomplete: it has no (fold_\*/)?{name} in")


@pytest.mark.parametrize("content", [b"", b"<html>log in</html>", b"PK\x03\x04 and no more"])
def test_what_is_no_zip_file(tmp_path, target, content):
    (tmp_path / "m.zip").write_bytes(content)
    refused(tmp_path / "m.zip", target, "is not a zip file that can be unpacked")


def test_damaged_and_encrypted_archives(tmp_path, target):
    path = write_zip(tmp_path / "m.zip", FILES | {f"{TRAINER}/log.txt": os.urandom(10_000)})
    content = bytearray(path.read_bytes())
    at = content.index(b"log.txt") + 100
    content[at : at + 50] = bytes(50)
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is not a zip file that can be unpacked"):
        unpack(path, target, "m.zip")
    path = write_zip(tmp_path / "e.zip", FILES)
    content = path.read_bytes()
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag that says encrypted
        parts = content.split(mark)
        content = mark.join([parts[0], *(part[: at - 4] + b"\x01" + part[at - 3 :] for part in parts[1:])])
    path.write_bytes(content)
    (tmp_path / "other").mkdir()
    with pytest.raises(ModelError, match="it is encrypted"):
        unpack(path, tmp_path / "other", "e.zip")


@pytest.fixture
def folder(tmp_path):
    for name, content in FILES.items():
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "model"


def test_folders_by_the_trainers_or_the_one_above(folder, target, tmp_path):
    assert copy_folder(folder, target) == target / TRAINER
    assert files_in(target) == FILES
    (tmp_path / "again").mkdir()
    copy_folder(folder / TRAINER, tmp_path / "again")
    assert files_in(tmp_path / "again") == FILES


@pytest.mark.parametrize("what", ["file", "folder", "pipe"])
def test_links_in_folders(folder, target, tmp_path, what):
    path = folder / TRAINER / "more"
    if what == "pipe":
        os.mkfifo(path)
    else:
        (tmp_path / "elsewhere").mkdir()
        path.symlink_to("/etc/passwd" if what == "file" else tmp_path / "elsewhere")
    with pytest.raises(ModelError, match=f"{TRAINER}/more in it is {'no plain file' if what == 'pipe' else 'a link'}"):
        copy_folder(folder, target)
    assert files_in(target) == {}


def test_a_folder_of_anything(folder, target, monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILES", 2)
    with pytest.raises(ModelError, match="holds more than 2 files"):
        copy_folder(folder, target)


def test_a_checkpoint_is_an_archive_too(tmp_path):
    path = write_zip(tmp_path / "checkpoint_final.pth", {"data": bytes(10**7)})
    with pytest.raises(ModelError, match=r"its checkpoint_final\.pth unpacks to 10 MiB"):
        check_checkpoint(path, "m.zip")
