"""An entry of the page: a scan's facts for the table, and its pictures as files."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import unicodedata
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from sct_rootlets.bids import stem
from sct_rootlets.levels import Level, disc_name, level_color
from sct_rootlets.measure.quality import scan_flags
from sct_rootlets.report.page.scan import Scan
from sct_rootlets.report.page.views import View, mosaic, views_along
from sct_rootlets.report.page.volume import viewer_volumes

#: Version of what is written into entries; the page shows those of lower ones too.
FORMAT = 1
#: Quality of compressed pictures.
QUALITY = 82


@dataclass(frozen=True)
class About:
    """Where a scan comes from.

    Attributes
    ----------
    file : str
        Name of the image, or of the mask where there is none.
    folder : str
        Where it lies; scans of one name in two folders are two entries.
    command : str
        What was run.
    subject, dataset : str
        As the user says, or as the file is named; may be empty.
    """

    file: str
    folder: str
    command: str
    subject: str = ""
    dataset: str = ""

    @classmethod
    def of_file(
        cls, path: Path | None, name: str, command: str, subject: str | None = None, dataset: str | None = None
    ) -> About:
        """Of a file, or of an array that a name was given; the subject is read from names such as ``sub-01_T2w``."""
        folder = "" if path is None else str(path.resolve().parent)
        return cls(name if path is None else path.name, folder, command, subject or bids_subject(name), dataset or "")

    @property
    def identifier(self) -> str:
        """Name of the entry's files: letters that every file system and address has, and different for each scan."""
        plain = unicodedata.normalize("NFKD", stem(self.file))
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", plain.encode("ascii", "ignore").decode()).strip("_")[:60]
        whole = "\n".join((self.dataset, self.subject, self.folder, self.file))
        return f"{plain or 'scan'}-{hashlib.sha256(whole.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def bids_subject(name: str) -> str:
    """Subject, and session if there is one, of a BIDS file name, as `sct_run_batch` lists them.

    Examples
    --------
    >>> bids_subject("sub-01_ses-02_T2w.nii.gz"), bids_subject("sub-01_T2w.nii.gz"), bids_subject("t2.nii.gz")
    ('sub-01/ses-02', 'sub-01', '')
    """
    found = re.match(r"(sub-[^_.]+)(?:_(ses-[^_.]+))?", name)
    return "/".join(part for part in found.groups() if part) if found else ""


@dataclass(frozen=True)
class Entry:
    """A scan on the page.

    Attributes
    ----------
    identifier : str
        An entry replaces an earlier one of the same identifier.
    facts : dict
        What the page's table and figures need, fit for JSON.
    files : dict of str to bytes
        Pictures, and the volume for the viewer, by file name.
    """

    identifier: str
    facts: dict[str, object]
    files: dict[str, bytes] = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Of everything in it: a verdict on other pictures than these no longer counts."""
        digest = hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode())
        for name in sorted(self.files):
            digest.update(name.encode() + b"\0" + self.files[name])
        return digest.hexdigest()[:12]


def make_entry(scan: Scan, about: About) -> Entry:
    """Draw a scan's pictures and collect its facts; the same bytes for the same scan.

    Parameters
    ----------
    scan : Scan
    about : About

    Returns
    -------
    Entry
    """
    files: dict[str, bytes] = {}
    views: dict[str, object] = {}
    for name, view in views_along(scan).items():
        files |= _pictures(name, view)
        views[name] = _described(view)
    cuts_view, cuts = mosaic(scan)
    files |= _pictures("axial", cuts_view)
    views["axial"] = {**_described(cuts_view), "cuts": [_position(scan, asdict(cut)) for cut in cuts]}
    files["volume.js"] = volume_script(about.identifier, viewer_volumes(scan))
    facts = {
        "format": FORMAT,
        **asdict(about),
        "flags": {flag.key: _flag(asdict(flag)) for flag in scan_flags(scan)},
        "reference": scan.reference.name,
        "referenceArc": _mm(scan.reference.arc_mm),
        "levels": [_level(scan, level) for kind in scan.kinds for level in kind.levels],
        "discs": [{"name": disc_name(disc.value), "arc": _mm(disc.arc_mm)} for disc in scan.discs],
        "pairs": [
            {
                "spinal": _mm(pair.spinal.midpoint_mm),
                "vertebral": _mm(pair.vertebral.midpoint_mm),
                "difference": _mm(pair.difference_mm),
            }
            for pair in scan.pairs
        ],
        "views": views,
        "notes": list(scan.notes),
    }
    return Entry(about.identifier, facts, files)


def _mm(value: float) -> float:
    return round(float(value), 2)


def _flag(flag: dict[str, object]) -> dict[str, object]:
    value = flag["value"]
    return {**flag, "value": round(value, 3) if isinstance(value, float) and np.isfinite(value) else None}


def _position(scan: Scan, cut: dict[str, object]) -> dict[str, object]:
    """A cut with its position from the reference, as the tables have it."""
    arc = float(cut.pop("arc_mm"))  # type: ignore[arg-type]
    return {**cut, "mm": round(arc - scan.reference.arc_mm, 1)}


def _level(scan: Scan, level: Level) -> dict[str, object]:
    confidence = scan.confidence.get(level.value) if level.kind == "spinal" else None
    return {
        "value": level.value,
        "name": level.name,
        "kind": level.kind,
        "color": level_color(level.name),
        "rostral": _mm(level.rostral_mm),
        "caudal": _mm(level.caudal_mm),
        "rostralSD": _mm(level.rostral_sd_mm),
        "caudalSD": _mm(level.caudal_sd_mm),
        "incomplete": list(level.incomplete),
        "confidence": None if confidence is None else round(confidence, 3),
    }


def _described(view: View) -> dict[str, object]:
    height, width = view.gray.shape
    return {
        "width": width,
        "height": height,
        "rows": [_mm(at) for at in view.rows],
        "columns": [_mm(at) for at in view.columns],
    }


def _pictures(name: str, view: View) -> dict[str, bytes]:
    return {f"{name}.webp": _picture(view.gray), f"{name}_labels.webp": _picture(view.overlay())}


def _picture(pixels: np.ndarray) -> bytes:
    """WebP: grey pictures compressed as the eye does not see, labels exactly."""
    stream = io.BytesIO()
    if pixels.ndim == 2:
        Image.fromarray(pixels).convert("RGB").save(stream, "WEBP", quality=QUALITY)
    else:
        Image.fromarray(pixels).save(stream, "WEBP", lossless=True, exact=False)
    return stream.getvalue()


def volume_script(identifier: str, volumes: dict[str, bytes]) -> bytes:
    """Volumes as a script: a page that is opened from disk may load no other kind of file."""
    content = {name: base64.b64encode(data).decode() for name, data in volumes.items()}
    return f"sctRootletsVolume({json.dumps(identifier)}, {json.dumps(content)});\n".encode()
