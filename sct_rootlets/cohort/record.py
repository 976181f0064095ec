"""The record of a scan's outputs, a file beside them: what they are made from, and what was written.

A record is written twice: before the outputs appear, and after. If a run is interrupted at any moment, an output that
is not in its record was put there by hand.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sct_rootlets.output.files import format_json, write_atomic
from sct_rootlets.sidecar import generated_by, sha256_of


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known of a scan's outputs.

    Attributes
    ----------
    fingerprint : str
        Hash of everything that they depend on.
    finished : bool
        Whether all of them are in place.
    written : dict of str to str
        SHA-256 of each output, by its name.
    earlier : dict of str to list of str
        SHA-256 of the outputs that are being replaced, by name; empty when all new ones are in place.
    facts : dict
        Inputs, model and settings, for readers of the file.
    """

    fingerprint: str
    finished: bool
    written: dict[str, str]
    earlier: dict[str, list[str]]
    facts: dict[str, Any]

    def wrote(self, path: Path) -> bool:
        """Whether a file is as it was written, and nobody has changed it since."""
        digests = self.digests.get(path.name)
        return digests is not None and sha256_of(path) in digests

    @property
    def digests(self) -> dict[str, list[str]]:
        """The possible SHA-256 of each output, by its name."""
        names = {**self.earlier, **self.written}
        return {
            name: sorted({*self.earlier.get(name, []), *([self.written[name]] if name in self.written else [])})
            for name in names
        }

    def is_whole(self, folder: Path) -> bool:
        """Whether all outputs exist; outputs that were corrected by hand count."""
        return all((folder / name).is_file() for name in self.written)

    def save(self, path: Path) -> None:
        """Write the record, in place of an earlier one."""
        content = {
            "GeneratedBy": generated_by(),
            **{key: value for key, value in self.facts.items() if key != "Version"},
            "Fingerprint": self.fingerprint,
            "Finished": self.finished,
            "Written": self.written,
        }
        if self.earlier:
            content["Earlier"] = self.earlier
        write_atomic(path, format_json(content))


def read_record(path: Path) -> Record | None:
    """Read a record; None if the file is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Record(
            fingerprint=content["Fingerprint"],
            finished=content["Finished"],
            written=dict(content["Written"]),
            earlier=dict(content.get("Earlier", {})),
            facts={},
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
