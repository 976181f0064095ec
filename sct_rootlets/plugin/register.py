"""What we add to SCT's own lists of models and tasks, in the format of SCT 7, and how it is taken out again."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from sct_rootlets.models.weights import FOLDER, manifest
from sct_rootlets.segmentation.tasks import TASKS

#: The bundled model of rootlets alone, run by SCT's own nnU-Net code.
NNUNET_TASK = "rootlets_synthetic"
NNUNET_FOLDER = FOLDER / "rootlets"
#: The name by which the model's ``source.json`` calls it: SCT looks it up among its models.
NNUNET_MODEL = "sct_rootlets_synthetic"
#: Where to read more; SCT asks for one with each task and each model.
URL = "https://doi.org/10.1162/imag_a_00218"
_CONTRASTS = ["t2", "UNIT1", "T1w-INV1", "T1w-INV2"]
_GROUP = "sct_rootlets"

# SCT's dictionaries, and the keys in them that are ours in this process.
_added: list[tuple[dict[str, Any], str]] = []


def tasks() -> dict[str, dict[str, Any]]:
    """The tasks by name, as SCT describes its own; ``rootlets`` is not among them: SCT has one."""
    bundled = manifest()
    model = f"The model, {bundled['name']} {bundled['version']}, comes with sct_rootlets: nothing has to be installed."
    entries = {
        name: {
            "description": task.description,
            "long_description": f"{task.details} {model} Check the names of levels, or give disc labels (-ldisc).",
            "models": [str(FOLDER)],
        }
        for name, task in TASKS.items()
        if name != "rootlets"
    }
    entries[NNUNET_TASK] = {
        "description": "Nerve rootlets by spinal level, by nnU-Net with the bundled model alone",
        "long_description": "As the task rootlets, with the weights of sct_rootlets, which were trained on synthetic "
        "scans alone: values 2 to 9 are C2 to T1. The level of each voxel is the network's own word; the "
        f"other tasks of sct_rootlets name levels for the whole cord at once. {model}",
        "models": [str(NNUNET_FOLDER)],
    }
    return {name: {"url": URL, "citation": None, "group": _GROUP, **entry} for name, entry in entries.items()}


def models() -> dict[str, dict[str, Any]]:
    """The models by name; a name that is an absolute path is, for SCT, the folder itself."""
    bundled = manifest()
    entry = {
        "url": [URL],
        "description": f"{bundled['name']} {bundled['version']}, bundled with sct_rootlets",
        "contrasts": _CONTRASTS,
        "framework": "nnunetv2",
        "thr": None,  # labels, not probabilities
        "default": False,
    }
    return {name: {**entry, "url": [URL]} for name in (str(FOLDER), str(NNUNET_FOLDER), NNUNET_MODEL)}


def add_tasks(module: ModuleType) -> None:
    """Add models and tasks to SCT's; names that SCT has stay SCT's.

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
    """Take out again what was added."""
    while _added:
        theirs, name = _added.pop()
        theirs.pop(name, None)


def added_tasks() -> list[str]:
    """Names of the tasks that are ours in this process."""
    return sorted(name for theirs, name in _added if "models" in theirs[name])
