"""All models that can be used, bundled, installed or in a folder of the user's: choose, list and verify them."""

from __future__ import annotations

import os
from pathlib import Path

from sct_rootlets.errors import ModelError
from sct_rootlets.models.catalogue import read_catalogue
from sct_rootlets.models.installed import find_installed, installed_names, model_folders
from sct_rootlets.models.manifest import BUNDLED
from sct_rootlets.models.weights import Weights, bundled_weights, weights_in_folder


def find_model(model: str | os.PathLike[str] | Weights | None) -> Weights:
    """Find a model and check its files.

    Parameters
    ----------
    model : str, path or Weights, optional
        Name of an installed model, ``"bundled"`` (the default), or a model folder. A name takes precedence over a
        folder of the same name in the working directory; ``./name`` means the folder.

    Raises
    ------
    ModelError
        If there is no such model, or the files of an installed model have changed since its installation.
    """
    if isinstance(model, Weights):
        return model
    if model is None or str(model) == BUNDLED:
        return bundled_weights()
    installed = find_installed(str(model))
    if installed is not None:
        changes = installed.changed_files()
        current = find_installed(str(model)) if changes else None
        if current is not None and current != installed:  # another process replaced the model meanwhile
            installed, changes = current, current.changed_files()
        if changes:
            raise ModelError(f"{installed.name} is not as it was installed: {changes[0]}; {_remedy(installed)}")
        return installed
    try:
        if str(model) in read_catalogue() and not Path(model).exists():
            raise ModelError(f"{model} is not installed; install it with: sct_rootlets models install {model}")
        return weights_in_folder(Path(model))
    except OSError as error:
        raise ModelError(f"{error.filename or model} cannot be read ({error.strerror})") from error


def _remedy(weights: Weights) -> str:
    source = "" if weights.name in read_catalogue() else " -custom-url <where it came from>"
    return f"run: sct_rootlets models install {weights.name}{source}"


def find_by_name(name: str) -> Weights:
    """Find the bundled model or an installed one, without reading its files.

    Raises
    ------
    ModelError
        If no model of this name is installed, or its record cannot be read.
    """
    weights = bundled_weights() if name == BUNDLED else find_installed(name)
    if weights is None:
        raise ModelError(f"{name} is not installed; see: sct_rootlets models list")
    return weights


def verify_models(name: str | None = None) -> list[Weights]:
    """Compare the files of models with the recorded ones.

    Parameters
    ----------
    name : str, optional
        By default, the bundled and all installed models are verified.

    Returns
    -------
    list of Weights
        The verified models, none of which has changed.

    Raises
    ------
    ModelError
        If a model has changed or cannot be read; the message names each of them.
    """
    sound, problems = [], []
    for each in [BUNDLED, *installed_names()] if name is None else [name]:
        try:
            weights = find_by_name(each)
        except ModelError as error:
            problems.append(str(error))
            continue
        changes = weights.changed_files()
        if changes:
            more = f" (and {len(changes) - 1} more)" if len(changes) > 1 else ""
            problems.append(f"{each} in {weights.folder}: {changes[0]}{more}; install it again")
        else:
            sound.append(weights)
    if problems:
        raise ModelError("; ".join(problems))
    return sound


def model_table() -> list[str]:
    """Return the lines of the list of models: which there are, where they are installed, and how to cite them."""
    releases = read_catalogue()
    rows = [("name", "version", "installed", "contrasts", "levels", "licence")]
    for name in [*releases, *(name for name in installed_names() if name not in releases)]:
        version, state = _installed_version(name)
        release = releases.get(name)
        if release is None:
            rows.append((name, version, state, "", "", ""))
        else:
            contrasts = ", ".join(release.contrasts)
            rows.append((name, release.version, state, contrasts, release.levels, release.licence))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    first, *others = model_folders()
    lines += ["", f"installed into: {first}", *(f"also read:      {folder}" for folder in others)]
    lines += [f"{name}: {release.citation}" for name, release in releases.items()]
    return lines


def _installed_version(name: str) -> tuple[str, str]:
    """Version of an installed model (empty if unknown), and whether it is installed: yes, no or damaged."""
    if name == BUNDLED:
        return "", "yes"
    try:
        weights = find_installed(name)
    except ModelError:
        return "", "damaged"
    return ("", "no") if weights is None else (weights.version or "", "yes")
