"""The folder of the page: entries accumulate in it, from several commands at once, and it opens without a server.

::

    index.html          the page, unless another program's is there already (that of SCT's own quality control)
    rootlets.html       the page
    rootlets/           all that belongs to it
        page.json       version of the folder
        missing.json    scans that have no entry, and why, as far as that was said
        entries.js      what the page loads first: facts of all entries
        entries/        <entry>.json with an entry's facts, which names the folder of its pictures
        assets/         scripts and styles

An entry's pictures are complete before its ``.json`` names them: whatever is cut off at whatever moment, an entry is
there whole, or as it was before. Everything is written under a lock.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from filelock import FileLock, Timeout

from sct_rootlets.errors import ImageError, SctRootletsError
from sct_rootlets.output.files import staged_outputs
from sct_rootlets.registration.to_template import Registration
from sct_rootlets.report.page.entry import FORMAT, About, Entry, make_entry
from sct_rootlets.report.page.registration import registration_entry
from sct_rootlets.subject import SubjectLevels

#: How an ``index.html`` of ours is told from that of another program.
MARK = '<meta name="generator" content="sct_rootlets">'
#: How long to wait for others that write to the same folder.
PATIENCE_S = 120.0


def add_entry(folder: Path, entry: Entry, at_most_every_s: float = 0.0) -> Path:
    """Add an entry to a page, in place of an earlier one of the same scan; makes the page if there is none.

    Parameters
    ----------
    folder : Path
    entry : Entry
    at_most_every_s : float
        The list of entries is left as it is if it was written so short a while ago: it is read anew each time, which
        takes long where there are thousands, and others wait. Whoever adds many calls `build_page` at the end.

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
        facts = {**entry.facts, "id": entry.identifier, "fingerprint": entry.fingerprint, "files": pictures}
        with staged_outputs(entries) as stage:
            (stage / f"{entry.identifier}.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        if _age_s(own / "entries.js") < at_most_every_s:
            return folder / ("index.html" if _is_ours(folder / "index.html") else "rootlets.html")
        return _write_page(folder, own)


def build_page(folder: Path, missing: Mapping[str, str] | None = None) -> Path:
    """Write the page of the entries that are there.

    Parameters
    ----------
    folder : Path
    missing : dict of str to str, optional
        Scans that have no entry, and why: the page says so. By default it says what it said before.

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
        if missing is not None:
            with staged_outputs(own) as stage:
                text = json.dumps(dict(sorted(missing.items())), indent=1, ensure_ascii=False) + "\n"
                (stage / "missing.json").write_text(text, encoding="utf-8")
        return _write_page(folder, own)


def has_entry(folder: Path, about: About) -> bool:
    """Whether a page has an entry of a scan that can be read, and its pictures."""
    entries = folder / "rootlets" / "entries"
    try:
        facts = json.loads((entries / f"{about.identifier}.json").read_text(encoding="utf-8"))
        return (entries / facts["files"]).is_dir()
    except (OSError, ValueError, KeyError, TypeError):
        return False


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    """The page's own folder, to be written to by nobody else."""
    own = folder / "rootlets"
    try:
        own.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(own / ".lock"), timeout=PATIENCE_S)
        lock.acquire()
    except Timeout as error:
        raise ImageError(
            f"{own} has been written to by another command for {PATIENCE_S:.0f} s; try again when it has ended"
        ) from error
    except OSError as error:
        raise ImageError(f"cannot write to {own}: {error.strerror or error}; nothing was changed there") from error
    try:
        _check_version(own)
        yield own
    finally:
        lock.release()


def _check_version(own: Path) -> None:
    try:
        version = int(json.loads((own / "page.json").read_text(encoding="utf-8"))["format"])
    except (OSError, ValueError, KeyError, TypeError):
        return  # a new folder, or one that was cut off: it is written anew
    if version > FORMAT:
        raise SctRootletsError(
            f"{own} was made by a later version of sct_rootlets (format {version}, this one knows {FORMAT}); "
            "update sct_rootlets, or choose another folder (-qc)"
        )


def _write_page(folder: Path, own: Path) -> Path:
    entries, damaged = read_entries(own)
    _tidy(own / "entries", {str(facts["files"]) for facts in entries if facts.get("files")} if not damaged else None)
    assets = files("sct_rootlets") / "data" / "page"
    with staged_outputs(own / "assets") as stage:
        for asset in assets.iterdir():
            if asset.name != "index.html" and not _is_file_of(own / "assets" / asset.name, asset.read_bytes()):
                (stage / asset.name).write_bytes(asset.read_bytes())
    with staged_outputs(own) as stage:
        content = json.dumps(
            {"format": FORMAT, "entries": entries, "damaged": damaged, "missing": _read_missing(own / "missing.json")}
        )
        (stage / "entries.js").write_text(f"sctRootletsEntries({content});\n", encoding="utf-8")
        (stage / "page.json").write_text(json.dumps({"format": FORMAT}) + "\n", encoding="utf-8")
    page = (assets / "index.html").read_text(encoding="utf-8")
    ours = _is_ours(folder / "index.html")
    with staged_outputs(folder) as stage:
        for name in ("rootlets.html", *(["index.html"] if ours else [])):
            (stage / name).write_text(page, encoding="utf-8")
    return folder / ("index.html" if ours else "rootlets.html")


def _age_s(path: Path) -> float:
    """Since a file was written; of one that is not there, or is of the future, it is infinite."""
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
    """Whether there is no page yet, or one of ours."""
    if not index.exists():
        return not (index.parent / "_json").is_dir()  # where SCT's quality control writes, its page is to come
    try:
        return MARK in index.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def read_entries(own: Path) -> tuple[list[dict[str, object]], list[str]]:
    """Facts of all entries, by dataset, subject and file; and names of those that cannot be read.

    Parameters
    ----------
    own : Path
        The page's own folder, ``rootlets``.
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


def _tidy(entries: Path, wanted: set[str] | None) -> None:
    """Remove pictures of earlier results, and what a command that was killed has left behind."""
    if wanted is None or not entries.is_dir():
        return
    for path in entries.iterdir():
        if path.is_dir() and path.name not in wanted:
            shutil.rmtree(path, ignore_errors=True)


def add_registration(folder: Path, registration: Registration, about: About) -> Path:
    """Add a registration to the page in a folder, in place of an earlier one of the same scan.

    Parameters
    ----------
    folder : Path
    registration : Registration
    about : About

    Returns
    -------
    Path
        The page to open.

    Raises
    ------
    ImageError, SctRootletsError
        See `sct_rootlets.output.page.add_entry`.
    """
    return add_entry(folder, registration_entry(registration, about))


def add_levels(folder: Path, subject: SubjectLevels, about: About, at_most_every_s: float = 0.0) -> Path:
    """Draw a subject's levels and add them to the page in a folder, in place of an earlier result of the same scan.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
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
    ImageError
        If the folder cannot be written to.
    SctRootletsError
        If a later version of this package made it.
    """
    return add_entry(folder, make_entry(subject, about), at_most_every_s)
