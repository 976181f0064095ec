import json
import shutil

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from sct_rootlets.errors import ModelError  # noqa: E402
from sct_rootlets.models.model import load_model  # noqa: E402


@pytest.fixture
def spoilt(model_folder, tmp_path):
    return shutil.copytree(model_folder, tmp_path / "models" / model_folder.name)


def edit_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_folder_is_read_as_it_was_written(model_folder):
    model = load_model(model_folder)
    assert model.labels == {"lvl1": 1, "lvl2": 2, "lvl3": 3}
    assert (model.orientation, model.patch, model.spacing_mm) == ("RAS", (32, 32, 24), (1.1, 0.9, 0.9))
    assert not model.network.training


def test_the_folder_above_will_do_if_it_holds_one_model(spoilt):
    assert load_model(spoilt.parent).labels
    shutil.copytree(spoilt, spoilt.parent / "another")
    with pytest.raises(ModelError, match=r"should hold one model folder .* found 2"):
        load_model(spoilt.parent)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("plans.json", "found none"),
        ("dataset.json", "dataset.json is missing"),
        ("fold_0/checkpoint_final.pth", "holds no fold_"),
    ],
)
def test_missing_files(spoilt, missing, message):
    (spoilt / missing).unlink()
    with pytest.raises(ModelError, match=message):
        load_model(spoilt)


def test_weights_that_do_not_fit(spoilt):
    def widen(plans):
        architecture = plans["configurations"]["3d_fullres"]["architecture"]
        architecture["arch_kwargs"]["features_per_stage"] = [8, 8, 8]

    edit_json(spoilt / "plans.json", widen)
    with pytest.raises(ModelError, match="do not fit its plans"):
        load_model(spoilt)


def test_unknown_architectures(spoilt):
    def rename(plans):
        plans["configurations"]["3d_fullres"]["architecture"]["network_class_name"] = "os.system"

    edit_json(spoilt / "plans.json", rename)
    with pytest.raises(ModelError, match="the model is a system"):
        load_model(spoilt)


def test_sct_orientation_codes(spoilt):
    edit_json(spoilt / "dataset.json", lambda dataset: dataset.update(image_orientation="RPI"))
    assert load_model(spoilt).orientation == "LAS"


def test_half_precision_on_disk_is_full_precision_in_use(model_folder, tmp_path):
    from sct_rootlets.bundled.export import write_model_folder
    from sct_rootlets.models.architecture import plain_unet

    model = load_model(model_folder)
    folder = write_model_folder(
        tmp_path,
        model.network,
        plain_unet((4, 8, 8), (1, 1, 1)),
        model.labels,
        (1.1, 0.9, 0.9),
        (32, 32, 24),
        half=True,
    )
    half = load_model(folder)
    assert next(half.network.parameters()).dtype == torch.float32
    for one, two in zip(model.network.parameters(), half.network.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4)
