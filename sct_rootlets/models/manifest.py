"""The manifest of the bundled model: what it is called, and which files with which content it has.

The Spinal Cord Toolbox imports this module whenever it lists its tasks: nothing heavy may be imported here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sct_rootlets.distribution import requirement
from sct_rootlets.errors import ModelError

#: Files of the package that are not code.
DATA_FOLDER = Path(__file__).parents[1] / "data"
#: Name by which users choose the model that comes with the package.
BUNDLED = "bundled"
BUNDLED_FOLDER = DATA_FOLDER / "models"
#: The networks of the bundled model, each a folder: one finds the cord, one names its segments, one finds rootlets.
NETWORKS = ("overview", "names", "rootlets")


def reinstall_remedy() -> str:
    """Say what to do where files of the bundled model are damaged."""
    return f"install sct_rootlets again: python -m pip install --force-reinstall --no-deps {requirement()}"


def read_manifest() -> dict[str, Any]:
    """Read the name, version and licence of the bundled model, and the SHA-256 of each of its files.

    Raises
    ------
    ModelError
        If the manifest is missing or damaged.
    """
    path = BUNDLED_FOLDER / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        texts = [manifest["name"], manifest["version"], *manifest["files"].keys(), *manifest["files"].values()]
        if not all(isinstance(text, str) for text in texts) or not isinstance(manifest["bytes"], int):
            raise ValueError("entries of another type")
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); {reinstall_remedy()}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path} is damaged; {reinstall_remedy()}") from error
    return dict(manifest)
