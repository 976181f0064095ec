"""The files of a model folder: which of them are read to run the model, and whether their content has changed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath

from sct_rootlets.bids_folder import files_below
from sct_rootlets.sidecar import sha256_of

#: Weights of the channels that follow those of the classes, beside ``plans.json``; nnU-Net does not read this file.
HEADS_FILE = "heads.json"
#: Margins around the cord of the images that a model was trained on, beside the trainer's folder, as SCT's sc-crop
#: writes them.
CROP_FILE = "crop_metadata.json"
#: Patterns of the weights of each fold in the trainer's folder. A later pattern counts only if nothing matches the
#: earlier ones: nnU-Net writes the best checkpoint during training, and the final one at its end.
CHECKPOINTS = ("fold_*/checkpoint_final.pth", "fold_*/checkpoint_best.pth")
#: Patterns of the other files that are read to run a model; the first two are in every nnU-Net v2 model.
SETTINGS_FILES = ("plans.json", "dataset.json", HEADS_FILE, CROP_FILE)


def read_paths(paths: Iterable[str]) -> list[str]:
    """List those of the files of a model that are read to run it, sorted.

    Parameters
    ----------
    paths : iterable of str
        All files of one model, from the trainer's folder or the one above it.
    """
    named = sorted(paths)
    settings = [path for path in named if any(PurePath(path).match(pattern) for pattern in SETTINGS_FILES)]
    for pattern in CHECKPOINTS:
        weights = [path for path in named if PurePath(path).match(pattern)]
        if weights:
            return sorted(settings + weights)
    return settings


def has_only_best(paths: Iterable[str]) -> bool:
    """Tell whether the weights that are read are those of ``checkpoint_best.pth``."""
    return any(PurePath(path).match(CHECKPOINTS[1]) for path in read_paths(paths))


def checkpoints(trainer: Path) -> list[Path]:
    """List the weights of each fold in a trainer's folder that are read; empty if there are none."""
    for pattern in CHECKPOINTS:
        paths = sorted(trainer.glob(pattern))
        if paths:
            return paths
    return []


def hash_read_files(folder: Path) -> dict[str, str]:
    """Compute the SHA-256 of each file that is read to run a model.

    Parameters
    ----------
    folder : Path
        The trainer's folder, or the one above it.

    Returns
    -------
    dict of str to str
        SHA-256 by the path in `folder`, sorted by path.
    """
    patterns = (*SETTINGS_FILES, *CHECKPOINTS)
    paths = (path for pattern in patterns for path in (*folder.glob(pattern), *folder.glob(f"*/{pattern}")))
    return {
        path: sha256_of(folder / path) for path in read_paths(path.relative_to(folder).as_posix() for path in paths)
    }


def changed_files(folder: Path, recorded: dict[str, str]) -> list[str]:
    """Compare the files in a folder with what was recorded of them.

    Parameters
    ----------
    folder : Path
    recorded : dict of str to str
        SHA-256 by the path in `folder`.

    Returns
    -------
    list of str
        Differences, such as ``"plans.json has changed"``; empty if there are none.
    """
    changes = []
    for name, digest in sorted(recorded.items()):
        try:
            if sha256_of(folder / name) != digest:
                changes.append(f"{name} has changed")
        except FileNotFoundError:
            changes.append(f"{name} is missing")
        except OSError as error:
            changes.append(f"{name} cannot be read ({error.strerror})")
    present = read_paths(path.relative_to(folder).as_posix() for path in files_below(folder))
    return changes + [f"{path} was added" for path in present if path not in recorded]
