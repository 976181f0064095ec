"""The page in Firefox, from disk: it loads, nothing goes wrong in it, and the viewer shows the scan."""

import io

import numpy as np
import pytest
from PIL import Image

from sct_rootlets.output.page import add_entry
from sct_rootlets.report.page.entry import About, make_entry

pytest.importorskip("websockets", reason="websockets is not installed (pip install websockets)")
from firefox import firefox, firefox_path

if firefox_path() is None:
    pytest.skip("no Firefox on the PATH (apt-get install firefox-esr, or set FIREFOX)", allow_module_level=True)


@pytest.fixture(scope="module")
def address(phantom_levels, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages") / "Qualität der Würzelchen"
    for name in ("sub-01_T2w.nii.gz", "sub-02_T2w.nii.gz"):
        shown = add_entry(folder, make_entry(phantom_levels, About(name, "/data", "test", name[:6])))
    return shown.as_uri()


@pytest.fixture(scope="module")
def browser():
    with firefox() as one:
        yield one


@pytest.fixture(autouse=True)
def no_errors(browser):
    """What goes wrong in the page fails the test."""
    browser.log.clear()
    yield
    assert [entry["text"] for entry in browser.log if entry["level"] == "error"] == []


def test_it_loads_and_takes_verdicts(browser, address):
    browser.open(address, 1280, 800)
    browser.wait_for("document.querySelectorAll('#list tbody tr').length === 2")
    browser.wait_for("Array.from(document.images).every((image) => image.complete && image.naturalWidth > 0)")
    assert browser.evaluate("document.querySelector('#scan h2').textContent") == "sub-01_T2w.nii.gz"
    sizes = browser.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert sizes == [1280, 800]
    browser.press("p")
    assert browser.evaluate("document.querySelector('#scan h2').textContent") == "sub-02_T2w.nii.gz"
    assert "1 pass," in browser.evaluate("document.querySelector('#counts').textContent")
    browser.open(address, 390, 844)
    browser.wait_for("document.querySelector('#scan h2')")
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
    assert "1 pass," in browser.evaluate("document.querySelector('#counts').textContent")  # it was kept


def test_the_viewer_shows_the_scan(browser, address):
    browser.open(address, 1280, 800)
    browser.wait_for("document.querySelector('#scan h2')")
    if not browser.evaluate("Boolean(document.createElement('canvas').getContext('webgl2'))"):
        browser.press("v")
        browser.wait_for("document.querySelector('#viewer-box .bad')")
        assert "WebGL 2" in browser.evaluate("document.querySelector('#viewer-box .bad').textContent")
        pytest.skip("this Firefox offers no WebGL 2, headless and without a graphics card")
    browser.press("v")
    browser.wait_for("document.querySelector('#viewer[data-at]')")
    assert browser.evaluate("document.querySelector('#crosshair-text').textContent").startswith("cord at ")
    browser.evaluate("window.box = document.querySelector('#canvas').getBoundingClientRect()")
    left, top, width, height = map(round, browser.evaluate("[box.x, box.y, box.width, box.height]"))
    picture = np.asarray(Image.open(io.BytesIO(browser.screenshot())).convert("RGB"))
    canvas = picture[top : top + height, left : left + width]
    assert len(np.unique(canvas.reshape(-1, 3), axis=0)) > 100  # an image, and levels in colour above it
