"""Check what a wheel and a source distribution hold: the package, its models, its licence, and nothing else.

Usage: ``python .ci/check_wheel.py dist/*.whl dist/*.tar.gz``, in the folder of the repository.
"""

import sys
import tarfile
import zipfile
from pathlib import Path

COMMANDS = ("sct_rootlets", "sct_deepseg", "sct_compute_spinal_levels")
#: Files of a source distribution beside the package.
BESIDE = {"CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "constraints.txt",
          "pyproject.toml", "setup.cfg"}  # fmt: skip


def files_of_the_package() -> set[str]:
    """List the modules and data of the package."""
    paths = {path.as_posix() for path in Path("sct_rootlets").rglob("*.py")} | {"sct_rootlets/py.typed"}
    return paths | {path.as_posix() for path in Path("sct_rootlets/data").rglob("*") if path.is_file()}


def problems_of(names: set[str], expected: set[str]) -> list[str]:
    """Say which files are missing, and which should not be there."""
    missing = [f"missing: {name}" for name in sorted(expected - names)]
    return missing + [f"unexpected: {name}" for name in sorted(names - expected)]


def check_wheel(path: str) -> tuple[int, list[str]]:
    """Return the number of files of a wheel, and what is wrong with it."""
    wheel = zipfile.ZipFile(path)
    names = set(wheel.namelist())
    metadata = {name for name in names if ".dist-info/" in name}
    problems = problems_of(names - metadata, files_of_the_package())
    problems += [
        f"no {what}" for what in ("LICENSE", "entry_points.txt") if not any(n.endswith(what) for n in metadata)
    ]
    commands = wheel.read(next(name for name in metadata if name.endswith("entry_points.txt"))).decode()
    problems += [f"no command {name}" for name in COMMANDS if f"{name} =" not in commands]
    return len(names), problems


def check_sdist(path: str) -> tuple[int, list[str]]:
    """Return the number of files of a source distribution, and what is wrong with it."""
    with tarfile.open(path) as archive:
        names = {member.name.split("/", 1)[1] for member in archive.getmembers() if member.isfile()}
    names = {name for name in names if not name.startswith("sct_rootlets.egg-info/")}
    return len(names), problems_of(names, files_of_the_package() | BESIDE)


failed = False
for distribution in sys.argv[1:]:
    number, found = (check_wheel if distribution.endswith(".whl") else check_sdist)(distribution)
    print("\n".join([f"{distribution}: {problem}" for problem in found])
          or f"{distribution}: {number} files, as they should be")  # fmt: skip
    failed |= bool(found)
sys.exit(failed)
