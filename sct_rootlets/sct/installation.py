"""The installed Spinal Cord Toolbox (SCT) and this package beside it: where each is, and whether they belong together.

Nothing is written here.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from sct_rootlets.distribution import requirement
from sct_rootlets.errors import LinkError

#: Our command that has the same name as a command of SCT.
SHARED_COMMAND = "sct_deepseg"
#: Paths of Python in the environments that SCT's installer makes.
_PYTHON_PATHS = ("python/envs/venv_sct/bin/python", "venv_sct/bin/python")


@dataclass(frozen=True)
class Toolbox:
    """An installed SCT.

    Attributes
    ----------
    folder : Path
        The folder that SCT calls ``SCT_DIR``.
    version : str
    """

    folder: Path
    version: str

    @property
    def commands(self) -> Path:
        """The folder that SCT's installer puts on the PATH."""
        return self.folder / "bin"


@dataclass(frozen=True)
class Environment:
    """The running Python environment, and this package as pip has installed it there.

    Attributes
    ----------
    prefix, site_packages, scripts : Path
    package : importlib.metadata.Distribution
    """

    prefix: Path
    site_packages: Path
    scripts: Path
    package: Distribution

    @property
    def own_commands(self) -> list[str]:
        """Names of our commands that SCT does not have."""
        points = self.package.entry_points.select(group="console_scripts")
        return sorted(point.name for point in points if point.name != SHARED_COMMAND)

    @property
    def record(self) -> Path | None:
        """The list of files that pip will delete when it uninstalls the package."""
        for file in self.package.files or ():
            if file.name == "RECORD":
                return Path(str(self.package.locate_file(file)))
        return None


def find_environment() -> Environment:
    """Find the running environment, and this package in it.

    Raises
    ------
    LinkError
        If this package is not installed there, or the system is Windows.
    """
    if os.name == "nt":
        raise LinkError("linking with the Spinal Cord Toolbox works on Linux and macOS (and in WSL), not on Windows")
    scripts = Path(sysconfig.get_path("scripts"))
    try:
        package = distribution("sct_rootlets")
    except PackageNotFoundError:
        package = None
    if package is None or not (scripts / "sct_rootlets").exists():
        raise LinkError(
            f"sct_rootlets is not installed in {sys.prefix}: {sys.executable} -m pip install {requirement()}"
        )
    return Environment(Path(sys.prefix), Path(sysconfig.get_path("purelib")), scripts, package)


def find_toolbox(folder: str | os.PathLike[str] | None = None) -> Toolbox:
    """Find the SCT that runs in this environment.

    Parameters
    ----------
    folder : path, optional
        Folder in which SCT must be; by default it is found by importing it.

    Raises
    ------
    LinkError
        If there is no SCT, or it runs in another environment.
    """
    spec = find_spec("spinalcordtoolbox")
    imported = None if spec is None or spec.origin is None else Path(spec.origin).resolve().parents[1]
    named = folder or os.environ.get("SCT_DIR") or None
    wanted = None if named is None else Path(named).resolve()
    if imported is None or (folder is not None and imported != wanted):
        if wanted is not None and not (wanted / "spinalcordtoolbox" / "version.txt").is_file():
            raise LinkError(
                f"{named}{'' if folder else ' (SCT_DIR)'} is not the folder of a Spinal Cord Toolbox (it has no "
                "spinalcordtoolbox/version.txt)"
            )
        raise LinkError(_elsewhere_message(wanted))
    try:
        version = (imported / "spinalcordtoolbox" / "version.txt").read_text(encoding="utf-8").strip()
    except OSError:
        version = "of unknown version"
    return Toolbox(imported, version)


def _elsewhere_message(wanted: Path | None) -> str:
    """Say where SCT was expected, and what to do."""
    if wanted is None:
        return (
            f"no Spinal Cord Toolbox is found in {sys.prefix}; install sct_rootlets with SCT's own Python and link "
            "there, or name SCT's folder: -sct-dir <folder>"
        )
    pythons = [wanted / python for python in _PYTHON_PATHS if (wanted / python).exists()]
    python = pythons[0] if pythons else "<SCT's python>"
    return (
        f"the Spinal Cord Toolbox in {wanted} does not run in this environment ({sys.prefix}); install and link in its "
        f"own: {python} -m pip install {requirement()} && {python} -m sct_rootlets.cli.main link"
    )


def commands_to_link(environment: Environment, toolbox: Toolbox) -> list[Path]:
    """List our commands in the folder of SCT's; none if the environment's own folder is on the PATH instead."""
    if not toolbox.commands.is_dir() or toolbox.commands.resolve() == environment.scripts.resolve():
        return []
    return [toolbox.commands / name for name in environment.own_commands]


def is_ours(command: Path, environment: Environment) -> bool:
    """Tell whether a command is a link to ours, even a dangling one, or a copy of ours."""
    if command.is_symlink():
        target = os.path.normpath(command.parent.resolve() / command.readlink())
        return target == os.path.normpath(environment.scripts.resolve() / command.name)
    return command.is_file() and launches(command, "sct_rootlets")


def launches(file: Path, package: str) -> bool:
    """Tell whether a command, as pip writes it, runs a package."""
    return f"from {package}".encode() in file.read_bytes()


def nnunet_notes() -> list[str]:
    """Report what is wrong with the nnU-Net that SCT runs; normally nothing.

    ``nnunetv2`` and SCT's fork of it, ``nnunetv2-neuropoly``, put their files into the same folder: pip lets one
    overwrite the other without a warning.
    """
    installed = []
    for name in ("nnunetv2", "nnunetv2-neuropoly"):
        try:
            installed.append(distribution(name).metadata["Name"])
        except PackageNotFoundError:
            continue
    if len(installed) < 2:
        return []
    return [
        "nnunetv2 was installed over nnunetv2-neuropoly, which SCT runs nnU-Net models with: python -m pip "
        "uninstall nnunetv2, then: python -m pip install --force-reinstall --no-deps nnunetv2-neuropoly"
    ]
