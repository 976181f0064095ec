import os

import nibabel as nib
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from sct_rootlets.image import Volume  # noqa: E402
from sct_rootlets.models.model import load_model  # noqa: E402
from sct_rootlets.segmentation.predictor import predict  # noqa: E402


def scan(shape=(40, 47, 52), spacing=(1.0, 0.8, 1.2), border=3):
    rng = np.random.default_rng(0)
    from scipy.ndimage import gaussian_filter

    data = 100 + 400 * gaussian_filter(rng.normal(size=shape), 2)
    data = np.pad(data.astype(np.float32), border)  # air around the body, cropped away before standardising
    return Volume(data, np.diag([*spacing, 1.0]), "scan")


def dice(one, two, value):
    return 2 * np.sum((one == value) & (two == value)) / np.sum((one == value).astype(int) + (two == value))


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


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((40, 47, 52), (1.0, 0.8, 1.2)), ((33, 40, 20), (0.9, 0.9, 1.1)), ((60, 60, 12), (0.7, 0.7, 4.0))],
)
def test_labels_are_those_of_nnunet(model_folder, shape, spacing, monkeypatch, tmp_path):
    """nnU-Net itself on the same folder and image, without mirroring.

    Of a network with random weights, many voxels are near ties, which nnU-Net decides by the rounding of its
    half-precision sums. With sums in single precision, its labels are ours.
    """
    pytest.importorskip("nnunetv2", reason="nnunetv2 is not installed")
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setitem(os.environ, name, str(tmp_path))
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(
        tile_step_size=0.5, use_mirroring=False, device=torch.device("cpu"), perform_everything_on_device=False
    )
    predictor.initialize_from_trained_model_folder(str(model_folder), (0,))
    volume = scan(shape, spacing)
    array = volume.data.transpose(2, 1, 0)[None].astype(np.float32)
    ours = predict(load_model(model_folder), volume)
    for precision, least in ((torch.float32, 0.9995), (torch.float16, 0.99)):
        monkeypatch.setattr(torch, "half", precision)
        theirs = predictor.predict_single_npy_array(array, {"spacing": list(spacing[::-1])}).transpose(2, 1, 0)
        for value in (1, 2, 3):
            assert (theirs == value).sum() > 100
            assert dice(ours, theirs, value) >= least
