"""An entry of the page: the facts of a scan for the table, and its pictures as files."""

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
from sct_rootlets.plausibility import DEVIATION_LIMITS_MM, Expectation, expectations
from sct_rootlets.report.page.mosaic import TITLE, Cut, mosaic
from sct_rootlets.report.page.picture import View
from sct_rootlets.report.page.views import VIEWS, ViewAlong, views_along
from sct_rootlets.report.page.volume import viewer_volumes
from sct_rootlets.subject import SubjectLevels
from sct_rootlets.vertebral import Disc

#: Version of the facts of an entry; the page shows entries of lower versions too.
FORMAT_VERSION = 1
#: Quality of compressed pictures, 0 to 100.
WEBP_QUALITY = 82


@dataclass(frozen=True)
class About:
    """Where a scan comes from.

    Attributes
    ----------
    file : str
        Name of the image, or of the cord mask if there is no image.
    folder : str
        Folder of the file; scans of one name in two folders are two entries.
    command : str
        Command that was run.
    subject, dataset : str
        Names that the user gave, or that the file name tells; may be empty.
    viewer_command : str
        Command that shows the scan and its labels in FSLeyes; may be empty.
    """

    file: str
    folder: str
    command: str
    subject: str = ""
    dataset: str = ""
    viewer_command: str = ""

    @classmethod
    def of_file(
        cls,
        path: Path | None,
        name: str,
        command: str,
        subject: str | None = None,
        dataset: str | None = None,
        viewer_command: str = "",
    ) -> About:
        """Describe a file, or an array of a given name; the subject is read from names such as ``sub-01_T2w``."""
        folder = "" if path is None else str(path.resolve().parent)
        file = name if path is None else path.name
        return cls(file, folder, command, subject or bids_subject(name), dataset or "", viewer_command)

    @property
    def identifier(self) -> str:
        """Name of the entry's files: letters that all file systems and addresses allow, and different for each scan."""
        plain = unicodedata.normalize("NFKD", stem(self.file))
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", plain.encode("ascii", "ignore").decode()).strip("_")[:60]
        source = "\n".join((self.dataset, self.subject, self.folder, self.file))
        return f"{plain or 'scan'}-{hashlib.sha256(source.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def bids_subject(name: str) -> str:
    """Read the subject, and the session if there is one, from a BIDS file name, as `sct_run_batch` lists them.

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
        Name of the entry; it replaces an earlier entry of the same name.
    facts : dict
        Values that the page's table and figures show, fit for JSON.
    files : dict of str to bytes
        Pictures, and the volumes of the viewer, by file name.
    """

    identifier: str
    facts: dict[str, object]
    files: dict[str, bytes] = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Digest of facts and files: a verdict on other pictures than these no longer counts."""
        digest = hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode())
        for name in sorted(self.files):
            digest.update(name.encode() + b"\0" + self.files[name])
        return digest.hexdigest()[:12]


def make_entry(subject: SubjectLevels, about: About) -> Entry:
    """Draw the pictures of a subject's levels and collect the facts; the same bytes for the same levels.

    Parameters
    ----------
    subject : SubjectLevels
    about : About

    Returns
    -------
    Entry
    """
    files: dict[str, bytes] = {}
    views: dict[str, object] = {}
    for name, view in views_along(subject).items():
        files |= pictures(name, view)
        views[name] = along_facts(view, VIEWS[name])
    view, cuts = mosaic(subject)
    files |= pictures("axial", view)
    views["axial"] = axial_facts(subject, view, cuts)
    files["volume.js"] = volume_script(about.identifier, viewer_volumes(subject))
    facts = {
        "format": FORMAT_VERSION,
        **asdict(about),
        "flags": {flag.key: flag.as_facts() for flag in subject.flags},
        "method": None if subject.spinal is None else subject.spinal.method,
        "reference": subject.reference.name,
        "referenceArc": round_mm(subject.reference.arc_mm),
        "levels": [level_facts(subject, level) for levels in subject.kinds for level in levels.levels],
        "discs": [_disc_facts(disc) for disc in subject.discs],
        "expected": [_expectation_facts(one) for one in expectations(subject)],
        "numbering": None if subject.numbering is None else round(subject.numbering.probability, 3),
        "pairs": [
            {
                "spinal": round_mm(pair.spinal.midpoint_mm),
                "vertebral": round_mm(pair.vertebral.midpoint_mm),
                "difference": round_mm(pair.difference_mm),
            }
            for pair in subject.shifted_pairs
        ],
        "views": views,
        "notes": list(subject.notes),
    }
    return Entry(about.identifier, facts, files)


def _disc_facts(disc: Disc) -> dict[str, object]:
    """Describe a disc; one that was found in the image is not as sure as one that was given."""
    facts: dict[str, object] = {"name": disc_name(disc.value), "arc": round_mm(disc.arc_mm)}
    return facts if disc.source == "given" else {**facts, "sd": round_mm(disc.sd_mm), "source": disc.source}


def _expectation_facts(one: Expectation) -> dict[str, object]:
    """Describe where a level is expected, and where its midpoint was measured by method ``extent``."""
    return {
        "name": one.name,
        "label": one.label,
        "expected": round_mm(one.expected_mm),
        "measured": round_mm(one.measured_mm),
        "sd": round_mm(one.measured_sd_mm),
        "deviation": round_mm(one.deviation_mm),
        "limit": DEVIATION_LIMITS_MM[0],
        "source": one.source,
    }


def round_mm(value: float) -> float:
    """Round a position as facts hold it."""
    return round(float(value), 2)


def axial_facts(subject: SubjectLevels, view: View, cuts: list[Cut]) -> dict[str, object]:
    """Describe the mosaic of cuts."""
    return {**_view_facts(view), "title": TITLE, "cuts": [_cut_facts(subject, cut) for cut in cuts]}


def _cut_facts(subject: SubjectLevels, cut: Cut) -> dict[str, object]:
    """Describe a cut of the mosaic, its position counted from the reference as in the tables."""
    position = round(cut.arc_mm - subject.reference.arc_mm, 1)
    return {
        "level": cut.level,
        "column": cut.column,
        "row": cut.row,
        "mm": position,
        "arc": round_mm(cut.arc_mm),
        "point": _point_facts(subject, cut.arc_mm),
    }


def _point_facts(subject: SubjectLevels, arc_mm: float) -> list[float]:
    """Return the place of the centerline at an arc length, RAS+ mm."""
    return [round_mm(value) for value in subject.centerline.position(np.array([arc_mm]))[0]]


def level_facts(subject: SubjectLevels, level: Level) -> dict[str, object]:
    """Describe a level, with the place of its middle."""
    return {
        "value": level.value,
        "name": level.name,
        "kind": level.kind,
        "color": level_color(level.name),
        "rostral": round_mm(level.rostral_mm),
        "caudal": round_mm(level.caudal_mm),
        "rostralSD": round_mm(level.rostral_sd_mm),
        "caudalSD": round_mm(level.caudal_sd_mm),
        "incomplete": list(level.incomplete),
        "confidence": None if level.confidence is None else round(level.confidence, 3),
        "point": _point_facts(subject, level.midpoint_mm),
    }


def _view_facts(view: View) -> dict[str, object]:
    """Describe the pixels of a view."""
    height, width = view.gray.shape
    return {
        "width": width,
        "height": height,
        "rows": [round_mm(end) for end in view.rows],
        "columns": [round_mm(end) for end in view.columns],
    }


def along_facts(view: View, described: ViewAlong) -> dict[str, object]:
    """Describe the pixels of a view along the cord, and how the page shows it."""
    return {
        **_view_facts(view),
        "title": described.title,
        "titleWithoutLabels": described.title_without_labels,
        "ends": list(described.ends),
        "unit": described.unit,
        "showsDiscs": described.shows_discs,
    }


def pictures(name: str, view: View) -> dict[str, bytes]:
    """Compress a view into two files: grey values, and labels above them."""
    return {f"{name}.webp": _picture(view.gray), f"{name}_labels.webp": _picture(view.overlay())}


def _picture(pixels: np.ndarray) -> bytes:
    """Compress a picture as WebP: grey values with losses that the eye does not see, labels exactly."""
    stream = io.BytesIO()
    if pixels.ndim == 2:
        Image.fromarray(pixels).convert("RGB").save(stream, "WEBP", quality=WEBP_QUALITY)
    else:
        Image.fromarray(pixels).save(stream, "WEBP", lossless=True, exact=False)
    return stream.getvalue()


def volume_script(identifier: str, volumes: dict[str, bytes]) -> bytes:
    """Write volumes as a script: a page that is opened from disk may load no other kind of file."""
    content = {name: base64.b64encode(data).decode() for name, data in volumes.items()}
    return f"sctRootletsVolume({json.dumps(identifier)}, {json.dumps(content)});\n".encode()
