"""Get a file over HTTP: goes on where it was cut off, and ends in a file or in one line that says why not.

`pooch` checks the hash and puts the file in its place; `Downloader` is how it fetches here. What has arrived of a file
is kept beside it, with the server's mark of its version, so that neither a bad line nor a killed process costs much.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sct_rootlets.errors import ModelError

if TYPE_CHECKING:
    import requests

#: Endings of what is kept of an unfinished download.
UNFINISHED = (".part", ".mark")
_CHUNK = 2**14  # so much is lost where a connection is
#: Statuses that a server may not give a moment later.
_PASSING_STATUSES = {408, 425, 429, 500, 502, 503, 504}
#: A line that drops again and again is borne with as long as it brings this much between two drops.
_PROGRESS_BYTES = 2**20


@dataclass(frozen=True)
class Patience:
    """How long to put up with a server.

    Attributes
    ----------
    timeout_s : float
        For an answer, and between two pieces of it.
    attempts : int
        In a row that bring nothing.
    pause_s : float
        After the first of them; twice as long after each further one.
    """

    timeout_s: float = 30.0
    attempts: int = 5
    pause_s: float = 1.0


class _PassingError(Exception):
    """What failed may not fail again."""


def download(
    url: str,
    folder: Path,
    sha256: str | None = None,
    *,
    limit_bytes: int,
    patience: Patience = Patience(),  # noqa: B008 (frozen)
    progress: bool = False,
) -> Path:
    """Download a file.

    Parameters
    ----------
    url : str
        http or https.
    folder : Path
        Where it goes, and where an unfinished download is kept.
    sha256 : str, optional
        What the file must have.
    limit_bytes : int
        Larger files are refused.
    patience : Patience
    progress : bool
        Show a bar, if standard error is a terminal.

    Raises
    ------
    ModelError
        If it cannot be downloaded, or is not the file it should be.
    """
    import pooch

    part = folder / f".{hashlib.sha256(url.encode()).hexdigest()[:16]}.part"
    name = part.with_suffix(".zip").name
    fetch = Downloader(part, limit_bytes, patience, progress)
    try:
        (folder / name).unlink(missing_ok=True)
        with _quiet(pooch.get_logger()):
            known = None if sha256 is None else f"sha256:{sha256}"
            return Path(pooch.retrieve(url, known, fname=name, path=folder, downloader=fetch))
    except ValueError as error:  # pooch's way to say that the hash differs
        raise ModelError(f"{shown(url)} is not the file that was published: its SHA-256 differs") from error
    except OSError as error:
        raise ModelError(f"{folder} cannot be written to ({error.strerror or error})") from error


def shown(url: str) -> str:
    """Leave out of an address what may be secret: a user's name and password, a signature."""
    try:
        parts = urlsplit(url)
    except ValueError:  # it is none, and nobody can say which part is what
        return "the address"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


class Downloader:
    """Downloads as `pooch` asks for it.

    Parameters
    ----------
    part : Path
        Where an unfinished download is kept.
    limit_bytes : int
    patience : Patience
    progress : bool
    """

    def __init__(self, part: Path, limit_bytes: int, patience: Patience, progress: bool) -> None:
        self.part = part
        self.mark = part.with_suffix(".mark")  # the server's name for the version that the part is of
        self.limit_bytes = limit_bytes
        self.patience = patience
        self.progress = progress

    def __call__(self, url: str, output_file: str | os.PathLike[str], pooch: Any) -> None:
        """Download to a file."""
        failures, furthest = 0, self._size()
        while True:
            try:
                self._go_on(url)
                break
            except _PassingError as reason:
                failures = 1 if self._size() >= furthest + _PROGRESS_BYTES else failures + 1
                furthest = max(furthest, self._size())
                if failures >= self.patience.attempts:
                    kept = "; run this again to go on from there" if self._version() else ""
                    raise ModelError(f"{shown(url)} could not be downloaded: {reason}{kept}") from reason
                time.sleep(self.patience.pause_s * 2 ** (failures - 1))
        Path(self.part).replace(output_file)
        self._forget()

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _version(self) -> str:
        """Return what the server calls the version of which there is a part, if there is one."""
        return self.mark.read_text(encoding="utf-8") if self.part.exists() and self.mark.exists() else ""

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.mark.unlink(missing_ok=True)

    def _go_on(self, url: str) -> None:
        """Ask for the file, or for what is missing of it, once."""
        import requests

        headers = {"Accept-Encoding": "identity"}  # sizes are those of the file
        if self._version():
            headers |= {"Range": f"bytes={self._size()}-", "If-Range": self._version()}
        try:
            with (
                requests.Session() as session,
                session.get(url, headers=headers, stream=True, timeout=self.patience.timeout_s) as response,
            ):
                _check_secure(url, response)
                self._receive(url, response)
        except requests.exceptions.TooManyRedirects as error:
            raise ModelError(f"{shown(url)} leads nowhere: it redirects again and again") from error
        except requests.exceptions.SSLError as error:
            raise ModelError(f"{shown(url)} has no certificate that can be trusted") from error
        except (requests.exceptions.Timeout, requests.exceptions.ConnectionError) as error:
            late = "timed out" in str(error).lower()
            what = f"nothing came for {self.patience.timeout_s:g} s" if late else "the connection failed"
            raise _PassingError(what) from error
        except requests.exceptions.ChunkedEncodingError as error:
            raise _PassingError(f"the connection broke off after {self._size()} bytes") from error
        except (requests.exceptions.RequestException, ValueError) as error:
            # Not in its own words, as they hold the whole address.
            no_address = isinstance(error, ValueError)  # requests' errors of addresses are ValueErrors too
            reason = "it is, or leads to, no http address" if no_address else type(error).__name__
            raise ModelError(f"{shown(url)} cannot be downloaded: {reason}") from error

    def _receive(self, url: str, response: requests.Response) -> None:
        """Add an answer to the part; a server that sends all of the file though asked for the rest is fine."""
        done = self._first_byte(url, response)
        length = response.headers.get("Content-Length", "")
        whole = length.isdigit() and not response.headers.get("Content-Encoding")
        total = done + int(length) if whole else None
        if total is not None and total > self.limit_bytes:
            raise ModelError(f"{shown(url)} is larger than {self.limit_bytes / 2**20:.0f} MiB: no model is")
        if not done:
            self._forget()
        mark = response.headers.get("ETag", "")
        if not done and whole:  # a weak ETag does not say that bytes are the same
            self.mark.write_text(response.headers.get("Last-Modified", "") if mark[:2] in ("", "W/") else mark)
        with self.part.open("ab") as file, _bar(total, done, self.progress) as bar:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
                if file.tell() > self.limit_bytes:
                    self._forget()
                    raise ModelError(f"{shown(url)} is larger than {self.limit_bytes / 2**20:.0f} MiB: no model is")
        if total is not None and self._size() != total:
            raise _PassingError(f"the connection broke off after {self._size()} of {total} bytes")

    def _first_byte(self, url: str, response: requests.Response) -> int:
        """Where in the file an answer begins."""
        status = f"HTTP {response.status_code} {response.reason or ''}".strip()
        if response.status_code == 200:
            return 0
        begins = response.headers.get("Content-Range", "").startswith(f"bytes {self._size()}-")
        if response.status_code == 206 and self._version() and begins:
            return self._size()
        if response.status_code in (206, 416):  # not the rest of what is there: all anew
            self._forget()
            raise _PassingError(status)
        if response.status_code in _PASSING_STATUSES:
            raise _PassingError(status)
        raise ModelError(f"{shown(url)} could not be downloaded: {status}")


def _check_secure(url: str, response: requests.Response) -> None:
    """Refuse to be led from https to http: anyone on the way could exchange the file."""
    for hop in (*response.history, response):
        if url.lower().startswith("https:") and not hop.url.lower().startswith("https:"):
            raise ModelError(f"{shown(url)} leads to {shown(hop.url)}, which is not encrypted")


def _bar(total: int | None, done: int, show: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, initial=done, unit="B", unit_scale=True, disable=None if show else True)
