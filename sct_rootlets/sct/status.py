"""The report of what is linked with the Spinal Cord Toolbox (SCT), and of the installed models."""

from __future__ import annotations

import sys

from sct_rootlets.distribution import version
from sct_rootlets.errors import ModelError
from sct_rootlets.models.installed import installed_names
from sct_rootlets.models.manifest import BUNDLED_FOLDER, read_manifest
from sct_rootlets.sct import installation
from sct_rootlets.sct.installation import SHARED_COMMAND, Environment, Toolbox
from sct_rootlets.sct.link import PTH_FILE, ask_toolbox


def status(environment: Environment, toolbox: Toolbox) -> list[str]:
    """Report what is linked, with which SCT, and which models there are.

    Parameters
    ----------
    environment : Environment
        The environment in which the package is installed.
    toolbox : Toolbox
        The installation that runs in it.

    Returns
    -------
    list of str
        Lines for the user.
    """
    pth = environment.site_packages / PTH_FILE
    tasks, trouble = ask_toolbox(environment) if pth.exists() else ([], "not linked: sct_rootlets link")
    commands = [
        str(command)
        for command in installation.commands_to_link(environment, toolbox)
        if installation.is_ours(command, environment)
    ]
    if toolbox.commands == environment.scripts or not toolbox.commands.is_dir():
        commands = [str(environment.scripts / name) for name in environment.own_commands]
    shared = environment.scripts / SHARED_COMMAND
    restored = shared.exists() and not installation.launches(shared, "sct_rootlets")
    owner = "of SCT" if restored else "ours, which hands over to that of SCT (sct_rootlets link puts it back)"
    return [
        f"sct_rootlets {environment.package.version} in {environment.prefix}",
        f"Spinal Cord Toolbox {toolbox.version} in {toolbox.folder}",
        f"tasks: {', '.join(tasks)}" if tasks else f"tasks: none ({trouble})",
        f"linked by: {pth if pth.exists() else 'nothing'}",
        f"commands: {', '.join(commands) or 'none on the PATH of SCT'}",
        f"{shared}: {owner}",
        f"weights: {_weights()}",
        *installation.nnunet_notes(),
    ]


def status_without_toolbox(reason: str) -> list[str]:
    """Report which models there are where no Spinal Cord Toolbox runs, and why none does.

    Parameters
    ----------
    reason : str
        What looking for it gave.
    """
    return [
        f"sct_rootlets {version()} in {sys.prefix}",
        f"Spinal Cord Toolbox: not linked ({reason})",
        "tasks: none in SCT; the commands of sct_rootlets work without it",
        f"weights: {_weights()}",
    ]


def _weights() -> str:
    """Describe the bundled and the installed models in one line."""
    try:
        manifest = read_manifest()
        megabytes = manifest["bytes"] / 1e6
        bundled = f"{manifest['name']} {manifest['version']}, bundled, {megabytes:.1f} MB in {BUNDLED_FOLDER}"
    except ModelError:
        return f"those in {BUNDLED_FOLDER} are damaged; install sct_rootlets again"
    try:
        installed = installed_names()
    except ImportError:  # platformdirs, which names the folder of models, is not installed
        installed = []
    return "; ".join([bundled, *(f"{name}, installed" for name in installed)])
