"""What a user is told to give to pip works before a release and after it."""

import json
import shlex
import sys

import pytest

from sct_rootlets import distribution
from sct_rootlets.distribution import requirement, version


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Make the package one that pip installed, from a source that it recorded as a dict, or from an index."""
    monkeypatch.setattr(distribution, "_FOLDER", tmp_path / "site-packages")

    def install(source):
        info = tmp_path / "site-packages" / "sct_rootlets-9.8.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sct_rootlets\nVersion: 9.8\n")
        if source is not None:
            (info / "direct_url.json").write_text(source if isinstance(source, str) else json.dumps(source))
        monkeypatch.setattr(sys, "path", [str(info.parent), *sys.path])

    return install


def test_in_a_copy_of_the_repository_it_is_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(distribution, "_FOLDER", tmp_path)
    (tmp_path / "setup.cfg").touch()
    assert shlex.split(requirement("nnunet")) == [f"{tmp_path}[nnunet]"]
    (tmp_path / "constraints.txt").touch()
    assert shlex.split(requirement("nnunet")) == ["-c", f"{tmp_path}/constraints.txt", f"{tmp_path}[nnunet]"]
    assert shlex.split(requirement()) == ["-c", f"{tmp_path}/constraints.txt", str(tmp_path)]


@pytest.mark.parametrize("source", [None, "{", "[]", {"url": "file:///is/gone", "dir_info": {}}])
def test_from_an_index_it_is_the_name(installed, source):
    installed(source)
    assert version() == "9.8"
    assert requirement() == "sct_rootlets"
    assert shlex.split(requirement("nnunet")) == ["sct_rootlets[nnunet]"]


def test_from_a_folder_it_is_the_folder(installed, tmp_path):
    copy = tmp_path / "my copy"
    copy.mkdir()
    (copy / "constraints.txt").touch()
    installed({"url": copy.as_uri(), "dir_info": {}})
    assert shlex.split(requirement("nnunet")) == ["-c", f"{copy}/constraints.txt", f"{copy}[nnunet]"]


def test_from_a_wheel_it_is_the_wheel(installed, tmp_path):
    wheel = tmp_path / "sct_rootlets-9.8-py3-none-any.whl"
    wheel.touch()
    installed({"url": wheel.as_uri(), "archive_info": {}})
    assert shlex.split(requirement("nnunet")) == [f"{wheel}[nnunet]"]
    assert shlex.split(requirement()) == [str(wheel)]


def test_from_a_repository_it_is_the_commit(installed):
    installed({"url": "https://example.org/a.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}})
    assert shlex.split(requirement("nnunet")) == ["sct_rootlets[nnunet] @ git+https://example.org/a.git@c0ffee"]
    assert shlex.split(requirement()) == ["sct_rootlets @ git+https://example.org/a.git@c0ffee"]
