"""On real scans and the PAM50 template; each test skips only where their folder is absent."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from sct_rootlets import compute_spinal_levels, segment_rootlets
from sct_rootlets.nifti import load_volume
from sct_rootlets.plausibility import UNEVEN_LIMITS, compare_vertebrae
from sct_rootlets.vertebral import label_points

pytestmark = pytest.mark.real_data

ERRSM = ("errsm11", "errsm18", "errsm21", "errsm23")


def shifted(subject):
    table = subject.correspondence
    table = table[table.pairing == "shifted"]
    return dict(zip(table.vertebral_level + "-" + table.spinal_level, table.difference_mm, strict=True))


@pytest.fixture
def crop(real_data):
    folder = real_data / "sct_testing_data" / "t2"
    return {
        "rootlets": folder / "t2_rootlets_RootletSeg-r20250318.nii.gz",
        "cord": folder / "t2_seg-manual.nii.gz",
        "discs": folder / "t2_label-discs_dlabel.nii.gz",
    }


def test_crop_levels_are_found_in_order(crop):
    subject = compute_spinal_levels(**crop)
    assert [level.name for level in subject.spinal.levels] == ["C3", "C4", "C5", "C6"]
    assert not subject.levels.set_index(["kind", "name"]).complete["spinal", "C3"]
    # The map holds two voxels named C3 below C4.
    assert any(note.startswith("C3: 2 of") and note.endswith("left out") for note in subject.notes)


def test_crop_shifted_pairs(crop):
    pairs = shifted(compute_spinal_levels(**crop, method="extent"))
    assert list(pairs) == ["C3-C4", "C4-C5", "C5-C6"]
    np.testing.assert_allclose(list(pairs.values()), [-1.5, 1, 3], atol=1.5)


@pytest.fixture
def pam50(real_data):
    folder = real_data / "PAM50"
    return {
        "rootlets": folder / "PAM50_rootlets.nii.gz",
        "cord": folder / "PAM50_cord.nii.gz",
        "discs": folder / "PAM50_label_disc.nii.gz",
    }


def test_pam50_shifted_pairs(pam50):
    """Against the pairs read off the z-extents of all rootlet voxels of the template.

    Ours leave out rootlets further than 2.4 mm from the cord, which lie up to 2 mm further caudally from C7 on.
    """
    subject = compute_spinal_levels(**pam50, method="extent")
    pairs = shifted(subject)
    assert list(pairs) == ["C2-C3", "C3-C4", "C4-C5", "C5-C6", "C6-C7", "C7-C8", "T1-T1"]
    np.testing.assert_allclose(list(pairs.values()), [0.0, 0.7, 3.5, 4.5, 4.0, 4.3, 6.2], atol=1.5)
    assert subject.notes == ()  # label 60 is the tip of the conus


def test_pam50_segments_have_no_gap_and_no_overlap(pam50):
    subject = compute_spinal_levels(pam50["rootlets"], cord=pam50["cord"])
    rows = subject.levels
    assert list(rows.name) == ["C2", "C3", "C4", "C5", "C6", "C7", "C8", "T1"]
    np.testing.assert_array_equal(rows.rostral_mm[1:], rows.caudal_mm[:-1])
    labels = subject.level_map("spinal")
    per_slice = [set(np.unique(labels[:, :, z])) - {0} for z in range(labels.shape[2])]
    used = [z for z, values in enumerate(per_slice) if values]
    assert all(per_slice[z] for z in range(used[0], used[-1] + 1))


def test_pam50_dorsal_and_ventral_roots(pam50):
    """The template's rootlets are symmetric; ventral ones come near the cord from C4 on, fewer than dorsal ones."""
    subject = compute_spinal_levels(pam50["rootlets"], cord=pam50["cord"])
    for level in subject.spinal.levels:
        roots = level.roots
        assert roots["left_dorsal"] == pytest.approx(roots["right_dorsal"], rel=0.15)
        assert roots["left_dorsal"] + roots["right_dorsal"] > roots["left_ventral"] + roots["right_ventral"]
        if level.value >= 5:
            assert min(roots["left_ventral"], roots["right_ventral"]) > 30


@pytest.mark.parametrize("name", ERRSM)
def test_errsm_vertebral_levels_have_sensible_lengths(real_data, name):
    stem = f"derivatives/labels/sub-{name}/anat/sub-{name}_T2w_label"
    subject = compute_spinal_levels(
        cord=real_data / "errsm" / f"{stem}-SC_seg.nii.gz", discs=real_data / "errsm" / f"{stem}-discs_dlabel.nii.gz"
    )
    assert subject.reference.name == "disc C2/C3"
    lengths = subject.levels.set_index("name").length_mm
    assert list(lengths.index[:6]) == ["C3", "C4", "C5", "C6", "C7", "T1"]
    assert ((lengths[:6] >= 10) & (lengths[:6] <= 25)).all()


def test_small_template_has_another_world_but_the_same_levels(real_data):
    """The down-sampled PAM50 lies elsewhere in the world; with its PMJ, vertebrae are as long as in the full one."""
    folder = real_data / "sct_testing_data" / "template"
    small = compute_spinal_levels(
        cord=folder / "PAM50_small_cord.nii.gz",
        discs=folder / "PAM50_small_label_disc.nii.gz",
        pmj=folder / "PAM50_small_t2_pmj_manual.nii.gz",
    )
    full = compute_spinal_levels(
        cord=real_data / "PAM50" / "PAM50_cord.nii.gz", discs=real_data / "PAM50" / "PAM50_label_disc.nii.gz"
    )
    both = pd.merge(small.levels, full.levels, on="name")
    cervical = both[both.name.isin(["C3", "C4", "C5", "C6", "C7"])]
    assert len(cervical) == 5
    np.testing.assert_allclose(cervical.length_mm_x, cervical.length_mm_y, atol=2.0)  # 2 mm slices
    assert (small.levels.rostral_mm > 0).all()


def test_centerline_follows_the_one_of_sct(real_data):
    """Against a centerline that SCT found in the image without the mask, rounded to voxels of 1 mm."""
    folder = real_data / "sct_testing_data" / "t2"
    subject = compute_spinal_levels(cord=folder / "t2_seg-manual.nii.gz", discs=folder / "t2_label-discs_dlabel.nii.gz")
    theirs = nib.load(folder / "t2_centerline-optic.nii.gz")
    points = nib.affines.apply_affine(theirs.affine, np.argwhere(np.asanyarray(theirs.dataobj)))
    distance = subject.centerline.project(points).distance
    assert distance.mean() < 0.5
    assert distance.max() < 1.0


@pytest.mark.slow
def test_t2star_of_a_session_is_numbered_as_its_t2w(real_data):
    """0.5×0.5×7.5 mm, a contrast that no network was trained on: within 4 mm of the discs of the T2w of the session."""
    pytest.importorskip("torch", reason="torch is not installed")
    found = segment_rootlets(real_data / "other" / "same-session" / "sub-errsm18_T2starw.nii.gz")
    labels = real_data / "errsm" / "derivatives" / "labels" / "sub-errsm18" / "anat"
    truth = label_points(load_volume(labels / "sub-errsm18_T2w_label-discs_dlabel.nii.gz"))
    heights = {disc.value: found.centerline.position(disc.arc_mm)[0][2] for disc in found.discs}
    common = sorted(set(heights) & set(truth))
    assert len(common) >= 4
    assert max(abs(heights[value] - truth[value][2]) for value in common) < 4


@pytest.mark.slow
def test_nothing_cervical_is_found_in_a_lumbar_scan(real_data):
    pytest.importorskip("torch", reason="torch is not installed")
    found = segment_rootlets(real_data / "other" / "lumbar" / "t2_lumbar.nii.gz")
    assert found.spinal.levels == ()
    assert any("rootlets" in note for note in found.notes)


def test_vertebrae_of_healthy_adults_are_as_long_as_their_neighbours(real_data, pam50):
    """The limits of the flag leave room beyond PAM50 and five scans with cord masks and discs (C3 to T2)."""
    labels = sorted(real_data.glob("errsm*/derivatives/labels/sub-*/anat"))
    scans = [
        [path / f"{path.parent.name}_T2w_label-{name}.nii.gz" for name in ("SC_seg", "discs_dlabel")] for path in labels
    ]
    given = [pair for pair in scans if pair[0].exists()] + [[pam50["cord"], pam50["discs"]]]
    assert len(given) == 6
    worst = []
    for cord, discs in given:
        subject = compute_spinal_levels(cord=cord, discs=discs)
        ratios = compare_vertebrae([disc for disc in subject.discs if 3 <= disc.value <= 10])
        assert len(ratios) >= 5
        worst.append(max(ratios.values()))
    assert 1.25 < max(worst) < 1.4 < UNEVEN_LIMITS[0]
