"""An entry of the page for a registration: the facts for the table, and the picture."""

from __future__ import annotations

import io
from dataclasses import asdict
from typing import TYPE_CHECKING

from PIL import Image

from sct_rootlets.measure.registration_quality import registration_flags
from sct_rootlets.report.page.entry import FORMAT_VERSION, WEBP_QUALITY, About, Entry
from sct_rootlets.report.registration import save_registration_figure

if TYPE_CHECKING:
    from sct_rootlets.registration.result import Registration


def registration_entry(registration: Registration, about: About) -> Entry:
    """Draw a registration; beside the entry of the scan itself there can be one of its registration."""
    stream = io.BytesIO()
    save_registration_figure(registration, stream)
    with Image.open(stream) as picture:
        width, height = picture.size
        packed = io.BytesIO()
        picture.convert("RGB").save(packed, "WEBP", quality=WEBP_QUALITY)
    facts = {
        "format": FORMAT_VERSION,
        **asdict(about),
        "kind": "registration",
        "flags": {flag.key: flag.as_facts() for flag in registration_flags(registration)},
        "levels": [],
        "views": {"registration": {"width": width, "height": height}},
        "notes": list(registration.notes),
    }
    return Entry(f"{about.identifier}-registration", facts, {"registration.webp": packed.getvalue()})
