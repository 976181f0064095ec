"""What is unusual about a scan, as a row of a table: values to sort by, and whether a reviewer should look closer."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from sct_rootlets.correspondence import LEVEL_PITCH_MM, published_bias
from sct_rootlets.levels import Level, level_name
from sct_rootlets.report.page.scan import Scan, rootlet_arcs
from sct_rootlets.straighten import surface_radius, unroll

State = Literal["ok", "look", "bad", "none"]

#: Probability of a level's name from which it is trusted, and below which it is not.
CONFIDENT, DOUBTFUL = 0.8, 0.5
#: In shorter fields of view names become unreliable (docs/model-card.md: one in five is wrong at 60 mm).
LONG_MM, SHORT_MM = 80.0, 50.0
#: Levels this far from where they are expected are nearer to the place of a neighbour than to their own; beyond
#: three quarters of the way they most likely bear a wrong name.
FAR_MM, WRONG_MM = LEVEL_PITCH_MM / 2, 0.75 * LEVEL_PITCH_MM
#: Brightness just outside the cord against inside, in standard deviations of the noise within a cut of the cord, from
#: which rootlets can be expected to show.
CLEAR, FAINT = 3.0, 1.5
#: Where brightness is looked up: along the cord and around it, outside its surface, and within (shares of its radius).
STEP_MM, STEP_DEG = 1.0, 15.0
OUTSIDE_MM, INSIDE = 1.5, (0.25, 0.5)


@dataclass(frozen=True)
class Flag:
    """One property of a scan.

    Attributes
    ----------
    key, title : str
    value : float or None
        To sort by.
    text : str
        What the table shows.
    state : {"ok", "look", "bad", "none"}
        ``none`` where it is not known.
    why : str
        What the value is.
    """

    key: str
    title: str
    value: float | None
    text: str
    state: State
    why: str


def scan_flags(scan: Scan) -> tuple[Flag, ...]:
    """The flags of a scan, in the order of the table's columns."""
    return (
        _levels(scan),
        _order(scan),
        _confidence(scan),
        _complete(scan),
        _length(scan),
        _intensity(scan),
        _deviation(scan),
    )


def judged(value: float, good: float, poor: float) -> State:
    """State of a value by two limits, of which the first may be the greater."""
    if good > poor:
        value, good, poor = -value, -good, -poor
    return "ok" if value <= good else "look" if value <= poor else "bad"


def _spinal(scan: Scan) -> tuple[Level, ...]:
    return () if scan.spinal is None else scan.spinal.levels


def _levels(scan: Scan) -> Flag:
    levels = _spinal(scan)
    key, title, why = "levels", "levels", "spinal levels found"
    if not levels:
        return Flag(key, title, 0.0, "none", "bad", why)
    names = [level.name for level in levels]
    return Flag(key, title, float(len(names)), f"{len(names)}  {names[0]}–{names[-1]}", "ok", why)


def _order(scan: Scan) -> Flag:
    """By the middle of each level's own rootlets where there are any, so that what was tidied up shows as well."""
    key, title = "order", "order"
    why = "whether levels follow one another from rostral to caudal, none of them left out"
    middles = {level.value: level.midpoint_mm for level in _spinal(scan)}
    middles = {value: float(np.median(arc)) for value, arc in rootlet_arcs(scan).items()} or middles
    values_in_order = sorted(middles)
    if len(values_in_order) < 2:
        return Flag(key, title, None, "–", "none", why)
    names = {value: level_name(value, "spinal") for value in values_in_order}
    wrong = [(a, b) for a, b in pairwise(values_in_order) if middles[b] <= middles[a]]
    missing = sorted(set(range(values_in_order[0], values_in_order[-1])) - set(values_in_order))
    problems = [f"{names[b]} above {names[a]}" for a, b in wrong]
    problems += [f"no {level_name(value, 'spinal')}" for value in missing]
    state: State = "bad" if wrong else "look" if missing else "ok"
    return Flag(key, title, float(10 * len(wrong) + len(missing)), ", ".join(problems) or "in order", state, why)


def _confidence(scan: Scan) -> Flag:
    key, title, why = "confidence", "confidence", "lowest probability of a level's name"
    if not scan.confidence:
        return Flag(key, title, None, "–", "none", f"{why}; not known for rootlets that were given")
    value, least = min(scan.confidence.items(), key=lambda item: item[1])
    state = judged(least, CONFIDENT, DOUBTFUL)
    return Flag(key, title, least, f"{least:.2f}  {level_name(value, 'spinal')}", state, why)


def _complete(scan: Scan) -> Flag:
    key, title = "complete", "complete"
    why = "share of levels that are neither cut by the field of view nor known by few rootlets or one root only"
    levels = _spinal(scan)
    if not levels:
        return Flag(key, title, None, "–", "none", why)
    lacking = [level for level in levels if level.incomplete]
    n_whole = len(levels) - len(lacking)
    within = [level for level in lacking if level not in (levels[0], levels[-1])]  # ends are often cut
    text = f"{n_whole}/{len(levels)}"
    if lacking:
        text += f"  not {', '.join(level.name for level in lacking)}"
    return Flag(key, title, n_whole / len(levels), text, "look" if within else "ok", why)


def _length(scan: Scan) -> Flag:
    length = scan.centerline.cord_length
    return Flag(
        "length",
        "cord (mm)",
        length,
        f"{length:.0f}",
        judged(length, LONG_MM, SHORT_MM),
        f"length of the cord in view; below {LONG_MM:.0f} mm names become unreliable",
    )


def _intensity(scan: Scan) -> Flag:
    key, title = "contrast", "contrast"
    why = (
        "brightness just outside the cord against inside, in standard deviations of the noise in the cord "
        "(negative where fluid is darker); rootlets show where they differ"
    )
    contrast = None if scan.image is None else contrast_of_fluid(scan)
    if contrast is None:
        return Flag(key, title, None, "–", "none", why)
    return Flag(key, title, contrast, f"{contrast:+.1f}", judged(abs(contrast), CLEAR, FAINT), why)


def contrast_of_fluid(scan: Scan) -> float | None:
    """Brightness just outside the cord minus inside, over the noise within cuts of the cord.

    Returns
    -------
    float or None
        Median along the cord; None where the image shows nothing.
    """
    assert scan.image is not None
    line, volume = scan.centerline, scan.image
    arc = np.arange(0, line.cord_length, STEP_MM) + STEP_MM / 2
    angle = np.arange(-180, 180, STEP_DEG)
    radius = surface_radius(scan.cord.data, scan.cord.affine, line, arc, angle)

    def around(tube: np.ndarray) -> np.ndarray:
        # The nearest voxel: interpolation would average the noise away.
        return np.nan_to_num(unroll(volume.data, volume.affine, line, arc, angle, tube, order=0))

    outside = around(radius + OUTSIDE_MM)
    inside = np.concatenate([around(share * radius) for share in INSIDE], axis=1)
    middle = np.median(inside, axis=1, keepdims=True)
    noise = 1.4826 * float(np.median(np.abs(inside - middle)))
    if noise <= 0:
        return None
    return float(np.median(np.median(outside, axis=1) - middle[:, 0])) / noise


def _deviation(scan: Scan) -> Flag:
    key, title = "deviation", "deviation (mm)"
    found = deviations(scan)
    if not found:
        return Flag(key, title, None, "–", "none", "how far level midpoints are from where they are expected")
    name, far = max(found.items(), key=lambda item: abs(item[1]))
    against = "vertebrae, as published" if scan.pairs else "their neighbours (no discs are known)"
    why = f"largest distance of a level's midpoint from where it is expected by {against}; positive is more caudal"
    return Flag(key, title, abs(far), f"{far:+.1f}  {name}", judged(abs(far), FAR_MM, WRONG_MM), why)


def deviations(scan: Scan) -> dict[str, float]:
    """How far midpoints of spinal levels are from where they are expected.

    With vertebrae: from the published difference to the vertebra that they are compared with (`published_bias`, arXiv
    2509.16255). Without: from the level above, by `LEVEL_PITCH_MM` a level.

    Returns
    -------
    dict of str to float
        mm by name, positive where a level lies more caudally.
    """
    expected = published_bias()
    if scan.pairs:
        named = [((pair.vertebral.name, pair.spinal.name), pair) for pair in scan.pairs]
        return {names[1]: expected[names] - pair.difference_mm for names, pair in named if names in expected}
    return {
        f"{above.name}–{below.name}": below.midpoint_mm
        - above.midpoint_mm
        - LEVEL_PITCH_MM * (below.value - above.value)
        for above, below in pairwise(_spinal(scan))
    }
