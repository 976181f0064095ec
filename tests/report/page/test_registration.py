"""The page's entry of a registration: its picture, and that it stands beside that of the scan."""

import io

import pytest
from PIL import Image

from sct_rootlets.output.page import add_levels, add_registration, read_entries
from sct_rootlets.output.phantoms import write_template
from sct_rootlets.registration.to_template import register
from sct_rootlets.report.page.entry import About
from sct_rootlets.report.page.registration import registration_entry

ABOUT = About("sub-01_T2w.nii.gz", "/data", "sct_rootlets register", "sub-01")


@pytest.fixture(scope="module")
def registered(phantom, tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    write_template(folder)
    return register(phantom.image, cord=phantom.cord, rootlets=phantom.rootlets, template=folder)


def test_it_stands_beside_the_entry_of_the_scan_and_replaces_an_earlier_one(registered, phantom_levels, tmp_path):
    add_levels(tmp_path, phantom_levels, ABOUT)
    for _ in range(2):
        add_registration(tmp_path, registered, ABOUT)
    entries, damaged = read_entries(tmp_path / "rootlets")
    assert damaged == []
    assert sorted(str(entry.get("kind", "")) for entry in entries) == ["", "registration"]
    assert len({entry["id"] for entry in entries}) == 2


def test_it_is_drawn_like_a_scan_before_and_after(registered):
    entry = registration_entry(registered, ABOUT)
    views = entry.facts["views"]
    along = ["scanned_sagittal", "scanned_coronal", "sagittal", "coronal", "unrolled"]
    assert list(views) == [*along, "axial"]
    assert len({tuple(views[name]["rows"]) for name in along}) == 1  # things side by side lie at the same place
    for name, view in views.items():
        with Image.open(io.BytesIO(entry.files[f"{name}.webp"])) as picture:
            assert picture.size == (view["width"], view["height"])
    pairs = registered.alignment.pairs
    assert [mark["arc"] for mark in views["coronal"]["marks"]] == [round(pair.template.arc_mm, 2) for pair in pairs]
    kinds = [level["kind"] for level in entry.facts["levels"]]
    assert kinds == ["spinal"] * len(pairs) + ["template"] * len(pairs)
    assert sum(pair["difference"] for pair in entry.facts["pairs"]) == pytest.approx(0, abs=0.05)
    assert registration_entry(registered, ABOUT).fingerprint == entry.fingerprint
    assert sum(map(len, entry.files.values())) < 2_000_000
