"""What is known of a scan's outputs, beside them: what they are made of, and what was written.

A record is written twice: before the outputs appear, and after. Whatever is cut off at whatever moment, an output that
is not in its record was put there by hand.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sct_rootlets.models.files import sha256_of
from sct_rootlets.output.files import STAGE_PREFIX


@dataclass(frozen=True)
class Record:
    """What is known of a scan's outputs.

    Attributes
    ----------
    fingerprint : str
        Of all that they depend on.
    finished : bool
        Whether all of them are there.
    written : dict of str to str
        SHA-256 of each output by its name.
    earlier : dict of str to list of str
        Of the outputs that they replace, until all are there.
    facts : dict
        For readers: inputs, model, settings.
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
        """SHA-256 that each output may have."""
        names = {**self.earlier, **self.written}
        return {
            name: sorted({*self.earlier.get(name, []), *([self.written[name]] if name in self.written else [])})
            for name in names
        }

    def is_whole(self, folder: Path) -> bool:
        """Whether all that was written is there; what was corrected by hand counts as there."""
        return all((folder / name).is_file() for name in self.written)

    def save(self, path: Path) -> None:
        """Write it, whole, in place of an earlier one."""
        content = {
            "GeneratedBy": [{"Name": "sct_rootlets", "Version": self.facts.get("Version")}],
            **{key: value for key, value in self.facts.items() if key != "Version"},
            "Fingerprint": self.fingerprint,
            "Finished": self.finished,
            "Written": self.written,
        }
        if self.earlier:
            content["Earlier"] = self.earlier
        write_whole(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_record(path: Path) -> Record | None:
    """Read a record; None if there is none, or it is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Record(
            content["Fingerprint"], content["Finished"], dict(content["Written"]), dict(content.get("Earlier", {})), {}
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_whole(path: Path, text: str) -> None:
    """Write a small file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{STAGE_PREFIX}{os.getpid()}-{path.name}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
