"""Downloading PAM50: what is kept, and what is refused."""

import hashlib

import pytest

from sct_rootlets.errors import ModelError
from sct_rootlets.registration import pam50 as module
from sct_rootlets.registration.pam50 import download_template


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
