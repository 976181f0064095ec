"""Finding a template: in a folder, in an SCT, or by download."""

import hashlib
import shutil

import pytest

from sct_rootlets.errors import ImageError, ModelError
from sct_rootlets.registration import pam50 as module
from sct_rootlets.registration.pam50 import download_template, find_template, read_folder


def test_a_folder_is_read_with_or_without_the_inner_one(template_folder):
    outer, inner = read_folder(template_folder), read_folder(template_folder / "template")
    assert outer.files == inner.files
    assert {name: path.name for name, path in outer.files.items()} == {
        "t2": "phantom_t2.nii.gz",
        "cord": "phantom_cord.nii.gz",
        "levels": "phantom_levels.nii.gz",
        "discs_in_cord": "phantom_label_disc.nii.gz",
        "spinal_levels": "phantom_spinal_levels.nii.gz",
        "rootlets": "phantom_rootlets.nii.gz",
        "rootlets_midpoint": "phantom_rootlets_midpoint.nii.gz",
    }
    assert outer.volume("t1") is None


def test_names_come_from_the_list_of_files_where_there_is_one(template_folder, tmp_path):
    shutil.copy(template_folder / "template" / "phantom_cord.nii.gz", tmp_path / "odd-name.nii.gz")
    (tmp_path / "info_label.txt").write_text("# ID, name, file\n3, spinal cord mask (binary), odd-name.nii.gz\n")
    assert read_folder(tmp_path).files["cord"].name == "odd-name.nii.gz"


def test_all_missing_files_are_named(template_folder, tmp_path):
    shutil.copy(template_folder / "template" / "phantom_t2.nii.gz", tmp_path / "PAM50_t2.nii.gz")
    with pytest.raises(ImageError, match=r"incomplete: PAM50_cord.nii.gz, PAM50_rootlets.nii.gz are missing; give"):
        read_folder(tmp_path).need("cord", "rootlets", "t2")


def test_what_is_no_template_is_said_to_be_none(tmp_path):
    with pytest.raises(ImageError, match="is no folder"):
        find_template(tmp_path / "nowhere")
    with pytest.raises(ImageError, match="no NIfTI file"):
        find_template(tmp_path)


def test_the_one_of_sct_comes_first(template_folder, tmp_path, monkeypatch):
    shutil.copytree(template_folder, tmp_path / "data" / "PAM50")
    monkeypatch.setenv("SCT_DIR", str(tmp_path))
    assert find_template().folder == tmp_path / "data" / "PAM50" / "template"


@pytest.fixture
def server():
    pytest.importorskip("requests", reason="requests is not installed")
    from published import Server

    server = Server(b"labels" * 1000)
    yield server
    server.close()


def test_downloads_are_checked_and_kept(server, tmp_path, monkeypatch):
    hash_of = hashlib.sha256(b"labels" * 1000).hexdigest()
    monkeypatch.setattr(module, "PUBLISHED", {"PAM50_cord.nii.gz": hash_of, "PAM50_rootlets.nii.gz": hash_of})
    monkeypatch.setenv("SCT_ROOTLETS_TEMPLATE", str(tmp_path / "cache"))
    folder = download_template(url=server.url)
    assert sorted(path.name for path in folder.iterdir()) == ["PAM50_cord.nii.gz", "PAM50_rootlets.nii.gz"]
    asked = len(server.requests)
    (folder / "PAM50_cord.nii.gz").write_bytes(b"damaged")
    download_template(url=server.url)
    assert len(server.requests) == asked + 1  # only what was damaged
    assert (folder / "PAM50_cord.nii.gz").read_bytes() == b"labels" * 1000


def test_other_bytes_than_published_are_refused_in_one_line(server, tmp_path):
    with pytest.raises(ModelError, match=r"SHA-256 differs; or give a folder with PAM50: -template <folder>") as caught:
        download_template(tmp_path, url=server.url)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("PAM50*"))


@pytest.mark.real_data
def test_pam50_is_the_one_that_would_be_downloaded(real_data):
    for name, sha256 in module.PUBLISHED.items():
        assert hashlib.sha256((real_data / "PAM50" / name).read_bytes()).hexdigest() == sha256
