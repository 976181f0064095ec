"""Displacement fields: what they hold, and that ITK, ANTs and nitransforms read them as we mean them."""

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine
from smooth_maps import FLIPPED, SHAPE, TILTED, bend, blobs, grid

from sct_rootlets.image import Volume
from sct_rootlets.nifti import load_field, save_field, save_volume
from sct_rootlets.registration.fields import displacement_field, jacobian, sample_field
from sct_rootlets.registration.resample import resample


@pytest.mark.parametrize("affine", [FLIPPED, TILTED])
def test_a_field_is_the_map_minus_the_place(affine):
    field = displacement_field(bend, SHAPE, affine)
    points = grid(affine)
    np.testing.assert_allclose(field.reshape(-1, 3), bend(points) - points, atol=0.002)
    coarse = displacement_field(bend, SHAPE, affine, spacing_mm=3.0)  # linear between places 3 mm apart
    assert np.abs(coarse - field).max() < 0.05


@pytest.mark.parametrize("affine", [FLIPPED, TILTED])
def test_files_are_read_back_and_have_the_same_bytes_every_time(affine, tmp_path):
    field = displacement_field(bend, SHAPE, affine)
    for name in ("a.nii.gz", "b.nii.gz"):
        save_field(tmp_path / name, field, affine)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    back, where = load_field(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(back, field)
    np.testing.assert_allclose(where, affine, atol=1e-5)
    image = nib.load(tmp_path / "a.nii.gz")
    assert image.shape == (*SHAPE, 1, 3)
    assert image.header.get_intent()[0] == "vector"
    assert image.get_data_dtype() == np.float32


def test_a_field_can_be_asked_anywhere():
    field = displacement_field(bend, SHAPE, TILTED)
    points = apply_affine(TILTED, np.random.default_rng(0).uniform(1, 20, (200, 3)))
    np.testing.assert_allclose(points + sample_field(field, TILTED, points), bend(points), atol=0.01)


@pytest.mark.parametrize("affine", [FLIPPED, TILTED])
def test_the_jacobian_is_the_change_of_volume(affine):
    field = displacement_field(lambda points: points * [1.2, 0.5, 2.0] + 3, SHAPE, affine)
    np.testing.assert_allclose(jacobian(field, affine), 1.2, atol=0.005)
    folded = displacement_field(lambda points: points * [-1.0, 1, 1], SHAPE, affine)
    np.testing.assert_allclose(jacobian(folded, affine), -1.0, atol=0.005)


@pytest.fixture(params=[(FLIPPED, TILTED), (TILTED, FLIPPED)], ids=["to flipped", "to tilted"])
def files(request, tmp_path):
    """A moving image, a field from the fixed grid to it, and what should come out."""
    fixed, moving = request.param
    save_volume(tmp_path / "moving.nii.gz", blobs(grid(moving)).reshape(SHAPE).astype(np.float32), moving)
    save_volume(tmp_path / "fixed.nii.gz", np.zeros(SHAPE, dtype=np.float32), fixed)
    field = displacement_field(bend, SHAPE, fixed)
    save_field(tmp_path / "warp.nii.gz", field, fixed)
    volume = Volume(nib.load(tmp_path / "moving.nii.gz").get_fdata(), moving)
    index = apply_affine(np.linalg.inv(moving), bend(grid(fixed)))
    inside, to_faces = (
        ((index > low) & (index < np.array(SHAPE) - 1 - low)).all(axis=1).reshape(SHAPE) for low in (0.01, -0.49)
    )
    assert to_faces.sum() > inside.sum() > 1000
    return tmp_path, resample(volume, field, fixed), inside, to_faces


def test_itk_reads_the_field_as_we_mean_it(files):
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    folder, ours, _, inside = files
    field = sitk.Cast(sitk.ReadImage(str(folder / "warp.nii.gz")), sitk.sitkVectorFloat64)
    transform = sitk.DisplacementFieldTransform(field)
    moving, fixed = (sitk.ReadImage(str(folder / f"{name}.nii.gz")) for name in ("moving", "fixed"))
    theirs = sitk.GetArrayFromImage(sitk.Resample(moving, fixed, transform, sitk.sitkLinear)).transpose(2, 1, 0)
    np.testing.assert_allclose(theirs[inside], ours[inside], atol=0.05)


def test_ants_reads_the_field_as_we_mean_it(files):
    ants = pytest.importorskip("ants", reason="antspyx is not installed")
    folder, ours, _, inside = files
    moving, fixed = (ants.image_read(str(folder / f"{name}.nii.gz")) for name in ("moving", "fixed"))
    theirs = ants.apply_transforms(fixed, moving, [str(folder / "warp.nii.gz")], interpolator="linear").numpy()
    np.testing.assert_allclose(theirs[inside], ours[inside], atol=0.05)


def test_nitransforms_reads_the_field_as_we_mean_it(files):
    pytest.importorskip("nitransforms", reason="nitransforms is not installed")
    from nitransforms.nonlinear import DenseFieldTransform
    from nitransforms.resampling import apply

    folder, ours, inside, _ = files
    transform = DenseFieldTransform.from_filename(folder / "warp.nii.gz", fmt="itk")
    theirs = apply(transform, nib.load(folder / "moving.nii.gz"), reference=nib.load(folder / "fixed.nii.gz"), order=1)
    np.testing.assert_allclose(theirs.get_fdata()[inside], ours[inside], atol=0.05)
