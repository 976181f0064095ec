"""A phantom that stands for the template, and a subject's files."""

from pathlib import Path

import pytest

from sct_rootlets.output.phantoms import write_template

STEM = "sub-phantom01_T2w"


@pytest.fixture(scope="session")
def template_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    write_template(folder)
    return folder


@pytest.fixture
def subject(phantom_folder) -> dict[str, Path]:
    """Image and labels of a bent phantom on 1 mm voxels."""
    labels = phantom_folder / "derivatives" / "labels" / "sub-phantom01" / "anat"
    names = {"cord": "SC_seg", "rootlets": "rootlets_dseg", "discs": "discs_dlabel"}
    found = {key: labels / f"{STEM}_label-{name}.nii.gz" for key, name in names.items()}
    return {"image": phantom_folder / "sub-phantom01" / "anat" / f"{STEM}.nii.gz", **found}
