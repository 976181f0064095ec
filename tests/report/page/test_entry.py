import base64
import gzip
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine
from PIL import Image

from sct_rootlets.image import Volume
from sct_rootlets.report.page.entry import About, bids_subject, make_entry
from sct_rootlets.report.page.volume import MAX_VOXELS, viewer_volumes

ABOUT = About("sub-01_T2w.nii.gz", "/data/sub-01/anat", "sct_deepseg", "sub-01")


@pytest.fixture(scope="module")
def entry(phantom_levels):
    return make_entry(phantom_levels, ABOUT)


def test_names_of_entries():
    names = ["sub-01_T2w.nii.gz", "Köpfe und Hälse.nii.gz", "脊髄.nii.gz", "a b#c?%.nii", "../../x.nii.gz", "x" * 300]
    found = [About(name, "/data", "").identifier for name in names]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,70}", one) for one in found)
    assert len(set(found)) == len(names)
    assert About("t2.nii.gz", "/a", "").identifier != About("t2.nii.gz", "/b", "").identifier
    assert About("t2.nii.gz", "/a", "").identifier == About("t2.nii.gz", "/a", "other command").identifier


def test_subjects_are_those_of_file_names(tmp_path):
    assert bids_subject("sub-01_ses-02_acq-top_T2w.nii.gz") == "sub-01/ses-02"
    assert bids_subject("t2.nii.gz") == ""
    about = About.of_file(tmp_path / "sub-07_T2w.nii.gz", "sub-07_T2w.nii.gz", "x", dataset="d")
    assert (about.subject, about.dataset, about.folder) == ("sub-07", "d", str(tmp_path.resolve()))
    assert About.of_file(None, "array", "x", subject="given") == About("array", "", "x", "given", "")


def test_facts_are_json_and_pictures_have_their_size(entry):
    facts = json.loads(json.dumps(entry.facts, allow_nan=False))
    assert facts["levels"][0]["name"] == "C2"
    keys = ["levels", "order", "confidence", "complete", "length", "contrast", "deviation", "level_length", "mask"]
    keys.append("numbering")
    assert list(facts["flags"]) == keys
    for name, view in facts["views"].items():
        for file in (f"{name}.webp", f"{name}_labels.webp"):
            with Image.open(io.BytesIO(entry.files[file])) as picture:
                assert picture.size == (view["width"], view["height"])


def test_same_scan_same_bytes(entry, phantom_levels):
    again = make_entry(phantom_levels, ABOUT)
    assert again.files == entry.files
    assert again.fingerprint == entry.fingerprint
    assert make_entry(replace(phantom_levels, notes=("other",)), ABOUT).fingerprint != entry.fingerprint


def volumes_of(entry):
    found = re.fullmatch(r"sctRootletsVolume\((.*)\);\n", entry.files["volume.js"].decode(), flags=re.DOTALL)
    identifier, content = json.loads(f"[{found[1]}]")
    assert identifier == entry.identifier
    decoded = {name: gzip.decompress(base64.b64decode(text)) for name, text in content.items()}
    return {name: nib.Nifti1Image.from_bytes(data) for name, data in decoded.items()}


def test_the_viewer_s_volumes_lie_where_the_scan_does(entry, phantom_levels, phantom):
    """At points along the cord, and at rootlets, they hold what the scan holds there."""
    volumes = volumes_of(entry)
    assert list(volumes) == ["image", "rootlets", "levels"]
    levels = phantom_levels.spinal.levels
    middles = phantom_levels.centerline.position(np.array([level.midpoint_mm for level in levels]))

    def at(name, points):
        index = np.rint(apply_affine(np.linalg.inv(volumes[name].affine), points)).astype(int)
        return np.asarray(volumes[name].dataobj)[tuple(index.T)]

    assert at("levels", middles).tolist() == [level.value for level in levels]
    rootlets = np.argwhere(phantom.rootlets.data > 0)
    values = phantom.rootlets.data[tuple(rootlets.T)]
    assert (at("rootlets", apply_affine(phantom.rootlets.affine, rootlets)) == values).mean() > 0.75
    right = phantom_levels.centerline.frame(np.array([levels[3].caudal_mm + 2]))[1]
    fluid = phantom_levels.centerline.position(np.array([levels[3].caudal_mm + 2])) + 9 * right
    assert at("image", fluid)[0] > 1.5 * at("image", middles)[0]


def test_large_noisy_scans_stay_below_2_mb(phantom_levels, phantom):
    """Four times as many voxels along each axis, of noise that cannot be compressed."""
    affine = phantom.image.affine @ np.diag([0.5, 0.5, 0.5, 1])
    shape = tuple(2 * n for n in phantom.image.data.shape)
    noise = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    scan = replace(phantom_levels, image=Volume(noise, affine))
    entry = make_entry(scan, ABOUT)
    assert sum(map(len, entry.files.values())) + len(json.dumps(entry.facts)) < 2_000_000
    assert np.prod(volumes_of(entry)["image"].shape) <= MAX_VOXELS


def test_without_image_the_viewer_shows_the_cord(phantom_levels):
    volumes = viewer_volumes(replace(phantom_levels, image=None, rootlets=None, spinal=None, vertebral=None))
    assert list(volumes) == ["image"]


def test_assets_are_self_contained():
    """Nothing of the page's own is fetched from anywhere."""
    import sct_rootlets

    folder = Path(sct_rootlets.__file__).parent / "data" / "page"
    for name in ("index.html", "page.js", "page.css"):
        text = (folder / name).read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http" not in text
        assert "fetch(" not in text
        assert "innerHTML" not in text
    assert "BSD 2-Clause" in (folder / "niivue.LICENSE.txt").read_text()
