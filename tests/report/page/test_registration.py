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


def test_its_picture_has_its_size_and_the_same_bytes_every_time(registered):
    entry = registration_entry(registered, ABOUT)
    view = entry.facts["views"]["registration"]
    with Image.open(io.BytesIO(entry.files["registration.webp"])) as picture:
        assert picture.size == (view["width"], view["height"])
    assert registration_entry(registered, ABOUT).fingerprint == entry.fingerprint
    assert sum(map(len, entry.files.values())) < 2_000_000
