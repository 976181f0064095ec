"""The command ``sct_rootlets models``: list, install, verify and remove models."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from sct_rootlets.cli.parsers import OPTIONAL, add_misc, command_parser
from sct_rootlets.cli.run import run, say

ACTIONS = {
    "list": "list the models, and where they are installed (the default)",
    "install": "download, check and install a model",
    "verify": "compare the files of a model, or of all, with those that were installed",
    "remove": "remove an installed model",
    "path": "print the folder of a model, or the folders where models are looked for",
}
EXAMPLES = """\
  sct_rootlets models
  sct_rootlets models install rootletseg-r20250318
  sct_rootlets models install rootletseg-r20250318 -custom-url ~/Downloads/model-spinal-rootlets-multicon-r20250318.zip
  sct_rootlets models install our-model -custom-url https://example.org/our-model.zip
  sct_rootlets models verify
  sct_deepseg rootlets -i t2.nii.gz -model rootletseg-r20250318"""


def get_parser() -> argparse.ArgumentParser:
    """Build the parser of the command."""
    actions = "\n".join(f"  {name:<9}{text}" for name, text in ACTIONS.items())
    parser = command_parser(
        "sct_rootlets models",
        f"List, install, verify and remove models of rootlets.\n\nactions:\n{actions}\n\n"
        "Models are kept in the folders that the variable SCT_ROOTLETS_MODELS names, separated as in PATH: all are\n"
        "read, the first is written to. Without this variable, models are kept in a folder of the user.",
        EXAMPLES,
    )
    optional = parser.add_argument_group(OPTIONAL)
    optional.add_argument(
        "action", nargs="?", choices=list(ACTIONS), default="list", metavar="ACTION", help="one of the actions above"
    )
    optional.add_argument("name", nargs="?", metavar="NAME", help="name of a model")
    optional.add_argument(
        "-custom-url",
        nargs="+",
        metavar="<url>",
        help="install from here, and not from where the model is published: an address (http, https, file), a zip "
        "file or a folder; if one of several fails, the next is tried",
    )
    optional.add_argument(
        "-force",
        action="store_true",
        help="install a model even if it differs from the one that was installed under its name before",
    )
    add_misc(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = get_parser()
    return run(parser, argv, lambda arguments: _command(parser, arguments))


def _command(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    action, name = arguments.action, arguments.name
    if action != "install" and (arguments.custom_url or arguments.force):
        parser.error("-custom-url and -force go with install")
    if action in ("install", "remove") and name is None:
        parser.error(f"give the name of a model: sct_rootlets models {action} <name>")
    if action == "list":
        from sct_rootlets.models.store import model_table

        say(*model_table(), is_result=True)
    elif action == "install":
        install(name, arguments.custom_url or (), arguments.force, bool(arguments.v))
    elif action == "verify":
        _verify(name, bool(arguments.v))
    elif action == "remove":
        from sct_rootlets.models.install import remove

        folder = remove(name)
        if arguments.v:
            say(f"{name} was removed from {folder}")
    else:
        _print_folders(name)


def install(name: str | None, sources: Sequence[str] = (), force: bool = False, progress: bool = True) -> str:
    """Install a model and say how to use it.

    Parameters
    ----------
    name : str, optional
        Name of the model; by default, the one that the first source suggests, or without sources the bundled model.
    sources : sequence of str
        Addresses, zip files or folders; see `sct_rootlets.models.install.install`.
    force : bool
        Install the model even if it differs from what was installed under this name before.
    progress : bool
        Show the progress, and print the result.

    Returns
    -------
    str
        Name of the installed model.
    """
    from sct_rootlets.models.catalogue import suggest_name
    from sct_rootlets.models.install import install as install_model
    from sct_rootlets.models.manifest import BUNDLED

    name = name or (suggest_name(sources[0]) if sources else BUNDLED)
    weights, new = install_model(name, sources, force=force, progress=progress)
    if progress and weights.is_bundled:
        say("the bundled model comes with the package: nothing to install (-model names another one)")
    elif progress:
        say(f"{name} {weights.version} {'was installed' if new else 'is installed already'}: {weights.folder}")
        for note in weights.notes:
            say(f"note: {note}")
        say(f"use it with: sct_deepseg rootlets_cord -i <image> -model {name}")
    return name


def _verify(name: str | None, verbose: bool) -> None:
    """Verify the files of a model, or of all models, and report each."""
    from sct_rootlets.models.manifest import BUNDLED
    from sct_rootlets.models.store import verify_models

    for weights in verify_models(name):
        if verbose:
            shown = BUNDLED if weights.is_bundled else weights.name
            say(f"{shown}: {len(weights.files)} files, as they were installed")


def _print_folders(name: str | None) -> None:
    """Print the folder of a model, or the folders of installed models."""
    from sct_rootlets.models.installed import model_folders
    from sct_rootlets.models.store import find_by_name

    say(*map(str, model_folders() if name is None else [find_by_name(name).folder]), is_result=True)
