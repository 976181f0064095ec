"""The folder of the page: entries accumulate in it from several commands at once, and it opens without a server.

::

    index.html          the page, unless another program's is there already (that of SCT's own quality control)
    rootlets.html       the page
    rootlets/           all that belongs to it
        page.json       version of the folder, and the dataset of scans that name none
        missing.json    scans without an entry, and the reasons that commands gave
        flags.json      flags of scans beside those of their entries
        entries.js      facts of all entries, which the page loads first
        entries/        <entry>.json with the facts of an entry, which names the folder of its pictures
        assets/         scripts and styles

The pictures of an entry are complete before its ``.json`` names them: if a command is killed, each entry is complete,
or as it was before. Everything is written under a lock.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sct_rootlets.distribution import version
from sct_rootlets.errors import ImageError, SctRootletsError
from sct_rootlets.flags import Flag
from sct_rootlets.output.files import describe_refusal, staged_outputs
from sct_rootlets.registration.result import Registration
from sct_rootlets.report.page.entry import FORMAT_VERSION, About, Entry, make_entry
from sct_rootlets.report.page.registration import registration_entry
from sct_rootlets.sidecar import read_object
from sct_rootlets.subject import SubjectLevels

_LOGGER = logging.getLogger(__name__)

#: Text by which an ``index.html`` of ours differs from that of another program.
GENERATOR_TAG = '<meta name="generator" content="sct_rootlets">'
#: File of flags of scans beside those of their entries.
FLAGS = "flags.json"
#: Longest wait for other commands that write to the same folder.
MAX_WAIT_S = 120.0


def add_levels(folder: Path, subject: SubjectLevels, about: About, at_most_every_s: float = 0.0) -> Path:
    """Draw a subject's levels and add them to the page in a folder, in place of an earlier result of the same scan.

    Parameters
    ----------
    folder : Path
        Folder of the page; made if it is missing.
    subject : SubjectLevels
    about : About
        Where the levels come from.
    at_most_every_s : float
        See `add_entry`.

    Returns
    -------
    Path
        The page to open.

    Raises
    ------
    ImageError, SctRootletsError
        See `add_entry`.
    """
    _LOGGER.info("drawing the page")
    return add_entry(folder, make_entry(subject, about), at_most_every_s)


def add_registration(folder: Path, registration: Registration, about: About) -> Path:
    """Draw a registration and add it to the page in a folder; parameters and errors are those of `add_levels`."""
    _LOGGER.info("drawing the page")
    return add_entry(folder, registration_entry(registration, about))


def add_entry(folder: Path, entry: Entry, at_most_every_s: float = 0.0) -> Path:
    """Add an entry to a page, in place of an earlier one of the same scan; make the page if there is none.

    Parameters
    ----------
    folder : Path
        Folder of the page; made if it is missing.
    entry : Entry
    at_most_every_s : float
        Least time between two updates of the list of entries. An update reads all entries, which takes long where there
        are thousands, while other commands wait. A command that adds many entries calls `build_page` at the end.

    Returns
    -------
    Path
        The page to open.

    Raises
    ------
    ImageError
        If the folder cannot be written to.
    SctRootletsError
        If a later version of this package made it.
    """
    with _locked(folder) as own:
        entries = own / "entries"
        pictures = f"{entry.identifier}.{entry.fingerprint}"
        with staged_outputs(entries / pictures) as stage:
            for name, data in entry.files.items():
                (stage / name).write_bytes(data)
        facts = {
            **entry.facts,
            "id": entry.identifier,
            "fingerprint": entry.fingerprint,
            "files": pictures,
            "version": version(),
        }
        with staged_outputs(entries) as stage:
            (stage / f"{entry.identifier}.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        if _age_s(own / "entries.js") < at_most_every_s:
            return folder / ("index.html" if _is_ours(folder / "index.html") else "rootlets.html")
        return _write_page(folder, own)


def build_page(
    folder: Path,
    missing: Mapping[str, str] | None = None,
    dataset: str | None = None,
    flags: Mapping[str, Flag] | None = None,
) -> Path:
    """Write the page of the entries that are there.

    Parameters
    ----------
    folder : Path
    missing : dict of str to str, optional
        Scans without an entry, and the reasons, which the page shows; by default, those of the last call.
    dataset : str, optional
        Name of the dataset of all scans that name none; by default, that of the last call.
    flags : dict of str to Flag, optional
        Flags of scans beside those of their entries, such as what other scans say of them, by the identifier of the
        entry; by default, those of the last call.

    Returns
    -------
    Path
        The page to open.

    Raises
    ------
    ImageError, SctRootletsError
        See `add_entry`.
    """
    with _locked(folder) as own:
        facts = None if flags is None else {key: flag.as_facts() for key, flag in flags.items()}
        for name, content in (("missing.json", missing), (FLAGS, facts)):
            if content is not None:
                with staged_outputs(own) as stage:
                    text = json.dumps(dict(sorted(content.items())), indent=1, ensure_ascii=False) + "\n"
                    (stage / name).write_text(text, encoding="utf-8")
        return _write_page(folder, own, dataset)


def has_entry(folder: Path, about: About) -> bool:
    """Return whether a page has a readable entry of a scan, and the pictures of it."""
    pictures = read_entry(folder, about).get("files")
    return isinstance(pictures, str) and (folder / "rootlets" / "entries" / pictures).is_dir()


def read_entry(folder: Path, about: About) -> dict[str, Any]:
    """Read what a page's entry of a scan says; empty if there is none, or it cannot be read."""
    return read_object(folder / "rootlets" / "entries" / f"{about.identifier}.json")


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    """Lock the page's own folder against other commands."""
    own = folder / "rootlets"
    try:
        own.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(own / ".lock"), timeout=MAX_WAIT_S)
        lock.acquire()
    except Timeout as error:
        raise ImageError(
            f"{own} has been written to by another command for {MAX_WAIT_S:.0f} s; try again when it has ended"
        ) from error
    except OSError as error:
        raise ImageError(f"cannot write to {own}: {describe_refusal(own, error)}") from error
    try:
        _check_version(own)
        yield own
    finally:
        lock.release()


def _check_version(own: Path) -> None:
    """Raise an error if a later version of this package made the folder."""
    try:
        version = int(json.loads((own / "page.json").read_text(encoding="utf-8"))["format"])
    except (OSError, ValueError, KeyError, TypeError):
        return  # a new folder, or an incomplete one: it is written anew
    if version > FORMAT_VERSION:
        raise SctRootletsError(
            f"{own} was made by a later version of sct_rootlets (format {version}, this one knows {FORMAT_VERSION}); "
            "update sct_rootlets, or choose another folder (-qc)"
        )


def _write_page(folder: Path, own: Path, dataset: str | None = None) -> Path:
    """Write the page, its scripts and its list of entries; return the page to open."""
    entries, damaged = read_entries(own)
    more = read_object(own / FLAGS)
    for facts in entries:
        flag, flags = more.get(str(facts.get("id"))), facts.get("flags")
        if isinstance(flag, dict) and isinstance(flags, dict) and isinstance(flag.get("key"), str):
            flags[flag["key"]] = flag
    dataset = str(read_object(own / "page.json").get("dataset", "")) if dataset is None else dataset
    _remove_unused(
        own / "entries", {str(facts["files"]) for facts in entries if facts.get("files")} if not damaged else None
    )
    assets = files("sct_rootlets") / "data" / "page"
    with staged_outputs(own / "assets") as stage:
        for asset in assets.iterdir():
            if asset.name != "index.html" and not _is_file_of(own / "assets" / asset.name, asset.read_bytes()):
                (stage / asset.name).write_bytes(asset.read_bytes())
    with staged_outputs(own) as stage:
        content = json.dumps(
            {
                "format": FORMAT_VERSION,
                "entries": entries,
                "damaged": damaged,
                "missing": _read_missing(own / "missing.json"),
                "dataset": dataset,
            }
        )
        (stage / "entries.js").write_text(f"sctRootletsEntries({content});\n", encoding="utf-8")
        about_page = {"format": FORMAT_VERSION, **({"dataset": dataset} if dataset else {})}
        (stage / "page.json").write_text(json.dumps(about_page, ensure_ascii=False) + "\n", encoding="utf-8")
    page = (assets / "index.html").read_text(encoding="utf-8")
    ours = _is_ours(folder / "index.html")
    with staged_outputs(folder) as stage:
        for name in ("rootlets.html", *(["index.html"] if ours else [])):
            (stage / name).write_text(page, encoding="utf-8")
    return folder / ("index.html" if ours else "rootlets.html")


def _age_s(path: Path) -> float:
    """Return the time since a file was written; infinite if there is no such file, or its date is in the future."""
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return math.inf
    return age if age >= 0 else math.inf


def _is_file_of(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def _is_ours(index: Path) -> bool:
    """Return whether there is no page yet, or one of ours."""
    if not index.exists():
        return not (index.parent / "_json").is_dir()  # SCT's quality control writes there, and will write its page
    try:
        return GENERATOR_TAG in index.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def read_entries(own: Path) -> tuple[list[dict[str, object]], list[str]]:
    """Read the facts of all entries, sorted by dataset, subject and file.

    Parameters
    ----------
    own : Path
        The page's own folder, ``rootlets``.

    Returns
    -------
    entries : list of dict
    damaged : list of str
        Names of the files that cannot be read.
    """
    entries: list[dict[str, object]] = []
    damaged: list[str] = []
    for path in sorted((own / "entries").glob("*.json")):
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            entries.append({**facts, "id": str(facts["id"]), "file": str(facts["file"])})
        except (OSError, ValueError, KeyError, TypeError):
            damaged.append(path.name)
    entries.sort(key=lambda facts: [str(facts.get(key, "")) for key in ("dataset", "subject", "file", "folder", "id")])
    return entries, damaged


def _read_missing(path: Path) -> dict[str, str]:
    try:
        return {str(name): str(why) for name, why in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _remove_unused(entries: Path, wanted: set[str] | None) -> None:
    """Remove the pictures of earlier results, and incomplete ones of commands that were killed."""
    if wanted is None or not entries.is_dir():
        return
    for path in entries.iterdir():
        if path.is_dir() and path.name not in wanted:
            shutil.rmtree(path, ignore_errors=True)
