"""The files of a model folder: which of them are read to run the model, and whether their content has changed."""

from __future__ import annotations

from pathlib import Path

from sct_rootlets.bids_folder import files_below
from sct_rootlets.sidecar import sha256_of

#: Weights of the channels that follow those of the classes, beside ``plans.json``; nnU-Net does not read this file.
HEADS_FILE = "heads.json"
#: Patterns of the files that every nnU-Net v2 model has, in the trainer's folder.
REQUIRED_FILES = ("plans.json", "dataset.json", "fold_*/checkpoint_final.pth")
#: Patterns of all files that are read to run a model.
READ_FILES = (*REQUIRED_FILES, HEADS_FILE)


def is_read(path: Path) -> bool:
    """Tell whether a file, by its name, is read to run a model."""
    return any(path.match(pattern) for pattern in READ_FILES)


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
    paths = (path for pattern in READ_FILES for path in (*folder.glob(pattern), *folder.glob(f"*/{pattern}")))
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in sorted(paths)}


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
    present = {path.relative_to(folder) for path in files_below(folder)}
    added = sorted(path for path in present - set(map(Path, recorded)) if is_read(path))
    return changes + [f"{path.as_posix()} was added" for path in added]
