"""Several raters, from files to consensus, agreement and variation of positions."""

import numpy as np
import pytest
from ladder import cord, ladder, write

from sct_rootlets.errors import DatasetError, LabelError
from sct_rootlets.evaluation.raters import evaluate_raters
from sct_rootlets.nifti import load_volume, save_volume
from sct_rootlets.output.evaluation import save_evaluation


@pytest.fixture
def raters(tmp_path):
    """Three raters of two scans, a slice apart; the second scan's levels lie a slice lower."""
    for number in (1, 2, 3):
        for subject in ("01", "02"):
            down = number - 2 + (subject == "02")
            write(tmp_path / "maps", f"sub-{subject}_T2w_label-rootlets_rater{number}.nii.gz", ladder(shift=down))
    for subject in ("01", "02"):
        write(tmp_path / "labels", f"sub-{subject}_T2w_label-SC_seg.nii.gz", cord())
        pmj = np.zeros_like(cord())
        pmj[9, 7, 59] = 50
        write(tmp_path / "labels", f"sub-{subject}_T2w_label-PMJ_dlabel.nii.gz", pmj)
    return tmp_path


def patterns(folder):
    return {f"rater{number}": [str(folder / "maps" / f"*_rater{number}.nii.gz")] for number in (1, 2, 3)}


def test_raters(raters):
    """Midpoints at m - 1, m and m + 1 mm from the PMJ: SD 1 mm, COV 100 / m %."""
    pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    study = evaluate_raters(patterns(raters), [raters / "labels"], [raters / "labels"])
    pairs = study.tables["pairwise"]
    assert len(pairs) == 2 * 3 * 6
    assert sorted(pairs.dice.unique()) == pytest.approx([4 / 6, 5 / 6])
    table = study.tables["variability"]
    assert (table.n_repeats == 3).all()
    np.testing.assert_allclose(table.sd_mm, 1, atol=0.01)
    np.testing.assert_allclose(table.cov_percent, 100 / table.mean_mm, rtol=0.01)
    # C2 of the second rater of the first subject: slices 50-55, its middle 6.5 mm below the PMJ in slice 59.
    assert table[(table.group == "sub-01_T2w") & (table.name == "C2")].mean_mm.iloc[0] == pytest.approx(6.5, abs=0.05)
    assert set(study.tables["icc"].name) == {"C2", "C3", "C4", "C5", "C6", "C7"}
    consensus = study.consensus["sub-01_T2w"]
    inner = ladder(shift=0)
    assert set(np.unique(consensus.data)) == {0, 2, 3, 4, 5, 6, 7}
    assert ((consensus.data == inner) | (consensus.data == 0) | (inner == 0)).all()
    written = save_evaluation(study, raters / "out", figures=False)
    again = load_volume(
        next(path for path in written if path.name == "sub-01_T2w_label-rootlets_desc-staple_dseg.nii.gz")
    )
    np.testing.assert_array_equal(again.data, consensus.data)


def test_raters_that_lack_something(raters):
    pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    study = evaluate_raters(patterns(raters), [raters / "labels"])
    assert study.tables["variability"].cov_percent.isna().all()  # no PMJ
    assert study.about["reference"] == "cord top"
    assert "variability" not in evaluate_raters(patterns(raters)).tables
    (raters / "labels" / "sub-02_T2w_label-PMJ_dlabel.nii.gz").unlink()
    with pytest.raises(DatasetError, match="sub-02_T2w has no PMJ label"):
        evaluate_raters(patterns(raters), [raters / "labels"], [raters / "labels"])
    (raters / "maps" / "sub-02_T2w_label-rootlets_rater3.nii.gz").unlink()
    study = evaluate_raters(patterns(raters), [raters / "labels"])
    assert study.about["scans"] == ["sub-01_T2w"]
    assert len([note for note in study.notes if "no scan of this name in rater3" in note]) == 2
    assert "icc" not in study.tables
    with pytest.raises(DatasetError, match="give at least 2"):
        evaluate_raters({"rater1": [raters / "maps"]})


def test_levels_without_a_consensus_are_named(tmp_path):
    """C3 was drawn by one of two, or of three; of C2 they agree."""
    pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    for rater, values in ((1, (2, 3)), (2, (2,)), (3, (2,))):
        write(tmp_path / f"{rater}", "sub-01_T2w_rootlets.nii.gz", ladder(values))
    two = evaluate_raters({"a": [tmp_path / "1"], "b": [tmp_path / "2"]})
    assert two.notes == ("sub-01_T2w: 1 of 2 raters drew C3, and no voxel is surely of it: not in the consensus",)
    assert set(np.unique(two.consensus["sub-01_T2w"].data)) == {0, 2}
    three = evaluate_raters({str(n): [tmp_path / str(n)] for n in (1, 2, 3)})
    assert three.notes == ("sub-01_T2w: 1 of 3 raters drew C3: not in the consensus",)


def test_a_level_of_which_the_raters_share_no_voxel_is_named(tmp_path):
    """STAPLE drifts without end where maps share no voxel; the other level is agreed on."""
    pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    first = np.zeros((40, 40, 60), np.uint8)
    first[5:9, 5:9, 5:15] = 2
    second = first.copy()
    first[10:14, 20:24, 30:45], second[20:24, 20:24, 30:45] = 3, 3
    for rater, data in ((1, first), (2, second)):
        write(tmp_path / f"{rater}", "sub-01_T2w_rootlets.nii.gz", data)
    study = evaluate_raters({"a": [tmp_path / "1"], "b": [tmp_path / "2"]})
    assert study.notes == ("sub-01_T2w: 2 of 2 raters drew C3, and agree too little: not in the consensus",)
    assert set(np.unique(study.consensus["sub-01_T2w"].data)) == {0, 2}
    estimates = study.tables["staple"].query("name == 'C3'")
    assert estimates.sensitivity.isna().all()


def test_a_pmj_label_of_the_wrong_kind_is_an_error(raters):
    """Not a note beside positions that lack it: the file is wrong for all raters."""
    pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    path = raters / "labels" / "sub-02_T2w_label-PMJ_dlabel.nii.gz"
    save_volume(path, 50 * cord().astype(np.uint8), load_volume(path).affine)
    with pytest.raises(LabelError, match=r"sub-02_T2w_label-PMJ_dlabel.*holds a region, not a point"):
        evaluate_raters(patterns(raters), [raters / "labels"], [raters / "labels"])
