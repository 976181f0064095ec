"""Where the Spinal Cord Toolbox (SCT) is, where pip has put this package, and whether the two belong together.

Nothing is written in here.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from sct_rootlets.errors import LinkError

#: The command of ours that has the name of one of SCT's.
SHARED = "sct_deepseg"
#: What `install_sct` calls the environment that it makes.
_PYTHONS = ("python/envs/venv_sct/bin/python", "venv_sct/bin/python")


@dataclass(frozen=True)
class Toolbox:
    """An installed SCT.

    Attributes
    ----------
    folder : Path
        What SCT calls ``SCT_DIR``.
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
    """The Python environment that runs, and what pip has installed of this package in it.

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
        return sorted(point.name for point in points if point.name != SHARED)

    @property
    def record(self) -> Path | None:
        """The list of files that pip will delete when it uninstalls the package."""
        for file in self.package.files or ():
            if file.name == "RECORD":
                return Path(str(self.package.locate_file(file)))
        return None


def environment() -> Environment:
    """The environment that runs.

    Raises
    ------
    LinkError
        If this package is not installed in it, or the system is Windows.
    """
    if os.name == "nt":
        raise LinkError("linking with the Spinal Cord Toolbox works on Linux and macOS (and in WSL), not on Windows")
    scripts = Path(sysconfig.get_path("scripts"))
    try:
        package = distribution("sct_rootlets")
    except PackageNotFoundError:
        package = None
    if package is None or not (scripts / "sct_rootlets").exists():
        raise LinkError(f"sct_rootlets is not installed in {sys.prefix}: {sys.executable} -m pip install sct_rootlets")
    return Environment(Path(sys.prefix), Path(sysconfig.get_path("purelib")), scripts, package)


def find_toolbox(folder: str | os.PathLike[str] | None = None) -> Toolbox:
    """Find the SCT that this environment runs.

    Parameters
    ----------
    folder : path, optional
        Where it must be; by default it is found by itself.

    Raises
    ------
    LinkError
        If there is none, or it runs in another environment.
    """
    spec = find_spec("spinalcordtoolbox")
    here = None if spec is None or spec.origin is None else Path(spec.origin).resolve().parents[1]
    named = folder or os.environ.get("SCT_DIR")
    wanted = None if named is None else Path(named).resolve()
    if wanted is not None and folder is not None and not (wanted / "spinalcordtoolbox" / "version.txt").is_file():
        raise LinkError(
            f"{folder} is not the folder of a Spinal Cord Toolbox (it has no spinalcordtoolbox/version.txt)"
        )
    if here is None or (folder is not None and here != wanted):
        raise LinkError(_elsewhere(wanted))
    try:
        version = (here / "spinalcordtoolbox" / "version.txt").read_text(encoding="utf-8").strip()
    except OSError:
        version = "of unknown version"
    return Toolbox(here, version)


def _elsewhere(wanted: Path | None) -> str:
    if wanted is None:
        return (
            f"no Spinal Cord Toolbox is found in {sys.prefix}; install sct_rootlets with SCT's own Python and link "
            "there, or name SCT's folder: -sct-dir <folder>"
        )
    pythons = [wanted / python for python in _PYTHONS if (wanted / python).exists()]
    python = pythons[0] if pythons else "<SCT's python>"
    return (
        f"the Spinal Cord Toolbox in {wanted} does not run in this environment ({sys.prefix}); install and link in its "
        f"own: {python} -m pip install sct_rootlets && {python} -m sct_rootlets.cli.main link"
    )


def nnunet_notes() -> list[str]:
    """What is wrong with the nnU-Net that SCT runs; normally nothing.

    ``nnunetv2`` and SCT's fork of it, ``nnunetv2-neuropoly``, put their files into the same folder: pip lets the one
    overwrite the other without a word.
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
