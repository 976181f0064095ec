"""The page in a real browser, from disk: what a reviewer does with it."""

import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sct_rootlets.levels import level_color
from sct_rootlets.report.page.entry import About, Entry, make_entry
from sct_rootlets.report.page.folder import add_entry
from sct_rootlets.report.page.views import views_along

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
from browser import chromium, chromium_path

if chromium_path() is None:
    pytest.skip("no Chromium on the PATH (apt-get install chromium, or set CHROMIUM)", allow_module_level=True)


@pytest.fixture(scope="module")
def browser():
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def folder(page_scan, tmp_path_factory):
    """Three scans of a phantom, with different flags, in a folder with a space and letters beyond ASCII."""
    folder = tmp_path_factory.mktemp("pages") / "Qualität der Würzelchen"
    sure = {level.value: 0.95 for level in page_scan.spinal.levels}
    unsure = {**sure, 6: 0.3}
    cut = replace(page_scan.spinal, levels=page_scan.spinal.levels[2:6])
    scans = [
        ("sub-01_T2w.nii.gz", replace(page_scan, confidence=sure)),
        ("sub-02_T2w <b>größer</b> & schöner.nii.gz", replace(page_scan, confidence=unsure)),
        ("sub-10_T2w.nii.gz", replace(page_scan, confidence=sure, spinal=cut, vertebral=None, discs=[])),
    ]
    for name, scan in scans:
        add_entry(folder, make_entry(scan, About(name, "/data", "test", name[:6])))
    return folder


@pytest.fixture
def page(browser, folder):
    """The page, opened anew, by a reader who prefers light; what goes wrong in it fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(60_000)  # also where the machine is busy
    page = context.new_page()
    page.problems = []
    page.on("console", lambda message: message.type in ("error", "warning") and page.problems.append(message.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("requestfailed", lambda request: page.problems.append(request.url))
    page.requested = []
    page.on("request", lambda request: page.requested.append(request.url))
    page.goto((folder / "index.html").as_uri())
    page.wait_for_selector("#list tbody tr")
    yield page
    assert page.problems == []
    context.close()


def names(page):
    return [cell.inner_text()[:6] for cell in page.query_selector_all("#list td.name")]


def exported(page, button, tmp_path):
    page.click("summary:has-text('Export')")
    with page.expect_download() as download:
        page.click(button)
    page.click("summary:has-text('Export')")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    return path


def cell(page, name, column):
    at = page.evaluate("Array.from(document.querySelectorAll('#list th')).map(th => th.dataset.key)").index(column)
    row = names(page).index(name)
    return page.query_selector_all("#list tbody tr")[row].query_selector_all("td")[at].inner_text()


def test_opens_from_disk_with_everything_in_it(page):
    assert names(page) == ["sub-01", "sub-02", "sub-10"]
    assert all(url.startswith(("file://", "data:", "blob:")) for url in page.requested)
    assert not any("niivue" in url or "volume.js" in url for url in page.requested)  # only when asked for
    page.wait_for_function("Array.from(document.images).every(image => image.complete && image.naturalWidth > 0)")
    assert len(page.query_selector_all("#scan img")) == 9
    page.click("#list tbody tr:nth-child(2)")
    assert page.inner_text("#scan h2") == "sub-02_T2w <b>größer</b> & schöner.nii.gz"
    page.wait_for_function("Array.from(document.images).every(image => image.complete && image.naturalWidth > 0)")


def test_levels_lie_where_the_page_shows_them(page, page_scan):
    """Rulers and pictures, in pixels of the screen, against mm along the cord."""
    picture = page.query_selector("[data-view=sagittal]").bounding_box()
    assert len(page.query_selector_all(".ruler rect")) == len(page_scan.spinal.levels) + len(page_scan.vertebral.levels)
    rostral, caudal = views_along(page_scan)["sagittal"].rows
    for level in page_scan.spinal.levels:
        bar = page.query_selector(f"rect[data-kind=spinal][data-level={level.name}]")
        assert bar.get_attribute("fill") == level_color(level.name)
        box = bar.bounding_box()
        middle = (box["y"] + box["height"] / 2 - picture["y"]) / picture["height"]
        assert middle == pytest.approx((level.midpoint_mm - rostral) / (caudal - rostral), abs=0.003)


def test_the_legend_names_each_level_once_in_its_colour(page):
    items = page.eval_on_selector_all(
        "#scan > .legend span",
        "nodes => nodes.map(n => [n.textContent, getComputedStyle(n.querySelector('i')).backgroundColor])",
    )
    assert [name for name, _ in items] == ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "T1", "T2"]
    for name, color in items:
        parts = [int(level_color(name)[at : at + 2], 16) for at in (1, 3, 5)]
        assert color == f"rgb({', '.join(map(str, parts))})"


def test_sorting(page):
    page.click("th[data-key=confidence] button")
    assert names(page)[0] == "sub-02"
    assert page.get_attribute("th[data-key=confidence]", "aria-sort") == "ascending"
    page.click("th[data-key=confidence] button")
    assert names(page)[-1] == "sub-02"
    page.click("th[data-key=levels] button")
    assert names(page)[0] == "sub-10"
    page.click("th[data-key=deviation] button")
    page.click("th[data-key=worst] button")
    assert names(page)[0] == "sub-02"


def test_filter_and_search(page):
    page.select_option("#filter", "bad")
    assert names(page) == ["sub-02"]
    page.select_option("#filter", "all")
    page.fill("#search", "größer SUB-02")
    assert names(page) == ["sub-02"]
    page.fill("#search", "nothing like it")
    assert names(page) == []
    page.fill("#search", "")
    assert len(names(page)) == 3


def test_verdicts_by_keyboard_are_kept_and_exported(page, tmp_path):
    page.keyboard.press("j")
    assert page.inner_text("#scan h2").startswith("sub-02")
    page.keyboard.press("k")
    page.keyboard.press("p")  # goes on to the next
    page.keyboard.press("n")
    page.keyboard.type("C5 missing\tp f")
    page.keyboard.press("Escape")
    page.keyboard.press("f")
    assert (cell(page, "sub-01", "verdict"), cell(page, "sub-02", "verdict")) == ("pass", "fail")
    assert "1 passed · 1 failed · 1 to go" in page.inner_text("#counts")

    page.reload()
    page.wait_for_selector("#list tbody tr")
    assert (cell(page, "sub-01", "verdict"), cell(page, "sub-02", "verdict")) == ("pass", "fail")
    page.select_option("#filter", "open")
    assert names(page) == ["sub-10"]
    page.select_option("#filter", "all")

    lines = exported(page, "#export-tsv", tmp_path).read_text(encoding="utf-8").splitlines()
    rows = [dict(zip(lines[0].split("\t"), line.split("\t"), strict=True)) for line in lines[1:]]
    assert [row["verdict"] for row in rows] == ["pass", "fail", ""]
    assert rows[1]["note"].startswith("C5 missing")
    assert rows[1]["confidence"] == "0.3"
    content = json.loads(exported(page, "#export-json", tmp_path).read_text(encoding="utf-8"))
    assert content["exclude_list"] == ["sub-02"]
    assert [one["verdict"] for one in content["verdicts"]] == ["pass", "fail"]
    excluded = exported(page, "#export-yml", tmp_path).read_text(encoding="utf-8")
    assert excluded == '- "sub-02_T2w <b>größer</b> & schöner.nii.gz"\n'

    page.click("#list tbody tr:nth-child(2)")
    page.keyboard.press("u")
    assert cell(page, "sub-02", "verdict") == "–"
    page.set_input_files("#import-file", tmp_path / "verdicts.json")
    page.wait_for_selector("#message:has-text('2 of 2 verdicts')")
    assert cell(page, "sub-02", "verdict") == "fail"
    page.evaluate("localStorage.clear()")


def test_a_verdict_on_another_result_is_marked(page, folder, browser, page_scan, tmp_path):
    copy = tmp_path / "qc"
    shutil.copytree(folder, copy)
    page.goto((copy / "index.html").as_uri())
    page.wait_for_selector("#list tbody tr")
    page.keyboard.press("p")
    scan = replace(page_scan, notes=("done again",))
    add_entry(copy, make_entry(scan, About("sub-01_T2w.nii.gz", "/data", "test", "sub-01")))
    page.reload()
    page.wait_for_selector("#list tbody tr")
    page.click("#list tbody tr:nth-child(1)")
    assert cell(page, "sub-01", "verdict") == "pass (result has changed)"
    assert "done again" in page.inner_text(".notes")


def test_labels_are_hidden_and_shown(page):
    """The coloured rootlets of the coronal picture come and go; the grey picture stays."""
    page.evaluate("Promise.all(Array.from(document.images).map(image => image.decode()))")

    def share_of_colour():
        picture = Image.open(io.BytesIO(page.locator("[data-view=coronal]").screenshot())).convert("RGB")
        pixels = np.asarray(picture).astype(int)
        assert pixels.std() > 20
        return (np.ptp(pixels, axis=2) > 40).mean()

    assert share_of_colour() > 0.05
    page.keyboard.press("l")
    assert share_of_colour() < 0.001
    page.keyboard.press("l")
    assert share_of_colour() > 0.05


def colored(picture):
    """Share of pixels that have a colour other than the red of the crosshair."""
    red = (picture[..., 0] > 100) & (picture[..., 1:].max(axis=2) < 0.5 * picture[..., 0])
    return ((np.ptp(picture, axis=2) > 40) & ~red).mean()


def test_the_viewer_shows_the_volume(page):
    page.keyboard.press("v")
    page.wait_for_selector("#viewer[data-ready]", timeout=60_000)

    def shown(wanted):
        """The canvas, once it is as it should be, or after a while as it is."""
        for _ in range(20):
            picture = np.asarray(Image.open(io.BytesIO(page.locator("#canvas").screenshot())).convert("RGB")).astype(
                int
            )
            if wanted(picture):
                break
            page.wait_for_timeout(250)
        return picture

    everything = shown(lambda picture: colored(picture) > 0.002)
    assert everything.std() > 20  # not blank
    assert colored(everything) > 0.002  # levels, beside the grey of the image
    for layer in ("levels", "rootlets"):
        page.locator(f"[data-layer={layer}]").fill("0")
    without = shown(lambda picture: colored(picture) < 0.25 * colored(everything))
    assert without.std() > 20
    assert colored(without) < 0.25 * colored(everything)  # letters and edges of the crosshair are left
    page.keyboard.press("j")  # the next scan closes it
    assert page.query_selector("#canvas") is None


def test_light_and_dark(browser, folder):
    grounds = {}
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto((folder / "index.html").as_uri())
        page.wait_for_selector("#scan h2")
        style = page.evaluate("(s => [s.backgroundColor, s.color])(getComputedStyle(document.body))")
        grounds[scheme] = [sum(int(part) for part in color[4:-1].split(",")) for color in style]
        context.close()
    assert grounds["light"][0] > grounds["light"][1] + 400
    assert grounds["dark"][1] > grounds["dark"][0] + 400


def test_a_narrow_screen_is_not_scrolled_sideways(browser, folder):
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto((folder / "index.html").as_uri())
    page.wait_for_selector("#scan h2")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_entries_of_older_versions_and_damaged_ones(browser, folder, tmp_path):
    copy = tmp_path / "qc"
    shutil.copytree(folder, copy)
    entries = copy / "rootlets" / "entries"
    (entries / "old.json").write_text(json.dumps({"id": "old", "file": "aaa.nii.gz"}), encoding="utf-8")
    (entries / "broken.json").write_text("{", encoding="utf-8")
    add_entry(copy, Entry("empty", {"file": "bbb.nii.gz", "levels": [], "flags": {}}, {}))
    context = browser.new_context()
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((copy / "index.html").as_uri())
    page.wait_for_selector("#list tbody tr")
    assert "broken.json" in page.inner_text("#message")
    shown = [cell.inner_text() for cell in page.query_selector_all("#list td.name")]
    assert {"aaa.nii.gz", "bbb.nii.gz"} < set(shown)
    for at in range(len(shown)):
        page.click(f"#list tbody tr:nth-child({at + 1})")
        assert page.inner_text("#scan h2") == shown[at]
    assert errors == []
    context.close()


def test_a_registration_shows_before_and_after_with_flags_of_its_own(browser, page_scan, phantom, tmp_path):
    from sct_rootlets.phantom import write_template
    from sct_rootlets.registration.to_template import register
    from sct_rootlets.report.page.registered import add_registration

    write_template(tmp_path / "template")
    found = register(phantom.image, cord=phantom.cord, rootlets=phantom.rootlets, template=tmp_path / "template")
    about = About("sub-01_T2w.nii.gz", "/data", "test", "sub-01")
    add_entry(tmp_path / "qc", make_entry(page_scan, about))
    shown = add_registration(tmp_path / "qc", found, about)
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.append(request.url))
    page.goto(shown.as_uri())
    page.click("#list td.name:has-text('(registration)')")
    picture = page.wait_for_selector("#scan [data-view='registration'] img")
    page.wait_for_function("image => image.naturalWidth > 0", arg=picture)
    flags = page.inner_text("#scan .flags")
    assert "cord Dice" in flags
    assert "confidence" not in flags
    assert page.query_selector("#open-viewer") is None
    assert page.query_selector("#list th[data-key='jacobian']") is not None
    page.keyboard.press("v")
    page.keyboard.press("p")
    assert "1 passed" in page.inner_text("#counts")
    page.click("#list td.name >> nth=0")
    assert "confidence" in page.inner_text("#scan .flags")
    assert problems == []
    page.close()
