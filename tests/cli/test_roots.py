"""``sct_rootlets roots`` on a phantom: maps, table, and one line for bad input."""

import nibabel as nib
import numpy as np
import pandas as pd

from sct_rootlets.cli.main import main

PREFIX = "sub-phantom01_T2w"


def roots(*arguments):
    return main(["roots", *map(str, arguments)])


def test_maps_add_up_to_the_rootlets(phantom_files, tmp_path, capsys):
    arguments = ["-rootlets", phantom_files["rootlets"], "-s", phantom_files["cord"], "-ofolder", tmp_path]
    assert roots(*arguments, "-strict") == 0
    assert "written:" in capsys.readouterr().out
    rootlets = nib.load(phantom_files["rootlets"])
    values = np.asarray(rootlets.dataobj)
    names = [f"{PREFIX}_desc-{half}_label-rootlets_dseg.nii.gz" for half in ("dorsal", "ventral")]
    dorsal, ventral = (np.asarray(nib.load(tmp_path / name).dataobj) for name in names)
    all_roots = nib.load(tmp_path / f"{PREFIX}_rootlets_roots.nii.gz")
    np.testing.assert_allclose(all_roots.affine, rootlets.affine)
    codes = np.asarray(all_roots.dataobj)
    np.testing.assert_array_equal(dorsal + ventral, values)
    assert not ((dorsal > 0) & (ventral > 0)).any()
    np.testing.assert_array_equal(codes // 10, values)
    np.testing.assert_array_equal(np.isin(codes % 10, (1, 2)), dorsal > 0)
    # Left and right of the patient: x grows to the right.
    x = {side: np.argwhere(np.isin(codes % 10, digits)) for side, digits in (("left", (1, 3)), ("right", (2, 4)))}
    left, right = (nib.affines.apply_affine(all_roots.affine, x[side])[:, 0].mean() for side in ("left", "right"))
    assert left < right - 8
    table = pd.read_csv(tmp_path / f"{PREFIX}_roots.csv")
    assert table["n_voxels"].sum() == np.count_nonzero(values)
    assert table["ambiguous"].dropna().between(0, 1).all()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert roots(*arguments) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / f"{PREFIX}_roots.csv").write_text("mine")
    capsys.readouterr()
    assert roots(*arguments) == 1
    assert "was not written by this command" in capsys.readouterr().err


def test_bad_input_is_one_line(phantom_files, tmp_path, capsys):
    unoriented = nib.load(phantom_files["rootlets"])
    unoriented.header["sform_code"] = unoriented.header["qform_code"] = 0
    data = nib.Nifti1Image(np.asarray(unoriented.dataobj), None, unoriented.header)
    nib.save(data, tmp_path / "plain_rootlets.nii.gz")
    for arguments in (
        ["-rootlets", phantom_files["cord"], "-s", phantom_files["cord"]],
        ["-rootlets", phantom_files["rootlets"], "-s", phantom_files["image"]],
        ["-rootlets", tmp_path / "plain_rootlets.nii.gz", "-s", phantom_files["cord"]],
    ):
        assert roots(*arguments, "-ofolder", tmp_path / "out") == 1
        printed = capsys.readouterr()
        assert (printed.out, printed.err.count("\n")) == ("", 1), printed.err
    assert not (tmp_path / "out").exists()


def test_a_value_that_is_no_level_is_named(phantom_files, tmp_path, capsys):
    source = nib.load(phantom_files["rootlets"])
    values = np.asarray(source.dataobj).astype(np.uint8)
    nib.save(nib.Nifti1Image(np.where(values > 0, values + 30, 0).astype(np.uint8), source.affine), tmp_path / "r.nii")
    arguments = ["-rootlets", tmp_path / "r.nii", "-s", phantom_files["cord"], "-ofolder", tmp_path]
    assert roots(*arguments) == 1
    assert "which is not a level" in capsys.readouterr().err
