"""Models that the Spinal Cord Toolbox installed itself, in every form in which they are published, run here."""

import zipfile

import numpy as np
import pytest
from layouts import LAYOUTS, write_layout
from published import Server

from sct_rootlets.models.model import load_model
from sct_rootlets.models.store import find_model
from sct_rootlets.nifti import load_volume
from sct_rootlets.segmentation.predictor import predict

models = pytest.importorskip("spinalcordtoolbox.deepseg.models", reason="the Spinal Cord Toolbox is not importable")
NAME = "model_seg_spinal_rootlets_nnunet"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_model_that_sct_installed_runs(layout, phantom_files, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "__deepseg_dir__", str(tmp_path / "deepseg_models"))
    release = write_layout(tmp_path / "release", layout)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in sorted(release.rglob("*")):
            archive.write(file, f"model-r1/{file.relative_to(release).as_posix()}")
    server = Server((tmp_path / "a.zip").read_bytes())
    server_name = {"Content_Disposition": 'attachment; filename="a.zip"'}
    monkeypatch.setattr(server, "well", lambda handler: server.answer(handler, 200, server.content, **server_name))
    try:
        models.install_model(NAME, custom_url=[server.url])
    finally:
        server.close()
    found = find_model(tmp_path / "deepseg_models" / NAME)
    model = load_model(found.folder)
    assert (model.margins_mm is not None) == (layout == "cropped")
    assert found.describe()["Name"] == NAME
    volume = load_volume(phantom_files["image"])
    labels = predict(model, volume)
    assert labels.shape == volume.data.shape
    assert set(np.unique(labels)) <= set(range(9 if layout == "r20240730" else 10))
