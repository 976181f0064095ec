"""An entry of the page for a registration: the scan as scanned and in template space, both straightened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from sct_rootlets.measure.registration_quality import registration_flags
from sct_rootlets.report.page.entry import (
    FORMAT_VERSION,
    About,
    Entry,
    along_facts,
    axial_facts,
    level_facts,
    pictures,
    round_mm,
    volume_script,
)
from sct_rootlets.report.page.mosaic import mosaic
from sct_rootlets.report.page.picture import View, crop
from sct_rootlets.report.page.views import VIEWS, Rows, ViewAlong
from sct_rootlets.report.page.volume import viewer_volumes
from sct_rootlets.report.registered import REACH_MM, RegisteredCords, marks, registered_cords

if TYPE_CHECKING:
    from sct_rootlets.registration.result import Registration

#: Columns of the ruler, by kind of level: what the page calls them.
RULERS = {"spinal": "as scanned", "template": "template"}


def registration_entry(registration: Registration, about: About) -> Entry:
    """Draw a registration; beside the entry of the scan itself there can be one of its registration.

    Positions are mm along the template's cord. Levels as scanned are placed there as `RegisteredCords` says.

    Parameters
    ----------
    registration : Registration
    about : About

    Returns
    -------
    Entry
    """
    cords = registered_cords(registration)
    identifier = f"{about.identifier}-registration"
    files: dict[str, bytes] = {}
    views: dict[str, object] = {}
    for name, view, described, is_scanned in _views(cords):
        files |= pictures(name, view)
        landmarks = marks(registration, cords.shift_mm if is_scanned else None)
        marked = [{"name": mark.name, "arc": round_mm(mark.arc_mm), "color": mark.color} for mark in landmarks]
        views[name] = {
            **along_facts(view, described),
            "marks": marked,
            "levels": "spinal" if is_scanned else "template",
        }
    view, cuts = mosaic(cords.registered, cords.ends)
    files |= pictures("axial", view)
    views["axial"] = axial_facts(cords.registered, view, cuts)
    files["volume.js"] = volume_script(identifier, viewer_volumes(cords.registered))
    facts = {
        "format": FORMAT_VERSION,
        **asdict(about),
        "kind": "registration",
        "flags": {flag.key: flag.as_facts() for flag in registration_flags(registration)},
        "reference": "the top of the template's cord",
        "referenceArc": 0.0,
        "rulers": RULERS,
        "levels": _level_facts(cords),
        "pairs": _pair_facts(registration, cords.shift_mm),
        "views": views,
        "notes": list(registration.notes),
    }
    return Entry(identifier, facts, files)


def _views(cords: RegisteredCords) -> Iterator[tuple[str, View, ViewAlong, bool]]:
    """Draw the scan in its own space, then in template space: name, view, its description, and whether as scanned.

    Long views are narrower than those of a scan, as there are twice as many.
    """
    rows = Rows.between(*cords.ends)
    moved = replace(rows, arc=rows.arc + cords.shift_mm)
    reach_mm = {str(plane): reach for plane, reach in REACH_MM.items()}
    for name, columns in reach_mm.items():
        view = VIEWS[name].draw(cords.scanned, moved)
        assert view is not None
        yield f"scanned_{name}", crop(view, columns), replace(VIEWS[name], title="as scanned"), True
    for name, described in VIEWS.items():
        view = described.draw(cords.registered, rows)
        if name in reach_mm and view is not None:
            yield name, crop(view, reach_mm[name]), replace(described, title="template"), False
        elif view is not None:
            yield name, view, described, False


def _level_facts(cords: RegisteredCords) -> list[dict[str, object]]:
    """Describe levels as scanned, with the place of the same level in template space, and those of the template."""
    template = () if cords.registered.spinal is None else cords.registered.spinal.levels
    scanned = () if cords.scanned.spinal is None else cords.scanned.spinal.levels
    facts = {level.value: level_facts(cords.registered, level) for level in template}
    ends = {
        level.value: {
            "rostral": round_mm(level.rostral_mm - cords.shift_mm),
            "caudal": round_mm(level.caudal_mm - cords.shift_mm),
        }
        for level in scanned
    }
    return [
        {**level_facts(cords.scanned, level), **ends[level.value], "point": facts[level.value]["point"]}
        for level in scanned
    ] + [{**level, "kind": "template"} for level in facts.values()]


def _pair_facts(registration: Registration, shift_mm: float) -> list[dict[str, object]]:
    """Describe how far each level as scanned lies from that of the template, before the registration."""
    pairs = [pair for pair in registration.alignment.pairs if pair.used and pair.subject.kind == "rootlets"]
    return [
        {
            "ends": [round_mm(pair.subject.arc_mm - shift_mm), round_mm(pair.template.arc_mm)],
            "difference": round_mm(pair.subject.arc_mm - shift_mm - pair.template.arc_mm),
        }
        for pair in pairs
    ]
