"""The public scan: downloaded once from a server here, and without a network an error of one line."""

import hashlib

import numpy as np
import pytest

from sct_rootlets import sample
from sct_rootlets.cli import main
from sct_rootlets.errors import ImageError, ModelError
from sct_rootlets.nifti import load_volume, save_volume
from sct_rootlets.output.sample import write_disc
from sct_rootlets.sample import download_sample

SCAN = b"a scan" * 1000
HASH = hashlib.sha256(SCAN).hexdigest()
#: A port at which nothing answers.
NOWHERE = "http://127.0.0.1:9/t2.nii.gz"


@pytest.fixture
def serve():
    """Start a server of one file; all are closed in the end."""
    pytest.importorskip("requests", reason="requests is not installed")
    from published import Server

    servers = []

    def start(content):
        servers.append(Server(content))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def impatient(monkeypatch):
    """Give a server up at once."""
    from sct_rootlets.models import download

    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)


def test_the_scan_is_downloaded_once(serve, tmp_path):
    server = serve(SCAN)
    path = download_sample(tmp_path / "new", server.url, HASH)
    assert path == tmp_path / "new" / "t2.nii.gz"
    assert path.read_bytes() == SCAN
    assert [file.name for file in path.parent.iterdir()] == ["t2.nii.gz"]
    assert download_sample(tmp_path / "new", NOWHERE, HASH) == path
    assert len(server.requests) == 1


def test_another_file_is_refused_and_not_kept(serve, tmp_path):
    with pytest.raises(ModelError, match="SHA-256 differs") as caught:
        download_sample(tmp_path, serve(b"another scan").url, HASH)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "t2.nii.gz").exists()


def test_a_file_of_the_user_is_kept(serve, tmp_path):
    mine = tmp_path / "t2.nii.gz"
    mine.write_bytes(b"mine")
    server = serve(SCAN)
    with pytest.raises(ImageError, match=r"t2\.nii\.gz is there already and is not the sample"):
        download_sample(tmp_path, server.url, HASH)
    assert mine.read_bytes() == b"mine"
    assert not server.requests


def test_without_a_network_it_is_one_line(tmp_path, monkeypatch, capsys, impatient):
    monkeypatch.setattr(sample, "URL", NOWHERE)
    folder = tmp_path / "sample"
    assert main.main(["sample", "-ofolder", str(folder)]) == 1
    assert capsys.readouterr().err == (
        f"sct_rootlets sample: error: {NOWHERE} could not be downloaded: the connection failed; without the internet, "
        "try sct_rootlets demo\n"
    )
    assert not folder.exists()


def test_the_disc_is_one_voxel_that_is_never_written_over(tmp_path):
    affine = np.diag([2.0, 1.0, 1.0, 1.0])
    save_volume(tmp_path / "t2.nii.gz", np.ones((30, 40, 30), dtype=np.uint8), affine)
    path = write_disc(tmp_path / "t2.nii.gz")
    disc = load_volume(path)
    assert np.argwhere(disc.data).tolist() == [list(sample.DISC_VOXEL)]
    assert disc.data[sample.DISC_VOXEL] == sample.DISC_VALUE
    np.testing.assert_allclose(disc.affine, affine)
    assert write_disc(tmp_path / "t2.nii.gz") == path
    path.write_bytes(b"mine")
    with pytest.raises(ImageError, match="would be replaced"):
        write_disc(tmp_path / "t2.nii.gz")


@pytest.mark.real_data
def test_the_command_with_the_scan_that_would_be_downloaded(real_data, serve, tmp_path, monkeypatch, capsys):
    """The labels that are published with the scan have C3/C4 where the sample has it."""
    pytest.importorskip("torch", reason="torch is not installed")
    folder = real_data / "sct_testing_data" / "t2"
    content = (folder / "t2.nii.gz").read_bytes()
    assert hashlib.sha256(content).hexdigest() == sample.SHA256
    assert load_volume(folder / "t2_label-discs_dlabel.nii.gz").data[sample.DISC_VOXEL] == sample.DISC_VALUE
    monkeypatch.setattr(sample, "URL", serve(content).url)
    assert main.main(["sample", "-ofolder", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    first, second = (tmp_path / name / "t2_levels.csv" for name in ("levels_from_image", "levels_with_one_disc"))
    assert first.exists()
    assert [line.split(",")[1] for line in second.read_text().splitlines()[1:5]] == ["C4", "C5", "C6", "C7"]
    assert (tmp_path / "qc" / "index.html").exists()
    assert f"-ldisc {tmp_path / 't2_one_disc.nii.gz'}" in printed
