"""An entry of the page for a registration: its picture, and flags that tell whom to look at."""

from __future__ import annotations

import io
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from sct_rootlets.measure.quality import FAR_MM, Flag, State, judged
from sct_rootlets.report.page.entry import FORMAT, QUALITY, About, Entry
from sct_rootlets.report.registration import save_registration_figure

if TYPE_CHECKING:
    from sct_rootlets.registration.to_template import Registration

#: The other levels predict one within this; further than `FAR_MM`, it is nearer to a neighbour's place.
NEAR_MM = 3.0
#: Overlap of the cords, and change of volume, from which they are fine, and below which they are not.
DICE, JACOBIAN = (0.9, 0.8), (0.1, 0.0)


def registration_entry(registration: Registration, about: About) -> Entry:
    """Draw a registration; beside the entry of the scan itself there can be one of its registration."""
    stream = io.BytesIO()
    save_registration_figure(registration, stream)
    with Image.open(stream) as picture:
        width, height = picture.size
        packed = io.BytesIO()
        picture.convert("RGB").save(packed, "WEBP", quality=QUALITY)
    facts = {
        "format": FORMAT,
        **asdict(about),
        "kind": "registration",
        "flags": {flag.key: asdict(flag) for flag in registration_flags(registration)},
        "levels": [],
        "views": {"registration": {"width": width, "height": height}},
        "notes": list(registration.notes),
    }
    return Entry(f"{about.identifier}-registration", facts, {"registration.webp": packed.getvalue()})


def registration_flags(registration: Registration) -> tuple[Flag, ...]:
    """Greatest error of a level left out, overlap of the cords, and least change of volume."""
    quality = registration.quality
    folds: State = "bad" if quality.least_jacobian <= 0 else judged(quality.least_jacobian, *JACOBIAN)
    return (
        _left_out(registration),
        Flag("dice", "cord Dice", round(quality.cord_dice, 3), f"{quality.cord_dice:.3f}",
             judged(quality.cord_dice, *DICE), "overlap with the template's cord, where both have one"),
        Flag("jacobian", "least Jacobian", _finite(quality.least_jacobian), f"{quality.least_jacobian:.2f}", folds,
             "least change of volume in the canal; at or below 0, space folds"),
    )  # fmt: skip


def _left_out(registration: Registration) -> Flag:
    key, title = "leftout", "left out (mm)"
    why = "greatest distance of a landmark from where the others predict it; positive where they say further caudally"
    used = [row for row in registration.rows if row["used"] and row["left_out_error_mm"] is not None]
    if not used:
        return Flag(key, title, None, "–", "none", f"{why}; not known with a single landmark")
    worst = max(used, key=lambda row: abs(row["left_out_error_mm"]))  # type: ignore[arg-type]
    far = float(worst["left_out_error_mm"])  # type: ignore[arg-type]
    return Flag(key, title, round(abs(far), 2), f"{far:+.1f}  {worst['name']}", judged(abs(far), NEAR_MM, FAR_MM), why)


def _finite(value: float) -> float | None:
    return round(value, 3) if np.isfinite(value) else None
