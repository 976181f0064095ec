from dataclasses import replace

import numpy as np
import pytest

from sct_rootlets.image import Volume
from sct_rootlets.nifti import load_volume
from sct_rootlets.segmentation.outliers import without_absurd_voxels


def noise(dtype):
    data = np.random.default_rng(0).normal(500, 100, (30, 30, 30))
    data[:5] = 0
    return Volume(data.astype(dtype), np.eye(4), "a")


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint16])
def test_usual_images_are_the_same_object(dtype):
    volume = noise(dtype)
    assert without_absurd_voxels(volume) == (volume, [])
    assert without_absurd_voxels(volume)[0] is volume


@pytest.mark.parametrize("value", [3e4, 1e9, -1e12, 1e300])
def test_one_absurd_voxel_becomes_usual(value):
    volume = noise(np.float64)
    data = volume.data.copy()
    data[20, 10, 10] = value
    mended, notes = without_absurd_voxels(replace(volume, data=data))
    changed = mended.data != volume.data
    assert changed.sum() == 1
    assert changed[20, 10, 10]
    assert 100 < mended.data[20, 10, 10] < 900
    assert notes == [f"1 voxel of absurd intensity (up to {value:g}) in a toned down"]


@pytest.mark.parametrize(("n_bright", "n_absurd"), [(1500, 0), (900, 900)])
def test_bright_voxels_of_a_large_image_are_absurd_below_one_in_a_thousand(n_bright, n_absurd):
    rng = np.random.default_rng(0)
    data = rng.normal(500, 10, (100, 100, 100)).astype(np.float32)
    data.ravel()[rng.choice(data.size, n_bright, replace=False)] = 1e6
    mended, notes = without_absurd_voxels(Volume(data, np.eye(4), "a"))
    assert (mended.data != data).sum() == n_absurd
    assert len(notes) == (n_absurd > 0)


def test_one_absurd_voxel_of_a_large_image_is_seen():
    data = np.random.default_rng(0).normal(500, 10, (100, 100, 100)).astype(np.float32)
    usual = Volume(data, np.eye(4), "a")
    assert without_absurd_voxels(usual)[0] is usual
    data[1, 2, 3] = 1e6
    mended, notes = without_absurd_voxels(usual)
    assert (mended.data != data).sum() == 1
    assert notes == ["1 voxel of absurd intensity (up to 1e+06) in a toned down"]


def test_the_files_of_testing_data_have_none(phantom_folder):
    for path in phantom_folder.glob("sub-*/anat/*_T2w.nii.gz"):
        volume = load_volume(path)
        assert without_absurd_voxels(volume)[0] is volume


def test_the_cord_is_found_beside_an_absurd_voxel(phantom_files):
    pytest.importorskip("torch", reason="torch is not installed")
    from sct_rootlets.segmentation.load import load_segmenter

    segmenter, volume = load_segmenter(None, "cpu"), load_volume(phantom_files["image"])
    data = volume.data.astype(np.float32)
    right = segmenter(replace(volume, data=data))
    bright = data.copy()
    bright[tuple(n // 3 for n in data.shape)] = data.max() * 1e6
    found = segmenter(replace(volume, data=bright))
    assert [level.name for level in found.spinal.levels] == [level.name for level in right.spinal.levels]
    for one, other in zip(found.spinal.levels, right.spinal.levels, strict=True):
        assert one.midpoint_mm == pytest.approx(other.midpoint_mm, abs=0.5)
    assert "1 voxel of absurd intensity" in found.notes[0]
    assert not any("absurd" in note for note in right.notes)
