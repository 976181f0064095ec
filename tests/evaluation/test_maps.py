"""Rootlet maps from files: axes, grids and values."""

import numpy as np
import pytest
from ladder import ladder, write

from sct_rootlets.errors import ImageError, LabelError
from sct_rootlets.evaluation.references import evaluate_files
from sct_rootlets.image import check_same_grid
from sct_rootlets.nifti import load_volume


def test_axes_may_differ_and_grids_may_not(tmp_path):
    flipped = np.diag([-1.0, 1, 1, 1])
    flipped[0, 3] = ladder().shape[0] - 1
    reference = write(tmp_path, "reference.nii.gz", ladder())
    turned = write(tmp_path, "turned.nii.gz", ladder()[::-1], flipped)
    assert evaluate_files({"a": [turned]}, [reference]).tables["scans"].dice[0] == 1
    moved = np.eye(4)
    moved[2, 3] = 5
    with pytest.raises(ImageError, match=r"corners lie up to 5 mm apart; resample moved.nii.gz"):
        evaluate_files({"a": [write(tmp_path, "moved.nii.gz", ladder(), moved)]}, [reference])
    for folder, affine in (("a", np.eye(4)), ("b", moved)):
        (tmp_path / folder / "maps").mkdir(parents=True)
        write(tmp_path / folder / "maps", "t2.nii.gz", ladder(), affine)
    a, b = (tmp_path / folder / "maps" / "t2.nii.gz" for folder in "ab")
    with pytest.raises(ImageError, match=r"a.maps.t2.nii.gz and b.maps.t2.nii.gz have .* b.maps.t2.nii.gz to the"):
        check_same_grid(load_volume(a), load_volume(b))
    with pytest.raises(ImageError, match=r"resample a.maps.t2.nii.gz to the grid of b.maps.t2.nii.gz"):
        evaluate_files({"a": [a]}, [b])


@pytest.mark.parametrize(
    ("change", "message"),
    [(lambda data: data * 0.5, "is not a label"), (lambda data: (data > 0) * 1, "the value 1, which is not a level"),
     (lambda data: data + (data > 0) * 90.0, "the value 92, which is not a level"),
     (lambda data: np.where(data > 0, np.nan, 0), "NaN or infinite")],
)  # fmt: skip
def test_values_that_are_no_levels(tmp_path, change, message):
    reference = write(tmp_path, "reference.nii.gz", ladder())
    spoilt = write(tmp_path, "spoilt.nii.gz", np.asarray(change(ladder()), dtype=np.float32))
    for pair in ((spoilt, reference), (reference, spoilt)):
        with pytest.raises(LabelError, match=message):
            evaluate_files({"a": [pair[0]]}, [pair[1]])
