"""The installed package: its version, and what ``pip install`` needs to be given to install it again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

#: Name of the package on an index.
NAME = "sct_rootlets"
#: Folder that holds the package; in a copy of the repository, setup.cfg lies there too.
_FOLDER = Path(__file__).resolve().parents[1]


def version() -> str:
    """Return the version of the installed package, or ``"unknown"``."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed_version

    try:
        return installed_version(NAME)
    except PackageNotFoundError:
        return "unknown"


def requirement(extra: str = "") -> str:
    """Return what follows ``pip install`` to get the same package, with an extra if one is named.

    The name of the package works only where an index has it. A package that was installed from a folder, a file or a
    repository is therefore named by its source, as pip recorded it (PEP 610).

    Parameters
    ----------
    extra : str, optional
        Extra of ``setup.cfg``, such as ``"nnunet"``.

    Returns
    -------
    str
        Arguments of ``pip install``, quoted for a shell; with the constraints of a copy of the repository.
    """
    wanted = f"[{extra}]" if extra else ""
    folder = _FOLDER if (_FOLDER / "setup.cfg").is_file() else None
    if folder is None:
        source = _recorded_source()
        vcs = source.get("vcs_info", {})
        url = str(source.get("url", ""))
        if vcs:
            return shlex.quote(f"{NAME}{wanted} @ {vcs.get('vcs', 'git')}+{url}@{vcs.get('commit_id', 'HEAD')}")
        path = _path_of_url(url) if url.startswith("file:") else None
        if path is None or not path.exists():
            return shlex.quote(f"{NAME}{wanted}") if wanted else NAME
        if path.is_file():
            return shlex.quote(f"{path}{wanted}")
        folder = path
    constraints = folder / "constraints.txt"
    limits = f"-c {shlex.quote(str(constraints))} " if constraints.is_file() else ""
    return f"{limits}{shlex.quote(f'{folder}{wanted}')}"


def _path_of_url(url: str) -> Path:
    from urllib.parse import urlsplit
    from urllib.request import url2pathname  # slow to import

    return Path(url2pathname(urlsplit(url).path))


def _recorded_source() -> dict[str, dict[str, str]]:
    """Read where pip took the package from; empty if it came from an index, or nothing is recorded."""
    from importlib.metadata import distributions

    for found in distributions(name=NAME):
        if found.read_text("METADATA") is None:
            continue  # the folder that the package was built in, and not where pip installed it
        try:
            source = json.loads(found.read_text("direct_url.json") or "{}")
        except ValueError:
            return {}
        return source if isinstance(source, dict) else {}
    return {}
