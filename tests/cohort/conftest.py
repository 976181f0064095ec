"""A small cohort of phantoms, whose rootlets and cords are given: nothing is to be segmented."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def bids(phantom_folder, tmp_path) -> Path:
    """Three scans of two subjects in a folder whose name has a space and a letter that is not ASCII."""
    pytest.importorskip("submitit", reason="submitit is not installed")
    root = tmp_path / "mes données"
    for subject, session in (("01", None), ("02", "a"), ("02", "b")):
        place = f"sub-{subject}" + (f"/ses-{session}" if session else "")
        stem = place.replace("/", "_")
        for source, target in (("", ""), ("derivatives/labels", "derivatives/labels")):
            folder = phantom_folder / source / "sub-phantom01" / "anat"
            (root / target / place / "anat").mkdir(parents=True)
            for path in folder.glob("*.nii.gz"):
                name = path.name.replace("sub-phantom01", stem)
                shutil.copy(path, root / target / place / "anat" / name)
    return root


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "results"
