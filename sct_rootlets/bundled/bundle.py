"""Put trained models into the package, with their manifest: ``python -m sct_rootlets.bundled.bundle -h``."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from sct_rootlets.cli.parsers import MANDATORY, OPTIONAL, add_misc, command_parser
from sct_rootlets.cli.run import run, say
from sct_rootlets.models.manifest import BUNDLED_FOLDER, NETWORKS
from sct_rootlets.plugin.register import NNUNET_MODEL
from sct_rootlets.sidecar import sha256_of

NAME = "sct_rootlets synthetic"
LICENCE = "MIT"
#: What SCT wants to know of the model of rootlets, which its own nnU-Net code can run (`sct_rootlets.plugin.register`).
FOR_SCT = {"model_name": NNUNET_MODEL, "model_urls": "bundled with sct_rootlets", "custom": True}


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    parser = command_parser(
        "python -m sct_rootlets.bundled.bundle",
        "Copy model folders that training has exported into the package and write their manifest.",
        "  python -m sct_rootlets.bundled.bundle -overview a -names b -rootlets c -model 1.0",
    )
    mandatory = parser.add_argument_group(MANDATORY)
    mandatory.add_argument("-overview", required=True, metavar="<folder>", help="of the task overview")
    mandatory.add_argument("-names", required=True, metavar="<folder>", help="of the task names")
    mandatory.add_argument("-rootlets", required=True, metavar="<folder>", help="of the task rootlets")
    mandatory.add_argument("-model", required=True, metavar="<version>", help="version of the three together")
    parser.add_argument_group(OPTIONAL).add_argument(
        "-ofolder", metavar="<folder>", default=str(BUNDLED_FOLDER), help="where to (default: into the package)"
    )
    add_misc(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return run(get_parser(), argv, _command)


def _command(arguments: argparse.Namespace) -> None:
    from sct_rootlets.bundled.export import FOLDER_NAME

    folder = Path(arguments.ofolder)
    for name in NETWORKS:
        target = folder / name
        if target.exists():
            shutil.rmtree(target)
        shutil.copytree(Path(getattr(arguments, name)) / FOLDER_NAME, target / FOLDER_NAME)
    (folder / "rootlets" / "source.json").write_text(json.dumps(FOR_SCT, indent=2) + "\n", encoding="utf-8")
    files = {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }
    size = sum((folder / name).stat().st_size for name in files)
    description = {"name": NAME, "version": arguments.model, "licence": LICENCE, "bytes": size, "files": files}
    (folder / "manifest.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    if arguments.v:
        say(f"{folder}: {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    sys.exit(main())
