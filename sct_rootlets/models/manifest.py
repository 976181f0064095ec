"""The manifest of the bundled model: what it is called, and which files with which content it has.

The Spinal Cord Toolbox imports this module whenever it lists its tasks: nothing heavy may be imported here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

#: Files of the package that are not code.
DATA_FOLDER = Path(__file__).parents[1] / "data"
#: Name by which users choose the model that comes with the package.
BUNDLED = "bundled"
BUNDLED_FOLDER = DATA_FOLDER / "models"
#: The networks of the bundled model, each a folder: one finds the cord, one names its segments, one finds rootlets.
NETWORKS = ("overview", "names", "rootlets")


def read_manifest() -> dict[str, Any]:
    """Read the name, version and licence of the bundled model, and the SHA-256 of each of its files."""
    return dict(json.loads((BUNDLED_FOLDER / "manifest.json").read_text(encoding="utf-8")))
