"""Level maps in ``sct_process_segmentation -vertfile``: cord area per spinal level."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from sct_rootlets import compute_spinal_levels
from sct_rootlets.output.levels import save_levels

pytest.importorskip("spinalcordtoolbox", reason="the Spinal Cord Toolbox is not importable")


def test_the_toolbox_measures_area_per_spinal_level(phantom_folder, tmp_path):
    """Its areas are those of the slices that the map gives to each level, within 2 %."""
    from spinalcordtoolbox.scripts import sct_process_segmentation

    folder = phantom_folder / "derivatives" / "labels" / "sub-phantom01" / "anat"
    stem = "sub-phantom01_T2w"
    cord = folder / f"{stem}_label-SC_seg.nii.gz"
    subject = compute_spinal_levels(folder / f"{stem}_label-rootlets_dseg.nii.gz", cord=cord)
    save_levels(subject, tmp_path, figure=False)
    levels = tmp_path / f"{stem}_label-spinalLevels_dseg.nii.gz"
    table = tmp_path / "area.csv"
    options = ["-i", str(cord), "-vertfile", str(levels), "-vert", "3:8", "-perlevel", "1", "-angle-corr", "0"]
    sct_process_segmentation.main([*options, "-o", str(table), "-v", "0"])
    found = pd.read_csv(table).set_index("VertLevel")["MEAN(area)"]

    labels = nib.as_closest_canonical(nib.load(levels))
    values = np.asarray(labels.dataobj)
    mask = np.asarray(nib.as_closest_canonical(nib.load(cord)).dataobj) > 0
    square = float(np.prod(labels.header.get_zooms()[:2]))
    for level in range(3, 9):
        whole = [z for z in range(values.shape[2]) if (values[:, :, z] == level).sum() > 0.5 * mask[:, :, z].sum() > 0]
        expected = mask[:, :, whole].sum(axis=(0, 1)).mean() * square
        assert float(found[level]) == pytest.approx(expected, rel=0.02)
