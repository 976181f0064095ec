import os
import shutil

import nibabel as nib
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from skimage.transform import resize  # noqa: E402

from sct_rootlets.errors import ModelError  # noqa: E402
from sct_rootlets.image import Volume  # noqa: E402
from sct_rootlets.models.model import load_model  # noqa: E402
from sct_rootlets.segmentation.predictor import _decide, predict  # noqa: E402


def scan(shape=(40, 47, 52), spacing=(1.0, 0.8, 1.2), border=3):
    rng = np.random.default_rng(0)
    from scipy.ndimage import gaussian_filter

    data = 100 + 400 * gaussian_filter(rng.normal(size=shape), 2)
    data = np.pad(data.astype(np.float32), border)  # air around the body, cropped away before standardising
    return Volume(data, np.diag([*spacing, 1.0]), "scan")


def turned(volume, axcodes):
    target = nib.orientations.axcodes2ornt(axcodes)
    transform = nib.orientations.ornt_transform(nib.io_orientation(volume.affine), target)
    image = nib.Nifti1Image(volume.data, volume.affine).as_reoriented(transform)
    return Volume(np.asanyarray(image.dataobj), image.affine)


def test_axis_order_changes_nothing(model_folder):
    model, volume = load_model(model_folder), scan()
    labels = predict(model, volume)
    assert set(np.unique(labels)) == {0, 1, 2, 3}
    for axcodes in ("LPI", "PSR"):
        again = predict(model, turned(volume, axcodes))
        expected = turned(Volume(labels, volume.affine), axcodes)
        np.testing.assert_array_equal(again, expected.data)


def test_an_empty_volume_has_no_labels(model_folder):
    assert not predict(load_model(model_folder), Volume(np.zeros((20, 20, 20)), np.eye(4))).any()


def test_a_volume_smaller_than_a_tile(model_folder):
    assert predict(load_model(model_folder), scan((10, 12, 9))).shape == (16, 18, 15)


def test_output_that_half_precision_cannot_hold_is_an_error(model_folder):
    """nnU-Net stops, too; labels would be background everywhere."""
    model = load_model(model_folder)
    head = model.network.decoder.seg_layers[-1]
    with torch.no_grad():
        head.weight *= 1e6
    with pytest.raises(ModelError, match="too large for half precision"):
        predict(model, scan())


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((40, 47, 52), (1.0, 0.8, 1.2)), ((33, 40, 20), (0.9, 0.9, 1.1)), ((60, 60, 12), (0.7, 0.7, 4.0))],
)
def test_labels_are_those_of_nnunet(model_folder, shape, spacing, mirror, monkeypatch, tmp_path):
    """nnU-Net itself on the same folder and image: two folds, with and without mirroring.

    Of networks with random weights, many voxels are near ties, which nnU-Net decides by its roundings to half
    precision.
    """
    pytest.importorskip("nnunetv2", reason="nnunetv2 is not installed")
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setitem(os.environ, name, str(tmp_path))
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    folder = shutil.copytree(model_folder, tmp_path / "model")
    checkpoint = torch.load(folder / "fold_0" / "checkpoint_final.pth", weights_only=True)
    axes = checkpoint["inference_allowed_mirroring_axes"] = (0, 2)
    other = {key: value * 1.01 for key, value in checkpoint["network_weights"].items()}
    for fold, weights in ((0, checkpoint["network_weights"]), (1, other)):
        (folder / f"fold_{fold}").mkdir(exist_ok=True)
        content = {**checkpoint, "network_weights": weights}
        torch.save(content, folder / f"fold_{fold}" / "checkpoint_final.pth")
    predictor = nnUNetPredictor(
        tile_step_size=0.5, use_mirroring=mirror, device=torch.device("cpu"), perform_everything_on_device=False
    )
    predictor.initialize_from_trained_model_folder(str(folder), (0, 1))
    model = load_model(folder)
    assert (model.mirror_axes, len(model.folds)) == (axes, 2)
    volume = scan(shape, spacing)
    array = volume.data.transpose(2, 1, 0)[None].astype(np.float32)
    theirs = predictor.predict_single_npy_array(array, {"spacing": list(spacing[::-1])}).transpose(2, 1, 0)
    assert all((theirs == value).sum() > 100 for value in (1, 2, 3))
    np.testing.assert_array_equal(predict(model, volume, mirror=mirror), theirs)


def test_near_ties_on_the_voxels_of_the_image_are_decided_as_nnunet_does():
    """nnU-Net resamples in double precision and rounds once; in single precision some labels would be others."""
    rng = np.random.default_rng(0)
    logits = (1000 + rng.normal(size=(4, 43, 51, 37))).astype(np.float16)  # half precision is coarse there
    grid, shape = logits.shape[1:], (30, 36, 26)
    resized = [resize(channel.astype(float), shape, 1, mode="edge", anti_aliasing=False) for channel in logits]
    expected = np.stack(resized).astype(np.float16).argmax(axis=0)
    whole = tuple(slice(0, n) for n in grid)
    labels = _decide(logits, whole, grid, shape, np.full(3, 0.7), np.ones(3), {"order": 1})
    np.testing.assert_array_equal(labels, expected)
