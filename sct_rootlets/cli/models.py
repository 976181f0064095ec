"""``sct_rootlets models``: list, install, verify and remove models."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sct_rootlets.cli.common import add_misc, command_parser, run, say

if TYPE_CHECKING:
    from sct_rootlets.models.weights import Weights

ACTIONS = {
    "list": "the models there are, and where they are installed (the default)",
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
    """Arguments of the command."""
    actions = "\n".join(f"  {name:<9}{text}" for name, text in ACTIONS.items())
    parser = command_parser(
        "sct_rootlets models",
        f"List, install, verify and remove models of rootlets.\n\nactions:\n{actions}\n\n"
        "Models are kept in the folders that the variable SCT_ROOTLETS_MODELS names, separated as in PATH: all are\n"
        "read, the first is written to. Without it, in a folder of the user's.",
        EXAMPLES,
    )
    parser.add_argument("action", nargs="?", choices=list(ACTIONS), default="list", metavar="ACTION", help="see above")
    parser.add_argument("name", nargs="?", metavar="NAME", help="name of a model")
    optional = parser.add_argument_group("OPTIONAL")
    optional.add_argument(
        "-custom-url",
        nargs="+",
        metavar="<url>",
        help="where to install from instead of where the model is published: an address (http, https, file), a zip "
        "file or a folder; of several, the next is tried where one fails",
    )
    optional.add_argument(
        "-force",
        action="store_true",
        help="install a model even if it differs from what was installed under its name before",
    )
    add_misc(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = get_parser()

    def command(arguments: argparse.Namespace) -> None:
        action, name = arguments.action, arguments.name
        if action != "install" and (arguments.custom_url or arguments.force):
            parser.error("-custom-url and -force go with install")
        if action in ("install", "remove") and name is None:
            parser.error(f"give the name of a model: sct_rootlets models {action} <name>")
        if action == "list":
            say(*table())
        elif action == "install":
            install(name, arguments.custom_url or (), arguments.force, bool(arguments.v))
        elif action == "verify":
            verify(name, bool(arguments.v))
        elif action == "remove":
            from sct_rootlets.models.install import remove

            folder = remove(name)
            if arguments.v:
                say(f"{name} was removed from {folder}")
        else:
            path(name)

    return run(parser, argv, command)


def table() -> list[str]:
    """Lines of the list: what there is, and where."""
    from sct_rootlets.models.weights import BUNDLED, catalogue, installed_names, model_folders

    releases = catalogue()
    rows = [("name", "version", "installed", "contrasts", "levels", "licence")]
    for name in [*releases, *(other for other in installed_names() if other not in releases)]:
        release, found = releases.get(name), _installed(name)
        where = "yes" if name == BUNDLED else "no" if found is None else found if isinstance(found, str) else "yes"
        version = release.version if release else "" if found is None or isinstance(found, str) else found.version or ""
        facts = (", ".join(release.contrasts), release.levels, release.licence) if release else ("", "", "")
        rows.append((name, version, where, *facts))
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    first, *rest = model_folders()
    lines += ["", f"installed into: {first}", *(f"also read:      {folder}" for folder in rest)]
    lines += [f"{name}: {release.citation}" for name, release in releases.items()]
    return lines


def _installed(name: str) -> Weights | str | None:
    """Find what is installed under a name; a word where it cannot be read."""
    from sct_rootlets.errors import ModelError
    from sct_rootlets.models.weights import find_installed

    try:
        return find_installed(name)
    except ModelError:
        return "damaged"


def install(name: str | None, sources: Sequence[str] = (), force: bool = False, progress: bool = True) -> str:
    """Install a model and say how it is used.

    Parameters
    ----------
    name : str, optional
        By default, the name that the first source suggests; without one, there is nothing to install.
    sources : sequence of str
    force, progress : bool

    Returns
    -------
    str
        The name under which it is installed.
    """
    from sct_rootlets.models.install import install as install_model
    from sct_rootlets.models.install import suggested_name
    from sct_rootlets.models.weights import BUNDLED

    name = name or (suggested_name(sources[0]) if sources else BUNDLED)
    weights, new = install_model(name, sources, force=force, progress=progress)
    if progress and weights.is_bundled:
        say("the bundled model comes with the package: nothing to install (-model names another one)")
    elif progress:
        say(f"{name} {weights.version} {'was installed' if new else 'is installed already'}: {weights.folder}")
        say(f"use it with: sct_deepseg rootlets_cord -i <image> -model {name}")
    return name


def verify(name: str | None, verbose: bool) -> None:
    """Say that the files of a model, or of all, are those that were installed."""
    from sct_rootlets.models.weights import BUNDLED, verified

    for weights in verified(name):
        if verbose:
            say(
                f"{BUNDLED if weights.is_bundled else weights.name}: {len(weights.files)} files, as they were installed"
            )


def path(name: str | None) -> None:
    """Print where a model lies, or where models are looked for."""
    from sct_rootlets.models.weights import model_folders, named

    say(*map(str, model_folders() if name is None else [named(name).folder]))
