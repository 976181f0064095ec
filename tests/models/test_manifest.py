import pytest

from sct_rootlets.distribution import requirement
from sct_rootlets.models import manifest
from sct_rootlets.models.manifest import BUNDLED_FOLDER, NETWORKS, read_manifest


def test_every_network_of_the_bundled_model_is_in_the_manifest():
    files = read_manifest()["files"]
    assert {name.split("/")[0] for name in files} == set(NETWORKS)
    assert all((BUNDLED_FOLDER / name).is_file() for name in files)


@pytest.mark.parametrize(
    "content", [None, b"", b"{", b"[]", b"{}", b"\xff", b"[" * 100000, b'{"name": "a", "version": 1, "files": {}}',
                b'{"name": "a", "version": "1", "files": {"a": 1}, "bytes": 1}']
)  # fmt: skip
def test_a_manifest_that_is_missing_or_damaged_is_one_line(monkeypatch, tmp_path, content, capsys):
    from sct_rootlets.cli.models import main

    monkeypatch.setattr(manifest, "BUNDLED_FOLDER", tmp_path)
    if content is not None:
        (tmp_path / "manifest.json").write_bytes(content)
    assert main(["verify"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(tmp_path / "manifest.json") in error
    assert error.endswith(
        f"install sct_rootlets again: python -m pip install --force-reinstall --no-deps {requirement()}\n"
    )
