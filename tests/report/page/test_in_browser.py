"""The page in a real browser, from disk: what a reviewer does with it."""

import io
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sct_rootlets.cohort.selection import read_lists
from sct_rootlets.flags import Flag
from sct_rootlets.levels import level_color
from sct_rootlets.output.page import add_entry, build_page
from sct_rootlets.plausibility import expectations, level_flags
from sct_rootlets.report.page.entry import About, Entry, make_entry
from sct_rootlets.report.page.mosaic import TITLE
from sct_rootlets.report.page.views import views_along
from sct_rootlets.sidecar import version

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
from browser import chromium, chromium_path
from subjects import with_confidence

if chromium_path() is None:
    pytest.skip("no Chromium on the PATH (apt-get install chromium, or set CHROMIUM)", allow_module_level=True)


PICTURES_ARE_THERE = "Array.from(document.images).every(image => image.complete && image.naturalWidth > 0)"


@pytest.fixture(scope="module")
def browser():
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def folder(phantom_levels, tmp_path_factory):
    """Three scans of a phantom, with different flags, in a folder with a space and letters beyond ASCII."""
    folder = tmp_path_factory.mktemp("pages") / "Qualität der Würzelchen"
    sure = {level.value: 0.95 for level in phantom_levels.spinal.levels}
    certain = with_confidence(phantom_levels, sure)
    cut = replace(certain.spinal, method="attachment", levels=certain.spinal.levels[2:6])
    scans = [
        ("sub-01_T2w.nii.gz", certain),
        ("sub-02_T2w <b>größer</b> & schöner.nii.gz", with_confidence(phantom_levels, {**sure, 6: 0.3})),
        ("sub-10_T2w.nii.gz", replace(certain, spinal=cut, vertebral=None, discs=[])),
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
    page.wait_for_function(PICTURES_ARE_THERE)
    assert len(page.query_selector_all("#scan img")) == 11  # cuts, one of them again, long views
    page.click("#list tbody tr:nth-child(2)")
    assert page.inner_text("#scan h2") == "sub-02_T2w <b>größer</b> & schöner.nii.gz"
    page.wait_for_function(PICTURES_ARE_THERE)


def test_levels_lie_where_the_page_shows_them(page, phantom_levels):
    """Rulers and pictures, in pixels of the screen, against mm along the cord."""
    picture = page.query_selector("[data-view=sagittal]").bounding_box()
    rostral, caudal = views_along(phantom_levels)["sagittal"].rows
    shown = [one for kind in phantom_levels.kinds for one in kind.levels if one.rostral_mm < caudal]
    assert len(page.query_selector_all(".ruler rect[data-kind]")) == len(shown)
    assert len(shown) > len(phantom_levels.spinal.levels)
    for level in phantom_levels.spinal.levels:
        bar = page.query_selector(f"rect[data-kind=spinal][data-level={level.name}]")
        assert bar.get_attribute("fill") == level_color(level.name)
        box = bar.bounding_box()
        middle = (box["y"] + box["height"] / 2 - picture["y"]) / picture["height"]
        assert middle == pytest.approx((level.midpoint_mm - rostral) / (caudal - rostral), abs=0.003)


def test_ghosts_show_where_levels_are_expected(page, phantom_levels):
    """At the expected midpoint, with the deviation that the flag tells, and what is published and what is not."""
    rostral, caudal = views_along(phantom_levels)["sagittal"].rows
    picture = page.query_selector("[data-view=sagittal]").bounding_box()
    expected = expectations(phantom_levels)
    assert page.locator("[data-ghost]").count() == len(expected)
    for one in expected:
        ghost = page.locator(f"[data-ghost={one.label}]")
        circle = ghost.locator("circle").first
        box = circle.bounding_box()
        middle = (box["y"] + box["height"] / 2 - picture["y"]) / picture["height"]
        assert middle == pytest.approx((one.expected_mm - rostral) / (caudal - rostral), abs=0.004)
        text = f"{one.deviation_mm:+.1f}".replace("-", "−")
        assert ghost.locator("text").text_content() == (text if text[1:] != "0.0" else "0.0")
        assert (circle.get_attribute("stroke-dasharray") is None) == (one.source == "published")
    assert "0.00 and 8.15 mm" in page.get_attribute(".along figcaption:has-text('expected')", "title")


def test_the_method_of_the_levels_is_told(page):
    """What sct_deepseg found is not to be mistaken for levels by another definition."""
    assert page.inner_text("#method") == "spinal levels by method: extent"
    page.click("#list tbody tr:nth-child(3)")
    assert page.inner_text("#method") == "spinal levels by method: attachment"


def test_views_bear_the_titles_of_their_entry(page):
    titles = page.eval_on_selector_all("#scan .along figcaption", "nodes => nodes.map(node => node.textContent)")
    assert titles == [
        "midsagittal",
        "expected | spinal | vertebral (mm)",
        "coronal",
        "surface of the cord, unrolled",
    ]
    assert page.inner_text("#stage > figure:first-child figcaption") == TITLE
    assert page.query_selector("[data-view=unrolled]").bounding_box()["width"] > 199
    page.set_viewport_size({"width": 1920, "height": 1080})  # room for the unrolled surface without labels as well
    page.wait_for_selector(".along figcaption:has-text('the same, with labels')")
    boxes = [box.bounding_box() for box in page.query_selector_all("[data-view=unrolled]")]
    assert len(boxes) == 2
    assert boxes[0]["width"] == pytest.approx(boxes[1]["width"], abs=0.1)
    assert boxes[0]["width"] > 219


def test_the_legend_names_each_level_once_in_its_colour(page):
    items = page.eval_on_selector_all(
        "#scan > .legend span",
        "nodes => nodes.map(n => [n.textContent, getComputedStyle(n.querySelector('i')).backgroundColor])",
    )
    assert [name for name, _ in items] == ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "T1", "T2"]
    for name, color in items:
        parts = [int(level_color(name)[at : at + 2], 16) for at in (1, 3, 5)]
        assert color == f"rgb({', '.join(map(str, parts))})"


def test_every_flag_has_a_column_and_counts(page, folder, phantom_levels, tmp_path):
    """A scan whose only raised flag is that of its mask, one whose flag is of another version, and all titles."""
    keys = page.eval_on_selector_all("#list th", "nodes => nodes.map(node => node.dataset.key)")
    assert {flag.key for flag in level_flags(phantom_levels)} <= set(keys)
    own = shutil.copytree(folder, tmp_path / "own")
    for key, name in (("mask", "sub-11"), ("unheard_of", "sub-12")):
        wrong = Flag(key=key, title=key, value=1.0, text="the canal", state="bad", why="")
        flags = (*(flag for flag in level_flags(phantom_levels) if flag.key != key and not flag.is_raised), wrong)
        judged = replace(phantom_levels)
        judged.__dict__["flags"] = flags  # in place of those that would be computed
        entry = make_entry(judged, About(f"{name}_T2w.nii.gz", "/data", "test", name))
        add_entry(own, entry)
    page.goto((own / "index.html").as_uri())
    page.wait_for_selector("#list tbody tr")
    assert [cell(page, name, "worst") for name in ("sub-01", "sub-11", "sub-12")] == ["✓", "✗", "✗"]
    assert cell(page, "sub-11", "mask") == "✗ the canal"


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
    assert page.inner_text("#list tbody") == "No scan fits the search and the filter. show all"
    page.click("#show-all")
    assert len(names(page)) == 3


def judged(page):
    """Verdicts that the browser keeps, by the beginning of the entry's name."""
    kept = page.evaluate("Object.entries(localStorage).filter(([key]) => key.endsWith('/')).map(pair => pair[1])")
    return {name[:6]: one["verdict"] for text in kept for name, one in json.loads(text).items()}


def test_a_verdict_goes_to_no_scan_that_the_table_does_not_list(page):
    """The chosen scan is one of those listed, whatever the filter, the search and earlier verdicts."""
    assert page.inner_text("#scan h2").startswith("sub-01")
    page.select_option("#filter", "bad")
    assert page.inner_text("#scan h2").startswith("sub-02")
    assert page.query_selector("tr.chosen td.name").inner_text().startswith("sub-02")
    page.keyboard.press("f")
    assert judged(page) == {"sub-02": "fail"}

    page.fill("#search", "sub-01")  # which is not red: nothing is listed
    page.keyboard.press("Enter")
    assert page.inner_text("#scan") == ""
    assert "sub-" not in page.url
    for key in "pfucjknmvzlb":
        page.keyboard.press(key)
    assert judged(page) == {"sub-02": "fail"}
    assert page.inner_text("#scan") == ""

    page.select_option("#filter", "open")
    assert page.inner_text("#scan h2").startswith("sub-01")
    page.fill("#search", "")
    page.keyboard.press("Escape")
    page.keyboard.press("p")  # listed until the filter is applied again, and the next one is chosen
    assert page.inner_text("#scan h2").startswith("sub-10")
    page.select_option("#filter", "all")
    page.select_option("#filter", "open")
    assert names(page) == ["sub-10"]
    page.keyboard.press("f")
    page.select_option("#filter", "pass")
    assert page.inner_text("#scan h2").startswith("sub-01")
    assert judged(page) == {"sub-01": "pass", "sub-02": "fail", "sub-10": "fail"}
    page.evaluate("localStorage.clear()")


def test_what_another_window_judges_does_not_move_the_panel(browser, folder):
    """Who writes a note writes it to the scan that they chose, also under a filter by verdict."""
    context = browser.new_context()
    windows = [context.new_page() for _ in range(2)]
    for page in windows:
        page.goto((folder / "index.html").as_uri())
        page.wait_for_selector("#scan h2")
    windows[0].select_option("#filter", "open")
    windows[0].click("#note")
    windows[0].keyboard.type("half of")
    windows[1].keyboard.press("p")  # the same scan
    windows[0].wait_for_function("document.querySelector('tr.chosen td').textContent === 'pass'")
    windows[0].keyboard.type(" a note: pf")
    assert windows[0].inner_text("#scan h2").startswith("sub-01")
    assert windows[0].input_value("#note") == "half of a note: pf"
    assert judged(windows[0]) == {"sub-01": "pass"}
    windows[0].evaluate("localStorage.clear()")
    context.close()


def test_verdicts_by_keyboard_are_kept_and_exported(page, tmp_path):
    page.keyboard.press("j")
    assert page.inner_text("#scan h2").startswith("sub-02")
    page.keyboard.press("k")
    page.keyboard.press("p")  # goes on to the next
    page.keyboard.press("m")
    page.keyboard.type("C5 missing\tp f")
    page.keyboard.press("Escape")
    page.keyboard.press("f")
    assert (cell(page, "sub-01", "verdict"), cell(page, "sub-02", "verdict")) == ("pass", "fail")
    assert page.inner_text("#counts") == "3 scans · verdicts: 1 pass, 1 fail, 0 correct, 1 open"

    page.reload()
    page.wait_for_selector("#list tbody tr")
    assert (cell(page, "sub-01", "verdict"), cell(page, "sub-02", "verdict")) == ("pass", "fail")
    page.select_option("#filter", "open")
    assert names(page) == ["sub-10"]
    page.select_option("#filter", "all")

    lines = exported(page, "#export-tsv", tmp_path).read_text(encoding="utf-8").splitlines()
    rows = [dict(zip(lines[0].split("\t"), line.split("\t"), strict=True)) for line in lines[1:]]
    assert [row["verdict"] for row in rows] == ["pass", "fail", "n/a"]
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

    for one in content["verdicts"]:
        one["note"] = ""
    (tmp_path / "without_notes.json").write_text(json.dumps(content), encoding="utf-8")
    page.set_input_files("#import-file", tmp_path / "without_notes.json")
    page.wait_for_selector("#message:has-text('2 of 2 verdicts')")
    assert cell(page, "sub-02", "note").startswith("C5 missing")
    page.evaluate("localStorage.clear()")


def table(path):
    """Rows of an exported table, as dictionaries."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [dict(zip(lines[0].split("\t"), line.split("\t"), strict=True)) for line in lines[1:]]


def test_a_third_verdict_is_exported_with_who_gave_it_and_what_was_measured(page, folder, tmp_path):
    """Values with sign, level and unit; n/a for what is not known; and only scans that failed are left out."""
    page.fill("#reviewer", "Zoë\tB")
    page.keyboard.press("Enter")
    page.keyboard.press("c")
    page.keyboard.press("f")
    assert (cell(page, "sub-01", "verdict"), cell(page, "sub-02", "verdict")) == ("correct", "fail")
    page.select_option("#filter", "correct")
    assert names(page) == ["sub-01"]
    assert page.get_attribute("#correct", "aria-pressed") == "true"
    page.reload()
    page.wait_for_selector("#scan h2")
    assert page.input_value("#reviewer").startswith("Zoë")

    rows = table(exported(page, "#export-tsv", tmp_path))
    assert [row["verdict"] for row in rows] == ["correct", "fail", "n/a"]
    assert [row["reviewer"] for row in rows] == ["Zoë B", "Zoë B", "n/a"]
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["date"]) for row in rows[:2])
    assert rows[2]["date"] == rows[2]["note"] == rows[2]["dataset"] == "n/a"
    assert {row["version"] for row in rows} == {version()}
    assert "" not in {value for row in rows for value in row.values()}
    [facts] = [json.loads(path.read_text()) for path in folder.glob("rootlets/entries/sub-01*.json")]
    deviation = facts["flags"]["deviation"]
    assert rows[0]["deviation"] == str(deviation["value"])
    assert deviation["text"].startswith(f"{deviation['value']:+.1f}")
    assert (rows[0]["deviation_unit"], rows[0]["deviation_level"]) == ("mm", deviation["level"]["name"])
    assert (rows[1]["confidence"], rows[1]["confidence_level"], rows[1]["confidence_state"]) == ("0.3", "C6", "bad")
    assert (rows[0]["dice"], rows[0]["dice_state"]) == ("n/a", "n/a")  # it is no registration

    content = json.loads(exported(page, "#export-json", tmp_path).read_text(encoding="utf-8"))
    assert content["exclude_list"] == ["sub-02"]
    first = content["verdicts"][0]
    assert (first["verdict"], first["reviewer"], first["version"]) == ("correct", "Zoë B", version())
    assert first["flags"]["deviation"]["value"] == deviation["value"]
    assert exported(page, "#export-yml", tmp_path).read_text(encoding="utf-8").count("- ") == 1
    assert read_lists([str(tmp_path / "verdicts.tsv")]) == ("sub-02_T2w <b>größer</b> & schöner.nii.gz",)

    page.evaluate("localStorage.clear()")
    page.reload()
    page.wait_for_selector("#scan h2")
    page.set_input_files("#import-file", tmp_path / "verdicts.json")
    page.wait_for_selector("#message:has-text('2 of 2 verdicts')")
    again = table(exported(page, "#export-tsv", tmp_path))
    assert again == rows
    page.evaluate("localStorage.clear()")


def test_undo_takes_verdicts_back_one_by_one_and_leaves_notes(page):
    for key in ("p", "f", "c"):
        page.keyboard.press(key)
    page.click("#list tbody tr:nth-child(2)")
    page.fill("#note", "a note")
    page.keyboard.press("Escape")
    page.keyboard.press("p")  # in place of the one that it failed by
    page.keyboard.press("z")
    assert page.inner_text("#scan h2").startswith("sub-02")
    assert cell(page, "sub-02", "verdict") == "fail"
    page.click("#undo")
    assert page.inner_text("#scan h2").startswith("sub-10")
    page.keyboard.press("z")
    assert (cell(page, "sub-02", "verdict"), cell(page, "sub-02", "note")) == ("–", "a note")
    page.keyboard.press("z")
    assert page.inner_text("#scan h2").startswith("sub-01")
    assert judged(page) == {"sub-02": ""}
    page.keyboard.press("z")
    assert "no verdict of this window" in page.inner_text("#message")
    page.evaluate("localStorage.clear()")


def test_undo_leaves_what_another_window_has_said_since(browser, folder):
    context = browser.new_context()
    windows = [context.new_page() for _ in range(2)]
    for page in windows:
        page.goto((folder / "index.html").as_uri())
        page.wait_for_selector("#scan h2")
    windows[0].keyboard.press("p")
    windows[1].keyboard.press("f")
    windows[0].wait_for_function("document.querySelector('#list td').textContent === 'fail'")
    windows[0].keyboard.press("z")
    assert "another window" in windows[0].inner_text("#message")
    assert judged(windows[0]) == {"sub-01": "fail"}
    windows[0].evaluate("localStorage.clear()")
    context.close()


def test_the_next_flagged_scan_and_its_worst_level(page):
    page.keyboard.press("n")
    assert page.inner_text("#scan h2").startswith("sub-02")  # whose C6 has a confidence of 0.30
    mark = page.locator("[data-worst]")
    assert mark.get_attribute("data-worst") == "C6"
    assert mark.locator("text").text_content() == "✗"
    box, bar = mark.locator("rect").bounding_box(), page.locator("[data-kind=spinal][data-level=C6]").bounding_box()
    assert box["y"] < bar["y"] < bar["y"] + bar["height"] < box["y"] + box["height"]
    page.click("#list tbody tr:nth-child(3)")
    page.keyboard.press("n")
    assert "No scan below" in page.inner_text("#message")
    assert page.inner_text("#scan h2").startswith("sub-10")


def test_the_overview_shows_each_flag_over_the_listed_scans(page, folder):
    """Dots lie between the least and the greatest value; a click opens the scan."""
    page.click("summary:has-text('Overview')")
    page.wait_for_selector(".strip .dot")
    strips = page.eval_on_selector_all(".strip button", "nodes => nodes.map(node => node.textContent)")
    assert {"confidence", "deviation (mm)", "levels"} <= set(strips)
    strip = page.locator(".strip:has(button:text('confidence'))")
    assert strip.locator("svg").get_attribute("aria-label") == "confidence: 3 scans from 0.3 to 0.95, 1 raised"
    [identifier] = [path.stem for path in folder.glob("rootlets/entries/sub-02*.json")]
    dots = strip.locator("g.dot")
    places = {dot.get_attribute("data-dot"): dot.locator("circle").bounding_box()["x"] for dot in dots.all()}
    assert min(places, key=places.get) == identifier
    strip.locator(f"[data-dot='{identifier}']").click()
    assert page.inner_text("#scan h2").startswith("sub-02")
    assert page.locator("#overview").get_attribute("open") is not None
    assert strip.locator(".dot.chosen").get_attribute("data-dot") == identifier
    assert strip.locator(".dot.bad text").text_content() == "✗"  # not the colour alone
    page.keyboard.press("Escape")
    page.fill("#search", "sub-01")
    page.click("summary:has-text('Overview')")
    page.wait_for_selector(".strip .dot")
    assert page.locator(".strip").first.locator("g.dot").count() == 1


def test_the_theme_is_remembered(page):
    page.click("#theme")
    assert page.get_attribute("html", "data-theme") == "dark"
    page.reload()
    page.wait_for_selector("#scan h2")
    assert page.get_attribute("html", "data-theme") == "dark"
    page.evaluate("localStorage.clear()")


def test_rows_are_reached_by_keyboard(page):
    """Tab leads to the chosen row, and arrows from there to the others."""
    assert page.eval_on_selector_all("#list tbody tr", "rows => rows.map(row => row.tabIndex)") == [0, -1, -1]
    page.focus("tr.chosen")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.inner_text("#scan h2").startswith("sub-02")
    assert page.evaluate("document.activeElement.dataset.id").startswith("sub-02")


def test_names_are_not_said_twice_and_ambiguous_files_are(browser, phantom_levels, tmp_path):
    """Where the file tells the subject it has no column; two scans of one name are not both left out in silence."""
    for place in ("sub-01", "other"):
        add_entry(tmp_path / "qc", make_entry(phantom_levels, About("sub-01_T2w.nii.gz", place, "test", "sub-01")))
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    page.goto((tmp_path / "qc" / "index.html").as_uri())
    page.wait_for_selector("#scan h2")
    assert page.query_selector("th[data-key=subject]") is None
    assert page.inner_text("#scan .where") == "other"
    page.keyboard.press("f")
    assert page.inner_text("#scan .where") == "sub-01"
    exported(page, "#export-yml", tmp_path)
    assert "sub-01_T2w.nii.gz" in page.inner_text("#message")
    context.close()


def test_what_the_browser_cannot_keep_is_there_as_long_as_the_page(browser, folder, tmp_path):
    context = browser.new_context()
    page = context.new_page()
    page.goto((folder / "index.html").as_uri())
    page.wait_for_selector("#scan h2")
    full = "throw new DOMException('full', 'QuotaExceededError')"
    page.evaluate(f"() => {{ Storage.prototype.setItem = () => {{ {full}; }}; }}")
    page.keyboard.press("f")
    page.keyboard.press("f")  # the first one goes on to the second scan
    assert "2 fail," in page.inner_text("#counts")
    assert "export them" in page.inner_text("#message")
    context.close()


def test_what_failed_is_named(browser, folder, tmp_path):
    copy = tmp_path / "qc"
    shutil.copytree(folder, copy)
    build_page(copy, {"sub-07_T2w": "<b>truncated</b> or damaged"})
    context = browser.new_context()
    page = context.new_page()
    page.goto((folder / "index.html").as_uri())
    page.wait_for_selector("#scan h2")
    assert not page.is_visible("#missing")
    page.goto((copy / "index.html").as_uri())
    page.wait_for_selector("#scan h2")
    page.click("#missing summary")
    assert page.inner_text("#missing summary").startswith("✗ 1 scan could not be processed")
    assert page.inner_text("#missing li") == "sub-07_T2w: <b>truncated</b> or damaged"
    context.close()


def test_a_verdict_on_another_result_is_marked(page, folder, browser, phantom_levels, tmp_path):
    copy = tmp_path / "qc"
    shutil.copytree(folder, copy)
    page.goto((copy / "index.html").as_uri())
    page.wait_for_selector("#list tbody tr")
    page.keyboard.press("p")
    scan = replace(phantom_levels, notes=("done again",))
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
    page.keyboard.press("j")  # the next scan, whose C6 is flagged, closes it
    assert page.query_selector("#canvas") is None
    page.keyboard.press("v")
    page.wait_for_selector("#viewer[data-at]", timeout=60_000)
    assert page.inner_text("#crosshair-text").startswith("cord at C6 · ")
    assert page.get_attribute(".controls button:text-is('slices')", "aria-pressed") == "true"
    slices = shown(lambda picture: colored(picture) > 0.002)
    page.click(".controls button:text-is('3D')")
    solid = shown(lambda picture: colored(picture) > 0.01)
    gray = (np.ptp(solid, axis=2) < 15) & (solid.max(axis=2) > 25)
    assert gray.mean() < 0.02  # no haze of the image before the cord
    assert colored(solid) > 0.01
    page.click(".controls button:text-is('slices')")
    again = shown(lambda picture: picture.std() > 20)
    assert abs(again.std() - slices.std()) < 5


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


#: Contrast of each text with what is behind it, as in WCAG 2, and the text; letters on pictures are left out.
CONTRAST = """() => {
  const parts = (color) => color.match(/[0-9.]+/g).map(Number);
  const light = (color) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = parts(color).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if ((parts(color)[3] ?? 1) > 0) return color;
    }
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = Array.from(node.childNodes).some((one) => one.nodeType === 3 && one.data.trim());
    if (!own || !node.getClientRects().length || node.closest("svg, .picture, script")) continue;
    const [one, other] = [light(getComputedStyle(node).color), light(ground(node))].sort((a, b) => b - a);
    found.push([(one + 0.05) / (other + 0.05), node.textContent.trim().slice(0, 30)]);
  }
  for (const text of document.querySelectorAll(".ruler rect + text")) {
    const fills = [text.getAttribute("fill") === "#fff" ? "rgb(255,255,255)" : "rgb(17,17,17)",
                   getComputedStyle(text.previousElementSibling).fill];
    const [one, other] = fills.map(light).sort((a, b) => b - a);
    found.push([(one + 0.05) / (other + 0.05), text.textContent]);
  }
  return found.sort((a, b) => a[0] - b[0]);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(browser, folder, scheme):
    """At least 4.5, which WCAG 2 asks for at level AA; with verdicts, so that pressed buttons are there as well."""
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto((folder / "index.html").as_uri())
    page.wait_for_selector("#scan h2")
    page.evaluate("document.querySelector('#go-on').checked = false")
    for key in ("p", "j", "f"):
        page.keyboard.press(key)
        page.click("summary:has-text('Keys')")
        found = page.evaluate(CONTRAST)
        page.click("summary:has-text('Keys')")
        assert len(found) > 60
        assert found[0][0] >= 4.5, found[0]
    page.evaluate("localStorage.clear()")
    context.close()


def test_what_has_the_focus_is_seen_and_named(page):
    """Each control that Tab reaches has an outline and a name."""
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        found = page.evaluate(
            """() => {
              const node = document.activeElement, style = getComputedStyle(node);
              const named = node.labels && node.labels.length ? node.labels[0].textContent : "";
              const name = node.getAttribute("aria-label") || node.textContent || named || node.title;
              return [node.tagName, name.trim(), style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1];
            }"""
        )
        if found[0] == "BODY" or tuple(found) in seen:
            continue
        seen.add(tuple(found))
        assert found[1], found
        assert found[2], found
    buttons = {"Export", "Keys", "Overview", "previous scan", "next scan", "Light or dark"}
    assert buttons | {"Note", "Reviewer's name"} <= {name for _, name, _ in seen}


def test_a_narrow_screen_is_not_scrolled_sideways(browser, folder):
    """And what a menu says can be read there: it lies within the screen, and above all else."""
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto((folder / "index.html").as_uri())
    page.wait_for_selector("#scan h2")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for menu in ("Export", "Keys"):
        page.click(f"summary:has-text('{menu}')")
        box = page.locator(".menu[open] > div").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        for x, y in ((5, 5), (box["width"] - 5, box["height"] - 5)):
            point = [box["x"] + x, box["y"] + y]
            assert page.evaluate("([x, y]) => document.elementFromPoint(x, y).closest('.menu') !== null", point)
    assert len(page.query_selector_all(".menu[open]")) == 1  # one closes the other
    page.keyboard.press("Escape")
    assert page.query_selector(".menu[open]") is None
    context.close()


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080)])
def test_a_scan_is_one_screen_and_stays_in_its_place(browser, folder, size):
    """What a reviewer needs is in view without scrolling, and from scan to scan only the content moves."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    page.goto((folder / "index.html").as_uri())
    page.wait_for_selector("#scan h2")
    fixed = ["#scan h2", ".flags", "#pass", "#fail", "#correct", "#undo", "#note", "#scan > .legend", "#stage"]
    seen = []
    for key in ("k", "j", "j"):
        page.keyboard.press(key)
        page.wait_for_function(PICTURES_ARE_THERE)
        for selector in (*fixed, "[data-view=axial]", "[data-view=sagittal]", "[data-view=unrolled]", "#near"):
            box = page.locator(selector).first.bounding_box()
            assert min(box["x"], box["y"]) >= 0, selector
            assert box["x"] + box["width"] <= size[0], selector
            assert box["y"] + box["height"] <= size[1], selector
        places = [page.locator(selector).bounding_box() for selector in fixed[1:]]
        seen.append([(place["x"], place["y"]) for place in places])
        assert page.evaluate("[scrollX, scrollY, document.documentElement.scrollHeight]") == [0, 0, size[1]]
        hidden = "s => [s.scrollHeight - s.clientHeight, s.scrollWidth - s.clientWidth]"
        assert max(page.locator("#stage").evaluate(hidden)) <= 0
        sagittal, unrolled = (
            page.locator(f"[data-view={name}]").last.bounding_box() for name in ("sagittal", "unrolled")
        )
        # As high as there is room, or, where few levels are in view, as wide.
        assert sagittal["height"] > 0.5 * size[1] or unrolled["x"] + unrolled["width"] > 0.95 * size[0]
    assert seen[0] == seen[1] == seen[2]
    context.close()


def test_labels_blink_as_long_as_a_key_or_the_button_is_held(page):
    def is_shown():
        overlay = page.locator("[data-view=unrolled] .overlay").first
        return overlay.evaluate("node => getComputedStyle(node).visibility") == "visible"

    assert is_shown()
    page.keyboard.down("b")
    assert not is_shown()
    page.keyboard.up("b")
    assert is_shown()
    page.hover("#blink")
    page.mouse.down()
    assert not is_shown()
    page.mouse.up()
    assert is_shown()


def test_the_cut_under_the_pointer_is_shown_and_opens_large_and_in_the_viewer(page, phantom_levels, folder):
    """At the place along the cord that the pointer has on the unrolled surface."""
    first, last = views_along(phantom_levels)["unrolled"].rows
    box = page.locator("[data-view=unrolled]").bounding_box()
    level = phantom_levels.spinal.levels[4]
    y = box["y"] + box["height"] * (level.midpoint_mm - first) / (last - first)
    page.mouse.move(box["x"] + 60, y)
    assert page.inner_text("#near-text").startswith(f"{level.name} · ")
    assert page.locator(".cursor span").first.inner_text().endswith(f"spinal {level.name} · vertebral C5")
    assert page.locator("[data-view=unrolled] svg text").all_text_contents()[::2] == [
        one.name for one in phantom_levels.spinal.levels
    ]
    page.mouse.click(box["x"] + 60, y)
    assert page.inner_text("#large-text").startswith(f"{level.name} · ")
    assert page.locator("#large .picture").bounding_box()["height"] > 400
    assert page.locator("#large .letter").all_text_contents() == ["A", "P", "L", "R"]
    page.keyboard.press("p")  # no verdict while a cut covers the scan
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#large-text").startswith(level.name)
    page.keyboard.press("Escape")
    assert not page.is_visible("#large")
    assert "0 pass," in page.inner_text("#counts")

    page.focus("[data-cut='0']")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    assert page.inner_text("#near-text").startswith(phantom_levels.spinal.levels[1].name)
    page.keyboard.press("Enter")
    assert page.inner_text("#large-text").startswith(phantom_levels.spinal.levels[1].name)
    page.click("#large-viewer")
    page.wait_for_selector("#viewer[data-ready]", timeout=60_000)
    [facts] = [json.loads(path.read_text()) for path in folder.glob("rootlets/entries/sub-01*.json")]
    wanted = sorted(facts["views"]["axial"]["cuts"], key=lambda cut: cut["arc"])[3]["point"]
    np.testing.assert_allclose(phantom_levels.centerline.project(np.array(wanted)).distance, 0, atol=0.05)
    page.wait_for_function("document.querySelector('#viewer').dataset.at")
    assert page.get_attribute("#viewer", "data-at") == ",".join(f"{value:.1f}" for value in wanted)


def test_raised_flags_come_first(page):
    """Of many flags, the last ones may have no room."""
    page.click("#list td.name:has-text('sub-02')")
    flags = page.locator("#scan .flags li").all_inner_texts()
    assert flags[0].startswith("confidence")
    assert "✗" in flags[0]
    assert not any("✗" in text for text in flags[1:])
    raised = ["!" in text or "✗" in text for text in flags]
    assert raised == sorted(raised, reverse=True)


def test_coronal_slices_fill_the_viewer(page):
    """Nothing is seen beside a single slice of a long neck; slices side by side fill it, and tell where they are."""
    page.keyboard.press("v")
    page.wait_for_selector("#viewer[data-ready]", timeout=60_000)
    page.click("button:text-is('coronal')")
    box = page.locator("#canvas").bounding_box()
    assert page.locator("#viewer .letter").all_text_contents() == ["L", "R"]
    picture = np.asarray(Image.open(io.BytesIO(page.locator("#canvas").screenshot())).convert("RGB"))
    bright = (picture.max(axis=2) > 8).any(axis=0)
    assert bright.mean() > 0.85
    places = set()
    for share in (0.1, 0.9):
        page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        page.wait_for_timeout(200)
        places.add(page.inner_text("#crosshair-text"))
    assert len(places) == 2
    page.click("button:text-is('axial')")
    assert page.locator("#viewer .letter").count() == 0


def test_the_command_for_fsleyes_is_copied(browser, phantom_levels, tmp_path):
    command = "fsleyes '/a b/t2.nii.gz' -cm greyscale /out/t2_rootlets.nii.gz -cm subcortical -a 100 &"
    about = About("t2.nii.gz", "/a b", "sct_deepseg", viewer_command=command)
    shown = add_entry(tmp_path / "qc", make_entry(phantom_levels, about))
    rights = ["clipboard-read", "clipboard-write"]
    context = browser.new_context(viewport={"width": 1280, "height": 800}, permissions=rights)
    page = context.new_page()
    page.goto(shown.as_uri())
    page.click("summary:has-text('fsleyes')")
    box = page.locator(".files > div").bounding_box()
    assert 0 <= box["x"] < box["x"] + box["width"] <= 1280
    page.click("#copy")
    page.wait_for_selector(".files small:has-text('copied')")
    assert page.evaluate("navigator.clipboard.readText()") == command
    assert "sct_compute_spinal_levels -rootlets" in page.inner_text(".files p")
    page.keyboard.press("Escape")
    assert not page.is_visible("#copy")
    page.set_viewport_size({"width": 390, "height": 800})
    page.click("summary:has-text('fsleyes')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_has_a_page_for_each_listed_scan(browser, folder, scheme):
    """In light colours, with the verdict, as the browser's own print makes a PDF of it."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto((folder / "index.html").as_uri())
    page.wait_for_selector("#scan h2")
    page.fill("#reviewer", "Zoë")
    page.keyboard.press("Enter")
    page.keyboard.press("f")
    page.evaluate("window.print = () => { window.printed = document.querySelectorAll('.sheet').length; }")
    page.click("summary:has-text('Export')")
    page.click("#print")
    page.wait_for_function("window.printed")
    assert page.evaluate("window.printed") == 3
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    sheets = page.locator(".sheet")
    assert "✗ fail · Zoë · 20" in sheets.first.locator(".said").inner_text()
    assert sheets.nth(1).locator(".said").inner_text() == "no verdict"
    for sheet in sheets.all():
        frame = sheet.bounding_box()
        for picture in sheet.locator(".picture").all():
            box = picture.bounding_box()
            assert box["width"] > 50
            assert box["x"] + box["width"] <= frame["x"] + frame["width"]
            assert box["y"] + box["height"] <= frame["y"] + frame["height"]
    assert not page.is_visible("#list")
    written = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", written)) == 3
    page.emulate_media(media="screen")
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator(".sheet").count() == 0
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")  # by the browser's own key
    assert page.locator(".sheet h2").all_text_contents() == [page.inner_text("#scan h2")]
    page.evaluate("localStorage.clear()")
    context.close()


def test_on_a_phone_verdicts_are_at_hand_and_nothing_is_scrolled_sideways(browser, folder):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto((folder / "index.html").as_uri())
    page.wait_for_selector("#scan h2")
    page.wait_for_function(PICTURES_ARE_THERE)
    wider = page.evaluate(
        "Array.from(document.querySelectorAll('body *')).filter(n => n.scrollWidth > n.clientWidth + 1 && "
        "['auto', 'scroll'].includes(getComputedStyle(n).overflowX)).map(n => n.id || n.className)"
    )
    assert wider == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for at in ("0", "document.body.scrollHeight"):
        page.evaluate(f"scrollTo(0, {at})")
        for button in ("#pass", "#fail", "#correct", "#note"):
            box = page.locator(button).bounding_box()
            assert 700 < box["y"] < box["y"] + box["height"] <= 844, button
            assert box["x"] + box["width"] <= 390, button
    bottom = page.locator(".along").bounding_box()
    assert bottom["y"] + bottom["height"] <= page.locator(".verdict").bounding_box()["y"]  # the bar covers no picture
    page.tap("#fail")
    assert "1 fail," in page.inner_text("#counts")
    page.evaluate("localStorage.clear()")
    context.close()


def test_two_windows_do_not_lose_each_others_verdicts(browser, folder):
    context = browser.new_context()
    windows = [context.new_page() for _ in range(2)]
    for page in windows:
        page.goto((folder / "index.html").as_uri())
        page.wait_for_selector("#scan h2")
    windows[0].keyboard.press("p")
    windows[1].click("#list tbody tr:nth-child(3)")
    windows[1].keyboard.press("f")
    for page in windows:
        page.wait_for_function("document.querySelector('#counts').textContent.includes('1 pass, 1 fail')")
        page.reload()
        page.wait_for_selector("#scan h2")
        assert "1 pass, 1 fail, 0 correct, 1 open" in page.inner_text("#counts")
    windows[0].evaluate("localStorage.clear()")
    context.close()


def test_pages_in_two_folders_keep_their_own_verdicts(browser, folder, tmp_path):
    other = tmp_path / "qc"
    shutil.copytree(folder, other)
    context = browser.new_context()
    page = context.new_page()
    counts = []
    for one in (folder, other):
        page.goto((one / "index.html").as_uri())
        page.wait_for_selector("#scan h2")
        counts.append(page.inner_text("#counts"))
        page.keyboard.press("p")
    assert all("0 pass," in text for text in counts)
    page.evaluate("localStorage.clear()")
    context.close()


def test_damaged_verdicts_and_addresses_are_no_end(page):
    page.keyboard.press("p")
    page.wait_for_function(PICTURES_ARE_THERE)  # a reload would cut off those of the next scan
    page.evaluate("for (const key of Object.keys(localStorage)) localStorage.setItem(key, '{')")
    page.goto(page.url.partition("#")[0] + "#%E0%A4%A")
    page.reload()
    page.wait_for_selector("#scan h2")
    assert "cannot be read" in page.inner_text("#message")
    page.keyboard.press("p")
    assert "1 pass," in page.inner_text("#counts")
    page.evaluate("localStorage.clear()")


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


def test_a_registration_shows_before_and_after_with_flags_of_its_own(browser, phantom_levels, phantom, tmp_path):
    from sct_rootlets.output.page import add_registration
    from sct_rootlets.output.phantoms import write_template
    from sct_rootlets.registration.to_template import register

    write_template(tmp_path / "template")
    found = register(phantom.image, cord=phantom.cord, rootlets=phantom.rootlets, template=tmp_path / "template")
    about = About("sub-01_T2w.nii.gz", "/data", "test", "sub-01")
    add_entry(tmp_path / "qc", make_entry(phantom_levels, about))
    shown = add_registration(tmp_path / "qc", found, about)
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.append(request.url))
    page.goto(shown.as_uri())
    page.click("#list td.name:has-text('(registration)')")
    page.wait_for_function(PICTURES_ARE_THERE)
    assert page.locator("[data-view=scanned_coronal], [data-view=coronal]").count() == 2
    name = page.locator("[data-view=coronal] text:text-is('C5')")
    assert page.locator("[data-view=coronal] [data-mark=C5]").count() == 1
    assert name.is_visible()
    page.keyboard.press("l")
    assert not name.is_visible()
    page.keyboard.press("l")
    titles = page.eval_on_selector_all("#scan .along figcaption", "nodes => nodes.map(node => node.textContent)")
    assert titles[:3] == ["as scanned", "as scanned | template (mm)", "as scanned"]
    flags = page.inner_text("#scan .flags")
    assert "cord Dice" in flags
    assert "confidence" not in flags
    assert page.query_selector("#list th[data-key='jacobian']") is not None
    page.keyboard.press("v")
    page.wait_for_selector("#viewer[data-ready]", timeout=60_000)
    page.keyboard.press("p")
    assert "1 pass," in page.inner_text("#counts")
    page.click("#list td.name >> nth=0")
    assert "confidence" in page.inner_text("#scan .flags")
    assert problems == []
    page.close()
