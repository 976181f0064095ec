"""Images that show the same, through the networks: padded, in other axis orders, types and intensities."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("dynamic_network_architectures", reason="dynamic_network_architectures is not installed")

from scans import anatomy_of, scan_of

from sct_rootlets.image import Volume
from sct_rootlets.nifti import load_volume
from sct_rootlets.segmentation.border import find_content
from sct_rootlets.segmentation.load import load_segmenter

#: Voxels in front of and behind each axis.
PADDINGS = [
    ((1, 0), (0, 0), (0, 0)),
    ((0, 1), (0, 0), (0, 0)),
    ((0, 0), (1, 0), (0, 0)),
    ((0, 0), (0, 2), (0, 0)),
    ((0, 0), (0, 0), (1, 0)),
    ((0, 0), (0, 0), (0, 3)),
    ((3, 7), (10, 1), (20, 13)),
    ((20, 20), (20, 20), (20, 20)),
]
AXES = ["PSR", "LPI", "ASL", "IRP"]
TYPES = [np.int16, np.uint16, np.float64]


@pytest.fixture(scope="module")
def segmenter():
    return load_segmenter()


def rounded(volume):
    """Whole numbers from 0 to 4000, as a scanner stores them."""
    data = volume.data - volume.data.min()
    return replace(volume, data=np.round(4000 * data / data.max()).astype(np.float32))


def padded(volume, widths):
    affine = volume.affine.copy()
    affine[:3, 3] = nib.affines.apply_affine(affine, [-before for before, _ in widths])
    return replace(volume, data=np.pad(volume.data, widths), affine=affine)


def reordered(volume, axes):
    image = nib.Nifti1Image(volume.data, volume.affine)
    there = nib.orientations.ornt_transform(nib.io_orientation(volume.affine), nib.orientations.axcodes2ornt(axes))
    image = image.as_reoriented(there)
    return replace(volume, data=np.asarray(image.dataobj), affine=image.affine)


VARIANTS = {
    **{f"padded {widths}": lambda volume, widths=widths: padded(volume, widths) for widths in PADDINGS},
    **{f"axes {axes}": lambda volume, axes=axes: reordered(volume, axes) for axes in AXES},
    **{np.dtype(one).name: lambda volume, one=one: replace(volume, data=volume.data.astype(one)) for one in TYPES},
    "times 1000": lambda volume: replace(volume, data=volume.data * 1000.0),
    "times 0.001": lambda volume: replace(volume, data=volume.data / 1000.0),
    "all at once": lambda volume: reordered(
        padded(replace(volume, data=volume.data.astype(np.float64) * 1000), PADDINGS[6]), "SLP"
    ),
}


def assert_same_levels(found, reference):
    assert [level.value for level in found.spinal.levels] == [level.value for level in reference.spinal.levels]
    ours, theirs = (
        one.centerline.position([level.midpoint_mm for level in one.spinal.levels]) for one in (found, reference)
    )
    assert np.linalg.norm(ours - theirs, axis=1).max() <= 0.5


def assert_same_in_variants(segmenter, volume, reference):
    for name, vary in VARIANTS.items():
        variant = vary(volume)
        found = segmenter(variant)
        assert found.rootlets.shape == variant.data.shape, name
        assert np.count_nonzero(found.rootlets) == pytest.approx(np.count_nonzero(reference.rootlets), rel=0.01), name
        assert_same_levels(found, reference)


@pytest.mark.slow
def test_a_synthetic_scan_has_the_same_levels(segmenter):
    anatomy = anatomy_of()
    volume = rounded(scan_of(anatomy)[0])
    volume = replace(volume, data=volume.data[:, :, 30:110])
    reference = segmenter(volume)
    assert len(reference.spinal.levels) >= 4
    assert_same_in_variants(segmenter, volume, reference)


@pytest.mark.slow
@pytest.mark.real_data
def test_a_real_scan_has_the_same_levels(segmenter, real_data):
    volume = load_volume(real_data / "sct_testing_data" / "t2" / "t2.nii.gz")
    reference = segmenter(volume)
    assert len(reference.spinal.levels) >= 3
    assert_same_in_variants(segmenter, volume, reference)


def turned(volume, degrees):
    """Turn the header about the long axis of the body, as for a slab that follows a head turned to one side."""
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return replace(volume, affine=turn @ volume.affine)


def places_along_cord(found):
    discs = {f"disc {disc.value}": disc.arc_mm for disc in found.discs}
    return discs | {level.name: level.midpoint_mm for level in found.spinal.levels}


def assert_same_when_turned(segmenter, volume):
    reference = segmenter(volume)
    assert reference.centerline.turn_deg == 0
    for degrees in (-25, 25):
        found = segmenter(turned(volume, degrees))
        assert found.centerline.turn_deg == pytest.approx(degrees, abs=7)
        assert places_along_cord(found) == pytest.approx(places_along_cord(reference), abs=1.5)
        np.testing.assert_array_equal(found.rootlets > 0, reference.rootlets > 0)


@pytest.mark.slow
def test_a_turned_synthetic_neck_has_the_same_levels_and_discs(segmenter):
    volume = rounded(scan_of(anatomy_of())[0])
    assert_same_when_turned(segmenter, replace(volume, data=volume.data[:, :, 30:130]))


@pytest.mark.slow
@pytest.mark.real_data
def test_a_turned_real_neck_has_the_same_levels_and_discs(segmenter, real_data):
    anat = real_data / "errsm" / "sub-errsm18" / "anat"
    assert_same_when_turned(segmenter, load_volume(anat / "sub-errsm18_T2w.nii.gz"))


def test_only_a_border_of_one_value_is_cut_off():
    data = np.full((9, 10, 11), 3.0)
    data[2:7, 1:4, 5:11] = np.random.default_rng(0).uniform(0, 1, (5, 3, 6))
    assert find_content(data) == (slice(2, 7), slice(1, 4), slice(5, 11))
    assert find_content(np.zeros((4, 5, 6))) == (slice(0, 4), slice(0, 5), slice(0, 6))
    zeros_on_one_side = np.ones((3, 3, 3)) * np.arange(3)[:, None, None]
    zeros_on_one_side[1] = np.eye(3)
    assert find_content(zeros_on_one_side)[0] == slice(1, 2)


def test_the_orientation_of_a_volume_is_kept_when_cut():
    from sct_rootlets.segmentation.border import cut, uncut

    volume = Volume(np.arange(60).reshape(3, 4, 5), np.diag([1.0, 2, 3, 1]))
    box = (slice(1, 3), slice(0, 2), slice(2, 5))
    part = cut(volume, box)
    np.testing.assert_allclose(nib.affines.apply_affine(part.affine, [0, 0, 0]), [1, 0, 6])
    back = uncut(part.data, box, volume.data.shape)
    np.testing.assert_array_equal(back[box], volume.data[box])
    assert np.count_nonzero(back) == part.data.size
