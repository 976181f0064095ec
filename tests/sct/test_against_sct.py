"""Against the Spinal Cord Toolbox itself, where it can be imported (its source tree on PYTHONPATH is enough)."""

import nibabel as nib
import numpy as np
import pytest

from sct_rootlets import compute_spinal_levels

# Near its ends the phantom's mask is cut obliquely to the slices; there SCT's spline follows the incomplete slices
# (1.8 mm beside the truth), ours does not.
END_MM = 10

pytest.importorskip("spinalcordtoolbox", reason="the Spinal Cord Toolbox is not importable")


@pytest.fixture
def labels(phantom_folder):
    folder = phantom_folder / "derivatives" / "labels" / "sub-phantom01" / "anat"
    return {
        "cord": folder / "sub-phantom01_T2w_label-SC_seg.nii.gz",
        "discs": folder / "sub-phantom01_T2w_label-discs_dlabel.nii.gz",
        "pmj": folder / "sub-phantom01_T2w_label-PMJ_dlabel.nii.gz",
    }


def test_centerline_and_arc_length_agree(labels):
    from spinalcordtoolbox.centerline.core import ParamCenterline, get_centerline
    from spinalcordtoolbox.image import Image

    _, points, _, _ = get_centerline(
        Image(str(labels["cord"])), ParamCenterline("bspline", smooth=20), space="phys", verbose=0
    )
    theirs = np.array(points).T
    theirs = theirs[np.argsort(-theirs[:, 2])][END_MM:-END_MM]
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(theirs, axis=0), axis=1))])
    ours = compute_spinal_levels(cord=labels["cord"], discs=labels["discs"]).centerline.project(theirs)
    assert ours.distance.max() < 0.5
    assert np.abs(ours.arc - ours.arc[0] - length).max() < 0.5


def test_the_centerline_that_sct_writes_is_taken(labels, tmp_path):
    """It is rounded to voxels of 1 mm: half of a voxel's diagonal, and one voxel along the cord, are its precision."""
    from spinalcordtoolbox.centerline.core import ParamCenterline, get_centerline
    from spinalcordtoolbox.image import Image

    line, *_ = get_centerline(Image(str(labels["cord"])), ParamCenterline("bspline", smooth=20), verbose=0)
    line.save(str(tmp_path / "centerline.nii.gz"), verbose=0)
    own, theirs = (
        compute_spinal_levels(cord=labels["cord"], discs=labels["discs"], centerline=line)
        for line in (None, tmp_path / "centerline.nii.gz")
    )
    assert theirs.sources["centerline"].path == tmp_path / "centerline.nii.gz"
    inner = slice(END_MM * 2, -END_MM * 2)  # points stand 0.5 mm apart
    assert theirs.centerline.project(own.centerline.points[inner]).distance.max() < np.sqrt(0.5)
    for ours, other in zip(own.discs, theirs.discs, strict=True):
        assert other.arc_mm == pytest.approx(ours.arc_mm, abs=1)


def test_distances_from_the_pmj_agree(labels):
    from spinalcordtoolbox.centerline.core import ParamCenterline
    from spinalcordtoolbox.csa_pmj import get_slices_for_pmj_distance

    *_, distances = get_slices_for_pmj_distance(
        str(labels["cord"]), str(labels["pmj"]), 50, 2, param_centerline=ParamCenterline(), perslice=True, verbose=0
    )
    subject = compute_spinal_levels(**labels)
    image = nib.as_closest_canonical(nib.load(labels["cord"]))
    cord = np.asanyarray(image.dataobj) > 0
    slices = [z for z in distances if cord[:, :, z].any()][END_MM:-END_MM]
    assert len(slices) > 100
    for z in slices:
        middle = nib.affines.apply_affine(image.affine, [*np.argwhere(cord[:, :, z]).mean(axis=0), z])
        ours = subject.centerline.project(middle).arc[0] - subject.reference.arc_mm
        assert ours == pytest.approx(distances[z], abs=0.5)
