"""Files of a registration: series of volumes along the warp, and notes on headers."""

import json

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets.image import Volume
from sct_rootlets.output.registration import save_registration


@pytest.mark.parametrize(("interpolation", "dtype"), [("linear", np.float32), ("nn", np.int16)])
def test_every_volume_of_a_series_is_resampled_as_it_would_be_alone(
    drifted_registration, fmri, tmp_path, interpolation, dtype
):
    path, data, affine = fmri
    save_registration(drifted_registration, tmp_path / "reg", [path], interpolation, figure=False)
    moved = nib.load(tmp_path / "reg" / "fmri2template.nii.gz")
    assert moved.shape == (*drifted_registration.template_mask.data.shape, 5)
    assert moved.get_data_dtype() == dtype
    assert moved.header.get_zooms()[3] == pytest.approx(2.5)
    assert moved.header.get_xyzt_units()[1] == "sec"
    np.testing.assert_allclose(moved.affine, drifted_registration.template_mask.affine, atol=1e-5)
    values = np.asanyarray(moved.dataobj)
    for number in range(5):
        alone = drifted_registration.resample_to_template(Volume(data[..., number], affine), interpolation)
        np.testing.assert_allclose(values[..., number], alone, atol=0.01)  # single precision
    first = (tmp_path / "reg" / "fmri2template.nii.gz").read_bytes()
    save_registration(drifted_registration, tmp_path / "again", [path], interpolation, figure=False)
    assert (tmp_path / "again" / "fmri2template.nii.gz").read_bytes() == first


def test_a_series_with_a_further_dimension_of_one(drifted_registration, fmri, tmp_path):
    path, data, affine = fmri
    nib.save(nib.Nifti1Image(data[..., None], affine), tmp_path / "five.nii.gz")
    save_registration(drifted_registration, tmp_path / "reg", [path, tmp_path / "five.nii.gz"], "nn", figure=False)
    four, five = (nib.load(tmp_path / "reg" / f"{name}2template.nii.gz") for name in ("fmri", "five"))
    np.testing.assert_array_equal(np.asarray(four.dataobj), np.asarray(five.dataobj))


def test_a_qform_that_is_no_rotation_is_noted(drifted_phantom, drifted_registration, tmp_path):
    image = nib.Nifti1Image(np.ones(drifted_phantom.cord.data.shape, np.float32), drifted_phantom.cord.affine)
    image.set_sform(drifted_phantom.cord.affine, 1)
    image.header["qform_code"] = 1
    image.header["quatern_b"], image.header["quatern_c"] = 0.9, 0.9
    nib.save(image, tmp_path / "odd.nii.gz")
    save_registration(drifted_registration, tmp_path / "reg", [tmp_path / "odd.nii.gz"], figure=False)
    notes = json.loads((tmp_path / "reg" / "registration.json").read_text())["Notes"]
    assert any("odd.nii.gz: the qform of its header is not a rotation" in note for note in notes)
