"""Our entries in SCT's own lists of models and tasks, in the format of SCT 7: adding and removing them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from sct_rootlets.bids import SEGMENTED_CONTRASTS
from sct_rootlets.models.manifest import BUNDLED_FOLDER, read_manifest
from sct_rootlets.segmentation.tasks import TASKS

#: Name of the model of rootlets in its ``source.json``, by which SCT knows its folder if a user runs it by SCT's code.
NNUNET_MODEL = "sct_rootlets_synthetic"
#: Address with more information, which SCT wants for each task and each model.
URL = "https://doi.org/10.1162/imag_a_00218"
# SCT's names of the contrasts that it calls otherwise than BIDS.
_CONTRASTS_IN_SCT = {"T2w": "t2", "INV1": "T1w-INV1", "INV2": "T1w-INV2"}
_GROUP = "sct_rootlets"

# Our entries in this process: SCT's dictionary, and the key in it.
_added: list[tuple[dict[str, Any], str]] = []


def tasks() -> dict[str, dict[str, Any]]:
    """Return our tasks by name, as SCT describes its own, without ``rootlets``, which SCT has itself."""
    manifest = read_manifest()
    version = f"{manifest['name']} {manifest['version']}"
    model = f"The model, {version}, comes with sct_rootlets: nothing has to be installed."
    entries = {
        name: {
            "description": task.description,
            "long_description": f"{task.details} {model} Check the names of levels, or give disc labels (-ldisc).",
            "models": [str(BUNDLED_FOLDER)],
        }
        for name, task in TASKS.items()
        if name != "rootlets"
    }
    return {name: {"url": URL, "citation": None, "group": _GROUP, **entry} for name, entry in entries.items()}


def models() -> dict[str, dict[str, Any]]:
    """Return our models by name; SCT takes a name that is an absolute path as the folder of the model."""
    manifest = read_manifest()
    entry = {
        "url": [URL],
        "description": f"{manifest['name']} {manifest['version']}, bundled with sct_rootlets",
        "contrasts": [_CONTRASTS_IN_SCT.get(name, name) for name in SEGMENTED_CONTRASTS],
        "framework": "nnunetv2",
        "thr": None,  # labels, not probabilities
        "default": False,
    }
    return {str(BUNDLED_FOLDER): entry}


def add_tasks(module: ModuleType) -> None:
    """Add our models and tasks to SCT's, except for names that SCT has itself.

    Parameters
    ----------
    module : module
        ``spinalcordtoolbox.deepseg.models``.
    """
    for theirs, ours in ((module.MODELS, models()), (module.TASKS, tasks())):
        for name, entry in ours.items():
            if name not in theirs:
                theirs[name] = entry
                _added.append((theirs, name))


def remove_tasks() -> None:
    """Remove all entries that were added."""
    while _added:
        theirs, name = _added.pop()
        theirs.pop(name, None)


def added_tasks() -> list[str]:
    """List the names of our tasks in this process, sorted."""
    return sorted(name for theirs, name in _added if "models" in theirs[name])
