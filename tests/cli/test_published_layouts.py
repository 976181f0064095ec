"""Models in every form in which they are published: installed from a server, run, and named in the sidecar."""

import json
import zipfile

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from layouts import LAYOUTS, write_layout
from published import Server

from sct_rootlets.cli import deepseg
from sct_rootlets.cli.models import main
from sct_rootlets.models.installed import FOLDERS_VARIABLE
from sct_rootlets.models.model import load_model
from sct_rootlets.models.store import find_model
from sct_rootlets.nifti import load_volume, save_volume
from sct_rootlets.segmentation.predictor import predict


@pytest.fixture(scope="module")
def scan(phantom, tmp_path_factory):
    """Ninety millimetres of the phantom."""
    path = tmp_path_factory.mktemp("scan") / "t2.nii.gz"
    image = phantom.image
    save_volume(path, image.data[:, 40:130], image.affine @ np.array([[1, 0, 0, 0], [0, 1, 0, 40], [0, 0, 1, 0],
                                                                      [0, 0, 0, 1]]))  # fmt: skip
    return path


def archive_of(folder, path):
    """Zip a release: its own folder around the trainer's."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"model-r1/{file.relative_to(folder).as_posix()}")
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_is_installed_runs_and_names_itself(layout, scan, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path / "models"))
    server = Server(archive_of(write_layout(tmp_path / "release", layout), tmp_path / "a.zip").read_bytes())
    try:
        assert main(["install", "published", "-custom-url", server.url, "-v", "0"]) == 0
    finally:
        server.close()
    output = tmp_path / "out.nii.gz"
    command = ["rootlets", "-i", str(scan), "-o", str(output), "-model", "published", "-fov", "full"]
    assert deepseg.main(command) == 0
    text = capsys.readouterr().out
    model = json.loads((tmp_path / "out.json").read_text())["Model"]
    installed = find_model("published")
    assert model["Name"] == "published"
    assert model["Source"] == server.url
    n_weights = sum(name.endswith(".pth") for name in model["SHA256"])
    assert n_weights == (5 if layout == "five folds" else 1)
    assert ("its checkpoint_best.pth is used" in text) == (layout in ("best only", "cropped"))
    assert ("cropped around the cord" in text) == (layout == "cropped")
    labels = load_volume(output).data
    if layout != "cropped":
        np.testing.assert_array_equal(labels, predict(load_model(installed.folder), load_volume(scan)))
    assert set(np.unique(labels)) <= set(range(9 if layout == "r20240730" else 10))
