"""A small BIDS folder of labelled phantoms: four subjects, T2w (spine-generic names) and UNIT1, two sessions of one."""

import numpy as np
import pytest

from sct_rootlets.nifti import save_volume
from sct_rootlets.phantom import cervical_anatomy, draw_phantom, phantom_grid

AXES = {"01": "RAS", "02": "PSR", "03": "LIA", "04": "RPI"}


@pytest.fixture(scope="session")
def bids(tmp_path_factory):
    root = tmp_path_factory.mktemp("bids")
    for number, (subject, axes) in enumerate(AXES.items()):
        anatomy = cervical_anatomy(bend_deg=8 + number, fila_per_root=3)
        grid = phantom_grid(anatomy, (1.5, 1.5, 1.5), axes, margin_mm=12, arc_range=(28, 78))
        phantom = draw_phantom(anatomy, *grid, seed=number)
        for session in ("a", "b") if subject == "02" else (None,):
            folders = [f"sub-{subject}", *([f"ses-{session}"] if session else []), "anat"]
            stem = "_".join(folders[:-1])
            anat, labels = root.joinpath(*folders), root.joinpath("derivatives", "labels", *folders)
            anat.mkdir(parents=True)
            labels.mkdir(parents=True)
            for contrast in ("T2w", "UNIT1"):
                data = phantom.image.data if contrast == "T2w" else 200 - np.minimum(phantom.image.data, 200)
                data = data + (session == "b")  # another image, not a copy
                save_volume(anat / f"{stem}_{contrast}.nii.gz", data.astype(np.uint8), phantom.image.affine)
                label = f"{stem}_{contrast}_label-rootlets_dseg.nii.gz"
                save_volume(labels / label, phantom.rootlets.data, phantom.rootlets.affine)
    return root
